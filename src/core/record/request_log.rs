//! One request of `--log-requests`: everything that is known of it.
//!
//! Rows are collected by a worker and written by the control plane. This file must not know how they look when written.

use super::tally::Outcome;
use crate::core::schedule::PhaseIndex;
use crate::time::Nanos;

/// What a target that was asked for it tells of its own side of a request, in headers of the response.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerStamps {
    /// `X-Seq`: the target's own number of the request.
    pub number: Option<u64>,
    /// `X-Recv-ns`: when it was received, on the target's monotonic clock.
    pub received: Option<Nanos>,
    /// `X-Send-ns`: when the response was sent.
    pub sent: Option<Nanos>,
}

/// How a logged request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// As requests that were sent end.
    Ended(Outcome),
    /// Sent, and unanswered when the drain ended.
    InFlightAtEnd,
    /// Never sent.
    Unsent,
}

impl Fate {
    /// The name that the report counts it under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ended(Outcome::Ok) => "ok",
            Self::Ended(Outcome::Unexpected) => "unexpected",
            Self::Ended(Outcome::HttpError) => "http_error",
            Self::Ended(Outcome::ProtocolError) => "protocol_error",
            Self::Ended(Outcome::Truncated) => "truncated",
            Self::Ended(Outcome::Reset) => "reset",
            Self::Ended(Outcome::Timeout) => "timeout",
            Self::InFlightAtEnd => "in_flight_at_end",
            Self::Unsent => "unsent",
        }
    }

    /// Every fate, in the order of their numbers in the binary log.
    pub const ALL: [Self; 9] = [
        Self::Ended(Outcome::Ok),
        Self::Ended(Outcome::Unexpected),
        Self::Ended(Outcome::HttpError),
        Self::Ended(Outcome::ProtocolError),
        Self::Ended(Outcome::Truncated),
        Self::Ended(Outcome::Reset),
        Self::Ended(Outcome::Timeout),
        Self::InFlightAtEnd,
        Self::Unsent,
    ];
}

/// One request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestRow {
    /// Unique within the run; in the order of the schedule on each worker.
    pub number: u64,
    /// Its phase.
    pub phase: PhaseIndex,
    /// How it ended.
    pub fate: Fate,
    /// Its status code; 0 without a whole response.
    pub status: u16,
    /// The connection that it went over, unique within its worker.
    pub connection: u32,
    /// When it was to be sent; in a closed loop, when it came into being.
    pub intended: Nanos,
    /// When it was handed to the kernel; `None` when it never was.
    pub sent: Option<Nanos>,
    /// When the first byte of its response was there; `None` without a whole response.
    pub first_byte: Option<Nanos>,
    /// When it ended.
    pub ended: Nanos,
    /// How long no connection was free for it, in nanoseconds.
    pub pool_ns: u64,
    /// By how much the client looked at the response too late, which is no part of its service time, in nanoseconds.
    pub late_ns: u64,
    /// What the target says.
    pub server: ServerStamps,
}
