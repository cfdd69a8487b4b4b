//! The command line as people and scripts meet it: refusals here, and what is told, written and obeyed in the modules.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the way tests do")]

#[path = "cli/credentials.rs"]
mod credentials;
#[path = "cli/examples.rs"]
mod examples;
#[path = "cli/gates.rs"]
mod gates;
#[path = "cli/habits.rs"]
mod habits;
#[path = "cli/open_loop.rs"]
mod open_loop;
#[path = "cli/outputs.rs"]
mod outputs;
#[path = "cli/runs.rs"]
mod runs;
#[path = "cli/signals.rs"]
mod signals;
#[path = "cli/streams.rs"]
mod streams;
mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use maxq::serve::{Options, Server};
use support::scripted::closed_port;
use support::{Ended, maxq, maxq_on_engine, run};

/// Whatever is refused before anything is sent never gets as far as this.
const NOWHERE: &str = "http://127.0.0.1:9/";
const QUICK: [&str; 8] = ["-t", "1", "-c", "2", "-d", "200ms", "--warmup", "0"];

/// A good server on a free port.
fn target() -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap()
}

fn url(server: &Server) -> String {
    format!("http://{}/", server.local_address())
}

/// A short run against a good server, with more flags.
fn quick(server: &Server, more: &[&str]) -> Ended {
    run(maxq_on_engine().args(QUICK).args(more).arg(url(server)))
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What `arguments` are refused with. Nothing is printed but the reason, and no file is left behind.
fn refusal(code: i32, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(maxq().current_dir(folder.path()).args(arguments));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments:?}: {ended:?}");
    assert_eq!(names_in(folder.path()), Vec::<String>::new(), "{arguments:?}");
    ended.stderr
}

/// `arguments` are refused in one line that holds all of `parts`, even when there would be files to write.
fn refused_in_one_line(code: i32, arguments: &[&str], parts: &[&str]) {
    let files: &[&str] = if arguments.iter().any(|a| matches!(*a, "-o" | "--hgrm" | "demo")) {
        &[]
    } else {
        &["-o", "out.json", "--hgrm", "out.hgrm", "--timeseries", "out.ndjson"]
    };
    let stderr = refusal(code, &[arguments, files].concat());
    assert!(stderr.ends_with('\n') && stderr.lines().count() == 1, "{arguments:?}: {stderr:?}");
    for part in parts {
        assert!(stderr.contains(part), "{arguments:?}: {stderr:?} does not say {part:?}");
    }
}

/// `arguments` are refused by the parser of the command line, in one line that holds all of `parts`.
fn refused_by_the_parser(arguments: &[&str], parts: &[&str]) {
    let stderr = refusal(2, arguments);
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr:?}");
    for part in parts {
        assert!(stderr.contains(part), "{arguments:?}: {stderr:?} does not say {part:?}");
    }
}

#[test]
fn urls_that_cannot_be_used_are_refused_in_one_line() {
    for (bad, parts) in [
        ("ftp://127.0.0.1/", ["'ftp'", "use an http:// or https:// URL"]),
        ("http:///path", ["no host", "use http://HOST"]),
        ("http://127.0.0.1:0/", ["port '0'", "from 1 to 65535"]),
        ("http://127.0.0.1:99999/", ["port '99999'", "from 1 to 65535"]),
        ("http://::1/", ["brackets", "http://[::1]"]),
        ("http://a:b%0a@127.0.0.1/", ["URL 'http://***@127.0.0.1/'", "control characters"]),
        ("http://127.0.0.1/a b", ["URL", "percent-encoded"]),
        ("http://127.0.0.1/\r\nX: y", ["URL", "percent-encoded"]),
    ] {
        refused_in_one_line(2, &[bad], &parts);
    }
}

#[test]
fn a_host_that_does_not_resolve_is_an_unusable_target() {
    let host = "nonexistent.invalid";
    refused_in_one_line(5, &["http://nonexistent.invalid/"], &[host, "does not resolve", "check"]);
}

#[test]
fn a_port_on_which_nothing_listens_is_an_unusable_target() {
    let (address, _kept) = closed_port();
    let url = format!("http://{address}/");
    let begun = Instant::now();
    refused_in_one_line(5, &[&url], &[&url, "refused", "check that a server listens"]);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let begun = Instant::now();
    let patient = ["--no-preflight", "--give-up", "300ms", &url];
    refused_in_one_line(5, &patient, &[&url, "refused", "--give-up"]);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_address_that_cannot_be_connected_to_ends_the_run_at_once() {
    // A link-local address without an interface: the kernel sends nothing.
    let url = "http://[fe80::1]:80/";
    let says = [url, "not_connectable", "cannot connect to this address"];
    refused_in_one_line(5, &[url], &says);
    for engine in ["portable", "auto"] {
        let begun = Instant::now();
        let flags = ["--no-preflight", "--give-up", "60s", "-d", "60s", "-c", "8"];
        refused_in_one_line(5, &[&flags[..], &["--engine", engine, url]].concat(), &says);
        assert!(begun.elapsed() < Duration::from_secs(30), "{engine}");
    }
}

#[test]
fn what_is_looked_up_and_not_found_is_named_by_its_flag() {
    let (proxy, leads) = ("http://u:secret@proxy.invalid:1", "::there.invalid:80");
    let url = "http://127.0.0.1:9/";
    refused_in_one_line(
        5,
        &["--proxy", proxy, url],
        &["--proxy: host 'proxy.invalid'", "spelling"],
    );
    refused_in_one_line(5, &["--connect-to", leads, url], &["--connect-to '::there.invalid:80'"]);
}

#[test]
fn a_password_in_a_url_is_never_repeated() {
    let url = "http://user:hunter2@127.0.0.1:9/";
    for arguments in [
        &[url][..],
        &["--dry-run", url],
        &["--json", url],
        &["--proxy", "http://u:hunter2@h:1:2", "http://127.0.0.1:9/"],
        &["--proxy", "socks5://u:hunter2@h:1", "http://127.0.0.1:9/"],
        &["-H", "Authorization Bearer hunter2", "http://127.0.0.1:9/"],
        &["compare", url, url],
        &["compare", "--urls", url, url],
        &["sweep", "--rate", "1..2/2", url],
        &["ceiling", "--slo", "p99<1s", url],
        &["spike", "--base", "1", "--peak", "2", url],
    ] {
        let ended = run(maxq().args(arguments));
        // Most are refused, and nothing listens on that port for the others.
        let expected = if arguments.contains(&"--dry-run") { 0..=0 } else { 2..=5 };
        assert!(
            ended.code.is_some_and(|code| expected.contains(&code)),
            "{arguments:?}: {ended:?}"
        );
        let said = ended.stdout + &ended.stderr;
        assert!(!said.contains("hunter2"), "{arguments:?}: {said}");
    }
}

#[test]
fn numbers_that_cannot_be_obeyed_are_refused_in_one_line() {
    let cases: [(&[&str], &[&str]); 16] = [
        (&["-c", "0"], &["-c 0", "at least one"]),
        (&["-c", "2M"], &["-c 2000000", "at most 1000000"]),
        (&["-n", "0"], &["-n 0", "-d"]),
        (&["-d", "0"], &["-d 0", "longer"]),
        (&["-d", "0ms"], &["-d 0", "longer"]),
        (&["-p", "0"], &["-p 0", "at least one"]),
        (&["-p", "1025"], &["-p 1025", "at most 1024"]),
        (&["-t", "0"], &["-t 0", "at least one"]),
        (&["-t", "3", "-c", "2"], &["-t 3", "-c"]),
        (&["--timeout", "0"], &["--timeout 0", "longer"]),
        (&["--connect-timeout", "0"], &["--connect-timeout 0", "longer"]),
        (&["--give-up", "0"], &["--give-up 0", "longer"]),
        (&["--requests-per-connection", "0"], &["--requests-per-connection 0", "at least one"]),
        (&["--requests-per-connection", "3", "-p", "4"], &["-p 4", "--requests-per-connection"]),
        (&["--no-keepalive", "-p", "2"], &["-p 2", "--no-keepalive"]),
        (&["--cpus", "8000"], &["--cpus", "8000", "may use"]),
    ];
    for (arguments, parts) in cases {
        refused_in_one_line(2, &[arguments, &[NOWHERE]].concat(), parts);
    }
}

#[test]
fn requests_that_cannot_be_sent_are_refused_in_one_line() {
    let cases: [(&[&str], &[&str]); 19] = [
        (&["-b", "@/nonexistent/body"], &["--body @/nonexistent/body", "readable file"]),
        (&["-b", "@/"], &["--body @/", "readable file"]),
        (&["--raw", "/nonexistent/raw"], &["--raw /nonexistent/raw", "No such file"]),
        (&["--raw", "/dev/null"], &["--raw /dev/null", "a request is needed"]),
        (&["-H", "no colon"], &["-H 'no colon'", "use 'Name: value'"]),
        (&["-H", "A: b\r\nEvil: c"], &["-H 'A: b\\r\\nEvil: c'", "no line ends"]),
        (&["-H", "A: b\rc"], &["-H", "no line ends"]),
        (&["-H", "A: b\nc"], &["-H", "no line ends"]),
        (&["-H", "A\r\nB: c"], &["-H", "use 'Name: value'"]),
        (&["-m", "GE T"], &["-m 'GE T'", "a word like GET"]),
        (&["-m", "GET\r\nX: y"], &["-m", "a word like GET"]),
        (&["--no-keepalive", "-H", "Connection: x"], &["--no-keepalive", "-H"]),
        (&["-H", "Connection: close", "-p", "2"], &["-p 2", "-H 'Connection: close'"]),
        (
            &["-H", "Connection: close", "--requests-per-connection", "2"],
            &["--requests-per-connection 2", "-H 'Connection: close'"],
        ),
        (&["-H", "Content-Length: 5", "-b", "hello world"], &["-H 'Content-Length: 5'", "11"]),
        (&["-H", "Transfer-Encoding: chunked"], &["-H 'Transfer-Encoding: chunked'", "-b"]),
        (&["-H", "Upgrade: h2c"], &["-H 'Upgrade: h2c'", "HTTP/1.1"]),
        (&["-H", "Host: a", "-H", "host: b"], &["-H 'Host: a'", "once"]),
        (&["-H", "Expect: 100-continue"], &["-H 'Expect: 100-continue'", "-b"]),
    ];
    for (arguments, parts) in cases {
        refused_in_one_line(2, &[arguments, &[NOWHERE]].concat(), parts);
    }
}

#[test]
fn expectations_that_make_no_sense_are_refused_in_one_line() {
    for clause in ["", "2xx", "status=", "status=2x", "status=99", "size=big", "body=x", "sise=1"] {
        refused_in_one_line(2, &["--expect", clause, NOWHERE], &["--expect", clause]);
    }
    let twice = ["--expect", "size=1", "--expect", "size=2", NOWHERE];
    refused_in_one_line(2, &twice, &["--expect 'size=2'", "give it once"]);
}

#[test]
fn places_that_cannot_be_written_are_refused_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    for flag in ["-o", "--hgrm", "--timeseries"] {
        let mut arguments = vec![flag, directory, NOWHERE];
        if flag == "--timeseries" {
            arguments.extend(["-o", "out.json"]);
        }
        refused_in_one_line(8, &arguments, &[flag, directory, "directory"]);
        arguments[1] = "/nonexistent/x";
        refused_in_one_line(8, &arguments, &[flag, "/nonexistent/x", "can be written"]);
    }
    assert_eq!(names_in(folder.path()), Vec::<String>::new());
}

#[test]
fn two_results_in_one_place_are_refused_in_one_line() {
    for arguments in [
        ["-o", "same", "--hgrm", "same"],
        ["-o", "same", "--timeseries", "same"],
        ["--hgrm", "same", "--timeseries", "same"],
    ] {
        let stderr = refusal(2, &[&arguments[..], &[NOWHERE]].concat());
        assert_eq!(stderr.lines().count(), 1, "{stderr:?}");
        for part in [arguments[0], arguments[2], "same", "another file"] {
            assert!(stderr.contains(part), "{stderr:?}");
        }
    }
    for flag in ["--hgrm", "--hlog", "--log-requests", "--timeseries"] {
        let stderr = refusal(2, &["--json", flag, "-", NOWHERE]);
        assert_eq!(stderr.lines().count(), 1, "{stderr:?}");
        for part in [&format!("{flag} -: ")[..], "-o FILE", &format!("another file for {flag}")] {
            assert!(stderr.contains(part), "{stderr:?}");
        }
    }
}

#[test]
fn one_file_by_two_names_is_refused_too() {
    let stderr = refusal(2, &["-o", "same", "--hgrm", "./same", "--give-up", "100ms", NOWHERE]);
    assert!(stderr.contains("--hgrm") && stderr.contains("another file"), "{stderr:?}");
}

#[test]
fn values_that_cannot_be_read_are_refused_by_flag() {
    let cases: [(&[&str], &[&str]); 16] = [
        (&["-d", "10"], &["--duration", "'10' has no unit", "write 10ms, 10s or 10m"]),
        (&["--timeout", "5"], &["--timeout", "'5' has no unit"]),
        (&["-d", "30s1m"], &["--duration", "'30s1m'", "1m30s"]),
        (&["--burst", "5@2"], &["--burst", "'2' has no unit"]),
        (&["-d", "1d"], &["--duration", "'1d'", "500ms"]),
        (&["-d=-1s"], &["--duration", "'-1s'", "500ms"]),
        (&["-d", "1.5ns"], &["--duration", "'1.5ns'", "nanosecond"]),
        (&["--warmup", "soon"], &["--warmup", "'soon'", "500ms"]),
        (&["--timeout", "1 s"], &["--timeout", "'1 s'", "500ms"]),
        (&["-c", "many"], &["--connections", "'many'", "10k"]),
        (&["-n", "1.5"], &["--requests", "'1.5'", "10k"]),
        (&["-c=-1"], &["--connections", "'-1'", "10k"]),
        (&["-n", "99999999999999999999"], &["--requests", "too large"]),
        (&["--seed", "x"], &["--seed", "'x'"]),
        (&["--cpus", "zero"], &["--cpus", "'zero'", "0,2-5"]),
        (&["--idle", "nap"], &["--idle", "'nap'", "sleep"]),
    ];
    for (arguments, parts) in cases {
        refused_by_the_parser(&[arguments, &[NOWHERE]].concat(), parts);
    }
}

#[test]
fn limits_without_a_unit_are_refused_wherever_there_are_limits() {
    for command in [
        &[][..],
        &["ceiling"],
        &["sweep", "--rate", "1..2/2"],
        &["spike", "--base", "1", "--peak", "2"],
    ] {
        let arguments = [command, &["--slo", "errors<1%,p95<50", NOWHERE]].concat();
        let stderr = refusal(2, &arguments);
        assert!(stderr.contains("--slo 'p95<50': 50 has no unit; write 50ms or 50s"), "{stderr}");
    }
    let stderr = refusal(2, &["--abort-on", "p99>2", NOWHERE]);
    assert!(stderr.contains("--abort-on 'p99>2': 2 has no unit; write 2ms or 2s"), "{stderr}");
}

#[test]
fn help_shows_first_what_to_type_first() {
    let help = |arguments: &[&str]| run(maxq().args(arguments)).stdout;
    let all = help(&["--help"]);
    let place = |part: &str| all.find(part).unwrap_or_else(|| panic!("no {part}: {all}"));
    for example in
        ["maxq demo", "-d 1m30s", "-b '{", "@0..1k", "spike --base 0", "--timeseries -", "p99<50ms"]
    {
        assert!(place(example) < place("Options:"), "{example}");
    }
    assert!(place("Exit codes:") > place("--log-requests"));
    let spike = help(&["spike", "--help"]);
    for part in ["0 for none at all", "maxq spike --base 0", "no p99 to return to"] {
        assert!(spike.contains(part), "{part}: {spike}");
    }
    let words = all.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["(think time + response time)", "Connections are not users", "application/json"] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn a_negative_number_after_a_blank_is_refused_by_flag() {
    for (flag, name) in [("-d", "--duration"), ("-c", "--connections"), ("-n", "--requests")] {
        refused_by_the_parser(&[flag, "-1", NOWHERE], &[name]);
    }
}

#[test]
fn flags_that_do_not_exist_or_contradict_are_refused_by_name() {
    refused_by_the_parser(&["--dration", "1s", NOWHERE], &["--dration", "'--duration'"]);
    refused_by_the_parser(&["--raw", "x", "-m", "GET", NOWHERE], &["--raw", "--method"]);
    refused_by_the_parser(&["--raw", "x", "-b", "y", NOWHERE], &["--raw", "--body"]);
    refused_by_the_parser(&["--raw", "x", "-H", "A: b", NOWHERE], &["--raw", "--header"]);
    refused_by_the_parser(
        &["--no-keepalive", "--requests-per-connection", "2", NOWHERE],
        &["--no-keepalive", "--requests-per-connection"],
    );
    refused_by_the_parser(&["-c", "1"], &["URL"]);
    refused_by_the_parser(&["run"], &["URL"]);
    refused_by_the_parser(&[NOWHERE, NOWHERE], &["one URL"]);
    refused_by_the_parser(&["--seed", "-1", NOWHERE], &["--seed", "-1"]);
    refused_by_the_parser(&[], &["URL", "maxq demo", "--help"]);
}
