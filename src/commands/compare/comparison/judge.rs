//! The metrics judged together, and the answer over all of them. Must not know how a report looks.

use super::criteria::Criteria;
use super::kept::Kept;
use super::values::{self, Found};
use super::{Conclusion, Decision, Design, Row};
use crate::slo::{Metric, Unit};
use crate::stats::comparison::{Question, decide, holm, median};

/// CPU time of the client never matters below this share of one core: at a low rate most of it is what a process takes
/// anyway, dealt out over few requests.
const CPU_SHARE_FLOOR: f64 = 0.01;

/// All metrics, with the gated ones judged together by the test of `design`.
pub(super) fn rows(kept: &Kept<'_>, design: Design, open: bool, settings: &Criteria) -> Vec<Row> {
    let mut rows: Vec<Row> = Metric::COMPARED
        .iter()
        .map(|&metric| {
            let Found { base, new, shift, runs, .. } = values::shift(metric, kept, design, open);
            Row {
                metric,
                name: metric.name(open),
                label: metric.label(open),
                base,
                new,
                shift,
                runs,
                effect: settings.effect(metric),
                tolerated: settings.tolerated(metric),
                excluded: None,
                gated: settings.gates.contains(&metric),
                // Without any idea of the noise it would say nothing.
                p_value: shift.filter(|s| s.half_width.is_some()).map(|s| s.p_value),
                answer: None,
            }
        })
        .collect();
    let judged = |row: &Row, hopeless: bool| {
        row.gated && row.shift.is_some_and(|shift| shift.hopeless == hopeless)
    };
    let of = |hopeless: bool| -> Vec<usize> {
        (0..rows.len()).filter(|&index| judged(&rows[index], hopeless)).collect()
    };
    // What could not be called a shift in any case is no question, and the others need not pay for it.
    let (asked, hopeless) = (of(false), of(true));
    let p_value = |&index: &usize| rows[index].shift.map_or(1.0, |shift| shift.p_value);
    let adjusted = holm::adjusted(&asked.iter().map(p_value).collect::<Vec<_>>());
    let metrics = asked.len();
    let adjusted = adjusted.into_iter().chain(hopeless.iter().map(|_| 1.0));
    let judged: Vec<(usize, f64)> = asked.iter().chain(&hopeless).copied().zip(adjusted).collect();
    rows.iter_mut().filter(|row| row.gated).for_each(|row| {
        row.answer = Some(Decision::Inconclusive { more: None });
    });
    let cpu_floor_us = cpu_floor_us(kept);
    for (index, adjusted_p) in judged {
        let row = &mut rows[index];
        let Some(shift) = row.shift else { continue };
        row.p_value = row.p_value.map(|_| adjusted_p);
        let forgiven = forgiven(row, settings.floor_us, cpu_floor_us);
        let matters = for_the_worse(row.metric, row.effect).max(forgiven);
        let shift = if row.metric.is_better_when_larger() { shift.reversed() } else { shift };
        let answer = decide(&Question {
            shift,
            matters,
            tolerated: for_the_worse(row.metric, row.tolerated).max(matters),
            adjusted_p,
            runs: row.runs,
            design,
            metrics: metrics.max(1),
            allow_single: settings.allow_single,
        });
        row.answer = Some(answer);
        row.excluded = match (answer, shift.interval) {
            (Decision::Pass { .. }, Some((_, high))) if high >= matters => Some(high),
            _ => None,
        };
    }
    rows
}

/// A share for the worse in the units of the shift.
fn for_the_worse(metric: Metric, share: f64) -> f64 {
    if metric.is_share_of_requests() {
        share
    } else if metric.is_better_when_larger() {
        -(-share).ln_1p()
    } else {
        share.ln_1p()
    }
}

/// The smallest shift that can matter whatever the effect, in the units of the shift: that of the floor, or of two steps of
/// the histograms.
fn forgiven(row: &Row, floor_us: f64, cpu_floor_us: f64) -> f64 {
    match row.base {
        Some(base) if row.metric.unit(true) == Unit::Time => {
            let floor_us = if row.metric.is_of_client() { cpu_floor_us } else { floor_us };
            (floor_us / base).ln_1p().max(row.metric.resolution().ln_1p())
        }
        _ => 0.0,
    }
}

/// The CPU time of a request that makes [`CPU_SHARE_FLOOR`] at the rate of the base runs, in microseconds.
fn cpu_floor_us(kept: &Kept<'_>) -> f64 {
    let rates: Vec<f64> = kept.base.iter().map(|run| run.achieved_rps).collect();
    median(&rates).filter(|rps| *rps > 0.0).map_or(0.0, |rps| CPU_SHARE_FLOOR * 1e6 / rps)
}

/// The answer over all gated metrics, and how many more runs would give one.
pub(super) fn conclude(rows: &[Row]) -> (Conclusion, Option<usize>) {
    let answers: Vec<Decision> = rows.iter().filter_map(|row| row.answer).collect();
    if answers.contains(&Decision::Regression) {
        return (Conclusion::Regression, None);
    }
    let open = answers.iter().filter_map(|answer| match answer {
        Decision::Inconclusive { more } => Some(*more),
        Decision::Pass { .. } | Decision::Regression => None,
    });
    let open: Vec<Option<usize>> = open.collect();
    if open.is_empty() {
        return (Conclusion::Pass, None);
    }
    let most = open.iter().copied().try_fold(0, |most: usize, more| Some(most.max(more?)));
    (Conclusion::Inconclusive, most)
}
