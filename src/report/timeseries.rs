//! One JSON object an interval: the `intervals` of the document, and the lines of `--timeseries`.
//!
//! Both have the same keys, so that what reads one reads the other.

use serde_json::{Value, json};

use crate::report::json::micros;
use crate::result::summary::IntervalRow;

/// An interval as one line of NDJSON, with its newline.
#[must_use]
pub fn timeseries_line(row: &IntervalRow) -> String {
    format!("{}\n", interval(row))
}

pub(super) fn interval(row: &IntervalRow) -> Value {
    json!({
        "t_s": row.end_s,
        "scheduled": row.scheduled,
        "sent": row.sent,
        "completed": row.completed,
        "ok": row.ok,
        "errors": row.errors,
        "in_flight": row.in_flight,
        "backlog": row.backlog,
        "bytes_received": row.bytes_received,
        "p50_us": row.p50_ns.map(micros),
        "p95_us": row.p95_ns.map(micros),
        "p99_us": row.p99_ns.map(micros),
        "max_us": row.max_ns.map(micros),
    })
}
