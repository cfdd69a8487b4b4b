//! How late the loop on epoll looks at what has happened.
//!
//! Owned by one thread. A worker with a schedule is late by how much the clock came later than it wanted to, whatever kept
//! it. One without is late if its thread did nothing for longer than the clock wanted to sleep, or if a single event took
//! too long: it was away then, and what it finds was there meanwhile.

use std::cell::Cell;

use crate::core::worker::Late;
use crate::time::Nanos;

/// Rounds of the loop in which may be seen what came while the thread was away: the one in which that is found out, the rest
/// of the events that were taken with the one that told of it, which come after the clock's next turn, and the next.
const AWAY_ROUNDS: u8 = 3;

/// When the clock wanted to look, and when the thread was last seen to do something.
#[derive(Debug)]
pub(super) struct Looks {
    paced: bool,
    /// When the clock wanted to look again: whatever is seen later is seen late.
    expected: Cell<Nanos>,
    /// How late the clock itself came, which whatever is seen in its turn has waited for, in nanoseconds.
    carried_ns: Cell<u64>,
    active_at: Cell<Nanos>,
    /// How late a worker without a schedule looks, in so many rounds from now on.
    away: Cell<(u8, Late)>,
    /// Time away that nobody was told of yet, in nanoseconds.
    news_ns: Cell<u64>,
}

impl Looks {
    /// Nothing is late now; `paced` when requests come by a schedule.
    pub(super) fn new(paced: bool, now: Nanos) -> Self {
        Self {
            paced,
            expected: Cell::new(now),
            carried_ns: Cell::new(0),
            active_at: Cell::new(now),
            away: Cell::default(),
            news_ns: Cell::new(0),
        }
    }

    /// What was late before is no longer: another run begins.
    pub(super) fn forget(&self, now: Nanos) {
        self.expected.set(now);
        self.carried_ns.set(0);
        self.active_at.set(now);
        self.away.take();
        self.news_ns.set(0);
    }

    /// The clock has its turn: what was late for long enough before is no longer.
    pub(super) fn begin_round(&self, now: Nanos) {
        let (rounds, late) = self.away.get();
        let left = rounds.saturating_sub(1);
        self.away.set((left, if left > 0 { late } else { Late::default() }));
        let late = Late::by(now.since(self.expected.get()));
        if self.paced && late.counts() {
            self.news_ns.set(self.news_ns.get() + late.look_ns);
        }
    }

    /// The clock asks for another round at once.
    pub(super) fn spin(&self, now: Nanos) {
        self.carried_ns.set(now.since(self.expected.replace(now)));
    }

    /// The clock sleeps until `wake_up`.
    pub(super) fn nap(&self, wake_up: Nanos, now: Nanos) {
        self.carried_ns.set(0);
        self.expected.set(wake_up.max(now));
    }

    /// The thread did something until now that may take its time.
    pub(super) fn was_busy(&self, now: Nanos) {
        self.active_at.set(now);
    }

    /// The thread saw to an event for `turn_ns`, until now.
    pub(super) fn saw_to_event(&self, turn_ns: u64, now: Nanos) {
        self.active_at.set(now);
        self.note_away(Late::by(turn_ns));
    }

    /// By how much this look comes later than the clock wanted to, in nanoseconds, and how late that makes the worker.
    pub(super) fn look(&self, now: Nanos) -> (u64, Late) {
        let expected_ns = now.since(self.expected.get()).max(self.carried_ns.get());
        if self.paced {
            return (expected_ns, Late::by(expected_ns));
        }
        let idle_from = self.active_at.replace(now);
        let look_ns = now.since(self.expected.get().max(idle_from));
        self.note_away(Late { look_ns, unseen_ns: now.since(idle_from) });
        (expected_ns, self.away.get().1)
    }

    fn note_away(&self, late: Late) {
        if !self.paced && late.counts() {
            self.away.set((AWAY_ROUNDS, late));
            self.news_ns.set(self.news_ns.get() + late.look_ns);
        }
    }

    /// The thread has just found out that it was away: what waits to be seen must be seen before anybody is given up. The
    /// clock may have its turn in the middle of what was taken together.
    pub(super) fn just_back(&self) -> bool {
        self.away.get().0 >= AWAY_ROUNDS - 1
    }

    /// What is seen now may have come while the thread was away.
    pub(super) fn was_away(&self) -> bool {
        self.away.get().0 > 0
    }

    /// Time away since the last call, in nanoseconds.
    pub(super) fn take_news_ns(&self) -> u64 {
        self.news_ns.take()
    }
}

#[cfg(test)]
mod tests {
    use super::Looks;
    use crate::core::worker::Late;
    use crate::time::Nanos;

    const MS: u64 = 1_000_000;

    #[test]
    fn what_is_found_after_a_pause_is_late_for_three_rounds_and_the_pause_is_told_once() {
        let looks = Looks::new(false, Nanos(0));
        looks.nap(Nanos(20 * MS), Nanos(0));
        // Stopped from 1 ms to 1 s.
        let (_, late) = looks.look(Nanos(1000 * MS));
        assert_eq!(late, Late { look_ns: 980 * MS, unseen_ns: 1000 * MS });
        looks.saw_to_event(5_000, Nanos(1000 * MS + 5_000));
        let (_, late) = looks.look(Nanos(1000 * MS + 6_000));
        assert_eq!(late.unseen_ns, 1000 * MS, "the next event of the round waited as long");
        assert!(looks.was_away() && looks.just_back());
        looks.begin_round(Nanos(1001 * MS));
        assert!(looks.was_away() && looks.just_back(), "others may have come with that event");
        looks.begin_round(Nanos(1002 * MS));
        assert!(looks.was_away() && !looks.just_back());
        looks.begin_round(Nanos(1003 * MS));
        assert!(!looks.was_away());
        assert_eq!((looks.take_news_ns(), looks.take_news_ns()), (980 * MS, 0));
    }

    #[test]
    fn a_thread_that_is_busy_is_not_away() {
        let looks = Looks::new(false, Nanos(0));
        looks.nap(Nanos(20 * MS), Nanos(0));
        for event in 1..10_000 {
            let now = Nanos(event * 10_000);
            let (_, late) = looks.look(now);
            assert_eq!(late, Late::default());
            looks.saw_to_event(9_000, now.plus(9_000));
        }
        assert_eq!(looks.take_news_ns(), 0);
    }

    #[test]
    fn a_schedule_is_kept_or_not_whatever_the_thread_was_busy_with() {
        let looks = Looks::new(true, Nanos(0));
        looks.nap(Nanos(20 * MS), Nanos(0));
        looks.was_busy(Nanos(50 * MS));
        assert_eq!(looks.look(Nanos(50 * MS)), (30 * MS, Late::by(30 * MS)));
        looks.begin_round(Nanos(50 * MS));
        assert_eq!(looks.take_news_ns(), 30 * MS);
    }
}
