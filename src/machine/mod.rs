//! The machine that maxq runs on: what it is, what it allows, and what else it does meanwhile; system calls.

pub(crate) mod cgroup;
pub(crate) mod host;
pub(crate) mod memory;
pub mod pressure;
pub mod sys;
