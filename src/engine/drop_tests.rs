//! What the kernel does with an engine's memory after the engine is gone.

use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use super::Settings;
use super::ring::build;
use super::uring::Engine;
use crate::core::schedule::Timeline;
use crate::core::worker::{Expect, Job, Timeouts, Worker};
use crate::plan::{Endpoint, Idle, Route};
use crate::request::RequestImage;
use crate::time::monotonic;

const CONNECTIONS: u32 = 2;
/// More than a connection holds that nobody reads from.
const REQUEST_BYTES: usize = 32 << 20;
const MINUTE_NS: u64 = 60_000_000_000;

fn job() -> Job {
    Job {
        image: RequestImage::new(&vec![b'x'; REQUEST_BYTES], 1, false),
        connections: CONNECTIONS,
        pipeline: 1,
        requests: None,
        duration_ns: Some(MINUTE_NS),
        warmup_ns: 0,
        requests_per_connection: u64::MAX,
        timeouts: Timeouts {
            request_ns: MINUTE_NS,
            connect_ns: MINUTE_NS,
            drain_ns: MINUTE_NS,
            give_up_ns: MINUTE_NS,
        },
        expect: Expect::default(),
        tunnel: None,
        security: None,
        may_discard: false,
        seed: 1,
        worker: 0,
        workers: 1,
        timeline: Timeline::plain(0, MINUTE_NS),
        slice_ns: MINUTE_NS,
        open: None,
        logs_requests: false,
        tells_waiting: false,
    }
}

#[test]
fn an_engine_that_is_dropped_leaves_no_operation_behind() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoints = vec![Endpoint::Inet(listener.local_addr().unwrap())];
    let route = Route { endpoints, ..Route::default() };
    let settings =
        Settings { route: &route, first_connection: 0, idle: Idle::Sleep, cores_left: false };
    let Ok(mut ring) = build(64, 1024) else {
        return eprintln!("not tested: there is no io_uring here");
    };
    let mut engine = Engine::new(&mut ring, &job(), &settings).unwrap();
    let mut worker = Worker::new(job(), monotonic());
    while !worker.is_ready() {
        engine.submit_actions(&mut worker, monotonic());
        engine.fetch();
        engine.reap(&mut worker, monotonic());
    }
    worker.start_at(monotonic());
    worker.tick(monotonic());
    engine.submit_actions(&mut worker, monotonic());
    assert_eq!(worker.requests_in_flight(), u64::from(CONNECTIONS));
    drop(engine);

    // Each receive and each send has completed.
    ring.completion().sync();
    let ended = ring.completion().filter(|ended| ended.result() != 0).count();
    assert!(ended >= CONNECTIONS as usize, "{ended} operations have ended");
    for _ in 0..CONNECTIONS {
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut sent_bytes = 0;
        let mut piece = vec![0; 1 << 20];
        // It ends, with or without an error: the connection is closed.
        while let Ok(length @ 1..) = peer.read(&mut piece).inspect_err(|error| {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it is still open");
        }) {
            assert!(piece[..length].iter().all(|byte| *byte == b'x'));
            sent_bytes += length;
        }
        assert!(sent_bytes < REQUEST_BYTES, "a send goes on");
    }
    ring.submitter().submit_and_wait(0).unwrap();
    assert_eq!(ring.completion().count(), 0, "nothing was under way any more");
}
