//! Whether a run is still worth its time: conditions that are looked at while it goes on, over its last seconds.
//!
//! What waits for an answer is looked at with what has ended: a target that says nothing is slow long before the first
//! request is given up.

use std::collections::VecDeque;

use super::Clause;
use super::windows::find;
use crate::analysis::series::Slice;

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
}

impl Lookout {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(conditions: Vec<Clause>) -> Self {
        Self { conditions, seconds: VecDeque::new() }
    }

    /// Takes the next second, and says which condition is true now, by its place, and of which value.
    pub fn see(&mut self, second: impl FnOnce() -> Slice) -> Option<(usize, f64)> {
        if self.conditions.is_empty() {
            return None;
        }
        if self.seconds.len() == SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second());
        let mut last = Slice::default();
        self.seconds.iter().for_each(|second| last.extend(second));
        let length_ns = SECOND_NS * self.seconds.len() as u64;
        self.conditions.iter().enumerate().find_map(|(place, condition)| {
            let ended = last.ok + last.errors;
            let is_silent = ended == 0 && self.seconds.len() >= SILENT_SECONDS;
            let enough = match condition.metric {
                metric if metric.is_throughput() => last.scheduled >= FEWEST,
                metric if metric.is_response_time() => {
                    ended + last.waiting() >= FEWEST || (is_silent && last.waiting() > 0)
                }
                _ => ended >= FEWEST,
            };
            let found = find(condition, &last, length_ns).filter(|_| enough)?;
            found.holds.then_some((place, found.value))
        })
    }
}
