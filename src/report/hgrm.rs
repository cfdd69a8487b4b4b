//! The percentile distribution of HdrHistogram's own tools (`outputPercentileDistribution`), in milliseconds.
//!
//! Columns are the plotter's: value, quantile, values up to it, `1/(1-quantile)`. The last row has no fourth column,
//! which would be infinite. Values have six decimals, because three would lose what is below a microsecond.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::core::record::LatencyHistogram;
use crate::report::format::float;

/// Rows for each halving of the distance to 100 %, as in HdrHistogram.
const TICKS_PER_HALF_DISTANCE: u32 = 5;
const NANOS_PER_MILLI: f64 = 1e6;

/// The whole text, newline at its end.
#[must_use]
pub fn hgrm(histogram: &LatencyHistogram) -> String {
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let buckets = histogram.to_hdr();
    let (min_ns, max_ns) = (histogram.min_ns().unwrap_or(0), histogram.max_ns().unwrap_or(0));
    let mut total = 0;
    for step in buckets.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        total += step.count_since_last_iteration();
        let quantile = step.quantile_iterated_to();
        // The upper edge of the last bucket is not the exact maximum, which the other reports show.
        let value_ns =
            if quantile < 1.0 { step.value_iterated_to().clamp(min_ns, max_ns) } else { max_ns };
        let value_ms = float(value_ns) / NANOS_PER_MILLI;
        let row = if quantile < 1.0 {
            let inverse = 1.0 / (1.0 - quantile);
            writeln!(text, "{value_ms:12.6} {quantile:2.12} {total:10} {inverse:14.2}")
        } else {
            writeln!(text, "{value_ms:12.6} {quantile:2.12} {total:10}")
        };
        row.expect("writing to memory does not fail");
    }
    text + &footer(histogram, &buckets)
}

fn footer(histogram: &LatencyHistogram, buckets: &Histogram<u64>) -> String {
    let mean_ms = histogram.mean_ns().unwrap_or(0.0) / NANOS_PER_MILLI;
    let deviation_ms = buckets.stdev() / NANOS_PER_MILLI;
    let max_ms = float(histogram.max_ns().unwrap_or(0)) / NANOS_PER_MILLI;
    let count = histogram.count();
    // Enough linear steps in a bucket to tell apart two values that differ in the last significant digit.
    let sub_buckets = (2 * 10_u64.pow(u32::from(buckets.sigfig()))).next_power_of_two();
    format!(
        "#[Mean    = {mean_ms:12.6}, StdDeviation   = {deviation_ms:12.6}]\n\
         #[Max     = {max_ms:12.6}, Total count    = {count:12}]\n\
         #[Buckets = {:12}, SubBuckets     = {sub_buckets:12}]\n",
        buckets.buckets()
    )
}
