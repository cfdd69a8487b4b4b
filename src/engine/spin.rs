//! How long a worker spins, on the wall clock and on the CPU clock of its thread.
//!
//! The two differ when the core is taken away in the middle of a spin. What is subtracted from the CPU time of a worker
//! must be CPU time, so a long spin reads the CPU clock of its thread, which is a system call, a few times while it has
//! nothing else to do. A short spin never does: it adds up the steps between its looks at the wall clock and leaves out
//! those that are too long for a thread that kept its core.

use crate::core::record::ClientTally;
use crate::machine::sys;
use crate::time::Nanos;

/// A step between two looks at the wall clock that takes longer than this is no spinning: the core was away.
const LONGEST_STEP_NS: u64 = 20_000;
/// How often a spin reads the CPU clock.
const READ_EVERY_NS: u64 = 50_000;

/// What a worker has spent spinning so far, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    wall_ns: u64,
    cpu_ns: u64,
}

impl Spent {
    /// Adds a spin that has ended.
    pub(super) fn add(&mut self, spin: &Spin) {
        self.wall_ns += spin.at.since(spin.begun);
        self.cpu_ns += spin.cpu_ns + spin.unread_ns;
    }

    /// Writes down what has been spent since `before`, of the CPU time that the thread has used since then.
    pub(super) fn tell(&self, before: &Self, tally: &mut ClientTally) {
        tally.spin_ns = self.wall_ns - before.wall_ns;
        // Steps of a short spin may hold a few microseconds of somebody else.
        tally.spin_cpu_ns = (self.cpu_ns - before.cpu_ns).min(tally.cpu_ns);
    }
}

/// A spin that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spin {
    begun: Nanos,
    /// The last look at the wall clock.
    at: Nanos,
    /// When the CPU clock was read last, or the spin began, and what it showed.
    read_at: Nanos,
    read_ns: Option<u64>,
    /// CPU time up to that reading.
    cpu_ns: u64,
    /// Steps since then.
    unread_ns: u64,
}

impl Spin {
    /// One that begins now.
    pub(super) fn begin(now: Nanos) -> Self {
        Self { begun: now, at: now, read_at: now, read_ns: None, cpu_ns: 0, unread_ns: 0 }
    }

    /// Takes another look at the wall clock; `read_cpu_clock` is called now and then.
    #[inline]
    pub(super) fn step(&mut self, now: Nanos, read_cpu_clock: impl FnOnce() -> u64) {
        self.end(now);
        if now.since(self.read_at) < READ_EVERY_NS {
            return;
        }
        let read_ns = read_cpu_clock();
        // The first reading has nothing to be compared with.
        let since_ns = self.read_ns.map_or(self.unread_ns, |before_ns| read_ns - before_ns);
        self.cpu_ns += since_ns;
        (self.read_at, self.read_ns, self.unread_ns) = (now, Some(read_ns), 0);
    }

    /// Takes the last look, without another one at the CPU clock: somebody waits.
    #[inline]
    pub(super) fn end(&mut self, now: Nanos) {
        let step_ns = now.since(self.at);
        self.at = now;
        self.unread_ns += if step_ns <= LONGEST_STEP_NS { step_ns } else { 0 };
    }
}

/// Spins that are made of rounds of an event loop. A round in which something was done is no part of one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rounds {
    spent: Spent,
    spin: Option<Spin>,
}

impl Rounds {
    /// With a round that began and ended, and was idle or not.
    #[must_use]
    pub(super) fn and(self, (begun, ended): (Nanos, Nanos), idle: bool) -> Self {
        if !idle {
            return self.paused();
        }
        let mut spin = self.spin.unwrap_or(Spin::begin(begun));
        spin.step(ended, sys::thread_cpu_ns);
        Self { spin: Some(spin), ..self }
    }

    /// After something else than spinning.
    #[must_use]
    pub(super) fn paused(self) -> Self {
        Self { spent: self.spent(), spin: None }
    }

    /// What has been spent so far.
    pub(super) fn spent(self) -> Spent {
        let mut spent = self.spent;
        self.spin.iter().for_each(|spin| spent.add(spin));
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::{Rounds, Spent, Spin};
    use crate::core::record::ClientTally;
    use crate::time::Nanos;

    /// Spins from 1 s on, in steps of these lengths on the wall clock and on the CPU clock, in nanoseconds.
    fn spin(steps: &[(u64, u64)]) -> Spin {
        let (mut now, mut cpu_ns) = (Nanos(1_000_000_000), 500);
        let mut spin = Spin::begin(now);
        for &(wall_ns, on_core_ns) in steps {
            now = now.plus(wall_ns);
            cpu_ns += on_core_ns;
            spin.step(now, || cpu_ns);
        }
        spin
    }

    fn tally(spins: &[Spin], cpu_ns: u64) -> (u64, u64) {
        let mut spent = Spent::default();
        spins.iter().for_each(|spin| spent.add(spin));
        let mut tally = ClientTally { cpu_ns, ..ClientTally::default() };
        spent.tell(&Spent::default(), &mut tally);
        (tally.spin_ns, tally.spin_cpu_ns)
    }

    #[test]
    fn a_spin_that_keeps_its_core_takes_as_much_cpu_time_as_wall_time() {
        let short = spin(&[(700, 700); 10]);
        let long = spin(&[(700, 700); 1000]);
        assert_eq!(tally(&[short, long], 1_000_000_000), (707_000, 707_000));
    }

    #[test]
    fn a_spin_that_loses_its_core_takes_no_cpu_time_meanwhile() {
        let early = spin(&[(700, 700), (4_000_000, 300), (700, 700)]);
        let (wall_ns, cpu_ns) = tally(&[early], 1_000_000_000);
        assert_eq!(wall_ns, 4_001_400);
        assert!((700..=1_700).contains(&cpu_ns), "{cpu_ns}");
        let mut steps = vec![(700, 700); 1000];
        steps[900] = (4_000_000, 300);
        let (wall_ns, cpu_ns) = tally(&[spin(&steps)], 1_000_000_000);
        assert_eq!(wall_ns, 4_000_000 + 999 * 700);
        assert_eq!(cpu_ns, 999 * 700 + 300);
    }

    #[test]
    fn a_short_visitor_on_the_core_is_no_cpu_time_of_a_long_spin() {
        // The wall clock alone cannot tell it from spinning: steps before the first reading and after the last are counted.
        let (_, cpu_ns) = tally(&[spin(&[(9_000, 1_000); 1000])], 1_000_000_000);
        assert!((1_000_000..1_100_000).contains(&cpu_ns), "{cpu_ns}");
    }

    #[test]
    fn spinning_never_takes_more_than_all_cpu_time() {
        assert_eq!(tally(&[spin(&[(700, 700); 100])], 40_000), (70_000, 40_000));
    }

    #[test]
    fn rounds_in_which_something_was_done_are_no_part_of_a_spin() {
        let mut rounds = Rounds::default();
        let round = |rounds: &mut Rounds, from: u64, to: u64, idle| {
            *rounds = rounds.and((Nanos(from), Nanos(to)), idle);
        };
        round(&mut rounds, 1_000, 2_000, true);
        round(&mut rounds, 2_000, 3_000, true);
        round(&mut rounds, 3_000, 9_000, false);
        round(&mut rounds, 9_000, 9_500, true);
        rounds = rounds.paused();
        round(&mut rounds, 20_000, 20_250, true);
        let mut tally = ClientTally { cpu_ns: 1_000_000, ..ClientTally::default() };
        rounds.spent().tell(&Spent::default(), &mut tally);
        assert_eq!((tally.spin_ns, tally.spin_cpu_ns), (2_750, 2_750));
    }

    #[test]
    fn what_was_spent_before_a_run_is_not_told_of_it() {
        let mut spent = Spent::default();
        spent.add(&spin(&[(700, 700); 10]));
        let before = spent;
        spent.add(&spin(&[(500, 500); 4]));
        let mut tally = ClientTally { cpu_ns: 1_000_000, ..ClientTally::default() };
        spent.tell(&before, &mut tally);
        assert_eq!((tally.spin_ns, tally.spin_cpu_ns), (2_000, 2_000));
    }
}
