//! The text report, line by line.

use super::*;
use crate::report::{quiet_text, text};

/// The report of a run in plain text of 80 columns, with all there is.
pub(super) fn report(summary: &Summary) -> String {
    text(&verbose(), summary, PLAIN)
}

fn verbose() -> Plan {
    let mut plan = plan();
    plan.output.verbose = true;
    plan
}

pub(super) fn assert_lines(report: &str, expected: &[&str]) {
    let expected = expected.join("\n");
    assert!(
        format!("\n{report}").contains(&format!("\n{expected}\n")),
        "not found:\n{expected}\nin:\n{report}"
    );
}

#[test]
fn a_normal_run_with_all_there_is_reads_like_this() {
    let expected = "\
maxq VERSION: GET http://127.0.0.1:8080/bytes/100?x=1
Target        127.0.0.1:8080 on this host
Engine        uring, idle auto
Threads       1 (half of the 2 cores, the target is on this host)
Load          closed loop, 64 connections, pipeline 1
Duration      10 s
Warm-up       500 requests in 1 s, not counted
Seed          42

Result        held: all requests got a good answer
Verdict       server_limited: The workers waited for the server for 30 % of the
              time.

Throughput            achieved         goodput
  a second            2,000.00        2,000.00
  requests              20,000          20,000
  bytes in    390.62 KiB a second, 3.81 MiB
  bytes out   83.98 KiB a second, 839.84 KiB
Requests      20,000 sent, all ok

Latency                service            ttfb
  min                 1.000 ms        500.0 us
  p50                 11.00 ms        5.501 ms
  p90                 19.01 ms        9.503 ms
  p95                 20.00 ms        10.00 ms
  p99                 20.81 ms        10.40 ms
  p99.9               20.99 ms        10.49 ms
  max                 21.00 ms        10.50 ms
  mean                11.00 ms        5.500 ms
  closed loop: there is no schedule, so response time equals service time
  of the p99, about 50 % was waiting for the first byte, 50 % the transfer of
  the rest

Status        200: 20,000
Connections   64 asked, 64 opened, 64 used, 0 failed attempts, 0 reconnects
              requests per connection: min 300, median 331, max 363
              time to open: p50 120.0 us, max 120.0 us
Client        439.0 us of CPU a request; work share by worker 70 %;
              peak memory 12.00 MiB; stamp skew 3.200 us; receive slack 41.00 us

Requests/sec:   2000.00
Transfer/sec:    390.62KB
";
    let expected = expected.replace("VERSION", env!("CARGO_PKG_VERSION"));
    assert_eq!(report(&normal()), expected);
}

#[test]
fn the_last_lines_are_those_of_wrk() {
    let mut summary = normal();
    summary.window.measured_ns = 26_707_100;
    let report = report(&summary);
    let last: Vec<&str> = report.lines().rev().take(2).collect();
    assert_eq!(last[1], "Requests/sec: 748864.53");
    assert_eq!(last[0], "Transfer/sec:    142.83MB");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for (name, summary) in all() {
        let mut plan = plan();
        plan.output.latency = true;
        for columns in [80, 100] {
            let style = Style { color: false, columns };
            for line in text(&plan, &summary, style).lines() {
                assert!(line.len() <= usize::from(columns), "{name}: {line}");
            }
        }
    }
}

#[test]
fn only_printable_ascii_reaches_the_terminal() {
    for (name, summary) in all() {
        let mut plan = plan();
        plan.request = RequestImage::new(b"G\x1b[31mT\xff / HTTP/1.1\r\n\r\n", 1, false);
        let text = text(&plan, &summary, PLAIN) + &quiet_text(&plan, &summary);
        let printable = |byte: u8| byte == b'\n' || (32..127).contains(&byte);
        assert!(text.bytes().all(printable), "{name}: {text:?}");
    }
}

#[test]
fn colour_adds_escape_sequences_and_nothing_else() {
    for (name, summary) in all() {
        let style = Style { color: true, columns: 80 };
        let mut painted = text(&verbose(), &summary, style);
        assert!(painted.contains("\x1b[1m"), "{name}");
        for code in ["\x1b[1m", "\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m", "\x1b[0m"] {
            painted = painted.replace(code, "");
        }
        assert_eq!(painted, report(&summary), "{name}");
    }
}

#[test]
fn the_verdict_comes_with_its_reasons() {
    let mut summary = normal();
    summary.verdict.valid = false;
    summary.verdict.code = Code::ConnectionLimited;
    summary.verdict.reasons.push(Reason {
        rule: Rule::ConnectionsLost,
        level: Level::Invalid,
        text: "3 of 64 connections were open.".to_owned(),
    });
    let report = report(&summary);
    assert_lines(
        &report,
        &[
            "Verdict       NOT VALID, connection_limited: The workers waited for the server",
            "              for 30 % of the time.",
            "              invalid T2: 3 of 64 connections were open.",
        ],
    );
}

#[test]
fn an_interrupted_run_is_marked_before_any_number() {
    let summary = interrupted();
    let report = report(&summary);
    assert_lines(
        &report,
        &[
            "Duration      10 s; it was 3.21 s, and 12.346 ms of drain",
            "Warm-up       500 requests in 1 s, not counted",
            "Seed          42",
            "",
            "INTERRUPTED   by SIGINT after 3.21 s of 10 s: these numbers are of that part",
            "              only",
            "Result        held: all requests got a good answer",
            "Verdict       server_limited: The workers waited for the server for 30 % of the",
        ],
    );
    assert_lines(&report, &["Requests      20,064 sent: 20,000 ok, 64 in flight at the end"]);
    assert!(quiet_text(&plan(), &summary).starts_with("INTERRUPTED by SIGINT after 3.21 s"));
}

#[test]
fn requests_that_were_not_awaited_make_bounds_of_the_response() {
    assert_lines(
        &report(&interrupted()),
        &[
            "Latency               response         service            ttfb",
            "  min                 1.000 ms        1.000 ms        500.0 us",
            "  p50              >= 10.97 ms        11.00 ms        5.501 ms",
            "  p90              >= 19.01 ms        19.01 ms        9.503 ms",
            "  p95              >= 20.00 ms        20.00 ms        10.00 ms",
            "  p99              >= 20.81 ms        20.81 ms        10.40 ms",
            "  p99.9            >= 20.99 ms        20.99 ms        10.49 ms",
            "  max              >= 21.00 ms        21.00 ms        10.50 ms",
            "  mean             >= 10.97 ms        11.00 ms        5.500 ms",
        ],
    );
}

#[test]
fn too_few_samples_make_a_bound() {
    let mut record = Record::default();
    for index in 0..100 {
        complete(&mut record.phases[1], 200, 1_000_000 + index * 1000, None);
    }
    let report = report(&summary(record));
    assert_lines(
        &report,
        &[
            "  p90                 1.090 ms        1.090 ms",
            "  p95                 1.095 ms        1.095 ms",
            "  p99              >= 1.099 ms     >= 1.099 ms",
            "  p99.9            >= 1.099 ms     >= 1.099 ms",
            "  max                 1.099 ms        1.099 ms",
        ],
    );
    assert!(
        report
            .contains("  >= marks a lower bound: too few samples, or some not seen to their end\n")
    );
    assert!(!report.contains("of the p99"), "{report}");
}

#[test]
fn a_run_without_any_response_says_so() {
    let summary = empty();
    let report = report(&summary);
    assert_lines(
        &report,
        &[
            "Warm-up       none",
            "Seed          42",
            "",
            "GAVE UP       after 10 s: no connection could be had for 10 s",
            "Result        failing: no connection could be opened",
            "Verdict       NOT VALID, insufficient_samples: No response came at all.",
        ],
    );
    assert_lines(
        &report,
        &[
            "Requests      none sent",
            "",
            "Latency       not a single response, so there is none",
            "",
            "Errors        1,234",
            "       1,234  connect refused (ECONNREFUSED), from -1.00 s to 8.00 s",
            "              Nothing listens there.",
            "              hint: check that a server listens on this host and port",
            "",
            "Connections   64 asked, 0 opened, 0 used, 1,234 failed attempts, 0 reconnects",
            "              requests per connection: min 0, median 0, max 0",
        ],
    );
    assert_lines(&report, &["Requests/sec:      0.00", "Transfer/sec:       0.00B"]);
}

#[test]
fn failures_are_listed_with_cause_time_sample_and_hint() {
    let report = report(&hostile());
    assert_lines(
        &report,
        &[
            "Requests      20,012 sent: 20,000 ok, 7 http_error, 2 protocol_error, 1",
            "              truncated, 1 reset, 1 timeout; 3 never sent",
        ],
    );
    assert_lines(
        &report,
        &[
            "  4 requests failed, after 1.300 ms (p50) to 3.000 ms (max)",
            "",
            "Status        200: 20,000; 503: 7; 1xx: 5, which end no request",
            r#"  first 503   busy \x1b[2J\""#,
            "              (cut: the first 10 of 9,000 bytes)",
            "",
            "Errors        6, warm-up included",
            "           2  parse bad_head, from 1.50 s to 2.50 s",
            "              The response head is not HTTP/1.x.",
            r#"              sample: "\x1b[2J\x1b]0;owned\x07\xff\xfe\xc2\x9b31m\"\r\n""#,
            "              hint: check that this port speaks HTTP/1.1",
            "           1  parse head_too_large, at -1.00 s",
            "              The response head is larger than 1 MiB.",
            r#"              sample: "\x9b\x9b\x9b\x9b\x9b\x9b\x9b\x9b\x9b\x9b\x9b\x9b\x9b...""#,
            "              hint: check that this port speaks HTTP; heads of this size are a",
            "              fault of the server",
            "           1  receive reset (ECONNRESET), at 3.00 s",
        ],
    );
    assert_lines(
        &report,
        &[
            "           1  send other (18), at 4.00 s",
            "              An operating system error without a name of its own here.",
            "              hint: the operating system ended it with error 18; strace shows",
            "              the call that failed",
        ],
    );
    assert_lines(
        &report,
        &[
            "           1  timeout body_timeout, at 9.00 s",
            "              The response body was not whole in time.",
            "              first: status 200 after 1.200 ms, then 9 of 1,000 body bytes",
        ],
    );
}

#[test]
fn values_beyond_the_histogram_are_confessed() {
    let mut plan = plan();
    plan.output.latency = true;
    let report = text(&plan, &clamped(), PLAIN);
    assert_lines(
        &report,
        &[
            "  2 latency values above one hour: quantiles take them for one hour, max and",
            "  mean do not",
        ],
    );
    assert_lines(
        &report,
        &[
            "Distribution          response        up to it           above",
            "  p50                 11.00 ms          10,002          10,000",
            "  p75                 16.01 ms          15,008           4,994",
            "  p90                 19.01 ms          18,006           1,996",
            "  p95                 20.00 ms          19,005             997",
            "  p99                 20.81 ms          19,808             194",
            "  p99.9               20.99 ms          19,988              14",
            "  p99.99           >= 21.00 ms          20,000               2",
            "  p99.999            >= 3600 s          20,002               0",
            "  p100                 10800 s          20,002               0",
        ],
    );
}

#[test]
fn a_run_by_number_and_churn_are_described() {
    let mut plan = verbose();
    plan.load.requests = Some(10_000);
    plan.load.requests_per_connection = Some(1);
    plan.load.connections = 1;
    plan.threads_reason = None;
    plan.same_host = false;
    let mut summary = normal();
    summary.window.measured_ns = 1_234_000_000;
    summary.measured.completed_in_window -= 1;
    summary.measured.drained += 1;
    let both = text(&plan, &summary, PLAIN);
    assert_lines(
        &both,
        &[
            "Target        127.0.0.1:8080",
            "Engine        uring, idle auto",
            "Threads       1",
            "Load          closed loop, 1 connection, pipeline 1, each closed after 1 request",
            "Duration      10,000 requests or 10 s, whichever is first; it was 1.234 s",
        ],
    );
    assert_lines(&both, &["  1 more response came after the end, in the drain"]);
    plan.load.duration_ns = None;
    let by_number = text(&plan, &summary, PLAIN);
    assert_lines(&by_number, &["Duration      10,000 requests in 1.234 s"]);
}

#[test]
fn the_client_line_tells_many_workers_by_their_range_and_what_ran_out() {
    let mut summary = normal();
    let workers = &mut summary.client.workers;
    workers[0].spin_ns = 2 * SECOND;
    workers[0].spin_cpu_ns = 2 * SECOND;
    workers[0].buffers_exhausted = 1;
    workers[0].completions_overflowed = 2;
    for _ in 0..9 {
        let busier = ClientTally { delayed_ns: 3 * SECOND, ..workers[0] };
        workers.push(busier);
    }
    summary.client.cpu_ns += 20 * SECOND;
    let report = report(&summary);
    assert_lines(
        &report,
        &[
            "Client        439.0 us of CPU a request; work share by worker 50 % to 70 %;",
            "              spinning 20 % of the time; peak memory 12.00 MiB;",
            "              stamp skew 3.200 us; receive slack 41.00 us;",
            "              no receive buffer was left 10 times;",
            "              the completion queue overflowed 20 times",
        ],
    );
}

#[test]
fn quiet_is_the_verdict_and_the_two_rates() {
    assert_eq!(
        quiet_text(&plan(), &normal()),
        "Result: held: all requests got a good answer\n\
         Verdict: server_limited: The workers waited for the server for 30 % of the time.\n\
         Requests/sec:   2000.00\n\
         Transfer/sec:    390.62KB\n"
    );
}
