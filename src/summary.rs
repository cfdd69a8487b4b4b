//! A finished run: the merged record with its times, its host and its verdict. Reports are written from this alone.

use std::time::SystemTime;

use crate::record::latency::HIGHEST_NS;
use crate::record::{ClientTally, Counts, Interval, LatencyHistogram, PhaseRecord, Record};
use crate::time::{NANOS_PER_SECOND, Nanos, seconds};
use crate::verdict::Verdict;

/// How a run came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The plan was carried out.
    Finished,
    /// The user stopped it; the number is the signal's.
    Interrupted(i32),
    /// No connection could be had for `--give-up`.
    GaveUp,
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
    /// Largest resident set, in bytes.
    pub peak_rss_bytes: u64,
    /// One a worker.
    pub workers: Vec<ClientTally>,
}

/// One interval over all workers, shrunk to what reports show.
#[derive(Clone, Debug, PartialEq)]
pub struct IntervalRow {
    /// End of the interval on the run's clock, in seconds; the measured window starts at 0.
    pub end_s: f64,
    /// Requests that came into being.
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
    /// Median latency of whole responses, in nanoseconds, two digits; `None` without any.
    pub p50_ns: Option<u64>,
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
    /// Requests sent.
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
            sent_rps: per_second(phase.counts.sent),
            achieved_rps: per_second(phase.completed_in_window),
            goodput_rps: per_second(phase.ok_in_window),
        }
    }
}

/// The three latencies that reports show side by side, and the rest of them.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// What a user waited, censored ones included.
    pub response: LatencyHistogram,
    /// From the send to the last byte, and timeouts when they were given up.
    pub service: LatencyHistogram,
    /// From the send to the last byte, of whole responses alone.
    pub answered: LatencyHistogram,
    /// From the send to the first byte.
    pub first_byte: LatencyHistogram,
    /// Ages of failed requests.
    pub failed: LatencyHistogram,
    /// How many of `response` were still unanswered when the drain ended.
    pub censored: u64,
}

impl Latencies {
    /// Puts the histograms of a phase together.
    #[must_use]
    pub fn of(phase: &PhaseRecord) -> Self {
        Self {
            response: phase.response(),
            service: phase.service(),
            answered: phase.answered(),
            first_byte: phase.first_byte(),
            failed: phase.failed.clone(),
            censored: phase.censored.count(),
        }
    }
}

/// A quantile, and how far it can be relied on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quantile {
    /// The value in nanoseconds.
    pub value_ns: u64,
    /// The true value may be larger: there are too few values, or those that were given up unanswered or clamped may
    /// belong below it.
    pub lower_bound: bool,
}

impl Quantile {
    /// The value of `all` at `quantile`; `answered` is `all` without its right-censored values, or the same. `None` when
    /// it is empty.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank is a positive number below 2^53"
    )]
    pub fn of(all: &LatencyHistogram, answered: &LatencyHistogram, quantile: f64) -> Option<Self> {
        let value_ns = all.quantile_ns(quantile)?;
        let count = all.count();
        let rank = ((quantile * count as f64).ceil() as u64).clamp(1, count);
        // Had the censored values been awaited, they might all have been the largest. Where even that would not change
        // the quantile, it is certain. Half a rank keeps rounding out of the look-up.
        let censored = count > answered.count() && {
            let rank_answered = (rank as f64 - 0.5) / answered.count() as f64;
            rank > answered.count()
                || answered.buckets().value_at_quantile(rank_answered)
                    != all.buckets().value_at_quantile(quantile)
        };
        let clamped = rank > count - all.clamped();
        Some(Self {
            // The bucket of the clamped ones ends a little above the hour that they are known to exceed.
            value_ns: if clamped { value_ns.min(HIGHEST_NS) } else { value_ns },
            lower_bound: censored || clamped || count < fewest_samples(quantile),
        })
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
    let work_ns = (worker.cpu_ns + worker.delayed_ns).saturating_sub(worker.spin_ns);
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

/// Everything that reports are written from.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Wall clock at the start of the run.
    pub started_at: SystemTime,
    /// Name of the engine that ran it.
    pub engine: &'static str,
    /// How it ended.
    pub end: End,
    /// How long its parts lasted.
    pub window: Window,
    /// Zero of the run's clock: the start of the measured window.
    pub origin: Nanos,
    /// The records of all workers, merged and checked.
    pub record: Record,
    /// Latencies of the measured window.
    pub latencies: Latencies,
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
    /// Counts of the measured window.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.record.measured.counts
    }

    /// Rates of the measured window.
    #[must_use]
    pub fn rates(&self) -> Rates {
        Rates::of(&self.record.measured, self.window.measured_ns)
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

    /// CPU time of the workers for each whole response, warm-up included and spinning left out, in nanoseconds; `None`
    /// without any.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean is shown with few digits")]
    pub fn cpu_ns_per_response(&self) -> Option<f64> {
        let responses =
            self.record.warmup.counts.completed() + self.record.measured.counts.completed();
        let spin_ns = self.client.together().spin_ns;
        (responses > 0)
            .then(|| self.client.cpu_ns.saturating_sub(spin_ns) as f64 / responses as f64)
    }
}

/// Fewest values for which a quantile has a two-sided 95 % interval by order statistics.
///
/// The upper rank `n*q + 1.96*sqrt(n*q*(1-q))` must exist.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small positive numbers"
)]
pub fn fewest_samples(quantile: f64) -> u64 {
    (1.96 * 1.96 * quantile / (1.0 - quantile)).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::{Quantile, Spread, fewest_samples};
    use crate::record::latency::{HIGHEST_NS, LatencyHistogram};

    #[test]
    fn quantiles_need_the_published_number_of_samples() {
        let needed = [0.9, 0.95, 0.99, 0.999, 0.9999].map(fewest_samples);
        assert_eq!(needed, [35, 73, 381, 3838, 38413]);
    }
    fn histogram(values: impl IntoIterator<Item = u64>) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::new();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }

    #[test]
    fn a_quantile_is_a_bound_only_where_the_unanswered_could_move_it() {
        let answered = histogram((1..=10_000).map(|i| 1_000_000 + i * 10));
        // Ten requests were given up at once: ten ranks stay within a bucket, but beyond p99.9 there is none left.
        let mut all = answered.clone();
        all.add(&histogram([50_000; 10]));
        let bound = |q| Quantile::of(&all, &answered, q).unwrap().lower_bound;
        assert!(!bound(0.5) && !bound(0.9));
        assert!(bound(0.9995));
        // Ten that were as old as anything: what is below them is certain.
        let mut all = answered.clone();
        all.add(&histogram([900_000_000; 10]));
        let bound = |q| Quantile::of(&all, &answered, q).unwrap().lower_bound;
        assert!(!bound(0.5) && !bound(0.99));
        assert!(bound(0.9995));
    }

    #[test]
    fn a_quantile_of_too_few_or_clamped_values_is_a_bound() {
        let few = histogram([1000; 380]);
        let enough = histogram([1000; 381]);
        let mut clamped = enough.clone();
        clamped.add(&histogram([HIGHEST_NS * 2; 40]));
        let bound = |all, q| Quantile::of(all, all, q).unwrap().lower_bound;
        assert!(bound(&few, 0.99) && !bound(&few, 0.95));
        assert!(!bound(&enough, 0.99));
        assert!(bound(&clamped, 0.95) && !bound(&clamped, 0.5));
        assert_eq!(Quantile::of(&histogram([]), &histogram([]), 0.5), None);
    }

    #[test]
    fn a_spread_is_taken_from_any_order() {
        let spread = Spread::of(&[9, 1, 5, 3]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (1, 3, 9));
        assert_eq!(Spread::of(&[]), None);
    }
}
