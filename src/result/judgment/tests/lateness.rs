//! Clients that came late: what that can have moved, and what it cannot.

use super::{Case, MS, case, open};
use crate::core::record::Lag;
use crate::result::verdict::{Code, Level};

/// So many requests are 50 ms late for want of the client.
fn stopped(requests: u64) -> Case {
    case(true, move |number| {
        let ns = if number < requests { 50 * MS } else { 1000 };
        Lag { send_ns: ns, pool_ns: 0, client_ns: ns }
    })
}

#[test]
fn a_short_stop_of_the_client_marks_the_maximum_and_leaves_the_rest_valid() {
    let case = stopped(5);
    let verdict = case.verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::Valid, true), "{verdict:?}");
    assert_eq!(case.rules(Level::Warn), ["C1"]);
    let text = &verdict.reasons[0].text;
    assert!(text.contains("without that, p99 would be at least 1.0"), "{text}");
    assert!(verdict.max_is_own && !open().verdict().max_is_own);
}

#[test]
fn a_stop_that_moves_a_shown_quantile_makes_the_run_invalid() {
    for (requests, moved) in [(15, "p99.9"), (150, "p99"), (1200, "p90")] {
        let verdict = stopped(requests).verdict();
        assert_eq!((verdict.code, verdict.valid), (Code::ClientLimited, false), "{verdict:?}");
        let text = &verdict.sentence;
        assert!(text.contains("without that") && text.contains(moved), "{requests}: {text}");
    }
}

#[test]
fn a_gate_on_what_the_client_spoiled_makes_the_run_invalid() {
    let gated = |gate: &str| {
        let mut case = stopped(5);
        case.slo = crate::slo::parse(gate).unwrap();
        case.verdict().valid
    };
    assert!(gated("p99<50ms") && gated("errors<1%"));
    assert!(!gated("max<20ms"));
    assert!(!gated("p99[2s..3s]<50ms"), "of a part of the run there is no bound");
}
