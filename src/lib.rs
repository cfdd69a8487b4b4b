//! maxq (under construction).
pub mod failure;
pub mod plan;
pub mod record;
pub mod report;
pub mod request;
pub mod summary;
pub mod sys;
pub mod target;
pub mod time;
pub mod verdict;
