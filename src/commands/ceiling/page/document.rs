//! The document of a search, schema `maxq.ceiling/1`, and its one line for scripts.

use serde_json::{Value, json};

use crate::commands::ceiling::capacity::{Broken, Found, Row};
use crate::commands::ceiling::page::text::reasons;
use crate::commands::ceiling::search::{Doubt, Ending, Measure, TrialVerdict};
use crate::plan::Plan;
use crate::report::Document;
use crate::report::json::plan_of;
use crate::units::significant;

/// The JSON Schema (draft 2020-12) of the documents that [`ceiling_json`] writes.
#[must_use]
pub fn ceiling_schema() -> &'static str {
    include_str!("../ceiling.schema.json")
}

/// The document, indented, with a newline at its end; `runs` are those of the trials, in their order.
#[must_use]
pub fn ceiling_json(plan: &Plan, found: &Found, runs: &[Document]) -> String {
    let answer = &found.answer;
    // Loads are in one of two units, and the keys of the other are null.
    let rate = |load: Option<f64>| load.filter(|_| !found.closed);
    let connections = |load: Option<f64>| load.filter(|_| found.closed);
    let pair = |of: bool| answer.interval.filter(|_| of).map(|(low, high)| json!([low, high]));
    let trials: Vec<Value> = found
        .rows
        .iter()
        .enumerate()
        .map(|(index, row)| trial(found, row, runs.get(index)))
        .collect();
    let document = json!({
        "schema": "maxq.ceiling/1",
        "tool": { "version": env!("CARGO_PKG_VERSION"), "git": option_env!("MAXQ_GIT") },
        "partial": found.broken.is_some(),
        "end": end(found),
        "variable": if found.closed { "connections" } else { "rate" },
        "slo": found.slo,
        "goals": (0..found.settings.limits.len()).map(|goal| found.goals.name(goal)).collect::<Vec<_>>(),
        "plan": plan_of(plan),
        "settings": {
            "from": found.settings.from,
            "max": found.settings.most,
            "precision": found.settings.precision,
            "budget_s": found.settings.budget_s,
            "trial_s": found.settings.rules.trial_s,
            "short_trial_s": found.settings.short_s,
            "method": if found.settings.quick { "quick" } else { "long" },
            "verify_s": found.settings.verify_s,
            "duration_sum_s": (!found.settings.quick).then_some(found.settings.rules.sum_s),
            "exceed_ratio": (!found.settings.quick).then_some(found.settings.rules.exceed_ratio),
        },
        "ceiling_rps": rate(answer.ceiling),
        "ceiling_connections": connections(answer.ceiling),
        "ci95_rps": pair(!found.closed),
        "ci95_connections": pair(found.closed),
        "safe_rps": rate(answer.safe),
        "safe_connections": connections(answer.safe),
        "saturation_rps": found.saturation_rps(),
        "limiting_clause": answer.limiting.map(|goal| found.goals.name(goal)),
        "at_least": matches!(answer.ending, Ending::AtMost | Ending::ClientLimited),
        "verified": answer.verified,
        "precise": answer.precise,
        "regressed": answer.regressed,
        "bracket": [answer.bracket.0, answer.bracket.1],
        "connection_limited": found.lacks_connections(),
        "change": change(found),
        "no_interval_because": no_interval_because(found),
        "spent_s": found.spent_s,
        "trials": trials,
    });
    format!("{document:#}\n")
}

fn end(found: &Found) -> &'static str {
    match (found.broken, found.answer.ending) {
        (Some(Broken::Interrupted(_)), _) => "interrupted",
        (Some(Broken::Dead), _) => "target_lost",
        (Some(Broken::Refused), _) => "refused",
        (None, Ending::Found) => "found",
        (None, Ending::AtMost) => "max_reached",
        (None, Ending::ClientLimited) => "client_limited",
        (None, Ending::MinimumFails) => "minimum_fails",
        (None, Ending::OutOfBudget) => "out_of_budget",
        (None, Ending::TooFewAnswers) => "too_few_answers",
        (None, Ending::Changed) => "target_changed",
        (None, Ending::Unsupported) => "not_supported",
    }
}

/// Trials are counted from 1, as people do.
fn change(found: &Found) -> Option<Value> {
    let change = found.answer.change?;
    let load = |index: usize| found.rows.get(index).map(|row| row.trial.proposal.load);
    let begun_s = |index: usize| found.rows.get(index).map(|row| row.begun_s);
    Some(json!({
        "direction": direction(change.worse),
        "before_trial": change.before + 1,
        "before_load": load(change.before),
        "since_trial": change.since + 1,
        "since_load": load(change.since),
        "since_s": begun_s(change.since),
        "until_trial": change.until.map(|until| until + 1),
        "until_s": change.until.and_then(begun_s),
    }))
}

const fn direction(worse: bool) -> &'static str {
    if worse { "slower" } else { "faster" }
}

fn no_interval_because(found: &Found) -> Option<&'static str> {
    match (found.answer.ending, found.answer.doubt) {
        (Ending::Changed, _) => Some("target_changed"),
        (_, Some(Doubt::VerificationFailed)) => Some("verification_failed"),
        (_, Some(Doubt::LongerFails)) => Some("longer_trials_fail"),
        (_, Some(Doubt::NoFit)) => Some("no_fit"),
        (_, None) => None,
    }
}

fn trial(found: &Found, row: &Row, run: Option<&Document>) -> Value {
    let proposal = row.trial.proposal;
    let load = Some(proposal.load);
    let goal = |(goal, measure): (usize, &Measure)| json!({ "goal": found.goals.name(goal), "kept": measure.kept, "amount": measure.amount, "of": measure.of });
    json!({
        "rate_rps": load.filter(|_| !found.closed),
        "connections": load.filter(|_| found.closed),
        "purpose": proposal.purpose.name(),
        "begun_s": row.begun_s,
        "duration_s": row.length_s,
        "result": row.trial.verdict.name(),
        "cut_short": row.trial.cut_short,
        "held_up": row.trial.verdict == TrialVerdict::HeldUp,
        "missed": reasons(row, &found.goals),
        "error_share": row.error_share,
        "achieved_rps": row.rates.achieved_rps,
        "goals": row.trial.measures.iter().enumerate().map(goal).collect::<Vec<_>>(),
        "run": run,
    })
}

/// A line of names and a line of values, separated by tabs; what is not known is empty.
#[must_use]
pub fn ceiling_tsv(found: &Found) -> String {
    let answer = &found.answer;
    let text = |value: Option<f64>| value.map_or(String::new(), |value| significant(value, 3));
    let change = answer.change;
    let since = change.map(|change| change.since);
    let columns = [
        ("variable", if found.closed { "connections" } else { "rate" }.to_owned()),
        ("ceiling", text(answer.ceiling)),
        ("ci95_low", text(answer.interval.map(|interval| interval.0))),
        ("ci95_high", text(answer.interval.map(|interval| interval.1))),
        ("safe", text(answer.safe)),
        ("saturation_rps", text(found.saturation_rps())),
        ("limiting_clause", answer.limiting.map_or(String::new(), |goal| found.goals.name(goal))),
        ("verified", answer.verified.to_string()),
        ("end", end(found).to_owned()),
        ("trials", found.rows.len().to_string()),
        ("spent_s", format!("{:.1}", found.spent_s)),
        ("change", change.map_or(String::new(), |change| direction(change.worse).to_owned())),
        ("changed_since_trial", since.map_or(String::new(), |since| (since + 1).to_string())),
        ("changed_since_s", text(since.and_then(|since| Some(found.rows.get(since)?.begun_s)))),
        ("no_interval_because", no_interval_because(found).unwrap_or_default().to_owned()),
    ];
    let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
    let values: Vec<&str> = columns.iter().map(|column| column.1.as_str()).collect();
    format!("{}\n{}\n", names.join("\t"), values.join("\t"))
}
