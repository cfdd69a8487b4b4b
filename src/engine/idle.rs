//! Whether a worker with nothing to do spins or sleeps.
//!
//! Waking a sleeping core costs tens of microseconds, which everyone then prints as latency of the server. Spinning
//! takes that out, but burns a core, and is worse than useless when somebody else needs the very same core.

use crate::plan::Idle;
use crate::sys;
use crate::time::Nanos;

/// With more requests in flight than this, answers come so often that waking up is no part of the latency, while
/// sleeping gathers them into batches that cost less.
const SPIN_UP_TO_IN_FLIGHT: u64 = 8;
/// `auto` spins no longer than this in one wait: slower answers are not changed much by a wake-up.
const LONGEST_SPIN_NS: u64 = 1_000_000;
/// How often a spinning worker asks whether somebody else wants its core.
const CHECK_EVERY_NS: u64 = 10_000_000;
/// Switches forced upon the worker between two checks from which the core counts as contested.
const CONTESTED_SWITCHES: u64 = 3;
/// How long spinning is then given up.
const YIELD_FOR_NS: u64 = 1_000_000_000;

/// The idle policy of one worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idler {
    strategy: Idle,
    /// Nothing else is known to need this worker's core.
    core_to_itself: bool,
    next_check: Nanos,
    switches: u64,
    yield_until: Nanos,
}

impl Idler {
    pub(super) fn new(strategy: Idle, core_to_itself: bool) -> Self {
        Self { strategy, core_to_itself, next_check: Nanos(0), switches: 0, yield_until: Nanos(0) }
    }

    /// How long to spin before sleeping; 0 to sleep at once.
    pub(super) fn spin_ns(&mut self, now: Nanos, in_flight: u64) -> u64 {
        match self.strategy {
            Idle::Sleep => 0,
            Idle::Spin => u64::MAX,
            Idle::Auto => {
                let useful = self.core_to_itself && (1..=SPIN_UP_TO_IN_FLIGHT).contains(&in_flight);
                if useful && !self.is_contested(now) { LONGEST_SPIN_NS } else { 0 }
            }
        }
    }

    fn is_contested(&mut self, now: Nanos) -> bool {
        if now < self.yield_until {
            return true;
        }
        if now >= self.next_check {
            let switches = sys::thread_usage().involuntary_switches;
            let forced = switches - self.switches;
            let first = self.next_check == Nanos(0);
            self.switches = switches;
            self.next_check = now.plus(CHECK_EVERY_NS);
            if !first && forced >= CONTESTED_SWITCHES {
                self.yield_until = now.plus(YIELD_FOR_NS);
                // What is counted while sleeping says nothing about spinning.
                self.next_check = Nanos(0);
                return true;
            }
        }
        false
    }
}
