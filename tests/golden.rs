//! What maxq prints, for a fixed list of command lines: held to the files in `tests/golden`, with what differs from run to
//! run masked. `scripts/golden --write target/debug/maxq` accepts what it prints now.

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
