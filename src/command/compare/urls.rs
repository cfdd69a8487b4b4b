//! Two URLs, measured in turns: base, new, new, base, base, new and so on, so that what drifts does so for both.
//!
//! One pair goes first and is thrown away: caches are filled and code is compiled by then. The runs of a pair have the same
//! seed. For a pair in which a run is not valid another one is measured, as long as there are attempts left; all of them are kept.

use crate::cli::{CompareArgs, RunArgs};
use crate::command::live::LiveLine;
use crate::command::repeat::{one_run_each, pause, wait, with_seed};
use crate::command::{tell, unreachable_target};
use crate::comparison::{self, Comparison, Settings, Side};
use crate::exit::Refusal;
use crate::plan::Plan;
use crate::preflight;
use crate::report::{self, format};
use crate::results::{self, Run};
use crate::run::{self, Interrupts, Session};
use crate::summary::{End, Seen, Summary};
use crate::time::NANOS_PER_SECOND;

/// Pairs unless the user says otherwise: enough to find 10 % in the noise of a usual machine.
const USUAL_PAIRS: u64 = 10;
/// Fewer pairs cannot decide anything, whatever they show.
const FEWEST_PAIRS: u64 = 6;
/// More pairs would take days.
const MOST_PAIRS: u64 = 1000;
/// Length of a run unless the user says otherwise.
const USUAL_DURATION_NS: u64 = 3 * NANOS_PER_SECOND;

/// One of the two that are measured.
struct Target {
    plan: Plan,
    session: Session,
    seen: Option<Seen>,
    name: &'static str,
}

/// All that does not change from run to run.
struct Course<'a> {
    args: &'a RunArgs,
    interrupts: Interrupts,
    targets: [Target; 2],
}

/// What a run came to.
enum Outcome {
    /// A run, whole or not; how it ended is in its document.
    Ran(Box<Run>, End),
    /// A signal came before it began.
    Stopped(i32),
}

/// Measures both URLs, and compares what came of it. Beside it stands why nothing is decided although all was measured.
///
/// # Errors
/// Why there is nothing to compare.
pub(super) fn measure(
    args: &CompareArgs,
    settings: &Settings,
) -> Result<(Comparison, Option<Refusal>), Refusal> {
    let pairs = checked_pairs(args)?;
    let mut run_args = args.run.clone();
    if run_args.duration.is_none() && run_args.requests.is_none() && run_args.stages.is_none() {
        run_args.duration = Some(USUAL_DURATION_NS);
    }
    let mut course = Course::prepare(&args.flags.urls, &run_args)?;
    let mut found: [Vec<Run>; 2] = [Vec::new(), Vec::new()];
    // What counts all the same need not be measured again.
    let extra = if settings.force { 0 } else { pairs.div_ceil(3) };
    let signal = course.carry_out((pairs, extra), &mut found)?;
    let side = |index: usize| Side {
        label: results::escape(&args.flags.urls[index]),
        runs: found[index].clone(),
    };
    let (base, new) = (side(0), side(1));
    let compared = comparison::compare(base.clone(), new.clone(), true, settings);
    let refusal = match (compared, signal) {
        (Ok(comparison), None) => return Ok((comparison, None)),
        (Err(refusal), None) => Some(refusal),
        (_, Some(_)) => None,
    };
    // What took so long is shown in any case, and nothing is decided by it.
    let all = Settings { whatever_remains: true, ..settings.clone() };
    let mut comparison = comparison::compare(base, new, true, &all)?;
    let whole = usize::try_from(pairs).unwrap_or(usize::MAX);
    comparison.undecided(whole, signal);
    let why = refusal.as_ref().map(|refusal| format!("not decided: {}", refusal.message));
    comparison.notes.extend(why);
    Ok((comparison, refusal))
}

/// How many pairs, if that makes sense.
fn checked_pairs(args: &CompareArgs) -> Result<u64, Refusal> {
    one_run_each(&args.run, "compare")?;
    for (flag, given) in [
        ("--repeat", args.run.repeat.is_some()),
        ("--dry-run", args.run.preflight.dry_run),
        ("--slo", args.run.slo.is_some()),
        ("--strict", args.run.strict),
    ] {
        if given {
            let remedy = match flag {
                "--repeat" => "use --pairs",
                "--dry-run" => "use maxq --dry-run",
                _ => "what is compared is judged by --gate and --effect",
            };
            return Err(Refusal::usage(format!("{flag} means nothing to compare; {remedy}")));
        }
    }
    let pairs = args.flags.pairs.unwrap_or(USUAL_PAIRS);
    if !(FEWEST_PAIRS..=MOST_PAIRS).contains(&pairs) {
        return Err(Refusal::usage(format!(
            "--pairs {pairs}: from {FEWEST_PAIRS} to {MOST_PAIRS}; fewer pairs cannot be told from chance, whatever they show"
        )));
    }
    Ok(pairs)
}

impl<'a> Course<'a> {
    fn prepare(urls: &[String], args: &'a RunArgs) -> Result<Self, Refusal> {
        let first = Plan::build(&urls[0], args)?;
        // Both have the seeds of the first.
        let seeded = RunArgs { seed: Some(first.seed), ..args.clone() };
        let second = Plan::build(&urls[1], &seeded)?;
        let interrupts = Interrupts::catch()?;
        let ready = |mut plan: Plan, name| {
            let engine = run::prepare(&plan)?;
            let readiness = preflight::await_target(&mut plan, args, &interrupts)?;
            tell(&plan, args, &readiness);
            let session = Session::open(&plan, engine);
            Ok(Target { plan, session, seen: readiness.seen, name })
        };
        let targets = [ready(first, "base")?, ready(second, "new")?];
        Ok(Self { args, interrupts, targets })
    }

    /// Carries out so many pairs, with so many more attempts where one is void, and says which signal ended them early.
    fn carry_out(
        &mut self,
        (pairs, extra): (u64, u64),
        found: &mut [Vec<Run>; 2],
    ) -> Result<Option<i32>, Refusal> {
        // Not counted: what comes first is slower wherever something has to warm up.
        if let Some(signal) = self.pair((0, false), &mut [Vec::new(), Vec::new()])? {
            return Err(stopped(signal));
        }
        self.say(&format!("{pairs} pairs, after one that is not counted"));
        let (mut good, mut attempts) = (0, 0);
        while good < pairs && attempts < pairs + extra {
            let mut pair = [Vec::new(), Vec::new()];
            // ABBA: whoever went second goes first next time.
            let reversed = attempts % 2 == 1;
            attempts += 1;
            if let Some(signal) = self.pair((attempts, reversed), &mut pair)? {
                // A pair that was cut short says nothing.
                let none = found.iter().any(Vec::is_empty);
                return if none { Err(stopped(signal)) } else { Ok(Some(signal)) };
            }
            let void = pair.iter().flatten().find_map(|run| run.void.clone());
            self.tell_pair((good + 1, pairs), &pair, void.as_deref());
            // Without more attempts each counts.
            good += u64::from(void.is_none() || extra == 0);
            for (all, one) in found.iter_mut().zip(pair) {
                all.extend(one);
            }
        }
        Ok(None)
    }

    /// One pair; a signal ends it early.
    fn pair(
        &mut self,
        (number, reversed): (u64, bool),
        found: &mut [Vec<Run>; 2],
    ) -> Result<Option<i32>, Refusal> {
        let order = if reversed { [1, 0] } else { [0, 1] };
        for side in order {
            match self.one(side, number)? {
                Outcome::Stopped(signal) => return Ok(Some(signal)),
                Outcome::Ran(run, end) => {
                    found[side].push(*run);
                    if let End::Interrupted(signal) = end {
                        return Ok(Some(signal));
                    }
                }
            }
        }
        Ok(None)
    }

    fn one(&mut self, side: usize, number: u64) -> Result<Outcome, Refusal> {
        if let Some(signal) = wait(pause(self.args), &self.interrupts) {
            return Ok(Outcome::Stopped(signal));
        }
        let target = &mut self.targets[side];
        let plan = with_seed(&target.plan, self.args, target.plan.seed.wrapping_add(number))?;
        let mut live = LiveLine::new(&plan);
        let summary = target.session.run(&plan, &self.interrupts, |progress| live.show(progress));
        live.clear();
        let summary = Summary { preflight: target.seen.clone(), ..summary? };
        if summary.record.connections.opened == 0 && !matches!(summary.end, End::Interrupted(_)) {
            return Err(unreachable_target(&plan, &summary));
        }
        let source = format!("{} run of pair {number}", target.name);
        let run = Run::of(report::document(&plan, &summary), source);
        let run =
            run.map_err(|why| Refusal::output(format!("a run cannot be read back: {why}")))?;
        Ok(Outcome::Ran(Box::new(run), summary.end))
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
        if !self.args.quiet && !self.args.no_progress {
            eprintln!("maxq: {text}");
        }
    }
}

/// Nothing was measured that could be compared.
fn stopped(signal: i32) -> Refusal {
    let code = crate::exit::SIGNAL + u8::try_from(signal).unwrap_or(0);
    Refusal { message: "stopped before the first pair was measured".to_owned(), code }
}
