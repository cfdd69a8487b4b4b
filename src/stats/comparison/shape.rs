//! What all requests of a side look like together: quantiles, and how often a new one is longer than an old one.
//!
//! This describes; it decides nothing, since requests of one run are not independent.

use std::collections::BTreeMap;

/// Values with how often they came, pooled over runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pool {
    values: BTreeMap<u64, u64>,
    count: u64,
}

impl Pool {
    /// Adds a value that came `count` times.
    pub fn add(&mut self, value: u64, count: u64) {
        if count > 0 {
            let known = self.values.entry(value).or_default();
            *known = known.saturating_add(count);
            self.count = self.count.saturating_add(count);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value at `quantile`, from 0 to 1; `None` when there is none at all.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank is a positive number below 2^53"
    )]
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let rank = ((quantile * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0_u64;
        self.values.iter().find_map(|(&value, &count)| {
            seen = seen.saturating_add(count);
            (seen >= rank).then_some(value)
        })
    }
}

/// The chance that a value of `new` is larger than one of `base`, equal ones counted half; `None` when one is empty.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a share is shown with few digits")]
pub fn share_above(new: &Pool, base: &Pool) -> Option<f64> {
    if new.count == 0 || base.count == 0 {
        return None;
    }
    let mut below = base.values.iter().peekable();
    let mut smaller = 0.0;
    let mut wins = 0.0;
    for (value, &count) in &new.values {
        while let Some((_, known)) = below.next_if(|(base, _)| *base < value) {
            smaller += *known as f64;
        }
        let equal = below.peek().filter(|(base, _)| *base == value);
        let equal = equal.map_or(0.0, |(_, known)| **known as f64);
        wins += count as f64 * (smaller + equal / 2.0);
    }
    Some(wins / new.count as f64 / base.count as f64)
}

#[cfg(test)]
mod tests {
    use super::{Pool, share_above};

    fn pool(values: &[(u64, u64)]) -> Pool {
        let mut pool = Pool::default();
        values.iter().for_each(|&(value, count)| pool.add(value, count));
        pool
    }

    #[test]
    fn quantiles_are_ranks() {
        let pool = pool(&[(10, 50), (20, 49), (1000, 1)]);
        let at = [0.01, 0.5, 0.51, 0.99, 0.991, 1.0].map(|quantile| pool.quantile(quantile));
        assert_eq!(at, [10, 10, 20, 20, 1000, 1000].map(Some));
        assert_eq!(Pool::default().quantile(0.5), None);
    }

    #[test]
    fn the_chance_of_a_longer_one_counts_every_pair() {
        let (base, new) = (pool(&[(1, 1), (2, 2), (5, 1)]), pool(&[(2, 1), (3, 3)]));
        // 2 beats one and ties with two; 3 beats three: (1 + 1 + 3 * 3) / 16.
        let found = share_above(&new, &base).unwrap();
        assert!((found - 11.0 / 16.0).abs() < 1e-12);
        let back = share_above(&base, &new).unwrap();
        assert!((found + back - 1.0).abs() < 1e-12);
        assert_eq!(share_above(&new, &new), Some(0.5));
        assert_eq!(share_above(&Pool::default(), &new), None);
    }
}
