//! Sides made of small documents, and what is said of them.

use serde_json::{Value, json};

use super::*;
use crate::stats::known::Draws;

/// A run whose response times are about `us`, with `errors` of 10,000 requests.
pub(super) fn run(us: f64, errors: u64) -> Run {
    let scaled = |by: f64| us * by;
    let document = json!({
        "schema": "maxq.run/1",
        "partial": false,
        "plan": { "hash": "abc", "url": "http://h/", "mode": "closed", "connections": 8 },
        "verdict": { "code": "valid", "valid": true, "sentence": "fine", "reasons": [] },
        "window": { "measured_s": 10.0 },
        "counts": { "scheduled": 10_000, "ok": 10_000 - errors, "timeout": 0, "unsent": 0 },
        "rates": { "offered_rps": 1000.0, "achieved_rps": 8e6 / us },
        "latency": { "response": {
            "p50_us": us, "p90_us": scaled(1.5), "p95_us": scaled(1.7), "p99_us": scaled(2.0), "p99_9_us": scaled(3.0),
            "mean_us": scaled(1.1), "max_us": scaled(5.0), "ci95_us": null, "unsupported": [], "histogram": null
        } },
        "client": { "cpu_us_per_request": 4.0 },
        "intervals": []
    });
    Run::of(document, "x.json".to_owned()).unwrap()
}

/// So many runs around `us`, with a noise of 2 % between them.
fn side(draws: &mut Draws, us: f64, runs: u32) -> Side {
    let noisy = |_| run(us * draws.normal(0.02).exp(), 0);
    Side { label: "x".to_owned(), runs: (0..runs).map(noisy).collect() }
}

fn compared(base: Side, new: Side) -> Comparison {
    compare(base, new, false, &Criteria::default()).unwrap()
}

fn row<'a>(comparison: &'a Comparison, name: &str) -> &'a Row {
    comparison.rows.iter().find(|row| row.name == name).unwrap()
}

#[test]
fn a_shift_of_twenty_percent_is_a_regression_of_every_metric_that_it_moves() {
    let mut draws = Draws::new(1);
    let comparison = compared(side(&mut draws, 5000.0, 6), side(&mut draws, 6000.0, 6));
    assert_eq!(comparison.verdict, Conclusion::Regression);
    for name in ["p50", "p99", "rate"] {
        assert_eq!(row(&comparison, name).answer, Some(Decision::Regression), "{name}");
    }
    assert_eq!(row(&comparison, "errors").answer, Some(Decision::Pass { improved: false }));
    assert!((row(&comparison, "p50").shift_pct().unwrap() - 20.0).abs() < 4.0);
    assert!((row(&comparison, "rate").shift_pct().unwrap() + 16.7).abs() < 4.0);
    assert_eq!(row(&comparison, "mean").answer, None, "it is not gated");
    // The other way round it is an improvement.
    let mut draws = Draws::new(1);
    let (slow, fast) = (side(&mut draws, 6000.0, 6), side(&mut draws, 5000.0, 6));
    let comparison = compared(slow, fast);
    assert_eq!(comparison.verdict, Conclusion::Pass);
    for name in ["p50", "p99", "rate"] {
        let answer = row(&comparison, name).answer;
        assert_eq!(answer, Some(Decision::Pass { improved: true }), "{name}");
    }
}

#[test]
fn runs_that_are_on_both_sides_are_said() {
    let mut draws = Draws::new(3);
    let (one, other) = (side(&mut draws, 5000.0, 6), side(&mut draws, 5000.0, 6));
    let notes = compared(one.clone(), other.clone()).notes;
    assert!(!notes.iter().any(|note| note.contains("separate measurements")), "{notes:?}");
    let copy = Side { label: "copy.json".to_owned(), ..one.clone() };
    let notes = compared(one.clone(), copy).notes;
    assert!(notes[0].starts_with("both sides hold the same runs"), "{notes:?}");
    let mut mixed = other;
    mixed.runs.extend(one.runs[..2].to_vec());
    let notes = compared(one, mixed).notes;
    assert!(notes[0].starts_with("2 of 8 new runs are also base runs"), "{notes:?}");
}

#[test]
fn equal_sides_pass_and_a_shift_below_the_floor_does_too() {
    let mut draws = Draws::new(2);
    let equal = compared(side(&mut draws, 5000.0, 10), side(&mut draws, 5000.0, 10));
    assert_eq!((equal.verdict, equal.more_runs), (Conclusion::Pass, None), "{:#?}", equal.rows);
    let (base, new) = (side(&mut draws, 50.0, 6), side(&mut draws, 60.0, 6));
    let below = compared(base.clone(), new.clone());
    assert_eq!(row(&below, "p50").answer, Some(Decision::Pass { improved: false }));
    let mut strict = Criteria::default();
    strict.set_floor("0").unwrap();
    let above = compare(base, new, false, &strict).unwrap();
    assert_eq!(row(&above, "p50").answer, Some(Decision::Regression));
}

#[test]
fn too_few_runs_are_inconclusive_and_single_ones_say_so() {
    let mut draws = Draws::new(3);
    let comparison = compared(side(&mut draws, 5000.0, 3), side(&mut draws, 8000.0, 3));
    assert_eq!(comparison.verdict, Conclusion::Inconclusive);
    // Four metrics that are judged by ranks need five runs a side.
    assert_eq!(comparison.more_runs, Some(2));
    assert_eq!(row(&comparison, "p50").interval_pct(), None);
    let single = compared(side(&mut draws, 5000.0, 1), side(&mut draws, 8000.0, 1));
    assert_eq!((single.verdict, single.design), (Conclusion::Inconclusive, Design::Single));
    assert!(single.notes[0].contains("without the noise between runs"));
}

#[test]
fn errors_that_rise_are_a_regression() {
    let side = |errors: u64| Side {
        label: "x".to_owned(),
        runs: (0..5).map(|i| run(5000.0, errors + i)).collect(),
    };
    let comparison = compared(side(0), side(80));
    let errors = row(&comparison, "errors");
    assert_eq!(errors.answer, Some(Decision::Regression), "{errors:?}");
    assert!((errors.shift_pct().unwrap() - 0.8).abs() < 1e-9);
    assert_eq!(comparison.verdict, Conclusion::Regression);
}

/// A document of a run with something else in it.
fn changed(change: impl Fn(&mut Value)) -> Run {
    let mut document = run(5000.0, 0).document;
    change(&mut document);
    Run::of(document, "odd.json".to_owned()).unwrap()
}

/// Everything may differ.
fn forced() -> Criteria {
    Criteria { allowed: Kind::ALL.into(), invalid: true, ..Criteria::default() }
}

#[test]
fn different_plans_are_refused_with_what_differs_unless_forced() {
    let mut draws = Draws::new(4);
    let base = side(&mut draws, 5000.0, 5);
    let mut new = side(&mut draws, 5000.0, 5);
    new.runs[4] = changed(|document| {
        document["plan"]["hash"] = json!("def");
        document["plan"]["connections"] = json!(16);
        document["plan"]["url"] = json!("http://\u{1b}[2Jevil/");
    });
    let refusal = compare(base.clone(), new.clone(), false, &Criteria::default()).unwrap_err();
    assert_eq!(refusal.code, crate::exit::USAGE);
    for part in
        ["connections 8 and 16", "target http://h and", "odd.json", "--other-target --other-load"]
    {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
    assert!(!refusal.message.contains('\u{1b}'));
    let comparison = compare(base, new, false, &forced()).unwrap();
    assert!(comparison.notes[1].contains("connections 8 and 16"), "{:?}", comparison.notes);
}

#[test]
fn runs_that_are_not_valid_are_left_out_and_too_few_of_the_others_are_refused() {
    let mut draws = Draws::new(5);
    let base = side(&mut draws, 5000.0, 6);
    let void = || {
        changed(|document| {
            document["verdict"]["valid"] = json!(false);
            document["verdict"]["code"] = json!("not_steady");
        })
    };
    let mut new = side(&mut draws, 5000.0, 6);
    new.runs[0] = void();
    new.runs[1] = changed(|document| document["partial"] = json!(true));
    let comparison = compared(base.clone(), new.clone());
    assert_eq!((comparison.new_runs, comparison.left_out.len()), (4, 2));
    assert!(comparison.left_out[0].why.contains("not_steady"), "{:?}", comparison.left_out);
    assert!(comparison.left_out[1].why.contains("partial"), "{:?}", comparison.left_out);
    new.runs[2] = void();
    let refusal = compare(base.clone(), new.clone(), false, &Criteria::default()).unwrap_err();
    assert_eq!(refusal.code, crate::exit::INVALID);
    for part in ["of 6 new runs 3 remain", "not_steady", "--invalid"] {
        assert!(refusal.message.contains(part), "{}", refusal.message);
    }
    assert_eq!(compare(base.clone(), new.clone(), false, &forced()).unwrap().new_runs, 6);
    // Of a pair both count, or neither.
    let pairs = compare(base, new, true, &Criteria::default()).unwrap_err();
    assert!(
        pairs.code == crate::exit::INVALID && pairs.message.contains("3 remain"),
        "{}",
        pairs.message
    );
}

#[test]
fn a_side_without_a_single_answer_is_no_number_and_no_pass() {
    let mut draws = Draws::new(6);
    let base = side(&mut draws, 5000.0, 5);
    let silent = || {
        changed(|document| {
            for key in ["p50_us", "p90_us", "p95_us", "p99_us", "p99_9_us", "mean_us", "max_us"] {
                document["latency"]["response"][key] = Value::Null;
            }
            document["counts"]["ok"] = json!(0);
            document["rates"]["achieved_rps"] = json!(0.0);
        })
    };
    let new = Side { label: "y".to_owned(), runs: (0..5).map(|_| silent()).collect() };
    let comparison = compared(base, new);
    assert_eq!(comparison.verdict, Conclusion::Regression, "all of them failed");
    let p50 = row(&comparison, "p50");
    assert_eq!((p50.new, p50.shift), (None, None));
    assert_eq!(p50.answer, Some(Decision::Inconclusive { more: None }));
    assert!((row(&comparison, "errors").shift_pct().unwrap() - 100.0).abs() < 1e-9);
}

#[test]
fn in_an_open_loop_the_share_of_the_rate_is_compared() {
    let open = |share: f64| Side {
        label: "x".to_owned(),
        runs: (0..5)
            .map(|i| {
                changed(|document| {
                    document["plan"]["mode"] = json!("open");
                    document["rates"]["achieved_rps"] = json!(1000.0 * share + f64::from(i));
                })
            })
            .collect(),
    };
    let comparison = compared(open(0.99), open(0.8));
    let share = row(&comparison, "achieved");
    assert_eq!(share.answer, Some(Decision::Regression));
    assert!(comparison.notes.iter().any(|note| note.contains("schedule makes the rate")));
}

#[test]
fn flags_are_read_or_refused_by_name() {
    let mut settings = Criteria::default();
    let p99 = Metric::compared("p99").unwrap();
    settings.set_gates("p99, rate,cpu").unwrap();
    assert_eq!(settings.gates, [p99, Metric::Achieved, Metric::Cpu]);
    settings.add_effects("p99=5%,errors=0.2%").unwrap();
    assert!((settings.effect(p99) - 0.05).abs() < 1e-12);
    assert!((settings.effect(Metric::Errors) - 0.002).abs() < 1e-12);
    for bad in ["", "p98", "p50,p50"] {
        assert!(settings.set_gates(bad).unwrap_err().starts_with("--gate "), "{bad}");
    }
    for bad in
        ["", "p99", "p99=5", "p99=0%", "p99=x%", "p98=5%", "rate=100%", "p99=-5%", "p99=nan%"]
    {
        assert!(settings.add_effects(bad).unwrap_err().starts_with("--effect "), "{bad}");
    }
    assert!(settings.set_floor("5us").is_ok());
    assert!(settings.set_floor("5").unwrap_err().contains("5ms, 5s or 5m"));
    assert!(settings.set_floor("x").is_err());
}
