//! One core's brain: which connection sends what and when, and what every byte that comes back means.
//!
//! Sans-io: events and instants in, actions out. A worker never blocks, never reads a clock and never fails; what goes
//! wrong on the network is counted. An engine drives it:
//!
//! ```text
//! loop {
//!     worker.tick(now);                                  // releases, expires
//!     while let Some(action) = worker.next_action() {}   // hand to the kernel
//!     worker.submitted(before, after);                   // stamps what was sent in between
//!     worker.events_at(now);
//!     worker.on_event(now, event);                       // for each completion
//! }
//! ```
//!
//! The files: this one holds the seam and the stages of a run, `requests` what happens to requests, `connections` what
//! happens to connections, `job` the share of the plan.

mod connections;
mod job;
mod requests;

use std::collections::VecDeque;

use crate::conn::{Conn, ConnId, Flights, Receiving};
use crate::failure::Failure;
use crate::http1::Framer;
use crate::record::{Interval, Record};
use crate::request::RequestImage;
use crate::schedule::Window;
use crate::time::Nanos;
use job::Batch;
pub use job::Job;

/// What the engine is asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Open a connection; answered by [`Event::Connected`] or [`Event::Failed`].
    Connect(ConnId),
    /// Send `count` requests: [`RequestImage::batch`]. [`Event::Sent`] is wanted only when `confirm` is set.
    Send {
        /// On which connection.
        conn: ConnId,
        /// How many requests.
        count: u32,
        /// Ring place of the first of them; of no use to an engine.
        first: u32,
        /// Tell when all of it was handed over.
        confirm: bool,
    },
    /// Receive, in the given way. [`Receiving::Many`] lasts as long as the connection.
    Receive {
        /// On which connection.
        conn: ConnId,
        /// How.
        receiving: Receiving,
    },
    /// Take up to `length` bytes out of the kernel without looking at them; answered by [`Event::Discarded`].
    Discard {
        /// On which connection.
        conn: ConnId,
        /// How many bytes at most.
        length: u64,
    },
    /// Close the connection and forget whatever was under way on it.
    Close(ConnId),
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// It is open.
    Connected(ConnId),
    /// All of a send that was to be confirmed, so many bytes, has been handed over.
    Sent(ConnId, u64),
    /// Bytes came; they are borrowed for the call only.
    Received(ConnId, &'a [u8]),
    /// So many bytes were discarded.
    Discarded(ConnId, u64),
    /// The peer will send no more.
    Eof(ConnId),
    /// What was under way failed.
    Failed(ConnId, Failure),
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Connections are being opened for the first time.
    Opening,
    /// Every first attempt has ended; the common start is awaited.
    Ready,
    /// Requests are taken.
    Running,
    /// No more requests are taken; answers are awaited until the instant.
    Draining { until: Nanos },
    /// Nothing is awaited any more.
    Finished,
}

/// The instants that frame what a worker did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// The window that was planned, or cut short.
    pub window: Window,
    /// When the last request ended or was given up.
    pub finished: Nanos,
}

/// One core's share of a run.
#[derive(Debug)]
pub struct Worker {
    job: Job,
    batch: Batch,
    /// Which status codes are good, by code.
    good_status: Box<[bool; 1000]>,
    conns: Vec<Conn>,
    flights: Flights,
    framer: Framer,
    record: Record,
    interval: Interval,
    finished_intervals: VecDeque<Interval>,
    /// What the engine is asked to do, from `next_action` on.
    actions: Vec<Action>,
    next_action: usize,
    /// Sends that were handed over and wait for their stamps.
    unstamped: Vec<Unstamped>,
    /// The send that left [`Worker::next_action`] last, and may not have been handed over yet.
    leaving: Option<Unstamped>,
    /// Actions handed over since the last stamps.
    handed_over: u32,
    stage: Stage,
    window: Window,
    last_end: Nanos,
    /// Measured requests that may still be taken.
    quota: u64,
    /// Connections whose first attempt has not ended.
    unsettled: u32,
    /// The first connection that was never tried.
    next_to_open: u32,
    open: u32,
    /// Connections opened so far, again and again.
    opened: u64,
    in_flight: u64,
    /// When the connections must next be looked through for what expired.
    sweep_at: Nanos,
    /// No tick has anything to do before this instant.
    wake_at: Nanos,
    random: u64,
}

/// Flights that were handed to the kernel by one send.
#[derive(Clone, Copy, Debug)]
struct Unstamped {
    index: u32,
    first: u32,
    count: u32,
    /// Its place among the actions of the submission.
    position: u32,
}

impl Worker {
    /// A worker with its share of the plan; it asks for its first connections at once.
    #[must_use]
    pub fn new(job: Job, now: Nanos) -> Self {
        let needle = job.expect.body_contains.clone();
        let mut good_status = Box::new([false; 1000]);
        for (status, good) in (0_u16..).zip(good_status.iter_mut()) {
            *good = job.expect.accepts_status(status);
        }
        let mut worker = Self {
            conns: (0..job.connections).map(|_| Conn::new()).collect(),
            flights: Flights::new(job.connections, job.pipeline),
            framer: Framer::new(job.image.is_head(), needle.as_deref()),
            record: Record::default(),
            interval: Interval::new(0),
            finished_intervals: VecDeque::new(),
            actions: Vec::new(),
            next_action: 0,
            unstamped: Vec::new(),
            leaving: None,
            handed_over: 0,
            stage: Stage::Opening,
            window: Window { start: Nanos::NEVER, origin: Nanos::NEVER, stop: Nanos::NEVER },
            last_end: now,
            quota: job.requests.unwrap_or(u64::MAX),
            unsettled: job.connections,
            next_to_open: 0,
            open: 0,
            opened: 0,
            in_flight: 0,
            sweep_at: Nanos::NEVER,
            wake_at: Nanos::NEVER,
            random: job.seed,
            batch: Batch::of(&job),
            good_status,
            job,
        };
        worker.record.connections.asked = u64::from(worker.job.connections);
        worker.open_next(now);
        worker.settle_stage();
        worker.plan_wake();
        worker
    }

    /// Every asked connection is open or its first attempt has ended.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// Sets the start that all workers share.
    pub fn start_at(&mut self, start: Nanos) {
        self.window = Window::starting_at(start, self.job.warmup_ns, self.job.duration_ns);
        self.interval = Interval::new(self.window.interval_of(start));
        self.plan_wake();
    }

    /// Ends the run early: nothing more is taken, answers are awaited for at most `drain_ns`.
    pub fn stop(&mut self, now: Nanos, drain_ns: u64) {
        // What was taken at this very instant belongs to the part of the run that it was taken in.
        let end = now.plus(1);
        if end < self.window.origin {
            self.window.start = self.window.start.min(now);
            self.window.origin = end;
            self.interval.index = self.interval.index.max(-1);
        }
        self.window.stop = self.window.stop.min(end);
        self.begin_drain(now, drain_ns);
        self.plan_wake();
    }

    /// Tells the time of the events that follow, so that each is counted in its own second.
    #[inline]
    pub fn events_at(&mut self, now: Nanos) {
        if now >= self.wake_at {
            self.end_intervals(now);
        }
    }

    /// Releases what is due and expires what has waited too long.
    #[inline]
    pub fn tick(&mut self, now: Nanos) {
        if now >= self.wake_at {
            self.tick_slowly(now);
        }
    }

    /// When [`Worker::tick`] next has something to do: how long an engine may sleep.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Nanos {
        self.wake_at
    }

    /// The next thing to hand to the kernel.
    #[inline]
    pub fn next_action(&mut self) -> Option<Action> {
        self.unstamped.extend(self.leaving.take());
        let Some(&action) = self.actions.get(self.next_action) else {
            self.actions.clear();
            self.next_action = 0;
            return None;
        };
        self.next_action += 1;
        if let Action::Send { conn, count, first, .. } = action {
            let position = self.handed_over;
            self.leaving = Some(Unstamped { index: conn.index, first, count, position });
        }
        self.handed_over += 1;
        Some(action)
    }

    /// Stamps the sends that were handed to the kernel between the two instants: it took the actions one after the other.
    /// Returns by how much a stamp can be off, in nanoseconds; 0 when nothing was sent.
    #[inline]
    pub fn submitted(&mut self, before: Nanos, after: Nanos) -> u64 {
        let taken_ns = after.since(before);
        let actions = u64::from(std::mem::take(&mut self.handed_over)).max(1);
        if self.unstamped.is_empty() {
            return 0;
        }
        let each_ns = taken_ns / actions;
        for unstamped in &self.unstamped {
            let sent = before.plus(each_ns * u64::from(unstamped.position));
            self.flights.stamp(unstamped.index, unstamped.first, unstamped.count, sent);
        }
        self.unstamped.clear();
        taken_ns
    }

    /// Takes the news of a connection; news of one that is gone is dropped.
    #[inline]
    pub fn on_event(&mut self, now: Nanos, event: Event<'_>) {
        match event {
            Event::Received(id, bytes) => {
                if self.is_current(id) {
                    self.received(now, id.index, bytes);
                }
            }
            event => self.on_rare_event(now, event),
        }
    }

    /// Nothing is awaited any more: the record is complete.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.stage == Stage::Finished
    }

    /// An interval that has ended, oldest first.
    #[inline]
    pub fn take_interval(&mut self) -> Option<Interval> {
        self.finished_intervals.pop_front()
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open_connections(&self) -> u32 {
        self.open
    }

    /// Connections opened so far, reopened ones as often as they were.
    #[must_use]
    pub fn connections_opened(&self) -> u64 {
        self.opened
    }

    /// Nothing more is taken: the run is over, but for what is in flight.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        matches!(self.stage, Stage::Draining { .. } | Stage::Finished)
    }

    /// Requests in flight now.
    #[inline]
    #[must_use]
    pub fn requests_in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The bytes of the request.
    #[inline]
    #[must_use]
    pub fn image(&self) -> &RequestImage {
        &self.job.image
    }

    /// Gives up whatever is left and returns what was seen.
    #[must_use]
    pub fn into_record(mut self, now: Nanos) -> (Record, Span) {
        self.finish(now);
        let connections = &mut self.record.connections;
        for conn in &self.conns {
            connections.opened += u64::from(conn.was_open);
            connections.used += u64::from(conn.responses > 0);
            connections.responses.push(conn.responses);
        }
        self.record.interim_responses = self.framer.interim_responses();
        let span = Span { window: self.window, finished: self.last_end };
        (self.record, span)
    }

    fn is_current(&self, id: ConnId) -> bool {
        self.conns.get(id.index as usize).is_some_and(|conn| conn.generation() == id.generation)
    }

    fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.conns[index as usize].generation() }
    }

    #[cold]
    fn tick_slowly(&mut self, now: Nanos) {
        self.end_intervals(now);
        if self.stage == Stage::Ready && now >= self.window.start {
            self.stage = Stage::Running;
            self.sweep_at = self.sweep_at.min(now);
            for index in 0..self.job.connections {
                self.refill(now, index);
            }
            self.finish_if_done(now);
        }
        if self.stage == Stage::Running && now >= self.window.stop {
            self.begin_drain(now, self.job.timeouts.drain_ns);
        }
        if now >= self.sweep_at {
            self.sweep(now);
        }
        if let Stage::Draining { until } = self.stage
            && now >= until
        {
            self.finish(now);
        }
        self.plan_wake();
    }

    fn begin_drain(&mut self, now: Nanos, drain_ns: u64) {
        if self.stage == Stage::Finished {
            return;
        }
        self.stage = Stage::Draining { until: now.plus(drain_ns) };
        self.finish_if_done(now);
    }

    /// The run is over once nothing is in flight and nothing more will be taken.
    #[inline]
    fn finish_if_done(&mut self, now: Nanos) {
        if self.in_flight > 0 {
            return;
        }
        let nothing_to_take = match self.stage {
            Stage::Running => self.quota == 0,
            Stage::Draining { .. } => true,
            Stage::Opening | Stage::Ready | Stage::Finished => false,
        };
        if nothing_to_take {
            self.finish(now);
        }
    }

    fn finish(&mut self, now: Nanos) {
        if self.stage == Stage::Finished {
            return;
        }
        self.abandon_all(now);
        self.end_intervals(now);
        self.interval.in_flight = 0;
        let next = self.interval.index.saturating_add(1);
        self.finished_intervals
            .push_back(std::mem::replace(&mut self.interval, Interval::new(next)));
        self.stage = Stage::Finished;
        self.wake_at = Nanos::NEVER;
    }

    fn end_intervals(&mut self, now: Nanos) {
        if self.window.start == Nanos::NEVER {
            return;
        }
        while now >= self.window.end_of_interval(self.interval.index) {
            self.interval.in_flight = self.in_flight;
            let next = self.interval.index + 1;
            self.finished_intervals
                .push_back(std::mem::replace(&mut self.interval, Interval::new(next)));
        }
    }

    fn plan_wake(&mut self) {
        if self.stage == Stage::Finished {
            self.wake_at = Nanos::NEVER;
            return;
        }
        let stage = match self.stage {
            Stage::Ready => self.window.start,
            Stage::Running => self.window.stop,
            Stage::Draining { until } => until,
            Stage::Opening | Stage::Finished => Nanos::NEVER,
        };
        let interval = if self.window.start == Nanos::NEVER {
            Nanos::NEVER
        } else {
            self.window.end_of_interval(self.interval.index)
        };
        self.wake_at = stage.min(interval).min(self.sweep_at);
    }

    /// Looks through the connections no later than at `deadline`.
    #[inline]
    fn sweep_by(&mut self, deadline: Nanos) {
        if deadline < self.sweep_at {
            self.sweep_at = deadline;
            self.wake_at = self.wake_at.min(deadline);
        }
    }
}

#[cfg(test)]
mod tests;
