//! The table of a sweep: a row for each value. Columns are as wide as what stands in them.

use super::curves::{self, Row};
use super::number;
use super::text::{cell, verdict_of};
use crate::report::format::small_share;
use crate::report::page::Page;
use crate::result::summary::{SweepRun, SweepSummary};

/// Between two columns.
const GAP: usize = 2;
/// The column that is left out where a terminal has no room for all.
const IN_FLIGHT: &str = "in flight";

/// Writes it, with remarks on what is marked in it, for a terminal of that many columns.
pub(super) fn table(page: &mut Page, sweep: &SweepSummary, columns: u16) {
    let rows = curves::rows(sweep);
    let gates = sweep.runs.iter().any(|run| run.gates_hold.is_some());
    let mut heads = vec![sweep.course.name(), "good/s", "errors", "p50", "p95", "p99", IN_FLIGHT];
    heads.extend(gates.then_some("slo"));
    let mut lines: Vec<Vec<String>> = rows.iter().map(|row| cells(row, gates)).collect();
    // The verdict stands last and to the left, so that its width is nobody's but its own.
    let verdicts: Vec<&str> = rows.iter().map(verdict).collect();
    let longest = verdicts.iter().map(|verdict| verdict.len()).max().unwrap_or(0);
    let wide = widths(&heads, &lines).iter().sum::<usize>() + 1 + longest;
    if wide > usize::from(columns.max(80))
        && let Some(at) = heads.iter().position(|&head| head == IN_FLIGHT)
    {
        heads.remove(at);
        lines.iter_mut().for_each(|line| drop(line.remove(at)));
    }
    let widths = widths(&heads, &lines);
    let aligned = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        cells.collect::<String>()
    };
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    page.head(&format!(" {}  verdict", aligned(&heads)));
    for ((row, line), verdict) in rows.iter().zip(&lines).zip(verdicts) {
        page.line(&format!("{}{}  {verdict}", mark(row), aligned(line)));
    }
    remarks(page, sweep, &rows);
}

/// The widths of columns, each with the gap before it; a mark stands before the first.
fn widths(heads: &[&str], lines: &[Vec<String>]) -> Vec<usize> {
    let width = |(at, head): (usize, &&str)| {
        let cells = lines.iter().map(|line| line[at].len());
        let gap = if at == 0 { 1 } else { GAP };
        gap + cells.fold(head.len(), usize::max)
    };
    heads.iter().enumerate().map(width).collect()
}

fn cells(row: &Row<'_>, gates: bool) -> Vec<String> {
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), number);
    let (requests, errors) = row.requests_and_errors();
    let mut cells = vec![
        number(row.x),
        shown(row.median(|run| Some(run.goodput_rps))),
        small_share(crate::result::summary::share(errors, requests)),
        cell(row.latency(SweepRun::p50)),
        cell(row.latency(SweepRun::p95)),
        cell(row.latency(SweepRun::p99)),
        shown(row.median(|run| run.mean_in_flight)),
    ];
    let hold = row.shown().all(|run| run.gates_hold != Some(false));
    cells.extend(gates.then(|| if hold { "pass" } else { "FAIL" }.to_owned()));
    cells
}

fn mark(row: &Row<'_>) -> char {
    match row.left_out() {
        0 => ' ',
        _ if row.is_left_out() => '!',
        _ => '~',
    }
}

/// The verdict of the runs of a value that tell of the server: one that is not valid before the others.
fn verdict(row: &Row<'_>) -> &'static str {
    row.shown().max_by_key(|run| !run.valid).map_or("-", verdict_of)
}

fn remarks(page: &mut Page, sweep: &SweepSummary, rows: &[Row<'_>]) {
    page.note("good/s: good answers a second; errors: the share of requests without one");
    if sweep.course.repeats > 1 {
        page.note("medians of the runs of each value; errors are of all of them");
    }
    let bounds = |run: &SweepRun| {
        let shown = [run.p50(), run.p95(), run.p99()];
        shown.into_iter().flatten().any(|shown| shown.lower_bound)
    };
    if sweep.runs.iter().any(bounds) {
        page.note(
            ">= at least: there are too few responses for this quantile, or requests without an answer",
        );
    }
    if rows.iter().any(Row::is_left_out) {
        page.note(
            "! the client was at fault or at its limit, or the target was lost: these latencies are in no finding below",
        );
    }
    if rows.iter().any(|row| row.left_out() > 0 && !row.is_left_out()) {
        page.note(
            "~ in some of its runs the client was at fault, or the target was lost: those runs are not in this row",
        );
    }
}
