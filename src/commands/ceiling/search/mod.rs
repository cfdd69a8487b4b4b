//! The search for the highest load that holds a set of goals.
//!
//! Pure: it proposes trials, is told what came of them and how much time has passed, and says in the end what it knows. It
//! must not know what a trial is made of: a load is a positive number, requests a second or connections, and the goals are
//! shares that must stay below a limit.
//!
//! Four stages. *Bracket*: short trials, each at twice the load of the one before, until one fails. *Narrow*: bisection,
//! first by short trials, then by full ones that are repeated until each load is classified as RFC 9971 does; the largest
//! lower bound below the smallest upper one remains. *Confirm*: trials at loads around the middle, in random order, until a
//! regression over all of them knows the load at which the goal is met exactly well enough. *Verify*: a longer trial at the
//! low end of the interval must pass.
//!
//! Where the goals go from kept to missed within the bracket, there is nothing to regress: the bracket is the interval.

mod answer;
mod change;
mod classify;
mod conclude;
mod confirm;
mod fit;
mod home;
mod recheck;
mod steps;
mod threshold;

pub use answer::{Doubt, Ending, SearchResult};
pub use change::Change;
pub use classify::{Class, Rules, classify};
pub use fit::{Crossing, Point, crossing};
pub use steps::{LONGEST_TRIAL_S, Search, Step};

/// How to search.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchSettings {
    /// The first load; it must hold the goals.
    pub from: f64,
    /// The highest load that is tried; `None` has no end.
    pub most: Option<f64>,
    /// Loads are whole numbers.
    pub whole: bool,
    /// The interval is to be no wider than this share of the ceiling to each side.
    pub precision: f64,
    /// When the search must be over, in seconds from its start.
    pub budget_s: f64,
    /// Length of a trial that only looks for the bracket, in seconds.
    pub short_s: f64,
    /// How a load is classified.
    pub rules: Rules,
    /// Length of the trial that verifies, in seconds.
    pub verify_s: f64,
    /// A trial of fewer requests says nothing, and is made longer.
    pub fewest_requests: f64,
    /// What a trial takes beside its length: warm-up, drain, pause, in seconds.
    pub beside_s: f64,
    /// Each goal's limit: the share that must stay below it; `None` for a goal that is only kept or missed.
    pub limits: Vec<Option<f64>>,
    /// Seed of the order of the trials that confirm.
    pub seed: u64,
    /// There is little time: every trial is made where it says most, and a disturbance that makes trials fail is reckoned with.
    pub quick: bool,
}

impl SearchSettings {
    /// A search for a rate from 100 a second on, by full trials of `trial_s` seconds, without goals; `beside_s` as above.
    #[must_use]
    pub fn usual(trial_s: f64, beside_s: f64) -> Self {
        let sum_s = 3.0 * trial_s;
        Self {
            from: 100.0,
            most: None,
            whole: false,
            precision: 0.02,
            budget_s: 600.0,
            short_s: 0.3 * trial_s,
            rules: Rules { trial_s, sum_s, exceed_ratio: 0.5 },
            verify_s: sum_s,
            fewest_requests: 0.0,
            beside_s,
            limits: Vec::new(),
            seed: 0,
            quick: false,
        }
    }
}

/// Why a trial is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// To find a load that is too high.
    Bracket,
    /// To make the bracket narrower.
    Narrow,
    /// To know the ceiling within the bracket.
    Confirm,
    /// To see that the low end holds.
    Verify,
    /// To see whether the target is still what it was when this load was first tried.
    Recheck,
}

impl Purpose {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bracket => "bracket",
            Self::Narrow => "narrow",
            Self::Confirm => "confirm",
            Self::Verify => "verify",
            Self::Recheck => "recheck",
        }
    }
}

/// A trial that is to be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proposal {
    /// Requests a second, or connections.
    pub load: f64,
    /// Length of its measured window, in seconds.
    pub length_s: f64,
    /// Why.
    pub purpose: Purpose,
}

/// What came of a trial.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrialVerdict {
    /// Every goal was kept.
    Pass,
    /// One was missed.
    Fail,
    /// The client was the limit: it says nothing of the target.
    ClientLimited,
    /// It says nothing for another reason: too few answers to judge a goal by.
    Inconclusive,
    /// A goal was missed, and would have been kept without the requests that this machine held up: it says nothing.
    HeldUp,
}

impl TrialVerdict {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::ClientLimited => "client_limited",
            Self::Inconclusive | Self::HeldUp => "inconclusive",
        }
    }
}

/// How much of one goal's limit a trial used up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// What must stay small: requests that were too slow, that failed, or a sum of times.
    pub amount: f64,
    /// Out of so many.
    pub of: f64,
    /// The goal was kept.
    pub kept: bool,
}

impl Measure {
    /// The share that is held against the limit; 0 of nothing.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.of > 0.0 { self.amount / self.of } else { 0.0 }
    }
}

/// A trial that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// As it was proposed.
    pub proposal: Proposal,
    /// What came of it.
    pub verdict: TrialVerdict,
    /// How many requests it was made of.
    pub requests: f64,
    /// Every goal's measure, in the order of the goals.
    pub measures: Vec<Measure>,
    /// It was ended before its time, because its goals could not be kept any more.
    pub cut_short: bool,
}

/// The seed of a trial, by its place: each draws arrivals of its own, and the same search draws the same again.
#[must_use]
pub const fn trial_seed(seed: u64, trial: usize) -> u64 {
    seed.wrapping_mul(1_000_003).wrapping_add(trial as u64 + 1)
}

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod tests;
