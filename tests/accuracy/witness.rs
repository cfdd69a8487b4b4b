//! The witness of what the machine does to both cores, independent of client and target: a thread on each that asks to
//! be woken every half millisecond, ahead of all ordinary threads, and notes how late it was. A request is as late as the
//! witness when the machine, or the host below it, takes the core away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::control::run_ahead;

/// Between two looks.
const EVERY: Duration = Duration::from_micros(500);

/// Runs until it is asked for what it saw.
pub(crate) struct Witness {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<u64>>>,
}

/// How late each look was, in nanoseconds, for each core.
pub(crate) struct Noise(Vec<Vec<u64>>);

impl Witness {
    pub(crate) fn start(cores: [usize; 2]) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let threads = cores.map(|core| {
            let ended = Arc::clone(&ended);
            thread::spawn(move || watch(core, &ended))
        });
        Self { ended, threads: threads.into() }
    }

    pub(crate) fn end(self) -> Noise {
        self.ended.store(true, Ordering::SeqCst);
        Noise(self.threads.into_iter().map(|thread| thread.join().unwrap()).collect())
    }
}

fn watch(core: usize, ended: &AtomicBool) -> Vec<u64> {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
    // Where that is not allowed, the witness is delayed by what it watches, too, and excuses more than it should.
    run_ahead("2");
    let mut late_ns = Vec::new();
    let mut due = Instant::now();
    while !ended.load(Ordering::SeqCst) {
        due += EVERY;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let late = Instant::now().saturating_duration_since(due).as_nanos();
        late_ns.push(u64::try_from(late).unwrap());
    }
    late_ns
}

impl Noise {
    /// The latest look on either core.
    pub(crate) fn longest_ns(&self) -> u64 {
        self.0.iter().flatten().copied().max().unwrap_or(0)
    }
}
