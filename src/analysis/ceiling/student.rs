//! Quantiles of Student's distribution.

/// The 97.5 % quantiles for 1 to 30 degrees of freedom, as every table has them.
const TABLE: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// What 95 % of the values lie within, on both sides of 0; infinite without a degree of freedom.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "degrees of freedom are few")]
pub fn two_sided_95(degrees: usize) -> f64 {
    const NORMAL: f64 = 1.959_964;
    match degrees {
        0 => f64::INFINITY,
        1..=30 => TABLE[degrees - 1],
        // The first term of Cornish and Fisher's expansion: right to three decimals from here on.
        _ => NORMAL + (NORMAL.powi(3) + NORMAL) / (4.0 * degrees as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::two_sided_95;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, quantile) in
            [(1, 12.706), (10, 2.228), (30, 2.042), (40, 2.021), (120, 1.980)]
        {
            assert!((two_sided_95(degrees) - quantile).abs() < 2e-3, "{degrees}");
        }
        assert!(two_sided_95(0).is_infinite());
    }
}
