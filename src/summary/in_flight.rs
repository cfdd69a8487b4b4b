//! How many requests were in flight on average, twice: as it was seen, and by Little's law.

use crate::analysis::series::Slice;
use crate::record::{LatencyHistogram, PhaseRecord};
use crate::time::seconds;

/// Requests in flight on average over the measured window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InFlight {
    /// The integral of their number over time, divided by the time.
    pub mean: f64,
    /// Rate times latency: how long all of them took together, divided by the time. Where it is another number, latencies
    /// or counts are wrong, or what began before the window or ended after it weighs much.
    pub by_law: f64,
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
        Some(Self { mean: area / looked_at_ns, by_law: together_ns / 1e9 / seconds(measured_ns) })
    }

    /// By how many percent the law differs from what was seen.
    #[must_use]
    pub fn difference_pct(&self) -> f64 {
        (self.by_law / self.mean - 1.0) * 100.0
    }
}
