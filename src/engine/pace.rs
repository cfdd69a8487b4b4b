//! Whether a worker was busy or away while it did not look.
//!
//! Owned by one engine. A worker without a schedule may be busy for as long as it has work: with ten thousand
//! connections, a turn of its loop takes tens of milliseconds. A worker that was stopped, or whose core was taken away,
//! neither ran nor slept. Which of the two a long turn was is told by the CPU time of the thread, which is read only
//! then, and now and then in between, so that short interruptions do not add up.

use crate::core::worker::LATE_FROM_NS;
use crate::machine::sys;
use crate::time::Nanos;

/// CPU time is read this often, however short the turns are, in nanoseconds.
const READ_EVERY_NS: u64 = 100_000_000;

/// What the thread had done when its CPU time was last read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    read_at: Nanos,
    cpu_ns: u64,
    /// Time asleep since then, in nanoseconds.
    slept_ns: u64,
}

impl Pace {
    /// Begins now, on the thread that it is about.
    pub(super) fn start(now: Nanos) -> Self {
        Self { read_at: now, cpu_ns: sys::thread_cpu_ns(), slept_ns: 0 }
    }

    /// The thread has slept for so long.
    pub(super) fn slept(&mut self, slept_ns: u64) {
        self.slept_ns += slept_ns;
    }

    /// For how much of a turn of `turn_ns` that ends `now` the thread was away, in nanoseconds; 0 for a short turn.
    #[inline]
    pub(super) fn away_ns(&mut self, turn_ns: u64, now: Nanos) -> u64 {
        let is_long = turn_ns >= LATE_FROM_NS;
        if is_long || now.since(self.read_at) >= READ_EVERY_NS {
            let away_ns = self.read(now);
            return if is_long { away_ns.min(turn_ns) } else { 0 };
        }
        0
    }

    /// For how long the thread neither ran nor slept since the last call, in nanoseconds.
    #[cold]
    fn read(&mut self, now: Nanos) -> u64 {
        let last = std::mem::replace(self, Self::start(now));
        let ran_ns = self.cpu_ns.saturating_sub(last.cpu_ns);
        now.since(last.read_at).saturating_sub(ran_ns + last.slept_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use crate::time::monotonic;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_thread_that_did_not_run_was_away_and_one_that_slept_on_purpose_was_not() {
        let begun = monotonic();
        let mut pace = Pace::start(begun);
        thread::sleep(Duration::from_millis(30));
        let now = monotonic();
        let away_ns = pace.away_ns(now.since(begun), now);
        assert!((25_000_000..=now.since(begun)).contains(&away_ns), "{away_ns}");

        let begun = monotonic();
        thread::sleep(Duration::from_millis(30));
        let now = monotonic();
        pace.slept(now.since(begun));
        assert!(pace.away_ns(now.since(begun), now) < 5_000_000);
    }

    #[test]
    fn a_thread_that_works_is_away_for_no_longer_than_its_core_is() {
        let begun = monotonic();
        let cpu_ns = crate::machine::sys::thread_cpu_ns();
        let mut pace = Pace::start(begun);
        while crate::machine::sys::thread_cpu_ns() - cpu_ns < 30_000_000 {
            std::hint::spin_loop();
        }
        let now = monotonic();
        let turn_ns = now.since(begun);
        assert!(pace.away_ns(turn_ns, now) <= turn_ns - 29_000_000);
    }
}
