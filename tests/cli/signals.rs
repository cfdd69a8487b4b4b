//! Runs that a signal ends: a partial report, marked, in time.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::support::report::{Report, checked};
use super::support::scripted::{Scripted, black_hole, closed_port};
use super::support::{self, Running, binary, signal as send, wait_until};
use super::{names_in, target, url};

/// The signals that end a command, and the exit codes.
const SIGNALS: [(&str, i32); 4] = [("HUP", 129), ("INT", 130), ("QUIT", 131), ("TERM", 143)];

/// The same command with signals as they are by default: whoever runs the tests may ignore some, as `nohup` does, and so
/// would what they start.
fn hearing(command: &Command) -> Command {
    let mut hearing = Command::new("env");
    hearing.arg("--default-signal=HUP,INT,QUIT").arg(command.get_program());
    hearing.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => hearing.env(name, value),
            None => hearing.env_remove(name),
        };
    }
    hearing
}

fn maxq() -> Command {
    hearing(&support::maxq())
}

fn maxq_on_engine() -> Command {
    hearing(&support::maxq_on_engine())
}

/// Starts a run of half a minute that prints JSON.
fn long_run(url: &str, more: &[&str]) -> Running {
    let warmup: &[&str] = if more.contains(&"--warmup") { &[] } else { &["--warmup", "0"] };
    let load = ["-t", "1", "-c", "2", "-d", "30s", "--json"];
    Running::start(maxq_on_engine().args(load).args(warmup).args(more).arg(url))
}

/// Sends `signal` and expects a partial report within two seconds.
fn interrupted(running: Running, signal: &str, code: i32) -> Report {
    let begun = Instant::now();
    running.signal(signal);
    let ended = running.end();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let report = checked(code, &ended);
    assert_eq!(report.text("/end/reason"), "interrupted");
    assert_eq!(report.number("/end/signal") + 128, u64::try_from(code).unwrap());
    assert_eq!(report.json["partial"], true);
    report
}

#[test]
fn an_interrupted_run_prints_what_it_has() {
    for (signal, code) in SIGNALS {
        let server = target();
        let running = long_run(&url(&server), &[]);
        wait_until("load", || server.counters().requests_total() > 100);
        let report = interrupted(running, signal, code);
        assert!(report.count("ok") > 100);
        assert_eq!(report.count("ok"), server.counters().requests_total());
        assert!(report.float("/window/measured_s") < 10.0);
    }
}

#[test]
fn an_interrupted_run_still_writes_its_files() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("run.json");
    let running = long_run(&url(&server), &["-o", path.to_str().unwrap()]);
    wait_until("load", || server.counters().requests_total() > 100);
    running.signal("INT");
    assert_eq!(running.end().code, Some(130));
    let report = Report::of(&fs::read_to_string(&path).unwrap());
    assert_eq!(report.text("/end/reason"), "interrupted");
    assert_eq!(names_in(folder.path()), ["run.json"]);
}

#[test]
fn a_run_is_interrupted_while_connections_are_being_opened() {
    let (address, _kept) = black_hole();
    let limits = ["--connect-timeout", "30s", "--give-up", "30s"];
    let running = long_run(&format!("http://{address}/"), &limits);
    thread::sleep(Duration::from_millis(300));
    let report = interrupted(running, "INT", 130);
    assert_eq!((report.count("scheduled"), report.number("/connections/opened")), (0, 0));
}

#[test]
fn a_run_is_interrupted_while_nobody_accepts_its_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let running = long_run(&format!("http://{}/", listener.local_addr().unwrap()), &[]);
    thread::sleep(Duration::from_millis(300));
    let report = interrupted(running, "INT", 130);
    assert_eq!((report.count("sent"), report.count("in_flight_at_end")), (2, 2));
}

#[test]
fn a_second_interrupt_ends_a_run_at_once() {
    let server = Scripted::start(|peer| peer.wait_for_close());
    let running = long_run(&server.url(), &[]);
    wait_until("connections", || server.accepted() == 2);
    thread::sleep(Duration::from_millis(100));
    running.signal("INT");
    thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    let report = interrupted(running, "INT", 130);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(report.count("in_flight_at_end"), 2);
}

#[test]
fn a_second_signal_of_another_kind_ends_a_run_at_once_too() {
    let server = Scripted::start(|peer| peer.wait_for_close());
    let running = long_run(&server.url(), &["--drain", "30s"]);
    wait_until("connections", || server.accepted() == 2);
    thread::sleep(Duration::from_millis(100));
    running.signal("HUP");
    thread::sleep(Duration::from_millis(100));
    let report = interrupted(running, "QUIT", 131);
    assert_eq!(report.count("in_flight_at_end"), 2);
}

/// Ctrl-C reaches the reader of a pipe as well.
#[test]
fn a_signal_ranks_above_a_stdout_that_is_closed() {
    let server = target();
    for more in [&[][..], &["--json"], &["--repeat", "3"]] {
        let before = server.counters().requests_total();
        let mut child = maxq()
            .args(["-t", "1", "-c", "2", "-d", "30s", "--warmup", "0"])
            .args(more)
            .arg(url(&server))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        wait_until("load", || server.counters().requests_total() > before + 100);
        send(child.id(), "INT");
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(130), "{more:?}: {stderr}");
        assert!(stderr.contains("Broken pipe"), "{stderr}");
    }
}

#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let server = target();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(binary());
    let arguments = ["-t", "1", "-c", "2", "-d", "1500ms", "--warmup", "0", "--json"];
    let running = Running::start(command.args(arguments).arg(url(&server)));
    wait_until("load", || server.counters().requests_total() > 100);
    running.signal("HUP");
    let report = checked(0, &running.end());
    assert_eq!(report.text("/end/reason"), "finished");
}

/// Each command, what it begins with, and whether it prints a report when it is stopped at any time.
#[test]
fn every_command_ends_with_the_code_of_its_signal() {
    let commands: [(&[&str], bool); 7] = [
        (&["run", "--repeat", "5", "-d", "20s"], true),
        (&["spike", "--base", "100", "--peak", "200", "--at", "10s"], true),
        (&["sweep", "--rate", "100,200", "-d", "20s"], true),
        (&["sweep", "--connections", "1,2", "-d", "20s"], true),
        (&["ceiling", "--slo", "p99<5s", "--trial", "20s"], true),
        (&["ceiling", "--slo", "p99<5s", "--trial", "20s", "--closed"], true),
        (&["compare", "--urls", "URL", "URL", "-d", "20s"], false),
    ];
    for (index, (command, reports)) in commands.into_iter().enumerate() {
        let server = target();
        let url = url(&server);
        let words: Vec<&str> =
            command.iter().map(|word| if *word == "URL" { &url } else { *word }).collect();
        let place = if reports { &url[..] } else { "--json" };
        let (signal, code) = SIGNALS[index % SIGNALS.len()];
        for (signal, code) in [(signal, code), SIGNALS[(index + 2) % SIGNALS.len()]] {
            let before = server.counters().requests_total();
            let mut maxq = maxq();
            let running =
                Running::start(maxq.args(&words).args(["-t", "1", "--no-progress", place]));
            wait_until("load", || server.counters().requests_total() > before + 20);
            running.signal(signal);
            let ended = running.end();
            assert_eq!(ended.code, Some(code), "{command:?}, {signal}: {ended:?}");
            assert_ne!(ended.stdout.is_empty(), reports, "{command:?}, {signal}: {ended:?}");
        }
    }
}

#[test]
fn a_calibration_that_is_stopped_ends_with_the_code_of_its_signal() {
    for (signal, code) in SIGNALS {
        let running = Running::start(maxq().args(["calibrate", "--no-cache", "-d", "20s"]));
        thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        running.signal(signal);
        let ended = running.end();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
        let words = format!("stopped by SIG{signal}");
        assert!(ended.stderr.contains(&words), "{}", ended.stderr);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_wait_for_a_target_ends_with_the_code_of_the_signal() {
    let (address, _kept) = closed_port();
    let silent = Scripted::start(|peer| peer.wait_for_close());
    // A name is looked up before anything else.
    let unknown = "http://nonexistent.invalid/".to_owned();
    for url in [unknown, format!("http://{address}/"), silent.url()] {
        for (signal, code) in SIGNALS {
            let running = Running::start(maxq().args(["--wait-ready", "30s", &url]));
            thread::sleep(Duration::from_millis(500));
            running.signal(signal);
            let ended = running.end();
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{url}: {ended:?}");
            let words = format!("stopped by SIG{signal} before the run began");
            assert!(ended.stderr.contains(&words), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_server_is_stopped_by_any_of_the_signals() {
    for (signal, _) in SIGNALS {
        let mut command = maxq();
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
        send(server.id(), signal);
        assert_eq!(server.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn an_interrupt_in_the_warmup_leaves_a_valid_report() {
    let server = target();
    let running = long_run(&url(&server), &["--warmup", "20s"]);
    wait_until("load", || server.counters().requests_total() > 100);
    let report = interrupted(running, "INT", 130);
    assert_eq!(report.count("sent"), 0);
    assert_eq!(report.in_intervals("completed"), server.counters().requests_total());
    let warmup_s = report.float("/window/warmup_s");
    assert!(warmup_s < 15.0);
    // No second is listed that was before the run. Those that had ended by then keep the times that they were told with.
    let first_s = report.float("/intervals/0/t_s");
    assert!(first_s > -15.0 || warmup_s >= 1.0, "{:#}", report.json["intervals"]);
}

#[test]
fn a_run_is_interrupted_while_it_waits_for_the_last_answers() {
    let server = Scripted::start(|peer| peer.wait_for_close());
    let arguments = ["-t", "1", "-c", "2", "-d", "100ms", "--warmup", "0", "--json"];
    let mut running =
        Running::start(maxq_on_engine().args(arguments).args(["--drain", "30s"]).arg(server.url()));
    wait_until("connections", || server.accepted() == 2);
    thread::sleep(Duration::from_millis(400));
    assert!(!running.has_ended());
    let report = interrupted(running, "INT", 130);
    assert_eq!((report.count("sent"), report.count("in_flight_at_end")), (2, 2));
}

/// `MAXQ_SIGNALS=1000` tries so many instants instead of a few.
#[test]
fn a_run_is_interrupted_at_any_instant() {
    const LOADS: [&[&str]; 5] = [
        &["-d", "80ms", "--warmup", "40ms"],
        &["-R", "3000", "--arrivals", "poisson", "-d", "80ms", "--warmup", "40ms"],
        &["--stages", "40ms@500,40ms@500..4000", "--warmup", "40ms"],
        &["-R", "500", "--burst", "60@30ms", "-d", "120ms", "--warmup", "0"],
        &["-R", "2000", "-d", "120ms", "--warmup", "0", "--on-overload", "shed", "--drain", "0"],
    ];
    let tries = std::env::var("MAXQ_SIGNALS").map_or(40, |text| text.parse::<u64>().unwrap());
    let server = target();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for step in 0..tries {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let load = LOADS[usize::try_from(step % 5).unwrap()];
        let command = ["-t", "1", "-c", "8", "--json"];
        let running = Running::start(maxq_on_engine().args(command).args(load).arg(url(&server)));
        thread::sleep(Duration::from_micros((random >> 33) % 200_000));
        running.signal(SIGNALS[usize::try_from(step % 4).unwrap()].0);
        if step % 7 == 0 {
            running.signal("INT");
        }
        let ended = running.end();
        match ended.code {
            // It came before signals were caught.
            None => assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", "")),
            // Before anything was sent there was nothing good to report of.
            Some(code @ (0 | 5 | 129 | 130 | 131 | 143)) => {
                checked(code, &ended);
            }
            Some(_) => panic!("{step}, {load:?}: {ended:?}"),
        }
    }
}
