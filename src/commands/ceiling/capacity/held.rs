//! What a failed trial would have been without the requests that the machine held up.
//!
//! A machine that is held up makes goals harder to keep and never easier. So a pass counts whatever happened, and a
//! failure counts unless the requests that were due or in flight while the machine was held up made the difference.

use crate::commands::ceiling::search::Measure;
use crate::machine::pressure::Held;
use crate::result::summary::Summary;
use crate::slo::{Clause, Scope};
use crate::stats::series::Slice;
use crate::time::seconds;

/// When the machine was held up, in nanoseconds since the measured window began, as far as it concerns that window.
pub(super) struct Excuse<'a> {
    summary: &'a Summary,
    /// As the witness saw it.
    held: Vec<(u64, u64)>,
    /// The same until what was held up had been answered.
    stretches: Vec<(u64, u64)>,
}

impl<'a> Excuse<'a> {
    /// What `held` excuses in a run; `None` when the machine let it be.
    pub(super) fn of(summary: &'a Summary, held: &[Held]) -> Option<Self> {
        let end_ns = summary.window.measured_ns + summary.window.drain_ns;
        let mut stretches: Vec<(u64, u64)> = held
            .iter()
            .map(|held| (held.from.since(summary.origin), held.to.since(summary.origin)))
            .filter(|&(from_ns, to_ns)| to_ns > 0 && from_ns < end_ns)
            .collect();
        stretches.sort_unstable();
        let excuse = Self { summary, held: stretches.clone(), stretches };
        (!excuse.stretches.is_empty()).then(|| excuse.until_answered())
    }

    /// What comes while requests that were held up are still unanswered has to wait for them: a stretch lasts until they are
    /// answered, as far as slices tell, and no longer than a target that is 90 % busy takes to catch up.
    fn until_answered(self) -> Self {
        const LONGEST: u64 = 10;
        let later = |(held_from, held_to): (u64, u64)| {
            let awaited = self.slices().filter(|(from_ns, to_ns, slice)| {
                let since_ns = from_ns.saturating_sub(slice.max_ns);
                held_from < *to_ns && since_ns < held_to && slice.completed > 0
            });
            let answered = awaited.map(|(_, to_ns, _)| to_ns).fold(held_to, u64::max);
            (held_from, answered.min(held_to + LONGEST * (held_to - held_from)))
        };
        let stretches = self.stretches.iter().copied().map(later).collect();
        Self { stretches, ..self }
    }

    /// Whether the goal would have been kept without what the machine held up.
    pub(super) fn keeps(&self, clause: &Clause, found: &Measure) -> bool {
        if clause.scope != Scope::Window {
            // It is not known here which piece of time missed its goal.
            return false;
        }
        let metric = clause.metric;
        if metric.is_longest() {
            return self.rest_is_faster(clause.limit);
        }
        let Some(limit) = metric.tolerated_share(clause.limit, clause.unit) else { return false };
        let excused = if metric.is_share_of_requests() {
            self.errors()
        } else if metric.is_throughput() {
            self.due() + self.errors()
        } else {
            self.slower(clause.limit)
        };
        let rest = (found.amount - excused).max(0.0);
        rest <= limit * (found.of - excused).max(0.0)
    }

    /// Whether requests may pile up for no other reason: the machine was held up in the second half, for as much of it as
    /// what is outstanding has to grow by to be called unstable.
    pub(super) fn explains_growth(&self) -> bool {
        const SHARE: u64 = 100;
        let half_ns = self.summary.window.measured_ns / 2;
        let held_ns: u64 = self
            .held
            .iter()
            .map(|&(from_ns, to_ns)| to_ns.saturating_sub(from_ns.max(half_ns)))
            .sum();
        held_ns * SHARE >= half_ns
    }

    /// Whether no answer that was not held up took longer than `limit_ns`.
    #[expect(clippy::cast_precision_loss, reason = "a limit in nanoseconds, far below 2^53")]
    fn rest_is_faster(&self, limit_ns: f64) -> bool {
        self.slices().all(|(from_ns, to_ns, slice)| {
            slice.max_ns as f64 <= limit_ns || self.concerns(from_ns, to_ns, slice.max_ns)
        })
    }

    /// Requests slower than `limit_ns` that were due or in flight while the machine was held up.
    #[expect(clippy::cast_precision_loss, reason = "shares are shown with few digits")]
    fn slower(&self, limit_ns: f64) -> f64 {
        let mut slower = 0;
        for (from_ns, to_ns, slice) in self.slices() {
            for (latency_ns, count) in slice.latency.iter() {
                if latency_ns as f64 > limit_ns && self.concerns(from_ns, to_ns, latency_ns) {
                    slower += count;
                }
            }
        }
        slower as f64
    }

    /// Requests without a good answer that may have been due or in flight while the machine was held up. How long each of
    /// them took is not known, but for the longest answer of their slice.
    #[expect(clippy::cast_precision_loss, reason = "shares are shown with few digits")]
    fn errors(&self) -> f64 {
        let concerned = self
            .slices()
            .filter(|(from_ns, to_ns, slice)| self.concerns(*from_ns, *to_ns, slice.max_ns));
        concerned.map(|(_, _, slice)| slice.errors).sum::<u64>() as f64
    }

    /// Requests that came due while the machine was held up, on average.
    fn due(&self) -> f64 {
        let mut held_ns = 0;
        let mut told_ns = 0;
        for &(from_ns, to_ns) in &self.stretches {
            held_ns += to_ns.saturating_sub(from_ns.max(told_ns));
            told_ns = told_ns.max(to_ns);
        }
        self.summary.rates().offered_rps * seconds(held_ns)
    }

    fn slices(&self) -> impl Iterator<Item = (u64, u64, &'a Slice)> {
        let slice_ns = self.summary.series.slice_ns();
        let slices = self.summary.series.slices();
        (0_u64..)
            .zip(slices)
            .map(move |(index, slice)| (index * slice_ns, (index + 1) * slice_ns, slice))
    }

    /// Whether an answer that came between two moments, after so long, was awaited while the machine was held up.
    fn concerns(&self, from_ns: u64, to_ns: u64, latency_ns: u64) -> bool {
        let due_ns = from_ns.saturating_sub(latency_ns);
        self.stretches.iter().any(|&(held_from, held_to)| held_from < to_ns && due_ns < held_to)
    }
}
