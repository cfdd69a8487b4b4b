//! How long what is unanswered has waited so far: the ages of requests that are in flight or due, once a second.
//!
//! Only for conditions that are looked at while a run goes on: silence is seen before it ends in timeouts. Each age is a
//! lower bound of a response time. Looking takes one pass over the connections, and nothing for each request.

use super::Worker;
use crate::core::record::buckets::IntervalBuckets;
use crate::time::{NANOS_PER_SECOND, Nanos};

impl Worker {
    /// The interval that is being closed at `end` learns what waits then, when it is the last of its second and somebody
    /// wants to know.
    pub(super) fn note_waiting(&mut self, end: Nanos) {
        if !self.job.tells_waiting {
            return;
        }
        if let Some(open) = &mut self.open_loop {
            open.remember_due(end);
        }
        let each_second = i64::try_from(NANOS_PER_SECOND / self.job.slice_ns).unwrap_or(1).max(1);
        if (self.interval.index + 1).rem_euclid(each_second) == 0 {
            self.interval.waiting = Some(self.waiting(end));
        }
    }

    /// Ages at `now` of what is in flight and of what is due, by the clock of the response time.
    fn waiting(&self, now: Nanos) -> IntervalBuckets {
        let mut ages = IntervalBuckets::new();
        let is_open = self.open_loop.is_some();
        for (index, conn) in (0..self.job.connections).zip(&self.conns) {
            for flight in self.flights.of(conn, index) {
                let since = if is_open { flight.intended } else { flight.sent };
                ages.record(now.since(since));
            }
        }
        if let Some(open) = &self.open_loop {
            open.backlog_ages(now, |age_ns, count| ages.record_many(age_ns, count));
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use crate::core::worker::Job;
    use crate::core::worker::open_tests::paced;
    use crate::core::worker::tests::{MILLISECOND, SECOND, job, only, run};
    use crate::engine::sim::{Deed, Outcome};

    /// How many waited at the end of each whole second, and the longest, in milliseconds.
    fn waiting(outcome: &Outcome) -> Vec<(u64, u64)> {
        let told = outcome.intervals.iter().filter_map(|interval| interval.waiting.as_ref());
        told.map(|ages| (ages.count(), ages.max_ns().unwrap_or(0) / MILLISECOND)).collect()
    }

    #[test]
    fn what_a_silent_server_has_in_flight_ages_second_by_second() {
        let mut silent = Job { tells_waiting: true, slice_ns: SECOND / 10, ..job() };
        silent.duration_ns = Some(3 * SECOND);
        silent.timeouts.request_ns = 10 * SECOND;
        let outcome = run(silent.clone(), &only(Deed::Ignore));
        assert_eq!(waiting(&outcome)[..3], [(4, 1000), (4, 2000), (4, 3000)]);
        let untold = run(Job { tells_waiting: false, ..silent }, &only(Deed::Ignore));
        assert_eq!(waiting(&untold), []);
    }

    #[test]
    fn what_is_due_and_not_sent_waits_too() {
        let mut silent = Job { tells_waiting: true, ..paced("3s@100", 0) };
        silent.timeouts.drain_ns = 0;
        let outcome = run(silent, &only(Deed::Ignore));
        let waiting = waiting(&outcome);
        // The first request is the oldest of all; it is one of the four in flight.
        assert_eq!(waiting[..3], [(100, 1000), (200, 2000), (300, 3000)]);
        // The ages of what is due are those of the slice that it came due in, which is the least that it has waited.
        let second = outcome.intervals.iter().find(|interval| interval.index == 19).unwrap();
        let ages = second.waiting.as_ref().unwrap();
        let median_ms = ages.quantile_ns(0.5).unwrap() / MILLISECOND;
        assert!((895..=1010).contains(&median_ms), "{median_ms}");
    }
}
