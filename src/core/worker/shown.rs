//! What a worker tells its engine and whoever watches the run; changes nothing.

use super::{Stage, Worker};
use crate::core::record::{Interval, RequestRow};
use crate::time::Nanos;

impl Worker {
    /// Where the measured window begins.
    #[must_use]
    pub fn measured_from(&self) -> Nanos {
        self.window.origin
    }

    /// Nothing is awaited any more: the record is complete.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.stage == Stage::Finished
    }

    /// Requests that have ended since the last call, when they are logged and there are many, or at the end.
    #[inline]
    pub fn take_log(&mut self) -> Option<Vec<RequestRow>> {
        // Few enough that writing them down holds nobody up for long, the target least of all.
        const BATCH: usize = 64;
        let enough = self.log.len() >= BATCH || (self.is_finished() && !self.log.is_empty());
        enough.then(|| std::mem::take(&mut self.log))
    }

    /// An interval that has ended, oldest first.
    #[inline]
    pub fn take_interval(&mut self) -> Option<Interval> {
        self.finished_intervals.pop_front()
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open_connections(&self) -> u32 {
        self.open
    }

    /// Connections opened so far, reopened ones as often as they were.
    #[must_use]
    pub fn connections_opened(&self) -> u64 {
        self.opened
    }

    /// No connection was ever opened, all were tried, and no other try can do better.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        let rows = self.record.errors.rows();
        self.opened == 0
            && self.unsettled == 0
            && !rows.is_empty()
            && rows.iter().all(|row| row.failure.is_permanent())
    }

    /// Nothing more is taken: the run is over, but for what is in flight.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        matches!(self.stage, Stage::Draining { .. } | Stage::Finished)
    }

    /// Requests in flight now.
    #[inline]
    #[must_use]
    pub fn requests_in_flight(&self) -> u64 {
        self.in_flight
    }
}
