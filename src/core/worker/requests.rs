//! What happens to requests: taken, answered, failed, abandoned. Every one that is taken ends in exactly one of these.

use super::{Action, Stage, Worker};
use crate::core::conn::{ConnId, Detail, Flight, Receiving, State};
use crate::core::failure::{Failure, Kind, Phase as FailurePhase};
use crate::core::http1::head::Body;
use crate::core::http1::{self, Progressed, Response};
use crate::core::record::{
    BadAnswer, Came, Completion, Fate, Lag, Outcome, RequestRow, ServerStamps,
};
use crate::core::schedule::PhaseIndex;
use crate::time::Nanos;

/// From this many missing body bytes on, it pays to drop them in the kernel instead of copying them.
pub(super) const DISCARD_FROM_BYTES: u64 = 32 * 1024;

/// A request was given up at its timeout.
const RESPONSE_TIMEOUT: Failure = Failure::new(FailurePhase::Timeout, Kind::ResponseTimeout);

/// A request that has ended, one way or the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) index: u32,
    pub(super) flight: Flight,
    pub(super) detail: Detail,
    /// So many that cannot be told apart.
    pub(super) times: u32,
}

/// What it was answered with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) outcome: Outcome,
    /// When the first byte came, if not with the last.
    pub(super) first_byte: Option<Nanos>,
}

impl Worker {
    /// Takes as many requests as the connection has room for; in an open loop, those that are due.
    #[inline]
    pub(super) fn refill(&mut self, now: Nanos, index: u32) {
        if self.open_loop.is_some() {
            self.offer(now, index);
            return;
        }
        if self.stage != Stage::Running || now >= self.window.stop || self.is_worn_out(index) {
            return;
        }
        let conn = &mut self.conns[index as usize];
        if conn.state != State::Open || conn.sending {
            return;
        }
        let phase = self.clock.phase_at(now.since(self.window.start));
        let room = self.job.pipeline - conn.in_flight();
        let allowed = if phase == PhaseIndex::WARMUP { u64::MAX } else { self.quota };
        let allowed = allowed.min(self.job.requests_per_connection - conn.taken);
        if allowed > 0 && self.holding.holds_back(now, index, room, conn.answered) {
            self.wake_at = self.wake_at.min(self.holding.look_at);
            return;
        }
        let room = room.min(self.batch.most);
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
        if self.job.logs_requests {
            self.number_flights(index, first, count, phase);
        }
        self.push_send(id, count, first);
    }

    #[inline]
    fn count_taken(&mut self, now: Nanos, phase: PhaseIndex, count: u32) {
        let count = u64::from(count);
        self.in_flight += count;
        if phase != PhaseIndex::WARMUP {
            self.quota -= count.min(self.quota);
        }
        let record = self.record.phase_mut(phase);
        record.counts.scheduled += count;
        record.counts.sent += count;
        record.sent_in_window += count;
        if !self.batch.confirm {
            record.bytes_sent += count * self.batch.request_bytes;
        }
        self.interval.scheduled += count;
        self.interval.sent += count;
        self.sweep_by(now.plus(self.job.timeouts.request_ns));
    }

    #[cold]
    fn number_flights(&mut self, index: u32, first: u32, count: u32, phase: PhaseIndex) {
        let (workers, worker) = (u64::from(self.job.workers), u64::from(self.job.worker));
        for place in first..first + count {
            let number = self.numbered * workers + worker;
            self.numbered += 1;
            let detail = Detail { number, pool_ns: 0, phase };
            self.flights.describe(index, place % self.job.pipeline, detail);
        }
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
            let in_head = self.job.logs_requests && conn.reader.is_in_head();
            let begins = conn.first_byte.is_none();
            let interim = self.framer.interim_responses();
            let advanced = conn.reader.advance(rest, &mut self.framer);
            if in_head {
                self.note_server_stamps(index, rest, &advanced);
            }
            let conn = &mut self.conns[index as usize];
            match advanced {
                Ok(Progressed::Whole { consumed, response }) => {
                    let (answer, behind) = rest.split_at(consumed);
                    rest = behind;
                    if !self.complete(now, index, &response, rest) {
                        return;
                    }
                    let entire = begins && interim == self.framer.interim_responses();
                    if entire && rest.len() >= consumed {
                        rest = self.complete_repeats(now, index, (answer, &response), rest);
                    }
                }
                Ok(Progressed::NeedMore) => {
                    conn.first_byte.get_or_insert(now);
                    break;
                }
                Err(kind) => {
                    let offence = conn.reader.offence();
                    let sample = if offence.is_empty() { rest } else { offence };
                    self.record.errors.count(Failure::new(FailurePhase::Parse, kind), now, sample);
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
        let unseen = self.job.may_discard && !conn.reader.wants_body();
        let remainder = conn.reader.known_remainder().filter(|_| unseen);
        let action = match remainder {
            Some(length) if length >= DISCARD_FROM_BYTES => Action::Discard { conn: id, length },
            _ => Action::Receive { conn: id, receiving: conn.receiving },
        };
        self.actions.push(action);
    }

    /// Request bytes of a send that is confirmed were handed to the kernel.
    pub(super) fn count_sent_bytes(&mut self, now: Nanos, bytes: u64) {
        // Of what is not confirmed, all was counted as it was handed over; what is said of it later is no news.
        if self.batch.confirm {
            let phase = self.phase_at(now);
            self.record.phase_mut(phase).bytes_sent += bytes;
        }
    }

    /// How far the response in progress on a connection has come, once its head is whole.
    pub(super) fn came(&self, index: u32) -> Option<Came> {
        let conn = &self.conns[index as usize];
        let begun = conn.reader.begun()?;
        let sent = self.flights.oldest(conn, index)?.sent;
        Some(Came {
            status: begun.status,
            first_byte_ns: conn.first_byte.unwrap_or(sent).since(sent),
            body_bytes: begun.body_bytes,
            body_length: match begun.body {
                Body::Length(length) => Some(length),
                Body::None | Body::Chunked | Body::UntilClose => None,
            },
        })
    }

    #[inline]
    fn count_bytes(&mut self, now: Nanos, length: u64) {
        let in_window = now < self.window.stop;
        let phase = self.phase_at(now);
        let record = self.record.phase_mut(phase);
        record.bytes_received += length;
        record.bytes_in_window += if in_window { length } else { 0 };
        self.interval.bytes_received += length;
    }

    /// The oldest request of a connection was answered; `rest` came after the answer. False when the connection is gone.
    #[inline]
    fn complete(&mut self, now: Nanos, index: u32, response: &Response, rest: &[u8]) -> bool {
        if self.answer_comes_too_late(now, index) {
            self.lose_late_answer(now, index, response);
            return false;
        }
        let conn = &mut self.conns[index as usize];
        let detail = self.flights.oldest_detail(conn, index);
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
        let worn_out = conn.in_flight() == 0 && self.is_worn_out(index);
        let conn = &mut self.conns[index as usize];
        let used_up = conn.answered >= self.job.requests_per_connection || worn_out;
        let goes_on = response.keep_alive && !used_up && !cut_short;
        if goes_on && !(self.job.may_discard && response.body_bytes >= DISCARD_FROM_BYTES) {
            conn.receiving = Receiving::Many;
        }
        let outcome = self.judge(response);
        if outcome != Outcome::Ok {
            self.keep_answer(now, index, response);
        }
        let ended = Ended { index, flight, detail, times: 1 };
        self.count_completion(now, ended, Answer { status: response.status, outcome, first_byte });
        if !goes_on {
            self.close_answered(now, index, rest);
        }
        self.finish_if_done(now);
        goes_on
    }

    /// Keeps what the first bad answer of its status said. Later ones pass like all others.
    #[cold]
    fn keep_answer(&mut self, now: Nanos, index: u32, response: &Response) {
        let Response { status, body_bytes, .. } = *response;
        let Some(body) = self.conns[index as usize].reader.take_kept() else { return };
        self.framer.watch(status, false);
        self.record.bad_answers.add(BadAnswer::new(status, now, (body, body_bytes)));
        if self.record.bad_answers.is_full() {
            self.watch_bad_answers(false);
        }
    }

    /// Has the reader keep the beginning of a body of each status that is not good, or no more of them.
    pub(super) fn watch_bad_answers(&mut self, kept: bool) {
        for (status, good) in (0..).zip(self.good_status.iter()) {
            self.framer.watch(status, kept && !good);
        }
    }

    #[inline]
    pub(super) fn count_completion(&mut self, now: Nanos, ended: Ended, answer: Answer) {
        let Ended { index, flight, detail, times } = ended;
        let times = u64::from(times);
        let Answer { status, outcome, first_byte } = answer;
        self.in_flight -= times;
        self.last_end = now;
        let drained = now >= self.window.stop;
        let seen = self.seen_at(now, &flight);
        let service_ns = seen.since(flight.sent);
        let first_byte_ns = first_byte.map(|first_byte| first_byte.min(seen).since(flight.sent));
        let completion = Completion { status, outcome, service_ns, first_byte_ns, drained };
        let mut latency_ns = service_ns;
        let phase = self.phase_of(&flight, &detail);
        let record = self.record.phase_mut(phase);
        record.complete_many(&completion, times);
        if self.open_loop.is_some() {
            latency_ns = now.since(flight.intended);
            record.respond(latency_ns);
            record.lag(lag_of(&flight, &detail, now.since(seen)));
            self.room_changed(now);
        }
        if !drained {
            let phase = self.phase_at(now);
            self.record.phase_mut(phase).complete_in_window(outcome, times);
        }
        if self.job.logs_requests {
            let row = Self::row(now, ended, Fate::Ended(outcome));
            let server = std::mem::take(&mut self.server_stamps[index as usize]);
            self.log.push(RequestRow {
                status,
                late_ns: now.since(seen),
                first_byte: Some(first_byte.unwrap_or(now)),
                server,
                ..row
            });
        }
        let good = outcome == Outcome::Ok;
        self.interval.completed += times;
        self.interval.ok += if good { times } else { 0 };
        self.interval.errors += if good { 0 } else { times };
        self.interval.latency.record_many(latency_ns, times);
    }

    /// The phase that a request belongs to.
    #[inline]
    fn phase_of(&mut self, flight: &Flight, detail: &Detail) -> PhaseIndex {
        if self.open_loop.is_some() { detail.phase } else { self.phase_at(flight.intended) }
    }

    fn row(now: Nanos, ended: Ended, fate: Fate) -> RequestRow {
        let Ended { index, flight, detail, .. } = ended;
        RequestRow {
            number: detail.number,
            phase: detail.phase,
            fate,
            status: 0,
            connection: index,
            intended: flight.intended,
            sent: Some(flight.sent),
            first_byte: None,
            ended: now,
            pool_ns: detail.pool_ns,
            late_ns: 0,
            server: ServerStamps::default(),
        }
    }

    /// Keeps what the head in `bytes` tells of the target's side; they begin in a head.
    #[cold]
    fn note_server_stamps(
        &mut self,
        index: u32,
        bytes: &[u8],
        advanced: &Result<Progressed, Kind>,
    ) {
        let bytes = match advanced {
            Ok(Progressed::Whole { consumed, .. }) => &bytes[..*consumed],
            Ok(Progressed::NeedMore) => bytes,
            Err(_) => return,
        };
        let known = &mut self.server_stamps[index as usize];
        for line in http1::stamp_lines(bytes) {
            match line {
                http1::Stamp::Number(number) => known.number = Some(number),
                http1::Stamp::Received(at_ns) => known.received = Some(Nanos(at_ns)),
                http1::Stamp::Sent(at_ns) => known.sent = Some(Nanos(at_ns)),
            }
        }
    }

    #[inline]
    pub(super) fn judge(&self, response: &Response) -> Outcome {
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
            self.record.errors.count(RESPONSE_TIMEOUT, now, &[]);
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
        let detail = self.flights.oldest_detail(conn, index);
        let Some(flight) = self.flights.end_oldest(conn, index) else {
            return false;
        };
        self.in_flight -= 1;
        self.last_end = now;
        let unseen_ns = if outcome == Outcome::Timeout { self.unseen_ns(now, &flight) } else { 0 };
        let (age_ns, waited_ns) = (now.since(flight.sent) - unseen_ns, now.since(flight.intended));
        let phase = self.phase_of(&flight, &detail);
        let record = self.record.phase_mut(phase);
        record.fail(outcome, age_ns, waited_ns);
        if self.open_loop.is_some() {
            record.lag(lag_of(&flight, &detail, unseen_ns));
            self.room_changed(now);
            // Something that waits for a place among those in flight may go now.
            self.wake_at = self.wake_at.min(now);
        }
        self.interval.errors += 1;
        if outcome == Outcome::Timeout {
            self.interval.give_up(if self.open_loop.is_some() { waited_ns } else { age_ns });
        }
        if self.job.logs_requests {
            let row =
                Self::row(now, Ended { index, flight, detail, times: 1 }, Fate::Ended(outcome));
            let server = std::mem::take(&mut self.server_stamps[index as usize]);
            self.log.push(RequestRow { late_ns: unseen_ns, server, ..row });
        }
        true
    }

    /// Ages whatever is still in flight at the very end.
    pub(super) fn abandon_all(&mut self, now: Nanos) {
        for index in 0..self.job.connections {
            if self.conns[index as usize].in_flight() > 0 {
                self.orphaned.push(index);
            }
            loop {
                let conn = &mut self.conns[index as usize];
                let detail = self.flights.oldest_detail(conn, index);
                let Some(flight) = self.flights.end_oldest(conn, index) else { break };
                let phase = self.phase_of(&flight, &detail);
                let record = self.record.phase_mut(phase);
                record.abandon(now.since(flight.intended));
                record.lag(lag_of(&flight, &detail, 0));
                self.interval.give_up(now.since(flight.intended));
                self.last_end = now;
                if self.job.logs_requests {
                    let row = Self::row(
                        now,
                        Ended { index, flight, detail, times: 1 },
                        Fate::InFlightAtEnd,
                    );
                    self.log.push(row);
                }
            }
        }
        self.in_flight = 0;
    }
}

/// Why a request was late, `late_ns` of it for want of a look at its answer.
#[inline]
fn lag_of(flight: &Flight, detail: &Detail, late_ns: u64) -> Lag {
    let send_ns = flight.sent.since(flight.intended);
    let pool_ns = detail.pool_ns.min(send_ns);
    Lag { send_ns, pool_ns, client_ns: send_ns - pool_ns + late_ns }
}
