//! What one worker remembers of a run, and how the memories of several become one.
//!
//! A [`Record`] belongs to its worker until the join; nothing here is shared, locked or atomic. It must not know where
//! the numbers come from or how they are shown.

pub mod buckets;
pub mod errors;
pub mod interval;
pub mod latency;
pub mod tally;

pub use errors::{ErrorRow, ErrorTable};
pub use interval::{INTERVAL_NS, Interval};
pub use latency::LatencyHistogram;
pub use tally::{Counts, Outcome};

use buckets::RunBuckets;

/// Status codes have three digits.
const STATUS_CODES: usize = 1000;

/// The part of a run in which a request was started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Before the measured window; listed, not counted.
    Warmup,
    /// The measured window.
    Measured,
}

impl Phase {
    /// Every phase in the order of time.
    pub const ALL: [Self; 2] = [Self::Warmup, Self::Measured];

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warmup => "warmup",
            Self::Measured => "measured",
        }
    }
}

/// A whole response, as the connection saw it.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// Three digits.
    pub status: u16,
    /// Judged by the expectation.
    pub outcome: Outcome,
    /// From the send to the last byte, in nanoseconds.
    pub service_ns: u64,
    /// From the send to the first byte, in nanoseconds; `None` when first and last byte came together.
    pub first_byte_ns: Option<u64>,
    /// Came after the end of the measured window.
    pub drained: bool,
}

/// Requests that were started in one phase.
#[derive(Clone, Debug)]
pub struct PhaseRecord {
    /// How they ended.
    pub counts: Counts,
    /// Whole responses that came while the phase lasted, whenever their requests had been taken: what rates are made of.
    pub completed_in_window: u64,
    /// Those of them that the expectation accepted.
    pub ok_in_window: u64,
    /// Whole responses to requests of this phase that came after the measured window.
    pub drained: u64,
    /// Bytes of requests that were handed over whole.
    pub bytes_sent: u64,
    /// Response bytes received while the phase lasted or in the drain after it, heads included.
    pub bytes_received: u64,
    /// Those that came before its window ended.
    pub bytes_in_window: u64,
    /// Whole responses by status code.
    pub status: Box<[u64]>,
    /// Whole responses that arrived in one piece: their time to first byte is their service time.
    service_at_once: RunBuckets,
    /// Whole responses that arrived in several pieces.
    service_in_parts: RunBuckets,
    /// Times to the first byte of those in several pieces.
    first_byte_in_parts: RunBuckets,
    /// Ages of timeouts at the moment of giving up.
    timeouts: LatencyHistogram,
    /// Ages of protocol errors, truncated and reset requests at their failure.
    pub failed: LatencyHistogram,
    /// Ages of what was unanswered when the drain ended.
    pub censored: LatencyHistogram,
}

impl PhaseRecord {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self {
            counts: Counts::default(),
            completed_in_window: 0,
            ok_in_window: 0,
            drained: 0,
            bytes_sent: 0,
            bytes_received: 0,
            bytes_in_window: 0,
            status: vec![0; STATUS_CODES].into_boxed_slice(),
            service_at_once: RunBuckets::new(),
            service_in_parts: RunBuckets::new(),
            first_byte_in_parts: RunBuckets::new(),
            timeouts: LatencyHistogram::new(),
            failed: LatencyHistogram::new(),
            censored: LatencyHistogram::new(),
        }
    }

    /// Counts a whole response.
    #[inline]
    pub fn complete(&mut self, completion: &Completion) {
        self.counts.end(completion.outcome);
        self.status[usize::from(completion.status)] += 1;
        self.drained += u64::from(completion.drained);
        match completion.first_byte_ns {
            None => self.service_at_once.record(completion.service_ns),
            Some(first_byte_ns) => {
                self.service_in_parts.record(completion.service_ns);
                self.first_byte_in_parts.record(first_byte_ns);
            }
        }
    }

    /// Counts a whole response that came while the phase lasted.
    #[inline]
    pub fn complete_in_window(&mut self, outcome: Outcome) {
        self.completed_in_window += 1;
        self.ok_in_window += u64::from(outcome == Outcome::Ok);
    }

    /// Counts a request that ended without a whole response, `age_ns` after it was sent.
    pub fn fail(&mut self, outcome: Outcome, age_ns: u64) {
        self.counts.end(outcome);
        if outcome == Outcome::Timeout {
            self.timeouts.record(age_ns);
        } else {
            self.failed.record(age_ns);
        }
    }

    /// Counts a request that was still in flight when the drain ended.
    pub fn abandon(&mut self, age_ns: u64) {
        self.counts.in_flight_at_end += 1;
        self.censored.record(age_ns);
    }

    /// From the send to the last byte, of whole responses.
    #[must_use]
    pub fn answered(&self) -> LatencyHistogram {
        let mut answered = self.service_at_once.clone();
        answered.add(&self.service_in_parts);
        LatencyHistogram::from(&answered)
    }

    /// The same, and timeouts when they were given up: they would have taken longer.
    #[must_use]
    pub fn service(&self) -> LatencyHistogram {
        let mut service = self.answered();
        service.add(&self.timeouts);
        service
    }

    /// From the send to the first byte.
    #[must_use]
    pub fn first_byte(&self) -> LatencyHistogram {
        let mut first_byte = self.service_at_once.clone();
        first_byte.add(&self.first_byte_in_parts);
        LatencyHistogram::from(&first_byte)
    }

    /// What a user waited: service, and the ages of what never came. A closed loop has no schedule to add.
    #[must_use]
    pub fn response(&self) -> LatencyHistogram {
        let mut response = self.service();
        response.add(&self.censored);
        response
    }

    /// Adds the same phase of another worker.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.completed_in_window += other.completed_in_window;
        self.ok_in_window += other.ok_in_window;
        self.drained += other.drained;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.bytes_in_window += other.bytes_in_window;
        for (mine, theirs) in self.status.iter_mut().zip(&other.status) {
            *mine += theirs;
        }
        self.service_at_once.add(&other.service_at_once);
        self.service_in_parts.add(&other.service_in_parts);
        self.first_byte_in_parts.add(&other.first_byte_in_parts);
        self.timeouts.add(&other.timeouts);
        self.failed.add(&other.failed);
        self.censored.add(&other.censored);
    }
}

impl Default for PhaseRecord {
    fn default() -> Self {
        Self::new()
    }
}

/// What became of the connections that were asked for.
#[derive(Clone, Debug, Default)]
pub struct ConnectionTally {
    /// Asked for by the plan.
    pub asked: u64,
    /// Of those, opened at least once.
    pub opened: u64,
    /// Of those, answered at least one request.
    pub used: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Opened again after the first time.
    pub reconnects: u64,
    /// Whole responses by asked-for connection, reopened ones included.
    pub responses: Vec<u64>,
}

impl ConnectionTally {
    /// Adds the connections of another worker.
    pub fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.opened += other.opened;
        self.used += other.used;
        self.failed += other.failed;
        self.reconnects += other.reconnects;
        self.responses.extend_from_slice(&other.responses);
    }
}

/// What the worker's engine knows of its own work.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientTally {
    /// CPU time of the thread, in nanoseconds.
    pub cpu_ns: u64,
    /// Wall time from the run's start to its end, in nanoseconds.
    pub wall_ns: u64,
    /// Time in which the thread was ready to run and had to wait for its core, in nanoseconds.
    pub delayed_ns: u64,
    /// Time spent spinning without work, in nanoseconds: part of both times above.
    pub spin_ns: u64,
    /// Longest time that one submission of sends took: how far interpolated send stamps can be off, in nanoseconds.
    pub stamp_skew_ns: u64,
    /// Longest time for which the worker was busy and did not look for completions, in nanoseconds.
    pub receive_slack_ns: u64,
    /// Times that the kernel found no receive buffer.
    pub buffers_exhausted: u64,
    /// Turns in which the completion queue had overflowed into the kernel's memory.
    pub completions_overflowed: u64,
    /// Completions that the kernel could not even keep there: what they would have told is lost.
    pub completions_lost: u64,
}

impl ClientTally {
    /// Adds another worker: times add up, extremes are kept.
    pub fn add(&mut self, other: &Self) {
        self.cpu_ns += other.cpu_ns;
        self.wall_ns += other.wall_ns;
        self.delayed_ns += other.delayed_ns;
        self.spin_ns += other.spin_ns;
        self.stamp_skew_ns = self.stamp_skew_ns.max(other.stamp_skew_ns);
        self.receive_slack_ns = self.receive_slack_ns.max(other.receive_slack_ns);
        self.buffers_exhausted += other.buffers_exhausted;
        self.completions_overflowed += other.completions_overflowed;
        self.completions_lost += other.completions_lost;
    }
}

/// Everything that one worker remembers, or all workers after [`Record::add`].
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Requests started in the warm-up.
    pub warmup: PhaseRecord,
    /// Requests started in the measured window.
    pub measured: PhaseRecord,
    /// Failures of requests and of connections.
    pub errors: ErrorTable,
    /// Interim (1xx) responses, which end no request.
    pub interim_responses: u64,
    /// See [`ConnectionTally`].
    pub connections: ConnectionTally,
    /// Times to open a connection.
    pub connect: Option<LatencyHistogram>,
    /// See [`ClientTally`].
    pub client: ClientTally,
}

impl Record {
    /// The part for `phase`.
    #[inline]
    pub fn phase_mut(&mut self, phase: Phase) -> &mut PhaseRecord {
        match phase {
            Phase::Warmup => &mut self.warmup,
            Phase::Measured => &mut self.measured,
        }
    }

    /// Counts one opened connection.
    pub fn connected(&mut self, connect_ns: u64) {
        self.connect.get_or_insert_default().record(connect_ns);
    }

    /// Adds the record of another worker.
    pub fn add(&mut self, other: &Self) {
        self.warmup.add(&other.warmup);
        self.measured.add(&other.measured);
        self.errors.add(&other.errors);
        self.interim_responses += other.interim_responses;
        self.connections.add(&other.connections);
        if let Some(connect) = &other.connect {
            self.connect.get_or_insert_default().add(connect);
        }
        self.client.add(&other.client);
    }

    /// Checks that no request of any phase was lost or counted twice.
    ///
    /// # Errors
    /// The phase and the equation that does not hold.
    pub fn conserved(&self) -> Result<(), String> {
        for (phase, record) in [(Phase::Warmup, &self.warmup), (Phase::Measured, &self.measured)] {
            record.counts.conserved().map_err(|broken| format!("{}: {broken}", phase.name()))?;
            let by_status: u64 = record.status.iter().sum();
            if by_status != record.counts.completed() {
                return Err(format!(
                    "{}: {by_status} statuses, {} responses",
                    phase.name(),
                    record.counts.completed()
                ));
            }
            let timed = record.service_at_once.count()
                + record.service_in_parts.count()
                + record.timeouts.count();
            if timed != record.counts.completed() + record.counts.timeout {
                return Err(format!("{}: {timed} latencies for {:?}", phase.name(), record.counts));
            }
        }
        Ok(())
    }
}
