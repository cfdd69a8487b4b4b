//! The server in memory that the simulated engine talks to: what it answers, when, and what it does wrong; and how a run
//! against it ended.
//!
//! A description only; `sim` carries it out.

use super::mirror::MirrorConfig;
use crate::core::record::{Interval, Record, RequestRow};
use crate::core::worker::Span;

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
    /// After that delay requests queue for servers, first come first served; `None` answers each by itself.
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

/// A few servers, each of which a request has for itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Queue {
    /// For how long, on average, in nanoseconds.
    pub mean_ns: u64,
    /// Exponentially distributed, not always the same.
    pub exponential: bool,
    /// How many there are.
    pub servers: u32,
    /// A request that waits for one for longer is answered 503, in nanoseconds; `None` waits for ever.
    pub patience_ns: Option<u64>,
}

impl Queue {
    /// One server, for which requests wait as long as it takes.
    #[must_use]
    pub fn single(mean_ns: u64, exponential: bool) -> Self {
        Self { mean_ns, exponential, servers: 1, patience_ns: None }
    }
}

/// What the server says it did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Requests that reached it.
    pub requests: u64,
    /// Whole good answers.
    pub answered: u64,
    /// Whole 503 answers.
    pub refused: u64,
    /// Connections that it ended with garbage, by closing or by a reset, or left without an answer.
    pub spoilt: u64,
    /// Connections opened.
    pub opened: u64,
}

/// How a simulated run ended.
#[derive(Debug)]
pub struct Outcome {
    /// What the worker saw.
    pub record: Record,
    /// The instants that frame it.
    pub span: Span,
    /// Its intervals, in order.
    pub intervals: Vec<Interval>,
    /// What the server says it did.
    pub server: Counts,
    /// A due request found no connection, and the policy ended the run.
    pub overloaded: bool,
    /// Every request, when they are logged.
    pub log: Vec<RequestRow>,
}
