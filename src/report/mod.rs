//! What a finished run looks like: text for people, JSON for programs, files for other tools.
//!
//! One file a format, all of them pure functions of a plan and a summary, or of parts of it; what to do with the text is
//! the caller's business. Nothing here computes more than a presentation needs: figures come from [`crate::result::summary`].
//! The names in the JSON documents are stable, and `run.schema.json` is held to them by tests.

mod answers;
mod calibration;
mod csv;
pub mod format;
pub(crate) mod gates;
mod hgrm;
mod hlog;
pub(crate) mod json;
mod latency;
mod machine;
pub(crate) mod markup;
pub(crate) mod page;
mod phases;
mod plan;
mod progress;
mod requests;
pub(crate) mod review;
mod runs;
pub(crate) mod text;
mod timeseries;
mod tls;
mod tsv;

pub use calibration::{calibration_json, calibration_text};
pub use csv::csv_of_tsv;
pub use gates::condition;
pub use hgrm::hgrm;
pub use hlog::{hlog_header, hlog_line};
pub use json::{document, json, json_schema};
pub use page::Style;
pub use plan::{plan_json, plan_text};
pub use progress::progress_line;
pub use requests::{request_header, request_rows};
pub use review::{Review, refused_junit, refused_markdown, run_review, runs_review};
pub use runs::{Carried, runs_json, runs_json_schema, runs_quiet_text, runs_text, runs_tsv};
pub use text::{quiet_text, text};
pub use timeseries::timeseries_line;
pub use tsv::{tsv_header, tsv_row};

/// A document that others may hold.
pub type Document = serde_json::Value;

#[cfg(test)]
pub(crate) mod tests;
