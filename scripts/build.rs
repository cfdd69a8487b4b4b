//! Build script: hands the short commit hash to the crate, or nothing where there is no repository.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/index");
    let described = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=9", "--exclude=*"])
        .output();
    let commit = described
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|text| text.trim().to_owned());
    if let Some(commit) = &commit {
        println!("cargo:rustc-env=MAXQ_GIT={commit}");
    }
    // For `concat!`, which wants it to be there in any case.
    let suffix = commit.map(|commit| format!("+{commit}")).unwrap_or_default();
    println!("cargo:rustc-env=MAXQ_COMMIT={suffix}");
}
