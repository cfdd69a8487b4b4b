//! Build script: hands the short commit hash to the crate, or nothing where there is no repository.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/index");
    let described = Command::new("git")
        .args([
            "describe",
            "--always",
            "--dirty",
            "--abbrev=9",
            "--exclude=*",
        ])
        .output();
    if let Ok(output) = described
        && output.status.success()
        && let Ok(text) = String::from_utf8(output.stdout)
    {
        println!("cargo:rustc-env=MAXQ_GIT={}", text.trim());
    }
}
