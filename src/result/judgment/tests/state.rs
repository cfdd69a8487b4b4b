//! What the target did, in constructed runs.

use super::{Case, REQUESTS, SECOND, away, case, in_time, open};
use crate::core::record::Outcome;
use crate::core::schedule::{Arrivals, Shape, Timeline, parse_stages};
use crate::result::summary::{End, Presence};
use crate::result::verdict::TargetState;

/// The state, and its figure.
fn target(case: &Case) -> (TargetState, String) {
    let verdict = case.verdict();
    (verdict.target, verdict.target_text)
}

/// So many of the good answers were errors instead.
fn with_errors(mut case: Case, errors: u64) -> Case {
    let phase = &mut case.record.phases[1];
    phase.counts.ok -= errors;
    phase.counts.http_error += errors;
    phase.ok_in_window -= errors;
    case
}

#[test]
fn a_target_that_answers_everything_well_has_held() {
    for open in [true, false] {
        let (state, text) = target(&case(open, in_time));
        assert_eq!(state, TargetState::Held);
        assert_eq!(text, "all 10,000 requests got a good answer, 1,000.0 a second");
    }
}

#[test]
fn errors_fail_a_target_from_one_in_a_hundred_on() {
    let open = with_errors(open(), 2470);
    let (state, text) = target(&open);
    assert_eq!(state, TargetState::Failing);
    assert_eq!(
        text,
        "24.7 % errors (2,470 of 10,000 requests); 753.0 of 1,000.0 requests a second got a good answer"
    );
    // The measurement of it is as valid as it was.
    assert!(open.verdict().valid, "{:?}", open.verdict());
    for (errors, state) in
        [(100, TargetState::Failing), (99, TargetState::Degraded), (1, TargetState::Degraded)]
    {
        assert_eq!(target(&with_errors(case(false, in_time), errors)).0, state, "{errors}");
    }
}

#[test]
fn requests_in_flight_when_a_run_is_stopped_are_no_errors() {
    let mut case = case(false, in_time);
    let phase = &mut case.record.phases[1];
    for _ in 0..64 {
        phase.await_in_vain(1000);
    }
    case.end = End::Interrupted(crate::exit::Signal::Interrupt);
    assert_eq!(target(&case).0, TargetState::Held);
    case.end = End::Finished;
    assert_eq!(target(&case).0, TargetState::Degraded, "nobody answered them");
}

#[test]
fn a_target_that_was_gone_has_failed() {
    let presence = Presence { dark: vec![away(2, 3, false)], ..Presence::default() };
    let (state, text) = target(&Case { presence, ..open() });
    assert_eq!(state, TargetState::Failing);
    assert_eq!(text, "no connection could be had from 2.0 s to 3.0 s");
}

#[test]
fn a_queue_that_grows_is_an_overload_of_an_open_loop() {
    let mut case = open();
    for (slice, outstanding) in case.slices.iter_mut().zip((0..).step_by(25)) {
        slice.outstanding = outstanding;
    }
    case.record.phases[1].completed_in_window = 7500;
    let (state, text) = target(&case);
    assert_eq!(state, TargetState::Overloaded);
    assert_eq!(text, "750.0 of 1,000.0 requests a second answered");
}

#[test]
fn requests_that_found_no_connection_are_an_overload() {
    let unsent = |requests: u64| {
        let mut case = open();
        let phase = &mut case.record.phases[1];
        for _ in 0..requests {
            phase.counts.scheduled += 1;
            phase.unsent.shed += 1;
            phase.drop_unsent(1000);
        }
        target(&case).0
    };
    assert_eq!(unsent(REQUESTS / 50), TargetState::Overloaded);
    assert_eq!(unsent(1), TargetState::Degraded);
}

#[test]
fn a_stage_beyond_what_the_target_can_do_is_an_overload_of_that_stage() {
    let staged = |answered: u64| {
        let mut case = open();
        case.timeline = Timeline::of_shape(&Shape {
            warmup_ns: 0,
            stages: parse_stages("5s@1000,5s@2000").unwrap(),
            bursts: None,
            length_ns: 10 * SECOND,
            requests: None,
            arrivals: Arrivals::Uniform,
            seed: 1,
        });
        case.is_constant = false;
        case.record.phases.push(case.record.phases[1].clone());
        case.record.phases[2].completed_in_window = answered;
        target(&case)
    };
    assert_eq!(staged(REQUESTS).0, TargetState::Held);
    assert_eq!(staged(REQUESTS * 19 / 20).0, TargetState::Held, "some are on their way");
    let (state, text) = staged(REQUESTS / 2);
    assert_eq!(state, TargetState::Overloaded);
    assert!(text.contains("of 2,000.0 requests a second answered"), "{text}");
}

#[test]
fn a_timeout_is_an_error() {
    let mut case = open();
    let phase = &mut case.record.phases[1];
    for _ in 0..200 {
        phase.counts.scheduled += 1;
        phase.counts.sent += 1;
        phase.fail(Outcome::Timeout, SECOND, SECOND);
        phase.lag(in_time(0));
    }
    assert_eq!(target(&case).0, TargetState::Failing);
}
