//! What every command that measures goes through: a bench asks machine and target, and each run is one pinned thread a core, a
//! common start, a watchful eye, a join, a merge.
//!
//! Owned by the control plane. It must not know which command runs, nor what reports look like.

mod bench;
mod interrupts;
mod machine;
mod merge;
mod observer;
pub mod preflight;
mod simulated;
mod witness;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crate::core::record::buckets::IntervalBuckets;
use crate::core::record::{Interval, Record, RequestRow};
use crate::core::worker::Span;
use crate::engine::{
    Control, Desk, Gauges, Link, Order, Settings, Stop, Unsupported, portable, uring,
};
use crate::exit::Refusal;
use crate::machine::pressure::Sample;
use crate::machine::sys;
use crate::plan::{Idle, Plan, Route};
use crate::result::summary::{End, Engine, IntervalRow, Summary};
use crate::time::{Nanos, monotonic};
pub use bench::{Bench, Connections, no_connection};
pub use interrupts::Interrupts;
pub use machine::{affordable_connections, check_descriptors, prepare};
use merge::Finished;
use observer::Observer;
pub use simulated::SimulatedSession;
pub use witness::Witness;

/// How often the control plane looks at its workers.
const WATCH_EVERY: Duration = Duration::from_millis(20);
/// How often while the connections are being opened.
const OPENING_EVERY: Duration = Duration::from_millis(1);
/// From the announcement of the common start to the start: every worker has woken up by then.
const START_AHEAD_NS: u64 = 2_000_000;
/// Batches of logged requests that may wait to be written.
const LOG_BATCHES: usize = 4096;

/// What is told to whoever watches a run.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Connections are being opened: so many of so many.
    Opening(u64, u64),
    /// A second has passed; with it the latencies of what was answered in it.
    Interval(&'a IntervalRow, &'a IntervalBuckets),
    /// io_uring cannot be had for this reason, and the portable engine takes its place.
    Fallback(&'a str),
    /// Requests have ended that are to be logged.
    Requests(&'a [RequestRow]),
    /// The run is over, and nothing more comes.
    Ended,
}

/// What comes from the workers while they run.
struct News {
    intervals: Receiver<(usize, Interval)>,
    requests: Receiver<Vec<RequestRow>>,
}

/// Workers that carry out one plan after the other, all with the same target, on the same connections.
///
/// The threads, their rings and their connections stay from one plan to the next; what happens on the connections in
/// between is seen when the next one begins.
#[derive(Debug)]
struct Session {
    engine: Engine,
    workers: Vec<WorkerThread>,
}

/// One worker's thread, and the other side of its [`Desk`].
#[derive(Debug)]
struct WorkerThread {
    orders: Sender<Order>,
    outcomes: Receiver<Result<(Record, Span), Unsupported>>,
    thread: JoinHandle<()>,
}

impl Session {
    /// Starts workers for `plan` and for others that differ in their load only, with as many connections, threads and
    /// requests in flight on each, on an engine that [`prepare`] has chosen. They open connections with the first run.
    ///
    /// # Errors
    /// A thread that the kernel does not start.
    fn open(plan: &Plan, engine: Engine) -> Result<Self, Refusal> {
        let on_epoll = engine != Engine::Uring;
        let mut session = Self { workers: Vec::new(), engine };
        for index in 0..plan.threads() {
            let (orders, worker_orders) = mpsc::channel();
            let (worker_outcomes, outcomes) = mpsc::channel();
            let place = Place::of(plan, index, on_epoll);
            let desk = Desk { orders: worker_orders, outcomes: worker_outcomes };
            let thread = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || place.work(&desk))
                .map_err(|error| no_thread(plan, &error))?;
            session.workers.push(WorkerThread { orders, outcomes, thread });
        }
        Ok(session)
    }

    /// Carries out a plan. `watch` is called from this thread while it goes on.
    ///
    /// # Errors
    /// What this machine refuses all the same.
    fn run(
        &self,
        plan: &Plan,
        interrupts: &Interrupts,
        mut watch: impl FnMut(Progress<'_>),
    ) -> Result<Summary, Refusal> {
        debug_assert_eq!(plan.threads(), self.workers.len(), "a plan for these workers");
        let control = Arc::new(Control::default());
        let gauges: Arc<[Gauges]> = plan.cores.iter().map(|_| Gauges::default()).collect();
        let (sender, intervals) = mpsc::channel();
        let (log_sender, requests) = mpsc::sync_channel(LOG_BATCHES);
        let news = News { intervals, requests };
        let started_at = SystemTime::now();
        let before = Sample::take();
        let mut observer = Observer::new(plan);
        for (index, worker) in self.workers.iter().enumerate() {
            let link = Link {
                control: Arc::clone(&control),
                gauges: Arc::clone(&gauges),
                index,
                intervals: sender.clone(),
                requests: log_sender.clone(),
            };
            // A thread that could not be set up has left its outcome, which is found below.
            let _ = worker.orders.send(Order { job: plan.job(index), link });
        }
        drop((sender, log_sender));
        let watched = Watch { plan, control: &control, gauges: &gauges, interrupts };
        let end = watched.until_over(&news, &mut observer, &mut watch);
        let outcomes = self
            .workers
            .iter()
            .map(|worker| worker.outcomes.recv().expect("a worker that panics aborts the process"));
        let workers = outcomes
            .collect::<Result<Vec<_>, Unsupported>>()
            .map_err(|Unsupported(cause)| Refusal::environment(cause))?;
        observer.drain(&news, &mut watch);
        let pressure = before.until(&Sample::take());
        let engine = self.engine.clone();
        let clock_read_ns = clock_read_ns();
        let unlogged = gauges.iter().map(|gauges| gauges.unlogged.load(Ordering::Relaxed)).sum();
        let finished = Finished {
            engine,
            workers,
            end,
            started_at,
            observer,
            pressure,
            clock_read_ns,
            unlogged,
        };
        Ok(merge::merge(plan, finished))
    }
}

impl Drop for Session {
    /// Without another order the threads close their connections and end.
    fn drop(&mut self) {
        for WorkerThread { orders, outcomes, thread } in self.workers.drain(..) {
            drop((orders, outcomes));
            let _ = thread.join();
        }
    }
}

fn no_thread(plan: &Plan, error: &io::Error) -> Refusal {
    Refusal::environment(format!(
        "-t {}: a worker's thread cannot be started: {error}; lower -t, or raise the limit of processes (ulimit -u) or of \
         memory (ulimit -v)",
        plan.threads()
    ))
}

/// What one look at the clock takes, in nanoseconds: the shortest of a few tries.
fn clock_read_ns() -> u64 {
    const READS: u64 = 100;
    let tries = (0..10).map(|_| {
        let begun = monotonic();
        for _ in 0..READS {
            std::hint::black_box(monotonic());
        }
        monotonic().since(begun) / (READS + 1)
    });
    tries.min().unwrap_or(0)
}

/// Where a worker's thread runs, and what it needs to know beside its jobs.
#[derive(Debug)]
struct Place {
    core: usize,
    on_epoll: bool,
    route: Route,
    first_connection: u64,
    idle: Idle,
    cores_left: bool,
}

impl Place {
    fn of(plan: &Plan, index: usize, on_epoll: bool) -> Self {
        Self {
            core: plan.cores[index],
            on_epoll,
            route: plan.route.clone(),
            first_connection: plan.first_connection(index),
            idle: plan.idle,
            // Spinning on every core would leave none for a target on this host.
            cores_left: !plan.same_host || plan.threads() < sys::cores_online(),
        }
    }

    /// One worker thread: one run after the other, until there are no more.
    fn work(&self, desk: &Desk) {
        let Ok(first) = desk.orders.recv() else { return };
        let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: self.core });
        sys::sharpen_timers();
        let settings = Settings {
            route: &self.route,
            first_connection: self.first_connection,
            idle: self.idle,
            cores_left: self.cores_left,
        };
        let carried_out = match (pinned, self.on_epoll) {
            (true, false) => uring::run(first, &settings, desk),
            (true, true) => portable::run(first, &settings, desk),
            (false, _) => {
                let core = self.core;
                Err(Unsupported(format!("--cpus: the worker cannot be pinned to core {core}")))
            }
        };
        if let Err(unsupported) = carried_out {
            let _ = desk.outcomes.send(Err(unsupported));
        }
    }
}

/// The eyes of the control plane on a run.
struct Watch<'a> {
    plan: &'a Plan,
    control: &'a Control,
    gauges: &'a [Gauges],
    interrupts: &'a Interrupts,
}

impl Watch<'_> {
    /// Starts the run once everybody is ready, and ends it early when it must.
    fn until_over(
        &self,
        news: &News,
        observer: &mut Observer,
        watch: &mut impl FnMut(Progress<'_>),
    ) -> End {
        let mut end = End::Finished;
        let mut lifeline = Lifeline::new(monotonic());
        loop {
            let started = self.control.start().is_some();
            let done = self.count(|gauges| gauges.done.load(Ordering::Acquire));
            if done == self.gauges.len() {
                let overloaded = self.count(|gauges| gauges.overloaded.load(Ordering::Relaxed)) > 0;
                return if overloaded && end == End::Finished { End::Overloaded } else { end };
            }
            if !started && done > 0 {
                // A worker that could not be set up: the others would wait for it for ever.
                self.control.stop(Stop::Now);
            } else if !started
                && self.count(|gauges| gauges.ready.load(Ordering::Acquire)) == self.gauges.len()
            {
                self.control.start_at(monotonic().plus(START_AHEAD_NS));
            }
            if let Some(signal) = self.interrupts.take() {
                let again = matches!(end, End::Interrupted(_));
                end = End::Interrupted(signal);
                self.control.stop(if again { Stop::Now } else { Stop::Soon });
            }
            if self.count(|gauges| gauges.overloaded.load(Ordering::Relaxed)) > 0
                && end == End::Finished
            {
                end = End::Overloaded;
                self.control.stop(Stop::Now);
            }
            let (open, opened) = self.connections();
            let dead_ns = lifeline.see(monotonic(), open, opened);
            if dead_ns >= self.plan.timeouts.give_up_ns && end == End::Finished {
                end = End::GaveUp;
                self.control.stop(Stop::Now);
            }
            let hopeless = self.count(|gauges| gauges.hopeless.load(Ordering::Relaxed));
            if hopeless == self.gauges.len() && opened == 0 && end == End::Finished {
                end = End::GaveUp;
                self.control.stop(Stop::Now);
            }
            if let (Some((condition, value)), End::Finished) = (observer.reason_to_abort, end) {
                end = End::Aborted { condition, value };
                self.control.stop(Stop::Soon);
            }
            if started {
                observer.listen(news, self.gauges, watch);
            } else {
                thread::sleep(OPENING_EVERY);
                watch(Progress::Opening(open, u64::from(self.plan.load.connections)));
            }
        }
    }

    fn count(&self, condition: impl Fn(&Gauges) -> bool) -> usize {
        self.gauges.iter().filter(|gauges| condition(gauges)).count()
    }

    /// Connections open now, of workers that are not done, and connections opened ever.
    fn connections(&self) -> (u64, u64) {
        self.gauges.iter().fold((0, 0), |(open, opened), gauges| {
            let busy = !gauges.done.load(Ordering::Acquire);
            let now_open = if busy { gauges.open.load(Ordering::Relaxed) } else { 0 };
            (open + u64::from(now_open), opened + gauges.opened.load(Ordering::Relaxed))
        })
    }
}

/// For how long no connection has been open, nor been opened, however briefly.
struct Lifeline {
    opened: u64,
    seen_at: Nanos,
    dead_ns: u64,
}

impl Lifeline {
    /// A look that comes later than this was held up, and the target is not given up for that, in nanoseconds.
    const LONGEST_GAP_NS: u64 = 200_000_000;

    fn new(now: Nanos) -> Self {
        Self { opened: 0, seen_at: now, dead_ns: 0 }
    }

    /// So many connections are open now, and so many were opened so far. Returns for how long there was none, in nanoseconds.
    fn see(&mut self, now: Nanos, open: u64, opened: u64) -> u64 {
        self.dead_ns += now.since(self.seen_at).min(Self::LONGEST_GAP_NS);
        if open > 0 || opened > self.opened {
            self.dead_ns = 0;
        }
        self.opened = opened;
        self.seen_at = now;
        self.dead_ns
    }
}

#[cfg(test)]
mod tests {
    use super::Lifeline;
    use crate::time::Nanos;

    #[test]
    fn a_target_is_not_given_up_for_the_time_in_which_nobody_looked() {
        const MS: u64 = 1_000_000;
        let mut lifeline = Lifeline::new(Nanos(0));
        assert_eq!(lifeline.see(Nanos(20 * MS), 0, 0), 20 * MS);
        assert_eq!(lifeline.see(Nanos(40 * MS), 0, 0), 40 * MS);
        assert_eq!(lifeline.see(Nanos(60 * MS), 0, 1), 0);
        assert_eq!(lifeline.see(Nanos(80 * MS), 1, 1), 0);
        assert_eq!(lifeline.see(Nanos(100 * MS), 0, 1), 20 * MS);
        let stopped = lifeline.see(Nanos(30_000 * MS), 0, 1);
        assert_eq!(stopped, 20 * MS + Lifeline::LONGEST_GAP_NS);
    }
}
