//! Open loops over the simulated engine: counts are exact, latencies are those of the closed form, and lateness is
//! blamed on whoever caused it.

use std::sync::Arc;

use proptest::prelude::*;

use super::tests::{MILLISECOND, SECOND, job, only, run, server};
use super::{Job, OpenJob};
use crate::core::record::LatencyHistogram;
use crate::core::schedule::{Arrivals, Bursts, Schedule, Shape, Timeline, parse_stages};
use crate::core::worker::OnOverload;
use crate::engine::sim::{Deed, Outcome, Server};

/// A worker of an open loop, the only one, that follows `stages` after a warm-up.
pub(super) fn paced(stages: &str, warmup_ns: u64) -> Job {
    paced_over(4, stages, warmup_ns)
}

/// The same over so many connections.
pub(super) fn paced_over(connections: u32, stages: &str, warmup_ns: u64) -> Job {
    let stages = parse_stages(stages).unwrap();
    let shape = Shape {
        warmup_ns,
        length_ns: stages.iter().map(|stage| stage.length_ns).sum(),
        stages,
        bursts: None,
        requests: None,
        arrivals: Arrivals::Uniform,
        seed: 1,
    };
    shaped(shape, Job { connections, ..job() })
}

fn shaped(shape: Shape, job: Job) -> Job {
    let mut timeouts = job.timeouts;
    timeouts.request_ns = 100 * SECOND;
    timeouts.drain_ns = 100 * SECOND;
    Job {
        duration_ns: (shape.length_ns < u64::MAX).then_some(shape.length_ns),
        warmup_ns: shape.warmup_ns,
        timeline: Timeline::of_shape(&shape),
        slice_ns: SECOND / 10,
        open: Some(OpenJob {
            schedule: Arc::new(Schedule::new(shape).unwrap()),
            max_in_flight: u64::from(job.connections),
            on_overload: OnOverload::Queue,
        }),
        timeouts,
        ..job
    }
}

fn with_policy(job: Job, on_overload: OnOverload) -> Job {
    let open = job.open.map(|open| OpenJob { on_overload, ..open });
    Job { open, ..job }
}

/// Send lag, pool wait and client lag of the measured phases.
fn lags(outcome: &Outcome) -> [LatencyHistogram; 3] {
    outcome.record.measured().lags().unwrap()
}

fn assert_about(found: Option<u64>, expected: u64) {
    let found = found.unwrap();
    // A bucket is a thousandth of its value wide, and the simulated wire takes 1 us.
    assert!(found.abs_diff(expected) <= expected / 500 + 10_000, "{found} is not {expected}");
}

#[test]
fn every_slot_is_sent_when_it_is_due() {
    let outcome = run(paced("2s@1300", SECOND), &server());
    let measured = outcome.record.measured();
    assert_eq!((measured.counts.scheduled, measured.counts.ok), (2600, 2600));
    assert_eq!(outcome.record.warmup().counts.ok, 1300);
    assert_eq!(measured.response().quantile_ns(1.0), Some(MILLISECOND));
    for lag in lags(&outcome) {
        assert_eq!((lag.count(), lag.max_ns()), (2600, Some(0)));
    }
    let due: u64 = outcome.intervals.iter().map(|interval| interval.scheduled).sum();
    assert_eq!(due, 3900);
    assert!(
        outcome.intervals.iter().all(|interval| interval.scheduled == 130 || interval.index >= 20)
    );
}

#[test]
fn workers_together_send_every_slot_once() {
    for workers in [2, 3, 5] {
        let sent: u64 = (0..workers)
            .map(|worker| {
                let job = Job { worker, workers, ..paced("1s@1301", 0) };
                run(job, &server()).record.measured().counts.ok
            })
            .sum();
        assert_eq!(sent, 1301, "{workers} workers");
    }
}

#[test]
fn an_overload_has_the_latencies_of_the_closed_form_and_the_pool_is_blamed() {
    // D/D/1: one connection that takes 1 ms, 1250 requests a second for 10 s.
    let job = paced_over(1, "10s@1250", 0);
    let outcome = run(job, &server());
    let measured = outcome.record.measured();
    assert_eq!((measured.counts.scheduled, measured.counts.ok), (12_500, 12_500));
    let response = measured.response();
    assert_about(response.quantile_ns(0.5), 1251 * MILLISECOND);
    assert_about(response.quantile_ns(0.99), 2476 * MILLISECOND);
    assert_about(response.max_ns(), 2501 * MILLISECOND);
    assert_about(measured.service().quantile_ns(0.99), MILLISECOND);
    let [send, pool, client] = lags(&outcome);
    assert_about(pool.max_ns(), 2500 * MILLISECOND);
    assert_about(send.max_ns(), 2500 * MILLISECOND);
    assert_eq!(client.max_ns(), Some(0));
    assert!(measured.most_backlog.abs_diff(2500) <= 2, "{}", measured.most_backlog);
    assert!(measured.completed_in_window.abs_diff(10_000) <= 2);
}

#[test]
fn a_spike_fills_and_empties_its_backlog_as_the_closed_form_says() {
    // 1000 a second at most; 500 a second, and 2000 for one second.
    let job = paced_over(1, "2s@500,1s@2000,4s@500", 0);
    let outcome = run(job, &server());
    let record = &outcome.record;
    let scheduled: Vec<u64> = record.phases.iter().map(|phase| phase.counts.scheduled).collect();
    assert_eq!(scheduled, [0, 1000, 2000, 2000]);
    assert!(record.phases[2].most_outstanding.abs_diff(1001) <= 2);
    assert_about(record.phases[2].response().max_ns(), SECOND);
    // It is over two seconds after the spike, 5 s into the run.
    let backlog_at = |tenths: i64| {
        outcome.intervals.iter().find(|interval| interval.index == tenths).unwrap().backlog
    };
    assert!(backlog_at(29) > 990 && backlog_at(48) > 10 && backlog_at(51) == 0);
}

#[test]
fn what_waits_longer_than_a_request_may_take_is_given_up_unsent() {
    let mut job = paced_over(1, "2s@1000", 0);
    job.timeouts.request_ns = 100 * MILLISECOND;
    // Most attempts to open the connection again are refused, and followed by ever longer pauses.
    let outcome = run(job, &Server { refused_percent: 60, ..only(Deed::Ignore) });
    let measured = outcome.record.measured();
    assert_eq!(measured.counts.scheduled, 2000);
    assert_eq!(measured.counts.timeout, measured.counts.sent);
    assert_eq!(measured.unsent.expired, measured.counts.unsent);
    assert!(measured.counts.sent > 0 && measured.counts.unsent > 100, "{:?}", measured.counts);
    assert!(measured.censored.min_ns() >= Some(100 * MILLISECOND));
    assert!(measured.response().min_ns() >= Some(100 * MILLISECOND));
}

#[test]
fn a_shed_request_is_counted_and_aged_to_the_end_of_the_window() {
    let job = with_policy(paced_over(1, "1s@2000", 0), OnOverload::Shed);
    let outcome = run(job, &server());
    let measured = outcome.record.measured();
    // Every second one finds the only connection busy.
    assert_eq!(measured.counts.scheduled, 2000);
    assert!(measured.counts.ok.abs_diff(1000) <= 2 && measured.unsent.shed.abs_diff(1000) <= 2);
    assert!(measured.most_backlog <= 1);
    assert_about(measured.censored.max_ns(), SECOND);
}

#[test]
fn an_abort_ends_the_run_at_the_first_request_without_a_connection() {
    let job = with_policy(paced_over(2, "10s@1000", 0), OnOverload::Abort);
    let outcome = run(job, &Server { delay_ns: 10 * MILLISECOND, ..server() });
    assert!(outcome.overloaded);
    let counts = outcome.record.measured().counts;
    assert_eq!((counts.scheduled, counts.sent, counts.unsent), (3, 2, 1));
}

#[test]
fn what_is_still_due_when_the_drain_ends_was_never_sent() {
    let mut job = paced_over(1, "1s@2000", 0);
    job.timeouts.drain_ns = 100 * MILLISECOND;
    let outcome = run(job, &server());
    let measured = outcome.record.measured();
    assert_eq!(measured.counts.scheduled, 2000);
    assert!(measured.unsent.left.abs_diff(900) <= 2, "{:?}", measured.unsent);
    // The oldest of them was due at 0.55 s and is given up at 1.1 s.
    assert_about(measured.censored.max_ns(), 550 * MILLISECOND);
}

#[test]
fn no_more_are_in_flight_than_may_be() {
    let job = paced_over(4, "1s@10000", 0);
    let open = job.open.clone().map(|open| OpenJob { max_in_flight: 2, ..open });
    let mut job = Job { open, ..job };
    job.timeouts.drain_ns = MILLISECOND;
    let outcome = run(job, &server());
    // Two at a time, a millisecond each.
    assert!(outcome.record.measured().completed_in_window.abs_diff(2000) <= 4);
    assert!(outcome.intervals.iter().all(|interval| interval.in_flight <= 2));
}

#[test]
fn a_stopped_client_is_to_blame_for_what_it_delays_and_nobody_else() {
    let stopped = Server { client_stops: Some((SECOND, 500 * MILLISECOND)), ..server() };
    let job = paced_over(64, "4s@1000", 0);
    let outcome = run(job, &stopped);
    let measured = outcome.record.measured();
    assert_eq!((measured.counts.scheduled, measured.counts.ok), (4000, 4000));
    let [_, pool, client] = lags(&outcome);
    assert_about(client.max_ns(), 500 * MILLISECOND);
    assert_about(measured.response().max_ns(), 500 * MILLISECOND);
    assert!(pool.max_ns() <= Some(MILLISECOND / 10), "{:?}", pool.max_ns());
    assert!(measured.service().max_ns() <= Some(2 * MILLISECOND));
    // One in eight requests was due while it was stopped.
    assert!(client.quantile_ns(0.87) <= Some(MILLISECOND));
    assert!(client.quantile_ns(0.88) >= Some(MILLISECOND));
}

#[test]
fn a_stopped_client_is_to_blame_even_when_all_connections_were_taken() {
    let stopped = Server {
        client_stops: Some((SECOND + MILLISECOND / 2, 500 * MILLISECOND)),
        delay_ns: 3 * MILLISECOND,
        ..server()
    };
    let outcome = run(paced_over(4, "3s@1300", 0), &stopped);
    let [_, pool, client] = lags(&outcome);
    assert_about(client.max_ns(), 500 * MILLISECOND);
    // Without the stop requests wait for a connection for a moment now and then.
    assert!(pool.max_ns() <= Some(20 * MILLISECOND), "{:?}", pool.max_ns());
}

#[test]
fn an_interrupted_run_leaves_nothing_unsent_that_could_have_been_sent() {
    // At the very instant of a slot, and between two.
    for at in [500 * MILLISECOND, 500 * MILLISECOND + 1, 500 * MILLISECOND + 70_000] {
        for drain_ns in [0, 100 * MILLISECOND] {
            let interrupted = Server { user_stops: Some((at, drain_ns)), ..server() };
            let outcome = run(paced_over(64, "3s@10k", 0), &interrupted);
            let counts = &outcome.record.measured().counts;
            assert_eq!(counts.unsent, 0, "stopped at {at}");
            assert_eq!(counts.scheduled, counts.sent);
            assert!(counts.sent.abs_diff(5000) <= 1, "{} sent when stopped at {at}", counts.sent);
        }
    }
}

#[test]
fn a_run_that_ends_before_it_begins_has_no_requests() {
    let interrupted = Server { user_stops: Some((0, 0)), ..server() };
    let outcome = run(paced_over(4, "3s@10k", 0), &interrupted);
    assert!(outcome.record.measured().counts.scheduled <= 1);
    assert_eq!(outcome.record.measured().counts.unsent, 0);
}

#[test]
fn a_count_ends_an_open_loop_too() {
    let stages = parse_stages("1s@1000").unwrap();
    let shape = Shape {
        warmup_ns: 0,
        stages: vec![crate::core::schedule::Stage { length_ns: u64::MAX, ..stages[0].clone() }],
        bursts: None,
        length_ns: u64::MAX,
        requests: Some(777),
        arrivals: Arrivals::Poisson,
        seed: 5,
    };
    let outcome = run(shaped(shape, job()), &server());
    assert_eq!(outcome.record.measured().counts.ok, 777);
}

#[test]
fn bursts_have_a_phase_of_their_own() {
    let mut shape = Shape {
        warmup_ns: 0,
        stages: parse_stages("3s@100").unwrap(),
        bursts: Some(Bursts { size: 50, every_ns: SECOND }),
        length_ns: 3 * SECOND,
        requests: None,
        arrivals: Arrivals::Uniform,
        seed: 5,
    };
    let outcome = run(shaped(shape.clone(), Job { connections: 5, ..job() }), &server());
    let scheduled: Vec<u64> =
        outcome.record.phases.iter().map(|phase| phase.counts.scheduled).collect();
    assert_eq!(scheduled, [0, 300, 150]);
    // Ten waves of five.
    assert_about(outcome.record.phases[2].response().max_ns(), 10 * MILLISECOND);
    shape.stages.clear();
    let outcome = run(shaped(shape, job()), &server());
    assert_eq!(outcome.record.measured().counts.ok, 150);
}

#[test]
fn a_log_holds_every_request_once() {
    let job = with_policy(paced_over(1, "1s@2000", 0), OnOverload::Shed);
    let outcome = run(Job { logs_requests: true, ..job }, &server());
    let mut numbers: Vec<u64> = outcome.log.iter().map(|row| row.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2000).collect::<Vec<u64>>());
    for row in &outcome.log {
        let first = row.sent.unwrap_or(row.ended);
        assert!(row.intended <= first && first <= row.first_byte.unwrap_or(row.ended));
        assert!(row.first_byte.unwrap_or(row.ended) <= row.ended);
    }
}

#[test]
fn service_times_can_be_worked_out_from_the_log() {
    let at_ns = SECOND + MILLISECOND / 2;
    let stopped = Server { client_stops: Some((at_ns, SECOND / 2)), ..server() };
    let job = Job { logs_requests: true, ..paced("3s@500", 0) };
    let outcome = run(job, &stopped);
    let (mut service, mut response, mut late) =
        (LatencyHistogram::new(), LatencyHistogram::new(), 0);
    for row in &outcome.log {
        let sent = row.sent.unwrap();
        service.record(row.ended.since(sent) - row.late_ns);
        response.record(row.ended.since(row.intended));
        late += u64::from(row.late_ns > 0);
    }
    assert!((1..=4).contains(&late), "{late} answers were seen late");
    let measured = outcome.record.measured();
    for (found, expected) in [(&service, measured.service()), (&response, measured.response())] {
        assert_eq!((found.count(), found.min_ns()), (expected.count(), expected.min_ns()));
        assert_eq!(found.mean_ns(), expected.mean_ns());
        for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
            assert_eq!(found.quantile_ns(quantile), expected.quantile_ns(quantile), "{quantile}");
        }
    }
}

#[test]
fn what_looks_like_a_stamp_in_a_body_is_none() {
    let body = "x\r\nX-Seq: 7\r\nX-Recv-ns: 8\r\n".repeat(8);
    let head = format!("HTTP/1.1 200 OK\r\nX-Send-ns: 5\r\nContent-Length: {}\r\n\r\n", body.len());
    for piece_bytes in [9, 40, 1 << 20] {
        let server = Server { response: (head.clone() + &body).into(), piece_bytes, ..server() };
        let outcome = run(Job { logs_requests: true, ..paced("1s@100", 0) }, &server);
        assert_eq!(outcome.log.len(), 100);
        for row in &outcome.log {
            assert_eq!((row.server.number, row.server.received), (None, None));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_mixture_of_faults_loses_or_invents_a_request_of_a_schedule(
        seed in 1_u64..u64::MAX,
        weights in prop::collection::vec(0_u32..4, 7),
        refused_percent in 0_u64..50,
        rate in 1_u64..5000,
        burst in prop::option::of(1_u64..300),
        poisson in any::<bool>(),
        policy in prop_oneof![Just(OnOverload::Queue), Just(OnOverload::Shed), Just(OnOverload::Abort)],
        (connections, most, pipeline) in (1_u32..6, 1_u64..8, 1_u32..3),
        stop in prop::option::of(1_u64..1500),
        interrupt in prop::option::of((0_u64..1500, 0_u64..200)),
    ) {
        let deeds = [Deed::Answer, Deed::Refuse, Deed::Garbage, Deed::Cut, Deed::Close, Deed::Reset, Deed::Ignore];
        let server = Server {
            deeds: deeds.into_iter().zip(weights).collect(),
            refused_percent,
            seed,
            client_stops: stop.map(|at| (at * MILLISECOND, 50 * MILLISECOND)),
            user_stops: interrupt.map(|(at, drain)| (at * MILLISECOND, drain * MILLISECOND)),
            ..server()
        };
        let shape = Shape {
            warmup_ns: 100 * MILLISECOND,
            stages: parse_stages(&format!("1s@{rate}")).unwrap(),
            bursts: burst.map(|size| Bursts { size, every_ns: 300 * MILLISECOND }),
            length_ns: SECOND,
            requests: None,
            arrivals: if poisson { Arrivals::Poisson } else { Arrivals::Uniform },
            seed,
        };
        let slots = Schedule::new(shape.clone()).unwrap().slots();
        let mut job = with_policy(shaped(shape, Job { connections, pipeline, seed, ..job() }), policy);
        if let Some(open) = &mut job.open {
            open.max_in_flight = most.min(u64::from(connections * pipeline));
        }
        job.timeouts.request_ns = 100 * MILLISECOND;
        job.timeouts.drain_ns = 500 * MILLISECOND;
        job.logs_requests = true;
        // `run` checks conservation, and what the server saw against what was sent.
        let outcome = run(job, &server);
        let all = outcome.record.warmup().counts.scheduled + outcome.record.measured().counts.scheduled;
        prop_assert_eq!(outcome.log.len() as u64, all);
        if let (Some(slots), false, None) = (slots, outcome.overloaded, interrupt) {
            prop_assert_eq!(outcome.record.measured().counts.scheduled, slots);
        }
    }
}
