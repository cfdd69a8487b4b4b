//! Several runs on the same connections, over the simulated engine.

use proptest::prelude::*;

use super::Job;
use super::open_tests::paced;
use super::tests::{MILLISECOND, SECOND, job, server, warmed_up};
use crate::core::worker::Timeouts;
use crate::engine::sim::{Deed, Outcome, Server, Session};

/// One run after the other, with half a second in between.
fn run_all(jobs: &[Job], server: &Server) -> Vec<Outcome> {
    let mut session = Session::new(jobs[0].clone(), server);
    let mut outcomes = vec![session.finish()];
    for job in &jobs[1..] {
        session.next(job.clone(), SECOND / 2);
        outcomes.push(session.finish());
    }
    for outcome in &outcomes {
        outcome.record.conserved().unwrap();
    }
    outcomes
}

/// Requests of all phases by what `of` looks at.
fn sum(outcome: &Outcome, of: fn(&crate::core::record::Counts) -> u64) -> u64 {
    outcome.record.phases.iter().map(|phase| of(&phase.counts)).sum()
}

#[test]
fn a_later_run_goes_on_with_the_connections_of_the_first() {
    let outcomes = run_all(&[job(), job(), warmed_up(SECOND, job())], &server());
    let opened: Vec<u64> = outcomes.iter().map(|outcome| outcome.server.opened).collect();
    assert_eq!(opened, [4, 0, 0]);
    for (outcome, kept) in outcomes.iter().zip([0, 4, 4]) {
        let connections = &outcome.record.connections;
        assert_eq!((connections.asked, connections.opened, connections.used), (4, 4, 4));
        assert_eq!((connections.kept, connections.reconnects), (kept, 0));
        assert_eq!(connections.responses.iter().sum::<u64>(), sum(outcome, |counts| counts.ok));
        assert_eq!(outcome.record.measured().counts.ok, 4 * 1000);
        assert_eq!(sum(outcome, |counts| counts.sent), outcome.server.requests);
    }
    assert_eq!(outcomes[2].record.warmup().counts.ok, 4 * 1000);
}

#[test]
fn an_answer_that_was_awaited_in_vain_is_no_answer_of_the_next_run() {
    let slow = Server { delay_ns: 400 * MILLISECOND, ..server() };
    let timeouts = Timeouts { drain_ns: 0, request_ns: SECOND, ..job().timeouts };
    let outcomes = run_all(&[Job { timeouts, ..job() }, Job { timeouts, ..job() }], &slow);
    for outcome in &outcomes {
        let counts = outcome.record.measured().counts;
        assert_eq!((counts.ok, counts.in_flight_at_end, counts.sent), (8, 4, 12));
        let shortest = outcome.record.measured().service().min_ns().unwrap();
        assert!(shortest >= 400 * MILLISECOND, "{shortest}");
        assert!(outcome.record.errors.rows().is_empty());
    }
    let connections = &outcomes[1].record.connections;
    assert_eq!((connections.opened, connections.kept, connections.reconnects), (4, 0, 0));
    assert_eq!(outcomes[1].server.opened, 4);
}

#[test]
fn each_run_has_a_schedule_of_its_own() {
    let stages = ["1s@500", "1s@2k", "1s@100"];
    let jobs: Vec<Job> = stages.iter().map(|stages| paced(stages, 0)).collect();
    let outcomes = run_all(&jobs, &server());
    for (outcome, scheduled) in outcomes.iter().zip([500, 2000, 100]) {
        let counts = outcome.record.measured().counts;
        assert_eq!((counts.scheduled, counts.ok), (scheduled, scheduled));
        let in_intervals: u64 = outcome.intervals.iter().map(|interval| interval.scheduled).sum();
        assert_eq!(in_intervals, scheduled);
    }
}

#[test]
fn what_was_in_flight_on_average_is_rate_times_latency() {
    let outcomes = run_all(&[paced("1s@2k", 0), paced("2s@1k", 0)], &server());
    for (outcome, (seconds, rate)) in outcomes.iter().zip([(1, 2000), (2, 1000)]) {
        let area: u64 = outcome.intervals.iter().map(|interval| interval.in_flight_ns).sum();
        // Each takes a millisecond; no request is sent before its time, and the last one is awaited.
        let exact = seconds * rate * MILLISECOND;
        assert!(area.abs_diff(exact) * 100 <= exact, "{area} is not {exact}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn no_mixture_of_faults_loses_a_request_from_one_run_to_the_next(
        weights in prop::collection::vec(0_u32..10, 7),
        scheduled in any::<bool>(),
        seed in any::<u64>(),
        drain_ns in 0_u64..20_000_000,
    ) {
        let deeds = [
            Deed::Answer, Deed::Refuse, Deed::Garbage, Deed::Cut, Deed::Close, Deed::Reset, Deed::Ignore,
        ];
        let server = Server {
            deeds: deeds.into_iter().zip(weights.iter().map(|weight| weight + 1)).collect(),
            refused_percent: 10,
            seed,
            ..server()
        };
        let one = if scheduled { paced("200ms@300", 0) } else { Job { duration_ns: Some(SECOND / 5), ..job() } };
        let one = Job { timeouts: Timeouts { drain_ns, request_ns: 30 * MILLISECOND, ..one.timeouts }, ..one };
        let outcomes = run_all(&[one.clone(), one.clone(), one], &server);
        for outcome in &outcomes {
            prop_assert_eq!(sum(outcome, |counts| counts.sent), outcome.server.requests);
            prop_assert!(sum(outcome, |counts| counts.ok) <= outcome.server.answered);
        }
    }
}
