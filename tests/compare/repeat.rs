//! One plan carried out several times.

use super::{SHORT, checked_runs, law, parsed, recorded, refused, target};
use crate::support::{Running, maxq_on_engine, run, wait_until};

#[test]
fn repetitions_have_one_plan_and_seeds_of_their_own() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = recorded(folder.path(), "runs.json", &law(&server, 5), "3");
    let document = parsed(&std::fs::read_to_string(path).unwrap());
    assert_eq!(document["schema"], "maxq.runs/1");
    let runs = checked_runs(&document["runs"]);
    let seeds: Vec<u64> = runs.iter().map(|run| run.number("/plan/seed")).collect();
    assert_eq!(seeds, [seeds[0], seeds[0] + 1, seeds[0] + 2]);
    assert!(runs.iter().all(|run| run.text("/plan/hash") == runs[0].text("/plan/hash")));
    assert!(runs.iter().all(|run| run.count("scheduled") == 60));
    assert_eq!(server.counters().requests_total(), 180);
}

#[test]
fn a_table_shows_each_run_and_the_middle_of_them() {
    let server = target();
    let repeated = |more: &[&str]| {
        run(maxq_on_engine().args(SHORT).args(["--repeat", "3"]).args(more).arg(law(&server, 5)))
    };
    let ended = repeated(&[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in ["3 runs", "achieved/s", "Over the runs", "median", "p99"] {
        assert!(ended.stdout.contains(part), "{}", ended.stdout);
    }
    let told: Vec<&str> = ended.stderr.lines().collect();
    assert!(told.len() == 3 && told[1].starts_with("maxq: run 2 of 3: "), "{told:?}");
    let ended = repeated(&["--format", "tsv", "--no-progress"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(ended.stdout.lines().count(), 4);
    assert!(ended.stdout.starts_with("url\tmode\tconnections\t"), "{}", ended.stdout);
    // One run is a table, too.
    let single = run(maxq_on_engine()
        .args(["-t", "1", "-n", "20", "-c", "2", "--format", "tsv"])
        .arg(law(&server, 1)));
    assert_eq!((single.code, single.stdout.lines().count()), (Some(0), 2), "{single:?}");
    // A gate that fails in any of them fails all.
    let ended = repeated(&["--slo", "p50<1ms", "-q"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
}

#[test]
fn what_shows_a_single_run_is_refused_by_name() {
    for (flag, value) in [
        ("--hgrm", Some("x")),
        ("--hlog", Some("x")),
        ("--timeseries", Some("x")),
        ("--log-requests", Some("x")),
        ("--latency", None),
    ] {
        let mut command = maxq_on_engine();
        command.args(["--repeat", "2", flag]).args(value).arg("http://127.0.0.1:9/");
        refused(&run(&mut command), 2, &[flag, "--repeat"]);
    }
    for (arguments, part) in [
        (&["--repeat", "0"][..], "--repeat 0"),
        (&["--repeat", "1001"], "--repeat 1001"),
        (&["--pause", "1s"], "--pause"),
        (&["--json", "--format", "text"], "--json"),
    ] {
        refused(&run(maxq_on_engine().args(arguments).arg("http://127.0.0.1:9/")), 2, &[part]);
    }
}

#[test]
fn an_interrupted_series_reports_what_it_has() {
    let server = target();
    let load =
        ["-t", "1", "-c", "2", "-d", "600ms", "--warmup", "0", "--pause", "0s", "--repeat", "500"];
    let mut command = maxq_on_engine();
    let running = Running::start(command.args(load).args(["--json", "-q"]).arg(law(&server, 1)));
    wait_until("a second run", || server.counters().connections_accepted > 2);
    wait_until("its load", || server.counters().requests_total() > 100);
    running.signal("INT");
    let ended = running.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(130), ""));
    let document = parsed(&ended.stdout);
    let runs = checked_runs(&document["runs"]);
    assert!(runs.len() >= 2, "{}", runs.len());
    let partial: Vec<bool> = runs.iter().map(|run| run.json["partial"] == true).collect();
    assert!(!partial[0] && partial[partial.len() - 1], "{partial:?}");
    // While nothing runs, too.
    let mut command = maxq_on_engine();
    command.args(&SHORT[..10]).args(["--repeat", "2", "--pause", "30s"]).arg(law(&server, 1));
    let before = server.counters().requests_total();
    let running = Running::start(&mut command);
    wait_until("the first run", || server.counters().requests_total() >= before + 60);
    std::thread::sleep(std::time::Duration::from_millis(500));
    running.signal("INT");
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stdout.contains("PARTIAL       1 of 2 runs were begun"), "{}", ended.stdout);
}
