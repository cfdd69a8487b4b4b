//! The rising curve closest to some points.

/// The values that never fall and are closest to `values` by least squares: neighbours that violate the order are pooled.
pub(super) fn rising(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::with_capacity(values.len());
    for &value in values {
        pools.push((value, 1));
        while let [.., (before, before_count), (last, last_count)] = pools[..]
            && before > last
        {
            pools.truncate(pools.len() - 2);
            pools.push((
                weighted(before, before_count, last, last_count),
                before_count + last_count,
            ));
        }
    }
    pools.into_iter().flat_map(|(value, count)| std::iter::repeat_n(value, count)).collect()
}

/// The same for values that never rise.
pub(super) fn falling(values: &[f64]) -> Vec<f64> {
    let negated: Vec<f64> = values.iter().map(|value| -value).collect();
    rising(&negated).into_iter().map(|value| -value).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few hundred points")]
fn weighted(a: f64, a_count: usize, b: f64, b_count: usize) -> f64 {
    let (a_weight, b_weight) = (a_count as f64, b_count as f64);
    (a * a_weight + b * b_weight) / (a_weight + b_weight)
}

#[cfg(test)]
mod tests {
    use super::{falling, rising};

    #[test]
    fn what_falls_is_levelled_and_what_rises_is_kept() {
        assert_eq!(rising(&[1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]);
        assert_eq!(rising(&[1.0, 4.0, 2.0, 5.0]), [1.0, 3.0, 3.0, 5.0]);
        assert_eq!(rising(&[3.0, 2.0, 1.0]), [2.0, 2.0, 2.0]);
        assert_eq!(rising(&[]), Vec::<f64>::new());
        assert_eq!(falling(&[5.0, 2.0, 4.0, 1.0]), [5.0, 3.0, 3.0, 1.0]);
    }
}
