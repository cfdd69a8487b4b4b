//! A smooth curve through noisy points: cubic B-splines with a penalty on what bends, as strong as cross-validation finds
//! best (P-splines of Eilers and Marx). Endless smoothing leaves a straight line.

/// Most pieces of a curve.
const MOST_PIECES: usize = 12;
/// Penalties that are tried, as powers of ten in halves.
const PENALTIES: std::ops::RangeInclusive<i32> = -8..=12;
/// Generalised cross-validation takes noise for signal now and then unless each degree of freedom costs a little more.
const PRICE: f64 = 1.4;

/// The degree of the pieces.
const DEGREE: usize = 3;

/// A smooth curve.
#[derive(Clone, Debug)]
pub(super) struct Spline {
    low: f64,
    high: f64,
    coefficients: Vec<f64>,
    /// How strongly it was kept from bending.
    pub(super) penalty: f64,
}

impl Spline {
    /// The curve through points of at least three different `x`, all of the same weight. With `penalty` it bends as
    /// little as it says, without one as cross-validation finds best. `None` where there is no curve.
    pub(super) fn fit(points: &[(f64, f64)], penalty: Option<f64>) -> Option<Self> {
        let xs = || points.iter().map(|point| point.0);
        let (low, high) = (xs().reduce(f64::min)?, xs().reduce(f64::max)?);
        let pieces = points.len().saturating_sub(2).min(MOST_PIECES);
        if high <= low || pieces == 0 {
            return None;
        }
        let basis: Vec<Vec<f64>> = xs().map(|x| basis((x - low) / (high - low), pieces)).collect();
        let fitted = |penalty: f64| smooth(&basis, points, penalty);
        let (penalty, coefficients, _) = match penalty {
            Some(penalty) => fitted(penalty).map(|(curve, score)| (penalty, curve, score))?,
            None => PENALTIES
                .filter_map(|halves| {
                    let penalty = 10_f64.powf(f64::from(halves) / 2.0);
                    fitted(penalty).map(|(curve, score)| (penalty, curve, score))
                })
                .min_by(|a, b| a.2.total_cmp(&b.2))?,
        };
        Some(Self { low, high, coefficients, penalty })
    }

    /// Its value between its ends.
    pub(super) fn at(&self, x: f64) -> f64 {
        let place = ((x - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let basis = basis(place, self.coefficients.len() - DEGREE);
        basis.iter().zip(&self.coefficients).map(|(value, weight)| value * weight).sum()
    }
}

/// The cubic B-splines of `pieces` equal pieces of [0, 1] at `place`, by Cox and de Boor.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a piece of a dozen"
)]
fn basis(place: f64, pieces: usize) -> Vec<f64> {
    let scaled = place * pieces as f64;
    let piece = (scaled as usize).min(pieces - 1);
    let t = scaled - piece as f64;
    let s = 1.0 - t;
    let mut values = vec![0.0; pieces + DEGREE];
    let around = [
        s * s * s,
        3.0 * t * t * t - 6.0 * t * t + 4.0,
        3.0 * s * s * s - 6.0 * s * s + 4.0,
        t * t * t,
    ];
    for (value, of_four) in values[piece..].iter_mut().zip(around) {
        *value = of_four / 6.0;
    }
    values
}

/// The coefficients for a penalty, and the score of cross-validation; the lower the better.
#[expect(clippy::cast_precision_loss, reason = "a number of points")]
fn smooth(basis: &[Vec<f64>], points: &[(f64, f64)], penalty: f64) -> Option<(Vec<f64>, f64)> {
    let size = basis.first()?.len();
    let mut normal = vec![vec![0.0; size]; size];
    let mut right = vec![0.0; size];
    for (row, &(_, y)) in basis.iter().zip(points) {
        for i in 0..size {
            right[i] += row[i] * y;
            for j in 0..size {
                normal[i][j] += row[i] * row[j];
            }
        }
    }
    let mut stiff = normal.clone();
    for first in 0..size - 2 {
        for (i, a) in [1.0, -2.0, 1.0].into_iter().enumerate() {
            for (j, b) in [1.0, -2.0, 1.0].into_iter().enumerate() {
                stiff[first + i][first + j] += penalty * a * b;
            }
        }
    }
    let inverse = inverse(stiff)?;
    let product = |row: &[f64], column: &[f64]| row.iter().zip(column).map(|(a, b)| a * b).sum();
    let coefficients: Vec<f64> = inverse.iter().map(|row| product(row, &right)).collect();
    let freedom: f64 =
        (0..size).map(|i| (0..size).map(|j| inverse[i][j] * normal[j][i]).sum::<f64>()).sum();
    let error: f64 = basis
        .iter()
        .zip(points)
        .map(|(row, &(_, y))| {
            let fitted: f64 = product(row, &coefficients);
            (y - fitted).powi(2)
        })
        .sum();
    let count = points.len() as f64;
    let left = 1.0 - PRICE * freedom / count;
    // A curve through all points has nothing to be validated with.
    let score = if left > 0.0 { error / count / (left * left) } else { f64::INFINITY };
    Some((coefficients, score))
}

/// The inverse by Gauss and Jordan with pivots; `None` when there is none.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    for (index, row) in matrix.iter_mut().enumerate() {
        row.extend((0..size).map(|column| f64::from(u8::from(column == index))));
    }
    for column in 0..size {
        let magnitude = |row: &usize| matrix[*row][column].abs();
        let pivot = (column..size).max_by(|a, b| magnitude(a).total_cmp(&magnitude(b)))?;
        matrix.swap(column, pivot);
        let divisor = matrix[column][column];
        if divisor.abs() < 1e-12 {
            return None;
        }
        matrix[column].iter_mut().for_each(|value| *value /= divisor);
        let above = matrix[column].clone();
        for (index, row) in matrix.iter_mut().enumerate() {
            let factor = row[column];
            if index != column && factor != 0.0 {
                row.iter_mut()
                    .zip(&above)
                    .for_each(|(value, of_pivot)| *value -= factor * of_pivot);
            }
        }
    }
    Some(matrix.into_iter().map(|row| row[size..].to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::Spline;
    use crate::stats::known::Draws;

    #[test]
    fn a_line_stays_a_line_and_noise_is_smoothed() {
        let line: Vec<(f64, f64)> = (0..15).map(f64::from).map(|x| (x, 10.0 - x / 2.0)).collect();
        let spline = Spline::fit(&line, None).unwrap();
        assert!(line.iter().all(|&(x, y)| (spline.at(x) - y).abs() < 1e-3));
        let mut draws = Draws::new(7);
        let noisy: Vec<(f64, f64)> =
            line.iter().map(|&(x, y)| (x, y + draws.uniform() - 0.5)).collect();
        let spline = Spline::fit(&noisy, None).unwrap();
        let worst = line.iter().map(|&(x, y)| (spline.at(x) - y).abs()).fold(0.0, f64::max);
        assert!(worst < 0.4, "{worst}");
    }

    #[test]
    fn a_bend_that_is_no_noise_is_followed() {
        let bent: Vec<(f64, f64)> =
            (0..30).map(|x| f64::from(x) / 30.0).map(|x| (x, (6.0 * x).sin())).collect();
        let spline = Spline::fit(&bent, None).unwrap();
        assert!(bent.iter().all(|&(x, y)| (spline.at(x) - y).abs() < 0.02));
    }

    #[test]
    fn points_that_make_no_curve_have_none() {
        assert!(Spline::fit(&[], None).is_none());
        assert!(Spline::fit(&[(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)], None).is_none());
        assert!(Spline::fit(&[(1.0, 1.0), (2.0, 2.0)], None).is_none());
    }
}
