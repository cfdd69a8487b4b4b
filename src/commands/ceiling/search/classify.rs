//! Whether a load is a lower or an upper bound of the ceiling, from trials that may contradict one another: the load
//! classification of RFC 9971, with "misses a goal" in place of "loses too much".

use super::{Trial, TrialVerdict};

/// What it takes to classify a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Length of a full trial, in seconds.
    pub trial_s: f64,
    /// How long the trials that decide must be together, in seconds.
    pub sum_s: f64,
    /// The share of that time in which the goals may be missed.
    pub exceed_ratio: f64,
}

/// What is known of a load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// It holds the goals.
    Lower,
    /// It does not.
    Upper,
    /// Another trial must tell.
    Undecided,
}

/// Classifies a load by its trials. Short ones that fail count as far as short ones that pass do not balance them; short
/// ones never prove a lower bound.
#[must_use]
pub fn classify<'t>(trials: impl Iterator<Item = &'t Trial>, rules: &Rules) -> Class {
    let (mut short, mut full) = ([0.0; 2], [0.0; 2]);
    for trial in trials {
        let length_s = trial.proposal.length_s;
        let kind = if length_s < rules.trial_s { &mut short } else { &mut full };
        match trial.verdict {
            TrialVerdict::Pass => kind[0] += length_s,
            TrialVerdict::Fail => kind[1] += length_s,
            TrialVerdict::ClientLimited | TrialVerdict::Inconclusive | TrialVerdict::HeldUp => {}
        }
    }
    let ([short_pass, short_fail], [full_pass, full_fail]) = (short, full);
    let ratio = rules.exceed_ratio;
    let balancing = if ratio < 1.0 { short_pass * ratio / (1.0 - ratio) } else { f64::INFINITY };
    let failed = full_fail + (short_fail - balancing).max(0.0);
    let whole = (full_pass + failed).max(rules.sum_s);
    if whole - full_pass <= ratio * whole {
        Class::Lower
    } else if failed > ratio * whole {
        Class::Upper
    } else {
        Class::Undecided
    }
}
