//! Which gates hold: clauses against the whole measured window, its phases, and its pieces of time.
//!
//! Pure: everything has been measured when this begins. Pieces of time were judged as they passed, by [`super::windows`].

use super::windows::Windows;
use super::{Clause, Part, Scope};
use crate::time::seconds;

/// A gate, and what was found.
#[derive(Clone, Debug)]
pub struct Gate {
    /// What was demanded.
    pub clause: Clause,
    /// The value that decides, in the clause's unit: the found one, or the end of its confidence interval where that was
    /// asked for; of several windows that of the worst. `None` without a single value.
    pub value: Option<f64>,
    /// Why that value does not decide it.
    pub doubt: Option<Doubt>,
    /// Whether it holds.
    pub holds: bool,
    /// Start of the worst of several windows on the run's clock, in seconds.
    pub at_s: Option<f64>,
}

/// Why a value does not decide a gate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doubt {
    /// It is a lower bound: requests have no answer, and may have taken any time.
    Unanswered,
    /// The target was gone for longer than the limit allows, and what would have been asked of it meanwhile is not known.
    Gone,
    /// It has no confidence interval: there are too few responses, or too few slices to tell how they depend on one another.
    NoInterval,
}

/// What a clause finds in a part of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// The value that decides, in the clause's unit.
    pub value: f64,
    /// Why it does not.
    pub doubt: Option<Doubt>,
    /// Whether the clause holds.
    pub holds: bool,
}

impl Finding {
    /// Whether it speaks more against a clause than another: one that breaks it before one that does not.
    pub(super) fn is_worse(&self, clause: &Clause, other: &Self) -> bool {
        if self.holds != other.holds {
            return other.holds;
        }
        if clause.is_upper_bound() { self.value > other.value } else { self.value < other.value }
    }
}

/// What `clause` finds in `part`; `None` where nothing can be said, since nothing has ended or come due.
#[must_use]
pub fn find(clause: &Clause, part: &dyn Part) -> Option<Finding> {
    let (value, doubt) = clause.deciding(&clause.metric.value(clause.unit, part)?);
    let allowed = clause.metric.tolerated_absence(clause.limit, clause.unit);
    let doubt = doubt.or((part.gone_share() > allowed).then_some(Doubt::Gone));
    let holds = match doubt {
        None => clause.holds(value),
        Some(Doubt::Unanswered) => clause.is_proven_by(value, false),
        Some(Doubt::Gone) => !clause.metric.is_throughput() && clause.is_proven_by(value, false),
        Some(Doubt::NoInterval) => false,
    };
    Some(Finding { value, doubt, holds })
}

/// A phase of a run.
#[derive(Clone, Copy, Debug)]
pub struct Phase<'a, P> {
    /// Its name; several may have the same.
    pub name: &'a str,
    /// Its start on the run's clock, in seconds.
    pub start_s: f64,
    /// What happened in it.
    pub part: P,
}

/// All parts of a run, which gates are held against.
pub struct Parts<'a, P> {
    /// The measured window.
    pub whole: P,
    /// Its phases.
    pub phases: &'a [Phase<'a, P>],
    /// Its pieces of time.
    pub windows: &'a [Windows],
    /// The measured window, in nanoseconds since the run's clock was 0.
    pub between_ns: (u64, u64),
}

impl<P: Part> Parts<'_, P> {
    /// What one gate finds.
    #[must_use]
    pub fn judge(&self, clause: &Clause) -> Gate {
        let (found, at_s) = match &clause.scope {
            Scope::Window => (find(clause, &self.whole), None),
            Scope::Phase(name) => self.in_phases(clause, name),
            Scope::Span { .. } | Scope::Each(_) => self.in_windows(clause),
        };
        Gate {
            clause: clause.clone(),
            value: found.map(|found| found.value),
            doubt: found.and_then(|found| found.doubt),
            holds: found.is_some_and(|found| found.holds),
            at_s,
        }
    }

    /// The phase of that name, or the worst of them: one of which nothing can be said is worse than any other.
    fn in_phases(&self, clause: &Clause, name: &str) -> (Option<Finding>, Option<f64>) {
        let named: Vec<_> = self.phases.iter().filter(|phase| phase.name == name).collect();
        let found = named.iter().map(|phase| {
            let at_s = (named.len() > 1).then_some(phase.start_s);
            (find(clause, &phase.part), at_s)
        });
        let is_worse = |one: Option<Finding>, other: Option<Finding>| match (one, other) {
            (Some(one), Some(other)) => one.is_worse(clause, &other),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        found
            .reduce(|worst, next| if is_worse(next.0, worst.0) { next } else { worst })
            .unwrap_or((None, None))
    }

    fn in_windows(&self, clause: &Clause) -> (Option<Finding>, Option<f64>) {
        let (from_ns, to_ns) = self.between_ns;
        let windows = self.windows.iter().find(|windows| windows.clause() == clause);
        let Some((start_ns, found)) = windows.and_then(|windows| windows.worst(from_ns, to_ns))
        else {
            return (None, None);
        };
        let is_one_of_many = matches!(clause.scope, Scope::Each(_));
        (Some(found), is_one_of_many.then(|| seconds(start_ns)))
    }
}

#[cfg(test)]
mod tests;
