//! Constructed trials during which the machine was held up, and what is made of them.

use super::tests::{MS, goals, proposal, run};
use super::*;
use crate::report::tests::{SECOND, open_plan};
use crate::stats::series::{Series, Slice};

/// A run of 10 s in slices of 100 ms, 50 requests each, of 1 ms but for those that `slow` names: slice, latency, how many;
/// and `bad` answers in a slice.
fn sliced(slow: &[(usize, u64, u64)], bad: &[(usize, u64)], gates: &[(&str, bool)]) -> Summary {
    let slow_in: u64 = slow.iter().map(|(_, _, count)| count).sum();
    let bad_in: u64 = bad.iter().map(|(_, count)| count).sum();
    let mut summary = run([5000 - slow_in - bad_in, slow_in, bad_in, 0], gates);
    let mut series = Series::new(100 * MS);
    for index in 0..100 {
        let slow = slow.iter().find(|slow| slow.0 == index).map(|slow| (slow.1, slow.2));
        let bad = bad.iter().find(|bad| bad.0 == index).map_or(0, |bad| bad.1);
        let late = slow.map_or(0, |(_, count)| count);
        series.push(Slice {
            scheduled: 50,
            sent: 50,
            completed: 50,
            ok: 50 - bad,
            errors: bad,
            max_ns: slow.map_or(MS, |(latency, _)| latency),
            latency: [(MS, 50 - late)].into_iter().chain(slow).collect(),
            ..Slice::default()
        });
    }
    summary.series = series;
    summary.window.measured_ns = 10 * SECOND;
    summary
}

/// The verdict of a trial during which the machine was held up from one time to another, in milliseconds.
fn held_up(text: &str, summary: &Summary, stretches: &[(u64, u64)]) -> TrialVerdict {
    let at = |ms: u64| summary.origin.plus(ms * MS);
    let held: Vec<Held> =
        stretches.iter().map(|&(from, to)| Held { from: at(from), to: at(to) }).collect();
    goals(text).judge(&open_plan(), summary, proposal(500.0, 10.0), &held).verdict
}

#[test]
fn a_failure_that_the_machine_made_says_nothing() {
    let text = "p99<50ms";
    // 60 of 5,000 were slow, most of them in one slice.
    let slow = [(30, 100 * MS, 40), (60, 100 * MS, 20)];
    let summary = sliced(&slow, &[], &[(text, false)]);
    assert_eq!(held_up(text, &summary, &[]), TrialVerdict::Fail);
    assert_eq!(held_up(text, &summary, &[(2950, 3020)]), TrialVerdict::HeldUp);
    assert_eq!(held_up(text, &summary, &[(8000, 8100)]), TrialVerdict::Fail, "that was long after");
    assert_eq!(
        held_up(text, &summary, &[(1000, 1100)]),
        TrialVerdict::Fail,
        "that was long before"
    );
}

#[test]
fn a_failure_counts_when_enough_was_slow_without_the_machine() {
    let text = "p99<50ms";
    let slow = [(30, 100 * MS, 40), (60, 100 * MS, 50), (80, 100 * MS, 50)];
    let summary = sliced(&slow, &[], &[(text, false)]);
    assert_eq!(held_up(text, &summary, &[(2950, 3020)]), TrialVerdict::Fail);
    assert_eq!(
        held_up(text, &summary, &[(2950, 3020), (5950, 6050), (7950, 8050)]),
        TrialVerdict::HeldUp
    );
}

#[test]
fn a_pass_counts_whatever_the_machine_did() {
    let text = "p99<50ms";
    let summary = sliced(&[(30, 100 * MS, 40)], &[], &[(text, true)]);
    assert_eq!(held_up(text, &summary, &[(2950, 3020)]), TrialVerdict::Pass);
}

#[test]
fn bad_answers_while_the_machine_was_held_up_are_its_doing() {
    let text = "errors<1%";
    let summary = sliced(&[], &[(30, 50), (70, 30)], &[(text, false)]);
    assert_eq!(held_up(text, &summary, &[(3000, 3040)]), TrialVerdict::HeldUp);
    assert_eq!(held_up(text, &summary, &[(5000, 5040)]), TrialVerdict::Fail);
}

#[test]
fn a_target_that_is_overloaded_fails_whatever_blip_the_machine_had() {
    let text = "p95<50ms";
    // Each tenth of a second answers take 13 ms longer.
    let slow: Vec<(usize, u64, u64)> =
        (1_u64..100).map(|index| (usize::try_from(index).unwrap(), index * 13 * MS, 50)).collect();
    let mut summary = sliced(&slow, &[], &[(text, false)]);
    assert_eq!(held_up(text, &summary, &[(8000, 8012)]), TrialVerdict::Fail);
    // What piles up is not explained by a blip either.
    summary.gates[0].holds = true;
    summary.verdict.code = Code::Unstable;
    assert_eq!(held_up("errors<50%", &summary, &[(8000, 8012)]), TrialVerdict::Fail);
    assert_eq!(held_up("errors<50%", &summary, &[(8000, 8500)]), TrialVerdict::HeldUp);
}

#[test]
fn the_longest_answer_is_excused_only_where_the_machine_was_held_up() {
    let text = "max<50ms";
    let summary = sliced(&[(30, 100 * MS, 1)], &[], &[(text, false)]);
    assert_eq!(held_up(text, &summary, &[(2980, 3020)]), TrialVerdict::HeldUp);
    assert_eq!(held_up(text, &summary, &[(7000, 7040)]), TrialVerdict::Fail);
}
