//! Machines that lack something: ports, descriptors, cores, file systems, a terminal. A run says what was missing, or does
//! without it; it never hangs, never spins, and never blames the server.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use maxq::serve::{Options, Server};
use support::namespaces::in_namespaces;
use support::report::{Report, checked};
use support::{Running, binary, maxq, maxq_on_engine, run, wait_until};

/// Tests take turns: some need nearly all descriptors there are.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn target() -> (Server, String) {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap();
    let url = format!("http://{}/", server.local_address());
    (server, url)
}

#[test]
fn local_ports_that_run_out_are_the_clients_lack_and_no_reason_to_spin() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let script = "ip link set lo up && echo '40000 40009' > /proc/sys/net/ipv4/ip_local_port_range || exit 99
        # Ports of connections that were closed stay taken.
        echo 0 > /proc/sys/net/ipv4/tcp_tw_reuse
        \"$0\" serve --listen 127.0.0.1:8080 --threads 1 > \"$1\" & server=$!
        until grep -qs listening \"$1\"; do kill -0 $server && sleep 0.02 || exit 98; done
        \"$0\" --engine $ENGINE -t 1 -c 4 -d 2s --warmup 0 --no-keepalive --json http://127.0.0.1:8080/
        code=$?; kill $server; exit $code";
    let Some(mut command) = in_namespaces(&["-n"], script) else { return };
    let report = checked(0, &run(command.arg(folder.path().join("serve"))));
    let refused = report.error("environment/no_local_port");
    assert_eq!(report.count("ok"), report.count("sent"), "the server is not to blame");
    assert_eq!(report.json["verdict"]["valid"], false);
    assert!(
        report.json["verdict"]["reasons"].to_string().contains("C8"),
        "{:#}",
        report.json["verdict"]
    );
    // Four connections that wait for a millisecond, then for longer, up to a second between two attempts.
    assert!((4..200).contains(&refused), "{refused} attempts in two seconds");
}

#[test]
fn fifteen_thousand_connections_are_held() {
    let _turn = turn();
    let script = "ulimit -n 20000 && exec \"$0\" \"$@\"";
    let server = ServerProcess::start(Command::new("sh").args(["-c", script]).arg(binary()));
    let engine = std::env::var("MAXQ_TEST_ENGINE").unwrap_or("auto".to_owned());
    let arguments = ["--engine", &engine, "-t", "1", "-c", "15000", "-n", "60000", "--json"];
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(binary()).args(arguments).args(["--timeout", "30s"]);
    let report = checked(0, &run(command.arg(&server.url)));
    report.assert_all_ok();
    assert_eq!(report.number("/connections/opened"), 15_000);
    let each = report.number("/client/peak_rss_bytes") / 15_000;
    assert!(each < 12 * 1024, "{each} bytes a connection");
}

/// `maxq serve` in a process with descriptors of its own.
struct ServerProcess {
    child: Child,
    url: String,
}

impl ServerProcess {
    fn start(command: &mut Command) -> Self {
        command.args(["serve", "--threads", "1", "--listen", "127.0.0.1:0"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit('/').next().unwrap();
        Self { child, url: format!("http://{address}/") }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn no_descriptor_outlives_its_connection() {
    let _turn = turn();
    let (_server, url) = target();
    let arguments =
        ["-t", "1", "-c", "50", "-d", "2s", "--warmup", "0", "--no-keepalive", "--json"];
    let mut running = Running::start(maxq_on_engine().args(arguments).arg(&url));
    let folder = format!("/proc/{}/fd", running.id());
    let mut most = 0;
    while !running.has_ended() {
        // At the very start a process still has the descriptors of its parent, whatever their number.
        thread::sleep(Duration::from_millis(5));
        most = most.max(fs::read_dir(&folder).map_or(0, Iterator::count));
    }
    let report = checked(0, &running.end());
    assert!(report.number("/connections/reconnects") > 1000);
    assert!((50..120).contains(&most), "{most} descriptors for 50 connections");
}

#[test]
fn a_refused_run_does_not_spin() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-o"]).arg(&calls).arg(binary());
    if let Some(engine) = std::env::var_os("MAXQ_TEST_ENGINE") {
        command.arg("--engine").arg(engine);
    }
    // The first attempt of all decides whether there is a target; so it is there for a moment.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let running = Running::start(
        command
            .args(["-t", "1", "-c", "64", "-d", "2s", "--warmup", "0", "--json"])
            .args(["--no-preflight", &url]),
    );
    listener.set_nonblocking(true).unwrap();
    let mut kept = Vec::new();
    wait_until("64 connections", || {
        kept.extend(listener.accept());
        kept.len() == 64
    });
    drop(listener);
    drop(kept);
    let report = checked(5, &running.end());
    assert!(report.error("connect/refused") > 64, "{:?}", report.errors());
    let table = fs::read_to_string(&calls).unwrap();
    let total = table.lines().rfind(|line| line.trim_end().ends_with("total")).unwrap();
    let count: u64 = total.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(count < 12_000, "{count} system calls: {table}");
}

#[test]
fn client_and_target_may_share_the_only_core() {
    let _turn = turn();
    let core = core_affinity::get_core_ids().unwrap()[0].id.to_string();
    let on_one_core = |arguments: &[&str]| {
        let mut command = Command::new("taskset");
        command.args(["-c", &core]).arg(binary()).args(arguments);
        command
    };
    let server = ServerProcess::start(&mut on_one_core(&[]));
    let engine = std::env::var("MAXQ_TEST_ENGINE").unwrap_or("auto".to_owned());
    let run_on_it = |threads: &str| {
        let arguments = ["--engine", &engine, "-t", threads, "-n", "5000", "--json", &server.url];
        run(&mut on_one_core(&arguments))
    };
    checked(0, &run_on_it("1")).assert_all_ok();
    let cut = run_on_it("2");
    assert_eq!(cut.code, Some(0), "{}", cut.stderr);
    Report::of(&cut.stdout).assert_all_ok();
    assert!(cut.stderr.contains("-t 2") && cut.stderr.contains("1 core"), "{}", cut.stderr);
}

#[test]
fn two_runs_at_once_count_their_own_requests() {
    let _turn = turn();
    let (server, url) = target();
    let start = |requests: &str| {
        Running::start(maxq_on_engine().args(["-t", "1", "-n", requests, "--json", &url]))
    };
    let (one, other) = (start("20000"), start("30000"));
    for (running, requests) in [(one, 20_000), (other, 30_000)] {
        let report = checked(0, &running.end());
        report.assert_all_ok();
        assert_eq!(report.count("ok"), requests);
    }
    assert_eq!(server.counters().requests_total(), 50_000);
}

#[test]
fn a_run_needs_no_proc() {
    let _turn = turn();
    let (_server, url) = target();
    let script =
        "mount -t tmpfs none /proc && exec \"$0\" --engine $ENGINE -t 1 -n 1000 --json \"$1\"";
    let Some(mut command) = in_namespaces(&["-m"], script) else { return };
    checked(0, &run(command.arg(&url))).assert_all_ok();
}

#[test]
fn a_read_only_file_system_takes_a_report_to_stdout_and_no_file() {
    let _turn = turn();
    let (_server, url) = target();
    let script = "mount -o remount,bind,ro / && cd / && exec \"$0\" --engine $ENGINE -t 1 -n 1000 --json \"$@\"";
    let Some(mut command) = in_namespaces(&["-m"], script) else { return };
    checked(0, &run(command.arg(&url))).assert_all_ok();
    let Some(mut command) = in_namespaces(&["-m"], script) else { return };
    let refused = run(command.args([&url, "-o", "/result.json"]));
    assert_eq!(refused.code, Some(8));
    assert!(refused.stderr.contains("-o /result.json"), "{}", refused.stderr);
}

#[test]
fn memory_that_cannot_be_had_ends_a_run_with_a_word() {
    let _turn = turn();
    let (_server, url) = target();
    let engine = std::env::var("MAXQ_TEST_ENGINE").unwrap_or("auto".to_owned());
    // Below some limit not even the program itself finds room, and nobody is there to say a word; above another there is
    // enough. Both are a matter of the build. In between it is a thread, a ring or an allocation that is refused.
    let mut words = 0;
    for kib in (20_000..100_000).step_by(4_000) {
        let mut command = Command::new("sh");
        let limited = format!("ulimit -v {kib} && exec \"$0\" \"$@\"");
        command.args(["-c", &limited]).arg(binary());
        command.args(["--engine", &engine, "-t", "1", "-c", "2000", "-n", "100", &url]);
        let ended = run(&mut command);
        assert!(!ended.stderr.contains("panicked"), "{kib} KiB: {}", ended.stderr);
        match ended.code {
            Some(0) => break,
            Some(7) => assert!(ended.stderr.starts_with("maxq: "), "{kib} KiB: {}", ended.stderr),
            // The loader found no room for a library.
            Some(127) => continue,
            None if ended.stderr.is_empty() => continue,
            // The library of the language aborts, and says why.
            None => assert!(ended.stderr.contains("memory"), "{kib} KiB: {}", ended.stderr),
            Some(code) => panic!("{kib} KiB: {code}: {}", ended.stderr),
        }
        words += 1;
    }
    assert!(words > 0, "somewhere in between it starts, and does not get what it asks for");
}

/// Debian keeps it in a folder of its machine's kind.
fn faketime() -> String {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let library = |folder: fs::DirEntry| folder.path().join("faketime/libfaketime.so.1");
    let found = folders.map(library).find(|path| path.is_file());
    let found = found.expect("install the Debian package libfaketime (scripts/test does)");
    found.display().to_string()
}

#[test]
fn a_wall_clock_that_is_stepped_during_a_run_changes_nothing() {
    let _turn = turn();
    let (_server, url) = target();
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    let step = |by: &str| fs::write(&offset, by).unwrap();
    let stepped = |command: &mut Command| {
        command
            .env("LD_PRELOAD", faketime())
            .env("FAKETIME_TIMESTAMP_FILE", &offset)
            .env("FAKETIME_NO_CACHE", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    };
    // The wall clock of this test's own children, and nobody else's.
    step("+3600");
    let mut date = Command::new("date");
    stepped(date.arg("+%s"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let told: u64 = run(&mut date).stdout.trim().parse().unwrap();
    assert!(told.abs_diff(now + 3600) < 60, "{told} at {now}");
    step("+0");
    let mut command = maxq_on_engine();
    command.args(["-t", "1", "-c", "4", "-R", "500", "-d", "1500ms", "--warmup", "0", "--json"]);
    stepped(command.arg(&url));
    let running = Running::start(&mut command);
    for by in ["+3600", "-3600", "+86400"] {
        thread::sleep(Duration::from_millis(350));
        step(by);
    }
    let report = checked(0, &running.end());
    report.assert_all_ok();
    assert_eq!((report.count("scheduled"), report.float("/window/measured_s")), (750, 1.5));
    // As late as a busy machine may be, and not by an hour.
    assert!(report.float("/latency/response/max_us") < 1e6);
}

#[test]
fn what_there_is_no_memory_for_is_refused_before_anything_is_sent() {
    let _turn = turn();
    let (server, url) = target();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 200000 && exec \"$0\" \"$@\""]).arg(binary());
    let ended = run(command.args(["-c", "15k", "-p", "1024", "-n", "100", &url]));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(7), ""));
    for part in ["-c 15000", "-p 1024", "MiB of memory are needed", "smaller -c or -p"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    assert_eq!(server.counters().connections_accepted, 0);
}

/// What is printed in a terminal of so many columns.
fn in_terminal(term: &str, columns: u32, url: &str) -> Option<String> {
    let inside = format!(
        "stty cols {columns} rows 24; exec '{}' -t 1 -c 2 -d 1s --warmup 0 {url}",
        binary().to_string_lossy()
    );
    let folder = tempfile::tempdir().unwrap();
    let typescript = folder.path().join("typescript");
    let mut command = Command::new("script");
    command.args(["-qec", &inside]).arg(&typescript).env("TERM", term).env_remove("NO_COLOR");
    let ended = run(&mut command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    fs::read_to_string(typescript).ok()
}

#[test]
fn narrow_and_dumb_terminals_get_lines_that_fit() {
    let _turn = turn();
    let (_server, url) = target();
    for columns in [1, 20, 40, 200] {
        let seen = in_terminal("xterm", columns, &url).unwrap();
        assert!(seen.contains("Requests/sec:"), "{columns} columns: {seen}");
        // The live line is written over, so that it must never wrap. What follows its last clearing is the report, which is
        // at least 40 columns wide.
        let mut live: Vec<&str> = seen.split("\r\u{1b}[K").skip(1).collect();
        assert!(live.pop().unwrap().contains("Requests/sec:"));
        assert!(!live.is_empty(), "there was a live line: {seen}");
        for line in live {
            let width = line.chars().count();
            assert!(width <= columns as usize, "{width} characters in {columns} columns: {line:?}");
        }
    }
    let seen = in_terminal("dumb", 80, &url).unwrap();
    // The first line is the recorder's own.
    let printed = seen.split_once('\n').unwrap().1;
    assert!(!printed.contains('\u{1b}'), "a dumb terminal understands no escapes: {printed:?}");
    assert!(printed.contains("Requests/sec:"), "{printed}");
}

#[test]
fn a_run_without_anything_in_its_environment_is_a_run() {
    let _turn = turn();
    let (_server, url) = target();
    let ended = run(maxq().env_clear().args(["-t", "1", "-n", "100", "--json", &url]));
    let report = Report::of(&ended.stdout);
    report.assert_all_ok();
}
