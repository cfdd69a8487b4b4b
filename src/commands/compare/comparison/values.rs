//! One number a run and metric, and the shift between two sides of them.

use super::{Comparison, Kept};
use crate::result::document::Run;
use crate::slo::{Figure, Metric, Part, Requests, Statistic, Timing};
use crate::stats::comparison::shares::{self, Tally};
use crate::stats::comparison::single::{self, Measured};
use crate::stats::comparison::{Design, Shift, median, paired, two_sample};

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

/// A run that was read back; lengths of time are in microseconds, answers by the second.
impl Part for Run {
    fn requests(&self) -> Requests {
        Requests {
            ended: self.scheduled,
            failed: self.scheduled - self.ok,
            timeouts: Some(self.timeouts),
            unsent: Some(self.unsent),
            offered: self.offered_rps,
            completed: self.achieved_rps,
            ok: None,
        }
    }

    fn per_second(&self, count: f64) -> Option<f64> {
        Some(count)
    }

    fn time(&self, timing: Timing, statistic: Statistic) -> Option<Figure> {
        let key = Metric::Time(timing, statistic).document_key()?;
        let interval = self.interval_us.get(key.as_str()).copied();
        let value = *self.latency_us.get(key.as_str())?;
        let known = !self.unsupported.contains(&key);
        Some(Figure { interval, ..Figure::bound(value, known) })
    }

    fn cpu(&self) -> Option<f64> {
        self.cpu_us
    }
}

/// The number that stands for a run; `None` where it has none, and never 0, which has no ratio to anything. How fast a
/// server was that gave no good response says nothing.
fn value(metric: Metric, run: &Run, open: bool) -> Option<Figure> {
    let figure = metric.value(metric.unit(open), run).filter(|_| run.ok > 0)?;
    (figure.least.is_finite() && figure.least > 0.0).then_some(figure)
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
    let of = |run: &&Run| value(metric, run, open).map(|figure| figure.least);
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
    let figure = value(metric, run, open)?;
    if !metric.is_throughput() {
        return Some(Measured::with_interval(figure.least, figure.interval));
    }
    let part = |&(scheduled, completed): &(f64, f64)| {
        if open { completed / scheduled.max(1.0) } else { completed }
    };
    let parts: Vec<f64> = run.seconds.iter().map(part).collect();
    Some(Measured::with_parts(figure.least, &parts))
}

fn tallies(metric: Metric, runs: &[&Run]) -> Vec<Tally> {
    let tally = |run: &&Run| metric.tally(&run.requests());
    let tallies = runs.iter().filter_map(tally);
    tallies.map(|(errors, requests)| Tally { errors, requests }).collect()
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
            let key = row.metric.document_key();
            let is_bound =
                |run: &&Run| run.unsupported.iter().any(|name| Some(name) == key.as_ref());
            row.gated && kept.base.iter().chain(&kept.new).any(is_bound)
        })
        .map(|row| row.name.as_str())
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
