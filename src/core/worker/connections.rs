//! What happens to connections: opened, lost, opened again after a while, looked through for what has waited too long.

use super::{Action, Event, Stage, Worker};
use crate::core::conn::{ConnId, Receiving, State};
use crate::core::failure::{Failure, Kind, Phase as FailurePhase};
use crate::core::http1::StreamEnd;
use crate::core::record::Outcome;
use crate::time::Nanos;

/// Connections that are opened at the same time before the run starts: more would overrun the target's accept queue,
/// and what is dropped there comes back a second later.
const OPENED_AT_ONCE: u32 = 128;
/// The first back-off after a fruitless attempt; it doubles with each further one.
const SHORTEST_BACKOFF_NS: u64 = 1_000_000;
/// No back-off is longer.
const LONGEST_BACKOFF_NS: u64 = 1_000_000_000;
/// Connections are looked through at most this often: what has waited too long is late by no more.
const SWEEP_EVERY_NS: u64 = 250_000;

impl Worker {
    /// Starts first attempts while fewer than [`OPENED_AT_ONCE`] are under way.
    pub(super) fn open_next(&mut self, now: Nanos) {
        while self.next_to_open < self.job.connections && self.opening < OPENED_AT_ONCE {
            let index = self.next_to_open;
            self.next_to_open += 1;
            let conn = &self.conns[index as usize];
            // Of a run that goes on with the connections of another, most are open.
            if !conn.settled && conn.state == State::Closed {
                self.opening += 1;
                self.connect(now, index);
            }
        }
    }

    /// Once every first attempt has ended, the worker is ready.
    pub(super) fn settle_stage(&mut self) {
        if self.stage == Stage::Opening && self.unsettled == 0 {
            self.stage = Stage::Ready;
        }
    }

    fn connect(&mut self, now: Nanos, index: u32) {
        let conn = &mut self.conns[index as usize];
        conn.state = State::Connecting { since: now };
        self.presence.resting -= u32::from(std::mem::take(&mut conn.resting));
        self.sweep_by(now.plus(self.job.timeouts.connect_ns));
        self.actions.push(Action::Connect(self.id(index)));
    }

    /// Tells when a connect is about to be handed to the kernel, after its socket and those before it were made: the time to
    /// open and the connect timeout count from here.
    pub fn connecting(&mut self, now: Nanos, id: ConnId) {
        if !self.is_current(id) {
            return;
        }
        if let State::Connecting { since } = &mut self.conns[id.index as usize].state {
            *since = now;
        }
    }

    /// The first attempt of a connection has ended, one way or the other.
    fn settle(&mut self, now: Nanos, index: u32) {
        let conn = &mut self.conns[index as usize];
        if !conn.settled {
            conn.settled = true;
            self.unsettled -= 1;
            self.opening -= 1;
            self.open_next(now);
            self.settle_stage();
            self.plan_wake();
        }
    }

    pub(super) fn on_rare_event(&mut self, now: Nanos, event: Event<'_>) {
        let (Event::Connected(id)
        | Event::SentPart(id, _)
        | Event::Sent(id, _)
        | Event::Transmitted(id)
        | Event::Received(id, _)
        | Event::Discarded(id, _)
        | Event::Eof(id)
        | Event::Failed(id, _)) = event;
        if let Event::SentPart(_, bytes) = event {
            // The kernel has these bytes, whatever became of the connection since.
            return self.count_sent_bytes(now, bytes);
        }
        if !self.is_current(id) {
            return;
        }
        let index = id.index;
        match event {
            Event::Connected(_) => self.connected(now, index),
            Event::Sent(_, bytes) => {
                self.conns[index as usize].sending = false;
                self.count_sent_bytes(now, bytes);
                self.refill(now, index);
            }
            Event::Transmitted(_) => self.transmitted(now, index),
            // Both were seen to.
            Event::Received(..) | Event::SentPart(..) => {}
            // The run is over: whatever this belongs to, nobody counts it.
            Event::Discarded(..) if self.stage == Stage::Finished => self.orphaned.push(index),
            Event::Discarded(_, length) => self.discarded(now, index, length),
            Event::Eof(_) => self.end_of_stream(now, index, self.channels.is_none()),
            Event::Failed(_, failure) => self.failed(now, index, failure),
        }
    }

    fn connected(&mut self, now: Nanos, index: u32) {
        let State::Connecting { since } = self.conns[index as usize].state else {
            debug_assert!(false, "only a connecting connection opens");
            return;
        };
        if self.opens_too_late(now, since) {
            return self.expire(now, index);
        }
        self.record.connected(now.since(since));
        if self.channels.is_some() {
            self.secure(now, index, since);
            return;
        }
        self.ready_for_requests(now, index);
        let receive = Action::Receive { conn: self.id(index), receiving: Receiving::Once };
        self.actions.push(receive);
    }

    /// Whether a connection that began to be opened at `since` took as long as it may, handshake included, before that was
    /// seen.
    pub(super) fn opens_too_late(&self, now: Nanos, since: Nanos) -> bool {
        now.since(since) >= self.job.timeouts.connect_ns
    }

    /// A connection can carry requests now, and the first goes out at once: before its answer is asked for, and in the
    /// same submission.
    pub(super) fn ready_for_requests(&mut self, now: Nanos, index: u32) {
        let conn = &mut self.conns[index as usize];
        let since = match conn.state {
            State::Connecting { since } | State::Securing { since, .. } => since,
            _ => now,
        };
        conn.state = State::Open;
        self.open += 1;
        self.note_gain(now, index, since);
        let conn = &mut self.conns[index as usize];
        if conn.was_open {
            self.record.connections.reconnects += 1;
        }
        conn.was_open = true;
        self.opened += 1;
        self.refill(now, index);
        self.settle(now, index);
    }

    /// The peer will send no more; `in_form` unless TLS should have said so and did not.
    pub(super) fn end_of_stream(&mut self, now: Nanos, index: u32, in_form: bool) {
        if matches!(self.conns[index as usize].state, State::Securing { .. }) {
            let failure = Failure::new(FailurePhase::Tls, Kind::ClosedInHandshake);
            self.handshake_failed(now, index, failure, &[]);
            return;
        }
        let conn = &mut self.conns[index as usize];
        if conn.in_flight() == 0 {
            // An idle connection was closed: nobody lost anything, but nobody must spin on it either.
            self.close(now, index);
            return;
        }
        let closed = if conn.answered > 0 { Kind::ClosedIdle } else { Kind::ClosedUnanswered };
        let came = self.came(index);
        let conn = &mut self.conns[index as usize];
        let (failure, outcome) = match conn.reader.end_of_stream(&self.framer) {
            StreamEnd::Whole(response) if in_form => {
                self.complete_last(now, index, &response);
                return;
            }
            StreamEnd::Whole(_) => {
                (Failure::new(FailurePhase::Receive, Kind::ClosedWithoutNotice), Outcome::Truncated)
            }
            StreamEnd::BetweenResponses => {
                (Failure::new(FailurePhase::Receive, closed), Outcome::Truncated)
            }
            StreamEnd::Cut => {
                (Failure::new(FailurePhase::Receive, Kind::ClosedEarly), Outcome::Truncated)
            }
            StreamEnd::Violation(kind) => {
                let failure = Failure::new(FailurePhase::Parse, kind);
                self.record.errors.count(failure, now, conn.reader.offence());
                return self.lose(now, index, Outcome::ProtocolError);
            }
        };
        self.record.errors.count_begun(failure, now, came);
        self.lose(now, index, outcome);
    }

    fn failed(&mut self, now: Nanos, index: u32, failure: Failure) {
        let conn = &self.conns[index as usize];
        match conn.state {
            State::Connecting { .. } => return self.connect_failed(now, index, failure, &[]),
            State::Securing { .. } => return self.handshake_failed(now, index, failure, &[]),
            _ => {}
        }
        let asked = conn.in_flight() > 0;
        let came = self.came(index);
        self.record.errors.count_begun(failure, now, came);
        if asked {
            self.lose(now, index, Outcome::Reset);
        } else {
            self.close(now, index);
        }
    }

    pub(super) fn connect_failed(
        &mut self,
        now: Nanos,
        index: u32,
        failure: Failure,
        sample: &[u8],
    ) {
        self.record.errors.count(failure, now, sample);
        self.record.connections.failed += 1;
        self.note_failed_attempt(index);
        self.close(now, index);
        self.settle(now, index);
    }

    /// Closes a connection without flights and plans its successor.
    pub(super) fn close(&mut self, now: Nanos, index: u32) {
        let id = self.id(index);
        self.withdraw(now, index);
        self.holding.forget(index);
        let conn = &mut self.conns[index as usize];
        let was_open = conn.state == State::Open;
        self.open -= u32::from(was_open);
        // A connection that was given a request did its work, however that request ended: its successor may work at once.
        let had_work = conn.taken > 0;
        conn.renew();
        conn.state = State::Closed;
        if had_work {
            conn.fruitless = 0;
        }
        self.actions.push(Action::Close(id));
        if was_open {
            self.note_loss(now, index);
        }
        if !self.wants_connections() {
            self.finish_if_done(now);
        } else if had_work {
            self.connect(now, index);
        } else {
            self.back_off(now, index);
            // Whoever opened it may be asked at any time; whoever refused it may not.
            self.conns[index as usize].resting = was_open;
            self.presence.resting += u32::from(was_open);
        }
    }

    /// Requests are due and no connection is free: those that rest are opened at once, one for each request. Each of them
    /// is given one as soon as it is open, so that nobody runs in circles.
    #[cold]
    pub(super) fn hasten(&mut self, now: Nanos) {
        let mut wanted = self.backlog();
        for index in 0..self.job.connections {
            if wanted == 0 || self.presence.resting == 0 {
                return;
            }
            if self.conns[index as usize].resting {
                self.connect(now, index);
                wanted -= 1;
            }
        }
    }

    /// Whether requests may still be taken, or soon will be.
    fn wants_connections(&self) -> bool {
        match self.stage {
            Stage::Opening | Stage::Ready => true,
            Stage::Running => self.quota > 0,
            Stage::Draining { .. } => !self.is_closed(),
            Stage::Finished => false,
        }
    }

    /// Waits before the next attempt, longer each time, and not in step with the others.
    fn back_off(&mut self, now: Nanos, index: u32) {
        let random = self.next_random();
        let conn = &mut self.conns[index as usize];
        let doublings = conn.fruitless.min(20);
        conn.fruitless = conn.fruitless.saturating_add(1);
        let longest_ns = (SHORTEST_BACKOFF_NS << doublings).min(LONGEST_BACKOFF_NS);
        let wait_ns = longest_ns / 2 + random % (longest_ns / 2);
        let until = now.plus(wait_ns);
        conn.state = State::Waiting { until };
        self.sweep_by(until);
    }

    /// SplitMix64: enough to keep connections out of step, and repeatable.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Expires what has waited too long, and finds out when that can next be so.
    pub(super) fn sweep(&mut self, now: Nanos) {
        self.sweep_at = Nanos::NEVER;
        let mut next = Nanos::NEVER;
        for index in 0..self.job.connections {
            let mut deadline = self.deadline_of(index);
            if deadline <= now {
                self.expire(now, index);
                deadline = self.deadline_of(index);
            }
            next = next.min(deadline);
        }
        let soonest = now.plus(SWEEP_EVERY_NS);
        self.sweep_at = if next == Nanos::NEVER { next } else { next.max(soonest) };
    }

    pub(super) fn deadline_of(&self, index: u32) -> Nanos {
        let conn = &self.conns[index as usize];
        match conn.state {
            State::Closed => Nanos::NEVER,
            State::Waiting { until } => until,
            State::Connecting { since } | State::Securing { since, .. } => {
                since.plus(self.job.timeouts.connect_ns)
            }
            State::Open => self.flights.oldest(conn, index).map_or(Nanos::NEVER, |flight| {
                // Without a schedule, what is late to be sent is no part of what it takes.
                let from = if self.open_loop.is_some() { flight.intended } else { flight.sent };
                from.plus(self.job.timeouts.request_ns)
            }),
        }
    }

    pub(super) fn expire(&mut self, now: Nanos, index: u32) {
        let timeout = |kind| Failure::new(FailurePhase::Timeout, kind);
        match self.conns[index as usize].state {
            State::Closed => {}
            State::Waiting { .. } if self.wants_connections() => self.connect(now, index),
            State::Waiting { .. } => {
                let conn = &mut self.conns[index as usize];
                conn.state = State::Closed;
                self.presence.resting -= u32::from(std::mem::take(&mut conn.resting));
            }
            State::Connecting { .. } => {
                self.connect_failed(now, index, timeout(Kind::ConnectTimeout), &[]);
            }
            State::Securing { .. } => {
                self.handshake_failed(now, index, timeout(Kind::HandshakeTimeout), &[]);
            }
            State::Open => {
                let late = timeout(self.conns[index as usize].reader.late_kind());
                self.record.errors.count_begun(late, now, self.came(index));
                self.lose(now, index, Outcome::Timeout);
            }
        }
    }
}
