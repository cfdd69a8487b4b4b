//! Gates on the numbers of a run, as people write them: `p99<50ms, p99[spike]<200ms, errors<0.1%, achieved>=99%`.
//!
//! What a clause says and whether a value satisfies it. It must not know where values come from, but for those of slices:
//! [`windows`] and [`lookout`] take them as they come.

pub mod lookout;
mod parse;
pub mod windows;

pub use parse::{parse, parse_conditions};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// The response time at this quantile, from 0 to 1.
    Quantile(f64),
    /// The longest response time.
    Max,
    /// The mean response time.
    Mean,
    /// The share of scheduled requests that got no good response.
    Errors,
    /// The share of scheduled requests that were given up at their timeout.
    Timeouts,
    /// The share of scheduled requests that were never sent.
    Unsent,
    /// Whole responses that came while the window lasted.
    Achieved,
    /// Those of them that were good.
    Goodput,
    /// The client lag at this quantile: how late the client itself was, waiting for a connection apart.
    ClientLag(f64),
    /// The time to the first byte at this quantile.
    FirstByte(f64),
    /// The service time at this quantile.
    Service(f64),
}

impl Metric {
    /// Whether it is a response time, of which slices have buckets.
    #[must_use]
    pub const fn is_response_time(self) -> bool {
        matches!(self, Self::Quantile(_) | Self::Max | Self::Mean)
    }

    /// Whether it is a length of time.
    #[must_use]
    pub const fn is_of_time(self) -> bool {
        let other = matches!(self, Self::ClientLag(_) | Self::FirstByte(_) | Self::Service(_));
        self.is_response_time() || other
    }

    /// Whether it counts answers by when they came, as a share of what was offered or as a rate.
    #[must_use]
    pub const fn is_throughput(self) -> bool {
        matches!(self, Self::Achieved | Self::Goodput)
    }

    /// Whether a slice of a run tells it.
    #[must_use]
    pub const fn is_in_slices(self) -> bool {
        self.is_response_time() || self.is_throughput() || matches!(self, Self::Errors)
    }

    /// That it never happens, for what is counted as a share.
    const fn example_of_none(self) -> &'static str {
        match self {
            Self::Timeouts => "timeouts<=0%",
            Self::Unsent => "unsent<=0%",
            _ => "errors<=0%",
        }
    }

    /// A clause that makes sense.
    const fn example(self) -> &'static str {
        match self {
            Self::Quantile(_) => "p99<50ms",
            Self::Max => "max<1s",
            Self::Mean => "mean<5ms",
            Self::Errors => "errors<0.1%",
            Self::Timeouts => "timeouts<=0%",
            Self::Unsent => "unsent<=0%",
            Self::Achieved => "achieved>=99% or achieved>=500/s",
            Self::Goodput => "goodput>=99% or goodput>=500/s",
            Self::ClientLag(_) => "lag.p99<100us",
            Self::FirstByte(_) => "ttfb.p99<20ms",
            Self::Service(_) => "service.p99<20ms",
        }
    }
}

/// What a limit is counted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// A share of all, from 0 to 1.
    Share,
    /// A number a second.
    PerSecond,
}

/// How a value is held against a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Comparison {
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
    pub comparison: Comparison,
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
        match self.comparison {
            Comparison::Below => value < self.limit,
            Comparison::AtMost => value <= self.limit,
            Comparison::Above => value > self.limit,
            Comparison::AtLeast => value >= self.limit,
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
        matches!(self.comparison, Comparison::Below | Comparison::AtMost)
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
        let single = matches!(self.metric, Metric::Quantile(_) | Metric::Max);
        (single && self.scope == Scope::Window && self.is_upper_bound())
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

#[cfg(test)]
mod tests;
