//! Whether a run is still worth its time: conditions that are looked at while it goes on, over its last seconds.

use std::collections::VecDeque;

use super::Clause;
use super::windows::find;
use crate::analysis::series::Slice;

/// Seconds that are looked at together.
const SECONDS: usize = 10;
/// With fewer requests nothing is decided.
const FEWEST: u64 = 20;
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
            let seen = match condition.metric.is_throughput() {
                true => last.scheduled,
                false => last.ok + last.errors,
            };
            let found = find(condition, &last, length_ns).filter(|_| seen >= FEWEST)?;
            found.holds.then_some((place, found.value))
        })
    }
}
