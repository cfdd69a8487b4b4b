//! The data plane, sans-io: when a request is due, what comes back, and what is remembered of both.
//!
//! A worker owns all of it, one a core. Nothing in here knows a socket, a clock or a thread; an engine brings events and
//! instants, and carries out what the worker asks for.

pub mod conn;
pub mod failure;
pub mod http1;
pub mod record;
pub mod schedule;
pub mod tls;
pub(crate) mod tunnel;
pub mod worker;
