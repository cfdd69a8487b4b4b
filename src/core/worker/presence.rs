//! Whether the target is there: which connections were lost and could not be had again, and when there was none at all.
//!
//! Watched while requests are taken. A connection counts as missing from its loss on once an attempt to open it again
//! has failed, or takes longer than attempts do that succeed: a peer that closes what is idle loses nobody anything.

use super::Worker;
use crate::core::conn::State;
use crate::core::record::absence::Stretch;
use crate::time::Nanos;

/// An attempt that takes longer is one that the target does not take up: where a packet is lost, the kernel sends it
/// again after a second.
const PATIENCE_NS: u64 = 500_000_000;

/// What a worker knows of its target's presence.
#[derive(Debug)]
pub(super) struct Presence {
    /// Requests are taken.
    watching: bool,
    /// No connection is open since then; `NEVER` while one is.
    dark_since: Nanos,
    /// An attempt has failed since.
    dark_failed: bool,
    /// Connections that were lost, and whose next attempt has failed.
    missing: u64,
    /// Connections that wait although their last attempt succeeded: see [`Worker::hasten`].
    pub(super) resting: u32,
}

impl Presence {
    pub(super) fn new() -> Self {
        Self {
            watching: false,
            dark_since: Nanos::NEVER,
            dark_failed: false,
            missing: 0,
            resting: 0,
        }
    }
}

impl Worker {
    /// Requests are taken from here on.
    pub(super) fn begin_watch(&mut self) {
        self.record.absence.watch();
        self.presence.watching = true;
        if self.open == 0 {
            // Each of them was tried before.
            self.presence.dark_since = self.window.start;
            self.presence.dark_failed = true;
        }
    }

    /// Connections that would carry a request now, had they not been lost. An open loop counts its requests itself.
    pub(super) fn missing(&self) -> u64 {
        if self.open_loop.is_some() { 0 } else { self.presence.missing }
    }

    /// An open connection is gone.
    pub(super) fn note_loss(&mut self, now: Nanos, index: u32) {
        self.conns[index as usize].lost_at = now;
        if self.open == 0 && self.presence.watching {
            self.presence.dark_since = now;
            self.presence.dark_failed = false;
        }
    }

    /// An attempt to open a connection has failed.
    pub(super) fn note_failed_attempt(&mut self, index: u32) {
        self.presence.dark_failed = true;
        let conn = &mut self.conns[index as usize];
        if conn.lost_at < Nanos::NEVER && !conn.missing {
            conn.missing = true;
            self.presence.missing += 1;
        }
    }

    /// A connection can be used that was being opened `since`; it is counted as open after this.
    pub(super) fn note_gain(&mut self, now: Nanos, index: u32, since: Nanos) {
        let is_slow = now.since(since) >= PATIENCE_NS;
        let conn = &mut self.conns[index as usize];
        let (lost_at, missing) = (conn.lost_at, conn.missing);
        (conn.lost_at, conn.missing) = (Nanos::NEVER, false);
        self.presence.missing -= u64::from(missing);
        if missing || (is_slow && lost_at < Nanos::NEVER) {
            self.count_missing(lost_at, now);
        }
        let dark_since = std::mem::replace(&mut self.presence.dark_since, Nanos::NEVER);
        let is_dark = dark_since < now && (self.presence.dark_failed || is_slow);
        if is_dark && self.presence.watching {
            self.record.absence.note_dark(Stretch { from: dark_since, to: now });
        }
    }

    fn count_missing(&mut self, from: Nanos, to: Nanos) {
        let from = from.max(self.window.origin);
        let to = to.min(self.window.stop);
        self.record.absence.note_missing(Stretch { from, to });
    }

    /// No more requests are taken: what is missing now is lost.
    pub(super) fn end_watch(&mut self, now: Nanos) {
        if !std::mem::take(&mut self.presence.watching) {
            return;
        }
        let mut is_dark = self.presence.dark_failed;
        for index in 0..self.conns.len() {
            let conn = &self.conns[index];
            let is_wanted = match conn.state {
                State::Connecting { since } | State::Securing { since, .. } => {
                    let is_slow = now.since(since) >= PATIENCE_NS;
                    is_dark |= is_slow;
                    conn.missing || is_slow
                }
                State::Waiting { .. } => conn.missing,
                State::Closed | State::Open => false,
            };
            let lost_at = conn.lost_at;
            if is_wanted && lost_at < Nanos::NEVER {
                self.record.absence.lost.push(lost_at.max(self.window.origin).min(now));
                self.count_missing(lost_at, now);
            }
        }
        let from = std::mem::replace(&mut self.presence.dark_since, Nanos::NEVER);
        if from < now && is_dark {
            self.record.absence.note_dark(Stretch { from, to: Nanos::NEVER });
        }
    }
}
