//! Several runs of one plan: one document with all of them, or a table with a line a run.

use serde_json::{Value, json};

use crate::plan::Plan;
use crate::report::format::{count, counted, duration, float};
use crate::report::json::document;
use crate::report::page::{Page, Paint, Style};
use crate::report::tsv::{tsv_header, tsv_row};
use crate::result::summary::{End, Summary};
use crate::units::significant;

/// A run with the plan that it carried out: the repetitions differ in their seeds.
pub type Carried = (Plan, Summary);

/// The JSON Schema (draft 2020-12) of the documents that [`runs_json`] writes.
#[must_use]
pub fn runs_json_schema() -> &'static str {
    include_str!("runs.schema.json")
}

/// One document, schema `maxq.runs/1`, with the documents of all runs in it.
#[must_use]
pub fn runs_json(runs: &[Carried]) -> String {
    let runs: Vec<Value> = runs.iter().map(|(plan, summary)| document(plan, summary)).collect();
    format!("{:#}\n", json!({ "schema": "maxq.runs/1", "runs": runs }))
}

/// A header line and a line a run.
#[must_use]
pub fn runs_tsv(runs: &[Carried]) -> String {
    let rows = runs.iter().map(|(plan, summary)| tsv_row(plan, summary));
    std::iter::once(tsv_header()).chain(rows).collect()
}

/// A table with a line a run, and what is in the middle of them; `asked` is how many there were to be.
#[must_use]
pub fn runs_text(runs: &[Carried], asked: u64, style: Style) -> String {
    let mut page = Page::new(style);
    let Some((plan, _)) = runs.first() else { return page.finish() };
    page.head(&format!(
        "maxq {}: {} {}, {}",
        env!("CARGO_PKG_VERSION"),
        plan.method,
        plan.target,
        counted(runs.len() as u64, "run")
    ));
    page.fact(
        "Load",
        &format!(
            "{} loop, {}, pipeline {}; {}; seeds from {} on",
            if plan.load.pacing.is_some() { "open" } else { "closed" },
            counted(u64::from(plan.load.connections), "connection"),
            plan.load.pipeline,
            counted(plan.threads() as u64, "thread"),
            plan.seed
        ),
    );
    if (runs.len() as u64) < asked {
        let text = format!("{} of {} runs were begun", runs.len(), asked);
        page.painted_fact((Paint::Bad, "PARTIAL"), (Paint::Bold, ""), &text);
    }
    page.gap();
    page.head(&format!(
        "{:<5}{:>13}{:>11}{:>11}{:>11}{:>9}  result, verdict",
        "Run", "achieved/s", "p50", "p95", "p99", "errors"
    ));
    for (index, (_, summary)) in runs.iter().enumerate() {
        page.line(&line(index + 1, summary));
    }
    if runs.len() > 1 {
        page.gap();
        middles(&mut page, runs);
    }
    page.finish()
}

/// The report of `--quiet`: what is in the middle of the runs, and how many of them are valid.
#[must_use]
pub fn runs_quiet_text(runs: &[Carried], asked: u64) -> String {
    let mut page = Page::new(Style::default());
    let begun = runs.len() as u64;
    if begun < asked {
        page.line(&format!("PARTIAL {begun} of {asked} runs were begun"));
    }
    let valid = runs.iter().filter(|(_, summary)| summary.verdict.valid).count();
    page.line(&format!("{}, {valid} valid", counted(begun, "run")));
    if !runs.is_empty() {
        middles(&mut page, runs);
    }
    page.finish()
}

fn line(number: usize, summary: &Summary) -> String {
    let counts = summary.counts();
    let response = &summary.latencies.response;
    let quantile = |at| match response.quantile(at) {
        Some(value) => {
            let bound = if value.lower_bound { ">=" } else { "" };
            format!("{bound}{}", duration(float(value.value_ns)))
        }
        None => "-".to_owned(),
    };
    let mark = match summary.end {
        End::Finished => "",
        End::Interrupted(_) => ", interrupted: partial",
        End::GaveUp => ", gave up: partial",
        End::Overloaded => ", overloaded: partial",
        End::Aborted { .. } => ", aborted: partial",
    };
    format!(
        "{number:>3}  {:>13.2}{:>11}{:>11}{:>11}{:>9}  {}, {}{mark}",
        summary.rates().achieved_rps,
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
        count(counts.scheduled - counts.ok),
        summary.verdict.target.name(),
        summary.verdict.code.name()
    )
}

/// The medians over the whole runs, with the extremes.
fn middles(page: &mut Page, runs: &[Carried]) {
    let whole: Vec<&Summary> =
        runs.iter().map(|(_, summary)| summary).filter(|s| s.end == End::Finished).collect();
    let time = |at: f64| {
        let values = whole.iter().filter_map(|summary| summary.latencies.response.quantile(at));
        values.map(|value| float(value.value_ns)).collect::<Vec<f64>>()
    };
    let rates = whole.iter().map(|summary| summary.rates().achieved_rps).collect();
    let errors = whole.iter().map(|s| float(s.counts().scheduled - s.counts().ok)).collect();
    page.head(&format!("{:<14}{:>14}{:>14}{:>14}", "Over the runs", "median", "min", "max"));
    middle(page, ("achieved/s", rates), |rate| significant(rate, 2));
    middle(page, ("p50", time(0.5)), duration);
    middle(page, ("p95", time(0.95)), duration);
    middle(page, ("p99", time(0.99)), duration);
    middle(page, ("errors", errors), |errors| errors.to_string());
    let partial = runs.len() - whole.len();
    if partial > 0 {
        page.note(&format!("without {}", counted(partial as u64, "partial run")));
    }
}

/// A line with the median and the extremes; none without values.
fn middle(page: &mut Page, (name, values): (&str, Vec<f64>), show: impl Fn(f64) -> String) {
    let mut values = values;
    values.sort_by(f64::total_cmp);
    let (Some(&min), Some(&max)) = (values.first(), values.last()) else { return };
    let upper = values.len() / 2;
    let lower = upper - usize::from(values.len().is_multiple_of(2));
    let median = f64::midpoint(values[lower], values[upper]);
    page.line(&format!("  {name:<12}{:>14}{:>14}{:>14}", show(median), show(min), show(max)));
}
