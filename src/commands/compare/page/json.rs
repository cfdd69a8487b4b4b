//! The JSON document of a comparison, schema `maxq.compare/1`. It holds the runs of both sides whole.

use serde_json::{Value, json};

use crate::commands::compare::comparison::{
    Comparison, Decision, Design, LeftOut, QuantileShift, Row, Side,
};
use crate::exit::Signal;

/// The JSON Schema (draft 2020-12) of the documents that [`compare_json`] writes; runs in it are those of
/// [`crate::report::json_schema`].
#[must_use]
pub fn compare_json_schema() -> &'static str {
    include_str!("../compare.schema.json")
}

/// The document, indented, with a newline at its end.
#[must_use]
pub fn compare_json(comparison: &Comparison) -> String {
    let paired = comparison.design == Design::Paired;
    let name = |design: Design| match design {
        Design::Paired => "paired",
        Design::TwoSample => "two_sample",
        Design::Single => "single",
    };
    let document = json!({
        "schema": "maxq.compare/1",
        "tool": { "version": env!("CARGO_PKG_VERSION"), "git": option_env!("MAXQ_GIT") },
        "verdict": comparison.verdict.name(),
        "sentence": super::words::sentence(comparison),
        "partial": comparison.interrupted.is_some(),
        "signal": comparison.interrupted.map(Signal::number),
        "design": name(comparison.design),
        "judged_as": name(comparison.judged_as),
        "pairs": paired.then_some(comparison.base_runs),
        "base_runs": comparison.base_runs,
        "new_runs": comparison.new_runs,
        "more_runs_needed": comparison.more_runs,
        "floor_us": comparison.floor_us,
        "metrics": comparison.rows.iter().map(|row| metric(row, comparison.open)).collect::<Vec<_>>(),
        "quantiles": comparison.quantiles.iter().map(quantile).collect::<Vec<_>>(),
        "new_above_base_share": comparison.share_above,
        "left_out": comparison.left_out.iter().map(left_out).collect::<Vec<_>>(),
        "notes": comparison.notes,
        "base": side(&comparison.base),
        "new": side(&comparison.new),
    });
    format!("{document:#}\n")
}

fn metric(row: &Row, open: bool) -> Value {
    let (verdict, improved) = super::words::stable_answer(row);
    let more = match row.answer {
        Some(Decision::Inconclusive { more }) => more,
        _ => None,
    };
    json!({
        "name": row.name,
        "unit": row.metric.unit(open).name(),
        "base": row.base,
        "new": row.new,
        "shift": row.absolute(),
        "ci95": row.absolute_interval().map(|(low, high)| [low, high]),
        "shift_pct": row.shift_pct(),
        "ci95_pct": row.interval_pct().map(|(low, high)| [low, high]),
        "p_value": row.p_value,
        "effect_pct": row.effect * 100.0,
        "tolerated_pct": super::words::percent(row.tolerated),
        "excluded_pct": row.excluded_pct(),
        "gated": row.gated,
        "verdict": verdict,
        "improved": improved,
        "more_runs_needed": more,
    })
}

fn quantile(shift: &QuantileShift) -> Value {
    json!({
        "name": shift.name,
        "base_us": shift.base_us,
        "new_us": shift.new_us,
        "shift_pct": shift.percent(),
    })
}

fn left_out(left: &LeftOut) -> Value {
    json!({
        "side": if left.is_new { "new" } else { "base" },
        "source": left.source,
        "why": left.why,
    })
}

fn side(side: &Side) -> Value {
    let runs: Vec<&Value> = side.runs.iter().map(|run| &run.document).collect();
    json!({ "label": side.label, "runs": runs })
}
