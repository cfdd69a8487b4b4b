//! How many independent values a quantile really rests on.
//!
//! Latencies that queue behind one another are alike: a thousand of them may tell no more than ten independent ones. The
//! run is cut into blocks; how much the share of values above the quantile differs between them, compared with what it
//! would if all values were independent, is Kish's design effect.

/// Fewer blocks say nothing about how much blocks differ.
const FEWEST_BLOCKS: usize = 30;

/// Quantiles whose confidence intervals are worked out.
pub const JUDGED: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999];

/// Whether a confidence interval of this quantile is worked out.
#[must_use]
pub fn has_interval(quantile: f64) -> bool {
    JUDGED.iter().any(|judged| (judged - quantile).abs() < 1e-9)
}

/// The design effect of the share of values above a limit, from blocks of (values, values above it); at least 1. Blocks
/// are merged with their neighbours, again and again, as far as enough remain: the largest effect counts, since blocks
/// shorter than the queues that they cut look too independent. `None` with too few blocks or when all or no values are
/// above.
#[must_use]
pub fn design_effect(blocks: &[(u64, u64)]) -> Option<f64> {
    let mut blocks = blocks.to_vec();
    let mut largest: Option<f64> = None;
    while blocks.len() >= FEWEST_BLOCKS {
        let effect = effect_of(&blocks)?;
        largest = Some(largest.map_or(effect, |known| known.max(effect)));
        blocks = blocks
            .chunks(2)
            .map(|pair| pair.iter().fold((0, 0), |sum, block| (sum.0 + block.0, sum.1 + block.1)))
            .collect();
    }
    largest.map(|effect| effect.max(1.0))
}

/// Variance of the ratio estimator over blocks, over that of as many independent values.
#[expect(clippy::cast_precision_loss, reason = "statistics need few digits")]
fn effect_of(blocks: &[(u64, u64)]) -> Option<f64> {
    let total = blocks.iter().map(|block| block.0).sum::<u64>() as f64;
    let above = blocks.iter().map(|block| block.1).sum::<u64>() as f64;
    let share = above / total;
    let independent = share * (1.0 - share) / total;
    if total == 0.0 || independent <= 0.0 {
        return None;
    }
    let squares: f64 =
        blocks.iter().map(|&(values, above)| (above as f64 - share * values as f64).powi(2)).sum();
    let count = blocks.len() as f64;
    Some(count / (count - 1.0) * squares / (total * total) / independent)
}

/// Independent values that `count` of this design effect are worth.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a positive number not above the count"
)]
pub fn effective_count(count: u64, effect: f64) -> u64 {
    (count as f64 / effect.max(1.0)).floor() as u64
}

/// The quantiles between which another one lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileLevels {
    /// At least 0.
    pub low: f64,
    /// `None` when there are too few values for an upper bound.
    pub high: Option<f64>,
}

/// By order statistics: `quantile` less and plus 1.96 standard deviations of a binomial share.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "statistics need few digits")]
pub fn quantile_levels(quantile: f64, effective: u64) -> QuantileLevels {
    let half = 1.96 * (quantile * (1.0 - quantile) / effective.max(1) as f64).sqrt();
    let high = quantile + half;
    QuantileLevels { low: (quantile - half).max(0.0), high: (high <= 1.0).then_some(high) }
}

#[cfg(test)]
mod tests {
    use super::{design_effect, effective_count, quantile_levels};
    use crate::stats::known::{Draws, queue};

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
    /// Of a hundred runs, in how many does the interval of the quantile hold the truth: with and without the effect.
    fn coverage(
        runs: impl Fn(u64) -> Vec<(f64, f64)>,
        seconds: f64,
        quantile: f64,
        truth: f64,
    ) -> (u32, u32) {
        let mut covered = (0, 0);
        for seed in 0..100 {
            let values = runs(seed);
            let mut sorted: Vec<f64> = values.iter().map(|&(_, value)| value).collect();
            sorted.sort_by(f64::total_cmp);
            let at = |level: f64| {
                let rank = (level * sorted.len() as f64).ceil() as usize;
                sorted[rank.clamp(1, sorted.len()) - 1]
            };
            let limit = at(quantile);
            let mut blocks = vec![(0, 0); 100];
            for &(time, value) in &values {
                let block = &mut blocks[((time / seconds * 100.0) as usize).min(99)];
                block.0 += 1;
                block.1 += u64::from(value > limit);
            }
            let effect = design_effect(&blocks).unwrap();
            let holds = |effective: u64| {
                let levels = quantile_levels(quantile, effective);
                at(levels.low) <= truth && levels.high.is_none_or(|high| truth <= at(high))
            };
            let count = values.len() as u64;
            covered.0 += u32::from(holds(effective_count(count, effect)));
            covered.1 += u32::from(holds(count));
        }
        covered
    }

    #[test]
    fn independent_values_have_no_design_effect_and_intervals_that_cover() {
        let independent = |seed| {
            let mut draws = Draws::new(seed * 7919);
            (0..10_000).map(|i| (f64::from(i) / 1000.0, draws.exponential(1.0))).collect()
        };
        for quantile in [0.5, 0.99] {
            let truth = -(1.0_f64 - quantile).ln();
            let (with, without) = coverage(independent, 10.0, quantile, truth);
            assert!(with >= 91 && without >= 90, "{with} and {without} of 100 at {quantile}");
        }
    }

    #[test]
    fn intervals_of_a_queue_cover_only_with_the_effect() {
        // M/M/1 at load 0.8: response times are exponential with mean 1 / (mu - lambda).
        let truth = |quantile: f64| -(1.0 - quantile).ln() / (1250.0 - 1000.0);
        let busy = |seed| queue(seed * 104_729 + 1, 1000.0, 0.8, 30.0);
        let (with, without) = coverage(busy, 30.0, 0.5, truth(0.5));
        assert!(with >= 85 && without <= 50, "{with} and {without} of 100");
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(design_effect(&[(10, 1); 29]), None);
        assert_eq!(design_effect(&[(10, 0); 60]), None);
        assert_eq!(quantile_levels(0.99, 300).high, None);
        assert!(quantile_levels(0.99, 400).high.is_some());
    }
}
