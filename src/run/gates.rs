//! Which gates hold: clauses against the whole measured window, its phases, and its pieces of time.
//!
//! Pure: everything has been measured when this begins. Pieces of time were judged as they passed, by
//! [`crate::slo::windows`].

use crate::record::PhaseRecord;
use crate::slo::windows::Windows;
use crate::slo::{Clause, Metric, Scope, Unit};
use crate::summary::{Distribution, Doubt, Gate, Latencies, PhaseSummary, Rates, share};
use crate::time::seconds;

/// A stretch of the run of which everything is known.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) record: &'a PhaseRecord,
    pub(super) latencies: &'a Latencies,
    pub(super) length_ns: u64,
    /// For which share of it the target was not there, where requests do not tell.
    pub(super) gone_share: f64,
}

impl Part<'_> {
    /// What `clause` finds, and whether the target was away for longer than the clause allows: whoever had come then would
    /// have got no answer.
    fn find(&self, clause: &Clause) -> Option<(f64, Option<Doubt>)> {
        let (value, doubt) = value_of(clause, self)?;
        let allowed = match clause.metric {
            Metric::Quantile(quantile)
            | Metric::Service(quantile)
            | Metric::FirstByte(quantile) => 1.0 - quantile,
            Metric::Max | Metric::Mean => 0.0,
            Metric::Errors => clause.limit,
            Metric::Achieved | Metric::Goodput if clause.unit == Unit::Share => 1.0 - clause.limit,
            // A lateness of the client, and what is counted by itself, are what they are.
            _ => 1.0,
        };
        let gone = (self.gone_share > allowed.max(0.0)).then_some(Doubt::Gone);
        Some((value, doubt.or(gone)))
    }
}

/// What gates are held against.
pub(super) struct Findings<'a> {
    pub(super) whole: Part<'a>,
    pub(super) phases: &'a [PhaseSummary],
    pub(super) windows: &'a [Windows],
    /// The measured window, in nanoseconds since the run's clock was 0.
    pub(super) between_ns: (u64, u64),
}

impl Findings<'_> {
    /// What one gate finds.
    pub(super) fn judge(&self, clause: &Clause) -> Gate {
        match &clause.scope {
            Scope::Window => gate(clause, self.whole.find(clause), None),
            Scope::Phase(name) => self.in_phases(clause, name),
            Scope::Span { .. } | Scope::Each(_) => self.in_windows(clause),
        }
    }

    /// The phase of that name, or the worst of them.
    fn in_phases(&self, clause: &Clause, name: &str) -> Gate {
        let named: Vec<&PhaseSummary> =
            self.phases.iter().filter(|phase| phase.name == name).collect();
        let judged = named.iter().map(|phase| {
            let PhaseSummary { record, latencies, length_ns, gone_share, .. } = phase;
            let part = Part { record, latencies, length_ns: *length_ns, gone_share: *gone_share };
            gate(clause, part.find(clause), (named.len() > 1).then_some(phase.start_s))
        });
        judged
            .reduce(|worst, next| if is_worse(clause, &next, &worst) { next } else { worst })
            .unwrap_or_else(|| gate(clause, None, None))
    }

    fn in_windows(&self, clause: &Clause) -> Gate {
        let (from_ns, to_ns) = self.between_ns;
        let windows = self.windows.iter().find(|windows| windows.clause() == clause);
        let Some((start_ns, found)) = windows.and_then(|windows| windows.worst(from_ns, to_ns))
        else {
            return gate(clause, None, None);
        };
        let is_one_of_many = matches!(clause.scope, Scope::Each(_));
        Gate {
            clause: clause.clone(),
            value: Some(found.value),
            doubt: (!found.known).then_some(Doubt::Unanswered),
            holds: found.holds,
            at_s: is_one_of_many.then(|| seconds(start_ns)),
        }
    }
}

fn gate(clause: &Clause, found: Option<(f64, Option<Doubt>)>, at_s: Option<f64>) -> Gate {
    let holds = found.is_some_and(|(value, doubt)| match doubt {
        None => clause.holds(value),
        Some(Doubt::Unanswered) => clause.is_proven_by(value, false),
        Some(Doubt::Gone) => !clause.metric.is_throughput() && clause.is_proven_by(value, false),
        Some(Doubt::NoInterval) => false,
    });
    let (value, doubt) = found.map_or((None, None), |(value, doubt)| (Some(value), doubt));
    Gate { clause: clause.clone(), value, doubt, holds, at_s }
}

/// Whether one gate speaks more against the clause than another: one that fails before one that holds, and one without a
/// value before one with.
fn is_worse(clause: &Clause, one: &Gate, other: &Gate) -> bool {
    if one.holds != other.holds {
        return other.holds;
    }
    match (one.value, other.value) {
        (Some(one), Some(other)) if clause.is_upper_bound() => one > other,
        (Some(one), Some(other)) => one < other,
        (None, Some(_)) => true,
        (_, None) => false,
    }
}

/// What `clause` looks at in `part`, and why it may not be trusted; `None` when there is nothing to look at.
fn value_of(clause: &Clause, part: &Part<'_>) -> Option<(f64, Option<Doubt>)> {
    let Part { record, latencies, length_ns, .. } = part;
    let counts = &record.counts;
    let certain = |value: f64| (value, None);
    // What was not seen to its end may have taken any time: a bound below the limit proves nothing.
    let bound = (latencies.censored > 0).then_some(Doubt::Unanswered);
    let of_scheduled = |part: u64| {
        let scheduled = (counts.scheduled > 0).then_some(counts.scheduled);
        scheduled.map(|scheduled| certain(share(part, scheduled)))
    };
    let throughput = |answers: u64, rate: fn(&Rates) -> f64| match clause.unit {
        Unit::PerSecond if *length_ns == 0 => None,
        Unit::PerSecond => Some(certain(rate(&Rates::of(record, *length_ns)))),
        Unit::Share | Unit::Nanoseconds => of_scheduled(answers),
    };
    match clause.metric {
        Metric::Quantile(quantile) => quantile_of(clause, &latencies.response, quantile),
        Metric::Service(quantile) => quantile_of(clause, &latencies.service, quantile),
        Metric::FirstByte(quantile) => quantile_of(clause, &latencies.first_byte, quantile),
        Metric::ClientLag(quantile) => {
            quantile_of(clause, &latencies.lags.as_ref()?.client, quantile)
        }
        Metric::Max => latencies.response.all.max_ns().map(|max_ns| (nanoseconds(max_ns), bound)),
        Metric::Mean => latencies.response.all.mean_ns().map(|mean_ns| (mean_ns, bound)),
        Metric::Errors => of_scheduled(counts.scheduled - counts.ok),
        Metric::Timeouts => of_scheduled(counts.timeout),
        Metric::Unsent => of_scheduled(counts.unsent),
        Metric::Achieved => throughput(record.completed_in_window, |rates| rates.achieved_rps),
        Metric::Goodput => throughput(record.ok_in_window, |rates| rates.goodput_rps),
    }
}

/// A quantile, or the end of its confidence interval that is nearer to the limit.
fn quantile_of(
    clause: &Clause,
    distribution: &Distribution,
    quantile: f64,
) -> Option<(f64, Option<Doubt>)> {
    let found = distribution.quantile(quantile)?;
    let doubt = found.censored.then_some(Doubt::Unanswered);
    if !clause.confident {
        return Some((nanoseconds(found.value_ns), doubt));
    }
    let Some((low_ns, high_ns)) = found.interval_ns else {
        return Some((nanoseconds(found.value_ns), doubt.or(Some(Doubt::NoInterval))));
    };
    let end_ns = if clause.is_upper_bound() { high_ns } else { low_ns };
    Some((nanoseconds(end_ns), doubt))
}

#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^53 nanoseconds")]
fn nanoseconds(length_ns: u64) -> f64 {
    length_ns as f64
}

#[cfg(test)]
mod tests;
