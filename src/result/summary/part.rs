//! The measured window and its phases, as metrics ask for their figures. It must not know which metrics there are.

use super::{Distribution, Latencies, PhaseSummary, Summary, float};
use crate::core::record::PhaseRecord;
use crate::slo::{Figure, Part, Phase, Requests, Statistic, Timing};
use crate::time::NANOS_PER_SECOND;

/// A stretch of the run of which everything is known.
#[derive(Clone, Copy, Debug)]
pub struct RunPart<'a> {
    /// What became of its requests.
    pub record: &'a PhaseRecord,
    /// Their latencies.
    pub latencies: &'a Latencies,
    /// Its length, in nanoseconds.
    pub length_ns: u64,
    /// For which share of it the target was not there, where requests do not tell.
    pub gone_share: f64,
}

impl<'a> RunPart<'a> {
    /// The measured window of a run, by its requests alone.
    #[must_use]
    pub const fn window(summary: &'a Summary) -> Self {
        Self {
            record: &summary.measured,
            latencies: &summary.latencies,
            length_ns: summary.window.measured_ns,
            gone_share: 0.0,
        }
    }
}

impl PhaseSummary {
    /// What gates are held against.
    #[must_use]
    pub fn part(&self) -> Phase<'_, RunPart<'_>> {
        let Self { record, latencies, length_ns, gone_share, .. } = self;
        let (length_ns, gone_share) = (*length_ns, *gone_share);
        let part = RunPart { record, latencies, length_ns, gone_share };
        Phase { name: &self.name, start_s: self.start_s, part }
    }
}

impl Latencies {
    /// What was timed; `None` for lags in a closed loop.
    #[must_use]
    pub fn timing(&self, timing: Timing) -> Option<&Distribution> {
        Some(match timing {
            Timing::Response => &self.response,
            Timing::Service => &self.service,
            Timing::FirstByte => &self.first_byte,
            Timing::ClientLag => &self.lags.as_ref()?.client,
        })
    }
}

impl Part for RunPart<'_> {
    fn requests(&self) -> Requests {
        let PhaseRecord { counts, completed_in_window, ok_in_window, .. } = self.record;
        Requests {
            ended: counts.scheduled,
            failed: counts.scheduled - counts.ok,
            timeouts: Some(counts.timeout),
            unsent: Some(counts.unsent),
            offered: float(counts.scheduled),
            completed: float(*completed_in_window),
            ok: Some(float(*ok_in_window)),
        }
    }

    fn per_second(&self, count: f64) -> Option<f64> {
        let length = (self.length_ns > 0).then(|| float(self.length_ns));
        length.map(|length_ns| count * float(NANOS_PER_SECOND) / length_ns)
    }

    fn time(&self, timing: Timing, statistic: Statistic) -> Option<Figure> {
        let times = self.latencies.timing(timing)?;
        // What was not seen to its end may have taken any time.
        let known = self.latencies.censored == 0;
        match statistic {
            Statistic::Quantile(quantile) => {
                let found = times.quantile(quantile)?;
                let interval = found.interval_ns.map(|(low, high)| (float(low), float(high)));
                Some(Figure { interval, ..Figure::bound(float(found.value_ns), !found.censored) })
            }
            Statistic::Max => times.all.max_ns().map(|max_ns| Figure::bound(float(max_ns), known)),
            Statistic::Mean => times.all.mean_ns().map(|mean_ns| Figure::bound(mean_ns, known)),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive length of time far below 2^53 nanoseconds"
    )]
    fn beyond(&self, timing: Timing, limit_ns: f64) -> Option<(f64, f64)> {
        let times = self.latencies.timing(timing)?;
        let count = times.all.count();
        let beyond = count.saturating_sub(times.answered.count_up_to(limit_ns as u64));
        // Every request has a response time, or would have had one.
        let of = if timing == Timing::Response { self.record.counts.scheduled } else { count };
        Some((float(beyond), float(of)))
    }

    fn gone_share(&self) -> f64 {
        self.gone_share
    }
}
