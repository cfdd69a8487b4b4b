//! How many requests were in flight on average, twice: as it was seen, and by Little's law.

use crate::core::record::{LatencyHistogram, PhaseRecord};
use crate::stats::series::Slice;
use crate::time::seconds;

/// One in so many requests may end after the window.
const MOST_BEYOND: u64 = 50;

/// Requests in flight on average over the measured window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InFlight {
    /// The integral of their number over time, divided by the time.
    pub mean: f64,
    /// Rate times latency: how long all of them took together, divided by the time. Where it is another number, latencies
    /// or counts are wrong. `None` where more than one in fifty ended after the window: the law is one of steady states.
    pub by_law: Option<f64>,
}

impl InFlight {
    /// That of the `slices` of a measured window, each `slice_ns` long, and of the requests of its `measured` phases,
    /// which lasted `measured_ns`; `None` when it did not last, or nothing was in flight.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "means are shown with few digits")]
    pub fn of(
        slices: &[Slice],
        slice_ns: u64,
        measured: &PhaseRecord,
        measured_ns: u64,
    ) -> Option<Self> {
        let looked_at_ns = slices.len() as f64 * slice_ns as f64;
        let area: f64 = slices.iter().map(|slice| slice.in_flight_ns as f64).sum();
        if area <= 0.0 || measured_ns == 0 {
            return None;
        }
        let sum = |times: &LatencyHistogram| times.mean_ns().unwrap_or(0.0) * times.count() as f64;
        let together_ns = sum(&measured.service()) + sum(&measured.failed);
        let beyond = measured.drained + measured.counts.in_flight_at_end;
        let is_steady = beyond * MOST_BEYOND <= measured.counts.sent;
        let by_law = is_steady.then(|| together_ns / 1e9 / seconds(measured_ns));
        Some(Self { mean: area / looked_at_ns, by_law })
    }

    /// By how many percent the law differs from what was seen.
    #[must_use]
    pub fn difference_pct(&self) -> Option<f64> {
        self.by_law.map(|by_law| (by_law / self.mean - 1.0) * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::InFlight;
    use crate::core::record::{Completion, Outcome, PhaseRecord};
    use crate::stats::series::Slice;

    /// A second in which `answered` requests of 10 ms were answered, and `drained` more after it.
    fn second(answered: u64, drained: u64) -> InFlight {
        let mut phase = PhaseRecord::new();
        for index in 0..answered + drained {
            phase.counts.scheduled += 1;
            phase.counts.sent += 1;
            phase.complete(&Completion {
                status: 200,
                outcome: Outcome::Ok,
                service_ns: 10_000_000,
                first_byte_ns: None,
                drained: index >= answered,
            });
        }
        let slice = Slice { in_flight_ns: answered * 10_000_000, ..Slice::default() };
        InFlight::of(&[slice], 1_000_000_000, &phase, 1_000_000_000).unwrap()
    }

    #[test]
    fn rate_times_latency_is_what_was_in_flight_where_a_run_is_steady() {
        let steady = second(1000, 10);
        assert!((steady.mean - 10.0).abs() < 1e-9);
        assert!(steady.difference_pct().unwrap().abs() < 2.0, "{steady:?}");
        assert_eq!(second(300, 300).difference_pct(), None, "half of it came after the end");
    }
}
