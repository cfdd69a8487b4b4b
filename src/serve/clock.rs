//! Delays more accurate than the runtime's timer, for one worker thread.
//!
//! The runtime's wheel ticks every millisecond and rounds up, so an end of a delay may be seen
//! two milliseconds late. The clock sleeps on the wheel until shortly before the earliest
//! deadline and polls the time from there on, running other tasks and I/O between two looks.
//! Accuracy is then that of one turn of the event loop: a few microseconds on an idle core, the
//! length of a batch on a busy one, never early. The price is a core that does not sleep during
//! the last [`POLL_WINDOW`] of a delay.
//!
//! It must not know what waits, or why.

use std::cell::{Cell, RefCell};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How much before a deadline the wheel is left: its worst lateness, and some.
const POLL_WINDOW: Duration = Duration::from_micros(2200);

/// The deadlines of one thread.
#[derive(Default)]
pub(super) struct Clock {
    waiting: RefCell<BinaryHeap<Reverse<Entry>>>,
    /// Wakes [`Clock::drive`] when a deadline was added.
    driver: Cell<Option<Waker>>,
    /// Wakes [`Clock::relay`].
    relay: Cell<Option<Waker>>,
    stopped: Cell<bool>,
    /// Until then the thread polls, whether or not anything is due.
    awake_until: Cell<Option<Instant>>,
}

struct Entry {
    deadline: Instant,
    waker: Waker,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.deadline == other.deadline
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.deadline.cmp(&other.deadline)
    }
}

impl Clock {
    /// Resolves at `deadline`, or at once when the clock stops.
    pub(super) async fn until(&self, deadline: Instant) {
        let mut waits = false;
        poll_fn(|cx| {
            if self.stopped.get() || Instant::now() >= deadline {
                return Poll::Ready(());
            }
            if !waits {
                waits = true;
                let entry = Entry { deadline, waker: cx.waker().clone() };
                self.waiting.borrow_mut().push(Reverse(entry));
                wake(&self.driver);
            }
            Poll::Pending
        })
        .await;
    }

    /// Keeps the thread from sleeping until `until`: what comes in meanwhile is seen at once.
    pub(super) fn stay_awake(&self, until: Instant) {
        let asleep = self.awake_until.replace(Some(until)).is_none();
        if asleep {
            wake(&self.driver);
        }
    }

    fn is_awake(&self, now: Instant) -> bool {
        let awake = self.awake_until.get().is_some_and(|until| now < until);
        if !awake {
            self.awake_until.set(None);
        }
        awake
    }

    /// Ends every delay, the driver and the relay.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
        wake(&self.driver);
        wake(&self.relay);
    }

    /// Serves the deadlines until the clock stops.
    pub(super) async fn drive(&self) {
        while !self.stopped.get() {
            let now = Instant::now();
            match self.wake_due(now) {
                _ if self.is_awake(now) => self.turn().await,
                None => self.next_change(None).await,
                Some(earliest) if earliest > now + POLL_WINDOW => {
                    self.next_change(Some(earliest - now - POLL_WINDOW)).await;
                }
                Some(_) => self.turn().await,
            }
        }
        for Reverse(entry) in self.waiting.take() {
            entry.waker.wake();
        }
    }

    /// The other half of [`Clock::turn`].
    pub(super) async fn relay(&self) {
        while !self.stopped.get() {
            pause(&self.relay).await;
            wake(&self.driver);
        }
    }

    /// Wakes what is due and returns the earliest deadline that is not.
    fn wake_due(&self, now: Instant) -> Option<Instant> {
        let mut waiting = self.waiting.borrow_mut();
        while let Some(Reverse(entry)) = waiting.peek() {
            if entry.deadline > now {
                return Some(entry.deadline);
            }
            if let Some(Reverse(entry)) = waiting.pop() {
                entry.waker.wake();
            }
        }
        None
    }

    /// Waits for a new deadline, or for `limit` on the runtime's wheel.
    async fn next_change(&self, limit: Option<Duration>) {
        let mut sleep = pin!(limit.map(monoio::time::sleep));
        let mut change = pin!(pause(&self.driver));
        poll_fn(|cx| {
            let slept = match sleep.as_mut().as_pin_mut() {
                Some(sleep) => sleep.poll(cx).is_ready(),
                None => false,
            };
            if slept { Poll::Ready(()) } else { change.as_mut().poll(cx) }
        })
        .await;
    }

    /// Lets every other task and the I/O have a turn. A task that wakes itself is put at the
    /// front of the runtime's queue and would starve all others; one woken by another task goes
    /// to the back. Hence the relay.
    async fn turn(&self) {
        wake(&self.relay);
        pause(&self.driver).await;
    }
}

fn wake(slot: &Cell<Option<Waker>>) {
    if let Some(waker) = slot.take() {
        waker.wake();
    }
}

/// Leaves the task's waker in `slot` and resolves when it was taken out.
fn pause(slot: &Cell<Option<Waker>>) -> impl Future<Output = ()> {
    struct Pause<'a> {
        slot: &'a Cell<Option<Waker>>,
        armed: bool,
    }
    impl Future for Pause<'_> {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            let waker = self.slot.take();
            if self.armed && waker.is_none() {
                return Poll::Ready(());
            }
            self.armed = true;
            self.slot.set(Some(cx.waker().clone()));
            Poll::Pending
        }
    }
    Pause { slot, armed: false }
}
