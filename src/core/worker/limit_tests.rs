//! Limits hold by the stamps, whatever is looked at first; and a client that was away is not the server's fault in a
//! closed loop either.

use super::tests::{MILLISECOND, SECOND, job, piped, run, server};
use super::{Job, open_tests::paced_over};
use crate::core::failure::Kind;
use crate::engine::sim::{Outcome, Server};

fn with_timeout(request_ns: u64, job: Job) -> Job {
    let mut job = job;
    job.timeouts.request_ns = request_ns;
    job
}

fn kind_count(outcome: &Outcome, kind: Kind) -> u64 {
    let rows = outcome.record.errors.rows();
    rows.iter().filter(|row| row.failure.kind == kind).map(|row| row.count).sum()
}

#[test]
fn an_answer_that_is_seen_at_its_deadline_or_after_it_is_a_timeout() {
    for request_ns in [5 * MILLISECOND, 5 * MILLISECOND - 1, 4_900_000] {
        for job in [job(), piped(4), paced_over(4, "1s@200", 0)] {
            let slow = Server { delay_ns: 5 * MILLISECOND, ..server() };
            let outcome = run(with_timeout(request_ns, job), &slow);
            let measured = outcome.record.measured();
            assert!(measured.counts.sent > 0);
            let timeouts = measured.counts.timeout;
            assert_eq!((timeouts, measured.counts.ok), (measured.counts.sent, 0), "{request_ns}");
            assert_eq!(kind_count(&outcome, Kind::ResponseTimeout), timeouts);
            assert!(measured.response().min_ns() >= Some(request_ns));
        }
    }
}

#[test]
fn an_answer_that_is_seen_before_its_deadline_is_none() {
    for job in [job(), piped(4), paced_over(8, "1s@200", 0)] {
        let slow = Server { delay_ns: 5 * MILLISECOND, ..server() };
        let outcome = run(with_timeout(5 * MILLISECOND + 1, job), &slow);
        let counts = &outcome.record.measured().counts;
        assert_eq!((counts.ok, counts.timeout), (counts.sent, 0));
    }
}

#[test]
fn an_answer_in_pieces_whose_last_comes_too_late_is_a_timeout() {
    // Its forty bytes come in pieces of one to eight, one a microsecond.
    let drips = Server { piece_bytes: 8, ..server() };
    let outcome = run(with_timeout(MILLISECOND + 3_000, job()), &drips);
    let counts = &outcome.record.measured().counts;
    assert!(counts.timeout > 0);
    assert_eq!(counts.timeout, counts.sent);
}

#[test]
fn a_connection_that_opens_at_its_limit_has_failed() {
    // The simulated network takes 10 us.
    for (connect_ns, opens) in [(10_000, false), (10_001, true)] {
        let mut job = Job { requests: Some(8), ..job() };
        job.timeouts.connect_ns = connect_ns;
        let outcome = run(job, &server());
        let connections = &outcome.record.connections;
        assert_eq!(connections.opened > 0, opens, "{connect_ns}");
        assert_eq!(connections.failed > 0, !opens, "{connect_ns}");
        assert_eq!(kind_count(&outcome, Kind::ConnectTimeout), connections.failed);
    }
}

#[test]
fn an_answer_that_is_seen_when_the_drain_has_ended_was_not_awaited() {
    // The fourth request of each connection is sent at 900 ms, and answered at 1,200.
    let slow = Server { delay_ns: 300 * MILLISECOND, ..server() };
    for (drain_ns, in_flight) in [(0, 4), (200 * MILLISECOND, 4), (200 * MILLISECOND + 1, 0)] {
        let mut job = with_timeout(SECOND, job());
        job.timeouts.drain_ns = drain_ns;
        let outcome = run(job, &slow);
        let counts = &outcome.record.measured().counts;
        assert_eq!((counts.sent, counts.in_flight_at_end), (16, in_flight), "{drain_ns}");
    }
}

#[test]
fn a_client_that_was_away_neither_waits_nor_times_out_in_a_closed_loop() {
    let stopped = Server { client_stops: Some((300 * MILLISECOND, 500 * MILLISECOND)), ..server() };
    for job in [job(), piped(4)] {
        let outcome = run(with_timeout(100 * MILLISECOND, job), &stopped);
        let measured = outcome.record.measured();
        assert_eq!(measured.counts.timeout, 0);
        assert_eq!(measured.counts.ok, measured.counts.sent);
        assert_eq!(measured.service().max_ns(), Some(MILLISECOND));
        assert_eq!(measured.response().max_ns(), Some(MILLISECOND));
    }
}

#[test]
fn a_request_that_was_never_answered_times_out_at_its_limit_even_if_the_client_was_away() {
    let stopped = Server {
        client_stops: Some((50 * MILLISECOND, 500 * MILLISECOND)),
        ..super::tests::only(crate::engine::sim::Deed::Ignore)
    };
    let outcome = run(with_timeout(100 * MILLISECOND, job()), &stopped);
    let measured = outcome.record.measured();
    assert_eq!(measured.counts.timeout, measured.counts.sent);
    // On each of four connections one was sent at the start, and about five in the 450 ms after the stop.
    assert!((20..=24).contains(&measured.counts.timeout), "{}", measured.counts.timeout);
    let service = measured.service();
    assert!(
        service.max_ns() <= Some(101 * MILLISECOND),
        "{:?} to {:?}",
        service.min_ns(),
        service.max_ns()
    );
}
