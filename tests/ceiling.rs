//! Searches for the highest load from the command line to the exit code, against the embedded target: short ones, whose
//! answers are asserted as far as a busy machine allows.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the way tests do")]

mod support;

use std::collections::HashSet;
use std::fs::File;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jsonschema::{Registry, Validator};
use maxq::serve::{Options, Server};
use serde_json::Value;
use support::report::Report;
use support::scripted::closed_port;
use support::{Ended, Running, binary, maxq, not_tested, run, wait_until};

/// Whatever is refused before anything is sent never gets as far as this.
const NOWHERE: &str = "http://127.0.0.1:9/";
/// A search that the machine disturbed is repeated so often.
const TRIES: u32 = 5;
/// Trials that are as short as can be.
const SHORT: [&str; 8] = ["-t", "1", "--trial", "1s", "--warmup", "0", "--give-up", "500ms"];

/// Searches share two cores, and take turns.
static TURN: Mutex<()> = Mutex::new(());

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let run = read(include_str!("../src/report/run.schema.json"));
    let registry = Registry::new().add("urn:maxq:run:1", run).unwrap().prepare().unwrap();
    let schema = read(include_str!("../src/commands/ceiling/ceiling.schema.json"));
    jsonschema::options().with_registry(&registry).build(&schema).unwrap()
});

/// A target of the test's own, and the right to both cores.
struct Bed {
    server: Server,
    _turn: MutexGuard<'static, ()>,
}

impl Bed {
    fn start() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap();
        Self { server, _turn: turn }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.local_address())
    }

    /// A search with short trials for what `slo` says.
    fn search(&self, slo: &str, more: &[&str], path: &str) -> Command {
        let mut command = ceiling();
        command.args(SHORT).args(["--pause", "0", "--slo", slo]).args(more).arg(self.url(path));
        command
    }

    /// The search, again and again until it ends as `end` says; each on a fresh instance of a law.
    fn search_until(&self, end: &str, slo: &str, more: &[&str], path: &str) -> (Value, Ended) {
        let mut seen = Vec::new();
        for attempt in 0..TRIES {
            let more = [more, &["--json"]].concat();
            let ended = run(&mut self.search(slo, &more, &format!("{path}&run={attempt}")));
            let document = checked(&ended.stdout);
            if document["end"] == end {
                return (document, ended);
            }
            seen.push(ended.stderr);
        }
        panic!("no search of {TRIES} ends with {end}: {seen:#?}");
    }
}

/// Whether this user may let a program run ahead of all ordinary ones.
static MAY_RUN_AHEAD: LazyLock<bool> = LazyLock::new(|| {
    let tried = Command::new("chrt").args(["-f", "1", "true"]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
});

/// The command on the engine that `MAXQ_TEST_ENGINE` names, ahead of everything else that wants its core where that is
/// allowed: a trial in which the client came late says nothing.
fn ahead(arguments: &[&str]) -> Command {
    let mut command = maxq();
    if *MAY_RUN_AHEAD {
        let mut first = Command::new("chrt");
        first.args(["-f", "1"]).arg(binary());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => first.env(name, value),
                None => first.env_remove(name),
            };
        }
        command = first;
    }
    command.args(arguments);
    if let Some(engine) = std::env::var_os("MAXQ_TEST_ENGINE") {
        command.arg("--engine").arg(engine);
    }
    command
}

/// A search without a request of its own.
fn ceiling() -> Command {
    // What runs ahead and never sleeps would be held back by force.
    ahead(&["ceiling", "--no-preflight", "--idle", "sleep"])
}

/// The document of a search, held to its schema, each of its runs to theirs and to the conservation of requests.
fn checked(text: &str) -> Value {
    let document: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:.300?}"));
    let broken: Vec<String> = SCHEMA
        .iter_errors(&document)
        .map(|error| format!("{}: {:.300}", error.instance_path(), error.to_string()))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let goals = document["goals"].as_array().unwrap().len();
    let mut seeds = HashSet::new();
    for trial in document["trials"].as_array().unwrap() {
        let run = Report::of(&trial["run"].to_string());
        assert_eq!(trial["goals"].as_array().unwrap().len(), goals);
        // Trials of one schedule would agree for the wrong reason.
        assert!(seeds.insert(run.json["plan"]["seed"].as_u64().unwrap()));
        let (open, closed) = (&run.json["plan"]["rate_rps"], &run.json["plan"]["connections"]);
        match document["variable"].as_str() {
            Some("rate") => {
                let ratio = open.as_f64().unwrap() / trial["rate_rps"].as_f64().unwrap();
                assert!((ratio - 1.0).abs() < 1e-5, "{ratio}");
            }
            _ => assert_eq!(closed.as_f64(), trial["connections"].as_f64()),
        }
    }
    document
}

fn results(document: &Value) -> Vec<&str> {
    let trials = document["trials"].as_array().unwrap();
    trials.iter().map(|trial| trial["result"].as_str().unwrap()).collect()
}

#[test]
fn the_rate_from_which_on_a_target_refuses_is_found() {
    if std::env::var("MAXQ_TEST_ENGINE").is_ok_and(|engine| engine == "portable") {
        // Its timer is late by as long as this target takes, and such trials say nothing.
        return not_tested("the search for a rate on the portable engine");
    }
    let bed = Bed::start();
    let more = ["-c", "16", "--max", "800", "--precision", "10%", "--budget", "25s"];
    let path = "/law/bucket?rate=200&burst=10";
    let (document, ended) = bed.search_until("found", "errors<0.2%", &more, path);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // What the bucket holds at first is ten requests of two hundred.
    let ceiling = document["ceiling_rps"].as_f64().unwrap();
    assert!((180.0..=232.0).contains(&ceiling), "{ceiling}: {}", ended.stderr);
    let (low, high) = (document["ci95_rps"][0].as_f64(), document["ci95_rps"][1].as_f64());
    assert!(low.unwrap() <= ceiling && ceiling <= high.unwrap());
    assert_eq!(document["limiting_clause"], "errors<0.2%");
    assert_eq!(
        (&document["at_least"], &document["partial"]),
        (&Value::Bool(false), &Value::Bool(false))
    );
    assert!(results(&document).contains(&"fail") && results(&document).contains(&"pass"));
    // One line a trial on the side.
    assert!(
        ended.stderr.starts_with("trial  1  bracket      100 req/s    0.3 s  "),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.lines().count(), results(&document).len(), "{}", ended.stderr);
}

#[test]
fn the_interval_of_a_limiter_holds_its_limit() {
    if std::env::var("MAXQ_TEST_ENGINE").is_ok_and(|engine| engine == "portable") {
        return not_tested("the search for a rate on the portable engine");
    }
    let bed = Bed::start();
    let more = ["-c", "16", "--trial", "1s", "--precision", "5%", "--budget", "40s"];
    let mut found = None;
    for attempt in 0..TRIES {
        let mut command = ceiling();
        command.args(["-t", "1", "--warmup", "300ms", "--pause", "0", "--give-up", "500ms"]);
        command.args(["--slo", "errors<1%", "--json"]).args(more);
        let ended =
            run(command.arg(bed.url(&format!("/law/bucket?rate=300&burst=10&run={attempt}"))));
        let document = checked(&ended.stdout);
        if document["end"] == "found" {
            found = Some((document, ended));
            break;
        }
        // No answer is better than a wrong one, and says why.
        assert_eq!(ended.code, Some(4), "{}", ended.stderr);
        assert!(document["ci95_rps"].is_null(), "{document:#}");
    }
    let (document, ended) = found.unwrap_or_else(|| panic!("no search of {TRIES} finds it"));
    let end = |place: usize| document["ci95_rps"][place].as_f64().unwrap();
    // 303 for ever; what the bucket holds adds 3 a second over the 3 s that verify.
    assert!(end(0) <= 306.5 && end(1) >= 303.0, "{} to {}: {}", end(0), end(1), ended.stderr);
    assert!(document["change"].is_null() && document["no_interval_because"].is_null());
}

#[test]
fn the_most_connections_of_a_closed_loop_are_found() {
    // One server that takes 10 ms: an answer takes as many times as long as there are connections.
    let bed = Bed::start();
    let more = ["--closed", "--from", "4", "--max", "16", "--budget", "25s"];
    let (document, ended) = bed.search_until("found", "p75<75ms", &more, "/law/md1?d=10ms");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(document["variable"], "connections");
    let ceiling = document["ceiling_connections"].as_f64().unwrap();
    assert!((6.0..=7.0).contains(&ceiling), "{ceiling}: {}", ended.stderr);
    assert_eq!(document["limiting_clause"], "p75<75ms");
    let saturation_rps = document["saturation_rps"].as_f64().unwrap();
    assert!((80.0..=101.0).contains(&saturation_rps), "{saturation_rps}");
}

#[test]
fn a_lowest_load_that_fails_exits_with_1() {
    let bed = Bed::start();
    let more = ["-c", "16", "--from", "50", "--budget", "20s"];
    let slo = "p50<10ms";
    let (document, ended) = bed.search_until("minimum_fails", slo, &more, "/delay/50ms?x");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.ends_with(
            "maxq: --slo fails at 50 req/s already; begin lower with --from, or allow more\n"
        ),
        "{}",
        ended.stderr
    );
    assert!(document["ceiling_rps"].is_null());
    assert_eq!(document["limiting_clause"], slo);
}

#[test]
fn a_highest_load_that_holds_exits_with_0() {
    let bed = Bed::start();
    let more = ["-c", "4", "--from", "50", "--max", "100", "--budget", "20s"];
    let (document, ended) = bed.search_until("max_reached", "errors<5%", &more, "/?x");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        (&document["at_least"], document["ceiling_rps"].as_f64()),
        (&Value::Bool(true), Some(100.0))
    );
    assert!(document["ci95_rps"].is_null());
}

#[test]
fn a_budget_that_is_too_small_exits_with_4_and_keeps_what_is_known() {
    let bed = Bed::start();
    let more = ["-c", "16", "--from", "50", "--budget", "2s", "--no-progress"];
    let path = "/law/bucket?rate=200&burst=10";
    let (document, ended) = bed.search_until("out_of_budget", "errors<5%", &more, path);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("2 s were too little") && ended.stderr.contains("--budget"),
        "{}",
        ended.stderr
    );
    assert!(document["ceiling_rps"].is_null(), "one short trial proves nothing");
    assert!(document["bracket"][0].as_f64().unwrap() >= 50.0);
    assert!(!results(&document).is_empty());
}

/// A search that goes on for as long as it may.
fn long_search(bed: &Bed, more: &[&str]) -> Running {
    let load = ["-c", "4", "--from", "100", "--max", "200", "--trial", "10s", "--json"];
    let mut command = ceiling();
    command.args(["-t", "1", "--warmup", "0", "--give-up", "500ms", "--slo", "errors<90%"]);
    Running::start(command.args(load).args(more).arg(bed.url("/")))
}

#[test]
fn a_target_that_is_lost_exits_with_5_and_keeps_what_is_known() {
    let Bed { server, _turn } = Bed::start();
    let url = format!("http://{}/", server.local_address());
    let load = ["-c", "4", "--from", "100", "--max", "200", "--json"];
    let mut command = ceiling();
    command.args(SHORT).args(["--slo", "errors<90%"]).args(load).arg(url);
    let running = Running::start(&mut command);
    wait_until("load", || server.counters().requests_total() > 60);
    server.stop();
    let ended = running.end();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(
        ended.stderr.lines().last().unwrap().contains("no answer any more at"),
        "{}",
        ended.stderr
    );
    let document = checked(&ended.stdout);
    assert_eq!(
        (&document["end"], &document["partial"]),
        (&"target_lost".into(), &Value::Bool(true))
    );
    assert!(results(&document).len() >= 2, "{:?}", results(&document));
}

#[test]
fn an_interrupted_search_prints_what_it_has() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let bed = Bed::start();
        let running = long_search(&bed, &[]);
        wait_until("load", || bed.server.counters().requests_total() > 60);
        let begun = Instant::now();
        running.signal(signal);
        let ended = running.end();
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        let document = checked(&ended.stdout);
        assert_eq!(document["end"], "interrupted");
        assert_eq!((document["partial"].as_bool(), results(&document).len()), (Some(true), 1));
        assert_eq!(document["trials"][0]["run"]["end"]["reason"], "interrupted");
    }
}

#[test]
fn an_interrupt_between_two_trials_ends_the_search_too() {
    let bed = Bed::start();
    let more = ["-c", "4", "--from", "100", "--max", "200", "--pause", "30s", "--json"];
    let mut command = ceiling();
    command.args(SHORT).args(["--slo", "errors<90%"]).args(more).arg(bed.url("/"));
    let running = Running::start(&mut command);
    wait_until("load", || bed.server.counters().requests_total() >= 30);
    std::thread::sleep(Duration::from_secs(1));
    let begun = Instant::now();
    running.signal("INT");
    let ended = running.end();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(checked(&ended.stdout)["end"], "interrupted");
}

/// A search of a single load that holds, with other outputs.
fn single(bed: &Bed, more: &[&str]) -> Command {
    bed.search("errors<90%", &[&["-c", "4", "--from", "50", "--max", "50"], more].concat(), "/")
}

#[test]
fn a_quiet_search_prints_one_line() {
    let bed = Bed::start();
    let ended = run(&mut single(&bed, &["-q"]));
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (
            Some(0),
            "Ceiling: at least 50 req/s: the highest load that was allowed (--max) holds\n",
            ""
        )
    );
}

#[test]
fn a_page_and_a_table_with_tabs_go_where_they_are_sent() {
    let (bed, folder) = (Bed::start(), tempfile::tempdir().unwrap());
    let path = folder.path().join("page");
    let ended = run(&mut single(&bed, &["-o", path.to_str().unwrap(), "--no-progress"]));
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page.contains("\nCeiling       at least 50 req/s"), "{page}");
    let ended = run(&mut single(&bed, &["--format", "tsv"]));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("variable\tceiling\tci95_low\t"), "{}", ended.stdout);
    assert!(lines[1].starts_with("rate\t50.000\t\t\t"), "{}", ended.stdout);
}

#[test]
fn an_answer_that_cannot_be_written_is_not_lost() {
    let bed = Bed::start();
    let full = Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let ended = single(&bed, &["--json"]).stdin(Stdio::null()).stdout(full).output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(8), "{stderr}");
    assert!(stderr.contains("Ceiling: at least 50 req/s"), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
}

/// `arguments` are refused with `code` in one line that holds all of `parts`.
fn refused(code: i32, arguments: &[&str], parts: &[&str]) {
    let ended = run(ceiling().args(arguments));
    let line = &ended.stderr;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments:?}: {line}");
    assert_eq!(line.lines().count(), 1, "{arguments:?}: {line}");
    for part in parts {
        assert!(line.contains(part), "{arguments:?}: {line:?} does not say {part:?}");
    }
}

#[test]
fn what_contradicts_a_search_is_refused_by_name() {
    let slo = ["--slo", "p99<50ms", NOWHERE];
    let cases: [(&[&str], &[&str]); 26] = [
        (&["-R", "10"], &["-R", "leave it out"]),
        (&["--stages", "1s@10"], &["--stages"]),
        (&["--burst", "1@1s"], &["--burst"]),
        (&["-n", "10"], &["-n"]),
        (&["-d", "10s"], &["-d", "--budget", "--trial"]),
        (&["--abort-on", "errors>5%"], &["--abort-on"]),
        (&["--hgrm", "x"], &["--hgrm"]),
        (&["--hlog", "x"], &["--hlog"]),
        (&["--timeseries", "x"], &["--timeseries"]),
        (&["--log-requests", "x"], &["--log-requests"]),
        (&["--repeat", "3"], &["--repeat"]),
        (&["--warmup", "auto"], &["--warmup auto"]),
        (&["--rigorous", "--trial", "10s"], &["--trial", "--rigorous"]),
        (&["--trial", "999ms"], &["--trial", "1 s"]),
        (&["--trial", "soon"], &["--trial", "'soon'"]),
        (&["--from", "1k", "--max", "999"], &["--max 999", "--from", "1000"]),
        (&["--from", "0"], &["--from"]),
        (&["--from", "many"], &["--from", "'many'"]),
        (&["--max", "-1"], &["--max"]),
        (&["--precision", "2"], &["--precision", "'2'", "2%"]),
        (&["--precision", "0.1%"], &["--precision", "0.2%"]),
        (&["--precision", "51%"], &["--precision", "50%"]),
        (&["--budget", "x"], &["--budget", "'x'"]),
        (&["--closed", "-c", "4"], &["--closed", "--connections"]),
        (&["--closed", "--from", "1.5"], &["--from 1.5", "--closed"]),
        (&["--closed", "--from", "9", "--max", "8"], &["--max 8", "--from"]),
    ];
    for (arguments, parts) in cases {
        refused(2, &[arguments, &slo].concat(), parts);
    }
    refused(2, &[NOWHERE], &["--slo"]);
    refused(2, &["--slo", "p99>50", NOWHERE, "--slo", "nonsense"], &["--slo"]);
}

#[test]
fn a_target_that_is_of_no_use_exits_with_5() {
    let (address, _kept) = closed_port();
    let url = format!("http://{address}/");
    let slo = ["--slo", "p99<50ms", "-t", "1", "-c", "2", "--give-up", "300ms"];
    refused(5, &[&slo[..], &[&url]].concat(), &[&url, "refused"]);
    let bed = Bed::start();
    let mut command = bed.search("p99<50ms", &["-c", "2", "--budget", "20s"], "/status/404");
    let ended = run(&mut command);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(5), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("not one good response among"), "{}", ended.stderr);
}

#[test]
fn what_would_be_done_is_shown_and_nothing_is_sent() {
    let ended = run(ahead(&["ceiling"]).args(["--slo", "p99<50ms", "--dry-run", NOWHERE]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("GET / HTTP/1.1"), "{}", ended.stdout);
}
