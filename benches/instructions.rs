//! Instruction counts of what a request costs in user space, by callgrind: the same on a busy machine and a quiet one.
//!
//! Each benchmark handles [`ROUNDS`] requests or responses; divide its instructions by that. Run it with
//! `scripts/bench-instructions`, which does the division.

#![allow(missing_docs, unused_qualifications, reason = "what the macros of the harness generate")]

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use maxq::core::conn::ConnId;
use maxq::core::http1::{Framer, Progressed, ResponseReader};
use maxq::core::schedule::Timeline;
use maxq::core::worker::{Action, Event, Job, Worker};
use maxq::core::worker::{Expect, Timeouts};
use maxq::request::RequestImage;
use maxq::time::Nanos;

/// Requests or responses a benchmark.
const ROUNDS: u32 = 10_000;
const CONNECTIONS: u32 = 64;
const SECOND: u64 = 1_000_000_000;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: maxq/0.1.0\r\nAccept: */*\r\n\r\n";

/// As nginx answers with a small file: a head of 238 bytes.
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 05:00:00 GMT\r\n\
    Content-Type: text/html\r\nContent-Length: 13\r\nLast-Modified: Mon, 23 Nov 2026 04:00:00 GMT\r\n\
    Connection: keep-alive\r\nETag: \"6562d0f0-d\"\r\nAccept-Ranges: bytes\r\n\r\nHello, World\n";

/// A worker in the middle of a run, over the smallest engine that there can be: it answers every send at once.
struct Running {
    worker: Worker,
    now: Nanos,
    asked: Vec<(ConnId, u32)>,
    stream: Vec<u8>,
}

impl Running {
    fn new(pipeline: u32) -> Self {
        let begun = Nanos(SECOND);
        let timeout_ns = 1_000 * SECOND;
        let job = Job {
            image: RequestImage::new(REQUEST, pipeline, false),
            connections: CONNECTIONS,
            pipeline,
            requests: None,
            duration_ns: Some(1_000 * SECOND),
            warmup_ns: 0,
            requests_per_connection: u64::MAX,
            timeouts: Timeouts {
                request_ns: timeout_ns,
                connect_ns: timeout_ns,
                drain_ns: timeout_ns,
                give_up_ns: timeout_ns,
            },
            expect: Expect::default(),
            tunnel: None,
            security: None,
            may_discard: true,
            seed: 1,
            worker: 0,
            workers: 1,
            timeline: Timeline::plain(0, u64::MAX),
            slice_ns: SECOND / 10,
            open: None,
            logs_requests: false,
            tells_waiting: false,
        };
        let stream = RESPONSE.repeat(pipeline as usize);
        let mut running =
            Self { worker: Worker::new(job, begun), now: begun, asked: Vec::new(), stream };
        running.open();
        running.turns(4 * CONNECTIONS * pipeline);
        running
    }

    fn open(&mut self) {
        while !self.worker.is_ready() {
            while let Some(action) = self.worker.next_action() {
                if let Action::Connect(id) = action {
                    self.worker.on_event(self.now, Event::Connected(id));
                }
            }
        }
        self.worker.start_at(self.now);
        self.worker.tick(self.now);
    }

    /// Turns of the loop until `requests` have been answered.
    fn turns(&mut self, requests: u32) {
        let mut answered = 0;
        while answered < requests {
            self.worker.tick(self.now);
            while let Some(action) = self.worker.next_action() {
                if let Action::Send { conn, count, .. } = action {
                    self.asked.push((conn, count));
                }
            }
            self.worker.submitted(self.now);
            self.now = self.now.plus(50_000);
            for &(conn, count) in &self.asked {
                answered += count;
                let bytes = &self.stream[..RESPONSE.len() * count as usize];
                self.worker.on_event(self.now, Event::Received(conn, bytes));
            }
            self.asked.clear();
        }
    }
}

fn running(pipeline: u32) -> Running {
    Running::new(pipeline)
}

#[library_benchmark]
#[bench::depth_1(running(1))]
#[bench::depth_16(running(16))]
fn request_and_response(mut running: Running) -> Running {
    running.turns(black_box(ROUNDS));
    running
}

fn reader(learned: bool) -> (ResponseReader, Framer) {
    let mut framer = Framer::new(false, None);
    let mut reader = ResponseReader::new();
    if learned {
        read(&mut reader, &mut framer, RESPONSE);
    }
    (reader, framer)
}

fn read(reader: &mut ResponseReader, framer: &mut Framer, response: &[u8]) {
    match reader.advance(black_box(response), framer) {
        Ok(Progressed::Whole { consumed, .. }) => assert_eq!(consumed, response.len()),
        other => panic!("{other:?}"),
    }
}

#[library_benchmark]
#[bench::learned(reader(true))]
fn framing_of_a_head_that_repeats((mut reader, mut framer): (ResponseReader, Framer)) {
    for _ in 0..ROUNDS {
        read(&mut reader, &mut framer, RESPONSE);
    }
}

// Two heads in turn, of different length: nothing that was learned holds.
#[library_benchmark]
#[bench::full(reader(false))]
fn framing_of_a_head_that_changes((mut reader, mut framer): (ResponseReader, Framer)) {
    const OTHER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 05:00:00 GMT\r\n\
        Content-Type: text/html\r\nContent-Length: 3\r\nConnection: keep-alive\r\nETag: \"6562d0f0-3\"\r\n\r\nabc";
    for _ in 0..ROUNDS / 2 {
        read(&mut reader, &mut framer, RESPONSE);
        read(&mut reader, &mut framer, OTHER);
    }
}

#[library_benchmark]
#[bench::dated(reader(true))]
fn framing_of_a_head_with_another_date((mut reader, mut framer): (ResponseReader, Framer)) {
    let mut other = RESPONSE.to_vec();
    let second = other.windows(8).position(|window| window == b"05:00:00").expect("a date") + 7;
    for round in 0..ROUNDS {
        other[second] = b'0' + u8::from(round % 2 == 0);
        read(&mut reader, &mut framer, &other);
    }
}

fn chunked() -> (ResponseReader, Framer, Vec<u8>) {
    let mut response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..4 {
        response.extend_from_slice(b"400\r\n");
        response.resize(response.len() + 1024, b'x');
        response.extend_from_slice(b"\r\n");
    }
    response.extend_from_slice(b"0\r\n\r\n");
    let (mut reader, mut framer) = reader(false);
    read(&mut reader, &mut framer, &response);
    (reader, framer, response)
}

#[library_benchmark]
#[bench::four_chunks(chunked())]
fn framing_of_chunks((mut reader, mut framer, response): (ResponseReader, Framer, Vec<u8>)) {
    for _ in 0..ROUNDS {
        read(&mut reader, &mut framer, &response);
    }
}

library_benchmark_group!(name = worker; benchmarks = request_and_response);
library_benchmark_group!(
    name = framing;
    benchmarks =
        framing_of_a_head_that_repeats,
        framing_of_a_head_with_another_date,
        framing_of_a_head_that_changes,
        framing_of_chunks
);
main!(library_benchmark_groups = worker, framing);
