//! A stretch of time in which the rate is constant or changes steadily, in exact numbers.

use super::rate::{Rate, greatest_common_divisor};

/// Parts of a request that are carried from stage to stage.
pub(super) const PARTS: i128 = 1_000_000;
/// More workers than any machine has cores.
const MOST_WORKERS: i128 = 1 << 16;

/// A stretch of time in which the rate is constant or changes steadily.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Since the schedule's start.
    pub(super) start_ns: u64,
    pub(super) length_ns: u64,
    pub(super) measured: bool,
    /// The rate at the start is `from / per_ns`, at the end `to / per_ns`.
    pub(super) from: i128,
    to: i128,
    pub(super) per_ns: i128,
    /// The integral up to the start, in parts of a request.
    pub(super) before: i128,
    /// Number of its first slot.
    pub(super) first: i128,
}

impl Segment {
    /// From one rate to another, in a time that begins at `start_ns`; `before` parts of a request came before it, and `first`
    /// is the number of its first slot. `None` where the numbers are too large to be exact.
    pub(super) fn of(
        (from, to): (Rate, Rate),
        start_ns: u64,
        length_ns: u64,
        measured: bool,
        (before, first): (i128, i128),
    ) -> Option<Self> {
        // Both rates over one period: the least common multiple of theirs.
        let (a, b) = (u128::from(from.per_ns()), u128::from(to.per_ns()));
        let per_ns = a / greatest_common_divisor(a, b) * b;
        let over = |rate: Rate| {
            let times = per_ns / u128::from(rate.per_ns());
            i128::try_from(u128::from(rate.requests()).checked_mul(times)?).ok()
        };
        Some(Self {
            start_ns,
            length_ns,
            measured,
            from: over(from)?,
            to: over(to)?,
            per_ns: i128::try_from(per_ns).ok()?,
            before,
            first,
        })
    }

    pub(super) fn is_ramp(&self) -> bool {
        self.from != self.to
    }

    /// Nothing is due in it.
    pub(super) fn is_pause(&self) -> bool {
        self.from == 0 && self.to == 0
    }

    /// Requests a nanosecond at a time since the segment's start.
    #[expect(clippy::cast_precision_loss, reason = "only draws and first guesses are made of it")]
    pub(super) fn rate_at(&self, at_ns: u64) -> f64 {
        let (from, to) = (self.from as f64, self.to as f64);
        let share = if self.is_ramp() { at_ns as f64 / self.length_ns as f64 } else { 0.0 };
        (from + (to - from) * share) / self.per_ns as f64
    }

    /// The integral since the segment's start, times `2 * length_ns * per_ns`.
    fn doubled_integral(&self, at_ns: i128) -> i128 {
        let length_ns = i128::from(self.length_ns);
        (2 * self.from * length_ns + (self.to - self.from) * at_ns) * at_ns
    }

    /// When slot `number` is due in a ramp, since the segment's start; its end when that is later.
    pub(super) fn time_in_ramp(&self, number: i128) -> i128 {
        let missing = number * PARTS - self.before;
        if missing <= 0 {
            return 0;
        }
        let length_ns = i128::from(self.length_ns);
        let wanted = 2 * length_ns * self.per_ns * missing;
        let reaches = |at_ns: i128| self.doubled_integral(at_ns) * PARTS >= wanted;
        if !reaches(length_ns) {
            return length_ns;
        }
        let mut at_ns = self.guess_in_ramp(missing);
        // The guess is off by its rounding; one or two steps of Newton's take that away, single ones the rest.
        for _ in 0..4 {
            let steepness = 2 * (self.from * length_ns + (self.to - self.from) * at_ns);
            let short = wanted - self.doubled_integral(at_ns) * PARTS;
            // Where a ramp touches 0 it has no slope to follow.
            let step = short.checked_div(steepness * PARTS).unwrap_or(0);
            if step == 0 {
                break;
            }
            at_ns = (at_ns + step).clamp(0, length_ns);
        }
        while at_ns > 0 && reaches(at_ns - 1) {
            at_ns -= 1;
        }
        while at_ns < length_ns && !reaches(at_ns) {
            at_ns += 1;
        }
        at_ns
    }

    /// About when a ramp has brought `missing` parts of a request. The area is counted from the end that has the lower
    /// rate, so that nothing is lost to rounding where that rate is 0.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a first guess, which integers correct"
    )]
    fn guess_in_ramp(&self, missing: i128) -> i128 {
        let length_ns = i128::from(self.length_ns);
        let unit = 2 * length_ns * self.per_ns;
        let rises = self.to > self.from;
        let area = if rises {
            missing as f64 / PARTS as f64
        } else {
            let left = self.doubled_integral(length_ns) * PARTS - unit * missing;
            left as f64 / (unit * PARTS) as f64
        };
        let (start, end) = (self.rate_at(0), self.rate_at(self.length_ns));
        let (low, slope) = (start.min(end), (end - start).abs() / length_ns as f64);
        let root = (low * low + 2.0 * slope * area).sqrt();
        let from_low_ns = if area > 0.0 { (2.0 * area / (low + root)) as i128 } else { 0 };
        let at_ns = if rises { from_low_ns } else { length_ns - from_low_ns };
        at_ns.clamp(0, length_ns)
    }

    /// Number of the first slot that is due at the segment's end or later; `None` without end.
    pub(super) fn first_after(&self) -> Option<i128> {
        if self.is_pause() {
            return Some(self.first);
        }
        let last_ns = i128::from(self.length_ns) - 1;
        if self.length_ns == u64::MAX {
            return None;
        }
        // Everything that the integral has reached in the last nanosecond is due by then.
        let (reached, parts) = if self.is_ramp() {
            (self.doubled_integral(last_ns), 2 * i128::from(self.length_ns) * self.per_ns)
        } else {
            (self.from * last_ns, self.per_ns)
        };
        Some(((reached * PARTS + parts * self.before) / (parts * PARTS) + 1).max(self.first))
    }

    /// The integral at the segment's end, in parts; `None` where that is too large for exact numbers.
    pub(super) fn integral_at_end(&self) -> Option<i128> {
        let length_ns = i128::from(self.length_ns);
        let doubled = self.from.checked_add(self.to)?.checked_mul(length_ns)?.checked_mul(PARTS)?;
        Some(self.before + doubled / self.per_ns.checked_mul(2)?)
    }

    /// Whether every number that comes up in this segment fits: the largest ones stand at its end, or at the first slot
    /// of a worker after it.
    pub(super) fn is_exact(&self) -> bool {
        if self.length_ns == u64::MAX {
            return true;
        }
        let most = self.from.max(self.to);
        let length_ns = i128::from(self.length_ns);
        let linear = || most.checked_mul(length_ns)?.checked_mul(4 * PARTS);
        let squared = || linear()?.checked_mul(length_ns);
        let carried = || {
            let parts = self.before.checked_add(MOST_WORKERS * PARTS)?.checked_mul(4)?;
            let per_ns = self.per_ns.checked_mul(if self.is_ramp() { length_ns } else { 1 })?;
            per_ns.checked_mul(parts)
        };
        let fits = if self.is_ramp() { squared() } else { linear() };
        fits.is_some() && carried().is_some()
    }
}
