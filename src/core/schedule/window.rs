//! When a run warms up, measures and stops on the machine's clock.

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
    /// Length of an interval, in nanoseconds.
    pub interval_ns: u64,
}

impl Window {
    /// That of a run whose start is not known yet.
    #[must_use]
    pub fn unknown(interval_ns: u64) -> Self {
        Self { start: Nanos::NEVER, origin: Nanos::NEVER, stop: Nanos::NEVER, interval_ns }
    }

    /// That of a run that starts at `start`.
    #[must_use]
    pub fn starting_at(self, start: Nanos, warmup_ns: u64, duration_ns: Option<u64>) -> Self {
        let origin = start.plus(warmup_ns);
        let stop = duration_ns.map_or(Nanos::NEVER, |length_ns| origin.plus(length_ns));
        Self { start, origin, stop, ..self }
    }

    /// Index of the interval that `now` is in; those before the origin are negative.
    #[must_use]
    pub fn interval_of(&self, now: Nanos) -> i64 {
        let index =
            |length_ns: u64| i64::try_from(length_ns / self.interval_ns).unwrap_or(i64::MAX);
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
        let length_ns = after.unsigned_abs().saturating_mul(self.interval_ns);
        if after >= 0 {
            self.origin.plus(length_ns)
        } else {
            Nanos(self.origin.0.saturating_sub(length_ns))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Nanos, Window};

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_measured_window_follows_the_warmup() {
        let window =
            Window::unknown(SECOND).starting_at(Nanos(5 * SECOND), SECOND, Some(2 * SECOND));
        assert_eq!(window.origin, Nanos(6 * SECOND));
        assert_eq!(window.stop, Nanos(8 * SECOND));
    }

    #[test]
    fn intervals_follow_one_another_around_the_origin() {
        let window = Window::unknown(SECOND / 10).starting_at(Nanos(10 * SECOND), SECOND / 2, None);
        for (offset, index) in [(0, 0), (1, 0), (SECOND / 10 - 1, 0), (SECOND, 10)] {
            assert_eq!(window.interval_of(window.origin.plus(offset)), index);
        }
        for (before, index) in [(1, -1), (SECOND / 20, -1), (SECOND / 10, -1), (SECOND, -10)] {
            assert_eq!(window.interval_of(Nanos(window.origin.0 - before)), index);
        }
        assert_eq!(window.end_of_interval(-1), window.origin);
        assert_eq!(window.end_of_interval(-2), Nanos(window.origin.0 - SECOND / 10));
        assert_eq!(window.end_of_interval(9), window.origin.plus(SECOND));
    }
}
