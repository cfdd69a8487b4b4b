//! The live line on stderr while a run goes on. Rewritten in place by its caller, who alone knows the terminal.

use crate::report::format;
use crate::result::summary::IntervalRow;

/// One line without a newline, of at most `columns` characters: what happened in the latest interval, `elapsed_s` into
/// a measured window of `total_s` (`None` when its end is not known). The least important parts go first where space is
/// short.
#[must_use]
pub fn progress_line(
    row: &IntervalRow,
    elapsed_s: f64,
    total_s: Option<f64>,
    columns: u16,
) -> String {
    let place = match total_s {
        _ if row.end_s <= 0.0 => "warm-up".to_owned(),
        Some(total_s) => format!("{elapsed_s:.0}/{total_s:.0} s"),
        None => format!("{elapsed_s:.0} s"),
    };
    let latency = |name: &str, value_ns: Option<u64>| {
        value_ns.map(|ns| format!("{name} {}", format::duration(format::float(ns))))
    };
    let errors = (row.errors > 0).then(|| format::counted(row.errors, "error"));
    let parts = [
        Some(place),
        Some(format!("{} req/s", format::count(row.completed))),
        errors,
        latency("p50", row.p50_ns),
        latency("p99", row.p99_ns),
        latency("max", row.max_ns),
        Some(format!("{} in flight", format::count(row.in_flight))),
        Some(format!("{}/s", format::bytes(format::float(row.bytes_received)))),
    ];
    let mut line = String::new();
    for part in parts.into_iter().flatten() {
        let gap = if line.is_empty() { "" } else { "  " };
        if line.len() + gap.len() + part.len() > usize::from(columns) {
            break;
        }
        line.push_str(gap);
        line.push_str(&part);
    }
    line
}
