//! Several runs one after the other on the same connections, through both engines, against the embedded target.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use maxq::cli::RunArgs;
use maxq::exit::TARGET;
use maxq::plan::Plan;
use maxq::result::summary::Summary;
use maxq::run::{Bench, Connections, Interrupts, Progress, no_connection};
use maxq::serve::{Options, Server};

const ENGINES: [&str; 2] = ["uring", "portable"];

fn target() -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap()
}

/// One run for each of `loads` against a path of `server`.
fn run_all(engine: &str, server: &Server, path: &str, loads: &[&str]) -> Vec<Summary> {
    let url = format!("http://{}{path}", server.local_address());
    let args = |load: &str| {
        let flags = format!("--no-preflight --engine {engine} -t 1 --seed 7 --warmup 0 {load}");
        RunArgs::from_flags(&flags.split(' ').collect::<Vec<_>>()).unwrap()
    };
    let plan = Plan::build(&url, &args(loads[0])).unwrap();
    let mut bench = Bench::prepare(plan, Interrupts::catch().unwrap()).unwrap();
    let mut summaries = Vec::new();
    for load in loads {
        let plan = bench.plan();
        let plan = plan.with_load(plan.load_of(&args(load)).unwrap()).unwrap();
        let summary = bench.run(&plan, |_| {}).unwrap();
        assert_eq!(summary.engine.name(), engine);
        summary.record.conserved().unwrap();
        summaries.push(summary);
    }
    summaries
}

#[test]
fn runs_of_a_session_share_their_connections_and_nothing_else() {
    for engine in ENGINES {
        let server = target();
        let loads = ["-c 8 -R 500 -d 200ms", "-c 8 -R 2k -d 300ms", "-c 8 -R 100 -d 100ms"];
        let runs = run_all(engine, &server, "/", &loads);
        let mut answered = 0;
        for (run, (scheduled, kept)) in runs.iter().zip([(100, 0), (600, 8), (10, 8)]) {
            let (counts, connections) = (run.counts(), &run.record.connections);
            assert_eq!((counts.scheduled, counts.ok), (scheduled, scheduled), "{engine}");
            assert_eq!((connections.opened, connections.reconnects), (8, 0), "{engine}");
            assert_eq!(connections.kept, kept, "{engine}");
            let rows: u64 = run.intervals.iter().map(|row| row.completed).sum();
            assert_eq!(rows, counts.completed(), "{engine}");
            answered += counts.ok;
        }
        let seen = server.counters();
        assert_eq!((seen.connections_accepted, seen.requests_total()), (8, answered), "{engine}");
        server.stop();
    }
}

/// A bench for runs of so many requests each against `url`.
fn bench(url: &str, flags: &str) -> Bench {
    let flags = format!("-t 1 --warmup 0 -c 2 -n 10 {flags}");
    let args = RunArgs::from_flags(&flags.split(' ').collect::<Vec<_>>()).unwrap();
    let plan = Plan::build(url, &args).unwrap();
    Bench::prepare(plan, Interrupts::catch().unwrap()).unwrap()
}

#[test]
fn one_request_before_the_first_run_is_shown_by_all_and_connections_are_kept_or_renewed() {
    for (connections, opened) in [(Connections::Kept, 2), (Connections::Renewed, 6)] {
        let server = target();
        let url = format!("http://{}/", server.local_address());
        let mut bench = bench(&url, "--seed 1").with_connections(connections);
        let plan = bench.plan().clone();
        let mut ends = 0;
        for _ in 0..3 {
            let summary = bench.run(&plan, |progress| {
                ends += u64::from(matches!(progress, Progress::Ended));
            });
            assert_eq!(summary.unwrap().preflight.unwrap().status, 200);
        }
        let seen = server.counters();
        assert_eq!((ends, seen.connections_accepted, seen.requests_total()), (3, 1 + opened, 31));
        server.stop();
    }
}

#[test]
fn the_first_run_that_opens_no_connection_is_refused_and_a_later_one_is_a_result() {
    const PATIENCE: &str = "--no-preflight --give-up 300ms";
    let server = target();
    let url = format!("http://{}/", server.local_address());
    let mut lost = bench(&url, PATIENCE).with_connections(Connections::Renewed);
    let plan = lost.plan().clone();
    assert_eq!(no_connection(&plan, &lost.run(&plan, |_| {}).unwrap()), None);
    server.stop();
    let nothing = lost.run(&plan, |_| {}).unwrap();
    let refusal = no_connection(&plan, &nothing).unwrap();
    assert_eq!(refusal.code, TARGET);
    assert!(refusal.message.contains("no connection to 127.0.0.1"), "{}", refusal.message);
    assert_eq!(bench(&url, PATIENCE).run(&plan, |_| {}).unwrap_err().code, TARGET);
}

#[test]
fn closed_loops_and_pipelines_go_on_where_they_were() {
    for engine in ENGINES {
        let server = target();
        let load = "-c 4 -p 4 -n 1000 --requests-per-connection 300";
        let runs = run_all(engine, &server, "/", &[load, load, load]);
        let ok: u64 = runs.iter().map(|run| run.counts().ok).sum();
        assert_eq!((ok, server.counters().requests_total()), (3000, 3000), "{engine}");
        server.stop();
    }
}

#[test]
fn what_one_run_gave_up_is_no_answer_of_the_next() {
    for engine in ENGINES {
        let server = target();
        let load = "-c 4 -d 250ms --drain 0";
        let runs = run_all(engine, &server, "/delay/100ms", &[load, load, load]);
        for run in &runs {
            assert_eq!(run.counts().in_flight_at_end, 4, "{engine}");
            let connections = &run.record.connections;
            assert_eq!((connections.opened, connections.kept), (4, 0), "{engine}");
            // An answer to what the run before sent would come in half the time.
            let fastest = run.latencies.service.all.min_ns().unwrap();
            let skew_ns = run.record.client.stamp_skew_ns;
            assert!(fastest + skew_ns >= 100_000_000, "{engine}: {fastest}, {skew_ns}");
            assert!(run.record.errors.rows().is_empty(), "{engine}");
        }
        server.stop();
    }
}

#[test]
fn a_server_that_closes_each_connection_is_connected_to_again() {
    for engine in ENGINES {
        let server = target();
        let runs = run_all(engine, &server, "/close", &["-c 4 -n 20", "-c 4 -n 20"]);
        for run in &runs {
            assert_eq!(run.counts().ok, 20, "{engine}: {:?}", run.record.errors.rows());
        }
        server.stop();
    }
}

/// A server that closes connections on which nothing has come for 200 ms; returns its address.
fn impatient() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                // One read holds one request: the next is sent when it was answered.
                while stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Until the kernel knows of every connection to `address` that its other end was closed.
fn await_closing(address: SocketAddr) {
    const ESTABLISHED: &str = "01";
    let port = format!(":{:04X}", address.port());
    let is_open = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[2].ends_with(&port) && fields[3] == ESTABLISHED
    };
    let begun = Instant::now();
    while fs::read_to_string("/proc/net/tcp").unwrap().lines().any(is_open) {
        assert!(begun.elapsed() < Duration::from_secs(20), "the server closes what is silent");
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(10));
}

#[test]
fn connections_that_the_server_closed_in_the_pause_are_open_again_when_the_next_run_begins() {
    // More than the kernel hands over at once.
    const CONNECTIONS: u64 = 100;
    // With one request on each, the last answer is the first on its connection, of which the worker then wants another
    // kind of receive.
    for (engine, each) in ENGINES.into_iter().flat_map(|engine| [(engine, 1), (engine, 10)]) {
        let address = impatient();
        let url = format!("http://{address}/");
        let requests = each * CONNECTIONS;
        let flags = format!(
            "--no-preflight --engine {engine} -t 1 --warmup 0 -c {CONNECTIONS} -n {requests}"
        );
        let args = RunArgs::from_flags(&flags.split(' ').collect::<Vec<_>>()).unwrap();
        let plan = Plan::build(&url, &args).unwrap();
        let mut bench = Bench::prepare(plan.clone(), Interrupts::catch().unwrap()).unwrap();
        for _ in 0..3 {
            let summary = bench.run(&plan, |_| {}).unwrap();
            let connections = &summary.record.connections;
            assert_eq!(summary.counts().ok, requests, "{engine}");
            assert!(summary.record.errors.rows().is_empty(), "{engine}");
            assert_eq!((connections.opened, connections.kept), (CONNECTIONS, 0), "{engine}");
            assert_eq!(connections.reconnects, 0, "{engine}");
            await_closing(address);
        }
    }
}

#[test]
fn in_flight_on_average_is_rate_times_latency() {
    // On a machine that is busy with something else answers lie there unseen, which the law does not know of: such a run
    // says nothing, and is repeated.
    const TRIES: usize = 8;
    for engine in ENGINES {
        let server = target();
        let obeys_the_law = || {
            let runs = run_all(engine, &server, "/delay/2ms", &["-c 16 -d 1s", "-c 16 -d 1s"]);
            runs.iter().all(|run| {
                let in_flight = run.in_flight.unwrap();
                // Never more than there are connections, however late the worker looks.
                assert!((14.0..=16.001).contains(&in_flight.mean), "{engine}: {in_flight:?}");
                // The law leaves out what the client was away for.
                in_flight.difference_pct().unwrap().abs() < 10.0
            })
        };
        assert!((0..TRIES).any(|_| obeys_the_law()), "{engine}: in none of {TRIES} tries");
        server.stop();
    }
}

#[test]
fn connections_opened_together_take_as_long_as_each_by_itself() {
    // Handshakes on the loopback take tens of microseconds; making 64 sockets takes milliseconds. Whatever else runs on
    // this machine may hold up one try, and the best of several tells.
    const TRIES: usize = 8;
    for engine in ENGINES {
        let server = target();
        let medians: Vec<u64> = (0..TRIES)
            .map(|_| {
                let runs = run_all(engine, &server, "/", &["-c 64 -n 64"]);
                let connect = runs[0].record.connect.as_ref().unwrap();
                assert_eq!(connect.count(), 64, "{engine}");
                connect.quantile_ns(0.5).unwrap()
            })
            .collect();
        let best_ns = medians.iter().min().unwrap();
        assert!(*best_ns < 400_000, "{engine}: {medians:?}");
    }
}
