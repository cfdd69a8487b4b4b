//! Watches the workers of a run: their intervals become rows a second and slices for statistics, and what is logged goes
//! to whoever writes it.
//!
//! Owned by the thread that waits for the workers. It must not slow them down: they only ever put something into a
//! channel.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;

use super::{LOG_BATCHES, News, OPENING_EVERY, Progress, WATCH_EVERY};
use crate::core::record::Interval;
use crate::core::record::buckets::IntervalBuckets;
use crate::engine::Gauges;
use crate::plan::Plan;
use crate::result::summary::IntervalRow;
use crate::slo::lookout::Lookout;
use crate::slo::windows::Windows;
use crate::stats::series::{Series, Slice, Waiting};
use crate::stats::silence::Silences;
use crate::time::NANOS_PER_SECOND;

/// Puts the intervals of several workers together, slice by slice and second by second.
pub(super) struct Observer {
    /// The last interval that each worker has delivered.
    latest: Vec<Option<i64>>,
    pending: BTreeMap<i64, Interval>,
    /// Slices of a second.
    slices_per_second: i64,
    /// The second that is being put together.
    second: Option<Interval>,
    pub(super) rows: Vec<IntervalRow>,
    pub(super) series: Series,
    /// When no good answer came.
    pub(super) silences: Silences,
    /// What gates on pieces of time find.
    pub(super) windows: Vec<Windows>,
    lookout: Lookout,
    /// The measured window ends after so many seconds.
    until_second: i64,
    /// The condition of `--abort-on` that came true first, and its value.
    pub(super) reason_to_abort: Option<(usize, f64)>,
}

impl Observer {
    pub(super) fn new(plan: &Plan) -> Self {
        let slice_ns = plan.slice_ns;
        let until_ns = plan.load.duration_ns.unwrap_or(u64::MAX);
        Self {
            latest: vec![None; plan.threads()],
            pending: BTreeMap::new(),
            slices_per_second: i64::try_from(NANOS_PER_SECOND / slice_ns).unwrap_or(1).max(1),
            second: None,
            rows: Vec::new(),
            series: Series::new(slice_ns),
            silences: Silences::new(slice_ns),
            windows: plan.slo.iter().filter_map(|gate| Windows::of(gate, slice_ns)).collect(),
            lookout: Lookout::new(plan.abort_on.clone()),
            until_second: i64::try_from(until_ns.div_ceil(NANOS_PER_SECOND)).unwrap_or(i64::MAX),
            reason_to_abort: None,
        }
    }

    /// Waits a moment for intervals, and tells of those that every worker has delivered or will not deliver any more.
    pub(super) fn listen(
        &mut self,
        news: &News,
        gauges: &[Gauges],
        watch: &mut impl FnMut(Progress<'_>),
    ) {
        // Who is done has delivered everything: that must be known before the last look into the channel.
        let done: Vec<bool> =
            gauges.iter().map(|gauges| gauges.done.load(Ordering::Acquire)).collect();
        match news.intervals.recv_timeout(WATCH_EVERY) {
            Ok((worker, interval)) => self.add(worker, interval),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(OPENING_EVERY),
        }
        self.take(news, watch);
        let awaited = self.latest.iter().zip(done).filter(|(_, done)| !done);
        // `None` is below every index: a worker that has delivered nothing holds back everything.
        let complete = awaited.map(|(latest, _)| *latest).min().unwrap_or(Some(i64::MAX));
        self.release(complete, watch);
    }

    /// After the join: everything that is still there.
    pub(super) fn drain(&mut self, news: &News, watch: &mut impl FnMut(Progress<'_>)) {
        self.take(news, watch);
        self.release(Some(i64::MAX), watch);
        self.end_second(watch);
    }

    /// Takes what has come without waiting for more.
    fn take(&mut self, news: &News, watch: &mut impl FnMut(Progress<'_>)) {
        while let Ok((worker, interval)) = news.intervals.try_recv() {
            self.add(worker, interval);
        }
        // Workers that log faster than anybody can write must not keep this thread from everything else.
        for rows in news.requests.try_iter().take(LOG_BATCHES) {
            watch(Progress::Requests(&rows));
        }
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
            let slice = entry.remove();
            if slice.index >= 0 {
                let slice = slice_of(&slice);
                self.windows.iter_mut().for_each(|windows| windows.push(&slice));
                self.silences.push(&slice);
                self.series.push(slice);
            }
            let second = slice.index.div_euclid(self.slices_per_second);
            let is_last = (slice.index + 1).rem_euclid(self.slices_per_second) == 0;
            match &mut self.second {
                Some(sum) => sum.extend(&slice),
                None => self.second = Some(Interval { index: second, ..slice }),
            }
            if is_last {
                self.look_out();
                self.end_second(watch);
            }
        }
    }

    /// Whether the second that is over is a reason to end the run. When the last one is over, the run is, too.
    fn look_out(&mut self) {
        let Some(second) = &self.second else { return };
        let is_measured = second.index >= 0 && second.index + 1 < self.until_second;
        if is_measured && self.reason_to_abort.is_none() {
            self.reason_to_abort = self.lookout.see(|| Slice {
                waiting: second.waiting.as_ref().map(waiting_of).unwrap_or_default(),
                ..slice_of(second)
            });
        }
    }

    fn end_second(&mut self, watch: &mut impl FnMut(Progress<'_>)) {
        if let Some(second) = self.second.take() {
            let row = IntervalRow::from(&second);
            watch(Progress::Interval(&row, &second.latency));
            self.rows.push(row);
        }
    }
}

/// What statistics need of a slice, in as little memory as its answers took different times.
fn slice_of(interval: &Interval) -> Slice {
    Slice {
        scheduled: interval.scheduled,
        sent: interval.sent,
        completed: interval.completed,
        ok: interval.ok,
        errors: interval.errors,
        in_flight_ns: interval.in_flight_ns,
        outstanding: interval.in_flight + interval.backlog,
        backlog: interval.backlog,
        missing: interval.missing,
        unwatched: interval.unwatched,
        sum_ns: interval.latency.sum_ns(),
        max_ns: interval.latency.max_ns().unwrap_or(0),
        latency: interval.latency.occupied().collect(),
        bounds: interval.bounds.iter().flat_map(IntervalBuckets::occupied).collect(),
        // Nobody but the lookout wants to know, and these are kept.
        waiting: Waiting::default(),
    }
}

fn waiting_of(ages: &IntervalBuckets) -> Waiting {
    Waiting {
        sum_ns: ages.sum_ns(),
        max_ns: ages.max_ns().unwrap_or(0),
        ages: ages.occupied().collect(),
    }
}
