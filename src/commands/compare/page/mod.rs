//! What a comparison looks like: text for people, JSON for programs, Markdown for a review, JUnit for a build server.

mod json;
mod junit;
mod markdown;
mod progress;
mod text;
mod tsv;
mod words;

pub use json::compare_json;
pub use json::compare_json_schema;
pub use junit::{Untold, compare_junit};
pub use markdown::compare_markdown;
pub use progress::{Standing, compare_progress};
pub use text::{compare_quiet_text, compare_text};
pub use tsv::compare_tsv;

#[cfg(test)]
mod tests;
