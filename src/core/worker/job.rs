//! What one worker is to do.
//!
//! Owned by the worker, filled in by whoever splits a run among workers. It must not know what a plan is.

use std::sync::Arc;

use super::Expect;
use crate::core::schedule::{Schedule, Timeline};
use crate::core::tls::Security;
use crate::request::RequestImage;

/// What one worker is to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// The bytes to send.
    pub image: RequestImage,
    /// Its connections.
    pub connections: u32,
    /// Requests in flight on each.
    pub pipeline: u32,
    /// Its measured requests, when they are counted.
    pub requests: Option<u64>,
    /// Length of the measured window in nanoseconds.
    pub duration_ns: Option<u64>,
    /// Length of the warm-up in nanoseconds.
    pub warmup_ns: u64,
    /// Requests after which a connection is replaced.
    pub requests_per_connection: u64,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Which responses are good.
    pub expect: Expect,
    /// What asks a proxy for a way to the target, before anything else is said; only for what is wrapped.
    pub tunnel: Option<Arc<[u8]>>,
    /// What the bytes of requests and responses are wrapped in; `None` for plain text.
    pub security: Option<Security>,
    /// Large bodies may be dropped unseen.
    pub may_discard: bool,
    /// Seed of the worker's own randomness.
    pub seed: u64,
    /// Which worker it is.
    pub worker: u32,
    /// How many there are.
    pub workers: u32,
    /// The phases of the run.
    pub timeline: Timeline,
    /// Length of an interval, in nanoseconds.
    pub slice_ns: u64,
    /// Its part of an open loop; `None` in a closed one.
    pub open: Option<OpenJob>,
    /// Every request is remembered until [`super::Worker::take_log`].
    pub logs_requests: bool,
    /// Once a second it tells how long what is unanswered has waited so far.
    pub tells_waiting: bool,
}

/// What one worker is to do in an open loop.
#[derive(Clone, Debug)]
pub struct OpenJob {
    /// When requests are due, over all workers.
    pub schedule: Arc<Schedule>,
    /// Its share of the requests that may be in flight.
    pub max_in_flight: u64,
    /// What happens to a request that is due and finds no connection.
    pub on_overload: OnOverload,
}

/// How long things may take, in nanoseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// From the start of a request to its last byte.
    pub request_ns: u64,
    /// Opening a connection.
    pub connect_ns: u64,
    /// Waiting for what is in flight after the end.
    pub drain_ns: u64,
    /// Being without any connection.
    pub give_up_ns: u64,
}

/// What happens to a request that is due and finds no connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnOverload {
    /// It waits.
    Queue,
    /// It is never sent.
    Shed,
    /// The run ends.
    Abort,
}

impl OnOverload {
    /// The word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Shed => "shed",
            Self::Abort => "abort",
        }
    }
}

/// What is the same for every send, worked out once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// Requests that one send may hold.
    pub(super) most: u32,
    /// Bytes of one request.
    pub(super) request_bytes: u64,
    /// The next send must wait for the end of the one before.
    pub(super) confirm: bool,
    /// Requests that were sent together and are answered alike may be counted together: in a schedule each has a time of
    /// its own, and in a log a line.
    pub(super) repeats: bool,
}

impl Batch {
    /// A batch of at most this many bytes goes into the socket's buffer whole whenever the requests before it have been
    /// answered, so that nobody needs to hear that it was sent.
    const UNCONFIRMED_BYTES: usize = 8 * 1024;

    pub(super) fn of(job: &Job) -> Self {
        let in_flight_bytes = job.image.length().saturating_mul(job.pipeline as usize);
        Self {
            most: job.image.most().min(job.pipeline),
            request_bytes: job.image.length() as u64,
            // What was encrypted lies in memory that is used again once it has been sent.
            confirm: in_flight_bytes > Self::UNCONFIRMED_BYTES || job.security.is_some(),
            repeats: job.pipeline > 1 && job.open.is_none() && !job.logs_requests,
        }
    }
}
