//! A latency histogram that never grows: HdrHistogram buckets of fixed bounds, with exact extremes beside them.
//!
//! Owned by one worker while it runs, merged after the join. It must not know what the values mean.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use super::buckets::{IntervalBuckets, RunBuckets};

/// Smallest value that has a bucket of its own, in nanoseconds.
pub const LOWEST_NS: u64 = 1;
/// Largest value that is recorded as it is: one hour. Larger ones are counted in the last bucket and in `clamped`.
pub const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Significant decimal digits.
pub const DIGITS: u8 = 3;

/// Latencies in nanoseconds. Minimum, maximum, sum and count are exact; quantiles have the histogram's digits.
#[derive(Clone, Debug)]
pub struct LatencyHistogram {
    buckets: Histogram<u64>,
    min_ns: u64,
    max_ns: u64,
    sum_ns: u128,
    clamped: u64,
}

impl LatencyHistogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        let buckets = Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS)
            .expect("the bounds are constants that make sense");
        Self { buckets, min_ns: u64::MAX, max_ns: 0, sum_ns: 0, clamped: 0 }
    }

    /// Counts one latency. Never allocates; a value above one hour keeps its exact maximum and is clamped otherwise.
    #[inline]
    pub fn record(&mut self, latency_ns: u64) {
        self.min_ns = self.min_ns.min(latency_ns);
        self.max_ns = self.max_ns.max(latency_ns);
        self.sum_ns += u128::from(latency_ns);
        if self.buckets.record(latency_ns).is_err() {
            self.clamped += 1;
            self.buckets.saturating_record(HIGHEST_NS);
        }
    }

    /// Adds every value of `other`; lossless, since both have the same bounds.
    pub fn add(&mut self, other: &Self) {
        self.buckets.add(&other.buckets).expect("histograms of the same bounds add");
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.sum_ns += other.sum_ns;
        self.clamped += other.clamped;
    }

    /// Values recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.len()
    }

    /// Exact smallest value in nanoseconds; `None` when empty.
    #[must_use]
    pub fn min_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.min_ns)
    }

    /// Exact largest value in nanoseconds; `None` when empty.
    #[must_use]
    pub fn max_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max_ns)
    }

    /// Exact mean in nanoseconds; `None` when empty.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean is shown with few digits")]
    pub fn mean_ns(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum_ns as f64 / self.count() as f64)
    }

    /// Values above one hour, which the buckets hold as one hour.
    #[must_use]
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The value at `quantile` (0.0 to 1.0) in nanoseconds, never outside the exact extremes; `None` when empty.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        (self.count() > 0)
            .then(|| self.buckets.value_at_quantile(quantile).clamp(self.min_ns, self.max_ns))
    }

    /// The buckets, for writers of HdrHistogram formats.
    #[must_use]
    pub fn buckets(&self) -> &Histogram<u64> {
        &self.buckets
    }

    /// The V2 deflate encoding that other HdrHistogram ports read, before base64.
    #[must_use]
    pub fn to_v2_deflate(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.buckets, &mut bytes)
            .expect("writing to memory does not fail");
        bytes
    }
}

/// The V2 deflate encoding of a second's latencies, two digits, before base64.
#[must_use]
pub fn interval_to_v2_deflate(latency: &IntervalBuckets) -> Vec<u8> {
    let mut histogram = Histogram::<u64>::new_with_bounds(LOWEST_NS, HIGHEST_NS, 2)
        .expect("the bounds are constants that make sense");
    for (highest_ns, count) in latency.occupied() {
        histogram.saturating_record_n(highest_ns, count);
    }
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(&histogram, &mut bytes)
        .expect("writing to memory does not fail");
    bytes
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&RunBuckets> for LatencyHistogram {
    /// Moves what a worker counted, bucket by bucket: both have the same buckets.
    fn from(counted: &RunBuckets) -> Self {
        let mut histogram = Self::new();
        for (highest_ns, count) in counted.occupied() {
            histogram.buckets.saturating_record_n(highest_ns, count);
        }
        histogram.clamped = counted.clamped();
        if histogram.clamped > 0 {
            histogram.buckets.saturating_record_n(HIGHEST_NS, histogram.clamped);
        }
        histogram.min_ns = counted.min_ns();
        histogram.max_ns = counted.max_ns().unwrap_or(0);
        histogram.sum_ns = counted.sum_ns();
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::{HIGHEST_NS, LatencyHistogram};

    #[test]
    fn extremes_and_mean_are_exact() {
        let mut histogram = LatencyHistogram::new();
        for value in [1_234_567, 7_654_321, 4_000_001] {
            histogram.record(value);
        }
        assert_eq!(histogram.min_ns(), Some(1_234_567));
        assert_eq!(histogram.max_ns(), Some(7_654_321));
        assert_eq!(histogram.mean_ns(), Some((1_234_567.0 + 7_654_321.0 + 4_000_001.0) / 3.0));
        assert_eq!(histogram.quantile_ns(1.0), Some(7_654_321));
    }

    #[test]
    fn values_above_the_bounds_are_counted_and_said_so() {
        let mut histogram = LatencyHistogram::new();
        histogram.record(HIGHEST_NS * 3);
        assert_eq!(histogram.count(), 1);
        assert_eq!(histogram.clamped(), 1);
        assert_eq!(histogram.max_ns(), Some(HIGHEST_NS * 3));
    }

    #[test]
    fn merging_parts_equals_recording_the_whole() {
        let mut whole = LatencyHistogram::new();
        let mut parts = [LatencyHistogram::new(), LatencyHistogram::new()];
        for value in (0..10_000_u64).map(|i| i * i * 37 + 1) {
            whole.record(value);
            parts[usize::from(value % 3 == 0)].record(value);
        }
        let [mut merged, other] = parts;
        merged.add(&other);
        assert_eq!(merged.buckets(), whole.buckets());
        assert_eq!(merged.mean_ns(), whole.mean_ns());
        assert_eq!((merged.min_ns(), merged.max_ns()), (whole.min_ns(), whole.max_ns()));
    }

    #[test]
    fn an_empty_histogram_has_no_values() {
        let histogram = LatencyHistogram::new();
        assert_eq!(histogram.quantile_ns(0.5), None);
        assert_eq!(histogram.mean_ns(), None);
        assert_eq!(histogram.min_ns(), None);
    }
}
