//! The page of a search: the answer first, then every trial.

use crate::commands::ceiling::capacity::{Broken, Found, Goals, Row};
use crate::commands::ceiling::search::{Change, Doubt, Ending, SearchResult, TrialVerdict};
use crate::plan::Plan;
use crate::report::format::{counted, duration, float, length, rate};
use crate::report::gates::amount;
use crate::report::page::{Page, Paint, Style};
use crate::report::text::{threads, whom};
use crate::units::significant;

/// A load with its unit: `908 req/s`, `64 connections`.
#[must_use]
pub fn ceiling_load(load: f64, closed: bool) -> String {
    let number = number(load);
    match closed {
        true if (load - 1.0).abs() < 1e-9 => format!("{number} connection"),
        true => format!("{number} connections"),
        false => format!("{number} req/s"),
    }
}

/// As many digits as a load is known by: `0.55`, `907.9`, `12,345`.
pub(super) fn number(load: f64) -> String {
    if load >= 1000.0 {
        // Rounded, not cut.
        let whole = rate(load.round());
        return whole.trim_end_matches("00").trim_end_matches('.').to_owned();
    }
    let text = significant(load, if load < 10.0 { 2 } else { 1 });
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The result of a trial in a word.
pub(super) fn verdict_name(row: &Row) -> String {
    let name = match row.trial.verdict {
        TrialVerdict::Pass => "pass",
        TrialVerdict::Fail => "FAIL",
        TrialVerdict::ClientLimited => "client limited",
        TrialVerdict::Inconclusive => "undecided",
        TrialVerdict::HeldUp => "held up",
    };
    name.to_owned()
}

/// The answer in a sentence.
fn answer(found: &Found) -> (Paint, String, String) {
    let SearchResult { ending, ceiling, interval, .. } = &found.answer;
    let load = |load: f64| ceiling_load(load, found.closed);
    let limited = found.answer.limiting.map(|goal| found.goals.name(goal));
    let limited = limited.map(|name| format!(", limited by {name}")).unwrap_or_default();
    match (ending, ceiling, interval) {
        (Ending::Found, Some(ceiling), Some((low, high))) if found.closed && low >= high => {
            (Paint::Good, load(*ceiling), limited)
        }
        (Ending::Found, Some(ceiling), Some((low, high))) => (
            Paint::Good,
            load(*ceiling),
            if found.settings.quick || found.answer.regressed {
                format!(" (95 % confidence: {} to {}){limited}", number(*low), number(*high))
            } else {
                format!(" (an edge: {} held, {} did not){limited}", number(*low), number(*high))
            },
        ),
        (Ending::AtMost, Some(ceiling), _) => (
            Paint::Good,
            format!("at least {}", load(*ceiling)),
            ": the highest load that was allowed (--max) holds".to_owned(),
        ),
        (Ending::ClientLimited, Some(ceiling), _) => (
            Paint::Doubtful,
            format!("at least {}", load(*ceiling)),
            ": this client cannot offer more".to_owned(),
        ),
        (Ending::ClientLimited, None, _) => (
            Paint::Doubtful,
            "unknown".to_owned(),
            ": the client itself was the limit at the lowest load (--from) already".to_owned(),
        ),
        (Ending::MinimumFails, ..) => (
            Paint::Bad,
            format!("below {}", load(found.settings.from)),
            format!(": the lowest load (--from) fails already{limited}"),
        ),
        (Ending::Changed, ..) => {
            (Paint::Bad, "unknown".to_owned(), format!(": {}", changed(found)))
        }
        (Ending::Unsupported, ..) => {
            (Paint::Doubtful, "unknown".to_owned(), format!(": {}", doubt(found)))
        }
        (Ending::TooFewAnswers, ..) => {
            (Paint::Doubtful, "unknown".to_owned(), ": too few answers to judge by".to_owned())
        }
        _ => match found.answer.bracket {
            (Some(low), Some(high)) => (
                Paint::Doubtful,
                "not known well enough".to_owned(),
                format!(
                    ": it seems to hold at {}, and to fail at {}{}",
                    load(low),
                    load(high),
                    found.answer.doubt.map_or(String::new(), |_| format!("; {}", doubt(found)))
                ),
            ),
            (Some(low), None) => (
                Paint::Doubtful,
                "not known well enough".to_owned(),
                format!(": it seems to hold at {}", load(low)),
            ),
            (None, _) => (Paint::Doubtful, "unknown".to_owned(), String::new()),
        },
    }
}

/// In which way the target was not the same throughout: what passed before and fails now, or the other way round, since
/// which trial and when.
fn changed(found: &Found) -> String {
    let Some(Change { worse, before, since, until }) = found.answer.change else {
        return "the target changed during the search".to_owned();
    };
    let load = |index: usize| {
        let row = found.rows.get(index);
        row.map_or("-".to_owned(), |row| ceiling_load(row.trial.proposal.load, found.closed))
    };
    let begun = |index: usize| found.rows.get(index).map_or(0.0, |row| row.begun_s);
    let when = format!("trial {}, {} into the search", since + 1, length_s(begun(since).round()));
    let (held, failed) =
        if worse { (load(before), load(since)) } else { (load(since), load(before)) };
    match (worse, until) {
        (true, None) => format!(
            "the target got slower by {when}: {held} passed in trial {}, {failed} fails since",
            before + 1
        ),
        (true, Some(until)) => format!(
            "the target was slower from {when}, to trial {}: {held} passed before and after, {failed} failed in between",
            until + 1
        ),
        (false, _) => format!(
            "the target got faster by {when}: {failed} failed in trial {}, {held} passes since",
            before + 1
        ),
    }
}

/// What to do about a search that its own trials contradict, in a sentence.
#[must_use]
pub fn ceiling_remedy(found: &Found) -> &'static str {
    match (found.answer.change, found.answer.doubt) {
        (Some(Change { worse: false, .. }), _) => {
            "the target got faster during the search, so there is no answer; warm it up and search again"
        }
        (Some(_), _) if found.answer.ending == Ending::Changed => {
            "the target got slower during the search, so there is no answer; let it recover or restart it, and keep the search below what it cannot take (--max)"
        }
        (_, Some(Doubt::LongerFails)) => {
            "loads that hold in one trial fail in a longer one, so there is no answer; use longer trials (--trial)"
        }
        _ => {
            "the low end of the interval failed when it was verified, so there is no answer; try again on a quieter machine, or with longer trials (--trial)"
        }
    }
}

/// Why there is no interval although trials came close to one.
fn doubt(found: &Found) -> &'static str {
    match found.answer.doubt {
        Some(Doubt::LongerFails) => {
            "loads that hold in one trial fail in a longer one, as if the target lived on a reserve"
        }
        Some(Doubt::NoFit) => "the trials do not lie on the line that was fitted to them",
        Some(Doubt::VerificationFailed) | None => {
            "the low end of the interval failed when it was verified"
        }
    }
}

/// The answer without its trials. No colour, no wrapping.
#[must_use]
pub fn ceiling_quiet(found: &Found) -> String {
    let (_, what, more) = answer(found);
    let mark = broken(found).map(|(label, text)| format!("{label} {text}\n")).unwrap_or_default();
    format!("{mark}Ceiling: {what}{more}\n")
}

fn broken(found: &Found) -> Option<(&'static str, String)> {
    match found.broken? {
        Broken::Interrupted(_) => Some((
            "INTERRUPTED",
            "before the search was over: this is what was known by then".to_owned(),
        )),
        Broken::Refused => Some((
            "BROKEN OFF",
            "because a trial was refused: this is what was known by then".to_owned(),
        )),
        Broken::Dead => Some((
            "TARGET LOST",
            "nobody answered any more: this is what was known by then".to_owned(),
        )),
    }
}

/// A search for connections begins with fewer of them than there are cores.
fn threads_of_trials(plan: &Plan, closed: bool) -> String {
    match &plan.threads_reason {
        Some(reason) if closed => format!("at most one a connection ({reason})"),
        None if closed => "at most one a connection".to_owned(),
        _ => threads(plan),
    }
}

/// The whole report.
#[must_use]
pub fn ceiling_text(plan: &Plan, found: &Found, style: Style) -> String {
    let mut page = Page::new(style);
    whom(&mut page, plan);
    page.fact("Threads", &threads_of_trials(plan, found.closed));
    page.fact("Load", &load_of_trials(plan, found.closed));
    page.fact("Must hold", &goals(found, true));
    let implied = goals(found, false);
    if !implied.is_empty() {
        page.more(&format!("and, implied: {implied}"));
    }
    page.fact("Seed", &plan.seed.to_string());
    page.gap();
    if let Some((label, text)) = broken(found) {
        page.painted_fact((Paint::Bad, label), (Paint::Bad, ""), &text);
    }
    let (paint, what, more) = answer(found);
    page.painted_fact((Paint::Bold, "Ceiling"), (paint, &what), &more);
    particulars(&mut page, found);
    page.gap();
    trials(&mut page, found);
    page.finish()
}

/// What is the same in all trials.
fn load_of_trials(plan: &Plan, closed: bool) -> String {
    let load = &plan.load;
    match (&load.pacing, closed) {
        (Some(pacing), false) => format!(
            "open loop, {}, {} kept from trial to trial, pipeline {}",
            pacing.arrivals.name(),
            counted(u64::from(load.connections), "connection"),
            load.pipeline
        ),
        _ => format!("closed loop, pipeline {}", load.pipeline),
    }
}

/// What had to be held: what the user said, or what that implies.
fn goals(found: &Found, given: bool) -> String {
    let places =
        (0..found.settings.limits.len()).filter(|&goal| found.goals.is_given(goal) == given);
    places.map(|goal| found.goals.text(goal)).collect::<Vec<_>>().join(", ")
}

/// What else is known of the ceiling, and how far it can be relied on.
fn particulars(page: &mut Page, found: &Found) {
    let load = |load: f64| ceiling_load(load, found.closed);
    let answer = &found.answer;
    if answer.ending == Ending::Found && answer.change.is_some() {
        page.fact("Disturbed", &changed(found));
        page.more("those trials are set aside, and the answer is of the others");
    }
    if matches!(answer.ending, Ending::Found | Ending::Unsupported) {
        if let Some(safe) = answer.safe {
            let trial = length_s(found.settings.rules.trial_s);
            let why = if answer.regressed {
                format!("a trial of {trial} passes there 19 times out of 20")
            } else if found.settings.quick {
                "the low end of the interval".to_owned()
            } else {
                "every full trial held there".to_owned()
            };
            page.fact("Safe", &format!("{}: {why}", load(safe)));
        }
        let verified = match found.verification() {
            None => "no: there was no time left".to_owned(),
            Some(row) => {
                let what = format!(
                    "a trial of {} at {}",
                    length_s(row.length_s),
                    load(row.trial.proposal.load)
                );
                match (row.trial.verdict, answer.verified) {
                    (TrialVerdict::Pass, true) => format!("yes: {what} passed"),
                    (TrialVerdict::Pass, false) => {
                        format!("no: {what} passed, and the interval has moved since")
                    }
                    (TrialVerdict::Fail, _) => format!("NO: {what} failed"),
                    (TrialVerdict::HeldUp, _) => {
                        format!("no: {what} missed a gate while this machine was held up")
                    }
                    (TrialVerdict::ClientLimited, _) => {
                        format!("no: this client was the limit in {what}")
                    }
                    _ => format!("no: {what} was not finished"),
                }
            }
        };
        page.fact("Verified", &verified);
        if !answer.precise && answer.ending == Ending::Found {
            page.more(&format!(
                "the interval is wider than was asked for (--precision {:.3}%): a longer --budget makes it narrower",
                found.settings.precision * 100.0
            ).replace(".000%", "%"));
        }
    }
    if let Some(rps) = found.saturation_rps() {
        let whatever =
            if found.closed { "with any number of connections" } else { "whatever is offered" };
        page.fact("Throughput", &format!("{} at most, {whatever}", ceiling_load(rps, false)));
    }
    if found.lacks_connections() {
        page.fact(
            "Connections",
            "requests waited for a free one at the ceiling: more of them (-c) may hold more",
        );
    }
    let trials = found.rows.len();
    let plural = if trials == 1 { "" } else { "s" };
    page.fact("Search", &format!("{trials} trial{plural} in {}", length_s(found.spent_s.round())));
}

pub(super) fn length_s(seconds: f64) -> String {
    length(crate::time::Nanos::from_seconds(seconds).0)
}

/// A rate with one digit after the point: `1,003.0`.
fn answered(rps: f64) -> String {
    let text = rate((rps * 10.0).round() / 10.0);
    text.strip_suffix('0').unwrap_or(&text).to_owned()
}

fn trials(page: &mut Page, found: &Found) {
    let load = if found.closed { "conns" } else { "offered" };
    page.head(&format!(
        "{:<3}{:<8}{load:>8}  {:<9} {:>8} {:>10} {:>10} {:>10} {:>7}",
        "", "Trials", "result", "answered", "p50", "p95", "p99", "errors"
    ));
    for (index, row) in found.rows.iter().enumerate() {
        let cell = |place: usize| match row.quantiles[place] {
            None => "-".to_owned(),
            Some(value) if value.censored => format!(">={}", duration(float(value.value_ns))),
            Some(value) => duration(float(value.value_ns)),
        };
        page.line(&format!(
            "{:>2} {:<8}{:>8}  {:<9} {:>8} {:>10} {:>10} {:>10} {:>7}",
            index + 1,
            row.trial.proposal.purpose.name(),
            number(row.trial.proposal.load),
            // What does not fit its column moves all others.
            verdict_name(row).trim_end_matches(" limited"),
            answered(row.rates.achieved_rps),
            cell(0),
            cell(1),
            cell(2),
            share(row.error_share),
        ));
        let missed = reasons(row, &found.goals);
        if !missed.is_empty() {
            let cut = if row.trial.cut_short {
                format!(" (ended after {:.1} s, since that is far off)", row.length_s)
            } else {
                String::new()
            };
            page.more(&format!("missed: {}{cut}", missed.join("; ")));
        }
    }
    lengths(page, found);
    let any = |verdict: TrialVerdict| found.rows.iter().any(|row| row.trial.verdict == verdict);
    if any(TrialVerdict::ClientLimited) {
        page.note(
            "client: the client was the limit; says nothing of the target, and is made again while there is time",
        );
    }
    if any(TrialVerdict::HeldUp) {
        page.note(
            "held up: would have passed without the requests that this machine held up; says nothing, and is made again while there is time",
        );
    }
}

/// How long trials of each purpose were meant to be.
fn lengths(page: &mut Page, found: &Found) {
    let mut told: Vec<(&str, f64)> = Vec::new();
    for row in &found.rows {
        let proposal = row.trial.proposal;
        let longest = told.iter_mut().find(|(name, _)| *name == proposal.purpose.name());
        match longest {
            Some((_, longest_s)) => *longest_s = longest_s.max(proposal.length_s),
            None => told.push((proposal.purpose.name(), proposal.length_s)),
        }
    }
    let told: Vec<String> =
        told.iter().map(|(name, length)| format!("{name} {}", length_s(*length))).collect();
    page.note(&format!("lengths of trials, at most: {}", told.join(", ")));
}

/// A share of errors, in few characters.
fn share(share: f64) -> String {
    if share <= 0.0 { "0".to_owned() } else { format!("{:.1} %", share * 100.0) }
}

/// Which goals a trial missed, implied ones too, and by what value.
pub(super) fn reasons(row: &Row, goals: &Goals) -> Vec<String> {
    if row.trial.verdict == TrialVerdict::Pass {
        return Vec::new();
    }
    let missed = row.trial.measures.iter().enumerate().filter(|(_, measure)| !measure.kept);
    let told = missed.map(|(goal, measure)| {
        let name = goals.name(goal);
        let gate = row.gates.get(goal).filter(|_| goals.is_given(goal));
        match gate {
            Some(gate) => {
                let value = gate.value.map_or("-".to_owned(), |value| amount(&gate.clause, value));
                let bound = if gate.doubt.is_some() { ">=" } else { "" };
                format!("{name}: {bound}{value}")
            }
            None if goals.is_throughput(goal) => {
                format!("{name}: {} %", significant((1.0 - measure.share()) * 100.0, 1))
            }
            None if goals.has_clause(goal) => {
                format!("{name}: {} %", significant(measure.share() * 100.0, 2))
            }
            None => format!("{name}: what is outstanding grew"),
        }
    });
    told.collect()
}
