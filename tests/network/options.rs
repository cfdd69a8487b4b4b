//! Options of the client's sockets: the kernel says that they are set, or the machine says that it refuses them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use crate::support::report::{checked, measure};
use crate::support::scripted::Scripted;
use crate::support::{Running, maxq_on_engine, not_tested, run, wait_until};
use crate::{NOWHERE, refused, refused_as_usage};

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello";

/// What `ss` knows of the client's connections to `server` while a run with `flags` goes on.
fn sockets_during(server: &Scripted, flags: &[&str]) -> String {
    let url = server.url();
    let load = ["-t", "1", "-c", "4", "-d", "600ms", "--warmup", "0", "--json", &url];
    let running = Running::start(maxq_on_engine().args(load).args(flags));
    let before = server.requests();
    wait_until("the first requests", || server.requests() > before + 8);
    let port = server.address().port();
    let filter = format!("dport = :{port}");
    let seen = run(Command::new("ss").args(["-H", "-O", "-tinm", "state", "established", &filter]));
    checked(0, &running.end()).assert_all_ok();
    assert_eq!(seen.code, Some(0), "{}", seen.stderr);
    seen.stdout
}

#[test]
fn congestion_control_and_buffers_are_what_the_kernel_was_told() {
    let server = Scripted::answering(HELLO);
    let flags = ["--congestion", "reno", "--send-buffer", "64k", "--receive-buffer", "32k"];
    let sockets = sockets_during(&server, &flags);
    if sockets.is_empty() {
        return not_tested("ss sees no sockets here");
    }
    assert_eq!(sockets.lines().count(), 4, "{sockets}");
    for line in sockets.lines() {
        assert!(line.contains(" reno "), "{line}");
        // The kernel doubles them.
        assert!(line.contains(",tb131072,") && line.contains(",rb65536,"), "{line}");
    }
}

#[test]
fn all_options_together_work() {
    let server = Scripted::answering(HELLO);
    let url = server.url();
    let flags = ["--congestion", "reno", "--send-buffer", "64k", "--receive-buffer", "64k"];
    let busy = ["--busy-poll", "50", "--quickack"];
    let load = ["-n", "400", "-c", "4", "--source", "127.0.0.2", "--interface", "lo", &url];
    let arguments = [&flags[..], &busy, &load].concat();
    let ended = run(maxq_on_engine().args(["-t", "1", "--json"]).args(&arguments));
    if ended.code == Some(7) && ended.stderr.contains("--busy-poll") {
        return not_tested("only root may set SO_BUSY_POLL");
    }
    let report = checked(0, &ended);
    report.assert_all_ok();
    assert_eq!((report.count("ok"), server.requests(), server.accepted()), (400, 400, 4));
    // A socket is set anew each time.
    let report = measure(&[&arguments[..], &["--no-keepalive"]].concat());
    report.assert_all_ok();
    assert_eq!(server.requests(), 800);
}

#[test]
fn the_smallest_buffers_that_there_are_carry_every_request() {
    let server = Scripted::answering(HELLO);
    let body = "x".repeat(20_000);
    let flags = ["--send-buffer", "1", "--receive-buffer", "1", "-H", "A: b", "-n", "100"];
    let url = server.url();
    let padding = format!("B: {}", &body);
    let report = measure(&[&flags[..], &["-H", &padding, "-c", "2", "-p", "4", &url]].concat());
    report.assert_all_ok();
    assert_eq!((report.count("ok"), server.requests()), (100, 100));
}

#[test]
fn an_option_that_the_machine_refuses_is_named() {
    refused(7, &["--congestion", "nonsense", NOWHERE], &["--congestion"]);
    let long = "x".repeat(100);
    refused(7, &["--congestion", &long, NOWHERE], &["--congestion"]);
    refused(7, &["--quickack", "--congestion", "nonsense", NOWHERE], &["--congestion"]);
    refused(7, &["--busy-poll", "4294967295", NOWHERE], &["--busy-poll"]);
}

#[test]
fn buffers_of_no_size_are_refused() {
    for flag in ["--send-buffer", "--receive-buffer"] {
        for size in ["0", "2G"] {
            refused(2, &[flag, size, NOWHERE], &[flag, "between 1 byte and 2 GiB"]);
        }
        for size in ["-1", "x", "1.5"] {
            refused_as_usage(&[&format!("{flag}={size}"), NOWHERE], flag);
        }
    }
    refused_as_usage(&["--busy-poll=x", NOWHERE], "--busy-poll");
    refused_as_usage(&["--proxy-protocol", "v3", NOWHERE], "--proxy-protocol");
    refused_as_usage(&["--addresses", "some", NOWHERE], "--addresses");
}

/// How a connection ends on which one request was answered: in order, or with an error.
fn end_of_connection(flags: &[&str]) -> Result<(), ErrorKind> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut bytes = [0; 1024];
        while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            assert!(connection.read(&mut bytes).unwrap() > 0, "a request comes first");
        }
        connection.write_all(HELLO).unwrap();
        connection.read(&mut bytes).map(|length| assert_eq!(length, 0)).map_err(|e| e.kind())
    });
    let load = ["-c", "1", "-n", "1", "--warmup", "0", &url];
    measure(&[&load[..], flags].concat()).assert_all_ok();
    server.join().unwrap()
}

#[test]
fn connections_are_closed_in_order_or_as_wanted_with_a_reset() {
    assert_eq!(end_of_connection(&[]), Ok(()));
    assert_eq!(end_of_connection(&["--reset-on-close"]), Err(ErrorKind::ConnectionReset));
    let each = ["--requests-per-connection", "1", "--reset-on-close"];
    assert_eq!(end_of_connection(&each), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_reset_leaves_no_connection_in_time_wait() {
    let left_by = |flags: &[&str]| {
        let server = Scripted::answering(HELLO);
        let url = server.url();
        let load = ["-c", "4", "-n", "40", "--requests-per-connection", "1", &url];
        measure(&[&load[..], flags].concat()).assert_all_ok();
        let filter = format!("dport = :{}", server.address().port());
        let seen =
            run(Command::new("ss").args(["-H", "-O", "-tan", "state", "time-wait", &filter]));
        assert_eq!(seen.code, Some(0), "{}", seen.stderr);
        seen.stdout.lines().count()
    };
    let in_order = left_by(&[]);
    if in_order == 0 {
        return not_tested("ss sees no sockets here");
    }
    assert!(in_order >= 36, "{in_order} of 40");
    assert_eq!(left_by(&["--reset-on-close"]), 0);
}
