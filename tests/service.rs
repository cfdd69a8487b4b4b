//! Runs against a service as people write them: FastAPI, SQLite, a connection pool that runs dry.

mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use support::report::{Report, measure};
use support::service::{CAPACITY_RPS, Service};
use support::{maxq, run};

/// One test at a time: each wants a core for the service.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn as_many_connections_as_the_pool_has_get_all_that_the_service_can_do() {
    let _turn = turn();
    let service = Service::start();
    let report = measure(&["-c", "8", "-d", "2s", "--warmup", "500ms", &service.url("/items/1")]);
    report.assert_all_ok();
    let goodput_rps = report.json["rates"]["goodput_rps"].as_f64().unwrap();
    // Its event loop comes late to each of eight connections, and later where others want its core.
    assert!((0.3..=1.01).contains(&(goodput_rps / CAPACITY_RPS)), "{goodput_rps}");
}

#[test]
fn more_connections_than_the_pool_has_get_bad_answers_beside_the_good_ones() {
    let _turn = turn();
    let service = Service::start();
    let report = measure(&["-c", "64", "-d", "2s", "--warmup", "500ms", &service.url("/items/1")]);
    let (ok, refused) = (report.status(200), report.status(503));
    assert!(ok > 0 && refused > 0, "{ok} {refused}");
    assert_eq!(report.count("ok"), ok);
    let goodput_rps = report.json["rates"]["goodput_rps"].as_f64().unwrap();
    assert!(goodput_rps <= CAPACITY_RPS * 1.02, "{goodput_rps}");
}

#[test]
fn a_quick_search_finds_what_the_pool_can_do() {
    const PATIENCE_S: f64 = 30.0;
    let _turn = turn();
    let service = Service::start();
    let url = service.url("/items/1");
    // Answers keep coming at this rate whatever the machine does: its truth is a matter of time, not of work.
    let truth_rps = CAPACITY_RPS / 0.99;
    let mut command = maxq();
    command.args(["ceiling", "--no-preflight", "-t", "1", "-c", "64", "--json", "--from", "50"]);
    command.args(["--budget", "30s", "--slo", "p95<500ms, errors<1%", &url]);
    let ended = run(&mut command);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(document["spent_s"].as_f64().unwrap() <= PATIENCE_S * 1.1, "{}", document["spent_s"]);
    let trials = document["trials"].as_array().unwrap();
    // A pass is a pass, whatever this machine did meanwhile; the pool cannot do more.
    let passed = trials.iter().filter(|trial| trial["result"] == "pass");
    let most = passed.map(|trial| trial["rate_rps"].as_f64().unwrap()).fold(0.0, f64::max);
    assert!(most > 0.3 * truth_rps && most < 1.15 * truth_rps, "{most}");
    for trial in trials.iter().filter(|trial| trial["result"] == "fail") {
        assert_ne!(trial["missed"], json!([]), "{trial}");
    }
    let ceiling = document["ceiling_rps"].as_f64();
    let known = |rps: f64| (0.3..1.1).contains(&(rps / truth_rps));
    assert!(ceiling.is_none_or(known), "{ceiling:?} of {truth_rps}");
    assert_eq!(ended.code == Some(0), document["verified"] == true && document["end"] == "found");
}

#[test]
fn a_body_reaches_the_service_as_what_it_is() {
    let _turn = turn();
    let service = Service::start();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("item.json");
    std::fs::write(&file, "{\n  \"name\": \"lamp\",\n  \"price\": 9.5\n}\n")
        .expect("it can be written");
    let named = format!("@{}", file.display());
    let json = r#"{"name": "desk", "price": 120}"#;
    let wrong = "Content-Type: text/plain";
    for (path, body, more, status) in [
        ("/items", json, &[][..], 201),
        ("/items", &named, &[], 201),
        ("/forms", "name=desk&price=120", &[], 201),
        ("/items", "name=desk&price=120", &[], 422),
        ("/forms", json, &[], 415),
        ("/forms", "name=desk&price=120", &["-H", wrong], 415),
    ] {
        let mut command = maxq();
        command.args(["-n", "10", "-c", "2", "-t", "1", "--json", "-b", body]).args(more);
        let ended = run(command.arg(service.url(path)));
        let report = Report::of(&ended.stdout);
        assert_eq!(report.status(status), 10, "{path} {body}: {}", ended.stderr);
    }
    // What comes from standard input is looked at as well.
    let script = format!(
        "\"$0\" -n 5 -c 1 -t 1 --json -b @- {} < {}",
        service.url("/items"),
        file.display()
    );
    let ended = run(std::process::Command::new("sh").args(["-c", &script]).arg(support::binary()));
    assert_eq!(Report::of(&ended.stdout).status(201), 5, "{}", ended.stderr);
}

#[test]
fn a_spike_out_of_nothing_over_the_pool_is_told_with_its_end() {
    let _turn = turn();
    let service = Service::start();
    let mut command = maxq();
    command.args(["spike", "--base", "0", "--peak", "40", "--at", "500ms", "--hold", "500ms"]);
    command.args(["-d", "3s", "-c", "64", "-t", "1", "--json"]);
    let ended = run(command.arg(service.url("/items/1")));
    let report = Report::of(&ended.stdout);
    // On a busy machine the pool may run dry even so.
    assert_eq!((report.count("scheduled"), report.count("completed")), (20, 20));
    let spike = &report.json["phases"][1]["disturbances"][0];
    assert!(spike["base_p99_us"].is_null() && spike["all_answered_after_s"].is_number(), "{spike}");
}
