//! Laws whose quantiles are algebra: fixed delays, a mixture, a stall, an overload, the end of a run, timeouts.

use super::bed::{Bed, Measured, RATE, until_no_hiccup};

#[test]
fn fixed_delays_are_measured_to_tens_of_microseconds() {
    let bed = Bed::start();
    // The fixed cost of wire, kernel and both programs: response times at a delay of nothing.
    let fixed = bed.undisturbed("fixed?d=0", &["-R", RATE, "-d", "2s", "--warmup", "300ms"]);
    let cost = fixed.undisturbed_ms(0.5);
    assert!(cost < 0.1 * fixed.slack(), "the fixed cost is {cost} ms");
    for (delay, ms) in [("100us", 0.1), ("1ms", 1.0), ("10ms", 10.0)] {
        let law = format!("fixed?d={delay}");
        let arguments = ["-R", RATE, "-d", "2s", "--warmup", "300ms", "-c", "128"];
        let measured = bed.undisturbed(&law, &arguments);
        let slack = measured.slack().max(fixed.slack());
        // What was held up is left out of a run that is not quiet: nothing remains to be said of its tail.
        let quiet = measured.quiet && fixed.quiet;
        for &(quantile, bound) in &[(0.5, 0.06), (0.99, 0.3)][..if quiet { 2 } else { 1 }] {
            let (cost, found) = (fixed.undisturbed_ms(quantile), measured.undisturbed_ms(quantile));
            let what = format!("{delay}: {quantile} is {found} ms, {cost} of them fixed");
            assert!((found - cost - ms).abs() <= bound * slack, "{what}");
        }
    }
    let arguments = ["-R", "200", "-d", "3s", "--warmup", "300ms", "-c", "128"];
    let measured = bed.undisturbed("fixed?d=200ms", &arguments);
    for quantile in [0.5, 0.99] {
        let found = measured.undisturbed_ms(quantile);
        assert!((found - 200.0).abs() <= 1.0, "200 ms: {quantile} is {found} ms");
    }
}

#[test]
fn a_mixture_keeps_its_two_values_apart_to_the_rank() {
    let bed = Bed::start();
    let law = "mixture?fast=1ms&slow=100ms&every=100";
    let arguments = ["-R", RATE, "-n", "4000", "--warmup", "0", "-c", "300"];
    let measured = bed.undisturbed(law, &arguments);
    let slow = measured.answered().filter(|row| row.response_ns() >= 100_000_000).count();
    assert_eq!(slow, 40, "exactly every hundredth is slow");
    // The fixed cost of wire and kernel is in them, and up to a few tenths on a machine that wakes up slowly.
    for (quantile, truth, bound) in [(0.9, 1.0, 0.3), (0.95, 1.0, 0.3), (0.999, 100.0, 1.0)] {
        let found = measured.undisturbed_ms(quantile);
        let bound = bound * measured.slack();
        assert!((found - truth).abs() < bound, "{quantile}: {found} ms, truth {truth} ms");
    }
    // One in a hundred at 100 ms, the rest at 1 ms; in quiet runs that makes 1.99.
    let all = measured.undisturbed_ns();
    let (count, sum) = (all.len() as f64, all.iter().sum::<u64>() as f64);
    let slow = all.iter().filter(|&&ns| ns >= 100_000_000).count() as f64 / count;
    let (mean, truth) = (sum / count / 1e6, slow.mul_add(99.0, 1.0));
    let what = format!("nothing is invented between: {mean} ms, truth {truth} ms");
    assert!((mean - truth).abs() < 0.1 * measured.slack(), "{what}");
}

#[test]
fn a_stall_has_the_quantiles_of_the_closed_form() {
    let bed = Bed::start();
    let law = "stall?d=1ms&stall=1s&every=10s";
    let arguments = ["-R", "1000", "-d", "10s", "--warmup", "0", "-c", "1500"];
    until_no_hiccup(|| {
        let measured = bed.measure(law, &arguments);
        assert_eq!(measured.report.count("ok"), 10_000);
        // What the target itself took to let go of a thousand answers is not to be known beforehand.
        let held = measured.answered().filter(|row| row.response_ns() > 100_000_000);
        let ends: Vec<u64> = held.map(|row| row.ended).collect();
        let release_ms = (ends.iter().max().unwrap() - ends.iter().min().unwrap()) as f64 / 1e6;
        measured.holds(release_ms < 100.0, format!("released in {release_ms} ms"))?;
        for (key, truth) in [("p95", 501.0), ("p99", 901.0), ("p99_9", 991.0)] {
            let allowed = f64::max(2.0, truth * 0.005).max(release_ms);
            close_to(&measured, ("response", key), truth, allowed)?;
        }
        close_to(&measured, ("response", "mean"), 51.0, 2.0)
    });
}

/// That a figure of the report, in ms, is the closed form's.
fn close_to(
    measured: &Measured,
    (latency, key): (&str, &str),
    truth: f64,
    allowed: f64,
) -> Result<(), String> {
    let found = measured.ms(latency, key);
    let what = format!("{latency} {key} is {found} ms, {truth} by the closed form");
    measured.holds((found - truth).abs() <= allowed, what)
}

#[test]
fn an_overload_grows_as_the_closed_form_says_and_is_called_unstable() {
    let bed = Bed::start();
    let arguments = ["-R", "1250", "-d", "5s", "--warmup", "0", "-c", "64"];
    until_no_hiccup(|| {
        let measured = bed.measure("md1?d=1ms", &arguments);
        let report = &measured.report;
        assert_eq!((report.count("scheduled"), report.count("ok")), (6250, 6250));
        assert!((report.float("/rates/offered_rps") - 1250.0).abs() < 1e-6);
        assert_eq!(report.text("/verdict/code"), "unstable");
        // The k-th request waits k times the difference between service and spacing.
        for (key, truth) in [("p50", 626.0), ("p99", 1238.5), ("max", 1251.0)] {
            close_to(&measured, ("response", key), truth, 10.0)?;
        }
        let achieved = report.float("/rates/achieved_rps");
        measured.holds((achieved - 1000.0).abs() < 5.0, format!("achieved {achieved}/s"))?;
        // Sixty-four connections wait at the target, the rest waits for one of them.
        close_to(&measured, ("service", "p50"), 64.0, 2.0)?;
        close_to(&measured, ("pool_wait", "p50"), 626.0 - 64.0, 15.0)
    });
}

#[test]
fn what_is_unanswered_at_the_end_is_awaited_or_said_to_be_a_bound() {
    let bed = Bed::start();
    // The stall begins half a second before the end and lasts for a second.
    let law = "stall?d=1ms&stall=1s&every=4s";
    let arguments = ["-R", "1000", "-d", "3500ms", "--warmup", "0", "-c", "800"];
    until_no_hiccup(|| {
        let measured = bed.measure(law, &arguments);
        assert_eq!(measured.report.count("ok"), 3500);
        assert!(measured.report.float("/window/drain_s") > 0.4);
        // Of 3500, the last 500 wait from half a second to a second.
        close_to(&measured, ("response", "p99"), 965.0, 25.0)
    });
    until_no_hiccup(|| {
        let cut = bed.measure(law, &[&arguments[..], &["--drain", "0"]].concat());
        let left = cut.report.count("in_flight_at_end");
        assert_eq!(cut.report.number("/latency/response/censored"), left);
        let unsupported = cut.report.json["latency"]["response"]["unsupported"].to_string();
        assert!(unsupported.contains("p99\""), "p99 is no more than a bound: {unsupported}");
        cut.holds(left.abs_diff(500) < 20, format!("{left} are left"))
    });
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
    let measured = bed.undisturbed("fixed?d=1ms", &["-R", "100", "-n", "50"]);
    assert_eq!(measured.report.count("ok"), 50);
    let unsupported = measured.report.json["latency"]["response"]["unsupported"].to_string();
    assert!(unsupported.contains("p99\"") && unsupported.contains("p99_9"), "{unsupported}");
    assert_eq!(measured.report.text("/verdict/code"), "insufficient_samples");
}
