//! `maxq sweep` as people and scripts meet it: what it runs, what it writes and when, what it refuses, how it ends.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use jsonschema::Validator;
use maxq::serve::{Options, Server};
use serde_json::{Value, json};
use support::report::Report;
use support::scripted::{Scripted, closed_port};
use support::service::{CAPACITY_RPS, Service};
use support::{Ended, Running, binary, maxq, maxq_on_engine, run, wait_until};

/// Runs as short as they can be.
const QUICK: [&str; 8] = ["-t", "1", "-d", "150ms", "--warmup", "20ms", "--pause", "10ms"];
/// Whatever is refused before anything is sent never gets as far as this.
const NOWHERE: &str = "http://127.0.0.1:9/";
const COLUMNS: usize = 22;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema =
        serde_json::from_str(include_str!("../src/commands/sweep/sweep.schema.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap()
});

fn target() -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap()
}

fn url(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.local_address())
}

fn accepted(server: &Server) -> u64 {
    server.counters().connections_accepted
}

fn sweep(arguments: &[&str]) -> Command {
    let mut command = maxq_on_engine();
    // The command stands before its flags.
    let flags: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    command = maxq();
    command.arg("sweep").args(flags);
    for flag in QUICK.chunks(2).filter(|flag| !arguments.contains(&flag[0])) {
        command.args(flag);
    }
    command.args(arguments);
    command
}

/// The document of a sweep that ended in `code`, held to its schema, and each of its runs to theirs.
fn checked(code: i32, ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let broken: Vec<String> = SCHEMA
        .iter_errors(&document)
        .map(|error| format!("{}: {error:.300}", error.instance_path()))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
    for point in list(&document["points"]).iter().chain(list(&document["sentinels"])) {
        Report::of(&point["run"].to_string());
    }
    document
}

fn measured(arguments: &[&str]) -> Value {
    let ended = run(sweep(arguments).args(["--json", "--no-progress"]));
    let warned = ended.stderr.lines().all(|line| line.contains("warning"));
    assert!(warned, "{}", ended.stderr);
    checked(0, &ended)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn float(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {pointer}"))
}

fn refused(code: i32, arguments: &[&str], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = maxq();
    let ended = run(command.current_dir(folder.path()).arg("sweep").args(arguments));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments:?}: {ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{arguments:?}: {}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "{arguments:?}: no {part:?} in {}", ended.stderr);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?}");
}

#[test]
fn a_rate_sweep_runs_every_rate_and_finds_what_the_server_can_do() {
    let server = target();
    let document = measured(&[
        "--rate",
        "200..1300/6",
        "-d",
        "300ms",
        "--seed",
        "3",
        &url(&server, "/law/md1?d=1ms"),
    ]);
    let points = list(&document["points"]);
    assert_eq!(points.len(), 6);
    for (point, value) in points.iter().zip(list(&document["course"]["values"])) {
        assert_eq!(&point["x"], value);
        assert_eq!(&point["run"]["plan"]["rate_rps"], value, "{point:#}");
        assert_eq!(point["run"]["plan"]["mode"], "open");
    }
    let low = float(&points[0], "/run/rates/achieved_rps");
    assert!((low / 200.0 - 1.0).abs() < 0.05, "{low}");
    let high = float(&points[5], "/run/rates/achieved_rps");
    assert!(high < 1030.0, "one server of a millisecond: {high}");
    // A busy machine may be at fault at any of them, and then nothing is made of it.
    if document["left_out"] == 0 && high > 970.0 {
        let saturation = float(&document, "/saturation/rps");
        assert!((saturation / 1000.0 - 1.0).abs() < 0.05, "{saturation}");
    }
    assert_eq!((&document["usl"], &document["drift"]), (&Value::Null, &Value::Null));
    let ran: Vec<u64> = points.iter().map(|point| point["ran_as"].as_u64().unwrap()).collect();
    assert_ne!(ran, [1, 2, 3, 4, 5, 6], "they were shuffled");
}

#[test]
fn a_connections_sweep_runs_every_number_and_fits_the_law_of_scaling() {
    let server = target();
    let document = measured(&["--connections", "1,2,4..32", &url(&server, "/law/fixed?d=2ms")]);
    let points = list(&document["points"]);
    let values: Vec<u64> =
        points.iter().map(|p| p["run"]["plan"]["connections"].as_u64().unwrap()).collect();
    assert_eq!(values, [1, 2, 4, 8, 16, 32]);
    for point in points {
        let (x, achieved) = (float(point, "/x"), float(point, "/run/rates/achieved_rps"));
        assert!(achieved < x * 505.0, "nobody is answered before two milliseconds: {x} {achieved}");
        assert_eq!(point["run"]["connections"]["opened"].as_f64(), Some(x));
    }
    let ends = [&points[0], &points[5]].map(|point| float(point, "/run/rates/achieved_rps"));
    assert!(ends[1] > 8.0 * ends[0], "{ends:?}");
    if document["left_out"] == 0 {
        assert!(float(&document, "/usl/gain_rps") > 100.0);
        assert!(float(&document, "/usl/contention") < 0.2);
    }
    // Either there is a value or a reason, and never both.
    let (value, reason) = (&document["saturation"]["rps"], &document["reasons"]["saturation"]);
    assert_eq!(value.is_f64(), reason.is_null(), "{value} {reason}");
}

#[test]
fn a_pipeline_sweep_and_one_of_connections_at_a_rate_keep_their_other_flags() {
    let server = target();
    let document = measured(&["--pipeline", "1,4,16", "-c", "3", &url(&server, "/")]);
    for (point, pipeline) in list(&document["points"]).iter().zip([1, 4, 16]) {
        let plan = &point["run"]["plan"];
        assert_eq!((&plan["pipeline"], &plan["connections"]), (&json!(pipeline), &json!(3)));
        assert_eq!(plan["mode"], "closed");
    }
    let document = measured(&["-R", "300", "-c", "1,2", "-p", "2", &url(&server, "/")]);
    assert_eq!(document["variable"], "connections");
    for point in list(&document["points"]) {
        let plan = &point["run"]["plan"];
        assert_eq!((&plan["rate_rps"], &plan["pipeline"]), (&json!(300.0), &json!(2)));
        assert_eq!(&plan["connections"].as_f64(), &point["x"].as_f64());
    }
    // What the schedule offers is no limit of the server, however many connections there are.
    assert_eq!((&document["saturation"]["rps"], &document["usl"]), (&Value::Null, &Value::Null));
    let reason = document["reasons"]["saturation"].as_str().unwrap();
    assert!(reason.contains("the same rate") || reason.contains("the client"), "{reason}");
    assert!(document["reasons"]["usl"].as_str().unwrap().contains("closed loop"));
}

/// A server that has nothing but errors for more than two connections at once, of which a check may be one.
fn overwhelmed() -> Scripted {
    let open = Arc::new(AtomicUsize::new(0));
    Scripted::start(move |mut peer| {
        open.fetch_add(1, Ordering::Relaxed);
        while peer.request().is_some() {
            let status = match open.load(Ordering::Relaxed) {
                ..=2 => "200 OK",
                _ => "503 Service Unavailable",
            };
            peer.send(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok"));
        }
        open.fetch_sub(1, Ordering::Relaxed);
    })
}

#[test]
fn a_value_without_a_good_answer_is_a_row_and_the_sweep_goes_on() {
    let server = overwhelmed();
    let at = format!("http://{}/", server.address());
    let document = measured(&["-c", "1,8,16", "--order", "up", &at]);
    let ok: Vec<bool> = list(&document["points"])
        .iter()
        .map(|point| float(point, "/run/counts/ok") > 0.0)
        .collect();
    assert_eq!(ok, [true, false, false], "{:#}", document["points"][2]["run"]["counts"]);
    assert_eq!(document["partial"], false);
    // What is too much is known beforehand where the lowest value already is.
    let lowest = run(&mut sweep(&["-c", "8,16", "--order", "up", "-q", &at]));
    assert_eq!(lowest.code, Some(5), "{lowest:?}");
    assert!(lowest.stderr.contains("connections 8"), "{lowest:?}");
}

#[test]
fn a_service_is_saturated_where_its_good_answers_end_and_errors_start() {
    // It works four times as long on each request, and waits so, lest a busy machine slows down more than its answers.
    let service = Service::start_with(&[("HOLD_MS", "160"), ("PATIENCE_MS", "400")]);
    let capacity_rps = CAPACITY_RPS / 4.0;
    let counts = ["--connections", "4,8,16,64,128", "-d", "1600ms", "--warmup", "300ms"];
    let at = service.url("/items/1");
    let arguments = [&counts[..], &["--order", "up", &at]].concat();
    let document = measured(&arguments);
    let saturation = &document["saturation"];
    let rps = saturation["rps"].as_f64().unwrap_or_else(|| panic!("{:#}", document["reasons"]));
    assert!((rps / capacity_rps - 1.0).abs() < 0.15, "{rps}");
    let start = &document["errors_start"];
    assert_eq!((&start["x"], &start["at_lowest"]), (&json!(64.0), &json!(false)), "{start}");
    let points = list(&document["points"]);
    for point in points {
        let counts = &point["run"]["counts"];
        let bad = counts["scheduled"].as_u64().unwrap() - counts["ok"].as_u64().unwrap();
        assert_eq!(point["errors"].as_u64(), Some(bad), "{counts:#}");
        assert_eq!(point["goodput_rps"], point["run"]["rates"]["goodput_rps"]);
    }
    // It refuses more than it serves: all its answers together are no throughput.
    assert!(float(&points[4], "/error_pct") > 50.0, "{}", points[4]["error_pct"]);
    assert!(float(&points[4], "/run/rates/achieved_rps") > 1.5 * rps);
}

#[test]
fn repeats_and_sentinels_are_run_and_kept_apart() {
    let server = target();
    let document = measured(&["-c", "1,2,3", "--repeat", "2", "--sentinel", &url(&server, "/")]);
    let points: Vec<(f64, u64)> = list(&document["points"])
        .iter()
        .map(|point| (float(point, "/x"), point["repeat"].as_u64().unwrap()))
        .collect();
    assert_eq!(points, [(1.0, 1), (1.0, 2), (2.0, 1), (2.0, 2), (3.0, 1), (3.0, 2)]);
    // Before the first, after the fifth, and in the end.
    let sentinels = list(&document["sentinels"]);
    assert_eq!(sentinels.len(), 3);
    assert!(sentinels.iter().all(|point| point["x"] == 1.0 && point["ran_as"].is_null()));
    assert!(document["drift"]["warns"].is_boolean());
    // Each run draws arrivals of its own.
    let mut seeds: Vec<u64> = list(&document["points"])
        .iter()
        .chain(sentinels)
        .map(|point| point["run"]["plan"]["seed"].as_u64().unwrap())
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 9);
}

/// What stands in a column of lines with a header.
fn column<'a>(text: &'a str, separator: char, name: &str) -> Vec<&'a str> {
    let mut lines = text.lines().map(|line| line.split(separator).collect::<Vec<_>>());
    let place = lines.next().unwrap().iter().position(|column| *column == name).unwrap();
    lines.map(|cells| cells[place]).collect()
}

#[test]
fn there_is_one_line_a_run_in_the_order_in_which_they_ran() {
    let server = target();
    let lines = |format: &str, more: &[&str]| {
        let at = url(&server, "/");
        let arguments = [more, &["-c", "1,2,3,4", "-q", "--format", format, &at]].concat();
        let ended = run(&mut sweep(&arguments));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        ended.stdout
    };
    let tsv = lines("tsv", &["--order", "down"]);
    assert_eq!(tsv.lines().count(), 5);
    assert!(tsv.lines().all(|line| line.split('\t').count() == COLUMNS), "{tsv}");
    assert_eq!(column(&tsv, '\t', "x"), ["4", "3", "2", "1"]);
    assert_eq!(column(&lines("csv", &["--order", "up"]), ',', "x"), ["1", "2", "3", "4"]);
    let shuffled = |seed: &str| lines("csv", &["--seed", seed, "--repeat", "2"]);
    let (first, again) = (shuffled("5"), shuffled("5"));
    assert_eq!(column(&first, ',', "x"), column(&again, ',', "x"), "the seed decides");
    assert_ne!(column(&first, ',', "x")[..4], ["1", "2", "3", "4"], "{first}");
    assert!(column(&first, ',', "ok").iter().all(|ok| ok.parse::<u64>().unwrap() > 0));
    assert!(column(&first, ',', "slo_pass").iter().all(|pass| pass.is_empty()));
    let ndjson = lines("ndjson", &["--order", "up", "--slo", "p50<1ns"]);
    let xs: Vec<f64> =
        ndjson.lines().map(|line| float(&serde_json::from_str(line).unwrap(), "/x")).collect();
    assert_eq!(xs, [1.0, 2.0, 3.0, 4.0]);
    assert!(ndjson.lines().all(|line| line.contains("\"slo_pass\":false,")), "{ndjson}");
}

#[test]
fn lines_are_there_as_soon_as_their_run_has_ended() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("sweep.ndjson");
    fs::write(&path, "old\n").unwrap();
    let arguments = ["-c", "1,2,3,4", "-d", "400ms", "--format", "ndjson", "-q", "-o"];
    let mut running = Running::start(sweep(&arguments).arg(&path).arg(url(&server, "/")));
    let lines = || fs::read_to_string(&path).unwrap().lines().filter(|line| *line != "old").count();
    wait_until("a line", || lines() > 0);
    assert!(lines() < 4 && !running.has_ended());
    assert_eq!(running.end().code, Some(0));
    assert_eq!(lines(), 4);
}

#[test]
fn people_get_a_table_a_plot_and_names_and_a_line_a_run_on_the_side() {
    let server = target();
    let arguments = ["--rate", "200,400,800", "--slo", "p99<1ns"];
    let ended = run(sweep(&arguments).arg(url(&server, "/")));
    // A sweep goes beyond its gates on purpose.
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let progress =
        ended.stderr.lines().filter(|line| line.starts_with("maxq: ") && line.contains("/3 rate "));
    assert_eq!(progress.count(), 3, "{}", ended.stderr);
    for part in [
        "  slo  verdict",
        "  FAIL  ",
        "Throughput",
        "Latency",
        "Saturation",
        "Power point",
        "Kneedle",
        "Little's law",
    ] {
        assert!(ended.stdout.contains(part), "no {part:?} in {}", ended.stdout);
    }
    assert!(ended.stderr.contains("maxq: 3 runs in about "), "{}", ended.stderr);
    let quiet = run(sweep(&arguments).arg("-q").arg(url(&server, "/")));
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
    assert!(quiet.stdout.starts_with("Saturation"), "{}", quiet.stdout);
    assert!(quiet.stdout.contains("\nErrors        none"), "{}", quiet.stdout);
    let bare = run(sweep(&arguments).arg("--no-progress").arg(url(&server, "/")));
    assert!(!bare.stderr.contains("/3 rate "), "{}", bare.stderr);
}

#[test]
fn lines_leave_what_they_say_together_to_standard_error() {
    let server = target();
    let at = url(&server, "/");
    let lines = ["-c", "1,2", "--sentinel", "--format", "csv"];
    let told = |more: &str| run(sweep(&lines).arg(more).arg(&at)).stderr;
    let bare = told("--no-progress");
    assert!(bare.contains("Saturation") && bare.contains("Sentinel  "), "{bare}");
    assert_eq!(told("-q"), "");
}

#[test]
fn a_file_keeps_what_was_in_it_until_there_is_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sweep.csv");
    fs::write(&path, "old\n").unwrap();
    let (address, _kept) = closed_port();
    let arguments = ["--give-up", "200ms", "--format", "csv", "-c", "1,2", "-o"];
    let ended = run(sweep(&arguments).arg(&path).arg(format!("http://{address}/")));
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");
}

/// Fails unless `text` is one element with closed elements and escaped text in it.
fn assert_well_formed(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text.trim();
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        assert!(!before.contains('>') && (!open.is_empty() || before.is_empty()), "{before:?}");
        let entities = before.split('&').skip(1);
        for entity in entities {
            let known = ["amp;", "lt;", "gt;", "quot;"].iter().any(|name| entity.starts_with(name));
            assert!(known, "&{entity}");
        }
        let (tag, after) = tag[1..].split_once('>').unwrap();
        assert!(!tag.contains('<') && tag.matches('"').count() % 2 == 0, "{tag:?}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = after;
    }
    assert!(open.is_empty() && rest.is_empty(), "{open:?} {rest:?}");
}

#[test]
fn the_drawing_is_well_formed_and_holds_what_was_typed_as_text() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("sweep.svg");
    let ended =
        run(sweep(&["-c", "1,2,4", "-q", "--svg"]).arg(&path).arg(url(&server, "/?a=<i>&b='")));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let svg = fs::read_to_string(&path).unwrap();
    assert_well_formed(&svg);
    assert!(
        svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")
            && svg.contains("&lt;i&gt;&amp;b=")
    );
    assert_eq!(svg.matches("<polyline").count(), 4, "{svg}");
}

#[test]
fn help_tells_of_lists_and_hides_what_is_of_one_run() {
    let ended = run(maxq().args(["sweep", "--help"]));
    assert_eq!(ended.code, Some(0));
    for part in [
        "-R, --rate <LIST>",
        "-c, --connections <LIST>",
        "-p, --pipeline <LIST>",
        "200..1300/6",
        "--sentinel",
        "--svg",
        "maxq.sweep/1",
    ] {
        assert!(ended.stdout.contains(part), "no {part}");
    }
    for part in ["--hgrm", "--timeseries", "--stages", "--burst"] {
        assert!(!ended.stdout.contains(&format!("{part} <")), "{part}");
    }
    // The flags of run are what they were.
    let of_run = run(maxq().args(["run", "--help"])).stdout;
    assert!(of_run.contains("-R, --rate <N>") && of_run.contains("--hgrm <FILE>"));
    let listed = run(maxq().args(["-c", "1,2", NOWHERE]));
    assert_eq!(listed.code, Some(2));
}

#[test]
fn what_cannot_be_swept_is_refused_in_one_line() {
    let cases: [(&[&str], &[&str]); 18] = [
        (&[], &["nothing to sweep", "--rate 200..1300/6"]),
        (&["-c", "5"], &["nothing to sweep", "--connections 1,2,4..512"]),
        (&["-R", "1,2", "-c", "1,2"], &["--rate and --connections", "only one"]),
        (&["-p", "1,2", "-c", "1,2"], &["--connections and --pipeline", "only one"]),
        (&["-R", "1..5"], &["--rate", "'1..5'", "200..1300/6"]),
        (&["-c", "1,x"], &["--connections", "'x'", "1,2,4..512"]),
        (&["-p", "4,2..8"], &["--pipeline", "must rise", "1,2,4..512"]),
        (&["-c", "1..500/201"], &["--connections", "from 2 to 200"]),
        (&["-c", "0,1"], &["-c 0"]),
        (&["-p", "1,2000"], &["-p 2000", "1024"]),
        (&["-R", "1,2", "--hgrm", "x"], &["--hgrm", "one run"]),
        (&["-R", "1,2", "--log-requests", "x"], &["--log-requests", "one run"]),
        (&["-c", "1,2", "--stages", "1s@5"], &["--stages", "sweep"]),
        (&["-c", "1,2", "--burst", "5@1s"], &["--burst", "sweep"]),
        (&["-R", "1,2", "--on-overload", "abort"], &["--on-overload abort", "shed"]),
        (&["-R", "1,2", "--repeat", "0"], &["--repeat 0"]),
        (&["-R", "1,2", "--json", "--format", "csv"], &["--json", "--format"]),
        (&["-R", "1,2", "-o", "x", "--svg", "./x"], &["--svg", "-o", "another file"]),
    ];
    for (arguments, parts) in cases {
        refused(2, &[arguments, &[NOWHERE]].concat(), parts);
    }
    refused(2, &["-c", "1,2"], &["URL"]);
    refused(8, &["-c", "1,2", "--svg", "/nonexistent/x", NOWHERE], &["--svg /nonexistent/x"]);
}

#[test]
fn a_target_that_never_answers_leaves_nothing_behind() {
    let (address, _kept) = closed_port();
    let url = format!("http://{address}/");
    refused(5, &["-c", "1,2", "-o", "x", "--svg", "y", &url], &[&url, "refused"]);
    let late = ["--no-preflight", "--give-up", "200ms", "--format", "csv", "-o", "x", "-q"];
    refused(5, &[&late[..], &["-c", "1,2", &url]].concat(), &[&url, "refused"]);
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_a_partial_report() {
    let server = target();
    let at = url(&server, "/");
    let arguments =
        ["-c", "1,2,3,4,5,6", "--order", "up", "-d", "300ms", "--give-up", "300ms", "--json", &at];
    let running = Running::start(&mut sweep(&arguments));
    wait_until("the third run", || accepted(&server) >= 4);
    server.stop();
    let ended = running.end();
    let document = checked(5, &ended);
    assert_eq!(
        (&document["partial"], &document["end"]["reason"]),
        (&json!(true), &json!("gave_up"))
    );
    let points = list(&document["points"]).len();
    assert!((1..6).contains(&points), "{points}");
    assert!(ended.stderr.lines().last().unwrap().starts_with("maxq: http://"), "{}", ended.stderr);
}

#[test]
fn a_signal_ends_the_sweep_with_what_there_is() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let server = target();
        let at = url(&server, "/");
        let arguments = ["-c", "1,2,3,4,5,6", "-d", "400ms", "--json", "-q", &at];
        let running = Running::start(&mut sweep(&arguments));
        wait_until("the second run", || accepted(&server) >= 7);
        running.signal(signal);
        let ended = running.end();
        let document = checked(code, &ended);
        assert_eq!(
            document["end"],
            json!({ "reason": "interrupted", "signal": code - 128, "condition": null })
        );
        assert!(list(&document["points"]).len() < 6);
    }
}

#[test]
fn a_pause_is_interrupted_too() {
    let server = target();
    let at = url(&server, "/");
    let arguments = ["-c", "1,2", "--pause", "60s", "--format", "csv", "-q", &at];
    let running = Running::start(&mut sweep(&arguments));
    wait_until("a run", || accepted(&server) > 0);
    std::thread::sleep(std::time::Duration::from_millis(900));
    running.signal("INT");
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(130), 2), "{ended:?}");
}

#[test]
fn strict_is_about_measurements_and_not_about_servers() {
    let server = target();
    let at = url(&server, "/");
    // Thirty answers tell nothing of a p99: that is a bound, unless somebody asks for it.
    let few = ["--rate", "200,300", "--strict", &at];
    let ended = run(sweep(&few).args(["--slo", "p99<1h", "-q"]));
    assert_eq!(ended.code, Some(6), "{ended:?}");
    assert!(ended.stderr.contains("--strict") && ended.stdout.contains("Saturation"), "{ended:?}");
}

#[test]
fn formats_for_reviewers_are_what_the_flag_says() {
    let server = target();
    let at = url(&server, "/");
    for (format, begins) in [("markdown", "### "), ("junit", "<?xml ")] {
        let ended = run(&mut sweep(&["-c", "1,2", "--slo", "p50<9s", "--format", format, &at]));
        assert_eq!(ended.code, Some(0), "{format}: {ended:?}");
        assert!(ended.stdout.starts_with(begins), "{format}: {}", ended.stdout);
    }
}

#[test]
fn results_that_cannot_be_written_exit_with_8() {
    let server = target();
    let at = url(&server, "/");
    for format in ["text", "json", "csv"] {
        let ended = run(&mut sweep(&["-c", "1,2", "--format", format, "-o", "/dev/full", &at]));
        assert_eq!(ended.code, Some(8), "{format}: {ended:?}");
        assert!(ended.stderr.contains("-o /dev/full"), "{ended:?}");
        // What was measured is told all the same.
        assert!(ended.stderr.contains("Saturation"), "{ended:?}");
    }
    let ended = run(&mut sweep(&["-c", "1,2", "--svg", "/dev/full", &at]));
    assert_eq!(ended.code, Some(8));
    assert!(ended.stdout.contains("Saturation") && ended.stderr.contains("--svg /dev/full"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let server = target();
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$0\" \"$@\" | head -n 1"]).arg(binary());
    shell
        .args(["sweep", "-c", "1,2,3", "--format", "csv", "-q"])
        .args(QUICK)
        .arg(url(&server, "/"));
    let ended = run(&mut shell);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.starts_with("x,repeat,") && ended.stdout.lines().count() == 1);
}

#[test]
fn a_dry_run_shows_all_values_and_sends_nothing() {
    let server = target();
    let at = url(&server, "/");
    let ended = run(maxq().args(["sweep", "--dry-run", "--rate", "100..400/3", &at]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("100, 200, 400") && ended.stdout.contains("Nothing was sent."));
    assert_eq!(server.counters().requests_total(), 0);
    assert!(!Path::new("x").exists());
}
