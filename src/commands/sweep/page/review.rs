//! A sweep for a review and for a build server: a check per run.
//!
//! A sweep goes beyond its gates on purpose, and its exit code does not tell of them: a run whose gates do not hold is
//! skipped, not failed.

use super::number;
use super::text::{cell, sweep_findings};
use crate::exit::{self, ExitCode};
use crate::report::format::part;
use crate::report::review::{Check, Outcome, Review, Table};
use crate::result::summary::{SweepRun, SweepSummary};

/// What a sweep found, which ended with `code`; `strict` makes a run that is not valid an error.
#[must_use]
pub fn sweep_review(sweep: &SweepSummary, code: ExitCode, strict: bool) -> Review {
    let name = sweep.course.name();
    let several = sweep.course.repeats > 1;
    let checks = sweep.runs.iter().map(|run| {
        let repeat = if several { format!(", run {}", run.repeat) } else { String::new() };
        let (outcome, found) = outcome(run, strict);
        Check { name: format!("{name} {}{repeat}", number(run.x)), outcome, found }
    });
    let mut checks: Vec<Check> = checks.collect();
    let findings = sweep_findings(sweep);
    let findings: Vec<&str> = findings.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let sentence = findings.join("; ");
    // What a run did wrong is said by the run.
    let ended_well = matches!(code, exit::FINISHED | exit::INVALID);
    checks.push(Check {
        name: "sweep".to_owned(),
        outcome: if ended_well { Outcome::Pass } else { Outcome::Error },
        found: sentence.clone(),
    });
    let columns = vec![
        name,
        "offered/s",
        "achieved/s",
        "good/s",
        "p50",
        "p90",
        "p95",
        "p99",
        "errors",
        "verdict",
    ];
    let rows = sweep.runs.iter().map(numbers).collect();
    Review { command: "sweep", code, sentence, checks, table: Table { columns, rows } }
}

fn outcome(run: &SweepRun, strict: bool) -> (Outcome, String) {
    let verdict = run.code.name();
    if run.is_flawed() {
        let outcome = if strict { Outcome::Error } else { Outcome::Skip };
        return (outcome, format!("not valid: {verdict}"));
    }
    match run.gates_hold {
        Some(false) => (Outcome::Skip, "the gates do not hold at this load".to_owned()),
        Some(true) => (Outcome::Pass, "the gates hold".to_owned()),
        None => (Outcome::Pass, verdict.to_owned()),
    }
}

fn numbers(run: &SweepRun) -> Vec<String> {
    let [p50, p90, p95, p99, _] = run.quantiles.map(cell);
    vec![
        number(run.x),
        number(run.offered_rps),
        number(run.achieved_rps),
        number(run.goodput_rps),
        p50,
        p90,
        p95,
        p99,
        part(run.errors, run.ok + run.errors),
        run.code.name().to_owned(),
    ]
}
