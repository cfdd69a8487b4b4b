//! The stages of a run, from the first connection to the last answer, and when the worker must next be woken.

use super::{Stage, Worker};
use crate::core::record::Interval;
use crate::time::Nanos;

impl Worker {
    #[cold]
    pub(super) fn tick_slowly(&mut self, now: Nanos) {
        if self.stage == Stage::Running {
            self.come_late(now.since(self.wake_at));
        }
        self.end_intervals(now);
        if self.stage == Stage::Ready && now >= self.window.start {
            self.stage = Stage::Running;
            self.sweep_at = self.sweep_at.min(now);
            self.begin_watch();
            for index in 0..self.job.connections {
                self.refill(now, index);
            }
            self.finish_if_done(now);
        }
        if self.stage == Stage::Running {
            self.notice(now);
        }
        self.stop_holding_back(now);
        self.end_stages(now);
        if self.open_loop.is_some() {
            self.dispatch(now);
            self.finish_if_done(now);
        }
        if now >= self.sweep_at {
            self.sweep(now);
        }
        self.plan_wake();
    }

    /// Ends the run and its drain when their time has come, whoever looks first.
    pub(super) fn end_stages(&mut self, now: Nanos) {
        if self.stage == Stage::Running && now >= self.window.stop {
            self.notice(now);
            self.begin_drain(now, self.window.stop.plus(self.job.timeouts.drain_ns));
        }
        if let Stage::Draining { until } = self.stage
            && now >= until
        {
            self.finish(now);
        }
    }

    pub(super) fn begin_drain(&mut self, now: Nanos, until: Nanos) {
        if self.stage == Stage::Finished {
            return;
        }
        self.end_watch(now);
        self.stage = Stage::Draining { until };
        self.finish_if_done(now);
    }

    /// The run is over once nothing is in flight and nothing more will be taken.
    #[inline]
    pub(super) fn finish_if_done(&mut self, now: Nanos) {
        if self.in_flight > 0 {
            return;
        }
        let nothing_to_take = match self.stage {
            // A schedule without an end is over when its requests have been counted.
            Stage::Running if self.open_loop.is_some() => {
                self.window.stop == Nanos::NEVER && self.is_exhausted()
            }
            Stage::Running => self.quota == 0,
            Stage::Draining { .. } => self.is_closed(),
            Stage::Opening | Stage::Ready | Stage::Finished => false,
        };
        if nothing_to_take {
            self.finish(now);
        }
    }

    pub(super) fn finish(&mut self, now: Nanos) {
        if self.stage == Stage::Finished {
            return;
        }
        self.end_watch(now);
        self.count_in_flight(now);
        self.give_up_backlog(now);
        self.abandon_all(now);
        self.end_intervals(now);
        self.interval.missing = self.missing();
        self.interval.in_flight = 0;
        self.interval.backlog = 0;
        let next = self.interval.index.saturating_add(1);
        self.finished_intervals
            .push_back(std::mem::replace(&mut self.interval, Interval::new(next)));
        self.stage = Stage::Finished;
        self.wake_at = Nanos::NEVER;
    }

    /// Counts what has been in flight since it was last counted, in the current interval.
    #[inline]
    pub(super) fn count_in_flight(&mut self, until: Nanos) {
        if until > self.counted_until {
            self.interval.in_flight_ns += until.since(self.counted_until) * self.in_flight;
            self.counted_until = until;
        }
    }

    pub(super) fn end_intervals(&mut self, now: Nanos) {
        if self.window.start == Nanos::NEVER {
            return;
        }
        while now >= self.window.end_of_interval(self.interval.index) {
            let end = self.window.end_of_interval(self.interval.index);
            if self.stage == Stage::Running {
                self.notice(Nanos(end.0 - 1));
            }
            self.count_in_flight(end);
            self.interval.missing = self.missing();
            self.interval.unwatched = now.since(end) >= self.window.interval_ns;
            self.interval.in_flight = self.in_flight;
            self.interval.backlog = self.backlog();
            self.note_waiting(self.window.end_of_interval(self.interval.index));
            let next = self.interval.index + 1;
            self.finished_intervals
                .push_back(std::mem::replace(&mut self.interval, Interval::new(next)));
        }
    }

    pub(super) fn plan_wake(&mut self) {
        if self.stage == Stage::Finished {
            self.wake_at = Nanos::NEVER;
            return;
        }
        let stage = match self.stage {
            Stage::Ready => self.window.start,
            Stage::Running => self.window.stop,
            Stage::Draining { until } => until,
            Stage::Opening | Stage::Finished => Nanos::NEVER,
        };
        let interval = if self.window.start == Nanos::NEVER {
            Nanos::NEVER
        } else {
            self.window.end_of_interval(self.interval.index)
        };
        let soonest = stage.min(interval).min(self.sweep_at);
        self.wake_at = soonest.min(self.holding.look_at).min(self.look_at());
    }

    /// Looks through the connections no later than at `deadline`.
    #[inline]
    pub(super) fn sweep_by(&mut self, deadline: Nanos) {
        if deadline < self.sweep_at {
            self.sweep_at = deadline;
            self.wake_at = self.wake_at.min(deadline);
        }
    }
}
