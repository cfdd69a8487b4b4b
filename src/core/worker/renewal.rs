//! One run after the other on the same connections: what a worker forgets in between, and what it keeps.
//!
//! Connections that are open and idle stay so. One whose answer was awaited in vain when the last run ended is closed:
//! that answer could come at any time. So is one that has said something since.

use super::holding::Holding;
use super::open::Open;
use super::presence::Presence;
use super::{Action, Job, Span, Stage, Worker};
use crate::core::conn::State;
use crate::core::record::{Interval, Record};
use crate::core::schedule::Window;
use crate::time::Nanos;

impl Worker {
    /// Gives up whatever is left and returns what was seen.
    #[must_use]
    pub fn take_record(&mut self, now: Nanos) -> (Record, Span) {
        self.finish(now);
        let next = Record::new(self.job.timeline.phases().len(), self.job.open.is_some());
        let mut record = std::mem::replace(&mut self.record, next);
        let connections = &mut record.connections;
        for conn in &self.conns {
            connections.opened += u64::from(conn.was_open);
            connections.used += u64::from(conn.responses > 0);
            let unfinished =
                matches!(conn.state, State::Connecting { .. } | State::Securing { .. });
            connections.unfinished += u64::from(unfinished);
            connections.responses.push(conn.responses);
        }
        record.interim_responses = self.framer.interim_responses() - self.interim_before;
        self.interim_before = self.framer.interim_responses();
        let span = Span { window: self.window, finished: self.last_end };
        (record, span)
    }

    /// Begins another run, of the same kind, with the same target and as many connections; [`Worker::take_record`] has
    /// ended the last one. It is ready once every connection is open again, or its attempt has ended.
    pub fn renew(&mut self, job: Job, now: Nanos) {
        debug_assert!(self.is_finished(), "one run ends before the next begins");
        debug_assert_eq!(job.connections, self.job.connections, "connections stay");
        debug_assert_eq!(job.pipeline, self.job.pipeline, "and so does what they carry");
        debug_assert_eq!(job.open.is_some(), self.job.open.is_some(), "and the kind of loop");
        self.record = Record::prepared(job.timeline.phases().len(), job.open.is_some());
        self.record.connections.asked = u64::from(job.connections);
        self.watch_bad_answers(true);
        self.interval = Interval::new(0);
        self.finished_intervals.clear();
        self.window = Window::unknown(job.slice_ns);
        self.clock = job.timeline.cursor();
        self.last_end = now;
        self.counted_until = now;
        self.quota = job.requests.unwrap_or(u64::MAX);
        self.open_loop = Open::of(&job);
        self.holding = Holding::of(&job);
        self.presence = Presence::new();
        self.looked_late_ns = 0;
        self.shortest_service_ns = u64::MAX;
        self.numbered = 0;
        // What was never handed over has nothing to be stamped any more.
        self.unstamped.clear();
        self.leaving = None;
        // The engine sends the image that it was started with.
        self.job = Job { image: self.job.image.clone(), ..job };
        self.stage = Stage::Opening;
        self.keep_connections();
        self.open_next(now);
        self.settle_stage();
        self.sweep_at = now;
        self.plan_wake();
    }

    /// Closes the connections on which an answer may still come, and those that were being opened, whose time would include
    /// the pause; what is not open then is opened anew.
    fn keep_connections(&mut self) {
        let mut orphans = vec![false; self.conns.len()];
        for index in std::mem::take(&mut self.orphaned) {
            orphans[index as usize] = true;
        }
        for index in 0..self.job.connections {
            let id = self.id(index);
            let conn = &mut self.conns[index as usize];
            let is_orphan = conn.state == State::Open && orphans[index as usize];
            let is_opening =
                matches!(conn.state, State::Connecting { .. } | State::Securing { .. });
            if is_orphan || is_opening {
                self.open -= u32::from(is_orphan);
                conn.renew();
                conn.state = State::Closed;
                self.actions.push(Action::Close(id));
            }
            if let State::Waiting { .. } = conn.state {
                // Its patience begins anew.
                conn.state = State::Closed;
            }
            let is_open = conn.state == State::Open;
            conn.responses = 0;
            conn.offered = false;
            conn.lost_at = Nanos::NEVER;
            conn.missing = false;
            conn.resting = false;
            conn.settled = is_open;
            conn.was_open = is_open;
            self.record.connections.kept += u64::from(is_open);
        }
        let open = self.conns.iter().filter(|conn| conn.state == State::Open).count();
        self.unsettled = self.job.connections - u32::try_from(open).unwrap_or(u32::MAX);
        self.next_to_open = 0;
        self.opening = 0;
    }
}
