//! Where results go, how they look, and what happens when they cannot go there.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::support::report::{Report, checked};
use super::support::{Running, binary, maxq, run, wait_until};
use super::{QUICK, names_in, quick, target, url};

#[test]
fn a_file_is_replaced_when_the_run_has_ended() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("run.json");
    fs::write(&path, "old").unwrap();
    let mut command = maxq();
    command.args(["-t", "1", "-c", "2", "-d", "600ms", "--warmup", "0", "--json", "-o"]);
    let mut running = Running::start(command.arg(&path).arg(url(&server)));
    wait_until("load", || server.counters().requests_total() > 0);
    assert!(!running.has_ended());
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    Report::of(&fs::read_to_string(&path).unwrap()).assert_all_ok();
    assert_eq!(names_in(folder.path()), ["run.json"]);
}

#[test]
fn results_that_cannot_be_written_are_summed_up_on_stderr() {
    let server = target();
    let ended = quick(&server, &["--json", "-o", "/dev/full"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(8), ""));
    for part in ["Requests/sec:", "Transfer/sec:", "-o /dev/full"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    let full = |redirection: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec \"$0\" \"$@\" {redirection}")]);
        run(command.arg(binary()).args(QUICK).arg(url(&server)))
    };
    let ended = full(">/dev/full");
    assert_eq!(ended.code, Some(8), "{}", ended.stderr);
    assert!(ended.stderr.contains("Requests/sec:"), "{}", ended.stderr);
}

#[test]
fn other_results_that_cannot_be_written_are_no_reason_to_lose_the_report() {
    let server = target();
    for flag in ["--hgrm", "--timeseries"] {
        let ended = quick(&server, &[flag, "/dev/full"]);
        assert_eq!(ended.code, Some(8), "{flag}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("{flag} /dev/full")), "{}", ended.stderr);
        let told = ended.stdout.contains("Requests/sec:") || ended.stderr.contains("Requests/sec:");
        assert!(told, "{flag}: {ended:?}");
    }
}

/// Starts `command`, closes the reading end of its standard output after `bytes`, and returns the code and standard error.
fn with_reader(command: &mut Command, bytes: usize) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    // One that reads nothing is gone before there is anything to read.
    let reader = (bytes > 0).then_some(reader);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    // The command holds a writing end, too, until it gets another one.
    command.stdout(Stdio::null());
    if let Some(mut reader) = reader {
        reader.read_exact(&mut vec![0; bytes]).unwrap();
    }
    let ended = child.wait_with_output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[test]
fn a_stdout_that_is_closed_before_the_report_exits_with_8() {
    let server = target();
    let url = url(&server);
    let run = |more: &'static [&str]| [&QUICK[..], more, &[&url]].concat();
    let sweep = |format| {
        let load = ["-t", "1", "--rate", "100,200", "-d", "200ms", "--warmup", "0"];
        [&["sweep"][..], &load, &["--format", format, "--pause", "0", "--no-preflight", &url]]
            .concat()
    };
    let commands = [
        run(&[]),
        run(&["--json"]),
        run(&["--format", "tsv"]),
        run(&["--format", "csv"]),
        run(&["--format", "markdown"]),
        run(&["--format", "junit"]),
        run(&["-q"]),
        run(&["--latency"]),
        run(&["--dry-run"]),
        run(&["--repeat", "2", "--pause", "0"]),
        run(&["--timeseries", "-", "-o", "x"]),
        run(&["--hgrm", "-", "-o", "x"]),
        run(&["--hlog", "-", "-o", "x"]),
        run(&["--log-requests", "-", "-o", "x"]),
        sweep("text"),
        sweep("json"),
        sweep("csv"),
        sweep("tsv"),
        sweep("markdown"),
        sweep("ndjson"),
        vec!["serve", "--listen", "127.0.0.1:0"],
        vec!["--help"],
        vec!["sweep", "-h"],
        vec!["--version"],
    ];
    for arguments in commands {
        let folder = tempfile::tempdir().unwrap();
        let (code, stderr) = with_reader(maxq().current_dir(folder.path()).args(&arguments), 0);
        assert_eq!(code, Some(8), "{arguments:?}: {stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("maxq: ") && last.contains("Broken pipe"), "{stderr}");
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn every_format_of_a_comparison_needs_a_stdout() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    for name in ["base.json", "new.json"] {
        let file = folder.path().join(name);
        let ended = quick(&server, &["--json", "-o", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    for format in ["text", "json", "tsv", "csv", "markdown", "junit"] {
        let mut command = maxq();
        command.current_dir(folder.path()).args(["compare", "base.json", "new.json"]);
        command.args(["--allow-single", "--force", "--inconclusive", "pass", "--format", format]);
        let (code, stderr) = with_reader(&mut command, 0);
        assert_eq!(code, Some(8), "{format}: {stderr}");
        let (code, stderr) = with_reader(&mut command, 1);
        assert_eq!(code, Some(0), "{format}: {stderr}");
    }
}

#[test]
fn a_stdout_that_was_closed_from_the_start_is_refused_before_the_run() {
    let server = target();
    let url = url(&server);
    for arguments in [&[&url[..]][..], &["--json", &url], &["--help"], &["--version"]] {
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(binary()).args(arguments);
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(8), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("standard output is closed"), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    assert_eq!(server.counters().requests_total(), 0);
    let null = Command::new(binary()).arg("--version").stdout(Stdio::null()).status().unwrap();
    assert_eq!(null.code(), Some(0));
}

#[test]
fn a_stdout_that_is_closed_later_changes_nothing() {
    let server = target();
    let url = url(&server);
    let run = |more: &'static [&str]| [&QUICK[..], more, &[&url]].concat();
    let load = ["-t", "1", "--rate", "100,200", "-d", "200ms", "--warmup", "0", "--pause", "0"];
    let sweep =
        [&["sweep"][..], &load, &["--format", "csv", "-q", "--no-preflight", &url]].concat();
    for (arguments, expected) in [
        (run(&["--json"]), 0),
        (run(&["--no-preflight", "--log-requests", "-", "-o", "x"]), 0),
        (sweep, 0),
        (run(&["-q", "--slo", "p50<1ns"]), 1),
        (vec!["--help"], 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (code, stderr) = with_reader(maxq().current_dir(folder.path()).args(&arguments), 1);
        assert_eq!(code, Some(expected), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("Broken pipe"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_stderr_that_nobody_reads_is_no_crash() {
    let server = target();
    // It has something to say there: a gate that fails.
    let url = url(&server);
    let arguments = [&QUICK[..], &["--slo", "p50<1ns", &url]].concat();
    let mut child =
        maxq().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8(ended.stdout).unwrap().contains("Requests/sec:"));
}

#[test]
fn quiet_is_the_result_the_verdict_and_two_rates() {
    let ended = quick(&target(), &["-q"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let starts = ["Result: held: ", "Verdict: ", "Requests/sec:", "Transfer/sec:"];
    assert_eq!(lines.len(), starts.len(), "{}", ended.stdout);
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{}", ended.stdout);
    }
}

#[test]
fn the_text_report_ends_with_two_lines_that_scripts_scrape() {
    let ended = quick(&target(), &["--latency", "--seed", "42", "-v"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let rate = lines[lines.len() - 2].strip_prefix("Requests/sec:").unwrap().trim();
    assert!(rate.parse::<f64>().unwrap() > 0.0, "{rate}");
    assert!(lines[lines.len() - 1].starts_with("Transfer/sec:"));
    for part in ["p50", "p95", "p99.9", "Result", "Verdict", "Seed", "42"] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

#[test]
fn the_latency_distribution_is_written_for_other_programs() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("run.hgrm");
    let ended = quick(&server, &["--json", "--hgrm", path.to_str().unwrap()]);
    let report = checked(0, &ended);
    let text = fs::read_to_string(&path).unwrap();
    let total = text.lines().find_map(|line| {
        line.split_once("Total count")?.1.trim_matches([' ', '=', ']']).parse::<u64>().ok()
    });
    assert_eq!(total, Some(report.number("/latency/response/count")), "{text}");
    assert!(text.contains("Value") && text.contains("Percentile"), "{text}");
    assert_eq!(names_in(folder.path()), ["run.hgrm"]);
}

#[test]
fn each_second_is_a_line_of_the_time_series() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("run.ndjson");
    let ended = run(maxq()
        .args(["-t", "1", "-c", "2", "-d", "1200ms", "--warmup", "300ms", "--json"])
        .args(["--no-preflight", "--timeseries", path.to_str().unwrap(), &url(&server)]));
    let report = checked(0, &ended);
    let text = fs::read_to_string(&path).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::from(rows.clone()), report.json["intervals"]);
    let times: Vec<f64> = rows.iter().map(|row| row["t_s"].as_f64().unwrap()).collect();
    assert!(times.len() >= 3 && times.is_sorted(), "{times:?}");
    let completed: u64 = rows.iter().map(|row| row["completed"].as_u64().unwrap()).sum();
    assert_eq!(completed, server.counters().requests_total());
    assert!(completed > report.count("completed"), "the warm-up is in it");
}

#[test]
fn colour_is_for_those_who_ask_for_it() {
    let server = target();
    let with = |name: &str, value: &str| {
        let mut command = maxq();
        if !name.is_empty() {
            command.env(name, value);
        }
        run(command.args(QUICK).arg(url(&server)))
    };
    for (name, value) in [("", ""), ("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "xterm")] {
        let ended = with(name, value);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(!ended.stdout.contains('\x1b'), "{name}={value}");
    }
    assert!(with("CLICOLOR_FORCE", "1").stdout.contains('\x1b'));
    let both = run(maxq()
        .envs([("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")])
        .args(QUICK)
        .arg(url(&server)));
    assert!(!both.stdout.contains('\x1b'), "NO_COLOR ranks first");
}

#[test]
fn a_pipe_whose_reader_comes_late_is_waited_for_and_said() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = maxq();
    command.args(QUICK).args(["--json", "-o"]).arg(&pipe).arg(url(&server));
    let running = Running::start(&mut command);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let report = fs::read_to_string(&pipe).unwrap();
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("waiting for"), "{}", ended.stderr);
    Report::of(&report).assert_all_ok();
}
