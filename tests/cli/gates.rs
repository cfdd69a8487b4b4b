//! Gates on parts of a run, and conditions that end one early.

use std::fs;
use std::time::Duration;

use super::support::maxq_on_engine;
use super::support::report::{Report, checked};
use super::support::run;
use super::support::scripted::Scripted;
use super::{NOWHERE, quick, refused_in_one_line, target};

#[test]
fn gates_that_do_not_fit_the_run_are_refused_with_what_does() {
    let stages = ["--stages", "1s@100,1s@100..500"];
    let cases: [(&[&str], &str, &[&str]); 14] = [
        (&stages, "p99[spike]<1s", &["'spike'", "1s@100, 1s@100..500"]),
        (&["-R", "9"], "p99[spike]<1s", &["'spike'", "this run has measured"]),
        (&["-R", "9", "--warmup", "auto"], "p99[slice 3]<1s", &["has measured"]),
        (&["-R", "9", "--warmup", "auto"], "p99[1s..2s]<1s", &["--warmup auto"]),
        (&["-R", "9", "--burst", "5@1s"], "p99[spike]<1s", &["measured, bursts"]),
        (&["--burst", "5@1s"], "goodput[bursts]>9%", &["no throughput"]),
        (&stages, "p99<1s@95%", &["the load changes", "name a phase"]),
        (&["-d", "10s"], "lag.p99<1ms", &["closed loop", "--rate"]),
        (&["-d", "10s"], "p99[5s..11s]<1s", &["10 s", "longer -d"]),
        (&["-d", "10s"], "p99[each 11s]<1s", &["10 s", "longer -d"]),
        (&["-d", "10s"], "p99[5s..5.05s]<1s", &["slices of 100 ms", "5050 ms"]),
        (&["-d", "1s"], "p99[each 50ms]<1s", &["slices of 20 ms", "50 ms"]),
        (&["-d", "1s"], "p99<1s,p99[warmup]<1s", &["'p99[warmup]<1s'", "not measured"]),
        (&["-d", "1s"], "errors<1ms", &["'errors<1ms'", "errors<0.1%"]),
    ];
    for (load, clause, parts) in cases {
        let arguments = [load, &["--slo", clause, NOWHERE]].concat();
        refused_in_one_line(2, &arguments, &[&["--slo"], parts].concat());
    }
    for (conditions, part) in [("errors", "limit"), ("errors[x]>1%", "last 10 s"), ("", "limit")] {
        refused_in_one_line(2, &["--abort-on", conditions, NOWHERE], &["--abort-on", part]);
    }
}

#[test]
fn a_spike_fails_its_own_gate_and_not_that_of_the_time_before() {
    let server = target();
    // One server that takes 2 ms a request: 500 a second, and a spike of 1,500.
    let law = format!("http://{}/law/md1?d=2ms", server.local_address());
    let load = ["spike", "--base", "50", "--peak", "1500", "--at", "1s", "--hold", "500ms"];
    let limits = "p90[base]<250ms, p90[spike]<250ms, max[each 500ms]<250ms, max[0s..1s]<10s,
        achieved[spike]<60%, achieved>=10/s, unsent<=0%, timeouts<=0%, goodput>=10%, lag.p50<1s,
        ttfb.p50>1us, service.p50>1us, mean[recovery]>10ms";
    let more = ["-d", "4s", "--warmup", "0", "-t", "1", "-c", "1000", "--json", "--no-preflight"];
    let mut command = super::support::maxq();
    if let Some(engine) = std::env::var_os("MAXQ_TEST_ENGINE") {
        command.arg("spike").arg("--engine").arg(engine).args(&load[1..]);
    } else {
        command.args(load);
    }
    let ended = run(command.args(more).args(["--slo", limits]).arg(&law));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--slo: p90[spike]<250ms, max[each 500ms]<250ms failed"),
        "{}",
        ended.stderr
    );
    let report = Report::of(&ended.stdout);
    let slo = report.json["slo"].as_array().unwrap();
    assert_eq!(slo.len(), 13);
    let passed: Vec<bool> = slo.iter().map(|row| row["pass"].as_bool().unwrap()).collect();
    let failed: Vec<usize> = (0..slo.len()).filter(|&place| !passed[place]).collect();
    assert_eq!(failed, [1, 2], "{slo:#?}");
    assert_eq!(slo[1]["scope"], "spike");
    // What came due last in the spike waits for a second.
    let at_s = slo[2]["at_s"].as_f64().unwrap();
    assert!((1.0..=3.5).contains(&at_s), "{at_s}");
    assert!(slo[1]["at_s"].is_null());
}

#[test]
fn a_target_that_only_fails_ends_a_run_early_with_every_output() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let bad = format!("http://{}/status/503", server.local_address());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (json, series) = (path("run.json"), path("run.ndjson"));
    let load = ["-R", "200", "-d", "30s", "--warmup", "500ms", "-t", "1", "-c", "2"];
    let files = ["--json", "-o", &json, "--timeseries", &series];
    let abort = ["--abort-on", "p99>9s, errors>5%", "--slo", "max[10s..11s]<1s"];
    let ended = run(maxq_on_engine().args(load).args(files).args(abort).arg(&bad));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("--abort-on: errors>5% (value 100 %) after"), "{}", ended.stderr);
    let report = Report::of(&fs::read_to_string(&json).unwrap());
    assert_eq!(report.text("/end/reason"), "aborted");
    assert_eq!(report.text("/end/condition"), "errors>5%");
    assert_eq!(report.json["partial"], true);
    let measured_s = report.float("/window/measured_s");
    assert!((1.0..8.0).contains(&measured_s), "{measured_s}");
    assert!(report.count("http_error") >= 100);
    // What the run did not come to, fails.
    assert_eq!(report.json["slo"][0]["pass"], false);
    assert!(report.json["slo"][0]["value"].is_null());
    assert!(fs::read_to_string(&series).unwrap().lines().count() >= 1);
}

#[test]
fn a_target_that_is_silent_ends_a_run_early() {
    let silent = Scripted::start(|peer| peer.wait_for_close());
    let load = ["-R", "100", "-d", "30s", "--warmup", "0", "-t", "1", "-c", "4", "--json"];
    let ended =
        run(maxq_on_engine().args(load).args(["--abort-on", "achieved<50%"]).arg(silent.url()));
    assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let report = Report::of(&ended.stdout);
    assert_eq!(report.text("/end/condition"), "achieved<50%");
    assert_eq!(report.count("completed"), 0);
}

#[test]
fn a_condition_that_never_comes_true_changes_nothing() {
    let server = target();
    let ended = quick(&server, &["-R", "200", "--json", "--abort-on", "errors>5%, p99>9s"]);
    let report = checked(0, &ended);
    assert_eq!(report.text("/end/reason"), "finished");
    assert!(report.json["end"]["condition"].is_null());
    assert_eq!(report.count("ok"), 40);
}
