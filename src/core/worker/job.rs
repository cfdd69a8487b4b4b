//! One worker's share of the plan.

use std::sync::Arc;

use crate::core::schedule::{Schedule, Timeline};
use crate::core::tls::Security;
use crate::plan::{Expect, OnOverload, Plan, Timeouts};
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

impl Job {
    /// How many connections the workers before worker `index` have.
    #[must_use]
    pub fn first_connection(plan: &Plan, index: usize) -> u64 {
        let (workers, index) = (plan.threads() as u64, index as u64);
        let connections = u64::from(plan.load.connections);
        index * (connections / workers) + index.min(connections % workers)
    }

    /// The share of worker `index`: remainders go to the first workers, nothing is dropped.
    #[must_use]
    pub fn of(plan: &Plan, index: usize) -> Self {
        let workers = plan.threads() as u64;
        let share = |total: u64| total / workers + u64::from((index as u64) < total % workers);
        let connections = share(u64::from(plan.load.connections));
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let pacing = plan.schedule.as_ref().zip(plan.load.pacing.as_ref());
        Self {
            image: plan.request.clone(),
            connections: u32::try_from(connections).unwrap_or(u32::MAX),
            pipeline: plan.load.pipeline,
            requests: plan.load.requests.map(share),
            duration_ns: plan.load.duration_ns,
            warmup_ns: plan.load.warmup_ns,
            requests_per_connection: plan.load.requests_per_connection.unwrap_or(u64::MAX),
            timeouts: plan.timeouts,
            expect: plan.expect.clone(),
            tunnel: plan.tunnel.clone(),
            security: plan.security.clone(),
            may_discard: plan.may_discard(),
            seed: plan.seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            worker: number(index),
            workers: number(plan.threads()),
            timeline: plan.timeline.clone(),
            slice_ns: plan.slice_ns,
            open: pacing.map(|(schedule, pacing)| OpenJob {
                schedule: Arc::clone(schedule),
                max_in_flight: share(pacing.max_in_flight),
                on_overload: pacing.on_overload,
            }),
            logs_requests: plan.output.log_requests.is_some(),
            tells_waiting: plan.abort_on.iter().any(|clause| clause.metric.is_response_time()),
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
