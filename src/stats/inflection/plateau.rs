//! The saturation of a sweep over connections or pipelines: the plateau of its good answers a second.
//!
//! There is no offered rate to compare with: throughput first grows in proportion and then does not. Errors are relative.

use super::bootstrap::intervals;
use super::{Drawing, Estimate, Point, Saturation, means};

/// A plateau: twice the concurrency brings at most this power of two more, which is 7 %.
const FLAT: f64 = 0.1;
/// What lies this close to the most, as a share of it, belongs to its level.
const LEVEL: f64 = 0.95;

/// The level of a curve, and what follows it.
struct Plateau {
    rps: f64,
    /// Good answers a second more for each step of the variable, from the level to the end of the sweep; `None` where it reaches
    /// to the end.
    slope: Option<f64>,
}

/// The throughput that more concurrency does not raise; `points` are sorted by it.
pub(super) fn saturation(points: &[Point], drawing: Drawing) -> Saturation {
    if means(points, throughput).len() < 4 {
        return Saturation::beyond(points, "at least four values are needed to see a plateau");
    }
    let Some(best) = plateau(points) else {
        return Saturation::beyond(
            points,
            "the rate of good answers still grows at the end of the sweep",
        );
    };
    let drawn = intervals(points, 4, drawing, |drawn| {
        plateau(drawn).map(|level| [level.rps, level.slope.unwrap_or(0.0)])
    });
    let ci95 = |index: usize| drawn.map(|intervals| intervals[index]);
    let rps = Some(Estimate { value: best.rps, ci95: ci95(0) });
    let slope = best.slope.map(|value| Estimate { value, ci95: ci95(1) });
    Saturation { rps, at_least_rps: None, slope, reason: None }
}

/// A value without one good answer is part of the curve: throughput has collapsed there.
fn throughput(point: &Point) -> Option<f64> {
    (point.x > 0.0).then_some(point.good_rps)
}

/// The mean of the values close to the most, none of which are on the way down; `None` when what lies there still grows.
fn plateau(points: &[Point]) -> Option<Plateau> {
    let curve = means(points, throughput);
    let most = curve.iter().map(|pair| pair.1).reduce(f64::max).filter(|&most| most > 0.0)?;
    let is_level = |pair: &(f64, f64)| pair.1 >= LEVEL * most;
    let (first, last) = (curve.iter().position(is_level)?, curve.iter().rposition(is_level)?);
    let level = &curve[first..=last];
    let rps = super::mean(level.iter().map(|pair| pair.1));
    let (end, fallen) = *curve.last()?;
    if last + 1 < curve.len() {
        return Some(Plateau { rps, slope: Some((fallen - rps) / (end - curve[last].0)) });
    }
    (level.len() > 1 && elasticity(level) < FLAT).then_some(Plateau { rps, slope: None })
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
