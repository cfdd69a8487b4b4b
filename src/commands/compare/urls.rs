//! Two URLs, measured in turns: of each two pairs one begins with base and one with new, in an order drawn from the seed, so
//! that what drifts does so for both, and what comes and goes does not keep step.
//!
//! One pair goes first and is thrown away: caches are filled and code is compiled by then. The runs of a pair have the same
//! seed. For a pair in which a run is not valid another one is measured, as long as there are attempts left; all of them are kept.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::page::{self, Standing};
use crate::cli::{CompareArgs, OnOverloadArg, RunArgs};
use crate::commands::compare::comparison::{self, Comparison, Criteria, Design, Side};
use crate::commands::live::LiveLine;
use crate::commands::repeat::{one_run_each, pause};
use crate::commands::{tell_of_threads, warn};
use crate::exit::{Refusal, Signal};
use crate::plan::{Output, Plan};
use crate::report::{self, format};
use crate::result::document::{self, Run};
use crate::result::summary::End;
use crate::run::{Bench, Interrupts, no_connection};
use crate::stats::comparison::{median, shares};
use crate::stats::random::Random;
use crate::target;
use crate::time::NANOS_PER_SECOND;

/// Pairs unless the user says otherwise: enough to find 10 % in the noise of a usual machine.
const USUAL_PAIRS: u64 = 10;
/// More pairs would take days.
const MOST_PAIRS: u64 = 1000;
/// Length of a run unless the user says otherwise.
const USUAL_DURATION_NS: u64 = 3 * NANOS_PER_SECOND;

/// One of the two that are measured.
struct Target {
    bench: Bench,
    name: &'static str,
}

/// All that does not change from run to run.
struct Course {
    targets: [Target; 2],
    /// What the live line says of it.
    standing: Standing,
}

/// How the pairs came to an end.
enum Ending {
    /// All were measured.
    All,
    /// A signal came.
    Signal(Signal),
    /// A target is of no use any more, or the machine refuses.
    Refused(Refusal),
}

/// Measures both URLs, and compares what came of it. Beside it stands why nothing is decided although all was measured.
///
/// # Errors
/// Why there is nothing to compare.
pub(super) fn measure(
    args: &CompareArgs,
    settings: &Criteria,
) -> Result<(Comparison, Option<Refusal>), Refusal> {
    let pairs = checked_pairs(args, settings)?;
    let mut run_args = args.run.clone();
    if run_args.duration.is_none() && run_args.requests.is_none() && run_args.stages.is_none() {
        run_args.duration = Some(USUAL_DURATION_NS);
    }
    let mut course = Course::prepare(&args.flags.urls, &run_args)?;
    let mut found: [Vec<Run>; 2] = [Vec::new(), Vec::new()];
    // What counts all the same need not be measured again.
    let extra = if settings.invalid { 0 } else { pairs.div_ceil(3) };
    course.warn_of_few_requests(pairs, settings);
    let ending = course.carry_out((pairs, extra), &mut found)?;
    let plan = course.plan();
    let cut = plan.threads_asked.and(plan.threads_reason.clone());
    let side = |index: usize| Side {
        label: document::escape(&target::mask(&args.flags.urls[index])),
        runs: found[index].clone(),
    };
    let (base, new) = (side(0), side(1));
    let (refusal, signal, because) = match ending {
        Ending::Signal(signal) => {
            (None, Some(signal), "interrupted before all pairs were measured")
        }
        Ending::Refused(refusal) => (Some(refusal), None, "ended before all pairs were measured"),
        Ending::All => match comparison::compare(base.clone(), new.clone(), true, settings) {
            Ok(mut comparison) => {
                comparison.notes.extend(cut);
                return Ok((comparison, None));
            }
            Err(refusal) => (Some(refusal), None, "too few of the runs are valid"),
        },
    };
    // What took so long is shown in any case, and nothing is decided by it.
    let all = Criteria { whatever_remains: true, ..settings.clone() };
    let mut comparison = comparison::compare(base, new, true, &all)?;
    let whole = usize::try_from(pairs).unwrap_or(usize::MAX);
    comparison.undecided(whole, signal, because);
    comparison.notes.extend(cut);
    let why = refusal.as_ref().map(|refusal| format!("not decided: {}", refusal.message));
    comparison.notes.extend(why);
    Ok((comparison, refusal))
}

/// How many pairs, if that makes sense.
fn checked_pairs(args: &CompareArgs, settings: &Criteria) -> Result<u64, Refusal> {
    one_run_each(&Output::from(&args.run), "compare")?;
    read_twice(&args.run)?;
    for (flag, given) in [
        ("--repeat", args.run.repeat.is_some()),
        ("--dry-run", args.run.preflight.dry_run),
        ("--slo", args.run.slo.is_some()),
        ("--strict", args.run.strict),
        ("--abort-on", args.run.abort_on.is_some()),
        ("--on-overload abort", args.run.on_overload == Some(OnOverloadArg::Abort)),
    ] {
        if given {
            let remedy = match flag {
                "--abort-on" | "--on-overload abort" => "runs that end early cannot be compared",
                "--repeat" => "use --pairs",
                "--dry-run" => "use maxq --dry-run",
                _ => "what is compared is judged by --gate and --effect",
            };
            return Err(Refusal::usage(format!("{flag} means nothing to compare; {remedy}")));
        }
    }
    let pairs = args.flags.pairs.unwrap_or(USUAL_PAIRS);
    let fewest = Design::TwoSample.fewest_among(settings.ranked_gates()) as u64;
    if !(fewest..=MOST_PAIRS).contains(&pairs) {
        return Err(Refusal::usage(format!(
            "--pairs {pairs}: from {fewest} to {MOST_PAIRS} with these gates; fewer pairs cannot be told from chance, whatever they show"
        )));
    }
    Ok(pairs)
}

/// Refuses what only the first of two targets would be sent, since it can be read but once.
fn read_twice(args: &RunArgs) -> Result<(), Refusal> {
    let body = args.body.as_deref().and_then(|body| body.strip_prefix('@')).map(Path::new);
    for (flag, file) in [("--body @", body), ("--raw ", args.raw.as_deref())] {
        let Some(file) = file else { continue };
        let can_be_read_once =
            file == Path::new("-") || fs::metadata(file).is_ok_and(|known| !known.is_file());
        if can_be_read_once {
            return Err(Refusal::usage(format!(
                "{flag}{}: both targets must be sent the same, and this can be read only once; put it into a file and use {flag}FILE",
                document::escape(&file.to_string_lossy())
            )));
        }
    }
    Ok(())
}

impl Course {
    fn prepare(urls: &[String], args: &RunArgs) -> Result<Self, Refusal> {
        let first = Plan::build(&urls[0], args)?;
        // Both have the seeds of the first.
        let seeded = RunArgs { seed: Some(first.seed), ..args.clone() };
        let second = Plan::build(&urls[1], &seeded)?;
        let interrupts = Interrupts::catch()?;
        // What is said of the threads holds for both.
        tell_of_threads(&first);
        let ready = |plan: Plan, name| {
            let bench = Bench::prepare(plan, interrupts.clone())?;
            warn(bench.plan(), bench.warnings());
            Ok(Target { bench, name })
        };
        let targets = [ready(first, "base")?, ready(second, "new")?];
        Ok(Self { targets, standing: Standing::default() })
    }

    /// The plan of the base, which differs from that of the other side in its target only.
    const fn plan(&self) -> &Plan {
        self.targets[0].bench.plan()
    }

    /// Carries out so many pairs, with so many more attempts where one is void, and says which signal ended them early.
    fn carry_out(
        &mut self,
        (pairs, extra): (u64, u64),
        found: &mut [Vec<Run>; 2],
    ) -> Result<Ending, Refusal> {
        let about = self.about(pairs + 1).map_or_else(String::new, |s| format!(": about {s} s"));
        self.say(&format!("{pairs} pairs, after one that is not counted{about}"));
        self.standing = Standing { pairs, ..Standing::default() };
        // Not counted: what comes first is slower wherever something has to warm up.
        if let Some(signal) = self.pair((0, false), &mut [Vec::new(), Vec::new()])? {
            return Err(stopped(signal));
        }
        let (mut good, mut attempts) = (0, 0);
        let most = pairs + extra;
        // When more than half of all attempts are left out, the rest does not count either.
        let is_hopeless = |good, attempts| extra > 0 && (attempts - good) * 2 > most;
        while good < pairs && attempts < most && !is_hopeless(good, attempts) {
            let mut pair = [Vec::new(), Vec::new()];
            let reversed = begins_with_new(self.plan().seed, attempts);
            attempts += 1;
            self.standing = Standing {
                pair: good + 1,
                shifts_pct: shifts_so_far(found),
                ..self.standing.clone()
            };
            let none = found.iter().any(Vec::is_empty);
            // A pair that was cut short says nothing.
            match self.pair((attempts, reversed), &mut pair) {
                Ok(None) => (),
                Ok(Some(signal)) if none => return Err(stopped(signal)),
                Ok(Some(signal)) => return Ok(Ending::Signal(signal)),
                Err(refusal) if none => return Err(refusal),
                Err(refusal) => return Ok(Ending::Refused(refusal)),
            }
            let void = pair.iter().flatten().find_map(doubt);
            self.tell_pair((good + 1, pairs), &pair, void.as_deref());
            // Without more attempts each counts.
            good += u64::from(void.is_none() || extra == 0);
            for (all, one) in found.iter_mut().zip(pair) {
                all.extend(one);
            }
        }
        Ok(Ending::All)
    }

    /// How many seconds so many pairs take, if their runs have an end that is known.
    fn about(&self, pairs: u64) -> Option<u64> {
        Some((self.pair_takes()? * u32::try_from(pairs).ok()?).as_secs().max(1))
    }

    /// How long a pair takes, if its runs have an end that is known.
    fn pair_takes(&self) -> Option<Duration> {
        Some(self.run_takes()? * 2)
    }

    /// How long a run takes, with the pause before it.
    fn run_takes(&self) -> Option<Duration> {
        let Plan { load, .. } = self.plan();
        Some(Duration::from_nanos(load.duration_ns? + load.warmup_ns) + pause(self.plan()))
    }

    /// How many seconds it takes from a pair on of which so many runs are left.
    fn left_s(&self, runs: u32) -> Option<u64> {
        let Standing { pair, pairs, .. } = self.standing;
        let pairs = u32::try_from(pairs.saturating_sub(pair)).ok()?;
        Some((self.run_takes()? * (2 * pairs + runs)).as_secs().max(1))
    }

    /// Says before anything is measured that there will be too few requests to pass by the shares of bad ones.
    fn warn_of_few_requests(&self, pairs: u64, settings: &Criteria) {
        let plan = self.plan();
        let scheduled = plan.schedule.as_ref().and_then(|schedule| schedule.slots());
        let Some(each) = plan.load.requests.or(scheduled) else { return };
        let requests = each.saturating_mul(pairs);
        let share = settings.gates.iter().filter(|gate| gate.is_share_of_requests());
        let strictest =
            share.min_by(|a, b| settings.tolerated(**a).total_cmp(&settings.tolerated(**b)));
        let Some(gate) = strictest.filter(|_| !plan.output.quiet) else { return };
        let tolerated = settings.tolerated(*gate);
        if shares::excluded_by_none_of(format::float(requests)) < tolerated {
            return;
        }
        eprintln!(
            "maxq: warning: {} a side cannot show that {} rose by less than {} points, even if all are good: {:.0} can; use a longer -d, or more --pairs",
            format::counted(requests, "request"),
            gate.name(false),
            (tolerated * 1e5).round() / 1e3,
            (3.0 / tolerated).ceil()
        );
    }

    /// One pair; a signal ends it early.
    fn pair(
        &mut self,
        (number, reversed): (u64, bool),
        found: &mut [Vec<Run>; 2],
    ) -> Result<Option<Signal>, Refusal> {
        let order = if reversed { [1, 0] } else { [0, 1] };
        for (side, runs_left) in order.into_iter().zip([2, 1]) {
            self.standing.side = self.targets[side].name;
            self.standing.left_s = self.left_s(runs_left);
            let signal = self.one(side, number, &mut found[side])?;
            if signal.is_some() {
                return Ok(signal);
            }
        }
        Ok(None)
    }

    /// One run, whole or not; how it ended is in its document.
    fn one(
        &mut self,
        side: usize,
        number: u64,
        found: &mut Vec<Run>,
    ) -> Result<Option<Signal>, Refusal> {
        let target = &mut self.targets[side];
        let plan = target.bench.plan();
        let pause = pause(plan);
        let plan = plan.with_seed(plan.seed.wrapping_add(number))?;
        if let Some(signal) = target.bench.pause(pause) {
            return Ok(Some(signal));
        }
        // The pause is over by now.
        let standing = self.standing.after(pause.as_secs_f64());
        let mut live = LiveLine::within(&plan, move |elapsed_s| {
            page::compare_progress(&standing.after(elapsed_s))
        });
        let summary = target.bench.run(&plan, |progress| live.show(progress))?;
        if let Some(refusal) = no_connection(&plan, &summary) {
            return Err(refusal);
        }
        if summary.counts().ok == 0 && !matches!(summary.end, End::Interrupted(_)) {
            return Err(Refusal::target(format!(
                "{}: not one of {} requests of the {} run of pair {number} got a good response; see what it answers with maxq -n 1, and --expect",
                plan.target,
                summary.counts().sent,
                target.name
            )));
        }
        let source = format!("{} run of pair {number}", target.name);
        let run = Run::of(report::document(&plan, &summary), source);
        found
            .push(run.map_err(|why| Refusal::output(format!("a run cannot be read back: {why}")))?);
        Ok(match summary.end {
            End::Interrupted(signal) => Some(signal),
            _ => None,
        })
    }

    fn tell_pair(&self, (number, pairs): (u64, u64), pair: &[Vec<Run>; 2], void: Option<&str>) {
        let shown = |side: &Vec<Run>| {
            let p99_us = side.first().and_then(|run| run.latency_us.get("p99"));
            p99_us.map_or_else(|| "-".to_owned(), |us| format::duration(us * 1e3))
        };
        let moved = format!("p99 {} -> {}", shown(&pair[0]), shown(&pair[1]));
        let doubt = void.map_or_else(String::new, |why| format!("; not valid: {why}"));
        self.say(&format!("pair {number} of {pairs}: {moved}{doubt}"));
    }

    fn say(&self, text: &str) {
        if self.plan().output.shows_progress() {
            eprintln!("maxq: {text}");
        }
    }
}

/// Why a run does not count.
fn doubt(run: &Run) -> Option<String> {
    let partial = run.partial.then(|| "it did not carry out its plan".to_owned());
    run.void.clone().or(partial)
}

/// By how many percent p50 and p99 of the new side are longer so far: medians over the pairs, valid or not.
fn shifts_so_far([base, new]: &[Vec<Run>; 2]) -> Option<(f64, f64)> {
    let shift = |name: &str| {
        let ratio = |(base, new): (&Run, &Run)| {
            Some((new.latency_us.get(name)? / base.latency_us.get(name)? - 1.0) * 100.0)
        };
        median(&base.iter().zip(new).filter_map(ratio).collect::<Vec<f64>>())
    };
    shift("p50").zip(shift("p99"))
}

/// Of pairs 0 and 1, 2 and 3 and so on, one begins with the new side; which one is drawn from the seed.
fn begins_with_new(seed: u64, pair: u64) -> bool {
    Random::new(seed.wrapping_add(pair / 2)).number() >> 63 == pair % 2
}

/// Nothing was measured that could be compared.
fn stopped(signal: Signal) -> Refusal {
    Refusal::stopped(signal, "the first pair was measured")
}

#[cfg(test)]
mod tests {
    use super::begins_with_new;

    #[test]
    fn of_each_two_pairs_one_begins_with_either_side_in_an_order_that_is_drawn() {
        let order = |seed: u64| (0..40).map(|pair| begins_with_new(seed, pair)).collect::<Vec<_>>();
        assert!(order(7).chunks(2).all(|two| two[0] != two[1]));
        let firsts = order(7).iter().step_by(2).filter(|new| **new).count();
        assert!((4..=16).contains(&firsts), "{firsts} of 20");
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }
}
