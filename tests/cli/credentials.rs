//! Users and passwords: sent as curl sends them, and shown nowhere.

use std::fs;

use serde_json::Value;

use super::support::report::{Report, checked};
use super::support::{Ended, maxq, run};
use super::{NOWHERE, QUICK, names_in, refused_in_one_line, target};

/// `alice:hunter2`, and what must not be seen of it.
const SECRETS: [&str; 3] = ["alice", "hunter2", "YWxpY2U6aHVudGVyMg"];
/// The target repeats what it was sent.
const EXPECTED: [&str; 2] = ["--expect", "body~=Authorization: Basic YWxpY2U6aHVudGVyMg==\r\n"];

fn assert_masked(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

fn ended_masked(ended: &Ended) {
    assert_masked("stdout", &ended.stdout);
    assert_masked("stderr", &ended.stderr);
}

#[test]
fn a_user_and_a_password_of_a_url_are_sent_and_shown_nowhere() {
    let server = target();
    let place = format!("{}/echo", server.local_address());
    // The second is what a script makes of it: every character encoded.
    for user in ["alice:hunter2", "%61lice:hunter%32"] {
        let url = format!("http://{user}@{place}");
        let ended = run(maxq().args(QUICK).args(EXPECTED).args(["--json", &url]));
        assert_masked("stderr", &ended.stderr);
        let report = checked(0, &ended);
        report.assert_all_ok();
        assert_eq!(report.text("/plan/url"), format!("http://***@{place}"));
        let plan = report.json["plan"].to_string() + &report.json["preflight"].to_string();
        assert_masked("JSON", &plan);
    }
    let url = format!("http://alice:hunter2@{place}");
    let formats: [&[&str]; 7] = [
        &[],
        &["-q"],
        &["--format", "tsv"],
        &["--dry-run"],
        &["--dry-run", "--json"],
        &["--repeat", "2", "--pause", "0"],
        &["--expect", "status=404"],
    ];
    for format in formats {
        let ended = run(maxq().args(QUICK).args(format).arg(&url));
        assert!(!ended.stdout.is_empty(), "{ended:?}");
        ended_masked(&ended);
    }
}

#[test]
fn a_comparison_a_sweep_and_a_search_show_no_password() {
    let server = target();
    let url = format!("http://alice:hunter2@{}/echo", server.local_address());
    let quick = ["-t", "1", "-c", "2", "--warmup", "0", "--pause", "0"];
    let commands: [&[&str]; 4] = [
        &["compare", "--urls", &url, &url, "-n", "20", "--pairs", "7", "--force", "--json"],
        &["compare", "--urls", &url, &url, "-n", "20", "--pairs", "7", "--force"],
        &["sweep", "--rate", "50,100", "-d", "200ms", "--json", &url],
        &["ceiling", "--slo", "p99<1s", "--max", "100", "--trial", "1s", &url],
    ];
    for command in commands {
        let ended = run(maxq().args(command).args(quick).args(EXPECTED));
        assert!(!ended.stdout.is_empty(), "{command:?}: {ended:?}");
        // A histogram in base64 is long enough for anything, but not for this.
        ended_masked(&ended);
    }
}

#[test]
fn the_user_of_a_flag_is_sent_and_may_come_out_of_a_file() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let file = folder.path().join("user");
    fs::write(&file, "alice:hunter2\n").unwrap();
    let url = format!("http://{}/echo", server.local_address());
    for user in ["alice:hunter2", &format!("@{}", file.display())] {
        let ended = run(maxq().args(QUICK).args(EXPECTED).args(["--user", user, "--json", &url]));
        assert_masked("stderr", &ended.stderr);
        let report = checked(0, &ended);
        report.assert_all_ok();
        assert_eq!(report.text("/plan/url"), url);
        assert_masked("the plan", &report.json["plan"].to_string());
    }
    assert_eq!(names_in(folder.path()), ["user"]);
}

#[test]
fn the_same_target_has_the_same_plan_whichever_way_its_user_is_named() {
    let hash = |arguments: &[&str]| {
        let ended = run(maxq().args(["--dry-run", "--json", "--seed", "1"]).args(arguments));
        let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
        plan["plan"]["hash"].as_str().unwrap().to_owned()
    };
    let of_url = hash(&["http://alice:hunter2@127.0.0.1:9/"]);
    assert_eq!(of_url, hash(&["--user", "alice:hunter2", NOWHERE]));
    assert_ne!(of_url, hash(&[NOWHERE]));
}

#[test]
fn users_that_contradict_each_other_are_refused_without_showing_them() {
    let with_user = "http://alice:hunter2@127.0.0.1:9/";
    let header = ["-H", "Authorization: Bearer x"];
    let cases: [(&[&str], &[&str]); 8] = [
        (&["--user", "bob:hunter2", with_user], &["--user", "contradicts the user in the URL"]),
        (
            &[header[0], header[1], with_user],
            &["-H 'Authorization", "contradicts the user of the URL"],
        ),
        (&["--user", "alice:hunter2", header[0], header[1], NOWHERE], &["-H 'Authorization"]),
        (&["--user", "hunter2", NOWHERE], &["--user", "no ':'", "@FILE"]),
        (&["--user", "@/nonexistent", NOWHERE], &["--user @/nonexistent", "readable file"]),
        (&["--raw", "/dev/null", with_user], &["--raw", "Authorization"]),
        (&["http://alice:hun/hunter2@127.0.0.1:9/"], &["***@127.0.0.1:9", "%2F"]),
        (
            &["--proxy", "alice:hunter2@127.0.0.1:9", "-H", "Proxy-Authorization: x", NOWHERE],
            &["-H 'Proxy-Authorization", "the user of --proxy"],
        ),
    ];
    for (arguments, parts) in cases {
        refused_in_one_line(2, arguments, parts);
        assert_masked("stderr", &run(maxq().args(arguments)).stderr);
    }
}

#[test]
fn what_the_parser_of_the_command_line_repeats_is_masked() {
    let with_user = "http://alice:hunter2@127.0.0.1:9/";
    let both = ["--user", "alice:hunter2", "--raw", "x", NOWHERE];
    for arguments in [&[NOWHERE, with_user][..], &["-c", with_user, NOWHERE], &both] {
        let ended = run(maxq().args(arguments));
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended_masked(&ended);
    }
}

#[test]
fn an_unreachable_target_with_a_user_is_named_without_it() {
    let (address, _kept) = super::closed_port();
    let url = format!("http://alice:hunter2@{address}/");
    for more in [&[][..], &["--no-preflight", "--give-up", "300ms"]] {
        let ended = run(maxq().args(more).arg(&url));
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert!(ended.stderr.contains(&format!("http://***@{address}/")), "{}", ended.stderr);
        ended_masked(&ended);
    }
}

#[test]
fn a_report_in_a_file_is_masked_too() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let url = format!("http://alice:hunter2@{}/echo", server.local_address());
    let file = folder.path().join("run.json");
    let ended = run(maxq().args(QUICK).args(["--json", "-o", file.to_str().unwrap()]).arg(&url));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = fs::read_to_string(&file).unwrap();
    assert_masked("the file", &text);
    Report::of(&text).assert_all_ok();
}
