//! Where a share that grows with the load crosses its limit: a regression over trials, and how far it can be relied on.
//!
//! The logarithm of the expected share is a straight line in the logarithm of the load, near where it crosses. That is
//! exact for none but the simplest queues, and near enough for all over a few percent of load. Trials are independent of
//! one another, requests within a trial are not: the trial is the unit, and its scatter around the line tells how much a
//! trial is worth. Shares, not quantiles, are regressed: the expected share is right however the requests of a trial
//! depend on one another, and a trial without a single slow request says something, too.

use crate::stats::student::two_sided_95;

/// A trial as the regression sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Its load.
    pub load: f64,
    /// The share that was found.
    pub share: f64,
    /// How much it weighs: its length.
    pub weight: f64,
}

/// Where the line crosses the limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// The load.
    pub load: f64,
    /// Between which loads it lies with 95 % confidence.
    pub interval: (f64, f64),
    /// The load at which one trial of average weight stays below the limit 19 times out of 20.
    pub safe: f64,
    /// By how many percent the share grows for a percent of load.
    pub slope: f64,
    /// Trials near enough to tell.
    pub trials: usize,
    /// The trials lie around the line. Otherwise they lie on another curve, and the interval is worth nothing.
    pub fits: bool,
}

/// How much of the scatter may not have shown, for one degree of freedom; set by searches whose answer was known.
const UNSEEN: f64 = 4.0;
/// Shares that are off the line by less than this part of the limit are near enough to it.
const NEGLIGIBLE: f64 = 0.1;
/// A curve that only rises leaves at least this part of the scatter where the line is right.
const LEAST_SCATTER: f64 = 0.1;
/// Fewer trials than these may be in order by chance.
const FEW: usize = 8;
const LEAST_SCATTER_OF_FEW: f64 = 0.02;
/// Fewer trials have no scatter worth the name.
const FEWEST: usize = 5;

/// Finds where the share crosses `limit`; `None` where too few trials, or a share that does not grow with the load, do
/// not tell.
#[must_use]
pub fn crossing(points: &[Point], limit: f64) -> Option<Crossing> {
    /// The line is straight between a twentieth of the limit and 25 times as much, more or less.
    const FAR_BELOW: f64 = 3.0;
    const FAR_ABOVE: f64 = 3.2;
    const ROUNDS: usize = 3;
    if limit <= 0.0 {
        return None;
    }
    let mut near = points.to_vec();
    let mut line = Line::through(&near, limit)?;
    for _ in 0..ROUNDS {
        let middle = line.centre + (limit.ln() - line.height) / line.slope;
        let slope = line.slope;
        let is_near = |point: &Point| {
            let distance = (point.load.ln() - middle) * slope;
            (-FAR_BELOW..=FAR_ABOVE).contains(&distance)
        };
        let nearer: Vec<Point> = points.iter().copied().filter(is_near).collect();
        if nearer.len() < FEWEST || nearer == near {
            break;
        }
        near = nearer;
        line = Line::through(&near, limit)?;
    }
    let target = limit.ln();
    let middle = (target - line.height) / line.slope;
    let reach = two_sided_95(near.len() as f64 - 2.0);
    let half = reach * line.deviation(middle);
    let (low, high) = (middle - half, middle + half);
    // A normal distribution has 5 % beyond this.
    const ONE_SIDED: f64 = 1.645;
    let safe = middle - ONE_SIDED * line.scatter.ln_1p() / line.slope;
    let load = |x: f64| (line.centre + x).exp();
    Some(Crossing {
        load: load(middle),
        interval: (load(low), load(high)),
        safe: load(safe.min(low)),
        slope: line.slope,
        trials: near.len(),
        fits: line.fits(&near, limit),
    })
}

/// `ln share = height + slope * (ln load - centre)`, with the covariances of both.
#[derive(Clone, Copy, Debug)]
struct Line {
    centre: f64,
    height: f64,
    slope: f64,
    /// Variance of the height, covariance, variance of the slope.
    covariance: [f64; 3],
    /// How much a trial's share scatters around the line, relative to it.
    scatter: f64,
}

impl Line {
    /// Solves `sum w (share - expected) / sqrt(expected) (1, x) = 0` by Newton's method: right for the mean whatever the
    /// distribution, and best where the variance grows with the power 1.5 of the mean, as it about does where slow requests
    /// come in bursts: more of them with more load, and longer ones.
    fn through(points: &[Point], limit: f64) -> Option<Self> {
        if points.len() < FEWEST {
            return None;
        }
        const ROUNDS: usize = 50;
        let weight: f64 = points.iter().map(|point| point.weight).sum();
        let centre =
            points.iter().map(|point| point.weight * point.load.ln()).sum::<f64>() / weight;
        let x = |point: &Point| point.load.ln() - centre;
        let mean = points.iter().map(|point| point.weight * point.share).sum::<f64>() / weight;
        let (mut height, mut slope) = (mean.max(limit * 1e-3).ln(), 1.0);
        let mut settled = false;
        for _ in 0..ROUNDS {
            let (mut score, mut bread) = ([0.0; 2], [0.0; 3]);
            for point in points {
                let x = x(point);
                let expected = (height + slope * x).exp() / limit;
                let weight = point.weight / expected.sqrt();
                let rest = weight * (point.share / limit - expected);
                let bend = weight * expected;
                score = [score[0] + rest, score[1] + rest * x];
                bread = [bread[0] + bend, bread[1] + bend * x, bread[2] + bend * x * x];
            }
            let [up, along] = solve(bread, score)?;
            height += up.clamp(-1.0, 1.0);
            slope += along.clamp(-20.0, 20.0);
            if up.abs() < 1e-9 && along.abs() < 1e-7 {
                settled = true;
                break;
            }
        }
        if !settled || slope <= 0.0 || !slope.is_finite() {
            return None;
        }
        Self { centre, height, slope, covariance: [0.0; 3], scatter: 0.0 }
            .with_covariance(points, limit)
    }

    fn with_covariance(mut self, points: &[Point], limit: f64) -> Option<Self> {
        let x = |point: &Point| point.load.ln() - self.centre;
        let mut bread = [0.0; 3];
        for point in points {
            let x = x(point);
            let w = point.weight * ((self.height + self.slope * x).exp() / limit).sqrt();
            bread = [bread[0] + w, bread[1] + w * x, bread[2] + w * x * x];
        }
        let inverse = invert(bread)?;
        let (mut chi_square, mut weight) = (0.0, 0.0);
        for point in points {
            let expected = (self.height + self.slope * x(point)).exp() / limit;
            let rest = point.share / limit - expected;
            chi_square += point.weight * rest * rest / expected.powf(1.5);
            weight += point.weight;
        }
        let degrees = points.len() as f64 - 2.0;
        let dispersion = chi_square / degrees;
        // Slow requests come in rare bursts of very different size. As long as few were seen, the largest were not, and the
        // scatter that was seen is too small more often than too large.
        let unseen = 1.0 + UNSEEN / degrees.sqrt();
        self.covariance = inverse.map(|v| v * dispersion * unseen);
        self.scatter = (dispersion * points.len() as f64 / weight).sqrt();
        Some(self)
    }

    /// Whether `points` scatter around the line by chance. A curve that only rises explains chance a little better than the
    /// line does; where it explains nearly all of the scatter, the scatter was the line's mistake.
    fn fits(&self, points: &[Point], limit: f64) -> bool {
        let expected = |point: &Point| {
            (self.height + self.slope * (point.load.ln() - self.centre)).exp() / limit
        };
        let mut sorted = points.to_vec();
        // Of one load the largest first, so that they are pooled.
        sorted.sort_by(|a, b| a.load.total_cmp(&b.load).then(b.share.total_cmp(&a.share)));
        let weights: Vec<f64> =
            sorted.iter().map(|point| point.weight / expected(point).powf(1.5)).collect();
        let shares: Vec<f64> = sorted.iter().map(|point| point.share / limit).collect();
        let rising = isotonic(&shares, &weights);
        let sum = |of: &dyn Fn(usize) -> f64| -> f64 {
            (0..sorted.len()).map(|i| weights[i] * (shares[i] - of(i)).powi(2)).sum()
        };
        let (line, curve) = (sum(&|i| expected(&sorted[i])), sum(&|i| rising[i]));
        let weight: f64 = sorted.iter().map(|point| point.weight).sum();
        let least = if sorted.len() < FEW { LEAST_SCATTER_OF_FEW } else { LEAST_SCATTER };
        line <= weight * NEGLIGIBLE * NEGLIGIBLE || curve >= least * line
    }

    /// The standard deviation of the crossing, in logarithms of load.
    fn deviation(&self, crossing: f64) -> f64 {
        let [v0, v1, v2] = self.covariance;
        (v0 + 2.0 * v1 * crossing + v2 * crossing * crossing).max(0.0).sqrt() / self.slope
    }
}

/// The curve through `values` that never falls and is closest to them, by pooling neighbours that are out of order.
fn isotonic(values: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (&value, &weight) in values.iter().zip(weights) {
        let mut pool = (value, weight, 1);
        while let Some(&(mean, heavy, count)) = pools.last()
            && mean >= pool.0
        {
            let all = heavy + pool.1;
            pool = ((mean * heavy + pool.0 * pool.1) / all, all, count + pool.2);
            pools.pop();
        }
        pools.push(pool);
    }
    pools.iter().flat_map(|&(mean, _, count)| std::iter::repeat_n(mean, count)).collect()
}

/// Solves a symmetric system of two equations.
fn solve(matrix: [f64; 3], right: [f64; 2]) -> Option<[f64; 2]> {
    let [a, b, c] = invert(matrix)?;
    Some([a * right[0] + b * right[1], b * right[0] + c * right[1]])
}

/// The inverse of a symmetric matrix of two rows.
fn invert([a, b, c]: [f64; 3]) -> Option<[f64; 3]> {
    let determinant = a * c - b * b;
    (determinant > 1e-12 * a * c.max(1e-12))
        .then(|| [c / determinant, -b / determinant, a / determinant])
}
