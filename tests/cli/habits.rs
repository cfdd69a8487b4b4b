//! What people type who come from other tools, and what their shells do to a program.

use std::thread;

use super::support::report::{Report, checked};
use super::support::{maxq, run};
use super::{NOWHERE, quick, target, url};

/// More threads than this machine has cores.
fn too_many() -> (usize, String) {
    let cores = thread::available_parallelism().unwrap().get();
    (cores, (cores + 10).to_string())
}

#[test]
fn more_threads_than_cores_run_on_the_cores_and_the_report_says_so() {
    let server = target();
    let (cores, threads) = too_many();
    let wanted = ["-t", &threads, "-c", "400", "-d", "200ms", "--warmup", "0"];
    let ended = run(maxq().args(wanted).args(["--json", &url(&server)]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told: Vec<&str> =
        ended.stderr.lines().filter(|line| line.contains("was cut to the cores")).collect();
    assert_eq!(told.len(), 1, "{}", ended.stderr);
    assert!(told[0].starts_with(&format!("maxq: warning: -t {threads} ")), "{}", ended.stderr);
    let report = Report::of(&ended.stdout);
    assert_eq!(report.number("/plan/threads"), cores as u64);
    assert_eq!(report.number("/plan/threads_asked").to_string(), threads);
    assert!(report.text("/plan/threads_reason").contains("was cut to the cores"));
    let text = run(maxq().args(wanted).arg(url(&server)));
    let line = format!("Threads       {cores} (-t {threads} was cut to the cores: ");
    assert!(text.stdout.contains(&line), "{}", text.stdout);
}

#[test]
fn cores_that_are_listed_limit_the_threads_too() {
    let server = target();
    let core = maxq::plan::cores::allowed()[0].to_string();
    let ended = quick(&server, &["-t", "2", "--cpus", &core, "--json"]);
    assert_eq!(ended.code, Some(2), "-t is given twice: {ended:?}");
    let arguments = ["-t", "2", "-c", "2", "-n", "10", "--cpus", &core, "--json"];
    let ended = run(maxq().args(arguments).arg(url(&server)));
    assert!(ended.stderr.contains("-t 2 was cut to the cores: --cpus lists 1 core"), "{ended:?}");
    let report = Report::of(&ended.stdout);
    assert_eq!((report.number("/plan/threads"), report.number("/plan/threads_asked")), (1, 2));
}

#[test]
fn every_command_that_makes_runs_cuts_threads_to_the_cores() {
    let (_, threads) = too_many();
    let commands: [&[&str]; 6] = [
        &["run", "-c", "100"],
        &["spike", "--base", "10", "--peak", "20", "-c", "100"],
        &["sweep", "--rate", "10,20", "-c", "100"],
        &["sweep", "--connections", "100,200"],
        &["ceiling", "--slo", "p99<1s", "-c", "100"],
        &["ceiling", "--slo", "p99<1s", "--closed", "--max", "100"],
    ];
    for command in commands {
        let ended = run(maxq().args(command).args(["-t", &threads, "--dry-run", NOWHERE]));
        assert_eq!(ended.code, Some(0), "{command:?}: {ended:?}");
        for told in [&ended.stdout, &ended.stderr] {
            assert!(told.contains(&format!("-t {threads} was cut")), "{command:?}: {ended:?}");
        }
    }
}

#[test]
fn a_comparison_says_once_that_threads_were_cut() {
    let server = target();
    let (_, threads) = too_many();
    let url = url(&server);
    let load = ["-c", "100", "-n", "100", "--pairs", "7", "--pause", "0", "--json"];
    let ended = run(maxq().args(["compare", "--urls", &url, &url, "-t", &threads]).args(load));
    assert!(!ended.stdout.is_empty(), "{ended:?}");
    assert_eq!(ended.stderr.matches("was cut to the cores").count(), 1, "{}", ended.stderr);
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let notes = document["notes"].to_string();
    assert!(notes.contains("was cut to the cores"), "{notes}");
}

#[test]
fn as_many_threads_as_cores_are_not_worth_a_word() {
    let server = target();
    let report = checked(0, &quick(&server, &["--json"]));
    assert!(report.json["plan"]["threads_asked"].is_null());
    assert!(report.json["plan"]["threads_reason"].is_null());
}
