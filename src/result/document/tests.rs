//! Documents that are none, or not whole, and what is said of them.

use std::fs;

use serde_json::{Value, json};

use super::{Run, read, runs_in};
use crate::exit::USAGE;

/// A document as small as one can be.
fn document() -> Value {
    json!({
        "schema": "maxq.run/1",
        "partial": false,
        "plan": { "hash": "abc", "url": "http://h/", "mode": "closed" },
        "verdict": { "code": "valid", "valid": true, "sentence": "fine", "reasons": [] },
        "window": { "measured_s": 2.5 },
        "counts": { "scheduled": 10, "ok": 9, "timeout": 0, "unsent": 1 },
        "rates": { "offered_rps": 5.0, "achieved_rps": 4.0 },
        "latency": { "response": {
            "p50_us": 10.0, "p90_us": 20.0, "p95_us": 25.0, "p99_us": 30.0, "p99_9_us": null, "mean_us": 11.0, "max_us": 0.0,
            "ci95_us": { "p50": [9.0, 11.0] }, "unsupported": ["p99"], "histogram": null
        } },
        "client": { "cpu_us_per_request": null },
        "intervals": [
            { "t_s": 0.0, "scheduled": 9, "completed": 9 },
            { "t_s": 1.0, "scheduled": 5, "completed": 4 },
            { "t_s": 2.0, "scheduled": 5, "completed": 5 },
            { "t_s": 3.0, "scheduled": 2, "completed": 3 }
        ]
    })
}

fn refused(change: impl Fn(&mut Value)) -> String {
    let mut changed = document();
    change(&mut changed);
    Run::of(changed, "x".to_owned()).unwrap_err()
}

#[test]
fn a_run_is_read_and_what_nothing_answered_is_absent() {
    let run = Run::of(document(), "x".to_owned()).unwrap();
    assert_eq!(
        run.latency_us.keys().copied().collect::<Vec<_>>(),
        ["mean", "p50", "p90", "p95", "p99"]
    );
    assert_eq!(run.interval_us["p50"], (9.0, 11.0));
    assert_eq!((run.scheduled, run.ok, run.open, run.cpu_us), (10, 9, false, None));
    assert_eq!((run.timeouts, run.unsent), (0, 1));
    assert_eq!(run.seconds, [(5.0, 4.0), (5.0, 5.0)], "whole seconds of the window alone");
    assert_eq!((run.void, run.responses), (None, vec![]));
}

#[test]
fn too_few_samples_alone_do_not_make_a_run_void() {
    let void = |code: &str, level: &str| {
        let mut changed = document();
        changed["verdict"] = json!({
            "code": code, "valid": false, "sentence": "why\u{1b}[2J", "reasons": [{ "level": level }]
        });
        Run::of(changed, "x".to_owned()).unwrap().void
    };
    assert_eq!(void("insufficient_samples", "warn"), None);
    assert!(void("insufficient_samples", "invalid").is_some());
    assert_eq!(void("not_steady", "warn").unwrap(), "not_steady: why\\x1b[2J");
}

#[test]
fn keys_that_are_missing_or_make_no_sense_are_named() {
    let remove = |object: &'static str, key: &'static str| {
        refused(move |value| {
            value.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(key);
        })
    };
    assert_eq!(remove("/latency/response", "p99_us"), "latency.response.p99_us is missing");
    assert_eq!(remove("/plan", "hash"), "plan.hash is missing");
    assert_eq!(remove("", "verdict"), "verdict.valid is missing");
    let set = |key: &'static str, to: Value| {
        refused(move |value| *value.pointer_mut(key).unwrap() = to.clone())
    };
    assert!(set("/latency/response/p50_us", json!(-1.0)).contains("latency.response.p50_us"));
    assert!(set("/latency/response/p50_us", json!("1")).contains("latency.response.p50_us"));
    assert!(set("/rates/achieved_rps", Value::Null).contains("rates.achieved_rps is null"));
    assert!(set("/counts/ok", json!(11)).contains("counts.ok is 11 of 10"));
    for odd in [json!(1e300), json!(1e-300), json!(u64::MAX)] {
        assert!(set("/latency/response/p50_us", odd).contains("no number that a run could have"));
    }
    assert!(set("/counts/scheduled", json!(u64::MAX)).contains("counts.scheduled"));
    assert!(set("/counts/timeout", json!(2)).contains("counts.timeout is 2 of 10"));
    assert!(set("/counts/ok", json!(1.5)).contains("counts.ok is no count"));
    assert!(set("/plan", json!([])).contains("plan"));
    assert!(set("/latency/response/ci95_us/p50", json!([1])).contains("ci95_us.p50.1 is missing"));
    for none in [json!("!"), json!("AAAA"), json!("HISTFAAA"), json!(1), json!("HISTFAAAAAAAAAAA")]
    {
        assert!(set("/latency/response/histogram", none).contains("latency.response.histogram"));
    }
}

#[test]
fn other_documents_are_refused_for_what_they_are() {
    let refused = |document: Value| runs_in(document, "x").unwrap_err();
    assert!(refused(json!({ "schema": "maxq.sweep/1" })).contains("maxq.sweep/1"));
    assert!(refused(json!({ "schema": "maxq.run/2" })).contains("'maxq.run/2'"));
    assert!(refused(json!({ "schema": "other/1" })).contains("no result of maxq"));
    assert!(refused(json!([1, 2])).contains("no result of maxq"));
    assert!(refused(json!({ "schema": "maxq.runs/1" })).contains("no list of runs"));
    assert!(refused(json!({ "schema": "maxq.runs/1", "runs": [] })).contains("no run"));
    let mixed =
        json!({ "schema": "maxq.runs/1", "runs": [document(), { "schema": "maxq.run/2" }] });
    assert!(refused(mixed).contains("run 2 of 2 is no maxq.run/1"));
    let several = json!({ "schema": "maxq.runs/1", "runs": [document(), document()] });
    let sources = runs_in(several, "a.json").unwrap();
    assert_eq!(sources[1].source, "a.json, run 2 of 2");
}

#[test]
fn more_runs_than_anybody_compares_are_refused_before_they_are_read() {
    let runs = vec![json!({}); 10_001];
    let why = runs_in(json!({ "schema": "maxq.runs/1", "runs": runs }), "x").unwrap_err();
    assert!(why.contains("10001 runs; at most 10000"), "{why}");
}

#[test]
fn files_that_cannot_be_read_are_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let whole = document().to_string();
    let half = &whole[..whole.len() / 2];
    for (name, content, says) in [
        ("empty.json", "", "it is empty"),
        ("half.json", half, "ends in the middle"),
        ("text.json", "maxq 0.1.0: GET", "not JSON"),
        ("bell\u{7}.json", "{}", "no result of maxq"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let refusal = read(&[path]).unwrap_err();
        assert_eq!((refusal.code, refusal.message.lines().count()), (USAGE, 1));
        assert!(refusal.message.contains(says), "{}", refusal.message);
        assert!(refusal.message.contains(&name.replace('\u{7}', "\\x07")), "{}", refusal.message);
    }
    let nested = "[".repeat(100_000);
    let many_values = format!("[{}0]", "0,".repeat(4_000_000));
    for (name, content, says) in [
        ("deep.json", nested.as_str(), "recursion limit"),
        ("overflow.json", "{\"schema\": 1e999}", "number out of range"),
        ("nan.json", "{\"schema\": NaN}", "not JSON that can be read"),
        ("many.json", &many_values, "more than 4000000 values"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let message = read(&[path]).unwrap_err().message;
        assert!(message.contains(name) && message.contains(says), "{message}");
    }
    // A file with a hole takes no room, and is not read to be refused.
    let large = folder.path().join("large.json");
    fs::File::create(&large).unwrap().set_len(2 << 30).unwrap();
    assert!(read(&[large]).unwrap_err().message.contains("larger than 256 MiB"));
    let nowhere = read(&[folder.path().join("nowhere.json")]).unwrap_err();
    assert!(nowhere.code == USAGE && nowhere.message.contains("nowhere.json"));
}

#[test]
fn a_folder_is_all_its_documents_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let none = read(&[folder.path().to_owned()]).unwrap_err();
    assert!(none.message.contains("no .json file"), "{}", none.message);
    for name in ["b.json", "a.json", "notes.txt"] {
        let mut document = document();
        document["started_at"] = name.into();
        fs::write(folder.path().join(name), document.to_string()).unwrap();
    }
    let runs = read(&[folder.path().to_owned()]).unwrap();
    let names: Vec<bool> = ["a.json", "b.json"]
        .iter()
        .zip(&runs)
        .map(|(name, run)| run.source.ends_with(name))
        .collect();
    assert_eq!((names, runs.len()), (vec![true, true], 2));
}

#[test]
fn a_run_that_is_there_twice_is_refused_however_its_file_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut second = document();
    second["client"]["cpu_us_per_request"] = 3.0.into();
    for (name, content) in [("a.json", document()), ("b.json", second), ("copy.json", document())] {
        fs::write(path(name), content.to_string()).unwrap();
    }
    assert_eq!(read(&[path("a.json"), path("b.json")]).unwrap().len(), 2);
    for paths in [[path("a.json"), path("a.json")], [path("a.json"), path("copy.json")]] {
        let refusal = read(&paths).unwrap_err();
        assert_eq!((refusal.code, refusal.message.lines().count()), (USAGE, 1));
        assert!(refusal.message.contains("the same run"), "{}", refusal.message);
    }
    assert!(read(&[folder.path().to_owned()]).unwrap_err().message.contains("copy.json"));
}
