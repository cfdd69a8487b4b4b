//! The histograms that a worker records into: HdrHistogram's buckets, in a dozen instructions a value.
//!
//! Values below `2^(BITS + 1)` have a bucket each; above, each doubling has `2^BITS` of them. With 10 bits these are
//! exactly the buckets of an HdrHistogram of three digits from 1 ns on, which is what they are written as: recording a
//! latency there costs more than framing the response, and every response is recorded twice, for the run and for its
//! second. Such a histogram has 264 KiB, of which a run touches few pages. Those of a worker are mapped ahead; the others
//! have memory for what lies between their smallest and their largest value, and no more than that is ever looked at.

use std::ops::Range;

/// Values from 2^42 ns on, more than an hour, have no bucket and are only counted.
const VALUE_BITS: u32 = 42;

/// Buckets as fine as three decimal digits.
pub type RunBuckets = Buckets<10>;
/// Buckets as fine as two decimal digits, small enough for the first cache.
pub type IntervalBuckets = Buckets<7>;

/// Latencies in nanoseconds, counted. Minimum, maximum and sum are exact.
#[derive(Debug)]
pub struct Buckets<const BITS: u32> {
    /// Of all buckets, those from `base` on that have memory.
    counts: Vec<u64>,
    base: usize,
    min_ns: u64,
    max_ns: u64,
    sum_ns: u128,
    clamped: u64,
}

impl<const BITS: u32> Buckets<BITS> {
    const COUNT: usize = ((VALUE_BITS - BITS + 1) << BITS) as usize;

    /// Empty ones, without memory until the first value.
    #[must_use]
    pub fn new() -> Self {
        Self { counts: Vec::new(), base: 0, min_ns: u64::MAX, max_ns: 0, sum_ns: 0, clamped: 0 }
    }

    /// Empty ones that need no more memory. What no value touches stays unmapped.
    #[must_use]
    pub fn prepared() -> Self {
        Self { counts: vec![0; Self::COUNT], ..Self::new() }
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
        match self.counts.get_mut(Self::bucket_of(latency_ns).wrapping_sub(self.base)) {
            Some(count) => *count += times,
            None => self.record_beyond(Self::bucket_of(latency_ns), times),
        }
    }

    /// Counts values of a bucket that has no memory, or does not exist.
    #[cold]
    fn record_beyond(&mut self, bucket: usize, times: u64) {
        /// Neighbors are likely to be wanted next.
        const AT_ONCE: usize = 256;
        if bucket >= Self::COUNT {
            self.clamped += times;
            return;
        }
        let first = bucket / AT_ONCE * AT_ONCE;
        self.cover(first..(first + AT_ONCE).min(Self::COUNT));
        self.counts[bucket - self.base] += times;
    }

    /// Has memory for these buckets, and for those in between.
    fn cover(&mut self, wanted: Range<usize>) {
        let had = self.base..self.base + self.counts.len();
        if self.counts.is_empty() {
            self.counts = vec![0; wanted.len()];
            self.base = wanted.start;
        } else if wanted.start < had.start || wanted.end > had.end {
            let all = wanted.start.min(had.start)..wanted.end.max(had.end);
            let mut counts = vec![0; all.len()];
            counts[had.start - all.start..had.end - all.start].copy_from_slice(&self.counts);
            self.counts = counts;
            self.base = all.start;
        }
    }

    /// The buckets that may hold something; all of them have memory.
    fn touched(&self) -> Range<usize> {
        if self.is_empty() || self.counts.is_empty() {
            return 0..0;
        }
        let end = (Self::bucket_of(self.max_ns) + 1).min(self.base + self.counts.len());
        Self::bucket_of(self.min_ns).min(end)..end
    }

    /// How many values are in each of these buckets, all of which have memory.
    fn counts_of(&self, buckets: Range<usize>) -> &[u64] {
        if buckets.is_empty() {
            return &[];
        }
        &self.counts[buckets.start - self.base..buckets.end - self.base]
    }

    /// Adds every value of `other`.
    pub fn add(&mut self, other: &Self) {
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.sum_ns += other.sum_ns;
        self.clamped += other.clamped;
        let touched = other.touched();
        if touched.is_empty() {
            return;
        }
        self.cover(touched.clone());
        let mine = &mut self.counts[touched.start - self.base..];
        for (mine, &theirs) in mine.iter_mut().zip(other.counts_of(touched)) {
            // Writing zeros would make memory resident that no value ever touched.
            if theirs > 0 {
                *mine += theirs;
            }
        }
    }

    /// Nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.min_ns > self.max_ns
    }

    /// Values recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts_of(self.touched()).iter().sum::<u64>() + self.clamped
    }

    /// Values beyond the last bucket.
    #[must_use]
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// Exact smallest value; `None` when empty.
    #[must_use]
    pub fn min_ns(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.min_ns)
    }

    /// Exact largest value; `None` when empty.
    #[must_use]
    pub fn max_ns(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.max_ns)
    }

    /// Exact sum.
    #[must_use]
    pub fn sum_ns(&self) -> u128 {
        self.sum_ns
    }

    /// Every bucket that holds something: its largest value, and how many values it holds. Values beyond the last one are
    /// in none.
    pub fn occupied(&self) -> impl Iterator<Item = (u64, u64)> {
        let first = self.touched().start;
        let counts = self.counts_of(self.touched()).iter();
        let occupied = counts.enumerate().filter(|&(_, &count)| count > 0);
        occupied.map(move |(bucket, &count)| (Self::highest_of(first + bucket), count))
    }

    /// Values in the buckets up to that of `limit_ns`; all of them when it has none.
    #[must_use]
    pub fn count_up_to(&self, limit_ns: u64) -> u64 {
        let limit = Self::bucket_of(limit_ns);
        if limit >= Self::COUNT {
            return self.count();
        }
        let touched = self.touched();
        let end = touched.end.min(limit.saturating_add(1)).max(touched.start);
        self.counts_of(touched.start..end).iter().sum()
    }

    /// The largest value of the bucket that the value of this rank is in, from 1 on; `u64::MAX` when it is in none.
    #[must_use]
    pub fn at_rank(&self, rank: u64) -> u64 {
        let mut seen = 0;
        let mut occupied = self.occupied();
        let found = occupied.find(|&(_, count)| {
            seen += count;
            seen >= rank
        });
        found.map_or(u64::MAX, |(highest_ns, _)| highest_ns)
    }

    /// The largest value of the bucket that `quantile` (0.0 to 1.0) falls in, never outside the exact extremes, and the
    /// largest of all where there is no bucket; `None` when empty.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "counts are far below 2^53"
    )]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        if self.is_empty() || quantile <= 0.0 {
            return self.min_ns();
        }
        let count = self.count();
        let rank = ((count as f64 * quantile).ceil() as u64).clamp(1, count.max(1));
        Some(self.at_rank(rank).clamp(self.min_ns, self.max_ns))
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

impl<const BITS: u32> Clone for Buckets<BITS> {
    fn clone(&self) -> Self {
        let mut clone = Self::new();
        clone.add(self);
        clone
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
    use crate::core::record::LatencyHistogram;
    use crate::core::record::latency::{DIGITS, HIGHEST_NS, LOWEST_NS};
    use hdrhistogram::Histogram;
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
            values in prop::collection::vec((0_u32..42).prop_flat_map(|bits| 0_u64..(1 << bits)), 1..300),
            quantile in 0.001_f64..=1.0,
        ) {
            let mut histogram = LatencyHistogram::new();
            let mut theirs = Histogram::<u64>::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS).unwrap();
            for &value in &values {
                histogram.record(value);
                theirs.record(value).unwrap();
            }
            prop_assert!(histogram.to_hdr() == theirs, "bucket by bucket");
            let (least, most) = (values.iter().min().unwrap(), values.iter().max().unwrap());
            let quantile_ns = theirs.value_at_quantile(quantile).clamp(*least, *most);
            prop_assert_eq!(histogram.quantile_ns(quantile), Some(quantile_ns));
            prop_assert_eq!(histogram.count_up_to(values[0]), theirs.count_between(0, values[0]));
        }

        #[test]
        fn parts_that_are_copied_and_added_are_the_whole(
            values in prop::collection::vec((0_u32..50).prop_flat_map(|bits| 0_u64..(2 << bits)), 0..300),
            third in 0_u64..3,
        ) {
            let (mut whole, mut parts) = (RunBuckets::new(), [RunBuckets::prepared(), RunBuckets::new()]);
            for &value in &values {
                whole.record(value);
                parts[usize::from(value % 3 == third)].record(value);
            }
            let mut sum = parts[0].clone();
            sum.add(&parts[1]);
            prop_assert!(sum.occupied().eq(whole.occupied()));
            prop_assert_eq!(sum.count(), values.len() as u64);
            let ends = |buckets: &RunBuckets| (buckets.min_ns(), buckets.max_ns(), buckets.sum_ns(), buckets.clamped());
            prop_assert_eq!(ends(&sum), ends(&whole));
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
