//! Quantiles of Student's distribution.

/// The 97.5 % quantiles for 1 to 30 degrees of freedom, as every table has them.
const TABLE: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// What 95 % of the values lie within, on both sides of 0, for any degrees of freedom from 1 on; infinite below.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 1 and 30 after the check"
)]
pub fn two_sided_95(freedom: f64) -> f64 {
    const NORMAL: f64 = 1.959_964;
    let last = TABLE.len() as f64;
    if freedom.is_nan() || freedom < 1.0 {
        return f64::INFINITY;
    }
    if freedom >= last {
        // The first two terms of Cornish and Fisher's expansion: right to three decimals from here on.
        let first = (NORMAL.powi(3) + NORMAL) / 4.0;
        let second = (5.0 * NORMAL.powi(5) + 16.0 * NORMAL.powi(3) + 3.0 * NORMAL) / 96.0;
        return NORMAL + (first + second / freedom) / freedom;
    }
    // Between two rows of the table quantiles are about straight in the reciprocal.
    let row = freedom.floor();
    let (fewer, more) = (TABLE[row as usize - 1], TABLE[row as usize]);
    let part = (1.0 / row - 1.0 / freedom) / (1.0 / row - 1.0 / (row + 1.0));
    fewer + (more - fewer) * part
}

#[cfg(test)]
mod tests {
    use super::two_sided_95;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, quantile) in [
            (1.0, 12.706),
            (3.0, 3.182),
            (10.0, 2.228),
            (18.0, 2.101),
            (29.0, 2.045),
            (30.0, 2.042),
            (40.0, 2.021),
            (120.0, 1.980),
        ] {
            assert!((two_sided_95(freedom) - quantile).abs() < 6e-4, "{freedom}");
        }
        // By numerical integration.
        assert!((two_sided_95(4.5) - 2.659).abs() < 5e-3, "{}", two_sided_95(4.5));
        assert!(two_sided_95(0.5).is_infinite() && two_sided_95(f64::NAN).is_infinite());
    }
}
