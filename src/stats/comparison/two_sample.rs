//! The shift between two sets of runs that were not paired, like a stored baseline and today's.
//!
//! The estimate is that of Hodges and Lehmann, the median of all differences between the sets, the test Wilcoxon's rank
//! sum over all ways to deal the runs to the sides, the interval what that test does not reject.

use super::exact::{doubled_ranks, last_within, sums_of_chosen};
use super::{NORMAL_975, Shift, TAIL, deviation, median_of_sorted, two_sided_p};

/// Up to so many steps all ways are worked out; beyond, with some sixty runs a side, the normal approximation is
/// right to three digits.
const MOST_STEPS: usize = 100_000_000;

/// The shift from `base` to `new`; `None` when one of them is empty.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a number of runs is small")]
pub fn shift(base: &[f64], new: &[f64]) -> Option<Shift> {
    let mut differences: Vec<f64> =
        new.iter().flat_map(|new| base.iter().map(move |base| new - base)).collect();
    if differences.is_empty() {
        return None;
    }
    differences.sort_by(f64::total_cmp);
    let deep = critical(base.len(), new.len());
    let interval = deep.map(|deep| (differences[deep], differences[differences.len() - 1 - deep]));
    let around = |(low, high): (f64, f64)| (high - low) / 2.0;
    let rough = deviation(base).zip(deviation(new)).map(|(of_base, of_new)| {
        let variance = of_base.powi(2) / base.len() as f64 + of_new.powi(2) / new.len() as f64;
        NORMAL_975 * variance.sqrt()
    });
    Some(Shift {
        estimate: median_of_sorted(&differences),
        interval,
        p_value: p_value(base, new),
        half_width: interval.map(around).or(rough),
        narrowing: 0.5,
        hopeless: differences.iter().all(|difference| *difference == 0.0),
    })
}

/// Whether all ways to choose `few` of `all` are worked out.
#[must_use]
pub fn is_exact(few: usize, all: usize) -> bool {
    all.saturating_mul(few).saturating_mul(2 * all * few) <= MOST_STEPS
}

/// How many differences are cut off at each end of a 95 % interval; `None` when that cannot be had from so few runs.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rank sum of many runs is a positive number far below 2^53"
)]
fn critical(base: usize, new: usize) -> Option<usize> {
    let (few, all) = (base.min(new), base + new);
    if !is_exact(few, all) {
        let (count, all) = ((base * new) as f64, all as f64);
        return Some((count / 2.0 - NORMAL_975 * (count * (all + 1.0) / 12.0).sqrt()) as usize);
    }
    let ranks: Vec<usize> = (1..=all).collect();
    let lowest = few * (few + 1) / 2;
    last_within(sums_of_chosen(&ranks, few).into_iter().skip(lowest), TAIL)
}

/// How often dealing the runs to the sides at random puts the rank sum as far from its mean.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "rank sums are far below 2^53")]
pub fn p_value(base: &[f64], new: &[f64]) -> f64 {
    let (few, many) = if base.len() <= new.len() { (base, new) } else { (new, base) };
    let all: Vec<f64> = few.iter().chain(many).copied().collect();
    let ranks = doubled_ranks(&all);
    let found: usize = ranks[..few.len()].iter().sum();
    // The mean of the doubled sum, a whole number.
    let mean = few.len() * (all.len() + 1);
    let far = found.abs_diff(mean);
    if far == 0 {
        return 1.0;
    }
    if !is_exact(few.len(), all.len()) {
        let middle = (all.len() + 1) as f64;
        let squares: f64 = ranks.iter().map(|&rank| (rank as f64 - middle).powi(2)).sum();
        let size = all.len() as f64;
        let share = few.len() as f64 * many.len() as f64 / (size * (size - 1.0));
        return two_sided_p(far as f64 / (share * squares).sqrt());
    }
    let chances = sums_of_chosen(&ranks, few.len());
    let beyond = chances.iter().enumerate().filter(|(sum, _)| sum.abs_diff(mean) >= far);
    beyond.map(|(_, chance)| chance).sum::<f64>().min(1.0)
}
