//! Clauses on pieces of time, from the slices of a run as they come: each piece is judged when it is over.
//!
//! The series of a long run is merged into longer slices; here every piece is put together from slices of the original
//! length, so that its bounds are exact however long the run is.

use super::gates::{Doubt, Finding, find};
use super::{Clause, Figure, Part, Requests, Scope, Statistic, Timing};
use crate::stats::series::Slice;

/// What happened in so many nanoseconds of time.
///
/// Latencies are those of the responses that came in it, and the ages of what was given up in it or waits at its end: the
/// least that those would have taken. A request that failed in it otherwise is slower than any, and so is a connection that
/// is missing at its end: it stands for a request that waits.
pub struct Piece<'a> {
    /// What happened.
    pub slice: &'a Slice,
    /// How long it took.
    pub length_ns: u64,
}

#[expect(clippy::cast_precision_loss, reason = "counts and times are far below 2^53")]
impl Part for Piece<'_> {
    fn requests(&self) -> Requests {
        let Slice { scheduled, completed, ok, errors, missing, .. } = *self.slice;
        Requests {
            ended: ok + errors + missing,
            failed: errors + missing,
            timeouts: None,
            unsent: None,
            offered: (scheduled + missing) as f64,
            completed: completed as f64,
            ok: Some(ok as f64),
        }
    }

    fn per_second(&self, count: f64) -> Option<f64> {
        Some(count * 1e9 / self.length_ns as f64)
    }

    fn time(&self, timing: Timing, statistic: Statistic) -> Option<Figure> {
        let piece = self.slice;
        let bounds = piece.unanswered() + piece.waiting() + piece.missing;
        let count = piece.count() + piece.waiting();
        let all = count + piece.failed() + piece.missing;
        if timing != Timing::Response || all == 0 {
            return None;
        }
        Some(match statistic {
            Statistic::Quantile(quantile) => {
                let rank = rank_of(quantile, all);
                let most = piece.answered_at_rank(rank).map(|most_ns| most_ns as f64);
                Figure { least: piece.bound_at_rank(rank) as f64, most, interval: None }
            }
            Statistic::Max => {
                Figure::bound(piece.max_ns.max(piece.waiting.max_ns) as f64, bounds == 0)
            }
            Statistic::Mean => {
                let sum_ns = piece.sum_ns + piece.waiting.sum_ns;
                Figure::bound(sum_ns as f64 / count.max(1) as f64, bounds == 0)
            }
        })
    }
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
            find(&self.clause, &Piece { slice: &piece, length_ns: self.length_ns })
        };
        self.findings.push(finding);
    }

    /// Nothing has ended, and what waits has waited for as long as that already. How long it really takes is told by the
    /// pieces that follow; silence by itself only breaks what it lasts longer than.
    #[expect(clippy::cast_precision_loss, reason = "times are far below 2^53")]
    fn silence(&self) -> Finding {
        let value = self.silent_ns as f64;
        Finding { value, doubt: Some(Doubt::Unanswered), holds: self.clause.holds(value) }
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
                && worst.is_none_or(|(_, known)| finding.is_worse(&self.clause, &known))
            {
                worst = Some((start_ns, *finding));
            }
            start_ns = end_ns;
        }
        worst
    }
}
