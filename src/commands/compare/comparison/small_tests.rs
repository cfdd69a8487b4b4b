//! Comparisons of small runs, simulated: five pairs of 5 s at 100 requests a second, whose medians differ by 3 % between runs,
//! their p95 by 5 %, and their p99 by 8 %.

use serde_json::json;

use super::tests::run;
use super::*;
use crate::stats::known::Draws;

/// Pairs of a comparison, and requests of a run.
const PAIRS: u32 = 5;
const REQUESTS: u64 = 500;

/// A run around 8 ms, `slower` times as slow, with the noise of a small run.
fn small(draws: &mut Draws, slower: f64, noise: f64) -> Run {
    let mut document = run(8000.0 * slower, 0).document;
    let mut noisy = |by: f64| (draws.normal(by * noise)).exp();
    let (p50, p95, p99, cpu) = (noisy(0.03), noisy(0.05), noisy(0.08), noisy(0.15));
    let response = &mut document["latency"]["response"];
    for (key, of) in
        [("p50_us", p50), ("mean_us", p50), ("p90_us", p95), ("p95_us", p95), ("p99_us", p99)]
    {
        response[key] = json!(response[key].as_f64().unwrap() * of);
    }
    document["plan"]["mode"] = json!("open");
    document["counts"]["scheduled"] = json!(REQUESTS);
    document["counts"]["ok"] = json!(REQUESTS);
    document["rates"] = json!({ "offered_rps": 100.0, "achieved_rps": 100.0 });
    document["client"]["cpu_us_per_request"] = json!(150.0 * cpu);
    Run::of(document, "x.json".to_owned()).unwrap()
}

/// A comparison of which the new side is `slower` times as slow.
fn compared(
    draws: &mut Draws,
    slower: f64,
    (pairs, noise): (u32, f64),
    settings: &Criteria,
) -> Comparison {
    let mut side = |slower: f64| Side {
        label: "x".to_owned(),
        runs: (0..pairs).map(|_| small(draws, slower, noise)).collect(),
    };
    let (base, new) = (side(1.0), side(slower));
    compare(base, new, true, settings).unwrap()
}

/// How many of so many comparisons are regressions, and how many pass.
fn verdicts(seed: u64, comparisons: u32, slower: f64, size: (u32, f64)) -> (usize, usize) {
    let mut draws = Draws::new(seed);
    let verdicts: Vec<Conclusion> = (0..comparisons)
        .map(|_| compared(&mut draws, slower, size, &Criteria::default()).verdict)
        .collect();
    let number = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    (number(Conclusion::Regression), number(Conclusion::Pass))
}

#[test]
fn small_equal_sides_nearly_always_pass_and_are_hardly_ever_called_slower() {
    for seed in 1..=5 {
        let (regressions, passes) = verdicts(seed, 40, 1.0, (PAIRS, 1.0));
        assert!(regressions <= 2 && passes >= 30, "{regressions} and {passes} of 40, seed {seed}");
    }
}

#[test]
fn a_quarter_slower_is_found_in_small_runs_and_a_tenth_in_more_of_them() {
    let (found, _) = verdicts(11, 20, 1.25, (PAIRS, 1.0));
    assert!(found >= 19, "{found} of 20");
    let (found, _) = verdicts(12, 20, 1.1, (20, 1.0));
    assert!(found >= 19, "{found} of 20");
    let (found, _) = verdicts(13, 20, 1.1, (10, 0.5));
    assert!(found >= 19, "{found} of 20");
}

#[test]
fn a_pass_of_small_runs_says_what_they_rule_out() {
    let mut draws = Draws::new(3);
    let mut bounds = Vec::new();
    for _ in 0..20 {
        let comparison = compared(&mut draws, 1.0, (PAIRS, 1.0), &Criteria::default());
        assert_eq!(comparison.design, Design::Paired);
        assert_eq!(comparison.judged_as, Design::TwoSample);
        let row = |name: &str| comparison.rows.iter().find(|row| row.name == name).unwrap();
        // None in 2,500 on either side: no rise by 0.12 points.
        let errors = row("errors");
        assert!((errors.excluded_pct().unwrap() - 0.1198).abs() < 1e-3, "{errors:?}");
        assert_eq!(row("achieved").excluded, None, "it never differs");
        bounds.extend(row("p99").excluded_pct());
    }
    assert!(bounds.len() >= 10, "{bounds:?}");
    assert!(bounds.iter().all(|bound| (10.0..30.0).contains(bound)), "{bounds:?}");
}

#[test]
fn an_effect_that_the_user_names_is_insisted_on() {
    let mut settings = Criteria::default();
    settings.add_effects("p99=10%,errors=0.1%").unwrap();
    let mut draws = Draws::new(3);
    let comparison = compared(&mut draws, 1.0, (PAIRS, 1.0), &settings);
    assert_eq!(comparison.verdict, Conclusion::Inconclusive);
    let answer = |name: &str| comparison.rows.iter().find(|row| row.name == name).unwrap().answer;
    assert!(matches!(answer("errors"), Some(Decision::Inconclusive { more: Some(_) })));
    assert!(matches!(answer("p50"), Some(Decision::Pass { .. })));
}

#[test]
fn the_client_needs_no_more_cpu_time_when_it_is_as_idle_as_before() {
    let mut settings = Criteria::default();
    settings.set_gates("cpu").unwrap();
    let mut draws = Draws::new(9);
    for _ in 0..40 {
        let comparison = compared(&mut draws, 1.0, (PAIRS, 1.0), &settings);
        assert_eq!(comparison.verdict, Conclusion::Pass, "{:?}", comparison.rows);
    }
}
