//! When a pipeline is refilled.
//!
//! Half a pipeline at a time costs a fifth less CPU time than one request at a time, and the pipeline never runs dry. But
//! there are servers that send no more before the client has said something: those that wait for an acknowledgement, which
//! the client's kernel puts off for 40 ms unless a request carries it, and those that wait for a full batch. So requests are
//! held back only while answers keep coming, and a connection on which that was in vain is refilled at once for 64 answers,
//! each time for twice as many.

use super::{Job, Worker};
use crate::time::Nanos;

/// For how long requests are held back after the last answer, in nanoseconds.
const PATIENCE_NS: u64 = 5_000_000;
/// All connections are looked through no more often than this, in nanoseconds.
const LOOK_EVERY_NS: u64 = 250_000;
/// Answers for which a connection is refilled at once after it was held back in vain.
const EAGER_FOR: u64 = 64;

/// What is held back on the connections of one worker.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    /// Send only when there is room for this many requests; 0 where nothing is held back.
    least: u32,
    holds: Vec<Hold>,
    /// When the first of them may have waited in vain.
    pub(super) look_at: Nanos,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    /// The last answer since which requests are held back; `NEVER` while none are.
    since: Nanos,
    /// How many answers had come then.
    answered: u64,
    /// Refill at once until this many answers have come.
    eager_until: u64,
    eager_for: u64,
}

impl Hold {
    const NEW: Self =
        Self { since: Nanos::NEVER, answered: 0, eager_until: 0, eager_for: EAGER_FOR };
}

impl Holding {
    pub(super) fn of(job: &Job) -> Self {
        // What takes several sends to fill is filled at once: the end of the last one is no answer to wait for.
        let whole = job.image.most() >= job.pipeline && job.security.is_none();
        let held = job.pipeline > 1 && job.open.is_none() && whole;
        Self {
            least: if held { job.pipeline.div_ceil(2) } else { 0 },
            holds: vec![Hold::NEW; if held { job.connections as usize } else { 0 }],
            look_at: Nanos::NEVER,
        }
    }

    /// Whether a connection with so much room, on which so many answers have come, is to wait for more of them.
    #[inline]
    pub(super) fn holds_back(&mut self, now: Nanos, index: u32, room: u32, answered: u64) -> bool {
        if self.least == 0 {
            return false;
        }
        let hold = &mut self.holds[index as usize];
        if room >= self.least || room == 0 {
            // Answers have come in time: the next failure is the first one again.
            hold.eager_for = if hold.since == Nanos::NEVER { hold.eager_for } else { EAGER_FOR };
            hold.since = Nanos::NEVER;
            return false;
        }
        if answered <= hold.eager_until {
            return false;
        }
        if hold.since == Nanos::NEVER || hold.answered != answered {
            // More of an answer in progress is none yet.
            (hold.since, hold.answered) = (now, answered);
            self.look_at = self.look_at.min(now.plus(PATIENCE_NS));
        }
        true
    }

    /// Another connection takes the place of this one.
    pub(super) fn forget(&mut self, index: u32) {
        if let Some(hold) = self.holds.get_mut(index as usize) {
            *hold = Hold::NEW;
        }
    }

    /// The next connection from `index` on that was held back in vain, which is refilled at once for some answers now.
    fn give_way(&mut self, now: Nanos, index: u32) -> Option<u32> {
        for (index, hold) in (index..).zip(&mut self.holds[index as usize..]) {
            if hold.since == Nanos::NEVER {
                continue;
            }
            let until = hold.since.plus(PATIENCE_NS);
            if until <= now {
                hold.since = Nanos::NEVER;
                hold.eager_until = hold.answered.saturating_add(hold.eager_for);
                hold.eager_for = hold.eager_for.saturating_mul(2);
                return Some(index);
            }
            self.look_at = self.look_at.min(until);
        }
        None
    }
}

impl Worker {
    /// Sends what was held back for answers that do not come.
    pub(super) fn stop_holding_back(&mut self, now: Nanos) {
        if now < self.holding.look_at {
            return;
        }
        self.holding.look_at = Nanos::NEVER;
        let mut next = 0;
        while let Some(index) = self.holding.give_way(now, next) {
            self.refill(now, index);
            next = index + 1;
        }
        self.holding.look_at = self.holding.look_at.max(now.plus(LOOK_EVERY_NS));
    }
}
