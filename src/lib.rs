//! maxq: an HTTP/1.1 benchmarker for one machine.
//!
//! The command line tool is a thin `main` over this library; `tests/` and `benches/` reach the inside through it.
//!
//! # The data path
//!
//! ```text
//!  argv --cli--> RunArgs --plan--> Plan -------------------------+     control plane: may fail, with a message
//!                        | request image, address, cores,        |
//!                        | shares, timeouts, expectation         v
//!         +------ run: one pinned thread a core, common start, stop flag ------+
//!         |   schedule --due?--> worker --actions--> engine (uring | sim) --> kernel
//!         |                        ^                    |                              data plane: a failure is
//!         |                        +------ conn <-------+ bytes, borrowed for one call  a counted event, never
//!         |                               http1 frames them                             a Result
//!         |                               record: buckets, tallies, intervals
//!         +---------------- join -> merge -> Summary <- verdict ---------------+
//!                                               |
//!                                    report (text | json | hgrm | ndjson)
//! ```
//!
//! Workers share nothing on the hot path. Each has a core, a ring, connections, histograms and counters of its own; the
//! request was serialised before the clock started and is sent from where it lies. Histograms meet once, after the join.
//!
//! # Who knows what
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | flag definitions, no look-ups |
//! | [`plan`] | flags become a validated, immutable [`plan::Plan`]: every file read, name look-up, default and conflict |
//! | [`target`], [`units`] | URLs; lengths of time and counts as people type them |
//! | [`request`] | the serialised request, in as many copies as one send may hold |
//! | [`time`], [`schedule`] | nanoseconds; when a run warms up, measures and stops |
//! | [`http1`] | responses out of bytes: framing, and the learned head that makes it cheap |
//! | [`conn`] | one connection's state, and the stamps of what is in flight on it |
//! | [`worker`] | one core's brain: events and instants in, actions out |
//! | [`record`] | what a worker remembers; merging; the conservation check |
//! | [`engine`] | loops that drive a worker: `uring` on io_uring, `sim` against a server in memory |
//! | [`run`] | pins, spawns, starts, watches, stops, joins, merges |
//! | [`verdict`] | is the measurement valid, and what limited it |
//! | [`summary`], [`report`] | a finished run, and what it looks like |
//! | [`serve`] | the embedded target, for `maxq demo` and the tests |
//! | [`output`], [`exit`], [`host`], [`sys`], [`command`] | files, exit codes, the machine, system calls, the commands |
//!
//! From `schedule` to `record` everything is sans-io and pure over the time that it is given: nothing there reads a
//! clock or names an engine, and `unsafe` is confined to `engine/uring`, `engine/bufring` and `sys`.
//! `tests/architecture.rs` holds the sources to this.
//!
//! # Glossary
//!
//! - **taken**: a ready connection has room for a request, which comes into being. In a closed loop this is where the
//!   request's life and its phase begin; it is sent within the same turn, and its timeout counts from there.
//! - **sent**: the request is handed to the kernel. The sends of one submission run one after the other inside the
//!   kernel, a few microseconds each; their stamps are interpolated between the submission's start and end, and that
//!   length is shown as *stamp skew*.
//! - **first byte**, **done**: the completion that carried the first and the last byte of the response, stamped when
//!   completions are reaped. How long the worker did not look is shown as *receive slack*.
//! - **service time** is done - sent; **time to first byte** is first byte - sent. **Response time** is what a user
//!   waits; in a closed loop, which has no schedule, it equals service time, and holds in addition the ages of requests
//!   that were unanswered when the run ended (*right-censored*).
//! - **closed loop**: each connection sends its next request when an answer has come. A slow server is therefore asked
//!   less often, and what a closed loop prints as latency is blind to the requests that were not sent meanwhile.
//! - **window**: the measured time. Requests taken before it are the warm-up: listed, not counted. Answers that come
//!   after its end belong to the *drain*: counted, but in no rate.
//! - **phase** of a request: decided by when it was taken. **Interval**: one second, by when things happened.

pub mod analysis;
pub mod calibrate;
pub mod calibration;
pub mod cli;
pub mod command;
pub mod conn;
pub mod engine;
pub mod exit;
pub mod failure;
pub mod host;
pub mod http1;
pub mod output;
pub mod plan;
pub mod pressure;
pub mod record;
pub mod report;
pub mod request;
pub mod run;
pub mod schedule;
pub mod serve;
pub mod summary;
pub mod sys;
pub mod target;
pub mod time;
pub mod units;
pub mod verdict;
pub mod worker;
