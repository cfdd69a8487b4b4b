//! Runs against a service as people write them: FastAPI, SQLite, a connection pool that runs dry.

mod support;

use support::report::{Report, measure};
use support::service::{CAPACITY_RPS, Service};
use support::{maxq, run};

#[test]
fn as_many_connections_as_the_pool_has_get_all_that_the_service_can_do() {
    let service = Service::start();
    let report = measure(&["-c", "8", "-d", "2s", "--warmup", "500ms", &service.url("/items/1")]);
    report.assert_all_ok();
    let goodput_rps = report.json["rates"]["goodput_rps"].as_f64().unwrap();
    // Its event loop comes a little late to each of eight connections.
    assert!((0.75..=1.001).contains(&(goodput_rps / CAPACITY_RPS)), "{goodput_rps}");
}

#[test]
fn more_connections_than_the_pool_has_get_bad_answers_beside_the_good_ones() {
    let service = Service::start();
    let report = measure(&["-c", "64", "-d", "2s", "--warmup", "500ms", &service.url("/items/1")]);
    let (ok, refused) = (report.status(200), report.status(503));
    assert!(ok > 0 && refused > 0, "{ok} {refused}");
    assert_eq!(report.count("ok"), ok);
    let goodput_rps = report.json["rates"]["goodput_rps"].as_f64().unwrap();
    assert!(goodput_rps <= CAPACITY_RPS * 1.02, "{goodput_rps}");
}

#[test]
fn a_body_reaches_the_service_as_what_it_is() {
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
