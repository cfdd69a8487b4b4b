//! The open loop of a worker: which requests are due, which connection takes the next one, and who is to blame for
//! what comes late.
//!
//! The schedule is walked by two cursors: one up to what is due, one up to what was sent or given up. What lies between
//! them is the backlog, and it takes the same memory at any size. A request that is sent late was either due while no
//! connection was free (*pool wait*: too few of them, or a slow server), or the worker was late itself (*client lag*).
//! A worker that comes late leaves a backlog whose requests then wait for connections; that wait is still its doing, up
//! to as much as it came late, until the backlog is gone.

use std::collections::VecDeque;

use super::{Job, Stage, Worker};
use crate::core::conn::{ConnId, Detail, State};
use crate::core::record::{Fate, RequestRow, ServerStamps};
use crate::core::schedule::{Cursor, PhaseIndex, Slot, TimelineCursor};
use crate::core::worker::OnOverload;
use crate::time::Nanos;

/// While no connection is free, what becomes due is counted this often, in nanoseconds.
const NOTICE_EVERY_NS: u64 = 1_000_000;

/// Why a request is given up before it was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reason {
    Shed,
    Expired,
    Left,
    Late,
}

/// What a worker of an open loop knows of its schedule and of its free connections.
#[derive(Debug)]
pub(super) struct Open {
    /// At the first slot that no tick has seen due.
    due: Cursor,
    due_clock: TimelineCursor,
    /// At the first slot that was neither sent nor given up.
    next: Cursor,
    next_clock: TimelineCursor,
    bursts: Option<PhaseIndex>,
    worker: u64,
    workers: u64,
    /// Connections with room, longest free first; those that were closed meanwhile are skipped.
    free: VecDeque<ConnId>,
    /// Connections in `free` that are still there.
    free_count: u32,
    most_in_flight: u64,
    /// Whoever finds no connection does not wait for one.
    impatient: bool,
    /// The latest time in which no connection was free; it lasts while `until` is `NEVER`.
    empty_from: Nanos,
    empty_until: Nanos,
    /// Requests that found no connection when they were last looked at.
    waiting: u64,
    /// How late the worker has come since there was last no backlog, in nanoseconds.
    blame_ns: u64,
    /// How many were due by the end of each interval, as long as some of them wait; only where somebody wants to know.
    due_by: VecDeque<(Nanos, u64)>,
    /// Nothing more is sent: the user or the policy has ended the run.
    closed: bool,
    overloaded: bool,
    /// When what is due must be looked at again.
    look_at: Nanos,
}

impl Open {
    pub(super) fn of(job: &Job) -> Option<Self> {
        let open = job.open.as_ref()?;
        let cursor = open.schedule.cursor(job.worker, job.workers);
        Some(Self {
            due: cursor.clone(),
            due_clock: job.timeline.cursor(),
            next: cursor,
            next_clock: job.timeline.cursor(),
            bursts: job.timeline.bursts(),
            worker: u64::from(job.worker),
            workers: u64::from(job.workers),
            free: VecDeque::new(),
            free_count: 0,
            most_in_flight: open.max_in_flight,
            impatient: open.on_overload != OnOverload::Queue,
            empty_from: Nanos(0),
            empty_until: Nanos::NEVER,
            waiting: 0,
            blame_ns: 0,
            due_by: VecDeque::new(),
            closed: false,
            overloaded: false,
            look_at: Nanos::NEVER,
        })
    }

    /// Requests that are due and were neither sent nor given up.
    #[inline]
    fn backlog(&self) -> u64 {
        self.due.taken() - self.next.taken()
    }

    #[inline]
    fn has_room(&self, in_flight: u64) -> bool {
        self.free_count > 0 && in_flight < self.most_in_flight
    }

    /// For how much of the time from `intended` to `now` no connection was free, in nanoseconds.
    #[inline]
    fn pool_wait_ns(&self, intended: Nanos, now: Nanos) -> u64 {
        self.empty_until.min(now).since(self.empty_from.max(intended))
    }

    #[inline]
    fn phase_of(slot: Slot, clock: &mut TimelineCursor, bursts: Option<PhaseIndex>) -> PhaseIndex {
        match bursts.filter(|_| slot.burst) {
            Some(bursts) => bursts,
            None => clock.phase_at(slot.at_ns),
        }
    }

    /// Remembers how many are due at the end of an interval.
    pub(super) fn remember_due(&mut self, end: Nanos) {
        while self.due_by.front().is_some_and(|&(_, due)| due <= self.next.taken()) {
            self.due_by.pop_front();
        }
        if self.backlog() > 0 {
            self.due_by.push_back((end, self.due.taken()));
        }
    }

    /// The least that requests of the backlog have waited at `now`, and how many of them, interval by interval.
    pub(super) fn backlog_ages(&self, now: Nanos, mut tell: impl FnMut(u64, u64)) {
        let mut counted = self.next.taken();
        for &(end, due) in &self.due_by {
            if due > counted {
                tell(now.since(end), due - counted);
                counted = due;
            }
        }
    }

    /// The slot at `next`, its phase and its number; the cursor moves on.
    #[inline]
    fn take_slot(&mut self) -> Option<(Slot, PhaseIndex, u64)> {
        let slot = self.next.peek()?;
        let number = self.next.taken() * self.workers + self.worker;
        self.next.advance();
        Some((slot, Self::phase_of(slot, &mut self.next_clock, self.bursts), number))
    }
}

impl Worker {
    /// Requests due and not sent.
    #[inline]
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.open_loop.as_ref().map_or(0, Open::backlog)
    }

    /// A due request found no connection, and the plan says to end the run then.
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        self.open_loop.as_ref().is_some_and(|open| open.overloaded)
    }

    /// The worker looks at its schedule `late_ns` later than it wanted to.
    #[inline]
    pub(super) fn come_late(&mut self, late_ns: u64) {
        if let Some(open) = &mut self.open_loop {
            open.blame_ns = open.blame_ns.max(late_ns);
        }
    }

    /// When the schedule must next be looked at.
    #[inline]
    pub(super) fn look_at(&self) -> Nanos {
        self.open_loop.as_ref().map_or(Nanos::NEVER, |open| open.look_at)
    }

    /// No slot will come any more, and none is waiting.
    pub(super) fn is_exhausted(&self) -> bool {
        self.open_loop.as_ref().is_none_or(|open| open.due.peek().is_none() && open.backlog() == 0)
    }

    /// Nothing that is due may still be sent.
    pub(super) fn is_closed(&self) -> bool {
        self.open_loop.as_ref().is_none_or(|open| open.closed || open.backlog() == 0)
    }

    /// From here on nothing is sent.
    pub(super) fn close_schedule(&mut self) {
        if let Some(open) = &mut self.open_loop {
            open.closed = true;
        }
    }

    /// Where an interrupted run ends for a worker that has sent everything so far: before the first slot that it has not
    /// seen due, which would be sent in a moment. `None` when requests wait, or when there is no schedule.
    pub(super) fn kept_until(&self, now: Nanos) -> Option<Nanos> {
        let open = self.open_loop.as_ref()?;
        let slot = open.due.peek().filter(|_| self.stage == Stage::Running)?;
        let due = self.window.start.plus(slot.at_ns);
        (open.backlog() == 0 && open.has_room(self.in_flight) && due <= now).then_some(due)
    }

    /// Counts every slot that is due by `now` and before the end of the window.
    pub(super) fn notice(&mut self, now: Nanos) {
        let Some(open) = &mut self.open_loop else { return };
        if self.window.start == Nanos::NEVER {
            return;
        }
        let until = if now < self.window.stop { now.plus(1) } else { self.window.stop };
        let until_ns = until.since(self.window.start);
        while let Some(slot) = open.due.peek().filter(|slot| slot.at_ns < until_ns) {
            let phase = Open::phase_of(slot, &mut open.due_clock, open.bursts);
            self.record.phase_mut(phase).counts.scheduled += 1;
            self.interval.scheduled += 1;
            open.due.advance();
        }
    }

    /// Sends what is due over whatever connection is free, and applies the policy to what is left.
    pub(super) fn dispatch(&mut self, now: Nanos) {
        let Some(open) = &self.open_loop else { return };
        let in_time = match self.stage {
            Stage::Running => true,
            // What is taken at the very end would be given up before it was handed over.
            Stage::Draining { until } => now < until,
            Stage::Opening | Stage::Ready | Stage::Finished => false,
        };
        let sends = in_time && !open.closed;
        if sends && open.backlog() > 0 {
            self.note_outstanding(now);
            self.expire_backlog(now);
            while self.backlog() > 0
                && let Some(index) = self.free_connection()
            {
                self.take_due(now, index);
            }
            if self.presence.resting > 0 && self.backlog() > 0 {
                self.hasten(now);
            }
            self.apply_policy(now);
            let waiting = self.backlog();
            if let Some(open) = &mut self.open_loop {
                open.waiting = waiting;
            }
        }
        if let Some(open) = &mut self.open_loop
            && open.backlog() == 0
            && open.has_room(self.in_flight)
        {
            open.blame_ns = 0;
        }
        self.plan_look(now);
    }

    /// What happens to requests that are due and found no connection.
    fn apply_policy(&mut self, now: Nanos) {
        let backlog = self.backlog();
        if backlog == 0 {
            return;
        }
        let phase = self.phase_at(now);
        let record = self.record.phase_mut(phase);
        record.most_backlog = record.most_backlog.max(backlog);
        match self.job.open.as_ref().map(|open| open.on_overload) {
            Some(OnOverload::Shed) => {
                while self.backlog() > 0 {
                    self.give_up_next(now, Reason::Shed);
                }
            }
            Some(OnOverload::Abort) => self.abort(now),
            Some(OnOverload::Queue) | None => {}
        }
    }

    fn plan_look(&mut self, now: Nanos) {
        let Some(open) = &mut self.open_loop else { return };
        let due = open.due.peek().map_or(Nanos::NEVER, |slot| self.window.start.plus(slot.at_ns));
        let due = if self.stage == Stage::Running { due } else { Nanos::NEVER };
        let urgent = open.has_room(self.in_flight) || open.impatient;
        open.look_at = if urgent { due } else { due.max(now.plus(NOTICE_EVERY_NS)) };
        if due == Nanos::NEVER && !urgent && open.backlog() > 0 && !open.closed {
            // What waits may expire.
            open.look_at = now.plus(NOTICE_EVERY_NS);
        }
        self.wake_at = self.wake_at.min(open.look_at);
    }

    fn note_outstanding(&mut self, now: Nanos) {
        let outstanding = self.backlog() + self.in_flight;
        let phase = self.phase_at(now);
        let record = self.record.phase_mut(phase);
        record.most_outstanding = record.most_outstanding.max(outstanding);
    }

    /// A connection may have room for a request.
    pub(super) fn offer(&mut self, now: Nanos, index: u32) {
        let worn_out = self.is_worn_out(index);
        let conn = &mut self.conns[index as usize];
        let used_up = conn.taken >= self.job.requests_per_connection || worn_out;
        let full = conn.in_flight() >= self.job.pipeline;
        if conn.state != State::Open || conn.sending || conn.offered || used_up || full {
            return;
        }
        conn.offered = true;
        let id = ConnId { index, generation: conn.generation() };
        let Some(open) = &mut self.open_loop else { return };
        if open.free.len() > 2 * self.conns.len() {
            let conns = &self.conns;
            open.free.retain(|id| conns[id.index as usize].generation() == id.generation);
        }
        open.free.push_back(id);
        open.free_count += 1;
        self.room_changed(now);
        if self.stage == Stage::Running {
            self.notice(now);
        }
        self.dispatch(now);
    }

    /// A connection that had room is closed.
    pub(super) fn withdraw(&mut self, now: Nanos, index: u32) {
        if let Some(open) = &mut self.open_loop
            && std::mem::take(&mut self.conns[index as usize].offered)
        {
            open.free_count -= 1;
            self.room_changed(now);
        }
    }

    /// Keeps the time in which no connection was free.
    #[inline]
    pub(super) fn room_changed(&mut self, now: Nanos) {
        let Some(open) = &mut self.open_loop else { return };
        let was_empty = open.empty_until == Nanos::NEVER;
        match (was_empty, open.has_room(self.in_flight)) {
            (true, true) => open.empty_until = now,
            (false, false) => {
                // One that was free for no time at all did not end the time without any.
                if open.empty_until != now {
                    open.empty_from = now;
                }
                open.empty_until = Nanos::NEVER;
            }
            (true, false) | (false, true) => {}
        }
    }

    /// The connection that has been free for longest.
    fn free_connection(&mut self) -> Option<u32> {
        let open = self.open_loop.as_mut()?;
        if !open.has_room(self.in_flight) {
            return None;
        }
        loop {
            let id = open.free.pop_front()?;
            let conn = &mut self.conns[id.index as usize];
            if conn.generation() == id.generation && conn.offered {
                conn.offered = false;
                open.free_count -= 1;
                return Some(id.index);
            }
        }
    }

    /// Sends the request that has been due for longest.
    fn take_due(&mut self, now: Nanos, index: u32) {
        let Some(open) = &mut self.open_loop else { return };
        let Some((slot, phase, number)) = open.take_slot() else { return };
        let intended = self.window.start.plus(slot.at_ns);
        let lag_ns = now.since(intended);
        let waited_ns = open.pool_wait_ns(intended, now).min(lag_ns);
        // The worker's part is what it came late by, and it cannot be more than there is.
        let client_ns = (lag_ns - waited_ns).max(lag_ns.min(open.blame_ns));
        let conn = &mut self.conns[index as usize];
        let first = self.flights.take(conn, index, 1, intended);
        self.flights.describe(index, first, Detail { number, pool_ns: lag_ns - client_ns, phase });
        let id = ConnId { index, generation: conn.generation() };
        let confirm = self.batch.confirm;
        conn.sending = confirm;
        conn.taken += 1;
        self.in_flight += 1;
        let request_bytes = if confirm { 0 } else { self.batch.request_bytes };
        let record = self.record.phase_mut(phase);
        record.counts.sent += 1;
        record.bytes_sent += request_bytes;
        self.interval.sent += 1;
        if now < self.window.stop {
            let phase = self.phase_at(now);
            self.record.phase_mut(phase).sent_in_window += 1;
        }
        self.push_send(id, 1, first);
        self.sweep_by(intended.plus(self.job.timeouts.request_ns));
        self.room_changed(now);
        self.offer_again(now, index);
    }

    /// A connection that was just given a request may have room for another.
    fn offer_again(&mut self, now: Nanos, index: u32) {
        let conn = &mut self.conns[index as usize];
        let room = conn.in_flight() < self.job.pipeline
            && conn.taken < self.job.requests_per_connection
            && !conn.sending;
        if !room {
            return;
        }
        conn.offered = true;
        let id = ConnId { index, generation: conn.generation() };
        if let Some(open) = &mut self.open_loop {
            open.free.push_back(id);
            open.free_count += 1;
        }
        self.room_changed(now);
    }

    /// Gives up what has been due for as long as a request may take.
    fn expire_backlog(&mut self, now: Nanos) {
        while let Some(open) = &self.open_loop
            && open.backlog() > 0
            && let Some(slot) = open.next.peek()
            && now.since(self.window.start.plus(slot.at_ns)) >= self.job.timeouts.request_ns
        {
            self.give_up_next(now, Reason::Expired);
        }
    }

    /// The request that has been due for longest is never sent.
    fn give_up_next(&mut self, now: Nanos, reason: Reason) {
        let Some(open) = &mut self.open_loop else { return };
        let Some((slot, phase, number)) = open.take_slot() else { return };
        let intended = self.window.start.plus(slot.at_ns);
        // What is shed would have waited to the end of the window at least.
        let until = match reason {
            Reason::Shed if self.window.stop < Nanos::NEVER => self.window.stop.max(now),
            Reason::Shed | Reason::Expired | Reason::Left | Reason::Late => now,
        };
        let record = self.record.phase_mut(phase);
        record.drop_unsent(until.since(intended));
        self.interval.give_up(until.since(intended));
        match reason {
            Reason::Shed => record.unsent.shed += 1,
            Reason::Expired => record.unsent.expired += 1,
            Reason::Left => record.unsent.left += 1,
            Reason::Late => record.unsent.late += 1,
        }
        self.interval.errors += 1;
        if self.job.logs_requests {
            self.log.push(RequestRow {
                number,
                phase,
                fate: Fate::Unsent,
                status: 0,
                connection: u32::MAX,
                intended,
                sent: None,
                first_byte: None,
                ended: now,
                pool_ns: now.since(intended),
                late_ns: 0,
                server: ServerStamps::default(),
            });
        }
    }

    fn abort(&mut self, now: Nanos) {
        if let Some(open) = &mut self.open_loop {
            open.overloaded = true;
        }
        self.stop(now, 0);
    }

    /// At the very end, what is due and was never sent.
    pub(super) fn give_up_backlog(&mut self, now: Nanos) {
        if self.open_loop.as_ref().is_some_and(|open| !open.closed) {
            self.notice(now);
        }
        let Some(open) = &self.open_loop else { return };
        let room = open.has_room(self.in_flight);
        let mut waiting = if room { open.waiting } else { u64::MAX };
        while self.backlog() > 0 {
            let reason = if waiting > 0 { Reason::Left } else { Reason::Late };
            self.give_up_next(now, reason);
            waiting = waiting.saturating_sub(1);
        }
    }
}
