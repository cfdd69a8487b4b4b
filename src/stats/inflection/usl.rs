//! The universal scalability law of Gunther: X(N) = gN / (1 + a(N-1) + bN(N-1)).
//!
//! `a` is what has to wait for one another, `b` what has to be agreed on between all; with `b` there is a best number of
//! users, beyond which more of them get less done. It is a law of closed loops, and is not fitted to anything else.

use super::bootstrap::intervals;
use super::{Asked, Drawing, Estimate, Point, Sweep, means};

/// Fewer values can be fitted by anything.
const FEWEST: usize = 6;
/// Most steps to the best fit.
const MOST_STEPS: u32 = 200;

/// What stands in the way of scaling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scalability {
    /// Throughput of one user alone.
    pub gain_rps: Estimate,
    /// `a`, contention.
    pub contention: Estimate,
    /// `b`, coherency.
    pub coherency: Estimate,
    /// The best number of users; infinite ends are left out. `None` without coherency.
    pub best_users: Option<Estimate>,
    /// Throughput there.
    pub peak_rps: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Law {
    gain: f64,
    contention: f64,
    coherency: f64,
}

impl Law {
    fn at(&self, users: f64) -> f64 {
        self.gain * users / self.load(users)
    }

    fn load(&self, users: f64) -> f64 {
        1.0 + self.contention * (users - 1.0) + self.coherency * users * (users - 1.0)
    }

    /// Where it is highest; infinite without coherency.
    fn best_users(&self) -> f64 {
        if self.coherency <= 0.0 {
            return f64::INFINITY;
        }
        ((1.0 - self.contention).max(0.0) / self.coherency).sqrt().max(1.0)
    }

    /// Sum of the squared relative errors.
    fn error(&self, curve: &[(f64, f64)]) -> f64 {
        curve.iter().map(|&(users, rate)| (self.at(users) / rate - 1.0).powi(2)).sum()
    }
}

/// The law of a connections sweep.
///
/// # Errors
/// Why there is none.
pub(super) fn scalability(
    asked: Asked,
    points: &[Point],
    drawing: Drawing,
) -> Result<Scalability, String> {
    if asked.sweep != Sweep::Connections || asked.open {
        return Err("it is a law of connections in a closed loop".to_owned());
    }
    let curve = curve(points);
    if curve.len() < FEWEST {
        return Err(format!("at least {FEWEST} numbers of connections are needed"));
    }
    let Some(law) = fit(&curve) else {
        return Err("no curve of this law comes near".to_owned());
    };
    let drawn = intervals(points, 4, drawing, |drawn| {
        let law = fit(&self::curve(drawn))?;
        Some([law.gain, law.contention, law.coherency, law.best_users()])
    });
    let estimate = |value: f64, index: usize| Estimate {
        value,
        ci95: drawn.map(|intervals| intervals[index]).filter(|(low, _)| low.is_finite()),
    };
    let best = law.best_users();
    Ok(Scalability {
        gain_rps: estimate(law.gain, 0),
        contention: estimate(law.contention, 1),
        coherency: estimate(law.coherency, 2),
        best_users: best.is_finite().then(|| estimate(best, 3)),
        peak_rps: best.is_finite().then(|| law.at(best)),
    })
}

fn curve(points: &[Point]) -> Vec<(f64, f64)> {
    means(points, |point| (point.good_rps > 0.0).then_some(point.good_rps))
}

/// The best law with nothing negative, by Levenberg and Marquardt on relative errors.
fn fit(curve: &[(f64, f64)]) -> Option<Law> {
    if curve.len() < 4 {
        return None;
    }
    let &(users, rate) = curve.first()?;
    let mut law = Law { gain: rate / users, contention: 0.01, coherency: 1e-5 };
    let mut error = law.error(curve);
    let mut damping = 1e-2;
    for _ in 0..MOST_STEPS {
        let Some(step) = step(&law, curve, damping) else { break };
        let next = Law {
            gain: (law.gain + step[0]).max(law.gain / 10.0),
            contention: (law.contention + step[1]).clamp(0.0, 1.0),
            coherency: (law.coherency + step[2]).max(0.0),
        };
        let next_error = next.error(curve);
        if next_error < error {
            let gained = error - next_error;
            (law, error, damping) = (next, next_error, (damping / 5.0).max(1e-12));
            if gained <= 1e-14 * (1.0 + error) {
                break;
            }
        } else {
            damping *= 4.0;
            if damping > 1e12 {
                break;
            }
        }
    }
    law.gain.is_finite().then_some(law)
}

/// One step downhill: the solution of the damped normal equations of the relative errors.
fn step(law: &Law, curve: &[(f64, f64)], damping: f64) -> Option<[f64; 3]> {
    let mut normal = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for &(users, rate) in curve {
        let (value, load) = (law.at(users) / rate, law.load(users));
        let gradient = [
            value / law.gain,
            -value * (users - 1.0) / load,
            -value * users * (users - 1.0) / load,
        ];
        for i in 0..3 {
            right[i] += gradient[i] * (1.0 - value);
            for j in 0..3 {
                normal[i][j] += gradient[i] * gradient[j];
            }
        }
    }
    // A parameter that is held at 0 must not drag the others along.
    for (index, at_bound) in [(1, law.contention <= 0.0), (2, law.coherency <= 0.0)] {
        if at_bound && right[index] <= 0.0 {
            normal[index] = [0.0; 3];
            normal.iter_mut().for_each(|row| row[index] = 0.0);
            normal[index][index] = 1.0;
            right[index] = 0.0;
        }
    }
    for (index, row) in normal.iter_mut().enumerate() {
        row[index] *= 1.0 + damping;
    }
    solve(normal, right)
}

/// Cramer's rule.
fn solve(matrix: [[f64; 3]; 3], right: [f64; 3]) -> Option<[f64; 3]> {
    let determinant = |m: [[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(matrix);
    if whole == 0.0 || !whole.is_finite() {
        return None;
    }
    Some(std::array::from_fn(|column| {
        let mut replaced = matrix;
        for (row, value) in replaced.iter_mut().zip(right) {
            row[column] = value;
        }
        determinant(replaced) / whole
    }))
}

#[cfg(test)]
mod tests {
    use super::{Law, fit, scalability};
    use crate::stats::inflection::Drawing;
    use crate::stats::inflection::{Asked, Point, Sweep};
    use crate::stats::known::Draws;

    const CLOSED: Asked = Asked { sweep: Sweep::Connections, open: false, cut_short: false };
    const USERS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

    fn points(law: Law, seed: u64, noise: f64, repeats: usize) -> Vec<Point> {
        let mut draws = Draws::new(seed);
        let point = |users: f64, draws: &mut Draws| {
            // The sum of three has about the shape of an error of measurement.
            let error: f64 = (0..3).map(|_| draws.uniform() - 0.5).sum::<f64>() * 2.0;
            let good_rps = law.at(users) * (1.0 + noise * error);
            Point {
                x: users,
                offered_rps: good_rps,
                good_rps,
                good: 1e4,
                errors: 0.0,
                mean_s: None,
                p99_s: None,
            }
        };
        let mut points = Vec::new();
        for users in USERS {
            points.extend((0..repeats).map(|_| point(users, &mut draws)));
        }
        points
    }

    #[test]
    fn known_laws_are_recovered_exactly_without_noise() {
        for (contention, coherency) in
            [(0.02, 0.0001), (0.05, 0.0), (0.0, 0.0005), (0.0, 0.0), (0.3, 0.002)]
        {
            let law = Law { gain: 500.0, contention, coherency };
            let curve: Vec<(f64, f64)> = USERS.map(|users| (users, law.at(users))).into();
            let found = fit(&curve).unwrap();
            assert!((found.gain / 500.0 - 1.0).abs() < 1e-3, "{law:?} {found:?}");
            assert!((found.contention - contention).abs() < 1e-3, "{law:?} {found:?}");
            assert!((found.coherency - coherency).abs() < 1e-5, "{law:?} {found:?}");
        }
    }

    #[test]
    fn intervals_hold_the_truth_nine_times_out_of_ten() {
        let law = Law { gain: 900.0, contention: 0.03, coherency: 0.0002 };
        let truth = ((1.0 - 0.03_f64) / 0.0002).sqrt();
        let mut held = [0; 3];
        for seed in 0..20 {
            let found =
                scalability(CLOSED, &points(law, seed, 0.02, 5), Drawing::few(seed)).unwrap();
            let best = found.best_users.unwrap();
            assert!((best.value / truth - 1.0).abs() < 0.1, "{best:?}");
            for (index, (estimate, truth)) in
                [(found.contention, 0.03), (found.coherency, 0.0002), (best, truth)]
                    .into_iter()
                    .enumerate()
            {
                let (low, high) = estimate.ci95.unwrap();
                held[index] += u32::from((low..=high).contains(&truth));
            }
        }
        assert!(held.iter().all(|&held| held >= 17), "{held:?} of 20");
    }

    #[test]
    fn other_sweeps_and_few_values_have_no_law() {
        let law = Law { gain: 900.0, contention: 0.03, coherency: 0.0002 };
        let points = points(law, 1, 0.0, 1);
        for (sweep, open) in
            [(Sweep::Rate, true), (Sweep::Pipeline, false), (Sweep::Connections, true)]
        {
            let asked = Asked { sweep, open, ..CLOSED };
            assert!(
                scalability(asked, &points, Drawing::few(1)).unwrap_err().contains("closed loop")
            );
        }
        assert!(scalability(CLOSED, &points[..5], Drawing::few(1)).unwrap_err().contains('6'));
        assert!(scalability(CLOSED, &points, Drawing::few(1)).is_ok());
    }
}
