//! A real service, written as people write them: FastAPI on uvicorn, SQLite, a pool that answers 503 when it runs dry.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{installed, signal};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/service");

/// Good answers a second of which it is capable, if it has the CPU time: a pool of 8, each held for 40 ms.
pub(crate) const CAPACITY_RPS: f64 = 8.0 / 0.040;

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

/// Makes a virtual environment of what a list of requirements names, unless it is there. Arguments: the interpreter of the
/// system, the folder, the list.
const MAKE: &str = r#"set -e
cmp -s "$3" "$2/made-of" && exit 0
rm -rf "$2"
"$1" -m venv "$2"
"$2/bin/python" -m pip install --quiet --disable-pip-version-check -r "$3"
cp "$3" "$2/made-of"
"#;

/// The interpreter of a virtual environment that holds what the service needs. It is made once, of packages from PyPI, and
/// kept with the build.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("service-venv");
    let mut make = Command::new(installed("flock", "util-linux"));
    // Tests run side by side.
    make.arg(folder.with_extension("lock")).args(["sh", "-c", MAKE, "make"]);
    make.arg(installed("python3", "python3-venv")).arg(&folder);
    make.arg(Path::new(FOLDER).join("requirements.txt"));
    let output = make.output().expect("flock can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the service's packages cannot be installed: {said}");
    folder.join("bin/python")
}
