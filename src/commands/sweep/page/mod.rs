//! What a finished sweep looks like: a table, a plot and the inflection points for people, one document or one line a run
//! for programs, a drawing.
//!
//! Like all reports, pure functions of plan and summary. `sweep.schema.json` is held to the document by tests.

mod axis;
mod curves;
mod json;
mod labels;
mod lines;
mod live;
mod plot;
mod review;
mod svg;
mod table;
mod text;

pub use json::sweep_json;
pub use json::sweep_json_schema;
pub use lines::{LineFormat, sweep_header, sweep_line};
pub use live::{Attempt, sweep_live};
pub use review::sweep_review;
pub use svg::sweep_svg;
pub use text::{sweep_announcement, sweep_findings, sweep_progress, sweep_text};

use crate::report::format;
use crate::units::significant;

/// A number of a sweep as people read it: four digits, or all of a whole number.
fn number(value: f64) -> String {
    let text = match value.abs() {
        size if size >= 999.5 => format!("{value:.0}"),
        size if size >= 99.95 => format!("{value:.1}"),
        size if size >= 9.995 => format!("{value:.2}"),
        _ => significant(value, 3),
    };
    let short = match text.split_once('.') {
        Some((whole, decimals)) => {
            let decimals = decimals.trim_end_matches('0');
            let point = if decimals.is_empty() { "" } else { "." };
            format!("{whole}{point}{decimals}")
        }
        None => text,
    };
    short.parse::<u64>().map_or(short, format::count)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod number_tests {
    use super::number;

    #[test]
    fn numbers_have_four_digits_or_all_of_a_whole_one() {
        let shown =
            [0.0, 1.0, 0.12345, 9.9999, 12.345, 99.96, 123.456, 999.96, 1234.5, 2e6].map(number);
        assert_eq!(
            shown,
            ["0", "1", "0.123", "10", "12.35", "100", "123.5", "1,000", "1,234", "2,000,000"]
        );
    }
}
