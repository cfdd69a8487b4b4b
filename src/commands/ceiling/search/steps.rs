//! Which trial comes next: a function of all trials so far, so that the same results always lead the same way.

use super::answer::{Ending, SearchResult};
use super::change::Change;
use super::confirm::{Finding, Unfit, edges, finding, next_load, separation};
use super::{Class, Proposal, Purpose, SearchSettings, Trial, TrialVerdict, classify};

/// So often a load is tried again where the client, or too few answers, made a trial worthless.
const PATIENCE: usize = 3;
/// Short trials narrow the bracket to this ratio; full ones go on from there.
const COARSE_RATIO: f64 = 1.1;
/// From here on a bracket within which the goals are missed more and more often says less than a regression.
const SMOOTH_RATIO: f64 = 1.06;
/// Where the machine made trials fail again and again, a load lower by this factor is tried.
const EASIER: f64 = 0.8;
/// A search of more trials goes round in circles.
const MOST_TRIALS: usize = 200;
/// A trial of few requests is not made longer than this, in seconds.
pub const LONGEST_TRIAL_S: f64 = 120.0;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Make this trial, and tell what came of it.
    Try(Proposal),
    /// Nothing more.
    Done(SearchResult),
}

/// A search as far as it has come.
#[derive(Clone, Debug)]
pub struct Search {
    pub(super) settings: SearchSettings,
    /// All that were made.
    pub(super) trials: Vec<Trial>,
    /// Places among them of those that say nothing of the target as it is.
    pub(super) aside: Vec<usize>,
    /// The others.
    pub(super) evidence: Vec<Trial>,
    pub(super) change: Option<Change>,
    /// How often the target was held up for a while.
    pub(super) disturbances: usize,
    spent_s: f64,
}

impl Search {
    /// One that has made no trial yet.
    #[must_use]
    pub fn new(settings: SearchSettings) -> Self {
        Self {
            settings,
            trials: Vec::new(),
            aside: Vec::new(),
            evidence: Vec::new(),
            change: None,
            disturbances: 0,
            spent_s: 0.0,
        }
    }

    /// All trials, in the order in which they were made.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// How it searches.
    #[must_use]
    pub fn settings(&self) -> &SearchSettings {
        &self.settings
    }

    /// Tells what came of the trial that was proposed last, `spent_s` seconds after the search began.
    pub fn record(&mut self, trial: Trial, spent_s: f64) {
        self.trials.push(trial.clone());
        self.evidence.push(trial);
        self.spent_s = spent_s;
        self.notice_change();
    }

    /// What is known of the ceiling: the largest load that seems to hold, the smallest that seems not to.
    #[must_use]
    pub fn bracket(&self) -> (Option<f64>, Option<f64>) {
        if self.settings.quick {
            return self.quick_bracket();
        }
        let (proved_low, proved_high) = self.bounds();
        // One trial says nothing against what is proved, but between the bounds it may say more.
        let between = |load: &f64| {
            proved_low.is_none_or(|low| *load > low) && proved_high.is_none_or(|high| *load < high)
        };
        let failed = self.last_words(TrialVerdict::Fail).filter(between);
        let high = failed.min_by(f64::total_cmp).or(proved_high);
        let held = self.last_words(TrialVerdict::Pass).filter(between);
        let held = held.filter(|&load| high.is_none_or(|high| load < high));
        (held.max_by(f64::total_cmp).or(proved_low), high)
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> Step {
        match self.wanted() {
            Step::Try(proposal)
                if !self.has_time_for(&proposal) || self.trials.len() >= MOST_TRIALS =>
            {
                Step::Done(self.give_up())
            }
            step => step,
        }
    }

    fn wanted(&self) -> Step {
        let Some(last) = self.evidence.last() else {
            return self.short(self.settings.from);
        };
        let worthless =
            |trial: &&Trial| !matches!(trial.verdict, TrialVerdict::Pass | TrialVerdict::Fail);
        let in_vain = self.evidence.iter().rev().take_while(worthless).count();
        if in_vain > 0 && in_vain < PATIENCE {
            // By now it may be known how long it must be.
            let Proposal { load, length_s, purpose } = last.proposal;
            return Step::Try(self.proposal(load, length_s, purpose));
        }
        if self.has_changed() {
            return Step::Done(self.early(Ending::Changed));
        }
        if let Some(load) = self.suspect() {
            let trial_s = self.settings.rules.trial_s;
            return Step::Try(self.proposal(load, trial_s, Purpose::Recheck));
        }
        if let Some(step) = self.after_recheck() {
            return step;
        }
        if self.cap().is_some_and(|cap| cap <= self.settings.from * (1.0 + 1e-9)) {
            return Step::Done(self.early(Ending::ClientLimited));
        }
        if last.verdict == TrialVerdict::Inconclusive && self.hints() == (None, None) {
            return Step::Done(self.early(Ending::TooFewAnswers));
        }
        if last.verdict == TrialVerdict::HeldUp && self.first_fail().is_none() {
            // It may be too much or not: a lower load is easier to keep, whatever the machine does.
            return self.short((last.proposal.load * EASIER).max(self.settings.from));
        }
        match (self.first_fail(), self.cap()) {
            (None, None) if !self.is_at_most(last.proposal.load) => {
                self.short(last.proposal.load * 2.0)
            }
            _ if self.settings.quick => self.home_in(),
            _ => self.narrow(),
        }
    }

    /// The bracket is known, or will never be: makes it narrower, or goes on from it.
    fn narrow(&self) -> Step {
        let (low, high) = self.bounds();
        if high.is_none()
            && let (Some(held), Some(high)) = self.hints()
            && let low = low.map_or(held, |low| held.max(low))
            && high / low > COARSE_RATIO
            && !self.is_narrow(low, high)
        {
            return self.short(self.between(low, high));
        }
        let (Some(low), high) = (low, high) else { return self.look_lower(high) };
        let Some(high) = high else { return self.look_higher(low) };
        // What seems to hold far above what is proved to is where to go on.
        if let (Some(held), _) = self.hints()
            && held > low * COARSE_RATIO
            && held < high
            && self.class_of(held) == Class::Undecided
        {
            return self.full(held);
        }
        let steep = edges(&self.settings, &self.evidence)
            .is_some_and(|(last, first)| is_same(last, low) && is_same(first, high));
        if !self.is_narrow(low, high) && (steep || high / low > SMOOTH_RATIO) {
            return self.full(self.between(low, high));
        }
        if self.is_capped(low) {
            return Step::Done(self.early(Ending::ClientLimited));
        }
        self.confirm(low, high)
    }

    /// No load has been proved to hold.
    fn look_lower(&self, high: Option<f64>) -> Step {
        let below = |load: f64| high.is_none_or(|high| load < high);
        let open = |load: f64| below(load) && self.class_of(load) == Class::Undecided;
        let passed =
            |trial: &&Trial| trial.verdict == TrialVerdict::Pass && open(trial.proposal.load);
        let loads = self.evidence.iter().filter(passed).map(|trial| trial.proposal.load);
        let hint = loads
            .fold(None, |most: Option<f64>, load| Some(most.map_or(load, |most| most.max(load))));
        let from = self.settings.from;
        match (hint, high) {
            (Some(load), _) => self.full(load),
            (None, Some(high)) if high <= from => Step::Done(self.early(Ending::MinimumFails)),
            (None, Some(high)) => self.full(self.between((high / 2.0).max(from), high).max(from)),
            (None, None) => self.full(from),
        }
    }

    /// `low` holds, and no load has been proved not to.
    fn look_higher(&self, low: f64) -> Step {
        if self.is_at_most(low) {
            return Step::Done(self.early(Ending::AtMost));
        }
        let above = |trial: &&Trial| {
            let load = trial.proposal.load;
            load > low
                && trial.verdict == TrialVerdict::Fail
                && self.class_of(load) == Class::Undecided
        };
        let loads = self.evidence.iter().filter(above).map(|trial| trial.proposal.load);
        let suspect = loads.fold(f64::INFINITY, f64::min);
        let cap = self.cap().unwrap_or(f64::INFINITY);
        if suspect < cap {
            return self.full(suspect);
        }
        if cap.is_finite() {
            if self.is_narrow(low, cap) || self.is_capped(low) {
                return Step::Done(self.early(Ending::ClientLimited));
            }
            return self.full(self.between(low, cap));
        }
        // What seemed to be too much was a hiccup: it goes on as before it.
        let (held, _) = self.hints();
        let held = held.map_or(low, |held| held.max(low));
        if self.is_at_most(held) { self.full(held) } else { self.short(held * 2.0) }
    }

    /// The bracket is narrow: what is the ceiling within it, and does its low end hold?
    fn confirm(&self, low: f64, high: f64) -> Step {
        let found = finding(&self.settings, &self.evidence, (low, high));
        let sharp = self.sharp_edges(&found);
        let found = found.ok();
        if let Some(step) = self.after_longer_fails(sharp.is_none() && found.is_some()) {
            return step;
        }
        let precise = sharp.is_some() || found.as_ref().is_some_and(|found| self.is_precise(found));
        if !precise {
            let proposal = self.proposal(
                next_load(&self.settings, &self.evidence, (low, high), found.as_ref()),
                self.settings.rules.trial_s,
                Purpose::Confirm,
            );
            // Room is left to verify what is known.
            let verify_s = self.settings.verify_s + self.settings.beside_s;
            if found.is_none() || self.has_time_for_also(&proposal, verify_s) {
                return Step::Try(proposal);
            }
        }
        let answer = match sharp {
            Some(edges) => self.answer(edges, None),
            None => self.answer((low, high), found),
        };
        self.verify(answer)
    }

    /// The largest load that is proved to hold below the smallest that is proved not to.
    pub(super) fn bounds(&self) -> (Option<f64>, Option<f64>) {
        let loads = || self.evidence.iter().map(|trial| trial.proposal.load);
        let of = |class: Class| loads().filter(move |&load| self.class_of(load) == class);
        let high = of(Class::Upper).min_by(f64::total_cmp);
        let low = of(Class::Lower)
            .filter(|&load| high.is_none_or(|high| load < high))
            .max_by(f64::total_cmp);
        (low, high)
    }

    /// The same by the last word of each load, whatever it is worth.
    fn hints(&self) -> (Option<f64>, Option<f64>) {
        let high = self.last_words(TrialVerdict::Fail).chain(self.cap()).min_by(f64::total_cmp);
        let low = self
            .last_words(TrialVerdict::Pass)
            .filter(|&load| high.is_none_or(|high| load < high))
            .max_by(f64::total_cmp);
        (low, high)
    }

    /// The loads of which the last trial that judged the target says so.
    fn last_words(&self, verdict: TrialVerdict) -> impl Iterator<Item = f64> {
        let last_word = |load: f64| {
            let mut at =
                self.evidence.iter().rev().filter(move |trial| is_same(trial.proposal.load, load));
            at.find(|trial| matches!(trial.verdict, TrialVerdict::Pass | TrialVerdict::Fail))
        };
        let loads = self.evidence.iter().map(|trial| trial.proposal.load);
        loads.filter(move |&load| last_word(load).is_some_and(|trial| trial.verdict == verdict))
    }

    /// The smallest load that the client could not offer.
    pub(super) fn cap(&self) -> Option<f64> {
        let limited =
            self.evidence.iter().filter(|trial| trial.verdict == TrialVerdict::ClientLimited);
        let loads = limited.map(|trial| trial.proposal.load).filter(|&load| {
            let at = || self.evidence.iter().filter(|trial| is_same(trial.proposal.load, load));
            let in_vain = at().filter(|trial| trial.verdict == TrialVerdict::ClientLimited).count();
            in_vain >= PATIENCE
                && at().all(|trial| {
                    trial.verdict != TrialVerdict::Fail && trial.verdict != TrialVerdict::Pass
                })
        });
        loads.min_by(f64::total_cmp)
    }

    fn is_capped(&self, low: f64) -> bool {
        self.cap().is_some_and(|cap| self.is_narrow(low, cap))
    }

    /// By the trials up to the first that confirms: from there on all of them together say more than each load's own.
    fn class_of(&self, load: f64) -> Class {
        let confirms = |trial: &&Trial| trial.proposal.purpose == Purpose::Confirm;
        let before = self.evidence.iter().position(|trial| confirms(&trial));
        let before = &self.evidence[..before.unwrap_or(self.evidence.len())];
        let at = before.iter().filter(|trial| is_same(trial.proposal.load, load));
        classify(at, &self.settings.rules)
    }

    fn first_fail(&self) -> Option<&Trial> {
        self.evidence.iter().find(|trial| trial.verdict == TrialVerdict::Fail)
    }

    pub(super) fn verifications(&self, of: impl Fn(TrialVerdict) -> bool) -> usize {
        let made = self.evidence.iter().filter(|trial| trial.proposal.purpose == Purpose::Verify);
        made.filter(|trial| of(trial.verdict)).count()
    }

    fn is_at_most(&self, load: f64) -> bool {
        self.settings.most.is_some_and(|most| load >= most * (1.0 - 1e-9))
    }

    fn limited(&self, load: f64) -> f64 {
        let load = if self.settings.whole { load.round() } else { load };
        self.settings.most.map_or(load, |most| load.min(most))
    }

    /// Halfway, as ratios go.
    fn between(&self, low: f64, high: f64) -> f64 {
        let middle = (low * high).sqrt();
        if !self.settings.whole {
            return middle;
        }
        // Between two different whole numbers that are no neighbours there is another one.
        middle.round().clamp((low + 1.0).min(high), (high - 1.0).max(low))
    }

    fn is_narrow(&self, low: f64, high: f64) -> bool {
        high / low <= 1.0 + self.settings.precision * 1.001
            || (self.settings.whole && high - low <= 1.0)
    }

    /// The place where the goals go from kept to missed at once, or along no line that could be fitted, if it is known
    /// well enough.
    pub(super) fn sharp_edges(&self, found: &Result<Finding, Unfit>) -> Option<(f64, f64)> {
        let near = |&(low, high): &(f64, f64)| {
            high / low <= 1.0 + 2.0 * self.settings.precision
                || (self.settings.whole && high - low <= 1.0)
        };
        let known = edges(&self.settings, &self.evidence).filter(near);
        let known = known.or_else(|| match (found, self.bounds()) {
            (Err(Unfit::Line), (Some(low), Some(high))) => {
                separation(&self.settings, &self.evidence, (low, high)).filter(near)
            }
            _ => None,
        });
        known.or_else(|| self.neighbours())
    }

    /// Two whole numbers next to one another, of which the lower held every time and the higher never: there is nothing
    /// between them.
    fn neighbours(&self) -> Option<(f64, f64)> {
        let (Some(low), Some(high)) = self.bounds() else { return None };
        let always = |load: f64, verdict: TrialVerdict| {
            let at = self.evidence.iter().filter(|trial| is_same(trial.proposal.load, load));
            let mut judged =
                at.filter(|trial| matches!(trial.verdict, TrialVerdict::Pass | TrialVerdict::Fail));
            judged.all(|trial| trial.verdict == verdict)
        };
        let clear = always(low, TrialVerdict::Pass) && always(high, TrialVerdict::Fail);
        (self.settings.whole && high - low <= 1.0 && clear).then_some((low, high))
    }

    fn is_precise(&self, found: &Finding) -> bool {
        let (low, high) = found.crossing.interval;
        found.enough && (high - low) / 2.0 <= self.settings.precision * found.crossing.load
    }

    pub(super) fn has_time_for(&self, proposal: &Proposal) -> bool {
        self.has_time_for_also(proposal, 0.0)
    }

    pub(super) fn has_time_for_also(&self, proposal: &Proposal, also_s: f64) -> bool {
        let rest_s = if proposal.purpose == Purpose::Recheck { self.rest_s() } else { 0.0 };
        let needed_s = rest_s + proposal.length_s + self.beside_s() + also_s;
        self.spent_s + needed_s <= self.settings.budget_s
    }

    /// What a trial takes beside its length, in seconds: as was expected, or more where the trials so far took more.
    #[expect(clippy::cast_precision_loss, reason = "a few trials")]
    pub(super) fn beside_s(&self) -> f64 {
        let measured_s: f64 = self.trials.iter().map(|trial| trial.proposal.length_s).sum();
        let seen_s = (self.spent_s - measured_s) / self.trials.len().max(1) as f64;
        seen_s.max(self.settings.beside_s)
    }

    /// A trial that is long enough to say something.
    pub(super) fn proposal(&self, load: f64, length_s: f64, purpose: Purpose) -> Proposal {
        let load = self.limited(load);
        let needed_s = (self.settings.fewest_requests / self.rate_at(load)).min(LONGEST_TRIAL_S);
        // Whole tenths are multiples of whatever a run is watched by.
        let length_s = (length_s.max(needed_s) * 10.0 - 1e-6).ceil() / 10.0;
        Proposal { load, length_s, purpose }
    }

    /// Requests a second at a load: itself, or of connections what the closest trial has shown, if there was one.
    fn rate_at(&self, load: f64) -> f64 {
        if !self.settings.whole {
            return load;
        }
        let distance = |trial: &&Trial| (trial.proposal.load / load).ln().abs();
        let asked = self.evidence.iter().filter(|trial| trial.requests > 0.0);
        let closest = asked.min_by(|a, b| distance(a).total_cmp(&distance(b)));
        closest.map_or(f64::INFINITY, |trial| {
            let fewer = (load / trial.proposal.load).min(1.0);
            trial.requests / trial.proposal.length_s * fewer
        })
    }

    fn short(&self, load: f64) -> Step {
        let purpose = if self.first_fail().is_some() { Purpose::Narrow } else { Purpose::Bracket };
        Step::Try(self.proposal(load, self.settings.short_s, purpose))
    }

    fn full(&self, load: f64) -> Step {
        Step::Try(self.proposal(load, self.settings.rules.trial_s, Purpose::Narrow))
    }
}

/// Loads that differ by less than a millionth are the same.
pub(super) fn is_same(one: f64, other: f64) -> bool {
    (one / other - 1.0).abs() < 1e-6
}
