//! Runs against a service as people write them: FastAPI, SQLite, a connection pool that runs dry.

mod support;

use support::report::measure;
use support::service::{CAPACITY_RPS, Service};

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
