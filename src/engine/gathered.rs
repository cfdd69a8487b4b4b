//! What has gathered while a worker on a ring did not look: because it was away, between two runs, and while sockets
//! are made.

use super::uring::Engine;
use crate::core::conn::ConnId;
use crate::core::record::ClientTally;
use crate::core::worker::{Late, Worker};
use crate::time::{Nanos, monotonic};

impl Engine<'_> {
    /// Finds out how late the look at `now` is. A schedule is kept or not, whatever the worker was busy with; without one,
    /// a worker is late only for the time that it was away.
    pub(super) fn look_late(&mut self, worker: &Worker, now: Nanos) {
        let turn_ns = now.since(self.last_look);
        self.turns.record(turn_ns);
        self.tally.receive_slack_ns = self.tally.receive_slack_ns.max(turn_ns);
        let beyond_ns = if self.paced { turn_ns } else { self.pace.away_ns(turn_ns, now) };
        self.late = Late {
            look_ns: self.late.look_ns.max(beyond_ns),
            unseen_ns: self.late.unseen_ns.max(beyond_ns),
        };
        if now >= worker.measured_from() && !worker.is_draining() {
            self.tally.late(self.late.look_ns, now);
            self.tally.away_ns += if self.late.counts() { self.late.look_ns } else { 0 };
        }
    }

    /// Takes what has gathered while this worker was away, as far as the kernel has it by now.
    pub(super) fn reap_what_gathered(&mut self, worker: &mut Worker, now: Nanos) {
        for _ in 0..self.slots.len() {
            if !self.fetch() {
                return;
            }
            self.reap(worker, now);
        }
    }

    /// Between two runs time passes in which nobody looks: who was closed meanwhile is seen before the next one begins.
    pub(super) fn catch_up(&mut self, worker: &mut Worker) {
        self.idler.forget();
        self.late = Late::default();
        // The last answer of a run may have left its connection without a receive, and the kernel does only so much of the
        // work that has gathered in one call: it is called until nothing comes any more, but not for ever, because a
        // server may go on talking.
        for _ in 0..=self.slots.len() {
            self.submit_actions(worker, monotonic());
            if !self.fetch() {
                break;
            }
            self.reap(worker, monotonic());
        }
        self.tally = ClientTally::default();
    }

    /// Before a run, submits a connect by itself and takes what is there already: the next socket takes longer to make than
    /// a handshake with a target nearby, and is no part of it. In a run that would cost each connection two more calls of
    /// the kernel: there a connect goes with a few others, and its end is seen when the next look is due, as everything is.
    pub(super) fn hand_over_connect(&mut self, id: ConnId, worker: &mut Worker) {
        worker.connecting(monotonic(), id);
        if !worker.is_opening() {
            return;
        }
        self.submit(worker);
        self.completions.sync();
        if !self.completions.is_empty() || self.fetch() {
            let now = monotonic();
            self.look_late(worker, now);
            self.reap(worker, now);
            self.late = Late::default();
        }
    }
}
