//! Commands in namespaces of their own: machines that have other ports, addresses and file systems than this one.

use std::process::Command;

use super::{binary, not_tested};

/// A shell in namespaces of its own, for which `flags` ask; the script finds the binary in `$0` and what follows in `$@`.
/// `None`, and a line that says so, where namespaces cannot be had.
pub(crate) fn in_namespaces(flags: &[&str], script: &str) -> Option<Command> {
    let allowed =
        Command::new("unshare").args(flags).args(["--fork", "--kill-child", "true"]).output();
    if !allowed.is_ok_and(|tried| tried.status.success()) {
        not_tested(&format!("unshare {flags:?} is not allowed here: {script}"));
        return None;
    }
    let mut command = Command::new("unshare");
    // Whatever goes on in there ends with it.
    command.args(flags).args(["--fork", "--kill-child", "sh", "-c", script]).arg(binary());
    command.env_remove("TERM").env("XDG_CACHE_HOME", "/nonexistent");
    command.env("ENGINE", std::env::var("MAXQ_TEST_ENGINE").unwrap_or("auto".to_owned()));
    Some(command)
}
