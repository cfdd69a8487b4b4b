//! A comparison as a build server reads tests: one test case a gated metric.

use super::words::{self, answer, interval, notes, p_value, sentence, shift, value};
use crate::commands::compare::comparison::{Comparison, Decision, Row};
use crate::report::markup::xml;
use crate::report::review::{JUNIT_END, junit_head};

/// What a metric that cannot be told is to a build server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Untold {
    /// An error, as its exit code is one.
    Error,
    /// A skipped test.
    Skipped,
}

/// A regression is a failure, an inconclusive metric what `untold` says, and an error in any case where nothing was decided
/// whatever the numbers are.
#[must_use]
pub fn compare_junit(comparison: &Comparison, untold: Untold) -> String {
    let untold = if comparison.undecided_because.is_some() { Untold::Error } else { untold };
    let gated: Vec<&Row> = comparison.rows.iter().filter(|row| row.gated).collect();
    let number = |wanted: &dyn Fn(Decision) -> bool| {
        gated.iter().filter(|row| row.answer.is_some_and(wanted)).count()
    };
    let failures = number(&|answer| answer == Decision::Regression);
    let open = number(&|answer| matches!(answer, Decision::Inconclusive { .. }));
    let (errors, skipped) = if untold == Untold::Error { (open, 0) } else { (0, open) };
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"",
        gated.len()
    );
    let mut text = junit_head("compare", &counts);
    gated.iter().for_each(|row| text.push_str(&case(row, comparison.open, untold)));
    let mut told = vec![
        format!("{}: {}", comparison.verdict.name(), sentence(comparison)),
        format!("base {}", words::side(&comparison.base)),
        format!("new {}", words::side(&comparison.new)),
        words::method(comparison),
    ];
    told.extend(notes(comparison));
    text.push_str(&format!("    <system-out>{}</system-out>\n", xml(&told.join("\n"))));
    text.push_str(JUNIT_END);
    text
}

fn case(row: &Row, open: bool, untold: Untold) -> String {
    let moved = row.shift_pct().map_or_else(|| "-".to_owned(), |percent| shift(row, percent));
    let numbers = format!(
        "{} {} -> {}, shift {moved} %, 95 % interval {}, p {}",
        row.label,
        value(row, open, row.base),
        value(row, open, row.new),
        interval(row),
        p_value(row)
    );
    let numbers = xml(&numbers);
    let inside = match row.answer {
        Some(Decision::Regression) => {
            format!("<failure type=\"regression\" message=\"{numbers}\"/>")
        }
        Some(Decision::Inconclusive { .. }) if untold == Untold::Error => {
            format!("<error type=\"inconclusive\" message=\"inconclusive: {numbers}\"/>")
        }
        Some(Decision::Inconclusive { .. }) => {
            format!("<skipped message=\"inconclusive: {numbers}\"/>")
        }
        _ => format!("<system-out>{}: {numbers}</system-out>", answer(row, open).unwrap_or("-")),
    };
    format!(
        "    <testcase classname=\"maxq.compare\" name=\"{}\">\n      {inside}\n    </testcase>\n",
        xml(&row.name)
    )
}
