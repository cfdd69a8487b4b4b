//! Searches whose answer is known, over queues that are walked request by request, and the rules one by one.

use super::steps::is_same;
use super::{
    Class, Doubt, Ending, Measure, Point, Proposal, Purpose, Rules, Search, SearchResult,
    SearchSettings, Step, Trial, TrialVerdict, classify, crossing,
};
use crate::stats::known::Draws;

const RULES: Rules = Rules { trial_s: 10.0, sum_s: 30.0, exceed_ratio: 0.5 };

fn settings(limit: f64) -> SearchSettings {
    SearchSettings { limits: vec![Some(limit)], seed: 1, ..SearchSettings::usual(10.0, 1.7) }
}

fn trial(load: f64, length_s: f64, verdict: TrialVerdict) -> Trial {
    let proposal = Proposal { load, length_s, purpose: Purpose::Narrow };
    let measures = vec![Measure { amount: 0.0, of: 1.0, kept: verdict == TrialVerdict::Pass }];
    Trial { proposal, verdict, measures, cut_short: false, requests: 1e6 }
}

/// Searches with `answer` giving the share above the limit, which decides.
fn search(
    settings: SearchSettings,
    mut answer: impl FnMut(&Proposal) -> Option<f64>,
) -> (SearchResult, Search, f64) {
    let limit = settings.limits[0].unwrap();
    let mut search = Search::new(settings);
    let mut spent_s = 0.0;
    loop {
        let proposal = match search.next() {
            Step::Done(answer) => return (answer, search, spent_s),
            Step::Try(proposal) => proposal,
        };
        let share = answer(&proposal);
        let of = proposal.load * proposal.length_s;
        let amount = share.unwrap_or(0.0) * of;
        let kept = share.is_some_and(|share| share < limit);
        let verdict = match share {
            None => TrialVerdict::ClientLimited,
            Some(_) if kept => TrialVerdict::Pass,
            Some(_) => TrialVerdict::Fail,
        };
        let hopeless = share.is_some_and(|share| share > 20.0 * limit);
        let cut_short = hopeless && proposal.purpose != Purpose::Confirm;
        spent_s += 1.7 + if cut_short { 2.0 } else { proposal.length_s };
        search.record(
            Trial {
                proposal,
                verdict,
                measures: vec![Measure { amount, of, kept }],
                cut_short,
                requests: 1e6,
            },
            spent_s,
        );
        assert!(search.trials().len() < 200, "it ends");
    }
}

/// A queue for one server that takes a millisecond on average.
#[derive(Clone, Copy)]
struct Queue {
    exponential: bool,
    poisson: bool,
    limit_s: f64,
}

impl Queue {
    /// The share of requests that take longer than the limit, after a second of warm-up.
    fn slow(self, draws: &mut Draws, proposal: &Proposal) -> f64 {
        const MEAN_S: f64 = 0.001;
        let (mut now, mut free_at) = (0.0_f64, 0.0_f64);
        let (mut all, mut slow) = (0.0, 0.0);
        loop {
            let gap = 1.0 / proposal.load;
            now += if self.poisson { draws.exponential(gap) } else { gap };
            if now >= 1.0 + proposal.length_s {
                return slow / all;
            }
            free_at = free_at.max(now)
                + if self.exponential { draws.exponential(MEAN_S) } else { MEAN_S };
            if now >= 1.0 {
                all += 1.0;
                slow += f64::from(u8::from(free_at - now > self.limit_s));
            }
        }
    }
}

/// Of `searches`, how many have an interval that holds the truth, and how many are within 2 % of it.
fn known(queue: Queue, limit: f64, truth: f64, searches: u64) -> (u64, u64) {
    let (mut covered, mut close) = (0, 0);
    for seed in 0..searches {
        let mut draws = Draws::new(seed * 7919 + 13);
        let settings = SearchSettings { seed, ..settings(limit) };
        let (answer, _, spent_s) =
            search(settings, |proposal| Some(queue.slow(&mut draws, proposal)));
        assert!(spent_s <= 600.0, "the budget is kept");
        assert_eq!(answer.change, None, "seed {seed}: it is the same queue all the time");
        let Some((low, high)) = answer.interval else { continue };
        covered += u64::from((low..=high).contains(&truth));
        close += u64::from((answer.ceiling.unwrap() / truth - 1.0).abs() <= 0.02);
    }
    (covered, close)
}

#[test]
fn the_ceiling_of_an_mm1_queue_is_found() {
    // 1000 less ln(1 / 5 %) over 20 ms.
    let queue = Queue { exponential: true, poisson: true, limit_s: 0.02 };
    let (covered, close) = known(queue, 0.05, 1000.0 - 20_f64.ln() / 0.02, 25);
    assert!(covered >= 22 && close >= 22, "{covered} covered, {close} close of 25");
}

#[test]
fn the_ceiling_of_an_md1_queue_is_found() {
    let queue = Queue { exponential: false, poisson: true, limit_s: 0.01 };
    let (covered, close) = known(queue, 0.01, 773.5, 25);
    assert!(covered >= 22 && close >= 22, "{covered} covered, {close} close of 25");
}

#[test]
fn the_edge_of_a_server_without_a_queue_is_found_in_three_minutes() {
    // Evenly spaced requests into a server that takes a millisecond: none waits up to 1000 a second, all do beyond.
    let queue = Queue { exponential: false, poisson: false, limit_s: 0.05 };
    let mut draws = Draws::new(1);
    let (answer, search, spent_s) =
        search(settings(0.01), |proposal| Some(queue.slow(&mut draws, proposal)));
    assert!(spent_s < 180.0, "{spent_s} s");
    assert!((answer.ceiling.unwrap() / 1000.0 - 1.0).abs() < 0.02, "{answer:?}");
    assert!(answer.verified && answer.precise && answer.limiting == Some(0), "{answer:?}");
    let purposes: Vec<Purpose> =
        search.trials().iter().map(|trial| trial.proposal.purpose).collect();
    assert!(!purposes.contains(&Purpose::Confirm), "there is nothing to regress: {purposes:?}");
    assert!(purposes.ends_with(&[Purpose::Verify, Purpose::Recheck]), "{purposes:?}");
}

#[test]
fn a_step_of_a_share_is_found_wherever_it_is() {
    for edge in [130.0, 777.0, 12_345.0, 1_000_000.0] {
        let (answer, _, spent_s) =
            search(settings(0.01), |proposal| Some(if proposal.load <= edge { 0.0 } else { 1.0 }));
        let (low, high) = answer.interval.unwrap();
        assert!((low..=high).contains(&edge) && high / low < 1.041, "{edge}: {answer:?}");
        assert!(answer.verified && spent_s < 200.0, "{edge}: {spent_s} s");
    }
}

#[test]
fn a_minimum_that_fails_is_no_ceiling() {
    let (answer, search, _) = search(settings(0.01), |_| Some(1.0));
    assert_eq!((answer.ending, answer.ceiling), (Ending::MinimumFails, None));
    assert!(search.trials().iter().all(|trial| is_same(trial.proposal.load, 100.0)));
    assert!(search.trials().len() <= 4, "{:?}", search.trials());
}

#[test]
fn a_hiccup_at_the_minimum_does_not_end_the_search() {
    let mut first = true;
    let (answer, _, _) = search(settings(0.01), |proposal| {
        let hiccup = std::mem::take(&mut first);
        Some(if hiccup || proposal.load > 500.0 { 1.0 } else { 0.0 })
    });
    assert_eq!(answer.ending, Ending::Found);
    assert!((answer.ceiling.unwrap() / 500.0 - 1.0).abs() < 0.02, "{answer:?}");
}

#[test]
fn goals_that_never_fail_end_at_the_highest_load_that_is_allowed() {
    let settings = SearchSettings { most: Some(3000.0), ..settings(0.01) };
    let (answer, search, _) = search(settings, |_| Some(0.0));
    assert_eq!((answer.ending, answer.ceiling), (Ending::AtMost, Some(3000.0)));
    assert!(search.trials().iter().all(|trial| trial.proposal.load <= 3000.0));
    let at_most: f64 = search
        .trials()
        .iter()
        .filter(|trial| is_same(trial.proposal.load, 3000.0) && trial.proposal.length_s >= 10.0)
        .map(|trial| trial.proposal.length_s)
        .sum();
    assert!(at_most >= 15.0, "a short trial proves nothing");
}

#[test]
fn the_bracket_is_the_tightest_that_was_seen() {
    let mut search = Search::new(settings(0.01));
    assert_eq!(search.bracket(), (None, None));
    let told = |search: &mut Search, load, length_s, verdict| {
        search.record(trial(load, length_s, verdict), 0.0);
        search.bracket()
    };
    // As long as the sum of durations: proved. The others are not.
    assert_eq!(told(&mut search, 100.0, 30.0, TrialVerdict::Pass), (Some(100.0), None));
    assert_eq!(told(&mut search, 200.0, 3.0, TrialVerdict::Pass), (Some(200.0), None));
    assert_eq!(told(&mut search, 800.0, 3.0, TrialVerdict::Fail), (Some(200.0), Some(800.0)));
    assert_eq!(told(&mut search, 400.0, 3.0, TrialVerdict::Fail), (Some(200.0), Some(400.0)));
    // One word does not undo a proof.
    assert_eq!(told(&mut search, 100.0, 3.0, TrialVerdict::Fail), (Some(200.0), Some(400.0)));
}

#[test]
fn what_the_client_cannot_offer_caps_the_answer_and_decides_nothing() {
    let (answer, search, _) =
        search(settings(0.01), |proposal| (proposal.load < 1500.0).then_some(0.0));
    assert_eq!(answer.ending, Ending::ClientLimited);
    let least = answer.ceiling.unwrap();
    assert!((1400.0..1500.0).contains(&least), "{answer:?}");
    assert!(answer.interval.is_none() && answer.limiting.is_none());
    assert_eq!(search.bracket(), (Some(least), None), "the target failed nowhere");
    let proved = search
        .trials()
        .iter()
        .filter(|trial| is_same(trial.proposal.load, least) && trial.verdict == TrialVerdict::Pass);
    assert!(proved.map(|trial| trial.proposal.length_s).sum::<f64>() >= 15.0);
}

#[test]
fn a_trial_that_the_client_spoilt_is_made_again() {
    let mut number = 0;
    let (answer, _, _) = search(settings(0.01), |proposal| {
        number += 1;
        (number % 5 != 2).then_some(if proposal.load <= 700.0 { 0.0 } else { 1.0 })
    });
    assert_eq!(answer.ending, Ending::Found);
    let (low, high) = answer.interval.unwrap();
    assert!((low..=high).contains(&700.0), "{answer:?}");
}

#[test]
fn too_little_time_gives_what_is_known_and_no_interval() {
    let settings = SearchSettings { budget_s: 20.0, ..settings(0.01) };
    let (answer, _, spent_s) =
        search(settings, |proposal| Some(if proposal.load <= 700.0 { 0.0 } else { 1.0 }));
    assert!(spent_s <= 20.0);
    assert_eq!((answer.ending, answer.interval), (Ending::OutOfBudget, None));
    assert_eq!((answer.ceiling, answer.safe), (None, None), "one short trial proves nothing");
}

#[test]
fn whole_numbers_are_searched_to_the_last_that_holds() {
    for edge in [1.0, 2.0, 3.0, 17.0, 100.0] {
        let settings =
            SearchSettings { from: 1.0, whole: true, most: Some(1000.0), ..settings(0.01) };
        let (answer, search, _) =
            search(settings, |proposal| Some(if proposal.load <= edge { 0.0 } else { 1.0 }));
        let ceiling = answer.ceiling.unwrap();
        assert!((ceiling - edge).abs() <= edge * 0.04, "{edge}: {answer:?}");
        assert!(search.trials().iter().all(|trial| trial.proposal.load.fract() == 0.0));
    }
}

#[test]
fn the_goal_that_is_missed_first_limits() {
    let mut search =
        Search::new(SearchSettings { limits: vec![Some(0.01), Some(0.05)], ..settings(0.01) });
    let answer = loop {
        let proposal = match search.next() {
            Step::Done(answer) => break answer,
            Step::Try(proposal) => proposal,
        };
        let measure = |edge: f64, limit: f64| {
            let share = if proposal.load <= edge { 0.0 } else { 1.0 };
            Measure { amount: share, of: 1.0, kept: share < limit }
        };
        let measures = vec![measure(900.0, 0.01), measure(600.0, 0.05)];
        let kept = measures.iter().all(|measure| measure.kept);
        let verdict = if kept { TrialVerdict::Pass } else { TrialVerdict::Fail };
        search.record(Trial { proposal, verdict, measures, cut_short: false, requests: 1e6 }, 0.0);
    };
    assert_eq!(answer.limiting, Some(1));
    assert!((answer.ceiling.unwrap() / 600.0 - 1.0).abs() < 0.02);
}

#[test]
fn verifications_that_fail_leave_no_interval() {
    let (answer, search, _) = search(settings(0.01), |proposal| {
        let fails = proposal.load > 700.0 || proposal.purpose == Purpose::Verify;
        Some(if fails { 1.0 } else { 0.0 })
    });
    assert_eq!(answer.ending, Ending::Unsupported, "{answer:?}");
    assert_eq!((answer.ceiling, answer.interval, answer.safe), (None, None, None));
    assert_eq!(answer.doubt, Some(Doubt::LongerFails));
    assert!(!answer.verified && answer.limiting == Some(0));
    let verifications =
        search.trials().iter().filter(|trial| trial.proposal.purpose == Purpose::Verify);
    assert!((2..=4).contains(&verifications.count()), "a hiccup is no proof");
}

#[test]
fn loads_are_classified_as_the_standard_says() {
    let class = |trials: &[Trial]| classify(trials.iter(), &RULES);
    let full = |verdict| trial(1.0, 10.0, verdict);
    let short = |verdict| trial(1.0, 3.0, verdict);
    let (pass, fail) = (TrialVerdict::Pass, TrialVerdict::Fail);
    assert_eq!(class(&[full(pass)]), Class::Undecided);
    assert_eq!(class(&[full(pass), full(pass)]), Class::Lower);
    assert_eq!(class(&[full(fail), full(fail)]), Class::Upper);
    assert_eq!(class(&[full(pass), full(fail)]), Class::Undecided);
    assert_eq!(class(&[full(pass), full(fail), full(fail)]), Class::Upper);
    assert_eq!(class(&[full(fail), full(pass), full(pass)]), Class::Lower);
    // Short trials never prove a lower bound; those that fail count as far as others do not balance them.
    assert_eq!(class(&vec![short(pass); 20]), Class::Undecided);
    assert_eq!(class(&vec![short(fail); 6]), Class::Upper);
    assert_eq!(class(&[vec![short(fail); 6], vec![short(pass); 6]].concat()), Class::Undecided);
    assert_eq!(
        class(&[full(TrialVerdict::ClientLimited), full(TrialVerdict::Inconclusive)]),
        Class::Undecided
    );
    // Without tolerance one trial that fails is enough, and all must pass for as long as is asked.
    let strict = Rules { trial_s: 60.0, sum_s: 60.0, exceed_ratio: 0.0 };
    assert_eq!(classify([trial(1.0, 60.0, pass)].iter(), &strict), Class::Lower);
    assert_eq!(classify([trial(1.0, 60.0, fail)].iter(), &strict), Class::Upper);
}

#[test]
fn the_crossing_of_a_line_is_where_it_is() {
    // share = 1 % * (load / 500)^10, exactly.
    let points: Vec<Point> = (0..20)
        .map(|i| {
            let load = 480.0 + 2.0 * f64::from(i);
            Point { load, share: 0.01 * (load / 500.0).powi(10), weight: 10.0 }
        })
        .collect();
    let found = crossing(&points, 0.01).unwrap();
    assert!((found.load - 500.0).abs() < 1e-3 && (found.slope - 10.0).abs() < 1e-3, "{found:?}");
    assert!(found.interval.1 - found.interval.0 < 1e-2 && found.safe <= found.interval.0);
    assert_eq!(crossing(&points[..4], 0.01), None);
    assert_eq!(crossing(&points, 0.0), None);
    // What gets better with the load has no ceiling.
    let falling: Vec<Point> =
        points.iter().map(|point| Point { share: 1e-4 / point.share, ..*point }).collect();
    assert_eq!(crossing(&falling, 0.01), None);
}

#[test]
fn whole_numbers_next_to_one_another_have_nothing_between_them() {
    let settings = SearchSettings { from: 1.0, most: Some(4096.0), whole: true, ..settings(0.1) };
    // The share is too small to be hopeless, and every trial says the same.
    let (answer, search, _) =
        search(settings, |proposal| Some(if proposal.load < 20.0 { 0.0 } else { 0.3 }));
    assert_eq!((answer.ceiling, answer.interval), (Some(19.0), Some((19.0, 19.0))), "{answer:?}");
    assert!(answer.verified && answer.precise && answer.limiting == Some(0), "{answer:?}");
    let purposes = search.trials().iter().map(|trial| trial.proposal.purpose);
    assert_eq!(purposes.filter(|purpose| *purpose == Purpose::Confirm).count(), 0);
}

#[test]
fn a_load_whose_trials_contradict_one_another_is_no_edge() {
    let trials: Vec<Trial> = [
        (209.0, 0.0),
        (218.0, 0.0),
        (218.0, 0.03),
        (218.0, 0.03),
        (238.0, 0.5),
        (230.0, 0.4),
        (230.0, 0.03),
        (209.0, 0.0),
        (238.0, 0.5),
    ]
    .map(|(load, share)| Trial {
        proposal: Proposal { load, length_s: 10.0, purpose: Purpose::Narrow },
        verdict: if share > 0.01 { TrialVerdict::Fail } else { TrialVerdict::Pass },
        measures: vec![Measure { amount: share, of: 1.0, kept: share <= 0.01 }],
        cut_short: false,
        requests: 1e6,
    })
    .to_vec();
    assert_eq!(super::confirm::edges(&settings(0.01), &trials), Some((209.0, 238.0)));
}

#[test]
fn a_goal_that_is_missed_by_chance_does_not_keep_the_ceiling_from_being_found() {
    let queue = Queue { exponential: true, poisson: true, limit_s: 0.02 };
    let mut draws = Draws::new(5);
    let mut search =
        Search::new(SearchSettings { limits: vec![Some(0.05), None], seed: 3, ..settings(0.05) });
    let mut spent_s = 0.0;
    let answer = loop {
        let proposal = match search.next() {
            Step::Done(answer) => break answer,
            Step::Try(proposal) => proposal,
        };
        let share = queue.slow(&mut draws, &proposal);
        let unlucky = draws.uniform() < 0.1;
        let measures = vec![
            Measure { amount: share, of: 1.0, kept: share < 0.05 },
            Measure { amount: 0.0, of: 1.0, kept: !unlucky },
        ];
        let kept = share < 0.05 && !unlucky;
        let verdict = if kept { TrialVerdict::Pass } else { TrialVerdict::Fail };
        spent_s += proposal.length_s + 1.7;
        search.record(
            Trial { proposal, verdict, measures, cut_short: false, requests: 1e6 },
            spent_s,
        );
    };
    assert_eq!((answer.ending, answer.limiting), (Ending::Found, Some(0)), "{answer:?}");
    assert!((answer.ceiling.unwrap() / 850.2 - 1.0).abs() < 0.03, "{answer:?}");
}

#[test]
fn a_hiccup_on_the_way_up_does_not_slow_the_search_down() {
    let mut hiccups = 0;
    let (answer, search, spent_s) = search(settings(0.01), |proposal| {
        let hiccup = is_same(proposal.load, 800.0) && hiccups < 1;
        hiccups += u32::from(hiccup);
        Some(if hiccup || proposal.load > 50_000.0 { 1.0 } else { 0.0 })
    });
    assert_eq!((answer.ending, hiccups), (Ending::Found, 1));
    assert!((answer.ceiling.unwrap() / 50_000.0 - 1.0).abs() < 0.02, "{answer:?}");
    assert!(spent_s < 300.0, "{spent_s} s, {} trials", search.trials().len());
}

#[test]
fn a_hiccup_at_a_few_connections_does_not_stop_the_search() {
    let mut hiccup = true;
    let settings = SearchSettings { from: 1.0, whole: true, most: Some(1000.0), ..settings(0.01) };
    let (answer, _, _) = search(settings, |proposal| {
        let unlucky = is_same(proposal.load, 4.0) && std::mem::take(&mut hiccup);
        Some(if unlucky || proposal.load > 40.0 { 1.0 } else { 0.0 })
    });
    assert_eq!(answer.ending, Ending::Found, "{answer:?}");
    assert!((39.0..=41.0).contains(&answer.ceiling.unwrap()), "{answer:?}");
}

#[test]
fn a_verification_that_comes_to_nothing_ends_unverified_and_keeps_the_interval() {
    let (answer, search, spent_s) = search(settings(0.01), |proposal| {
        (proposal.purpose != Purpose::Verify).then_some(if proposal.load > 700.0 {
            1.0
        } else {
            0.0
        })
    });
    assert!(answer.interval.is_some() && !answer.verified, "{answer:?}");
    assert!(spent_s < 500.0 && search.trials().len() < 40, "{spent_s} s");
}

#[test]
fn loads_beyond_the_highest_are_neither_tried_nor_named() {
    let queue = Queue { exponential: true, poisson: true, limit_s: 0.02 };
    let mut draws = Draws::new(3);
    // The closed form is 850.
    let settings = SearchSettings { most: Some(855.0), ..settings(0.05) };
    let (answer, search, _) = search(settings, |proposal| Some(queue.slow(&mut draws, proposal)));
    assert!(search.trials().iter().all(|trial| trial.proposal.load <= 855.0 + 1e-9));
    let named = [answer.ceiling, answer.safe, answer.interval.map(|interval| interval.1)];
    assert!(named.into_iter().flatten().all(|load| load <= 855.0 + 1e-9), "{answer:?}");
}

#[test]
fn a_trial_is_as_long_as_its_number_of_requests_takes() {
    let lengths = |from: f64, whole: bool| -> Vec<f64> {
        let settings = SearchSettings {
            from,
            whole,
            most: Some(1000.0),
            fewest_requests: 500.0,
            ..settings(0.01)
        };
        let mut search = Search::new(settings);
        (0..2)
            .map(|_| {
                let Step::Try(proposal) = search.next() else { panic!("it has just begun") };
                let measures = vec![Measure { amount: 0.0, of: 1.0, kept: true }];
                let requests = proposal.length_s * if whole { 20.0 } else { proposal.load };
                let verdict =
                    if requests < 500.0 { TrialVerdict::Inconclusive } else { TrialVerdict::Pass };
                let trial = Trial { proposal, verdict, requests, measures, cut_short: false };
                search.record(trial, 0.0);
                proposal.length_s
            })
            .collect()
    };
    assert_eq!(lengths(50.0, false), [10.0, 5.0]);
    assert_eq!(lengths(1.0, false), [120.0, 120.0], "within reason");
    // Of connections the rate is known by the first trial only.
    assert_eq!(lengths(1.0, true), [3.0, 25.0]);
}
