//! A comparison as a build server reads tests: one test case a gated metric.

use super::words::{self, answer, interval, notes, p_value, sentence, shift, value};
use crate::comparison::{Answer, Comparison, Row};

/// A regression is a failure, an inconclusive metric is skipped.
#[must_use]
pub fn compare_junit(comparison: &Comparison) -> String {
    let gated: Vec<&Row> = comparison.rows.iter().filter(|row| row.gated).collect();
    let number = |wanted: &dyn Fn(Answer) -> bool| {
        gated.iter().filter(|row| row.answer.is_some_and(wanted)).count()
    };
    let failures = number(&|answer| answer == Answer::Regression);
    let skipped = number(&|answer| matches!(answer, Answer::Inconclusive { .. }));
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"",
        gated.len()
    );
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"maxq\" {counts}>\n  <testsuite name=\"maxq compare\" {counts}>\n"
    );
    gated.iter().for_each(|row| text.push_str(&case(row, comparison.open)));
    let mut told = vec![
        format!("{}: {}", comparison.verdict.name(), sentence(comparison)),
        format!("base {}", words::side(&comparison.base)),
        format!("new {}", words::side(&comparison.new)),
        words::method(comparison),
    ];
    told.extend(notes(comparison));
    text.push_str(&format!("    <system-out>{}</system-out>\n", escape(&told.join("\n"))));
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn case(row: &Row, open: bool) -> String {
    let moved = row.shift_pct().map_or_else(|| "-".to_owned(), |percent| shift(row, percent));
    let numbers = format!(
        "{} {} -> {}, shift {moved} %, 95 % interval {}, p {}",
        row.name,
        value(row, open, row.base),
        value(row, open, row.new),
        interval(row),
        p_value(row)
    );
    let numbers = escape(&numbers);
    let inside = match row.answer {
        Some(Answer::Regression) => {
            format!("<failure type=\"regression\" message=\"{numbers}\"/>")
        }
        Some(Answer::Inconclusive { .. }) => {
            format!("<skipped message=\"inconclusive: {numbers}\"/>")
        }
        _ => format!("<system-out>{}: {numbers}</system-out>", answer(row).unwrap_or("-")),
    };
    format!(
        "    <testcase classname=\"maxq.compare\" name=\"{}\">\n      {inside}\n    </testcase>\n",
        escape(row.name)
    )
}

/// Text that is no markup, without what XML cannot hold at all.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}
