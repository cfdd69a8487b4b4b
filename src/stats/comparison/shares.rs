//! The difference between two shares of errors, each pooled over the runs of a side.
//!
//! Errors come in bunches: the requests of one bad moment fail together. How much the shares of the runs of a side differ,
//! compared with what they would if each request failed by itself, is the design effect; counts are divided by it. The
//! interval is Newcombe's, from the score intervals of Wilson, the test the score test. Where nothing failed on either side
//! each end is the rule of three: none of 3,000 excludes a share of 0.1 %.

use super::{NORMAL_975, Shift, two_sided_p};
use crate::stats::student::two_sided_95;

/// What became of the requests of one run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tally {
    /// Those that got no good response.
    pub errors: u64,
    /// All of them.
    pub requests: u64,
}

/// A share, and how many independent requests it rests on.
#[derive(Clone, Copy)]
struct Share {
    share: f64,
    count: f64,
}

/// The shift of the share from `base` to `new`; `None` when one side has no request.
#[must_use]
pub fn difference(base: &[Tally], new: &[Tally]) -> Option<Shift> {
    let (effect, freedom) = design_effect(&[base, new]);
    let (base, new) = (pooled(base, effect)?, pooled(new, effect)?);
    // An effect that was estimated from a few runs is uncertain itself, as a variance is.
    let is_estimated = effect > 1.0;
    let wide = if is_estimated { two_sided_95(freedom) } else { NORMAL_975 };
    let (base_low, base_high) = wilson(base, wide);
    let (new_low, new_high) = wilson(new, wide);
    let estimate = new.share - base.share;
    let down = (new.share - new_low).hypot(base_high - base.share);
    let up = (new_high - new.share).hypot(base.share - base_low);
    let all = (base.share * base.count + new.share * new.count) / (base.count + new.count);
    let error = (all * (1.0 - all) * (1.0 / base.count + 1.0 / new.count)).sqrt();
    let (down, up) = if all > 0.0 {
        (down, up)
    } else {
        (excluded_by_none_of(base.count), excluded_by_none_of(new.count))
    };
    let distance = if error > 0.0 { estimate.abs() / error } else { 0.0 };
    let distance = if is_estimated { as_normal(distance, freedom) } else { distance };
    Some(Shift {
        estimate,
        interval: Some((estimate - down, estimate + up)),
        p_value: if error > 0.0 { two_sided_p(distance) } else { 1.0 },
        half_width: Some(up.max(down)),
        // Where nothing failed the bound falls as fast as requests are added.
        narrowing: if all > 0.0 { 0.5 } else { 1.0 },
        // Nothing failed, or everything did.
        hopeless: error <= 0.0,
    })
}

/// The share that none of `count` excludes with 95 % confidence: the rule of three, about 3 / `count`.
#[must_use]
pub fn excluded_by_none_of(count: f64) -> f64 {
    -(0.05_f64.ln() / count.max(1.0)).exp_m1()
}

/// How many requests tell as much as one that failed or not by itself, at least 1; and from how many degrees of freedom
/// that is known.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn design_effect(sides: &[&[Tally]]) -> (f64, f64) {
    let (mut sum, mut freedom) = (0.0, 0.0);
    for side in sides {
        let side: Vec<&Tally> = side.iter().filter(|run| run.requests > 0).collect();
        let requests: u64 = side.iter().map(|run| run.requests).sum();
        let errors: u64 = side.iter().map(|run| run.errors).sum();
        if errors == 0 || errors == requests || side.len() < 2 {
            continue;
        }
        let share = errors as f64 / requests as f64;
        let apart = |run: &&Tally| {
            let expected = share * run.requests as f64;
            (run.errors as f64 - expected).powi(2) / (expected * (1.0 - share))
        };
        sum += side.iter().map(apart).sum::<f64>();
        freedom += side.len() as f64 - 1.0;
    }
    if freedom == 0.0 { (1.0, 1.0) } else { ((sum / freedom).max(1.0), freedom) }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn pooled(side: &[Tally], effect: f64) -> Option<Share> {
    let requests: u64 = side.iter().map(|run| run.requests).sum();
    let errors: u64 = side.iter().map(|run| run.errors).sum();
    (requests > 0).then(|| Share {
        share: errors as f64 / requests as f64,
        count: (requests as f64 / effect).max(1.0),
    })
}

/// The score interval of a share.
fn wilson(of: Share, wide: f64) -> (f64, f64) {
    let Share { share, count } = of;
    let square = wide * wide;
    let middle = (share + square / (2.0 * count)) / (1.0 + square / count);
    let inside = share * (1.0 - share) / count + square / (4.0 * count * count);
    let half = wide / (1.0 + square / count) * inside.sqrt();
    ((middle - half).max(0.0).min(share), (middle + half).min(1.0).max(share))
}

/// The normal variable that is as unlikely as `distance` is for Student's, by the approximation of Wallace.
fn as_normal(distance: f64, freedom: f64) -> f64 {
    let scale = (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0);
    scale * (freedom * (distance * distance / freedom).ln_1p()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::{Tally, difference};
    use crate::stats::known::Draws;

    fn runs(errors: &[u64], requests: u64) -> Vec<Tally> {
        errors.iter().map(|&errors| Tally { errors, requests }).collect()
    }

    #[test]
    fn newcombes_published_interval_comes_out() {
        // Newcombe 1998, Statistics in Medicine 17:873, method 10: 56/70 - 48/80 is 0.2000 [0.0524, 0.3339].
        let shift = difference(&runs(&[48], 80), &runs(&[56], 70)).unwrap();
        let (low, high) = shift.interval.unwrap();
        assert!((shift.estimate - 0.2).abs() < 1e-12);
        assert!((low - 0.0524).abs() < 1e-4 && (high - 0.3339).abs() < 1e-4, "{low} {high}");
    }

    #[test]
    fn no_errors_are_no_shift_and_the_bound_falls_with_the_requests() {
        let few = difference(&runs(&[0; 5], 150), &runs(&[0; 5], 150)).unwrap();
        let many = difference(&runs(&[0; 5], 10_000), &runs(&[0; 5], 10_000)).unwrap();
        assert_eq!((few.estimate, few.p_value), (0.0, 1.0));
        assert!(few.interval.unwrap().1 > 0.001 && many.interval.unwrap().1 < 0.001);
        assert_eq!(difference(&[], &runs(&[0], 10)), None);
        assert_eq!(difference(&runs(&[0], 0), &runs(&[0], 10)), None);
    }

    #[test]
    fn none_of_3000_against_none_of_3000_excludes_a_rise_of_a_tenth_of_a_percent() {
        let shift = difference(&runs(&[0; 5], 600), &runs(&[0; 5], 600)).unwrap();
        let (low, high) = shift.interval.unwrap();
        assert!((high - 0.000_998).abs() < 1e-6 && (low + high).abs() < 1e-12, "{low} {high}");
        // Each side bounds its own end.
        let uneven = difference(&runs(&[0; 5], 60), &runs(&[0; 5], 600)).unwrap();
        let (low, high) = uneven.interval.unwrap();
        assert!((high - 0.000_998).abs() < 1e-6 && (low + 0.009_936).abs() < 1e-6, "{low} {high}");
    }

    #[test]
    fn errors_that_come_in_bunches_widen_the_interval() {
        let even = difference(&runs(&[10; 5], 10_000), &runs(&[20; 5], 10_000)).unwrap();
        let bunched = difference(&runs(&[10; 5], 10_000), &runs(&[0, 0, 100, 0, 0], 10_000));
        let bunched = bunched.unwrap();
        assert!((even.estimate - bunched.estimate).abs() < 1e-12);
        assert!(even.p_value < 0.001 && bunched.p_value > 0.2, "{even:?} {bunched:?}");
        assert!(even.interval.unwrap().0 > 0.0 && bunched.interval.unwrap().0 < 0.0);
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
    fn shares_that_differ_between_runs_alone_are_called_different_as_often_as_they_may() {
        let mut draws = Draws::new(77);
        let mut side = || -> Vec<Tally> {
            (0..6)
                .map(|_| {
                    let share = (0.01 * draws.normal(0.4).exp()).min(1.0);
                    Tally { errors: (share * 20_000.0) as u64, requests: 20_000 }
                })
                .collect()
        };
        let called = (0..400).filter(|_| difference(&side(), &side()).unwrap().p_value < 0.05);
        let called = called.count();
        assert!((5..=32).contains(&called), "{called} of 400");
    }
}
