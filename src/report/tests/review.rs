//! What reviewers and build servers read of runs and sweeps.

use super::checks::tags;
use super::*;
use crate::exit::{self, ExitCode, Signal};
use crate::report::{Carried, Review, refused_junit, refused_markdown, run_review, runs_review};
use crate::slo::{Gate, parse};

/// A gate of which `value_ns` was found.
fn gate(text: &str, value_ns: f64) -> Gate {
    let clause = parse(text).unwrap().remove(0);
    let holds = clause.is_proven_by(value_ns, true);
    Gate { clause, value: Some(value_ns), doubt: None, holds, at_s: None }
}

fn gated() -> Summary {
    Summary { gates: vec![gate("p99<50ms", 21e6), gate("p99.9<1ms", 20e6)], ..normal() }
}

/// Lines of the table of checks: name, result, and what was found.
fn checks(review: &Review) -> Vec<Vec<String>> {
    let page = review.markdown();
    let table = page.split("\n\n").find(|part| part.starts_with("| check |")).unwrap().to_owned();
    let cells = |line: &str| {
        let line = line.trim_start_matches("| ").trim_end_matches(" |");
        line.split(" | ").map(str::to_owned).collect()
    };
    table.lines().skip(2).map(cells).collect()
}

#[test]
fn a_run_has_a_check_a_gate_in_both_formats() {
    let review = run_review(&plan(), &gated(), (exit::GATE, Some("--slo: p99.9<1ms failed")));
    let page = review.markdown();
    assert!(page.starts_with("### maxq run: **fail**\n\nGET http://127.0.0.1:8080/"), "{page}");
    let found = checks(&review);
    assert_eq!(found[0], ["p99&lt;50ms", "pass", "21.00 ms"]);
    assert_eq!(found[1], ["p99.9&lt;1ms", "**fail**", "20.00 ms"]);
    assert_eq!(found[2][..2], ["run", "pass"], "what failed is the gate");
    assert!(page.contains("\n| 1 | 2,000.00 | 2,000.00 | "), "{page}");
    let xml = review.junit();
    let tags = tags(&xml);
    assert_eq!(tags.iter().filter(|tag| *tag == "testcase").count(), 3);
    assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"0\""), "{xml}");
    assert!(
        xml.contains("name=\"p99.9&lt;1ms\">\n      <failure type=\"gate\" message=\"20.00 ms\"/>")
    );
}

#[test]
fn a_run_that_does_not_count_is_no_pass() {
    let mut void = gated();
    void.verdict.valid = false;
    let outcome = |summary: &Summary, code: ExitCode, complaint: Option<&str>| {
        checks(&run_review(&plan(), summary, (code, complaint)))[2][1].clone()
    };
    assert_eq!(outcome(&void, exit::FINISHED, None), "skipped");
    assert_eq!(outcome(&void, exit::INVALID, Some("not valid (--strict)")), "**error**");
    assert_eq!(outcome(&gated(), exit::TARGET, Some("gone")), "**error**");
    assert_eq!(outcome(&gated(), Signal::Interrupt.exit_code(), None), "**error**");
    let end = End::Aborted { condition: 0, value: 1.0 };
    let aborted = Summary { end, ..gated() };
    assert_eq!(outcome(&aborted, exit::GATE, Some("--abort-on: errors>5%")), "**fail**");
}

#[test]
fn several_runs_have_checks_of_their_own_and_those_that_were_not_begun_are_errors() {
    let runs: Vec<Carried> = vec![(plan(), gated()), (plan(), hostile())];
    let endings = [(exit::GATE, Some("--slo failed".to_owned())), (exit::FINISHED, None)];
    let review = runs_review(&runs, 3, &endings, exit::GATE);
    let found = checks(&review);
    let names: Vec<&str> = found.iter().map(|check| check[0].as_str()).collect();
    assert_eq!(names, ["run 1: p99&lt;50ms", "run 1: p99.9&lt;1ms", "run 1", "run 2", "run 3"]);
    assert_eq!(found[4][1], "**error**");
    let xml = review.junit();
    tags(&xml);
    assert!(xml.contains("tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"0\""), "{xml}");
    for text in [xml, review.markdown()] {
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn a_refusal_is_one_test_that_could_not_be_carried_out() {
    let xml = refused_junit("ceiling", "no <b> \u{1b}[2J");
    assert!(tags(&xml).contains(&"error".to_owned()));
    assert!(xml.contains("maxq.ceiling") && xml.contains("no &lt;b&gt; ?[2J"), "{xml}");
    let page = refused_markdown("run", "a|b");
    assert_eq!(page, "### maxq run: **no result**\n\na\\|b.\n");
}
