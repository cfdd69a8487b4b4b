//! The witness of what the machine does to a run: a thread on each core that client and target use, which asks to be woken
//! every few milliseconds and notes when it was woken much later.
//!
//! It competes for its core as client and target do, so that it sees a neighbor that takes the core as well as a host that
//! stops the machine. It must not know what the run is for, and takes next to no time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::machine::pressure::Held;
use crate::plan::Plan;
use crate::time::monotonic;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(2);
/// The scheduler makes threads that share a core wait for a few milliseconds each; more is none of its usual doing.
const HELD_FROM_NS: u64 = 10_000_000;
/// More cores are not watched.
const MOST_CORES: usize = 64;

/// Watches from its start to [`Witness::end`].
#[derive(Debug)]
pub struct Witness {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Held>>>,
}

impl Witness {
    /// Starts to watch the cores of the plan's workers, and all that this process may use when the target is on this host.
    /// Cores that cannot be watched are left out.
    #[must_use]
    pub fn start(plan: &Plan) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let mut cores = plan.cores.clone();
        if plan.same_host {
            let allowed = core_affinity::get_core_ids().unwrap_or_default();
            cores.extend(allowed.iter().map(|core| core.id));
        }
        cores.sort_unstable();
        cores.dedup();
        let threads = cores.into_iter().take(MOST_CORES).filter_map(|core| {
            let ended = Arc::clone(&ended);
            let thread = thread::Builder::new().name(format!("witness-{core}"));
            thread.spawn(move || watch(core, &ended)).ok()
        });
        Self { threads: threads.collect(), ended }
    }

    /// Ends it: when the machine was held up, in order of the time at which that began.
    #[must_use]
    pub fn end(mut self) -> Vec<Held> {
        self.ended.store(true, Ordering::Relaxed);
        let seen = self.threads.drain(..).filter_map(|thread| thread.join().ok());
        let mut all: Vec<Held> = seen.flatten().collect();
        all.sort_by_key(|held| held.from);
        all
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn watch(core: usize, ended: &AtomicBool) -> Vec<Held> {
    let mut seen = Vec::new();
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return seen;
    }
    let every_ns = u64::try_from(EVERY.as_nanos()).unwrap_or(u64::MAX);
    let mut last = monotonic();
    while !ended.load(Ordering::Relaxed) {
        thread::sleep(EVERY);
        let now = monotonic();
        let due = last.plus(every_ns);
        if now.since(due) >= HELD_FROM_NS {
            // Whatever took the core may have taken it at any moment since the last look.
            seen.push(Held { from: last, to: now });
        }
        last = now;
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::Witness;
    use crate::cli::RunArgs;
    use crate::plan::Plan;

    #[test]
    fn a_witness_ends_when_it_is_told_to_and_tells_what_it_saw_in_order() {
        let args = RunArgs::from_flags(&["--dry-run", "-t", "1"]).unwrap();
        let witness = Witness::start(&Plan::build("http://127.0.0.1:9/", &args).unwrap());
        assert!(!witness.threads.is_empty());
        std::thread::sleep(std::time::Duration::from_millis(20));
        let seen = witness.end();
        assert!(seen.is_sorted_by_key(|held| held.from));
        assert!(seen.iter().all(|held| held.to > held.from));
    }
}
