//! Counting answers that repeat the one before them comes to what counting each of them comes to.

use proptest::prelude::*;

use super::tests::{MILLISECOND, SECOND, piped};
use super::{Action, Event, Job, Worker};
use crate::core::conn::ConnId;
use crate::core::http1::Response;
use crate::core::record::Record;
use crate::core::worker::Expect;
use crate::time::Nanos;

const DEPTH: u32 = 8;
const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nDate: 1\r\nContent-Length: 5\r\n\r\nhello";
/// What a server may answer; each is likely to be followed by itself.
const ANSWERS: [&[u8]; 10] = [
    GOOD,
    b"HTTP/1.1 200 OK\r\nDate: 2\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nDate: 1\r\nContent-Length: 5\r\n\r\nworld",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
];

/// A worker on one connection, with all the requests in flight that it wants.
struct Running {
    worker: Worker,
    conn: ConnId,
    in_flight: usize,
    asked: Vec<Action>,
}

impl Running {
    fn new(job: &Job, repeats: bool, now: Nanos) -> Self {
        let mut worker = Worker::new(job.clone(), now);
        worker.batch.repeats &= repeats;
        let conn = ConnId { index: 0, generation: 0 };
        let mut running = Self { worker, conn, in_flight: 0, asked: Vec::new() };
        running.carry_out(now);
        running.worker.start_at(now);
        running.carry_out(now);
        running
    }

    fn carry_out(&mut self, now: Nanos) {
        self.worker.tick(now);
        while let Some(action) = self.worker.next_action() {
            self.asked.push(action);
            match action {
                Action::Connect(conn) => {
                    (self.conn, self.in_flight) = (conn, 0);
                    self.worker.on_event(now, Event::Connected(conn));
                }
                Action::Send { count, .. } => self.in_flight += count as usize,
                _ => {}
            }
        }
        self.worker.submitted(now);
    }

    fn receive(&mut self, now: Nanos, conn: ConnId, bytes: &[u8]) {
        self.worker.events_at(now, super::Late::default());
        self.worker.on_event(now, Event::Received(conn, bytes));
        self.carry_out(now);
    }

    /// All that it remembers in the end, and all that it has asked for.
    fn found(mut self, now: Nanos) -> (String, Vec<Action>) {
        self.worker.stop(now, 0);
        self.worker.tick(now.plus(1));
        assert!(self.worker.is_finished());
        let mut found = String::new();
        while let Some(interval) = self.worker.take_interval() {
            found += &format!("{interval:?}\n");
        }
        let (record, _) = self.worker.take_record(now);
        // A sum has memory for what was counted only.
        let mut sum = Record::new(record.phases.len(), false);
        sum.add(&record);
        found += &format!("{sum:?}");
        (found, self.asked)
    }
}

/// A piece of a stream: so many times an answer, cut into pieces of so many bytes, each so much later.
type Piece = (usize, usize, usize, u64);

fn job(limit: u64, needle: bool) -> Job {
    let body_contains = needle.then(|| b"hello"[..].into());
    Job {
        connections: 1,
        requests_per_connection: limit,
        duration_ns: Some(10 * SECOND),
        slice_ns: 20 * MILLISECOND,
        expect: Expect { body_contains, ..Expect::default() },
        ..piped(DEPTH)
    }
}

fn found(job: &Job, repeats: bool, stream: &[Piece]) -> (String, Vec<Action>) {
    let mut now = Nanos(SECOND);
    let mut running = Running::new(job, repeats, now);
    for &(answer, times, piece, later_ns) in stream {
        let times = times.min(running.in_flight);
        running.in_flight -= times;
        let (conn, bytes) = (running.conn, ANSWERS[answer].repeat(times));
        for piece in bytes.chunks(piece) {
            now = now.plus(later_ns);
            running.receive(now, conn, piece);
        }
    }
    running.found(now.plus(1))
}

proptest! {
    #[test]
    fn answers_that_repeat_one_another_are_counted_as_each_of_them_would_be(
        stream in prop::collection::vec(
            (0..ANSWERS.len(), 1..=DEPTH as usize, prop_oneof![1..40_usize, 40..1000_usize], 0..30 * MILLISECOND),
            1..20,
        ),
        limit in prop_oneof![Just(u64::MAX), 1..20_u64],
        needle in any::<bool>(),
    ) {
        let job = job(limit, needle);
        prop_assert!(found(&job, true, &stream) == found(&job, false, &stream));
    }
}

#[test]
fn repeated_answers_are_counted_without_framing_them() {
    let mut running = Running::new(&job(u64::MAX, false), true, Nanos(SECOND));
    let now = Nanos(SECOND + MILLISECOND);
    let response = Response { status: 200, keep_alive: true, body_bytes: 5, contains: true };
    let stream = [&GOOD.repeat(3)[..], ANSWERS[1]].concat();
    let rest = running.worker.complete_repeats(now, 0, (GOOD, &response), &stream);
    assert_eq!(rest, ANSWERS[1]);
    assert_eq!(running.worker.requests_in_flight(), u64::from(DEPTH) - 3);
}

#[test]
fn the_last_answer_that_a_connection_may_give_is_framed_even_if_it_repeats_another() {
    let mut running = Running::new(&job(3, false), true, Nanos(SECOND));
    let now = Nanos(SECOND + MILLISECOND);
    let response = Response { status: 200, keep_alive: true, body_bytes: 5, contains: true };
    let stream = GOOD.repeat(3);
    let rest = running.worker.complete_repeats(now, 0, (GOOD, &response), &stream);
    assert_eq!(rest, GOOD, "two are counted, and the third ends the connection");
}

#[test]
fn the_end_of_an_answer_is_not_taken_for_another_answer() {
    let mut running = Running::new(&job(u64::MAX, false), true, Nanos(SECOND));
    let now = Nanos(SECOND + MILLISECOND);
    let (head, body) = GOOD.split_at(GOOD.len() - 5);
    running.receive(now, running.conn, head);
    running.receive(now, running.conn, &body.repeat(3));
    let counts = running.worker.take_record(now).0.measured().counts;
    assert_eq!((counts.ok, counts.protocol_error), (1, 1));
}
