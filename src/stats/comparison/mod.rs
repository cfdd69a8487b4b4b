//! Is one set of runs slower than another, or is it noise?
//!
//! The unit is the run, not the request: requests of one run share its luck. Each metric becomes one number a run, and the
//! shift between two sets of such numbers is estimated by ranks, exactly: nothing is assumed about how runs differ.
//! Pure functions over plain numbers; what the numbers are is the caller's business.

pub mod decision;
pub mod exact;
pub mod holm;
pub mod paired;
pub mod shape;
pub mod shares;
pub mod single;
pub mod two_sample;

pub use decision::{Decision, Design, Question, decide};

use super::trend::normal_share_below;

/// The quantile of a standard normal distribution that 97.5 % lie below.
pub const NORMAL_975: f64 = 1.959_964;
/// What may be wrong in one direction: half of 5 %.
const TAIL: f64 = 0.025;

/// How far the new runs are from the base runs: a natural logarithm of a ratio, or a difference of shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The best guess.
    pub estimate: f64,
    /// Where it lies with 95 % confidence; `None` with too few runs for any such interval.
    pub interval: Option<(f64, f64)>,
    /// Two-sided: how often chance alone would make a shift as large.
    pub p_value: f64,
    /// About half the width of such an interval, also where there are too few runs for an exact one; `None` where
    /// nothing is known of the noise.
    pub half_width: Option<f64>,
    /// The width falls with this power of the number of runs.
    pub narrowing: f64,
    /// So much of what was measured is equal that no order of it could be called a shift.
    pub hopeless: bool,
}

impl Shift {
    /// The same seen from the other side, for what is worse when it is smaller.
    #[must_use]
    pub fn reversed(self) -> Self {
        let interval = self.interval.map(|(low, high)| (-high, -low));
        Self { estimate: -self.estimate, interval, ..self }
    }
}

/// The middle one of sorted values, or the mean of the two in the middle; 0 without any.
#[must_use]
pub fn median_of_sorted(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

/// The middle of values in any order; `None` without any.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| median_of_sorted(&sorted))
}

/// The standard deviation of values around their mean; `None` for fewer than two.
#[expect(clippy::cast_precision_loss, reason = "a number of runs is small")]
fn deviation(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt())
}

/// How often a standard normal variable is at least as far from 0 as `distance`.
fn two_sided_p(distance: f64) -> f64 {
    (2.0 * (1.0 - normal_share_below(distance.abs()))).clamp(0.0, 1.0)
}

/// The point beyond which a standard normal variable lies with probability `tail`, for tails below one half.
fn normal_beyond(tail: f64) -> f64 {
    let (mut low, mut high) = (0.0, 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if 1.0 - normal_share_below(middle) > tail { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests;
