//! The signals that end what maxq does, caught and noted. Every command that measures or serves looks for them here.
//!
//! Owned by the control plane. Workers never see a signal: they are told to stop.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::exit::{Refusal, Signal};
use crate::machine::sys;
use crate::output;

/// The signals that end a run: the first asks for a partial report, a second one for it at once. Of all clones, the one that
/// looks first takes a signal.
#[derive(Clone, Debug)]
pub struct Interrupts {
    /// The number of the last signal that nobody has taken yet; 0 without one.
    last: Arc<AtomicUsize>,
    /// Gets a byte with each signal.
    woken: Arc<UnixStream>,
}

impl Interrupts {
    /// Catches every [`Signal`] from here on. A SIGHUP that is ignored stays ignored: that is what `nohup` is for.
    ///
    /// # Errors
    /// When the operating system refuses it.
    pub fn catch() -> Result<Self, Refusal> {
        let failed = |error| Refusal::environment(format!("signals cannot be caught: {error}"));
        let last = Arc::default();
        let (woken, waker) = UnixStream::pair().map_err(failed)?;
        for signal in Signal::ALL {
            let number = i32::from(signal.number());
            if signal == Signal::Hangup && sys::is_ignored(number) {
                continue;
            }
            let value = usize::from(signal.number());
            signal_hook::flag::register_usize(number, Arc::clone(&last), value).map_err(failed)?;
            let waker = waker.try_clone().map_err(failed)?;
            signal_hook::low_level::pipe::register(number, waker).map_err(failed)?;
        }
        output::end_waits_by(Arc::clone(&last));
        Ok(Self { last, woken: Arc::new(woken) })
    }

    /// A signal that came since the last call.
    #[must_use]
    pub fn take(&self) -> Option<Signal> {
        Signal::of(self.last.swap(0, Ordering::Relaxed))
    }

    /// Whether [`Interrupts::take`] would return one.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.last.load(Ordering::Relaxed) != 0
    }

    /// Sleeps for so long, and says which signal ended that early.
    #[must_use]
    pub fn pause(&self, length: Duration) -> Option<Signal> {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        let begun = Instant::now();
        loop {
            if let Some(signal) = self.take() {
                return Some(signal);
            }
            let left = length.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return None;
            }
            thread::sleep(left.min(LOOK_EVERY));
        }
    }

    /// Sleeps until one comes.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait(&self) -> Result<Signal, Refusal> {
        loop {
            if let Some(signal) = self.take() {
                return Ok(signal);
            }
            // It goes on when a signal interrupts it.
            (&*self.woken).read_exact(&mut [0]).map_err(|error| {
                Refusal::environment(format!("signals cannot be waited for: {error}"))
            })?;
        }
    }
}
