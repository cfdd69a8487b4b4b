//! The saturation of a sweep over connections or pipelines: the plateau of its throughput.
//!
//! There is no offered rate to compare with: throughput first grows in proportion and then does not. Errors are relative.

use super::bootstrap::intervals;
use super::{Estimate, Point, Saturation, means};

/// A plateau: twice the concurrency brings at most this power of two more.
const FLAT: f64 = 0.2;

/// The throughput that more concurrency does not raise; `points` are sorted by it.
pub(super) fn saturation(points: &[Point], seed: u64) -> Saturation {
    if means(points, throughput).len() < 4 {
        return Saturation::beyond(points, "at least four values are needed to see a plateau");
    }
    let Some(value) = plateau(points) else {
        return Saturation::beyond(points, "throughput still grows at the end of the sweep");
    };
    let drawn = intervals(points, seed, |drawn| plateau(drawn).map(|value| [value]));
    let ci95 = drawn.map(|[interval]| interval);
    let rps = Some(Estimate { value, ci95 });
    Saturation { rps, at_least_rps: None, slope: None, reason: None }
}

fn throughput(point: &Point) -> Option<f64> {
    (point.achieved_rps > 0.0 && point.x > 0.0).then_some(point.achieved_rps)
}

/// The level of the best min(c x, level) with two values on the level; `None` when what lies there still grows.
fn plateau(points: &[Point]) -> Option<f64> {
    let curve = means(points, throughput);
    let fits = (1..curve.len().saturating_sub(1)).map(|at| {
        let (rise, level) = curve.split_at(at);
        let (_, rise_error) = proportional(rise.iter().map(|&(x, y)| (x, y)));
        let (height, level_error) = proportional(level.iter().map(|&(_, y)| (1.0, y)));
        (rise_error + level_error, height, level)
    });
    let (_, height, level) = fits.min_by(|a, b| a.0.total_cmp(&b.0))?;
    (elasticity(level) < FLAT).then_some(height)
}

/// The factor between pairs that fits best, and the sum of its squared relative errors.
fn proportional(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> (f64, f64) {
    let shares = pairs.map(|(x, y)| x / y);
    let sum: f64 = shares.clone().sum();
    let squares: f64 = shares.clone().map(|share| share * share).sum();
    let factor = if squares > 0.0 { sum / squares } else { 0.0 };
    (factor, shares.map(|share| (1.0 - factor * share).powi(2)).sum())
}

/// The slope of a curve between logarithms: 1 where it grows in proportion, 0 where it is level.
fn elasticity(curve: &[(f64, f64)]) -> f64 {
    let logs = || curve.iter().map(|&(x, y)| (x.ln(), y.ln()));
    let (mean_x, mean_y) =
        (super::mean(logs().map(|pair| pair.0)), super::mean(logs().map(|pair| pair.1)));
    let (product, square) = logs().fold((0.0, 0.0), |(product, square), (x, y)| {
        (product + (x - mean_x) * (y - mean_y), square + (x - mean_x).powi(2))
    });
    if square > 0.0 { product / square } else { 1.0 }
}
