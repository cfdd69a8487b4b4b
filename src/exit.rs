//! Exit codes, and refusals that carry one.

/// The run finished.
pub const FINISHED: u8 = 0;
/// A gate failed, or `--abort-on` or `--on-overload abort` ended the run.
pub const GATE: u8 = 1;
/// Wrong usage, configuration or plan.
pub const USAGE: u8 = 2;
/// Slower than what it was compared with.
pub const REGRESSION: u8 = 3;
/// A search or a comparison that found no answer.
pub const INCONCLUSIVE: u8 = 4;
/// No address, refused, or no successful response at all.
pub const TARGET: u8 = 5;
/// The measurement is not valid, and `--strict` was given, or it was to be compared.
pub const INVALID: u8 = 6;
/// The environment refuses what was asked.
pub const ENVIRONMENT: u8 = 7;
/// Results could not be written.
pub const OUTPUT: u8 = 8;
/// Added to a signal's number when it ended the run.
pub const SIGNAL: u8 = 128;

/// Why nothing more will be done: one line for people, one code for scripts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Names the flag and the remedy.
    pub message: String,
    /// One of the codes of this module.
    pub code: u8,
}

impl Refusal {
    /// The user asked for what cannot be.
    #[must_use]
    pub fn usage(message: String) -> Self {
        Self { message, code: USAGE }
    }

    /// The target cannot be used.
    #[must_use]
    pub fn target(message: String) -> Self {
        Self { message, code: TARGET }
    }

    /// The machine does not allow it.
    #[must_use]
    pub fn environment(message: String) -> Self {
        Self { message, code: ENVIRONMENT }
    }

    /// A result could not be written.
    #[must_use]
    pub fn output(message: String) -> Self {
        Self { message, code: OUTPUT }
    }
}
