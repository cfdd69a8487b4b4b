//! A comparison as a table: a header line and a line a metric, with tabs between.

use super::words::{percent, stable_answer};
use crate::commands::compare::comparison::{Comparison, Decision, Row};

/// Missing values are empty.
#[must_use]
pub fn compare_tsv(comparison: &Comparison) -> String {
    let header = "metric\tunit\tbase\tnew\tshift_pct\tci95_low_pct\tci95_high_pct\tp_value\tgated\tverdict\tmore_runs_needed\timproved\tshift\tci95_low\tci95_high\teffect_pct\ttolerated_pct\texcluded_pct\n";
    let lines = comparison.rows.iter().map(|row| line(row, comparison.open));
    std::iter::once(header.to_owned()).chain(lines).collect()
}

fn line(row: &Row, open: bool) -> String {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let interval = row.interval_pct();
    let absolute = row.absolute_interval();
    let (verdict, improved) = stable_answer(row);
    let more = match row.answer {
        Some(Decision::Inconclusive { more: Some(more) }) => more.to_string(),
        _ => String::new(),
    };
    let cells = [
        row.name.clone(),
        row.metric.unit(open).name().to_owned(),
        number(row.base),
        number(row.new),
        number(row.shift_pct()),
        number(interval.map(|(low, _)| low)),
        number(interval.map(|(_, high)| high)),
        number(row.p_value),
        row.gated.to_string(),
        verdict.unwrap_or_default().to_owned(),
        more,
        improved.to_string(),
        number(row.absolute()),
        number(absolute.map(|(low, _)| low)),
        number(absolute.map(|(_, high)| high)),
        number(Some(percent(row.effect))),
        number(Some(percent(row.tolerated))),
        number(row.excluded_pct()),
    ];
    cells.join("\t") + "\n"
}
