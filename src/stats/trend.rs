//! Whether a series goes up or down: Sen's slope and the test of Mann and Kendall.

/// Pairs are compared with one another: more points than this are thinned.
const MOST_POINTS: usize = 400;

/// The median slope over all pairs of points; `None` with fewer than two different times.
#[must_use]
pub fn theil_sen(points: &[(f64, f64)]) -> Option<f64> {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let points: Vec<(f64, f64)> = points.iter().copied().step_by(every).collect();
    let mut slopes = Vec::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        for &(later_x, later_y) in &points[index + 1..] {
            if later_x > x {
                slopes.push((later_y - y) / (later_x - x));
            }
        }
    }
    median(&mut slopes)
}

/// The two-sided p-value of Mann and Kendall's test for a trend, with ties corrected for, by the normal approximation;
/// `None` with fewer than eight values or when all are equal.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "statistics need few digits")]
pub fn mann_kendall_p(values: &[f64]) -> Option<f64> {
    const FEWEST: usize = 8;
    let every = values.len().div_ceil(MOST_POINTS).max(1);
    let values: Vec<f64> = values.iter().copied().step_by(every).collect();
    if values.len() < FEWEST {
        return None;
    }
    let mut score = 0_i64;
    for (index, value) in values.iter().enumerate() {
        for later in &values[index + 1..] {
            score += i64::from(later > value) - i64::from(later < value);
        }
    }
    let spread = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted
        .chunk_by(|a, b| a.total_cmp(b).is_eq())
        .map(|group| spread(group.len() as f64))
        .sum();
    let variance = (spread(values.len() as f64) - ties) / 18.0;
    if variance <= 0.0 {
        return None;
    }
    let distance = (score.unsigned_abs().saturating_sub(1)) as f64 / variance.sqrt();
    Some(2.0 * (1.0 - normal_share_below(distance)))
}

/// The share of a standard normal distribution below `x`, by Abramowitz and Stegun 26.2.17: right to seven decimals.
pub(super) fn normal_share_below(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 5] =
        [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    let tail = series * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    if x >= 0.0 { 1.0 - tail } else { tail }
}

/// By how many requests a second what is outstanding grows over the second half of (seconds, requests); `None` unless
/// that is more than 1 % of `rate_rps`, steady, and more than what comes and goes.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "statistics need few digits")]
pub fn growth(outstanding: &[(f64, f64)], rate_rps: f64) -> Option<f64> {
    const FEWEST: usize = 10;
    // A queue that comes and goes drifts for a while by chance alone; three standard deviations of the whole are more.
    let half = &outstanding[outstanding.len() / 2..];
    let (first, last) = (half.first()?, half.last()?);
    let slope = theil_sen(half).filter(|&slope| slope > 0.01 * rate_rps)?;
    let values: Vec<f64> = half.iter().map(|point| point.1).collect();
    let steady = mann_kendall_p(&values).is_some_and(|p| p < 0.001);
    let grown = slope * (last.0 - first.0);
    let mut around: Vec<f64> =
        half.iter().map(|point| (point.1 - first.1 - slope * (point.0 - first.0)).abs()).collect();
    let noise = median(&mut around)?;
    // It must also hold over the first half, or the queue has only just begun to come.
    let before = &outstanding[..outstanding.len() / 2];
    let mean = |points: &[(f64, f64)]| {
        points.iter().map(|point| point.1).sum::<f64>() / points.len().max(1) as f64
    };
    let higher = mean(half) - mean(before) > grown / 3.0;
    let enough = half.len() >= FEWEST && grown > (6.0 * noise).max(5.0);
    (steady && enough && higher).then_some(slope)
}

/// What a series that should be steady did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Course {
    /// Nothing that chance does not explain.
    Steady,
    /// It changed at its start, and stayed where it came to.
    Settles,
    /// It went on changing to its end.
    Drifts,
}

/// What values that follow one another in time did. They changed when there is a trend that chance does not explain, and
/// more than a tenth between the medians of their first and last third. The start is the first third, and at most the
/// first 60 values; they settled when less than a quarter of the change came after as long again.
#[must_use]
pub fn course(values: &[f64]) -> Course {
    const FEWEST: usize = 10;
    const LONGEST_START: usize = 60;
    let third = values.len() / 3;
    if values.len() < FEWEST || !mann_kendall_p(values).is_some_and(|p| p < 0.01) {
        return Course::Steady;
    }
    let middle = |part: &[f64]| median(&mut part.to_vec()).unwrap_or(0.0);
    let last = middle(&values[values.len() - third..]);
    let first = middle(&values[..third]);
    if (last - first).abs() <= 0.1 * first.abs() {
        return Course::Steady;
    }
    let start = third.min(LONGEST_START);
    let (first, next) = (middle(&values[..start]), middle(&values[start..2 * start]));
    if (last - next).abs() < 0.25 * (last - first).abs() { Course::Settles } else { Course::Drifts }
}

/// The value in the middle, or the higher one of two; `None` of none.
pub fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    let (_, median, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

#[cfg(test)]
mod tests {
    use super::{Course, course, growth, mann_kendall_p, normal_share_below, theil_sen};
    use crate::stats::known::{Draws, queue};

    #[test]
    fn the_slope_is_that_of_the_line_in_spite_of_outliers() {
        let mut points: Vec<(f64, f64)> =
            (0..1000).map(|i| (f64::from(i), 3.0 * f64::from(i))).collect();
        points.iter_mut().step_by(10).for_each(|point| point.1 += 1e6);
        assert!((theil_sen(&points).unwrap() - 3.0).abs() < 0.1);
        assert_eq!(theil_sen(&[(1.0, 1.0)]), None);
    }

    #[test]
    fn p_values_are_those_of_the_tables() {
        for (x, share) in [(0.0, 0.5), (1.0, 0.841_345), (1.96, 0.975_002), (-2.326_348, 0.01)] {
            assert!((normal_share_below(x) - share).abs() < 2e-6, "{x}");
        }
        // Ten ascending values: the score is 45, its variance 125.
        let ascending: Vec<f64> = (0..10).map(f64::from).collect();
        let p = mann_kendall_p(&ascending).unwrap();
        assert!((p - 2.0 * (1.0 - normal_share_below(44.0 / 125_f64.sqrt()))).abs() < 1e-12);
        assert_eq!(mann_kendall_p(&[1.0; 20]), None);
        assert_eq!(mann_kendall_p(&ascending[..7]), None);
    }

    /// What is outstanding at the end of each tenth of a second.
    fn outstanding(answers: &[(f64, f64)], seconds: u32) -> Vec<(f64, f64)> {
        (1..=seconds * 10)
            .map(|slice| {
                let now = f64::from(slice) / 10.0;
                let there = answers.iter().filter(|(at, took)| *at <= now && at + took > now);
                (now, there.count() as f64)
            })
            .collect()
    }

    #[test]
    fn a_queue_that_grows_is_found_at_its_rate() {
        // D/D/1: 1250 requests a second into a server of 1000.
        let answers: Vec<(f64, f64)> = (0..12_500)
            .map(|k| (f64::from(k) / 1250.0, 0.001 + f64::from(k) * (0.001 - 0.0008)))
            .collect();
        let slope = growth(&outstanding(&answers, 10), 1250.0).unwrap();
        assert!((slope - 250.0).abs() < 5.0, "{slope}");
    }

    #[test]
    fn a_queue_that_comes_and_goes_is_not_taken_for_one_that_grows() {
        for load in [0.5, 0.8, 0.9] {
            let grows = |seed: u64| {
                let answers = queue(seed * 7919 + 3, 1000.0, load, 10.0);
                growth(&outstanding(&answers, 10), 1000.0).is_some()
            };
            let flagged = (0..60).filter(|&seed| grows(seed)).count();
            assert!(flagged <= 2, "{flagged} of 60 at load {load}");
        }
    }

    /// Sixty values around ten, changed by `shape`.
    fn noisy(shape: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut draws = Draws::new(5);
        (0..60).map(|i| 10.0 + draws.uniform() + shape(f64::from(i))).collect()
    }

    #[test]
    fn a_drift_is_told_from_noise() {
        assert_eq!(course(&noisy(|_| 0.0)), Course::Steady);
        let drift = noisy(|i| i / 10.0);
        assert_eq!(course(&drift), Course::Drifts);
        assert_eq!(course(&noisy(|i| -i / 10.0)), Course::Drifts);
        assert_eq!(course(&drift[..9]), Course::Steady, "too few");
    }

    #[test]
    fn a_start_that_settles_is_told_from_a_drift() {
        assert_eq!(course(&noisy(|i| 10.0 * (-i / 10.0).exp())), Course::Settles);
        assert_eq!(course(&noisy(|i| -5.0 * (-i / 10.0).exp())), Course::Settles);
        // A step in the middle is no start.
        assert_eq!(course(&noisy(|i| if i < 35.0 { 0.0 } else { 5.0 })), Course::Drifts);
        // Of half an hour, ten minutes are no start either.
        let long = |until: f64| -> Vec<f64> {
            (0..1800).map(|i| if f64::from(i) < until { 10.0 } else { 20.0 }).collect()
        };
        assert_eq!(course(&long(580.0)), Course::Drifts);
    }
}
