//! Good answers, errors and latency over the value, drawn with characters that every terminal has.

use super::axis::Axis;
use super::curves::{self, Curve, Mark, Row};
use super::number;
use crate::report::format::duration;
use crate::report::page::Page;
use crate::result::summary::SweepSummary;

/// Lines of a panel.
const HEIGHT: usize = 9;
/// Columns of what stands left of a panel.
const MARGIN: usize = 12;

/// Both panels, and what is marked below them; nothing where there is too little to draw.
pub(super) fn plot(page: &mut Page, sweep: &SweepSummary, columns: u16) {
    let rows = curves::rows(sweep);
    let Some(xs) = Axis::around(rows.iter().map(|row| row.x)).filter(|_| rows.len() > 1) else {
        return;
    };
    let width = usize::from(columns.clamp(40, 100)) - MARGIN;
    let marks: Vec<Mark> =
        curves::marks(sweep).into_iter().filter(|mark| xs.place(mark.x).is_some()).collect();
    page.gap();
    throughput(page, &rows, &xs, width);
    page.line(&format!("{:MARGIN$}{}", "", footer(&xs, width)));
    page.gap();
    latency(page, &rows, &xs, width);
    if !marks.is_empty() {
        page.line(format!("{:MARGIN$}{}", "", letters(&marks, &xs, width)).trim_end());
    }
    page.line(&format!("{:MARGIN$}{}", "", footer(&xs, width)));
    let logarithmic = if xs.logarithmic { ", logarithmic" } else { "" };
    let names: Vec<String> =
        marks.iter().map(|mark| format!("{} {}", mark.letter, mark.name)).collect();
    let names = if names.is_empty() { String::new() } else { format!("; {}", names.join(", ")) };
    page.note(&format!("over {}{logarithmic}{names}", sweep.course.name()));
}

fn throughput(page: &mut Page, rows: &[Row<'_>], xs: &Axis, width: usize) {
    let (good, errors) = (curves::goodput(rows), curves::errors(rows));
    let Some(ys) = curves::axis_of_rates(&good, &errors) else { return };
    let scale = if ys.logarithmic { ", logarithmic" } else { "" };
    let names = if errors.is_empty() { "" } else { ", x errors a second" };
    page.head(&format!("Throughput    * good answers a second{names}{scale}"));
    panel(page, &[('x', errors), ('*', good)], (xs, &ys), width, number);
}

fn latency(page: &mut Page, rows: &[Row<'_>], xs: &Axis, width: usize) {
    let p50 = curves::latency(rows, |run| run.p50());
    let p95 = curves::latency(rows, |run| run.p95());
    let p99 = curves::latency(rows, |run| run.p99());
    let values = p50.iter().chain(&p95).chain(&p99).map(|point| point.1);
    let Some(ys) = Axis::around(values) else { return };
    let scale = if ys.logarithmic { ", logarithmic" } else { "" };
    page.head(&format!("Latency       o p50, = p95, + p99 of the response time{scale}"));
    let curves = [('+', p99), ('=', p95), ('o', p50)];
    panel(page, &curves, (xs, &ys.with_zero()), width, duration);
}

/// One panel: labels at its top, middle and bottom; later curves lie above earlier ones.
fn panel(
    page: &mut Page,
    curves: &[(char, Curve)],
    (xs, ys): (&Axis, &Axis),
    width: usize,
    label: impl Fn(f64) -> String,
) {
    let mut cells = vec![vec![' '; width]; HEIGHT];
    for (symbol, curve) in curves {
        for &(x, y) in curve {
            if let (Some(across), Some(up)) = (xs.place(x), ys.place(y)) {
                cells[HEIGHT - 1 - nearest(up, HEIGHT)][nearest(across, width)] = *symbol;
            }
        }
    }
    for (index, line) in cells.iter().enumerate() {
        let is_labelled = index == 0 || index == HEIGHT / 2 || index == HEIGHT - 1;
        let up = share(HEIGHT - 1 - index, HEIGHT - 1);
        let text = if is_labelled { label(ys.value(up)) } else { String::new() };
        let line: String = line.iter().collect();
        page.line(format!("{text:>10} |{line}").trim_end());
    }
    page.line(&format!("{:>10} +{}", "", "-".repeat(width)));
}

/// Where the marks stand.
fn letters(marks: &[Mark], xs: &Axis, width: usize) -> String {
    let mut line = vec![' '; width];
    for mark in marks {
        if let Some(place) = xs.place(mark.x) {
            // Two marks in one place stand side by side.
            let wanted = nearest(place, width);
            let free = (wanted..width).chain((0..wanted).rev()).find(|&at| line[at] == ' ');
            line[free.unwrap_or(wanted)] = mark.letter;
        }
    }
    line.into_iter().collect()
}

/// The values at the ends and in the middle.
fn footer(xs: &Axis, width: usize) -> String {
    let [low, middle, high] = [0.0, 0.5, 1.0].map(|place| number(xs.value(place)));
    let before = (width / 2).saturating_sub(low.len() + middle.len() / 2);
    let after = width.saturating_sub(low.len() + before + middle.len() + high.len());
    format!("{low}{:before$}{middle}{:after$}{high}", "", "")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a column of a terminal"
)]
fn nearest(place: f64, cells: usize) -> usize {
    (place * (cells - 1) as f64).round() as usize
}

#[expect(clippy::cast_precision_loss, reason = "a line of a panel")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
