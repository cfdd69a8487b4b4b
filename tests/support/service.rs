//! A real service, written as people write them: FastAPI on uvicorn, SQLite, a pool that answers 503 when it runs dry.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{installed, signal};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/service");

/// Good answers a second of which it is capable, if it has the CPU time: a pool of 8, each held for 14.8 ms.
pub(crate) const CAPACITY_RPS: f64 = 8.0 / 0.0148;

/// A running service; killed when dropped.
pub(crate) struct Service {
    process: Child,
    url: String,
}

impl Service {
    /// Starts one with its defaults.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with settings of its own: `POOL`, `HOLD_MS`, `PATIENCE_MS`, `PORT`.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(python());
        command.arg(Path::new(FOLDER).join("app.py")).envs(settings.iter().copied());
        // Its messages are of interest only when it does not start.
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the service starts");
        let stdout = process.stdout.take().expect("it is a pipe");
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url).expect("the service says where it listens");
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://"), "the service did not start: {url}");
        Self { process, url }
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        signal(self.process.id(), "KILL");
        let _ = self.process.wait();
    }
}

/// The interpreter of a virtual environment that holds what the service needs. It is made once, of packages from PyPI, and
/// kept with the build.
fn python() -> PathBuf {
    let requirements = Path::new(FOLDER).join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).expect("it is a file of this project");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("service-venv");
    let (python, made) = (folder.join("bin/python"), folder.join("made-of"));
    let lock = File::create(folder.with_extension("lock")).expect("a file can be made");
    lock.lock().expect("a file can be locked");
    if fs::read_to_string(&made).is_ok_and(|made| made == wanted) {
        return python;
    }
    let _ = fs::remove_dir_all(&folder);
    let system = installed("python3", "python3-venv");
    finish("python3 -m venv", Command::new(system).args(["-m", "venv"]).arg(&folder));
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    finish("pip install", Command::new(&python).args(pip).arg(&requirements));
    fs::write(made, wanted).expect("a file can be written");
    python
}

fn finish(what: &str, command: &mut Command) {
    let output = command.output().expect("it can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed: {said}");
}
