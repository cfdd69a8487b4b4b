//! A comparison for people: the verdict first, then metric by metric, then quantile by quantile.

use super::words::{self, answer, interval, notes, p_value, sentence, shift, value};
use crate::commands::compare::comparison::{Comparison, Conclusion, QuantileShift, Row};
use crate::report::format::duration;
use crate::report::page::{Page, Paint, Style};

/// Characters of the longest bar.
const LONGEST_BAR: f64 = 16.0;

/// The whole report.
#[must_use]
pub fn compare_text(comparison: &Comparison, style: Style) -> String {
    let mut page = Page::new(style);
    page.head(&format!("maxq {}: compare", env!("CARGO_PKG_VERSION")));
    page.fact("Base", &words::side(&comparison.base));
    page.fact("New", &words::side(&comparison.new));
    page.fact("Method", &words::method(comparison));
    page.gap();
    let paint = match comparison.verdict {
        Conclusion::Pass => Paint::Good,
        Conclusion::Regression => Paint::Bad,
        Conclusion::Inconclusive => Paint::Doubtful,
    };
    let text = format!(": {}", sentence(comparison));
    page.painted_fact((Paint::Bold, "Verdict"), (paint, comparison.verdict.name()), &text);
    page.gap();
    page.head(&format!(
        "{:<12}{:>10}{:>10}{:>9}{:>18}{:>7}  verdict",
        "Metric", "base", "new", "shift %", "95 % interval", "p"
    ));
    comparison.rows.iter().for_each(|row| page.line(&metric(row, comparison.open)));
    page.note("errors, timeouts, unsent: in percentage points, over all requests of a side");
    page.note("client cpu: CPU time that maxq itself takes for a request, not the target");
    notes(comparison).iter().for_each(|note| page.note(note));
    quantiles(&mut page, &comparison.quantiles);
    if let Some(text) = words::share_above(comparison) {
        page.note(&text);
    }
    page.finish()
}

/// The report of `--quiet`: the verdict alone.
#[must_use]
pub fn compare_quiet_text(comparison: &Comparison) -> String {
    format!("Verdict: {}: {}\n", comparison.verdict.name(), sentence(comparison))
}

fn metric(row: &Row, open: bool) -> String {
    let moved = row.shift_pct().map_or_else(|| "-".to_owned(), |percent| shift(row, percent));
    let line = format!(
        "  {:<10}{:>10}{:>10}{moved:>9}{:>18}{:>7}  {}",
        row.label,
        value(row, open, row.base),
        value(row, open, row.new),
        interval(row),
        p_value(row),
        answer(row, open).unwrap_or("(not gated)")
    );
    line.trim_end().to_owned()
}

/// Bars to the left are faster, to the right slower.
fn quantiles(page: &mut Page, shifts: &[QuantileShift]) {
    let largest = shifts.iter().map(|shift| shift.percent().abs()).fold(0.0, f64::max);
    if shifts.is_empty() {
        return;
    }
    page.gap();
    page.head(&format!("{:<10}{:>10}{:>10}{:>9}", "Quantiles", "base", "new", "shift %"));
    for shift in shifts {
        let percent = shift.percent();
        let line = format!(
            "  {:<8}{:>10}{:>10}{percent:>+9.1}  {}",
            shift.name,
            duration(shift.base_us * 1e3),
            duration(shift.new_us * 1e3),
            bar(percent, largest)
        );
        page.line(line.trim_end());
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most the length of the longest bar"
)]
fn bar(percent: f64, largest: f64) -> String {
    const WIDTH: usize = LONGEST_BAR as usize;
    let length = if largest > 0.0 { percent.abs() / largest * LONGEST_BAR } else { 0.0 };
    let blocks = "#".repeat(length.round() as usize);
    if percent < 0.0 { format!("{blocks:>WIDTH$}|") } else { format!("{:WIDTH$}|{blocks}", "") }
}
