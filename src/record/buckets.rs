//! The histograms that a worker records into: HdrHistogram's buckets, in a dozen instructions a value.
//!
//! Values below `2^(BITS + 1)` have a bucket each; above, each doubling has `2^BITS` of them. With 10 bits these are
//! exactly the buckets of an HdrHistogram of three digits from 1 ns on, into which they are moved when the run has
//! ended: recording a latency there costs more than framing the response, and every response is recorded twice, for
//! the run and for its second.

/// Values from 2^42 ns on, more than an hour, have no bucket and are only counted.
const VALUE_BITS: u32 = 42;

/// Buckets as fine as three decimal digits.
pub type RunBuckets = Buckets<10>;
/// Buckets as fine as two decimal digits, small enough for the first cache.
pub type IntervalBuckets = Buckets<7>;

/// Latencies in nanoseconds, counted. Minimum, maximum and sum are exact.
#[derive(Clone, Debug)]
pub struct Buckets<const BITS: u32> {
    counts: Box<[u64]>,
    min_ns: u64,
    max_ns: u64,
    sum_ns: u128,
    clamped: u64,
}

impl<const BITS: u32> Buckets<BITS> {
    const COUNT: usize = ((VALUE_BITS - BITS + 1) << BITS) as usize;

    /// Empty ones. Memory that no value touches stays unmapped.
    #[must_use]
    pub fn new() -> Self {
        Self {
            counts: vec![0; Self::COUNT].into_boxed_slice(),
            min_ns: u64::MAX,
            max_ns: 0,
            sum_ns: 0,
            clamped: 0,
        }
    }

    /// Counts one latency.
    #[inline]
    pub fn record(&mut self, latency_ns: u64) {
        self.record_many(latency_ns, 1);
    }

    /// Counts a latency that several requests have had.
    #[inline]
    pub fn record_many(&mut self, latency_ns: u64, times: u64) {
        self.min_ns = self.min_ns.min(latency_ns);
        self.max_ns = self.max_ns.max(latency_ns);
        self.sum_ns += u128::from(latency_ns) * u128::from(times);
        match self.counts.get_mut(Self::bucket_of(latency_ns)) {
            Some(count) => *count += times,
            None => self.clamped += times,
        }
    }

    /// Adds every value of `other`.
    pub fn add(&mut self, other: &Self) {
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.sum_ns += other.sum_ns;
        self.clamped += other.clamped;
        for (mine, &theirs) in self.counts.iter_mut().zip(&other.counts) {
            // Writing zeros would make memory resident that no value ever touched.
            if theirs > 0 {
                *mine += theirs;
            }
        }
    }

    /// Values recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.clamped
    }

    /// Values beyond the last bucket.
    #[must_use]
    pub(super) fn clamped(&self) -> u64 {
        self.clamped
    }

    /// Exact smallest value; meaningless when empty.
    #[must_use]
    pub(super) fn min_ns(&self) -> u64 {
        self.min_ns
    }

    /// Exact largest value; `None` when empty.
    #[must_use]
    pub fn max_ns(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max_ns)
    }

    /// Exact sum.
    #[must_use]
    pub fn sum_ns(&self) -> u128 {
        self.sum_ns
    }

    /// Every bucket that holds something: its largest value, and how many values it holds.
    pub fn occupied(&self) -> impl Iterator<Item = (u64, u64)> {
        let occupied = self.counts.iter().enumerate().filter(|&(_, &count)| count > 0);
        occupied.map(|(bucket, &count)| (Self::highest_of(bucket), count))
    }

    /// The largest value of the bucket that `quantile` (0.0 to 1.0) falls in; `None` when empty.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "counts of one second are far below 2^53"
    )]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        let count = self.count();
        let rank = ((count as f64 * quantile).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0;
        for (highest_ns, count) in self.occupied() {
            seen += count;
            if seen >= rank {
                return Some(highest_ns.min(self.max_ns));
            }
        }
        self.max_ns()
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "buckets are numbered in fewer bits")]
    fn bucket_of(latency_ns: u64) -> usize {
        // Setting the lowest bits makes the logarithm of small values that of 2^BITS and changes no other.
        let magnitude = (latency_ns | ((1 << BITS) - 1)).ilog2();
        let shift = magnitude.saturating_sub(BITS);
        let bucket = (u64::from(shift) << BITS) + (latency_ns >> shift);
        bucket as usize
    }

    fn highest_of(bucket: usize) -> u64 {
        let shift = (bucket as u64 >> BITS).saturating_sub(1);
        let mantissa = bucket as u64 - (shift << BITS);
        ((mantissa + 1) << shift) - 1
    }
}

impl<const BITS: u32> Default for Buckets<BITS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Buckets, IntervalBuckets, RunBuckets};
    use crate::record::LatencyHistogram;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_one_another_without_gap() {
        follow::<7>();
        follow::<10>();
    }

    fn follow<const BITS: u32>() {
        for bucket in 0..Buckets::<BITS>::COUNT - 1 {
            let highest = Buckets::<BITS>::highest_of(bucket);
            assert_eq!(
                Buckets::<BITS>::bucket_of(highest),
                bucket,
                "the highest value of bucket {bucket}"
            );
            assert_eq!(
                Buckets::<BITS>::bucket_of(highest + 1),
                bucket + 1,
                "the value after bucket {bucket}"
            );
        }
    }

    #[test]
    fn huge_values_are_counted_and_their_maximum_is_exact() {
        let mut histogram = IntervalBuckets::new();
        histogram.record(u64::MAX);
        assert_eq!((histogram.count(), histogram.max_ns()), (1, Some(u64::MAX)));
    }

    #[test]
    fn an_empty_histogram_has_no_values() {
        let histogram = IntervalBuckets::new();
        assert_eq!((histogram.quantile_ns(0.5), histogram.max_ns()), (None, None));
    }

    proptest! {
        #[test]
        fn run_buckets_are_those_of_an_hdr_histogram_of_three_digits(
            values in prop::collection::vec((0_u32..42).prop_flat_map(|bits| 0_u64..(2 << bits)), 1..300),
        ) {
            let mut buckets = RunBuckets::new();
            let mut histogram = LatencyHistogram::new();
            for &value in &values {
                buckets.record(value);
                histogram.record(value);
            }
            let moved = LatencyHistogram::from(&buckets);
            prop_assert!(moved.buckets() == histogram.buckets(), "bucket by bucket");
            prop_assert_eq!(moved.min_ns(), histogram.min_ns());
            prop_assert_eq!(moved.max_ns(), histogram.max_ns());
            prop_assert_eq!(moved.mean_ns(), histogram.mean_ns());
            prop_assert_eq!(moved.clamped(), histogram.clamped());
        }

        #[test]
        fn a_quantile_is_never_below_the_truth_and_at_most_one_in_128_above(
            mut values in prop::collection::vec(0_u64..3_600_000_000_000, 1..200),
            quantile in 0.0_f64..=1.0,
        ) {
            let mut histogram = IntervalBuckets::new();
            for &value in &values {
                histogram.record(value);
            }
            values.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
            let rank = ((values.len() as f64 * quantile).ceil() as usize).clamp(1, values.len());
            let truth = values[rank - 1];
            let shown = histogram.quantile_ns(quantile).unwrap();
            prop_assert!(shown >= truth && shown <= truth + truth / 128 + 1, "{shown} for {truth}");
        }
    }
}
