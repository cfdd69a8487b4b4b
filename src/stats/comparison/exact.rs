//! Exact distributions of rank sums, by dynamic programming.
//!
//! Ranks are doubled, so that the ranks of ties, means of whole ones, are whole too and ties are exact.

/// Twice the rank of each value among all of them; ties share the mean of their ranks.
#[must_use]
pub fn doubled_ranks(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0; values.len()];
    let mut first = 0;
    while first < order.len() {
        let value = values[order[first]];
        let tied = order[first..].iter().take_while(|&&index| same(values[index], value)).count();
        // Ranks count from one: those from first + 1 to first + tied have the mean first + (tied + 1) / 2.
        order[first..first + tied].iter().for_each(|&index| ranks[index] = 2 * first + tied + 1);
        first += tied;
    }
    ranks
}

/// What differs by rounding alone is a tie.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12
}

/// The probability of each sum of doubled ranks when every rank counts or not with equal chance.
#[must_use]
pub fn sums_of_signed(ranks: &[usize]) -> Vec<f64> {
    let mut chances = vec![0.0; ranks.iter().sum::<usize>() + 1];
    chances[0] = 1.0;
    let mut reached = 0;
    for &rank in ranks {
        reached += rank;
        for sum in (0..=reached).rev() {
            let with = if sum >= rank { chances[sum - rank] } else { 0.0 };
            chances[sum] = f64::midpoint(chances[sum], with);
        }
    }
    chances
}

/// The probability of each sum of `size` of these doubled ranks when all choices are equally likely.
#[must_use]
pub fn sums_of_chosen(ranks: &[usize], size: usize) -> Vec<f64> {
    let mut sorted = ranks.to_vec();
    sorted.sort_unstable();
    let largest: usize = sorted.iter().rev().take(size).sum();
    // ways[k][s]: in how many ways k of the ranks so far have the sum s.
    let mut ways = vec![vec![0.0; largest + 1]; size + 1];
    ways[0][0] = 1.0;
    for (seen, &rank) in ranks.iter().enumerate() {
        for chosen in (1..=size.min(seen + 1)).rev() {
            let (fewer, more) = ways.split_at_mut(chosen);
            let (before, after) = (&fewer[chosen - 1], &mut more[0]);
            for sum in rank..=largest {
                after[sum] += before[sum - rank];
            }
        }
    }
    let mut chances = ways.pop().unwrap_or_default();
    let all: f64 = chances.iter().sum();
    chances.iter_mut().for_each(|chance| *chance /= all);
    chances
}

/// The largest index up to which the probabilities add up to at most `tail`; `None` when the first is above it already.
#[must_use]
pub fn last_within(chances: impl IntoIterator<Item = f64>, tail: f64) -> Option<usize> {
    // Sums of a few hundred terms are right to far more digits than this.
    const ROUNDING: f64 = 1e-12;
    let mut sum = 0.0;
    let within = chances.into_iter().take_while(|chance| {
        sum += chance;
        sum <= tail + ROUNDING
    });
    within.count().checked_sub(1)
}
