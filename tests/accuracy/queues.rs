//! Queues: each request is compared with a twin that Lindley's recursion computes from the intended times and the
//! target's own service draws; their mean with theory.

use maxq::serve::service_draw_ns;

use super::bed::{Bed, Measured, QUIET_NS, Row, quantile};

const MS: u64 = 1_000_000;

/// The response time of each answered request less that of its twin, in nanoseconds, in the order of the target.
fn against_twins(measured: &Measured, service_ns: impl Fn(u64) -> u64) -> Vec<(Row, i64)> {
    let mut rows: Vec<Row> =
        measured.rows.iter().filter(|row| row.server_number.is_some()).cloned().collect();
    rows.sort_by_key(|row| row.server_number);
    let mut free_at = 0;
    rows.into_iter()
        .enumerate()
        .map(|(number, row)| {
            assert_eq!(row.server_number, Some(number as u64), "no answer is missing");
            free_at = row.intended.max(free_at) + service_ns(number as u64);
            let twin_ns = i64::try_from(free_at - row.intended).unwrap();
            let found_ns = i64::try_from(row.response_ns()).unwrap();
            (row, found_ns - twin_ns)
        })
        .collect()
}

/// All but one in a thousand requests take what their twins take, within 300 us after the fixed cost of wire, kernel and
/// waking up, which is returned in milliseconds.
fn assert_twins(measured: &Measured, service_ns: impl Fn(u64) -> u64) -> f64 {
    let compared = against_twins(measured, service_ns);
    let measured = compared.iter().filter(|(row, _)| row.measured);
    let mut excess: Vec<i64> = measured.map(|(_, excess)| *excess).collect();
    excess.sort_unstable();
    let kappa = excess[excess.len() / 2];
    assert!((0..200_000).contains(&kappa), "the fixed cost is {kappa} ns");
    let off = excess.iter().filter(|&&excess| (excess - kappa).abs() > 300_000).count();
    assert!(off * 1000 <= excess.len(), "{off} of {} are off", excess.len());
    kappa as f64 / 1e6
}

/// Random arrivals at half of what the queue can do, until the machine was quiet enough for one in a thousand to mean
/// something. Both draws are seeded, with a seed whose twins' mean is that of theory to a thousandth: three seconds
/// of other seeds are off by much more.
fn quiet(bed: &Bed, law: &str, service_ns: impl Fn(u64) -> u64) -> Measured {
    let arguments =
        ["--arrivals", "poisson", "--seed", "25", "-d", "3s", "--warmup", "200ms", "-c", "256"];
    let arguments = [&["-R", "500"], &arguments[..]].concat();
    let disturbed = |measured: &Measured| measured.disturbed() + target_late(measured, &service_ns);
    bed.undisturbed_by(law, 0.0006, &arguments, disturbed)
}

/// The share of measured requests that the target itself answered late, by its own stamps.
fn target_late(measured: &Measured, service_ns: impl Fn(u64) -> u64) -> f64 {
    let mut rows: Vec<&Row> =
        measured.rows.iter().filter(|row| row.server_number.is_some()).collect();
    rows.sort_by_key(|row| row.server_number);
    let (mut free_at, mut late) = (0, 0);
    for (number, row) in (0..).zip(&rows) {
        let (received, sent) = (row.server_received.unwrap(), row.server_sent.unwrap());
        free_at = received.max(free_at) + service_ns(number);
        late += u64::from(row.measured && sent > free_at + QUIET_NS);
    }
    late as f64 / rows.len().max(1) as f64
}

#[test]
fn every_request_of_an_mm1_queue_takes_what_its_twin_takes() {
    let bed = Bed::start();
    let service_ns = |number| service_draw_ns(5, number, MS);
    let measured = quiet(&bed, "mm1?mean=1ms&seed=5", service_ns);
    let kappa = assert_twins(&measured, service_ns);
    let mean = measured.ms("response", "mean") - kappa;
    assert!((mean / 2.0 - 1.0).abs() < 0.05, "the mean is {mean} ms, 2 by theory");
}

#[test]
fn every_request_of_an_md1_queue_takes_what_its_twin_takes() {
    let bed = Bed::start();
    let measured = quiet(&bed, "md1?d=1ms", |_| MS);
    let kappa = assert_twins(&measured, |_| MS);
    let mean = measured.ms("response", "mean") - kappa;
    assert!((mean / 1.5 - 1.0).abs() < 0.05, "the mean is {mean} ms, 1.5 by theory");
}

#[test]
fn the_same_server_shows_its_service_time_to_even_arrivals_and_a_queue_to_random_ones() {
    let bed = Bed::start();
    let arguments = ["-R", "800", "-d", "4s", "--warmup", "0", "-c", "256"];
    let even = bed.undisturbed("md1?d=1ms", 0.004, &arguments);
    let found = even.ms("response", "p99");
    assert!((found - 1.0).abs() < 0.3, "p99 with even arrivals is {found} ms");
    let random = [&arguments[..], &["--arrivals", "poisson", "--seed", "2"]].concat();
    let random = bed.undisturbed("md1?d=1ms", 0.004, &random);
    // By theory 11.4 ms; four seconds of it may be far off, but not by so much.
    let found = random.ms("response", "p99");
    assert!((5.0..25.0).contains(&found), "p99 with random arrivals is {found} ms");
    assert!((random.ms("response", "mean") - 3.0).abs() < 1.5);
}

#[test]
fn latencies_do_not_depend_on_the_number_of_workers() {
    let bed = Bed::start();
    let arguments = ["-R", "999", "-d", "2s", "--warmup", "0", "-c", "300", "--idle", "sleep"];
    let law = "mixture?fast=1ms&slow=50ms&every=20";
    let mut medians = Vec::new();
    for threads in ["1", "2"] {
        let measured = bed.measure_unpinned(law, &[&arguments[..], &["-t", threads]].concat());
        assert_eq!(measured.report.count("ok"), 1998);
        let slow = measured.answered().filter(|row| row.response_ns() >= 50 * MS).count();
        assert!(slow.abs_diff(100) <= 5, "{slow} are slow with {threads} workers");
        let all: Vec<u64> = measured.answered().map(Row::response_ns).collect();
        medians.push(quantile(&all, 0.5) as f64 / 1e6);
        // The text of the report, its histogram and the log agree.
        let logged = quantile(&all, 0.99) as f64 / 1e6;
        let reported = measured.ms("response", "p99");
        assert!(
            (logged / reported - 1.0).abs() < 0.002,
            "{logged} in the log, {reported} reported"
        );
    }
    assert!((medians[0] - medians[1]).abs() < 0.5, "{medians:?}");
}

#[test]
fn equal_targets_are_not_told_apart_and_five_percent_are() {
    let bed = Bed::start();
    let median = |law: &str| {
        let arguments = ["-R", "500", "-d", "400ms", "--warmup", "100ms", "-c", "32"];
        bed.measure(law, &arguments).ms("response", "p50")
    };
    let pairs = |a: &str, b: &str| -> Vec<f64> {
        let shift = |turned: bool| {
            let (first, second) = if turned { (b, a) } else { (a, b) };
            let (x, y) = (median(first), median(second));
            if turned { x / y - 1.0 } else { y / x - 1.0 }
        };
        let mut shifts: Vec<f64> = (0..8).map(|pair| shift(pair % 2 == 1)).collect();
        shifts.sort_by(f64::total_cmp);
        shifts
    };
    let equal = pairs("fixed?d=1ms", "fixed?d=1000us");
    assert!(equal[4].abs() < 0.03, "the same target: {equal:?}");
    let slower = pairs("fixed?d=1ms", "fixed?d=1050us");
    // Seven of eight pairs of one sign do not come about by chance.
    assert!(slower[1] > 0.0 && (slower[4] - 0.05).abs() < 0.02, "five percent: {slower:?}");
}
