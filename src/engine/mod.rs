//! Loops that drive a worker: one on io_uring, one on epoll where there is none, one over a simulated server.
//!
//! An engine is a function, picked once per thread. It owns descriptors, buffers and the clock, and decides nothing
//! about requests. What it shares with the control plane are the few words of [`Control`] and [`Gauges`]; nothing that
//! watches can slow it down.

mod arrivals;
mod bufring;
mod closing;
#[cfg(test)]
mod drop_tests;
mod gathered;
mod idle;
mod looks;
mod meter;
pub mod mirror;
mod pace;
mod patience;
pub mod portable;
pub mod ring;
mod sends;
pub mod sim;
mod sim_queue;
mod sim_server;
pub mod sockets;
mod spin;
mod told;
pub mod uring;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError};

use crate::core::record::{Interval, Record, RequestRow};
use crate::core::worker::{Job, Span, Worker};
use crate::plan::{Idle, Route};
use crate::time::Nanos;

/// What the control plane tells all workers.
#[derive(Debug, Default)]
pub struct Control {
    start_ns: AtomicU64,
    stop: AtomicU8,
}

/// How urgently a run is to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// It is not.
    No,
    /// Take nothing more, await what is in flight for a moment.
    Soon,
    /// At once.
    Now,
}

impl Control {
    /// Announces the common start.
    pub fn start_at(&self, start: Nanos) {
        self.start_ns.store(start.0, Ordering::Release);
    }

    /// The common start, once it is announced.
    #[must_use]
    pub fn start(&self) -> Option<Nanos> {
        match self.start_ns.load(Ordering::Acquire) {
            0 => None,
            start_ns => Some(Nanos(start_ns)),
        }
    }

    /// Asks for the end; a more urgent request replaces a less urgent one.
    pub fn stop(&self, stop: Stop) {
        self.stop.fetch_max(stop as u8, Ordering::Release);
    }

    /// Whether the end was asked for.
    #[must_use]
    pub fn stopping(&self) -> Stop {
        match self.stop.load(Ordering::Relaxed) {
            0 => Stop::No,
            1 => Stop::Soon,
            _ => Stop::Now,
        }
    }
}

/// What one worker shows of itself while it runs; on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Gauges {
    /// Its first connection attempts have all ended.
    pub ready: AtomicBool,
    /// Connections open now.
    pub open: AtomicU32,
    /// Connections opened so far, reopened ones as often as they were.
    pub opened: AtomicU64,
    /// A due request found no connection, and the plan says to end the run then.
    pub overloaded: AtomicBool,
    /// Requests that were to be logged and found no place where they could wait to be written.
    pub unlogged: AtomicU64,
    /// No connection was ever opened, and none ever can be.
    pub hopeless: AtomicBool,
    /// It is done, well or not.
    pub done: AtomicBool,
}

/// One worker's ties to the control plane, for one run.
#[derive(Debug)]
pub struct Link {
    /// What all are told.
    pub control: Arc<Control>,
    /// What each shows.
    pub gauges: Arc<[Gauges]>,
    /// Which worker it is.
    pub index: usize,
    /// Where its finished intervals go, with its index.
    pub intervals: Sender<(usize, Interval)>,
    /// Where the requests that it logs go. It is bounded: what does not fit is counted and dropped.
    pub requests: SyncSender<Vec<RequestRow>>,
}

impl Drop for Link {
    /// Says that the worker is done with the run, even one that panics: nobody waits for it for ever.
    fn drop(&mut self) {
        self.gauges().done.store(true, Ordering::Release);
    }
}

/// One run for one worker.
#[derive(Debug)]
pub struct Order {
    /// What is to be done.
    pub job: Job,
    /// Who is to hear of it.
    pub link: Link,
}

/// Where a worker finds what it is to do, one run after the other, and leaves what came of it.
#[derive(Debug)]
pub struct Desk {
    /// Whoever holds the other end is there for as long as there may be another run.
    pub orders: Receiver<Order>,
    /// In the order of the runs.
    pub outcomes: Sender<Result<(Record, Span), Unsupported>>,
}

impl Desk {
    /// Leaves what came of a run, and waits for the next one; `None` when there will be none. The connections stay as
    /// they are meanwhile: what happens on them is seen when the next run begins.
    fn exchange(&self, outcome: (Record, Span), link: Link) -> Option<Order> {
        // Nobody to take it means that the session is being torn down.
        let _ = self.outcomes.send(Ok(outcome));
        drop(link);
        self.orders.recv().ok()
    }
}

impl Link {
    /// Its own.
    fn gauges(&self) -> &Gauges {
        &self.gauges[self.index]
    }

    /// Tells the control plane when the worker is ready, and the worker when to start; true once it knows.
    fn prepare_start(&self, worker: &mut Worker) -> bool {
        if !worker.is_ready() {
            return false;
        }
        self.gauges().ready.store(true, Ordering::Release);
        let start = self.control.start();
        if let Some(start) = start {
            worker.start_at(start);
        }
        start.is_some()
    }

    /// Shows what is new.
    fn publish(&self, worker: &mut Worker) {
        self.gauges().open.store(worker.open_connections(), Ordering::Relaxed);
        self.gauges().opened.store(worker.connections_opened(), Ordering::Relaxed);
        while let Some(interval) = worker.take_interval() {
            // Nobody listening means that the run is being torn down.
            let _ = self.intervals.send((self.index, interval));
        }
        if let Some(rows) = worker.take_log() {
            self.log(rows);
        }
        if worker.is_hopeless() {
            self.gauges().hopeless.store(true, Ordering::Relaxed);
        }
        if worker.is_overloaded() {
            self.gauges().overloaded.store(true, Ordering::Relaxed);
        }
    }
}

impl Link {
    /// Hands over requests to be logged. A log that is written too slowly is no reason to be late.
    fn log(&self, rows: Vec<RequestRow>) {
        if let Err(TrySendError::Full(rows)) = self.requests.try_send(rows) {
            self.gauges().unlogged.fetch_add(rows.len() as u64, Ordering::Relaxed);
        }
    }
}

/// Longest sleep: how late a worker may hear that the run is to end, in nanoseconds.
const LONGEST_SLEEP_NS: u64 = 20_000_000;
/// Sends that a paced worker hands over at once: all of them are stamped with the time before.
const PACED_SENDS: u32 = 4;
/// Sends that a worker without a schedule hands over at once, likewise: a call of the kernel is shared by more of them.
const SENDS_AT_ONCE: u32 = 8;
/// How long what is in flight is awaited when the user ends a run, in nanoseconds.
const STOP_DRAIN_NS: u64 = 1_000_000_000;

/// What a loop needs to know beside the worker's job.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// Where to connect, and how.
    pub route: &'a Route,
    /// Number of the worker's first connection among those of all workers.
    pub first_connection: u64,
    /// How to wait.
    pub idle: Idle,
    /// Workers that spin leave other cores to a target on this host.
    pub cores_left: bool,
}

/// Why an engine could not be set up on this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unsupported(pub String);

#[cfg(test)]
mod tests {
    use super::{Control, Gauges, Link};
    use crate::core::record::{Fate, RequestRow, ServerStamps};
    use crate::core::schedule::PhaseIndex;
    use crate::time::Nanos;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::sync::mpsc;

    #[test]
    fn a_worker_never_waits_for_its_log_and_counts_what_it_drops() {
        let row = RequestRow {
            number: 0,
            phase: PhaseIndex(1),
            fate: Fate::Unsent,
            status: 0,
            connection: 0,
            intended: Nanos(0),
            sent: None,
            first_byte: None,
            ended: Nanos(0),
            pool_ns: 0,
            late_ns: 0,
            server: ServerStamps::default(),
        };
        let gauges: Arc<[Gauges]> = Arc::new([Gauges::default()]);
        let (intervals, _intervals) = mpsc::channel();
        let (requests, logged) = mpsc::sync_channel(1);
        let control = Arc::new(Control::default());
        let link = Link { control, gauges: Arc::clone(&gauges), index: 0, intervals, requests };
        for _ in 0..3 {
            link.log(vec![row; 5]);
        }
        assert_eq!(gauges[0].unlogged.load(Ordering::Relaxed), 10);
        assert_eq!(logged.try_iter().map(|rows| rows.len()).sum::<usize>(), 5);
        link.log(vec![row; 2]);
        assert_eq!(logged.try_iter().count(), 1, "there is room again");
    }
}
