//! What a command found, for those who review it: a Markdown page with a table of the gates, which a review or a job
//! summary can show, and a JUnit document with a test case per gate, which a build server reads.

use crate::exit::{self, ExitCode};
use crate::plan::Plan;
use crate::report::format::{duration, float, part, rate};
use crate::report::gates;
use crate::report::markup;
use crate::report::runs::Carried;
use crate::result::summary::{End, Summary};
use crate::result::verdict::Verdict;
use crate::slo::Gate;

/// What became of a check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    Pass,
    Fail,
    /// It could not be decided.
    Error,
    /// It does not count.
    Skip,
}

impl Outcome {
    /// The word in a table.
    const fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "**fail**",
            Self::Error => "**error**",
            Self::Skip => "skipped",
        }
    }
}

/// A gate, or something else that can go wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    /// What was found.
    pub(crate) found: String,
}

/// The numbers behind the checks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Table {
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// What a command found.
#[derive(Clone, Debug)]
pub struct Review {
    /// The command that found it.
    pub(crate) command: &'static str,
    /// The exit code.
    pub(crate) code: ExitCode,
    /// What it found in a sentence, without a period at its end.
    pub(crate) sentence: String,
    pub(crate) checks: Vec<Check>,
    pub(crate) table: Table,
}

impl Review {
    /// As a Markdown page.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut page = format!(
            "### maxq {}: {}\n\n{}.\n\n",
            self.command,
            mark(self.code),
            markup::markdown(&self.sentence)
        );
        page.push_str("| check | result | found |\n|---|---|---|\n");
        for check in &self.checks {
            let (name, found) = (markup::markdown(&check.name), markup::markdown(&check.found));
            page.push_str(&format!("| {name} | {} | {found} |\n", check.outcome.word()));
        }
        let Table { columns, rows } = &self.table;
        if !rows.is_empty() {
            page.push_str(&format!("\n| {} |\n", columns.join(" | ")));
            page.push_str(&format!("|{}\n", "---:|".repeat(columns.len())));
        }
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| markup::markdown(cell)).collect();
            page.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        page
    }

    /// As a JUnit document.
    #[must_use]
    pub fn junit(&self) -> String {
        let number =
            |wanted: Outcome| self.checks.iter().filter(|check| check.outcome == wanted).count();
        let counts = format!(
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
            self.checks.len(),
            number(Outcome::Fail),
            number(Outcome::Error),
            number(Outcome::Skip)
        );
        let mut text = junit_head(self.command, &counts);
        self.checks.iter().for_each(|check| text.push_str(&case(self.command, check)));
        let sentence = markup::xml(&self.sentence);
        text.push_str(&format!("    <system-out>{sentence}</system-out>\n"));
        text.push_str(JUNIT_END);
        text
    }
}

/// The end of every JUnit document.
pub(crate) const JUNIT_END: &str = "  </testsuite>\n</testsuites>\n";

/// The beginning of a JUnit document about one command.
pub(crate) fn junit_head(command: &str, counts: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"maxq\" {counts}>\n  <testsuite name=\"maxq {command}\" {counts}>\n"
    )
}

fn case(command: &str, check: &Check) -> String {
    let found = markup::xml(&check.found);
    let inside = match check.outcome {
        Outcome::Pass => format!("<system-out>{found}</system-out>"),
        Outcome::Fail => format!("<failure type=\"gate\" message=\"{found}\"/>"),
        Outcome::Error => format!("<error type=\"undecided\" message=\"{found}\"/>"),
        Outcome::Skip => format!("<skipped message=\"{found}\"/>"),
    };
    format!(
        "    <testcase classname=\"maxq.{command}\" name=\"{}\">\n      {inside}\n    </testcase>\n",
        markup::xml(&check.name)
    )
}

/// `command` has no result, for this reason: a page that says so.
#[must_use]
pub fn refused_markdown(command: &str, why: &str) -> String {
    format!("### maxq {command}: **no result**\n\n{}.\n", markup::markdown(why))
}

/// `command` has no result, for this reason: one test, which could not be carried out.
#[must_use]
pub fn refused_junit(command: &str, why: &str) -> String {
    let head = junit_head(command, "tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\"");
    let why = markup::xml(why);
    format!(
        "{head}    <testcase classname=\"maxq.{command}\" name=\"{command}\">\n      <error type=\"refused\" message=\"{why}\"/>\n    </testcase>\n{JUNIT_END}"
    )
}

/// What an exit code means in a heading.
fn mark(code: ExitCode) -> &'static str {
    match code {
        exit::FINISHED => "pass",
        exit::GATE => "**fail**",
        exit::INCONCLUSIVE => "inconclusive",
        exit::TARGET => "**target unusable**",
        exit::INVALID => "**not valid**",
        code if code.is_of_signal() => "**interrupted**",
        _ => "**no result**",
    }
}

/// What a run found, which ended with `code`, and about which there may be a `complaint`.
#[must_use]
pub fn run_review(
    plan: &Plan,
    summary: &Summary,
    (code, complaint): (ExitCode, Option<&str>),
) -> Review {
    let mut checks = gate_checks("", &summary.gates);
    checks.push(run_check("run", summary, (code, complaint)));
    let verdict = &summary.verdict;
    let whom = format!("{} {}", plan.method, plan.target);
    Review {
        command: "run",
        code,
        sentence: format!("{whom}: {}", said(verdict)),
        checks,
        table: Table { columns: COLUMNS.to_vec(), rows: vec![numbers("1", summary)] },
    }
}

/// What several runs of one plan found, of each its code and its complaint; all of them end with `code`.
#[must_use]
pub fn runs_review(
    runs: &[Carried],
    asked: u64,
    endings: &[(ExitCode, Option<String>)],
    code: ExitCode,
) -> Review {
    let mut checks = Vec::new();
    for (index, ((_, summary), (code, complaint))) in runs.iter().zip(endings).enumerate() {
        let name = format!("run {}", index + 1);
        checks.extend(gate_checks(&format!("{name}: "), &summary.gates));
        checks.push(run_check(&name, summary, (*code, complaint.as_deref())));
    }
    let begun = runs.len() as u64;
    for index in begun..asked {
        let (name, found) = (format!("run {}", index + 1), "it was not begun".to_owned());
        checks.push(Check { name, outcome: Outcome::Error, found });
    }
    let whom = runs
        .first()
        .map_or_else(String::new, |(plan, _)| format!("{} {}: ", plan.method, plan.target));
    let valid = runs.iter().filter(|(_, summary)| summary.verdict.valid).count();
    let rows = runs.iter().enumerate();
    let rows = rows.map(|(index, (_, summary))| numbers(&(index + 1).to_string(), summary));
    Review {
        command: "run",
        code,
        sentence: format!("{whom}{begun} of {asked} runs, {valid} of them valid"),
        checks,
        table: Table { columns: COLUMNS.to_vec(), rows: rows.collect() },
    }
}

/// A check per gate.
pub(crate) fn gate_checks(prefix: &str, found: &[Gate]) -> Vec<Check> {
    let check = |gate: &Gate| Check {
        name: format!("{prefix}{}", gate.clause.text),
        outcome: if gate.holds { Outcome::Pass } else { Outcome::Fail },
        found: gates::found(gate),
    };
    found.iter().map(check).collect()
}

/// Whether a run came to its end, and means what it seems to.
fn run_check(name: &str, summary: &Summary, (code, complaint): (ExitCode, Option<&str>)) -> Check {
    let verdict = &summary.verdict;
    let said = said(verdict);
    // That a gate failed is said by the gate.
    let is_whole = code == exit::FINISHED || (code == exit::GATE && summary.end == End::Finished);
    let (outcome, found) = match complaint {
        _ if is_whole && verdict.valid => (Outcome::Pass, said),
        _ if is_whole => (Outcome::Skip, format!("not valid: {said}")),
        Some(complaint) if code == exit::GATE => (Outcome::Fail, complaint.to_owned()),
        Some(complaint) => (Outcome::Error, complaint.to_owned()),
        None if code.is_of_signal() => (Outcome::Error, "it was interrupted".to_owned()),
        None => (Outcome::Error, said),
    };
    Check { name: name.to_owned(), outcome, found }
}

/// What the target did, then what to think of the measurement.
fn said(verdict: &Verdict) -> String {
    format!(
        "{}: {}; {}: {}",
        verdict.target.name(),
        verdict.target_text,
        verdict.code.name(),
        sentence(&verdict.sentence)
    )
}

/// A sentence without its period, for text that ends otherwise.
fn sentence(text: &str) -> &str {
    text.trim_end_matches('.')
}

/// The numbers of a run that a review shows.
const COLUMNS: [&str; 10] =
    ["run", "offered/s", "achieved/s", "good/s", "p50", "p95", "p99", "max", "errors", "verdict"];

fn numbers(name: &str, summary: &Summary) -> Vec<String> {
    let (rates, counts) = (summary.rates(), summary.counts());
    let response = &summary.latencies.response;
    let quantile = |at| match response.quantile(at) {
        None => "-".to_owned(),
        Some(value) => {
            let bound = if value.lower_bound { ">= " } else { "" };
            format!("{bound}{}", duration(float(value.value_ns)))
        }
    };
    vec![
        name.to_owned(),
        rate(rates.offered_rps),
        rate(rates.achieved_rps),
        rate(rates.goodput_rps),
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
        response.all.max_ns().map_or_else(|| "-".to_owned(), |ns| duration(float(ns))),
        part(counts.scheduled.saturating_sub(counts.ok), counts.scheduled),
        summary.verdict.code.name().to_owned(),
    ]
}
