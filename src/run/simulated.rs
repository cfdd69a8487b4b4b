//! Runs in virtual time: a plan, one worker, and a server in memory; for tests of what is made of many runs.

use std::sync::mpsc;
use std::time::SystemTime;

use super::merge::{self, Finished};
use super::observer::Observer;
use super::{LOG_BATCHES, News};
use crate::engine::sim::{self, Server};
use crate::machine::pressure::Pressure;
use crate::plan::Plan;
use crate::result::summary::{End, Engine, Summary};

/// Virtual time between two runs, in nanoseconds.
const PAUSE_NS: u64 = 500_000_000;

/// Runs of one worker after the other, against the same server in memory.
#[derive(Debug)]
pub struct SimulatedSession<'s> {
    server: &'s Server,
    session: Option<sim::Session<'s>>,
}

impl<'s> SimulatedSession<'s> {
    /// Before the first run.
    #[must_use]
    pub fn new(server: &'s Server) -> Self {
        Self { server, session: None }
    }

    /// Carries out a plan of one thread; what is measured of the machine is left out.
    pub fn run(&mut self, plan: &Plan) -> Summary {
        self.run_held_up(plan, &[])
    }

    /// The same on a machine that is held up: so long after the start of the run, warm-up included, for so long, in
    /// nanoseconds, in order.
    pub fn run_held_up(&mut self, plan: &Plan, stretches: &[(u64, u64)]) -> Summary {
        let job = plan.job(0);
        let mut session = match self.session.take() {
            None => sim::Session::new(job, self.server),
            Some(mut session) => {
                session.next(job, PAUSE_NS);
                session
            }
        };
        session.hold_up(stretches);
        let outcome = self.session.insert(session).finish();
        let (sender, intervals) = mpsc::channel();
        let (log_sender, requests) = mpsc::sync_channel(LOG_BATCHES);
        for interval in outcome.intervals {
            // The other end is in this very function.
            let _ = sender.send((0, interval));
        }
        drop((sender, log_sender));
        let mut observer = Observer::new(plan);
        observer.drain(&News { intervals, requests }, &mut |_| {});
        merge::merge(
            plan,
            Finished {
                engine: Engine::Uring,
                workers: vec![(outcome.record, outcome.span)],
                end: if outcome.overloaded { End::Overloaded } else { End::Finished },
                started_at: SystemTime::UNIX_EPOCH,
                observer,
                pressure: Pressure::default(),
                clock_read_ns: 0,
                unlogged: 0,
            },
        )
    }
}
