//! The server in memory that the simulated engine talks to: what it answers, when, and what it does wrong.
//!
//! A description only; `sim` carries it out.

use super::mirror::MirrorConfig;

/// What the server does with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deed {
    /// Answers.
    Answer,
    /// Answers 503.
    Refuse,
    /// Sends bytes that are no response.
    Garbage,
    /// Sends half of the answer, then closes in order.
    Cut,
    /// Closes in order without an answer.
    Close,
    /// Resets the connection.
    Reset,
    /// Never answers.
    Ignore,
}

/// A server: what it answers, when, and how often it does what.
#[derive(Clone, Debug)]
pub struct Server {
    /// A whole good response.
    pub response: Vec<u8>,
    /// From a request to the first byte of its answer, in nanoseconds.
    pub delay_ns: u64,
    /// After that delay requests queue for one server, first come first served; `None` answers each by itself.
    pub queue: Option<Queue>,
    /// Deeds with their weights; one is drawn for each request.
    pub deeds: Vec<(Deed, u32)>,
    /// Of a hundred attempts to connect, so many are refused.
    pub refused_percent: u64,
    /// It closes a connection on which no request has come for so long since it was opened, in nanoseconds.
    pub idle_ns: Option<u64>,
    /// Answers are cut into pieces of at most this many bytes, each 1 us after the one before.
    pub piece_bytes: usize,
    /// It speaks TLS, with this certificate.
    pub mirror: Option<MirrorConfig>,
    /// Seed of the draws.
    pub seed: u64,
    /// The client is stopped, so long after its start and for so long, in nanoseconds, as by SIGSTOP.
    pub client_stops: Option<(u64, u64)>,
    /// The user ends the run, so long after its start, and lets it drain for so long, in nanoseconds.
    pub user_stops: Option<(u64, u64)>,
}

/// One server that a request has for itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Queue {
    /// For how long, on average, in nanoseconds.
    pub mean_ns: u64,
    /// Exponentially distributed, not always the same.
    pub exponential: bool,
}
