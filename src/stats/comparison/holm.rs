//! Several questions at once: the more are asked, the likelier one of them is answered wrongly by chance.

/// The p-values after Holm's correction, in the order in which they came: what is below 5 % then is wrong about any of
/// them in 5 % of all comparisons at most.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a number of metrics is small")]
pub fn adjusted(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (place, &index) in order.iter().enumerate() {
        let left = (p_values.len() - place) as f64;
        largest = largest.max(p_values[index] * left).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::adjusted;

    #[test]
    fn the_smallest_is_multiplied_by_their_number_and_none_falls_below_a_smaller_one() {
        let close = |found: Vec<f64>, expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            let apart = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(apart, "{found:?}");
        };
        close(adjusted(&[0.01, 0.04, 0.03, 0.005]), &[0.03, 0.06, 0.06, 0.02]);
        close(adjusted(&[0.9, 0.8]), &[1.0, 1.0]);
        close(adjusted(&[0.04]), &[0.04]);
        close(adjusted(&[]), &[]);
    }
}
