//! HdrHistogram's interval log, version 1.2: one histogram a second, so that any part of a run can be cut out again.
//!
//! Times in the log are seconds since its start, which is the start of the second in which the warm-up began; values
//! are nanoseconds, and the column of largest values is in milliseconds, as the log's own readers expect. Seconds of the
//! warm-up carry a tag. It holds the response times of the report by when they ended, as `--timeseries`
//! does: timeouts when they were given up, and what was never answered or sent at the end of the run, at their ages.

use std::time::SystemTime;

use crate::base64;
use crate::core::record::buckets::IntervalBuckets;
use crate::core::record::latency::interval_to_v2_deflate;
use crate::report::format::{self, float};
use crate::result::summary::IntervalRow;

/// The lines before the first histogram.
#[must_use]
pub fn hlog_header(started_at: SystemTime) -> String {
    let since_epoch = started_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!(
        "#[Histogram log format version 1.2]\n\
         #[StartTime: {:.3} (seconds since epoch), {}]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
        since_epoch.as_secs_f64(),
        format::rfc3339(started_at)
    )
}

/// One second, `start_s` after the log's start.
#[must_use]
pub fn hlog_line(row: &IntervalRow, latency: &IntervalBuckets, start_s: f64) -> String {
    let tag = if row.end_s <= 0.0 { "Tag=warmup," } else { "" };
    let max_ms = float(latency.max_ns().unwrap_or(0)) / 1e6;
    let histogram = base64::encode(&interval_to_v2_deflate(latency));
    format!("{tag}{start_s:.3},1.000,{max_ms:.6},{histogram}\n")
}
