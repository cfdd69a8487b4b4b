//! A finished run: what was measured, how far it can be believed, and runs read back from files.

pub(crate) mod calibration;
pub mod document;
pub(crate) mod judgment;
pub mod summary;
pub mod verdict;
