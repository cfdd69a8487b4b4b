//! The schedule against what exact arithmetic and probability say of it.

use proptest::prelude::*;

use super::{
    Arrivals, Bursts, Cursor, PhaseIndex, Rate, Schedule, Shape, Slot, Timeline, parse_stages,
};

const SECOND: u64 = 1_000_000_000;

fn shape(stages: &str) -> Shape {
    let stages = parse_stages(stages).unwrap();
    Shape {
        warmup_ns: 0,
        length_ns: stages.iter().map(|stage| stage.length_ns).sum(),
        stages,
        bursts: None,
        requests: None,
        arrivals: Arrivals::Uniform,
        seed: 7,
    }
}

fn walk(mut cursor: Cursor) -> Vec<Slot> {
    let mut slots = Vec::new();
    while let Some(slot) = cursor.peek() {
        slots.push(slot);
        cursor.advance();
    }
    assert_eq!(cursor.taken(), slots.len() as u64);
    slots
}

/// The slots of all workers in the order of time.
fn union(shape: &Shape, workers: u32) -> Vec<Slot> {
    let schedule = Schedule::new(shape.clone()).unwrap();
    let mut all: Vec<Slot> =
        (0..workers).flat_map(|worker| walk(schedule.cursor(worker, workers))).collect();
    all.sort_by_key(|slot| (slot.at_ns, !slot.burst));
    all
}

fn times(shape: &Shape, workers: u32) -> Vec<u64> {
    union(shape, workers).iter().map(|slot| slot.at_ns).collect()
}

#[test]
fn thirteen_hundred_a_second_for_eight_seconds_are_ten_thousand_four_hundred() {
    let shape = shape("8s@1300");
    let times = times(&shape, 1);
    assert_eq!((times.len(), times[0]), (10_400, 0));
    assert_eq!(Schedule::new(shape).unwrap().slots(), Some(10_400));
}

#[test]
fn rates_are_read_exactly() {
    for (text, number, at_ns) in [
        ("1", 3, 3 * SECOND),
        ("0.5", 3, 6 * SECOND),
        ("90/min", 3, 2 * SECOND),
        ("5/h", 1, 720 * SECOND),
        ("1.5M", 3_000_000, 2 * SECOND),
        ("10k", 1, 100_000),
        ("3", 1, 333_333_334),
        ("0.000000001", 1, 1_000_000_000 * SECOND),
    ] {
        assert_eq!(Rate::parse(text).unwrap().time_of(number), Some(at_ns), "{text}");
    }
    for text in [
        "",
        "0",
        "0.0",
        "-1",
        "+1",
        "1e3",
        "nan",
        "1.",
        ".5",
        "1/x",
        "/s",
        "k",
        "1 k",
        "20M",
        "99999999999999999999G",
        "0.0000000001",
    ] {
        assert!(Rate::parse(text).is_err(), "{text}");
    }
    assert!(Rate::parse("0").unwrap_err().contains("above 0"));
    for text in ["0", "0.0", "0/min", "0k"] {
        assert_eq!(Rate::parse_with_zero(text), Ok(Rate::ZERO), "{text}");
    }
    assert_eq!(Rate::parse_with_zero("5/h"), Rate::parse("5/h"));
    assert_eq!(Rate::ZERO.time_of(1), None);
}

#[test]
fn a_ramp_from_or_to_nothing_has_half_its_length_times_its_rate() {
    for (stages, slots) in [
        ("30s@0..1000", 15_000),
        ("30s@1000..0", 15_000),
        ("10s@0..1", 5),
        ("7s@0..333", 1_166),
        ("1h@0..1", 1_800),
        ("1h@1..0", 1_800),
        ("2s@0..100,2s@100..0,2s@0..100", 300),
        ("1ms@0..1", 1),
    ] {
        let shape = shape(stages);
        assert_eq!(Schedule::new(shape.clone()).unwrap().slots(), Some(slots), "{stages}");
        for workers in [1, 3] {
            assert_eq!(times(&shape, workers).len() as u64, slots, "{stages}");
        }
    }
}

#[test]
fn slots_of_a_ramp_from_nothing_are_due_at_the_root_of_their_number() {
    // After t seconds of 30 the integral is 1000 t^2 / 60: slot k comes after sqrt(0.06 k) seconds, rounded up.
    let rising = times(&shape("30s@0..1000"), 2);
    for (number, &at_ns) in (0_u128..).zip(&rising) {
        let at_least = |at_ns: u64| u128::from(at_ns).pow(2) >= 60_000_000_000_000_000 * number;
        assert!(at_least(at_ns) && (at_ns == 0 || !at_least(at_ns - 1)), "{number} at {at_ns}");
    }
    assert_eq!((rising[0], rising[1]), (0, 244_948_975));
    // A ramp to nothing is its mirror image: as much is left before its end as came after the start of the other.
    let falling = times(&shape("30s@1000..0"), 2);
    for (number, &at_ns) in (0_u128..).zip(&falling) {
        let left = |at_ns: u64| u128::from(30 * SECOND - at_ns).pow(2);
        let is_due = |at_ns: u64| left(at_ns) <= 60_000_000_000_000_000 * (15_000 - number);
        assert!(is_due(at_ns) && (at_ns == 0 || !is_due(at_ns - 1)), "{number} at {at_ns}");
    }
}

#[test]
fn nothing_is_due_in_a_pause_and_nothing_is_lost_to_it() {
    let halves = [0, SECOND / 2, 11 * SECOND, 11 * SECOND + SECOND / 2];
    assert_eq!(times(&shape("1s@2,10s@0,1s@2"), 3), halves);
    assert_eq!(times(&shape("10s@0,1s@2"), 3), [10 * SECOND, 10 * SECOND + SECOND / 2]);
    assert_eq!(times(&shape("1s@2,10s@0"), 3), halves[..2]);
    // Half a request is carried over the pause.
    let carried = times(&shape("1s@1.5,10s@0,1s@2"), 2);
    assert_eq!(carried, [0, 666_666_667, 11 * SECOND + SECOND / 4, 11 * SECOND + 3 * SECOND / 4]);
    let ramps = times(&shape("10s@0..100,10s@0,10s@100..0"), 4);
    assert_eq!(ramps.len(), 1000);
    assert_eq!(ramps[500], 20 * SECOND);
    assert!(!ramps.iter().any(|at_ns| (10 * SECOND..20 * SECOND).contains(at_ns)));
    for stages in ["1s@2,10s@0", "10s@0,1s@2", "5s@0,5s@0..3,5s@0"] {
        let shape = shape(stages);
        let slots = Schedule::new(shape.clone()).unwrap().slots();
        assert_eq!(slots, Some(times(&shape, 1).len() as u64), "{stages}");
    }
    // The warm-up has the rate at which the first stage starts.
    let warm = Shape { warmup_ns: 5 * SECOND, ..shape("1s@0..10") };
    assert_eq!((times(&warm, 1).len(), times(&warm, 1)[0]), (5, 5 * SECOND));
    let bursts = Shape { bursts: Some(Bursts { size: 3, every_ns: SECOND }), ..shape("2s@0") };
    assert_eq!(times(&bursts, 2), [[0; 3], [SECOND; 3]].concat());
}

#[test]
fn what_is_no_shape_is_refused_by_name() {
    for (text, part) in [
        ("30s", "rate"),
        ("30s@", "rate"),
        ("0s@1k", "last"),
        ("10s@0..0", "write 10s@0 for a pause"),
        ("5s@1,10s@0..0.0", "write 10s@0 for a pause"),
        ("10s@-1..5", "'-1'"),
        ("10s@1k,,5s@1k", "rate"),
        ("x@1k", "length of time"),
    ] {
        let error = parse_stages(text).unwrap_err();
        assert!(error.contains("--stages") && error.contains(part), "{text}: {error}");
    }
    assert!(parse_stages(&vec!["1s@1"; 300].join(",")).unwrap_err().contains("300 stages"));
    for text in ["", "100", "0@1s", "100@0s", "100@", "x@1s", "100M@1ms"] {
        assert!(Bursts::parse(text).is_err(), "{text}");
    }
    assert_eq!(Bursts::parse("1k@250ms"), Ok(Bursts { size: 1000, every_ns: 250_000_000 }));
}

#[test]
fn numbers_too_large_to_be_exact_are_refused_by_the_stage() {
    let error = Schedule::new(shape("90000h@7654321.123456789..1234567.987654321")).unwrap_err();
    assert!(error.contains("90000h@7654321"), "{error}");
}

#[test]
fn a_fraction_at_the_end_of_a_stage_is_carried_into_the_next() {
    // One and a half requests, then two a second: slot 2 is due a quarter of a second into the second stage.
    let times = times(&shape("3s@0.5,1s@2"), 1);
    assert_eq!(times, [0, 2 * SECOND, 3 * SECOND + SECOND / 4, 3 * SECOND + 3 * SECOND / 4]);
}

#[test]
fn a_slot_in_the_last_nanosecond_of_a_stage_opens_the_next() {
    // Slot 1 is due after 333,333,333.3 ns, which no whole nanosecond of the first stage has reached.
    let times = times(&shape("333333334ns@3,1s@1"), 2);
    assert_eq!(times[..2], [0, 333_333_334]);
    // A millionth of a request is the third of a microsecond at this rate.
    let times = self::times(&shape("333333333ns@3,1s@3"), 2);
    assert!(times[1].abs_diff(333_333_334) < 400 && times[2].abs_diff(666_666_667) < 400);
}

#[test]
fn a_rate_below_one_for_each_worker_is_kept() {
    let times = times(&shape("10s@0.3"), 7);
    assert_eq!(times, [0, 3_333_333_334, 6_666_666_667]);
}

#[test]
fn the_warmup_has_slots_of_its_own_and_the_measured_ones_start_at_its_end() {
    let shape = Shape { warmup_ns: SECOND + 1, ..shape("1s@2") };
    let slots = union(&shape, 2);
    let warmup: Vec<u64> = slots.iter().filter(|slot| !slot.measured).map(|s| s.at_ns).collect();
    let measured: Vec<u64> = slots.iter().filter(|slot| slot.measured).map(|s| s.at_ns).collect();
    assert_eq!(warmup, [0, SECOND / 2, SECOND]);
    assert_eq!(measured, [SECOND + 1, SECOND + 1 + SECOND / 2]);
}

#[test]
fn a_count_of_bursts_alone_is_kept_by_any_number_of_workers() {
    for (size, requests) in [(1, 100), (5, 100), (7, 33), (3, 2)] {
        let bursts = Some(Bursts { size, every_ns: 10_000_000 });
        let counted = Shape {
            stages: Vec::new(),
            bursts,
            requests: Some(requests),
            length_ns: u64::MAX,
            ..shape("1s@1")
        };
        for workers in [1, 2, 3, 8] {
            let slots = union(&counted, workers);
            assert_eq!(slots.len() as u64, requests, "bursts of {size} over {workers} workers");
            for (number, slot) in (0..).zip(&slots) {
                assert_eq!(slot.at_ns, number / size * 10_000_000);
            }
        }
    }
}

#[test]
fn bursts_faster_than_any_machine_are_refused() {
    for text in ["1@1ns", "10M@1ns", "11@1us", "10000001@1s"] {
        assert!(Bursts::parse(text).is_err(), "{text}");
    }
    for text in ["10@1us", "10M@1s", "1@100ns"] {
        assert!(Bursts::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn numbers_that_do_not_fit_are_refused_and_not_wrapped() {
    let steep = shape("1s@1k,100s@1.000000001..1,10s@1k");
    match Schedule::new(steep.clone()) {
        Err(refusal) => assert!(refusal.contains("too large to be exact"), "{refusal}"),
        Ok(_) => assert_eq!(times(&steep, 1).iter().filter(|&&at| at == 101 * SECOND).count(), 1),
    }
}

#[test]
fn bursts_come_on_top_and_are_dealt_to_all_workers() {
    let bursts = Some(Bursts { size: 5, every_ns: SECOND });
    let with = Shape { bursts, ..shape("3s@2") };
    let slots = union(&with, 3);
    let burst: Vec<u64> = slots.iter().filter(|slot| slot.burst).map(|slot| slot.at_ns).collect();
    assert_eq!(burst, [[0; 5], [SECOND; 5], [2 * SECOND; 5]].concat());
    assert_eq!(slots.len(), 15 + 6);
    assert_eq!(Schedule::new(with).unwrap().slots(), Some(21));
    let alone = Shape { stages: Vec::new(), bursts, ..shape("2500ms@1") };
    assert_eq!(union(&alone, 2).len(), 15);
    let counted = Shape { requests: Some(7), ..alone };
    assert_eq!(union(&counted, 2).len(), 7);
}

#[test]
fn phases_are_found_forwards_and_backwards() {
    let bursts = Some(Bursts { size: 5, every_ns: SECOND });
    let timeline = Timeline::of_shape(&Shape { bursts, warmup_ns: 10, ..shape("20ns@1,30ns@2") });
    assert_eq!(timeline.bursts(), Some(PhaseIndex(3)));
    let mut cursor = timeline.cursor();
    for (at_ns, phase) in
        [(0, 0), (9, 0), (10, 1), (29, 1), (30, 2), (59, 2), (60, 2), (5, 0), (31, 2), (10, 1)]
    {
        assert_eq!(cursor.phase_at(at_ns), PhaseIndex(phase), "{at_ns}");
    }
    let mut sliced = Timeline::sliced(0, 1001, 10).cursor();
    assert_eq!(sliced.phase_at(0), PhaseIndex(1));
    assert_eq!(sliced.phase_at(1000), PhaseIndex(10));
}

fn rate() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_u64..20_000).prop_map(|rate| rate.to_string()),
        (1_u64..9_999_999).prop_map(|rate| format!("{}.{:03}", rate / 1000, rate % 1000)),
        (1_u64..5000).prop_map(|rate| format!("{rate}/min")),
        Just("9999937".to_owned()),
    ]
    .prop_filter("above 0", |text| Rate::parse(text).is_ok())
}

fn rate_or_zero() -> impl Strategy<Value = String> {
    prop_oneof![3 => rate(), 1 => Just("0".to_owned())]
}

/// The integral of the rate over the first `at_ns` of the measured part, in floating point.
fn integral(shape: &Shape, at_ns: u64) -> f64 {
    let mut start_ns = 0;
    let mut sum = 0.0;
    for stage in &shape.stages {
        let length = stage.length_ns as f64 / 1e9;
        let inside = (at_ns.saturating_sub(start_ns)).min(stage.length_ns) as f64 / 1e9;
        let (from, to) = (stage.from.per_second(), stage.to.per_second());
        sum += from * inside + (to - from) * inside * inside / (2.0 * length);
        start_ns += stage.length_ns;
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn slots_of_a_constant_rate_are_the_closed_form_for_any_number_of_workers(
        rate in rate(),
        length_ns in 1_u64..2_000_000_000,
        workers in 1_u32..8,
    ) {
        let exact = Rate::parse(&rate).unwrap();
        let length_ns = length_ns.min(exact.time_of(20_000).unwrap());
        let shape = shape(&format!("{length_ns}ns@{rate}"));
        let expected: Vec<u64> = (0..)
            .map(|number| exact.time_of(number).unwrap())
            .take_while(|&at_ns| at_ns < length_ns)
            .collect();
        prop_assert_eq!(Schedule::new(shape.clone()).unwrap().slots(), Some(expected.len() as u64));
        prop_assert_eq!(times(&shape, workers), expected);
    }

    #[test]
    fn workers_together_are_the_same_schedule_as_one(
        stages in prop::collection::vec(
            (1_u64..500_000_000, rate_or_zero(), rate_or_zero(), any::<bool>()),
            1..4,
        ),
        workers in 2_u32..6,
        requests in prop::option::of(0_u64..3000),
    ) {
        let text: Vec<String> = stages
            .iter()
            .filter(|(_, from, to, _)| !from.contains("9937") && !to.contains("9937"))
            .map(|(length, from, to, ramp)| {
                if *ramp && from != to { format!("{length}ns@{from}..{to}") } else { format!("{length}ns@{from}") }
            })
            .collect();
        prop_assume!(!text.is_empty());
        let shape = Shape { requests, ..shape(&text.join(",")) };
        let alone = times(&shape, 1);
        prop_assert_eq!(Schedule::new(shape.clone()).unwrap().slots(), Some(alone.len() as u64));
        prop_assert_eq!(times(&shape, workers), alone);
    }

    #[test]
    fn a_slot_is_due_as_soon_as_the_integral_reaches_its_number(
        from in prop_oneof![Just(0_u64), 1_u64..50_000],
        to in prop_oneof![Just(0_u64), 1_u64..50_000],
        lengths in (1_000_000_u64..400_000_000, 1_000_000_u64..400_000_000),
    ) {
        prop_assume!(from + to > 0);
        let shape = shape(&format!("{}ns@{from}..{to},{}ns@{to}", lengths.0, lengths.1));
        let times = times(&shape, 1);
        prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
        for (number, &at_ns) in times.iter().enumerate() {
            // Exact fractions are compared in floating point with room for its rounding only.
            let number = number as f64;
            prop_assert!(integral(&shape, at_ns) >= number - 1e-6, "{number} at {at_ns}");
            prop_assert!(at_ns == 0 || integral(&shape, at_ns - 1) < number + 1e-6, "{number} at {at_ns}");
        }
        let whole = integral(&shape, shape.length_ns);
        prop_assert!((times.len() as f64 - whole).abs() <= 1.0 + 1e-6, "{} of {whole}", times.len());
    }
}

fn poisson(stages: &str, seed: u64) -> Shape {
    Shape { arrivals: Arrivals::Poisson, seed, ..shape(stages) }
}

#[test]
fn random_arrivals_repeat_with_their_seed_and_differ_without() {
    let of = |seed, workers| times(&poisson("1s@1k", seed), workers);
    assert_eq!(of(1, 3), of(1, 3));
    assert_ne!(of(1, 3), of(2, 3));
    assert_ne!(of(1, 3), of(1, 2));
}

#[test]
fn random_arrivals_of_several_workers_are_one_poisson_process() {
    for workers in [1, 4] {
        let times = times(&poisson("100s@1k", 11), workers);
        // Counts in bins: mean and variance are both the rate.
        let mut bins = vec![0_u64; 1000];
        for &at_ns in &times {
            bins[usize::try_from(at_ns / (SECOND / 10)).unwrap()] += 1;
        }
        let mean = times.len() as f64 / 1000.0;
        let variance = bins.iter().map(|&n| (n as f64 - mean).powi(2)).sum::<f64>() / 999.0;
        assert!((mean - 100.0).abs() < 1.5, "{mean}");
        assert!((variance / mean - 1.0).abs() < 4.0 / 1000_f64.sqrt() * 1.5, "{}", variance / mean);
        // Gaps are exponential: the largest distance from that distribution is what chance allows.
        let mut gaps: Vec<f64> =
            times.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6).collect();
        gaps.sort_by(f64::total_cmp);
        let count = gaps.len() as f64;
        let distance = gaps
            .iter()
            .enumerate()
            .map(|(rank, gap)| ((rank as f64 + 0.5) / count - (1.0 - (-gap).exp())).abs())
            .fold(0.0, f64::max);
        assert!(distance < 1.95 / count.sqrt(), "{distance} with {workers} workers");
    }
}

#[test]
fn a_random_ramp_has_the_expected_counts() {
    let times = times(&poisson("10s@1k..3k", 5), 3);
    let first = times.iter().filter(|&&at_ns| at_ns < 5 * SECOND).count() as f64;
    let second = times.len() as f64 - first;
    assert!((first - 7_500.0).abs() < 4.0 * 7_500_f64.sqrt(), "{first}");
    assert!((second - 12_500.0).abs() < 4.0 * 12_500_f64.sqrt(), "{second}");
    // From nothing a quarter of the requests comes in the first half, and in a pause there are none.
    let times = self::times(&poisson("10s@0..2k,10s@0,10s@2k..0", 5), 3);
    let between = |from: u64, to: u64| {
        times.iter().filter(|&&at| (from * SECOND..to * SECOND).contains(&at)).count() as f64
    };
    for (found, expected) in [
        (between(0, 5), 2_500_f64),
        (between(5, 10), 7_500.0),
        (between(20, 25), 7_500.0),
        (between(25, 30), 2_500.0),
    ] {
        assert!((found - expected).abs() < 4.0 * expected.sqrt(), "{found} of {expected}");
    }
    assert_eq!(between(10, 20), 0.0);
}

#[test]
fn the_rate_closest_to_a_number_is_exact_to_thousandths() {
    for (number, text) in [(1000.0, "1000"), (0.5, "0.5"), (907.8964, "907.896"), (1e7, "10M")] {
        assert_eq!(Rate::nearest(number), Some(Rate::parse(text).unwrap()), "{number}");
    }
    for number in [0.0, 0.0004, -1.0, 1.1e7, f64::NAN, f64::INFINITY] {
        assert_eq!(Rate::nearest(number), None, "{number}");
    }
}
