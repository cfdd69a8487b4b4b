//! The latencies of a run as reports see them: counted by the buckets of an HdrHistogram of three digits, with exact
//! extremes beside them, and written in HdrHistogram's own formats.
//!
//! It must not know what the values mean.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use super::buckets::{IntervalBuckets, RunBuckets};

/// Smallest value that has a bucket of its own, in nanoseconds.
pub const LOWEST_NS: u64 = 1;
/// Largest value that is promised a bucket: one hour. Values from 2^42 ns (73 minutes) on have none, and are only counted.
pub const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Significant decimal digits.
pub const DIGITS: u8 = 3;

/// Latencies in nanoseconds. Minimum, maximum, sum and count are exact; quantiles have the histogram's digits. An empty
/// one takes no memory.
#[derive(Clone, Debug, Default)]
pub struct LatencyHistogram(RunBuckets);

impl LatencyHistogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one latency; a value that has no bucket keeps its exact maximum and is clamped otherwise.
    pub fn record(&mut self, latency_ns: u64) {
        self.0.record(latency_ns);
    }

    /// Adds every value of `other`.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0);
    }

    /// Values recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// Exact smallest value in nanoseconds; `None` when empty.
    #[must_use]
    pub fn min_ns(&self) -> Option<u64> {
        self.0.min_ns()
    }

    /// Exact largest value in nanoseconds; `None` when empty.
    #[must_use]
    pub fn max_ns(&self) -> Option<u64> {
        self.0.max_ns()
    }

    /// Exact mean in nanoseconds; `None` when empty.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean is shown with few digits")]
    pub fn mean_ns(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.sum_ns() as f64 / self.count() as f64)
    }

    /// Values that have no bucket.
    #[must_use]
    pub fn clamped(&self) -> u64 {
        self.0.clamped()
    }

    /// The value at `quantile` (0.0 to 1.0) in nanoseconds, never outside the exact extremes; `None` when empty.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        self.0.quantile_ns(quantile)
    }

    /// The largest value of the bucket that the value of this rank is in, from 1 on; `u64::MAX` when it is in none.
    #[must_use]
    pub fn at_rank(&self, rank: u64) -> u64 {
        self.0.at_rank(rank)
    }

    /// Values in the buckets up to that of `limit_ns`; all of them when it has none.
    #[must_use]
    pub fn count_up_to(&self, limit_ns: u64) -> u64 {
        self.0.count_up_to(limit_ns)
    }

    /// The largest value of every bucket that holds something, never above the largest of all, each with how many values
    /// there are up to it; those that have no bucket come last.
    pub fn steps(&self) -> impl Iterator<Item = (u64, u64)> {
        let most_ns = self.max_ns().unwrap_or(0);
        let clamped = (self.clamped() > 0).then_some((most_ns, self.clamped()));
        let mut up_to = 0;
        self.0.occupied().chain(clamped).map(move |(highest_ns, count)| {
            up_to += count;
            (highest_ns.min(most_ns), up_to)
        })
    }

    /// As a histogram of the `hdrhistogram` crate, for writers of its formats: values without a bucket count as one hour.
    #[must_use]
    pub fn to_hdr(&self) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS)
            .expect("the bounds are constants that make sense");
        for (highest_ns, count) in self.0.occupied() {
            histogram.saturating_record_n(highest_ns, count);
        }
        if self.clamped() > 0 {
            histogram.saturating_record_n(HIGHEST_NS, self.clamped());
        }
        histogram
    }

    /// The V2 deflate encoding that other HdrHistogram ports read, before base64.
    #[must_use]
    pub fn to_v2_deflate(&self) -> Vec<u8> {
        to_v2_deflate(&self.to_hdr())
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
    to_v2_deflate(&histogram)
}

fn to_v2_deflate(histogram: &Histogram<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("writing to memory does not fail");
    bytes
}

impl From<RunBuckets> for LatencyHistogram {
    fn from(counted: RunBuckets) -> Self {
        Self(counted)
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
        assert_eq!(merged.to_hdr(), whole.to_hdr());
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
