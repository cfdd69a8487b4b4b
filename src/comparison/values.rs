//! One number a run and metric, and the shift between two sides of them.

use super::{Comparison, Kept, Metric};
use crate::analysis::comparison::shares::{self, Tally};
use crate::analysis::comparison::single::{self, Measured};
use crate::analysis::comparison::{Design, Shift, median, paired, two_sample};
use crate::results::Run;

/// What was found of a metric.
pub(super) struct Found {
    /// What stands for the base runs.
    pub(super) base: Option<f64>,
    /// What stands for the new ones.
    pub(super) new: Option<f64>,
    /// From the one to the other.
    pub(super) shift: Option<Shift>,
    /// Pairs, or runs on the smaller side, that have a value.
    pub(super) runs: usize,
}

/// The number that stands for a run; `None` where it has none, and never 0, which has no ratio to anything. How fast a
/// server was that gave no good response says nothing.
fn value(metric: Metric, run: &Run, open: bool) -> Option<f64> {
    if run.ok == 0 {
        return None;
    }
    let value = match metric {
        Metric::Rate if open => run.achieved_rps / run.offered_rps,
        Metric::Rate => run.achieved_rps,
        Metric::Cpu => run.cpu_us?,
        Metric::Errors | Metric::Timeouts | Metric::Unsent => return None,
        latency => *run.latency_us.get(latency.latency_key()?)?,
    };
    (value.is_finite() && value > 0.0).then_some(value)
}

/// What stands for the base runs, what for the new ones, and the shift between them.
pub(super) fn shift(metric: Metric, kept: &Kept<'_>, design: Design, open: bool) -> Found {
    if metric.is_share_of_requests() {
        let [base, new] = [&kept.base, &kept.new].map(|runs| tallies(metric, runs));
        let counted = |runs: &[Tally]| runs.iter().filter(|run| run.requests > 0).count();
        return Found {
            base: share(&base),
            new: share(&new),
            shift: shares::difference(&base, &new),
            runs: counted(&base).min(counted(&new)),
        };
    }
    let of = |run: &&Run| value(metric, run, open);
    let pairs = kept.base.iter().zip(&kept.new).filter_map(|(base, new)| of(base).zip(of(new)));
    let pairs: Vec<(f64, f64)> =
        if design == Design::Paired { pairs.collect() } else { Vec::new() };
    let (base, new): (Vec<f64>, Vec<f64>) = match design {
        Design::Paired => pairs.iter().copied().unzip(),
        _ => (kept.base.iter().filter_map(of).collect(), kept.new.iter().filter_map(of).collect()),
    };
    let logarithms = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
    let shift = match design {
        Design::Paired => {
            paired::shift(&pairs.iter().map(|(base, new)| (new / base).ln()).collect::<Vec<_>>())
        }
        Design::TwoSample => two_sample::shift(&logarithms(&base), &logarithms(&new)),
        Design::Single => {
            let measured = |runs: &[&Run]| runs.first().and_then(|run| alone(metric, run, open));
            let both = measured(&kept.base).zip(measured(&kept.new));
            both.map(|(base, new)| single::shift(base, new))
        }
    };
    Found { base: median(&base), new: median(&new), shift, runs: base.len().min(new.len()) }
}

/// What a single run says of itself.
fn alone(metric: Metric, run: &Run, open: bool) -> Option<Measured> {
    let value = value(metric, run, open)?;
    Some(match metric {
        Metric::Rate => {
            let part = |&(scheduled, completed): &(f64, f64)| {
                if open { completed / scheduled.max(1.0) } else { completed }
            };
            let parts: Vec<f64> = run.seconds.iter().map(part).collect();
            Measured::with_parts(value, &parts)
        }
        Metric::Cpu | Metric::Errors | Metric::Timeouts | Metric::Unsent => {
            Measured { value, error: None }
        }
        latency => {
            let key = latency.latency_key().unwrap_or_default();
            Measured::with_interval(value, run.interval_us.get(key).copied())
        }
    })
}

fn tallies(metric: Metric, runs: &[&Run]) -> Vec<Tally> {
    let errors = |run: &Run| match metric {
        Metric::Timeouts => run.timeouts,
        Metric::Unsent => run.unsent,
        _ => run.scheduled - run.ok,
    };
    runs.iter().map(|run| Tally { errors: errors(run), requests: run.scheduled }).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a share is shown with few digits")]
fn share(runs: &[Tally]) -> Option<f64> {
    let requests: u64 = runs.iter().map(|run| run.requests).sum();
    let errors: u64 = runs.iter().map(|run| run.errors).sum();
    (requests > 0).then(|| errors as f64 / requests as f64)
}

/// What a reader has to know about how the numbers came to be.
pub(super) fn notes(comparison: &Comparison, kept: &Kept<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if comparison.design == Design::Single {
        notes.push(
            "single-run: intervals are those of each run by itself, without the noise between runs, which is usually larger; measure several runs a side (--repeat 5)"
                .to_owned(),
        );
    }
    if comparison.open {
        notes.push(
            "open loop: the schedule makes the rate, so what is compared is the achieved share of it".to_owned(),
        );
    }
    let gated = comparison
        .rows
        .iter()
        .filter(|row| row.gated && row.shift.is_some_and(|shift| !shift.hopeless))
        .count();
    if gated > 1 {
        notes.push(format!("p of the gated metrics is corrected for {gated} of them (Holm)"));
    }
    let bounds: Vec<&str> = comparison
        .rows
        .iter()
        .filter(|row| {
            let key = row.metric.latency_key();
            let is_bound =
                |run: &&Run| run.unsupported.iter().any(|name| Some(name.as_str()) == key);
            row.gated && kept.base.iter().chain(&kept.new).any(is_bound)
        })
        .map(|row| row.name)
        .collect();
    if !bounds.is_empty() {
        notes.push(format!(
            "{} {} on few responses in at least one run, where it is a lower bound; longer runs know it better",
            bounds.join(" and "),
            if bounds.len() == 1 { "rests" } else { "rest" }
        ));
    }
    notes
}
