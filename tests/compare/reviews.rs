//! What reviewers and build servers read of each command that has gates.

use std::fs;

use super::{SHORT, law, target};
use crate::support::scripted::closed_port;
use crate::support::{Ended, maxq, maxq_on_engine, run};

/// The command with both files, and what they hold.
fn reviewed(arguments: &[&str]) -> (Ended, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (page, xml) = (folder.path().join("review.md"), folder.path().join("junit.xml"));
    // What a run of another day has left behind.
    fs::write(&page, "pass").unwrap();
    fs::write(&xml, "<testsuites/>").unwrap();
    let mut command = maxq();
    command.args(arguments).arg("--markdown").arg(&page).arg("--junit").arg(&xml);
    let ended = run(&mut command);
    (ended, fs::read_to_string(page).unwrap(), fs::read_to_string(xml).unwrap())
}

#[test]
fn a_gate_is_a_test_case_and_a_row_in_every_command_that_has_gates() {
    let server = target();
    let url = law(&server, 5);
    let slo = [
        "--slo",
        "p50>1ms, p50<1ms",
        "-q",
        "--no-preflight",
        "-t",
        "1",
        "-c",
        "8",
        "--warmup",
        "0",
    ];
    let spike =
        ["--base", "50", "--peak", "100", "--at", "200ms", "--hold", "200ms", "-d", "600ms"];
    for (command, more, name) in [
        (&["run"][..], &["-R", "100", "-d", "300ms"][..], "p50&lt;1ms"),
        (&["spike"], &spike, "p50&lt;1ms"),
        (
            &["run"],
            &["-R", "100", "-d", "200ms", "--repeat", "2", "--pause", "0"],
            "run 2: p50&lt;1ms",
        ),
    ] {
        let (ended, page, xml) = reviewed(&[command, &slo[..], more, &[&url]].concat());
        assert_eq!(ended.code, Some(1), "{command:?}: {ended:?}");
        assert!(page.starts_with("### maxq run: **fail**\n"), "{page}");
        assert!(page.contains(&format!("| {name} | **fail** | ")), "{page}");
        let case = format!("<testcase classname=\"maxq.run\" name=\"{name}\">\n      <failure");
        assert!(xml.contains(&case) && xml.trim_end().ends_with("</testsuites>"), "{xml}");
    }
    let sweep = ["--rate", "50,100", "-d", "200ms", "--pause", "0"];
    let (ended, page, xml) = reviewed(&[&["sweep"][..], &slo, &sweep, &[&url]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(page.starts_with("### maxq sweep: pass\n"), "{page}");
    assert!(xml.contains("name=\"rate 50\">\n      <skipped"), "{xml}");
}

#[test]
fn a_search_is_a_test_case() {
    let server = target();
    let url = law(&server, 1);
    let flags = ["--slo", "p50<1s", "--max", "100", "--trial", "1s", "-t", "1", "-c", "8", "-q"];
    let more = ["--warmup", "100ms", "--pause", "0", "--no-preflight"];
    let (ended, page, xml) = reviewed(&[&["ceiling"][..], &flags, &more, &[&url]].concat());
    let (mark, outcome) = match ended.code {
        Some(0) => ("pass", "<system-out>"),
        // The machine was too busy to tell.
        Some(4) => ("inconclusive", "<error"),
        _ => panic!("{ended:?}"),
    };
    assert!(page.starts_with(&format!("### maxq ceiling: {mark}\n")), "{page}");
    assert!(xml.contains(&format!("name=\"ceiling\">\n      {outcome}")), "{xml}");
}

#[test]
fn a_command_that_is_refused_says_so_where_others_read() {
    let (address, _kept) = closed_port();
    let url = format!("http://{address}/");
    for (arguments, code, says) in [
        (&["run", "-n", "5", "--give-up", "200ms"][..], 5, "refused"),
        (&["run", "-c", "0"], 2, "-c 0"),
        (&["sweep", "--rate", "1,2", "--give-up", "200ms", "-d", "200ms"], 5, "refused"),
        (&["ceiling"], 2, "--slo"),
    ] {
        let (ended, page, xml) = reviewed(&[arguments, &["-q", &url]].concat());
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        let command = arguments[0];
        assert!(page.starts_with(&format!("### maxq {command}: **no result**")), "{page}");
        assert!(xml.contains("<error type=\"refused\"") && xml.contains(says), "{xml}");
    }
}

#[test]
fn formats_of_a_run_are_what_the_flag_says_and_others_are_refused_with_those_there_are() {
    let server = target();
    // A comma in a path has to be in quotes.
    let url = format!("http://{}/bytes/10?a,b", server.local_address());
    let formatted = |more: &[&str]| {
        run(maxq_on_engine().args(&SHORT[..10]).args(["-q", "--format"]).args(more).arg(&url))
    };
    let csv = formatted(&["csv"]);
    assert_eq!(csv.code, Some(0), "{csv:?}");
    assert!(csv.stdout.starts_with("url,mode,connections,"), "{}", csv.stdout);
    assert!(csv.stdout.contains(&format!("\n\"{url}\",open,32,")), "{}", csv.stdout);
    let xml = formatted(&["junit", "--slo", "errors<=0%"]);
    assert!(
        xml.stdout.starts_with("<?xml") && xml.stdout.contains("name=\"errors&lt;=0%\""),
        "{xml:?}"
    );
    let page = formatted(&["markdown"]);
    assert!(page.stdout.starts_with("### maxq run: pass\n"), "{page:?}");
    for format in ["csv", "tsv", "markdown", "junit"] {
        let plan = run(maxq().args(["--dry-run", "--format", format, &url]));
        assert_eq!(plan.code, Some(2), "{plan:?}");
        assert!(plan.stderr.contains("leave --format out"), "{}", plan.stderr);
    }
    let other = formatted(&["ndjson"]);
    assert_eq!(other.code, Some(2), "{other:?}");
    for format in ["text", "json", "tsv", "csv", "markdown", "junit"] {
        assert!(other.stderr.contains(format), "{}", other.stderr);
    }
}
