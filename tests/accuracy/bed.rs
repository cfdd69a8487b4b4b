//! The target, runs against it, and what both sides say of each request.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::support::report::Report;
use super::support::{Ended, binary, maxq, run, signal};

/// A disturbed run is repeated so often.
const TRIES: u32 = 20;
/// What a request may be late on either side without calling its run disturbed, in nanoseconds.
pub(crate) const QUIET_NS: u64 = 200_000;

/// Tests share two cores, and take turns.
static TURN: Mutex<()> = Mutex::new(());

/// The core of the client, and that of the target.
pub(crate) fn cores() -> (usize, usize) {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    cores.sort_unstable();
    let client = cores.first().copied().unwrap_or(0);
    (client, cores.last().copied().unwrap_or(client))
}

/// The client ahead of everything else that wants its core, where that is allowed: threads of the kernel run for
/// milliseconds. It must sleep between requests (`--idle sleep`), since what is always ahead is held back by force, and
/// all of it stays on its core, since there it would hold back the target.
pub(crate) fn undisturbable() -> Command {
    let allowed = Command::new("chrt")
        .args(["-f", "1", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !allowed {
        return maxq();
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &cores().0.to_string(), "chrt", "-f", "1"]).arg(binary());
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("TERM");
    command
}

/// A target of the test's own, and the right to both cores.
pub(crate) struct Bed {
    target: Child,
    address: String,
    runs: AtomicU32,
    _turn: MutexGuard<'static, ()>,
}

impl Bed {
    pub(crate) fn start() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, core) = cores();
        let mut target = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--cpus", &core.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(target.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        Self { target, address, runs: AtomicU32::new(0), _turn: turn }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A fresh instance of a law, as its path and query.
    pub(crate) fn law(&self, law: &str) -> String {
        let run = self.runs.fetch_add(1, Ordering::SeqCst);
        format!("/law/{law}&run={run}")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// One run of a single worker against a fresh instance of `law`, with a log of its requests.
    pub(crate) fn measure(&self, law: &str, arguments: &[&str]) -> Measured {
        let (core, _) = cores();
        let core = core.to_string();
        let pinned = [&["-t", "1", "--idle", "sleep", "--cpus", &core][..], arguments].concat();
        self.measure_with(undisturbable(), law, &pinned)
    }

    /// The same with threads and cores as `arguments` say.
    pub(crate) fn measure_unpinned(&self, law: &str, arguments: &[&str]) -> Measured {
        self.measure_with(maxq(), law, arguments)
    }

    fn measure_with(&self, mut command: Command, law: &str, arguments: &[&str]) -> Measured {
        let path = self.law(&format!("{law}&stamps=1"));
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("requests.jsonl");
        let cache = folder.path().join("cache");
        command
            .env("XDG_CACHE_HOME", &cache)
            .args(["--json", "--log-requests"])
            .arg(&log)
            .args(arguments)
            .arg(self.url(&path));
        let ended = run(&mut command);
        self.read(&path, ended, &fs::read_to_string(log).unwrap())
    }

    /// Puts together what client and target say of a run against the law at `path`.
    pub(crate) fn read(&self, path: &str, ended: Ended, log: &str) -> Measured {
        let report = Report::of(&ended.stdout);
        let target = self.counters()["laws"][path].clone();
        let rows: Vec<Row> = log.lines().map(Row::of).collect();
        let measured = Measured { report, rows, target };
        measured.check();
        measured
    }

    /// The target's own account.
    pub(crate) fn counters(&self) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(b"GET /counters HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    /// Repeats a run until the machine let it be: at most `share` of its requests were held up on either side.
    pub(crate) fn undisturbed(&self, law: &str, share: f64, arguments: &[&str]) -> Measured {
        repeated(law, share, || self.measure(law, arguments), Measured::disturbed)
    }

    /// The same where `disturbed` knows more of how the law was disturbed.
    pub(crate) fn undisturbed_by(
        &self,
        law: &str,
        share: f64,
        arguments: &[&str],
        disturbed: impl Fn(&Measured) -> f64,
    ) -> Measured {
        repeated(law, share, || self.measure(law, arguments), disturbed)
    }

    /// The same with a client as users have it, which spins shortly before it sends.
    pub(crate) fn undisturbed_spinning(
        &self,
        law: &str,
        share: f64,
        arguments: &[&str],
    ) -> Measured {
        let (core, _) = cores();
        let core = core.to_string();
        let pinned = [&["-t", "1", "--cpus", &core][..], arguments].concat();
        repeated(law, share, || self.measure_unpinned(law, &pinned), Measured::disturbed)
    }
}

fn repeated(
    law: &str,
    share: f64,
    measure: impl Fn() -> Measured,
    disturbed: impl Fn(&Measured) -> f64,
) -> Measured {
    for attempt in 1..=TRIES {
        let measured = measure();
        let disturbed = disturbed(&measured);
        if disturbed <= share {
            return measured;
        }
        eprintln!("{law}: run {attempt} is void: {:.2} % disturbed", disturbed * 100.0);
    }
    panic!("{law}: the machine was not quiet in {TRIES} runs");
}

impl Drop for Bed {
    fn drop(&mut self) {
        signal(self.target.id(), "TERM");
        let _ = self.target.wait();
    }
}

/// One request as the client logged it; times in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) measured: bool,
    pub(crate) outcome: String,
    pub(crate) intended: u64,
    pub(crate) sent: Option<u64>,
    pub(crate) first_byte: Option<u64>,
    pub(crate) ended: u64,
    pub(crate) pool_ns: u64,
    pub(crate) server_number: Option<u64>,
    pub(crate) server_received: Option<u64>,
    pub(crate) server_sent: Option<u64>,
}

impl Row {
    fn of(line: &str) -> Self {
        let value: Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| value[key].as_u64();
        Self {
            measured: value["phase"] != "warmup",
            outcome: value["outcome"].as_str().unwrap().to_owned(),
            intended: number("intended_ns").unwrap(),
            sent: number("sent_ns"),
            first_byte: number("first_byte_ns"),
            ended: number("ended_ns").unwrap(),
            pool_ns: number("pool_wait_ns").unwrap(),
            server_number: number("server_number"),
            server_received: number("server_received_ns"),
            server_sent: number("server_sent_ns"),
        }
    }

    pub(crate) fn response_ns(&self) -> u64 {
        self.ended - self.intended
    }

    /// Client, wire or target held it up for longer than a measurement may be off.
    pub(crate) fn is_held_up(&self) -> bool {
        let there = self.sent.zip(self.server_received).map_or(0, |(sent, got)| got - sent);
        let back = self.server_sent.map_or(0, |sent| self.ended.saturating_sub(sent));
        self.client_late_ns().max(there).max(back) > QUIET_NS
    }

    /// How late it was sent though a connection was free.
    fn client_late_ns(&self) -> u64 {
        self.sent.map_or(0, |sent| sent - self.intended).saturating_sub(self.pool_ns)
    }
}

/// What both sides say of a run.
pub(crate) struct Measured {
    pub(crate) report: Report,
    /// All requests, the warm-up's too, in the order in which they ended.
    pub(crate) rows: Vec<Row>,
    /// The target's account of the law.
    pub(crate) target: Value,
}

impl Measured {
    pub(crate) fn target_count(&self, key: &str) -> u64 {
        self.target[key].as_u64().unwrap_or(0)
    }

    /// A quantile of a latency in milliseconds.
    pub(crate) fn ms(&self, latency: &str, key: &str) -> f64 {
        self.report.float(&format!("/latency/{latency}/{key}_us")) / 1e3
    }

    /// What holds in every run, whatever the machine does: no request is in two classes or in none, both sides counted
    /// the same, and no effect comes before its cause.
    fn check(&self) {
        let phases = self.report.json["phases"].as_array().unwrap();
        let all = |key: &str| -> u64 {
            phases.iter().map(|phase| phase["counts"][key].as_u64().unwrap()).sum()
        };
        assert_eq!(self.rows.len() as u64, all("scheduled"), "each request is logged once");
        for key in ["ok", "timeout", "truncated", "reset", "protocol_error", "http_error", "unsent"]
        {
            let logged = self.rows.iter().filter(|row| row.outcome == key).count() as u64;
            assert_eq!(logged, all(key), "{key} in the log");
        }
        assert_eq!(self.target_count("requests"), all("sent"), "requests that reached the target");
        assert!(self.target_count("answered_200") >= all("ok"));
        for row in &self.rows {
            let mut times = vec![Some(row.intended), row.sent, row.server_received];
            times.extend([row.server_sent, row.first_byte, Some(row.ended)]);
            let times: Vec<u64> = times.into_iter().flatten().collect();
            assert!(times.is_sorted(), "effects come after causes: {row:?}");
        }
    }

    /// The share of requests that either side held up for longer than a measurement may be off.
    pub(crate) fn disturbed(&self) -> f64 {
        let measured = || self.rows.iter().filter(|row| row.measured);
        measured().filter(|row| row.is_held_up()).count() as f64 / measured().count().max(1) as f64
    }

    /// The share of requests that the client sent late, or whose answer it saw late.
    pub(crate) fn held_up_by_client(&self) -> f64 {
        let late = |row: &&Row| {
            let back = row.server_sent.map_or(0, |sent| row.ended.saturating_sub(sent));
            row.measured && row.client_late_ns().max(back) > QUIET_NS
        };
        let measured = self.rows.iter().filter(|row| row.measured).count().max(1);
        self.rows.iter().filter(late).count() as f64 / measured as f64
    }

    /// Logged requests of the measured window that were answered.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.measured && row.outcome == "ok")
    }
}

/// The value below which `quantile` of `values` lie.
pub(crate) fn quantile(values: &[u64], quantile: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (quantile * sorted.len() as f64).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small rank")]
    let rank = (rank as usize).clamp(1, sorted.len());
    sorted[rank - 1]
}
