//! What documents say about speed is what the scripts have measured: `scripts/bench-peers --figures benches/figures.json` and
//! `scripts/bench-instructions --figures benches/figures.json` write the figures, and this holds the documents to them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails fails the test")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

const TOOLS: [&str; 7] = ["maxq", "wrk", "hey", "ab", "h2load", "gcannon", "floor"];

/// A row of the table: what it is called, the workload, the figure, its scale and its decimals; and whether the README
/// shows it, too.
type Row = (&'static str, &'static str, &'static str, f64, usize, bool);

const ROWS: [Row; 19] = [
    ("1 connection, nginx, requests/s", "depth1-c1", "rps", 1.0, 0, true),
    ("the same, p50 in us", "depth1-c1", "p50_us", 1.0, 0, true),
    ("64 connections, `maxq serve`, requests/s", "depth1-c64-serve", "rps", 1.0, 0, true),
    ("64 connections, nginx (the limit), requests/s", "depth1-c64-nginx", "rps", 1.0, 0, true),
    ("the same, CPU us a request", "depth1-c64-nginx", "cpu_per_mreq", 1.0, 2, true),
    ("1,000 connections, `maxq serve`, requests/s", "depth1-c1000-serve", "rps", 1.0, 0, false),
    ("1,000 connections, nginx (the limit), requests/s", "depth1-c1000-nginx", "rps", 1.0, 0, true),
    ("the same, CPU us a request", "depth1-c1000-nginx", "cpu_per_mreq", 1.0, 2, true),
    (
        "64 connections, 16 in flight on each, `maxq serve`, requests/s",
        "pipeline16-serve",
        "rps",
        1.0,
        0,
        true,
    ),
    ("the same with nginx (the limit), requests/s", "pipeline16-nginx", "rps", 1.0, 0, false),
    ("the same, CPU us a request", "pipeline16-nginx", "cpu_per_mreq", 1.0, 2, false),
    (
        "1 KiB bodies, nginx (the limit), CPU us a request",
        "body1k-nginx",
        "cpu_per_mreq",
        1.0,
        2,
        false,
    ),
    ("64 KiB bodies, `maxq serve`, MB/s", "body64k-serve", "bytes_per_s", 1e-6, 0, false),
    ("1 MiB bodies, `maxq serve`, MB/s", "body1m-serve", "bytes_per_s", 1e-6, 0, true),
    ("the same, CPU s a GB", "body1m-serve", "cpu_per_gb", 1.0, 3, true),
    ("1 MiB bodies, nginx, MB/s", "body1m-nginx", "bytes_per_s", 1e-6, 0, false),
    (
        "POST of 1 KiB, nginx (the limit), CPU us a request",
        "post1k-nginx",
        "cpu_per_mreq",
        1.0,
        2,
        false,
    ),
    ("a connection a request, nginx, requests/s", "close-nginx", "rps", 1.0, 0, true),
    ("10,000 connections, peak memory in MB", "idle10k-nginx", "rss_bytes", 1e-6, 1, true),
];

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

fn figures() -> Value {
    serde_json::from_str(&read("benches/figures.json")).unwrap()
}

/// The table of all rows, or of those that the README shows.
fn table(workloads: &Value, all: bool) -> String {
    let mut text =
        format!("| workload | {} |\n|---|{}\n", TOOLS.join(" | "), "---:|".repeat(TOOLS.len()));
    for (label, workload, figure, scale, decimals, _) in ROWS.iter().filter(|row| all || row.5) {
        let cells = TOOLS.map(|tool| {
            let value = &workloads[workload][tool][figure];
            value.as_f64().map_or("-".to_owned(), |value| grouped(value * scale, *decimals))
        });
        writeln!(text, "| {label} | {} |", cells.join(" | ")).unwrap();
    }
    text
}

/// With a comma before each three digits.
fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let first = whole.len() % 3;
    let mut groups = vec![&whole[..first]];
    groups.extend((first..whole.len()).step_by(3).map(|at| &whole[at..at + 3]));
    groups.retain(|group| !group.is_empty());
    groups.join(",") + rest
}

/// One paragraph is one line.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn assert_says(document: &str, text: &str) {
    let said = unwrapped(&read(document));
    assert!(said.contains(&unwrapped(text)), "{document} does not say:\n\n{text}");
}

#[test]
fn tables_of_speed_are_those_that_were_measured() {
    let peers = &figures()["peers"];
    assert_says("src/manual/performance.md", &table(&peers["workloads"], true));
    assert_says("README.md", &table(&peers["workloads"], false));
}

#[test]
fn whoever_quotes_a_figure_says_where_and_when_it_was_measured() {
    let peers = &figures()["peers"];
    let (facts, options) = (&peers["facts"], &peers["options"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let day = text(&facts["started_at"])[..10].to_owned();
    let version = text(&facts["versions"]["maxq"]).replace("maxq ", "").replace(" (io_uring)", "");
    let (cpu, cores, kernel) = (text(&facts["cpu"]), &facts["cores"], text(&facts["kernel"]));
    let kernel = kernel.split('-').next().unwrap();
    for document in ["README.md", "src/manual/performance.md"] {
        assert_says(
            document,
            &format!("{cpu}, {cores} cores, Linux {kernel}, on {day} (maxq {version})"),
        );
        assert_says(
            document,
            &format!("{} rounds of {} s", options["rounds"], text(&options["seconds"])),
        );
    }
}

#[test]
fn instructions_a_request_are_those_that_were_counted() {
    let counted = &figures()["instructions"];
    let count = |key: &str| counted[key].as_f64().unwrap().round();
    let (one, sixteen) = (count("depth_1"), count("depth_16"));
    let learned = count("learned_head");
    let sentence = format!(
        "A request and its response cost {one} instructions in user space at depth 1 and {sixteen} with 16 in flight \
         (`scripts/bench-instructions`, callgrind), {learned} of them for a head like the one before."
    );
    assert_says("README.md", &sentence);
    assert_says("src/manual/performance.md", &sentence);
}
