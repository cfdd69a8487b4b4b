//! What a search for the highest load has found: for people, and for programs.

mod document;
mod review;
mod text;

pub use document::{ceiling_json, ceiling_schema, ceiling_tsv};
pub use review::ceiling_review;
pub use text::{
    Known, ceiling_load, ceiling_progress, ceiling_quiet, ceiling_remedy, ceiling_text,
    ceiling_trial,
};

#[cfg(test)]
mod tests;
