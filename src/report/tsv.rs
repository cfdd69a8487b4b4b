//! Runs as a table for spreadsheets and scripts: a header line, and a line a run, with tabs between.
//!
//! The names of the columns are stable; new ones come at the end. Times are microseconds, missing values are empty.

use crate::plan::Plan;
use crate::report::json::micros;
use crate::result::summary::{End, Summary};
use crate::time::seconds;

/// The columns.
const COLUMNS: [&str; 22] = [
    "url",
    "mode",
    "connections",
    "pipeline",
    "rate_rps",
    "duration_s",
    "offered_rps",
    "achieved_rps",
    "goodput_rps",
    "ok",
    "errors",
    "p50_us",
    "p90_us",
    "p99_us",
    "p99_9_us",
    "max_us",
    "verdict",
    "valid",
    "partial",
    "p95_us",
    "target",
    "target_text",
];

/// The first line.
#[must_use]
pub fn tsv_header() -> String {
    COLUMNS.join("\t") + "\n"
}

/// The line of a run; errors are all requests that got no good response, and it is partial when it was cut short or its
/// target was not there all the time.
#[must_use]
pub fn tsv_row(plan: &Plan, summary: &Summary) -> String {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let response = &summary.latencies.response;
    let quantile = |at| number(response.quantile(at).map(|value| micros(value.value_ns)));
    let (rates, counts) = (summary.rates(), summary.counts());
    let pacing = plan.load.pacing.as_ref();
    let cells: [String; COLUMNS.len()] = [
        // No URL holds a tab: one that did was refused.
        plan.target.to_string(),
        if pacing.is_some() { "open" } else { "closed" }.to_owned(),
        plan.load.connections.to_string(),
        plan.load.pipeline.to_string(),
        number(pacing.and_then(|pacing| pacing.rate).map(|rate| rate.per_second())),
        seconds(summary.window.measured_ns).to_string(),
        rates.offered_rps.to_string(),
        rates.achieved_rps.to_string(),
        rates.goodput_rps.to_string(),
        counts.ok.to_string(),
        (counts.scheduled - counts.ok).to_string(),
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        quantile(0.999),
        number(response.all.max_ns().map(micros)),
        summary.verdict.code.name().to_owned(),
        summary.verdict.valid.to_string(),
        (summary.end != End::Finished || summary.verdict.has_lost_target()).to_string(),
        quantile(0.95),
        summary.verdict.target.name().to_owned(),
        summary.verdict.target_text.clone(),
    ];
    cells.join("\t") + "\n"
}
