//! Laws whose quantiles are algebra: fixed delays, a mixture, a stall, an overload, the end of a run, timeouts.

use super::bed::Bed;

/// The fixed cost of wire, kernel and both programs: response times at a delay of nothing, p50 and p99 in ms.
fn kappa(bed: &Bed) -> (f64, f64) {
    let measured =
        bed.undisturbed("fixed?d=0", 0.004, &["-R", "1000", "-d", "2s", "--warmup", "300ms"]);
    (measured.ms("response", "p50"), measured.ms("response", "p99"))
}

#[test]
fn fixed_delays_are_measured_to_tens_of_microseconds() {
    let bed = Bed::start();
    let (p50, p99) = kappa(&bed);
    assert!(p50 < 0.1, "the fixed cost is {p50} ms");
    for (delay, ms) in [("100us", 0.1), ("1ms", 1.0), ("10ms", 10.0)] {
        let law = format!("fixed?d={delay}");
        let arguments = ["-R", "1000", "-d", "2s", "--warmup", "300ms", "-c", "128"];
        let measured = bed.undisturbed(&law, 0.004, &arguments);
        let (found, tail) = (measured.ms("response", "p50"), measured.ms("response", "p99"));
        assert!(
            (found - p50 - ms).abs() <= 0.06,
            "{delay}: p50 is {found} ms, {p50} of them fixed"
        );
        assert!((tail - p99 - ms).abs() <= 0.3, "{delay}: p99 is {tail} ms, {p99} of them fixed");
    }
    let arguments = ["-R", "200", "-d", "3s", "--warmup", "300ms", "-c", "128"];
    let measured = bed.undisturbed("fixed?d=200ms", 0.004, &arguments);
    for key in ["p50", "p99"] {
        let found = measured.ms("response", key);
        assert!((found / 200.0 - 1.0).abs() <= 0.005, "200 ms: {key} is {found} ms");
    }
}

#[test]
fn a_mixture_keeps_its_two_values_apart_to_the_rank() {
    let bed = Bed::start();
    let law = "mixture?fast=1ms&slow=100ms&every=100";
    let arguments = ["-R", "1000", "-d", "4s", "--warmup", "0", "-c", "300"];
    let measured = bed.undisturbed(law, 0.004, &arguments);
    let slow = measured.answered().filter(|row| row.response_ns() >= 100_000_000).count();
    assert_eq!(slow, 40, "exactly every hundredth is slow");
    // The fixed cost of wire and kernel is in them, and up to a few tenths on a machine that wakes up slowly.
    assert!((measured.ms("response", "p90") - 1.0).abs() < 0.3);
    assert!((measured.ms("response", "p95") - 1.0).abs() < 0.3);
    assert!((measured.ms("response", "p99_9") - 100.0).abs() < 1.0);
    // One in a hundred at 100 ms, the rest at 1 ms.
    assert!((measured.ms("response", "mean") - 1.99).abs() < 0.1, "nothing is invented between");
}

#[test]
fn a_stall_has_the_quantiles_of_the_closed_form() {
    let bed = Bed::start();
    let law = "stall?d=1ms&stall=1s&every=10s";
    let arguments = ["-R", "1000", "-d", "10s", "--warmup", "0", "-c", "1500"];
    // What is released together at the end of the stall is slow on the wire by itself.
    let measured = bed.undisturbed(law, 0.11, &arguments);
    assert_eq!(measured.report.count("ok"), 10_000);
    // What the target itself took to let go of a thousand answers is not to be known beforehand.
    let held = measured.answered().filter(|row| row.response_ns() > 100_000_000);
    let ends: Vec<u64> = held.map(|row| row.ended).collect();
    let release_ms = (ends.iter().max().unwrap() - ends.iter().min().unwrap()) as f64 / 1e6;
    assert!(release_ms < 100.0, "released in {release_ms} ms");
    for (key, truth) in [("p95", 501.0), ("p99", 901.0), ("p99_9", 991.0)] {
        let found = measured.ms("response", key);
        let allowed = f64::max(2.0, truth * 0.005).max(release_ms);
        assert!(
            (found - truth).abs() <= allowed,
            "{key} is {found} ms, {truth} by the closed form"
        );
    }
    assert!((measured.ms("response", "mean") - 51.0).abs() < 2.0);
}

#[test]
fn an_overload_grows_as_the_closed_form_says_and_is_called_unstable() {
    let bed = Bed::start();
    let arguments = ["-R", "1250", "-d", "5s", "--warmup", "0", "-c", "64"];
    let measured = bed.measure("md1?d=1ms", &arguments);
    let report = &measured.report;
    assert_eq!((report.count("scheduled"), report.count("ok")), (6250, 6250));
    // The k-th request waits k times the difference between service and spacing.
    for (key, truth) in [("p50", 626.0), ("p99", 1238.5), ("max", 1251.0)] {
        let found = measured.ms("response", key);
        assert!((found - truth).abs() < 10.0, "{key} is {found} ms, {truth} by the closed form");
    }
    assert!((report.float("/rates/achieved_rps") - 1000.0).abs() < 5.0);
    assert!((report.float("/rates/offered_rps") - 1250.0).abs() < 1e-6);
    assert_eq!(report.text("/verdict/code"), "unstable");
    // Sixty-four connections wait at the target, the rest waits for one of them.
    assert!((measured.ms("service", "p50") - 64.0).abs() < 2.0);
    assert!((measured.ms("pool_wait", "p50") - (626.0 - 64.0)).abs() < 15.0);
}

#[test]
fn what_is_unanswered_at_the_end_is_awaited_or_said_to_be_a_bound() {
    let bed = Bed::start();
    // The stall begins half a second before the end and lasts for a second.
    let law = "stall?d=1ms&stall=1s&every=4s";
    let arguments = ["-R", "1000", "-d", "3500ms", "--warmup", "0", "-c", "800"];
    let measured = bed.measure(law, &arguments);
    assert_eq!(measured.report.count("ok"), 3500);
    // Of 3500, the last 500 wait from half a second to a second.
    let found = measured.ms("response", "p99");
    assert!((found - 965.0).abs() < 25.0, "p99 is {found} ms");
    assert!(measured.report.float("/window/drain_s") > 0.4);

    let cut = bed.measure(law, &[&arguments[..], &["--drain", "0"]].concat());
    let left = cut.report.count("in_flight_at_end");
    assert!(left.abs_diff(500) < 20, "{left} are left");
    assert_eq!(cut.report.number("/latency/response/censored"), left);
    let unsupported = cut.report.json["latency"]["response"]["unsupported"].to_string();
    assert!(unsupported.contains("p99\""), "p99 is no more than a bound: {unsupported}");
}

#[test]
fn requests_that_are_never_answered_are_in_the_percentiles_at_the_timeout_or_above() {
    let bed = Bed::start();
    let law = "silent?d=1ms&every=50";
    let arguments = ["-R", "500", "-d", "4s", "--warmup", "0", "--timeout", "500ms", "-c", "64"];
    let measured = bed.measure(law, &arguments);
    let report = &measured.report;
    assert_eq!(report.count("timeout"), 40, "one in fifty of 2000");
    assert_eq!(measured.target_count("silent"), 40);
    assert_eq!(report.count("ok"), 1960);
    assert!(measured.ms("response", "p95") < 10.0);
    for key in ["p99", "p99_9", "max"] {
        assert!(measured.ms("response", key) >= 500.0, "{key}");
    }
}

#[test]
fn fifty_requests_are_too_few_for_a_tail() {
    let bed = Bed::start();
    let measured = bed.undisturbed("fixed?d=1ms", 0.0, &["-R", "100", "-n", "50"]);
    assert_eq!(measured.report.count("ok"), 50);
    let unsupported = measured.report.json["latency"]["response"]["unsupported"].to_string();
    assert!(unsupported.contains("p99\"") && unsupported.contains("p99_9"), "{unsupported}");
    assert_eq!(measured.report.text("/verdict/code"), "insufficient_samples");
}
