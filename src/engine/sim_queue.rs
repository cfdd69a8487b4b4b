//! The line in front of the simulated server: when a request that comes now is answered, or turned away.
//!
//! Pure arithmetic over the clock of the simulation.

use crate::time::Nanos;

/// When a request is answered, and whether by turning it away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answered {
    /// It has been served by then.
    Served(Nanos),
    /// It has waited for as long as it may.
    TurnedAway(Nanos),
}

/// A line of servers, and the stretches in which the whole machine was held up.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// When each server has nothing left to do.
    free_at: Vec<Nanos>,
    /// When nothing runs on the machine: from, to, in order.
    holds: Vec<(Nanos, Nanos)>,
}

impl Line {
    /// Nothing runs on the machine in these stretches, in order; earlier ones are forgotten.
    pub(super) fn hold_up(&mut self, holds: Vec<(Nanos, Nanos)>) {
        self.holds = holds;
    }

    /// A request comes at `arrived`, waits for at most `patience_ns` for one of so many servers, and keeps it for
    /// `service_ns`.
    pub(super) fn serve(
        &mut self,
        arrived: Nanos,
        servers: u32,
        service_ns: u64,
        patience_ns: u64,
    ) -> Answered {
        self.free_at.resize(servers.max(1) as usize, Nanos(0));
        let arrived = self.runs_at(arrived);
        let Some(first_free) = self.free_at.iter_mut().min() else { unreachable!("one at least") };
        let start = arrived.max(*first_free);
        if start.since(arrived) > patience_ns {
            return Answered::TurnedAway(self.runs_at(arrived.plus(patience_ns)));
        }
        let free_at = runs_at(&self.holds, start.plus(service_ns));
        *first_free = free_at;
        Answered::Served(free_at)
    }

    /// The first moment from `at` on in which the machine runs.
    fn runs_at(&self, at: Nanos) -> Nanos {
        runs_at(&self.holds, at)
    }
}

fn runs_at(holds: &[(Nanos, Nanos)], at: Nanos) -> Nanos {
    holds.iter().fold(at, |at, &(from, to)| if at >= from && at < to { to } else { at })
}

#[cfg(test)]
mod tests {
    use super::{Answered, Line};
    use crate::time::Nanos;

    #[test]
    fn as_many_are_served_at_a_time_as_there_are_servers() {
        let mut line = Line::default();
        let mut serve = |at: u64| line.serve(Nanos(at), 2, 10, 5);
        assert_eq!(serve(100), Answered::Served(Nanos(110)));
        assert_eq!(serve(101), Answered::Served(Nanos(111)));
        assert_eq!(serve(105), Answered::Served(Nanos(120)));
        assert_eq!(serve(105), Answered::TurnedAway(Nanos(110)), "11 more were too long");
        assert_eq!(serve(106), Answered::Served(Nanos(121)));
    }

    #[test]
    fn nothing_happens_while_the_machine_is_held_up() {
        let mut line = Line::default();
        line.hold_up(vec![(Nanos(105), Nanos(200)), (Nanos(200), Nanos(300))]);
        assert_eq!(line.serve(Nanos(100), 1, 10, 50), Answered::Served(Nanos(300)));
        assert_eq!(line.serve(Nanos(150), 1, 10, 50), Answered::Served(Nanos(310)));
    }
}
