//! A comparison as a short table for a review.

use super::words::{self, answer, interval, notes, p_value, sentence, shift, value};
use crate::commands::compare::comparison::{Comparison, Conclusion, Row};
use crate::report::markup::{code, markdown as plain};

/// The table of the gated metrics, with the verdict above and what has to be known below.
#[must_use]
pub fn compare_markdown(comparison: &Comparison) -> String {
    let mark = match comparison.verdict {
        Conclusion::Pass => "pass",
        Conclusion::Regression => "**regression**",
        Conclusion::Inconclusive => "inconclusive",
    };
    let mut text = format!(
        "### maxq compare: {mark}\n\n{}.\n\nBase {}, new {}: {}.\n\n",
        plain(&sentence(comparison)),
        code(&words::side(&comparison.base)),
        code(&words::side(&comparison.new)),
        plain(&words::method(comparison))
    );
    text.push_str("| metric | base | new | shift % | 95 % interval | p | verdict |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|---|\n");
    let gated = comparison.rows.iter().filter(|row| row.gated);
    gated.for_each(|row| text.push_str(&line(row, comparison.open)));
    text.push('\n');
    notes(comparison).iter().for_each(|note| text.push_str(&format!("- {}\n", plain(note))));
    text
}

fn line(row: &Row, open: bool) -> String {
    let moved = row.shift_pct().map_or_else(|| "-".to_owned(), |percent| shift(row, percent));
    format!(
        "| {} | {} | {} | {moved} | {} | {} | {} |\n",
        row.label,
        value(row, open, row.base),
        value(row, open, row.new),
        plain(&interval(row)),
        plain(&p_value(row)),
        answer(row, open).unwrap_or("-")
    )
}
