//! What a finished run looks like: text for people, JSON for programs, files for other tools.
//!
//! One file a format, all of them pure functions of a plan and a summary, or of parts of it; what to do with the text is
//! the caller's business. Nothing here computes more than a presentation needs: figures come from [`crate::result::summary`].
//! The names in the JSON documents are stable, and `run.schema.json` is held to them by tests.

mod answers;
mod calibration;
mod ceiling;
mod compare;
mod csv;
pub mod format;
mod gates;
mod hgrm;
mod hlog;
mod json;
mod latency;
mod machine;
mod markup;
mod page;
mod phases;
mod plan;
mod progress;
mod requests;
mod review;
mod runs;
mod sweep;
mod text;
mod timeseries;
mod tls;
mod tsv;

pub use calibration::{calibration_json, calibration_text};
pub use ceiling::{
    Known, ceiling_json, ceiling_load, ceiling_progress, ceiling_quiet, ceiling_remedy,
    ceiling_review, ceiling_schema, ceiling_text, ceiling_trial, ceiling_tsv,
};
pub use compare::{
    Standing, Untold, compare_json, compare_json_schema, compare_junit, compare_markdown,
    compare_progress, compare_quiet_text, compare_text, compare_tsv,
};
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
pub use sweep::{
    Attempt, LineFormat, sweep_announcement, sweep_findings, sweep_header, sweep_json,
    sweep_json_schema, sweep_line, sweep_live, sweep_progress, sweep_review, sweep_svg, sweep_text,
};
pub use text::{quiet_text, text};
pub use timeseries::timeseries_line;
pub use tsv::{tsv_header, tsv_row};

/// A document that others may hold.
pub type Document = serde_json::Value;

#[cfg(test)]
pub(crate) mod tests;
