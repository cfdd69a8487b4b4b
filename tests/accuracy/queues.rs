//! Queues: each request is compared with a twin that Lindley's recursion computes from the intended times and the
//! target's own service draws; their mean with theory.

use maxq::serve::service_draw_ns;

use super::bed::{Bed, Measured, QUIET_NS, Row, quantile};

const MS: u64 = 1_000_000;

/// A request beside its twin.
struct Compared {
    measured: bool,
    response_ns: u64,
    /// How much longer than its twin it took.
    excess_ns: i64,
    /// The machine held it up, or one before it in the same queue.
    disturbed: bool,
}

/// Each answered request beside its twin, in the order of the target.
fn against_twins(measured: &Measured, service_ns: impl Fn(u64) -> u64) -> Vec<Compared> {
    let mut rows: Vec<&Row> =
        measured.rows.iter().filter(|row| row.server_number.is_some()).collect();
    rows.sort_by_key(|row| row.server_number);
    // Until when the queue is busy: by the twins, and by what the target received and when it sent its answers.
    let (mut twin_free_at, mut free_at, mut sent_before) = (0, 0, 0);
    let mut disturbed = false;
    let mut compared = Vec::new();
    for (number, row) in (0..).zip(rows) {
        assert_eq!(row.server_number, Some(number), "no answer is missing");
        let (received, sent) = (row.server_received.unwrap(), row.server_sent.unwrap());
        let queue_goes_on = row.intended < twin_free_at || row.intended < sent_before;
        free_at = received.max(free_at) + service_ns(number);
        disturbed = row.is_held_up() || sent > free_at + QUIET_NS || (disturbed && queue_goes_on);
        twin_free_at = row.intended.max(twin_free_at) + service_ns(number);
        sent_before = sent;
        let twin_ns = i64::try_from(twin_free_at - row.intended).unwrap();
        compared.push(Compared {
            measured: row.measured,
            response_ns: row.response_ns(),
            excess_ns: i64::try_from(row.response_ns()).unwrap() - twin_ns,
            disturbed,
        });
    }
    compared.retain(|request| request.measured);
    compared
}

/// The share of requests that were disturbed, and their share of the whole time above their twins': both together say
/// how far the machine may have moved a mean.
fn disturbance(compared: &[Compared]) -> f64 {
    let disturbed = || compared.iter().filter(|request| request.disturbed);
    let excess_ns: u64 = disturbed().map(|request| request.excess_ns.unsigned_abs()).sum();
    let all_ns: u64 = compared.iter().map(|request| request.response_ns).sum();
    disturbed().count() as f64 / compared.len() as f64 + excess_ns as f64 / all_ns as f64
}

/// All but one in a thousand of the requests that the machine left alone take what their twins take, within 300 us after
/// the fixed cost of wire, kernel and waking up, which is returned in milliseconds.
fn assert_twins(measured: &Measured, service_ns: impl Fn(u64) -> u64) -> f64 {
    let compared = against_twins(measured, service_ns);
    let quiet = compared.iter().filter(|request| !request.disturbed);
    let mut excess: Vec<i64> = quiet.map(|request| request.excess_ns).collect();
    excess.sort_unstable();
    assert!(excess.len() > 1400, "only {} requests are left to compare", excess.len());
    let kappa = excess[excess.len() / 2];
    assert!((0..200_000).contains(&kappa), "the fixed cost is {kappa} ns");
    let off = excess.iter().filter(|&&excess| (excess - kappa).abs() > 300_000).count();
    assert!(off * 1000 <= excess.len(), "{off} of {} are off", excess.len());
    kappa as f64 / 1e6
}

/// Random arrivals at half of what the queue can do. Both draws are seeded, with a seed whose twins' mean is that of
/// theory to a thousandth: three seconds of other seeds are off by much more.
fn quiet(bed: &Bed, law: &str, service_ns: impl Fn(u64) -> u64) -> Measured {
    let arguments =
        ["--arrivals", "poisson", "--seed", "25", "-d", "3s", "--warmup", "200ms", "-c", "256"];
    let arguments = [&["-R", "500"], &arguments[..]].concat();
    let disturbed = |measured: &Measured| {
        let by_client = measured.held_up_by_client();
        // More than that is no machine's doing, or a machine on which nothing can be measured.
        let too_many = if by_client > 0.01 { 1.0 } else { 0.0 };
        disturbance(&against_twins(measured, &service_ns)) + too_many
    };
    bed.undisturbed_by(law, 0.03, &arguments, disturbed)
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
