//! Is this measurement valid, and who was the bottleneck? Pure over a merged record.

/// The answer, in the order in which the first that holds is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Code {
    /// The workers had no time left: the server may do more.
    ClientLimited,
    /// Too few connections were open to offer what was asked.
    ConnectionLimited,
    /// Too few responses for the quantiles asked of them.
    InsufficientSamples,
    /// The workers waited for the server.
    ServerLimited,
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
            Self::ServerLimited => "server_limited",
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
    /// Stable short name of the rule.
    pub rule: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// The evidence in a sentence.
    pub text: String,
}

/// The verdict on a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// The first code that holds.
    pub code: Code,
    /// Whether the numbers mean what they seem to.
    pub valid: bool,
    /// One sentence for people.
    pub sentence: String,
    /// All rules that fired.
    pub reasons: Vec<Reason>,
}
