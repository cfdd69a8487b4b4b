//! Metrics: all that is known of each, in one place. What it is called in gates and tables, its unit, which way is better,
//! how it is worked out of a part of a run, and how precise it is.
//!
//! Whoever shows, gates, compares or searches asks a metric and never tells one from another: a new one is a change of this
//! file. It must not know where the figures of a part come from; that is [`Part`]'s business.

use super::part::{Figure, Part, Requests, Statistic, Timing, Unit};
use crate::stats::effective::has_interval;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// A length of time that each request takes.
    Time(Timing, Statistic),
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
    /// CPU time that the client, maxq itself, takes for a request.
    Cpu,
}

/// Two steps of a histogram, as a share of the value: less is not told apart.
const TWO_STEPS: f64 = 2.0 / 1024.0;

/// A statistic of the response time.
const fn response(statistic: Statistic) -> Metric {
    Metric::Time(Timing::Response, statistic)
}

/// The names, and what is written in gates.
impl Metric {
    /// Those that two sides of runs are compared by, in the order of reports.
    pub const COMPARED: [Self; 12] = [
        response(Statistic::Quantile(0.5)),
        response(Statistic::Quantile(0.9)),
        response(Statistic::Quantile(0.95)),
        response(Statistic::Quantile(0.99)),
        response(Statistic::Quantile(0.999)),
        response(Statistic::Mean),
        response(Statistic::Max),
        Self::Achieved,
        Self::Errors,
        Self::Timeouts,
        Self::Unsent,
        Self::Cpu,
    ];
    /// Metrics that pieces of time know, for people.
    pub(super) const IN_PIECES: &'static str = "p, max, mean, errors, achieved and goodput";
    /// Gates that make sense, for people.
    pub(super) const GATES: &'static str =
        "p50<10ms, p99.9<=200ms, p99[spike]<1s, max<1s, errors<0.1%, achieved>=99%";
    /// Conditions that make sense, for people.
    pub(super) const CONDITIONS: &'static str =
        "p99>1s, max>5s, mean>500ms, errors>5%, achieved<90% or goodput<90%";

    /// Reads the name of one that gates may be about.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let quantile = |name: &str| {
            let percent = name.strip_prefix('p').and_then(super::parse::plain_number)?;
            (percent > 0.0 && percent < 100.0).then_some(Statistic::Quantile(percent / 100.0))
        };
        Some(match name {
            "max" => response(Statistic::Max),
            "mean" => response(Statistic::Mean),
            "errors" => Self::Errors,
            "timeouts" => Self::Timeouts,
            "unsent" => Self::Unsent,
            "achieved" => Self::Achieved,
            "goodput" => Self::Goodput,
            _ => {
                let (timing, statistic) = match name.split_once('.') {
                    Some(("lag", statistic)) => (Timing::ClientLag, statistic),
                    Some(("ttfb", statistic)) => (Timing::FirstByte, statistic),
                    Some(("service", statistic)) => (Timing::Service, statistic),
                    _ => (Timing::Response, name),
                };
                Self::Time(timing, quantile(statistic)?)
            }
        })
    }

    /// Reads the name of one that runs are compared by, as it is in either loop.
    ///
    /// # Errors
    /// The names that there are.
    pub fn compared(name: &str) -> Result<Self, String> {
        let named = |metric: &&Self| metric.name(false) == name || metric.name(true) == name;
        Self::COMPARED.iter().find(named).copied().ok_or_else(|| {
            format!(
                "'{name}' is not a metric; use p50, p90, p95, p99, p99.9, mean, max, rate (or achieved), errors, timeouts, unsent or cpu"
            )
        })
    }

    /// The stable name, as in gates, tables and documents. In a closed loop nothing is offered that could be achieved: there
    /// is a rate.
    #[must_use]
    pub fn name(self, open: bool) -> String {
        let named = match self {
            Self::Time(timing, statistic) => {
                let of = match timing {
                    Timing::Response => "",
                    Timing::Service => "service.",
                    Timing::FirstByte => "ttfb.",
                    Timing::ClientLag => "lag.",
                };
                return match statistic {
                    // Without the noise of binary fractions.
                    Statistic::Quantile(quantile) => {
                        format!("{of}p{}", (quantile * 1e11).round() / 1e9)
                    }
                    Statistic::Max => format!("{of}max"),
                    Statistic::Mean => format!("{of}mean"),
                };
            }
            Self::Errors => "errors",
            Self::Timeouts => "timeouts",
            Self::Unsent => "unsent",
            Self::Achieved if open => "achieved",
            Self::Achieved => "rate",
            Self::Goodput => "goodput",
            Self::Cpu => "cpu",
        };
        named.to_owned()
    }

    /// The name that people read in tables, which says whose CPU time it is.
    #[must_use]
    pub fn label(self, open: bool) -> String {
        if self == Self::Cpu { "client cpu".to_owned() } else { self.name(open) }
    }

    /// The key of a response time in the document of a run.
    #[must_use]
    pub fn document_key(self) -> Option<String> {
        self.is_response_time().then(|| self.name(false).replace('.', "_"))
    }

    /// A clause that makes sense.
    pub(super) const fn example(self) -> &'static str {
        match self {
            Self::Time(Timing::ClientLag, _) => "lag.p99<100us",
            Self::Time(Timing::FirstByte, _) => "ttfb.p99<20ms",
            Self::Time(Timing::Service, _) => "service.p99<20ms",
            Self::Time(Timing::Response, Statistic::Quantile(_)) => "p99<50ms",
            Self::Time(Timing::Response, Statistic::Max) => "max<1s",
            Self::Time(Timing::Response, Statistic::Mean) | Self::Cpu => "mean<5ms",
            Self::Errors => "errors<0.1%",
            Self::Timeouts => "timeouts<=0%",
            Self::Unsent => "unsent<=0%",
            Self::Achieved => "achieved>=99% or achieved>=500/s",
            Self::Goodput => "goodput>=99% or goodput>=500/s",
        }
    }

    /// What got better, in a word.
    #[must_use]
    pub const fn better(self, open: bool) -> &'static str {
        match self {
            Self::Errors | Self::Timeouts | Self::Unsent => "fewer",
            Self::Achieved | Self::Goodput if open => "more",
            Self::Cpu => "less",
            Self::Time(..) | Self::Achieved | Self::Goodput => "faster",
        }
    }

    /// That it moved by `size`, in a sentence: `p99 is 24.1 % slower`.
    #[must_use]
    pub fn moved(self, open: bool, size: &str, up: bool) -> String {
        let name = self.name(open);
        let either = |higher, lower| if up { higher } else { lower };
        match self {
            Self::Errors | Self::Timeouts | Self::Unsent => {
                let noun = if self == Self::Unsent { "unsent requests" } else { &name };
                format!("{noun} {} by {size} points", either("rose", "fell"))
            }
            Self::Achieved | Self::Goodput if open => {
                let lies = either("higher", "lower");
                format!("the share of the rate that was {name} is {size} % {lies}")
            }
            Self::Achieved | Self::Goodput => {
                format!("the {name} is {size} % {}", either("higher", "lower"))
            }
            Self::Cpu => {
                let lies = either("higher", "lower");
                format!("the client's CPU time per request is {size} % {lies}")
            }
            Self::Time(_, Statistic::Mean | Statistic::Max) => {
                format!("the {name} is {size} % {}", either("longer", "shorter"))
            }
            Self::Time(..) => format!("{name} is {size} % {}", either("slower", "faster")),
        }
    }
}

/// What kind of a metric it is.
impl Metric {
    /// What it is counted in where it is compared: in an open loop, whose schedule makes the rate, throughput is a share of
    /// what was offered.
    #[must_use]
    pub const fn unit(self, open: bool) -> Unit {
        match self {
            Self::Time(..) | Self::Cpu => Unit::Time,
            Self::Achieved | Self::Goodput if !open => Unit::PerSecond,
            _ => Unit::Share,
        }
    }

    /// More of it is better.
    #[must_use]
    pub const fn is_better_when_larger(self) -> bool {
        self.is_throughput()
    }

    /// Whether it is a response time, of which slices have buckets.
    #[must_use]
    pub const fn is_response_time(self) -> bool {
        matches!(self, Self::Time(Timing::Response, _))
    }

    /// Whether it is a length of time that each request takes.
    #[must_use]
    pub const fn is_of_time(self) -> bool {
        matches!(self, Self::Time(..))
    }

    /// Whether it counts answers by when they came, as a share of what was offered or as a rate.
    #[must_use]
    pub const fn is_throughput(self) -> bool {
        matches!(self, Self::Achieved | Self::Goodput)
    }

    /// Whether it is a share of the requests, each of which counts or does not.
    #[must_use]
    pub const fn is_share_of_requests(self) -> bool {
        matches!(self, Self::Errors | Self::Timeouts | Self::Unsent)
    }

    /// Whether a slice of a run tells it.
    #[must_use]
    pub const fn is_in_slices(self) -> bool {
        self.is_response_time() || self.is_throughput() || matches!(self, Self::Errors)
    }

    /// Whether it says something of the client alone.
    #[must_use]
    pub const fn is_of_client(self) -> bool {
        matches!(self, Self::Time(Timing::ClientLag, _) | Self::Cpu)
    }

    /// Whether the lateness of a client changes nothing about it: none makes an answer bad, or keeps it from coming.
    #[must_use]
    pub const fn is_free_of_lag(self) -> bool {
        matches!(self, Self::Errors | Self::Timeouts)
    }

    /// Whether only requests that are due by a schedule have it.
    #[must_use]
    pub const fn needs_schedule(self) -> bool {
        matches!(self, Self::Time(Timing::ClientLag, _))
    }

    /// Whether one value decides it, whatever the others are.
    #[must_use]
    pub const fn is_longest(self) -> bool {
        matches!(self, Self::Time(_, Statistic::Max))
    }

    /// What is timed, where it is a length of time.
    #[must_use]
    pub const fn timing(self) -> Option<Timing> {
        match self {
            Self::Time(timing, _) => Some(timing),
            _ => None,
        }
    }

    /// The quantile that it is, from 0 to 1.
    #[must_use]
    pub const fn quantile(self) -> Option<f64> {
        match self {
            Self::Time(_, Statistic::Quantile(quantile)) => Some(quantile),
            _ => None,
        }
    }

    /// The same number of something else that is timed.
    #[must_use]
    pub const fn of(self, timing: Timing) -> Self {
        match self {
            Self::Time(_, statistic) => Self::Time(timing, statistic),
            other => other,
        }
    }
}

/// How it is worked out, and how precise it is.
impl Metric {
    /// What `part` shows of it, counted in `unit`; `None` where it shows nothing.
    #[must_use]
    pub fn value(self, unit: Unit, part: &dyn Part) -> Option<Figure> {
        let throughput = |count: f64, offered: f64| match unit {
            Unit::PerSecond => part.per_second(count),
            Unit::Share | Unit::Time => (offered > 0.0).then(|| count / offered),
        };
        let certain = match self {
            Self::Time(timing, statistic) => return part.time(timing, statistic),
            Self::Cpu => part.cpu(),
            Self::Achieved => {
                let requests = part.requests();
                throughput(requests.completed, requests.offered)
            }
            Self::Goodput => {
                let requests = part.requests();
                throughput(requests.ok?, requests.offered)
            }
            Self::Errors | Self::Timeouts | Self::Unsent => {
                let (counted, ended) = self.tally(&part.requests())?;
                (ended > 0).then(|| float(counted) / float(ended))
            }
        };
        certain.map(Figure::certain)
    }

    /// Of a share of requests, how many count of how many; `None` for all else, and where nobody counted them.
    #[must_use]
    pub fn tally(self, requests: &Requests) -> Option<(u64, u64)> {
        let counted = match self {
            Self::Errors => requests.failed,
            Self::Timeouts => requests.timeouts?,
            Self::Unsent => requests.unsent?,
            _ => return None,
        };
        Some((counted, requests.ended))
    }

    /// How much of `part` misses a limit, and of how much: to be held against [`Metric::missed_limit`].
    #[must_use]
    pub fn missed(self, limit: f64, part: &dyn Part) -> Option<(f64, f64)> {
        let requests = part.requests();
        let ended = float(requests.ended);
        Some(match self {
            Self::Time(timing, Statistic::Mean) => {
                (part.time(timing, Statistic::Mean).map_or(0.0, |mean| mean.least), 1.0)
            }
            Self::Time(timing, _) => part.beyond(timing, limit)?,
            Self::Errors | Self::Timeouts | Self::Unsent => {
                (float(self.tally(&requests)?.0), ended)
            }
            Self::Achieved => (ended - requests.completed, ended),
            Self::Goodput => (ended - requests.ok?, ended),
            Self::Cpu => return None,
        })
    }

    /// The share that may miss a limit as [`Metric::missed`] counts it; `None` where that says nothing.
    #[must_use]
    pub fn missed_limit(self, limit: f64, unit: Unit) -> Option<f64> {
        match self {
            Self::Time(_, Statistic::Mean) => Some(limit),
            _ => self.tolerated_share(limit, unit),
        }
    }

    /// The share of requests that may miss a limit while the whole keeps it; `None` where it is not kept one by one.
    #[must_use]
    pub fn tolerated_share(self, limit: f64, unit: Unit) -> Option<f64> {
        match self {
            Self::Time(_, Statistic::Quantile(quantile)) => Some(1.0 - quantile),
            Self::Time(_, Statistic::Max) => Some(0.0),
            Self::Errors | Self::Timeouts | Self::Unsent => Some(limit),
            Self::Achieved | Self::Goodput if unit == Unit::Share => Some(1.0 - limit),
            Self::Time(_, Statistic::Mean) | Self::Achieved | Self::Goodput | Self::Cpu => None,
        }
    }

    /// For which share of the time a target may be away while a limit is kept: whoever had come then would have got no
    /// answer.
    #[must_use]
    pub fn tolerated_absence(self, limit: f64, unit: Unit) -> f64 {
        match self {
            // The client's own doing, and what is counted by itself, are what they are.
            Self::Time(Timing::ClientLag, _) | Self::Cpu | Self::Timeouts | Self::Unsent => 1.0,
            Self::Time(_, Statistic::Mean) => 0.0,
            _ => self.tolerated_share(limit, unit).map_or(1.0, |share| share.max(0.0)),
        }
    }

    /// The same metric and its limit where a larger `share` of requests may miss it; `None` where there is no such.
    #[must_use]
    pub const fn with_tolerated_share(self, share: f64, limit: f64) -> Option<(Self, f64)> {
        match self {
            Self::Time(Timing::Response, Statistic::Quantile(_)) => {
                Some((response(Statistic::Quantile(1.0 - share)), limit))
            }
            Self::Errors => Some((self, share)),
            _ => None,
        }
    }

    /// Whether a confidence interval of it is worked out.
    #[must_use]
    pub fn has_interval(self) -> bool {
        self.is_response_time() && self.quantile().is_some_and(has_interval)
    }

    /// The smallest relative shift that is told apart.
    #[must_use]
    pub const fn resolution(self) -> f64 {
        if self.is_of_time() { TWO_STEPS } else { 0.0 }
    }

    /// The smallest relative shift for the worse that matters unless the user says otherwise; of shares of requests the
    /// difference.
    #[must_use]
    pub fn usual_effect(self) -> f64 {
        match self {
            Self::Time(_, Statistic::Quantile(quantile)) if quantile >= 0.999 => 0.2,
            Self::Time(_, Statistic::Quantile(quantile)) if quantile >= 0.9 => 0.1,
            Self::Time(_, Statistic::Quantile(_) | Statistic::Mean) => 0.05,
            Self::Time(_, Statistic::Max) => 0.5,
            Self::Achieved | Self::Goodput => 0.03,
            Self::Errors | Self::Timeouts | Self::Unsent => 0.001,
            Self::Cpu => 0.2,
        }
    }

    /// Whether it decides a comparison unless the user says otherwise.
    #[must_use]
    pub fn decides_usually(self) -> bool {
        let quantiles = [0.5, 0.95, 0.99].map(|quantile| response(Statistic::Quantile(quantile)));
        quantiles.contains(&self) || matches!(self, Self::Achieved | Self::Errors)
    }

    /// How many times the usual effect a sample that is too small for it may leave open, and still pass.
    #[must_use]
    pub const fn usual_tolerance(self) -> f64 {
        if self.is_share_of_requests() { 10.0 } else { 3.0 }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
