//! Whole runs against real servers, nginx and `maxq serve`: what the client reports is what the server has counted.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the way tests do")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::nginx::Nginx;
use support::report::{Report, measure, measure_to};
use support::{maxq, signal, wait_until};

/// Requests by the connection that carried them, out of the last column of nginx's log.
fn by_connection(log: &[String]) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::new();
    for line in log {
        *sums.entry(line.rsplit(' ').next().unwrap()).or_default() += 1;
    }
    sums
}

/// The fourth column: bytes of the request that nginx has read, head and body.
fn request_length(line: &str) -> u64 {
    line.split(' ').nth(3).unwrap().parse().unwrap()
}

#[test]
fn an_exact_number_of_requests_is_what_nginx_logged() {
    let nginx = Nginx::start(&[]);
    let (head, body) = nginx.lengths_of("/small");
    let report = measure(&["-n", "1001", "-c", "7", &nginx.url("/small")]);
    report.assert_all_ok();
    assert_eq!((report.count("ok"), report.status(200)), (1001, 1001));
    assert_eq!(report.number("/bytes/received"), 1001 * (head + body));
    assert_eq!(
        (report.number("/connections/used"), report.number("/connections/reconnects")),
        (7, 0)
    );
    let (log, _) = nginx.logs();
    // One more, whose lengths were taken.
    assert_eq!(log.len(), 1001 + 1);
    assert_eq!(by_connection(&log).len(), 7 + 1);
    let sent: u64 = log[1..].iter().map(|line| request_length(line)).sum();
    assert_eq!(report.number("/bytes/sent"), sent);
}

#[test]
fn all_requests_of_a_timed_run_and_its_warmup_are_what_nginx_logged() {
    let nginx = Nginx::start(&[]);
    let url = nginx.url("/small");
    let report = measure(&["-d", "300ms", "--warmup", "100ms", "-c", "8", &url]);
    report.assert_all_ok();
    assert!((report.float("/window/measured_s") - 0.3).abs() < 0.05);
    let all = report.in_intervals("completed");
    assert!(all > report.count("completed"), "the warm-up is listed");
    assert_eq!(nginx.logs().0.len() as u64, all);
}

#[test]
fn pipelined_requests_are_all_answered_by_nginx() {
    let nginx = Nginx::start(&[]);
    let report = measure(&["-n", "5000", "-c", "4", "-p", "16", &nginx.url("/small")]);
    report.assert_all_ok();
    assert_eq!(report.count("ok"), 5000);
    assert_eq!(nginx.logs().0.len(), 5000);
}

#[test]
fn a_head_request_is_answered_without_a_body() {
    let nginx = Nginx::start(&[("64k", 65_536)]);
    let (head, _) = nginx.lengths_of("/64k");
    let report = measure(&["-m", "HEAD", "-n", "500", "-c", "4", &nginx.url("/64k")]);
    report.assert_all_ok();
    assert_eq!(report.number("/bytes/received"), 500 * head);
    let (log, _) = nginx.logs();
    assert_eq!(log.iter().filter(|line| line.starts_with("HEAD /64k 200 ")).count(), 500);
}

#[test]
fn bodies_of_requests_arrive_whole() {
    for (size, requests) in [(1024, 300_u64), (1 << 20, 20)] {
        let nginx = Nginx::start(&[]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("body");
        std::fs::write(&path, vec![b'b'; size]).unwrap();
        let body = format!("@{}", path.display());
        let count = requests.to_string();
        let report = measure(&["-b", &body, "-n", &count, "-c", "4", &nginx.url("/read")]);
        report.assert_all_ok();
        assert_eq!((report.text("/plan/method"), report.count("ok")), ("POST", requests));
        let (log, back) = nginx.logs();
        let sent: u64 = log.iter().map(|line| request_length(line)).sum();
        assert_eq!((log.len() as u64, report.number("/bytes/sent")), (requests, sent));
        assert_eq!(back.len() as u64, requests);
        assert!(back.iter().all(|line| line.starts_with("POST /read 200 ")));
        let announced = format!(" {size} ");
        assert!(back.iter().all(|line| line.contains(&announced)), "{back:?}");
    }
}

#[test]
fn large_responses_are_received_to_the_byte() {
    for (size, requests) in [(65_536, 400_u64), (1 << 20, 60)] {
        for check in [false, true] {
            let nginx = Nginx::start(&[("file", size)]);
            let (head, body) = nginx.lengths_of("/file");
            assert_eq!(body, size as u64);
            let (url, count, clause) =
                (nginx.url("/file"), requests.to_string(), format!("size={size}"));
            let mut arguments = vec!["-n", &count, "-c", "4", "--expect", &clause, &url];
            if check {
                arguments.push("--body-check");
            }
            let report = measure(&arguments);
            report.assert_all_ok();
            assert_eq!(report.number("/bytes/received"), requests * (head + body));
            assert_eq!(nginx.logs().0.len() as u64, requests + 1);
        }
    }
}

#[test]
fn nothing_but_404_is_an_unusable_target() {
    let nginx = Nginx::start(&[]);
    let report = measure_to(5, &["-n", "200", "-c", "4", &nginx.url("/missing")]);
    assert_eq!((report.count("http_error"), report.count("ok"), report.status(404)), (200, 0, 200));
    assert_eq!(report.text("/end/reason"), "finished");
    let (log, _) = nginx.logs();
    assert_eq!(log.iter().filter(|line| line.starts_with("GET /missing 404 ")).count(), 200);
}

#[test]
fn a_404_that_was_expected_is_good() {
    let nginx = Nginx::start(&[]);
    let url = nginx.url("/missing");
    let report = measure(&["-n", "200", "-c", "4", "--expect", "status=404", &url]);
    report.assert_all_ok();
    assert_eq!((report.count("ok"), report.status(404)), (200, 200));
    let url = nginx.url("/small");
    let report = measure_to(5, &["-n", "50", "-c", "2", "--expect", "status=404", &url]);
    assert_eq!((report.count("unexpected"), report.status(200)), (50, 50));
}

#[test]
fn without_keep_alive_each_request_has_a_connection_of_its_own() {
    let nginx = Nginx::start(&[]);
    let report = measure(&["--no-keepalive", "-n", "400", "-c", "4", &nginx.url("/small")]);
    report.assert_all_ok();
    assert_eq!(report.count("ok"), 400);
    // At the end, up to one a connection is opened in vain.
    let reconnects = report.number("/connections/reconnects");
    assert!((396..=400).contains(&reconnects), "{reconnects}");
    let (log, _) = nginx.logs();
    assert_eq!((log.len(), by_connection(&log).len()), (400, 400));
}

#[test]
fn connections_are_replaced_after_their_share_of_requests() {
    let nginx = Nginx::start(&[]);
    let url = nginx.url("/small");
    let report = measure(&["--requests-per-connection", "10", "-n", "500", "-c", "4", &url]);
    report.assert_all_ok();
    assert_eq!(report.count("ok"), 500);
    let (log, _) = nginx.logs();
    let connections = by_connection(&log);
    assert_eq!(connections.values().sum::<u64>(), 500);
    assert_eq!(connections.values().max(), Some(&10));
    // No connection but the last of each of the four has less.
    assert!((50..=54).contains(&connections.len()), "{}", connections.len());
}

#[test]
fn no_request_is_lost_when_nginx_announces_that_it_closes() {
    let nginx = Nginx::start(&[]);
    let report = measure(&["-n", "1000", "-c", "2", &nginx.url("/limited")]);
    report.assert_all_ok();
    assert_eq!(report.count("ok"), 1000);
    assert!(report.number("/connections/reconnects") >= 8);
    let (log, _) = nginx.logs();
    let connections = by_connection(&log);
    assert_eq!((log.len(), connections.values().max()), (1000, Some(&100)));
}

#[test]
fn what_was_pipelined_behind_an_announced_close_is_counted_once() {
    let nginx = Nginx::start(&[]);
    let report = measure(&["-n", "2000", "-c", "2", "-p", "16", &nginx.url("/limited")]);
    let lost = report.count("truncated") + report.count("reset");
    assert_eq!((report.count("sent"), report.count("ok") + lost), (2000, 2000));
    assert!(lost > 0 && report.count("ok") >= 1000, "{:#}", report.json["counts"]);
    assert!(report.count("ok") <= nginx.logs().0.len() as u64);
}

#[test]
fn chunked_responses_are_read_to_their_end() {
    let nginx = Nginx::start(&[]);
    let url = nginx.url("/chunked.html");
    // What the server put in, and the size without chunk lines.
    let size = format!("size={}", "<p>/chunked.html</p>".len() + 50_001);
    for pipeline in ["1", "8"] {
        let report = measure(&[
            "-n",
            "300",
            "-c",
            "4",
            "-p",
            pipeline,
            "--expect",
            "body~=<p>/chunked.html</p>y",
            "--expect",
            &size,
            &url,
        ]);
        report.assert_all_ok();
        assert_eq!(report.count("ok"), 300);
    }
    assert_eq!(nginx.logs().0.len(), 600);
}

/// `maxq serve` as a process of its own; killed when dropped.
struct Served {
    process: Child,
    address: String,
    _stdout: BufReader<ChildStdout>,
}

impl Served {
    fn start() -> Self {
        let mut process = maxq()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().rsplit('/').next().unwrap().to_owned();
        Self { process, address, _stdout: stdout }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn counters(&self) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"GET /counters HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Runs against `path` and holds the report against the server's own counts, `class` being the path's name there.
    fn measure(&self, class: &str, path: &str, arguments: &[&str]) -> Report {
        let before = self.counters();
        let url = self.url(path);
        let report = measure(&[&["-c", "4", &url], arguments].concat());
        let after = self.counters();
        let grown = |pointer: &str| {
            let of = |counters: &Value| counters.pointer(pointer).and_then(Value::as_u64).unwrap();
            of(&after) - of(&before)
        };
        let answered = report.in_intervals("completed");
        assert_eq!(grown(&format!("/requests/{class}")), report.in_intervals("sent"), "{path}");
        assert_eq!(grown("/requests_total"), report.in_intervals("sent"), "{path}");
        assert_eq!(grown("/responses_total"), answered, "{path}");
        assert_eq!((grown("/malformed"), report.count("in_flight_at_end")), (0, 0), "{path}");
        let connections = |of: &str| report.number(&format!("/connections/{of}"));
        let opened = connections("opened") + connections("reconnects");
        // The target may have accepted what the end of the run cut off.
        let may_be_known = opened..=opened + connections("unfinished");
        let accepted = grown("/connections_accepted");
        assert!(may_be_known.contains(&accepted), "{path}: {accepted} of {may_be_known:?}");
        assert_eq!(grown("/bytes_out"), report.in_intervals("bytes_received"), "{path}");
        report
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended, or it is to end now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn every_path_of_the_embedded_target_counts_what_the_client_counts() {
    let served = Served::start();
    for (class, path) in [
        ("root", "/"),
        ("bytes", "/bytes/0"),
        ("bytes", "/bytes/1000"),
        ("bytes", "/bytes/200000"),
        ("chunked", "/chunked/0"),
        ("chunked", "/chunked/100000"),
        ("delay", "/delay/1ms"),
        ("status", "/status/204"),
        ("status", "/status/304"),
        ("close", "/close"),
        ("echo", "/echo"),
    ] {
        let report = served.measure(class, path, &["-d", "150ms", "--warmup", "50ms"]);
        report.assert_all_ok();
    }
}

#[test]
fn the_embedded_target_counts_exact_numbers_of_requests() {
    let served = Served::start();
    for arguments in [
        ["-n", "999", "-p", "1"],
        ["-n", "999", "-p", "16"],
        ["-n", "1", "-p", "16"],
        ["-n", "100", "--no-keepalive", "--body-check"],
    ] {
        let report = served.measure("bytes", "/bytes/100", &arguments);
        report.assert_all_ok();
        assert_eq!(report.count("ok").to_string(), arguments[1]);
    }
    let report = served.measure("echo", "/echo", &["-n", "200", "-b", "some text"]);
    report.assert_all_ok();
    let delayed = served.measure("delay", "/delay/5ms", &["-n", "40"]);
    assert!(delayed.float("/latency/service/min_us") >= 5000.0);
}

#[test]
fn refusals_of_the_embedded_target_are_told_apart() {
    let served = Served::start();
    for (path, outcome) in
        [("/status/503", "http_error"), ("/status/404", "http_error"), ("/nothing", "http_error")]
    {
        let report = measure_to(5, &["-n", "100", "-c", "4", &served.url(path)]);
        assert_eq!(report.count(outcome), 100, "{path}");
    }
    let counters = served.counters();
    assert_eq!(
        (&counters["responses"]["4xx"], &counters["responses"]["5xx"]),
        (&200.into(), &100.into())
    );
}

#[test]
fn the_embedded_target_ends_in_order_when_told_to() {
    let mut served = Served::start();
    measure(&["-n", "10", "-c", "2", &served.url("/")]).assert_all_ok();
    signal(served.process.id(), "TERM");
    let mut status = None;
    wait_until("the end of the target", || {
        status = served.process.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(0));
}
