//! Several runs, and two sides of them compared: from the command line to the exit code.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the way tests do")]

#[path = "compare/files.rs"]
mod files;
#[path = "compare/repeat.rs"]
mod repeat;
#[path = "compare/reviews.rs"]
mod reviews;
#[path = "compare/service.rs"]
mod service;
mod support;
#[path = "compare/urls.rs"]
mod urls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use maxq::serve::{Options, Server};
use serde_json::Value;
use support::report::Report;
use support::{Ended, maxq, maxq_on_engine, run};

/// Short runs that differ in nothing but what the server does, which takes longer than a machine that tests share is late.
const SHORT: [&str; 12] =
    ["-t", "1", "-c", "32", "-R", "200", "-d", "300ms", "--warmup", "0", "--pause", "10ms"];

/// The embedded target on a free port.
fn target() -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap()
}

/// A path of it that takes so many milliseconds.
fn law(server: &Server, ms: u32) -> String {
    format!("http://{}/law/fixed?d={ms}ms", server.local_address())
}

/// Writes so many short runs against `url` to a file in `folder`.
fn recorded(folder: &Path, name: &str, url: &str, runs: &str) -> PathBuf {
    recorded_with(folder, name, url, (runs, &[]))
}

/// The same with more flags.
fn recorded_with(folder: &Path, name: &str, url: &str, (runs, more): (&str, &[&str])) -> PathBuf {
    let path = folder.join(name);
    let mut command = maxq_on_engine();
    command.args(SHORT).args(more);
    command.args(["--repeat", runs, "--json", "-q", "-o"]).arg(&path).arg(url);
    let ended = run(&mut command);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    path
}

/// Compares two files.
fn compare(base: &Path, new: &Path, more: &[&str]) -> Ended {
    run(maxq().arg("compare").arg(base).arg(new).args(more))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// The runs in a list, each held to the schema and to the conservation of requests.
fn checked_runs(runs: &Value) -> Vec<Report> {
    runs.as_array().unwrap().iter().map(|run| Report::of(&run.to_string())).collect()
}

/// A metric of a comparison.
fn metric<'a>(comparison: &'a Value, name: &str) -> &'a Value {
    let metrics = comparison["metrics"].as_array().unwrap();
    metrics.iter().find(|metric| metric["name"] == name).unwrap()
}

/// `ended` was refused with this code, in one line that holds all of `parts`.
fn refused(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "{} does not say {part:?}", ended.stderr);
    }
}
