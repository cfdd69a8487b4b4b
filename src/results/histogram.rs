//! The values in a histogram as it travels in a document: HdrHistogram V2, deflated, base64.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

use crate::base64;

/// Each value in nanoseconds, and how often it came.
///
/// # Errors
/// When it is none.
pub(super) fn values(text: &str) -> Result<Vec<(u64, u64)>, String> {
    let broken = || "latency.response.histogram is no HdrHistogram".to_owned();
    let bytes = base64::decode(text).ok_or_else(broken)?;
    let decoded: Histogram<u64> =
        Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|_| broken())?;
    let middle = |value| decoded.median_equivalent(value);
    let row = |step: hdrhistogram::iterators::IterationValue<u64>| {
        (middle(step.value_iterated_to()), step.count_at_value())
    };
    Ok(decoded.iter_recorded().map(row).collect())
}
