//! Whole runs over the simulated engine: what the worker says and what the server says must agree to the last request.

use proptest::prelude::*;

use super::{Action, Event, Job, Worker};
use crate::core::failure::{Failure, Kind, Phase as FailurePhase};
use crate::core::record::buckets::IntervalBuckets;
use crate::core::schedule::Timeline;
use crate::core::worker::{Expect, Timeouts};
use crate::engine::sim::{self, Deed, Outcome, Server};
use crate::request::RequestImage;
use crate::time::Nanos;

pub(super) const MILLISECOND: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000 * MILLISECOND;

pub(super) fn job() -> Job {
    Job {
        image: RequestImage::new(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1, false),
        connections: 4,
        pipeline: 1,
        requests: None,
        duration_ns: Some(SECOND),
        warmup_ns: 0,
        requests_per_connection: u64::MAX,
        timeouts: Timeouts {
            request_ns: 100 * MILLISECOND,
            connect_ns: 100 * MILLISECOND,
            drain_ns: SECOND,
            give_up_ns: SECOND,
        },
        expect: Expect::default(),
        tunnel: None,
        security: None,
        may_discard: true,
        seed: 1,
        worker: 0,
        workers: 1,
        timeline: Timeline::plain(0, u64::MAX),
        slice_ns: SECOND,
        open: None,
        logs_requests: false,
        tells_waiting: false,
    }
}

/// A job whose warm-up is that of its timeline, too.
pub(super) fn warmed_up(warmup_ns: u64, job: Job) -> Job {
    let length_ns = job.duration_ns.unwrap_or(u64::MAX);
    Job { warmup_ns, timeline: Timeline::plain(warmup_ns, length_ns), ..job }
}

pub(super) fn piped(depth: u32) -> Job {
    Job {
        image: RequestImage::new(b"GET / HTTP/1.1\r\n\r\n", depth, false),
        pipeline: depth,
        ..job()
    }
}

pub(super) fn counted(requests: u64) -> Job {
    Job { requests: Some(requests), duration_ns: None, ..job() }
}

pub(super) fn server() -> Server {
    Server {
        response: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
        delay_ns: MILLISECOND,
        queue: None,
        deeds: vec![(Deed::Answer, 1)],
        refused_percent: 0,
        idle_ns: None,
        piece_bytes: 1 << 20,
        mirror: None,
        seed: 7,
        client_stops: None,
        user_stops: None,
    }
}

pub(super) fn only(deed: Deed) -> Server {
    Server { deeds: vec![(deed, 1)], ..server() }
}

pub(super) fn run(job: Job, server: &Server) -> Outcome {
    let capacity = u64::from(job.connections) * u64::from(job.pipeline);
    let slice_ns = job.slice_ns;
    let outcome = sim::run(job, server);
    outcome.record.conserved().unwrap();
    let sum = |of: fn(&crate::core::record::Counts) -> u64| {
        of(&outcome.record.warmup().counts) + of(&outcome.record.measured().counts)
    };
    assert_eq!(sum(|counts| counts.sent), outcome.server.requests);
    let in_intervals: u64 = outcome.intervals.iter().map(|interval| interval.completed).sum();
    assert_eq!(in_intervals, sum(|counts| counts.completed()), "intervals add up to the whole");
    latencies_of_intervals_are_those_of_the_whole(&outcome);
    for interval in &outcome.intervals {
        let most = capacity * slice_ns;
        assert!(interval.in_flight_ns <= most, "{} of at most {most}", interval.in_flight_ns);
    }
    outcome
}

fn latencies_of_intervals_are_those_of_the_whole(outcome: &Outcome) {
    let mut whole = outcome.record.warmup().response();
    whole.add(&outcome.record.measured().response());
    let mut seen = IntervalBuckets::new();
    let mut bounds = 0;
    for interval in &outcome.intervals {
        seen.add(&interval.latency);
        bounds += interval.bounds.as_ref().map_or(0, IntervalBuckets::count);
    }
    assert_eq!((seen.count(), seen.max_ns()), (whole.count(), whole.max_ns()));
    #[expect(clippy::cast_precision_loss, reason = "a mean of a test")]
    let mean_ns = (seen.count() > 0).then(|| seen.sum_ns() as f64 / seen.count() as f64);
    assert_eq!(mean_ns, whole.mean_ns());
    let counts = [outcome.record.warmup().counts, outcome.record.measured().counts];
    let unanswered = counts.map(|counts| counts.timeout + counts.unsent + counts.in_flight_at_end);
    assert_eq!(bounds, unanswered.iter().sum::<u64>(), "each of them is a lower bound");
}

fn kinds(outcome: &Outcome) -> Vec<(Kind, u64)> {
    outcome.record.errors.rows().iter().map(|row| (row.failure.kind, row.count)).collect()
}

#[test]
fn a_closed_loop_keeps_one_request_in_flight_on_each_connection() {
    let outcome = run(job(), &server());
    let counts = outcome.record.measured().counts;
    assert_eq!(counts.ok, counts.sent);
    assert_eq!(counts.ok, 4 * 1000);
    assert_eq!(outcome.record.measured().service().quantile_ns(0.99), Some(MILLISECOND));
}

#[test]
fn a_count_is_obeyed_to_the_request() {
    for requests in [1, 3, 4, 5, 1001] {
        let outcome = run(counted(requests), &server());
        assert_eq!(outcome.record.measured().counts.ok, requests);
    }
}

#[test]
fn a_hundred_thousand_connections_are_dealt_with() {
    let requests = 150_000;
    let outcome = run(Job { connections: 100_000, ..counted(requests) }, &server());
    assert_eq!(outcome.record.measured().counts.ok, requests);
    assert_eq!(outcome.record.connections.opened, 100_000);
}

/// `MAXQ_SIMULATED=1000000000 cargo test --release --lib any_number_of_requests` makes it so many, and then memory is
/// looked at, too.
#[test]
fn any_number_of_requests_is_counted_in_the_same_memory() {
    let wanted = std::env::var("MAXQ_SIMULATED").ok().map(|text| text.parse().unwrap());
    let requests: u64 = wanted.unwrap_or(200_000);
    // The simulation keeps all slices; a run merges them as it goes on.
    let job = Job { connections: 64, slice_ns: 1_000_000 * SECOND, ..counted(requests) };
    let server =
        Server { deeds: vec![(Deed::Answer, 98), (Deed::Refuse, 1), (Deed::Close, 1)], ..server() };
    // What a few runs need, another one a hundred times as long must not exceed by more than noise. The allocator takes a
    // little more for each of the first of them.
    for _ in 0..5 {
        run(Job { requests: Some(requests / 100), ..job.clone() }, &server);
    }
    let before = peak_kib();
    let outcome = run(job, &server);
    let (before, after) = (before, peak_kib());
    assert_eq!(outcome.record.measured().counts.sent, requests);
    // Other tests run at the same time, but for the long run by hand.
    if wanted.is_some() {
        println!("{requests} requests: {before} KiB before, {after} KiB after");
        assert!(after * 100 <= before * 105, "{before} KiB before, {after} KiB after");
    }
}

/// The most memory that this process has held.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_count_is_obeyed_when_connections_die() {
    let server =
        Server { deeds: vec![(Deed::Answer, 3), (Deed::Close, 1), (Deed::Reset, 1)], ..server() };
    let outcome = run(
        Job { pipeline: 4, image: RequestImage::new(b"x", 4, false), ..counted(1000) },
        &server,
    );
    assert_eq!(outcome.record.measured().counts.sent, 1000);
}

#[test]
fn requests_of_the_warmup_are_listed_and_not_counted() {
    let outcome = run(warmed_up(500 * MILLISECOND, job()), &server());
    assert_eq!(outcome.record.warmup().counts.ok, 4 * 500);
    assert_eq!(outcome.record.measured().counts.ok, 4 * 1000);
    assert_eq!(outcome.intervals.first().map(|interval| interval.index), Some(-1));
}

#[test]
fn pipelined_requests_are_answered_in_order_and_refilled_together() {
    let job = Job { duration_ns: Some(10 * MILLISECOND), ..piped(16) };
    let outcome = run(job, &Server { delay_ns: 20_000, ..server() });
    let counts = outcome.record.measured().counts;
    assert_eq!(counts.ok, counts.sent);
    assert!(counts.ok > 4 * 16 * 400);
}

#[test]
fn a_server_that_never_answers_is_timed_out_and_aged() {
    let outcome = run(job(), &only(Deed::Ignore));
    let counts = outcome.record.measured().counts;
    assert_eq!(counts.timeout, counts.sent);
    assert!(counts.timeout >= 4 * 6);
    assert_eq!(kinds(&outcome), [(Kind::ResponseTimeout, counts.timeout)]);
    assert!(outcome.record.measured().service().min_ns() >= Some(100 * MILLISECOND));
}

#[test]
fn what_is_unanswered_when_the_drain_ends_is_censored() {
    let mut job = job();
    job.timeouts.request_ns = 10 * SECOND;
    let outcome = run(job, &only(Deed::Ignore));
    assert_eq!(outcome.record.measured().counts.in_flight_at_end, 4);
    assert_eq!(outcome.record.measured().censored.min_ns(), Some(2 * SECOND));
}

#[test]
fn every_way_to_fail_has_its_own_class_and_kind() {
    for (deed, kind) in [
        (Deed::Garbage, Kind::BadHead),
        (Deed::Cut, Kind::ClosedEarly),
        (Deed::Close, Kind::ClosedUnanswered),
        (Deed::Reset, Kind::Reset),
    ] {
        let outcome = run(job(), &only(deed));
        let counts = outcome.record.measured().counts;
        let class = match deed {
            Deed::Garbage => counts.protocol_error,
            Deed::Reset => counts.reset,
            _ => counts.truncated,
        };
        assert!(counts.sent > 0);
        assert_eq!(class, counts.sent, "{deed:?}");
        assert_eq!(kinds(&outcome), [(kind, class)], "{deed:?}");
    }
}

#[test]
fn a_kept_connection_that_is_closed_under_a_request_is_the_keep_alive_race() {
    let server = Server { deeds: vec![(Deed::Answer, 20), (Deed::Close, 1)], ..server() };
    let outcome = run(job(), &server);
    assert!(kinds(&outcome).iter().any(|&(kind, count)| kind == Kind::ClosedIdle && count > 0));
}

#[test]
fn requests_behind_a_lost_one_are_lost_in_the_pipeline() {
    let server = Server { deeds: vec![(Deed::Answer, 30), (Deed::Cut, 1)], ..server() };
    let outcome = run(piped(8), &server);
    let counts = outcome.record.measured().counts;
    let lost: u64 = kinds(&outcome)
        .iter()
        .filter(|(kind, _)| *kind == Kind::LostInPipeline)
        .map(|(_, n)| n)
        .sum();
    assert!(lost > 0);
    assert_eq!(
        counts.truncated,
        outcome.record.errors.rows().iter().map(|row| row.count).sum::<u64>()
    );
}

#[test]
fn refused_connections_are_tried_again_with_patience() {
    let outcome = run(job(), &Server { refused_percent: 100, ..server() });
    assert_eq!(outcome.record.measured().counts.sent, 0);
    let failed = outcome.record.connections.failed;
    assert!((4..=100).contains(&failed), "{failed} attempts in a second");
    assert_eq!(kinds(&outcome)[0].0, Kind::Refused);
}

#[test]
fn connections_are_replaced_after_their_share_of_requests() {
    let outcome = run(Job { requests_per_connection: 3, ..counted(30) }, &server());
    assert_eq!(outcome.record.measured().counts.ok, 30);
    assert_eq!(outcome.server.opened, outcome.record.connections.reconnects + 4);
    assert!(outcome.server.opened >= 10);
}

#[test]
fn a_server_that_closes_after_each_response_loses_nothing_but_time() {
    let response = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx".to_vec();
    let outcome = run(counted(50), &Server { response, ..server() });
    assert_eq!(outcome.record.measured().counts.ok, 50);
    assert!(kinds(&outcome).is_empty());
}

#[test]
fn bytes_after_the_announced_end_close_the_connection_and_are_an_error() {
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz".to_vec();
    let outcome = run(counted(20), &Server { response, ..server() });
    assert_eq!(outcome.record.measured().counts.ok, 20);
    assert_eq!(kinds(&outcome), [(Kind::ExtraData, 20)]);
}

#[test]
fn large_bodies_are_discarded_and_counted_to_the_byte() {
    let body = 100_000;
    let mut response = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n").into_bytes();
    response.resize(response.len() + body, b'x');
    let whole = response.len() as u64;
    let server = Server { response, piece_bytes: 5_000, ..server() };
    let outcome = run(counted(25), &server);
    assert_eq!(outcome.record.measured().counts.ok, 25);
    assert_eq!(outcome.record.measured().bytes_received, 25 * whole);
    let read = run(Job { may_discard: false, ..counted(25) }, &server);
    assert_eq!(read.record.measured().bytes_received, 25 * whole);
}

#[test]
fn the_expectation_decides_what_is_good() {
    let contains = |text: &str| Expect { body_contains: Some(text.into()), ..Expect::default() };
    let status = |status| Expect { status: vec![(status, status)], ..Expect::default() };
    let cases = [
        (Expect::default(), [40, 0, 0]),
        (status(404), [0, 40, 0]),
        (Expect { size: Some(6), ..Expect::default() }, [0, 40, 0]),
        (contains("ell"), [40, 0, 0]),
        (contains("elk"), [0, 40, 0]),
    ];
    for (expect, expected) in cases {
        let clauses = format!("{expect:?}");
        let may_discard = !expect.reads_body();
        let outcome = run(Job { expect, may_discard, ..counted(40) }, &server());
        let counts = outcome.record.measured().counts;
        assert_eq!([counts.ok, counts.unexpected, counts.http_error], expected, "{clauses}");
    }
    let outcome = run(counted(40), &only(Deed::Refuse));
    assert_eq!(outcome.record.measured().counts.http_error, 40);
    let accepted = status(503);
    let outcome = run(Job { expect: accepted, ..counted(40) }, &only(Deed::Refuse));
    assert_eq!(outcome.record.measured().counts.ok, 40);
}

#[test]
fn large_requests_wait_for_their_own_end_before_the_next_is_sent() {
    let image = RequestImage::new(&[b'x'; 300_000], 4, false);
    let outcome = run(Job { image, pipeline: 4, ..counted(100) }, &server());
    assert_eq!(outcome.record.measured().counts.ok, 100);
    assert_eq!(outcome.record.measured().bytes_sent, 100 * 300_000);
}

#[test]
fn parts_of_a_request_count_as_sent_even_when_its_connection_is_gone() {
    let image = RequestImage::new(&[b'x'; 300_000], 1, false);
    let mut worker = Worker::new(Job { image, connections: 1, ..job() }, Nanos(1));
    let Some(Action::Connect(id)) = worker.next_action() else { panic!("it connects") };
    worker.on_event(Nanos(2), Event::Connected(id));
    worker.start_at(Nanos(10));
    worker.events_at(Nanos(10), super::Late::default());
    worker.tick(Nanos(10));
    let actions = std::iter::from_fn(|| worker.next_action());
    assert!(actions.into_iter().any(|action| matches!(action, Action::Send { confirm: true, .. })));
    worker.on_event(Nanos(20), Event::SentPart(id, 1_000));
    let reset = Failure::from_errno(FailurePhase::Receive, libc::ECONNRESET);
    worker.on_event(Nanos(30), Event::Failed(id, reset));
    worker.on_event(Nanos(40), Event::SentPart(id, 500));
    let (record, _) = worker.take_record(Nanos(50));
    let sent: u64 = record.phases.iter().map(|phase| phase.bytes_sent).sum();
    assert_eq!(sent, 1_500);
}

#[test]
fn ten_thousand_connections_are_opened_in_turn_and_all_used() {
    let outcome = run(Job { connections: 10_000, ..counted(20_000) }, &server());
    let connections = &outcome.record.connections;
    assert_eq!((connections.asked, connections.opened, connections.used), (10_000, 10_000, 10_000));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let server = Server {
        deeds: vec![(Deed::Answer, 9), (Deed::Reset, 1)],
        refused_percent: 10,
        ..server()
    };
    let (first, second) = (run(job(), &server), run(job(), &server));
    assert_eq!(first.record.measured().counts, second.record.measured().counts);
    assert_eq!(first.server, second.server);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_mixture_of_faults_loses_or_invents_a_request(
        seed in 1_u64..u64::MAX,
        weights in prop::collection::vec(0_u32..4, 7),
        refused_percent in 0_u64..50,
        piece_bytes in 1_usize..60,
        depth in 1_u32..6,
        requests_per_connection in prop::option::of(6_u64..20),
        requests in prop::option::of(1_u64..500),
    ) {
        let deeds = [Deed::Answer, Deed::Refuse, Deed::Garbage, Deed::Cut, Deed::Close, Deed::Reset, Deed::Ignore];
        let server = Server {
            deeds: deeds.into_iter().zip(weights).collect(),
            refused_percent,
            piece_bytes,
            seed,
            ..server()
        };
        let job = Job {
            requests,
            seed,
            requests_per_connection: requests_per_connection.unwrap_or(u64::MAX),
            ..piped(depth)
        };
        let job = warmed_up(100 * MILLISECOND, job);
        let outcome = run(job, &server);
        let both = |of: fn(&crate::core::record::Counts) -> u64| {
            of(&outcome.record.warmup().counts) + of(&outcome.record.measured().counts)
        };
        // What the server answered whole can still be lost on the way, behind a fault on the same connection.
        prop_assert!(both(|counts| counts.ok) <= outcome.server.answered);
        prop_assert!(both(|counts| counts.http_error) <= outcome.server.refused);
        prop_assert_eq!(both(|counts| counts.unexpected), 0);
    }
}

#[test]
fn the_rate_counts_what_arrives_in_the_window_whenever_it_was_taken() {
    let slow = Server { delay_ns: 400 * MILLISECOND, ..server() };
    let mut job = warmed_up(SECOND, job());
    job.timeouts.request_ns = 10 * SECOND;
    let outcome = run(job, &slow);
    let measured = outcome.record.measured();
    // Waves come in at 0.2 and 0.6 s of the window, of which the first was taken in the warm-up, and one in the drain.
    assert_eq!(measured.completed_in_window, 2 * 4);
    assert_eq!(measured.counts.ok, 2 * 4);
    assert_eq!(measured.drained, 4);
}

#[test]
fn pipelined_requests_that_waited_as_long_time_out_together() {
    let outcome = run(Job { ..piped(8) }, &only(Deed::Ignore));
    let counts = outcome.record.measured().counts;
    assert_eq!(counts.timeout, counts.sent);
    assert!(counts.sent >= 4 * 8 * 6);
}

/// A worker that has asked for one connection a long time ago, whose connect was handed over `handed_over_ns` later.
fn connecting(handed_over_ns: u64) -> (Worker, Nanos) {
    let begun = Nanos(SECOND);
    let mut worker = Worker::new(Job { connections: 1, ..job() }, begun);
    let Some(Action::Connect(id)) = worker.next_action() else { panic!("it wants to connect") };
    let handed_over = begun.plus(handed_over_ns);
    worker.connecting(handed_over, id);
    (worker, handed_over)
}

#[test]
fn a_connect_takes_as_long_as_it_does_since_it_was_handed_over() {
    let (mut worker, handed_over) = connecting(5 * MILLISECOND);
    let open = handed_over.plus(14_000);
    let id = crate::core::conn::ConnId { index: 0, generation: 0 };
    worker.on_event(open, Event::Connected(id));
    assert!(worker.is_ready());
    worker.stop(open, 0);
    let (record, _) = worker.take_record(open);
    let longest_ns = record.connect.unwrap().max_ns().unwrap();
    assert!((13_900..14_200).contains(&longest_ns), "{longest_ns}");
}

#[test]
fn the_connect_timeout_counts_from_the_hand_over() {
    let (mut worker, handed_over) = connecting(50 * MILLISECOND);
    let timeout_ns = job().timeouts.connect_ns;
    // When it would have been late, had it been handed over when it was asked for.
    worker.tick(handed_over.plus(timeout_ns - 10 * MILLISECOND));
    assert!(!worker.is_ready(), "it still has time");
    worker.tick(handed_over.plus(timeout_ns + MILLISECOND));
    assert!(worker.is_ready(), "its first attempt has ended");
    assert_eq!(worker.take_record(handed_over).0.connections.failed, 1);
}
