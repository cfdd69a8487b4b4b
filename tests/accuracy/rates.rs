//! The rate that the target sees is the rate that was asked for, at every moment; spikes do what algebra says.

use serde_json::Value;

use super::bed::{Bed, Measured, cores};
use super::support::{maxq, run};

/// Arrivals in each tenth of a second since the first, as the target counted them.
fn bins(measured: &Measured) -> Vec<u64> {
    let bins = measured.target["arrivals_per_100ms"].as_array().unwrap();
    bins.iter().map(|bin| bin.as_u64().unwrap()).collect()
}

#[test]
fn rates_are_kept_to_the_request_by_any_number_of_workers() {
    let bed = Bed::start();
    for (rate, threads, seconds, slots) in [
        ("1300", "1", "3s", 3900),
        ("1300.5", "2", "2s", 2601),
        ("0.5", "2", "3s", 2),
        ("90/min", "1", "3s", 5),
    ] {
        let arguments = ["-R", rate, "-t", threads, "-d", seconds, "--warmup", "0", "-c", "64"];
        let measured = bed.measure_unpinned("fixed?d=0", &arguments);
        assert_eq!(measured.report.count("scheduled"), slots, "{rate} with {threads} workers");
        assert_eq!(measured.target_count("requests"), slots);
    }
}

#[test]
fn the_target_sees_an_even_rate_in_every_second() {
    let bed = Bed::start();
    let arguments = ["-R", "5000", "-d", "4s", "--warmup", "0", "-c", "64"];
    let measured = bed.undisturbed_spinning("fixed?d=0", 0.03, &arguments);
    for second in bins(&measured).chunks_exact(10) {
        let arrived: u64 = second.iter().sum();
        assert!(arrived.abs_diff(5000) <= 25, "{arrived} in a second");
    }
    let sent: Vec<u64> = {
        let mut sent: Vec<u64> = measured.answered().filter_map(|row| row.sent).collect();
        sent.sort_unstable();
        sent
    };
    let gaps: Vec<f64> = sent.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let off = gaps.iter().filter(|&&gap| (gap / mean - 1.0).abs() > 0.25).count();
    assert!(off * 50 <= gaps.len(), "{off} of {} gaps are not even", gaps.len());
}

#[test]
fn the_target_sees_a_poisson_process() {
    let bed = Bed::start();
    let arguments = [
        "-R",
        "2000",
        "--arrivals",
        "poisson",
        "--seed",
        "3",
        "-d",
        "10s",
        "--warmup",
        "0",
        "-c",
        "128",
    ];
    let measured = bed.undisturbed_spinning("fixed?d=0", 0.03, &arguments);
    let bins = bins(&measured);
    let bins = &bins[..99];
    let mean = bins.iter().sum::<u64>() as f64 / bins.len() as f64;
    let variance = bins.iter().map(|&bin| (bin as f64 - mean).powi(2)).sum::<f64>() / 98.0;
    let dispersion = variance / mean;
    assert!((mean - 200.0).abs() < 6.0, "{mean} in a tenth of a second");
    assert!((dispersion - 1.0).abs() < 4.0 / 99_f64.sqrt() * 1.5, "dispersion is {dispersion}");
    let mut sent: Vec<u64> = measured.answered().filter_map(|row| row.sent).collect();
    sent.sort_unstable();
    let mut gaps: Vec<f64> = sent.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 5e5).collect();
    gaps.sort_by(f64::total_cmp);
    let count = gaps.len() as f64;
    let distance = gaps
        .iter()
        .enumerate()
        .map(|(rank, gap)| ((rank as f64 + 0.5) / count - (1.0 - (-gap).exp())).abs())
        .fold(0.0, f64::max);
    assert!(distance <= 0.02, "gaps are {distance} from exponential");
}

#[test]
fn a_spike_has_the_peak_the_backlog_and_the_recovery_of_the_closed_form() {
    let bed = Bed::start();
    let (core, _) = cores();
    let path = bed.law("md1?d=1ms");
    // 1000 a second at most: 500, 2000 for a second, and 500 again.
    let ended = run(maxq()
        .args([
            "spike", "--base", "500", "--peak", "2000", "--at", "2s", "--hold", "1s", "-d", "7s",
        ])
        .args(["--warmup", "0", "-c", "1500", "-t", "1", "--json", "--cpus", &core.to_string()])
        .arg(bed.url(&path)));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let phases = report["phases"].as_array().unwrap();
    let names: Vec<&str> = phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["base", "spike", "recovery"]);
    let scheduled: Vec<u64> =
        phases.iter().map(|phase| phase["counts"]["scheduled"].as_u64().unwrap()).collect();
    assert_eq!(scheduled, [1000, 2000, 2000]);
    let spike = &phases[1]["disturbances"][0];
    let number = |key: &str| spike[key].as_f64().unwrap();
    assert!((number("peak_latency_us") / 1e6 - 1.0).abs() < 0.03, "{spike}");
    assert!((phases[1]["peak_outstanding"].as_f64().unwrap() - 1001.0).abs() < 20.0);
    assert!((number("recovered_after_s") - 2.0).abs() <= 0.11, "{spike}");
}

#[test]
fn more_than_the_machine_can_send_ends_in_time_with_exact_counts() {
    let bed = Bed::start();
    let (core, _) = cores();
    let ended = run(maxq()
        .args(["-R", "3M", "-d", "1s", "--warmup", "0", "--drain", "1s", "--json", "-t", "1"])
        .args(["--cpus", &core.to_string()])
        .arg(bed.url("/")));
    let report = super::support::report::Report::of(&ended.stdout);
    assert_eq!(report.count("scheduled"), 3_000_000);
    assert_eq!(report.text("/verdict/code"), "client_limited");
    assert_eq!(report.json["verdict"]["valid"], false);
    assert!(ended.took.as_secs() < 10, "it took {:?}", ended.took);
}
