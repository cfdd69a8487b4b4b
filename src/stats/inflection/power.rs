//! The power point of Kleinrock: the load with the best throughput for its latency, where throughput by mean response time
//! is highest.
//!
//! The maximum of a curve as flat as this one is found with smooth fits only. In a rate sweep it is the reciprocal of the
//! response time that is smooth: in a queue with one server it falls to 0 at saturation, along a straight line in M/M/1.

use super::bootstrap::intervals;
use super::spline::Spline;
use super::{Drawing, Estimate, Point, Sweep, isotonic, means, stick};

/// Places at which the curve is looked at.
const PLACES: u32 = 250;
/// Fewer points have no shape.
const FEWEST: usize = 5;

/// The load with the best throughput for its latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerPoint {
    /// The value of the variable there.
    pub x: Estimate,
    /// The throughput there.
    pub rps: Estimate,
    /// It lies at the end of what was swept: the true one may lie beyond.
    pub at_edge: bool,
}

/// What a fit found.
pub(super) struct Peak {
    pub(super) x: f64,
    rps: f64,
    pub(super) at_edge: bool,
    penalty: f64,
}

/// The power point of points sorted by `x`; a rate sweep is looked at up to its saturation.
///
/// # Errors
/// Why there is none.
pub(super) fn power_point(
    sweep: Sweep,
    points: &[Point],
    saturated_rps: Option<f64>,
    drawing: Drawing,
) -> Result<PowerPoint, String> {
    let fit = |points: &[Point], saturated: Option<f64>, penalty: Option<f64>| match sweep {
        Sweep::Rate => peak_of_rates(points, saturated, penalty),
        Sweep::Connections | Sweep::Pipeline => peak_of_concurrency(points, penalty),
    };
    let Some(best) = fit(points, saturated_rps, None) else {
        let which = match sweep {
            Sweep::Rate => "below saturation",
            Sweep::Connections | Sweep::Pipeline => "at which requests mostly succeed",
        };
        return Err(format!("at least {FEWEST} values {which} are needed to see where it is"));
    };
    let drawn = intervals(points, FEWEST, drawing, |drawn| {
        // Where the curve ends is not known better than the rest of it.
        let saturated = saturated_rps.map(|rate| stick::broken_at(drawn).unwrap_or(rate));
        let peak = fit(drawn, saturated, Some(best.penalty));
        // A draw with too few points below saturation says nothing, not even that it lies beyond.
        Some(peak.map_or([best.x, best.rps], |peak| [peak.x, peak.rps]))
    });
    let ci95 = |index: usize| drawn.map(|intervals| intervals[index]);
    Ok(PowerPoint {
        x: Estimate { value: best.x, ci95: ci95(0) },
        rps: Estimate { value: best.rps, ci95: ci95(1) },
        at_edge: best.at_edge,
    })
}

/// Of a rate sweep: rate times the smoothed, never rising reciprocal of the response time.
pub(super) fn peak_of_rates(
    points: &[Point],
    saturated: Option<f64>,
    penalty: Option<f64>,
) -> Option<Peak> {
    let below = |point: &&Point| saturated.is_none_or(|most| point.offered_rps < most);
    let below: Vec<Point> = points.iter().filter(below).copied().collect();
    let mut curve =
        means(&below, |point| point.mean_s.filter(|&mean_s| mean_s > 0.0).map(f64::recip));
    if curve.len() + usize::from(saturated.is_some()) < FEWEST {
        return None;
    }
    // At saturation there is no end of waiting.
    curve.extend(saturated.map(|most| (most, 0.0)));
    let spline = Spline::fit(&curve, penalty)?;
    let xs = places(&curve);
    let smoothed: Vec<f64> = xs.iter().map(|&x| spline.at(x).max(0.0)).collect();
    let power = xs.iter().zip(isotonic::falling(&smoothed)).map(|(x, reciprocal)| x * reciprocal);
    let (index, at_edge) = highest(power)?;
    Some(Peak { x: xs[index], rps: xs[index], at_edge, penalty: spline.penalty })
}

/// Of other sweeps: the smoothed logarithms of throughput by response time, over that of the variable.
fn peak_of_concurrency(points: &[Point], penalty: Option<f64>) -> Option<Peak> {
    let logarithm = |value: f64| (value > 0.0).then(|| value.ln());
    let of = |value: &dyn Fn(&Point) -> Option<f64>| {
        let curve = means(points, |point| value(point).and_then(logarithm));
        let curve: Vec<(f64, f64)> = curve.into_iter().map(|(x, y)| (x.ln(), y)).collect();
        (curve.len() >= FEWEST).then_some(curve)
    };
    let power = of(&|point| Some(point.good_rps / point.mean_s?))?;
    let spline = Spline::fit(&power, penalty)?;
    let throughput = Spline::fit(&of(&|point| Some(point.good_rps))?, None)?;
    let xs = places(&power);
    let (index, at_edge) = highest(xs.iter().map(|&x| spline.at(x)))?;
    let x = xs[index];
    Some(Peak { x: x.exp(), rps: throughput.at(x).exp(), at_edge, penalty: spline.penalty })
}

fn places(curve: &[(f64, f64)]) -> Vec<f64> {
    let (low, high) = (curve[0].0, curve[curve.len() - 1].0);
    (0..=PLACES).map(|step| low + (high - low) * f64::from(step) / f64::from(PLACES)).collect()
}

/// Where the highest value is, and whether it is one of the outermost.
fn highest(values: impl Iterator<Item = f64>) -> Option<(usize, bool)> {
    const OUTERMOST: usize = 2;
    let (index, _) = values.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((index, index < OUTERMOST || index + OUTERMOST > PLACES as usize))
}
