//! The quick search: where there is little time, every trial is made where it says most of the threshold between passing
//! and failing, and a disturbance that makes trials fail is reckoned with; see [`super::threshold`].

use super::answer::{Ending, SearchResult};
use super::confirm::{Finding, finding};
use super::steps::{Search, Step, is_same};
use super::threshold::{SHORT_PROVES, Threshold};
use super::{Crossing, Proposal, Purpose, Trial, TrialVerdict};

/// While the threshold may lie anywhere in so wide a range, short trials make it narrower: a few, since what they prove is
/// limited.
const WIDE_RATIO: f64 = 1.4;
const MOST_SHORT: usize = 3;
/// So many full trials must have passed, and failed, before the threshold counts as known.
const FEWEST: usize = 2;
/// An interval wider than this to each side is no answer.
pub(super) const WIDEST: f64 = 0.1;
/// Probability that is left out at each end of an interval.
const TAIL: f64 = 0.025;
/// A regression whose crossing lies further out than this in what passes and failures say contradicts them.
const CERTAIN_SIDE: f64 = 0.1;
/// What is all but certain.
const CERTAIN: f64 = 0.95;

impl Search {
    /// A load has failed, or none that may be tried has.
    pub(super) fn home_in(&self) -> Step {
        let Some(threshold) = Threshold::of(&self.settings, &self.evidence) else {
            return Step::Done(self.early(Ending::TooFewAnswers));
        };
        if let Some(ending) = self.is_outside(&threshold) {
            return Step::Done(self.early(ending));
        }
        if let Some(step) = self.below_cap(&threshold) {
            return step;
        }
        let answer = self.quick_answer(&threshold);
        if answer.precise && self.is_well_founded(&answer) {
            return self.verify(answer);
        }
        let (low, high) = (threshold.load(TAIL), threshold.load(1.0 - TAIL));
        let load = self.allowed(threshold.most_telling());
        let proposal = if high / low > WIDE_RATIO && self.may_be_short(load) {
            self.proposal(load, self.settings.short_s, Purpose::Narrow)
        } else {
            self.proposal(load, self.settings.rules.trial_s, Purpose::Confirm)
        };
        let verify_s = self.settings.verify_s + self.beside_s();
        if self.has_time_for_also(&proposal, verify_s) {
            return Step::Try(proposal);
        }
        if self.is_close(&answer) {
            self.verify(answer)
        } else {
            Step::Done(self.early(Ending::OutOfBudget))
        }
    }

    /// Whether a short trial at this load says anything that earlier ones did not.
    fn may_be_short(&self, load: f64) -> bool {
        let short =
            |trial: &&Trial| trial.proposal.purpose == Purpose::Narrow && !self.is_full(trial);
        let again = |trial: &Trial| is_same(trial.proposal.load, load);
        self.evidence.iter().filter(short).count() < MOST_SHORT && !self.evidence.iter().any(again)
    }

    /// This client could not offer a load, and the threshold may lie beyond it: the search ends with the highest load below
    /// it that holds, once that is near.
    fn below_cap(&self, threshold: &Threshold) -> Option<Step> {
        let cap = self.cap().filter(|&cap| threshold.below(cap) < CERTAIN)?;
        let full = |trial: &&Trial| {
            trial.verdict == TrialVerdict::Pass && self.is_full(trial) && trial.proposal.load < cap
        };
        let held = self.evidence.iter().filter(full).map(|trial| trial.proposal.load);
        let held = held.fold(0.0, f64::max);
        let most = self.quick_bracket().0.unwrap_or(self.settings.from).min(cap);
        let next = if held <= 0.0 { most } else { (held * cap).sqrt() };
        let next = if self.settings.whole { next.floor().max(1.0) } else { next };
        if cap <= self.settings.from || cap / held.max(1e-9) <= 1.0 + WIDEST || next <= held {
            return Some(Step::Done(self.early(Ending::ClientLimited)));
        }
        Some(Step::Try(self.proposal(next, self.settings.rules.trial_s, Purpose::Confirm)))
    }

    /// The threshold lies where no load is tried.
    fn is_outside(&self, threshold: &Threshold) -> Option<Ending> {
        let from = self.settings.from;
        let count = |load: f64, verdict: TrialVerdict| {
            let those = self.evidence.iter().filter(move |trial| {
                trial.verdict == verdict
                    && is_same(trial.proposal.load, load)
                    && self.is_full(trial)
            });
            those.count()
        };
        if count(from, TrialVerdict::Fail) >= FEWEST && threshold.below(from) > CERTAIN {
            return Some(Ending::MinimumFails);
        }
        let most = self.settings.most?;
        let holds = count(most, TrialVerdict::Pass) >= FEWEST && threshold.below(most) < 0.5;
        holds.then_some(Ending::AtMost)
    }

    /// Loads that are not to be tried are not.
    fn allowed(&self, load: f64) -> f64 {
        let most = self.settings.most.unwrap_or(f64::INFINITY);
        load.clamp(self.settings.from, most.max(self.settings.from))
    }

    pub(super) fn is_full(&self, trial: &Trial) -> bool {
        trial.proposal.length_s >= self.settings.rules.trial_s * (1.0 - 1e-9)
    }

    /// The interval that the trials so far lead to.
    fn quick_answer(&self, threshold: &Threshold) -> SearchResult {
        let whole = |load: f64| if self.settings.whole { load.floor().max(1.0) } else { load };
        let loads = [TAIL, 0.5, 1.0 - TAIL].map(|probability| threshold.load(probability));
        let regressed = self.regression(threshold);
        let loads = regressed.as_ref().map_or(loads, |found| {
            let (low, high) = found.crossing.interval;
            [low, found.crossing.load, high]
        });
        let [mut low, ceiling, high] = loads.map(|load| whole(self.allowed(load)));
        let last =
            self.evidence.iter().rev().find(|trial| trial.proposal.purpose == Purpose::Verify);
        let held = last.filter(|trial| trial.verdict == TrialVerdict::Pass);
        let held = held.map(|trial| trial.proposal.load);
        // What has been verified is the low end, if it is not far below it.
        let verified = held.filter(|&held| held >= low * (1.0 - self.settings.precision));
        if let Some(held) = verified {
            low = low.min(held);
        }
        let half = (high - low) / 2.0;
        let precise = half <= self.settings.precision * ceiling * 1.01
            || (self.settings.whole && high - low <= 2.0);
        SearchResult {
            ending: Ending::Found,
            ceiling: Some(ceiling),
            interval: Some((low, high)),
            safe: Some(
                regressed
                    .as_ref()
                    .map_or(low, |found| whole(self.allowed(found.crossing.safe)).min(low)),
            ),
            regressed: regressed.is_some(),
            limiting: regressed.map(|found| found.goal).or_else(|| self.most_missed(high)),
            verified: verified.is_some(),
            precise,
            bracket: self.bracket(),
            change: self.change,
            doubt: None,
        }
    }

    /// Where the share of misses crosses its limit, if there are trials enough to say so, and passes and failures agree. It
    /// says more than they do, but for a disturbance, which it takes for the target's.
    fn regression(&self, threshold: &Threshold) -> Option<Finding> {
        const FEWEST_REGRESSED: usize = 8;
        let [low, high] = [TAIL, 1.0 - TAIL].map(|probability| threshold.load(probability));
        let found = finding(&self.settings, &self.evidence, (low, high)).ok()?;
        let Crossing { load, interval, trials, .. } = found.crossing;
        let agrees = (CERTAIN_SIDE..=1.0 - CERTAIN_SIDE).contains(&threshold.below(load));
        let is_narrower = interval.1 / interval.0 < high / low;
        (trials >= FEWEST_REGRESSED && agrees && is_narrower).then_some(found)
    }

    /// The interval is of trials long enough to make it.
    fn is_well_founded(&self, answer: &SearchResult) -> bool {
        let Some((low, high)) = answer.interval else { return false };
        let full = |verdict: TrialVerdict, from: f64, to: f64| {
            let those = self.evidence.iter().filter(|trial| {
                trial.verdict == verdict
                    && self.is_full(trial)
                    && (from..=to).contains(&trial.proposal.load)
            });
            those.count()
        };
        let near = |trial: &&Trial| {
            trial.verdict == TrialVerdict::Fail && trial.proposal.load <= high * (1.0 + WIDEST)
        };
        // What fails in a short trial fails in a full one.
        let failed = self.evidence.iter().filter(near).count();
        full(TrialVerdict::Pass, low / (1.0 + WIDEST), f64::INFINITY) >= FEWEST && failed >= FEWEST
    }

    /// The goal that was missed in most trials up to a little above `high`.
    pub(super) fn most_missed(&self, high: f64) -> Option<usize> {
        let near = |trial: &&Trial| {
            trial.verdict == TrialVerdict::Fail && trial.proposal.load <= high * (1.0 + WIDEST)
        };
        let missed: Vec<&Trial> = self.evidence.iter().filter(near).collect();
        let times = |goal: usize| {
            let misses =
                |trial: &&&Trial| trial.measures.get(goal).is_some_and(|found| !found.kept);
            missed.iter().filter(misses).count()
        };
        let goals = 0..self.settings.limits.len();
        goals.filter(|&goal| times(goal) > 0).max_by_key(|&goal| (times(goal), usize::MAX - goal))
    }

    /// What is known when there is no time for what would come next.
    pub(super) fn quick_end(&self) -> SearchResult {
        let Some(threshold) = Threshold::of(&self.settings, &self.evidence) else {
            return self.early(Ending::OutOfBudget);
        };
        let answer = self.quick_answer(&threshold);
        if self.is_close(&answer) && self.is_well_founded(&answer) {
            answer
        } else {
            self.early(Ending::OutOfBudget)
        }
    }

    /// The highest load that has held, and the lowest above it that has not.
    pub(super) fn quick_bracket(&self) -> (Option<f64>, Option<f64>) {
        let loads = |verdict: TrialVerdict| {
            let those = self.evidence.iter().filter(move |trial| trial.verdict == verdict);
            those.map(|trial| trial.proposal.load)
        };
        let proves = |trial: &Trial| if self.is_full(trial) { 1.0 } else { SHORT_PROVES };
        let held = self.evidence.iter().filter(|trial| trial.verdict == TrialVerdict::Pass);
        let low = held.map(|trial| trial.proposal.load * proves(trial)).reduce(f64::max);
        let above = loads(TrialVerdict::Fail).filter(|&load| low.is_none_or(|low| load > low));
        (low, above.reduce(f64::min))
    }

    /// A verification at the low end; see [`Search::verify`].
    pub(super) fn verification(&self, low_end: f64) -> Proposal {
        let load = if self.settings.whole { low_end.floor().max(1.0) } else { low_end };
        self.proposal(load, self.settings.verify_s, Purpose::Verify)
    }

    /// The interval is narrow enough to be called one.
    fn is_close(&self, answer: &SearchResult) -> bool {
        let (Some((low, high)), Some(ceiling)) = (answer.interval, answer.ceiling) else {
            return false;
        };
        (high - low) / 2.0 <= WIDEST * ceiling * 1.01 || (self.settings.whole && high - low <= 2.0)
    }
}
