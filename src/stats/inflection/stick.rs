//! The saturation of a rate sweep: a broken stick through the good answers over what was offered.
//!
//! Below the break everything that is offered gets a good answer, but for a share that fails at any load; at it the curve
//! bends, to a constant or, when the server does
//! less the more it is asked, to a falling line. Errors are relative, since counts of any rate scatter by their share.

use super::bootstrap::{NORMAL, intervals, summed_up};
use super::{Drawing, Estimate, Point, Saturation, distinct, errors};
use crate::stats::student::two_sided_95;

/// Breaks that are tried at first.
const TRIES: u32 = 120;
/// Halvings of the step around the best of them.
const REFINEMENTS: u32 = 24;
/// The sweep must go this far beyond the break, or the break is the end of the sweep.
const BEYOND: f64 = 0.98;
/// Nobody measures better than to this share, so that a perfect fit is no proof of anything.
const RESOLUTION: f64 = 1e-3;

/// A stick that bends once.
#[derive(Clone, Copy, Debug)]
struct Stick {
    break_rps: f64,
    slope: f64,
    /// Sum of the squared relative errors.
    error: f64,
}

impl Stick {
    /// The good answers a second.
    fn at(&self, point: &Point) -> f64 {
        let surplus = (point.offered_rps - self.break_rps).max(0.0);
        point.offered_rps.min(self.break_rps) + self.slope * surplus
    }
}

/// The rate beyond which more requests get no more good answers; `points` are sorted by rate.
pub(super) fn saturation(points: &[Point], drawing: Drawing) -> Saturation {
    let points = &without(errors::background(points), points)[..];
    if distinct(points) < 3 {
        return Saturation::beyond(points, "at least three rates are needed to see a bend");
    }
    let flat = fit(points, false);
    let Some(flat) = flat.filter(|stick| reaches_beyond(stick, points)) else {
        return Saturation::beyond(
            points,
            "good answers kept up with the rate: the highest one is below saturation",
        );
    };
    let bent = fit(points, true)
        .filter(|bent| reaches_beyond(bent, points) && is_worth_a_slope(points.len(), &flat, bent));
    let with_slope = bent.is_some();
    let best = bent.unwrap_or(flat);
    let of = |drawn: &[Point]| {
        let stick = fit(drawn, with_slope).filter(|stick| reaches_beyond(stick, drawn))?;
        Some([stick.break_rps, stick.slope])
    };
    let drawn = if distinct(points) < points.len() {
        intervals(points, 3, drawing, of)
    } else {
        around_the_stick(points, &best, with_slope, drawing, of)
    };
    let ci95 = |index: usize| drawn.map(|intervals| intervals[index]);
    let half = counting_error(points, best.break_rps);
    let (low, high) = (best.break_rps - half, best.break_rps + half);
    let rate_ci95 = ci95(0).map(|drawn| (drawn.0.min(low), drawn.1.max(high)));
    Saturation {
        rps: Some(Estimate { value: best.break_rps, ci95: rate_ci95 }),
        at_least_rps: None,
        slope: with_slope.then(|| Estimate { value: best.slope, ci95: ci95(1) }),
        reason: None,
    }
}

/// The rate offered at which the flat stick of some points breaks; `None` where that is not within them.
pub(super) fn broken_at(points: &[Point]) -> Option<f64> {
    let background = errors::background(points);
    let points = without(background, points);
    let stick = fit(&points, false).filter(|stick| reaches_beyond(stick, &points))?;
    Some(stick.break_rps / (1.0 - background))
}

/// The points without that share of the requests offered.
fn without(share: f64, points: &[Point]) -> Vec<Point> {
    let wanted = |point: &Point| Point { offered_rps: point.offered_rps * (1.0 - share), ..*point };
    points.iter().map(wanted).collect()
}

/// The intervals of points without repeats. Drawn anew, there would be too few of them beyond the break for a slope; so it
/// is what they differ from the stick by that is drawn, below and beyond the break each for itself.
#[expect(clippy::cast_precision_loss, reason = "a number of points")]
fn around_the_stick<const K: usize>(
    points: &[Point],
    best: &Stick,
    with_slope: bool,
    drawing: Drawing,
    of: impl Fn(&[Point]) -> Option<[f64; K]>,
) -> Option<[(f64, f64); K]> {
    let is_beyond = |point: &Point| point.offered_rps > best.break_rps;
    let share = |point: &Point| (point.good_rps - best.at(point)) / point.offered_rps;
    let wider = |beyond: bool, fitted: usize| {
        let shares: Vec<f64> = points
            .iter()
            .filter(|point| point.offered_rps > 0.0 && is_beyond(point) == beyond)
            .map(share)
            .collect();
        let degrees = shares.len().saturating_sub(fitted).max(1);
        let factor =
            (shares.len() as f64 / degrees as f64).sqrt() * two_sided_95(degrees as f64) / NORMAL;
        shares.iter().map(|share| share * factor).collect::<Vec<f64>>()
    };
    let (below, beyond) = (wider(false, 0), wider(true, 1 + usize::from(with_slope)));
    let mut random = drawing.random();
    let mut drawn_point = |point: &Point| {
        let shares = if is_beyond(point) { &beyond } else { &below };
        let share = if shares.is_empty() { 0.0 } else { shares[random.below(shares.len())] };
        let good_rps = (best.at(point) + share * point.offered_rps).max(0.0);
        Point { good_rps, ..*point }
    };
    summed_up(
        drawing,
        (0..drawing.times).map(|_| of(&points.iter().map(&mut drawn_point).collect::<Vec<_>>())),
    )
}

/// Half the interval of a rate that was counted so often as there were good answers beyond the break, when they come like those
/// of independent users. Two or three points there agree with one another by chance, which draws of them do not see.
fn counting_error(points: &[Point], break_rps: f64) -> f64 {
    let beyond = points.iter().filter(|point| point.offered_rps > break_rps);
    let good: f64 = beyond.map(|point| point.good).sum();
    1.96 * break_rps / good.max(1.0).sqrt()
}

/// A slope costs a degree of freedom, which Schwarz's criterion (BIC) charges for; and three points must bear it.
#[expect(clippy::cast_precision_loss, reason = "a number of points")]
fn is_worth_a_slope(count: usize, flat: &Stick, bent: &Stick) -> bool {
    let count = count as f64;
    let misfit = |stick: &Stick| count * (stick.error / count + RESOLUTION * RESOLUTION).ln();
    misfit(flat) - misfit(bent) > count.ln()
}

fn reaches_beyond(stick: &Stick, points: &[Point]) -> bool {
    let highest = points.iter().map(|point| point.offered_rps).fold(0.0, f64::max);
    stick.break_rps < BEYOND * highest
}

/// The best stick; `None` without points.
fn fit(points: &[Point], with_slope: bool) -> Option<Stick> {
    let offered = || points.iter().map(|point| point.offered_rps).filter(|&rate| rate > 0.0);
    let (lowest, highest) = (offered().reduce(f64::min)?, offered().reduce(f64::max)?);
    let ratio = (highest / lowest).powf(1.0 / f64::from(TRIES));
    let better = |a: Stick, b: Stick| if b.error < a.error { b } else { a };
    let mut best = (0..=TRIES)
        .map(|step| stick(points, lowest * ratio.powf(f64::from(step)), with_slope))
        .reduce(better)?;
    let mut step = best.break_rps * (ratio - 1.0);
    for _ in 0..REFINEMENTS {
        for break_rps in [best.break_rps - step, best.break_rps + step] {
            if break_rps > 0.0 {
                best = better(best, stick(points, break_rps, with_slope));
            }
        }
        step /= 2.0;
    }
    Some(best)
}

/// The stick that breaks here.
fn stick(points: &[Point], break_rps: f64, with_slope: bool) -> Stick {
    let beyond = || points.iter().filter(|point| point.offered_rps > break_rps);
    let mut slope = 0.0;
    let mut rates: Vec<f64> = beyond().map(|point| point.x).collect();
    rates.dedup();
    if with_slope && rates.len() >= 3 {
        let (mut product, mut square) = (0.0, 0.0);
        for point in beyond() {
            let distance = (point.offered_rps - break_rps) / point.offered_rps;
            product += distance * (point.good_rps - break_rps) / point.offered_rps;
            square += distance * distance;
        }
        // More good answers beyond the break are no collapse, and would only move it.
        slope = if square > 0.0 { (product / square).clamp(-2.0, 0.0) } else { 0.0 };
    }
    let stick = Stick { break_rps, slope, error: 0.0 };
    let relative = |point: &Point| (point.good_rps - stick.at(point)) / point.offered_rps;
    let scheduled = points.iter().filter(|point| point.offered_rps > 0.0);
    let error = scheduled.map(|point| relative(point).powi(2)).sum();
    Stick { error, ..stick }
}
