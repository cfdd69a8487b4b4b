//! Targets that go away in mid-run, or spoil what they are asked: what the verdict and the gates say of it, and that every
//! request that is due is sent all the same.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use maxq::serve::{Options, Server};
use serde_json::Value;
use support::nginx::Nginx;
use support::report::{Report, checked, measure, measure_to};
use support::scripted::{Peer, Scripted};
use support::{Ended, Running, maxq, wait_until};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
const GATES: &str = "p99<50ms, errors<0.1%";
const CONNECTIONS: u64 = 8;

/// Either loop on either engine, or the one that the machine has.
const LOADS: [&[&str]; 4] = [
    &["--engine", "auto"],
    &["--engine", "auto", "-R", "400"],
    &["--engine", "portable"],
    &["--engine", "portable", "-R", "400"],
];

/// Begins a run of so many seconds against nginx with gates that a target that is there keeps with ease, and returns when
/// it is under way.
fn begin(nginx: &Nginx, load: &[&str], seconds: &str) -> Running {
    let asked = nginx.read("access.log").len();
    let mut command = maxq();
    command.args(["--no-preflight", "-t", "1", "-c", "8", "--warmup", "0", "--json"]);
    command.args(["-d", seconds, "--drain", "300ms", "--slo", GATES]).args(load);
    let running = Running::start(command.arg(nginx.url("/small")));
    wait_until("load", || nginx.read("access.log").len() > asked);
    running
}

/// The report of a run whose gates failed, which is complained of on the side.
fn failed(ended: &Ended) -> Report {
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("--slo"), "{}", ended.stderr);
    Report::of(&ended.stdout)
}

/// The text of a rule that makes the run invalid; `None` when it does not.
fn invalid(report: &Report, rule: &str) -> Option<String> {
    let reasons = report.json["verdict"]["reasons"].as_array().expect("reasons are a list");
    let found =
        reasons.iter().find(|reason| reason["rule"] == rule && reason["level"] == "invalid");
    Some(found?["text"].as_str().expect("a text").to_owned())
}

/// When the reason says that it began, and when it ended; `None` for the end of the run.
fn times(text: &str) -> (f64, Option<f64>) {
    let after = |word: &str| {
        let rest = text.split_once(word)?.1;
        rest.split(' ').next()?.parse().ok()
    };
    (after("from ").unwrap_or_else(|| panic!("no time in {text}")), after(" s to "))
}

fn gates(report: &Report) -> Vec<bool> {
    let gates = report.json["slo"].as_array().expect("gates are a list");
    gates.iter().map(|gate| gate["pass"] == Value::Bool(true)).collect()
}

/// The target went away and stayed away: no gate holds, and the verdict says from when on.
fn assert_lost(load: &[&str], report: &Report) -> f64 {
    let verdict = &report.json["verdict"];
    assert_eq!(verdict["valid"], false, "{load:?} {verdict:#}");
    let Some(text) = invalid(report, "T1") else { panic!("{load:?} {verdict:#}") };
    let (from_s, to_s) = times(&text);
    assert_eq!(to_s, None, "{load:?} {text}");
    assert_eq!(gates(report), [false, false], "{load:?} {:#}", report.json["slo"]);
    assert_eq!(report.number("/connections/lost"), CONNECTIONS, "{load:?}");
    from_s
}

#[test]
fn a_server_that_is_killed_early_leaves_no_valid_run_and_no_gate_that_holds() {
    for load in LOADS {
        let mut nginx = Nginx::start(&[]);
        let running = begin(&nginx, load, "2s");
        thread::sleep(Duration::from_millis(700));
        nginx.die();
        let report = failed(&running.end());
        let from_s = assert_lost(load, &report);
        assert!((0.6..1.9).contains(&from_s), "{load:?}: from {from_s} s on");
        assert!(report.count("ok") > 100, "{load:?}");
        let text = report.text("/verdict/sentence");
        assert!(text.contains("rates are over the whole window"), "{load:?}: {text}");
    }
}

#[test]
fn a_server_that_is_killed_in_the_last_twentieth_leaves_no_valid_run_either() {
    for load in LOADS {
        // A machine that is busy may kill too late: then nothing was lost.
        let lost = (0..5).find_map(|_| {
            let mut nginx = Nginx::start(&[]);
            let running = begin(&nginx, load, "3s");
            thread::sleep(Duration::from_millis(2850));
            nginx.die();
            let ended = running.end();
            let report = Report::of(&ended.stdout);
            (report.error("connect/refused") > 0).then_some((report, ended.code))
        });
        let Some((report, code)) = lost else { panic!("{load:?}: never killed in time") };
        assert_eq!(code, Some(1), "{load:?}");
        let from_s = assert_lost(load, &report);
        assert!((2.8..3.0).contains(&from_s), "{load:?}: from {from_s} s on");
    }
}

#[test]
fn a_server_that_is_restarted_was_gone_for_a_while() {
    for load in LOADS {
        let mut nginx = Nginx::start(&[]);
        let running = begin(&nginx, load, "5s");
        thread::sleep(Duration::from_millis(700));
        let died = Instant::now();
        nginx.die();
        thread::sleep(Duration::from_secs(1));
        nginx.revive();
        // On a busy machine nginx takes its time to come back; connections are tried again once a second at least.
        let dead_s = died.elapsed().as_secs_f64();
        let report = failed(&running.end());
        let verdict = &report.json["verdict"];
        assert_eq!(verdict["valid"], false, "{load:?} {verdict:#}");
        let Some(text) = invalid(&report, "T1") else { panic!("{load:?} {verdict:#}") };
        let (from_s, to_s) = times(&text);
        let gone_s = to_s.map(|to_s| to_s - from_s);
        assert!(
            gone_s.is_some_and(|gone_s| (0.8..dead_s + 2.0).contains(&gone_s)),
            "{load:?} {text}"
        );
        // In an open loop, what was due meanwhile is sent afterwards: it is late, and need not be an error.
        let hold = gates(&report);
        let is_open = load.contains(&"-R");
        assert!(!hold[0] && (is_open || !hold[1]), "{load:?} {:#}", report.json["slo"]);
        assert_eq!(report.number("/connections/lost"), 0, "{load:?}");
        assert!(report.number("/connections/reconnects") >= CONNECTIONS, "{load:?}");
    }
}

#[test]
fn a_condition_ends_a_closed_loop_seconds_after_its_target_died() {
    let mut nginx = Nginx::start(&[]);
    let runs = ["errors>50%", "p99>2s"].map(|condition| {
        let asked = nginx.read("access.log").len();
        let mut command = maxq();
        command.args(["--no-preflight", "-t", "1", "-c", "8", "--warmup", "0", "--json"]);
        command.args(["-d", "20s", "--give-up", "60s", "--abort-on", condition]);
        let running = Running::start(command.arg(nginx.url("/small")));
        wait_until("load", || nginx.read("access.log").len() > asked);
        (condition, running)
    });
    thread::sleep(Duration::from_millis(1200));
    nginx.die();
    for (condition, running) in runs {
        let ended = running.end();
        assert_eq!(ended.code, Some(1), "{condition}: {}{}", ended.stdout, ended.stderr);
        let report = Report::of(&ended.stdout);
        assert_eq!(report.text("/end/reason"), "aborted", "{condition}");
        let lasted_s = report.json["window"]["measured_s"].as_f64().expect("a duration");
        assert!((3.0..10.0).contains(&lasted_s), "{condition}: {lasted_s} s");
    }
}

/// Half of the connections are closed together with the listener, which comes back later; the others never notice.
#[test]
fn connections_that_were_missing_and_came_back_leave_no_valid_run() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let away = Arc::new(AtomicBool::new(false));
    let mut command = maxq();
    command.args(["--no-preflight", "-t", "1", "-c", "8", "-d", "4s", "--warmup", "0", "--json"]);
    let running = Running::start(command.arg(format!("http://{address}/")));
    for number in 0..CONNECTIONS {
        let (stream, _) = listener.accept().expect("a connection");
        let away = Arc::clone(&away);
        thread::spawn(move || answer(stream, || number % 2 == 0 && away.load(Ordering::SeqCst)));
    }
    thread::sleep(Duration::from_millis(800));
    drop(listener);
    away.store(true, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(1000));
    let listener = TcpListener::bind(address).expect("the port again");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, || false));
        }
    });
    let report = checked(0, &running.end());
    let verdict = &report.json["verdict"];
    let Some(text) = invalid(&report, "T2") else { panic!("{verdict:#}") };
    assert_eq!((verdict["valid"].as_bool(), invalid(&report, "T1")), (Some(false), None));
    assert_eq!(report.number("/connections/lost"), 0, "{text}");
    let (from, to) =
        text.split_once("between ").expect("times").1.split_once(" s and ").expect("two");
    let from_s: f64 = from.parse().expect("a time");
    let to_s: f64 = to.trim_end_matches(" s").parse().expect("a time");
    assert!((0.5..1.5).contains(&from_s) && (0.9..3.0).contains(&(to_s - from_s)), "{text}");
}

/// Answers until it is to stop, or the other end has.
fn answer(mut stream: TcpStream, stops: impl Fn() -> bool) {
    let mut request = [0; 4096];
    while !stops() && stream.read(&mut request).is_ok_and(|length| length > 0) {
        if stream.write_all(OK).is_err() {
            return;
        }
    }
}

#[test]
fn a_server_that_hangs_to_the_end_is_gone_though_its_connections_are_open() {
    for load in LOADS {
        let nginx = Nginx::start(&[]);
        let running = begin(&nginx, load, "2s");
        thread::sleep(Duration::from_millis(900));
        nginx.signal("STOP");
        let report = failed(&running.end());
        nginx.signal("CONT");
        let verdict = &report.json["verdict"];
        assert_eq!(verdict["valid"], false, "{load:?} {verdict:#}");
        let Some(text) = invalid(&report, "T3") else { panic!("{load:?} {verdict:#}") };
        let (from_s, to_s) = times(&text);
        assert!(to_s.is_none() && (0.8..2.0).contains(&from_s), "{load:?} {text}");
        assert_eq!(gates(&report), [false, false], "{load:?} {:#}", report.json["slo"]);
        assert!(report.count("in_flight_at_end") > 0, "{load:?}");
    }
}

#[test]
fn a_run_that_lost_its_target_is_partial_in_the_table() {
    let mut nginx = Nginx::start(&[]);
    let mut cells = Vec::new();
    for dies in [false, true] {
        let asked = nginx.read("access.log").len();
        let flags = "--no-preflight -t 1 -c 8 --warmup 0 -d 1s --format tsv";
        let mut command = maxq();
        let running = Running::start(command.args(flags.split(' ')).arg(nginx.url("/small")));
        wait_until("load", || nginx.read("access.log").len() > asked);
        if dies {
            thread::sleep(Duration::from_millis(300));
            nginx.die();
        }
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let (header, row) = ended.stdout.trim_end().split_once('\n').expect("two lines");
        let place = header.split('\t').position(|name| name == "partial").expect("its column");
        cells.push(row.split('\t').nth(place).map(str::to_owned));
    }
    assert_eq!(cells, [Some("false".to_owned()), Some("true".to_owned())]);
}

/// A server that does `otherwise` with the requests of these numbers, and answers the others.
fn spoils(
    numbers: std::ops::Range<u64>,
    otherwise: impl Fn(&mut Peer) -> bool + Send + Sync + 'static,
) -> Scripted {
    Scripted::start(move |mut peer| {
        while let Some(number) = peer.request() {
            if !numbers.contains(&number) {
                peer.send(OK);
            } else if !otherwise(&mut peer) {
                peer.reset();
                return;
            }
        }
    })
}

#[test]
fn every_request_that_is_due_while_a_server_resets_is_sent_and_reset() {
    let server = spoils(100..350, |_| false);
    let url = server.url();
    let report = measure(&["-R", "200", "-d", "3s", "--warmup", "0", "-c", "4", &url]);
    assert_eq!((report.count("scheduled"), report.count("unsent")), (600, 0));
    assert_eq!((report.count("reset"), report.count("ok")), (250, 350));
    assert_eq!(report.error("receive/reset"), 250);
    // A second and a quarter in which nothing good came.
    let text = invalid(&report, "T3").expect("the verdict tells of it");
    let (from_s, to_s) = times(&text);
    let lasted_s = to_s.map(|to_s| to_s - from_s);
    assert!(lasted_s.is_some_and(|lasted_s| (0.9..1.6).contains(&lasted_s)), "{text}");
    assert_eq!(report.json["verdict"]["valid"], false);
}

#[test]
fn a_stretch_of_refusals_makes_a_closed_loop_invalid_and_says_when() {
    let busy = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&busy);
    let server = Scripted::start(move |mut peer| {
        while peer.request().is_some() {
            peer.send(if seen.load(Ordering::SeqCst) { BUSY } else { OK });
        }
    });
    let mut command = maxq();
    command.args(["--no-preflight", "-t", "1", "-c", "4", "-d", "3s", "--warmup", "0", "--json"]);
    let running = Running::start(command.arg(server.url()));
    wait_until("load", || server.requests() > 100);
    thread::sleep(Duration::from_millis(500));
    busy.store(true, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(1000));
    busy.store(false, Ordering::SeqCst);
    let report = checked(0, &running.end());
    let text = invalid(&report, "T3").expect("the verdict tells of it");
    let (from_s, to_s) = times(&text);
    assert!(to_s.is_some_and(|to_s| (0.7..1.6).contains(&(to_s - from_s))), "{text}");
    assert_eq!(report.json["verdict"]["valid"], false);
}

#[test]
fn a_target_that_answers_only_errors_is_never_measured_validly() {
    let server = Scripted::answering(BUSY);
    let url = server.url();
    for load in [&["-n", "1000"][..], &["-d", "500ms", "--warmup", "0"], &["-R", "1k", "-d", "1s"]]
    {
        let report = measure_to(5, &[load, &["-c", "4", &url]].concat());
        assert_eq!(report.json["verdict"]["valid"], false, "{load:?}");
        let text = invalid(&report, "T3").expect("the verdict tells of it");
        assert!(text.starts_with("none of"), "{load:?}: {text}");
    }
}

#[test]
fn a_silent_law_times_out_every_request_that_fits() {
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let target = Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap();
    let url = format!("http://{}/law/silent?d=1ms&every=1", target.local_address());
    // 32 connections have room for 320 a second; half of that leaves some to a busy machine.
    let load = ["-R", "160", "-d", "2s", "--warmup", "0", "-c", "32", "--timeout", "100ms"];
    let report = measure_to(5, &[&load[..], &[&url]].concat());
    assert_eq!((report.count("scheduled"), report.count("unsent")), (320, 0));
    assert_eq!(report.count("timeout"), 320);
}

#[test]
fn a_server_that_closes_what_it_accepts_is_not_connected_to_in_circles() {
    let server = Scripted::start(drop);
    let url = server.url();
    let report = measure_to(5, &["-R", "2", "-d", "2s", "--warmup", "0", "-c", "4", &url]);
    assert_eq!((report.count("scheduled"), report.count("ok")), (4, 0));
    // Each of four connections is opened again after 1 ms, 2 ms, 4 ms and so on.
    assert!(server.accepted() < 100, "{} connections", server.accepted());
}
