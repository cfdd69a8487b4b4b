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
/// How often a spinning worker asks whether somebody else got its core.
const CHECK_EVERY_NS: u64 = 20_000_000;
/// From this share of the time on, in percent, the core counts as contested. Threads of the kernel take less.
const CONTESTED_PERCENT: u64 = 15;
/// How long spinning is then given up.
const YIELD_FOR_NS: u64 = 200_000_000;

/// The idle policy of one worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idler {
    strategy: Idle,
    /// Spinning leaves other cores to a target on this host.
    cores_left: bool,
    slept_ns: u64,
    last_check: Option<Check>,
    yield_until: Nanos,
}

/// What was known of the worker's time at one instant.
#[derive(Clone, Copy, Debug)]
struct Check {
    at: Nanos,
    cpu_ns: u64,
    slept_ns: u64,
}

impl Idler {
    pub(super) fn new(strategy: Idle, cores_left: bool) -> Self {
        Self { strategy, cores_left, slept_ns: 0, last_check: None, yield_until: Nanos(0) }
    }

    /// How long to spin before sleeping; 0 to sleep at once.
    pub(super) fn spin_ns(&mut self, now: Nanos, in_flight: u64) -> u64 {
        match self.strategy {
            Idle::Sleep => 0,
            Idle::Spin => u64::MAX,
            Idle::Auto => {
                let useful = self.cores_left && (1..=SPIN_UP_TO_IN_FLIGHT).contains(&in_flight);
                if useful && !self.is_contested(now) { LONGEST_SPIN_NS } else { 0 }
            }
        }
    }

    /// The worker slept of its own will.
    pub(super) fn slept(&mut self, length_ns: u64) {
        self.slept_ns += length_ns;
    }

    /// Time in which the worker neither slept nor ran was taken from it by somebody else on its core.
    fn is_contested(&mut self, now: Nanos) -> bool {
        if now < self.yield_until {
            return true;
        }
        let Some(last) = self.last_check else {
            self.check(now);
            return false;
        };
        let wall_ns = now.since(last.at);
        if wall_ns < CHECK_EVERY_NS {
            return false;
        }
        let check = self.check(now);
        let own_ns = check.cpu_ns - last.cpu_ns + check.slept_ns - last.slept_ns;
        let contested = wall_ns.saturating_sub(own_ns) * 100 > wall_ns * CONTESTED_PERCENT;
        if contested {
            self.yield_until = now.plus(YIELD_FOR_NS);
            // What happens while spinning is given up says nothing about spinning.
            self.last_check = None;
        }
        contested
    }

    fn check(&mut self, now: Nanos) -> Check {
        let check = Check { at: now, cpu_ns: sys::thread_cpu_ns(), slept_ns: self.slept_ns };
        self.last_check = Some(check);
        check
    }
}
