//! A finished run: the merged record with its times, its host and its verdict. Reports are written from this alone.

mod distribution;
mod in_flight;
mod part;
mod presence;
mod seen;
mod sweep;

use std::time::SystemTime;

use crate::core::record::{ClientTally, Counts, Interval, PhaseRecord, Record};
use crate::exit::Signal;
use crate::machine::pressure::Pressure;
use crate::result::verdict::{Level, Reason, Rule, Verdict};
use crate::slo::Gate;
use crate::stats::recovery::Recovery;
use crate::stats::series::Series;
use crate::time::{NANOS_PER_SECOND, Nanos, seconds};
pub use distribution::{Distribution, Lags, Latencies, Quantile, fewest_samples};
pub use in_flight::InFlight;
pub use part::RunPart;
pub use presence::{Measured, Presence, Quiet, Stretch};
pub use seen::Seen;
pub use sweep::{
    Course, Doubling, Drift, Estimate, Knee, Onset, Order, PowerPoint, Saturation, Scalability,
    Shown, SoFar, SweepRun, SweepSummary, Variable,
};

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// The plan was carried out.
    Finished,
    /// The user stopped it, by this signal.
    Interrupted(Signal),
    /// No connection could be had for `--give-up`.
    GaveUp,
    /// A due request found no connection, which `--on-overload abort` does not suffer.
    Overloaded,
    /// What `--abort-on` waits for came true.
    Aborted {
        /// Which condition of the plan's.
        condition: usize,
        /// The value that was found, in the condition's unit.
        value: f64,
    },
}

/// Lengths of the parts of a run, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Window {
    /// Before the measured window.
    pub warmup_ns: u64,
    /// The measured window: the plan's duration, or the time until the last of `-n` responses, or until the interruption.
    pub measured_ns: u64,
    /// After it, until the last response was there or was given up.
    pub drain_ns: u64,
}

/// The machine on which the client ran.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Model of the processor.
    pub cpu: Option<String>,
    /// Cores that this process may use.
    pub cores_allowed: usize,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// What the kernel reads time from.
    pub clocksource: Option<String>,
    /// CPU quota of the control group, in cores.
    pub cgroup_quota_cores: Option<f64>,
}

/// What the client itself used.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// CPU time of the workers during the run, user and system, in nanoseconds.
    pub cpu_ns: u64,
    /// Largest resident set of this process, in bytes; `None` where the kernel does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// What one look at the clock takes, in nanoseconds.
    pub clock_read_ns: u64,
    /// One a worker.
    pub workers: Vec<ClientTally>,
}

/// One interval over all workers, shrunk to what reports show.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalRow {
    /// End of the interval on the run's clock, in seconds; the measured window starts at 0.
    pub end_s: f64,
    /// Requests that came into being, by when they were due.
    pub scheduled: u64,
    /// Requests sent.
    pub sent: u64,
    /// Whole responses.
    pub completed: u64,
    /// Good responses.
    pub ok: u64,
    /// Requests that ended otherwise.
    pub errors: u64,
    /// In flight at its end.
    pub in_flight: u64,
    /// Due and unsent at its end.
    pub backlog: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Median response time of what ended in it, in nanoseconds, two digits; `None` without any. What got no response counts
    /// with its age when it was given up.
    pub p50_ns: Option<u64>,
    /// 95th percentile, likewise.
    pub p95_ns: Option<u64>,
    /// 99th percentile, likewise.
    pub p99_ns: Option<u64>,
    /// Exact largest.
    pub max_ns: Option<u64>,
}

impl From<&Interval> for IntervalRow {
    #[expect(clippy::cast_precision_loss, reason = "an index of seconds")]
    fn from(interval: &Interval) -> Self {
        Self {
            end_s: (interval.index + 1) as f64,
            scheduled: interval.scheduled,
            sent: interval.sent,
            completed: interval.completed,
            ok: interval.ok,
            errors: interval.errors,
            in_flight: interval.in_flight,
            backlog: interval.backlog,
            bytes_received: interval.bytes_received,
            p50_ns: interval.latency.quantile_ns(0.5),
            p95_ns: interval.latency.quantile_ns(0.95),
            p99_ns: interval.latency.quantile_ns(0.99),
            max_ns: interval.latency.max_ns(),
        }
    }
}

/// Rates over the measured window, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Requests that came into being.
    pub offered_rps: f64,
    /// Requests sent while the phase lasted.
    pub sent_rps: f64,
    /// Whole responses that came within the window.
    pub achieved_rps: f64,
    /// Those of them that were good.
    pub goodput_rps: f64,
}

impl Rates {
    /// The rates of a phase that lasted `length_ns`; all 0 when it did not last.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rates are shown with few digits")]
    pub fn of(phase: &PhaseRecord, length_ns: u64) -> Self {
        if length_ns == 0 {
            return Self::default();
        }
        let per_second = |count: u64| count as f64 * NANOS_PER_SECOND as f64 / length_ns as f64;
        Self {
            offered_rps: per_second(phase.counts.scheduled),
            sent_rps: per_second(phase.sent_in_window),
            achieved_rps: per_second(phase.completed_in_window),
            goodput_rps: per_second(phase.ok_in_window),
        }
    }
}

/// Smallest, middle and largest of some numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: u64,
    /// The middle one, or the lower of the two in the middle.
    pub median: u64,
    /// The largest.
    pub max: u64,
}

impl Spread {
    /// The spread of `values`; `None` without any.
    #[must_use]
    pub fn of(values: &[u64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let median = sorted[(sorted.len() - 1) / 2];
        Some(Self { min, median, max })
    }
}

impl Client {
    /// All workers together: times add up, extremes are kept.
    #[must_use]
    pub fn together(&self) -> ClientTally {
        self.workers.iter().fold(ClientTally::default(), |mut sum, worker| {
            sum.add(worker);
            sum
        })
    }
}

/// The share of its wall time for which a worker had work, from 0 to 1: on its core, or waiting to get it. Spinning is
/// no work; what the kernel does for a worker that sleeps in the ring is.
#[must_use]
pub fn work_share(worker: &ClientTally) -> f64 {
    if worker.wall_ns == 0 {
        return 0.0;
    }
    // A spin that waits for its core is no work either.
    let away_ns = worker.spin_ns.saturating_sub(worker.spin_cpu_ns);
    let work_ns = worker.cpu_ns.saturating_sub(worker.spin_cpu_ns)
        + worker.delayed_ns.saturating_sub(away_ns);
    (seconds(work_ns) / seconds(worker.wall_ns)).clamp(0.0, 1.0)
}

/// The share of its wall time that a worker spent spinning, from 0 to 1.
#[must_use]
pub fn spin_share(worker: &ClientTally) -> f64 {
    if worker.wall_ns == 0 {
        return 0.0;
    }
    (seconds(worker.spin_ns) / seconds(worker.wall_ns)).clamp(0.0, 1.0)
}

/// A part of a whole, from 0 to 1.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a share is shown with few digits")]
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "counts are shown with few digits")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// One phase of a run.
#[derive(Clone, Debug)]
pub struct PhaseSummary {
    /// Its name: the stage as the user wrote it, or what it is.
    pub name: String,
    /// Its start on the run's clock, in seconds; the measured window starts at 0.
    pub start_s: f64,
    /// Its end.
    pub end_s: f64,
    /// Its length, in nanoseconds.
    pub length_ns: u64,
    /// What became of its requests.
    pub record: PhaseRecord,
    /// Their latencies.
    pub latencies: Latencies,
    /// What it did to the server: one for a stage of a higher rate than the one before, one a burst.
    pub disturbances: Vec<Disturbance>,
    /// Requests that took longer than the first latency gate allows, or never got an answer; `None` without a gate.
    pub over_limit: Option<u64>,
    /// The share of it for which the target was not there, where requests do not tell.
    pub gone_share: f64,
}

/// A spike or a burst, and what it did.
#[derive(Clone, Debug)]
pub struct Disturbance {
    /// When it began on the run's clock, in seconds.
    pub start_s: f64,
    /// When it ended.
    pub end_s: f64,
    /// What it did.
    pub recovery: Recovery,
}

/// What talked to the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Engine {
    /// io_uring.
    Uring,
    /// epoll; why io_uring could not be had, when it was wanted.
    Portable(Option<String>),
}

impl Engine {
    /// The stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Portable(_) => "portable",
        }
    }

    /// Why io_uring could not be had.
    #[must_use]
    pub fn instead_because(&self) -> Option<&str> {
        match self {
            Self::Portable(Some(cause)) => Some(cause),
            Self::Portable(None) | Self::Uring => None,
        }
    }
}

/// What was written while a run went on: an interval log, say, or a log of requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stream {
    /// The flag that asked for it.
    pub flag: &'static str,
    /// Requests, or seconds, that were written.
    pub written: u64,
    /// Those that were not, because whoever takes them is too slow or has left, or because of an error.
    pub dropped: u64,
}

/// Everything that reports are written from.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Wall clock at the start of the run.
    pub started_at: SystemTime,
    /// What one request before the run showed; `None` without one.
    pub preflight: Option<Seen>,
    /// What was written while it went on; empty until that has ended.
    pub streams: Vec<Stream>,
    /// Requests that were to be logged and were dropped before anybody could write them.
    pub unlogged: u64,
    /// The engine that ran it.
    pub engine: Engine,
    /// How it ended.
    pub end: End,
    /// How long its parts lasted.
    pub window: Window,
    /// Zero of the run's clock: the start of the measured window.
    pub origin: Nanos,
    /// The records of all workers, merged and checked.
    pub record: Record,
    /// All of its measured phases together.
    pub measured: PhaseRecord,
    /// Latencies of the measured window.
    pub latencies: Latencies,
    /// The warm-up, where there is one, and the measured phases.
    pub phases: Vec<PhaseSummary>,
    /// What the measured window and the drain looked like, slice by slice.
    pub series: Series,
    /// Requests in flight on average; `None` without any.
    pub in_flight: Option<InFlight>,
    /// Which gates held.
    pub gates: Vec<Gate>,
    /// Whether the target was there all the time.
    pub presence: Presence,
    /// What else the machine did to the client.
    pub pressure: Pressure,
    /// One a second, warm-up and drain included.
    pub intervals: Vec<IntervalRow>,
    /// What the client used.
    pub client: Client,
    /// Where it ran.
    pub host: Host,
    /// What to think of it.
    pub verdict: Verdict,
}

impl Summary {
    /// What was written while the run went on. Where it is not whole, that is a reason (O1): the measurement is as good as
    /// it was.
    pub fn note_written(&mut self, streams: Vec<Stream>) {
        let holed = streams.iter().filter(|stream| stream.dropped > 0);
        self.verdict.reasons.extend(holed.map(|stream| Reason {
            rule: Rule::OutputDropped,
            level: Level::Warn,
            text: format!(
                "{} of {} entries for {} were not written: the output is incomplete",
                stream.dropped,
                stream.dropped + stream.written,
                stream.flag
            ),
        }));
        self.streams = streams;
    }

    /// Counts of the measured window.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.measured.counts
    }

    /// Rates of the measured window.
    #[must_use]
    pub fn rates(&self) -> Rates {
        Rates::of(&self.measured, self.window.measured_ns)
    }

    /// Bytes a second over the measured window; 0 when it did not last.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rates are shown with few digits")]
    pub fn bytes_per_second(&self, bytes: u64) -> f64 {
        if self.window.measured_ns == 0 {
            return 0.0;
        }
        bytes as f64 / seconds(self.window.measured_ns)
    }

    /// CPU time of the workers for each whole response, warm-up included, without the CPU time spent spinning, in
    /// nanoseconds; `None` without any response.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean is shown with few digits")]
    pub fn cpu_ns_per_response(&self) -> Option<f64> {
        let responses = self.record.warmup().counts.completed() + self.measured.counts.completed();
        let work_ns = self.client.cpu_ns.saturating_sub(self.client.together().spin_cpu_ns);
        (responses > 0).then(|| work_ns as f64 / responses as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn a_spread_is_taken_from_any_order() {
        let spread = Spread::of(&[9, 1, 5, 3]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (1, 3, 9));
        assert_eq!(Spread::of(&[]), None);
    }
}
