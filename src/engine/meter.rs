//! What a worker's thread uses of the machine: CPU time, how much of it was spinning, and time in which it waited for its
//! core.

use super::spin::Spent;
use crate::core::record::ClientTally;
use crate::machine::sys;
use crate::time::Nanos;

/// What the thread had used when a run began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    stopped: bool,
    begun: Nanos,
    cpu_ns: u64,
    spent: Spent,
    delayed_ns: u64,
    involuntary_switches: u64,
}

impl Meter {
    /// Starts counting; the worker has `spent` so much on spinning before.
    pub(super) fn start(now: Nanos, spent: Spent) -> Self {
        Self {
            stopped: false,
            begun: now,
            cpu_ns: sys::thread_cpu_ns(),
            spent,
            delayed_ns: sys::thread_delayed_ns(),
            involuntary_switches: sys::thread_involuntary_switches(),
        }
    }

    /// Writes down what has been used since; only the first call counts.
    pub(super) fn stop(&mut self, tally: &mut ClientTally, now: Nanos, spent: &Spent) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        tally.wall_ns = now.since(self.begun);
        tally.cpu_ns = sys::thread_cpu_ns() - self.cpu_ns;
        spent.tell(&self.spent, tally);
        tally.delayed_ns = sys::thread_delayed_ns().saturating_sub(self.delayed_ns);
        tally.involuntary_switches =
            sys::thread_involuntary_switches().saturating_sub(self.involuntary_switches);
    }
}
