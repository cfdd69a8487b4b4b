//! What happened in one slice of a run, by the time at which it happened.

use crate::core::record::buckets::IntervalBuckets;

/// One interval of one worker, or of all after [`Interval::add`].
///
/// Interval `i` is `[i, i + 1)` lengths of an interval on the run's clock, whose zero is the start of the measured
/// window; those of the warm-up are negative.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Which one.
    pub index: i64,
    /// Requests that came into being, by when they were due.
    pub scheduled: u64,
    /// Requests sent.
    pub sent: u64,
    /// Whole responses.
    pub completed: u64,
    /// Whole responses that the expectation accepted.
    pub ok: u64,
    /// Requests that ended otherwise than `ok`.
    pub errors: u64,
    /// Requests in flight at its end.
    pub in_flight: u64,
    /// Requests in flight, integrated over its time, in nanoseconds.
    pub in_flight_ns: u64,
    /// Requests due and not sent at its end.
    pub backlog: u64,
    /// Connections that were lost and could not be opened again by its end; 0 in an open loop, whose requests tell.
    pub missing: u64,
    /// Its end was noticed late by more than its length: the worker was away, and cannot tell what happened when.
    pub unwatched: bool,
    /// Body and head bytes received.
    pub bytes_received: u64,
    /// Response times by when they ended, two digits: whole responses, timeouts when they were given up, and what was
    /// never sent or unanswered at the end of the run at its age then. In a closed loop they count from the send.
    pub latency: IntervalBuckets,
    /// Those of `latency` that are lower bounds, since no response came; `None` without any.
    pub bounds: Option<IntervalBuckets>,
    /// Ages at its end of what is in flight or due; `None` unless it ends a second and somebody wants to know.
    pub waiting: Option<IntervalBuckets>,
}

impl Interval {
    /// An interval in which nothing has happened yet.
    #[must_use]
    pub fn new(index: i64) -> Self {
        Self {
            index,
            scheduled: 0,
            sent: 0,
            completed: 0,
            ok: 0,
            errors: 0,
            in_flight: 0,
            in_flight_ns: 0,
            backlog: 0,
            missing: 0,
            unwatched: false,
            bytes_received: 0,
            latency: IntervalBuckets::new(),
            bounds: None,
            waiting: None,
        }
    }

    /// Counts a request that got no response in `age_ns`, and would have taken longer.
    pub fn give_up(&mut self, age_ns: u64) {
        self.latency.record(age_ns);
        self.bounds.get_or_insert_default().record(age_ns);
    }

    /// Adds the same interval of another worker.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.index, other.index, "only the same slice is added");
        self.in_flight += other.in_flight;
        self.backlog += other.backlog;
        self.missing += other.missing;
        if let Some(waiting) = &other.waiting {
            self.waiting.get_or_insert_default().add(waiting);
        }
        self.accumulate(other);
    }

    /// Adds the interval of all workers that follows this one: what is under way at its end is that at the other's end.
    pub fn extend(&mut self, later: &Self) {
        self.in_flight = later.in_flight;
        self.backlog = later.backlog;
        self.missing = later.missing;
        self.waiting.clone_from(&later.waiting);
        self.accumulate(later);
    }

    fn accumulate(&mut self, other: &Self) {
        self.scheduled += other.scheduled;
        self.sent += other.sent;
        self.completed += other.completed;
        self.ok += other.ok;
        self.errors += other.errors;
        self.in_flight_ns += other.in_flight_ns;
        self.unwatched |= other.unwatched;
        self.bytes_received += other.bytes_received;
        self.latency.add(&other.latency);
        if let Some(bounds) = &other.bounds {
            self.bounds.get_or_insert_default().add(bounds);
        }
    }
}
