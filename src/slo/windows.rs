//! Clauses on pieces of time, from the slices of a run as they come: each piece is judged when it is over.
//!
//! The series of a long run is merged into longer slices; here every piece is put together from slices of the original
//! length, so that its bounds are exact however long the run is.

use super::{Clause, Metric, Scope, Unit};
use crate::analysis::series::Slice;

/// What a piece of time shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// The value, in the clause's unit.
    pub value: f64,
    /// Whether it is more than a lower bound set by requests that got no answer.
    pub known: bool,
    /// Whether the clause holds.
    pub holds: bool,
}

/// What `clause` finds in `length_ns` of time; `None` where nothing can be said, since nothing has ended or come due.
///
/// Latencies are those of the responses that came in it, and the ages of what was given up in it or waits at its end: the
/// least that those would have taken. A limit that must not be exceeded is held against the worst that they may have
/// taken, one that must be exceeded against the least. A request that failed in it otherwise is slower than any, and so is
/// a connection that is missing at its end: it stands for a request that waits.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts and times are far below 2^53")]
pub fn find(clause: &Clause, piece: &Slice, length_ns: u64) -> Option<Finding> {
    let missing = piece.missing;
    let bounds = piece.unanswered() + piece.waiting() + missing;
    let count = piece.count() + piece.waiting();
    let all = count + piece.failed() + missing;
    let ended = piece.ok + piece.errors + missing;
    let share = |part: u64, whole: u64| (whole > 0).then(|| (part as f64 / whole as f64, true));
    let throughput = |answers: u64| match clause.unit {
        Unit::PerSecond => Some((answers as f64 * 1e9 / length_ns as f64, true)),
        Unit::Share | Unit::Nanoseconds => share(answers, piece.scheduled + missing),
    };
    let (value, known) = match clause.metric {
        Metric::Quantile(_) | Metric::Max | Metric::Mean if all == 0 => None,
        Metric::Quantile(quantile) => {
            let rank = rank_of(quantile, all);
            let least_ns = piece.bound_at_rank(rank);
            let most_ns = piece.answered_at_rank(rank);
            let value_ns = most_ns.filter(|_| clause.is_upper_bound()).unwrap_or(least_ns);
            Some((value_ns as f64, most_ns == Some(value_ns)))
        }
        Metric::Max => Some((piece.max_ns.max(piece.waiting.max_ns) as f64, bounds == 0)),
        Metric::Mean => {
            let sum_ns = piece.sum_ns + piece.waiting.sum_ns;
            Some((sum_ns as f64 / count.max(1) as f64, bounds == 0))
        }
        Metric::Errors => share(piece.errors + missing, ended),
        Metric::Achieved => throughput(piece.completed),
        Metric::Goodput => throughput(piece.ok),
        // The grammar has no clauses of these on pieces of time.
        Metric::Timeouts
        | Metric::Unsent
        | Metric::ClientLag(_)
        | Metric::FirstByte(_)
        | Metric::Service(_) => None,
    }?;
    Some(Finding { value, known, holds: clause.is_proven_by(value, known) })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rank is a positive number below 2^53"
)]
fn rank_of(quantile: f64, count: u64) -> u64 {
    ((count as f64 * quantile).ceil() as u64).max(1)
}

/// The pieces of time that one clause is about, one after the other.
#[derive(Clone, Debug)]
pub struct Windows {
    clause: Clause,
    slice_ns: u64,
    start_ns: u64,
    length_ns: u64,
    most: usize,
    /// Slices seen, and the piece that is being put together.
    seen: u64,
    piece: Slice,
    /// Requests that wait at its start, and for how long nothing has ended while some waited.
    waiting: u64,
    silent_ns: u64,
    findings: Vec<Option<Finding>>,
}

impl Windows {
    /// Those of `clause`, whose bounds are multiples of the slices' length; `None` when it is about none.
    #[must_use]
    pub fn of(clause: &Clause, slice_ns: u64) -> Option<Self> {
        let (start_ns, length_ns, most) = match clause.scope {
            Scope::Window | Scope::Phase(_) => return None,
            Scope::Span { from_ns, to_ns } => (from_ns, to_ns - from_ns, 1),
            Scope::Each(length_ns) => (0, length_ns, usize::MAX),
        };
        Some(Self {
            clause: clause.clone(),
            slice_ns,
            start_ns,
            length_ns,
            most,
            seen: 0,
            piece: Slice::default(),
            waiting: 0,
            silent_ns: 0,
            findings: Vec::new(),
        })
    }

    /// What they are judged by.
    #[must_use]
    pub fn clause(&self) -> &Clause {
        &self.clause
    }

    /// Takes the next slice; the first one begins with the measured window.
    pub fn push(&mut self, slice: &Slice) {
        let from_ns = self.seen * self.slice_ns;
        self.seen += 1;
        if from_ns < self.start_ns {
            self.waiting = slice.outstanding + slice.missing;
            return;
        }
        if self.findings.len() == self.most {
            return;
        }
        self.piece.extend(slice);
        let to_ns = from_ns + self.slice_ns - self.start_ns;
        if to_ns.is_multiple_of(self.length_ns) {
            self.judge();
        }
    }

    fn judge(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        let is_silent = piece.ok + piece.errors == 0 && self.waiting > 0;
        self.silent_ns = if is_silent { self.silent_ns + self.length_ns } else { 0 };
        self.waiting = piece.outstanding + piece.missing;
        let finding = if is_silent && self.clause.metric.is_response_time() {
            Some(self.silence())
        } else {
            find(&self.clause, &piece, self.length_ns)
        };
        self.findings.push(finding);
    }

    /// Nothing has ended, and what waits has waited for as long as that already. How long it really takes is told by the
    /// pieces that follow; silence by itself only breaks what it lasts longer than.
    #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53")]
    fn silence(&self) -> Finding {
        let value = self.silent_ns as f64;
        Finding { value, known: false, holds: self.clause.holds(value) }
    }

    /// The worst of those that lie wholly between two instants, in nanoseconds since the start of the measured window,
    /// and when it began; `None` when there is none of which anything can be said.
    #[must_use]
    pub fn worst(&self, from_ns: u64, to_ns: u64) -> Option<(u64, Finding)> {
        let mut worst: Option<(u64, Finding)> = None;
        let mut start_ns = self.start_ns;
        for finding in &self.findings {
            let end_ns = start_ns.saturating_add(self.length_ns);
            if let (Some(finding), true) = (finding, start_ns >= from_ns && end_ns <= to_ns)
                && worst.is_none_or(|(_, known)| is_worse(&self.clause, finding, &known))
            {
                worst = Some((start_ns, *finding));
            }
            start_ns = end_ns;
        }
        worst
    }
}

/// Whether one finding speaks more against a clause than another: one that breaks it before one that does not.
fn is_worse(clause: &Clause, one: &Finding, other: &Finding) -> bool {
    if one.holds != other.holds {
        return other.holds;
    }
    if clause.is_upper_bound() { one.value > other.value } else { one.value < other.value }
}
