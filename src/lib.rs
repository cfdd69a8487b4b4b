//! maxq (under construction).
pub mod failure;
pub mod serve;
