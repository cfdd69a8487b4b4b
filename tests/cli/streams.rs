//! What is written while a run goes on: nobody who takes it slowly, or not at all, holds the run up.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::support::report::{Report, checked};
use super::support::scripted::Scripted;
use super::support::{Running, maxq_on_engine, run, wait_until};
use super::{target, url};

fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn a_log_whose_reader_stalls_holds_nobody_up_and_says_what_it_lacks() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = fifo(folder.path());
    // A reader that is there for as long as the run, and takes only a little.
    let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let load = ["-t", "1", "-c", "4", "-d", "4s", "--warmup", "0", "--json", "--log-requests"];
    let running = Running::start(maxq_on_engine().args(load).arg(&path).arg(url(&server)));
    let mut begun = [0; 32];
    reader.read_exact(&mut begun).unwrap();
    assert_eq!(&begun[..8], b"MAXQREQ1");
    let ended = running.end();
    assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
    assert_eq!(ended.code, Some(8), "{}", ended.stderr);
    let report = Report::of(&ended.stdout);
    assert!(report.count("ok") > 0 && report.count("timeout") == 0);
    let intervals = report.json["intervals"].as_array().unwrap();
    for second in &intervals[..4] {
        assert!(second["completed"].as_u64().unwrap() > 0, "nothing stands still: {second}");
    }
    let [stream] = &report.json["streams"].as_array().unwrap()[..] else { panic!("one stream") };
    let entries = |key: &str| stream[key].as_u64().unwrap();
    assert_eq!(stream["flag"], "--log-requests");
    assert!(entries("dropped") > 0, "{stream}");
    assert_eq!(entries("written") + entries("dropped"), report.count("scheduled"));
    let reasons = report.json["verdict"]["reasons"].to_string();
    assert!(reasons.contains("\"O1\"") && reasons.contains("--log-requests"), "{reasons}");
    for part in ["--log-requests", "fifo", "were not written"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn a_log_that_is_read_in_time_is_whole() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = fifo(folder.path());
    let reader = std::thread::spawn({
        let path = path.clone();
        move || fs::read(path).unwrap()
    });
    let load = ["-t", "1", "-c", "4", "-n", "5000", "--json", "--log-requests"];
    let ended = run(maxq_on_engine().args(load).arg(&path).arg(url(&server)));
    let report = checked(0, &ended);
    assert_eq!(reader.join().unwrap().len(), 16 + 5000 * 96);
    let whole = serde_json::json!([{ "flag": "--log-requests", "written": 5000, "dropped": 0 }]);
    assert_eq!(report.json["streams"], whole);
    assert!(!report.json["verdict"]["reasons"].to_string().contains("O1"));
}

#[test]
fn a_log_whose_reader_leaves_says_what_it_lacks() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = fifo(folder.path());
    let reader = std::thread::spawn({
        let path = path.clone();
        move || fs::File::open(path).unwrap().read_exact(&mut [0; 100]).unwrap()
    });
    let load = ["-t", "1", "-c", "4", "-d", "2s", "--warmup", "0", "--json", "--log-requests"];
    let ended = run(maxq_on_engine().args(load).arg(&path).arg(url(&server)));
    reader.join().unwrap();
    assert_eq!(ended.code, Some(8), "{}", ended.stderr);
    let report = Report::of(&ended.stdout);
    let entries = |key: &str| report.number(&format!("/streams/0/{key}"));
    assert!(entries("dropped") > 0);
    assert_eq!(entries("written") + entries("dropped"), report.count("scheduled"));
    let reasons = report.json["verdict"]["reasons"].to_string();
    assert!(reasons.contains("\"O1\"") && reasons.contains("output is incomplete"), "{reasons}");
    assert!(ended.stderr.contains("because the reader left"), "{}", ended.stderr);
}

#[test]
fn a_reader_that_closes_standard_output_leaves_the_exit_code_as_it_is() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("run.json");
    let mut command = maxq_on_engine();
    command.args(["-t", "1", "-c", "1", "-d", "4s", "--warmup", "0", "--json", "-o"]).arg(&path);
    command.args(["--timeseries", "-"]).arg(url(&server)).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("not written"));
    let report = Report::of(&fs::read_to_string(path).unwrap());
    assert!(line.starts_with('{') && report.number("/streams/0/written") >= 1);
    assert!(report.number("/streams/0/dropped") >= 1);
}

#[test]
fn a_pipe_without_a_reader_is_refused_by_name() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = fifo(folder.path());
    for flag in ["--timeseries", "-o"] {
        let ended = run(maxq_on_engine().args(["-d", "1s", flag]).arg(&path).arg(url(&server)));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(8), ""), "{}", ended.stderr);
        for part in [flag, "fifo", "no program has opened this pipe"] {
            assert!(ended.stderr.contains(part), "{}", ended.stderr);
        }
    }
    assert_eq!(server.counters().requests_total(), 0);
}

#[test]
fn a_signal_ends_the_wait_for_a_reader_that_takes_no_report() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = fifo(folder.path());
    // There is a reader, and the pipe is full.
    let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    reader.write_all(&[b'x'; 64 << 10]).unwrap();
    let load = ["-t", "1", "-c", "1", "-n", "10", "-o"];
    let mut running = Running::start(maxq_on_engine().args(load).arg(&path).arg(url(&server)));
    wait_until("load", || server.counters().requests_total() > 0);
    while !running.has_ended() {
        std::thread::sleep(Duration::from_millis(300));
        running.signal("INT");
    }
    let ended = running.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(130), ""), "{}", ended.stderr);
    for part in ["-o ", "fifo", "stopped by SIGINT while its reader took nothing", "Requests/sec:"]
    {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
}

#[test]
fn the_time_series_is_on_standard_output_while_the_report_is_in_a_file() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("run.json");
    for name in ["-", "/dev/stdout"] {
        let mut command = maxq_on_engine();
        command.args(["-t", "1", "-c", "1", "-d", "1200ms", "--warmup", "0", "--json", "-o"]);
        let ended = run(command.arg(&path).args(["--timeseries", name]).arg(url(&server)));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let lines: Vec<Value> =
            ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let report = Report::of(&fs::read_to_string(&path).unwrap());
        assert!(lines.len() >= 2, "{}", ended.stdout);
        assert_eq!(Value::from(lines), report.json["intervals"]);
    }
}

#[test]
fn timeouts_are_in_the_percentiles_of_every_output() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let (lines, hlog) = (folder.path().join("lines"), folder.path().join("hlog"));
    let mut command = maxq_on_engine();
    command.args(["-R", "40", "-d", "2s", "--warmup", "0", "-t", "1", "-c", "40"]);
    command.args(["--timeout", "300ms", "--json", "--timeseries"]).arg(&lines);
    command.arg("--hlog").arg(&hlog).arg(format!("{}delay/5s", url(&server)));
    let ended = run(&mut command);
    let report = checked(5, &ended);
    assert_eq!(report.count("timeout"), 80);
    assert!(report.float("/latency/response/p99_us") >= 299_000.0);
    let second = &report.json["intervals"][1];
    for key in ["p50_us", "p99_us", "max_us"] {
        assert!(second[key].as_f64().unwrap() >= 299_000.0, "{second}");
    }
    let text = fs::read_to_string(&lines).unwrap();
    let line: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(&line, second);
    let text = fs::read_to_string(&hlog).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with(['#', '"']));
    let max_ms: Vec<f64> =
        rows.map(|row| row.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert!(max_ms[..2].iter().all(|&max_ms| max_ms >= 299.0), "{max_ms:?}");
}

#[test]
fn a_silent_target_ends_a_run_long_before_its_requests_time_out() {
    let silent = Scripted::start(|mut peer| while peer.request().is_some() {});
    for load in [&["-c", "8"][..], &["-c", "1"], &["-c", "4", "-R", "100"]] {
        let mut command = maxq_on_engine();
        command.args(["-t", "1", "-d", "20s", "--warmup", "0", "--timeout", "20s", "--json"]);
        let ended = run(command.args(load).args(["--abort-on", "p99>2s"]).arg(silent.url()));
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let report = Report::of(&ended.stdout);
        assert_eq!(report.text("/end/reason"), "aborted");
        let measured_s = report.float("/window/measured_s");
        assert!((2.0..8.0).contains(&measured_s), "{load:?}: {measured_s} s");
    }
}

#[test]
fn peak_memory_is_not_that_of_a_large_parent() {
    let server = target();
    // The touched pages of this process are those that a child shares until it becomes another program.
    let ballast = vec![1_u8; 200 << 20];
    let load = ["-t", "1", "-c", "1", "-n", "10", "--json"];
    let report = checked(0, &run(maxq_on_engine().args(load).arg(url(&server))));
    assert!(ballast.iter().step_by(4096).all(|&byte| byte == 1));
    let peak_bytes = report.number("/client/peak_rss_bytes");
    assert!((1 << 20..100 << 20).contains(&peak_bytes), "{peak_bytes}");
}

#[test]
fn spinning_is_taken_out_of_the_cpu_time_of_a_request_and_never_more() {
    let server = target();
    for idle in ["spin", "auto", "sleep"] {
        let load = ["-t", "1", "-c", "1", "-R", "200", "-d", "1s", "--warmup", "0", "--json"];
        let mut command = maxq_on_engine();
        let ended = run(command.args(load).args(["--idle", idle]).arg(url(&server)));
        let report = checked(0, &ended);
        let (cpu_s, spin_s) = (report.float("/client/cpu_s"), report.float("/client/spin_cpu_s"));
        assert!(cpu_s > 0.0 && (0.0..cpu_s).contains(&spin_s), "{idle}: {spin_s} of {cpu_s}");
        let each_us = report.float("/client/cpu_us_per_request");
        let completed = report.count("ok") as f64;
        assert!((each_us - (cpu_s - spin_s) * 1e6 / completed).abs() < 1e-6, "{idle}: {each_us}");
        // Two system calls a request take a few microseconds at the least.
        assert!(each_us > 2.0, "{idle}: {each_us}");
        assert_eq!(spin_s > 0.0, idle != "sleep", "{idle}: {spin_s}");
        if idle == "spin" {
            assert!(spin_s > cpu_s / 2.0, "{spin_s} of {cpu_s}");
        }
    }
}
