//! What this client can do on this machine, as it was measured once: a few numbers that a verdict may compare with.

/// The result of a calibration.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Requests a second of one worker in a closed loop against an empty server on another core.
    pub ceiling_rps: f64,
    /// The worker had no time left then; otherwise the server was the limit, and the worker can do more.
    pub client_limited: bool,
}
