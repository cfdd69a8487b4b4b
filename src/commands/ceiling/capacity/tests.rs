//! Goals, and what is made of constructed runs by them.

use super::*;
use crate::commands::ceiling::search::{Ending, Purpose, SearchResult, SearchSettings};
use crate::core::record::{LatencyHistogram, Outcome, Record};
use crate::report::tests::{SECOND, abandon, complete, fail, open_plan, plan, summary};
use crate::result::summary::{Distribution, Lags};
use crate::result::verdict::Reason;
use crate::slo::{Doubt, Gate, Metric};

pub(super) const MS: u64 = 1_000_000;

fn clauses(text: &str) -> Vec<Clause> {
    slo::parse(text).unwrap()
}

pub(super) fn goals(text: &str) -> Goals {
    Goals::new(&clauses(text), true)
}

pub(super) fn proposal(load: f64, length_s: f64) -> Proposal {
    Proposal { load, length_s, purpose: Purpose::Narrow }
}

/// A valid run of 10 s with so many requests of 1 ms, of 100 ms, with a bad answer, and without any; its gates hold as
/// `held` says.
pub(super) fn run(counts: [u64; 4], held: &[(&str, bool)]) -> Summary {
    let mut record = Record::default();
    let phase = &mut record.phases[1];
    let [fast, slow, bad, unanswered] = counts;
    (0..fast).for_each(|_| complete(phase, 200, MS, None));
    (0..slow).for_each(|_| complete(phase, 200, 100 * MS, None));
    (0..bad).for_each(|_| complete(phase, 503, MS, None));
    (0..unanswered).for_each(|_| abandon(phase, 2 * MS));
    record.connections.opened = 64;
    let mut summary = summary(record);
    summary.verdict.code = Code::Valid;
    summary.verdict.reasons.clear();
    summary.in_flight = None;
    let gate = |&(text, holds): &(&str, bool)| Gate {
        clause: clauses(text).remove(0),
        value: None,
        doubt: None::<Doubt>,
        holds,
        at_s: None,
    };
    summary.gates = held.iter().map(gate).collect();
    summary
}

fn client_limited(summary: Summary, rules: &[Rule]) -> Summary {
    let reason = |&rule: &Rule| Reason { rule, level: Level::Invalid, text: "a reason".to_owned() };
    let mut summary = summary;
    summary.verdict.code = Code::ClientLimited;
    summary.verdict.reasons = rules.iter().map(reason).collect();
    summary
}

fn judge(goals: &Goals, summary: &Summary) -> Trial {
    goals.judge(&open_plan(), summary, proposal(100.0, 10.0), &[])
}

fn limits_of(text: &str) -> Option<f64> {
    Goals::new(&clauses(text), false).limits()[0]
}

fn near(one: Option<f64>, other: f64) -> bool {
    one.is_some_and(|one| (one / other - 1.0).abs() < 1e-9)
}

#[test]
fn a_goal_with_a_share_has_its_room_as_limit() {
    for (text, limit) in [
        ("p99<50ms", 0.01),
        ("p99.9<=50ms", 0.001),
        ("service.p90<1ms", 0.1),
        ("ttfb.p95<1ms", 0.05),
        ("lag.p99<1ms", 0.01),
        ("mean<5ms", 5e6),
        ("errors<0.1%", 0.001),
        ("timeouts<2%", 0.02),
        ("achieved>=99%", 0.01),
        ("goodput>=95%", 0.05),
    ] {
        assert!(near(limits_of(text), limit), "{text}: {:?}", limits_of(text));
    }
}

#[test]
fn a_goal_without_a_share_or_without_room_has_no_limit() {
    for text in [
        "max<1s",
        "achieved>=500/s",
        "goodput>=500/s",
        "errors<=0%",
        "unsent<=0%",
        "goodput>=100%",
        "p50>1ms",
        "errors>1%",
        "p99[each 1s]<50ms",
        "p99[2s..3s]<50ms",
    ] {
        assert_eq!(limits_of(text), None, "{text}");
    }
}

fn names(goals: &Goals) -> Vec<String> {
    (0..goals.limits().len()).map(|goal| goals.name(goal)).collect()
}

#[test]
fn an_open_loop_implies_that_all_is_sent_and_answered_and_nothing_piles_up() {
    let implied = ["unsent<=0% (implied)", "achieved>=99% (implied)", "nothing piles up (implied)"];
    assert_eq!(names(&goals("p99<50ms")), [&["p99<50ms"][..], &implied].concat());
    assert_eq!(names(&Goals::new(&clauses("p99<50ms"), false)), ["p99<50ms"]);
    let goals = goals("p99<50ms");
    assert_eq!(
        (0..4).map(|goal| goals.is_given(goal)).collect::<Vec<_>>(),
        [true, false, false, false]
    );
    assert_eq!(goals.text(2), "achieved>=99%");
}

#[test]
fn what_the_user_says_himself_is_not_implied() {
    assert_eq!(
        names(&goals("achieved>=90%, unsent<1%")),
        ["achieved>=90%", "unsent<1%", "nothing piles up (implied)"]
    );
    // A rate, or a piece of the run, says something else.
    for text in ["achieved>=50/s", "achieved[each 1s]>=90%"] {
        assert!(names(&goals(text)).contains(&"achieved>=99% (implied)".to_owned()), "{text}");
    }
}

#[test]
fn a_trial_is_hopeless_when_a_goal_is_missed_by_far() {
    let hopeless = |text: &str| {
        let conditions = goals(text).hopeless();
        conditions
            .into_iter()
            .map(|clause| {
                assert_eq!((clause.relation, clause.scope), (Relation::Above, Scope::Window));
                (clause.text, clause.metric, clause.limit)
            })
            .collect::<Vec<_>>()
    };
    let by_far = |text: &str| format!("{text} by far");
    let is_quantile = |metric: Metric, quantile: f64| {
        metric.quantile().is_some_and(|found| (found - quantile).abs() < 1e-9)
    };
    // A fifth is slow where a hundredth may be; never less than a tenth, never more than two fifths.
    let rows = hopeless("p99<50ms");
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0].0, rows[0].2), (&by_far("p99<50ms"), 5e7));
    assert!(is_quantile(rows[0].1, 0.8));
    assert!(is_quantile(hopeless("p99.9<1s")[0].1, 0.9));
    assert!(is_quantile(hopeless("p90<1s")[0].1, 0.6));
    assert_eq!(hopeless("errors<1%"), [(by_far("errors<1%"), Metric::Errors, 0.2)]);
    assert_eq!(hopeless("errors<0.1%"), [(by_far("errors<0.1%"), Metric::Errors, 0.1)]);
    // Kept at half of the requests, and hopeless at less: the whole trial must tell.
    assert!(hopeless("p50<1s").is_empty() && hopeless("errors<30%").is_empty());
    for never in ["max<1s", "mean<1s", "errors<=0%", "p99[each 1s]<50ms", "p50>1ms", "lag.p99<1ms"]
    {
        assert_eq!(hopeless(never), [], "{never}");
    }
}

#[test]
fn a_trial_wants_some_more_requests_than_its_highest_quantile_needs() {
    let wanted = |text: &str| goals(text).wanted_requests();
    assert_eq!(goals("p99<50ms, service.p99.9<1s, errors<1%").fewest_requests(), 3838);
    assert_eq!(goals("errors<1%").fewest_requests(), 1);
    assert!((wanted("p99<50ms") - 1.3 * 381.0).abs() < 1e-9);
    assert!((wanted("errors<1%") - 1.0).abs() < 1e-9);
}

#[test]
fn a_run_that_keeps_all_goals_passes() {
    let goals = goals("p99<50ms, errors<1%");
    let trial = judge(&goals, &run([995, 5, 0, 0], &[("p99<50ms", true), ("errors<1%", true)]));
    assert_eq!((trial.verdict, trial.cut_short), (TrialVerdict::Pass, false));
    let slow = trial.measures[0];
    assert_eq!((slow.amount, slow.of, slow.kept), (5.0, 1000.0, true));
    assert!(trial.measures.iter().all(|measure| measure.kept));
    assert_eq!(trial.measures.len(), goals.limits().len());
}

#[test]
fn a_gate_that_failed_fails_the_trial_and_unanswered_requests_are_slow() {
    let summary = run([960, 20, 10, 10], &[("p99<50ms", false), ("errors<5%", true)]);
    let trial = judge(&goals("p99<50ms, errors<5%"), &summary);
    assert_eq!(trial.verdict, TrialVerdict::Fail);
    let (slow, bad) = (trial.measures[0], trial.measures[1]);
    assert_eq!((slow.amount, slow.of, slow.kept), (30.0, 1000.0, false));
    assert_eq!((bad.amount, bad.of, bad.kept), (20.0, 1000.0, true));
}

#[test]
fn what_is_unsent_fails_a_trial_that_keeps_the_goals_of_the_user() {
    let mut record = Record::default();
    let phase = &mut record.phases[1];
    (0..1000).for_each(|_| complete(phase, 200, MS, None));
    phase.counts.scheduled += 1;
    phase.unsent.left += 1;
    phase.drop_unsent(2 * MS);
    let template = run([1, 0, 0, 0], &[("p99<50ms", true)]);
    let summary = Summary { gates: template.gates, verdict: template.verdict, ..summary(record) };
    let trial = judge(&goals("p99<50ms"), &summary);
    let kept: Vec<bool> = trial.measures.iter().map(|measure| measure.kept).collect();
    assert_eq!((trial.verdict, kept), (TrialVerdict::Fail, vec![true, false, true, true]));
    let closed = Goals::new(&clauses("p99<50ms"), false);
    let trial = closed.judge(&plan(), &summary, proposal(64.0, 10.0), &[]);
    assert_eq!(trial.verdict, TrialVerdict::Pass, "a closed loop implies nothing");
}

#[test]
fn answers_that_do_not_keep_up_fail_a_trial_but_for_what_chance_leaves_in_flight() {
    let kept = |unanswered: u64| {
        let summary = run([1000 - unanswered, 0, 0, unanswered], &[("p50<1s", true)]);
        judge(&goals("p50<1s"), &summary).measures[2].kept
    };
    assert!(kept(11), "1 % and one");
    assert!(!kept(12));
    let mut summary = run([960, 0, 0, 40], &[("p50<1s", true)]);
    summary.in_flight = Some(crate::result::summary::InFlight { mean: 100.0, by_law: Some(100.0) });
    assert!(judge(&goals("p50<1s"), &summary).measures[2].kept, "100 in flight may be 130");
}

#[test]
fn what_piles_up_fails_a_trial() {
    let mut summary = run([1000, 0, 0, 0], &[("p99<50ms", true)]);
    summary.verdict.code = Code::Unstable;
    let trial = judge(&goals("p99<50ms"), &summary);
    assert_eq!(trial.verdict, TrialVerdict::Fail);
    assert!(!trial.measures[3].kept);
}

#[test]
fn too_few_requests_are_inconclusive_only_where_nothing_failed() {
    let goals = goals("p99<50ms");
    assert_eq!(
        judge(&goals, &run([380, 0, 0, 0], &[("p99<50ms", true)])).verdict,
        TrialVerdict::Inconclusive
    );
    assert_eq!(
        judge(&goals, &run([381, 0, 0, 0], &[("p99<50ms", true)])).verdict,
        TrialVerdict::Pass
    );
    assert_eq!(
        judge(&goals, &run([0, 100, 0, 0], &[("p99<50ms", false)])).verdict,
        TrialVerdict::Fail
    );
}

#[test]
fn a_client_that_was_the_limit_says_nothing_of_the_target() {
    let goals = goals("p99<50ms");
    let failed = run([900, 100, 0, 0], &[("p99<50ms", false)]);
    let passed = run([1000, 0, 0, 0], &[("p99<50ms", true)]);
    let verdict = |summary: Summary| judge(&goals, &summary).verdict;
    for rules in [&[Rule::ClientLag][..], &[Rule::Saturated], &[]] {
        assert_eq!(verdict(client_limited(failed.clone(), rules)), TrialVerdict::ClientLimited);
    }
    assert_eq!(
        verdict(client_limited(passed.clone(), &[Rule::Saturated])),
        TrialVerdict::ClientLimited
    );
    assert_eq!(
        verdict(client_limited(passed.clone(), &[Rule::ClientLag, Rule::Saturated])),
        TrialVerdict::ClientLimited
    );
    assert_eq!(
        verdict(client_limited(passed, &[Rule::ClientLag])),
        TrialVerdict::Pass,
        "late, and kept all the same"
    );
}

/// A run of a schedule, of which each request had to wait for the client for so long.
fn lagging(client_ns: u64) -> Summary {
    let mut summary =
        client_limited(run([100, 900, 0, 0], &[("p99<50ms", false)]), &[Rule::ClientLag]);
    summary.end = End::Aborted { condition: 0, value: 1e8 };
    let mut lag = LatencyHistogram::new();
    (0..1000).for_each(|_| lag.record(client_ns));
    let lags = || Distribution::plain(lag.clone());
    summary.latencies.lags = Some(Lags { send: lags(), pool: lags(), client: lags() });
    summary
}

#[test]
fn a_client_that_came_late_is_to_blame_for_what_it_made_late_and_for_nothing_else() {
    // 100 ms each, of which the client may have caused 1 or 60.
    let trial = judge(&goals("p99<50ms"), &lagging(MS));
    assert_eq!((trial.verdict, trial.cut_short), (TrialVerdict::Fail, true));
    assert_eq!(judge(&goals("p99<50ms"), &lagging(60 * MS)).verdict, TrialVerdict::ClientLimited);
    let mut starved = lagging(MS);
    starved.verdict.reasons[0].rule = Rule::Saturated;
    assert_eq!(judge(&goals("p99<50ms"), &starved).verdict, TrialVerdict::ClientLimited);
    let closed = Goals::new(&clauses("p99<50ms"), false);
    let trial = closed.judge(&plan(), &lagging(MS), proposal(64.0, 10.0), &[]);
    assert_eq!(trial.verdict, TrialVerdict::ClientLimited);
    // Bad answers are not for want of time.
    let bad = client_limited(run([900, 0, 100, 0], &[("errors<1%", false)]), &[Rule::ClientLag]);
    assert_eq!(judge(&goals("errors<1%"), &bad).verdict, TrialVerdict::Fail);
}

#[test]
fn a_mean_is_measured_in_nanoseconds_and_bad_answers_are_missing_from_goodput() {
    let summary = run([800, 0, 200, 0], &[("mean<5ms", true), ("goodput>=99%", false)]);
    let trial = judge(&goals("mean<5ms, goodput>=99%"), &summary);
    assert!((trial.measures[0].share() - 1e6).abs() < 1e4, "{:?}", trial.measures[0]);
    // One may always be in flight.
    assert_eq!((trial.measures[1].amount, trial.measures[1].of), (199.0, 1000.0));
}

#[test]
fn a_target_of_which_every_answer_is_bad_is_not_the_one_that_is_meant() {
    assert!(is_all_bad(&run([0, 0, 10, 0], &[])));
    assert!(!is_all_bad(&run([1, 0, 10, 0], &[])));
    assert!(!is_all_bad(&run([0, 0, 0, 10], &[])), "no answer is another matter");
}

#[test]
fn a_target_that_answers_nothing_is_gone_and_a_slow_one_is_not() {
    assert!(is_dead(&run([0, 0, 0, 100], &[])));
    assert!(!is_dead(&run([1, 0, 0, 100], &[])));
    assert!(!is_dead(&run([0, 0, 100, 0], &[])), "bad answers are answers");
    assert!(!is_dead(&run([0; 4], &[])), "nobody asked");
    let mut refused = run([0; 4], &[]);
    refused.record.connections.failed = 3;
    assert!(is_dead(&refused));
    let mut given_up = run([100, 0, 0, 0], &[]);
    given_up.end = End::GaveUp;
    assert!(is_dead(&given_up));
    let mut record = Record::default();
    complete(&mut record.phases[0], 200, MS, None);
    fail(&mut record.phases[1], Outcome::Timeout, SECOND);
    assert!(!is_dead(&summary(record)), "it answered in the warm-up");
}

fn row(load: f64, achieved_rps: f64, verdict: TrialVerdict, purpose: Purpose) -> Row {
    let summary = run([1000, 0, 0, 0], &[]);
    let proposal = Proposal { load, length_s: 10.0, purpose };
    let trial =
        Trial { proposal, verdict, requests: 1000.0, measures: Vec::new(), cut_short: false };
    let mut row = Row::of(trial, 0.0, &summary);
    row.rates.offered_rps = load;
    row.rates.achieved_rps = achieved_rps;
    row.second_half = Some((load, achieved_rps));
    row
}

fn found(rows: Vec<Row>, closed: bool) -> Found {
    Found {
        closed,
        goals: Goals::new(&clauses("p99<50ms"), !closed),
        slo: "p99<50ms".to_owned(),
        settings: SearchSettings { whole: closed, ..SearchSettings::usual(10.0, 1.7) },
        rows,
        answer: SearchResult {
            ending: Ending::Found,
            ceiling: Some(1000.0),
            interval: Some((990.0, 1010.0)),
            safe: Some(985.0),
            limiting: None,
            verified: true,
            precise: true,
            regressed: true,
            bracket: (None, None),
            change: None,
            doubt: None,
        },
        broken: None,
        spent_s: 1.0,
    }
}

#[test]
fn throughput_is_what_came_where_more_was_offered() {
    let narrow = |load, achieved, verdict| row(load, achieved, verdict, Purpose::Narrow);
    let rows = vec![
        narrow(900.0, 900.0, TrialVerdict::Pass),
        narrow(1100.0, 990.0, TrialVerdict::Fail),
        narrow(2000.0, 1010.0, TrialVerdict::Fail),
        // One that collapsed does not count.
        narrow(4000.0, 500.0, TrialVerdict::Fail),
        narrow(4000.0, 1500.0, TrialVerdict::ClientLimited),
    ];
    let of = |rows: &[Row], closed: bool| found(rows.to_vec(), closed).saturation_rps();
    assert!(of(&rows[..1], false).is_none());
    assert!(near(of(&rows[..4], false), 1000.0), "{:?}", of(&rows[..4], false));
    assert_eq!(of(&rows[..1], true), None, "more connections may bring more");
    assert!(near(of(&rows[..4], true), 1000.0), "{:?}", of(&rows[..4], true));
    assert_eq!(of(&rows, false), None, "it has answered more, whoever was the limit");
    // A trial that was held up says nothing where another answered more.
    let held_up =
        [narrow(100.0, 100.0, TrialVerdict::Pass), narrow(100.0, 80.0, TrialVerdict::Fail)];
    assert_eq!(of(&held_up, false), None);
}

#[test]
fn connections_are_lacking_when_most_trials_near_the_ceiling_waited_for_them() {
    let waited = |load| Row {
        code: Code::ConnectionLimited,
        ..row(load, load, TrialVerdict::Fail, Purpose::Confirm)
    };
    let other = |load| row(load, load, TrialVerdict::Pass, Purpose::Confirm);
    assert!(found(vec![waited(1000.0), waited(1010.0), other(990.0)], false).lacks_connections());
    assert!(!found(vec![waited(1000.0), other(990.0)], false).lacks_connections());
    assert!(!found(vec![waited(2000.0), other(990.0)], false).lacks_connections());
    assert!(!found(vec![waited(1000.0)], true).lacks_connections(), "they are what is searched");
}

#[test]
fn the_last_verification_is_the_one_that_counts() {
    let verify = |load| row(load, load, TrialVerdict::Pass, Purpose::Verify);
    let rows =
        vec![verify(900.0), verify(950.0), row(990.0, 990.0, TrialVerdict::Pass, Purpose::Confirm)];
    let found = found(rows, false);
    let last = found.verification().unwrap();
    assert!((last.trial.proposal.load - 950.0).abs() < 1e-9);
}

#[test]
fn gates_that_held_while_the_target_went_away_decide_nothing() {
    let goals = goals("p99<50ms");
    let verdict = |rule: Rule, holds: bool| {
        let mut summary = run([10_000, 0, 0, 0], &[("p99<50ms", holds)]);
        let text = "a reason".to_owned();
        summary.verdict.reasons = vec![Reason { rule, level: Level::Invalid, text }];
        judge(&goals, &summary).verdict
    };
    assert_eq!(
        (verdict(Rule::NoConnection, true), verdict(Rule::ConnectionsLost, true)),
        (TrialVerdict::Inconclusive, TrialVerdict::Inconclusive)
    );
    assert_eq!(
        (verdict(Rule::NoConnection, false), verdict(Rule::TakenAway, true)),
        (TrialVerdict::Fail, TrialVerdict::Pass)
    );
}

#[test]
fn a_target_that_is_only_slow_has_no_most_throughput() {
    // From 400 a second on an answer takes a second: what comes in the second half is that of the second before.
    let mut slow = row(400.0, 300.0, TrialVerdict::Fail, Purpose::Narrow);
    slow.second_half = Some((400.0, 399.0));
    let held = row(190.0, 190.0, TrialVerdict::Pass, Purpose::Narrow);
    assert_eq!(found(vec![held, slow], false).saturation_rps(), None);
}
