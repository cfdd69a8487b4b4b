//! One core's brain: which connection sends what and when, and what every byte that comes back means.
//!
//! Sans-io: events and instants in, actions out. A worker never blocks, never reads a clock and never fails; what goes
//! wrong on the network is counted. An engine drives it:
//!
//! ```text
//! loop {
//!     worker.tick(now);                                  // releases, expires
//!     while let Some(action) = worker.next_action() {}   // hand to the kernel
//!     worker.submitted(before);                          // stamps what was sent from then on
//!     worker.events_at(now, late);                       // how much later than it could have looked
//!     worker.on_event(now, event);                       // for each completion
//! }
//! ```
//!
//! The files: this one holds the seam, `stages` the stages of a run, `requests` what happens to requests, `open` which
//! request is due and which connection takes it, `connections` what happens to connections, `channel` what lies between
//! their bytes and HTTP, `presence` whether the target is there, `waiting` how long what is unanswered has waited so far,
//! `late` and `limits` what comes too late, `holding` when a pipeline is refilled, `job` what a worker is to do, `expect` which answers are good, `repeats` answers
//! that are the one before again, `renewal` what stays from one run to the next, `shown` what others may ask a worker while it runs.

mod channel;
mod connections;
mod expect;
mod holding;
mod job;
mod late;
mod limits;
mod open;
mod presence;
mod renewal;
mod repeats;
mod requests;
mod shown;
mod stages;
mod waiting;

use std::collections::VecDeque;

use crate::core::conn::{Conn, ConnId, Flights, Receiving};
use crate::core::failure::Failure;
use crate::core::http1::Framer;
use crate::core::record::{Interval, Record, RequestRow, ServerStamps};
use crate::core::schedule::{PhaseIndex, TimelineCursor, Window};
use crate::request::RequestImage;
use crate::time::Nanos;
use channel::Channels;
pub use expect::Expect;
use holding::Holding;
use job::Batch;
pub use job::{Job, OnOverload, OpenJob, Timeouts};
pub use late::{LATE_FROM_NS, Late};
use open::Open;
use presence::Presence;

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
    /// Send [`Worker::sealed`], and answer with [`Event::Transmitted`] when all of it was handed over. It holds `count`
    /// requests, 0 when it is of TLS' own.
    Transmit {
        /// On which connection.
        conn: ConnId,
        /// How many requests.
        count: u32,
        /// Ring place of the first of them; of no use to an engine.
        first: u32,
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
    /// So many bytes of a send that is to be confirmed have been handed over, and more are to follow. It counts even when
    /// the connection is gone.
    SentPart(ConnId, u64),
    /// All of a send that was to be confirmed has been handed over, the last of it so many bytes.
    Sent(ConnId, u64),
    /// All of what was to be transmitted has been handed over.
    Transmitted(ConnId),
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
    holding: Holding,
    /// TLS; `None` for plain text.
    channels: Option<Channels>,
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
    stage: Stage,
    window: Window,
    /// Which phase an instant is in.
    clock: TimelineCursor,
    last_end: Nanos,
    /// Measured requests that may still be taken.
    quota: u64,
    /// Connections whose first attempt has not ended.
    unsettled: u32,
    /// The first connection that was never tried.
    next_to_open: u32,
    /// First attempts that are under way.
    opening: u32,
    open: u32,
    /// Connections opened so far, again and again.
    opened: u64,
    in_flight: u64,
    presence: Presence,
    /// Until when what was in flight is counted in intervals.
    counted_until: Nanos,
    /// Connections on which an answer was awaited when the run ended.
    orphaned: Vec<u32>,
    /// Interim responses of earlier runs.
    interim_before: u64,
    /// The schedule; `None` in a closed loop.
    open_loop: Option<Open>,
    /// For how long what is being told may have been there unseen, where the engine looked later than a turn of its loop
    /// may take, in nanoseconds: it is not the server's doing.
    looked_late_ns: u64,
    /// The shortest service time of what was looked at in time.
    shortest_service_ns: u64,
    /// Requests that have ended, when they are logged.
    log: Vec<RequestRow>,
    /// Requests taken so far, when they are logged.
    numbered: u64,
    /// What the target told of responses in progress, by connection, when they are logged.
    server_stamps: Vec<ServerStamps>,
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
        let scheduled = job.open.is_some();
        let logged_connections = if job.logs_requests { job.connections as usize } else { 0 };
        let mut worker = Self {
            conns: (0..job.connections).map(|_| Conn::new()).collect(),
            flights: Flights::new(job.connections, job.pipeline, scheduled || job.logs_requests),
            holding: Holding::of(&job),
            channels: job
                .security
                .as_ref()
                .map(|security| Channels::new(security, job.connections)),
            framer: Framer::new(job.image.is_head(), needle.as_deref()),
            record: Record::prepared(job.timeline.phases().len(), scheduled),
            interval: Interval::new(0),
            finished_intervals: VecDeque::new(),
            actions: Vec::new(),
            next_action: 0,
            unstamped: Vec::new(),
            leaving: None,
            stage: Stage::Opening,
            window: Window::unknown(job.slice_ns),
            clock: job.timeline.cursor(),
            last_end: now,
            quota: job.requests.unwrap_or(u64::MAX),
            unsettled: job.connections,
            next_to_open: 0,
            opening: 0,
            counted_until: now,
            orphaned: Vec::new(),
            presence: Presence::new(),
            interim_before: 0,
            open: 0,
            opened: 0,
            in_flight: 0,
            open_loop: Open::of(&job),
            looked_late_ns: 0,
            shortest_service_ns: u64::MAX,
            log: Vec::new(),
            numbered: 0,
            server_stamps: vec![ServerStamps::default(); logged_connections],
            sweep_at: Nanos::NEVER,
            wake_at: Nanos::NEVER,
            random: job.seed,
            batch: Batch::of(&job),
            good_status,
            job,
        };
        worker.record.connections.asked = u64::from(worker.job.connections);
        worker.watch_bad_answers(true);
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

    /// Connections are being opened for the first time, and nothing is measured yet.
    #[must_use]
    pub fn is_opening(&self) -> bool {
        self.stage == Stage::Opening
    }

    /// Sets the start that all workers share.
    pub fn start_at(&mut self, start: Nanos) {
        self.window = self.window.starting_at(start, self.job.warmup_ns, self.job.duration_ns);
        self.interval = Interval::new(self.window.interval_of(start));
        self.plan_wake();
    }

    /// Ends the run early: nothing more is taken, answers are awaited for at most `drain_ns`.
    pub fn stop(&mut self, now: Nanos, drain_ns: u64) {
        // What was taken at this very instant belongs to the part of the run that it was taken in.
        let kept = self.kept_until(now);
        if kept.is_none() && self.stage == Stage::Running {
            self.notice(now);
        }
        self.close_schedule();
        let end = kept.unwrap_or(now.plus(1));
        if end < self.window.origin {
            self.window.start = self.window.start.min(now);
            self.window.origin = end;
            self.interval.index = self.interval.index.max(-1);
        }
        self.window.stop = self.window.stop.min(end);
        self.begin_drain(now, now.plus(drain_ns));
        self.plan_wake();
    }

    /// Tells the time of the events that follow, so that each is counted in its own interval, and by how much they could
    /// have been seen earlier, had the engine looked when it wanted to. What comes after the end of the run or of its drain
    /// is too late, although no tick has seen that end yet.
    #[inline]
    pub fn events_at(&mut self, now: Nanos, late: Late) {
        self.looked_late_ns = if late.counts() { late.unseen_ns } else { 0 };
        // Whoever is given the connections that come free now has waited for this worker.
        self.come_late(late.look_ns);
        if now >= self.wake_at {
            self.end_intervals(now);
            self.end_stages(now);
        }
        self.count_in_flight(now);
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
        if let Action::Close(conn) = action
            && self.leaves_channel(conn)
        {
            return Some(Action::Transmit { conn, count: 0, first: 0 });
        }
        self.next_action += 1;
        match action {
            Action::Send { conn, count, first, .. }
            | Action::Transmit { conn, count: count @ 1.., first } => {
                self.leaving = Some(Unstamped { index: conn.index, first, count });
            }
            _ => {}
        }
        Some(action)
    }

    /// Stamps the sends that were handed to the kernel since the last stamps, none of them before `before`. A stamp may be
    /// early, by as much as the submission took, and never late: none of them can have left before it began, and where
    /// in between each of them left nobody can tell. Engines therefore submit a few sends at a time. Returns whether
    /// there were any.
    #[inline]
    pub fn submitted(&mut self, before: Nanos) -> bool {
        for &Unstamped { index, first, count } in &self.unstamped {
            self.flights.stamp(index, first, count, before);
        }
        let any = !self.unstamped.is_empty();
        self.unstamped.clear();
        any
    }

    /// Takes the news of a connection; news of one that is gone is dropped.
    #[inline]
    pub fn on_event(&mut self, now: Nanos, event: Event<'_>) {
        match event {
            Event::Received(id, bytes) => {
                if !self.is_current(id) {
                    return;
                }
                if self.stage == Stage::Finished {
                    // The run is over: whatever this answers, nobody counts it, and the connection is of no more use.
                    self.orphaned.push(id.index);
                    return;
                }
                if self.channels.is_none() {
                    self.received(now, id.index, bytes);
                } else {
                    self.unseal(now, id, bytes);
                }
            }
            event => self.on_rare_event(now, event),
        }
    }

    /// The bytes of the request.
    #[inline]
    #[must_use]
    pub fn image(&self) -> &RequestImage {
        &self.job.image
    }

    fn is_current(&self, id: ConnId) -> bool {
        self.conns.get(id.index as usize).is_some_and(|conn| conn.generation() == id.generation)
    }

    fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.conns[index as usize].generation() }
    }

    /// The phase that `now` is in.
    #[inline]
    fn phase_at(&mut self, now: Nanos) -> PhaseIndex {
        self.clock.phase_at(now.since(self.window.start))
    }
}

#[cfg(test)]
mod holding_tests;
#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod open_tests;
#[cfg(test)]
mod presence_tests;
#[cfg(test)]
mod renewal_tests;
#[cfg(test)]
mod repeats_tests;
#[cfg(test)]
mod secure_tests;
#[cfg(test)]
mod tests;
