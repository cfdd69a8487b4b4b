//! Answers of a pipeline that repeat the one before them, to the byte: what was found out of one holds for all of them.
//!
//! A server that answers a pipeline writes many equal responses in a row. Framing, judging and recording each of them would
//! cost more than everything else that a worker does, and would come to the same numbers: a reader between two responses
//! makes the same of the same bytes, and requests that were sent together and are answered together took equally long.

use super::Worker;
use super::requests::{Answer, Ended};
use crate::core::conn::Detail;
use crate::core::http1::Response;
use crate::core::record::Outcome;
use crate::time::Nanos;

/// Larger responses are framed one by one: comparing bodies costs more than it saves.
const MOST_BYTES: usize = 4 * 1024;

impl Worker {
    /// Ends the requests whose answers at the beginning of `rest` are those of `answer` again, which was framed from its
    /// first byte on, was found to be `response`, and has been counted. Returns what comes after
    /// them.
    ///
    /// The last answer that a connection may give is never among them: what it means for the connection is not looked at
    /// here.
    pub(super) fn complete_repeats<'a>(
        &mut self,
        now: Nanos,
        index: u32,
        (answer, response): (&[u8], &Response),
        rest: &'a [u8],
    ) -> &'a [u8] {
        let conn = &self.conns[index as usize];
        if !self.batch.repeats || answer.len() > MOST_BYTES || conn.sending {
            return rest;
        }
        let Some(flight) = self.flights.oldest(conn, index) else { return rest };
        let left = self.job.requests_per_connection - conn.answered;
        let allowed = usize::try_from(left - 1).unwrap_or(usize::MAX);
        let alike = self.flights.alike(conn, index).min(allowed);
        let again = rest.chunks_exact(answer.len()).take(alike).take_while(|next| *next == answer);
        let times = u32::try_from(again.count()).unwrap_or(0);
        if times == 0
            || self.judge(response) != Outcome::Ok
            || self.is_worn_out(index)
            || self.answer_comes_too_late(now, index)
        {
            return rest;
        }
        let conn = &mut self.conns[index as usize];
        self.flights.end(conn, times);
        conn.answered += u64::from(times);
        conn.responses += u64::from(times);
        let ended = Ended { index, flight, detail: Detail::default(), times };
        let answered = Answer { status: response.status, outcome: Outcome::Ok, first_byte: None };
        self.count_completion(now, ended, answered);
        self.finish_if_done(now);
        &rest[answer.len() * times as usize..]
    }
}
