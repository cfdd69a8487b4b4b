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
//!         +---------------- join -> merge -> Summary <- judgment <- pressure, calibration
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
//! Folders from top to bottom; each may name what stands below it.
//!
//! | folder | what it is |
//! |---|---|
//! | [`commands`] | what a user can ask for, each as plan, run, report. [`ceiling`](mod@commands::ceiling): `capacity` makes trials out of goals, `search` decides which comes next, `page` shows what was found. [`compare`](mod@commands::compare): `comparison` puts two sides of runs to the statistics. [`sweep`](mod@commands::sweep); [`calibrate`](commands::calibrate()): what this client can do on this machine |
//! | [`report`] | what a run looks like, one file a format; [`output`]: where it is written |
//! | [`run`] | [`run::Bench`] asks machine and target once (is this what the user means?), then makes runs: pins, spawns, starts, watches, stops, joins, merges |
//! | [`engine`] | loops that drive a worker: `uring` on io_uring, `portable` on epoll, `sim` against a server in memory |
//! | [`plan`] | flags become a validated, immutable [`plan::Plan`]: every file read, name look-up, default and conflict; `files`: read and opened without a silent wait |
//! | [`cli`] | flag definitions, no look-ups |
//! | [`result`] | a finished run: its [`summary`](result::summary); its [`verdict`](result::verdict): what the target did, whether the measurement is valid, and what limited it, as `judgment` draws it from the evidence; [`document`](result::document): runs read back from files; `calibration` |
//! | [`serve`] | the embedded target, for `maxq demo` and the tests |
//! | [`core`](mod@crate::core) | the data plane: [`schedule`](crate::core::schedule), when each request is due and which phase it belongs to; [`worker`](crate::core::worker), one core's brain: events and instants in, actions out; [`conn`](crate::core::conn), one connection's state and the stamps of what is in flight on it; [`tls`](crate::core::tls) and `tunnel`, plain bytes out of encrypted ones, and the way through a proxy; [`http1`](crate::core::http1), responses out of bytes; [`record`](crate::core::record), what a worker remembers; [`failure`](crate::core::failure) |
//! | [`request`], [`target`] | the serialised request, in as many copies as one send may hold; URLs |
//! | [`slo`] | metrics, gates on them, and which gates hold |
//! | [`stats`] | how far numbers can be believed: intervals of confidence, trends, recovery, the end of a warm-up, ranks |
//! | [`machine`] | `host`, `cgroup`, `memory`, [`pressure`](machine::pressure): what else the machine did meanwhile; [`sys`](machine::sys): system calls |
//! | [`time`], [`units`], [`exit`], [`base64`] | nanoseconds; lengths and counts as people type them; exit codes; text out of bytes |
//!
//! From `schedule` to `record` everything is sans-io and pure over the time that it is given: nothing there reads a
//! clock or names an engine, and `unsafe` is confined to `engine/uring`, `engine/bufring` and `machine/sys`.
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
pub mod cli;
pub mod commands;
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
