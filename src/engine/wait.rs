//! How the completion loop waits: spinning on the ring, or sleeping in the kernel until the next deadline, and how it
//! knows that it came late.

use io_uring::types::{SubmitArgs, Timespec};

use super::LONGEST_SLEEP_NS;
use super::spin::Spin;
use super::uring::Engine;
use crate::core::worker::{Late, Worker};
use crate::machine::sys;
use crate::time::{NANOS_PER_SECOND, Nanos, monotonic};

/// Longest sleep before the common start is known.
const START_SLEEP_NS: u64 = 200_000;

impl Engine<'_> {
    fn is_ready(&mut self) -> bool {
        self.completions.sync();
        !self.completions.is_empty()
    }

    /// Returns when there may be something to reap, or something else to do.
    pub(super) fn wait_for_completions(&mut self, worker: &Worker, started: bool) {
        let overflowed = self.submissions.cq_overflow();
        self.tally.completions_overflowed += u64::from(overflowed);
        if overflowed || self.submissions.taskrun() {
            // Completions are waiting in the kernel for this thread to come and fetch them.
            let _ = self.submitter.submit();
        }
        if self.is_ready() || worker.is_finished() || !self.submissions.is_empty() {
            return;
        }
        let begun = monotonic();
        let longest_ns = if started { LONGEST_SLEEP_NS } else { START_SLEEP_NS };
        let deadline = worker.next_deadline().min(begun.plus(longest_ns));
        let in_flight = worker.requests_in_flight();
        let wait = self.idler.wait(begun, deadline, in_flight, self.large_body_at);
        let mut now = begun;
        if wait.spin_ns > 0 {
            now = self.spin(begun, deadline.min(begun.plus(wait.spin_ns)));
        }
        let wake_up = Nanos(deadline.0.saturating_sub(wait.early_ns));
        if !self.is_ready() && now < wake_up {
            let lay_down = now;
            self.sleep(wake_up.since(now));
            now = monotonic();
            self.idler.slept(now.since(lay_down));
            self.pace.slept(now.since(lay_down));
            // Who overslept was away, and cannot tell since when: what it finds may have come at any time.
            self.late = Late { look_ns: now.since(wake_up), unseen_ns: now.since(lay_down) };
            if self.submissions.taskrun() {
                // A signal ended the sleep, and what came meanwhile still waits to be fetched.
                let _ = self.submitter.submit();
            }
        }
        self.last_look = now;
    }

    /// Watches the ring from user space until there is work or `until` has come.
    fn spin(&mut self, begun: Nanos, until: Nanos) -> Nanos {
        const LOOKS_A_CLOCK_READ: u32 = 16;
        let mut now = begun;
        let mut spin = Spin::begin(begun);
        while now < until {
            for _ in 0..LOOKS_A_CLOCK_READ {
                if self.submissions.taskrun() || self.is_ready() {
                    let found = monotonic();
                    // Between two looks there is next to nothing, unless the core was taken away.
                    self.late = Late::by(found.since(now));
                    spin.end(found);
                    self.spent.add(&spin);
                    let _ = self.submitter.submit();
                    return found;
                }
                std::hint::spin_loop();
            }
            now = monotonic();
            spin.step(now, sys::thread_cpu_ns);
        }
        self.late = Late::by(now.since(until));
        self.spent.add(&spin);
        now
    }

    fn sleep(&self, length_ns: u64) {
        let subsecond = u32::try_from(length_ns % NANOS_PER_SECOND).unwrap_or(0);
        let timeout = Timespec::new().sec(length_ns / NANOS_PER_SECOND).nsec(subsecond);
        // ETIME is the deadline, EINTR a signal: either way the loop goes round.
        let _ = self.submitter.submit_with_args(1, &SubmitArgs::new().timespec(&timeout));
    }
}
