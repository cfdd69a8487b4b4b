//! How much of a goal's limit a run used up, as a share that can be followed from load to load.

use crate::commands::ceiling::search::Measure;
use crate::result::summary::{RunPart, Summary};
use crate::slo::{Clause, Scope, Timing};

/// Out of how many the share of a goal is held against its limit; `None` for a goal that has no share, or no room.
pub(super) fn limit(clause: &Clause) -> Option<f64> {
    if clause.scope != Scope::Window {
        return None;
    }
    let limit = clause.metric.missed_limit(clause.limit, clause.unit)?;
    (limit > 0.0 && clause.is_upper_bound() != clause.metric.is_better_when_larger())
        .then_some(limit)
}

/// The measure of one goal; `kept` is what the run's own gate says, where it has one.
pub(super) fn measure(clause: &Clause, summary: &Summary, kept: Option<bool>) -> Measure {
    let missed = clause.metric.missed(clause.limit, &RunPart::window(summary));
    let (amount, of) = missed.unwrap_or((0.0, 0.0));
    let is_throughput = clause.metric.is_throughput();
    let amount = if is_throughput { (amount - by_chance(summary)).max(0.0) } else { amount };
    let measure = Measure { amount, of, kept: true };
    let kept = kept.unwrap_or_else(|| {
        // What is implied is judged by its share.
        let share = measure.share();
        if is_throughput { share <= 1.0 - clause.limit } else { clause.holds(share) }
    });
    Measure { kept, ..measure }
}

/// Whether a goal that was missed would have been missed without the lateness of the client as well: even if no request
/// counted that the client held up by a tenth of the limit or more.
pub(super) fn misses_alone(clause: &Clause, summary: &Summary) -> bool {
    const TENTH: f64 = 0.1;
    let (metric, window) = (clause.metric, RunPart::window(summary));
    let share = metric.quantile().map(|quantile| 1.0 - quantile);
    let (true, Some(share)) = (metric.is_response_time() && clause.scope == Scope::Window, share)
    else {
        return metric.is_free_of_lag();
    };
    let slow = metric.missed(clause.limit, &window);
    let late = metric.of(Timing::ClientLag).missed(clause.limit * TENTH, &window);
    let (Some((slow, scheduled)), Some((late, _))) = (slow, late) else { return false };
    scheduled > 0.0 && (slow - late) / scheduled > share
}

/// Requests that were due and not answered within the window because they were in flight, on average and by chance, at its
/// end.
fn by_chance(summary: &Summary) -> f64 {
    let in_flight = summary.in_flight.map_or(0.0, |in_flight| in_flight.mean);
    in_flight + 1.0 + 3.0 * in_flight.sqrt()
}
