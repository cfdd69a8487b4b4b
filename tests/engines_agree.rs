//! The same requests through every engine: what was counted must not depend on who talked to the kernel; and what happens
//! where io_uring cannot be had.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod support;
#[path = "responses/vectors.rs"]
mod vectors;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use maxq::core::record::Counts;
use maxq::core::schedule::Timeline;
use maxq::core::worker::Job;
use maxq::core::worker::{Expect, Timeouts};
use maxq::engine::sim;
use maxq::request::RequestImage;
use maxq::serve::{Options, Server};
use serde_json::Value;
use support::report::Report;
use support::scripted::Scripted;
use support::without_ring::refused;
use support::{Ended, maxq, run};

const MILLISECOND: u64 = 1_000_000;
const OUTCOMES: [&str; 9] = [
    "scheduled",
    "ok",
    "http_error",
    "protocol_error",
    "truncated",
    "reset",
    "timeout",
    "in_flight_at_end",
    "unsent",
];

/// Tests take turns: a program that one of them starts would inherit the target's sockets of another, and keep open
/// what the target has closed or reset.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn target() -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap()
}

fn with(engine: &str, arguments: &[&str], url: &str) -> Ended {
    let common = ["--engine", engine, "-t", "1", "--json", "--no-preflight"];
    run(maxq().args(common).args(arguments).arg(url))
}

/// Counts by outcome, status codes, and errors by kind.
fn tallies(ended: &Ended) -> (Vec<u64>, Value, Vec<(String, u64)>) {
    let report = Report::of(&ended.stdout);
    let counts = OUTCOMES.iter().map(|outcome| report.count(outcome)).collect();
    let errors = report.json["errors"].as_array().unwrap().iter();
    let mut errors: Vec<(String, u64)> = errors
        .map(|row| (format!("{}/{}", row["phase"], row["kind"]), row["count"].as_u64().unwrap()))
        .collect();
    errors.sort();
    (counts, report.json["status"].clone(), errors)
}

/// What the simulated engine counts when the server does nothing but `deed`.
fn simulated(deed: sim::Deed, requests: u64) -> Vec<u64> {
    let job = Job {
        image: RequestImage::new(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1, false),
        connections: 2,
        pipeline: 1,
        requests: Some(requests),
        duration_ns: None,
        warmup_ns: 0,
        requests_per_connection: u64::MAX,
        timeouts: Timeouts {
            request_ns: 600 * MILLISECOND,
            connect_ns: 1_000 * MILLISECOND,
            drain_ns: 1_000 * MILLISECOND,
            give_up_ns: 10_000 * MILLISECOND,
        },
        expect: Expect::default(),
        tunnel: None,
        security: None,
        may_discard: true,
        seed: 1,
        worker: 0,
        workers: 1,
        timeline: Timeline::plain(0, u64::MAX),
        slice_ns: 1_000 * MILLISECOND,
        open: None,
        logs_requests: false,
        tells_waiting: false,
    };
    let server = sim::Server {
        response: b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec(),
        delay_ns: MILLISECOND,
        queue: None,
        deeds: vec![(deed, 1)],
        refused_percent: 0,
        idle_ns: None,
        piece_bytes: 1 << 20,
        mirror: None,
        seed: 7,
        client_stops: None,
        user_stops: None,
    };
    let counts: Counts = sim::run(job, &server).record.measured().counts;
    vec![
        counts.scheduled,
        counts.ok,
        counts.http_error,
        counts.protocol_error,
        counts.truncated,
        counts.reset,
        counts.timeout,
        counts.in_flight_at_end,
        counts.unsent,
    ]
}

#[test]
fn what_was_sent_of_an_unfinished_request_is_counted_by_every_engine() {
    const BODY_BYTES: u64 = 40 << 20;
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    File::create(&path).unwrap().set_len(BODY_BYTES).unwrap();
    let body = format!("@{}", path.display());
    let flags = ["-b", &body, "-c", "2", "--timeout", "500ms", "-d", "600ms", "--warmup", "0"];
    for engine in ["uring", "portable"] {
        for answers in [false, true] {
            let read = Arc::new(AtomicU64::new(0));
            let seen = Arc::clone(&read);
            let server = Scripted::start(move |peer| {
                // A part of the request is read, and no more of it.
                let mut piece = vec![0; 1 << 20];
                if peer.stream().read_exact(&mut piece).is_err() {
                    return;
                }
                seen.fetch_add(1 << 20, Ordering::SeqCst);
                if answers {
                    peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
                }
                thread::sleep(Duration::from_millis(700));
            });
            let ended = with(engine, &flags, &server.url());
            let report = Report::of(&ended.stdout);
            let (sent, requests) = (report.number("/bytes/sent"), report.count("sent"));
            let read = read.load(Ordering::SeqCst);
            assert!(read > 0 && sent >= read, "{engine}: {read} of {sent} bytes were read");
            assert!(sent < BODY_BYTES * requests, "{engine}: the server stopped reading");
            let ended = if answers { "http_error" } else { "timeout" };
            assert!(report.count(ended) > 0, "{engine}: {:#}", report.json["counts"]);
        }
    }
}

#[test]
fn each_fault_is_counted_alike_by_every_engine() {
    let _turn = turn();
    const REQUESTS: u64 = 12;
    let server = target();
    for (law, deed) in [
        ("", sim::Deed::Answer),
        ("p503=1", sim::Deed::Refuse),
        ("pgarbage=1", sim::Deed::Garbage),
        ("ptruncated=1", sim::Deed::Cut),
        ("pclose=1", sim::Deed::Close),
        ("preset=1", sim::Deed::Reset),
        ("psilent=1", sim::Deed::Ignore),
    ] {
        let expected = simulated(deed, REQUESTS);
        for engine in ["uring", "portable"] {
            let path = format!("/law/script?{law}&run={engine}");
            let url = format!("http://{}{path}", server.local_address());
            let flags = ["-n", &REQUESTS.to_string(), "-c", "2", "--timeout", "600ms"];
            let ended = with(engine, &flags, &url);
            assert_eq!(tallies(&ended).0, expected, "{engine}, {law}: {}", ended.stdout);
            assert_eq!(server.law_counters(&path).unwrap().requests, REQUESTS);
        }
    }
}

#[test]
fn a_mixture_of_faults_is_told_apart_alike() {
    let _turn = turn();
    let server = target();
    let faults =
        "seed=3&p503=0.1&preset=0.05&ptruncated=0.05&pgarbage=0.05&pclose=0.05&psilent=0.01";
    // In an open loop a request that waits may time out just after it was sent: none may, there.
    let quick = faults.trim_end_matches("&psilent=0.01");
    for load in [
        &["-n", "400", "-c", "1", "--timeout", "1s"][..],
        &["-R", "400", "-d", "1s", "-c", "1", "--timeout", "20s"],
    ] {
        let found = ["uring", "portable"].map(|engine| {
            let faults = if load[0] == "-n" { faults } else { quick };
            let path = format!("/law/script?{faults}&run={engine}{}", load.len());
            let url = format!("http://{}{path}", server.local_address());
            let ended = with(engine, &[load, &["--warmup", "0"]].concat(), &url);
            let laws = server.law_counters(&path).unwrap();
            let tallies = tallies(&ended);
            assert_eq!(laws.requests, tallies.0[0] - tallies.0[8], "what was sent arrived");
            assert_eq!(laws.answered_503, tallies.0[2]);
            assert_eq!(laws.reset, tallies.0[5], "{engine} {load:?} {tallies:?} {laws:?}");
            (tallies, laws.answered_200)
        });
        // One connection asks one request after the other, so that the law draws the same for both.
        if load[0] == "-n" {
            assert_eq!(found[0], found[1]);
        }
    }
}

#[test]
fn a_fifth_of_all_requests_may_go_wrong_and_each_is_counted_as_what_it_was() {
    let _turn = turn();
    let server = target();
    let faults = "seed=11&d=1ms&p503=0.04&preset=0.04&ptruncated=0.03&pgarbage=0.03&pclose=0.03&psilent=0.03";
    for engine in ["uring", "portable"] {
        for load in [&["-R", "1500"][..], &["-R", "1500", "--arrivals", "poisson"], &[]] {
            let path = format!("/law/script?{faults}&run={engine}{}", load.len());
            let url = format!("http://{}{path}", server.local_address());
            let common = ["-d", "1s", "--warmup", "0", "-c", "200", "--timeout", "1500ms"];
            let ended = with(engine, &[&common[..], load].concat(), &url);
            let report = Report::of(&ended.stdout);
            let law = server.law_counters(&path).unwrap();
            let shown = format!("{engine} {load:?}: {law:?} {:#}", report.json["counts"]);
            assert_eq!(law.requests, report.count("sent"), "{shown}");
            assert_eq!(law.answered_200, report.count("ok"), "{shown}");
            assert_eq!(law.answered_503, report.count("http_error"), "{shown}");
            assert_eq!(law.garbage, report.count("protocol_error"), "{shown}");
            assert_eq!(law.reset, report.count("reset"), "{shown}");
            assert_eq!(law.truncated + law.closed, report.count("truncated"), "{shown}");
            assert_eq!(law.silent, report.count("timeout"), "{shown}");
            assert!(law.reset > 10 && law.silent > 10, "{shown}");
        }
    }
}

#[test]
fn every_engine_gets_the_same_bytes() {
    let _turn = turn();
    let server = target();
    for path in ["/bytes/0", "/bytes/100000", "/bytes/3000000", "/chunked/70000", "/status/204"] {
        let url = format!("http://{}{path}", server.local_address());
        let bytes = ["uring", "portable"].map(|engine| {
            let report = Report::of(&with(engine, &["-n", "20", "-c", "2"], &url).stdout);
            assert_eq!(report.count("ok"), 20, "{engine} {path}");
            report.json["bytes"]["received"].as_u64().unwrap()
        });
        assert_eq!(bytes[0], bytes[1], "{path}");
    }
    // Bodies that no socket takes at once.
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    std::fs::write(&body, vec![b'x'; 5_000_000]).unwrap();
    let body = format!("@{}", body.display());
    for engine in ["uring", "portable"] {
        let url = format!("http://{}/", server.local_address());
        let flags = ["-n", "8", "-c", "2", "-b", &body, "--timeout", "20s"];
        let common = ["--engine", engine, "-t", "1", "--json"];
        let report = Report::of(&run(maxq().args(common).args(flags).arg(&url)).stdout);
        assert_eq!(report.count("ok"), 8, "{engine}");
        assert!(report.json["bytes"]["sent"].as_u64().unwrap() > 40_000_000);
    }
}

/// The class that a request falls into whose answer is a vector.
fn class_of(vector: &vectors::Vector) -> &'static str {
    let first = vector.verdict.split(',').next().unwrap();
    let number = |text: &str| text.parse::<u16>().unwrap_or_else(|_| panic!("{}", vector.line));
    let status = first.split(' ').nth(1).map(number);
    match (first, status) {
        ("bad", _) => "protocol_error",
        ("cut", _) => "truncated",
        (_, Some(200..400)) => "ok",
        (_, Some(400..600)) => "http_error",
        _ => "unexpected",
    }
}

#[test]
fn every_engine_reads_the_known_vectors_alike() {
    let _turn = turn();
    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let all = Arc::new(vectors::all());
    let mut expected = BTreeMap::from([("ok", all.len() as u64)]);
    for vector in all.iter() {
        *expected.entry(class_of(vector)).or_default() += 1;
    }
    for engine in ["uring", "portable"] {
        for byte_by_byte in [false, true] {
            // A good answer between two vectors, so that nobody backs off.
            let answers = Arc::clone(&all);
            let server = Scripted::start(move |mut peer| {
                while let Some(number) = peer.request() {
                    if number.is_multiple_of(2) {
                        peer.send(GOOD);
                        continue;
                    }
                    let at = usize::try_from(number / 2).unwrap();
                    let Some(vector) = answers.get(at) else { return };
                    // What comes late behind a whole answer would be taken for the next one.
                    let alone = !vector.verdict.contains(',');
                    if byte_by_byte && alone && vector.bytes.len() < 300 {
                        vector.bytes.chunks(1).for_each(|byte| peer.send(byte));
                    } else {
                        peer.send(&vector.bytes);
                    }
                    if vector.verdict.contains("keep") && alone {
                        continue;
                    }
                    peer.half_close();
                    return peer.wait_for_close();
                }
            });
            let requests = (2 * all.len()).to_string();
            let ended = with(engine, &["-n", &requests, "-c", "1"], &server.url());
            let report = Report::of(&ended.stdout);
            for (class, count) in &expected {
                let found = report.count(class);
                assert_eq!(
                    found, *count,
                    "{class}, {engine}, {byte_by_byte}: {:#}",
                    report.json["counts"]
                );
            }
        }
    }
}

#[test]
fn where_io_uring_is_refused_the_portable_engine_takes_its_place_and_says_why() {
    let _turn = turn();
    let server = target();
    let url = format!("http://{}/", server.local_address());
    for (errno, cause) in [
        (libc::EPERM, "EPERM"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::ENOMEM, "ulimit -l"),
        (libc::EINVAL, "too old"),
    ] {
        let mut command = maxq();
        command.args(["-t", "1", "-c", "2", "-n", "50", "--json"]).arg(&url);
        let ended = run(&mut refused(command, errno));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(cause) && ended.stderr.contains("portable"));
        let report = Report::of(&ended.stdout);
        report.assert_all_ok();
        assert_eq!(report.text("/tool/engine"), "portable");
        assert!(report.text("/tool/engine_instead_because").contains(cause));

        let mut command = maxq();
        command.args(["--engine", "uring", "-n", "50"]).arg(&url);
        let ended = run(&mut refused(command, errno));
        assert_eq!(ended.code, Some(7), "{}", ended.stderr);
        assert!(ended.stderr.contains("--engine uring") && ended.stderr.contains(cause));
        assert_eq!((ended.stderr.lines().count(), ended.stdout.as_str()), (1, ""));
    }
}

#[test]
fn a_quiet_run_falls_back_in_silence() {
    let _turn = turn();
    let server = target();
    let mut command = maxq();
    command.args(["-q", "-t", "1", "-c", "2", "-n", "50"]);
    command.arg(format!("http://{}/", server.local_address()));
    let ended = run(&mut refused(command, libc::EPERM));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_chosen_portable_engine_is_no_fallback() {
    let _turn = turn();
    let server = target();
    let url = format!("http://{}/", server.local_address());
    let ended = with("portable", &["-n", "50", "-c", "2"], &url);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let report = Report::of(&ended.stdout);
    assert_eq!(report.text("/tool/engine"), "portable");
    assert!(report.json["tool"]["engine_instead_because"].is_null());
}

#[test]
fn the_demo_runs_without_io_uring() {
    let _turn = turn();
    let mut command = maxq();
    command.args(["demo", "-d", "200ms", "--warmup", "0", "-c", "4", "--json"]);
    let ended = run(&mut refused(command, libc::EPERM));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    Report::of(&ended.stdout).assert_all_ok();
}

#[test]
fn a_portable_open_loop_that_sleeps_says_what_that_costs() {
    let _turn = turn();
    let server = target();
    let url = format!("http://{}/", server.local_address());
    let flags = ["--engine", "portable", "-R", "200", "-d", "500ms", "--warmup", "0"];
    let told = |idle: &str| {
        let ended = run(maxq().args(flags).args(["--idle", idle, "-c", "4"]).arg(&url));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.contains("sleeps by the millisecond")
    };
    assert_eq!((told("sleep"), told("auto")), (true, false));
}
