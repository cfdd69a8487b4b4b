//! What a run looked like slice by slice, in bounded memory.

use super::packed::PackedBuckets;

/// More slices than this are merged in pairs.
const MOST_SLICES: usize = 256;

/// What has no answer yet.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// Sum of the ages, in nanoseconds.
    pub sum_ns: u128,
    /// The largest.
    pub max_ns: u64,
    /// Ages by bucket: each is the least that a response will take.
    pub ages: PackedBuckets,
}

/// What happened in one slice of time, and how long the answers took that came in it.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Requests that came due.
    pub scheduled: u64,
    /// Requests sent.
    pub sent: u64,
    /// Whole responses.
    pub completed: u64,
    /// Good ones.
    pub ok: u64,
    /// Requests that ended otherwise than well.
    pub errors: u64,
    /// Requests due and unanswered at its end.
    pub outstanding: u64,
    /// Requests in flight, integrated over its time, in nanoseconds.
    pub in_flight_ns: u64,
    /// Those of them that were not sent.
    pub backlog: u64,
    /// Connections that were lost and could not be opened again by its end.
    pub missing: u64,
    /// The client was away, and cannot tell what happened in it.
    pub unwatched: bool,
    /// Sum of the latencies, in nanoseconds.
    pub sum_ns: u128,
    /// The largest.
    pub max_ns: u64,
    /// Latencies by bucket: whole responses, and what was given up without one, at its age then.
    pub latency: PackedBuckets,
    /// Those of `latency` that are ages without a response: lower bounds.
    pub bounds: PackedBuckets,
    /// What waits at its end, where somebody wants to know.
    pub waiting: Waiting,
}

impl Slice {
    /// Latencies in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        total(&self.latency)
    }

    /// The largest value of the bucket that `quantile` (0.0 to 1.0) falls in; `None` when it is empty.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank is a positive number below 2^53"
    )]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        self.value_at_rank(((self.count() as f64 * quantile).ceil() as u64).max(1))
    }

    /// The largest value of the bucket that holds the `rank`-th smallest; `None` when there are fewer.
    #[must_use]
    pub fn value_at_rank(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        self.latency.iter().find_map(|(highest_ns, count)| {
            seen += count;
            (seen >= rank).then_some(highest_ns.min(self.max_ns))
        })
    }

    /// Latencies in it that are those of whole responses.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.count() - total(&self.bounds)
    }

    /// The largest value of the bucket that holds the `rank`-th smallest latency of a whole response; `None` when there
    /// are fewer.
    #[must_use]
    pub fn answered_at_rank(&self, rank: u64) -> Option<u64> {
        let mut bounds = self.bounds.iter().peekable();
        let mut seen = 0;
        self.latency.iter().find_map(|(highest_ns, count)| {
            let bounds = bounds.next_if(|bound| bound.0 == highest_ns).map_or(0, |bound| bound.1);
            seen += count - bounds;
            (seen >= rank).then_some(highest_ns.min(self.max_ns))
        })
    }

    /// The largest value of the bucket that holds the `rank`-th smallest, ages of what waits included, or the largest of
    /// all when there are fewer.
    #[must_use]
    pub fn bound_at_rank(&self, rank: u64) -> u64 {
        let most_ns = self.max_ns.max(self.waiting.max_ns);
        let all = self.latency.and(&self.waiting.ages);
        let mut seen = 0;
        let found = all.iter().find_map(|(highest_ns, count)| {
            seen += count;
            (seen >= rank).then_some(highest_ns)
        });
        found.map_or(most_ns, |highest_ns| highest_ns.min(most_ns))
    }

    /// Requests that wait at its end, where that is known.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        total(&self.waiting.ages)
    }

    /// Requests that failed without a whole response, and not by giving up: they have no latency.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.unanswered().saturating_sub(total(&self.bounds))
    }

    /// Requests that ended without a whole response.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.errors.saturating_sub(self.completed.saturating_sub(self.ok))
    }

    /// Latencies in buckets that lie wholly above `limit_ns`' own.
    #[must_use]
    pub fn above(&self, limit_ns: u64) -> u64 {
        // The bucket that holds the limit is the first whose largest value reaches it.
        let mut beyond = self.latency.iter().skip_while(|&(highest_ns, _)| highest_ns < limit_ns);
        let first = beyond.next().filter(|&(highest_ns, _)| !is_same_bucket(highest_ns, limit_ns));
        first.into_iter().chain(beyond).map(|(_, count)| count).sum()
    }

    /// Adds the slice that follows.
    pub fn extend(&mut self, later: &Self) {
        self.scheduled += later.scheduled;
        self.sent += later.sent;
        self.completed += later.completed;
        self.ok += later.ok;
        self.errors += later.errors;
        self.in_flight_ns += later.in_flight_ns;
        self.outstanding = later.outstanding;
        self.backlog = later.backlog;
        self.missing = later.missing;
        self.unwatched |= later.unwatched;
        self.sum_ns += later.sum_ns;
        self.max_ns = self.max_ns.max(later.max_ns);
        self.latency = self.latency.and(&later.latency);
        self.bounds = self.bounds.and(&later.bounds);
        self.waiting.clone_from(&later.waiting);
    }
}

fn total(buckets: &PackedBuckets) -> u64 {
    buckets.iter().map(|(_, count)| count).sum()
}

/// Buckets are at most a 64th of their value wide: whether both values may be in one.
fn is_same_bucket(highest_ns: u64, value_ns: u64) -> bool {
    highest_ns - value_ns <= value_ns / 64
}

/// Slices of equal length, from the start of the measured window on.
#[derive(Clone, Debug)]
pub struct Series {
    slice_ns: u64,
    slices: Vec<Slice>,
    /// Slices of the original length in one of now, and in the last so far.
    merged: u64,
    in_last: u64,
}

impl Series {
    /// An empty one with slices of this length.
    #[must_use]
    pub fn new(slice_ns: u64) -> Self {
        Self { slice_ns, slices: Vec::new(), merged: 1, in_last: 1 }
    }

    /// Adds the next slice, of the length that the series was made with.
    pub fn push(&mut self, slice: Slice) {
        if self.in_last < self.merged
            && let Some(last) = self.slices.last_mut()
        {
            last.extend(&slice);
            self.in_last += 1;
            return;
        }
        if self.slices.len() == MOST_SLICES {
            self.merge_pairs();
        }
        self.slices.push(slice);
        self.in_last = 1;
    }

    fn merge_pairs(&mut self) {
        // One pair after the other, so that both lengths never take up memory at once.
        let mut shorter = std::mem::take(&mut self.slices).into_iter();
        while let Some(mut merged) = shorter.next() {
            shorter.next().iter().for_each(|later| merged.extend(later));
            self.slices.push(merged);
        }
        self.slice_ns *= 2;
        self.merged *= 2;
    }

    /// Length of a slice, in nanoseconds.
    #[must_use]
    pub fn slice_ns(&self) -> u64 {
        self.slice_ns
    }

    /// All of them.
    #[must_use]
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// Those that lie wholly between two instants, in nanoseconds since the first one's start.
    #[must_use]
    pub fn between(&self, from_ns: u64, to_ns: u64) -> &[Slice] {
        let bound = |number: u64| {
            usize::try_from(number).map_or(self.slices.len(), |n| n.min(self.slices.len()))
        };
        let first = bound(from_ns.div_ceil(self.slice_ns));
        let end = bound(to_ns / self.slice_ns).max(first);
        &self.slices[first..end]
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_SLICES, Series, Slice};

    fn slice(value: u64) -> Slice {
        Slice {
            completed: 1,
            outstanding: value,
            latency: [(value, 1)].into_iter().collect(),
            ..Slice::default()
        }
    }

    #[test]
    fn a_long_series_is_merged_in_pairs_and_loses_nothing() {
        let mut series = Series::new(10);
        let pushed = 5 * MOST_SLICES as u64 + 3;
        for value in 0..pushed {
            series.push(slice(1000 + value % 7));
        }
        assert!(series.slices().len() <= MOST_SLICES);
        assert_eq!(series.slice_ns(), 10 * 8);
        assert_eq!(series.slices().iter().map(|slice| slice.completed).sum::<u64>(), pushed);
        assert_eq!(series.slices().iter().map(Slice::count).sum::<u64>(), pushed);
        assert_eq!(series.slices()[0].outstanding, 1000);
    }

    #[test]
    fn only_whole_slices_are_between_two_instants() {
        let mut series = Series::new(10);
        (0..10).for_each(|value| series.push(slice(value)));
        let between = |from, to| series.between(from, to).len();
        assert_eq!(
            (between(0, 100), between(5, 35), between(0, 9), between(90, 1000)),
            (10, 2, 0, 1)
        );
        assert_eq!(between(50, 20), 0);
    }

    #[test]
    fn what_shares_a_bucket_with_the_limit_is_not_above_it() {
        let slice = Slice {
            latency: [(999_423, 5), (1_007_615, 3), (2_000_000, 2)].into_iter().collect(),
            ..Slice::default()
        };
        assert_eq!(slice.above(1_000_500), 2);
        assert_eq!(slice.above(999_423), 5);
        assert_eq!((slice.above(0), slice.above(3_000_000)), (10, 0));
    }
}
