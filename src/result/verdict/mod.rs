//! The verdict on a run: what the target did, whether the measurement is to be believed, and for which reasons.
//!
//! `rule` names what may be found. It must not know how a verdict is come to, nor what it is drawn from.

mod rule;

pub use rule::Rule;

/// The answer, in the order in which the first that holds is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Code {
    /// The workers had no time left: the server may do more.
    ClientLimited,
    /// Too few connections were open to offer what was asked.
    ConnectionLimited,
    /// Too few responses for the quantiles asked of them.
    InsufficientSamples,
    /// The run had not settled down when it ended.
    NotSteady,
    /// The workers waited for the server.
    ServerLimited,
    /// More came in than went out: latencies depend on how long the run is.
    Unstable,
    /// Nothing speaks against it.
    Valid,
}

impl Code {
    /// The stable name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientLimited => "client_limited",
            Self::ConnectionLimited => "connection_limited",
            Self::InsufficientSamples => "insufficient_samples",
            Self::NotSteady => "not_steady",
            Self::ServerLimited => "server_limited",
            Self::Unstable => "unstable",
            Self::Valid => "valid",
        }
    }
}

/// How much a reason weighs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Look twice.
    Warn,
    /// The numbers do not mean what they seem to.
    Invalid,
}

impl Level {
    /// The stable name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Invalid => "invalid",
        }
    }
}

/// One rule that fired, with its evidence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason {
    /// The rule.
    pub rule: Rule,
    /// How much it weighs.
    pub level: Level,
    /// The evidence in a sentence.
    pub text: String,
}

/// The verdict on a run: what the target did, and whether the measurement of it is to be believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// What the target did.
    pub target: TargetState,
    /// The figure that this is taken from, without the word.
    pub target_text: String,
    /// The longest response time is the client's doing, whatever the rest of them is.
    pub max_is_own: bool,
    /// The first code that holds.
    pub code: Code,
    /// Whether the numbers mean what they seem to.
    pub valid: bool,
    /// One sentence for people.
    pub sentence: String,
    /// All rules that fired.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// The target was lost, or gave no good answer for a while.
    #[must_use]
    pub fn has_lost_target(&self) -> bool {
        self.is_invalid_by(&Rule::OF_TARGET)
    }

    /// Connections to the target were lost, and could not be had again in time.
    #[must_use]
    pub fn has_lost_connections(&self) -> bool {
        self.is_invalid_by(&Rule::OF_CONNECTIONS)
    }

    fn is_invalid_by(&self, rules: &[Rule]) -> bool {
        let mut invalid = self.reasons.iter().filter(|reason| reason.level == Level::Invalid);
        invalid.any(|reason| rules.contains(&reason.rule))
    }
}

/// What the target did. The first that holds of failing, overloaded, degraded, held:
///
/// - **failing**: at least 1 % of the requests that ended got no good answer (`unexpected`, `http_error`,
///   `protocol_error`, `truncated`, `reset`, `timeout`, and `in_flight_at_end` after a full drain), or the target was
///   lost: no connection (T1, T2) or no good answer (T3) for long enough to make the run invalid.
/// - **overloaded**: only in an open loop. What waits for an answer grows over the second half of a constant load; or at
///   least 1 % of the requests were never sent, because no connection was free; or, where the load changes, a phase ended
///   with more than a tenth of its answers missing.
/// - **degraded**: the median latency rose over the run (rule S3), or there were bad answers, lost connections, or unsent
///   requests, and fewer than those above.
/// - **held**: none of that.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TargetState {
    /// It answered what it was asked, and no slower at the end than at the start.
    Held,
    /// It answered, with a few errors or more and more slowly.
    Degraded,
    /// It was asked for more than it can do.
    Overloaded,
    /// It gave bad answers, or none.
    Failing,
}

impl TargetState {
    /// The stable name in JSON and TSV.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Degraded => "degraded",
            Self::Overloaded => "overloaded",
            Self::Failing => "failing",
        }
    }
}
