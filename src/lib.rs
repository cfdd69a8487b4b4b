//! maxq: an HTTP/1.1 benchmarker for one machine.
//!
//! The command line tool is a thin `main` over this library; `tests/` and `benches/` reach the inside through it.
//!
//! # The data path
//!
//! ```text
//!  argv --cli--> RunArgs --plan--> Plan -------------------------+     control plane: may fail, with a message
//!                        | request image, address, cores,        |
//!                        | shares, timeouts, expectation,        |
//!                        | schedule, gates                       v
//!         +------ run: one pinned thread a core, common start, stop flag ------+
//!         |   schedule --due?--> worker --actions--> engine (uring | portable | sim) --> kernel
//!         |    slots of whole      ^                    |                              data plane: a failure is
//!         |    nanoseconds         +------ conn <-------+ bytes, borrowed for one call  a counted event, never
//!         |                        tls? and http1 read them                            a Result
//!         |                               record: phases, tallies, histograms, intervals, lags
//!         +---------------- join -> merge -> Summary <- verdict <- pressure, calibration
//!                                               |         ^
//!                                               |         +-- stats:    intervals of confidence, trends, warm-up
//!                                    report (text | json | tsv | hgrm | hlog | ndjson)
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
//! | [`time`], [`schedule`](crate::core::schedule) | nanoseconds; when each request is due, and which phase it belongs to |
//! | [`tls`](crate::core::tls), `tunnel` | plain bytes out of encrypted ones, and back; the way through a proxy |
//! | [`http1`](crate::core::http1) | responses out of bytes: framing, and the learned head that makes it cheap |
//! | [`conn`](crate::core::conn) | one connection's state, and the stamps of what is in flight on it |
//! | [`worker`](crate::core::worker) | one core's brain: events and instants in, actions out; who is to blame for what is sent late |
//! | [`record`](crate::core::record) | what a worker remembers, phase by phase; merging; the conservation check |
//! | [`engine`] | loops that drive a worker: `uring` on io_uring, `portable` on epoll, `sim` against a server in memory |
//! | [`run`] | [`run::Bench`]: asks machine and target once (is this what the user means?), then makes runs: pins, spawns, starts, watches, stops, joins, merges |
//! | [`pressure`](crate::machine::pressure) | what else the machine did meanwhile: time stolen, quotas used up, packets sent again |
//! | [`commands::calibrate`], `calibration` | what this client can do on this machine, measured once and kept |
//! | [`stats`] | how far numbers can be believed: intervals of confidence, trends, recovery, the end of a warm-up, ranks |
//! | [`slo`] | metrics, gates on them, and which gates hold |
//! | [`verdict`](crate::result::verdict) | what the target did, whether the measurement is valid, and what limited it |
//! | [`summary`](crate::result::summary), [`report`] | a finished run, and what it looks like |
//! | [`capacity`] | the goals of a search for the highest load: from gates and finished runs to trials, and what was found |
//! | [`document`](crate::result::document), [`comparison`] | runs out of result files; two sides of them, metric by metric |
//! | [`serve`] | the embedded target, for `maxq demo` and the tests |
//! | `files` | the files that a user names, read and opened without a silent wait |
//! | [`output`], [`base64`], [`exit`], `host`, `cgroup`, `memory`, [`sys`](crate::machine::sys), [`commands`] | files, text out of bytes, exit codes, the machine, limits of CPU time and memory, system calls, the commands |
//!
//! From `schedule` to `record` everything is sans-io and pure over the time that it is given: nothing there reads a
//! clock or names an engine, and `unsafe` is confined to `engine/uring`, `engine/bufring` and `sys`.
//! `tests/architecture.rs` holds the sources to this.
//!
//! # Glossary
//!
//! - **open loop**: requests are due by a schedule, however slow the server is, as if users came who do not know of each
//!   other. **Closed loop**: each connection sends its next request when an answer has come. A slow server is therefore
//!   asked less often, and what a closed loop prints as latency is blind to the requests that were not sent meanwhile
//!   (*coordinated omission*).
//! - **intended time** of a request: when it is due, worked out from its place in the schedule. In a closed loop it is
//!   when a ready connection has room for it (*taken*); it is sent within the same turn. Phase and timeout count from
//!   here.
//! - **sent**: the request is handed to the kernel. The sends of one submission run one after the other inside the
//!   kernel, a few microseconds each, and all of them have the stamp of its start: a stamp may be early, never late. A
//!   submission therefore holds at most eight sends, four in an open loop, and its length is shown as *stamp skew*.
//! - **first byte**, **done**: the completion that carried the first and the last byte of the response, stamped when
//!   completions are reaped. How long the worker did not look is shown as *receive slack*.
//! - **service time** is done - sent; **time to first byte** is first byte - sent. **Response time** is done - intended,
//!   what a user waits; in a closed loop, which has no schedule, it equals service time. It holds in addition the ages
//!   of requests that were unanswered when the run ended (*right-censored*: the truth is at least that).
//! - **send lag** is sent - intended, and is split into **pool wait**, for which no connection was free (the server is
//!   slow, or there are too few), and **client lag**, for which this client was late. When the worker was away itself,
//!   the backlog that it finds is its own doing, and so is the waiting in it. A worker that comes ten or more
//!   milliseconds late to look for answers takes that time out of the service times that it would have spoiled, and
//!   charges it to client lag; in a closed loop, to the time that it was *away*. A closed loop may be busy for longer than
//!   that with what there is to do; it was away when its thread neither ran nor slept.
//! - **backlog**: requests that are due and not sent; two places in the schedule, whatever its size. **Outstanding**: the
//!   backlog and what is in flight. **Unsent**: due, and never sent, because it was *shed*, had *expired* by its
//!   timeout, or was *left* when the run ended.
//! - **phase**: the warm-up, each stage and each burst; a request's is decided by its intended time. **Interval**: one
//!   second, by when things happened; **slice**: what a second is cut into for statistics.
//! - **window**: the measured time. Requests intended before it are the warm-up: listed, not counted. Answers that come
//!   after its end belong to the *drain*: counted, but in no rate.
//! - **law**: a behaviour of the embedded target whose latencies have a closed form. **Twin**: what a single request
//!   should take by the law, worked out from its intended time alone.

/// In place of the standard library's, which panics when standard error cannot be written to.
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::output::tell(format_args!("{}\n", format_args!($($text)*))) };
}

/// Likewise.
macro_rules! eprint {
    ($($text:tt)*) => { $crate::output::tell(format_args!($($text)*)) };
}

pub mod base64;
pub mod capacity;
pub mod cli;
pub mod commands;
pub mod comparison;
pub mod core;
pub mod engine;
pub mod exit;
pub(crate) mod files;
pub mod machine;
pub mod output;
pub mod plan;
pub mod report;
pub mod request;
pub mod result;
pub mod run;
pub mod serve;
pub mod slo;
pub mod stats;
pub mod target;
pub mod time;
pub mod units;
