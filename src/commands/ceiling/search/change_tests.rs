//! Searches of targets that are not the same throughout, and of limiters, whose share of errors follows no smooth curve:
//! in virtual time, request by request.

use super::{
    Doubt, Ending, Measure, Proposal, Purpose, Search, SearchResult, SearchSettings, Step, Trial,
    TrialVerdict,
};
use crate::stats::known::Draws;

/// What a trial takes beside its length, in seconds; the first of them is its warm-up.
const BESIDE_S: f64 = 1.7;

/// Searches with `is_bad` saying of each request, by when it is sent, whether it misses the goal; `limit` is the share
/// that may. Arrivals are evenly spaced.
fn search(
    from: f64,
    limit: f64,
    mut is_bad: impl FnMut(f64) -> bool,
) -> (SearchResult, Vec<(Trial, f64)>) {
    let settings = SearchSettings {
        from,
        limits: vec![Some(limit)],
        seed: 1,
        ..SearchSettings::usual(10.0, BESIDE_S)
    };
    let mut search = Search::new(settings);
    let mut made = Vec::new();
    let mut now_s = 0.0;
    loop {
        let proposal = match search.next() {
            Step::Done(answer) => return (answer, made),
            Step::Try(proposal) => proposal,
        };
        now_s += search.rest_s();
        let (begun_s, trial) = (now_s, trial(&proposal, limit, now_s, &mut is_bad));
        now_s += BESIDE_S + trial.requests / proposal.load;
        made.push((trial.clone(), begun_s));
        search.record(trial, now_s);
    }
}

/// One trial, which is cut short like those of the command.
fn trial(
    proposal: &Proposal,
    limit: f64,
    begun_s: f64,
    is_bad: &mut impl FnMut(f64) -> bool,
) -> Trial {
    let hopeless = (limit * 20.0).clamp(0.1, 0.4);
    let may_cut = !matches!(proposal.purpose, Purpose::Confirm | Purpose::Verify);
    let (mut amount, mut of) = (0.0, 0.0);
    let mut cut_short = false;
    let measured_s = begun_s + 1.0;
    for number in 0.. {
        let at_s = begun_s + f64::from(number) / proposal.load;
        let passed_s = at_s - measured_s;
        cut_short = may_cut && passed_s >= 1.0 && amount > hopeless * of;
        if cut_short || passed_s >= proposal.length_s {
            break;
        }
        let bad = is_bad(at_s);
        if passed_s >= 0.0 {
            of += 1.0;
            amount += f64::from(u8::from(bad));
        }
    }
    let kept = amount < limit * of;
    let verdict = if kept && !cut_short { TrialVerdict::Pass } else { TrialVerdict::Fail };
    let measures = vec![Measure { amount, of, kept }];
    Trial { proposal: *proposal, verdict, requests: of, measures, cut_short }
}

/// One server that takes as long as `takes_s` says, by the time and by how long the queue is, both in seconds; who waits
/// for more than 50 ms is badly served. No more than a quarter of a second outlives a trial.
fn server(mut takes_s: impl FnMut(f64, f64) -> f64) -> impl FnMut(f64) -> bool {
    let (mut free_s, mut last_s) = (0.0_f64, 0.0);
    move |at_s| {
        if at_s - last_s > 0.4 {
            free_s = free_s.min(last_s + 0.25);
        }
        last_s = at_s;
        let takes_s = takes_s(at_s, (free_s - at_s).max(0.0));
        free_s = free_s.max(at_s) + takes_s;
        free_s - at_s > 0.05
    }
}

/// Where searches begin: elsewhere each time, so that no load is one of the target's own.
fn starts() -> impl Iterator<Item = f64> {
    (0..10).map(|number| 100.0 + 0.61 * f64::from(number))
}

/// The interval holds `truth`. What piles up in 30 s is allowed to take 50 ms: that is 0.2 % more.
fn holds(answer: &SearchResult, truth: f64) -> bool {
    answer.interval.is_some_and(|(low, high)| low <= truth * 1.002 && truth <= high)
}

/// The answer names a change in the given direction, with trials that show it, and no interval.
fn assert_changed(answer: &SearchResult, made: &[(Trial, f64)], worse: bool) {
    assert_eq!(answer.ending, Ending::Changed, "{answer:?}");
    assert_eq!((answer.ceiling, answer.interval, answer.safe), (None, None, None));
    let change = answer.change.unwrap();
    assert!(change.worse == worse && change.before < change.since, "{answer:?}");
    let shown = |index: usize| (made[index].0.verdict, made[index].0.proposal.load);
    let ((was, load_before), (is, load_since)) = (shown(change.before), shown(change.since));
    if worse {
        assert_eq!((was, is), (TrialVerdict::Pass, TrialVerdict::Fail), "{answer:?}");
        assert!(load_since <= load_before, "{answer:?}");
    } else {
        assert_eq!((was, is), (TrialVerdict::Fail, TrialVerdict::Pass), "{answer:?}");
        assert!(load_since >= load_before, "{answer:?}");
    }
}

#[test]
fn a_target_that_stays_slow_after_overload_is_said_to_have_changed() {
    for left in [95.0, 150.0] {
        for from in starts() {
            let mut slow = false;
            let (answer, made) = search(
                from,
                0.01,
                server(|_, queue_s| {
                    slow |= queue_s > 0.15;
                    1.0 / if slow { left } else { 300.0 }
                }),
            );
            assert_changed(&answer, &made, true);
            assert_eq!(answer.change.unwrap().until, None);
            let (_, begun_s) = made.last().unwrap();
            assert!(*begun_s < 100.0, "{left}: it goes on for {begun_s} s");
        }
    }
}

#[test]
fn a_target_that_recovers_again_and_again_is_said_to_have_been_disturbed() {
    for from in starts() {
        let mut slow_until_s = 0.0;
        let (answer, made) = search(
            from,
            0.01,
            server(|at_s, queue_s| {
                if queue_s > 0.15 && at_s > slow_until_s + 2.0 {
                    slow_until_s = at_s + 20.0;
                }
                1.0 / if at_s < slow_until_s { 60.0 } else { 300.0 }
            }),
        );
        assert_changed(&answer, &made, true);
        let until = answer.change.unwrap().until.unwrap();
        assert_eq!(made[until].0.proposal.purpose, Purpose::Recheck);
        assert_eq!(made[until].0.verdict, TrialVerdict::Pass);
    }
}

#[test]
fn a_single_disturbance_is_set_aside_and_the_ceiling_is_found() {
    for from in starts() {
        // Half a minute in which something else had the machine.
        let (answer, _) = search(
            from,
            0.01,
            server(|at_s, _| if (18.0..45.0).contains(&at_s) { 0.05 } else { 0.001 }),
        );
        assert_eq!(answer.ending, Ending::Found, "{answer:?}");
        assert!(holds(&answer, 1000.0) && answer.verified, "{answer:?}");
    }
}

#[test]
fn a_target_that_gets_faster_is_said_to_have_changed() {
    // At once, or more and more.
    let warm = |at_s: f64| if at_s < 100.0 { 300.0 } else { 500.0 };
    let warming = |at_s: f64| 150.0 + 3.5 * at_s.min(100.0);
    let mut named = [0; 2];
    for from in starts() {
        for (kind, capacity) in [&warm as &dyn Fn(f64) -> f64, &warming].into_iter().enumerate() {
            let (answer, made) = search(from, 0.01, server(|at_s, _| 1.0 / capacity(at_s)));
            if answer.ending == Ending::Found {
                // Over before it got warm, or warm before it mattered.
                assert!(holds(&answer, capacity(made.last().unwrap().1)), "{from}: {answer:?}");
            } else {
                assert_changed(&answer, &made, false);
                named[kind] += 1;
            }
        }
    }
    assert!(named[0] >= 5 && named[1] >= 1, "{named:?}");
}

#[test]
fn a_target_of_half_the_capacity_since_the_middle_is_said_to_have_changed() {
    for half_s in [30.0, 60.0, 90.0] {
        for from in starts() {
            let (answer, made) =
                search(from, 0.01, server(|at_s, _| if at_s < half_s { 0.001 } else { 0.002 }));
            assert_changed(&answer, &made, true);
            let change = answer.change.unwrap();
            assert!(made[change.since].1 + 45.0 > half_s, "{half_s}: {answer:?}");
            assert!(made[change.before].1 < half_s, "{half_s}: {answer:?}");
        }
    }
}

/// Lets through 300 a second, after as many as `burst` in reserve.
fn bucket(burst: f64) -> impl FnMut(f64) -> bool {
    let (mut tokens, mut last_s) = (burst, 0.0);
    move |at_s| {
        tokens = f64::min(tokens + (at_s - last_s) * 300.0, burst);
        last_s = at_s;
        let refused = tokens < 1.0;
        tokens -= if refused { 0.0 } else { 1.0 };
        refused
    }
}

/// Lets through 300 in each second of a clock that is `ahead_s` of the search's.
fn window(ahead_s: f64) -> impl FnMut(f64) -> bool {
    let (mut second, mut count) = (-1.0, 0);
    move |at_s| {
        if (at_s + ahead_s).floor() > second {
            (second, count) = ((at_s + ahead_s).floor(), 0);
        }
        count += 1;
        count > 300
    }
}

/// No interval without the truth, and an interval nearly every time.
fn assert_limit(what: &str, limit: f64, answers: Vec<SearchResult>) {
    let truth = 300.0 / (1.0 - limit);
    let count = answers.len();
    let found: Vec<&SearchResult> =
        answers.iter().filter(|answer| answer.interval.is_some()).collect();
    for answer in &found {
        let (low, high) = answer.interval.unwrap();
        assert!((low..=high).contains(&truth), "{what}, {limit}: {answer:?}");
        assert!(answer.verified && answer.change.is_none(), "{what}, {limit}: {answer:?}");
    }
    assert!(found.len() + 1 >= count, "{what}, {limit}: {} of {count} found", found.len());
}

#[test]
fn the_limit_of_a_token_bucket_is_within_the_interval() {
    for limit in [0.001, 0.01, 0.05] {
        let answers = starts().map(|from| search(from, limit, bucket(10.0)).0).collect();
        assert_limit("bucket", limit, answers);
    }
}

#[test]
fn the_limit_of_a_window_of_one_second_is_within_the_interval() {
    for limit in [0.001, 0.01, 0.05] {
        let answers = starts().map(|from| search(from, limit, window(from * 0.137)).0).collect();
        assert_limit("window", limit, answers);
    }
}

#[test]
fn a_target_that_lives_on_a_reserve_has_no_interval() {
    // A second's worth of requests: full trials hold 330 a second, those that verify do not.
    let doubts: Vec<Doubt> = starts()
        .filter_map(|from| {
            let (answer, _) = search(from, 0.05, bucket(300.0));
            assert_eq!((answer.ceiling, answer.interval), (None, None), "{answer:?}");
            answer.doubt
        })
        .collect();
    assert_eq!(doubts.len(), 10, "each says why: {doubts:?}");
}

/// How many of 200 searches over a queue that takes a millisecond on average say that it has changed.
fn accused(exponential: bool, limit_s: f64, limit: f64) -> usize {
    let accused = (0..200).filter(|&seed| {
        let mut draws = Draws::new(seed * 7919 + 13);
        let mut arrivals = Draws::new(seed * 104_729 + 7);
        let (mut free_s, mut now_s, mut last_s) = (0.0_f64, 0.0, 0.0);
        // The gaps are those of Poisson arrivals, of the mean that the trial's own have.
        let (answer, _) = search(100.0, limit, |at_s: f64| {
            let gap_s = at_s - last_s;
            last_s = at_s;
            now_s += if gap_s < 0.1 { arrivals.exponential(gap_s) } else { gap_s };
            let takes_s = if exponential { draws.exponential(0.001) } else { 0.001 };
            free_s = f64::max(free_s, now_s) + takes_s;
            free_s - now_s > limit_s
        });
        answer.change.is_some()
    });
    accused.count()
}

#[test]
fn queues_that_stay_as_they_are_are_not_accused() {
    for (exponential, limit_s, limit) in [(true, 0.02, 0.05), (false, 0.01, 0.01)] {
        let accused = accused(exponential, limit_s, limit);
        assert!(accused <= 2, "{accused} of 200 (exponential: {exponential})");
    }
}
