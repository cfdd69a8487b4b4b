//! What the trials near the ceiling say of it together, and where another one says most.

use super::fit::{Crossing, Point, crossing};
use super::steps::is_same;
use super::{Measure, Purpose, SearchSettings, Trial, TrialVerdict};
use crate::stats::random::Random;

/// Trials further away than this ratio say nothing of where exactly the limit is crossed.
const NEAR_RATIO: f64 = 1.12;
/// An interval wider than this is as good as none.
const WIDEST_RATIO: f64 = 1.5;
/// Loads around the middle at which trials confirm, as steps from it.
const STEPS: [f64; 5] = [-1.0, -0.2, 0.6, 1.4, 2.2];
/// A goal counts as kept with room to spare, or missed by far, from this factor on: bursts of slow requests do not make
/// as much of a difference.
const BY_FAR: f64 = 20.0;
/// A share this large is far from any limit.
const MOST: f64 = 0.4;
/// So many trials on each side must say that it is an edge.
const ENOUGH_AT_EDGES: usize = 2;
/// Fewer trials near the ceiling are no reason to stop.
const FEWEST: usize = 20;

/// Where the goals are missed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Finding {
    /// The crossing of the goal that is missed at the lowest load.
    pub(super) crossing: Crossing,
    /// Which goal that is.
    pub(super) goal: usize,
    /// There are enough trials to rely on it.
    pub(super) enough: bool,
}

/// Why there is no finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unfit {
    /// Too few trials, or too different ones, to fit a line to.
    Unknown,
    /// There are enough trials, and the line that was fitted is not where they are.
    Line,
}

/// The lowest crossing of all goals that are missed at times near `bracket`; none while another goal, whose crossing
/// cannot be told, is missed more often than not below it.
pub(super) fn finding(
    settings: &SearchSettings,
    trials: &[Trial],
    bracket: (f64, f64),
) -> Result<Finding, Unfit> {
    let near: Vec<&Trial> = full_trials_near(settings, trials, bracket).collect();
    let misses = |goal: usize, trial: &&&Trial| {
        trial.measures.get(goal).is_some_and(|measure| !measure.kept)
    };
    let mut lowest: Option<Finding> = None;
    let mut untold = Vec::new();
    let mut unfit = Unfit::Unknown;
    for (goal, limit) in settings.limits.iter().enumerate() {
        if !near.iter().any(|trial| misses(goal, &trial)) {
            continue;
        }
        let points: Vec<Point> =
            near.iter().filter_map(|trial| Some(point(trial, trial.measures.get(goal)?))).collect();
        // What lies far from all trials was not found by them.
        let plausible = bracket.0 / NEAR_RATIO..=bracket.1 * NEAR_RATIO;
        let found = limit.and_then(|limit| crossing(&points, limit)).filter(|found| {
            let (low, high) = found.interval;
            if !found.fits {
                unfit = Unfit::Line;
            }
            found.fits && plausible.contains(&found.load) && high <= low * WIDEST_RATIO
        });
        let Some(crossing) = found.map(|found| allowed(settings, found)) else {
            untold.push(goal);
            continue;
        };
        if lowest.is_none_or(|lowest| crossing.load < lowest.crossing.load) {
            lowest = Some(Finding { crossing, goal, enough: crossing.trials >= FEWEST });
        }
    }
    let lowest = lowest.ok_or(unfit)?;
    let below = || near.iter().filter(|trial| trial.proposal.load <= lowest.crossing.load);
    let decides = |&goal: &usize| {
        let missed = below().filter(|trial| misses(goal, trial)).count();
        missed * 2 > below().count()
    };
    if untold.iter().any(decides) { Err(unfit) } else { Ok(lowest) }
}

/// The highest load near `bracket` that held and the lowest that did not, where all trials agree on which side they are:
/// the place where goals turn from kept to missed along no line, but without chance.
pub(super) fn separation(
    settings: &SearchSettings,
    trials: &[Trial],
    bracket: (f64, f64),
) -> Option<(f64, f64)> {
    let near: Vec<&Trial> = full_trials_near(settings, trials, bracket).collect();
    let loads = |verdict: TrialVerdict| -> Vec<f64> {
        let those = near.iter().filter(|trial| trial.verdict == verdict);
        those.map(|trial| trial.proposal.load).collect()
    };
    let (held, missed) = (loads(TrialVerdict::Pass), loads(TrialVerdict::Fail));
    let last = held.iter().copied().fold(0.0, f64::max);
    let first = missed.iter().copied().fold(f64::INFINITY, f64::min);
    // A longer trial may miss what these just held: of the loads that held, one as far down as the precision allows.
    let as_far = |load: &f64| first / load <= 1.0 + 2.0 * settings.precision;
    let low = held.iter().copied().filter(as_far).fold(last, f64::min);
    let enough = held.len() >= ENOUGH_AT_EDGES && missed.len() >= ENOUGH_AT_EDGES;
    (enough && last < first).then_some((low, first))
}

/// Loads that were never to be tried are not spoken of.
fn allowed(settings: &SearchSettings, found: Crossing) -> Crossing {
    let most = settings.most.unwrap_or(f64::INFINITY);
    let inside = |load: f64| load.clamp(settings.from, most);
    let (low, high) = found.interval;
    Crossing {
        load: inside(found.load),
        interval: (inside(low), inside(high)),
        safe: inside(found.safe),
        ..found
    }
}

fn point(trial: &Trial, measure: &Measure) -> Point {
    Point { load: trial.proposal.load, share: measure.share(), weight: trial.proposal.length_s }
}

/// Trials that were made to their full length, not far from the bracket.
fn full_trials_near<'t>(
    settings: &'t SearchSettings,
    trials: &'t [Trial],
    (low, high): (f64, f64),
) -> impl Iterator<Item = &'t Trial> {
    let middle = (low * high).sqrt();
    trials.iter().filter(move |trial| {
        let Trial { proposal, verdict, cut_short, .. } = trial;
        let judged = matches!(verdict, TrialVerdict::Pass | TrialVerdict::Fail);
        let ratio = proposal.load / middle;
        judged
            && !cut_short
            && proposal.length_s >= settings.rules.trial_s
            && (1.0 / NEAR_RATIO..=NEAR_RATIO).contains(&ratio)
    })
}

/// Where the goals go from kept with room to spare to missed by far, with nothing in between that could be regressed:
/// the highest load up to which all trials were the one, and the lowest from which on all were the other.
pub(super) fn edges(settings: &SearchSettings, trials: &[Trial]) -> Option<(f64, f64)> {
    let full = |trial: &&Trial| {
        trial.proposal.length_s >= settings.rules.trial_s
            && matches!(trial.verdict, TrialVerdict::Pass | TrialVerdict::Fail)
    };
    let mut judged: Vec<&Trial> = trials.iter().filter(full).collect();
    judged.sort_by(|a, b| a.proposal.load.total_cmp(&b.proposal.load));
    let pairs = |trial: &Trial| {
        let measures = trial.measures.iter().copied();
        measures.zip(settings.limits.iter().copied()).collect::<Vec<_>>()
    };
    let easy = |trial: &&&Trial| {
        pairs(trial).iter().all(|(measure, limit)| measure.kept && is_easy(measure, *limit))
    };
    let hopeless = |trial: &&&Trial| {
        pairs(trial).iter().any(|(measure, limit)| !measure.kept && is_hopeless(measure, *limit))
    };
    // A load whose trials contradict one another is neither.
    let first = judged.iter().find(|trial| !easy(trial))?.proposal.load;
    let last = judged.iter().rev().find(|trial| !hopeless(trial))?.proposal.load;
    let loads = || judged.iter().map(|trial| trial.proposal.load);
    let low = loads().rfind(|&load| load < first && !is_same(load, first))?;
    let high = loads().find(|&load| load > last && !is_same(load, last))?;
    let near = |from: f64, to: f64| {
        let inside = |trial: &&&Trial| (from..=to).contains(&trial.proposal.load);
        judged.iter().filter(inside).count() >= ENOUGH_AT_EDGES
    };
    let enough = near(low / NEAR_RATIO, low) && near(high, high * NEAR_RATIO);
    (enough && low < high).then_some((low, high))
}

/// A goal was missed by so much that chance explains it badly.
pub(super) fn is_missed_by_far(settings: &SearchSettings, trial: &Trial) -> bool {
    let mut goals = trial.measures.iter().zip(&settings.limits);
    goals.any(|(measure, limit)| !measure.kept && is_hopeless(measure, *limit))
}

fn is_easy(measure: &Measure, limit: Option<f64>) -> bool {
    limit.is_none_or(|limit| measure.share() * BY_FAR <= limit)
}

fn is_hopeless(measure: &Measure, limit: Option<f64>) -> bool {
    limit.is_none_or(|limit| measure.share() >= (limit * BY_FAR).min(MOST.max(limit * 2.0)))
}

/// Where the next trial says most: one of five loads around what is known of the ceiling so far, each once in a round, in
/// an order that chance decides.
pub(super) fn next_load(
    settings: &SearchSettings,
    trials: &[Trial],
    (low, high): (f64, f64),
    found: Option<&Finding>,
) -> f64 {
    const STEEPEST: f64 = 0.015;
    const FLATTEST: f64 = 0.06;
    let inside = |load: f64| load.clamp(low / NEAR_RATIO, high * NEAR_RATIO);
    let middle = found.map_or_else(
        || inside(turning(settings, trials, (low, high))),
        |found| inside(found.crossing.load),
    );
    // The share is to differ by a factor of three or so from one end to the other.
    let step = found.map_or(0.02, |found| (1.0 / found.crossing.slope).clamp(STEEPEST, FLATTEST));
    let judged = |trial: &&Trial| {
        trial.proposal.purpose == Purpose::Confirm
            && matches!(trial.verdict, TrialVerdict::Pass | TrialVerdict::Fail)
    };
    let made = trials.iter().filter(judged).count();
    let order = shuffled(settings.seed.wrapping_add((made / STEPS.len()) as u64));
    let load = (middle * (1.0 + step * STEPS[order[made % STEPS.len()]])).max(settings.from);
    if settings.whole { load.round() } else { load }
}

/// Between the last load that held below all that did not, and the first of those, as far as full trials near the bracket
/// know.
fn turning(settings: &SearchSettings, trials: &[Trial], bracket: (f64, f64)) -> f64 {
    let loads = |verdict: TrialVerdict| {
        full_trials_near(settings, trials, bracket)
            .filter(move |trial| trial.verdict == verdict)
            .map(|trial| trial.proposal.load)
    };
    let first = loads(TrialVerdict::Fail).fold(bracket.1, f64::min);
    let last = loads(TrialVerdict::Pass).filter(|&load| load < first).fold(bracket.0, f64::max);
    (last.min(first) * first).sqrt()
}

/// The places of [`STEPS`] in an order by chance.
fn shuffled(seed: u64) -> [usize; 5] {
    let mut order = [0, 1, 2, 3, 4];
    Random::new(seed).shuffle(&mut order);
    order
}
