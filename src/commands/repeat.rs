//! One plan carried out several times: what differs between the runs is the noise that a single one cannot show.

use std::time::Duration;

use super::live::LiveLine;
use super::reports::{Forms, Reports, tell_of};
use super::{complaint, exit_code, tell};
use crate::exit::{self, ExitCode, Refusal, Signal};
use crate::plan::{Output, Plan};
use crate::report::{self, Carried};
use crate::result::summary::{End, Summary};
use crate::run::{Bench, Interrupts};

/// Between two runs unless `--pause` says otherwise: what the first has left behind in the server is over by then.
const USUAL_PAUSE: Duration = Duration::from_secs(1);
/// All of them are kept until the end.
const MOST_RUNS: u64 = 1000;

/// Refuses flags that mean nothing together with `--repeat`, or without it.
///
/// # Errors
/// The flag.
pub(super) fn check(plan: &Plan) -> Result<(), Refusal> {
    let Some(times) = plan.repeat else {
        return match plan.pause_ns {
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
    one_run_each(&plan.output, "--repeat")
}

/// Refuses what is written for a single run and has no place where there are several.
///
/// # Errors
/// The flag, and `because` of which one.
pub(super) fn one_run_each(output: &Output, because: &str) -> Result<(), Refusal> {
    match output.of_one_run() {
        Some(flag) => Err(Refusal::usage(format!(
            "{flag} shows one run and contradicts {because}; leave it out, the histogram of each run is in --json"
        ))),
        None => Ok(()),
    }
}

/// How long to wait between two runs.
pub(super) fn pause(plan: &Plan) -> Duration {
    plan.pause_ns.map_or(USUAL_PAUSE, Duration::from_nanos)
}

/// Carries `plan` out `times` times, and reports all of them together.
pub(super) fn carry_out(plan: Plan, times: u64) -> Result<ExitCode, Refusal> {
    let reports = Reports::open(&plan.output)?;
    let mut bench = Bench::prepare(plan, Interrupts::catch()?)?;
    let plan = bench.plan().clone();
    tell(&plan, bench.warnings());
    let mut runs: Vec<Carried> = Vec::new();
    let mut signal = None;
    for index in 0..times {
        if index > 0 {
            signal = bench.pause(pause(&plan));
            if signal.is_some() {
                break;
            }
        }
        // What is random is the same in every series that starts from the same seed.
        let plan = plan.with_seed(plan.seed.wrapping_add(index))?;
        let mut live = LiveLine::new(&plan);
        let summary = match bench.run(&plan, |progress| live.show(progress)) {
            Ok(summary) => summary,
            Err(refusal) if runs.is_empty() => return Err(refusal),
            Err(refusal) => {
                // What was measured before is not lost.
                finish(&plan, &runs, times, (signal, reports))?;
                eprintln!("maxq: {}", refusal.message);
                return Ok(refusal.code);
            }
        };
        if plan.output.shows_progress() {
            eprintln!("maxq: run {} of {times}: {}", index + 1, result(&summary));
        }
        let is_unreachable = summary.record.connections.opened == 0;
        let ended = summary.end;
        runs.push((plan, summary));
        // Whoever has gone away or was stopped is not asked again.
        if is_unreachable || matches!(ended, End::Interrupted(_)) {
            break;
        }
    }
    finish(&plan, &runs, times, (signal, reports))
}

/// Writes down what came of the runs.
fn finish(
    plan: &Plan,
    runs: &[Carried],
    times: u64,
    (signal, reports): (Option<Signal>, Reports),
) -> Result<ExitCode, Refusal> {
    let ending = |(plan, summary): &Carried| (exit_code(plan, summary), complaint(plan, summary));
    let endings: Vec<(ExitCode, Option<String>)> = runs.iter().map(ending).collect();
    let codes = endings.iter().map(|(code, _)| *code);
    let code = exit::first_of(codes.chain(signal.map(Signal::exit_code)));
    let review = || report::runs_review(runs, times, &endings, code);
    let forms = Forms {
        text: &|style| report::runs_text(runs, times, style),
        quiet: &|| report::runs_quiet_text(runs, times),
        json: &|| report::runs_json(runs),
        tsv: &|| report::runs_tsv(runs),
        markdown: &|| review().markdown(),
        junit: &|| review().junit(),
    };
    let code = tell_of(&reports.write(&plan.output, &forms), code);
    for (index, (_, complaint)) in endings.iter().enumerate() {
        if let Some(complaint) = complaint {
            eprintln!("maxq: run {} of {times}: {complaint}", index + 1);
        }
    }
    Ok(code)
}

/// A run in a few words, for those who wait for the next one.
fn result(summary: &Summary) -> String {
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
