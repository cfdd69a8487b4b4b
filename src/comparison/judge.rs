//! The metrics judged together, and the answer over all of them. Must not know how a report looks.

use super::kept::Kept;
use super::metric::{Metric, Settings};
use super::values::{self, Found};
use super::{Answer, Design, Row, Verdict};
use crate::analysis::comparison::{Question, decide, holm};

/// Two steps of a histogram, as a share of the value: less is not told apart.
const TWO_STEPS: f64 = 2.0 / 1024.0;

/// All metrics, with the gated ones judged together.
pub(super) fn rows(kept: &Kept<'_>, design: Design, open: bool, settings: &Settings) -> Vec<Row> {
    let mut rows: Vec<Row> = Metric::ALL
        .iter()
        .map(|&metric| {
            let Found { base, new, shift, runs, .. } = values::shift(metric, kept, design, open);
            Row {
                metric,
                name: metric.name(open),
                base,
                new,
                shift,
                runs,
                effect: settings.effect(metric),
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
        row.answer = Some(Answer::Inconclusive { more: None });
    });
    for (index, adjusted_p) in judged {
        let row = &mut rows[index];
        let Some(shift) = row.shift else { continue };
        row.p_value = row.p_value.map(|_| adjusted_p);
        row.answer = Some(decide(&Question {
            shift: if row.metric.is_better_when_larger() { shift.reversed() } else { shift },
            matters: matters(row, settings.floor_us),
            adjusted_p,
            runs: row.runs,
            design,
            metrics: metrics.max(1),
            allow_single: settings.allow_single,
        }));
    }
    rows
}

/// The smallest shift for the worse that matters, in the units of the shift: that of the effect, or of the floor where
/// that is more, or of two steps of the histograms.
fn matters(row: &Row, floor_us: f64) -> f64 {
    let forgiven = match row.base {
        Some(base) if row.metric.has_floor() => (floor_us / base).ln_1p().max(TWO_STEPS.ln_1p()),
        _ => 0.0,
    };
    let effect = match row.metric {
        Metric::Errors => row.effect,
        metric if metric.is_better_when_larger() => -(-row.effect).ln_1p(),
        _ => row.effect.ln_1p(),
    };
    effect.max(forgiven)
}

/// The answer over all gated metrics, and how many more runs would give one.
pub(super) fn conclude(rows: &[Row]) -> (Verdict, Option<usize>) {
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
