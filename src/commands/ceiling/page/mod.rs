//! What a search for the highest load has found: for people, and for programs.

mod document;
mod live;
mod review;
mod text;

pub use document::ceiling_schema;
pub use document::{ceiling_json, ceiling_tsv};
pub use live::{Known, ceiling_progress, ceiling_trial};
pub use review::ceiling_review;
pub use text::{ceiling_load, ceiling_quiet, ceiling_remedy, ceiling_text};

#[cfg(test)]
mod tests;
