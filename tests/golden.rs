//! What maxq prints, for a fixed list of command lines: held to the files in `tests/golden`. Of a measurement only what
//! every run prints is kept, so that a busy machine does not fail it. A failure names the command that shows or accepts it.

use std::path::Path;
use std::process::Command;

#[test]
fn every_command_line_of_the_golden_files_prints_what_it_printed_before() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/golden");
    let ended = Command::new(script)
        .arg("--check")
        .arg(env!("CARGO_BIN_EXE_maxq"))
        .output()
        .expect("python3 runs it");
    assert!(
        ended.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
}
