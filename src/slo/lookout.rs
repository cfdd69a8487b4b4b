//! Whether a run is still worth its time: conditions that are looked at while it goes on, over its last seconds.
//!
//! What waits for an answer is looked at with what has ended: a target that says nothing is slow long before the first
//! request is given up. So is a connection that is missing: a closed loop asks nothing of a target that is gone.

use std::collections::VecDeque;

use super::gates::find;
use super::windows::Piece;
use super::{Clause, Metric};
use crate::stats::series::{Slice, Waiting};

/// Seconds that are looked at together.
const SECONDS: usize = 10;
/// With fewer requests nothing is decided.
const FEWEST: u64 = 20;
/// Unless none of them has ended for so many seconds.
const SILENT_SECONDS: usize = 2;
const SECOND_NS: u64 = 1_000_000_000;

/// Conditions, and the last seconds of the measured window.
#[derive(Clone, Debug)]
pub struct Lookout {
    conditions: Vec<Clause>,
    seconds: VecDeque<Slice>,
    /// For so many seconds up to now nothing has ended.
    silent: usize,
}

impl Lookout {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(conditions: Vec<Clause>) -> Self {
        Self { conditions, seconds: VecDeque::new(), silent: 0 }
    }

    /// Takes the next second, and says which condition is true now, by its place, and of which value.
    pub fn see(&mut self, second: impl FnOnce() -> Slice) -> Option<(usize, f64)> {
        if self.conditions.is_empty() {
            return None;
        }
        if self.seconds.len() == SECONDS {
            self.seconds.pop_front();
        }
        let second = second();
        self.silent = if second.ok + second.errors == 0 { self.silent + 1 } else { 0 };
        let is_gone =
            self.silent >= SILENT_SECONDS && second.missing > 0 && second.outstanding == 0;
        self.seconds.push_back(second);
        // The good seconds before its end say nothing of a target that is gone.
        let length = if is_gone { self.silent.min(SECONDS) } else { self.seconds.len() };
        let mut last = Slice::default();
        self.seconds.range(self.seconds.len() - length..).for_each(|second| last.extend(second));
        let with_ages = is_gone.then(|| aged(&last, SECOND_NS * self.silent as u64));
        self.conditions.iter().enumerate().find_map(|(place, condition)| {
            let is_enough = is_gone || is_enough(condition.metric, &last, self.seconds.len());
            let of_ages = with_ages.as_ref().filter(|_| condition.metric.is_response_time());
            let length_ns = SECOND_NS * length as u64;
            let piece = Piece { slice: of_ages.unwrap_or(&last), length_ns };
            let found = find(condition, &piece).filter(|_| is_enough)?;
            found.holds.then_some((place, found.value))
        })
    }
}

/// Whether so many seconds have seen enough to decide something.
fn is_enough(metric: Metric, last: &Slice, seconds: usize) -> bool {
    let ended = last.ok + last.errors + last.missing;
    match metric {
        metric if metric.is_throughput() => last.scheduled + last.missing >= FEWEST,
        metric if metric.is_response_time() => {
            let is_silent = last.ok + last.errors == 0 && seconds >= SILENT_SECONDS;
            ended + last.waiting() >= FEWEST || (is_silent && last.waiting() > 0)
        }
        _ => ended >= FEWEST,
    }
}

/// The same with missing connections as requests that have waited for `age_ns`, which they have at least.
fn aged(last: &Slice, age_ns: u64) -> Slice {
    let waiting = Waiting {
        sum_ns: u128::from(age_ns) * u128::from(last.missing),
        max_ns: age_ns,
        ages: [(age_ns, last.missing)].into_iter().collect(),
    };
    Slice { missing: 0, waiting, ..last.clone() }
}
