//! How a search deals with a target that may have changed: it tries again what is contradicted, sets aside what a passing
//! disturbance spoilt, and gives up when the target is not what it was.

use super::answer::{Ending, SearchResult};
use super::change::{Change, Rechecked, Suspicion, confirms, must_fail, rechecked, suspicion};
use super::steps::{Search, Step, is_same};
use super::{Purpose, Trial, TrialVerdict};

/// So often one load is tried again before its contradiction is taken for chance.
const MOST_RECHECKS: usize = 3;
/// A target that is tried again has been left alone for so many lengths of a trial: it may be busy with what came before.
const REST_TRIALS: f64 = 2.0;

impl Search {
    /// How long nothing is to be sent before the trial that comes next, in seconds.
    #[must_use]
    pub fn rest_s(&self) -> f64 {
        let trials = if self.settings.quick { 1.0 } else { REST_TRIALS };
        if self.suspect().is_some() { self.settings.rules.trial_s * trials } else { 0.0 }
    }

    /// The target was not the same throughout, and nothing can be said of it.
    pub(super) fn has_changed(&self) -> bool {
        let is_told = |change: Change| {
            change.until.is_none() || (self.disturbances > 1 && !self.settings.quick)
        };
        self.change.is_some_and(is_told)
    }

    /// The load that held before and must be tried again, because trials contradict that it still does.
    pub(super) fn suspect(&self) -> Option<f64> {
        if self.has_changed() {
            return None;
        }
        let Suspicion { held, failed } =
            suspicion(&self.settings, &self.trials, |index| self.counts(index))?;
        let load = self.trials[held].proposal.load;
        let holds =
            |trial: &Trial| is_recheck_of(trial, load) && trial.verdict == TrialVerdict::Pass;
        if self.only_longer(&failed) && self.trials[failed[0]..].iter().any(holds) {
            return None;
        }
        let again = |trial: &&Trial| is_recheck_of(trial, load);
        (self.trials[held..].iter().filter(again).count() < MOST_RECHECKS).then_some(load)
    }

    /// What follows from a load that failed by far before and now, tried again, has held.
    pub(super) fn after_recheck(&self) -> Option<Step> {
        let last = self.evidence.last()?;
        // A quick search takes what failed for disturbed, once it holds.
        let again = last.proposal.purpose == Purpose::Recheck
            && last.verdict == TrialVerdict::Pass
            && !self.settings.quick;
        if again { self.recheck(last.proposal.load) } else { None }
    }

    /// Whether what failed by far above the ceiling still does, as far as there is time to see it.
    pub(super) fn recheck_above(&self, high_end: f64) -> Option<Step> {
        self.recheck(must_fail(&self.settings, &self.evidence, high_end)?)
    }

    fn recheck(&self, load: f64) -> Option<Step> {
        match rechecked(&self.settings, &self.trials, |index| self.counts(index), load) {
            Rechecked::Fails => None,
            Rechecked::Open => {
                let again = self.proposal(load, self.settings.rules.trial_s, Purpose::Recheck);
                self.has_time_for(&again).then_some(Step::Try(again))
            }
            Rechecked::Holds(change) => Some(Step::Done(SearchResult {
                change: Some(change),
                ..self.early(Ending::Changed)
            })),
        }
    }

    /// The change that trials speak for, while it has not been settled by trying again.
    pub(super) fn suspected_change(&self) -> Option<Change> {
        self.suspect()?;
        self.contradiction().map(|(_, change)| change)
    }

    /// Looks at what the last trial says of a change.
    pub(super) fn notice_change(&mut self) {
        let last = self.trials.len() - 1;
        let Some((found, change)) = self.contradiction() else { return };
        let held = &self.trials[found.held];
        if !is_recheck_of(&self.trials[last], held.proposal.load) {
            return;
        }
        if confirms(&self.settings, held, &self.trials[last]) {
            self.change = Some(change);
        } else if self.trials[last].verdict == TrialVerdict::Pass
            && !self.only_longer(&found.failed)
        {
            self.change = Some(Change { until: Some(last), ..change });
            self.disturbances += 1;
            self.set_aside(change.before, last);
        }
    }

    /// The trial that held and is contradicted, and what has changed if that is no chance.
    fn contradiction(&self) -> Option<(Suspicion, Change)> {
        let found = suspicion(&self.settings, &self.trials, |index| self.counts(index))?;
        let since = found.failed[0];
        let load = self.trials[since].proposal.load;
        let shows = |trial: &Trial| {
            trial.verdict == TrialVerdict::Pass && trial.proposal.load >= load * (1.0 - 1e-6)
        };
        let before = self.trials[..since].iter().rposition(shows).unwrap_or(found.held);
        Some((found, Change { worse: true, before, since, until: None }))
    }

    /// Whatever failed between `before` and `until` says nothing of the target: it failed while the target was held up.
    fn set_aside(&mut self, before: usize, until: usize) {
        let failed = |&index: &usize| self.trials[index].verdict == TrialVerdict::Fail;
        let spoilt: Vec<usize> = (before..until).filter(failed).collect();
        self.aside.extend(spoilt);
        let left = self.trials.iter().enumerate().filter(|(index, _)| self.counts(*index));
        self.evidence = left.map(|(_, trial)| trial.clone()).collect();
    }

    /// Only trials failed that are longer than those that held: it may be their length.
    fn only_longer(&self, failed: &[usize]) -> bool {
        failed.iter().all(|&index| self.trials[index].proposal.purpose == Purpose::Verify)
    }

    fn counts(&self, index: usize) -> bool {
        !self.aside.contains(&index)
    }
}

fn is_recheck_of(trial: &Trial, load: f64) -> bool {
    trial.proposal.purpose == Purpose::Recheck && is_same(trial.proposal.load, load)
}
