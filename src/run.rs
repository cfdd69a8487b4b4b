//! Carries out a plan: one pinned thread a core, a common start, a watchful eye, a join, a merge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::engine::{Control, Gauges, Link, Settings, Stop, Unsupported, ring, uring};
use crate::exit::Refusal;
use crate::host;
use crate::plan::Plan;
use crate::record::{ClientTally, Interval, Record};
use crate::summary::{Client, End, IntervalRow, Latencies, Summary, Window};
use crate::sys;
use crate::time::{Nanos, monotonic};
use crate::verdict;
use crate::worker::{Job, Span};

/// How often the control plane looks at its workers.
const WATCH_EVERY: Duration = Duration::from_millis(20);
/// How often while the connections are being opened.
const OPENING_EVERY: Duration = Duration::from_millis(1);
/// From the announcement of the common start to the start: every worker has woken up by then.
const START_AHEAD_NS: u64 = 2_000_000;
/// Descriptors that a process needs beside its connections: standard streams, files, a ring a worker.
const OTHER_DESCRIPTORS: u64 = 32;

/// Signals that end a run: the first asks for a partial report, a second one for it at once.
#[derive(Debug)]
pub struct Interrupts {
    sigint: Arc<AtomicBool>,
    sigterm: Arc<AtomicBool>,
}

impl Interrupts {
    /// Catches SIGINT and SIGTERM from here on.
    ///
    /// # Errors
    /// When the operating system refuses it.
    pub fn catch() -> Result<Self, Refusal> {
        let interrupts = Self { sigint: Arc::default(), sigterm: Arc::default() };
        for (signal, flag) in [(SIGINT, &interrupts.sigint), (SIGTERM, &interrupts.sigterm)] {
            signal_hook::flag::register(signal, Arc::clone(flag)).map_err(|error| {
                Refusal::environment(format!("signals cannot be caught: {error}"))
            })?;
        }
        Ok(interrupts)
    }

    /// A signal that came since the last call.
    fn take(&self) -> Option<i32> {
        if self.sigterm.swap(false, Ordering::Relaxed) {
            return Some(SIGTERM);
        }
        self.sigint.swap(false, Ordering::Relaxed).then_some(SIGINT)
    }
}

/// What is told to whoever watches a run.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// Connections are being opened: so many of so many.
    Opening(u64, u64),
    /// A second has passed.
    Interval(&'a IntervalRow),
}

/// Carries out `plan`. `watch` is called from this thread while the run goes on.
///
/// # Errors
/// What this machine refuses, before anything is sent.
pub fn run(
    plan: &Plan,
    interrupts: &Interrupts,
    mut watch: impl FnMut(Progress<'_>),
) -> Result<Summary, Refusal> {
    let connections = u64::from(plan.load.connections);
    check_descriptors(connections + 2 * plan.threads() as u64, connections)?;
    ring::probe().map_err(|Unsupported(cause)| Refusal::environment(cause))?;
    let control = Control::default();
    let gauges: Vec<Gauges> = plan.cores.iter().map(|_| Gauges::default()).collect();
    let (sender, receiver) = mpsc::channel();
    let started_at = SystemTime::now();
    let mut observer = Observer::new(plan.threads());
    let (joined, end) = thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.threads())
            .map(|index| {
                let intervals = sender.clone();
                let link = Link { control: &control, gauges: &gauges[index], index, intervals };
                scope.spawn(move || work(plan, index, &link))
            })
            .collect();
        drop(sender);
        let watched = Watch { plan, control: &control, gauges: &gauges, interrupts };
        let end = watched.until_over(&receiver, &mut observer, &mut watch);
        let joined: Vec<_> = workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker that panics aborts the process"))
            .collect();
        (joined, end)
    });
    observer.drain(&receiver, &mut watch);
    let workers = joined
        .into_iter()
        .collect::<Result<Vec<_>, Unsupported>>()
        .map_err(|Unsupported(cause)| Refusal::environment(cause))?;
    let mut summary = merge(plan, workers, end, started_at);
    summary.intervals = observer.rows;
    Ok(summary)
}

/// Raises the soft limit of open descriptors as far as `wanted` and what a process needs beside, for `connections` of -c.
///
/// # Errors
/// Exit code 7 when the hard limit is below that.
pub fn check_descriptors(wanted: u64, connections: u64) -> Result<(), Refusal> {
    let needed = wanted.saturating_add(OTHER_DESCRIPTORS);
    let limit = sys::raise_descriptor_limit(needed).map_err(|error| {
        Refusal::environment(format!("the descriptor limit cannot be read: {error}"))
    })?;
    if limit < needed {
        return Err(Refusal::environment(format!(
            "-c {connections}: {needed} descriptors are needed and the hard limit is {limit}; raise it with 'ulimit -Hn {needed}' or use a smaller -c"
        )));
    }
    Ok(())
}

/// One worker thread.
fn work(plan: &Plan, index: usize, link: &Link<'_>) -> Result<(Record, Span), Unsupported> {
    let core = plan.cores[index];
    // Spinning on every core would leave none for a target on this host.
    let cores_left = !plan.same_host || plan.threads() < sys::cores_online();
    let pinned = core_affinity::set_for_current(core_affinity::CoreId { id: core });
    sys::sharpen_timers();
    let settings = Settings { address: plan.address, idle: plan.idle, cores_left };
    let ended = if pinned {
        uring::run(Job::of(plan, index), &settings, link)
    } else {
        Err(Unsupported(format!("--cpus: the worker cannot be pinned to core {core}")))
    };
    link.gauges.done.store(true, Ordering::Release);
    ended
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
        intervals: &Receiver<(usize, Interval)>,
        observer: &mut Observer,
        watch: &mut impl FnMut(Progress<'_>),
    ) -> End {
        let mut end = End::Finished;
        let mut lifeline = Lifeline { opened: 0, alive_at: monotonic() };
        loop {
            let started = self.control.start().is_some();
            let done = self.count(|gauges| gauges.done.load(Ordering::Acquire));
            if done == self.gauges.len() {
                return end;
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
            let (open, opened) = self.connections();
            let now = monotonic();
            lifeline.see(now, open, opened);
            let dead_ns = now.since(lifeline.alive_at);
            if dead_ns >= self.plan.timeouts.give_up_ns && end == End::Finished {
                end = End::GaveUp;
                self.control.stop(Stop::Now);
            }
            if started {
                observer.listen(intervals, self.gauges, watch);
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

/// When a connection was last known to be open, or to have been opened, however briefly.
struct Lifeline {
    opened: u64,
    alive_at: Nanos,
}

impl Lifeline {
    fn see(&mut self, now: Nanos, open: u64, opened: u64) {
        if open > 0 || opened > self.opened {
            self.alive_at = now;
        }
        self.opened = opened;
    }
}

/// Puts the intervals of several workers together, second by second.
struct Observer {
    /// The last interval that each worker has delivered.
    latest: Vec<Option<i64>>,
    pending: BTreeMap<i64, Interval>,
    rows: Vec<IntervalRow>,
}

impl Observer {
    fn new(workers: usize) -> Self {
        Self { latest: vec![None; workers], pending: BTreeMap::new(), rows: Vec::new() }
    }

    /// Waits a moment for intervals, and tells of those that every worker has delivered or will not deliver any more.
    fn listen(
        &mut self,
        intervals: &Receiver<(usize, Interval)>,
        gauges: &[Gauges],
        watch: &mut impl FnMut(Progress<'_>),
    ) {
        // Who is done has delivered everything: that must be known before the last look into the channel.
        let done: Vec<bool> =
            gauges.iter().map(|gauges| gauges.done.load(Ordering::Acquire)).collect();
        match intervals.recv_timeout(WATCH_EVERY) {
            Ok((worker, interval)) => self.add(worker, interval),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(OPENING_EVERY),
        }
        while let Ok((worker, interval)) = intervals.try_recv() {
            self.add(worker, interval);
        }
        let awaited = self.latest.iter().zip(done).filter(|(_, done)| !done);
        // `None` is below every index: a worker that has delivered nothing holds back everything.
        let complete = awaited.map(|(latest, _)| *latest).min().unwrap_or(Some(i64::MAX));
        self.release(complete, watch);
    }

    /// After the join: everything that is still there.
    fn drain(
        &mut self,
        intervals: &Receiver<(usize, Interval)>,
        watch: &mut impl FnMut(Progress<'_>),
    ) {
        while let Ok((worker, interval)) = intervals.try_recv() {
            self.add(worker, interval);
        }
        self.release(Some(i64::MAX), watch);
    }

    fn add(&mut self, worker: usize, interval: Interval) {
        self.latest[worker] = Some(interval.index);
        match self.pending.get_mut(&interval.index) {
            Some(sum) => sum.add(&interval),
            None => {
                self.pending.insert(interval.index, interval);
            }
        }
    }

    fn release(&mut self, complete: Option<i64>, watch: &mut impl FnMut(Progress<'_>)) {
        while let Some(entry) = self.pending.first_entry() {
            if Some(*entry.key()) > complete {
                break;
            }
            let row = IntervalRow::from(&entry.remove());
            watch(Progress::Interval(&row));
            self.rows.push(row);
        }
    }
}

/// One record out of several, checked: a request that was lost or counted twice is a bug, and no report is worth
/// printing then.
fn merge(plan: &Plan, workers: Vec<(Record, Span)>, end: End, started_at: SystemTime) -> Summary {
    let mut record = Record::default();
    let mut clients = Vec::new();
    let mut spans = Vec::new();
    for (worker_record, span) in workers {
        record.add(&worker_record);
        clients.push(worker_record.client);
        spans.push(span);
    }
    record.conserved().expect("every request that was taken ends in exactly one outcome");
    let (window, origin) = measure(&spans, plan.load.requests.is_some(), end);
    let latencies = Latencies::of(&record.measured);
    let cpu_ns = clients.iter().map(|client: &ClientTally| client.cpu_ns).sum();
    let client = Client { cpu_ns, peak_rss_bytes: sys::peak_rss_bytes(), workers: clients };
    let verdict = verdict::judge(plan, &record, &client, &latencies);
    Summary {
        started_at,
        engine: "uring",
        end,
        window,
        origin,
        record,
        latencies,
        intervals: Vec::new(),
        client,
        host: host::describe(),
        verdict,
    }
}

/// How long the parts of the run really lasted.
fn measure(spans: &[Span], counted: bool, end: End) -> (Window, Nanos) {
    let latest = |of: fn(&Span) -> Nanos| spans.iter().map(of).max().unwrap_or_default();
    let start = spans.iter().map(|span| span.window.start).min().unwrap_or_default();
    let origin = latest(|span| span.window.origin);
    let finished = latest(|span| span.finished);
    // A worker that reached its count was never stopped.
    let stop = latest(|span| match span.window.stop {
        Nanos::NEVER => span.finished,
        stop => stop,
    });
    // A count that was reached ends the window with its last request. One that was not is no reason to forget the time
    // in which nothing came any more.
    let stop = if counted && end == End::Finished { stop.min(finished).max(origin) } else { stop };
    let window = Window {
        warmup_ns: origin.since(start),
        measured_ns: stop.since(origin),
        drain_ns: finished.since(stop),
    };
    (window, origin)
}

#[cfg(test)]
mod tests {
    use super::measure;
    use crate::schedule::Window;
    use crate::summary::End;
    use crate::time::Nanos;
    use crate::worker::Span;

    fn span(stop: Nanos, finished: u64) -> Span {
        Span {
            window: Window { start: Nanos(10), origin: Nanos(20), stop },
            finished: Nanos(finished),
        }
    }

    fn lengths(spans: &[Span], counted: bool, end: End) -> (u64, u64, u64) {
        let (window, origin) = measure(spans, counted, end);
        assert_eq!(origin, Nanos(20));
        (window.warmup_ns, window.measured_ns, window.drain_ns)
    }

    #[test]
    fn a_timed_run_is_as_long_as_planned_and_its_drain_comes_after() {
        let spans = [span(Nanos(120), 125), span(Nanos(120), 123)];
        assert_eq!(lengths(&spans, false, End::Finished), (10, 100, 5));
    }

    #[test]
    fn a_count_that_was_reached_ends_with_its_last_request() {
        let spans = [span(Nanos::NEVER, 90), span(Nanos::NEVER, 70)];
        assert_eq!(lengths(&spans, true, End::Finished), (10, 70, 0));
        let spans = [span(Nanos(1000), 90), span(Nanos(1000), 70)];
        assert_eq!(lengths(&spans, true, End::Finished), (10, 70, 0));
    }

    #[test]
    fn a_count_that_was_not_reached_includes_the_time_in_which_nothing_came() {
        let spans = [span(Nanos::NEVER, 30), span(Nanos(500), 40)];
        assert_eq!(lengths(&spans, true, End::GaveUp), (10, 480, 0));
        let spans = [span(Nanos(500), 40), span(Nanos(500), 60)];
        assert_eq!(lengths(&spans, true, End::Interrupted(2)), (10, 480, 0));
    }
}
