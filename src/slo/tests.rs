//! The grammar of gates, and what pieces of time find.

use super::lookout::Lookout;
use super::windows::{Piece, Windows};
use super::{
    Clause, Finding, Metric, Relation, Scope, Statistic, Timing, Unit, parse, parse_conditions,
};
use crate::stats::packed::PackedBuckets;
use crate::stats::series::{Slice, Waiting};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

const fn response(statistic: Statistic) -> Metric {
    Metric::Time(Timing::Response, statistic)
}

const fn quantile(timing: Timing, quantile: f64) -> Metric {
    Metric::Time(timing, Statistic::Quantile(quantile))
}

/// What is found in a second.
fn find(clause: &Clause, slice: &Slice) -> Option<Finding> {
    super::find(clause, &Piece { slice, length_ns: SECOND })
}

fn clause(text: &str) -> Clause {
    let mut clauses = parse(text).unwrap();
    assert_eq!(clauses.len(), 1, "{text}");
    clauses.remove(0)
}

#[test]
fn gates_are_read_one_by_one() {
    let gates = parse("p99<50ms, p99.9 <= 200ms && max<1s,mean<5ms,errors<0.1%").unwrap();
    let metrics: Vec<Metric> = gates.iter().map(|gate| gate.metric).collect();
    assert_eq!(metrics[0], quantile(Timing::Response, 0.99));
    assert!(metrics[1].quantile().is_some_and(|quantile| (quantile - 0.999).abs() < 1e-12));
    assert_eq!(metrics[2..], [response(Statistic::Max), response(Statistic::Mean), Metric::Errors]);
    assert_eq!(gates[0].latency_limit_ns(), Some(50_000_000));
    assert_eq!((gates[3].latency_limit_ns(), gates[4].latency_limit_ns()), (None, None));
    assert!(!gates[0].holds(50e6) && gates[1].holds(200e6) && gates[4].holds(0.0009));
    assert_eq!(gates[1].text, "p99.9 <= 200ms");
}

#[test]
fn every_metric_has_its_limit_and_its_unit() {
    for (text, metric, limit, unit) in [
        ("p50<10us", quantile(Timing::Response, 0.5), 10e3, Unit::Time),
        ("max<5s", response(Statistic::Max), 5e9, Unit::Time),
        ("max<1m30s", response(Statistic::Max), 90e9, Unit::Time),
        ("mean<1.5ms", response(Statistic::Mean), 1.5e6, Unit::Time),
        ("errors<=0%", Metric::Errors, 0.0, Unit::Share),
        ("timeouts<1 %", Metric::Timeouts, 0.01, Unit::Share),
        ("unsent<=0.5%", Metric::Unsent, 0.005, Unit::Share),
        ("achieved>=99%", Metric::Achieved, 0.99, Unit::Share),
        ("achieved>=1.5k/s", Metric::Achieved, 1500.0, Unit::PerSecond),
        ("goodput>90%", Metric::Goodput, 0.9, Unit::Share),
        ("goodput>0.5/s", Metric::Goodput, 0.5, Unit::PerSecond),
        ("lag.p99<100us", quantile(Timing::ClientLag, 0.99), 100e3, Unit::Time),
        ("ttfb.p50<850ns", quantile(Timing::FirstByte, 0.5), 850.0, Unit::Time),
        ("service.p90<2ms", quantile(Timing::Service, 0.9), 2e6, Unit::Time),
    ] {
        let found = clause(text);
        assert_eq!((found.metric, found.unit), (metric, unit), "{text}");
        assert!((found.limit - limit).abs() < 1e-9, "{text}: {}", found.limit);
        assert_eq!(found.scope, Scope::Window, "{text}");
    }
}

#[test]
fn each_metric_is_read_by_the_name_that_it_has() {
    for metric in Metric::COMPARED {
        assert_eq!(Metric::compared(&metric.name(true)), Ok(metric));
        assert_eq!(Metric::compared(&metric.name(false)), Ok(metric));
    }
    for name in
        ["p50", "p99.99", "mean", "unsent", "goodput", "lag.p99", "ttfb.p99.9", "service.p1"]
    {
        let metric = Metric::parse(name).unwrap();
        assert_eq!(metric.name(true), name);
        for example in metric.example().split(" or ") {
            let found = clause(example).metric;
            assert_eq!((found.timing(), found.unit(true)), (metric.timing(), metric.unit(true)));
        }
    }
    assert_eq!(
        (Metric::parse("rate"), Metric::parse("cpu"), Metric::parse("lag.max")),
        (None, None, None)
    );
}

#[test]
fn each_comparison_is_what_it_looks_like() {
    for (sign, comparison, at_limit, above, is_upper) in [
        ("<", Relation::Below, false, false, true),
        ("<=", Relation::AtMost, true, false, true),
        (">", Relation::Above, false, true, false),
        (">=", Relation::AtLeast, true, true, false),
    ] {
        let found = clause(&format!("max {sign} 1ms"));
        assert_eq!(found.relation, comparison);
        assert_eq!((found.holds(1e6), found.holds(2e6)), (at_limit, above), "{sign}");
        assert_eq!(found.is_upper_bound(), is_upper, "{sign}");
        assert_eq!(found.latency_limit_ns(), is_upper.then_some(MS), "{sign}");
        // A lower bound of 2 ms proves that 1 ms was exceeded; one of 0.5 ms proves nothing.
        assert_eq!(found.is_proven_by(2e6, false), !is_upper, "{sign}");
        assert!(!found.is_proven_by(5e5, false), "{sign}");
    }
}

#[test]
fn scopes_are_phases_pieces_of_time_or_every_piece() {
    let span = Scope::Span { from_ns: 2 * SECOND, to_ns: 5 * SECOND };
    for (text, scope) in [
        ("p99[spike]<200ms", Scope::Phase("spike".to_owned())),
        ("p99 [ 5s@1k ] < 200ms", Scope::Phase("5s@1k".to_owned())),
        ("p99[5s@1k..20k]<200ms", Scope::Phase("5s@1k..20k".to_owned())),
        ("p99[5s@1k]<200ms @ 95 %", Scope::Phase("5s@1k".to_owned())),
        ("errors[2s..5s]<1%", span.clone()),
        ("errors[2s..5000ms]<1%", span),
        ("max[0..1m30s]<1s", Scope::Span { from_ns: 0, to_ns: 90 * SECOND }),
        ("max[each 500ms]<1s", Scope::Each(500 * MS)),
    ] {
        let found = clause(text);
        assert_eq!(found.scope, scope, "{text}");
        assert_eq!(found.latency_limit_ns(), None, "{text}");
        assert_eq!(found.confident, text.contains("95"), "{text}");
    }
    let clauses = parse("p99[a,b]<1s,max[x&&y]<1s").unwrap();
    assert_eq!(clauses[0].scope_text(), Some("a,b"));
    assert_eq!(clauses[1].phase(), Some("x&&y"));
    assert_eq!(clause("p99<1s").scope_text(), None);
}

#[test]
fn nonsense_is_refused_by_name_and_with_what_would_do() {
    for (text, part) in [
        ("", "use p50<10ms"),
        ("p99", "use p50<10ms"),
        ("p99<", "p99<50ms"),
        ("p0<1ms", "'p0'"),
        ("p100<1ms", "'p100'"),
        ("p9e1<1ms", "'p9e1'"),
        ("px<1ms", "'px'"),
        ("lag<1ms", "'lag'"),
        ("lag.p0<1ms", "'lag.p0'"),
        ("latency<1ms", "looked at"),
        ("p99=1ms", "<= or >="),
        ("errors=0%", "<= or >="),
        ("errors<0%", "errors<=0%"),
        ("p99<0ms", "p99<=0ms"),
        ("errors<101%", "errors<0.1%"),
        ("errors<1e1%", "errors<0.1%"),
        ("timeouts<5ms", "timeouts<=0%"),
        ("unsent<5/s", "unsent<=0%"),
        ("goodput>=5ms", "goodput>=500/s"),
        ("goodput>=-5/s", "goodput>=500/s"),
        ("p99<5%", "p99<50ms"),
        ("p99<-1ms", "p99<50ms"),
        ("service.p99<5/s", "service.p99<20ms"),
        ("p99<1ms,,", "a gate has a name"),
        ("p99[spike<1ms", "not closed"),
        ("p99[]<1ms", "empty"),
        ("p99[spike]", "a gate has a name"),
        ("p99[warmup]<1ms", "not measured"),
        ("p99[5s..2s]<1ms", "does not last"),
        ("p99[2s..2s]<1ms", "does not last"),
        ("p99[each 0s]<1ms", "does not last"),
        ("p99[each soon]<1ms", "'soon'"),
        ("p99[2s..end]<1ms", "'end'"),
        ("p99[2..5s]<1ms", "'2' has no unit"),
        ("p99[each 1]<1ms", "'1' has no unit"),
        ("lag.p99[2s..5s]<1ms", "pieces of time"),
        ("timeouts[each 1s]<1%", "pieces of time"),
        ("p99<1ms@99%", "'99%'"),
        ("p99<1ms@95", "'95'"),
        ("p97<1ms@95%", "p99.99"),
        ("max<1ms@95%", "leave @95% out"),
        ("errors<1%@95%", "leave @95% out"),
        ("service.p99<1ms@95%", "leave @95% out"),
        ("p99[each 1s]<1ms@95%", "name a phase"),
    ] {
        let refused = parse(text).unwrap_err();
        assert!(refused.starts_with("--slo '") && refused.contains(part), "{text}: {refused}");
        assert_eq!(refused.lines().count(), 1);
    }
}

#[test]
fn a_limit_without_a_unit_is_refused_and_each_reading_is_named() {
    for (text, readings) in [
        ("p95<50", "50 has no unit; write 50ms or 50s"),
        ("p99.9 <= 1.5", "1.5 has no unit; write 1.5ms or 1.5s"),
        ("mean<5", "write 5ms or 5s"),
        ("max<1", "write 1ms or 1s"),
        ("lag.p99<100", "write 100ms or 100s"),
        ("ttfb.p50<20", "write 20ms or 20s"),
        ("service.p99<20", "write 20ms or 20s"),
        ("p99[spike]<200", "write 200ms or 200s"),
        ("p99<50@95%", "write 50ms or 50s"),
        ("errors<1", "write 1% for a share, or errors<=0% for none at all"),
        ("errors<200", "write a share, like 1%, or errors<=0%"),
        ("timeouts<=5", "write 5% for a share, or timeouts<=0%"),
        ("unsent<=0", "write 0% for a share, or unsent<=0%"),
        ("achieved>90", "write 90% or 90/s"),
        ("achieved>=500", "500 has no unit; write 500/s"),
        ("goodput>99.5", "write 99.5% or 99.5/s"),
    ] {
        let refused = parse(text).unwrap_err();
        assert!(refused.starts_with("--slo '") && refused.contains(readings), "{text}: {refused}");
        assert_eq!(refused.lines().count(), 1);
    }
    for (text, readings) in [
        ("p99>2", "write 2ms or 2s"),
        ("errors>5", "write 5% for a share"),
        ("achieved<90", "90 has no unit; write 90%"),
        ("achieved<900", "use achieved>=99%"),
    ] {
        let refused = parse_conditions(text).unwrap_err();
        assert!(refused.starts_with("--abort-on '") && refused.contains(readings), "{refused}");
    }
    assert!(!parse_conditions("achieved<90").unwrap_err().contains("/s"), "no rate ends a run");
}

#[test]
fn conditions_are_gates_on_what_is_known_while_the_run_goes_on() {
    let conditions = parse_conditions("errors>5%, p99>1s,achieved<90%").unwrap();
    assert_eq!(conditions.len(), 3);
    for (text, part) in [
        ("errors>5% && p99>1s", "commas"),
        ("errors[spike]>5%", "last 10 s"),
        ("p99>1s@95%", "leave @ out"),
        ("lag.p99>1ms", "not known"),
        ("timeouts>1%", "not known"),
        ("achieved<500/s", "not known"),
        ("errors", "a gate has a name"),
    ] {
        let refused = parse_conditions(text).unwrap_err();
        assert!(refused.starts_with("--abort-on '") && refused.contains(part), "{text}: {refused}");
    }
}

/// A slice of 100 ms with `answers` good ones of `latency_ns` each, and `lost` requests without any.
fn slice(answers: u64, latency_ns: u64, lost: u64) -> Slice {
    Slice {
        scheduled: answers + lost,
        sent: answers + lost,
        completed: answers,
        ok: answers,
        errors: lost,
        sum_ns: u128::from(latency_ns) * u128::from(answers),
        max_ns: if answers > 0 { latency_ns } else { 0 },
        latency: (answers > 0).then_some((latency_ns, answers)).into_iter().collect(),
        ..Slice::default()
    }
}

/// What a clause finds in slices of 100 ms, of which the last one ends with the measured window.
fn worst(text: &str, slices: &[Slice]) -> Option<(u64, Finding)> {
    let mut windows = Windows::of(&clause(text), 100 * MS).unwrap();
    slices.iter().for_each(|slice| windows.push(slice));
    windows.worst(0, 100 * MS * slices.len() as u64)
}

#[test]
fn the_worst_piece_of_time_decides_and_is_named() {
    let mut slices = vec![slice(10, MS, 0); 50];
    slices[23] = slice(10, 9 * MS, 0);
    slices[24] = slice(10, 7 * MS, 0);
    let (at_ns, found) = worst("p50[each 200ms]<5ms", &slices).unwrap();
    // Slices 22 and 23 are one piece, 24 and 25 the next: the median of each is a fast one.
    assert_eq!((at_ns, found.holds), (0, true), "{found:?}");
    let (at_ns, found) = worst("p99[each 200ms]<5ms", &slices).unwrap();
    assert_eq!((at_ns, found.holds, found.doubt.is_none()), (2200 * MS, false, true));
    assert!((found.value - 9e6).abs() < 1.0);
    let (at_ns, found) = worst("p50[each 100ms]<8ms", &slices).unwrap();
    assert_eq!((at_ns, found.holds), (2300 * MS, false));
    let (_, found) = worst("p99[each 200ms]<=9ms", &slices).unwrap();
    assert!(found.holds);
    // Of lower bounds the smallest is the worst.
    slices[40] = slice(2, MS, 0);
    let (at_ns, found) = worst("achieved[each 100ms]>=50/s", &slices).unwrap();
    assert_eq!((at_ns, found.holds), (4000 * MS, false));
    assert!((found.value - 20.0).abs() < 1e-9);
}

#[test]
fn a_piece_of_time_has_exactly_its_own_slices() {
    let mut slices = vec![slice(10, MS, 0); 50];
    slices[19] = slice(10, 90 * MS, 0);
    slices[30] = slice(10, 90 * MS, 0);
    let (at_ns, found) = worst("max[2s..3s]<5ms", &slices).unwrap();
    assert_eq!((at_ns, found.holds), (2 * SECOND, true));
    assert!(!worst("max[1.9s..3s]<5ms", &slices).unwrap().1.holds);
    assert!(!worst("max[2s..3.1s]<5ms", &slices).unwrap().1.holds);
    // What the run did not come to is not judged.
    assert_eq!(worst("max[2s..3s]<5ms", &slices[..29]), None);
    let mut windows = Windows::of(&clause("max[each 1s]<1s"), 100 * MS).unwrap();
    slices.iter().for_each(|slice| windows.push(slice));
    assert_eq!(windows.worst(0, SECOND - 1), None);
    // The drain is no part of the window, and neither is what was cut as warm-up.
    slices.push(slice(10, 2 * SECOND, 0));
    let mut windows = Windows::of(&clause("max[each 100ms]<5ms"), 100 * MS).unwrap();
    slices.iter().for_each(|slice| windows.push(slice));
    assert!(windows.worst(31 * 100 * MS, 5 * SECOND).unwrap().1.holds);
    assert!(!windows.worst(30 * 100 * MS, 5 * SECOND).unwrap().1.holds);
}

#[test]
fn what_got_no_answer_is_slower_than_any() {
    let one = |text: &str, lost: u64| find(&clause(text), &slice(98, MS, lost)).unwrap();
    assert!(one("p98<5ms", 2).holds && one("p98<5ms", 2).doubt.is_none());
    let tail = one("p99<5ms", 2);
    assert_eq!((tail.holds, tail.doubt.is_none()), (false, false));
    for text in ["max<5ms", "mean<5ms"] {
        assert!(one(text, 0).holds, "{text}");
        assert!(!one(text, 1).holds, "{text}");
    }
    assert!((one("errors<5%", 2).value - 0.02).abs() < 1e-12);
    assert!((one("goodput>=99%", 2).value - 0.98).abs() < 1e-12);
    assert!(!one("goodput>=99%", 2).holds);
    assert_eq!(find(&clause("p99<1s"), &Slice::default()), None);
    assert_eq!(find(&clause("errors<1%"), &Slice::default()), None);
}

/// The same with `given_up` requests at an age without an answer, which are lower bounds.
fn giving_up(slice: Slice, age_ns: u64, given_up: u64) -> Slice {
    let bounds: PackedBuckets = [(age_ns, given_up)].into_iter().collect();
    Slice {
        scheduled: slice.scheduled + given_up,
        errors: slice.errors + given_up,
        sum_ns: slice.sum_ns + u128::from(age_ns) * u128::from(given_up),
        max_ns: slice.max_ns.max(age_ns),
        latency: slice.latency.and(&bounds),
        bounds,
        ..slice
    }
}

#[test]
fn what_was_given_up_took_its_age_at_least() {
    let find = |text: &str, slice: &Slice| find(&clause(text), slice).unwrap();
    let timeouts = giving_up(slice(98, MS, 0), 500 * MS, 2);
    let p98 = find("p98<5ms", &timeouts);
    assert_eq!((p98.value, p98.doubt.is_none(), p98.holds), (1e6, true, true));
    for text in ["p99<5ms", "p99<1s", "max<1s"] {
        let tail = find(text, &timeouts);
        assert_eq!((tail.value, tail.doubt.is_none(), tail.holds), (500e6, false, false), "{text}");
    }
    assert!((find("mean>1ms", &timeouts).value - 10.98e6).abs() < 1.0);
    assert!(find("p99>400ms", &timeouts).holds && !find("p99>600ms", &timeouts).holds);
    // What was given up young may have taken any time: a limit is not kept because of it, and not broken either.
    let shed = giving_up(slice(50, 10 * MS, 0), MS, 50);
    assert!(!find("p90<20ms", &shed).holds && !find("p90>20ms", &shed).holds);
    assert!(find("p50<20ms", &shed).holds && !find("p50>5ms", &shed).holds);
    // A failure has no age, and is slower than any.
    let failed = giving_up(slice(96, MS, 2), 500 * MS, 2);
    assert_eq!(find("p98>400ms", &failed).value, 500e6);
    assert_eq!(failed.failed(), 2);
}

#[test]
fn silence_is_a_reason_to_end_a_run_before_anything_is_given_up() {
    let watch = |text: &str| Lookout::new(parse_conditions(text).unwrap());
    let silent = |waiting: u64, age_ns: u64| Slice {
        outstanding: waiting,
        waiting: Waiting {
            sum_ns: u128::from(age_ns) * u128::from(waiting),
            max_ns: age_ns,
            ages: [(age_ns, waiting)].into_iter().collect(),
        },
        ..Slice::default()
    };
    for condition in ["p99>2s", "p50>2s", "max>2s", "mean>2s"] {
        let mut many = watch(condition);
        assert_eq!(many.see(|| silent(64, SECOND)), None, "{condition}");
        assert_eq!(many.see(|| silent(64, 2 * SECOND)), None, "{condition}");
        assert_eq!(many.see(|| silent(64, 3 * SECOND)), Some((0, 3e9)), "{condition}");
    }
    // Fewer requests say nothing in a second, but if none of them ends in two.
    let mut few = watch("p99>100ms");
    assert_eq!(few.see(|| silent(4, SECOND)), None);
    assert_eq!(few.see(|| silent(4, 2 * SECOND)), Some((0, 2e9)));
    // What is in flight for a moment between answers is not slow.
    let mut busy = watch("p50>1ms");
    let young = Slice { waiting: silent(64, MS / 10).waiting, ..slice(100, MS, 0) };
    assert_eq!(busy.see(|| young), None);
}

#[test]
fn answers_that_are_not_good_are_errors_and_still_have_latencies() {
    let bad = Slice { ok: 40, errors: 60, ..slice(100, MS, 0) };
    let found = |text: &str| find(&clause(text), &bad).unwrap();
    assert!(found("max<5ms").holds && found("max<5ms").doubt.is_none());
    assert!((found("errors<1%").value - 0.6).abs() < 1e-12);
    assert!((found("achieved>=1/s").value - 100.0).abs() < 1e-9);
    assert!((found("goodput>=1/s").value - 40.0).abs() < 1e-9);
}

#[test]
fn silence_breaks_what_it_lasts_longer_than() {
    let silent = Slice { scheduled: 10, outstanding: 10, ..Slice::default() };
    let mut slices = vec![slice(10, MS, 0); 10];
    slices[9].outstanding = 3;
    slices.extend(vec![silent; 10]);
    let (at_ns, found) = worst("p99[each 100ms]<500ms", &slices).unwrap();
    // The tenth silent slice ends a whole second of silence.
    assert_eq!((at_ns, found.holds, found.doubt.is_none()), (1900 * MS, false, false));
    assert!((found.value - 1e9).abs() < 1.0);
    assert!(worst("p99[each 100ms]<2s", &slices).unwrap().1.holds);
    // With nobody waiting there is nothing to be said.
    let idle = vec![Slice::default(); 10];
    assert_eq!(worst("p99[each 100ms]<500ms", &idle), None);
}

#[test]
fn a_condition_is_true_of_the_last_seconds_and_of_enough_requests_only() {
    let watch = |text: &str| Lookout::new(parse_conditions(text).unwrap());
    let mut errors = watch("p99>1s, errors>5%");
    for _ in 0..30 {
        assert_eq!(errors.see(|| slice(100, MS, 0)), None);
    }
    // 30 of the last 1000 are too few, 60 are not.
    assert_eq!(errors.see(|| slice(70, MS, 30)), None);
    assert_eq!(errors.see(|| slice(70, MS, 30)), Some((1, 0.06)));
    let mut few = watch("errors>5%");
    assert_eq!(few.see(|| slice(0, MS, 19)), None);
    assert_eq!(few.see(|| slice(0, MS, 1)), Some((0, 1.0)));
    // A target that is silent answers nothing of what is due.
    let mut dead = watch("achieved<90%");
    let silent = Slice { scheduled: 30, outstanding: 30, ..Slice::default() };
    assert_eq!(dead.see(|| silent), Some((0, 0.0)));
    // Ten seconds later what was bad is forgotten.
    let mut slow = watch("max>1s");
    assert!(slow.see(|| slice(100, 2 * SECOND, 0)).is_some());
    for _ in 0..9 {
        assert!(slow.see(|| slice(100, MS, 0)).is_some());
    }
    assert_eq!(slow.see(|| slice(100, MS, 0)), None);
}

#[test]
fn a_missing_connection_stands_for_a_request_that_waits_in_its_piece_of_time() {
    // A second with answers, then one with nothing but eight connections that cannot be had.
    let gone = Slice { missing: 8, ..Slice::default() };
    for (text, value) in [
        ("p99[each 100ms]<50ms", 1e8),
        ("max[each 100ms]<50ms", 1e8),
        ("errors[each 100ms]<1%", 1.0),
        ("goodput[each 100ms]>=99%", 0.0),
    ] {
        let clause = parse(text).unwrap().remove(0);
        let mut windows = Windows::of(&clause, 100 * 1_000_000).unwrap();
        windows.push(&slice(100, 1_000_000, 0));
        assert!(windows.worst(0, u64::MAX).unwrap().1.holds, "{text}");
        windows.push(&Slice { missing: 8, ..slice(100, 1_000_000, 0) });
        windows.push(&gone);
        let (start_ns, worst) = windows.worst(200_000_000, 300_000_000).unwrap();
        assert_eq!((start_ns, worst.holds), (200_000_000, false), "{text}");
        assert!((worst.value - value).abs() < 1e-9, "{text}: {}", worst.value);
    }
}

#[test]
fn a_closed_loop_without_its_target_is_ended_seconds_after_the_loss() {
    let gone = || Slice { missing: 8, ..Slice::default() };
    let busy = || slice(50_000, MS, 0);
    // Many answers before the loss, and nothing after it.
    for (text, seconds, value) in [
        ("errors>50%", 2, 1.0),
        ("achieved<90%", 2, 0.0),
        ("p99>1s", 2, 2e9),
        ("p99>2s", 3, 3e9),
        ("mean>2s", 3, 3e9),
        ("max>15s", 16, 16e9),
    ] {
        let mut watch = Lookout::new(parse_conditions(text).unwrap());
        assert_eq!(watch.see(busy), None, "{text}");
        let lost = Slice { missing: 8, ..slice(20_000, MS, 8) };
        assert_eq!(watch.see(|| lost), None, "{text}");
        for _ in 1..seconds {
            assert_eq!(watch.see(gone), None, "{text}");
        }
        assert_eq!(watch.see(gone), Some((0, value)), "{text}");
    }
    // It is not gone while something is awaited, or once it came back.
    let mut slow = Lookout::new(parse_conditions("errors>50%").unwrap());
    for _ in 0..8 {
        assert_eq!(slow.see(|| Slice { outstanding: 2, ..gone() }), None);
    }
    let mut back = Lookout::new(parse_conditions("errors>50%, p99>1s").unwrap());
    for second in [busy(), gone(), busy(), gone(), busy()] {
        assert_eq!(back.see(|| second), None);
    }
    // Missing connections are among the twenty.
    let mut few = Lookout::new(parse_conditions("errors>50%").unwrap());
    assert_eq!(few.see(|| Slice { missing: 11, ..slice(8, MS, 0) }), None);
    assert_eq!(few.see(|| Slice { missing: 12, ..slice(0, MS, 0) }), Some((0, 0.6)));
}
