//! The rows of a sweep, and what they say together.

use super::{Course, Drift, Order, Shown, SoFar, SweepRun, SweepSummary, Variable};
use crate::result::summary::End;
use crate::result::verdict::Code;

fn run(p50_ns: u64, achieved_rps: f64) -> SweepRun {
    let shown = Some(Shown { value_ns: p50_ns, lower_bound: false });
    SweepRun {
        x: 1.0,
        repeat: 1,
        offered_rps: achieved_rps,
        achieved_rps,
        goodput_rps: achieved_rps,
        ok: 100,
        errors: 0,
        errors_rps: 0.0,
        quantiles: [shown; 5],
        max_ns: Some(p50_ns),
        mean_ns: None,
        mean_in_flight: None,
        little: None,
        code: Code::Valid,
        valid: true,
        client_limited: false,
        late: false,
        gates_hold: None,
    }
}

#[test]
fn a_sentinel_that_moved_by_more_than_a_tenth_is_a_drift() {
    let drift = |sentinels: &[SweepRun]| Drift::of(sentinels);
    assert_eq!(drift(&[]), None);
    assert_eq!(drift(&[run(100, 10.0)]), None);
    let small = drift(&[run(100, 10.0), run(109, 10.0), run(95, 9.5)]).unwrap();
    assert!(!small.is_large() && small.sentinel == 1);
    let slower = drift(&[run(100, 10.0), run(100, 10.0), run(111, 10.0)]).unwrap();
    assert!(slower.is_large() && slower.sentinel == 2);
    let less = drift(&[run(100, 10.0), run(100, 8.9)]).unwrap();
    assert!(less.is_large() && less.rate_share.unwrap() < -0.1);
    assert!(drift(&[run(100, 10.0), run(80, 10.0)]).unwrap().is_large());
}

#[test]
fn runs_in_which_the_client_was_at_fault_are_left_out_of_all_findings() {
    let sweep = |runs: &[SweepRun]| {
        let course = Course {
            variable: Variable::Rate,
            values: runs.iter().map(|run| run.x).collect(),
            lengths_ns: Vec::new(),
            repeats: 1,
            open: true,
            order: Order::Up,
            pause_ns: 0,
            most_in_flight: None,
            seed: 1,
        };
        SweepSummary::of(course, End::Finished, runs.to_vec(), Vec::new())
    };
    let at = |rate: f64, achieved_rps: f64, client_limited: bool| SweepRun {
        x: rate,
        offered_rps: rate,
        mean_ns: Some(1e9 / (1010.0 - rate.min(1000.0))),
        client_limited,
        ..run(1_000_000, achieved_rps)
    };
    let good = [200.0, 400.0, 600.0, 800.0, 900.0, 1200.0, 1500.0]
        .map(|rate| at(rate, rate.min(1000.0), false));
    let found = sweep(&good);
    assert!((found.findings.saturation.rps.unwrap().value / 1000.0 - 1.0).abs() < 0.01);
    let late = [&good[..], &[at(700.0, 300.0, true), at(1800.0, 400.0, true)]].concat();
    assert_eq!((sweep(&late).left_out(), found.left_out()), (2, 0));
    assert_eq!(sweep(&late).findings, found.findings);
    // Where the client gives up first, nothing is known of the server but that it can do so much.
    let cut = sweep(&[&good[..5], &[at(1200.0, 900.0, true)]].concat()).findings.saturation;
    assert_eq!((cut.rps, cut.at_least_rps), (None, Some(900.0)));
    assert!(cut.reason.unwrap().contains("the client"));
}

#[test]
fn what_is_known_so_far_is_of_good_answers_and_of_runs_that_tell_of_the_server() {
    assert_eq!(SoFar::of(&[]), SoFar::default());
    let at = |x: f64, good_rps: f64, errors: u64, client_limited: bool| SweepRun {
        x,
        goodput_rps: good_rps,
        ok: 1000,
        errors,
        client_limited,
        ..run(1, 1000.0)
    };
    let runs = [
        at(64.0, 540.0, 800, false),
        at(8.0, 200.0, 0, false),
        at(16.0, 560.0, 9, false),
        at(32.0, 900.0, 900, true),
    ];
    let known = SoFar::of(&runs);
    assert_eq!(known.best, Some((560.0, 16.0)));
    assert_eq!(known.errors.map(|errors| errors.x), Some(16.0));
    assert_eq!(SoFar::of(&runs[1..2]).errors, None);
}

#[test]
fn latencies_of_runs_with_more_errors_than_answers_are_in_no_finding() {
    let at = |errors: u64| SweepRun { errors, mean_ns: Some(1e6), ..run(1_000_000, 10.0) };
    assert!(at(100).has_latencies() && !at(101).has_latencies());
    // Of two requests one fails: two have waited for each good answer.
    assert_eq!(at(100).point().mean_s, Some(2e-3));
    assert_eq!((at(101).point().mean_s, at(101).point().p99_s), (None, None));
    assert!((at(25).error_share() - 0.2).abs() < 1e-12);
}

#[test]
fn an_overloaded_server_is_no_flaw_of_a_sweep() {
    let of = |code: Code, valid: bool, client_limited: bool| {
        SweepRun { code, valid, client_limited, ..run(1, 1.0) }.is_flawed()
    };
    assert!(!of(Code::Valid, true, false) && !of(Code::Unstable, false, false));
    assert!(of(Code::Unstable, false, true) && of(Code::InsufficientSamples, false, false));
    // The limit of a closed loop's client is no flaw of the run, but none of the server's either.
    assert!(!of(Code::ClientLimited, true, true) && of(Code::ClientLimited, false, true));
}
