//! One line a run: CSV, TSV, and JSON lines with the same columns.
//!
//! The columns are stable: new ones come at the end. What does not apply is empty, or null.

use serde_json::{Map, Value, json};

use crate::report::json::micros;
use crate::result::summary::{Shown, SweepRun};

/// What separates what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineFormat {
    /// JSON objects.
    Ndjson,
    /// Commas.
    Csv,
    /// Tabulators.
    Tsv,
}

/// Every column, in order.
const COLUMNS: [&str; 22] = [
    "x",
    "repeat",
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
    "mean_us",
    "mean_in_flight",
    "verdict",
    "valid",
    "slo_pass",
    "unsupported",
    "left_out",
    "late",
    "p95_us",
    "error_pct",
];

/// The quantiles, as `unsupported` names those that are only bounds.
const QUANTILES: [&str; 5] = ["p50", "p90", "p95", "p99", "p99_9"];

/// What stands above the lines; nothing above JSON lines.
#[must_use]
pub fn sweep_header(format: LineFormat) -> String {
    match format {
        LineFormat::Ndjson => String::new(),
        LineFormat::Csv => format!("{}\n", COLUMNS.join(",")),
        LineFormat::Tsv => format!("{}\n", COLUMNS.join("\t")),
    }
}

/// The line of a run, with its newline.
#[must_use]
pub fn sweep_line(run: &SweepRun, format: LineFormat) -> String {
    let cells = cells(run);
    let separator = match format {
        LineFormat::Ndjson => {
            let object: Map<String, Value> =
                COLUMNS.iter().map(|&name| name.to_owned()).zip(cells).collect();
            return format!("{}\n", Value::Object(object));
        }
        LineFormat::Csv => ",",
        LineFormat::Tsv => "\t",
    };
    let texts: Vec<String> = cells.iter().map(plain).collect();
    format!("{}\n", texts.join(separator))
}

fn cells(run: &SweepRun) -> [Value; COLUMNS.len()] {
    let latency = |shown: Option<Shown>| json!(shown.map(|shown| micros(shown.value_ns)));
    let [p50, p90, p95, p99, p99_9] = run.quantiles.map(latency);
    [
        json!(run.x),
        json!(run.repeat),
        json!(run.offered_rps),
        json!(run.achieved_rps),
        json!(run.goodput_rps),
        json!(run.ok),
        json!(run.errors),
        p50,
        p90,
        p99,
        p99_9,
        json!(run.max_ns.map(micros)),
        json!(run.mean_ns.map(|mean_ns| mean_ns / 1e3)),
        json!(run.mean_in_flight),
        json!(run.code.name()),
        json!(run.valid),
        json!(run.gates_hold),
        json!(unsupported(run)),
        json!(run.is_left_out()),
        json!(run.late),
        p95,
        json!(run.error_share() * 100.0),
    ]
}

/// The quantiles that may be larger than they are said to be, with spaces between them; null without any.
fn unsupported(run: &SweepRun) -> Option<String> {
    let is_bound = |shown: &Option<Shown>| shown.is_some_and(|shown| shown.lower_bound);
    let named = QUANTILES.iter().zip(&run.quantiles).filter(|(_, shown)| is_bound(shown));
    let names: Vec<&str> = named.map(|(&name, _)| name).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

/// A cell without quotes: words here hold neither separators nor quotes.
fn plain(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(word) => word.clone(),
        // A whole number needs no decimals.
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map(|value| value.to_string()).unwrap_or_default()
        }
        other => other.to_string(),
    }
}
