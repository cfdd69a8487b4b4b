//! One gate: a metric, the part of a run that it is about, and a limit. What it says, and whether a value satisfies it.

use super::gates::Doubt;
use super::metric::Metric;
use super::part::{Figure, Unit};

/// How a value is held against a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Relation {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// Which part of a run a clause is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Scope {
    /// The whole measured window.
    Window,
    /// The phase of this name; each of them where several have it.
    Phase(String),
    /// A piece of the measured window, in nanoseconds from its start.
    Span {
        /// Where it begins.
        from_ns: u64,
        /// Where it ends.
        to_ns: u64,
    },
    /// Every piece of the measured window of this length, in nanoseconds, one after the other.
    Each(u64),
}

/// One gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// As it was written.
    pub text: String,
    /// What is looked at.
    pub metric: Metric,
    /// In which part of the run.
    pub scope: Scope,
    /// How it is held against the limit.
    pub relation: Relation,
    /// The limit, in [`Clause::unit`].
    pub limit: f64,
    /// What value and limit are counted in.
    pub unit: Unit,
    /// The end of the 95 % confidence interval that is farther on must satisfy it, too.
    pub confident: bool,
}

impl Clause {
    /// Whether `value`, in [`Clause::unit`], satisfies it.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        match self.relation {
            Relation::Below => value < self.limit,
            Relation::AtMost => value <= self.limit,
            Relation::Above => value > self.limit,
            Relation::AtLeast => value >= self.limit,
        }
    }

    /// The value that decides it, and why that may not be trusted: where confidence was asked for, the end of the interval
    /// that is nearer to the limit. A limit that must not be exceeded is held against the most that the truth can be where
    /// that is known, and one that must be exceeded against the least.
    #[must_use]
    pub fn deciding(&self, figure: &Figure) -> (f64, Option<Doubt>) {
        let value = figure.most.filter(|_| self.is_upper_bound()).unwrap_or(figure.least);
        let doubt = (figure.most != Some(value)).then_some(Doubt::Unanswered);
        match figure.interval {
            _ if !self.confident => (value, doubt),
            None => (value, doubt.or(Some(Doubt::NoInterval))),
            Some((low, high)) => (if self.is_upper_bound() { high } else { low }, doubt),
        }
    }

    /// Whether a value proves it. One that is not `known` is a lower bound, which proves that something was exceeded, and
    /// never that it was not.
    #[must_use]
    pub fn is_proven_by(&self, value: f64, known: bool) -> bool {
        self.holds(value) && (known || !self.is_upper_bound())
    }

    /// Whether values must stay below the limit rather than reach it.
    #[must_use]
    pub const fn is_upper_bound(&self) -> bool {
        matches!(self.relation, Relation::Below | Relation::AtMost)
    }

    /// Which part of the run it is about, as it was written; `None` for the whole measured window.
    #[must_use]
    pub fn scope_text(&self) -> Option<&str> {
        let inside = self.text.split_once('[')?.1;
        inside.split_once(']').map(|(scope, _)| scope.trim())
    }

    /// The limit, when it is one that a single request of the whole window can keep or break.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was a whole number of nanoseconds"
    )]
    pub fn latency_limit_ns(&self) -> Option<u64> {
        let single = self.metric.tolerated_share(self.limit, self.unit).is_some();
        (single
            && self.metric.is_response_time()
            && self.scope == Scope::Window
            && self.is_upper_bound())
        .then_some(self.limit as u64)
    }

    /// The name of the phase that it is about.
    #[must_use]
    pub fn phase(&self) -> Option<&str> {
        match &self.scope {
            Scope::Phase(name) => Some(name),
            Scope::Window | Scope::Span { .. } | Scope::Each(_) => None,
        }
    }
}
