//! Unix sockets: the same requests over them as over TCP, and what is said of a path that leads nowhere.

use std::fs;
use std::os::unix::net::UnixListener;

use crate::site::{LARGE, Site};
use crate::support::report::{measure, measure_to};
use crate::{GIVE_UP, NOWHERE, each, refused, refused_as_usage, told};

const URL: &str = "http://site.test/";

#[test]
fn an_exact_number_of_requests_goes_over_a_unix_socket() {
    let site = Site::start(&["unix:{prefix}/socket"]);
    let path = site.files.argument("socket");
    let report = measure(&["--unix-socket", &path, "-n", "1001", "-c", "8", URL]);
    report.assert_all_ok();
    assert_eq!((report.count("ok"), report.status(200)), (1001, 1001));
    assert_eq!(report.number("/connections/used"), 8);
    assert_eq!(report.text("/plan/address"), format!("unix:{path}"));
    assert_eq!(report.text("/plan/url"), URL);
    assert_eq!(report.json["plan"]["same_host"], true);
    let log = site.log();
    assert_eq!((log.requests(), log.connections()), (1001, 8));
    assert_eq!(log.connections_by("host"), each(["site.test"], 8), "the URL says what to ask for");
    assert_eq!(log.connections_by("server_addr"), each([&format!("unix:{path}")], 8));
}

#[test]
fn tls_goes_over_a_unix_socket() {
    let site = Site::start(&["unix:{prefix}/socket ssl"]);
    let path = site.files.argument("socket");
    let certificate = site.files.argument("certificate.pem");
    let over_it = ["--unix-socket", &path, "-n", "500", "-c", "8", "https://site.test/"];
    for trust in [&["-k"][..], &["--cacert", &certificate]] {
        let report = measure(&[&over_it[..], trust].concat());
        report.assert_all_ok();
        assert_eq!(report.number("/tls/full") + report.number("/tls/resumed"), 8);
    }
    let log = site.log();
    assert_eq!(log.requests(), 1000);
    assert_eq!(log.connections_by("sni"), each(["site.test"], 16));
}

#[test]
fn without_keep_alive_each_request_has_a_unix_connection_of_its_own() {
    for scheme in ["http", "https"] {
        let site = Site::start(&["unix:{prefix}/http", "unix:{prefix}/https ssl"]);
        let path = site.files.argument(scheme);
        let url = format!("{scheme}://site.test/");
        let flags = ["--no-keepalive", "-k", "-n", "200", "-c", "4", &url];
        let flags: Vec<_> = flags.into_iter().filter(|f| scheme == "https" || *f != "-k").collect();
        let report = measure(&[&["--unix-socket", &path], &flags[..]].concat());
        report.assert_all_ok();
        assert_eq!(report.count("ok"), 200);
        let log = site.log();
        assert_eq!((log.requests(), log.connections()), (200, 200));
    }
}

#[test]
fn pipelined_requests_are_all_answered_over_a_unix_socket() {
    let site = Site::start(&["unix:{prefix}/socket"]);
    let path = site.files.argument("socket");
    let report = measure(&["--unix-socket", &path, "-n", "5000", "-c", "4", "-p", "16", URL]);
    report.assert_all_ok();
    assert_eq!((report.count("ok"), site.log().requests()), (5000, 5000));
}

#[test]
fn large_responses_come_over_a_unix_socket_to_the_byte() {
    let site = Site::start(&["unix:{prefix}/http", "unix:{prefix}/https ssl"]);
    for (scheme, flags) in [
        ("http", &["--body-check"][..]),
        ("https", &["-k"]),
        ("http", &["--receive-buffer", "4k", "-p", "4"]),
        ("http", &[]),
    ] {
        let path = site.files.argument(scheme);
        let url = format!("{scheme}://site.test/large");
        let size = format!("size={LARGE}");
        let over_it = ["--unix-socket", &path, "-n", "40", "-c", "4", "--expect", &size, &url];
        // Where every connection is lost, the next one is opened later and later.
        let report = measure(&[&over_it[..], &["-d", "2s"], flags].concat());
        report.assert_all_ok();
        assert_eq!((report.count("ok"), report.status(200)), (40, 40), "{scheme} {flags:?}");
        assert!(report.number("/bytes/received") > 40 * LARGE as u64);
    }
    assert_eq!(site.log().requests(), 160);
}

#[test]
fn a_full_accept_queue_of_a_unix_socket_is_waited_for() {
    let site = Site::start(&["unix:{prefix}/socket backlog=1"]);
    let path = site.files.argument("socket");
    // Time enough for those that found the queue full, however slowly this machine lets the server take from it.
    let paced = ["-R", "2000", "-d", "2s", "--warmup", "0", "-c", "64"];
    let report = measure(&[&paced[..], &["--unix-socket", &path, URL]].concat());
    assert_eq!(report.count("ok"), 4000, "{:?}", report.errors());
    assert_eq!((report.number("/connections/used"), site.log().connections()), (64, 64));
}

#[test]
fn a_socket_that_is_not_there_is_an_unusable_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none").display().to_string();
    refused(5, &["--unix-socket", &path, URL], &["--unix-socket", &path]);
}

#[test]
fn a_path_where_nobody_listens_is_refused_by_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let (file, socket) = (folder.path().join("file"), folder.path().join("socket"));
    fs::write(&file, "no socket").unwrap();
    // Its listener ends at once, and leaves the file behind.
    drop(UnixListener::bind(&socket).unwrap());
    for path in [file, socket] {
        let path = path.display().to_string();
        let flags = [&GIVE_UP[..], &["--unix-socket", &path, URL]].concat();
        refused(5, &flags, &[&format!("no connection to unix:{path}"), "refused"]);
    }
}

#[test]
fn a_path_is_as_long_as_the_kernel_takes() {
    let long = format!("/tmp/{}", "x".repeat(195));
    refused(2, &["--unix-socket", &long, URL], &["--unix-socket", "at most 107 bytes"]);
    refused(2, &["--unix-socket", "", URL], &["--unix-socket"]);
    let folder = tempfile::tempdir().unwrap();
    // The kernel wants a zero after it.
    let room = 107 - folder.path().as_os_str().len() - "/".len();
    let path = folder.path().join("x".repeat(room)).display().to_string();
    let _listener = UnixListener::bind(&path).unwrap();
    let flags = ["-d", "300ms", "--warmup", "0", "-c", "1", "--timeout", "200ms"];
    let report = measure_to(5, &[&flags[..], &["--unix-socket", &path, URL]].concat());
    assert_eq!(report.number("/connections/opened"), 1, "{:?}", report.errors());
}

#[test]
fn what_makes_no_sense_with_a_unix_socket_is_refused() {
    for flags in [
        &["-4"][..],
        &["-6"],
        &["--addresses", "all"],
        &["--resolve", "a:80:127.0.0.1"],
        &["--connect-to", "a:80:b:80"],
        &["--source", "127.0.0.2"],
        &["--interface", "lo"],
        &["--proxy", "http://127.0.0.1:9"],
        &["--congestion", "reno"],
        &["--busy-poll", "10"],
        &["--quickack"],
        &["--reset-on-close"],
    ] {
        let arguments = [&["--unix-socket", "/tmp/socket", NOWHERE], flags].concat();
        refused_as_usage(&arguments, "--unix-socket");
    }
}

#[test]
fn the_report_names_the_unix_socket() {
    let site = Site::start(&["unix:{prefix}/socket"]);
    let path = site.files.argument("socket");
    let buffers = ["--send-buffer", "64k", "--receive-buffer", "64k"];
    let flags = ["--unix-socket", &path, "-n", "100", "-c", "2", URL];
    let (ended, words) = told(&[&buffers[..], &flags].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(words.contains(&format!("Target unix:{path} on this host")), "{words}");
    assert!(words.contains(&format!("GET {URL}")), "{words}");
}
