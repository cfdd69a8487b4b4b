//! When a run warms up, measures and stops: a pure function of instants, without a clock.

use crate::record::{INTERVAL_NS, Phase};
use crate::time::Nanos;

/// The parts of a run on the machine's clock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// The first request may be taken.
    pub start: Nanos,
    /// The measured window begins; zero of the run's clock.
    pub origin: Nanos,
    /// The measured window has ended: no request is taken from here on. [`Nanos::NEVER`] when only a count ends the run.
    pub stop: Nanos,
}

impl Window {
    /// A run that starts at `start`.
    #[must_use]
    pub fn starting_at(start: Nanos, warmup_ns: u64, duration_ns: Option<u64>) -> Self {
        let origin = start.plus(warmup_ns);
        Self {
            start,
            origin,
            stop: duration_ns.map_or(Nanos::NEVER, |length_ns| origin.plus(length_ns)),
        }
    }

    /// The phase of a request that came into being at `taken`.
    #[inline]
    #[must_use]
    pub fn phase_of(&self, taken: Nanos) -> Phase {
        if taken < self.origin { Phase::Warmup } else { Phase::Measured }
    }

    /// Index of the interval that `now` is in; those before the origin are negative.
    #[must_use]
    pub fn interval_of(&self, now: Nanos) -> i64 {
        let index = |length_ns: u64| i64::try_from(length_ns / INTERVAL_NS).unwrap_or(i64::MAX);
        if now >= self.origin {
            index(now.since(self.origin))
        } else {
            -1 - index(self.origin.since(now) - 1)
        }
    }

    /// When the interval with this index ends.
    #[must_use]
    pub fn end_of_interval(&self, index: i64) -> Nanos {
        let after = index.saturating_add(1);
        let length_ns = after.unsigned_abs().saturating_mul(INTERVAL_NS);
        if after >= 0 {
            self.origin.plus(length_ns)
        } else {
            Nanos(self.origin.0.saturating_sub(length_ns))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Nanos, Phase, Window};

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_measured_window_is_half_open() {
        let window = Window::starting_at(Nanos(5 * SECOND), SECOND, Some(2 * SECOND));
        assert_eq!(window.phase_of(Nanos(6 * SECOND - 1)), Phase::Warmup);
        assert_eq!(window.phase_of(Nanos(6 * SECOND)), Phase::Measured);
        assert_eq!(window.stop, Nanos(8 * SECOND));
    }

    #[test]
    fn intervals_are_whole_seconds_around_the_origin() {
        let window = Window::starting_at(Nanos(10 * SECOND), SECOND / 2, None);
        for (offset, index) in [(0, 0), (1, 0), (SECOND - 1, 0), (SECOND, 1)] {
            assert_eq!(window.interval_of(window.origin.plus(offset)), index);
        }
        for (before, index) in [(1, -1), (SECOND / 2, -1), (SECOND, -1), (SECOND + 1, -2)] {
            assert_eq!(window.interval_of(Nanos(window.origin.0 - before)), index);
        }
        assert_eq!(window.end_of_interval(-1), window.origin);
        assert_eq!(window.end_of_interval(-2), Nanos(window.origin.0 - SECOND));
        assert_eq!(window.end_of_interval(1), window.origin.plus(2 * SECOND));
    }
}
