//! The statistics against published tables, against enumeration, and over simulated comparisons.

use super::*;
use crate::stats::known::Draws;

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

/// `count` values that all differ, all above `from`.
fn above(from: f64, count: u32) -> Vec<f64> {
    (1..=count).map(|i| from + f64::from(i)).collect()
}

#[test]
fn the_published_smallest_p_values_come_out() {
    for (runs, p_value) in [(3, 0.1), (4, 2.0 / 70.0), (5, 2.0 / 252.0), (6, 2.0 / 924.0)] {
        close(two_sample::p_value(&above(0.0, runs), &above(100.0, runs)), p_value);
        close(Design::TwoSample.smallest_p(runs as usize), p_value);
    }
    for (pairs, p_value) in [(5, 0.0625), (6, 0.031_25), (10, 2.0 / 1024.0)] {
        close(paired::p_value(&above(0.0, pairs)), p_value);
        close(Design::Paired.smallest_p(pairs as usize), p_value);
    }
    assert_eq!(Design::Paired.fewest_among(1), 6);
    assert_eq!(Design::TwoSample.fewest_among(1), 4);
    assert_eq!((Design::Paired.fewest_among(4), Design::TwoSample.fewest_among(4)), (8, 5));
}

#[test]
fn critical_values_of_the_tables_come_out() {
    // Wilcoxon's T and Mann and Whitney's U at 5 %, two-sided: intervals leave out as many at each end.
    let cut = |pairs: u32| {
        let values: Vec<f64> = (0..pairs).map(|i| f64::from(i * i)).collect();
        paired::shift(&values).unwrap().interval
    };
    assert_eq!(cut(5), None);
    for (pairs, critical) in [(6, 0), (8, 3), (10, 8), (15, 25), (20, 52)] {
        let mut averages: Vec<f64> = (0..pairs)
            .flat_map(|i| (i..pairs).map(move |j| f64::from(i * i + j * j) / 2.0))
            .collect();
        averages.sort_by(f64::total_cmp);
        let ends = (averages[critical], averages[averages.len() - 1 - critical]);
        assert_eq!(cut(pairs), Some(ends), "{pairs}");
    }
    for (a, b, critical) in [(4, 4, 0), (5, 5, 2), (8, 8, 13), (10, 10, 23), (5, 9, 7)] {
        let base: Vec<f64> = (0..a).map(|i| f64::from(i * i * 7)).collect();
        let new: Vec<f64> = (0..b).map(|i| f64::from(i * i * i)).collect();
        let mut all: Vec<f64> =
            new.iter().flat_map(|new| base.iter().map(move |base| new - base)).collect();
        all.sort_by(f64::total_cmp);
        let ends = (all[critical], all[all.len() - 1 - critical]);
        assert_eq!(two_sample::shift(&base, &new).unwrap().interval, Some(ends), "{a} {b}");
    }
    assert_eq!(two_sample::shift(&above(0.0, 3), &above(9.0, 3)).unwrap().interval, None);
}

#[test]
fn ties_are_as_exact_as_all_ways_to_deal_them() {
    let mut draws = Draws::new(11);
    for _ in 0..30 {
        let mut values = |count: u32| -> Vec<f64> {
            (0..count).map(|_| (draws.uniform() * 4.0).floor()).collect()
        };
        let (base, new) = (values(4), values(5));
        close(two_sample::p_value(&base, &new), dealt(&base, &new));
        let differences: Vec<f64> = values(7).iter().map(|value| value - 2.0).collect();
        close(paired::p_value(&differences), flipped(&differences));
    }
    assert_eq!(paired::p_value(&[0.0; 8]), 1.0);
    assert_eq!(two_sample::p_value(&[1.0; 5], &[1.0; 5]), 1.0);
}

/// The p-value of a rank sum, by dealing the values in every way.
fn dealt(base: &[f64], new: &[f64]) -> f64 {
    let all: Vec<f64> = base.iter().chain(new).copied().collect();
    let ranks = exact::doubled_ranks(&all);
    let far = |sum: usize| sum.abs_diff(base.len() * (all.len() + 1));
    let found = far(ranks[..base.len()].iter().sum());
    let ways = (0_u32..1 << all.len()).filter(|way| way.count_ones() as usize == base.len());
    let sums: Vec<usize> = ways
        .map(|way| (0..all.len()).filter(|i| way >> i & 1 == 1).map(|i| ranks[i]).sum())
        .collect();
    let beyond = sums.iter().filter(|&&sum| far(sum) >= found).count();
    beyond as f64 / sums.len() as f64
}

/// The p-value of signed ranks, by flipping the signs in every way.
fn flipped(differences: &[f64]) -> f64 {
    let sizes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
    let ranks = exact::doubled_ranks(&sizes);
    let signed = |ups: &dyn Fn(usize) -> bool| -> i64 {
        let of = |i: usize| {
            let rank = ranks[i] as i64;
            if differences[i] == 0.0 {
                0
            } else if ups(i) {
                rank
            } else {
                -rank
            }
        };
        (0..differences.len()).map(of).sum()
    };
    let found = signed(&|i| differences[i] > 0.0).abs();
    let ways = 1_u32 << differences.len();
    let beyond = (0..ways).filter(|way| signed(&|i| way >> i & 1 == 1).abs() >= found).count();
    beyond as f64 / f64::from(ways)
}

#[test]
fn the_estimates_are_those_of_hodges_and_lehmann() {
    close(paired::shift(&[1.0, 2.0, 9.0]).unwrap().estimate, 3.5);
    close(two_sample::shift(&[0.0, 1.0], &[2.0, 5.0]).unwrap().estimate, 3.0);
    assert_eq!(paired::shift(&[]), None);
    assert_eq!(two_sample::shift(&[], &[1.0]), None);
}

#[test]
fn many_runs_are_as_good_as_the_approximation() {
    let mut draws = Draws::new(5);
    let mut normal = |count: usize, from: f64| -> Vec<f64> {
        (0..count).map(|_| from + draws.normal(1.0)).collect()
    };
    let (some, more) = (normal(400, 0.1), normal(401, 0.1));
    for values in [&some, &more] {
        let shift = paired::shift(values).unwrap();
        let (low, high) = shift.interval.unwrap();
        assert!((high - low - 2.0 * 1.96 / 20.0 * 1.023).abs() < 0.03, "{shift:?}");
    }
    let (base, new) = (normal(100, 0.0), normal(100, 0.3));
    let shift = two_sample::shift(&base, &new).unwrap();
    let (low, high) = shift.interval.unwrap();
    assert!(low < 0.3 && 0.3 < high && (high - low - 0.567).abs() < 0.1, "{shift:?}");
    assert!((0.0..0.2).contains(&shift.p_value), "{shift:?}");
}

#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    let mut draws = Draws::new(2026);
    let mut covered = [0, 0, 0];
    for _ in 0..1000 {
        // Heavier tails than normal: a mixture, as runs on a shared machine are.
        let mut noise = |count: u32| -> Vec<f64> {
            (0..count)
                .map(|_| if draws.uniform() < 0.1 { draws.normal(0.1) } else { draws.normal(0.02) })
                .collect()
        };
        let holds = |shift: Shift, truth: f64| {
            let (low, high) = shift.interval.unwrap();
            low <= truth && truth <= high
        };
        let moved = |values: Vec<f64>| -> Vec<f64> { values.iter().map(|v| v + 0.1).collect() };
        covered[0] += u32::from(holds(paired::shift(&moved(noise(10))).unwrap(), 0.1));
        covered[1] += u32::from(holds(paired::shift(&noise(6)).unwrap(), 0.0));
        let (base, new) = (noise(5), moved(noise(5)));
        covered[2] += u32::from(holds(two_sample::shift(&base, &new).unwrap(), 0.1));
    }
    assert!(covered.iter().all(|&covered| covered >= 930), "{covered:?} of 1000");
    assert!(covered.iter().all(|&covered| covered <= 990), "{covered:?} of 1000");
}

/// One simulated comparison over 10 pairs, p50 and p99 gated, the one with a noise of 2 % between runs and the other
/// with 4 %: the answers, when `slowdown` is what is new.
fn simulated(draws: &mut Draws, slowdown: f64) -> Vec<Decision> {
    let mut metric = |noise: f64| -> Shift {
        let pairs = (0..10).map(|_| slowdown.ln() + draws.normal(noise) - draws.normal(noise));
        paired::shift(&pairs.collect::<Vec<f64>>()).unwrap()
    };
    let shifts = [(metric(0.02), 0.05_f64), (metric(0.04), 0.1)];
    let adjusted = holm::adjusted(&shifts.map(|(shift, _)| shift.p_value));
    shifts
        .iter()
        .zip(adjusted)
        .map(|(&(shift, effect), adjusted_p)| {
            decide(&Question {
                shift,
                matters: effect.ln_1p(),
                tolerated: effect.ln_1p(),
                adjusted_p,
                runs: 10,
                design: Design::Paired,
                metrics: 2,
                allow_single: false,
            })
        })
        .collect()
}

/// In how many of so many comparisons something is called a regression.
fn flagged(seed: u64, comparisons: u32, slowdown: f64) -> usize {
    let mut draws = Draws::new(seed);
    (0..comparisons)
        .filter(|_| simulated(&mut draws, slowdown).contains(&Decision::Regression))
        .count()
}

#[test]
fn equal_sides_are_hardly_ever_called_different() {
    assert!(flagged(1, 40, 1.0) <= 2);
    let passed = |answers: Vec<Decision>| {
        answers.iter().all(|answer| matches!(answer, Decision::Pass { improved: false }))
    };
    let mut draws = Draws::new(2);
    let all = (0..40).filter(|_| passed(simulated(&mut draws, 1.0))).count();
    assert!(all >= 36, "{all} of 40 pass");
}

#[test]
fn a_slowdown_of_ten_percent_is_found_and_one_of_one_percent_is_none() {
    let found = flagged(3, 20, 1.1);
    assert!(found >= 19, "{found} of 20");
    assert_eq!(flagged(4, 200, 1.01), 0);
}

#[test]
fn too_few_runs_decide_nothing_and_say_how_many_are_missing() {
    let question = |shift, runs, design| Question {
        shift,
        matters: 0.05,
        tolerated: 0.05,
        adjusted_p: shift.p_value,
        runs,
        design,
        metrics: 1,
        allow_single: false,
    };
    for (pairs, far) in [(5_u32, 1.0), (5, 0.0)] {
        let values: Vec<f64> = (0..pairs).map(|i| far + f64::from(i) * 1e-4).collect();
        let shift = paired::shift(&values).unwrap();
        let answer = decide(&question(shift, 5, Design::Paired));
        assert_eq!(answer, Decision::Inconclusive { more: Some(1) });
    }
    let shift = two_sample::shift(&[0.0, 0.001, 0.002], &[0.0, 0.001, 0.003]).unwrap();
    let answer = decide(&question(shift, 3, Design::TwoSample));
    assert_eq!(answer, Decision::Inconclusive { more: Some(1) });
    // Three runs are too few whatever stands on the other side, also where an interval can be had.
    let shift = two_sample::shift(&above(0.0, 3), &above(100.0, 30)).unwrap();
    assert!(shift.interval.is_some() && shift.p_value < 0.01);
    let answer = decide(&question(shift, 3, Design::TwoSample));
    assert_eq!(answer, Decision::Inconclusive { more: Some(1) });
    let answer = decide(&question(shift.reversed(), 3, Design::TwoSample));
    assert_eq!(answer, Decision::Inconclusive { more: Some(1) });
    // Ten pairs whose noise is four times what matters: about sixteen times as many.
    let noisy: Vec<f64> = (0..10).map(|i| if i % 2 == 0 { 0.3 } else { -0.3 }).collect();
    let shift = paired::shift(&noisy).unwrap();
    let Decision::Inconclusive { more: Some(more) } = decide(&question(shift, 10, Design::Paired))
    else {
        panic!("{shift:?} decides something");
    };
    let half = shift.half_width.unwrap();
    let total = u32::try_from(more).unwrap() + 10;
    let wanted = 10.0 * (half / 0.05).powi(2);
    assert!(f64::from(total) >= wanted && f64::from(total) < wanted + 1.0, "{more}");
    assert!(more > 50, "{more}");
}

#[test]
fn an_improvement_is_a_pass_that_says_so() {
    let values: Vec<f64> = (0..10).map(|i| -0.2 - f64::from(i) * 0.001).collect();
    let shift = paired::shift(&values).unwrap();
    let mut question = Question {
        shift,
        matters: 0.05,
        tolerated: 0.05,
        adjusted_p: shift.p_value,
        runs: 10,
        design: Design::Paired,
        metrics: 1,
        allow_single: false,
    };
    assert_eq!(decide(&question), Decision::Pass { improved: true });
    question.shift = shift.reversed();
    assert_eq!(decide(&question), Decision::Regression);
    // What is forgiven is larger than the shift.
    (question.matters, question.tolerated) = (0.5, 0.5);
    assert_eq!(decide(&question), Decision::Pass { improved: false });
    // The same after a correction that leaves nothing significant.
    (question.matters, question.tolerated) = (0.05, 0.05);
    question.adjusted_p = 0.06;
    assert!(matches!(decide(&question), Decision::Inconclusive { .. }));
}

#[test]
fn a_small_sample_passes_below_what_is_tolerated_unless_it_shows_a_shift() {
    let question = |values: &[f64], tolerated| {
        let shift = paired::shift(values).unwrap();
        Question {
            shift,
            matters: 0.05,
            tolerated,
            adjusted_p: shift.p_value,
            runs: values.len(),
            design: Design::Paired,
            metrics: 1,
            allow_single: false,
        }
    };
    // Known to within 8 %, and not to within 5 %.
    let level: Vec<f64> = (0..8).map(|i| if i % 2 == 0 { 0.08 } else { -0.08 }).collect();
    assert!(matches!(decide(&question(&level, 0.05)), Decision::Inconclusive { .. }));
    assert!(matches!(decide(&question(&level, 0.07)), Decision::Inconclusive { .. }));
    assert_eq!(decide(&question(&level, 0.15)), Decision::Pass { improved: false });
    // Slower by 3 to 7 %: less than what is tolerated, and no chance.
    let slower: Vec<f64> = (0..8).map(|i| 0.03 + f64::from(i) * 0.005).collect();
    assert!(matches!(decide(&question(&slower, 0.15)), Decision::Inconclusive { .. }));
}

#[test]
fn single_runs_pass_or_decide_nothing_unless_they_may() {
    let of = |value, low, high| single::Measured::with_interval(value, Some((low, high)));
    let shift = single::shift(of(100.0, 99.0, 101.0), of(150.0, 148.0, 152.0));
    let mut question = Question {
        shift,
        matters: 0.05,
        tolerated: 0.05,
        adjusted_p: shift.p_value,
        runs: 1,
        design: Design::Single,
        metrics: 4,
        allow_single: false,
    };
    assert_eq!(decide(&question), Decision::Inconclusive { more: Some(4) });
    question.allow_single = true;
    assert_eq!(decide(&question), Decision::Regression);
    question.shift = single::shift(of(100.0, 99.0, 101.0), of(100.0, 99.0, 101.0));
    question.adjusted_p = 1.0;
    assert_eq!(decide(&question), Decision::Pass { improved: false });
    question.shift = single::shift(of(100.0, 0.0, 101.0), of(100.0, 99.0, 101.0));
    assert!(matches!(decide(&question), Decision::Inconclusive { .. }));
    assert_eq!(single::Measured::with_parts(10.0, &[10.0; 4]).error, None);
    assert_eq!(single::Measured::with_parts(10.0, &[10.0; 5]).error, Some(0.0));
}
