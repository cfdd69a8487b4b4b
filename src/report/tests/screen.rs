//! The text report as it is without `--verbose`: what must be on the last screen of a run.

use super::text::{assert_lines, report};
use super::*;
use crate::core::record::Lag;
use crate::report::{quiet_text, text};
use crate::slo::Gate;

/// A healthy run of an open loop: everything in time, everything answered.
fn open_summary() -> Summary {
    let mut record = Record::new(2, true);
    for index in 0..20_000 {
        let phase = &mut record.phases[1];
        let service_ns = 1_000_000 + index * 1000;
        complete(phase, 200, service_ns, None);
        phase.respond(service_ns + 2000);
        phase.lag(Lag { send_ns: 2000, pool_ns: 0, client_ns: 2000 });
    }
    record.connections =
        ConnectionTally { asked: 64, opened: 64, used: 64, ..ConnectionTally::default() };
    let mut summary = summary(record);
    summary.verdict.code = Code::Valid;
    summary.verdict.sentence = "the client kept its schedule".to_owned();
    summary
}

#[test]
fn the_report_of_a_healthy_run_fits_a_terminal_of_80_by_24() {
    let mut staged = normal();
    staged.verdict.reasons.push(Reason {
        rule: Rule::SameHost,
        level: Level::Info,
        text: "the target runs on this host and shares its cores and caches".to_owned(),
    });
    for (name, plan, summary) in [
        ("closed", plan(), normal()),
        ("closed, on this host", plan(), staged),
        ("open", open_plan(), open_summary()),
    ] {
        let report = text(&plan, &summary, PLAIN);
        let lines: Vec<&str> = report.lines().collect();
        assert!(lines.len() <= 24, "{name}: {} lines\n{report}", lines.len());
        assert!(lines.iter().all(|line| line.len() <= 80), "{name}:\n{report}");
    }
}

#[test]
fn a_healthy_open_loop_reads_like_this() {
    let expected = "\
maxq VERSION: GET http://127.0.0.1:8080/bytes/100?x=1
Target        127.0.0.1:8080 on this host
Load          open loop, 100 requests a second, uniform, 64 connections
Duration      10 s after 1 s of warm-up; 1 thread, uring

Result        held: all requests got a good answer
Verdict       valid: the client kept its schedule

Throughput             offered            sent        achieved         goodput
  a second            2,000.00        2,000.00        2,000.00        2,000.00
  requests              20,000          20,000          20,000          20,000
Latency               response         service        send lag
  p50                 11.00 ms        11.00 ms        2.000 us
  p90                 19.01 ms        19.01 ms        2.000 us
  p95                 20.00 ms        20.00 ms        2.000 us
  p99                 20.81 ms        20.81 ms        2.000 us
  p99.9               20.99 ms        20.99 ms        2.000 us
  max                 21.00 ms        21.00 ms        2.000 us
  where p99 went: client 2.000 us, pool wait 0 ns, service 20.81 ms
Status        200: 20,000
Connections   64 asked, 64 opened, 64 used
Requests/sec:   2000.00
Transfer/sec:    390.62KB
";
    let expected = expected.replace("VERSION", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&open_plan(), &open_summary(), PLAIN), expected);
}

#[test]
fn a_run_with_errors_begins_with_what_the_target_did() {
    let mut summary = normal();
    summary.verdict.target = TargetState::Failing;
    summary.verdict.target_text = "24.7 % errors (4,940 of 20,000 requests)".to_owned();
    let lines = ["Result        failing: 24.7 % errors (4,940 of 20,000 requests)"];
    assert_lines(&report(&summary), &lines);
    let quiet = quiet_text(&plan(), &summary);
    assert!(
        quiet.starts_with("Result: failing: 24.7 % errors (4,940 of 20,000 requests)\n"),
        "{quiet}"
    );
    // A good word without its colour still is one, and no colour is without a word.
    let painted = text(&plan(), &summary, Style { color: true, columns: 80 });
    assert!(painted.contains("\x1b[1;31mfailing\x1b[0m: 24.7 %"), "{painted}");
    assert!(!painted.contains("\x1b[1;32m"), "nothing is green: {painted}");
}

#[test]
fn a_run_that_failed_has_all_that_matters_on_the_last_screen() {
    let mut summary = open_summary();
    let errors = "24.7 % errors (2,470 of 10,000 requests); 753.0 of 1,000.0 requests a second got a \
        good answer";
    (summary.verdict.target, summary.verdict.target_text) =
        (TargetState::Failing, errors.to_owned());
    let text_of_e1 = "2,470 of 10,000 requests got no good response: rates and latencies are of \
        errors too";
    let e1 = Reason { rule: Rule::BadResponses, level: Level::Warn, text: text_of_e1.to_owned() };
    summary.verdict.reasons = vec![e1];
    let clauses = crate::slo::parse("p99<50ms, errors<1%").unwrap();
    let gate = |clause| Gate { clause, value: Some(0.2), doubt: None, holds: false, at_s: None };
    summary.gates = clauses.into_iter().map(gate).collect();
    let said = br#"{"detail":"no database connection is free"}"#.to_vec();
    summary.record.bad_answers.add(BadAnswer::new(503, Nanos(0), (said, 43)));
    let report = text(&open_plan(), &summary, PLAIN);
    let screen: Vec<&str> = report.lines().rev().take(24).collect();
    for part in
        ["Result ", "Verdict ", "Throughput ", "Latency ", "Gates", "  errors<1% ", "  first 503 "]
    {
        assert!(screen.iter().any(|line| line.starts_with(part)), "{part} is gone in\n{report}");
    }
}

#[test]
fn a_longest_time_of_the_clients_own_is_marked() {
    let mut summary = open_summary();
    summary.verdict.max_is_own = true;
    let report = text(&open_plan(), &summary, PLAIN);
    assert_lines(&report, &["  max*                21.00 ms        21.00 ms        2.000 us"]);
    assert_lines(&report, &["  * the longest response time is the client's doing"]);
}

/// Answers of 503 and 500, the latter longer than what is kept of it.
fn with_bad_answers() -> Summary {
    let mut summary = normal();
    summary.record.interim_responses = 5;
    let at = Nanos(100 * SECOND);
    let short = br#"{"detail":"no \x1b[31mconnection"}"#.to_vec();
    let length = short.len() as u64;
    summary.record.bad_answers.add(BadAnswer::new(503, at, (short, length)));
    summary.record.bad_answers.add(BadAnswer::new(500, at, (vec![b'x'; 2048], 5000)));
    summary
}

#[test]
fn what_bad_answers_said_is_shown_escaped_and_says_where_it_was_cut() {
    let summary = with_bad_answers();
    let short = text(&plan(), &summary, PLAIN);
    assert_lines(
        &short,
        &[
            "Status        200: 20,000; 1xx: 5, which end no request",
            &format!("  first 500   {}", "x".repeat(66)),
            &format!("              {}", "x".repeat(66)),
            &format!("              {}...", "x".repeat(63)),
            "              (5,000 bytes; -v shows more of it)",
            r#"  first 503   {\"detail\":\"no \\x1b[31mconnection\"}"#,
        ],
    );
    let whole = report(&summary);
    assert_lines(&whole, &["              (cut: the first 2,048 of 5,000 bytes)"]);
    assert_eq!(whole.matches(&"x".repeat(66)).count(), 2048 / 66);
    assert!(whole.lines().chain(short.lines()).all(|line| line.len() <= 80));
}
