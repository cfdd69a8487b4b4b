//! What servers do wrong, and what becomes of it: no crash, no hang, and each request counted in exactly one class.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use maxq::serve::{Options, Server};
use support::report::{Report, checked, measure, measure_to};
use support::scripted::{Peer, Scripted, black_hole};
use support::{Running, maxq_on_engine, run, wait_until};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A short timed run without a warm-up whose every failure shows, against a server that follows `script`.
fn faulty(code: i32, script: impl Fn(Peer) + Send + Sync + 'static) -> (Report, Scripted) {
    let server = Scripted::start(script);
    let report = measure_to(code, &["-d", "300ms", "--warmup", "0", "-c", "4", &server.url()]);
    assert!(report.count("sent") > 0);
    (report, server)
}

/// A server that answers each request with `bytes`, and reads on.
fn answers(bytes: &'static [u8]) -> impl Fn(Peer) + Send + Sync + 'static {
    move |mut peer| {
        while peer.request().is_some() {
            peer.send(bytes);
        }
    }
}

/// Exactly `requests` requests over two connections, all of them good.
fn good(requests: u64, script: impl Fn(Peer) + Send + Sync + 'static) -> (Report, Scripted) {
    let server = Scripted::start(script);
    let count = requests.to_string();
    let report = measure(&["-n", &count, "-c", "2", &server.url()]);
    assert_eq!(report.count("ok"), requests, "{:#}", report.json);
    assert_eq!(server.requests(), requests);
    (report, server)
}

#[test]
fn a_server_that_waits_for_acknowledgements_does_not_wait_for_delayed_ones_in_a_pipeline() {
    let server = Scripted::start(|mut peer| {
        // Nagle's algorithm: a small answer is held back until the one before it is acknowledged.
        peer.stream().set_nodelay(false).unwrap();
        while peer.request().is_some() {
            peer.send(OK);
        }
    });
    let url = server.url();
    let report = measure(&["-d", "500ms", "--warmup", "0", "-c", "1", "-p", "16", &url]);
    report.assert_all_ok();
    // An acknowledgement that nothing else is sent with comes 40 ms late: that would make 200 answers.
    assert!(report.count("ok") > 1000, "{} were answered", report.count("ok"));
}

#[test]
fn a_server_that_never_answers_is_timed_out() {
    let server = Scripted::start(|peer| peer.wait_for_close());
    let url = server.url();
    let report =
        measure_to(5, &["-d", "500ms", "--warmup", "0", "-c", "4", "--timeout", "200ms", &url]);
    assert!(report.count("sent") >= 4);
    assert_eq!(report.count("timeout"), report.count("sent"));
    assert_eq!(report.error("timeout/response_timeout"), report.count("sent"));
    let shortest = report.float("/latency/service/min_us");
    assert!(shortest >= 200_000.0, "{shortest}");
}

#[test]
fn what_is_unanswered_when_the_drain_ends_is_told_apart() {
    let server = Scripted::start(|peer| peer.wait_for_close());
    let begun = Instant::now();
    let report = measure_to(
        5,
        &["-d", "200ms", "--warmup", "0", "-c", "3", "--drain", "100ms", &server.url()],
    );
    assert_eq!(report.count("in_flight_at_end"), 3);
    assert_eq!(report.number("/latency/response/censored"), 3);
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_server_that_closes_at_once_truncates() {
    let (report, _server) = faulty(5, drop);
    assert_eq!(report.count("truncated") + report.count("reset"), report.count("sent"));
    assert_eq!(report.count("ok"), 0);
    // Nobody runs in circles: each connection takes a request, but for a few that are opened before the run begins.
    assert!(report.number("/connections/reconnects") <= report.count("sent") + 40);
}

#[test]
fn a_server_that_closes_instead_of_answering_truncates() {
    let (report, server) = faulty(5, |mut peer| {
        peer.request();
    });
    assert_eq!(report.count("truncated"), report.count("sent"));
    assert_eq!(report.error("receive/closed_unanswered"), report.count("sent"));
    assert!(report.json["errors"][0]["response"].is_null());
    assert_eq!(server.requests(), report.count("sent"));
}

#[test]
fn a_server_that_resets_is_counted_as_reset() {
    let (report, server) = faulty(5, |mut peer| {
        peer.request();
        peer.reset();
    });
    assert_eq!(report.count("reset"), report.count("sent"));
    assert_eq!(report.error("receive/reset"), report.count("sent"));
    assert_eq!(server.requests(), report.count("sent"));
    assert!(report.json["errors"][0]["errno"] == "ECONNRESET");
}

#[test]
fn what_is_no_response_is_named() {
    let cases: [(&[u8], &str); 8] = [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "bad_head"),
        (b"\0\0\0\0\0\0\0\0", "bad_head"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "looks_like_tls"),
        (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80", "looks_like_http2"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "unsupported_version"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nG\r\n", "bad_chunk"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "unwanted_upgrade"),
    ];
    for (bytes, kind) in cases {
        let (report, _server) = faulty(5, answers(bytes));
        let sent = report.count("sent");
        assert_eq!(report.count("protocol_error"), sent, "{kind}: {:#}", report.json["counts"]);
        assert_eq!(report.error(&format!("parse/{kind}")), sent, "{:?}", report.errors());
        assert!(report.json["errors"][0]["sample"].is_string(), "{kind}");
    }
}

#[test]
fn a_request_that_asks_to_close_is_the_last_on_its_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("raw");
    fs::write(&path, "GET / HTTP/1.0\r\nHost: a\r\n\r\n").unwrap();
    // The server does as it is asked, and does not say so.
    let server = Scripted::start(|mut peer| {
        peer.request();
        peer.send(OK);
    });
    let raw = ["--raw", path.to_str().unwrap()];
    for flags in [&["-H", "Connection: close"][..], &["--no-keepalive"], &raw] {
        let report = measure(&[flags, &["-n", "40", "-c", "2", &server.url()]].concat());
        report.assert_all_ok();
        assert_eq!(report.count("ok"), 40, "{flags:?}");
    }
}

#[test]
fn odd_heads_that_are_framed_clearly_are_measured() {
    let long = format!("X: {}\r\n", "x".repeat(70 * 1024));
    for lines in [
        "X: a\r\n folded\r\n\tline\r\n",
        "X : a\r\nWhat?: a\r\n\"Y\": a\r\n",
        "a line without a colon\r\n",
        &"A: b\r\n".repeat(300),
        &long,
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 5\r\n\r\nhello");
        let (report, server) = good(20, answers(response.leak().as_bytes()));
        report.assert_all_ok();
        assert_eq!(server.accepted(), 2, "its framing is beyond doubt");
    }
}

#[test]
fn a_header_line_that_is_refused_is_shown() {
    let cases: [(&[u8], &str, &str); 4] = [
        (b"Content-Length : 5", "bad_header_line", "Content-Length : 5"),
        (b"Content-Length: 5, 6", "bad_content_length", "Content-Length: 5, 6"),
        (b"X: a\0b", "bad_header_line", "X: a\\x00b"),
        (b"X: y\r\n Transfer-Encoding: chunked", "bad_header_line", " Transfer-Encoding: chunked"),
    ];
    for (lines, kind, shown) in cases {
        let response = [b"HTTP/1.1 200 OK\r\nA: b\r\n", lines, b"\r\nC: d\r\n\r\nhello"].concat();
        let (report, _server) = faulty(5, answers(response.leak()));
        assert_eq!(report.error(&format!("parse/{kind}")), report.count("sent"));
        assert_eq!(report.text("/errors/0/sample"), shown);
    }
}

#[test]
fn a_head_that_comes_late_and_a_body_without_an_end_are_told_apart() {
    let cases: [(&str, &str, Option<u64>); 4] = [
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n",
            "open_ended",
            Some(9),
        ),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "open_ended", Some(5)),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
            "body_timeout",
            Some(2),
        ),
        ("HTTP/1.1 200 OK\r\nContent-", "head_timeout", None),
    ];
    for (bytes, kind, body_bytes) in cases {
        let server = Scripted::start(move |mut peer| {
            peer.request();
            peer.send(bytes);
            peer.wait_for_close();
        });
        let report = measure_to(5, &["-n", "2", "-c", "2", "--timeout", "1s", &server.url()]);
        assert_eq!(report.count("timeout"), 2, "{kind}");
        assert_eq!(report.error(&format!("timeout/{kind}")), 2, "{:?}", report.errors());
        let came = &report.json["errors"][0]["response"];
        assert_eq!(came["body_bytes"].as_u64(), body_bytes, "{kind}: {came}");
        assert_eq!(came["status"].as_u64(), body_bytes.map(|_| 200));
        assert!(came["body_length"].is_null());
        let first_byte_us = came["first_byte_us"].as_f64();
        assert_eq!(first_byte_us.is_some_and(|us| us > 0.0 && us < 1e6), body_bytes.is_some());
    }
}

#[test]
fn an_endless_head_is_cut_off() {
    let (report, _server) = faulty(5, |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n");
        let lines = "X-Filler: 0123456789012345678901234567890123456789\r\n".repeat(1000);
        for _ in 0..40 {
            peer.send(&lines);
        }
        peer.wait_for_close();
    });
    let ended = report.count("protocol_error") + report.count("in_flight_at_end");
    assert_eq!(ended, report.count("sent"));
    assert!(report.error("parse/head_too_large") > 0);
}

#[test]
fn endless_interim_responses_are_cut_off() {
    let (report, _server) = faulty(5, |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(70));
        peer.wait_for_close();
    });
    assert_eq!(report.count("protocol_error"), report.count("sent"));
    assert_eq!(report.error("parse/too_many_interim"), report.count("sent"));
}

#[test]
fn a_body_that_is_cut_is_truncated() {
    let (report, server) = faulty(5, |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
    });
    assert_eq!(report.count("truncated"), report.count("sent"));
    assert_eq!(report.error("receive/closed_early"), report.count("sent"));
    assert_eq!(server.requests(), report.count("sent"));
}

#[test]
fn a_large_body_that_is_cut_is_truncated() {
    let (report, _server) = faulty(5, |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        peer.send(vec![b'x'; 500_000]);
    });
    assert_eq!(report.count("truncated"), report.count("sent"));
}

#[test]
fn a_body_that_drips_is_timed_out() {
    let server = Scripted::start(|mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        for _ in 0..30 {
            peer.send("x");
            thread::sleep(Duration::from_millis(20));
        }
        peer.wait_for_close();
    });
    let limits = ["-d", "400ms", "--warmup", "0", "-c", "2", "--timeout", "150ms"];
    let report = measure_to(5, &[&limits[..], &[&server.url()]].concat());
    assert!(report.count("timeout") >= 2);
    assert_eq!(report.count("timeout"), report.count("sent"));
    assert_eq!(report.error("timeout/body_timeout"), report.count("sent"));
    let came = &report.json["errors"][0]["response"];
    assert_eq!((&came["status"], &came["body_length"]), (&200.into(), &1000.into()));
    assert!((1..30).contains(&came["body_bytes"].as_u64().unwrap()), "{came}");
}

#[test]
fn a_response_with_two_framings_is_the_last_on_its_connection() {
    let (report, server) = good(
        40,
        answers(
            b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n\
              5\r\nhello\r\n0\r\n\r\n",
        ),
    );
    report.assert_all_ok();
    assert!(server.accepted() >= 40);
}

#[test]
fn bytes_after_the_body_close_the_connection_and_cost_no_request() {
    let (report, server) =
        good(100, answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more"));
    assert_eq!(report.error("parse/extra_data"), 100);
    assert!(server.accepted() >= 100, "no connection is used again");
}

#[test]
fn a_response_nobody_asked_for_is_never_taken_for_an_answer() {
    // The second response comes late, when the next request may be on its way.
    let server = Scripted::start(|mut peer| {
        while peer.request().is_some() {
            peer.send(OK);
            thread::sleep(Duration::from_millis(5));
            peer.send("HTTP/1.1 500 Stray\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let url = server.url();
    let report = measure(&["-n", "20", "-c", "1", "--no-keepalive", &url]);
    assert_eq!((report.count("ok"), report.status(500)), (20, 0));
}

#[test]
fn a_server_that_speaks_first_is_not_believed() {
    let server = Scripted::start(|peer| {
        peer.send("220 mail.example ESMTP\r\n");
        peer.wait_for_close();
    });
    let report = measure_to(5, &["-d", "300ms", "--warmup", "0", "-c", "4", &server.url()]);
    // What comes before the request is unsolicited, what crosses it is no response.
    assert_eq!((report.count("ok"), report.count("protocol_error")), (0, report.count("sent")));
    let named = report.error("parse/unsolicited_data") + report.error("parse/bad_head");
    assert!(named > 0, "{:?}", report.errors());
}

#[test]
fn interim_responses_end_no_request() {
    let (report, _server) = good(
        50,
        answers(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
    );
    assert_eq!((report.status(200), report.number("/interim_responses")), (50, 100));
    report.assert_all_ok();
}

#[test]
fn chunks_may_come_in_any_pieces() {
    const PAUSE: Duration = Duration::from_millis(1);
    let pieces: &'static [&'static [u8]] = &[
        b"HTTP/1.1 200 OK\r\nTransfer-Enc",
        b"oding: chunked\r\n\r",
        b"\n1",
        b"0;name=va",
        b"lue\r",
        b"\n0123456789abcde",
        b"f",
        b"\r",
        b"\n5\r\nhel",
        b"lo\r\n",
        b"0",
        b"\r\nTrai",
        b"ler: x\r\n\r",
        b"\n",
    ];
    let server = Scripted::start(move |mut peer| {
        while peer.request().is_some() {
            peer.send_in_pieces(pieces, PAUSE);
        }
    });
    let url = server.url();
    let report =
        measure(&["-n", "10", "-c", "2", "--expect", "size=21", "--expect", "body~=fhello", &url]);
    report.assert_all_ok();
    assert_eq!((report.count("ok"), server.accepted()), (10, 2));
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let (report, server) = good(4, |mut peer| {
        while peer.request().is_some() {
            let bytes: Vec<&[u8]> = OK.chunks(1).collect();
            peer.send_in_pieces(&bytes, Duration::from_micros(300));
        }
    });
    report.assert_all_ok();
    assert_eq!(server.accepted(), 2);
}

#[test]
fn many_small_responses_may_come_in_any_pieces() {
    let server = Scripted::start(|mut peer| {
        let mut waiting = Vec::new();
        while peer.request().is_some() {
            waiting.extend_from_slice(OK);
            // Seven bytes of the answer stay behind until the next one, or until there is no next one.
            let now = waiting.len() - 7;
            peer.send(waiting.drain(..now).as_slice());
            thread::sleep(Duration::from_micros(200));
            peer.send(std::mem::take(&mut waiting));
        }
    });
    let report = measure(&["-n", "200", "-c", "2", "-p", "4", &server.url()]);
    report.assert_all_ok();
    assert_eq!((report.count("ok"), server.requests()), (200, 200));
}

#[test]
fn some_statuses_have_no_body_whatever_their_head_says() {
    for (bytes, status) in [
        (&b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"[..], 204),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304),
    ] {
        let (report, server) = good(50, answers(bytes));
        report.assert_all_ok();
        assert_eq!((report.status(status), server.accepted()), (50, 2));
    }
}

#[test]
fn a_body_may_be_delimited_by_the_end_of_the_connection() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n"] {
        let server = Scripted::start(move |mut peer| {
            peer.request();
            peer.send(head);
            peer.send("some ");
            thread::sleep(Duration::from_millis(1));
            peer.send("text");
        });
        let report = measure(&["-n", "40", "-c", "2", "--expect", "size=9", &server.url()]);
        report.assert_all_ok();
        assert_eq!((report.count("ok"), server.requests()), (40, 40));
    }
}

#[test]
fn a_server_that_half_closes_is_read_to_the_end() {
    let (report, _server) = good(20, |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nall of it");
        peer.half_close();
        peer.wait_for_close();
    });
    report.assert_all_ok();
}

#[test]
fn a_kept_connection_that_is_closed_costs_at_most_the_request_on_its_way() {
    let (server, count) = (
        Scripted::start(|mut peer| {
            for _ in 0..3 {
                if peer.request().is_none() {
                    return;
                }
                peer.send(OK);
            }
        }),
        300,
    );
    let report = measure(&["-n", "300", "-c", "2", &server.url()]);
    let lost = report.count("truncated") + report.count("reset");
    assert_eq!((report.count("sent"), report.count("ok") + lost), (count, count));
    assert!(report.count("ok") >= count * 3 / 5, "{:#}", report.json["counts"]);
    assert_eq!(report.count("ok"), server.requests());
}

#[test]
fn half_of_the_answers_may_be_refusals() {
    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let seen = Arc::clone(&counts);
    let server = Scripted::start(move |mut peer| {
        while let Some(number) = peer.request() {
            let refused = number % 2;
            seen[usize::from(refused == 1)].fetch_add(1, Ordering::SeqCst);
            peer.send(if refused == 1 {
                &b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"[..]
            } else {
                OK
            });
        }
    });
    let report = measure(&["-d", "300ms", "--warmup", "0", "-c", "4", &server.url()]);
    let [ok, refused] = [0, 1].map(|index: usize| counts[index].load(Ordering::SeqCst));
    assert!(ok > 0 && refused > 0);
    assert_eq!((report.count("ok"), report.count("http_error")), (ok, refused));
    assert_eq!((report.status(200), report.status(503)), (ok, refused));
}

#[test]
fn a_server_that_dies_and_comes_back_is_used_again() {
    let server = Scripted::answering(OK);
    let (address, url) = (server.address(), server.url());
    let arguments = ["-t", "1", "--json", "-d", "1500ms", "--warmup", "0", "-c", "4", &url];
    let running = Running::start(maxq_on_engine().args(arguments));
    wait_until("load", || server.requests() > 100);
    server.die();
    thread::sleep(Duration::from_millis(200));
    let revived = Scripted::start_at(address, answers(OK));
    wait_until("load again", || revived.requests() > 100);
    let report = checked(0, &running.end());
    assert!(report.count("ok") > 200 && report.number("/connections/reconnects") >= 4);
    let lost = report.count("truncated") + report.count("reset");
    assert!((1..=4).contains(&lost), "{:#}", report.json["counts"]);
    assert!(report.error("connect/refused") > 0);
    assert_eq!(report.text("/end/reason"), "finished");
}

#[test]
fn a_server_that_stays_dead_is_given_up() {
    let server = Scripted::answering(OK);
    let url = server.url();
    let arguments =
        ["-t", "1", "--json", "-d", "30s", "--warmup", "0", "-c", "4", "--give-up", "500ms", &url];
    let running = Running::start(maxq_on_engine().args(arguments));
    wait_until("load", || server.requests() > 100);
    server.die();
    let ended = running.end();
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
    let report = checked(5, &ended);
    assert_eq!(report.text("/end/reason"), "gave_up");
    assert_eq!(report.json["partial"], true);
    assert!(report.count("ok") > 0 && report.error("connect/refused") > 0);
    assert_eq!(report.json["verdict"]["valid"], false);
}

#[test]
fn a_port_that_drops_connections_is_given_up() {
    let (address, _kept) = black_hole();
    let url = format!("http://{address}/");
    let limits = ["--give-up", "400ms", "--connect-timeout", "100ms"];
    let ended = run(maxq_on_engine()
        .args(["-t", "1", "-d", "5s", "-c", "2", "--json"])
        .args(limits)
        .arg(url));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(5), ""));
    assert!(ended.stderr.contains("connect_timeout"), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(4));
}

#[test]
fn what_a_server_sends_never_reaches_the_terminal_raw() {
    const HOSTILE: &[u8] = b"\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\x08 \xe2\x80\xae\r\n\r\n";
    let server = Scripted::start(answers(HOSTILE));
    let url = server.url();
    let ended =
        run(maxq_on_engine().args(["-t", "1", "-d", "200ms", "--warmup", "0", "-c", "2", &url]));
    assert_eq!(ended.code, Some(5));
    assert!(ended.stdout.contains("\\x1b"), "the sample is shown: {}", ended.stdout);
    for text in [&ended.stdout, &ended.stderr] {
        let raw = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(raw, None, "{text}");
    }
    let report = measure_to(5, &["-d", "200ms", "--warmup", "0", "-c", "2", &url]);
    assert_eq!(report.count("protocol_error"), report.count("sent"));
}

#[test]
fn one_bad_connection_harms_no_other() {
    let server = Scripted::start(|mut peer| {
        while peer.request().is_some() {
            if peer.number == 0 {
                peer.wait_for_close();
                return;
            }
            peer.send(OK);
        }
    });
    let url = server.url();
    let report = measure(&["-d", "400ms", "--warmup", "0", "-c", "4", "--timeout", "150ms", &url]);
    assert_eq!(report.count("timeout"), 1);
    assert_eq!(report.count("ok"), report.count("sent") - 1);
    assert!(report.count("ok") > 100);
    assert_eq!(server.accepted(), 5, "the bad one is replaced");
}

#[test]
fn an_answer_before_the_request_was_read_ends_the_connection_and_not_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut unread = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.read_exact(&mut [0; 4096]).unwrap();
            stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno").unwrap();
            // Kept open and never read again.
            unread.push(stream);
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body");
    fs::write(&body, vec![0; 20_000_000]).unwrap();
    let body = format!("@{}", body.display());
    let report = measure_to(5, &["-c", "1", "-n", "5", "--timeout", "1s", "-b", &body, &url]);
    assert_eq!((report.count("http_error"), report.status(413)), (5, 5));
}

#[test]
fn a_worker_without_a_server_gives_up_though_the_other_one_is_done() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let served = listener.accept().unwrap().0;
        let dropped = listener.accept().unwrap().0;
        drop(listener);
        drop(dropped);
        let mut served = (served.try_clone().unwrap(), served);
        let mut buffer = [0; 4096];
        // One request is on its way at a time, and comes in one piece.
        while served.0.read(&mut buffer).is_ok_and(|length| length > 0) {
            served.1.write_all(OK).unwrap();
        }
    });
    let begun = Instant::now();
    let flags = ["-t", "2", "-c", "2", "-n", "20", "--give-up", "300ms", "--json"];
    let ended = run(maxq_on_engine().args(flags).arg(&url));
    let report = checked(5, &ended);
    assert_eq!(report.text("/end/reason"), "gave_up");
    assert_eq!(report.count("ok"), 10);
    assert_eq!(
        (report.json["verdict"]["valid"].as_bool(), report.number("/connections/lost")),
        (Some(false), 1)
    );
    let measured_s = report.float("/window/measured_s");
    assert!(measured_s > 0.2 && measured_s < begun.elapsed().as_secs_f64(), "{measured_s}");
}

/// Servers that would hold a client for ever, each in its own way.
fn holding_servers() -> Vec<(&'static str, Scripted)> {
    let dripping = |start: &'static [u8], drop: &'static [u8]| {
        Scripted::start(move |mut peer| {
            peer.request();
            peer.send(start);
            for _ in 0..100 {
                peer.send(drop);
                thread::sleep(Duration::from_millis(30));
            }
        })
    };
    vec![
        ("says nothing", Scripted::start(|peer| peer.wait_for_close())),
        ("drips a head", dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x")),
        ("drips header lines", dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")),
        ("drips a body", dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x")),
        ("drips a body without an end", dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x")),
        (
            "drips chunks",
            dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        ),
        (
            "drips a chunk size",
            dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", b";"),
        ),
        (
            "drips trailers",
            dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        ),
        ("drips interim responses", dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n")),
        (
            "sends no more than a head",
            Scripted::start(|mut peer| {
                peer.request();
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
                peer.wait_for_close();
            }),
        ),
    ]
}

#[test]
fn no_server_holds_a_run_beyond_its_timeout() {
    let body = "x".repeat(12_000_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    fs::write(&file, body).unwrap();
    let file = format!("@{}", file.display());
    let holds = |what: &str, server: &Scripted, more: &[&str]| {
        let bounds = "-d 200ms --warmup 0 -c 3 --timeout 400ms --drain 20s -t 1 --json";
        let mut command = maxq_on_engine();
        let ended = run(command.args(bounds.split(' ')).args(more).arg(server.url()));
        let report = checked(5, &ended);
        assert_eq!(report.count("ok"), 0, "{what}");
        // From the start to the end of the window, and the timeout of what was taken last.
        let lasted_s = report.float("/window/measured_s") + report.float("/window/drain_s");
        assert!(lasted_s < 0.2 + 0.4 + 1.0, "{what}, {more:?}: {lasted_s} s");
        assert!(ended.took < Duration::from_secs(5), "{what}, {more:?}: {:?}", ended.took);
    };
    // A few at a time: each of them needs a core for a moment.
    for some in holding_servers().chunks(3) {
        thread::scope(|scope| {
            for (what, server) in some {
                scope.spawn(|| {
                    for more in [&[][..], &["-R", "100"], &["-b", &file]] {
                        holds(what, server, more);
                    }
                });
            }
        });
    }
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let server =
        Scripted::answering(b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    let report = measure(&["-n", "100", "-c", "2", &server.url()]);
    report.assert_all_ok();
    assert_eq!((report.status(301), server.requests(), server.accepted()), (100, 100, 2));
}

#[test]
fn compressed_bodies_are_counted_as_they_came() {
    let (report, _server) = good(
        50,
        answers(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nno-gzi"),
    );
    assert_eq!(report.status(200), 50);
}

#[test]
fn a_server_that_announces_its_last_answer_may_close_after_it() {
    let (report, server) = good(40, |mut peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    });
    // The other connection may be opened anew before the last answer comes.
    assert!((40..=41).contains(&server.accepted()), "{} connections", server.accepted());
    assert_eq!(report.errors().values().sum::<u64>(), 0);
}

/// The answers to half of all requests come when these have long been timed out, while the connections that took the place
/// of theirs, and their descriptors, await answers of their own.
#[test]
fn no_answer_is_ever_taken_for_another_requests() {
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let target = Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap();
    let law = "mixture?fast=2ms&slow=60ms&every=2&stamps=1";
    let url = format!("http://{}/law/{law}", target.local_address());
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("requests.jsonl");
    let load = "-t 1 -c 200 -R 2000 -d 1s --warmup 0 --timeout 30ms --json --log-requests";
    let mut command = maxq_on_engine();
    let ended = run(command.args(load.split(' ')).arg(&log).arg(&url));
    let report = Report::of(&ended.stdout);
    let (ok, late) = (report.count("ok"), report.count("timeout"));
    assert!(late >= 500 && ok > 100, "{:#}", report.json["counts"]);
    let text = fs::read_to_string(&log).unwrap();
    let mut numbers = std::collections::BTreeSet::new();
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(number) = row["server_number"].as_u64() else { continue };
        assert!(numbers.insert(number), "answer {number} was taken twice");
        // One that answers another request was received by the server before this one was sent.
        let time = |key: &str| row[key].as_u64().unwrap();
        assert!(time("sent_ns") <= time("server_received_ns"), "{row}");
        assert!(time("server_sent_ns") <= time("ended_ns"), "{row}");
    }
    assert!(numbers.len() as u64 >= ok);
}
