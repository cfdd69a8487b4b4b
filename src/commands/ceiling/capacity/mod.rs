//! What a run says of the goals of a search for the highest load: from gates and a summary to a trial.
//!
//! Pure over finished runs. It must not know how trials are made or in which order; that is [`crate::commands::ceiling::search`]'s
//! and the command's business.

mod found;
mod held;
mod measure;

use crate::commands::ceiling::search::{Measure, Proposal, Trial, TrialVerdict};
use crate::machine::pressure::Held;
use crate::plan::Plan;
use crate::result::summary::{End, Summary, fewest_samples};
use crate::result::verdict::{Code, Level, Rule};
use crate::slo::{self, Clause, Relation, Scope};
pub use found::{Broken, Found, Row};
use held::Excuse;

/// From this multiple of its limit on, a goal is missed by so much that the rest of a trial can change nothing.
const HOPELESS: f64 = 20.0;
/// A share this large is hopeless whatever the limit, and a smaller one than the other never is.
const HOPELESS_SHARES: (f64, f64) = (0.1, 0.4);

/// A trial must have this many times what a quantile needs at least.
const ROOM: f64 = 1.3;

/// What a load must hold: the gates of the user, and what they imply.
#[derive(Clone, Debug, PartialEq)]
pub struct Goals {
    clauses: Vec<Clause>,
    /// How many of them the user gave.
    given: usize,
    /// A schedule could outrun the target.
    open: bool,
}

/// What a load that holds must not do, beside what the user says; nothing may be left unsent, answers must keep up.
const IMPLIED: &str = "unsent<=0%, achieved>=99%";

impl Goals {
    /// The gates `given` by the user and, in an open loop, what they imply: every request is sent, 99 % of what is offered
    /// is answered, and what is outstanding does not grow.
    ///
    /// # Panics
    /// Never: what is implied can be read.
    #[must_use]
    pub fn new(given: &[Clause], open: bool) -> Self {
        let implied = if open {
            slo::parse(IMPLIED).expect("what is implied is written here")
        } else {
            Vec::new()
        };
        let is_new = |clause: &Clause| {
            let same =
                |known: &Clause| known.metric == clause.metric && known.scope == Scope::Window;
            // A number a second says nothing of the share, and the other way round.
            !given.iter().any(|known| same(known) && known.unit == clause.unit)
        };
        let clauses = given.iter().cloned().chain(implied.into_iter().filter(is_new)).collect();
        Self { clauses, given: given.len(), open }
    }

    /// What a search needs to know of them.
    #[must_use]
    pub fn limits(&self) -> Vec<Option<f64>> {
        let growing = self.open.then_some(None);
        self.clauses.iter().map(measure::limit).chain(growing).collect()
    }

    /// Whether a goal is the user's own, by its place.
    #[must_use]
    pub const fn is_given(&self, goal: usize) -> bool {
        goal < self.given
    }

    /// Whether a goal asks for a share of what is offered, by its place.
    #[must_use]
    pub fn is_throughput(&self, goal: usize) -> bool {
        self.clauses.get(goal).is_some_and(|clause| clause.metric.is_throughput())
    }

    /// Whether a goal is a clause of the grammar of gates, by its place; that nothing piles up is none.
    #[must_use]
    pub fn has_clause(&self, goal: usize) -> bool {
        goal < self.clauses.len()
    }

    /// What a goal says, by its place.
    #[must_use]
    pub fn text(&self, goal: usize) -> &str {
        self.clauses.get(goal).map_or("nothing piles up", |clause| &clause.text)
    }

    /// The name of a goal, by its place.
    #[must_use]
    pub fn name(&self, goal: usize) -> String {
        let text = self.text(goal);
        if self.is_given(goal) { text.to_owned() } else { format!("{text} (implied)") }
    }

    /// Conditions that end a trial early, because it has failed already; in the grammar of `--abort-on`.
    #[must_use]
    pub fn hopeless(&self) -> Vec<Clause> {
        let conditions = self.clauses.iter().filter_map(|clause| {
            let limit = measure::limit(clause)?;
            // Where there is no room between kept and hopeless, the whole trial must tell.
            let share = (limit * HOPELESS).clamp(HOPELESS_SHARES.0, HOPELESS_SHARES.1);
            let share = (share >= 2.0 * limit).then_some(share)?;
            let (metric, limit) = clause.metric.with_tolerated_share(share, clause.limit)?;
            let whole = clause.scope == Scope::Window && clause.is_upper_bound();
            whole.then(|| Clause {
                text: format!("{} by far", clause.text),
                metric,
                scope: Scope::Window,
                relation: Relation::Above,
                limit,
                unit: clause.unit,
                confident: false,
            })
        });
        conditions.collect()
    }

    /// As many requests as a trial is to have, so that it says something of the highest quantile among the goals.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    pub fn wanted_requests(&self) -> f64 {
        match self.fewest_requests() {
            1 => 1.0,
            fewest => ROOM * fewest as f64,
        }
    }

    /// Fewest requests that say anything of the highest quantile among the goals.
    #[must_use]
    pub fn fewest_requests(&self) -> u64 {
        let quantiles = self.clauses.iter().filter_map(|clause| clause.metric.quantile());
        let needed = quantiles.map(fewest_samples);
        needed.max().unwrap_or(1)
    }

    /// What came of a trial, during which the machine was held up as `held` says.
    #[must_use]
    pub fn judge(
        &self,
        plan: &Plan,
        summary: &Summary,
        proposal: Proposal,
        held: &[Held],
    ) -> Trial {
        let mut measures: Vec<Measure> = self
            .clauses
            .iter()
            .enumerate()
            .map(|(goal, clause)| {
                let gate = summary.gates.get(goal).filter(|_| goal < self.given);
                measure::measure(clause, summary, gate.map(|gate| gate.holds))
            })
            .collect();
        let grows = summary.verdict.code == Code::Unstable;
        if self.open {
            measures.push(Measure { amount: f64::from(u8::from(grows)), of: 1.0, kept: !grows });
        }
        let cut_short = matches!(summary.end, End::Aborted { .. });
        let kept = measures.iter().all(|measure| measure.kept) && !cut_short;
        let scheduled = summary.counts().scheduled;
        let verdict = if matches!(summary.end, End::Interrupted(_)) {
            TrialVerdict::Inconclusive
        } else if kept {
            self.judge_kept(plan, summary)
        } else if self.is_excused(summary, &measures, held) {
            TrialVerdict::HeldUp
        } else if is_client_limited(plan, summary, self.misses_alone(summary, &measures)) {
            TrialVerdict::ClientLimited
        } else {
            TrialVerdict::Fail
        };
        Trial {
            proposal,
            verdict,
            requests: crate::result::summary::float(scheduled),
            measures,
            cut_short,
        }
    }

    /// What a trial says that kept all goals.
    fn judge_kept(&self, plan: &Plan, summary: &Summary) -> TrialVerdict {
        let too_few = summary.counts().scheduled < self.fewest_requests();
        if is_client_limited(plan, summary, true) {
            TrialVerdict::ClientLimited
        } else if too_few || summary.verdict.has_lost_connections() {
            // Goals that were kept by a target that went away were not put to the test.
            TrialVerdict::Inconclusive
        } else {
            TrialVerdict::Pass
        }
    }

    /// Whether a failed trial would have passed without what was due or in flight while the machine was held up.
    fn is_excused(&self, summary: &Summary, measures: &[Measure], held: &[Held]) -> bool {
        let Some(excuse) = Excuse::of(summary, held) else { return false };
        let goals = self.clauses.iter().zip(measures);
        let grows = self.open && measures.last().is_some_and(|growth| !growth.kept);
        let any = measures.iter().any(|found| !found.kept);
        any && goals
            .filter(|(_, found)| !found.kept)
            .all(|(clause, found)| excuse.keeps(clause, found))
            && (!grows || excuse.explains_growth())
    }

    /// Whether a goal that was missed would have been missed without the lateness of the client as well.
    fn misses_alone(&self, summary: &Summary, measures: &[Measure]) -> bool {
        let goals = self.clauses.iter().zip(measures);
        goals
            .into_iter()
            .any(|(clause, found)| !found.kept && measure::misses_alone(clause, summary))
            || (self.open && summary.verdict.code == Code::Unstable)
    }
}

/// Whether the client was the limit, so that the trial says nothing of the target; `certain` says that its lateness would
/// change nothing.
fn is_client_limited(plan: &Plan, summary: &Summary, certain: bool) -> bool {
    if summary.verdict.code != Code::ClientLimited {
        return false;
    }
    // A client that came late itself has only made it harder: its lateness is part of every response time, and what it
    // sent late came in a heap. Goals that were kept in spite of that are kept, and those that would have been missed
    // without it are missed.
    let invalid = summary.verdict.reasons.iter().filter(|reason| reason.level == Level::Invalid);
    let only_late =
        invalid.clone().count() > 0 && invalid.clone().all(|reason| reason.rule == Rule::ClientLag);
    !(plan.load.pacing.is_some() && certain && only_late)
}

/// Whether nobody answers any more: the target is gone, rather than overloaded.
#[must_use]
pub fn is_dead(summary: &Summary) -> bool {
    let answered = summary.counts().completed() + summary.record.warmup().counts.completed();
    let asked = summary.counts().scheduled > 0 || summary.record.connections.failed > 0;
    summary.end == End::GaveUp || (answered == 0 && asked)
}

/// Whether every answer was a bad one, so that this is not what the user means to search.
#[must_use]
pub fn is_all_bad(summary: &Summary) -> bool {
    let (measured, warmup) = (summary.counts(), &summary.record.warmup().counts);
    measured.completed() > 0 && measured.ok + warmup.ok == 0
}

#[cfg(test)]
mod held_tests;
#[cfg(test)]
mod tests;
