//! Intervals of confidence by drawing the points of a sweep again and again.

use super::{Point, distinct};

/// So often a sweep is drawn.
const DRAWS: usize = 300;
/// The shares of the draws that lie below and above an interval.
const TAIL: f64 = 0.025;

/// The same numbers for the same seed, on every machine: SplitMix64.
struct Random(u64);

impl Random {
    /// A number below `bound`.
    #[expect(clippy::cast_possible_truncation, reason = "the result is below a length in memory")]
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        ((u128::from(mixed) * bound as u128) >> 64) as usize
    }
}

/// The 95 % intervals of what `fit` says of points, which are sorted by `x`. `None` where it says something of fewer than
/// half of the draws, or where there are too few points for two draws to differ.
pub(super) fn intervals<const K: usize>(
    points: &[Point],
    seed: u64,
    fit: impl Fn(&[Point]) -> Option<[f64; K]>,
) -> Option<[(f64, f64); K]> {
    let groups: Vec<&[Point]> = points.chunk_by(|a, b| a.x.total_cmp(&b.x).is_eq()).collect();
    let repeated = groups.iter().all(|group| group.len() > 1);
    if !repeated && groups.len() < 4 {
        return None;
    }
    let mut random = Random(seed);
    let mut found: Vec<[f64; K]> = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        let mut drawn: Vec<Point> = if repeated {
            groups.iter().flat_map(|group| draw(group, &mut random)).collect()
        } else {
            draw(points, &mut random)
        };
        drawn.sort_by(|a, b| a.x.total_cmp(&b.x));
        // Points that are all the same tell nothing of a curve.
        if distinct(&drawn) >= 3 {
            found.extend(fit(&drawn).filter(|values| values.iter().all(|value| !value.is_nan())));
        }
    }
    (found.len() * 2 >= DRAWS).then(|| {
        std::array::from_fn(|index| {
            let mut values: Vec<f64> = found.iter().map(|values| values[index]).collect();
            values.sort_by(f64::total_cmp);
            (at(&values, TAIL), at(&values, 1.0 - TAIL))
        })
    })
}

fn draw(points: &[Point], random: &mut Random) -> Vec<Point> {
    points.iter().map(|_| points[random.below(points.len())]).collect()
}

/// The value at a share of sorted values, none of them left out by rounding.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an index into a few hundred values"
)]
fn at(sorted: &[f64], share: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[index]
}

#[cfg(test)]
mod tests {
    use super::intervals;
    use crate::analysis::inflection::{Point, mean};
    use crate::analysis::known::Draws;

    fn point(x: f64, achieved_rps: f64) -> Point {
        Point { x, offered_rps: x, achieved_rps, answers: 1.0, mean_s: None, p99_s: None }
    }

    fn mean_of(points: &[Point]) -> Option<[f64; 1]> {
        Some([mean(points.iter().map(|point| point.achieved_rps))])
    }

    #[test]
    fn an_interval_holds_the_truth_about_as_often_as_it_says() {
        let mut held = 0;
        for seed in 0..60 {
            let mut draws = Draws(seed * 7 + 1);
            let points: Vec<Point> =
                (0..30).map(|index| point(f64::from(index), draws.uniform())).collect();
            let [(low, high)] = intervals(&points, seed, mean_of).unwrap();
            held += u32::from((low..=high).contains(&0.5));
        }
        assert!((52..=60).contains(&held), "{held} of 60");
    }

    #[test]
    fn repeats_are_drawn_within_their_point() {
        // Between the points there is a world, within them nothing: what repeats say is certain.
        let points: Vec<Point> = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0].map(|x| point(x, x * 100.0)).into();
        assert_eq!(intervals(&points, 1, mean_of), Some([(200.0, 200.0)]));
        let single: Vec<Point> = (1..=6).map(|x| point(f64::from(x), f64::from(x))).collect();
        let [(low, high)] = intervals(&single, 1, mean_of).unwrap();
        assert!(low < 3.0 && high > 4.0, "{low} {high}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_too_few_points_none() {
        let points: Vec<Point> = (1..=9).map(|x| point(f64::from(x), f64::from(x * x))).collect();
        assert_eq!(intervals(&points, 5, mean_of), intervals(&points, 5, mean_of));
        assert_ne!(intervals(&points, 5, mean_of), intervals(&points, 6, mean_of));
        assert_eq!(intervals(&points[..3], 5, mean_of), None);
        assert_eq!(intervals(&points, 5, |_| None::<[f64; 1]>), None);
    }
}
