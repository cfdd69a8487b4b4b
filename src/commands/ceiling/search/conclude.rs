//! How a search ends: whether its low end holds for longer, and what is known in the end, with an interval or without.

use super::answer::{Doubt, Ending, SearchResult};
use super::confirm::{Finding, Unfit, finding, is_missed_by_far};
use super::steps::{Search, Step, is_same};
use super::{Measure, Proposal, Purpose, Trial, TrialVerdict};

/// Verifications that may fail before there is no answer.
const MOST_VERIFICATIONS: usize = 3;
/// Verifications that may come to nothing in any way.
const MOST_ATTEMPTS: usize = 6;
/// So many trials that hold where a longer one fails, and so many of those, are no chance any more.
const ENOUGH_TO_DOUBT: usize = 2;

/// So many times as long as a verification a trial takes that must hold where verifications failed.
const MUCH_LONGER: f64 = 3.0;

impl Search {
    /// Does the low end hold, and does what is beyond the high end still fail?
    pub(super) fn verify(&self, answer: SearchResult) -> Step {
        let Some((low_end, high_end)) = answer.interval else { return Step::Done(answer) };
        let attempts = self.verifications(|_| true);
        if self.settings.quick && !answer.verified && attempts < MOST_ATTEMPTS {
            return Step::Try(self.verification(low_end));
        }
        if self.settings.quick {
            return Step::Done(answer);
        }
        if answer.verified {
            return self.recheck_above(high_end).unwrap_or(Step::Done(answer));
        }
        let failed = self.verifications(|verdict| verdict == TrialVerdict::Fail);
        if attempts >= MOST_ATTEMPTS {
            return Step::Done(answer);
        }
        let by_far = self.evidence.iter().filter(|trial| {
            trial.proposal.purpose == Purpose::Verify && is_missed_by_far(&self.settings, trial)
        });
        if failed >= MOST_VERIFICATIONS || by_far.count() >= ENOUGH_TO_DOUBT {
            return Step::Done(self.unsupported(answer.limiting, Doubt::VerificationFailed));
        }
        Step::Try(self.verification(low_end))
    }

    /// What follows from a verification that failed where trials of the usual length hold: such a trial must still hold, and
    /// the verification fail again. Then a much longer one must hold a little below, or there is no answer. See
    /// [`Search::longer_fails`].
    pub(super) fn after_longer_fails(&self, by_chance: bool) -> Option<Step> {
        let (load, times) = self.longer_fails(by_chance)?;
        let at = |load: f64, purpose: Purpose| {
            let here = move |trial: &&Trial| {
                trial.proposal.purpose == purpose && is_same(trial.proposal.load, load)
            };
            self.evidence.iter().filter(here)
        };
        if at(load, Purpose::Recheck).next().is_none() {
            let trial_s = self.settings.rules.trial_s;
            return Some(Step::Try(self.proposal(load, trial_s, Purpose::Recheck)));
        }
        if times < ENOUGH_TO_DOUBT {
            return Some(Step::Try(self.proposal(load, self.settings.verify_s, Purpose::Verify)));
        }
        let below = load / (1.0 + 2.0 * self.settings.precision);
        let below = if self.settings.whole { below.min(load - 1.0).floor() } else { below };
        let longest = self.proposal(below, MUCH_LONGER * self.settings.verify_s, Purpose::Verify);
        let judged =
            |trial: &&Trial| matches!(trial.verdict, TrialVerdict::Pass | TrialVerdict::Fail);
        let unsupported = || Step::Done(self.unsupported(self.missed_at(load), Doubt::LongerFails));
        Some(match at(below, Purpose::Verify).find(judged).map(|trial| trial.verdict) {
            Some(TrialVerdict::Pass) => {
                let answer = self.answer((below, load), None);
                self.recheck_above(load).unwrap_or(Step::Done(answer))
            }
            None if !by_chance && below >= 1e-9 && self.has_time_for(&longest) => {
                Step::Try(longest)
            }
            _ => unsupported(),
        })
    }

    /// The load whose verification failed although it, and loads above it, hold in every trial of the usual length; and how
    /// often it failed. Where chance decides (`by_chance`), they must hold with room to spare.
    fn longer_fails(&self, by_chance: bool) -> Option<(f64, usize)> {
        let verifies = |trial: &&Trial| trial.proposal.purpose == Purpose::Verify;
        let failed = |trial: &&Trial| verifies(trial) && trial.verdict == TrialVerdict::Fail;
        let mut loads = self.evidence.iter().rev().filter(failed).map(|trial| trial.proposal.load);
        let load = loads.find(|&load| self.shorter_hold(load, by_chance))?;
        let held = |trial: &Trial| {
            trial.verdict == TrialVerdict::Pass && trial.proposal.load >= load * (1.0 - 1e-6)
        };
        if self.evidence.iter().filter(verifies).any(held) {
            return None;
        }
        let here = |trial: &&Trial| failed(trial) && is_same(trial.proposal.load, load);
        Some((load, self.evidence.iter().filter(here).count()))
    }

    /// Every trial of the usual length at `load`, and a little above it, held.
    fn shorter_hold(&self, load: f64, by_chance: bool) -> bool {
        const ROOM: f64 = 0.25;
        let above = load * (1.0 - 1e-6)..=load * (1.0 + self.settings.precision);
        let judged = |trial: &&Trial| {
            let Proposal { load, length_s, purpose } = trial.proposal;
            purpose != Purpose::Verify
                && length_s >= self.settings.rules.trial_s
                && above.contains(&load)
                && matches!(trial.verdict, TrialVerdict::Pass | TrialVerdict::Fail)
        };
        let full: Vec<&Trial> = self.evidence.iter().filter(judged).collect();
        let has_room = self.settings.limits.iter().enumerate().all(|(goal, limit)| {
            let shares = full.iter().filter_map(|trial| trial.measures.get(goal));
            let used: f64 = shares.map(Measure::share).sum();
            limit.is_none_or(|limit| used <= limit * ROOM * full.len() as f64)
        });
        full.len() >= ENOUGH_TO_DOUBT
            && full.iter().all(|trial| trial.verdict == TrialVerdict::Pass)
            && (has_room || !by_chance)
    }

    /// The same without an interval, because trials speak against it.
    fn unsupported(&self, limiting: Option<usize>, doubt: Doubt) -> SearchResult {
        SearchResult { doubt: Some(doubt), limiting, ..self.early(Ending::Unsupported) }
    }

    pub(super) fn answer(&self, (low, high): (f64, f64), found: Option<Finding>) -> SearchResult {
        let whole = |load: f64| if self.settings.whole { load.floor() } else { load };
        let regressed = found.is_some();
        let (ceiling, interval, safe, limiting) = match found {
            Some(Finding { crossing, goal, .. }) => {
                (crossing.load, crossing.interval, crossing.safe, Some(goal))
            }
            // Of whole numbers the last that holds is known, of others the place between two.
            None if self.settings.whole => {
                (low, (low, low.max(high - 1.0)), low, self.missed_at(high))
            }
            None => ((low * high).sqrt(), (low, high), low, self.missed_at(high)),
        };
        let last =
            self.evidence.iter().rev().find(|trial| trial.proposal.purpose == Purpose::Verify);
        let close = |load: f64| load >= whole(interval.0) * (1.0 - self.settings.precision / 4.0);
        let verified = last
            .is_some_and(|trial| trial.verdict == TrialVerdict::Pass && close(trial.proposal.load));
        SearchResult {
            ending: Ending::Found,
            ceiling: Some(whole(ceiling)),
            interval: Some((whole(interval.0), whole(interval.1))),
            safe: Some(whole(safe)),
            limiting,
            verified,
            precise: (interval.1 - interval.0) / 2.0 <= self.settings.precision * ceiling * 1.01
                || (self.settings.whole && interval.1 - interval.0 <= 2.0),
            regressed,
            bracket: self.bracket(),
            change: self.change,
            doubt: None,
        }
    }

    /// What is known when somebody breaks the search off.
    #[must_use]
    pub fn abandoned(&self) -> SearchResult {
        self.give_up()
    }

    /// What is known when there is no time for what would come next.
    pub(super) fn give_up(&self) -> SearchResult {
        if self.has_changed() {
            return self.early(Ending::Changed);
        }
        if self.settings.quick {
            return self.quick_end();
        }
        if let Some(change) = self.suspected_change() {
            return SearchResult { change: Some(change), ..self.early(Ending::Changed) };
        }
        let (Some(low), Some(high)) = self.bounds() else {
            return self.early(Ending::OutOfBudget);
        };
        let found = finding(&self.settings, &self.evidence, (low, high));
        let answer = match (self.sharp_edges(&found), found) {
            (Some(edges), _) => self.answer(edges, None),
            (None, Ok(found)) => self.answer((low, high), Some(found)),
            (None, Err(unfit)) => {
                let doubt = (unfit == Unfit::Line).then_some(Doubt::NoFit);
                return SearchResult { doubt, ..self.early(Ending::OutOfBudget) };
            }
        };
        let failed = |trial: &Trial| trial.verdict == TrialVerdict::Fail;
        match self.evidence.iter().rev().find(|trial| trial.proposal.purpose == Purpose::Verify) {
            Some(last) if failed(last) => {
                self.unsupported(answer.limiting, Doubt::VerificationFailed)
            }
            _ => answer,
        }
    }

    /// The end of a search without an interval.
    pub(super) fn early(&self, ending: Ending) -> SearchResult {
        let (low, high) = self.bracket();
        let first_missed = high.and_then(|high| {
            if self.settings.quick { self.most_missed(high) } else { self.missed_at(high) }
        });
        let at_least = self.bounds().0.or(low);
        SearchResult {
            ending,
            ceiling: at_least.filter(|_| matches!(ending, Ending::AtMost | Ending::ClientLimited)),
            interval: None,
            safe: None,
            limiting: first_missed,
            verified: false,
            precise: false,
            regressed: false,
            bracket: (low, high),
            change: self.change,
            doubt: None,
        }
    }

    /// The goal that was missed by most in the trials at `load`.
    fn missed_at(&self, load: f64) -> Option<usize> {
        let excess = |goal: usize, share: f64| match self.settings.limits.get(goal) {
            Some(Some(limit)) if *limit > 0.0 => share / limit,
            _ => share,
        };
        let judged = |trial: &&Trial| {
            trial.verdict == TrialVerdict::Fail && is_same(trial.proposal.load, load)
        };
        let trials = self.evidence.iter().filter(judged);
        let missed = trials.flat_map(|trial| trial.measures.iter().enumerate());
        missed
            .filter(|(_, measure)| !measure.kept)
            .max_by(|a, b| excess(a.0, a.1.share()).total_cmp(&excess(b.0, b.1.share())))
            .map(|(goal, _)| goal)
    }
}
