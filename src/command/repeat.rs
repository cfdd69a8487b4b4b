//! One plan carried out several times: what differs between the runs is the noise that a single one cannot show.

use std::thread;
use std::time::{Duration, Instant};

use super::live::{LiveLine, style};
use super::places::Places;
use super::{complaint, exit_code, review, table, tell, unreachable_target};
use crate::cli::RunArgs;
use crate::exit::{self, Refusal, Signal};
use crate::plan::Plan;
use crate::report::{self, Carried};
use crate::run::preflight;
use crate::run::{self, Interrupts, Session};
use crate::summary::{End, Summary};

/// Between two runs unless `--pause` says otherwise: what the first has left behind in the server is over by then.
const USUAL_PAUSE: Duration = Duration::from_secs(1);
/// All of them are kept until the end.
const MOST_RUNS: u64 = 1000;

/// Refuses flags that mean nothing together with `--repeat`, or without it.
///
/// # Errors
/// The flag.
pub(super) fn check(args: &RunArgs) -> Result<(), Refusal> {
    let Some(times) = args.repeat else {
        return match args.pause {
            Some(_) => Err(Refusal::usage(
                "--pause is the time between the runs of --repeat; give that too, or leave it out"
                    .to_owned(),
            )),
            None => Ok(()),
        };
    };
    if times == 0 || times > MOST_RUNS {
        return Err(Refusal::usage(format!("--repeat {times}: from 1 to {MOST_RUNS} runs")));
    }
    one_run_each(args, "--repeat")
}

/// Refuses what is written for a single run and has no place where there are several.
///
/// # Errors
/// The flag, and `because` of which one.
pub(super) fn one_run_each(args: &RunArgs, because: &str) -> Result<(), Refusal> {
    for (flag, given) in [
        ("--hgrm", args.hgrm.is_some()),
        ("--hlog", args.hlog.is_some()),
        ("--timeseries", args.timeseries.is_some()),
        ("--log-requests", args.log_requests.is_some()),
        ("--latency", args.latency),
        ("--verbose", args.verbose),
    ] {
        if given {
            return Err(Refusal::usage(format!(
                "{flag} shows one run and contradicts {because}; leave it out, the histogram of each run is in --json"
            )));
        }
    }
    Ok(())
}

/// How long to wait between two runs.
pub(super) fn pause(args: &RunArgs) -> Duration {
    args.pause.map_or(USUAL_PAUSE, Duration::from_nanos)
}

/// The same plan with the seed of another repetition: what is random is drawn anew, and the same in every series that
/// starts from the same seed.
///
/// # Errors
/// None that the first plan would not have had.
pub(super) fn with_seed(plan: &Plan, args: &RunArgs, seed: u64) -> Result<Plan, Refusal> {
    plan.with_load(&RunArgs { seed: Some(seed), ..args.clone() })
}

/// Waits, and says which signal ended the wait early.
pub(super) fn wait(length: Duration, interrupts: &Interrupts) -> Option<Signal> {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    let begun = Instant::now();
    loop {
        if let Some(signal) = interrupts.take() {
            return Some(signal);
        }
        let left = length.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return None;
        }
        thread::sleep(left.min(LOOK_EVERY));
    }
}

/// Carries `plan` out `times` times, and reports all of them together.
pub(super) fn carry_out(plan: Plan, args: &RunArgs, times: u64) -> Result<u8, Refusal> {
    let mut plan = plan;
    let places = Places::open(&plan)?;
    let interrupts = Interrupts::catch()?;
    let engine = run::prepare(&plan)?;
    let readiness = preflight::await_target(&mut plan, args, &interrupts)?;
    tell(&plan, args, &readiness);
    let mut session = Session::open(&plan, engine)?;
    let mut runs: Vec<Carried> = Vec::new();
    let mut signal = None;
    for index in 0..times {
        if index > 0 {
            signal = wait(pause(args), &interrupts);
            if signal.is_some() {
                break;
            }
        }
        let plan = with_seed(&plan, args, plan.seed.wrapping_add(index))?;
        let mut live = LiveLine::new(&plan);
        let summary = session.run(&plan, &interrupts, |progress| live.show(progress));
        live.clear();
        let summary = match summary {
            Ok(summary) => Summary { preflight: readiness.seen.clone(), ..summary },
            Err(refusal) if runs.is_empty() => return Err(refusal),
            Err(refusal) => {
                // What was measured before is not lost.
                finish(&plan, &runs, times, (signal, places))?;
                eprintln!("maxq: {}", refusal.message);
                return Ok(refusal.code);
            }
        };
        let is_unreachable = summary.record.connections.opened == 0;
        if is_unreachable && index == 0 && !matches!(summary.end, End::Interrupted(_)) {
            return Err(unreachable_target(&plan, &summary));
        }
        if !plan.output.quiet && !plan.output.no_progress {
            eprintln!("maxq: run {} of {times}: {}", index + 1, result(&summary));
        }
        let ended = summary.end;
        runs.push((plan, summary));
        // Whoever has gone away or was stopped is not asked again.
        if is_unreachable || matches!(ended, End::Interrupted(_)) {
            break;
        }
    }
    finish(&plan, &runs, times, (signal, places))
}

/// Writes down what came of the runs.
fn finish(
    plan: &Plan,
    runs: &[Carried],
    times: u64,
    (signal, places): (Option<Signal>, Places),
) -> Result<u8, Refusal> {
    let Places { report: mut place, review: files, .. } = places;
    let ending = |(plan, summary): &Carried| (exit_code(plan, summary), complaint(plan, summary));
    let endings: Vec<(u8, Option<String>)> = runs.iter().map(ending).collect();
    let codes = endings.iter().map(|(code, _)| *code);
    let code = exit::first_of(codes.chain(signal.map(Signal::exit_code)));
    let reviewed = || report::runs_review(runs, times, &endings, code);
    let text = if plan.output.json {
        report::runs_json(runs)
    } else if plan.output.tsv || plan.output.csv {
        table(&plan.output, report::runs_tsv(runs))
    } else if let Some(text) = review::formatted(&plan.output, reviewed) {
        text
    } else if plan.output.quiet {
        report::runs_quiet_text(runs, times)
    } else {
        report::runs_text(runs, times, style(place.is_stdout()))
    };
    if let Err(refusal) = place.write(&text).and_then(|()| place.finish()) {
        // The measurements are not to be lost for want of a place to write them.
        eprint!("{}", report::runs_text(runs, times, style(false)));
        return Err(refusal.beside(code));
    }
    files.write_review(reviewed).map_err(|refusal| refusal.beside(code))?;
    for (index, (_, complaint)) in endings.iter().enumerate() {
        if let Some(complaint) = complaint {
            eprintln!("maxq: run {} of {times}: {complaint}", index + 1);
        }
    }
    Ok(code)
}

/// A run in a few words, for those who wait for the next one.
pub(super) fn result(summary: &Summary) -> String {
    let response = &summary.latencies.response;
    let quantile = |at| {
        let value = response.quantile(at);
        value.map_or_else(
            || "-".to_owned(),
            |q| report::format::duration(report::format::float(q.value_ns)),
        )
    };
    let rate = report::format::rate(summary.rates().achieved_rps);
    let verdict = summary.verdict.code.name();
    format!("{rate}/s, p50 {}, p99 {}, {verdict}", quantile(0.5), quantile(0.99))
}
