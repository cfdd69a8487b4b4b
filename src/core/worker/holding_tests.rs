//! A pipeline is refilled by halves, and never waits long for a server that waits for the client.

use super::tests::{MILLISECOND, SECOND, piped, run, server};
use super::{Action, Event, Job, Worker};
use crate::core::conn::ConnId;
use crate::engine::sim::{Queue, Server};
use crate::time::Nanos;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A worker in the middle of a run, on one connection with sixteen requests in flight.
struct Piped {
    worker: Worker,
    conn: ConnId,
    now: Nanos,
}

impl Piped {
    fn new() -> Self {
        Self::of(piped(16))
    }

    fn of(job: Job) -> Self {
        let now = Nanos(SECOND);
        let mut worker = Worker::new(Job { connections: 1, ..job }, now);
        let Some(Action::Connect(conn)) = worker.next_action() else { panic!("no connect") };
        worker.on_event(now, Event::Connected(conn));
        worker.start_at(now);
        let mut piped = Self { worker, conn, now };
        assert_eq!(piped.asks_for(), 16);
        piped
    }

    /// How many requests the worker wants to send now.
    fn asks_for(&mut self) -> u32 {
        self.worker.tick(self.now);
        let mut asked = 0;
        while let Some(action) = self.worker.next_action() {
            asked += if let Action::Send { count, .. } = action { count } else { 0 };
        }
        self.worker.submitted(self.now);
        asked
    }

    /// Answers come, and the worker asks for so many requests.
    fn answer(&mut self, count: usize) -> u32 {
        self.worker.on_event(self.now, Event::Received(self.conn, &ANSWER.repeat(count)));
        self.asks_for()
    }

    fn after(&mut self, length_ns: u64) -> u32 {
        self.now = self.now.plus(length_ns);
        self.asks_for()
    }
}

#[test]
fn a_pipeline_is_refilled_by_halves_and_shows_what_was_in_flight() {
    // Answers come one by one: from sixteen in flight down to nine, and then there are sixteen again.
    let queue = Some(Queue::single(10_000, false));
    let server = Server { queue, delay_ns: 0, ..server() };
    let outcome = run(Job { connections: 1, ..piped(16) }, &server);
    let counts = outcome.record.measured().counts;
    assert_eq!(counts.ok, counts.sent);
    let interval = outcome.intervals.iter().find(|interval| interval.index == 0).unwrap();
    let tenths = interval.in_flight_ns * 10 / SECOND;
    assert!((120..=130).contains(&tenths), "{tenths} tenths of a request in flight");
}

#[test]
fn requests_are_held_back_while_answers_come_and_for_five_milliseconds_more() {
    let mut piped = Piped::new();
    for _ in 0..3 {
        assert_eq!(piped.answer(1), 0);
        assert_eq!(piped.after(4 * MILLISECOND), 0);
    }
    assert!(piped.worker.next_deadline() <= piped.now.plus(MILLISECOND), "an engine wakes up then");
    assert_eq!(piped.after(MILLISECOND), 3);
}

#[test]
fn a_connection_that_was_held_back_in_vain_is_refilled_at_once_and_each_time_for_twice_as_long() {
    let mut piped = Piped::new();
    for answers in [64, 128, 256] {
        assert_eq!(piped.answer(1), 0);
        assert_eq!(piped.after(5 * MILLISECOND), 1);
        for _ in 0..answers {
            assert_eq!(piped.answer(1), 1);
        }
    }
    // Once half of it has come in time, the next failure is the first one again.
    assert_eq!((piped.answer(7), piped.answer(1)), (0, 8));
    assert_eq!(piped.answer(1), 0);
    assert_eq!(piped.after(5 * MILLISECOND), 1);
    for _ in 0..64 {
        assert_eq!(piped.answer(1), 1);
    }
    assert_eq!(piped.answer(1), 0);
}

#[test]
fn a_part_of_an_answer_is_no_reason_to_wait_longer() {
    let mut piped = Piped::new();
    assert_eq!(piped.answer(1), 0);
    let conn = piped.conn;
    for byte in &ANSWER[..5] {
        assert_eq!(piped.after(MILLISECOND - 1), 0);
        piped.worker.on_event(piped.now, Event::Received(conn, &[*byte]));
    }
    assert_eq!(piped.after(5), 1);
}

#[test]
fn nothing_is_held_back_where_nothing_more_may_be_sent() {
    for job in [
        Job { requests_per_connection: 16, ..piped(16) },
        Job { requests: Some(16), duration_ns: None, ..piped(16) },
    ] {
        let mut piped = Piped::of(job);
        assert_eq!(piped.answer(1), 0);
        assert_eq!(piped.worker.holding.look_at, Nanos::NEVER);
    }
}

#[test]
fn what_a_connection_was_held_back_for_says_nothing_of_the_next_one_in_its_place() {
    let mut piped = Piped::new();
    assert_eq!((piped.answer(1), piped.after(5 * MILLISECOND)), (0, 1));
    assert_eq!(piped.answer(1), 1, "it is refilled at once now");
    piped.worker.on_event(piped.now, Event::Eof(piped.conn));
    piped.worker.tick(piped.now);
    let next = std::iter::from_fn(|| piped.worker.next_action()).find_map(|action| match action {
        Action::Connect(next) => Some(next),
        _ => None,
    });
    piped.conn = next.expect("it is opened again");
    piped.worker.on_event(piped.now, Event::Connected(piped.conn));
    assert_eq!(piped.asks_for(), 16);
    assert_eq!(piped.answer(1), 0);
}

#[test]
fn the_last_requests_of_a_count_are_sent_in_the_end() {
    for requests in [1, 7, 8, 9, 16, 17, 20, 23, 24, 25, 1000] {
        let job = Job { requests: Some(requests), duration_ns: None, ..piped(16) };
        let outcome = run(job, &server());
        assert_eq!(outcome.record.measured().counts.ok, requests);
    }
}
