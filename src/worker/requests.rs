//! What happens to requests: taken, answered, failed, abandoned. Every one that is taken ends in exactly one of these.

use super::{Action, Stage, Worker};
use crate::conn::{ConnId, Receiving, State};
use crate::failure::{Failure, Kind, Phase as FailurePhase};
use crate::http1::{Progressed, Response};
use crate::record::{Completion, Outcome, Phase};
use crate::time::Nanos;

/// From this many missing body bytes on, it pays to drop them in the kernel instead of copying them.
pub(super) const DISCARD_FROM_BYTES: u64 = 32 * 1024;

impl Worker {
    /// Takes as many requests as the connection has room for.
    #[inline]
    pub(super) fn refill(&mut self, now: Nanos, index: u32) {
        if self.stage != Stage::Running || now >= self.window.stop {
            return;
        }
        let conn = &mut self.conns[index as usize];
        if conn.state != State::Open || conn.sending {
            return;
        }
        let phase = self.window.phase_of(now);
        let room = (self.job.pipeline - conn.in_flight()).min(self.batch.most);
        let allowed = match phase {
            Phase::Warmup => u64::MAX,
            Phase::Measured => self.quota,
        };
        let allowed = allowed.min(self.job.requests_per_connection - conn.taken);
        let count = u32::try_from(allowed).map_or(room, |allowed| allowed.min(room));
        if count == 0 {
            return;
        }
        let first = self.flights.take(conn, index, count, now);
        let id = ConnId { index, generation: conn.generation() };
        let confirm = self.batch.confirm;
        conn.sending = confirm;
        conn.taken += u64::from(count);
        self.count_taken(now, phase, count);
        self.actions.push(Action::Send { conn: id, count, first, confirm });
    }

    #[inline]
    fn count_taken(&mut self, now: Nanos, phase: Phase, count: u32) {
        let count = u64::from(count);
        self.in_flight += count;
        if phase == Phase::Measured {
            self.quota -= count.min(self.quota);
        }
        let record = self.record.phase_mut(phase);
        record.counts.scheduled += count;
        record.counts.sent += count;
        if !self.batch.confirm {
            record.bytes_sent += count * self.batch.request_bytes;
        }
        self.interval.scheduled += count;
        self.interval.sent += count;
        self.sweep_by(now.plus(self.job.timeouts.request_ns));
    }

    /// Bytes came on an open connection.
    #[inline]
    pub(super) fn received(&mut self, now: Nanos, index: u32, bytes: &[u8]) {
        self.count_bytes(now, bytes.len() as u64);
        let piecewise = self.conns[index as usize].receiving == Receiving::Once;
        let mut rest = bytes;
        while !rest.is_empty() {
            let conn = &mut self.conns[index as usize];
            if conn.in_flight() == 0 {
                let kind = if conn.answered > 0 { Kind::ExtraData } else { Kind::UnsolicitedData };
                self.record.errors.count(Failure::new(FailurePhase::Parse, kind), now, rest);
                self.close(now, index);
                return;
            }
            match conn.reader.advance(rest, &mut self.framer) {
                Ok(Progressed::Whole { consumed, response }) => {
                    rest = &rest[consumed..];
                    if !self.complete(now, index, &response, rest) {
                        return;
                    }
                }
                Ok(Progressed::NeedMore) => {
                    conn.first_byte.get_or_insert(now);
                    break;
                }
                Err(kind) => {
                    self.record.errors.count(Failure::new(FailurePhase::Parse, kind), now, rest);
                    self.lose(now, index, Outcome::ProtocolError);
                    return;
                }
            }
        }
        self.refill(now, index);
        if piecewise {
            self.receive_on(index);
        }
    }

    /// Bytes of a known remainder were dropped in the kernel.
    pub(super) fn discarded(&mut self, now: Nanos, index: u32, length: u64) {
        self.count_bytes(now, length);
        let response = self.conns[index as usize].reader.skip(length);
        if let Some(response) = response
            && !self.complete(now, index, &response, &[])
        {
            return;
        }
        self.refill(now, index);
        self.receive_on(index);
    }

    /// Asks for the next bytes of a connection that received piece by piece; after a small response, for all to come.
    fn receive_on(&mut self, index: u32) {
        let conn = &self.conns[index as usize];
        let id = ConnId { index, generation: conn.generation() };
        let remainder = conn.reader.known_remainder().filter(|_| self.job.may_discard);
        let action = match remainder {
            Some(length) if length >= DISCARD_FROM_BYTES => Action::Discard { conn: id, length },
            _ => Action::Receive { conn: id, receiving: conn.receiving },
        };
        self.actions.push(action);
    }

    #[inline]
    fn count_bytes(&mut self, now: Nanos, length: u64) {
        let in_window = now < self.window.stop;
        let record = self.record.phase_mut(self.window.phase_of(now));
        record.bytes_received += length;
        record.bytes_in_window += if in_window { length } else { 0 };
        self.interval.bytes_received += length;
    }

    /// The oldest request of a connection was answered; `rest` came after the answer. False when the connection is gone.
    #[inline]
    fn complete(&mut self, now: Nanos, index: u32, response: &Response, rest: &[u8]) -> bool {
        let conn = &mut self.conns[index as usize];
        let Some(flight) = self.flights.end_oldest(conn, index) else {
            debug_assert!(false, "only what was taken is answered");
            return true;
        };
        conn.answered += 1;
        conn.responses += 1;
        conn.fruitless = 0;
        let first_byte = conn.first_byte.take();
        // An answer to a request that is still being sent: what is left of it may never be read, and nothing else can be
        // sent behind it.
        let cut_short = conn.sending && conn.in_flight() == 0;
        let goes_on =
            response.keep_alive && conn.answered < self.job.requests_per_connection && !cut_short;
        if goes_on && !(self.job.may_discard && response.body_bytes >= DISCARD_FROM_BYTES) {
            conn.receiving = Receiving::Many;
        }
        let completion = Completion {
            status: response.status,
            outcome: self.judge(response),
            service_ns: now.since(flight.sent),
            first_byte_ns: first_byte.map(|first_byte| first_byte.since(flight.sent)),
            drained: now >= self.window.stop,
        };
        self.count_completion(now, self.window.phase_of(flight.taken), &completion);
        if !goes_on {
            self.close_answered(now, index, rest);
        }
        self.finish_if_done(now);
        goes_on
    }

    #[inline]
    fn count_completion(&mut self, now: Nanos, phase: Phase, completion: &Completion) {
        self.in_flight -= 1;
        self.last_end = now;
        self.record.phase_mut(phase).complete(completion);
        if !completion.drained {
            self.record.phase_mut(self.window.phase_of(now)).complete_in_window(completion.outcome);
        }
        let good = completion.outcome == Outcome::Ok;
        self.interval.completed += 1;
        self.interval.ok += u64::from(good);
        self.interval.errors += u64::from(!good);
        self.interval.latency.record(completion.service_ns);
    }

    #[inline]
    fn judge(&self, response: &Response) -> Outcome {
        let status = self.good_status[usize::from(response.status)];
        if status
            && response.contains
            && self.job.expect.size.is_none_or(|size| size == response.body_bytes)
        {
            Outcome::Ok
        } else if !status && (400..600).contains(&response.status) {
            Outcome::HttpError
        } else {
            Outcome::Unexpected
        }
    }

    /// The end of the stream was the end of the response.
    pub(super) fn complete_last(&mut self, now: Nanos, index: u32, response: &Response) {
        let goes_on = self.complete(now, index, response, &[]);
        debug_assert!(!goes_on, "a response that ends with its connection is the last on it");
    }

    /// The server is done with a connection, or we are: what else was in flight on it is lost.
    fn close_answered(&mut self, now: Nanos, index: u32, rest: &[u8]) {
        if !rest.is_empty() {
            let failure = Failure::new(FailurePhase::Parse, Kind::ExtraData);
            self.record.errors.count(failure, now, rest);
        }
        let lost = Failure::new(FailurePhase::Receive, Kind::LostInPipeline);
        self.fail_all(now, index, lost, Outcome::Truncated);
        self.close(now, index);
    }

    /// A connection is lost, and its oldest request with it for a reason already counted; those behind went down too.
    pub(super) fn lose(&mut self, now: Nanos, index: u32, outcome: Outcome) {
        self.fail_oldest(now, index, outcome);
        let behind = if outcome == Outcome::Reset { Outcome::Reset } else { Outcome::Truncated };
        while outcome == Outcome::Timeout && self.deadline_of(index) <= now {
            // Those behind that have waited as long are no one's loss but timeouts of their own.
            let late = Failure::new(FailurePhase::Timeout, Kind::ResponseTimeout);
            self.record.errors.count(late, now, &[]);
            self.fail_oldest(now, index, Outcome::Timeout);
        }
        let lost = Failure::new(FailurePhase::Receive, Kind::LostInPipeline);
        self.fail_all(now, index, lost, behind);
        self.close(now, index);
    }

    fn fail_all(&mut self, now: Nanos, index: u32, failure: Failure, outcome: Outcome) {
        while self.fail_oldest(now, index, outcome) {
            self.record.errors.count(failure, now, &[]);
        }
    }

    /// Ends the oldest request without an answer; false when there is none.
    fn fail_oldest(&mut self, now: Nanos, index: u32, outcome: Outcome) -> bool {
        let conn = &mut self.conns[index as usize];
        let Some(flight) = self.flights.end_oldest(conn, index) else {
            return false;
        };
        self.in_flight -= 1;
        self.last_end = now;
        let phase = self.window.phase_of(flight.taken);
        self.record.phase_mut(phase).fail(outcome, now.since(flight.sent));
        self.interval.errors += 1;
        true
    }

    /// Ages whatever is still in flight at the very end.
    pub(super) fn abandon_all(&mut self, now: Nanos) {
        for index in 0..self.job.connections {
            let conn = &mut self.conns[index as usize];
            while let Some(flight) = self.flights.end_oldest(conn, index) {
                let phase = self.window.phase_of(flight.taken);
                self.record.phase_mut(phase).abandon(now.since(flight.taken));
                self.last_end = now;
            }
        }
        self.in_flight = 0;
    }
}
