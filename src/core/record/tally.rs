//! Counts of requests by outcome, and the law that they obey.

/// How a request ended. Every request that was sent ends in exactly one of these, or is still in flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// A whole response that the expectation accepts.
    Ok,
    /// Any other whole response that it does not accept.
    Unexpected,
    /// A whole 4xx or 5xx that it does not accept.
    HttpError,
    /// Bytes that are no valid response.
    ProtocolError,
    /// Closed in order before the response was whole.
    Truncated,
    /// Closed by a reset, or the send failed.
    Reset,
    /// Given up after `--timeout`.
    Timeout,
}

/// Requests of one phase.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Requests that exist.
    pub scheduled: u64,
    /// Requests handed to the kernel.
    pub sent: u64,
    /// Requests that were never sent.
    pub unsent: u64,
    /// See [`Outcome::Ok`].
    pub ok: u64,
    /// See [`Outcome::Unexpected`].
    pub unexpected: u64,
    /// See [`Outcome::HttpError`].
    pub http_error: u64,
    /// See [`Outcome::ProtocolError`].
    pub protocol_error: u64,
    /// See [`Outcome::Truncated`].
    pub truncated: u64,
    /// See [`Outcome::Reset`].
    pub reset: u64,
    /// See [`Outcome::Timeout`].
    pub timeout: u64,
    /// Sent and unanswered when the drain ended.
    pub in_flight_at_end: u64,
}

impl Counts {
    /// Whole responses, whatever they said.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.ok + self.unexpected + self.http_error
    }

    /// Requests that ended without a whole response.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.protocol_error + self.truncated + self.reset + self.timeout
    }

    /// Counts requests that ended alike.
    #[inline]
    pub fn end(&mut self, outcome: Outcome, times: u64) {
        match outcome {
            Outcome::Ok => self.ok += times,
            Outcome::Unexpected => self.unexpected += times,
            Outcome::HttpError => self.http_error += times,
            Outcome::ProtocolError => self.protocol_error += times,
            Outcome::Truncated => self.truncated += times,
            Outcome::Reset => self.reset += times,
            Outcome::Timeout => self.timeout += times,
        }
    }

    /// Adds the counts of another worker.
    pub fn add(&mut self, other: &Self) {
        self.scheduled += other.scheduled;
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.ok += other.ok;
        self.unexpected += other.unexpected;
        self.http_error += other.http_error;
        self.protocol_error += other.protocol_error;
        self.truncated += other.truncated;
        self.reset += other.reset;
        self.timeout += other.timeout;
        self.in_flight_at_end += other.in_flight_at_end;
    }

    /// Checks that no request was lost or counted twice.
    ///
    /// # Errors
    /// The equation that does not hold, with its numbers.
    pub fn conserved(&self) -> Result<(), String> {
        if self.scheduled != self.sent + self.unsent {
            return Err(format!(
                "scheduled {} is not sent {} + unsent {}",
                self.scheduled, self.sent, self.unsent
            ));
        }
        let ended = self.completed() + self.failed() + self.in_flight_at_end;
        if self.sent != ended {
            return Err(format!("sent {} is not the sum of outcomes {ended}: {self:?}", self.sent));
        }
        Ok(())
    }
}
