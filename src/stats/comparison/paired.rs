//! The shift of paired runs: each pair was measured one after the other, so that what drifts meanwhile drifts for both.
//!
//! The estimate is that of Hodges and Lehmann, the median of the means of all pairs of differences (Walsh averages), the
//! test Wilcoxon's signed ranks over all flips of signs, the interval what that test does not reject.

use super::exact::{doubled_ranks, last_within, sums_of_signed};
use super::{Design, NORMAL_975, Shift, TAIL, deviation, median_of_sorted, two_sided_p};

/// Up to so many pairs all flips are worked out; beyond, the normal approximation is right to three digits.
const MOST_EXACT: usize = 400;

/// The shift that the differences of pairs show; `None` without any.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a number of pairs is small")]
pub fn shift(differences: &[f64]) -> Option<Shift> {
    if differences.is_empty() {
        return None;
    }
    let averages = walsh_averages(differences);
    let deep = critical(differences.len());
    let interval = deep.map(|deep| (averages[deep], averages[averages.len() - 1 - deep]));
    let around = |(low, high): (f64, f64)| (high - low) / 2.0;
    let rough = deviation(differences)
        .map(|deviation| NORMAL_975 * deviation / (differences.len() as f64).sqrt());
    Some(Shift {
        estimate: median_of_sorted(&averages),
        interval,
        p_value: p_value(differences),
        half_width: interval.map(around).or(rough),
        narrowing: 0.5,
        hopeless: is_hopeless(differences),
    })
}

/// Pairs enough for an answer, and too few of them with any difference.
fn is_hopeless(differences: &[f64]) -> bool {
    let fewest = Design::Paired.fewest();
    let different = differences.iter().filter(|difference| **difference != 0.0).count();
    different == 0 || (different < fewest && differences.len() >= fewest)
}

/// Whether all flips of the signs of so many pairs are worked out.
#[must_use]
pub const fn is_exact(pairs: usize) -> bool {
    pairs <= MOST_EXACT
}

/// The means of all pairs of values, each with itself too, in order.
fn walsh_averages(values: &[f64]) -> Vec<f64> {
    let with_later = |(index, a): (usize, &f64)| {
        let a = *a;
        values[index..].iter().map(move |b| f64::midpoint(a, *b)).collect::<Vec<_>>()
    };
    let mut averages: Vec<f64> = values.iter().enumerate().flat_map(with_later).collect();
    averages.sort_by(f64::total_cmp);
    averages
}

/// How many averages are cut off at each end of a 95 % interval; `None` when that cannot be had from so few pairs.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rank sum of many pairs is a positive number far below 2^53"
)]
fn critical(pairs: usize) -> Option<usize> {
    if !is_exact(pairs) {
        let (mean, variance) = moments(pairs as f64);
        return Some((mean - NORMAL_975 * variance.sqrt()) as usize);
    }
    let ranks: Vec<usize> = (1..=pairs).collect();
    last_within(sums_of_signed(&ranks), TAIL)
}

/// Mean and variance of the sum of the signed ranks of so many pairs.
fn moments(pairs: f64) -> (f64, f64) {
    (pairs * (pairs + 1.0) / 4.0, pairs * (pairs + 1.0) * (2.0 * pairs + 1.0) / 24.0)
}

/// How often flipping signs at random makes a rank sum as far from its middle. A difference of nothing has a rank, but
/// no sign to flip.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "rank sums are far below 2^53")]
pub fn p_value(differences: &[f64]) -> f64 {
    let sizes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
    let ranked: Vec<(usize, bool)> = doubled_ranks(&sizes)
        .into_iter()
        .zip(differences)
        .filter(|(_, difference)| **difference != 0.0)
        .map(|(rank, difference)| (rank, *difference > 0.0))
        .collect();
    let ranks: Vec<usize> = ranked.iter().map(|(rank, _)| *rank).collect();
    let whole: usize = ranks.iter().sum();
    let above: usize = ranked.iter().filter(|(_, up)| *up).map(|(rank, _)| rank).sum();
    let far = above.max(whole - above);
    if 2 * far == whole {
        return 1.0;
    }
    if !is_exact(differences.len()) {
        // Half the doubled ranks, squared, is the variance that each sign gives to the doubled sum.
        let variance: f64 = ranks.iter().map(|&rank| (rank as f64 / 2.0).powi(2)).sum();
        return two_sided_p((far as f64 - whole as f64 / 2.0) / variance.sqrt());
    }
    let beyond: f64 = sums_of_signed(&ranks)[far..].iter().sum();
    (2.0 * beyond).min(1.0)
}
