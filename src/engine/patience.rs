//! Whether a worker without io_uring spins or sleeps until its next deadline.
//!
//! Its event loop cannot be asked how long it slept, so that somebody else on the core is known by how long the kernel
//! says that the thread waited for it.

use super::idle::{
    CHECK_EVERY_NS, CONTESTED_PERCENT, LONGEST_SPIN_NS, SPIN_UP_TO_IN_FLIGHT, YIELD_FOR_NS,
};
use crate::machine::sys;
use crate::plan::Idle;
use crate::time::Nanos;

/// The idle policy of one worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    strategy: Idle,
    /// Spinning leaves other cores to a target on this host.
    cores_left: bool,
    paced: bool,
    /// What a sleep may be late by.
    early_ns: u64,
    checked: Nanos,
    delayed_ns: u64,
    yield_until: Nanos,
}

impl Patience {
    pub(super) fn new(strategy: Idle, cores_left: bool, paced: bool, early_ns: u64) -> Self {
        let (checked, yield_until) = (Nanos(0), Nanos(0));
        Self { strategy, cores_left, paced, early_ns, checked, delayed_ns: 0, yield_until }
    }

    /// How long before its deadline a sleep should end: in time to spin, where spinning is not given up.
    pub(super) fn early_ns(&self, now: Nanos) -> u64 {
        let may_spin = self.strategy == Idle::Auto && self.cores_left && now >= self.yield_until;
        if self.paced && may_spin { self.early_ns } else { 0 }
    }

    /// Whether to spin from `now` on, rather than to sleep until `deadline`; something last happened at `last_event`.
    pub(super) fn spins(
        &mut self,
        now: Nanos,
        deadline: Nanos,
        (in_flight, last_event): (u64, Nanos),
    ) -> bool {
        match self.strategy {
            Idle::Sleep => false,
            Idle::Spin => true,
            Idle::Auto => {
                let answers_soon = (1..=SPIN_UP_TO_IN_FLIGHT).contains(&in_flight)
                    && now.since(last_event) < LONGEST_SPIN_NS;
                let due_soon = self.paced && deadline.since(now) <= self.early_ns;
                (answers_soon || due_soon) && self.cores_left && !self.is_contested(now)
            }
        }
    }

    fn is_contested(&mut self, now: Nanos) -> bool {
        if now < self.yield_until {
            return true;
        }
        let wall_ns = now.since(self.checked);
        if wall_ns < CHECK_EVERY_NS {
            return false;
        }
        let delayed_ns = sys::thread_delayed_ns();
        let waited_ns = delayed_ns.saturating_sub(self.delayed_ns);
        // The first look, and one after a long time, only tell what there was before.
        let fresh = wall_ns < 2 * CHECK_EVERY_NS;
        (self.checked, self.delayed_ns) = (now, delayed_ns);
        let contested = fresh && waited_ns * 100 > wall_ns * CONTESTED_PERCENT;
        if contested {
            self.yield_until = now.plus(YIELD_FOR_NS);
        }
        contested
    }
}
