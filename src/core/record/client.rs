//! What a worker's engine knows of its own work.
//!
//! Owned by one engine while it runs, added up after the join. It must not know what the work was for.

use super::buckets::IntervalBuckets;
use crate::time::Nanos;

/// What the worker's engine knows of its own work.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientTally {
    /// CPU time of the thread, in nanoseconds.
    pub cpu_ns: u64,
    /// Wall time from the run's start to its end, in nanoseconds.
    pub wall_ns: u64,
    /// Time in which the thread was ready to run and had to wait for its core, in nanoseconds.
    pub delayed_ns: u64,
    /// Wall time spent spinning without work, in nanoseconds; the thread may have been off its core for some of it.
    pub spin_ns: u64,
    /// CPU time spent spinning without work, in nanoseconds: part of `cpu_ns`.
    pub spin_cpu_ns: u64,
    /// Longest time that one submission of sends took: how early a send stamp can be, in nanoseconds.
    pub stamp_skew_ns: u64,
    /// Longest time for which the worker was busy and did not look for completions, in nanoseconds.
    pub receive_slack_ns: u64,
    /// Longest time by which a look at the ring came later than it should have, in nanoseconds.
    pub late_ns: u64,
    /// When that was.
    pub late_at: Nanos,
    /// Time by which it looked too late in all, in pieces long enough to be charged to the client, in nanoseconds. Without a
    /// schedule, only for having been away.
    pub away_ns: u64,
    /// Times that the thread was taken from its core by somebody else.
    pub involuntary_switches: u64,
    /// Times that the kernel found no receive buffer.
    pub buffers_exhausted: u64,
    /// Turns in which the completion queue had overflowed into the kernel's memory.
    pub completions_overflowed: u64,
    /// Completions that the kernel could not even keep there: what they would have told is lost.
    pub completions_lost: u64,
}

impl ClientTally {
    /// A look at the ring came `late_ns` later than it should have.
    #[inline]
    pub fn late(&mut self, late_ns: u64, now: Nanos) {
        if late_ns > self.late_ns {
            self.late_ns = late_ns;
            self.late_at = now;
        }
    }

    /// Adds another worker: times add up, extremes are kept.
    pub fn add(&mut self, other: &Self) {
        self.cpu_ns += other.cpu_ns;
        self.wall_ns += other.wall_ns;
        self.delayed_ns += other.delayed_ns;
        self.spin_ns += other.spin_ns;
        self.spin_cpu_ns += other.spin_cpu_ns;
        self.stamp_skew_ns = self.stamp_skew_ns.max(other.stamp_skew_ns);
        self.receive_slack_ns = self.receive_slack_ns.max(other.receive_slack_ns);
        self.late(other.late_ns, other.late_at);
        self.away_ns += other.away_ns;
        self.involuntary_switches += other.involuntary_switches;
        self.buffers_exhausted += other.buffers_exhausted;
        self.completions_overflowed += other.completions_overflowed;
        self.completions_lost += other.completions_lost;
    }
}

/// How long the turns of a worker's loop took, without the waiting, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    lengths: IntervalBuckets,
}

impl Turns {
    /// Counts a turn.
    #[inline]
    pub fn record(&mut self, length_ns: u64) {
        self.lengths.record(length_ns);
    }

    /// Adds the turns of another worker.
    pub fn add(&mut self, other: &Self) {
        self.lengths.add(&other.lengths);
    }

    /// The length that `quantile` of the turns did not exceed; `None` without any.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        self.lengths.quantile_ns(quantile)
    }
}
