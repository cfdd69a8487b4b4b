//! The accuracy bed: runs against laws whose latencies are known in closed form, held to three oracles. Counts must agree
//! with the target's own to the last request; each request is compared with a twin that is computed from the target's
//! own stamps; where tcpdump is there, a capture of the wire is a third witness.
//!
//! Target and client have a core each, and the tests run one after the other. A run in which the machine took a core
//! away for longer than a measurement may be off is void and repeated. Where some runs in a row were not quiet, requests
//! that were held up are left out, as the stamps of both sides show them, and medians have wider bounds; how many may
//! have been held up is told by a control, the simplest client there is, in the same place against the same target.
//! Not part of plain `cargo test`: `scripts/test` runs it against the release build.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the way tests do")]

mod bed;
mod client;
mod closed_forms;
mod closed_loop;
mod control;
mod faults;
mod queues;
mod rates;
mod row;
#[path = "../support/mod.rs"]
mod support;
mod wire;
mod witness;
