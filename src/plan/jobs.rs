//! One worker's share of the plan.
//!
//! Owned by the plan. It must not know what workers do with it.

use std::sync::Arc;

use super::Plan;
use crate::core::worker::{Job, OpenJob};

impl Plan {
    /// How many connections the workers before worker `index` have.
    #[must_use]
    pub fn first_connection(&self, index: usize) -> u64 {
        let (workers, index) = (self.threads() as u64, index as u64);
        let connections = u64::from(self.load.connections);
        index * (connections / workers) + index.min(connections % workers)
    }

    /// What worker `index` is to do, its share of everything: remainders go to the first workers, nothing is dropped.
    #[must_use]
    pub fn job(&self, index: usize) -> Job {
        let workers = self.threads() as u64;
        let share = |total: u64| total / workers + u64::from((index as u64) < total % workers);
        let connections = share(u64::from(self.load.connections));
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let pacing = self.schedule.as_ref().zip(self.load.pacing.as_ref());
        Job {
            image: self.request.clone(),
            connections: u32::try_from(connections).unwrap_or(u32::MAX),
            pipeline: self.load.pipeline,
            requests: self.load.requests.map(share),
            duration_ns: self.load.duration_ns,
            warmup_ns: self.load.warmup_ns,
            requests_per_connection: self.load.requests_per_connection.unwrap_or(u64::MAX),
            timeouts: self.timeouts,
            expect: self.expect.clone(),
            tunnel: self.tunnel.clone(),
            security: self.security.clone(),
            may_discard: self.may_discard(),
            seed: self.seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            worker: number(index),
            workers: number(self.threads()),
            timeline: self.timeline.clone(),
            slice_ns: self.slice_ns,
            open: pacing.map(|(schedule, pacing)| OpenJob {
                schedule: Arc::clone(schedule),
                max_in_flight: share(pacing.max_in_flight),
                on_overload: pacing.on_overload,
            }),
            logs_requests: self.output.log_requests.is_some(),
            tells_waiting: self.abort_on.iter().any(|clause| clause.metric.is_response_time()),
        }
    }
}
