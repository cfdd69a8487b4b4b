//! What the end-to-end tests share: the built binary and its reports, real servers, a server that follows a script, and
//! the certificates that some of them show.
#![allow(dead_code, reason = "each test file uses its own share of this")]

pub(crate) mod certificates;
pub(crate) mod namespaces;
pub(crate) mod nginx;
pub(crate) mod programs;
pub(crate) mod relay;
pub(crate) mod report;
pub(crate) mod scripted;
pub(crate) mod secure;
pub(crate) mod service;
pub(crate) mod without_ring;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// No run of these tests lasts nearly as long, whatever else the machine does.
const HANGS_AFTER: Duration = Duration::from_secs(40);

/// The binary under test: the one that was built with the tests, or the one that `MAXQ_BINARY` names.
pub(crate) fn binary() -> OsString {
    std::env::var_os("MAXQ_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_maxq").into())
}

/// A command that starts it, with nothing in its environment that changes what it prints.
pub(crate) fn maxq() -> Command {
    let mut command = Command::new(binary());
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("TERM");
    // A calibration of this machine is no business of a test.
    command.env("XDG_CACHE_HOME", "/nonexistent");
    command
}

/// The same for a run, on the engine that `MAXQ_TEST_ENGINE` names: every test of behaviour holds for each engine.
pub(crate) fn maxq_on_engine() -> Command {
    let mut command = maxq();
    // Servers count requests, and most tests hold the run's counts against theirs.
    command.arg("--no-preflight");
    if let Some(engine) = std::env::var_os("MAXQ_TEST_ENGINE") {
        command.arg("--engine").arg(engine);
    }
    command
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// From the start of the program to its end.
    pub(crate) took: Duration,
}

/// A program under way whose output is read all the while; killed when dropped.
pub(crate) struct Running {
    child: Child,
    begun: Instant,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().map(read_in_background);
        let stderr = child.stderr.take().map(read_in_background);
        Self { child, begun, stdout, stderr }
    }

    /// Sends a signal by its short name, like `INT`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits for the end; a program that hangs fails the test.
    pub(crate) fn end(mut self) -> Ended {
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status.code();
            }
            assert!(self.begun.elapsed() < HANGS_AFTER, "the program hangs");
            thread::sleep(Duration::from_millis(2));
        };
        let took = self.begun.elapsed();
        let text = |reader: &mut Option<JoinHandle<String>>| {
            let reader = reader.take().expect("output is taken once");
            reader.join().expect("output can be read")
        };
        Ended { code, stdout: text(&mut self.stdout), stderr: text(&mut self.stderr), took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, or it is in the way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says that something was not tested, and why. What a passing test prints is hidden, and this must not be.
pub(crate) fn not_tested(why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {why}");
}

/// Where a program is; Debian keeps some where only root's PATH leads.
pub(crate) fn installed(program: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join(program))
        .find(|found| found.is_file())
        .unwrap_or_else(|| {
            panic!("{program} is missing: install the Debian package {package} (scripts/test does)")
        })
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    Running::start(command).end()
}

/// The shell's own `kill`, which needs no package.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status();
    assert!(sent.expect("sh starts").success(), "SIG{name} reaches {process}");
}

/// Waits until `reached` holds; `what` is awaited.
pub(crate) fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what} does not come");
        thread::sleep(Duration::from_millis(2));
    }
}

fn read_in_background(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8(bytes).expect("output is UTF-8")
    })
}
