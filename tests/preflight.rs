//! What happens before the clock: one request that shows what will be measured, waiting for a target, a dry run.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the way tests do")]

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use maxq::serve::{Options, Server};
use support::report::Report;
use support::scripted::Scripted;
use support::{Ended, Running, maxq, run, wait_until};

fn target() -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap()
}

/// A short run, with the preflight that every run has.
fn with_preflight(arguments: &[&str]) -> Ended {
    let mut command = maxq();
    if let Some(engine) = std::env::var_os("MAXQ_TEST_ENGINE") {
        command.arg("--engine").arg(engine);
    }
    run(command.args(["-t", "1", "-c", "2", "-n", "10", "--json"]).args(arguments))
}

/// What a server that always says `answer` makes maxq warn of; the run itself goes on.
fn warnings_of(answer: &'static [u8], arguments: &[&str]) -> (Report, String) {
    let server = Scripted::start(move |mut peer| {
        while peer.request().is_some() {
            peer.send(answer);
        }
    });
    let ended = with_preflight(&[arguments, &[&server.url()]].concat());
    (Report::of(&ended.stdout), ended.stderr)
}

#[test]
fn one_request_before_the_run_shows_what_will_be_measured_and_is_not_counted() {
    let server = target();
    let url = format!("http://{}/bytes/1000", server.local_address());
    let ended = with_preflight(&[&url]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let report = Report::of(&ended.stdout);
    report.assert_all_ok();
    assert_eq!(report.count("ok"), 10);
    assert_eq!(server.counters().requests_total(), 11);
    let seen = &report.json["preflight"];
    assert_eq!(seen["endpoint"], server.local_address().to_string());
    assert_eq!((seen["status"].as_u64(), seen["body_bytes"].as_u64()), (Some(200), Some(1000)));
    assert_eq!(
        (seen["framing"].as_str(), seen["keep_alive"].as_bool()),
        (Some("content_length"), Some(true))
    );
    let text = run(maxq().args(["-t", "1", "-n", "10", "-v", &url]));
    assert!(text.stdout.contains("\nAnswer        200, 1,000 bytes (Content-Length), kept alive"));
}

#[test]
fn without_a_preflight_nothing_is_sent_before_the_run() {
    let server = target();
    let url = format!("http://{}/", server.local_address());
    let ended = with_preflight(&["--no-preflight", &url]);
    assert!(Report::of(&ended.stdout).json["preflight"].is_null());
    assert_eq!(server.counters().requests_total(), 10);
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let cases: [(&[u8], &[&str], &str); 6] = [
        (
            b"HTTP/1.1 302 Found\r\nLocation: https://a.test/\xff\r\nContent-Length: 0\r\n\r\n",
            &[],
            "redirect to 'https://a.test/\\xff'",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx", &[], "answers 404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", &[], "the answer is empty"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
            &[],
            "encoded ('gzip')",
        ),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
            &[],
            "closes the connection",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            &["--expect", "status=304"],
            "answers 200",
        ),
    ];
    for (answer, arguments, warning) in cases {
        let (report, stderr) = warnings_of(answer, arguments);
        let lines: Vec<&str> =
            stderr.lines().filter(|line| line.starts_with("maxq: warning: ")).collect();
        assert!(lines.len() == 1 && lines[0].contains(warning), "{warning}: {stderr}");
        assert_eq!(report.json["preflight"]["warnings"].as_array().unwrap().len(), 1);
        let (_, quiet) = warnings_of(answer, &[arguments, &["-q"]].concat());
        assert!(!quiet.contains("warning"), "{quiet}");
    }
}

#[test]
fn an_answer_that_is_meant_is_not_warned_of() {
    let closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    let encoded = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx";
    let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
    for (answer, arguments) in [
        (&closing[..], &["--no-keepalive"][..]),
        (encoded, &["-H", "accept-encoding: gzip"]),
        (empty, &[]),
    ] {
        let (report, stderr) = warnings_of(answer, arguments);
        assert_eq!(stderr, "");
        assert_eq!(report.count("ok"), 10);
    }
}

#[test]
fn a_target_that_breaks_the_one_request_is_measured_all_the_same() {
    let server = Scripted::start(|mut peer| {
        peer.request();
        peer.send(b"garbage\r\n\r\n");
    });
    let ended = with_preflight(&["-d", "300ms", &server.url()]);
    assert_eq!(ended.code, Some(5));
    assert!(ended.stderr.contains("no answer to one request before the run"), "{}", ended.stderr);
    let report = Report::of(&ended.stdout);
    assert!(report.json["preflight"].is_null() && report.count("protocol_error") > 0);
}

#[test]
fn a_target_that_never_answers_the_one_request_holds_nobody_beyond_the_timeout() {
    let server = Scripted::start(|mut peer| {
        peer.request();
        peer.wait_for_close();
    });
    let flags = ["-d", "300ms", "--timeout", "300ms", "--drain", "0", &server.url()];
    let ended = with_preflight(&flags);
    assert!(ended.stderr.contains("response_timeout"), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
}

#[test]
fn a_signal_during_the_one_request_ends_maxq() {
    let server = Scripted::start(|mut peer| {
        peer.request();
        peer.wait_for_close();
    });
    let requests = server.url();
    let running = Running::start(maxq().args(["-t", "1", "--json", &requests]));
    thread::sleep(Duration::from_millis(300));
    running.signal("INT");
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(130), ""));
    assert!(ended.took < Duration::from_secs(5));
}

#[test]
fn a_target_that_is_just_being_started_is_waited_for() {
    // An address that is free in a moment.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{address}/");
    let running =
        Running::start(maxq().args(["-t", "1", "-n", "10", "--json", "--wait-ready", "20s", &url]));
    thread::sleep(Duration::from_millis(300));
    let server = Server::start(&Options { listen: address, threads: 1, cpus: Vec::new() }).unwrap();
    let ended = running.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(Report::of(&ended.stdout).count("ok"), 10);
    assert_eq!(server.counters().requests_total(), 11);
}

#[test]
fn a_unix_socket_that_is_not_there_yet_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let arguments = ["-t", "1", "-c", "1", "-n", "3", "--json", "--wait-ready", "20s"];
    let running =
        Running::start(maxq().args(arguments).arg("--unix-socket").arg(&path).arg("http://x/"));
    thread::sleep(Duration::from_millis(200));
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer_all(stream.unwrap()));
        }
    });
    let ended = running.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(Report::of(&ended.stdout).count("ok"), 3);
}

/// Answers each request, which comes in one piece.
fn answer_all(mut stream: std::os::unix::net::UnixStream) {
    use std::io::{Read, Write};
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx").unwrap();
    }
}

#[test]
fn a_target_that_does_not_get_ready_is_given_up_with_the_reason() {
    let kept = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = kept.local_addr().unwrap();
    drop(kept);
    let begun = Instant::now();
    let ended = with_preflight(&["--wait-ready", "300ms", &format!("http://{address}/")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(5), ""));
    assert!(
        ended.stderr.contains("--wait-ready") && ended.stderr.contains("refused"),
        "{}",
        ended.stderr
    );
    assert!(begun.elapsed() >= Duration::from_millis(300) && ended.took < Duration::from_secs(5));
    let server = target();
    let url = format!("http://{}/status/503", server.local_address());
    let ended = with_preflight(&["--wait-ready", "300ms", &url]);
    assert_eq!(ended.code, Some(5));
    assert!(ended.stderr.contains("answers 503"), "{}", ended.stderr);
}

#[test]
fn an_answer_that_never_ends_holds_nobody_beyond_the_timeout() {
    let server = Scripted::start(|mut peer| {
        peer.request();
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
        for _ in 0..400 {
            peer.send([b'x'; 1000]);
            thread::sleep(Duration::from_millis(10));
        }
    });
    let flags = ["-d", "200ms", "--timeout", "300ms", "--drain", "0", &server.url()];
    let ended = with_preflight(&flags);
    assert!(ended.stderr.contains("body_timeout"), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(4), "{:?}", ended.took);
}

#[test]
fn a_unix_socket_whose_queue_is_full_is_not_waited_for_longer_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    // Nobody accepts: the queue takes so many and no more.
    let mut waiting = Vec::new();
    loop {
        let socket =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        if socket.connect(&socket2::SockAddr::unix(&path).unwrap()).is_err() {
            break;
        }
        waiting.push(socket);
    }
    let arguments = ["-t", "1", "--connect-timeout", "300ms", "--unix-socket"];
    let ended = run(maxq().args(arguments).arg(&path).arg("http://x/"));
    assert_eq!(ended.code, Some(5));
    assert!(ended.stderr.contains("connect_timeout"), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(4));
}

#[test]
fn waiting_ends_when_it_is_said_to_end() {
    let server = Scripted::start(|mut peer| {
        peer.request();
        peer.wait_for_close();
    });
    let ended = with_preflight(&["--wait-ready", "500ms", &server.url()]);
    assert_eq!(ended.code, Some(5));
    assert!(ended.stderr.contains("not ready within 0.5 s"), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(4), "{:?}", ended.took);
}

#[test]
fn ready_is_who_answers_what_is_expected() {
    let server = Scripted::start(|mut peer| {
        while let Some(number) = peer.request() {
            let body = if number < 5 { "starting" } else { "in stock" };
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{body}"));
        }
    });
    let expected = ["--expect", "body~=in stock"];
    let ended = with_preflight(&[&expected[..], &["--wait-ready", "20s", &server.url()]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(Report::of(&ended.stdout).count("ok"), 10);
    assert_eq!(server.requests(), 16);
}

#[test]
fn a_target_that_is_down_costs_no_old_results() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.ndjson");
    std::fs::write(&old, "old").unwrap();
    let kept = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", kept.local_addr().unwrap());
    drop(kept);
    let ended = run(maxq().arg("--timeseries").arg(&old).arg(&url));
    assert_eq!(ended.code, Some(5));
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "old");
    let new = folder.path().join("new.ndjson");
    let ended = run(maxq().arg("--timeseries").arg(&new).arg(&url));
    assert_eq!((ended.code, new.exists()), (Some(5), false));
}

#[test]
fn a_dry_run_shows_the_bytes_and_sends_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}/a?b", listener.local_addr().unwrap().port());
    let flags = ["--dry-run", "-R", "1k", "-d", "2s", "--warmup", "0", "-H", "X-A: b", &url];
    let text = run(maxq().args(flags));
    assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""));
    for part in [
        "GET /a?b HTTP/1.1\\r\\n",
        "X-A: b\\r\\n",
        "2,000 requests in the measured window",
        "0.000000, 0.001000,",
        "Nothing was sent.",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    let slow = ["--dry-run", "-R", "5/h", "-d", "2s", "--warmup", "1s", &url];
    let slow = run(maxq().args(slow)).stdout;
    assert!(slow.contains("open loop, 0.00139 requests a second"), "{slow}");
    let words = slow.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains(
            "1 request in the measured window; with the warm-up, due at 0.000000, 1.000000 s"
        ),
        "{slow}"
    );
    let json = run(maxq().args(flags).arg("--json"));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (json["schema"].as_str(), json["schedule"]["requests"].as_u64()),
        (Some("maxq.plan/1"), Some(2000))
    );
    assert!(json["request"]["escaped"].as_str().unwrap().starts_with("GET /a?b HTTP/1.1\\r\\n"));
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "somebody has connected");
}

#[test]
fn a_dry_run_says_what_the_body_is_sent_as_and_why() {
    for (body, more, content_type, source, why) in [
        (r#"{"a":1}"#, &[][..], "application/json", "body", "from the body"),
        ("a=b&c=d", &[], "application/x-www-form-urlencoded", "body", "from the body"),
        ("plain", &[], "application/octet-stream", "default", "the default, because"),
        ("{}", &["-H", "content-type: text/x"], "text/x", "header", "from -H"),
    ] {
        let flags = [&["--dry-run", "-b", body], more, &["http://127.0.0.1:9/"]].concat();
        let text = run(maxq().args(&flags)).stdout;
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let bytes = body.len();
        let said = format!("Body {bytes} bytes, {content_type}, {why}");
        assert!(words.contains(&said), "{said}: {text}");
        let json = run(maxq().args(&flags).arg("--json")).stdout;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let of_plan = |key: &str| json["plan"][key].clone();
        assert_eq!(of_plan("content_type"), content_type);
        assert_eq!(of_plan("content_type_from"), source);
        assert_eq!(of_plan("body_bytes"), bytes);
    }
}

#[test]
fn a_dry_run_shows_no_secrets() {
    for more in [&[][..], &["--json"]] {
        let ended = run(maxq()
            .args(["--dry-run", "-H", "authorization: secret", "-H", "Cookie: a=secret"])
            .args(["--proxy", "u:secret@127.0.0.1:1", "-b", "Cookie: of the body"])
            .args(more)
            .arg("http://127.0.0.1/"));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let secret = ended.stdout.contains("secret") || ended.stdout.contains("dTpzZWNyZXQ=");
        assert!(!secret, "{}", ended.stdout);
        assert_eq!(ended.stdout.matches("[masked]").count(), 3, "{}", ended.stdout);
        assert!(ended.stdout.contains("Cookie: of the body"));
    }
}

#[test]
fn a_public_address_is_warned_of_unless_it_is_meant() {
    let told = |arguments: &[&str]| run(maxq().arg("--dry-run").args(arguments)).stderr;
    let line = "maxq: warning: 8.8.8.8 is a public address";
    assert!(told(&["http://8.8.8.8/"]).starts_with(line));
    assert!(told(&["--resolve", "a.test:443:8.8.8.8", "https://a.test/"]).starts_with(line));
    assert!(told(&["--proxy", "127.0.0.1:1", "http://8.8.8.8/"]).starts_with(line));
    assert_eq!(told(&["--connect-to", "::127.0.0.1:1", "http://8.8.8.8/"]), "");
    assert_eq!(told(&["--allow-public", "http://8.8.8.8/"]), "");
    for private in
        ["http://127.0.0.1/", "http://192.168.1.1/", "http://[fd00::1]/", "http://[::1]/"]
    {
        assert_eq!(told(&[private]), "");
    }
}

#[test]
fn what_is_before_a_run_contradicts_itself_by_name() {
    for (arguments, part) in [
        (&["--wait-ready", "1s", "--no-preflight"][..], "--no-preflight"),
        (&["--dry-run", "--wait-ready", "1s"], "--wait-ready"),
        (&["--wait-ready", "soon"], "soon"),
    ] {
        let ended = run(maxq().args(arguments).arg("http://127.0.0.1/"));
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn of_several_addresses_the_one_that_is_ready_is_found_while_waiting() {
    let address = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
    let resolve = format!("a.test:{}:127.0.0.1,127.0.0.2", address.port());
    let url = format!("http://a.test:{}/", address.port());
    let running = Running::start(maxq().args([
        "-t",
        "1",
        "-n",
        "10",
        "--json",
        "--wait-ready",
        "20s",
        "--resolve",
        &resolve,
        &url,
    ]));
    thread::sleep(Duration::from_millis(200));
    let _server =
        Server::start(&Options { listen: address, threads: 1, cpus: Vec::new() }).unwrap();
    wait_until("the target", || TcpStream::connect(address).is_ok());
    let ended = running.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let report = Report::of(&ended.stdout);
    assert_eq!(report.json["plan"]["addresses"], serde_json::json!([address.to_string()]));
}
