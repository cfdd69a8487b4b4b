//! The example scripts, as a user would run them, against the embedded target.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use maxq::serve::{Options, Server};
use support::scripted::Scripted;
use support::{Ended, binary, run};

fn target() -> Server {
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap()
}

/// An example.
fn example(name: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/examples").join(name);
    let mut command = Command::new("bash");
    command.arg(script).env("MAXQ", binary()).env("XDG_CACHE_HOME", "/nonexistent");
    command
}

/// Flags for the runs of an example: those that all have, and `more`.
fn flags(more: &[&str]) -> Vec<String> {
    let engine = std::env::var("MAXQ_TEST_ENGINE").unwrap_or_else(|_| "auto".to_owned());
    let all = ["-t", "1", "--engine", &engine, "--warmup", "0"];
    all.iter().chain(more).map(|&flag| flag.to_owned()).collect()
}

fn ended_with(code: i32, command: &mut Command) -> Ended {
    let ended = run(command);
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    ended
}

#[test]
fn every_example_explains_itself_and_refuses_what_it_does_not_understand() {
    for name in ["payload-sweep", "nightly-gate", "before-after"] {
        let help = ended_with(0, example(name).arg("--help"));
        assert!(help.stdout.starts_with(&format!("Usage: scripts/examples/{name} ")));
        assert_eq!(ended_with(2, &mut example(name)).stdout, "");
        // Flags in a variable would be split at spaces, and are refused rather than left out.
        let mut old = example(name);
        old.env("MAXQ_ARGS", "-d 1s").args(["http://127.0.0.1:9/", "a", "--", "true"]);
        assert!(ended_with(2, &mut old).stderr.contains("MAXQ_ARGS"));
    }
}

#[test]
fn a_sweep_over_payloads_is_a_table_with_a_line_a_size() {
    let server = target();
    let prefix = format!("http://{}/bytes/", server.local_address());
    let sizes = ["100", "10000", "100000"];
    let mut command = example("payload-sweep");
    command.arg(&prefix).args(sizes).arg("--").args(flags(&["-c", "2", "-n", "20"]));
    let ended = ended_with(0, &mut command);
    let rows: Vec<Vec<&str>> =
        ended.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 1 + sizes.len(), "{}", ended.stdout);
    assert_eq!((rows[0][0], rows[0][1]), ("size", "url"));
    let ok = rows[0].iter().position(|name| *name == "ok").unwrap();
    for (row, size) in rows[1..].iter().zip(sizes) {
        assert_eq!((row[0], row[ok], row.len()), (size, "20", rows[0].len()), "{row:?}");
        assert_eq!(row[1], format!("{prefix}{size}"));
    }
    assert_eq!(ended.stderr, "");
    server.stop();
}

#[test]
fn a_sweep_over_payloads_ends_where_the_server_does() {
    let server = target();
    let prefix = format!("http://{}/status/", server.local_address());
    let mut command = example("payload-sweep");
    command.arg(&prefix).args(["200", "500", "200", "--"]);
    let ended = run(command.args(flags(&["-c", "2", "-n", "20"])));
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 2, "the size before it is kept: {}", ended.stdout);
    server.stop();
}

/// A server that answers after as many milliseconds as a file says at that time.
fn server_of_file(path: &Path) -> Scripted {
    let path = path.to_owned();
    Scripted::start(move |mut peer| {
        while peer.request().is_some() {
            let delay_ms = fs::read_to_string(&path).unwrap().trim().parse().unwrap();
            thread::sleep(Duration::from_millis(delay_ms));
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

#[test]
fn a_flag_with_spaces_in_its_value_reaches_the_server_whole() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let place = format!("http://{}/ec", server.local_address());
    let (url, folder) = (format!("{place}ho"), folder.path().to_str().unwrap());
    let more = ["-c", "2", "-n", "20", "--expect", "body~=Bearer x y\r\n"];
    let flags = flags(&[&more[..], &TOKEN].concat());
    let words = |before: &[&str], after: &[&str]| {
        let words = before.iter().map(|&word| word.to_owned()).chain(flags.clone());
        words.chain(after.iter().map(|&word| word.to_owned())).collect::<Vec<String>>()
    };
    for (name, words, codes) in [
        ("payload-sweep", words(&[&place, "ho", "--"], &[]), &[0][..]),
        // The runs may be void, and are too few to be told apart.
        ("nightly-gate", words(&[folder, &url], &[]), &[0, 6]),
        ("before-after", words(&[&url], &["--", "true"]), &[4, 6]),
    ] {
        let ended = run(example(name).env("RUNS", "2").args(words));
        assert!(codes.contains(&ended.code.unwrap()), "{name}: {}{}", ended.stdout, ended.stderr);
    }
    // Two runs for a baseline, and two before and after the change.
    assert!(server.counters().requests_total() >= 20 * (1 + 2 + 4));
    server.stop();
}

const FLAGS: [&str; 8] = ["-R", "100", "-c", "16", "-d", "300ms", "--pause", "0"];

/// A flag with a value that must not be split.
const TOKEN: [&str; 2] = ["-H", "Authorization: Bearer x y"];

/// The machine may be too busy for a valid measurement; then what was measured is void, and measured again.
const TRIES: usize = 8;
const NOT_VALID: Option<i32> = Some(6);

#[test]
fn a_nightly_gate_keeps_a_baseline_and_finds_a_server_that_became_slow() {
    for _ in 0..TRIES {
        if gate_of_two_nights() {
            return;
        }
    }
    panic!("this machine was too busy for {TRIES} measurements");
}

/// Two nights, the second with a slower server; false when the machine was too busy to tell.
fn gate_of_two_nights() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let delay = folder.path().join("delay");
    fs::write(&delay, "20").unwrap();
    let server = server_of_file(&delay);
    let url = format!("http://{}/", server.address());
    let gate = |more: &[&str]| {
        let mut command = example("nightly-gate");
        command.arg(folder.path().join("nights")).arg(&url);
        command.args(flags(&[&FLAGS, more].concat()));
        command
    };
    let first = run(&mut gate(&TOKEN));
    if first.code == NOT_VALID {
        return false;
    }
    assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
    assert!(first.stdout.contains("no baseline yet"), "{}", first.stdout);
    let kept = |name: &str| fs::read_to_string(folder.path().join("nights").join(name)).unwrap();
    let baseline = kept("baseline.json");
    let document: serde_json::Value = serde_json::from_str(&baseline).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 5);
    fs::write(&delay, "80").unwrap();
    // Another token is another night, not another plan; what follows -- is of the comparison.
    let fresh = ["-H", "Authorization: Bearer z", "--", "--gate", "p50,errors"];
    let slow = run(gate(&fresh).env("PROMOTE", "yes"));
    if slow.code == NOT_VALID {
        return false;
    }
    assert_eq!(slow.code, Some(3), "{}{}", slow.stdout, slow.stderr);
    assert!(slow.stdout.contains("regression"), "{}", slow.stdout);
    assert!(kept("compare.md").contains('|') && kept("compare.xml").contains("<failure"));
    assert_eq!(kept("baseline.json"), baseline, "what failed is no baseline");
    // Flags that are not those of the baseline make another plan, which is not comparable.
    let other = run(&mut gate(&["--drain", "1s"]));
    assert_eq!(other.code, Some(2), "{}", other.stderr);
    assert!(other.stderr.contains("--other-load"), "{}", other.stderr);
    true
}

#[test]
fn what_a_change_did_is_measured_before_and_after_it() {
    for _ in 0..TRIES {
        let folder = tempfile::tempdir().unwrap();
        let delay = folder.path().join("delay");
        fs::write(&delay, "80").unwrap();
        let server = server_of_file(&delay);
        let change = format!("echo 20 > '{}'", delay.display());
        let mut command = example("before-after");
        command.env("FORMAT", "markdown").arg(format!("http://{}/", server.address()));
        command.args(flags(&[&FLAGS[..], &TOKEN].concat()));
        let ended = run(command.args(["--", "sh", "-c", &change]));
        if ended.code == NOT_VALID {
            continue;
        }
        // Nothing failed, but a few requests cannot show that errors did not become more.
        assert!(matches!(ended.code, Some(0 | 4)), "{}{}", ended.stdout, ended.stderr);
        let row = ended.stdout.lines().find(|line| line.starts_with("| p50"));
        let row = row.unwrap_or_else(|| panic!("{}", ended.stdout));
        if row.contains("faster") {
            return;
        }
        // Of runs that were held up some are left out, and three against four prove nothing, whatever they show.
        eprintln!("void: {row}");
    }
    panic!("this machine was too busy for {TRIES} measurements");
}
