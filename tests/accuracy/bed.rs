//! The target, runs against it, and what both sides say of each request.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::control;
use super::row::Row;
use super::support::report::Report;
use super::support::{Ended, binary, maxq, run, signal};
use super::witness::{Noise, Witness};

/// A disturbed run is repeated so often.
const TRIES: u32 = 20;
/// So often all tests together may wait for a quieter machine, and try once more.
const MOST_WAITS: u32 = 120;
/// What client, wire and target together may cost a request that does not count as held up, in nanoseconds.
pub(crate) const QUIET_NS: u64 = 250_000;
/// Requests a second at which no answer after 1 or 10 ms comes when another request is sent, and waits for it.
pub(crate) const RATE: &str = "640";
/// Up to this share of held-up requests a run is quiet.
const QUIET_SHARE: f64 = 0.004;
/// On a machine that was not quiet in so many runs, a run counts that is not.
const QUIET_TRIES: u32 = 3;
/// Then this share may have been held up, and is left out.
const BEARABLE_SHARE: f64 = 0.7;
/// As long as it is not more than so many times what the same machine does to the control.
const CONTROL_FACTOR: f64 = 4.0;
/// And this share.
const OWN_SHARE: f64 = 0.02;
/// Then bounds are so much wider: what is slow at times is slower all the time.
const SLACK: f64 = 4.0;
/// In which a run of a spinning client is quiet: it runs behind the threads of the kernel.
const SPINNING_SHARE: f64 = 0.03;
/// A bound that does not hold is excused by a delay of this length that was not the client's own.
const HICCUP_NS: u64 = 500_000;

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

/// Whether this user may let a program run ahead of all ordinary ones.
fn may_run_ahead() -> bool {
    let tried = Command::new("chrt").args(["-f", "1", "true"]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

/// The client ahead of everything else that wants its core, where that is allowed: threads of the kernel run for
/// milliseconds. It must sleep between requests (`--idle sleep`), since what is always ahead is held back by force, and
/// all of it stays on its core, since there it would hold back the target.
pub(crate) fn undisturbable() -> Command {
    if !may_run_ahead() {
        return maxq();
    }
    let mut command = Command::new("taskset");
    command.args(["-c", &cores().0.to_string(), "chrt", "-f", "1"]).arg(binary());
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("TERM");
    command
}

/// Keeps a core busy that has nothing else to do, until it is dropped: a virtual core that sleeps may wait for
/// milliseconds until its host lets it run again. The target does so for its own.
struct Awake(Child);

impl Awake {
    fn keep(core: usize) -> Self {
        let spin = ["chrt", "-i", "0", "sh", "-c", "while :; do :; done"];
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string()]).args(spin).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
        witnessed(|| self.measure_alone(law, arguments))
    }

    /// The same without a witness, which needs the cores, too.
    fn measure_alone(&self, law: &str, arguments: &[&str]) -> Measured {
        let (core, _) = cores();
        let _awake = Awake::keep(core);
        let core = core.to_string();
        let pinned = [&["-t", "1", "--idle", "sleep", "--cpus", &core][..], arguments].concat();
        let measured = self.measure_with(undisturbable(), law, &pinned);
        let quiet = measured.disturbed() <= QUIET_SHARE;
        Measured { runs_ahead: may_run_ahead(), quiet, ..measured }
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
            .args(["--json", "--no-preflight", "--log-requests"])
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
        let measured = Measured {
            report,
            rows,
            target,
            delays_ns: delays_ns(path),
            noise: None,
            runs_ahead: false,
            quiet: false,
        };
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

    /// Repeats a run until the machine let it be, as far as it ever does.
    pub(crate) fn undisturbed(&self, law: &str, arguments: &[&str]) -> Measured {
        self.undisturbed_by(QUIET_SHARE, law, arguments, Measured::disturbed)
    }

    /// The same where `disturbed` knows more of how a law is disturbed, and up to `quiet_share` is nothing.
    pub(crate) fn undisturbed_by(
        &self,
        quiet_share: f64,
        law: &str,
        arguments: &[&str],
        disturbed: impl Fn(&Measured) -> f64,
    ) -> Measured {
        self.repeated((law, quiet_share), || self.measure_alone(law, arguments), disturbed)
    }

    /// One run of a client as users have it, which spins shortly before it sends.
    pub(crate) fn measure_spinning(&self, law: &str, arguments: &[&str]) -> Measured {
        witnessed(|| self.measure_spinning_alone(law, arguments))
    }

    fn measure_spinning_alone(&self, law: &str, arguments: &[&str]) -> Measured {
        let (core, _) = cores();
        let core = core.to_string();
        let pinned = [&["-t", "1", "--cpus", &core][..], arguments].concat();
        self.measure_unpinned(law, &pinned)
    }

    /// Repeats a run of such a client until the machine let it be, as far as it ever does.
    pub(crate) fn undisturbed_spinning(&self, law: &str, arguments: &[&str]) -> Measured {
        let measure = || self.measure_spinning_alone(law, arguments);
        self.repeated((law, SPINNING_SHARE), measure, Measured::disturbed)
    }

    fn repeated(
        &self,
        (law, quiet_share): (&str, f64),
        measure: impl Fn() -> Measured,
        disturbed: impl Fn(&Measured) -> f64,
    ) -> Measured {
        let mut attempt = 0;
        while attempt < TRIES || wait_for_quiet() {
            attempt += 1;
            let mut measured = measure();
            let share = disturbed(&measured);
            measured.quiet = share <= quiet_share;
            let bearable = attempt > QUIET_TRIES && share <= BEARABLE_SHARE;
            if measured.quiet || (bearable && self.is_machines_doing(&measured)) {
                return measured;
            }
            eprintln!("{law}: run {attempt} is void: {:.2} % disturbed", share * 100.0);
        }
        panic!(
            "{law}: requests were held up in all of {attempt} runs, and not by the machine alone"
        );
    }

    /// Whether the machine would have held up as many requests of any client.
    fn is_machines_doing(&self, measured: &Measured) -> bool {
        let (core, _) = cores();
        let ahead = measured.runs_ahead;
        // The client under test had it, too.
        let _awake = ahead.then(|| Awake::keep(core));
        let path = self.law(control::LAW);
        let control = control::share_held_up((core, ahead), (&self.address, &path), QUIET_NS);
        let found = measured.disturbed();
        eprintln!("held up: {:.2} %, control {:.2} %", found * 100.0, control * 100.0);
        found <= CONTROL_FACTOR.mul_add(control, OWN_SHARE)
    }
}

/// A run with a witness. There is none where a client is starved on purpose: it would interrupt what starves it.
pub(crate) fn witnessed(measure: impl FnOnce() -> Measured) -> Measured {
    let (client, target) = cores();
    let witness = Witness::start([client, target]);
    let measured = measure();
    Measured { noise: Some(witness.end()), ..measured }
}

/// Some machines are noisy for minutes: waits a little, as long as all of the bed together has not waited for too long.
fn wait_for_quiet() -> bool {
    static WAITS: AtomicU32 = AtomicU32::new(0);
    let is_patient = WAITS.fetch_add(1, Ordering::Relaxed) < MOST_WAITS;
    if is_patient {
        thread::sleep(Duration::from_secs(2));
    }
    is_patient
}

/// Repeats what speaks of moments, in which one hiccup of the machine can be out of bounds: `attempt` fails when a bound
/// does not hold and there is an excuse, and panics when there is none.
pub(crate) fn until_no_hiccup(mut attempt: impl FnMut() -> Result<(), String>) {
    for number in 1..=TRIES {
        match attempt() {
            Ok(()) => return,
            Err(why) => eprintln!("run {number} is void: {why}"),
        }
    }
    panic!("no run of {TRIES} was within its bounds");
}

/// That a bound holds. Where it does not, the run is void if it has an excuse; else the test fails.
pub(crate) fn holds(bound: bool, excuse_ns: u64, what: String) -> Result<(), String> {
    assert!(bound || excuse_ns > HICCUP_NS, "{what}, and nothing but the client was late");
    bound.then_some(()).ok_or_else(|| format!("{what}; the machine was late by {excuse_ns} ns"))
}

impl Drop for Bed {
    fn drop(&mut self) {
        signal(self.target.id(), "TERM");
        let _ = self.target.wait();
    }
}

/// The delays that a law of fixed ones can have, in nanoseconds; none for laws in which requests wait for each other.
fn delays_ns(path: &str) -> Vec<u64> {
    let law = path.strip_prefix("/law/").unwrap_or(path);
    let Some((name, query)) = law.split_once('?') else { return Vec::new() };
    if !["fixed", "mixture", "script"].contains(&name) {
        return Vec::new();
    }
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let delays = pairs.filter(|(key, _)| ["d", "fast", "slow"].contains(key));
    delays.map(|(_, delay)| delay_ns(delay)).collect()
}

fn delay_ns(delay: &str) -> u64 {
    let digits = delay.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit_ns = match &delay[digits.len()..] {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => 1,
    };
    digits.parse::<u64>().unwrap() * unit_ns
}

/// What both sides say of a run.
pub(crate) struct Measured {
    pub(crate) report: Report,
    /// All requests, the warm-up's too, in the order in which they ended.
    pub(crate) rows: Vec<Row>,
    /// The target's account of the law.
    pub(crate) target: Value,
    /// The delays that the law can have, where they are fixed.
    delays_ns: Vec<u64>,
    /// What the witness saw meanwhile, where there was one.
    noise: Option<Noise>,
    /// The client ran ahead of all ordinary threads.
    runs_ahead: bool,
    /// Hardly anything was held up.
    pub(crate) quiet: bool,
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
        self.check_quantiles();
        for row in &self.rows {
            let mut times = vec![Some(row.intended), row.sent, row.server_received];
            times.extend([row.server_sent, row.first_byte, Some(row.ended)]);
            let times: Vec<u64> = times.into_iter().flatten().collect();
            assert!(times.is_sorted(), "effects come after causes: {row:?}");
        }
    }

    /// Where all were answered, the report's quantiles are those of the log.
    fn check_quantiles(&self) {
        let measured = self.rows.iter().filter(|row| row.measured).count();
        let closed = self.report.text("/plan/mode") == "closed";
        let of = if closed { Row::service_ns } else { Row::response_ns };
        let logged: Vec<u64> = self.answered().map(of).collect();
        if logged.len() < 1000 || logged.len() < measured {
            return;
        }
        for (key, at) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
            let (reported, logged) = (self.ms("response", key), quantile(&logged, at) as f64 / 1e6);
            let off = (reported / logged - 1.0).abs();
            assert!(off <= 0.002, "{key}: {reported} ms reported, {logged} ms in the log");
        }
    }

    /// How much wider bounds are that the machine can move.
    pub(crate) fn slack(&self) -> f64 {
        if self.quiet { 1.0 } else { SLACK }
    }

    /// The share of requests that either side held up for longer than a measurement may be off.
    pub(crate) fn disturbed(&self) -> f64 {
        let measured = || self.rows.iter().filter(|row| row.measured);
        measured().filter(|row| self.is_disturbed(row)).count() as f64
            / measured().count().max(1) as f64
    }

    /// Either side held up the request, or the target answered later than its law says.
    fn is_disturbed(&self, row: &Row) -> bool {
        row.held_up_ns() + self.late_at_target_ns(row) > QUIET_NS
    }

    /// How much later than one of its fixed delays the target answered.
    fn late_at_target_ns(&self, row: &Row) -> u64 {
        let Some((received, sent)) = row.server_received.zip(row.server_sent) else { return 0 };
        let took = sent - received;
        let delay = self.delays_ns.iter().filter(|&&delay| delay <= took).max();
        delay.map_or(0, |delay| took - delay)
    }

    /// The longest delay in nanoseconds that was not the client's own, as far as that can be told: of the target, and what
    /// the witness saw on either core. A client that does not run ahead of all else is not to blame for what delays it.
    pub(crate) fn excuse_ns(&self) -> u64 {
        let of = |row: &Row| {
            let target = row.on_its_way_ns().max(self.late_at_target_ns(row));
            if self.runs_ahead { target } else { target.max(row.held_up_ns()) }
        };
        let witnessed = self.noise.as_ref().map_or(0, Noise::longest_ns);
        self.rows.iter().map(of).max().unwrap_or(0).max(witnessed)
    }

    /// That a bound of this run holds, or else that it is void.
    pub(crate) fn holds(&self, bound: bool, what: String) -> Result<(), String> {
        holds(bound, self.excuse_ns(), what)
    }

    /// A quantile of the undisturbed response times in milliseconds.
    pub(crate) fn undisturbed_ms(&self, at: f64) -> f64 {
        quantile(&self.undisturbed_ns(), at) as f64 / 1e6
    }

    /// The response times in nanoseconds of all answered requests on a quiet machine, else of those that it left alone.
    pub(crate) fn undisturbed_ns(&self) -> Vec<u64> {
        let rows = self.answered().filter(|row| self.quiet || !self.is_disturbed(row));
        rows.map(Row::response_ns).collect()
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
