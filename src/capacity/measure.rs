//! How much of a goal's limit a run used up, as a share that can be followed from load to load.

use crate::analysis::ceiling::Measure;
use crate::slo::{Clause, Metric, Scope, Unit};
use crate::summary::{Distribution, Summary};

/// Out of how many the share of a goal is held against its limit; `None` for a goal that has no share, or no room.
pub(super) fn limit(clause: &Clause) -> Option<f64> {
    if clause.scope != Scope::Window {
        return None;
    }
    let limit = match (clause.metric, clause.unit) {
        (
            Metric::Quantile(quantile)
            | Metric::ClientLag(quantile)
            | Metric::FirstByte(quantile)
            | Metric::Service(quantile),
            _,
        ) => 1.0 - quantile,
        (Metric::Mean, _) => clause.limit,
        (Metric::Errors | Metric::Timeouts | Metric::Unsent, _) => clause.limit,
        (Metric::Achieved | Metric::Goodput, Unit::Share) => 1.0 - clause.limit,
        (Metric::Max | Metric::Achieved | Metric::Goodput, _) => return None,
    };
    (limit > 0.0 && clause.is_upper_bound() != clause.metric.is_throughput()).then_some(limit)
}

/// The measure of one goal; `kept` is what the run's own gate says, where it has one.
#[expect(clippy::cast_precision_loss, reason = "shares are shown with few digits")]
pub(super) fn measure(clause: &Clause, summary: &Summary, kept: Option<bool>) -> Measure {
    let counts = summary.counts();
    let scheduled = counts.scheduled as f64;
    let latencies = &summary.latencies;
    let (amount, of) = match clause.metric {
        Metric::Quantile(_) | Metric::Max => (slower(&latencies.response, clause.limit), scheduled),
        Metric::ClientLag(_) => latencies.lags.as_ref().map_or((0.0, 0.0), |lags| {
            (slower(&lags.client, clause.limit), lags.client.all.count() as f64)
        }),
        Metric::FirstByte(_) => {
            let times = &latencies.first_byte;
            (slower(times, clause.limit), times.all.count() as f64)
        }
        Metric::Service(_) => {
            (slower(&latencies.service, clause.limit), latencies.service.all.count() as f64)
        }
        Metric::Mean => (latencies.response.all.mean_ns().unwrap_or(0.0), 1.0),
        Metric::Errors => (scheduled - counts.ok as f64, scheduled),
        Metric::Timeouts => (counts.timeout as f64, scheduled),
        Metric::Unsent => (counts.unsent as f64, scheduled),
        Metric::Achieved => (missing(summary, summary.measured.completed_in_window), scheduled),
        Metric::Goodput => (missing(summary, summary.measured.ok_in_window), scheduled),
    };
    let measure = Measure { amount, of, kept: true };
    let kept = kept.unwrap_or_else(|| match clause.metric {
        // What is implied is judged by its share.
        Metric::Achieved | Metric::Goodput => measure.share() <= 1.0 - clause.limit,
        _ => clause.holds(measure.share()),
    });
    Measure { kept, ..measure }
}

/// Whether a goal that was missed would have been missed without the lateness of the client as well: even if no request
/// counted that the client held up by a tenth of the limit or more.
#[expect(clippy::cast_precision_loss, reason = "shares are shown with few digits")]
pub(super) fn misses_alone(clause: &Clause, summary: &Summary) -> bool {
    const TENTH: f64 = 0.1;
    match clause.metric {
        // No lateness makes an answer bad, or keeps it from coming.
        Metric::Errors | Metric::Timeouts => true,
        Metric::Quantile(quantile) if clause.scope == Scope::Window => {
            let Some(lags) = &summary.latencies.lags else { return false };
            let slow = slower(&summary.latencies.response, clause.limit);
            let late = slower(&lags.client, clause.limit * TENTH);
            let scheduled = summary.counts().scheduled as f64;
            scheduled > 0.0 && (slow - late) / scheduled > 1.0 - quantile
        }
        _ => false,
    }
}

/// Values above `limit_ns`, and all that may be, because nobody saw their end.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a positive length of time far below 2^53 nanoseconds"
)]
fn slower(times: &Distribution, limit_ns: f64) -> f64 {
    times.all.count().saturating_sub(times.answered.count_up_to(limit_ns as u64)) as f64
}

/// Requests that were due and not answered within the window, beyond what is in flight on average, and by chance, at its
/// end.
#[expect(clippy::cast_precision_loss, reason = "shares are shown with few digits")]
fn missing(summary: &Summary, answered: u64) -> f64 {
    let in_flight = summary.in_flight.map_or(0.0, |in_flight| in_flight.mean);
    let by_chance = in_flight + 1.0 + 3.0 * in_flight.sqrt();
    (summary.counts().scheduled as f64 - answered as f64 - by_chance).max(0.0)
}
