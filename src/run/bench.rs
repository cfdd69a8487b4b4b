//! The life of a command that measures: what it needs is asked of this machine and of the target once, and then it makes one
//! run or many.
//!
//! Owned by the control plane. It must not know why there are several runs, nor what is made of them.

use std::time::Duration;

use super::preflight::{await_target, warn_of_place};
use super::{Interrupts, Progress, Session, machine};
use crate::core::failure::{Phase, errno_name};
use crate::exit::{Refusal, Signal};
use crate::plan::Plan;
use crate::result::summary::{End, Engine, Seen, Summary};
use crate::time::seconds;
use crate::units::thousands;

/// What becomes of the connections of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Connections {
    /// The next run finds them open and used, as a server in service is found.
    Kept,
    /// Each run opens its own: the runs differ in how many connections they have or in how many requests each of them holds,
    /// and none of them is to find what another one has left.
    Renewed,
}

/// A machine and a target that are ready for runs.
#[derive(Debug)]
pub struct Bench {
    plan: Plan,
    engine: Engine,
    interrupts: Interrupts,
    connections: Connections,
    session: Option<Session>,
    seen: Option<Seen>,
    warnings: Vec<String>,
    /// A run has come to its end.
    has_run: bool,
}

impl Bench {
    /// Asks this machine for what `plan` needs, and the target for one answer. Connections are kept from run to run.
    ///
    /// # Errors
    /// What this machine refuses, or why a run would be of no use; nothing was measured.
    pub fn prepare(plan: Plan, interrupts: Interrupts) -> Result<Self, Refusal> {
        let engine = machine::prepare(&plan)?;
        let (plan, answer) = await_target(plan, &interrupts)?;
        let mut warnings = warn_of_place(&plan);
        let seen = match answer {
            Some(Ok(seen)) => {
                warnings.extend(seen.warnings.iter().cloned());
                Some(seen)
            }
            Some(Err(why)) => {
                warnings.push(format!("no answer to one request before the run: {why}"));
                None
            }
            None => None,
        };
        Ok(Self {
            plan,
            engine,
            interrupts,
            connections: Connections::Kept,
            session: None,
            seen,
            warnings,
            has_run: false,
        })
    }

    /// The same with a word on the connections.
    #[must_use]
    pub fn with_connections(self, connections: Connections) -> Self {
        Self { connections, ..self }
    }

    /// What was planned, with the way on which the target was found.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the target answered before the first run.
    #[must_use]
    pub const fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// What a user should know before the first run: of the place that the load goes to, and of the answer.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Sends nothing for so long, and says which signal ended that early.
    #[must_use]
    pub fn pause(&self, length: Duration) -> Option<Signal> {
        self.interrupts.pause(length)
    }

    /// Closes all connections: what comes next needs none.
    pub fn close(&mut self) {
        self.session = None;
    }

    /// Makes one run of `plan`, which differs from [`Bench::plan`] in its load only. `watch` is called from this thread while
    /// it goes on, and at its end.
    ///
    /// # Errors
    /// What this machine refuses all the same; or why the first run could open no connection, so that nothing is known.
    pub fn run(
        &mut self,
        plan: &Plan,
        mut watch: impl FnMut(Progress<'_>),
    ) -> Result<Summary, Refusal> {
        let session = match self.session.take() {
            Some(kept) => kept,
            None => self.open(plan)?,
        };
        // One word about the engine is enough.
        if let Some(cause) = self.engine.instead_because().filter(|_| !self.has_run) {
            watch(Progress::Fallback(cause));
        }
        let ended = session.run(plan, &self.interrupts, &mut watch);
        watch(Progress::Ended);
        match self.connections {
            Connections::Kept => self.session = Some(session),
            Connections::Renewed => drop(session),
        }
        let summary = Summary { preflight: self.seen.clone(), ..ended? };
        if let (false, Some(refusal)) = (self.has_run, no_connection(plan, &summary)) {
            return Err(refusal);
        }
        self.has_run = true;
        Ok(summary)
    }

    /// Opens a session for runs like that of `plan`, which may need more than the one before it.
    fn open(&self, plan: &Plan) -> Result<Session, Refusal> {
        machine::check(plan)?;
        Session::open(plan, self.engine.clone())
    }
}

/// Why a run could not open a connection, in one line; `None` where it did, or was stopped before.
#[must_use]
pub fn no_connection(plan: &Plan, summary: &Summary) -> Option<Refusal> {
    if summary.record.connections.opened > 0 || matches!(summary.end, End::Interrupted(_)) {
        return None;
    }
    let (target, route) = (&plan.target, &plan.route);
    let rows = summary.record.errors.rows();
    let Some(row) = rows.iter().max_by_key(|row| row.count) else {
        return Some(Refusal::target(format!(
            "{target}: no connection to {route} could be opened, and none has failed; raise --give-up"
        )));
    };
    let failure = row.failure;
    let kind = failure.kind;
    let sample = match &row.sample[..] {
        [] => String::new(),
        sample => format!(", '{}'", sample.escape_ascii()),
    };
    let errno = errno_name(failure.errno).map(|errno| format!(", {errno}")).unwrap_or_default();
    let failed = summary.record.connections.failed;
    let attempts = if failed == 1 { "attempt" } else { "attempts" };
    let tried = thousands(&failed.to_string());
    let cause = format!("{}{errno}, {tried} {attempts}{sample}", kind.name());
    let hint = failure.hint();
    let message = if failure.is_permanent() {
        let why = kind.description().trim_end_matches('.');
        format!("{target}: no connection to {route}: {why} ({cause}); {hint}")
    } else {
        let patience_ns = plan.timeouts.give_up_ns.min(plan.load.duration_ns.unwrap_or(u64::MAX));
        format!(
            "{target}: no connection to {route} in {:.1} s ({cause}); {hint}; -d and --give-up set how long to try",
            seconds(patience_ns)
        )
    };
    Some(match failure.phase {
        Phase::Environment => Refusal::environment(message),
        _ => Refusal::target(message),
    })
}
