//! Whether a target is the same at the end of a search as at its beginning.
//!
//! More load can only make a goal harder to keep. A load that held by a margin and later fails by a margin, at the same
//! load or a lower one, contradicts that, unless the target has changed in between. Chance contradicts it as well, but
//! not by much and not twice in a row, so a contradiction is only a suspicion until the load has been tried again.
//!
//! Pure over the trials: it decides what to try again and what that says, and nothing else about the search.

use super::steps::is_same;
use super::{Purpose, SearchSettings, Trial, TrialVerdict};

/// How far apart the two trials of a contradiction are, as the logarithm of a ratio of odds; set by searches over queues
/// that do not change.
const CONTRAST: f64 = 3.0;
/// A failure of less than this share may be a single burst of slow requests, which says nothing of the next trial.
const MOST_OF_A_BURST: f64 = 0.25;
/// A short trial may hold by chance a little above what holds for long; what it proves is a load lower by this factor.
const SHORT_PROVES: f64 = 0.85;
/// A pass counts for no more than this, in the same measure: a short trial without a single miss proves little.
const CLEAREST_PASS: f64 = -2.0;
/// A failure counts for no more than this.
const CLEAREST_FAILURE: f64 = 6.0;
/// A goal that is only kept or missed says by how much neither way.
const WITHOUT_SHARE: f64 = 1.0;
/// So many failures contradict a load that held before it is tried again. One may be a hiccup.
const ENOUGH_FAILURES: usize = 2;
/// So often a load that failed by far must hold before the target counts as faster.
const ENOUGH_PASSES: usize = 2;

/// A target that was not the same throughout a search. All indices are those of trials, from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// It got slower: what had held fails. Otherwise what had failed holds.
    pub worse: bool,
    /// The last trial that shows it as it was.
    pub before: usize,
    /// The first trial that shows it changed.
    pub since: usize,
    /// The trial that shows it as it was again.
    pub until: Option<usize>,
}

/// What contradicts a load that held.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Suspicion {
    /// The trial in which the load held.
    pub(super) held: usize,
    /// The trials that failed since, by a margin, at this load or below.
    pub(super) failed: Vec<usize>,
}

/// The lowest load that held by a margin and was contradicted by [`ENOUGH_FAILURES`] later trials; only trials that
/// `counts` has not set aside are looked at.
pub(super) fn suspicion(
    settings: &SearchSettings,
    trials: &[Trial],
    counts: impl Fn(usize) -> bool,
) -> Option<Suspicion> {
    let judged = |verdict: TrialVerdict| {
        let counts = &counts;
        let those = trials.iter().enumerate();
        those.filter(move |(index, trial)| trial.verdict == verdict && counts(*index))
    };
    let contradicted = judged(TrialVerdict::Pass).filter_map(|(held, pass)| {
        let margin = distance(settings, pass) + CONTRAST;
        let short = pass.proposal.length_s < settings.rules.trial_s;
        let most = pass.proposal.load * if short { SHORT_PROVES } else { 1.0 + 1e-6 };
        let contradicts = |(index, trial): &(usize, &Trial)| {
            *index > held
                && trial.proposal.load <= most
                && is_beyond_chance(settings, trial)
                && distance(settings, trial) >= margin
        };
        let failed: Vec<usize> =
            judged(TrialVerdict::Fail).filter(contradicts).map(|(index, _)| index).collect();
        (failed.len() >= ENOUGH_FAILURES).then_some(Suspicion { held, failed })
    });
    contradicted.min_by(|a, b| {
        let load = |suspicion: &Suspicion| trials[suspicion.held].proposal.load;
        load(a).total_cmp(&load(b))
    })
}

/// The lowest load at or above `from` such that [`ENOUGH_FAILURES`] trials failed there or between, beyond chance: it must
/// still fail at the end.
pub(super) fn must_fail(settings: &SearchSettings, trials: &[Trial], from: f64) -> Option<f64> {
    // What fails for longer may hold for the length of a trial.
    let beyond = |trial: &&Trial| {
        trial.verdict == TrialVerdict::Fail
            && trial.proposal.purpose != Purpose::Verify
            && trial.proposal.load >= from * (1.0 - 1e-6)
            && is_beyond_chance(settings, trial)
    };
    let mut loads: Vec<f64> =
        trials.iter().filter(beyond).map(|trial| trial.proposal.load).collect();
    loads.sort_by(f64::total_cmp);
    loads.get(ENOUGH_FAILURES - 1).copied()
}

/// What trying a load again has shown that had failed by far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rechecked {
    /// Another trial must tell.
    Open,
    /// It fails as it did, or there is nothing to contradict.
    Fails,
    /// It holds: the target got faster.
    Holds(Change),
}

/// See [`Rechecked`]; only trials that `counts` has not set aside are looked at.
pub(super) fn rechecked(
    settings: &SearchSettings,
    trials: &[Trial],
    counts: impl Fn(usize) -> bool,
    load: f64,
) -> Rechecked {
    let again = |(_, trial): &(usize, &Trial)| {
        trial.proposal.purpose == Purpose::Recheck && is_same(trial.proposal.load, load)
    };
    let those: Vec<(usize, &Trial)> = trials.iter().enumerate().filter(again).collect();
    let Some(&(since, _)) = those.first() else { return Rechecked::Open };
    let failed = |&index: &usize| {
        let trial = &trials[index];
        counts(index)
            && trial.verdict == TrialVerdict::Fail
            && trial.proposal.purpose != Purpose::Verify
            && trial.proposal.load <= load * (1.0 + 1e-6)
            && is_beyond_chance(settings, trial)
    };
    let before = (0..since).rev().find(failed);
    let (Some(before), false) =
        (before, those.iter().any(|(_, trial)| trial.verdict == TrialVerdict::Fail))
    else {
        return Rechecked::Fails;
    };
    let held = those.iter().filter(|(_, trial)| trial.verdict == TrialVerdict::Pass).count();
    if held < ENOUGH_PASSES {
        return Rechecked::Open;
    }
    Rechecked::Holds(Change { worse: false, before, since, until: None })
}

/// A trial at the load that held in `suspicion`, which fails again by a margin.
pub(super) fn confirms(settings: &SearchSettings, held: &Trial, again: &Trial) -> bool {
    again.verdict == TrialVerdict::Fail
        && is_beyond_chance(settings, again)
        && distance(settings, again) >= distance(settings, held) + CONTRAST
}

/// A trial that failed by more than bursts of slow requests make of it.
fn is_beyond_chance(settings: &SearchSettings, trial: &Trial) -> bool {
    let mut goals = trial.measures.iter().zip(&settings.limits);
    let by_far = goals.any(|(measure, limit)| {
        !measure.kept
            && limit.is_some_and(|limit| limit >= 1.0 || measure.share() >= MOST_OF_A_BURST)
    });
    by_far && distance(settings, trial) >= CONTRAST
}

/// How far a trial was from its limits: the logarithm of the ratio of odds between share and limit, of the goal that was
/// closest to being missed, or missed by most. Below 0 it held, above it did not.
fn distance(settings: &SearchSettings, trial: &Trial) -> f64 {
    let goals = trial.measures.iter().zip(&settings.limits);
    let distances = goals.map(|(measure, limit)| match limit {
        Some(limit) if *limit < 1.0 => {
            let odds = |share: f64| (share / (1.0 - share)).ln();
            let least = 0.5 / measure.of.max(1.0);
            odds(measure.share().clamp(least, 1.0 - least)) - odds(*limit)
        }
        Some(limit) => (measure.share() / limit).max(1e-9).ln(),
        None if measure.kept => -WITHOUT_SHARE,
        None => WITHOUT_SHARE,
    });
    let farthest = distances.fold(f64::NEG_INFINITY, f64::max);
    farthest.clamp(CLEAREST_PASS, CLEAREST_FAILURE)
}
