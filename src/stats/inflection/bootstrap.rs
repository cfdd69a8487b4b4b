//! Intervals of confidence by drawing a sweep again and again.
//!
//! Where values were run several times, each keeps its mean, and what its runs differ from it by is drawn anew from its own
//! runs and those of its neighbours: two or three runs alone would agree with one another too well. Where each was run
//! once, it is the points that are drawn.

use super::{Drawing, Point, distinct, mean};
use crate::stats::random::Random;
use crate::stats::student::two_sided_95;

/// Draws of points may all be the same few; so many are tried for each that is wanted.
const TRIES: usize = 20;
/// The shares of the draws that lie below and above an interval.
const TAIL: f64 = 0.025;
/// What t is when there are very many runs.
pub(super) const NORMAL: f64 = 1.96;

/// The 95 % intervals of what `fit` says of points, which are sorted by `x`; it needs `fewest` different ones. A draw of
/// which it says nothing counts as one in which it lies beyond the sweep: where there are enough of them, the interval has
/// an infinite end. `None` where that is half of them, or where there are too few points for two draws to differ.
pub(super) fn intervals<const K: usize>(
    points: &[Point],
    fewest: usize,
    drawing: Drawing,
    fit: impl Fn(&[Point]) -> Option<[f64; K]>,
) -> Option<[(f64, f64); K]> {
    let mut random = drawing.random();
    if let Some(repeats) = Repeats::of(points) {
        return summed_up(drawing, (0..drawing.times).map(|_| fit(&repeats.draw(&mut random))));
    }
    if distinct(points) < 4 {
        return None;
    }
    let drawn = (0..drawing.times * TRIES).map(|_| {
        let mut drawn = draw(points, &mut random);
        drawn.sort_by(|a, b| a.x.total_cmp(&b.x));
        drawn
    });
    // Points that are all the same tell nothing of a curve.
    let told = drawn.filter(|drawn| distinct(drawn) >= fewest.max(3)).take(drawing.times);
    summed_up(drawing, told.map(|drawn| fit(&drawn)))
}

/// The intervals of what the draws said.
pub(super) fn summed_up<const K: usize>(
    drawing: Drawing,
    draws: impl Iterator<Item = Option<[f64; K]>>,
) -> Option<[(f64, f64); K]> {
    let said: Vec<Option<[f64; K]>> =
        draws.map(|draw| draw.filter(|values| values.iter().all(|v| !v.is_nan()))).collect();
    let found = said.iter().flatten().count();
    if found == 0 || said.len() * 2 < drawing.times || found * 2 < said.len() {
        return None;
    }
    Some(std::array::from_fn(|index| {
        let value = |said: &Option<[f64; K]>| said.map_or(f64::INFINITY, |values| values[index]);
        let mut values: Vec<f64> = said.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        (at(&values, TAIL), at(&values, 1.0 - TAIL))
    }))
}

/// By what a run differs from the mean of its value, as factors; `None` where one of both is not known.
#[derive(Clone, Copy, Debug)]
struct Residual {
    offered: f64,
    achieved: f64,
    mean: Option<f64>,
    p99: Option<f64>,
}

/// A sweep whose values were run several times, or some of them.
struct Repeats {
    /// Of each value: its means, how many runs it had, and what is drawn for them.
    groups: Vec<(Point, usize, Vec<Residual>)>,
}

impl Repeats {
    /// `None` when each value was run once.
    fn of(points: &[Point]) -> Option<Self> {
        let groups: Vec<&[Point]> = points.chunk_by(|a, b| a.x.total_cmp(&b.x).is_eq()).collect();
        let degrees = points.len() - groups.len();
        if degrees == 0 {
            return None;
        }
        // Few runs know little of how much they scatter.
        let doubt = two_sided_95(degrees as f64) / NORMAL;
        let own: Vec<Vec<Residual>> =
            groups.iter().map(|group| residuals(group, &middle(group), doubt)).collect();
        let groups = groups.iter().enumerate().map(|(index, group)| {
            let around = &own[index.saturating_sub(1)..(index + 2).min(own.len())];
            (middle(group), group.len(), around.concat())
        });
        Some(Self { groups: groups.collect() })
    }

    fn draw(&self, random: &mut Random) -> Vec<Point> {
        let mut drawn = Vec::new();
        for (middle, runs, residuals) in &self.groups {
            for _ in 0..*runs {
                // A value of one run between others of one is as good as certain.
                let residual =
                    (!residuals.is_empty()).then(|| residuals[random.below(residuals.len())]);
                drawn.push(residual.map_or(*middle, |residual| residual.of(middle)));
            }
        }
        drawn
    }
}

impl Residual {
    fn of(&self, middle: &Point) -> Point {
        let latency = |middle: Option<f64>, factor: Option<f64>| {
            middle.map(|middle| middle * factor.unwrap_or(1.0))
        };
        Point {
            offered_rps: middle.offered_rps * self.offered,
            good_rps: middle.good_rps * self.achieved,
            mean_s: latency(middle.mean_s, self.mean),
            p99_s: latency(middle.p99_s, self.p99),
            ..*middle
        }
    }
}

/// The means of the runs of one value.
fn middle(group: &[Point]) -> Point {
    let known = |of: fn(&Point) -> Option<f64>| {
        let known = || group.iter().filter_map(of);
        known().next().map(|_| mean(known()))
    };
    Point {
        x: group[0].x,
        offered_rps: mean(group.iter().map(|point| point.offered_rps)),
        good_rps: mean(group.iter().map(|point| point.good_rps)),
        good: mean(group.iter().map(|point| point.good)),
        errors: mean(group.iter().map(|point| point.errors)),
        mean_s: known(|point| point.mean_s),
        p99_s: known(|point| point.p99_s),
    }
}

/// What the runs of one value differ from their means by, made larger by what fitting the mean took away.
#[expect(clippy::cast_precision_loss, reason = "a number of runs")]
fn residuals(group: &[Point], middle: &Point, doubt: f64) -> Vec<Residual> {
    if group.len() < 2 {
        return Vec::new();
    }
    let count = group.len() as f64;
    let wider = doubt * (count / (count - 1.0)).sqrt();
    let factor = |value: f64, middle: f64| {
        let share = if middle > 0.0 { value / middle - 1.0 } else { 0.0 };
        // Nothing is less than nothing.
        (1.0 + wider * share).max(0.01)
    };
    let latency = |value: Option<f64>, middle: Option<f64>| Some(factor(value?, middle?));
    let residual = |point: &Point| Residual {
        offered: factor(point.offered_rps, middle.offered_rps),
        achieved: factor(point.good_rps, middle.good_rps),
        mean: latency(point.mean_s, middle.mean_s),
        p99: latency(point.p99_s, middle.p99_s),
    };
    group.iter().map(residual).collect()
}

fn draw(points: &[Point], random: &mut Random) -> Vec<Point> {
    points.iter().map(|_| points[random.below(points.len())]).collect()
}

/// The value at a share of sorted values, none of them left out by rounding.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an index into a few thousand values"
)]
fn at(sorted: &[f64], share: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[index]
}

#[cfg(test)]
mod tests {
    use super::intervals;
    use crate::stats::inflection::Drawing;
    use crate::stats::inflection::{Point, mean};
    use crate::stats::known::Draws;

    fn point(x: f64, good_rps: f64) -> Point {
        Point { x, offered_rps: x, good_rps, good: 1.0, errors: 0.0, mean_s: None, p99_s: None }
    }

    fn mean_of(points: &[Point]) -> Option<[f64; 1]> {
        Some([mean(points.iter().map(|point| point.good_rps))])
    }

    #[test]
    fn an_interval_holds_the_truth_about_as_often_as_it_says() {
        let mut held = 0;
        for seed in 0..60 {
            let mut draws = Draws::new(seed * 7 + 1);
            let points: Vec<Point> =
                (0..30).map(|index| point(f64::from(index), draws.uniform())).collect();
            let [(low, high)] = intervals(&points, 3, Drawing::few(seed), mean_of).unwrap();
            held += u32::from((low..=high).contains(&0.5));
        }
        assert!((52..=60).contains(&held), "{held} of 60");
    }

    #[test]
    fn repeats_are_drawn_within_their_point() {
        // Between the points there is a world, within them nothing: what repeats say is certain.
        let points: Vec<Point> = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0].map(|x| point(x, x * 100.0)).into();
        assert_eq!(intervals(&points, 3, Drawing::few(1), mean_of), Some([(200.0, 200.0)]));
        let single: Vec<Point> = (1..=6).map(|x| point(f64::from(x), f64::from(x))).collect();
        let [(low, high)] = intervals(&single, 3, Drawing::few(1), mean_of).unwrap();
        assert!(low < 3.0 && high > 4.0, "{low} {high}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_too_few_points_none() {
        let points: Vec<Point> = (1..=9).map(|x| point(f64::from(x), f64::from(x * x))).collect();
        assert_eq!(
            intervals(&points, 3, Drawing::few(5), mean_of),
            intervals(&points, 3, Drawing::few(5), mean_of)
        );
        assert_ne!(
            intervals(&points, 3, Drawing::few(5), mean_of),
            intervals(&points, 3, Drawing::few(6), mean_of)
        );
        assert_eq!(intervals(&points[..3], 3, Drawing::few(5), mean_of), None);
        assert_eq!(intervals(&points, 3, Drawing::few(5), |_| None::<[f64; 1]>), None);
    }

    #[test]
    fn intervals_of_few_repeats_hold_the_truth_as_often_as_those_of_many() {
        for repeats in [2, 3, 5] {
            let mut held = 0;
            for seed in 0..300 {
                let mut draws = Draws::new(seed * 11 + 3);
                let mut points = Vec::new();
                for x in 1..=6 {
                    let run = |_| point(f64::from(x), 100.0 + draws.normal(5.0));
                    points.extend((0..repeats).map(run));
                }
                let [(low, high)] = intervals(&points, 3, Drawing::few(seed), mean_of).unwrap();
                held += u32::from((low..=high).contains(&100.0));
            }
            assert!((276..=298).contains(&held), "{repeats} runs: {held} of 300");
        }
    }

    #[test]
    fn a_lost_repeat_changes_little() {
        let mut draws = Draws::new(5);
        let mut points = Vec::new();
        for x in 1..=8 {
            points.extend(
                (0..4).map(|_| {
                    point(f64::from(x), f64::from(x) * 100.0 * (1.0 + draws.normal(0.01)))
                }),
            );
        }
        let width = |points: &[Point]| {
            let [(low, high)] = intervals(points, 3, Drawing::few(1), mean_of).unwrap();
            high - low
        };
        let whole = width(&points);
        points.drain(29..);
        let lost = width(&points);
        assert!(lost < 2.0 * whole && whole < 2.0 * lost, "{whole} {lost}");
    }

    #[test]
    fn draws_in_which_nothing_is_found_are_no_narrower_interval() {
        let points: Vec<Point> = (1..=30).map(|x| point(f64::from(x), f64::from(x))).collect();
        let below =
            |most: f64| move |points: &[Point]| mean_of(points).filter(|mean| mean[0] < most);
        let [(low, high)] = intervals(&points, 3, Drawing::few(1), below(17.0)).unwrap();
        assert!(low < 14.0 && high.is_infinite(), "{low} {high}");
        assert_eq!(intervals(&points, 3, Drawing::few(1), below(10.0)), None);
    }
}
