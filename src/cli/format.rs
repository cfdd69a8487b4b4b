//! How results may look, and which of the formats a command has.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// How results look; see `--format`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum FormatArg {
    /// For people.
    Text,
    /// One document.
    Json,
    /// For a review.
    Markdown,
    /// For a build server.
    Junit,
    /// A header line, and a line a row, with tabs between.
    Tsv,
    /// The same with commas.
    Csv,
    /// A JSON line a row.
    Ndjson,
}

/// Reads one of the formats that a command has.
pub(super) fn one_of_formats(
    names: &'static [&'static str],
) -> impl TypedValueParser<Value = FormatArg> {
    PossibleValuesParser::new(names)
        .map(|name| FormatArg::from_str(&name, false).unwrap_or(FormatArg::Text))
}
