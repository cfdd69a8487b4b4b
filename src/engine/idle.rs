//! Whether a worker with nothing to do spins or sleeps.
//!
//! Waking a sleeping core costs tens of microseconds, which everyone then prints as latency of the server. Spinning
//! takes that out, but burns a core, and is worse than useless when somebody else needs the very same core.

use crate::machine::sys;
use crate::plan::Idle;
use crate::time::Nanos;

/// With more requests in flight than this, answers come so often that waking up is no part of the latency, while
/// sleeping gathers them into batches that cost less.
pub(super) const SPIN_UP_TO_IN_FLIGHT: u64 = 8;
/// A body with so many bytes to be discarded comes in pieces so often that each would find this core asleep again. A sender
/// on this host would wake it up for each of them, and could do half of what it can.
pub(super) const LARGE_BODY_BYTES: u64 = 256 * 1024;
/// Waking up takes less than this on most machines: a paced worker gets up so long before it has to send.
const GET_UP_EARLY_NS: u64 = 100_000;
/// `auto` spins no longer than this in one wait: slower answers are not changed much by a wake-up.
pub(super) const LONGEST_SPIN_NS: u64 = 1_000_000;
/// How often a spinning worker asks whether somebody else got its core.
pub(super) const CHECK_EVERY_NS: u64 = 20_000_000;
/// From this share of the time on, in percent, the core counts as contested. Threads of the kernel take less.
pub(super) const CONTESTED_PERCENT: u64 = 15;
/// How long spinning is then given up.
pub(super) const YIELD_FOR_NS: u64 = 200_000_000;

/// How to wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Spin for so long first; 0 to sleep at once.
    pub(super) spin_ns: u64,
    /// Sleep no longer than to so long before the deadline.
    pub(super) early_ns: u64,
}

/// The idle policy of one worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idler {
    strategy: Idle,
    /// Requests come by a schedule.
    paced: bool,
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
    pub(super) fn new(strategy: Idle, cores_left: bool, paced: bool) -> Self {
        Self { strategy, paced, cores_left, slept_ns: 0, last_check: None, yield_until: Nanos(0) }
    }

    /// How to wait from `now` to `deadline` with so many requests in flight, when a large body was last asked for.
    pub(super) fn wait(
        &mut self,
        now: Nanos,
        deadline: Nanos,
        in_flight: u64,
        large_body_at: Nanos,
    ) -> Wait {
        const SLEEP: Wait = Wait { spin_ns: 0, early_ns: 0 };
        match self.strategy {
            Idle::Sleep => SLEEP,
            Idle::Spin => Wait { spin_ns: u64::MAX, early_ns: 0 },
            Idle::Auto => {
                if !self.cores_left || self.is_contested(now) {
                    return SLEEP;
                }
                let answers_soon = (1..=SPIN_UP_TO_IN_FLIGHT).contains(&in_flight)
                    || (in_flight > 0 && now.since(large_body_at) < LONGEST_SPIN_NS);
                let due_soon = self.paced && deadline.since(now) <= GET_UP_EARLY_NS;
                Wait {
                    spin_ns: if answers_soon || due_soon { LONGEST_SPIN_NS } else { 0 },
                    early_ns: if self.paced { GET_UP_EARLY_NS } else { 0 },
                }
            }
        }
    }

    /// What comes next has nothing to do with what was before.
    pub(super) fn forget(&mut self) {
        self.last_check = None;
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

#[cfg(test)]
mod tests {
    use super::{Idler, LONGEST_SPIN_NS};
    use crate::plan::Idle;
    use crate::time::{Nanos, monotonic};

    /// For how long a worker spins with so many requests in flight, when a large body was asked for so long ago.
    fn spins_ns(in_flight: u64, large_body_before_ns: u64) -> u64 {
        let now = monotonic();
        let large_body_at = Nanos(now.0.saturating_sub(large_body_before_ns));
        let mut idler = Idler::new(Idle::Auto, true, false);
        idler.wait(now, now.plus(20_000_000), in_flight, large_body_at).spin_ns
    }

    #[test]
    fn few_requests_in_flight_are_awaited_awake_and_many_asleep() {
        let long_ago_ns = u64::MAX;
        assert_eq!([1, 8].map(|few| spins_ns(few, long_ago_ns)), [LONGEST_SPIN_NS; 2]);
        assert_eq!([0, 9, 1000].map(|none_or_many| spins_ns(none_or_many, long_ago_ns)), [0; 3]);
    }

    #[test]
    fn pieces_of_large_bodies_are_awaited_awake_however_many_there_are() {
        assert_eq!(spins_ns(64, 40_000), LONGEST_SPIN_NS);
        assert_eq!(spins_ns(64, LONGEST_SPIN_NS), 0, "they come too slowly");
        assert_eq!(spins_ns(0, 40_000), 0, "nothing is awaited any more");
    }
}
