//! What this client can do on this machine, as it was measured once: a few numbers that a verdict may compare with.
//!
//! `cache` keeps them between runs; `maxq calibrate` measures them.

pub(crate) mod cache;

/// The result of a calibration; times in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Requests a second of one worker in a closed loop against an empty server, on another core where there is one.
    pub ceiling_rps: f64,
    /// The worker had no time left then; otherwise the server was the limit, and the worker can do more.
    pub client_limited: bool,
    /// What one look at the clock takes.
    pub clock_read_ns: u64,
    /// How late a sleeping worker wakes up: the median.
    pub wake_p50_ns: u64,
    /// And in one of a hundred cases.
    pub wake_p99_ns: u64,
    /// Longest time for which a core was taken from a thread that wanted it, in one second.
    pub hiccup_ns: u64,
    /// CPU time of the client for each request.
    pub cpu_ns_per_request: f64,
    /// Median service time against the empty server.
    pub service_p50_ns: u64,
    /// How far a send stamp could be off.
    pub stamp_skew_ns: u64,
    /// How late requests were sent at a steady rate: the median.
    pub send_lag_p50_ns: u64,
    /// And in one of a hundred cases.
    pub send_lag_p99_ns: u64,
    /// That rate, in requests a second.
    pub paced_rps: f64,
}
