//! Where the 99th percentile turns up: Kneedle, and the simpler question where it has doubled.
//!
//! Kneedle (Satopaa and others, 2011) looks at a curve scaled to the unit square. What it finds depends on the range that
//! was swept, so that it is only asked when that reaches saturation, and the range is told with the answer.

use super::bootstrap::intervals;
use super::{Drawing, Estimate, Point, isotonic, means};

/// How far a knee must stand out, in mean steps of `x`; 1 as in the paper.
const SENSITIVITY: f64 = 1.0;
/// Fewer points have no shape.
const FEWEST: usize = 5;

/// The knee of the 99th percentile over the variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knee {
    /// The value of the variable there.
    pub x: Estimate,
    /// The range to which the curve was scaled.
    pub range: (f64, f64),
}

/// Where the 99th percentile has doubled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Doubling {
    /// The first value of the variable at which it is more than twice that of the lowest.
    pub x: Estimate,
    /// That of the lowest, in seconds.
    pub base_s: f64,
}

/// The knee of points sorted by `x`.
///
/// # Errors
/// Why there is none.
pub(super) fn kneedle_of(
    points: &[Point],
    saturates: bool,
    drawing: Drawing,
) -> Result<Knee, String> {
    if !saturates {
        return Err("it depends on the range, and the sweep does not reach saturation".to_owned());
    }
    let curve = smoothed(points);
    if curve.len() < FEWEST {
        return Err(format!(
            "at least {FEWEST} values at which requests mostly succeed are needed"
        ));
    }
    let Some(value) = kneedle(&curve) else {
        return Err("no value of p99 stands out".to_owned());
    };
    let drawn = intervals(points, 3, drawing, |drawn| kneedle(&smoothed(drawn)).map(|x| [x]));
    let ci95 = drawn.map(|[interval]| interval);
    let range = (curve[0].0, curve[curve.len() - 1].0);
    Ok(Knee { x: Estimate { value, ci95 }, range })
}

/// The first value at which the p99 is twice that of the lowest one, of points sorted by `x`.
///
/// # Errors
/// Why there is none.
pub(super) fn doubling(points: &[Point], drawing: Drawing) -> Result<Doubling, String> {
    let curve = smoothed(points);
    if curve.len() < 2 {
        return Err("at least two values at which requests mostly succeed are needed".to_owned());
    }
    let Some(value) = first_doubled(&curve) else {
        return Err("p99 stays below twice that of the lowest value".to_owned());
    };
    // The base is that of the whole sweep: a draw without the lowest value has another one.
    let base_s = curve[0].1;
    let drawn = intervals(points, 2, drawing, |drawn| {
        let drawn = smoothed(drawn);
        let lowest = drawn.first().filter(|first| first.0 <= curve[0].0)?;
        first_doubled(&drawn).filter(|_| lowest.1 > 0.0).map(|x| [x])
    });
    Ok(Doubling { x: Estimate { value, ci95: drawn.map(|[interval]| interval) }, base_s })
}

/// The p99 over `x`, made to rise.
fn smoothed(points: &[Point]) -> Vec<(f64, f64)> {
    let curve = means(points, |point| point.p99_s);
    let values: Vec<f64> = curve.iter().map(|pair| pair.1).collect();
    curve.iter().map(|pair| pair.0).zip(isotonic::rising(&values)).collect()
}

/// Where a rising curve exceeds twice its first value, between points along a power law.
fn first_doubled(curve: &[(f64, f64)]) -> Option<f64> {
    let limit = 2.0 * curve.first()?.1;
    let pair = curve.windows(2).find(|pair| pair[1].1 > limit)?;
    let [(x, y), (later_x, later_y)] = [pair[0], pair[1]];
    if y <= 0.0 {
        return Some(later_x);
    }
    let share = (limit / y).ln() / (later_y / y).ln();
    Some(x * (later_x / x).powf(share.clamp(0.0, 1.0)))
}

/// The knee of a convex, rising curve: of the places where it lies farthest below the diagonal, with enough of a fall
/// after it, the one that lies lowest.
#[expect(clippy::cast_precision_loss, reason = "a number of points")]
fn kneedle(curve: &[(f64, f64)]) -> Option<f64> {
    let (first, last) = (curve.first()?, curve.last()?);
    let (width, height) = (last.0 - first.0, last.1 - first.1);
    if width <= 0.0 || height <= 0.0 || curve.len() < 3 {
        return None;
    }
    // Turned by half, it is the concave curve of the paper, which is walked from the other end.
    let turned: Vec<(f64, f64)> =
        curve.iter().rev().map(|&(x, y)| ((last.0 - x) / width, (last.1 - y) / height)).collect();
    let difference: Vec<f64> = turned.iter().map(|&(x, y)| y - x).collect();
    let fall = SENSITIVITY / (curve.len() - 1) as f64;
    let is_top = |&at: &usize| {
        difference[at] > 0.0
            && difference[at] >= difference[at - 1]
            && difference[at] > difference[at + 1]
    };
    let tops: Vec<usize> = (1..difference.len() - 1).filter(is_top).collect();
    let stands_out = |&(index, &at): &(usize, &usize)| {
        let end = tops.get(index + 1).copied().unwrap_or(difference.len());
        difference[at..end].iter().any(|&value| value < difference[at] - fall)
    };
    let knees = tops.iter().enumerate().filter(stands_out).map(|(_, &at)| at);
    let lowest = knees.max_by(|&a, &b| difference[a].total_cmp(&difference[b]))?;
    Some(curve[curve.len() - 1 - lowest].0)
}

#[cfg(test)]
mod tests {
    use super::{first_doubled, kneedle};

    #[test]
    fn the_example_of_the_paper_has_its_knee_turned_by_half() {
        // The paper finds the knee of 5 - 1/(x + 0.1) at 0.22 of ten evenly spaced values in [0, 1]; turned by half, it is
        // convex and lies at 0.78.
        let curve: Vec<(f64, f64)> = (0..10)
            .map(|step| f64::from(step) / 9.0)
            .map(|x| (1.0 - x, 1.0 / (x + 0.1) - 5.0))
            .rev()
            .collect();
        let knee = kneedle(&curve).unwrap();
        assert!((knee - 7.0 / 9.0).abs() < 1e-9, "{knee}");
    }

    #[test]
    fn a_straight_line_has_no_knee_and_a_corner_is_one() {
        let line: Vec<(f64, f64)> = (1..=10).map(|x| (f64::from(x), f64::from(3 * x))).collect();
        assert_eq!(kneedle(&line), None);
        let corner: Vec<(f64, f64)> =
            (1..=10).map(|x| (f64::from(x), if x <= 7 { 1.0 } else { f64::from(x * x) })).collect();
        assert_eq!(kneedle(&corner), Some(7.0));
        let level: Vec<(f64, f64)> = (1..=10).map(|x| (f64::from(x), 4.0)).collect();
        assert_eq!(kneedle(&level), None);
    }

    #[test]
    fn a_doubling_lies_between_the_points_around_it() {
        let curve = [(100.0, 1.0), (200.0, 1.5), (400.0, 6.0), (800.0, 60.0)];
        let doubled = first_doubled(&curve).unwrap();
        assert!(doubled > 200.0 && doubled < 400.0, "{doubled}");
        assert_eq!(first_doubled(&curve[..2]), None);
    }
}
