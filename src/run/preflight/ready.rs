//! What comes of the preflight: a run, a warning, another try, or none at all.

use std::thread;
use std::time::Duration;

use super::{NoAnswer, look};
use crate::core::failure::{Kind, Phase, errno_name};
use crate::exit::{Refusal, Signal};
use crate::plan::Plan;
use crate::result::summary::Seen;
use crate::run::Interrupts;
use crate::time::{Nanos, monotonic, seconds};

/// Between two tries.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Asks the target of `plan` once, or as long as `--wait-ready` says. Returns the plan with the way on which it was found, and
/// what it answered, or why it did not where the run may still tell more; `None` where it is not to be asked.
///
/// # Errors
/// Why a run would be of no use: nobody can be talked to, or nobody got ready, or the user wants to stop.
pub(in crate::run) fn await_target(
    plan: Plan,
    interrupts: &Interrupts,
) -> Result<(Plan, Option<Result<Seen, String>>), Refusal> {
    if plan.preflight.skipped {
        return Ok((plan, None));
    }
    let Some(ready_by) = plan.preflight.ready_by else {
        return match look(&plan, interrupts, Nanos::NEVER) {
            Ok(seen) => Ok((plan, Some(Ok(seen)))),
            Err(NoAnswer { signal: Some(signal), .. }) => Err(stopped(signal)),
            Err(none) if none.is_final() => Err(refusal(&plan, &none)),
            Err(none) => Ok((plan, Some(Err(sentence(&none))))),
        };
    };
    let (mut plan, mut before) = (plan, None);
    loop {
        let why = match look(&plan, interrupts, ready_by) {
            Ok(seen) if seen.good => {
                return Ok((plan, Some(Ok(seen))));
            }
            Ok(seen) => format!("it answers {} with {} bytes", seen.status, seen.body_bytes),
            Err(NoAnswer { signal: Some(signal), .. }) => return Err(stopped(signal)),
            // A try for which hardly any time was left says less than the one before it.
            Err(none) if monotonic() >= ready_by => before.unwrap_or_else(|| sentence(&none)),
            // Permissions may yet be given: a server makes its socket first.
            Err(none) if none.failure.is_permanent() && none.failure.kind != Kind::Denied => {
                return Err(refusal(&plan, &none));
            }
            Err(none) => sentence(&none),
        };
        if let Some(signal) = interrupts.take() {
            return Err(stopped(signal));
        }
        if monotonic() >= ready_by {
            return Err(Refusal::target(format!(
                "{}: not ready within {:.1} s (--wait-ready): {why}",
                plan.target,
                seconds(plan.preflight.wait_ready_ns.unwrap_or(0))
            )));
        }
        before = Some(why);
        thread::sleep(AGAIN_AFTER);
        // What is not there now may be there at the next try.
        plan = plan.with_fresh_route().unwrap_or(plan);
    }
}

/// Nothing was measured when the user stopped it.
fn stopped(signal: Signal) -> Refusal {
    Refusal::stopped(signal, "the run began")
}

fn refusal(plan: &Plan, none: &NoAnswer) -> Refusal {
    let message = format!("{}: {}: {}", plan.target, plan.route, sentence(none));
    match none.failure.phase {
        Phase::Environment => Refusal::environment(message),
        _ => Refusal::target(message),
    }
}

/// What went wrong, and what may help.
fn sentence(none: &NoAnswer) -> String {
    let kind = none.failure.kind;
    let description = kind.description().trim_end_matches('.');
    let sample = match none.sample.as_str() {
        "" => String::new(),
        sample => format!(": '{sample}'"),
    };
    let errno = errno_name(none.failure.errno).map(|errno| format!(", {errno}"));
    let errno = errno.unwrap_or_default();
    format!("{description} ({}{errno}){sample}; {}", kind.name(), none.failure.hint())
}
