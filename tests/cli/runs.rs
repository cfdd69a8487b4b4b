//! Runs that do what their flags say, and what the program says about itself.

use std::fs;
use std::process::Command;
use std::thread;

use super::support::report::{checked, measure};
use super::support::{binary, maxq, run};
use super::{target, url};

#[test]
fn more_connections_than_descriptors_are_refused_before_anything_is_sent() {
    let server = target();
    let script = "ulimit -n 64 && exec \"$0\" \"$@\"";
    let limited = |connections: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(binary()).args(["-t", "1", "-n", "100"]);
        run(command.args(["-c", connections, &url(&server)]))
    };
    let ended = limited("1000");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(7), ""), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    for part in ["-c 1000", "64", "ulimit -Hn"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    assert_eq!(server.counters().connections_accepted, 0);
    assert_eq!(limited("20").code, Some(0));
}

#[test]
fn a_soft_descriptor_limit_is_raised() {
    let server = target();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 64 && exec \"$0\" \"$@\""]).arg(binary());
    let arguments = ["-t", "1", "--json", "-c", "200", "-n", "400"];
    let report = checked(0, &run(command.args(arguments).arg(url(&server))));
    report.assert_all_ok();
    assert_eq!(report.number("/connections/opened"), 200);
}

#[test]
fn the_seed_is_recorded_and_another_one_each_time() {
    let server = target();
    let url = url(&server);
    let seed = |more: &[&str]| {
        let arguments = [&["-n", "10", "-c", "2", &url], more].concat();
        measure(&arguments).number("/plan/seed")
    };
    assert_eq!(seed(&["--seed", "42"]), 42);
    assert_ne!(seed(&[]), seed(&[]));
}

#[test]
fn version_and_help_are_printed_for_the_asking() {
    let version = run(maxq().arg("--version"));
    assert_eq!((version.code, version.stderr.as_str()), (Some(0), ""));
    assert!(version.stdout.starts_with(concat!("maxq ", env!("CARGO_PKG_VERSION"))));
    let flags = "-t --threads -c --connections -d --duration -n --requests -p --pipeline --warmup \
        --no-keepalive --requests-per-connection -m --method -H --header -b --body --raw --expect \
        --body-check --timeout --connect-timeout --drain --give-up --idle --cpus --seed --json -o \
        --output -q --quiet --latency --no-progress --hgrm --timeseries";
    for arguments in [&["--help"][..], &["run", "--help"], &["demo", "--help"]] {
        let help = run(maxq().args(arguments));
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
        for flag in flags.split_whitespace() {
            let shown = help.stdout.split([' ', ',', '\n']).any(|word| word == flag);
            assert!(shown, "{arguments:?}: {flag}");
        }
    }
    let help = run(maxq().args(["serve", "--help"]));
    assert!(["--listen", "--threads", "--cpus"].iter().all(|flag| help.stdout.contains(flag)));
}

#[test]
fn the_demo_needs_no_server() {
    let demo = |more: &[&str]| {
        run(maxq().args(["demo", "-d", "500ms", "--warmup", "100ms", "-c", "4"]).args(more))
    };
    let ended = demo(&[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    assert!(ended.stdout.contains("Requests/sec:"));
    checked(0, &demo(&["--json"])).assert_all_ok();
}

#[test]
fn run_and_no_command_are_the_same() {
    let server = target();
    let arguments = ["-t", "1", "--json", "-n", "50", "-c", "3", "--no-preflight"];
    let plain = checked(0, &run(maxq().args(arguments).arg(url(&server))));
    let named = checked(0, &run(maxq().arg("run").args(arguments).arg(url(&server))));
    assert_eq!(plain.json["plan"]["hash"], named.json["plan"]["hash"]);
    assert_eq!(server.counters().requests_total(), 100);
}

#[test]
fn two_threads_share_connections_and_requests() {
    let server = target();
    let arguments = ["-t", "2", "--json", "-n", "1001", "-c", "5", "--no-preflight", &url(&server)];
    let ended = run(maxq().args(arguments));
    if thread::available_parallelism().unwrap().get() < 2 {
        assert_eq!(ended.code, Some(2), "each thread needs a core");
        return;
    }
    let report = checked(0, &ended);
    report.assert_all_ok();
    assert_eq!((report.number("/plan/threads"), report.count("ok")), (2, 1001));
    assert_eq!(report.number("/connections/used"), 5);
    assert_eq!(server.counters().requests_total(), 1001);
}

#[test]
fn with_both_a_duration_and_a_count_the_first_one_ends_the_run() {
    let server = target();
    let url = url(&server);
    let by_count = measure(&["-d", "20s", "-n", "100", "-c", "2", "--warmup", "0", &url]);
    assert_eq!(by_count.count("ok"), 100);
    let by_time = measure(&["-d", "200ms", "-n", "1G", "-c", "2", "--warmup", "0", &url]);
    assert!(by_time.count("ok") < 1_000_000_000 && by_time.float("/window/measured_s") < 1.0);
    assert_eq!(server.counters().requests_total(), 100 + by_time.count("ok"));
}

#[test]
fn a_request_may_be_given_byte_for_byte() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("raw");
    let request = b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nX-Odd:  kept \r\n\r\nabc";
    fs::write(&path, request).unwrap();
    let size = format!("size={}", request.len());
    let report = measure(&[
        "--raw",
        path.to_str().unwrap(),
        "-n",
        "20",
        "-c",
        "2",
        "--expect",
        &size,
        "--expect",
        "body~=X-Odd:  kept \r\n\r\nabc",
        &url(&server),
    ]);
    report.assert_all_ok();
    assert_eq!(server.counters().bytes_in, 20 * request.len() as u64);
}

#[test]
fn headers_and_body_arrive_as_given() {
    let server = target();
    let url = format!("http://{}/echo?q=1", server.local_address());
    let report = measure(&[
        "-m",
        "PATCH",
        "-H",
        "Host: other.example",
        "-H",
        "X-Token: a:b",
        "-b",
        "some text",
        "--expect",
        "body~=some text",
        "-n",
        "10",
        "-c",
        "1",
        &url,
    ]);
    report.assert_all_ok();
    for wanted in ["PATCH /echo?q=1 HTTP/1.1\r\n", "Host: other.example\r\n", "X-Token: a:b\r\n"] {
        let clause = format!("body~={wanted}");
        let arguments = ["-m", "PATCH", "-H", "Host: other.example", "-H", "X-Token: a:b"];
        let more = ["-b", "x", "--expect", &clause, "-n", "2", "-c", "1", &url];
        measure(&[&arguments[..], &more].concat()).assert_all_ok();
    }
}

#[test]
fn an_answer_to_head_has_no_body_whatever_its_content_length_says() {
    let server = target();
    let url = format!("http://{}/bytes/1000", server.local_address());
    let head = ["-m", "HEAD", "-c", "2", "-n", "50", "--expect", "size=0"];
    let report = measure(&[&head[..], &[&url]].concat());
    report.assert_all_ok();
    assert_eq!(report.count("ok"), 50);
    // Two hundred bytes of head at most, and none of the thousand that it announces.
    assert!(report.number("/bytes/received") < 50 * 500, "{:?}", report.json["bytes"]);
    let text = run(maxq().args(head).args(["-v", &url]));
    assert!(text.stdout.contains("200, 0 bytes (no body), kept alive"), "{}", text.stdout);
    for clause in ["size=1000", "body~=x"] {
        let ended = run(maxq().args(["-m", "HEAD", "-n", "1", "--expect", clause, &url]));
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("contradicts -m HEAD"), "{}", ended.stderr);
    }
}

#[test]
fn a_request_that_asks_to_close_closes_its_connection() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let (path, url) = (folder.path().join("raw"), url(&server));
    fs::write(&path, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let raw = ["--raw", path.to_str().unwrap()];
    for flags in [&["-H", "Connection: close"][..], &["--no-keepalive"], &raw] {
        let before = server.counters().connections_accepted;
        let report = measure(&[flags, &["-n", "20", "-c", "2", &url]].concat());
        report.assert_all_ok();
        // The last request may be taken by one connection while the other opens anew for it.
        let accepted = server.counters().connections_accepted - before;
        assert!((20..=21).contains(&accepted), "{accepted} connections: {flags:?}");
    }
}

#[test]
fn an_international_host_is_sent_in_ascii_and_reported_as_it_was_typed() {
    let server = target();
    let port = server.local_address().port();
    let url = format!("http://b\u{fc}cher.example:{port}/echo");
    let resolve = format!("B\u{dc}CHER.example:{port}:127.0.0.1");
    let host = format!("body~=xn--bcher-kva.example:{port}");
    let flags = ["-c", "1", "-n", "5", "--resolve", &resolve, "--expect", &host];
    let report = measure(&[&flags[..], &[&url]].concat());
    report.assert_all_ok();
    assert_eq!((report.count("ok"), report.text("/plan/url")), (5, url.as_str()));
}

#[test]
fn a_rate_below_one_is_shown_with_its_digits() {
    let server = target();
    let flags = ["-R", "90/h", "-t", "1", "-c", "1", "-d", "1s", "--warmup", "0"];
    let text = run(maxq().args(flags).arg(url(&server)));
    assert!(text.stdout.contains("0.0250 requests a second"), "{}", text.stdout);
    let tsv = run(maxq().args(flags).args(["--format", "tsv"]).arg(url(&server)));
    let mut lines = tsv.stdout.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let (names, cells) = (lines.next().unwrap(), lines.next().unwrap());
    let rate = names.iter().position(|name| *name == "rate_rps").unwrap();
    assert_eq!(cells[rate], "0.025");
}

#[test]
fn a_raw_request_that_contradicts_itself_is_refused_before_anything_is_sent() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("raw");
    for (request, part) in [
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello world", "Content-Length is 5"),
        ("GET / HTTP/1.1\r\nHost: a\r\n", "no empty line"),
        ("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", "'Upgrade: h2c'"),
    ] {
        fs::write(&path, request).unwrap();
        let ended = run(maxq().args(["--raw", path.to_str().unwrap(), "-n", "1", &url(&server)]));
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        assert!(ended.stderr.contains("--raw") && ended.stderr.contains(part), "{ended:?}");
    }
    assert_eq!(server.counters().connections_accepted, 0);
}

#[test]
fn a_chunked_body_and_an_empty_one_reach_the_server_whole() {
    let server = target();
    let url = format!("http://{}/echo", server.local_address());
    let chunked = ["-H", "Transfer-Encoding: chunked", "-b", "hello", "--expect", "body~=hello"];
    let empty = ["-m", "POST", "--expect", "body~=Content-Length: 0\r\n"];
    for flags in [&chunked[..], &empty] {
        let report = measure(&[flags, &["-n", "10", "-c", "2", &url]].concat());
        report.assert_all_ok();
        assert_eq!(report.number("/connections/reconnects"), 0);
    }
}
