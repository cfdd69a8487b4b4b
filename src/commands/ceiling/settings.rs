//! The flags of a search: which contradict it, and how they make it go.

use std::time::Duration;

use crate::cli::{CeilingArgs, OnOverloadArg, WarmupArg};
use crate::commands::ceiling::search::{Rules, SearchSettings};
use crate::core::schedule::Rate;
use crate::exit::Refusal;
use crate::plan::Output;
use crate::run::affordable_connections;
use crate::time::seconds;
use crate::units::parse_count;

/// Connections at which the search of a closed loop ends.
const MOST_CONNECTIONS: u64 = 4096;
/// Length of a full trial where there is time for many, in seconds.
const TRIAL_S: f64 = 10.0;
/// Where there is not, a trial takes this share of the budget, and no less than so many seconds.
const QUICK_SHARE: f64 = 1.0 / 24.0;
const QUICKEST_TRIAL_S: f64 = 2.0;
/// Budgets below this are for a quick search, in seconds.
const QUICK_BELOW_S: f64 = 300.0;
/// Time for all of it, and how narrow the interval is to be, unless somebody says otherwise.
const USUAL_BUDGET_S: f64 = 120.0;
const USUAL_PRECISION: f64 = 0.05;
const RIGOROUS_PRECISION: f64 = 0.02;
/// With `--rigorous`, and the time for all of it.
const RIGOROUS_TRIAL_S: f64 = 60.0;
const RIGOROUS_BUDGET_S: f64 = 3600.0;
/// Of what is left of a trial beside its length, warm-up and pause, in seconds.
const OVERHEAD_S: f64 = 0.2;

/// Refuses what contradicts a search.
pub(super) fn check(args: &CeilingArgs) -> Result<(), Refusal> {
    let run = &args.target.args;
    let given = [
        ("-R", run.rate.is_some()),
        ("--stages", run.stages.is_some()),
        ("--burst", run.burst.is_some()),
        ("-n", run.requests.is_some()),
        ("--abort-on", run.abort_on.is_some()),
        ("--repeat", run.repeat.is_some()),
    ];
    let given = given.into_iter().find(|&(_, given)| given).map(|(flag, _)| flag);
    if let Some(flag) = given.or_else(|| Output::from(run).of_one_run()) {
        return Err(Refusal::usage(format!(
            "{flag} contradicts ceiling, which makes many trials and chooses their load itself; leave it out"
        )));
    }
    if run.duration.is_some() {
        return Err(Refusal::usage(
            "-d: a search takes as long as --budget allows, and a trial as long as --trial says; use these".to_owned(),
        ));
    }
    if run.slo.is_none() {
        return Err(Refusal::usage(
            "ceiling needs to know what the load must hold; give --slo, like --slo 'p99<50ms, errors<0.1%'".to_owned(),
        ));
    }
    if run.on_overload == Some(OnOverloadArg::Abort) {
        return Err(Refusal::usage(
            "--on-overload abort ends what a search goes on to see; use queue or shed".to_owned(),
        ));
    }
    if run.warmup == Some(WarmupArg::Auto) {
        return Err(Refusal::usage(
            "--warmup auto: each trial warms up for a time; give one, or 0".to_owned(),
        ));
    }
    if args.rigorous && args.trial.is_some() {
        return Err(Refusal::usage(
            "--trial contradicts --rigorous, whose trials take 60 s; leave one out".to_owned(),
        ));
    }
    if args.trial.is_some_and(|trial_ns| trial_ns < 1_000_000_000) {
        return Err(Refusal::usage(
            "--trial: a trial takes at least 1 s; give a longer time".to_owned(),
        ));
    }
    Ok(())
}

/// How to search, but for the goals and the seed.
pub(super) fn settings(args: &CeilingArgs) -> Result<SearchSettings, Refusal> {
    let warmup_ns = match args.target.args.warmup {
        Some(WarmupArg::Fixed(warmup_ns)) => warmup_ns,
        Some(WarmupArg::Auto) | None => usual_warmup_ns(args),
    };
    let beside_s = seconds(warmup_ns) + pause(args).as_secs_f64() + OVERHEAD_S;
    let usual_s = if args.rigorous { RIGOROUS_BUDGET_S } else { USUAL_BUDGET_S };
    let budget_s = args.budget.map_or(usual_s, seconds);
    let quick = is_quick(args);
    let usual_s = if quick {
        // Whole tenths, as all lengths of trials.
        ((budget_s * QUICK_SHARE).clamp(QUICKEST_TRIAL_S, TRIAL_S) * 10.0).round() / 10.0
    } else {
        TRIAL_S
    };
    let trial_s =
        if args.rigorous { RIGOROUS_TRIAL_S } else { args.trial.map_or(usual_s, seconds) };
    let usual_precision = if args.rigorous { RIGOROUS_PRECISION } else { USUAL_PRECISION };
    let precision = args.precision.unwrap_or(usual_precision);
    let usual =
        SearchSettings { budget_s, quick, precision, ..SearchSettings::usual(trial_s, beside_s) };
    let (from, most) = if args.closed {
        let from = args.from.as_deref().map(|text| connections("--from", text)).transpose()?;
        let most = args.max.as_deref().map(|text| connections("--max", text)).transpose()?;
        (from.unwrap_or(1.0), Some(most.map_or_else(most_connections, Ok)?))
    } else {
        let from = args.from.as_deref().map(|text| rate("--from", text)).transpose()?;
        let most = args.max.as_deref().map(|text| rate("--max", text)).transpose()?;
        // Who knows that there cannot be more does not have to say where to begin.
        let default = most.map_or(usual.from, |most| usual.from.min(most));
        (from.unwrap_or(default), most)
    };
    if let Some(most) = most.filter(|&most| most < from) {
        return Err(Refusal::usage(format!(
            "--max {most} is below --from, {from}; give a higher one"
        )));
    }
    let settings = SearchSettings { from, most, whole: args.closed, ..usual };
    // The durations of RFC 9971.
    Ok(match args.rigorous {
        false if quick => SearchSettings { verify_s: 2.0 * trial_s, ..settings },
        true => SearchSettings {
            rules: Rules { sum_s: 2.0 * RIGOROUS_TRIAL_S, ..settings.rules },
            verify_s: RIGOROUS_TRIAL_S,
            ..settings
        },
        false => settings,
    })
}

/// Whether there is little time; see [`SearchSettings::quick`].
fn is_quick(args: &CeilingArgs) -> bool {
    let budget_s = args.budget.map_or(USUAL_BUDGET_S, seconds);
    !args.rigorous && budget_s < QUICK_BELOW_S
}

/// The warm-up of a trial, whose connections are open and used: shorter where there is little time.
pub(super) fn usual_warmup_ns(args: &CeilingArgs) -> u64 {
    if is_quick(args) && !args.closed { 500_000_000 } else { 1_000_000_000 }
}

/// How long nothing is sent between two trials.
pub(super) fn pause(args: &CeilingArgs) -> Duration {
    const USUAL_NS: u64 = 500_000_000;
    Duration::from_nanos(args.target.args.pause.unwrap_or(USUAL_NS))
}

fn rate(flag: &str, text: &str) -> Result<f64, Refusal> {
    let rate = Rate::parse(text).map_err(|why| Refusal::usage(format!("{flag}: {why}")))?;
    Ok(rate.per_second())
}

#[expect(clippy::cast_precision_loss, reason = "a number of connections is small")]
fn connections(flag: &str, text: &str) -> Result<f64, Refusal> {
    match parse_count(text) {
        Ok(number) if (1..=1_000_000).contains(&number) => Ok(number as f64),
        _ => Err(Refusal::usage(format!(
            "{flag} {text}: with --closed it is a number of connections, from 1 to 1000000"
        ))),
    }
}

/// As many connections as a process may have, within reason.
#[expect(clippy::cast_precision_loss, reason = "a number of connections is small")]
fn most_connections() -> Result<f64, Refusal> {
    affordable_connections(MOST_CONNECTIONS).map(|connections| connections as f64)
}
