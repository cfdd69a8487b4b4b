//! Two sides of runs, metric by metric, and what is to be said about them. The reports of `compare` are written from this
//! alone.
//!
//! Puts what documents say (`results`) to the statistics (`analysis::comparison`). Must not know where runs came from, nor
//! how a report looks.

mod metric;
mod plans;
mod values;

use crate::analysis::comparison::shape::{Pool, share_above};
pub use crate::analysis::comparison::{Answer, Design};
use crate::analysis::comparison::{Question, Shift, decide, holm};
use crate::analysis::comparison::{paired as paired_ranks, two_sample};
use crate::exit::{INVALID, Refusal};
use crate::results::Run;
pub use metric::{Metric, Settings, Unit};

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
pub enum Verdict {
    /// None is worse by as much as matters.
    Pass,
    /// At least one is.
    Regression,
    /// At least one may be, and none is known to be.
    Inconclusive,
}

impl Verdict {
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

/// A run that counts for nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeftOut {
    /// Whether it is one of the new side.
    pub is_new: bool,
    /// Where it came from.
    pub source: String,
    /// Why.
    pub why: String,
}

/// One metric.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is.
    pub metric: Metric,
    /// Its stable name.
    pub name: &'static str,
    /// The median over the base runs; of errors the share over all of them.
    pub base: Option<f64>,
    /// The same of the new runs.
    pub new: Option<f64>,
    /// From base to new: the logarithm of the ratio, of errors the difference of the shares. `None` where one side has no value.
    pub shift: Option<Shift>,
    /// The smallest relative shift for the worse that matters; of errors in share.
    pub effect: f64,
    /// It decides.
    pub gated: bool,
    /// The p-value, corrected for several gated metrics where it is gated.
    pub p_value: Option<f64>,
    /// What is to be said of it; `None` when it is not gated.
    pub answer: Option<Answer>,
}

impl Row {
    /// A point of its shift in percent; of errors in percentage points.
    #[must_use]
    pub fn percent(&self, point: f64) -> f64 {
        if self.metric == Metric::Errors { point * 100.0 } else { point.exp_m1() * 100.0 }
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
        let shift = self.shift?.estimate;
        if self.metric == Metric::Errors { Some(shift) } else { Some(self.base? * shift.exp_m1()) }
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
    pub verdict: Verdict,
    /// So many more pairs, or runs a side, would probably decide; `None` where none are needed or none would do.
    pub more_runs: Option<usize>,
    /// What a reader has to know beside.
    pub notes: Vec<String>,
    /// The signal that ended it early.
    pub interrupted: Option<i32>,
    /// Why nothing is decided whatever the numbers are.
    pub undecided_because: Option<&'static str>,
}

impl Comparison {
    /// Takes all answers back: `signal` ended it before the `pairs` that there were to be, or too few of them are valid.
    pub fn undecided(&mut self, pairs: usize, signal: Option<i32>) {
        self.interrupted = signal;
        self.undecided_because = Some(match signal {
            Some(_) => "interrupted before all pairs were measured",
            None => "too few of the runs are valid",
        });
        self.verdict = Verdict::Inconclusive;
        let more = pairs.checked_sub(self.base_runs).filter(|more| *more > 0);
        self.rows.iter_mut().filter(|row| row.gated).for_each(|row| {
            row.answer = Some(Answer::Inconclusive { more });
        });
        self.more_runs = more;
    }
}

/// Compares two sides. Of pairs, the runs of both sides stand in the same order.
///
/// # Errors
/// Exit code 2 when the plans differ, 6 when too few runs are valid; `--force` is the remedy for both.
pub fn compare(
    base: Side,
    new: Side,
    paired: bool,
    settings: &Settings,
) -> Result<Comparison, Refusal> {
    let mut notes = Vec::new();
    if !paired && let Some(difference) = plans::difference(&base.runs, &new.runs) {
        if !settings.force {
            return Err(Refusal::usage(format!(
                "the runs do not have the same plan: {difference}; measure both the same way, or compare all the same with --force"
            )));
        }
        notes.push(format!("the plans differ (--force): {difference}"));
    }
    let (kept, left_out) = keep(&base, &new, paired, settings);
    let Kept { base: base_kept, new: new_kept } = &kept;
    let design = if paired {
        Design::Paired
    } else if base_kept.len() == 1 && new_kept.len() == 1 {
        Design::Single
    } else {
        Design::TwoSample
    };
    if !settings.whatever_remains {
        enough(&base, &new, (&kept, &left_out), design)?;
    }
    let runs = || base_kept.iter().chain(new_kept);
    let open = base.runs.iter().chain(&new.runs).all(|run| run.open);
    if settings.force {
        let doubtful = runs().filter(|run| run.void.is_some() || run.partial).count();
        if doubtful > 0 {
            notes.push(format!(
                "{doubtful} runs that are not valid or partial count all the same (--force)"
            ));
        }
    }
    let rows = rows(&kept, design, open, settings);
    let (quantiles, share_above) = shape(&kept);
    let (verdict, more_runs) = conclude(&rows);
    let (base_runs, new_runs) = (base_kept.len(), new_kept.len());
    let mut comparison = Comparison {
        exact: match design {
            Design::Paired => paired_ranks::is_exact(base_runs),
            Design::TwoSample => {
                two_sample::is_exact(base_runs.min(new_runs), base_runs + new_runs)
            }
            Design::Single => false,
        },
        design,
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
    Ok(comparison)
}

/// The runs that count.
struct Kept<'a> {
    base: Vec<&'a Run>,
    new: Vec<&'a Run>,
}

fn keep<'a>(
    base: &'a Side,
    new: &'a Side,
    paired: bool,
    settings: &Settings,
) -> (Kept<'a>, Vec<LeftOut>) {
    let reason = |run: &Run| {
        let partial =
            run.partial.then(|| "it is partial: it did not carry out its plan".to_owned());
        let why =
            partial.or_else(|| run.void.as_ref().map(|void| format!("it is not valid: {void}")));
        why.filter(|_| !settings.force)
    };
    let mut left_out = Vec::new();
    for (side, is_new) in [(base, false), (new, true)] {
        for run in &side.runs {
            let source = run.source.clone();
            left_out.extend(reason(run).map(|why| LeftOut { is_new, source, why }));
        }
    }
    let good = |run: &&Run| reason(run).is_none();
    let kept = if paired {
        // A run without its other half says nothing.
        let pairs = base.runs.iter().zip(&new.runs).filter(|(base, new)| good(base) && good(new));
        let (base, new) = pairs.unzip();
        Kept { base, new }
    } else {
        Kept {
            base: base.runs.iter().filter(good).collect(),
            new: new.runs.iter().filter(good).collect(),
        }
    };
    (kept, left_out)
}

/// Refuses when what was left out is what would have decided.
fn enough(
    base: &Side,
    new: &Side,
    (kept, left_out): (&Kept<'_>, &[LeftOut]),
    design: Design,
) -> Result<(), Refusal> {
    let Some(first) = left_out.first() else { return Ok(()) };
    for (name, side, kept, is_new) in
        [("base", base, kept.base.len(), false), ("new", new, kept.new.len(), true)]
    {
        let all = side.runs.len();
        // Two single runs need no more than themselves.
        let needed = if all == 1 { 1 } else { design.fewest() };
        if kept < all && (kept * 2 < all || kept < needed) {
            let named = left_out.iter().find(|left| left.is_new == is_new).unwrap_or(first);
            return Err(Refusal {
                message: format!(
                    "of {all} {name} runs {kept} remain, too few: {}: {}; measure again, or compare all the same with --force",
                    named.source, named.why
                ),
                code: INVALID,
            });
        }
    }
    Ok(())
}

/// All metrics, with the gated ones judged together.
fn rows(kept: &Kept<'_>, design: Design, open: bool, settings: &Settings) -> Vec<Row> {
    let mut rows: Vec<Row> = Metric::ALL
        .iter()
        .map(|&metric| {
            let (base, new, shift) = values::shift(metric, kept, design, open);
            Row {
                metric,
                name: metric.name(open),
                base,
                new,
                shift,
                effect: settings.effect(metric),
                gated: settings.gates.contains(&metric),
                // Without any idea of the noise it would say nothing.
                p_value: shift.filter(|s| s.half_width.is_some()).map(|s| s.p_value),
                answer: None,
            }
        })
        .collect();
    let judged: Vec<usize> =
        (0..rows.len()).filter(|&i| rows[i].gated && rows[i].shift.is_some()).collect();
    let p_values: Vec<f64> =
        judged.iter().filter_map(|&i| rows[i].shift).map(|s| s.p_value).collect();
    let adjusted = holm::adjusted(&p_values);
    rows.iter_mut().filter(|row| row.gated).for_each(|row| {
        row.answer = Some(Answer::Inconclusive { more: None });
    });
    for (&index, adjusted_p) in judged.iter().zip(adjusted) {
        let row = &mut rows[index];
        let Some(shift) = row.shift else { continue };
        row.p_value = row.p_value.map(|_| adjusted_p);
        row.answer = Some(decide(&Question {
            shift: if row.metric.is_better_when_larger() { shift.reversed() } else { shift },
            matters: matters(row, settings.floor_us),
            adjusted_p,
            runs: kept.base.len().min(kept.new.len()),
            design,
            metrics: p_values.len(),
            allow_single: settings.allow_single,
        }));
    }
    rows
}

/// The smallest shift for the worse that matters, in the units of the shift: that of the effect, or of the floor where
/// that is more.
fn matters(row: &Row, floor_us: f64) -> f64 {
    let forgiven = match row.base {
        Some(base) if row.metric.has_floor() => (floor_us / base).ln_1p(),
        _ => 0.0,
    };
    let effect = match row.metric {
        Metric::Errors => row.effect,
        metric if metric.is_better_when_larger() => -(-row.effect).ln_1p(),
        _ => row.effect.ln_1p(),
    };
    effect.max(forgiven)
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

/// The answer over all gated metrics, and how many more runs would give one.
fn conclude(rows: &[Row]) -> (Verdict, Option<usize>) {
    let answers: Vec<Answer> = rows.iter().filter_map(|row| row.answer).collect();
    if answers.contains(&Answer::Regression) {
        return (Verdict::Regression, None);
    }
    let open = answers.iter().filter_map(|answer| match answer {
        Answer::Inconclusive { more } => Some(*more),
        Answer::Pass { .. } | Answer::Regression => None,
    });
    let open: Vec<Option<usize>> = open.collect();
    if open.is_empty() {
        return (Verdict::Pass, None);
    }
    let most = open.iter().copied().try_fold(0, |most: usize, more| Some(most.max(more?)));
    (Verdict::Inconclusive, most)
}

#[cfg(test)]
mod tests;
