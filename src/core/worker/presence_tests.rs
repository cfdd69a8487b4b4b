//! Reconnecting over the simulated engine: who waits and who does not, and what is told of a target that is gone.

use super::open_tests::{paced, paced_over};
use super::tests::{MILLISECOND, SECOND, job, only, run, server};
use super::{Event, Job, Late, Worker};
use crate::core::conn::ConnId;
use crate::core::failure::{Failure, Phase};
use crate::core::record::Record;
use crate::core::worker::Timeouts;
use crate::engine::sim::{Deed, Server};
use crate::time::Nanos;

#[test]
fn a_server_that_spoils_every_request_gets_all_that_are_due() {
    for deed in [Deed::Reset, Deed::Close, Deed::Garbage, Deed::Cut] {
        let outcome = run(paced("1s@1000", 0), &only(deed));
        let measured = outcome.record.measured();
        assert_eq!((measured.counts.scheduled, measured.counts.sent), (1000, 1000), "{deed:?}");
        assert_eq!(measured.counts.failed(), 1000, "{deed:?}");
        let [_, pool, _] = measured.lags().unwrap();
        assert_eq!(pool.max_ns(), Some(0), "{deed:?}: nobody waited for a connection");
    }
}

#[test]
fn requests_that_time_out_take_up_a_connection_for_no_longer_than_their_timeout() {
    // 32 connections have room for 320 requests a second that take 100 ms each.
    let mut job = paced_over(32, "2s@300", 0);
    job.timeouts.request_ns = 100 * MILLISECOND;
    let counts = run(job, &only(Deed::Ignore)).record.measured().counts;
    assert_eq!((counts.scheduled, counts.timeout, counts.unsent), (600, 600, 0));
}

#[test]
fn a_closed_loop_asks_again_as_fast_as_the_server_spoils() {
    // A millisecond for the answer, and a little to connect and to hear of the end.
    let outcome = run(job(), &only(Deed::Reset));
    let counts = outcome.record.measured().counts;
    assert!((4 * 900..=4 * 1000).contains(&counts.reset), "{counts:?}");
    assert_eq!(outcome.record.connections.failed, 0);
}

#[test]
fn a_server_that_closes_what_it_was_not_asked_on_is_not_connected_to_in_circles() {
    // One request a second over four connections, each closed a microsecond after it was opened.
    let server = Server { idle_ns: Some(1_000), ..server() };
    let job = Job { requests_per_connection: 1, ..paced("10s@1", 0) };
    let outcome = run(job, &server);
    let measured = outcome.record.measured();
    assert_eq!(measured.counts.scheduled, 10);
    let opened = outcome.server.opened;
    assert!((20..400).contains(&opened), "{opened} connections in ten seconds");
    // And whoever is due does not wait for the end of somebody's rest.
    assert_eq!(measured.counts.ok, 10, "{:?}", measured.counts);
    let [send, ..] = measured.lags().unwrap();
    assert!(send.max_ns() < Some(MILLISECOND), "{:?}", send.max_ns());
}

/// A worker with two connections of a closed loop, told of events by hand.
struct ByHand {
    worker: Worker,
    now: Nanos,
}

impl ByHand {
    /// Both are open, and the run begins at 1 s.
    fn new() -> Self {
        let timeouts =
            Timeouts { request_ns: 100 * SECOND, connect_ns: 100 * SECOND, ..job().timeouts };
        let job = Job { connections: 2, duration_ns: Some(10 * SECOND), timeouts, ..job() };
        let mut by_hand = Self { worker: Worker::new(job, Nanos(0)), now: Nanos(0) };
        by_hand.open(0);
        by_hand.open(1);
        assert!(by_hand.worker.is_ready());
        by_hand.worker.start_at(Nanos(SECOND));
        by_hand.at(0);
        by_hand
    }

    /// So many milliseconds of the run have passed.
    fn at(&mut self, ms: u64) -> &mut Self {
        self.now = Nanos(SECOND + ms * MILLISECOND);
        self.worker.events_at(self.now, Late::default());
        self.worker.tick(self.now);
        while self.worker.next_action().is_some() {}
        self.worker.submitted(self.now);
        self
    }

    fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.worker.conns[index as usize].generation() }
    }

    fn open(&mut self, index: u32) -> &mut Self {
        let id = self.id(index);
        self.worker.on_event(self.now, Event::Connected(id));
        self
    }

    fn reset(&mut self, index: u32) -> &mut Self {
        self.fail(index, Phase::Receive, libc::ECONNRESET)
    }

    fn refuse(&mut self, index: u32) -> &mut Self {
        self.fail(index, Phase::Connect, libc::ECONNREFUSED)
    }

    fn fail(&mut self, index: u32, phase: Phase, errno: i32) -> &mut Self {
        let id = self.id(index);
        self.worker.on_event(self.now, Event::Failed(id, Failure::from_errno(phase, errno)));
        self
    }

    fn end(&mut self) -> Record {
        self.at(10_000);
        self.worker.take_record(self.now).0
    }
}

fn dark(record: &Record) -> Vec<(u64, u64)> {
    let ms = |at: Nanos| {
        if at == Nanos::NEVER { u64::MAX } else { at.since(Nanos(SECOND)) / MILLISECOND }
    };
    record.absence.dark().iter().map(|dark| (ms(dark.from), ms(dark.to))).collect()
}

#[test]
fn connections_that_are_refused_after_a_loss_are_lost_since_then() {
    let mut run = ByHand::new();
    run.at(4000).reset(0);
    run.at(4500).reset(1).refuse(0);
    run.at(4501).refuse(1);
    let record = run.end();
    assert_eq!(dark(&record), [(4500, u64::MAX)]);
    assert_eq!(record.absence.lost, [5000, 5500].map(|ms| Nanos(ms * MILLISECOND)));
    assert_eq!(record.absence.missing_ns, (6000 + 5500) * MILLISECOND);
}

#[test]
fn a_target_that_came_back_was_missing_for_so_long_and_nothing_is_lost() {
    let mut run = ByHand::new();
    run.at(4000).reset(0).reset(1).refuse(0).refuse(1);
    // The back-off is over, and both are tried again.
    run.at(5000).open(0);
    run.at(5300).open(1);
    let record = run.end();
    assert_eq!(dark(&record), [(4000, 5000)]);
    assert_eq!((record.absence.lost.len(), record.absence.missing_ns), (0, 2300 * MILLISECOND));
    let missing = record.absence.missing.map(|missing| (missing.from, missing.to));
    assert_eq!(missing, Some((Nanos(5000 * MILLISECOND), Nanos(6300 * MILLISECOND))));
}

#[test]
fn a_connection_that_is_opened_again_at_once_was_never_missing() {
    let mut run = ByHand::new();
    run.at(4000).reset(0).reset(1);
    run.at(4001).open(0).open(1);
    let record = run.end();
    assert_eq!(dark(&record), []);
    assert_eq!((record.absence.lost.len(), record.absence.missing_ns), (0, 0));
}

#[test]
fn an_attempt_that_nobody_takes_up_loses_a_connection_too() {
    let mut run = ByHand::new();
    run.at(4000).reset(0).reset(1);
    let record = run.end();
    assert_eq!(dark(&record), [(4000, u64::MAX)]);
    assert_eq!((record.absence.lost.len(), record.absence.missing_ns), (2, 12_000 * MILLISECOND));
}
