//! The laws that are in use, and what each has done so far: the server's own side of every account.
//!
//! An instance is known by the whole text of its path, so that another value of the `run` parameter gives a fresh one.
//! Shared by all threads behind one lock, held for a few instructions a request.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::law::{Asked, Decision, Deed, LawState};

/// Further instances are refused.
const MOST_INSTANCES: usize = 1024;
/// Arrivals are counted in bins of this length, in nanoseconds.
const BIN_NS: u64 = 100_000_000;
/// An hour of them.
const MOST_BINS: usize = 36_000;

/// What one instance of a law has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LawCounters {
    /// Requests received.
    pub requests: u64,
    /// Answered with 200.
    pub answered_200: u64,
    /// Answered with 503.
    pub answered_503: u64,
    /// Reset.
    pub reset: u64,
    /// Cut off in the middle of the answer.
    pub truncated: u64,
    /// Answered with what is no HTTP.
    pub garbage: u64,
    /// Closed without an answer.
    pub closed: u64,
    /// Never answered.
    pub silent: u64,
    /// When the first request was received, on the monotonic clock.
    pub first_received_ns: u64,
    /// When the last one was.
    pub last_received_ns: u64,
    /// Requests in each tenth of a second since the first.
    pub arrivals_per_100ms: Vec<u64>,
}

/// All instances by the text of their path.
#[derive(Debug, Default)]
pub(super) struct LawTable {
    instances: Mutex<BTreeMap<String, Instance>>,
}

#[derive(Debug, Default)]
struct Instance {
    state: LawState,
    counters: LawCounters,
}

impl LawTable {
    /// What becomes of a request that was received now; `None` when there is no room for another instance.
    pub(super) fn decide(&self, text: &str, asked: &Asked, received_ns: u64) -> Option<Decision> {
        let mut instances = self.instances.lock().expect("nobody panics with the lock");
        if !instances.contains_key(text) {
            if instances.len() == MOST_INSTANCES {
                return None;
            }
            instances.insert(text.to_owned(), Instance::default());
        }
        let instance = instances.get_mut(text)?;
        let decision = instance.state.decide(&asked.law, received_ns);
        instance.counters.count(decision.deed, received_ns);
        Some(decision)
    }

    /// What an instance has done so far.
    pub(super) fn counters(&self, text: &str) -> Option<LawCounters> {
        let instances = self.instances.lock().expect("nobody panics with the lock");
        instances.get(text).map(|instance| instance.counters.clone())
    }

    /// All of them, for `/counters`.
    pub(super) fn to_json(&self) -> Value {
        let instances = self.instances.lock().expect("nobody panics with the lock");
        instances
            .iter()
            .map(|(text, instance)| (text.clone(), instance.counters.to_json()))
            .collect()
    }
}

impl LawCounters {
    fn count(&mut self, deed: Deed, received_ns: u64) {
        if self.requests == 0 {
            self.first_received_ns = received_ns;
        }
        self.requests += 1;
        self.last_received_ns = received_ns;
        let counter = match deed {
            Deed::Answer => &mut self.answered_200,
            Deed::Busy => &mut self.answered_503,
            Deed::Close => &mut self.closed,
            Deed::Garbage => &mut self.garbage,
            Deed::Reset => &mut self.reset,
            Deed::Silent => &mut self.silent,
            Deed::Truncate => &mut self.truncated,
        };
        *counter += 1;
        let bin = received_ns.saturating_sub(self.first_received_ns) / BIN_NS;
        let bin = usize::try_from(bin).unwrap_or(MOST_BINS);
        if bin < MOST_BINS {
            if self.arrivals_per_100ms.len() <= bin {
                self.arrivals_per_100ms.resize(bin + 1, 0);
            }
            self.arrivals_per_100ms[bin] += 1;
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "requests": self.requests,
            "answered_200": self.answered_200,
            "answered_503": self.answered_503,
            "reset": self.reset,
            "truncated": self.truncated,
            "garbage": self.garbage,
            "closed": self.closed,
            "silent": self.silent,
            "first_received_ns": self.first_received_ns,
            "last_received_ns": self.last_received_ns,
            "arrivals_per_100ms": self.arrivals_per_100ms,
        })
    }
}
