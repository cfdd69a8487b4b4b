//! Two sides of runs, metric by metric, and what is to be said about them. The reports of `compare` are written from this
//! alone.
//!
//! Puts what documents say (`result::document`) to the statistics (`stats::comparison`). Must not know where runs came from, nor
//! how a report looks.

mod criteria;
mod judge;
mod kept;
mod plans;
mod values;

use crate::exit::{Refusal, Signal};
use crate::result::document::{self, Run};
use crate::slo::Metric;
use crate::stats::comparison::Shift;
use crate::stats::comparison::shape::{Pool, share_above};
pub use crate::stats::comparison::{Decision, Design};
use crate::stats::comparison::{paired as paired_ranks, two_sample};
pub use criteria::Criteria;
use judge::{conclude, rows};
pub use kept::LeftOut;
use kept::{Kept, enough, keep};
pub use plans::Kind;

/// The quantiles whose shift is shown, with their names.
const QUANTILES: [(&str, f64); 10] = [
    ("p1", 0.01),
    ("p5", 0.05),
    ("p10", 0.1),
    ("p25", 0.25),
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
];

/// The answer over all gated metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conclusion {
    /// None is worse by as much as matters.
    Pass,
    /// At least one is.
    Regression,
    /// At least one may be, and none is known to be.
    Inconclusive,
}

impl Conclusion {
    /// The stable name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Regression => "regression",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// The runs of one side.
#[derive(Clone, Debug)]
pub struct Side {
    /// What people know it by: files or a URL.
    pub label: String,
    /// All of them, also those that were left out.
    pub runs: Vec<Run>,
}

/// One metric.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is.
    pub metric: Metric,
    /// Its stable name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// The median over the base runs; of shares of requests the share over all of them.
    pub base: Option<f64>,
    /// The same of the new runs.
    pub new: Option<f64>,
    /// From base to new: the logarithm of the ratio, or the difference of two shares of requests. `None` where one side
    /// has no value.
    pub shift: Option<Shift>,
    /// Pairs, or runs on the smaller side, that have a value of it.
    pub runs: usize,
    /// The smallest relative shift for the worse that matters; of shares of requests the difference.
    pub effect: f64,
    /// The shift that a pass excludes at least, likewise.
    pub tolerated: f64,
    /// It passes although a shift that matters is not excluded: this one is, in the units of the shift, up for worse.
    pub excluded: Option<f64>,
    /// It decides.
    pub gated: bool,
    /// The p-value, corrected for several gated metrics where it is gated.
    pub p_value: Option<f64>,
    /// What is to be said of it; `None` when it is not gated.
    pub answer: Option<Decision>,
}

impl Row {
    /// A point of its shift in percent; of shares of requests in percentage points.
    #[must_use]
    pub fn percent(&self, point: f64) -> f64 {
        if self.metric.is_share_of_requests() { point * 100.0 } else { point.exp_m1() * 100.0 }
    }

    /// The shift for the worse that is excluded where one that matters is not, in percent, above 0.
    #[must_use]
    pub fn excluded_pct(&self) -> Option<f64> {
        let worse = if self.metric.is_better_when_larger() { -1.0 } else { 1.0 };
        self.excluded.map(|point| worse * self.percent(worse * point))
    }

    /// The best guess of the shift, in percent.
    #[must_use]
    pub fn shift_pct(&self) -> Option<f64> {
        self.shift.map(|shift| self.percent(shift.estimate))
    }

    /// Its 95 % interval, in percent.
    #[must_use]
    pub fn interval_pct(&self) -> Option<(f64, f64)> {
        let interval = self.shift.and_then(|shift| shift.interval);
        interval.map(|(low, high)| (self.percent(low), self.percent(high)))
    }

    /// The best guess of the shift in the units of the metric.
    #[must_use]
    pub fn absolute(&self) -> Option<f64> {
        self.in_units(self.shift?.estimate)
    }

    /// Its 95 % interval, in the units of the metric.
    #[must_use]
    pub fn absolute_interval(&self) -> Option<(f64, f64)> {
        let (low, high) = self.shift?.interval?;
        self.in_units(low).zip(self.in_units(high))
    }

    /// A point of its shift in the units of the metric.
    fn in_units(&self, point: f64) -> Option<f64> {
        let is_difference = self.metric.is_share_of_requests();
        if is_difference { Some(point) } else { Some(self.base? * point.exp_m1()) }
    }
}

/// A quantile over all requests of each side, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileShift {
    /// Its name.
    pub name: &'static str,
    /// Over the base runs.
    pub base_us: f64,
    /// Over the new runs.
    pub new_us: f64,
}

impl QuantileShift {
    /// From base to new, in percent.
    #[must_use]
    pub fn percent(&self) -> f64 {
        (self.new_us / self.base_us - 1.0) * 100.0
    }
}

/// Two sides, compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What it was measured against.
    pub base: Side,
    /// What was measured.
    pub new: Side,
    /// How runs belong together.
    pub design: Design,
    /// How they were judged: too few pairs are judged as two sets of runs.
    pub judged_as: Design,
    /// Requests came by a schedule in all of them.
    pub open: bool,
    /// Probabilities are worked out, not approximated.
    pub exact: bool,
    /// Base runs that count; of pairs their number.
    pub base_runs: usize,
    /// New runs that count.
    pub new_runs: usize,
    /// Those that do not.
    pub left_out: Vec<LeftOut>,
    /// Metric by metric.
    pub rows: Vec<Row>,
    /// Quantile by quantile; empty without histograms.
    pub quantiles: Vec<QuantileShift>,
    /// The chance that a new response takes longer than one of the base.
    pub share_above: Option<f64>,
    /// Shifts of latencies below this many microseconds do not matter.
    pub floor_us: f64,
    /// Over all gated metrics.
    pub verdict: Conclusion,
    /// So many more pairs, or runs a side, would probably decide; `None` where none are needed or none would do.
    pub more_runs: Option<usize>,
    /// What a reader has to know beside.
    pub notes: Vec<String>,
    /// The signal that ended it early.
    pub interrupted: Option<Signal>,
    /// Why nothing is decided whatever the numbers are.
    pub undecided_because: Option<String>,
}

impl Comparison {
    /// Takes all answers back, for what `because` says: it ended before the `pairs` that there were to be, by `signal` or
    /// otherwise, or too few of them are valid.
    pub fn undecided(&mut self, pairs: usize, signal: Option<Signal>, because: &str) {
        self.interrupted = signal;
        self.undecided_because = Some(because.to_owned());
        self.verdict = Conclusion::Inconclusive;
        let more = pairs.checked_sub(self.base_runs).filter(|more| *more > 0);
        self.rows.iter_mut().filter(|row| row.gated).for_each(|row| {
            row.answer = Some(Decision::Inconclusive { more });
        });
        self.more_runs = more;
    }
}

/// Compares two sides. Of pairs, the runs of both sides stand in the same order.
///
/// # Errors
/// Exit code 2 when the runs differ in what was not allowed, 6 when too few of them are valid.
pub fn compare(
    base: Side,
    new: Side,
    paired: bool,
    settings: &Criteria,
) -> Result<Comparison, Refusal> {
    let mut notes = Vec::new();
    if !paired {
        notes.extend(plans::check(&base.runs, &new.runs, &settings.allowed)?);
    }
    notes.extend(shared_runs(&base, &new));
    let (kept, left_out) = keep(&base, &new, paired, settings);
    let Kept { base: base_kept, new: new_kept } = &kept;
    let design = if paired {
        Design::Paired
    } else if base_kept.len() == 1 && new_kept.len() == 1 {
        Design::Single
    } else {
        Design::TwoSample
    };
    let judged_as = judged_as(design, base_kept.len(), settings);
    if !settings.whatever_remains {
        enough(&base, &new, (&kept, &left_out), judged_as)?;
    }
    let runs = || base_kept.iter().chain(new_kept);
    let open = base.runs.iter().chain(&new.runs).all(|run| run.open);
    if settings.invalid {
        let doubtful = runs().filter(|run| run.void.is_some() || run.partial).count();
        if doubtful > 0 {
            notes.push(format!(
                "{doubtful} runs that are not valid or partial count all the same (--invalid)"
            ));
        }
    }
    let rows = rows(&kept, judged_as, open, settings);
    let (quantiles, share_above) = shape(&kept);
    let (verdict, more_runs) = conclude(&rows);
    let (base_runs, new_runs) = (base_kept.len(), new_kept.len());
    let mut comparison = Comparison {
        exact: match judged_as {
            Design::Paired => paired_ranks::is_exact(base_runs),
            Design::TwoSample => {
                two_sample::is_exact(base_runs.min(new_runs), base_runs + new_runs)
            }
            Design::Single => false,
        },
        design,
        judged_as,
        open,
        base_runs,
        new_runs,
        left_out,
        rows,
        quantiles,
        share_above,
        floor_us: settings.floor_us,
        verdict,
        more_runs,
        notes,
        interrupted: None,
        undecided_because: None,
        base: base.clone(),
        new: new.clone(),
    };
    comparison.notes.extend(values::notes(&comparison, &kept));
    // Whatever the other runs say: a server that does not answer is not as good as before.
    let silent = comparison.new.runs.iter().filter(|run| run.ok == 0).count();
    if silent > 0 && comparison.verdict != Conclusion::Regression {
        let all = comparison.new.runs.len();
        let because = format!("in {silent} of {all} new runs no request got a good response");
        comparison.undecided(0, None, &because);
    }
    Ok(comparison)
}

/// How runs are judged. The signed ranks of a few pairs cannot show anything whatever they are; their rank sums can, and
/// what drifts for both sides of a pair makes these only more careful.
fn judged_as(design: Design, pairs: usize, settings: &Criteria) -> Design {
    match design {
        Design::Paired if pairs < Design::Paired.fewest_among(settings.ranked_gates()) => {
            Design::TwoSample
        }
        other => other,
    }
}

/// What to say when runs are on both sides.
fn shared_runs(base: &Side, new: &Side) -> Option<String> {
    let (shared, all) = (document::also_in(&base.runs, &new.runs), new.runs.len());
    match shared {
        0 => None,
        _ if shared == all && all == base.runs.len() => Some(
            "both sides hold the same runs, so they cannot differ; name two separate measurements"
                .to_owned(),
        ),
        _ => Some(format!(
            "{shared} of {all} new runs are also base runs, which hides differences; name two separate measurements"
        )),
    }
}

/// The distributions of all requests of each side.
fn shape(kept: &Kept<'_>) -> (Vec<QuantileShift>, Option<f64>) {
    let pool = |runs: &[&Run]| {
        let mut pool = Pool::default();
        let responses = runs.iter().flat_map(|run| &run.responses);
        responses.for_each(|&(value, count)| pool.add(value, count));
        pool
    };
    let (base, new) = (pool(&kept.base), pool(&kept.new));
    #[expect(clippy::cast_precision_loss, reason = "a latency is shown with few digits")]
    let micros = |pool: &Pool, quantile| pool.quantile(quantile).map(|ns| ns as f64 / 1e3);
    let shifts = QUANTILES.iter().filter_map(|&(name, quantile)| {
        let (base_us, new_us) = (micros(&base, quantile)?, micros(&new, quantile)?);
        (base_us > 0.0).then_some(QuantileShift { name, base_us, new_us })
    });
    (shifts.collect(), share_above(&new, &base))
}

#[cfg(test)]
mod plan_tests;
#[cfg(test)]
mod small_tests;
#[cfg(test)]
mod tests;
