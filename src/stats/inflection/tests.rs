//! Sweeps of queues whose inflection points have closed forms, seed by seed.

use super::power::peak_of_rates;
use super::{Asked, Drawing, Findings, Point, Sweep, find, knee, plateau, stick, usl};
use crate::stats::known::{Draws, served};

/// The rate of a server that takes a millisecond.
const MU: f64 = 1000.0;
const RATES: Asked = Asked { sweep: Sweep::Rate, open: true, cut_short: false };
const CLOSED: Asked = Asked { sweep: Sweep::Connections, open: false, cut_short: false };
const SEEDS: u64 = 20;

/// What distinguishes the queues.
#[derive(Clone, Copy, Debug)]
enum Queue {
    Mm1,
    Md1,
}

/// A run of `seconds` at `rate`.
fn run(queue: Queue, rate: f64, seconds: f64, seed: u64) -> Point {
    let service = |draws: &mut Draws| match queue {
        Queue::Mm1 => draws.exponential(1.0 / MU),
        Queue::Md1 => 1.0 / MU,
    };
    let answers = served(seed, rate, seconds, service);
    let count = answers.len() as f64;
    let in_time = answers.iter().filter(|(at, took)| at + took <= seconds).count() as f64;
    let mut took: Vec<f64> = answers.iter().map(|answer| answer.1).collect();
    took.sort_by(f64::total_cmp);
    Point {
        x: rate,
        offered_rps: count / seconds,
        good_rps: in_time / seconds,
        good: in_time,
        errors: 0.0,
        mean_s: Some(took.iter().sum::<f64>() / count),
        p99_s: Some(took[took.len() * 99 / 100]),
    }
}

/// A sweep of `count` rates, geometric from `from` to `to`.
fn sweep(queue: Queue, (from, to, count): (f64, f64, u32), seconds: f64, seed: u64) -> Vec<Point> {
    let ratio = (to / from).powf(1.0 / f64::from(count - 1));
    (0..count)
        .map(|step| {
            let rate = from * ratio.powi(i32::try_from(step).unwrap());
            run(queue, rate, seconds, seed * 1000 + u64::from(step))
        })
        .collect()
}

fn findings(points: &[Point], seed: u64) -> Findings {
    find(RATES, points, Drawing::few(seed))
}

/// Of `SEEDS` sweeps, those for which `holds`.
fn held(count: impl Fn(u64) -> bool) -> u64 {
    (0..SEEDS).map(|seed| u64::from(count(seed))).sum()
}

#[test]
fn saturation_is_the_rate_of_the_server() {
    for queue in [Queue::Mm1, Queue::Md1] {
        let (mut near, mut covered) = (0, 0);
        for seed in 0..SEEDS {
            let points = sweep(queue, (200.0, 1300.0, 14), 10.0, seed);
            let rate = stick::saturation(&points, Drawing::few(seed)).rps.unwrap();

            near += u64::from((rate.value / MU - 1.0).abs() < 0.02);
            let (low, high) = rate.ci95.unwrap();
            covered += u64::from(low <= MU && high >= MU);
            assert!(rate.value > low * 0.999 && rate.value < high * 1.001, "{rate:?}");
        }
        assert!(near * 10 >= SEEDS * 9, "{queue:?}: {near} of {SEEDS}");
        assert!(covered * 10 >= SEEDS * 9, "{queue:?}: {covered} of {SEEDS}");
    }
}

#[test]
fn a_server_that_answers_everything_is_not_saturated() {
    let found = findings(&sweep(Queue::Md1, (200.0, 900.0, 10), 5.0, 1), 1);
    assert_eq!(found.saturation.rps, None);
    assert!(found.saturation.at_least_rps.unwrap() > 850.0);
    assert!(found.saturation.reason.unwrap().contains("below saturation"));
    assert!(found.kneedle.unwrap_err().contains("does not reach"));
    let cut_short = Asked { cut_short: true, ..RATES };
    let cut = find(cut_short, &sweep(Queue::Md1, (200.0, 900.0, 10), 5.0, 1), Drawing::few(1));
    assert!(cut.saturation.reason.unwrap().contains("the client"));
}

#[test]
fn a_server_that_does_less_under_load_collapses_and_one_that_does_not_does_not() {
    let point = |rate: f64, draws: &mut Draws, slope: f64| {
        let noise = 1.0 + (draws.uniform() - 0.5) * 0.02;
        let good_rps = if rate <= MU { rate } else { MU + slope * (rate - MU) };
        let good_rps = (good_rps * noise).min(rate);
        Point {
            x: rate,
            offered_rps: rate,
            good_rps,
            good: 1e4,
            errors: 0.0,
            mean_s: None,
            p99_s: None,
        }
    };
    for (slope, collapses) in [(-0.5, true), (0.0, false)] {
        let right = held(|seed| {
            let mut draws = Draws::new(seed);
            let rates = (1..=16).map(|step| f64::from(step) * 125.0);
            let points: Vec<Point> = rates.map(|rate| point(rate, &mut draws, slope)).collect();
            let saturation = stick::saturation(&points, Drawing::few(seed));
            let near = (saturation.rps.unwrap().value / MU - 1.0).abs() < 0.03;
            near && saturation.collapses() == collapses
        });
        assert!(right * 10 >= SEEDS * 9, "{slope}: {right} of {SEEDS}");
    }
}

#[test]
fn a_collapse_is_seen_with_three_or_four_rates_beyond_saturation() {
    for (rates, slope, collapses) in [
        (&[200.0, 400.0, 600.0, 800.0, 900.0, 1100.0, 1300.0, 1500.0][..], -0.5, true),
        (&[200.0, 400.0, 600.0, 800.0, 1100.0, 1200.0, 1400.0, 1600.0][..], -0.5, true),
        (&[200.0, 400.0, 600.0, 800.0, 1100.0, 1200.0, 1400.0, 1600.0][..], 0.0, false),
    ] {
        let right = held(|seed| {
            let mut draws = Draws::new(seed + 77);
            let points = rates.iter().map(|&rate| {
                let answered: f64 = if rate <= MU { rate } else { MU + slope * (rate - MU) };
                let noise = 1.0 + draws.normal(0.002);
                let good_rps = (answered * noise).min(rate);
                Point { offered_rps: rate, good_rps, ..closed(rate, 1.0, 1) }
            });
            let points: Vec<Point> =
                points.map(|point| Point { x: point.offered_rps, ..point }).collect();
            stick::saturation(&points, Drawing::few(seed)).collapses() == collapses
        });
        assert!(right * 10 >= SEEDS * 9, "{rates:?} {slope}: {right} of {SEEDS}");
    }
}

#[test]
fn the_power_point_is_where_kleinrock_says() {
    // M/M/1 at half the load, M/D/1 at 2 - sqrt(2) of it, whether or not the sweep goes on to saturation.
    for (queue, truth) in [(Queue::Mm1, 500.0), (Queue::Md1, 1000.0 * (2.0 - 2.0_f64.sqrt()))] {
        for (rates, seconds) in [((100.0, 1300.0, 20), 10.0), ((150.0, 940.0, 12), 20.0)] {
            let near = held(|seed| {
                let points = sweep(queue, rates, seconds, seed);
                let saturated =
                    stick::saturation(&points, Drawing::few(seed)).rps.map(|rate| rate.value);
                let peak = peak_of_rates(&points, saturated, None).unwrap();
                !peak.at_edge && (peak.x / truth - 1.0).abs() < 0.05
            });
            assert!(near * 10 >= SEEDS * 9, "{queue:?} {rates:?}: {near} of {SEEDS}");
        }
    }
}

#[test]
fn a_power_point_beyond_the_sweep_is_at_its_edge() {
    let found = findings(&sweep(Queue::Md1, (100.0, 350.0, 10), 5.0, 3), 3);
    assert!(found.power_point.unwrap().at_edge);
    let few = findings(&sweep(Queue::Md1, (100.0, 350.0, 4), 5.0, 3), 3);
    assert!(few.power_point.unwrap_err().contains('5'));
}

#[test]
fn the_p99_of_a_queue_doubles_where_it_should() {
    // p99 of M/M/1 is ln(100) / (mu - rate).
    let truth = MU - (MU - 100.0) / 2.0;
    let near = held(|seed| {
        let points = sweep(Queue::Mm1, (100.0, 950.0, 16), 20.0, seed);
        let doubled = knee::doubling(&points, Drawing::few(seed)).unwrap();
        (doubled.x.value / truth - 1.0).abs() < 0.1
    });
    assert!(near * 10 >= SEEDS * 9, "{near} of {SEEDS}");
}

#[test]
fn the_knee_lies_near_saturation_and_tells_its_range() {
    let points = sweep(Queue::Md1, (200.0, 1300.0, 16), 10.0, 5);
    let knee = findings(&points, 5).kneedle.unwrap();
    assert!(knee.x.value > 850.0 && knee.x.value < 1100.0, "{knee:?}");
    assert!((knee.range.0 - 200.0).abs() < 1e-6 && (knee.range.1 - 1300.0).abs() < 1e-6);
    assert!(knee.x.ci95.is_some());
}

/// A closed loop of `users` against servers that take a millisecond, of which there are `servers`, by asymptotic bounds.
fn closed(users: f64, servers: f64, seed: u64) -> Point {
    let mut draws = Draws::new(seed + 31);
    let good_rps = MU * users.min(servers) * (1.0 + (draws.uniform() - 0.5) * 0.03);
    let mean_s = Some(users / good_rps);
    Point {
        x: users,
        offered_rps: good_rps,
        good_rps,
        good: 1e4,
        errors: 0.0,
        mean_s,
        p99_s: mean_s,
    }
}

#[test]
fn a_closed_loop_reaches_its_plateau_and_has_its_power_point_there() {
    let found = |users: &[f64], seed: u64| {
        let points = users
            .iter()
            .enumerate()
            .map(|(index, &users)| closed(users, 16.0, seed * 100 + u64::try_from(index).unwrap()));
        find(CLOSED, &points.collect::<Vec<_>>(), Drawing::few(seed))
    };
    let users = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
    for seed in 0..4 {
        let reached = found(&users, seed);
        let plateau = reached.saturation.rps.unwrap().value;
        assert!((plateau / (16.0 * MU) - 1.0).abs() < 0.02, "{plateau}");
        let power = reached.power_point.unwrap();
        assert!(power.x.value > 11.0 && power.x.value < 24.0, "{power:?}");
        let grows = found(&users[..5], seed).saturation;
        assert_eq!(grows.rps, None);
        assert!(grows.reason.unwrap().contains("still grows"));
    }
}

#[test]
fn findings_do_not_depend_on_the_order_in_which_points_were_measured() {
    let points = sweep(Queue::Mm1, (200.0, 1300.0, 10), 3.0, 9);
    let mut shuffled = points.clone();
    shuffled.reverse();
    shuffled.swap(2, 5);
    assert_eq!(findings(&points, 9), findings(&shuffled, 9));
}

#[test]
fn nothing_at_all_has_reasons_instead_of_findings() {
    for sweep in [Sweep::Rate, Sweep::Connections, Sweep::Pipeline] {
        let found = find(Asked { sweep, ..CLOSED }, &[], Drawing::few(1));
        assert_eq!((found.saturation.rps, found.saturation.at_least_rps), (None, None));
        assert!(found.saturation.reason.is_some() && found.power_point.is_err());
        assert!(found.kneedle.is_err() && found.doubling.is_err() && found.usl.is_err());
    }
}

#[test]
fn the_schedule_of_an_open_loop_is_no_limit_of_the_server() {
    // A thousand a second are asked for, and come, over however many connections.
    let users = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
    let points: Vec<Point> =
        users.iter().map(|&users| Point { x: users, ..closed(16.0, 1.0, 5) }).collect();
    for sweep in [Sweep::Connections, Sweep::Pipeline] {
        let found = find(Asked { sweep, open: true, cut_short: false }, &points, Drawing::few(1));
        assert_eq!(found.saturation.rps, None);
        assert!(found.saturation.reason.unwrap().contains("the same rate was offered"));
        assert!(found.usl.unwrap_err().contains("closed loop"));
        assert!(find(Asked { sweep, ..CLOSED }, &points, Drawing::few(1)).saturation.rps.is_some());
    }
}

/// Some runs each of a queue in which customers wait for one another, every one with an error of its own.
fn noisy_queue(rates: &[f64], repeats: u64, seed: u64) -> Vec<Point> {
    let mut draws = Draws::new(seed * 13 + 5);
    let mut points = Vec::new();
    for &rate in rates {
        for _ in 0..repeats {
            let offered_rps = rate * (1.0 + draws.normal(0.005));
            let good_rps = offered_rps.min(MU * (1.0 + draws.normal(0.005)));
            // M/M/1 below saturation, and whatever the run's length makes of it beyond.
            let response_s = if rate < MU { 1.0 / (MU - rate) } else { 0.5 };
            let mean_s = response_s * (1.0 + draws.normal(0.04));
            let p99_s = response_s * 100.0_f64.ln() * (1.0 + draws.normal(0.06));
            let latencies = (Some(mean_s.max(1e-4)), Some(p99_s.max(1e-4)));
            let (mean_s, p99_s) = latencies;
            points.push(Point {
                x: rate,
                offered_rps,
                good_rps,
                good: 1e6,
                errors: 0.0,
                mean_s,
                p99_s,
            });
        }
    }
    points
}

#[test]
fn intervals_of_all_findings_of_rates_hold_the_truth() {
    let rates = [100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1100.0, 1300.0];
    for repeats in [2] {
        let mut covered = [0; 3];
        for seed in 0..20 {
            let found = findings(&noisy_queue(&rates, repeats, seed), seed);
            let estimates = [
                (found.saturation.rps.unwrap(), MU),
                (found.power_point.unwrap().x, 500.0),
                (found.doubling.unwrap().x, 550.0),
            ];
            for (covered, (estimate, truth)) in covered.iter_mut().zip(estimates) {
                let (low, high) = estimate.ci95.unwrap();
                *covered += u32::from((low..=high).contains(&truth));
            }
        }
        assert!(covered.iter().all(|&covered| covered >= 17), "{repeats} runs: {covered:?} of 20");
    }
}

/// A closed loop that obeys a law of scaling, with errors.
fn scaled(
    users: &[f64],
    (contention, coherency): (f64, f64),
    repeats: u64,
    seed: u64,
) -> Vec<Point> {
    let mut draws = Draws::new(seed * 17 + 3);
    let mut points = Vec::new();
    for &users in users {
        let law =
            900.0 * users / (1.0 + contention * (users - 1.0) + coherency * users * (users - 1.0));
        for _ in 0..repeats {
            let good_rps = law * (1.0 + draws.normal(0.01));
            points.push(Point {
                x: users,
                good_rps,
                offered_rps: good_rps,
                ..closed(users, 1.0, 1)
            });
        }
    }
    points
}

#[test]
fn the_saturation_of_a_retrograde_server_is_its_best_and_it_collapses() {
    let users = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
    let found = find(CLOSED, &scaled(&users, (0.05, 0.001), 3, 1), Drawing::few(1));
    let saturation = found.saturation;
    // 8,131 are answered over 32 connections, and far fewer over 512.
    assert!((saturation.rps.unwrap().value / 8131.0 - 1.0).abs() < 0.02, "{saturation:?}");
    assert!(saturation.collapses() && saturation.slope.unwrap().value < 0.0, "{saturation:?}");
    // Growth by an eighth for twice the connections is no level.
    let grows = find(CLOSED, &scaled(&users[..8], (0.05, 0.0), 3, 1), Drawing::few(1)).saturation;
    assert_eq!(grows.rps, None, "{grows:?}");
}

#[test]
fn intervals_of_a_plateau_and_of_the_law_of_scaling_hold_the_truth_with_few_repeats() {
    let users = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
    let best = (0.97_f64 / 0.0002).sqrt();
    let (mut best_covered, mut level_covered) = (0, 0);
    for seed in 0..20 {
        let points = scaled(&users, (0.03, 0.0002), 2, seed);
        let usl = usl::scalability(CLOSED, &points, Drawing::few(seed)).unwrap();
        let (low, high) = usl.best_users.unwrap().ci95.unwrap();
        best_covered += u32::from((low..=high).contains(&best));
        let mut points = Vec::new();
        for (index, users) in (0..).zip(users) {
            points.extend([0, 500].map(|run| closed(users, 16.0, seed * 1000 + run + index)));
        }
        let (low, high) =
            plateau::saturation(&points, Drawing::few(seed)).rps.unwrap().ci95.unwrap();
        level_covered += u32::from((low..=high).contains(&(16.0 * MU)));
    }
    assert!(best_covered >= 17 && level_covered >= 17, "{best_covered} {level_covered} of 20");
}

/// What a service with a pool of connections did: good answers a second, all answers a second, and their mean time in
/// milliseconds. Beyond the pool it refuses, the more quickly the more it is asked.
const POOL: [(f64, f64, f64, f64); 8] = [
    (10.0, 248.0, 248.0, 40.3),
    (19.0, 452.0, 452.0, 42.0),
    (37.0, 556.0, 563.0, 65.7),
    (72.0, 560.0, 731.0, 98.5),
    (139.0, 553.0, 842.0, 165.0),
    (268.0, 549.0, 951.0, 281.8),
    (518.0, 547.0, 1025.0, 505.4),
    (1000.0, 545.0, 1070.0, 934.6),
];

/// A run of ten seconds.
fn refusing(x: f64, offered_rps: f64, good_rps: f64, mean_s: f64) -> Point {
    Point {
        x,
        offered_rps,
        good_rps,
        good: good_rps * 10.0,
        errors: (offered_rps - good_rps) * 10.0,
        mean_s: Some(mean_s * offered_rps / good_rps),
        p99_s: Some(mean_s * 1.5),
    }
}

#[test]
fn refusals_are_no_throughput_and_errors_have_a_start_of_their_own() {
    let points = POOL.map(|(x, good, all, mean_ms)| refusing(x, all, good, mean_ms / 1e3));
    let found = find(CLOSED, &points, Drawing::few(1));
    let saturation = found.saturation.rps.unwrap().value;
    assert!((saturation / 552.0 - 1.0).abs() < 0.02, "{saturation}");
    let start = found.errors.unwrap();
    assert!(start.x == 37.0 && !start.at_lowest, "{start:?}");
    assert!((start.share - 7.0 / 563.0).abs() < 1e-6, "{start:?}");
    let power = found.power_point.unwrap();
    assert!(power.x.value < 40.0 && power.rps.value < 570.0, "{power:?}");
    let usl = found.usl.unwrap();
    assert!(usl.peak_rps.is_none_or(|peak| peak < 650.0), "{usl:?}");
    assert_eq!(super::errors_start(&points), Some(start));
}

#[test]
fn quick_refusals_do_not_make_a_power_point() {
    // Sixteen at once get all there is. Whoever comes beside them is refused within a millisecond, and asks again.
    let users = [1.0, 2.0, 4.0, 8.0, 16.0, 17.0, 18.0, 20.0, 24.0];
    let points = users.map(|users| {
        let good = MU * f64::min(users, 16.0);
        let all = good + 700.0 * (users - 16.0).max(0.0);
        refusing(users, all, good, users / all)
    });
    let power = find(CLOSED, &points, Drawing::few(1)).power_point.unwrap();
    assert!((power.x.value / 16.0 - 1.0).abs() < 0.1, "{power:?}");
}

#[test]
fn the_saturation_of_rates_is_that_of_good_answers_whatever_share_fails_at_any_load() {
    let rates: Vec<f64> = (1..=9).map(|step| f64::from(step) * 100.0).collect();
    for background in [0.0, 0.05] {
        let point =
            |&rate: &f64| refusing(rate, rate, (rate * (1.0 - background)).min(540.0), 0.04);
        let beyond: Vec<Point> = rates.iter().map(point).collect();
        let found = findings(&beyond, 1);
        let saturation = found.saturation.rps.unwrap().value;
        assert!((saturation / 540.0 - 1.0).abs() < 0.02, "{background}: {saturation}");
        let start = found.errors.unwrap();
        assert_eq!(start.at_lowest, background > 0.0, "{start:?}");
        // Up to 500 a second, a share that fails everywhere is no limit of the server.
        let below = findings(&beyond[..5], 1).saturation;
        assert_eq!(below.rps, None, "{background}: {below:?}");
        assert!(below.reason.unwrap().contains("below saturation"));
    }
}

#[test]
fn a_server_that_ends_without_a_good_answer_collapses() {
    let good = [100.0, 190.0, 200.0, 195.0, 0.0, 0.0];
    let points: Vec<Point> =
        (0..).zip(good).map(|(step, good)| refusing(2_f64.powi(step), 200.0, good, 0.04)).collect();
    // Nothing is known of what an answer takes where there is none.
    let points: Vec<Point> = points
        .into_iter()
        .map(|point| Point { mean_s: point.mean_s.filter(|mean| mean.is_finite()), ..point })
        .collect();
    let saturation = find(CLOSED, &points, Drawing::few(1)).saturation;
    let rate = saturation.rps.unwrap().value;
    assert!((rate / 195.0 - 1.0).abs() < 0.03, "{saturation:?}");
    assert!(saturation.slope.unwrap().value < 0.0, "{saturation:?}");
}
