//! What a metric asks of a part of a run, whatever that is: the measured window, a phase, a piece of time, a run that was
//! read back from a file.

/// What is timed of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Timing {
    /// The response time.
    Response,
    /// The service time.
    Service,
    /// The time to the first byte.
    FirstByte,
    /// The client lag: how late the client itself was, waiting for a connection apart.
    ClientLag,
}

/// Which number stands for many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// The value at this quantile, from 0 to 1.
    Quantile(f64),
    /// The largest.
    Max,
    /// The mean.
    Mean,
}

/// What a value is counted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// A length of time: nanoseconds within a run, microseconds in its document.
    Time,
    /// A share of all, from 0 to 1.
    Share,
    /// A number a second.
    PerSecond,
}

impl Unit {
    /// The stable name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "us",
            Self::Share => "share",
            Self::PerSecond => "rps",
        }
    }
}

/// A part of a run, or all of it. Lengths of time are in nanoseconds, but for a run that was read back, whose document has
/// microseconds.
pub trait Part {
    /// What became of its requests.
    fn requests(&self) -> Requests;

    /// How many a second so many answers are; `None` for a part that did not last.
    fn per_second(&self, count: f64) -> Option<f64>;

    /// A number that stands for all values of what is timed; `None` where there are none, or nobody kept them.
    fn time(&self, timing: Timing, statistic: Statistic) -> Option<Figure>;

    /// How many values lie beyond a limit or may do so, since nobody saw their end, and of how many; `None` where nobody
    /// kept them.
    fn beyond(&self, _timing: Timing, _limit: f64) -> Option<(f64, f64)> {
        None
    }

    /// CPU time that the client took for a request; `None` where nobody knows.
    fn cpu(&self) -> Option<f64> {
        None
    }

    /// For which share of it the target was not there, where requests do not tell.
    fn gone_share(&self) -> f64 {
        0.0
    }
}

/// What became of the requests of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Requests {
    /// Those that came to an end in it, or should have.
    pub ended: u64,
    /// Those of them that got no good response.
    pub failed: u64,
    /// Those that were given up at their timeout; `None` where nobody counted them.
    pub timeouts: Option<u64>,
    /// Those that were never sent; `None` where nobody counted them.
    pub unsent: Option<u64>,
    /// Requests that came due, as many or as many a second.
    pub offered: f64,
    /// Whole responses that came while it lasted, likewise.
    pub completed: f64,
    /// Those of them that were good, likewise; `None` where nobody counted them.
    pub ok: Option<f64>,
}

/// What a part shows of a metric: the truth lies between two values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The least that it can be.
    pub least: f64,
    /// The most; `None` where requests got no answer, which may have taken any time.
    pub most: Option<f64>,
    /// Its 95 % confidence interval, where one is known.
    pub interval: Option<(f64, f64)>,
}

impl Figure {
    /// A value that is what it is.
    #[must_use]
    pub const fn certain(value: f64) -> Self {
        Self { least: value, most: Some(value), interval: None }
    }

    /// A value that is a lower bound unless it is `known`.
    #[must_use]
    pub fn bound(value: f64, known: bool) -> Self {
        Self { most: known.then_some(value), ..Self::certain(value) }
    }
}
