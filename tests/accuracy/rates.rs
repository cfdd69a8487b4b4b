//! The rate that the target sees is the rate that was asked for, at every moment; spikes do what algebra says.

use std::fs;

use super::bed::{Bed, Measured, cores, until_no_hiccup, witnessed};
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
    until_no_hiccup(|| {
        let measured = bed.measure_spinning("fixed?d=0", &arguments);
        for second in bins(&measured).chunks_exact(10) {
            let arrived: u64 = second.iter().sum();
            let what = format!("{arrived} in a second");
            measured.holds(arrived.abs_diff(5000) <= 25, what)?;
        }
        let mut sent: Vec<u64> = measured.answered().filter_map(|row| row.sent).collect();
        sent.sort_unstable();
        let gaps: Vec<f64> = sent.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let off = gaps.iter().filter(|&&gap| (gap / mean - 1.0).abs() > 0.25).count();
        let what = format!("{off} of {} gaps are not even", gaps.len());
        // A request that the machine held up is too far from one neighbour and too close to the other.
        let allowed = 0.02 + 2.0 * measured.disturbed();
        measured.holds(off as f64 <= allowed * gaps.len() as f64, what)
    });
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
    let measured = bed.undisturbed_spinning("fixed?d=0", &arguments);
    let bins = bins(&measured);
    let bins = &bins[..99];
    let mean = bins.iter().sum::<u64>() as f64 / bins.len() as f64;
    let variance = bins.iter().map(|&bin| (bin as f64 - mean).powi(2)).sum::<f64>() / 98.0;
    let dispersion = variance / mean;
    assert!((mean - 200.0).abs() < 6.0, "{mean} in a tenth of a second");
    assert!((dispersion - 1.0).abs() < 4.0 / 99_f64.sqrt() * 1.5, "dispersion is {dispersion}");
    let mut sends: Vec<(u64, u64)> =
        measured.answered().filter_map(|row| row.sent.map(|sent| (sent, row.intended))).collect();
    sends.sort_unstable();
    let pairs =
        || sends.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[1].1.abs_diff(pair[0].1)));
    let distance = from_exponential(pairs().map(|(sent, _)| sent as f64 / 5e5).collect());
    // A late wake-up moves a gap between sends away from the one that was intended.
    let moved = pairs().filter(|(sent, intended)| sent.abs_diff(*intended) > 10_000).count();
    let moved = moved as f64 / sends.len() as f64;
    let what = format!("gaps are {distance} from exponential, {moved} of them moved");
    // Sends that keep to no schedule have all gaps moved, which is no machine's doing.
    assert!(moved < 0.75, "{what}");
    assert!(distance <= 0.02 + moved, "{what}");
    let intended = from_exponential(pairs().map(|(_, intended)| intended as f64 / 5e5).collect());
    assert!(intended <= 0.02, "intended gaps are {intended} from exponential");
}

/// The largest distance of the distribution of `gaps`, in units of their mean, from the exponential one.
fn from_exponential(mut gaps: Vec<f64>) -> f64 {
    gaps.sort_by(f64::total_cmp);
    let count = gaps.len() as f64;
    let at =
        |(rank, gap): (usize, &f64)| ((rank as f64 + 0.5) / count - (1.0 - (-gap).exp())).abs();
    gaps.iter().enumerate().map(at).fold(0.0, f64::max)
}

#[test]
fn a_spike_has_the_peak_the_backlog_and_the_recovery_of_the_closed_form() {
    let bed = Bed::start();
    let (core, _) = cores();
    until_no_hiccup(|| {
        let path = bed.law("md1?d=1ms&stamps=1");
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("requests.jsonl");
        // 1000 a second at most: 500, 2000 for a second, and 500 again.
        let shape = "--base 500 --peak 2000 --at 2s --hold 1s -d 7s --warmup 0 -c 1500 -t 1 --json --no-preflight";
        let measured = witnessed(|| {
            let ended = run(maxq()
                .arg("spike")
                .args(shape.split(' '))
                .args(["--cpus", &core.to_string(), "--log-requests"])
                .arg(&log)
                .arg(bed.url(&path)));
            bed.read(&path, ended, &fs::read_to_string(&log).unwrap())
        });
        let phases = measured.report.json["phases"].as_array().unwrap();
        let names: Vec<&str> = phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["base", "spike", "recovery"]);
        let scheduled: Vec<u64> =
            phases.iter().map(|phase| phase["counts"]["scheduled"].as_u64().unwrap()).collect();
        assert_eq!(scheduled, [1000, 2000, 2000]);
        let spike = &phases[1]["disturbances"][0];
        let near = |found: f64, truth: f64, allowed: f64| {
            measured
                .holds((found - truth).abs() <= allowed, format!("{found} not {truth}: {spike}"))
        };
        near(spike["peak_latency_us"].as_f64().unwrap() / 1e6, 1.0, 0.03)?;
        near(phases[1]["peak_outstanding"].as_f64().unwrap(), 1001.0, 20.0)?;
        near(spike["recovered_after_s"].as_f64().unwrap(), 2.0, 0.11)
    });
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
    // Whichever of the two cores was the slower one.
    let code = report.text("/verdict/code");
    assert!(["client_limited", "unstable"].contains(&code), "{:#}", report.json["verdict"]);
    assert_eq!(report.json["verdict"]["valid"], false);
    assert!(ended.took.as_secs() < 10, "it took {:?}", ended.took);
}
