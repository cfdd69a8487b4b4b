//! Gates against made-up phases and pieces of time.

use super::{Doubt, Gate, Parts};
use crate::core::record::{Completion, Lag, Outcome, PhaseRecord};
use crate::result::summary::{Latencies, PhaseSummary, RunPart};
use crate::slo::parse;
use crate::slo::windows::Windows;
use crate::stats::series::Slice;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// `good` answers after `latency_ns` each in an open loop, half of it service and a tenth client lag.
fn record(good: u64, latency_ns: u64) -> PhaseRecord {
    let mut record = PhaseRecord::of_schedule();
    for _ in 0..good {
        record.counts.scheduled += 1;
        record.counts.sent += 1;
        record.complete(&Completion {
            status: 200,
            outcome: Outcome::Ok,
            service_ns: latency_ns / 2,
            first_byte_ns: Some(latency_ns / 4),
            drained: false,
        });
        record.respond(latency_ns);
        let lag = Lag {
            send_ns: latency_ns / 2,
            pool_ns: latency_ns * 4 / 10,
            client_ns: latency_ns / 10,
        };
        record.lag(lag);
        record.complete_in_window(Outcome::Ok, 1);
    }
    record
}

fn time_out(record: &mut PhaseRecord, number: u64) {
    for _ in 0..number {
        record.counts.scheduled += 1;
        record.counts.sent += 1;
        record.fail(Outcome::Timeout, SECOND, SECOND);
        record.lag(Lag::default());
    }
}

fn never_send(record: &mut PhaseRecord, number: u64) {
    for _ in 0..number {
        record.counts.scheduled += 1;
        record.unsent.left += 1;
        record.drop_unsent(10 * MS);
    }
}

fn phase(name: &str, start_s: f64, record: PhaseRecord) -> PhaseSummary {
    record.conserved().unwrap();
    PhaseSummary {
        name: name.to_owned(),
        start_s,
        end_s: start_s + 1.0,
        length_ns: SECOND,
        latencies: Latencies::of(&record, &[]),
        record,
        disturbances: Vec::new(),
        gone_share: 0.0,
        over_limit: None,
    }
}

/// What a gate finds in a run of these phases, all of which are measured and last a second.
fn judge(text: &str, phases: &[PhaseSummary], slices: &[Slice]) -> Gate {
    let clause = parse(text).unwrap().remove(0);
    let mut record = PhaseRecord::of_schedule();
    phases.iter().for_each(|phase| record.add(&phase.record));
    let latencies = Latencies::of(&record, slices);
    let mut windows: Vec<Windows> = Windows::of(&clause, 100 * MS).into_iter().collect();
    windows.iter_mut().for_each(|windows| slices.iter().for_each(|slice| windows.push(slice)));
    let length_ns = SECOND * phases.len() as u64;
    let phases: Vec<_> = phases.iter().map(PhaseSummary::part).collect();
    let parts = Parts {
        whole: RunPart { record: &record, latencies: &latencies, length_ns, gone_share: 0.0 },
        phases: &phases,
        windows: &windows,
        between_ns: (0, length_ns),
    };
    parts.judge(&clause)
}

#[test]
fn every_metric_finds_its_own_value() {
    let mut all = record(90, 100 * MS);
    time_out(&mut all, 6);
    never_send(&mut all, 4);
    let phases = [phase("measured", 0.0, all)];
    for (text, value, within) in [
        ("p50<1s", 100e6, 1e5),
        ("max<10s", 1e9, 1.0),
        ("mean<10s", (90.0 * 100e6 + 6.0 * 1e9 + 4.0 * 10e6) / 100.0, 1.0),
        ("errors<50%", 0.1, 1e-12),
        ("timeouts<50%", 0.06, 1e-12),
        ("unsent<50%", 0.04, 1e-12),
        ("achieved>1%", 0.9, 1e-12),
        ("goodput>1/s", 90.0, 1e-9),
        ("lag.p50<1s", 10e6, 1e4),
        ("ttfb.p50<1s", 25e6, 3e4),
        ("service.p50<1s", 50e6, 6e4),
    ] {
        let found = judge(text, &phases, &[]).value.unwrap();
        assert!((found - value).abs() <= within, "{text}: {found}");
    }
}

#[test]
fn a_lower_bound_never_proves_that_a_limit_was_kept() {
    let mut some = record(90, 100 * MS);
    never_send(&mut some, 10);
    let phases = [phase("measured", 0.0, some)];
    for metric in ["p99", "max", "mean"] {
        let kept = judge(&format!("{metric}<10s"), &phases, &[]);
        assert_eq!((kept.holds, kept.doubt), (false, Some(Doubt::Unanswered)), "{metric}");
        // It may prove that it was exceeded.
        assert!(judge(&format!("{metric}>1ms"), &phases, &[]).holds, "{metric}");
        assert!(!judge(&format!("{metric}>1s"), &phases, &[]).holds, "{metric}");
    }
    let all_answered = [phase("measured", 0.0, record(90, 100 * MS))];
    assert!(judge("max<10s", &all_answered, &[]).holds);
}

#[test]
fn a_phase_is_judged_by_its_own_requests() {
    let phases = [
        phase("base", 0.0, record(500, MS)),
        phase("spike", 1.0, record(500, 300 * MS)),
        phase("base", 2.0, record(500, 5 * MS)),
    ];
    assert!(judge("p99[base]<10ms", &phases, &[]).holds);
    assert!(!judge("p99[spike]<10ms", &phases, &[]).holds);
    assert!(!judge("p99<10ms", &phases, &[]).holds);
    // Of several phases of one name the worst counts, and is told apart.
    let worst = judge("p99[base]<2ms", &phases, &[]);
    assert_eq!((worst.holds, worst.at_s), (false, Some(2.0)));
    assert_eq!(judge("p99[spike]>1ms", &phases, &[]).at_s, None);
    assert_eq!(judge("p99[base]>2ms", &phases, &[]).at_s, Some(0.0));
    let nothing = [phase("base", 0.0, record(5, MS)), phase("later", 1.0, record(0, 0))];
    let found = judge("errors[later]<5%", &nothing, &[]);
    assert_eq!((found.holds, found.value), (false, None));
}

#[test]
fn pieces_of_time_are_judged_by_slices() {
    let phases = [phase("measured", 0.0, record(10, MS))];
    let slice = |latency_ns: u64| Slice {
        scheduled: 10,
        completed: 10,
        ok: 10,
        max_ns: latency_ns,
        latency: [(latency_ns, 10)].into_iter().collect(),
        ..Slice::default()
    };
    let mut slices = vec![slice(MS); 10];
    slices[6] = slice(50 * MS);
    let each = judge("p99[each 200ms]<10ms", &phases, &slices);
    assert_eq!((each.holds, each.at_s, each.doubt), (false, Some(0.6), None));
    let span = judge("p99[0s..600ms]<10ms", &phases, &slices);
    assert_eq!((span.holds, span.at_s), (true, None));
    // A piece of which the run saw a part only fails.
    let cut = judge("p99[0s..600ms]<10ms", &phases, &slices[..5]);
    assert_eq!((cut.holds, cut.value), (false, None));
}

#[test]
fn with_confidence_the_far_end_of_the_interval_decides() {
    // 5 % take 9 ms, in every slice alike, so that responses are as good as independent.
    let mut all = record(1900, MS);
    all.add(&record(100, 9 * MS));
    let phases = [phase("measured", 0.0, all)];
    let slice = |slow: u64| Slice {
        latency: [(1_000_447, 50 - slow), (9_003_007, slow)].into_iter().collect(),
        max_ns: 9 * MS,
        ..Slice::default()
    };
    let slices: Vec<Slice> = (0..40).map(|index| slice(2 + index % 2)).collect();
    assert!(judge("p95<5ms", &phases, &slices).holds);
    let upper = judge("p95<5ms@95%", &phases, &slices);
    assert_eq!((upper.holds, upper.doubt), (false, None));
    assert!(upper.value.unwrap() > 8e6, "{upper:?}");
    assert!(judge("p90<5ms@95%", &phases, &slices).holds);
    assert!(!judge("p95>2ms@95%", &phases, &slices).holds);
    // Without slices nothing is known of an interval.
    let unknown = judge("p90<5ms@95%", &phases, &[]);
    assert_eq!((unknown.holds, unknown.doubt), (false, Some(Doubt::NoInterval)));
}

#[test]
fn a_target_that_was_gone_for_longer_than_a_limit_allows_fails_it() {
    let record = record(1000, MS);
    let latencies = Latencies::of(&record, &[]);
    let judge = |text: &str, gone_share: f64| {
        let clause = parse(text).unwrap().remove(0);
        let whole =
            RunPart { record: &record, latencies: &latencies, length_ns: SECOND, gone_share };
        let parts = Parts { whole, phases: &[], windows: &[], between_ns: (0, SECOND) };
        let gate = parts.judge(&clause);
        assert!(gate.value.is_some(), "{text}: what was seen is shown");
        (gate.holds, gate.doubt)
    };
    let gone = (false, Some(Doubt::Gone));
    for text in ["p99<50ms", "service.p99<50ms", "errors<0.1%", "max<1s", "mean<1s", "goodput>=99%"]
    {
        assert_eq!(judge(text, 0.5), gone, "{text}");
        assert_eq!(judge(text, 0.0), (true, None), "{text}");
    }
    // One user in twenty would have come in vain: that is in the limit of p90, and beyond that of p99.
    assert_eq!((judge("p90<50ms", 0.05), judge("p99<50ms", 0.05)), ((true, None), gone));
    assert_eq!((judge("errors<6%", 0.05), judge("errors<4%", 0.05)), ((true, None), gone));
    // A bound proves what it exceeds, and what is counted by itself is what it is.
    assert!(judge("p99>100us", 0.5).0);
    assert_eq!(judge("timeouts<=0%", 0.5), (true, None));
    assert_eq!(judge("goodput>=500/s", 0.5), (true, None));
}
