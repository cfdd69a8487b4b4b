//! What one worker remembers of a run, and how the memories of several become one.
//!
//! A [`Record`] belongs to its worker until the join; nothing here is shared, locked or atomic. It must not know where
//! the numbers come from or how they are shown.

pub mod absence;
pub mod bad_answers;
pub mod buckets;
pub mod client;
pub mod errors;
pub mod handshakes;
pub mod interval;
pub mod latency;
pub mod phase;
pub mod request_log;
pub mod tally;

pub use absence::Absence;
pub use bad_answers::{BadAnswer, BadAnswers};
pub use client::{ClientTally, Turns};
pub use errors::{Came, ErrorRow, ErrorTable};
pub use handshakes::{Handshakes, Negotiated};
pub use interval::Interval;
pub use latency::LatencyHistogram;
pub use phase::{Completion, Lag, PhaseRecord};
pub use request_log::{Fate, RequestRow, ServerStamps};
pub use tally::{Counts, Outcome};

use crate::core::schedule::PhaseIndex;

/// What became of the connections that were asked for.
#[derive(Clone, Debug, Default)]
pub struct ConnectionTally {
    /// Asked for by the plan.
    pub asked: u64,
    /// Of those, opened at least once.
    pub opened: u64,
    /// Of those, open already when the run began, from an earlier one with the same connections.
    pub kept: u64,
    /// Of those asked for, answered at least one request.
    pub used: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Opened again after the first time.
    pub reconnects: u64,
    /// Attempts that were under way when the run ended: the peer may know of them.
    pub unfinished: u64,
    /// Whole responses by asked-for connection, reopened ones included.
    pub responses: Vec<u64>,
}

impl ConnectionTally {
    /// Adds the connections of another worker.
    pub fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.opened += other.opened;
        self.kept += other.kept;
        self.used += other.used;
        self.failed += other.failed;
        self.reconnects += other.reconnects;
        self.unfinished += other.unfinished;
        self.responses.extend_from_slice(&other.responses);
    }
}

/// Everything that one worker remembers, or all workers after [`Record::add`].
#[derive(Clone, Debug)]
pub struct Record {
    /// Requests by the phase in which they were started; the first is the warm-up.
    pub phases: Vec<PhaseRecord>,
    /// Failures of requests and of connections.
    pub errors: ErrorTable,
    /// The first bad answer of each status.
    pub bad_answers: BadAnswers,
    /// Interim (1xx) responses, which end no request.
    pub interim_responses: u64,
    /// See [`ConnectionTally`].
    pub connections: ConnectionTally,
    /// See [`Absence`].
    pub absence: Absence,
    /// Times to open a connection.
    pub connect: Option<LatencyHistogram>,
    /// Times of TLS handshakes, each from the opened connection to the last message of the server.
    pub handshake: Option<LatencyHistogram>,
    /// See [`Handshakes`].
    pub handshakes: Handshakes,
    /// See [`ClientTally`].
    pub client: ClientTally,
    /// See [`Turns`].
    pub turns: Turns,
}

impl Record {
    /// An empty one with so many phases, the warm-up included; `scheduled` in an open loop.
    #[must_use]
    pub fn new(phases: usize, scheduled: bool) -> Self {
        let empty = if scheduled { PhaseRecord::of_schedule } else { PhaseRecord::new };
        Self {
            phases: (0..phases).map(|_| empty()).collect(),
            errors: ErrorTable::default(),
            bad_answers: BadAnswers::default(),
            interim_responses: 0,
            connections: ConnectionTally::default(),
            absence: Absence::default(),
            connect: None,
            handshake: None,
            handshakes: Handshakes::default(),
            client: ClientTally::default(),
            turns: Turns::default(),
        }
    }

    /// The same, for a worker: what each response is counted in has its memory already.
    #[must_use]
    pub fn prepared(phases: usize, scheduled: bool) -> Self {
        let mut record = Self::new(phases, scheduled);
        record.phases.iter_mut().for_each(PhaseRecord::prepare);
        record
    }

    /// The part for `phase`.
    ///
    /// # Panics
    /// When there is no such phase.
    #[inline]
    pub fn phase_mut(&mut self, phase: PhaseIndex) -> &mut PhaseRecord {
        &mut self.phases[usize::from(phase.0)]
    }

    /// The warm-up.
    ///
    /// # Panics
    /// Never: there always is one, however short.
    #[must_use]
    pub fn warmup(&self) -> &PhaseRecord {
        &self.phases[0]
    }

    /// All measured phases together.
    #[must_use]
    pub fn measured(&self) -> PhaseRecord {
        let mut parts = self.phases[1..].iter();
        let mut measured = parts.next().cloned().unwrap_or_default();
        parts.for_each(|part| measured.append(part));
        measured
    }

    /// Counts one opened connection.
    pub fn connected(&mut self, connect_ns: u64) {
        self.connect.get_or_insert_default().record(connect_ns);
    }

    /// Counts one TLS handshake that has succeeded.
    pub fn shook_hands(&mut self, handshake_ns: u64) {
        self.handshake.get_or_insert_default().record(handshake_ns);
    }

    /// Adds the record of another worker of the same run.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.phases.iter_mut().zip(&other.phases) {
            mine.add(theirs);
        }
        self.errors.add(&other.errors);
        self.bad_answers.add_all(&other.bad_answers);
        self.interim_responses += other.interim_responses;
        self.connections.add(&other.connections);
        self.absence.add(&other.absence);
        if let Some(connect) = &other.connect {
            self.connect.get_or_insert_default().add(connect);
        }
        if let Some(handshake) = &other.handshake {
            self.handshake.get_or_insert_default().add(handshake);
        }
        self.handshakes.add(&other.handshakes);
        self.client.add(&other.client);
        self.turns.add(&other.turns);
    }

    /// Makes one measured phase of all, after moving the first `cut` of them into the warm-up.
    pub fn cut_warmup(&mut self, cut: usize) {
        let mut measured = self.phases.split_off(1).into_iter();
        for part in measured.by_ref().take(cut) {
            self.phases[0].append(&part);
        }
        let mut rest = measured.next().unwrap_or_default();
        measured.for_each(|part| rest.append(&part));
        self.phases.push(rest);
    }

    /// Checks that no request of any phase was lost or counted twice.
    ///
    /// # Errors
    /// The phase and the equation that does not hold.
    pub fn conserved(&self) -> Result<(), String> {
        for (index, phase) in self.phases.iter().enumerate() {
            phase.conserved().map_err(|broken| format!("phase {index}: {broken}"))?;
        }
        Ok(())
    }
}

impl Default for Record {
    /// That of a closed loop with a warm-up and one measured phase.
    fn default() -> Self {
        Self::new(2, false)
    }
}
