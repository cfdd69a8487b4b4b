//! `maxq ceiling`: trials on warm connections until the highest load that holds the gates is known.

pub mod capacity;
pub mod page;
pub mod search;
mod settings;

use std::time::{Duration, Instant};

use super::live::LiveLine;
use super::reports::{self, Forms, Reports, tell_of};
use super::tell;
use crate::cli::{CeilingArgs, RunArgs, WarmupArg};
use crate::commands::ceiling::capacity::{Broken, Found, Goals, Row, is_all_bad, is_dead};
use crate::commands::ceiling::search::{
    Ending, LONGEST_TRIAL_S, Proposal, Purpose, Search, SearchResult, SearchSettings, Step,
    TrialVerdict, trial_seed,
};
use crate::exit::{self, ExitCode, Refusal};
use crate::machine::pressure::Held;
use crate::plan::Plan;
use crate::report;
use page::Known;

use crate::core::schedule::Rate;
use crate::result::summary::{End, Summary};
use crate::run::{self, Bench, Connections, Interrupts, Witness};
use crate::time::Nanos;
use settings::{check, pause, settings, usual_warmup_ns};

/// After a trial, answers are awaited for no longer, in nanoseconds.
const LONGEST_DRAIN_NS: u64 = 1_000_000_000;

/// `maxq ceiling URL --slo ...`: returns the exit code of a search that came to a report.
///
/// # Errors
/// Why there is no report.
pub fn ceiling(args: &CeilingArgs) -> Result<ExitCode, Refusal> {
    reports::watched("ceiling", &(&args.target.args).into(), || search(args))
}

fn search(args: &CeilingArgs) -> Result<ExitCode, Refusal> {
    check(args)?;
    let settings = settings(args)?;
    let url = args.target.url.as_deref().unwrap_or_default();
    let plan = Plan::build(url, &base_args(args, &settings)?)?;
    let plan = trial(&plan, settings.from, settings.rules.trial_s)?;
    let goals = Goals::new(&plan.slo, !args.closed);
    let settings = SearchSettings {
        limits: goals.limits(),
        seed: plan.seed,
        fewest_requests: goals.wanted_requests(),
        ..settings
    };
    check_goals(&plan, &settings)?;
    let plan = explain_threads(plan, &settings)?;
    if plan.preflight.dry_run {
        return super::dry_run(&plan);
    }
    let settings = if args.closed { affordable(args, &plan, settings)? } else { settings };
    let reports = Reports::open(&plan.output)?;
    let bench = Bench::prepare(plan, Interrupts::catch()?)?.with_connections(if args.closed {
        Connections::Renewed
    } else {
        Connections::Kept
    });
    let plan = explain_threads(bench.plan().clone(), &settings)?;
    tell(&plan, bench.warnings());
    let hunt = Hunt {
        closed: args.closed,
        goals,
        slo: args.target.args.slo.clone().unwrap_or_default(),
        pause: pause(args),
        plan,
        bench,
        rows: Vec::new(),
        documents: Vec::new(),
        begun: Instant::now(),
    };
    hunt.carry_out(Search::new(settings), reports)
}

/// Says of the plan why there are so many threads. A search for connections begins with fewer of them than cores, so that
/// only its largest trial shows it.
fn explain_threads(plan: Plan, settings: &SearchSettings) -> Result<Plan, Refusal> {
    let Some(most) = settings.most.filter(|_| plan.load.pacing.is_none()) else { return Ok(plan) };
    let largest = trial(&plan, most, settings.rules.trial_s)?;
    let Plan { threads_asked, threads_reason, .. } = largest;
    Ok(Plan { threads_asked, threads_reason, ..plan })
}

/// Refuses goals that no search can be made for.
fn check_goals(plan: &Plan, settings: &SearchSettings) -> Result<(), Refusal> {
    for clause in &plan.slo {
        if clause.confident {
            return Err(Refusal::usage(format!(
                "--slo '{}': a search has an interval of its own; leave @ out",
                clause.text
            )));
        }
        if clause.is_upper_bound() == clause.metric.is_throughput() {
            return Err(Refusal::usage(format!(
                "--slo '{}': more load makes it easier to keep, so that it has no ceiling; leave it out",
                clause.text
            )));
        }
    }
    // The shortest trial must have room for all pieces of time that are named.
    let shortest = trial(plan, settings.from, settings.short_s);
    shortest.map_err(|Refusal { message, code }| Refusal {
        message: format!(
            "{message}; the shortest trials of a search take {} s (--trial)",
            settings.short_s
        ),
        code,
    })?;
    let closed = plan.load.pacing.is_none();
    let slowest_s = settings.fewest_requests / settings.from;
    if !closed && slowest_s > LONGEST_TRIAL_S {
        return Err(Refusal::usage(format!(
            "--from {}: the highest quantile of --slo needs {:.0} requests, which take longer than the {LONGEST_TRIAL_S} s of the longest trial; begin with {:.0} or more",
            settings.from,
            settings.fewest_requests,
            (settings.fewest_requests / LONGEST_TRIAL_S).ceil()
        )));
    }
    let first_s = settings.short_s.max(if closed { 0.0 } else { slowest_s });
    if settings.budget_s < first_s + settings.beside_s {
        return Err(Refusal::usage(format!(
            "--budget {} s: the first trial alone takes {:.1} s; allow more",
            settings.budget_s,
            first_s + settings.beside_s
        )));
    }
    Ok(())
}

/// What would be refused in the middle of a search is refused before it; where nobody said how far to go, it is as far as
/// this machine allows.
fn affordable(
    args: &CeilingArgs,
    plan: &Plan,
    settings: SearchSettings,
) -> Result<SearchSettings, Refusal> {
    let mut settings = settings;
    loop {
        let most = settings.most.unwrap_or(settings.from);
        let largest = trial(plan, most, settings.rules.trial_s)?;
        match run::prepare(&largest) {
            Ok(_) => return Ok(settings),
            Err(refusal) if args.max.is_some() || most <= settings.from => return Err(refusal),
            Err(_) => settings.most = Some((most / 2.0).floor().max(settings.from)),
        }
    }
}

/// The flags of the plan that all trials have in common.
fn base_args(args: &CeilingArgs, settings: &SearchSettings) -> Result<RunArgs, Refusal> {
    let mut run = args.target.args.clone();
    run.warmup = run.warmup.or(Some(WarmupArg::Fixed(usual_warmup_ns(args))));
    if args.closed {
        run.connections = count(settings.most.unwrap_or(settings.from));
        // There cannot be more workers than connections.
        run.threads = run.threads.map(|threads| threads.min(run.connections));
    } else {
        run.rate = Some(rate_of(settings.from)?);
    }
    run.duration = Some(Nanos::from_seconds(settings.rules.trial_s).0);
    // What is still unanswered then has missed its goal, and the next trial is to come soon.
    run.drain = run.drain.min(LONGEST_DRAIN_NS);
    Ok(run)
}

fn rate_of(load: f64) -> Result<Rate, Refusal> {
    Rate::nearest(load).ok_or_else(|| {
        Refusal::usage(format!(
            "--from, --max: {load} requests a second are more than any machine sends"
        ))
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number of connections, above 0"
)]
const fn count(load: f64) -> u64 {
    load as u64
}

/// The plan of a trial at `load` for so many seconds: connections of a closed loop, or the rate of an open one.
fn trial(plan: &Plan, load: f64, length_s: f64) -> Result<Plan, Refusal> {
    let mut trial = plan.load.clone();
    trial.duration_ns = Some(Nanos::from_seconds(length_s).0);
    if let Some(pacing) = &mut trial.pacing {
        pacing.rate = Some(rate_of(load)?);
        return plan.with_load(trial);
    }
    trial.connections = u32::try_from(count(load)).unwrap_or(u32::MAX);
    plan.with_load_for_fewer_threads(trial)
}

/// A search under way.
struct Hunt {
    closed: bool,
    goals: Goals,
    /// The gates as they were typed.
    slo: String,
    pause: Duration,
    plan: Plan,
    bench: Bench,
    rows: Vec<Row>,
    documents: Vec<report::Document>,
    begun: Instant,
}

impl Hunt {
    fn carry_out(mut self, mut search: Search, reports: Reports) -> Result<ExitCode, Refusal> {
        let mut broken = None;
        let mut refused = None;
        let answer = loop {
            let proposal = match search.next() {
                Step::Done(answer) => break answer,
                Step::Try(proposal) => proposal,
            };
            if !self.rows.is_empty()
                && let Some(signal) = self.bench.pause(self.pause(&search))
            {
                broken = Some(Broken::Interrupted(signal));
                break search.abandoned();
            }
            let begun_s = self.begun.elapsed().as_secs_f64();
            let known = self.known(&search);
            let (plan, summary, held) = match self.attempt(&proposal, &known) {
                Ok(made) => made,
                Err(refusal) if self.rows.is_empty() => return Err(refusal),
                Err(refusal) => {
                    broken = Some(Broken::Refused);
                    refused = Some(refusal);
                    break search.abandoned();
                }
            };
            if self.rows.is_empty() && is_all_bad(&summary) {
                return Err(Refusal::target(format!(
                    "{}: not one good response among {}; see what comes with maxq URL, or say what is good with --expect",
                    plan.target,
                    summary.counts().completed()
                )));
            }
            let trial = self.goals.judge(&plan, &summary, proposal, &held);
            if plan.output.json {
                self.documents.push(report::document(&plan, &summary));
            }
            self.rows.push(Row::of(trial.clone(), begun_s, &summary));
            if let End::Interrupted(signal) = summary.end {
                broken = Some(Broken::Interrupted(signal));
            } else if is_dead(&summary) {
                broken = Some(Broken::Dead);
            }
            if broken.is_some() {
                break search.abandoned();
            }
            search.record(trial, self.begun.elapsed().as_secs_f64());
            self.show(&search);
        };
        self.bench.close();
        let found = self.found(search.settings().clone(), answer, broken);
        let (code, why) = match refused {
            Some(refused) => (refused.code, Some(refused.message)),
            None => self.ending(&found),
        };
        let review = || page::ceiling_review(&found, code);
        let forms = Forms {
            text: &|style| page::ceiling_text(&self.plan, &found, style),
            quiet: &|| page::ceiling_quiet(&found),
            json: &|| page::ceiling_json(&self.plan, &found, &self.documents),
            tsv: &|| page::ceiling_tsv(&found),
            markdown: &|| review().markdown(),
            junit: &|| review().junit(),
        };
        let code = tell_of(&reports.write(&self.plan.output, &forms), code);
        if let Some(why) = why {
            eprintln!("maxq: {why}");
        }
        Ok(code)
    }

    /// How long nothing is sent before the next trial: longer where the machine was busy with something else, or the target
    /// may need time to recover.
    fn pause(&self, search: &Search) -> Duration {
        const LONGER: Duration = Duration::from_secs(1);
        let limited = |row: &&Row| {
            matches!(row.trial.verdict, TrialVerdict::ClientLimited | TrialVerdict::HeldUp)
        };
        let in_vain = self.rows.iter().rev().take_while(limited).count();
        let longer = LONGER * u32::try_from(in_vain).unwrap_or(1);
        (self.pause + longer).max(Duration::from_secs_f64(search.rest_s()))
    }

    /// Makes one trial.
    fn attempt(
        &mut self,
        proposal: &Proposal,
        known: &Known,
    ) -> Result<(Plan, Summary, Vec<Held>), Refusal> {
        let plan = trial(&self.plan, proposal.load, proposal.length_s)?;
        // Each trial draws arrivals of its own: they are to be independent of one another.
        let plan = plan.with_seed(trial_seed(self.plan.seed, self.rows.len()))?;
        // What is regressed is seen whole, and so is what verifies.
        let abort_on = match proposal.purpose {
            Purpose::Bracket | Purpose::Narrow | Purpose::Recheck => self.goals.hopeless(),
            Purpose::Confirm | Purpose::Verify => Vec::new(),
        };
        let plan = Plan { abort_on, ..plan };
        let count = self.rows.len() + 1;
        let (load, closed, known) = (proposal.load, self.closed, *known);
        let mut live = LiveLine::within(&plan, move |elapsed_s| {
            page::ceiling_trial(count, load, closed, &known.after(elapsed_s))
        });
        let witness = Witness::start(&plan);
        let summary = self.bench.run(&plan, |progress| live.show(progress))?;
        Ok((plan, summary, witness.end()))
    }

    fn known(&self, search: &Search) -> Known {
        let left_s = search.settings().budget_s - self.begun.elapsed().as_secs_f64();
        Known { bracket: search.bracket(), left_s: left_s.max(0.0) }
    }

    /// One line a trial, for those who watch.
    fn show(&self, search: &Search) {
        if !self.plan.output.shows_progress() {
            return;
        }
        if let Some(row) = self.rows.last() {
            eprintln!(
                "{}",
                page::ceiling_progress(
                    row,
                    self.rows.len(),
                    &self.goals,
                    self.closed,
                    &self.known(search)
                )
            );
        }
    }

    fn found(
        &self,
        settings: SearchSettings,
        answer: SearchResult,
        broken: Option<Broken>,
    ) -> Found {
        Found {
            closed: self.closed,
            goals: self.goals.clone(),
            slo: self.slo.clone(),
            settings,
            rows: self.rows.clone(),
            answer,
            broken,
            spent_s: self.begun.elapsed().as_secs_f64(),
        }
    }

    /// The exit code, and what those are told who read only standard error.
    fn ending(&self, found: &Found) -> (ExitCode, Option<String>) {
        let inconclusive = |why: String| {
            let code = if self.plan.strict && found.answer.ending == Ending::ClientLimited {
                exit::INVALID
            } else {
                exit::INCONCLUSIVE
            };
            (code, Some(why))
        };
        let target = &self.plan.target;
        match (found.broken, found.answer.ending) {
            (Some(Broken::Interrupted(signal)), _) => (signal.exit_code(), None),
            (Some(Broken::Dead), _) => {
                let last = found.rows.last().map_or(0.0, |row| row.trial.proposal.load);
                let why = format!(
                    "{target}: no answer any more at {}; the trials up to there are in the report",
                    page::ceiling_load(last, found.closed)
                );
                (exit::TARGET, Some(why))
            }
            (None, Ending::MinimumFails) => {
                let from = page::ceiling_load(found.settings.from, found.closed);
                let why =
                    format!("--slo fails at {from} already; begin lower with --from, or allow more");
                (exit::GATE, Some(why))
            }
            (None, Ending::ClientLimited) if found.answer.ceiling.is_none() => inconclusive(format!(
                "the client is the limit at {} already: nothing is known of the target; try again on a quieter machine, or give it more threads (-t)",
                page::ceiling_load(found.settings.from, found.closed)
            )),
            (None, Ending::ClientLimited) => inconclusive(
                "the client is the limit: the ceiling is at least what the report says; give it more threads (-t), or another machine".to_owned(),
            ),
            (None, Ending::OutOfBudget) => inconclusive(format!(
                "{:.0} s were too little for an answer; use a longer --budget, shorter trials (--trial), or begin closer (--from)",
                found.settings.budget_s
            )),
            (None, Ending::TooFewAnswers) => inconclusive(format!(
                "{} requests are too few for the quantile of --slo; begin higher with --from, or use longer trials (--trial)",
                self.goals.fewest_requests()
            )),
            (None, Ending::Changed | Ending::Unsupported) => {
                inconclusive(page::ceiling_remedy(found).to_owned())
            }
            (None, Ending::Found) if !found.answer.verified => inconclusive(
                "the low end of the interval was not verified; see the report, and use a longer --budget".to_owned(),
            ),
            // Its own words have been printed.
            (Some(Broken::Refused), _) => (exit::ENVIRONMENT, None),
            (None, Ending::Found | Ending::AtMost) => (exit::FINISHED, None),
        }
    }
}
