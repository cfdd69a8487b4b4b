//! What became of the requests of one phase.
//!
//! Owned by a worker's record. It must not know when a phase begins or ends, nor what a latency is counted from: it is
//! told of finished lengths of time.

use super::buckets::RunBuckets;
use super::latency::LatencyHistogram;
use super::tally::{Counts, Outcome};

/// Status codes have three digits.
const STATUS_CODES: usize = 1000;

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

/// Why a request was sent later than it was intended, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lag {
    /// From the intended time to the send.
    pub send_ns: u64,
    /// The part of it in which no connection was free.
    pub pool_ns: u64,
    /// The rest of it, and what the client looked too late for the answer.
    pub client_ns: u64,
}

/// Why requests were never sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Unsent {
    /// Found no connection, and `--on-overload` says not to wait for one.
    pub shed: u64,
    /// Waited for a connection for as long as a request may take.
    pub expired: u64,
    /// Still waited for a connection when the drain ended.
    pub left: u64,
    /// Came due when the run ended, and a connection was free: the worker did not get to it.
    pub late: u64,
}

impl Unsent {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.shed + self.expired + self.left + self.late
    }
}

/// What only an open loop has: latencies from a schedule.
#[derive(Clone, Debug, Default)]
struct Scheduled {
    /// From the intended time to the last byte, of whole responses.
    response: RunBuckets,
    /// The same of timeouts at the moment of giving up.
    timeouts: LatencyHistogram,
    send_lag: RunBuckets,
    pool_wait: RunBuckets,
    client_lag: RunBuckets,
}

/// Requests that were started in one phase.
#[derive(Clone, Debug)]
pub struct PhaseRecord {
    /// How they ended.
    pub counts: Counts,
    /// Why some were never sent.
    pub unsent: Unsent,
    /// Whole responses that came while the phase lasted, whenever their requests had been taken: what rates are made of.
    pub completed_in_window: u64,
    /// Those of them that the expectation accepted.
    pub ok_in_window: u64,
    /// Requests sent while the phase lasted, whenever they were due.
    pub sent_in_window: u64,
    /// Whole responses to requests of this phase that came after the measured window.
    pub drained: u64,
    /// Bytes of requests that were handed over whole.
    pub bytes_sent: u64,
    /// Response bytes received while the phase lasted or in the drain after it, heads included.
    pub bytes_received: u64,
    /// Those that came before its window ended.
    pub bytes_in_window: u64,
    /// Most requests that were due and not answered at once; the sum of the workers' own peaks.
    pub most_outstanding: u64,
    /// Most of them that were not even sent, likewise.
    pub most_backlog: u64,
    /// Whole responses by status code.
    pub status: Box<[u64]>,
    /// Whole responses that arrived in one piece: their time to first byte is their service time.
    service_at_once: RunBuckets,
    /// Whole responses that arrived in several pieces.
    service_in_parts: RunBuckets,
    /// Times to the first byte of those in several pieces.
    first_byte_in_parts: RunBuckets,
    /// Ages of timeouts since their send at the moment of giving up.
    timeouts: LatencyHistogram,
    /// Ages of protocol errors, truncated and reset requests at their failure.
    pub failed: LatencyHistogram,
    /// Ages of what was unanswered when the drain ended, or never sent.
    pub censored: LatencyHistogram,
    scheduled: Option<Box<Scheduled>>,
}

impl PhaseRecord {
    /// An empty one of a closed loop.
    #[must_use]
    pub fn new() -> Self {
        Self {
            counts: Counts::default(),
            unsent: Unsent::default(),
            completed_in_window: 0,
            ok_in_window: 0,
            sent_in_window: 0,
            drained: 0,
            bytes_sent: 0,
            bytes_received: 0,
            bytes_in_window: 0,
            most_outstanding: 0,
            most_backlog: 0,
            status: vec![0; STATUS_CODES].into_boxed_slice(),
            service_at_once: RunBuckets::new(),
            service_in_parts: RunBuckets::new(),
            first_byte_in_parts: RunBuckets::new(),
            timeouts: LatencyHistogram::new(),
            failed: LatencyHistogram::new(),
            censored: LatencyHistogram::new(),
            scheduled: None,
        }
    }

    /// An empty one of an open loop.
    #[must_use]
    pub fn of_schedule() -> Self {
        Self { scheduled: Some(Box::default()), ..Self::new() }
    }

    /// Takes the memory now that responses would take as they come.
    pub fn prepare(&mut self) {
        self.service_at_once = RunBuckets::prepared();
        self.service_in_parts = RunBuckets::prepared();
        self.first_byte_in_parts = RunBuckets::prepared();
        if let Some(scheduled) = &mut self.scheduled {
            scheduled.response = RunBuckets::prepared();
            scheduled.send_lag = RunBuckets::prepared();
            scheduled.pool_wait = RunBuckets::prepared();
            scheduled.client_lag = RunBuckets::prepared();
        }
    }

    /// Counts a whole response.
    pub fn complete(&mut self, completion: &Completion) {
        self.complete_many(completion, 1);
    }

    /// Counts whole responses that are alike.
    #[inline]
    pub fn complete_many(&mut self, completion: &Completion, times: u64) {
        self.counts.end(completion.outcome, times);
        self.status[usize::from(completion.status)] += times;
        self.drained += if completion.drained { times } else { 0 };
        match completion.first_byte_ns {
            None => self.service_at_once.record_many(completion.service_ns, times),
            Some(first_byte_ns) => {
                self.service_in_parts.record_many(completion.service_ns, times);
                self.first_byte_in_parts.record_many(first_byte_ns, times);
            }
        }
    }

    /// Counts what the response just counted took from its intended time on.
    #[inline]
    pub fn respond(&mut self, response_ns: u64) {
        if let Some(scheduled) = &mut self.scheduled {
            scheduled.response.record(response_ns);
        }
    }

    /// Counts why a request that has ended was late.
    #[inline]
    pub fn lag(&mut self, lag: Lag) {
        if let Some(scheduled) = &mut self.scheduled {
            scheduled.send_lag.record(lag.send_ns);
            scheduled.pool_wait.record(lag.pool_ns);
            scheduled.client_lag.record(lag.client_ns);
        }
    }

    /// Counts whole responses that came while the phase lasted.
    #[inline]
    pub fn complete_in_window(&mut self, outcome: Outcome, times: u64) {
        self.completed_in_window += times;
        self.ok_in_window += if outcome == Outcome::Ok { times } else { 0 };
    }

    /// Counts a request that ended without a whole response, `age_ns` after it was sent and `waited_ns` after it was
    /// intended, which in a closed loop is the same.
    pub fn fail(&mut self, outcome: Outcome, age_ns: u64, waited_ns: u64) {
        self.counts.end(outcome, 1);
        if outcome != Outcome::Timeout {
            self.failed.record(waited_ns);
            return;
        }
        self.timeouts.record(age_ns);
        if let Some(scheduled) = &mut self.scheduled {
            scheduled.timeouts.record(waited_ns);
        }
    }

    /// Counts a request that was still in flight when the drain ended.
    pub fn abandon(&mut self, age_ns: u64) {
        self.counts.in_flight_at_end += 1;
        self.censored.record(age_ns);
    }

    /// Counts what a lost connection stands for: a request that was awaited in vain for `age_ns`.
    pub fn await_in_vain(&mut self, age_ns: u64) {
        self.counts.scheduled += 1;
        self.counts.sent += 1;
        self.abandon(age_ns);
    }

    /// Counts a request that was never sent, `age_ns` after it was intended.
    pub fn drop_unsent(&mut self, age_ns: u64) {
        self.counts.unsent += 1;
        self.censored.record(age_ns);
    }

    /// From the send to the last byte, of whole responses.
    #[must_use]
    pub fn answered(&self) -> LatencyHistogram {
        let mut answered = self.service_at_once.clone();
        answered.add(&self.service_in_parts);
        LatencyHistogram::from(answered)
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
        LatencyHistogram::from(first_byte)
    }

    /// From the intended time to the last byte, of whole responses. A closed loop has no schedule, and it is `answered`.
    #[must_use]
    pub fn responded(&self) -> LatencyHistogram {
        match &self.scheduled {
            Some(scheduled) => LatencyHistogram::from(scheduled.response.clone()),
            None => self.answered(),
        }
    }

    /// What a user waited: whole responses, and the ages of what never came.
    #[must_use]
    pub fn response(&self) -> LatencyHistogram {
        let mut response = self.responded();
        response.add(self.scheduled.as_ref().map_or(&self.timeouts, |open| &open.timeouts));
        response.add(&self.censored);
        response
    }

    /// Send lag, pool wait and client lag of requests that were sent; `None` in a closed loop.
    #[must_use]
    pub fn lags(&self) -> Option<[LatencyHistogram; 3]> {
        let scheduled = self.scheduled.as_ref()?;
        let parts = [&scheduled.send_lag, &scheduled.pool_wait, &scheduled.client_lag];
        Some(parts.map(|part| LatencyHistogram::from(part.clone())))
    }

    /// Adds the same phase of another worker.
    pub fn add(&mut self, other: &Self) {
        let peaks = (
            self.most_outstanding + other.most_outstanding,
            self.most_backlog + other.most_backlog,
        );
        self.append(other);
        (self.most_outstanding, self.most_backlog) = peaks;
    }

    /// Adds another phase: what happened at different times does not add up to a higher peak.
    pub fn append(&mut self, other: &Self) {
        self.most_outstanding = self.most_outstanding.max(other.most_outstanding);
        self.most_backlog = self.most_backlog.max(other.most_backlog);
        self.counts.add(&other.counts);
        self.unsent.shed += other.unsent.shed;
        self.unsent.expired += other.unsent.expired;
        self.unsent.left += other.unsent.left;
        self.unsent.late += other.unsent.late;
        self.completed_in_window += other.completed_in_window;
        self.ok_in_window += other.ok_in_window;
        self.sent_in_window += other.sent_in_window;
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
        if let Some(theirs) = &other.scheduled {
            let mine = self.scheduled.get_or_insert_default();
            mine.response.add(&theirs.response);
            mine.timeouts.add(&theirs.timeouts);
            mine.send_lag.add(&theirs.send_lag);
            mine.pool_wait.add(&theirs.pool_wait);
            mine.client_lag.add(&theirs.client_lag);
        }
    }

    /// Checks that no request was lost or counted twice.
    ///
    /// # Errors
    /// The equation that does not hold.
    pub fn conserved(&self) -> Result<(), String> {
        let counts = &self.counts;
        counts.conserved()?;
        let by_status: u64 = self.status.iter().sum();
        if by_status != counts.completed() {
            return Err(format!("{by_status} statuses, {} responses", counts.completed()));
        }
        let timed = self.service_at_once.count() + self.service_in_parts.count();
        let checks = [
            ("latencies of responses", timed, counts.completed()),
            ("latencies of timeouts", self.timeouts.count(), counts.timeout),
            ("ages of failures", self.failed.count(), counts.failed() - counts.timeout),
            ("censored ages", self.censored.count(), counts.unsent + counts.in_flight_at_end),
            ("reasons for not sending", self.unsent.total(), counts.unsent),
        ];
        let scheduled = self.scheduled.iter().flat_map(|open| {
            [
                ("response times", open.response.count(), counts.completed()),
                ("timeouts by schedule", open.timeouts.count(), counts.timeout),
                ("send lags", open.send_lag.count(), counts.sent),
                ("pool waits", open.pool_wait.count(), counts.sent),
                ("client lags", open.client_lag.count(), counts.sent),
            ]
        });
        for (what, recorded, counted) in checks.into_iter().chain(scheduled) {
            if recorded != counted {
                return Err(format!("{recorded} {what} for {counted} requests of {counts:?}"));
            }
        }
        Ok(())
    }
}

impl Default for PhaseRecord {
    fn default() -> Self {
        Self::new()
    }
}
