//! The closed loop, held to the same oracles: no request is received before it was sent, no answer is quicker than the
//! target, and a client that was away says so instead of blaming the target.

use std::fs;
use std::thread;
use std::time::Duration;

use super::bed::{Bed, Measured, cores, until_no_hiccup};
use super::client::Competitor;
use super::support::{Running, maxq, signal};

/// Connections and requests in flight on each.
const SHAPES: [&[&str]; 4] =
    [&["-c", "1"], &["-c", "64"], &["-c", "256"], &["-c", "16", "-p", "16"]];

/// One run of a closed loop on the client's core.
fn measure(bed: &Bed, law: &str, arguments: &[&str]) -> Measured {
    let core = cores().0.to_string();
    let pinned = [&["-t", "1", "--cpus", &core, "--warmup", "0"][..], arguments].concat();
    // That no effect comes before its cause is checked of every request, whatever the machine does.
    bed.measure_unpinned(law, &pinned)
}

fn is_possible(measured: &Measured) {
    assert!(measured.rows.len() > 100, "{} requests", measured.rows.len());
    let least = measured.ms("service", "min");
    assert!(least >= 1.0, "the target takes 1 ms, and is said to have taken {least}");
    for row in measured.answered() {
        let (client, target) = (row.service_ns(), row.at_target_ns());
        assert!(client >= target, "{client} ns for what took the target {target}: {row:?}");
    }
}

#[test]
fn no_effect_comes_before_its_cause() {
    let bed = Bed::start();
    for shape in SHAPES {
        is_possible(&measure(&bed, "fixed?d=1ms", &[shape, &["-d", "2s"]].concat()));
    }
}

#[test]
fn no_effect_comes_before_its_cause_beside_a_busy_neighbor() {
    let bed = Bed::start();
    let _competitor = Competitor::start(cores().0);
    for shape in SHAPES {
        is_possible(&measure(&bed, "fixed?d=1ms", &[shape, &["-d", "4s"]].concat()));
    }
}

#[test]
fn stamps_that_are_early_cost_less_than_the_skew_that_is_shown() {
    let bed = Bed::start();
    until_no_hiccup(|| {
        let measured = measure(&bed, "fixed?d=10ms", &["-c", "64", "-d", "2s"]);
        let skew = measured.report.float("/client/stamp_skew_us") / 1e3;
        let p50 = measured.ms("service", "p50");
        // Sixty-four answers come at once, and are looked at one after the other: about 5 us each.
        measured.holds((10.0..11.0).contains(&p50), format!("p50 is {p50} ms"))?;
        measured.holds(skew < 0.5, format!("eight sends took {skew} ms"))
    });
}

#[test]
fn a_client_that_is_stopped_is_to_blame_in_a_closed_loop_too() {
    let bed = Bed::start();
    let core = cores().0.to_string();
    for engine in ["uring", "portable"] {
        until_no_hiccup(|| {
            let path = bed.law("fixed?d=1ms&stamps=1");
            let folder = tempfile::tempdir().unwrap();
            let log = folder.path().join("requests.jsonl");
            let mut command = maxq();
            command
                .args(["-d", "4s", "--warmup", "0", "-c", "64", "-t", "1", "--cpus", &core])
                .args(["--engine", engine, "--timeout", "500ms", "--json", "--no-preflight"])
                .arg("--log-requests")
                .arg(&log)
                .arg(bed.url(&path));
            let running = Running::start(&mut command);
            thread::sleep(Duration::from_millis(1500));
            signal(running.id(), "STOP");
            thread::sleep(Duration::from_secs(1));
            signal(running.id(), "CONT");
            let ended = running.end();
            let measured = bed.read(&path, ended, &fs::read_to_string(log).unwrap());
            let report = &measured.report;
            assert_eq!(report.count("timeout"), 0, "{engine}: {}", report.json["counts"]);
            let away = report.float("/client/away_us") / 1e3;
            assert!((900.0..1300.0).contains(&away), "{engine}: away for {away} ms");
            assert_eq!(report.text("/verdict/code"), "client_limited");
            assert_eq!(report.json["verdict"]["valid"], false);
            let reasons = report.json["verdict"]["reasons"].to_string();
            assert!(reasons.contains("C1") && reasons.contains("was away"), "{reasons}");
            let most = measured.ms("response", "max");
            assert!(most < 900.0, "{engine}: the stop is in a response of {most} ms");
            measured.holds(most < 50.0, format!("{engine}: a response took {most} ms"))
        });
    }
}
