//! Where a run became steady: MSER-5, after White (1997).

/// Values in a batch.
const BATCH: usize = 5;
/// Fewer values say nothing.
const FEWEST: usize = 50;

/// From when on a series is steady.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Steady {
    /// From the value with this index on.
    From(usize),
    /// Not before its middle, which is taken for never.
    Never,
}

/// Cuts so many batches of five values from the start that the standard error of the mean of the rest is the smallest.
/// `None` with too few values.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "statistics need few digits")]
pub fn mser5(values: &[f64]) -> Option<Steady> {
    if values.len() < FEWEST {
        return None;
    }
    let batches: Vec<f64> =
        values.chunks_exact(BATCH).map(|batch| batch.iter().sum::<f64>() / BATCH as f64).collect();
    let error = |cut: usize| {
        let rest = &batches[cut..];
        let count = rest.len() as f64;
        let mean = rest.iter().sum::<f64>() / count;
        rest.iter().map(|batch| (batch - mean).powi(2)).sum::<f64>() / (count * count)
    };
    let last = batches.len() / 2;
    let best = (0..=last).min_by(|&a, &b| error(a).total_cmp(&error(b)))?;
    Some(if best == last { Steady::Never } else { Steady::From(best * BATCH) })
}

#[cfg(test)]
mod tests {
    use super::{Steady, mser5};
    use crate::stats::known::Draws;

    fn noisy(seed: u64, shape: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut draws = Draws::new(seed);
        (0..100).map(|i| shape(i) + draws.uniform()).collect()
    }

    #[test]
    fn a_start_that_decays_is_cut_about_where_it_ends() {
        let starting = |seed| noisy(seed, |i| if i < 20 { 20.0 - i as f64 } else { 0.0 });
        let right = (0..40).filter(|&seed| {
            matches!(mser5(&starting(seed)), Some(Steady::From(cut)) if (15..=30).contains(&cut))
        });
        // Now and then the rest looks steadier still from its middle on.
        assert!(right.count() >= 28);
    }

    #[test]
    fn what_is_steady_from_the_start_is_cut_little() {
        let cuts = (0..20).filter(
            |&seed| matches!(mser5(&noisy(seed, |_| 10.0)), Some(Steady::From(cut)) if cut <= 25),
        );
        assert!(cuts.count() >= 14);
    }

    #[test]
    fn what_always_grows_is_never_steady() {
        assert_eq!(mser5(&noisy(3, |i| i as f64)), Some(Steady::Never));
        assert_eq!(mser5(&[1.0; 49]), None);
    }
}
