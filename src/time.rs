//! Instants and lengths of time, in whole nanoseconds.
//!
//! Everything between schedule and record takes time as an argument; only engines and the control
//! plane may call [`monotonic`].

use crate::machine::sys;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// An instant on the machine-wide `CLOCK_MONOTONIC`, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Nanos(pub u64);

impl Nanos {
    /// An instant that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The instant `length_ns` later; saturates at [`Nanos::NEVER`].
    #[must_use]
    pub const fn plus(self, length_ns: u64) -> Self {
        Self(self.0.saturating_add(length_ns))
    }

    /// How long after `earlier` this instant is, in nanoseconds; 0 when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant so many seconds after zero; negative ones are zero.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a conversion from floating point saturates"
    )]
    pub fn from_seconds(seconds: f64) -> Self {
        Self((seconds * 1e9).round() as u64)
    }

    /// Signed seconds from `origin` to this instant.
    #[must_use]
    pub fn seconds_from(self, origin: Self) -> f64 {
        if self >= origin { seconds(self.since(origin)) } else { -seconds(origin.since(self)) }
    }
}

/// A length in nanoseconds as float seconds, for people and reports.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ns are 104 days; reports round far above that"
)]
pub fn seconds(length_ns: u64) -> f64 {
    length_ns as f64 / 1e9
}

/// Reads the clock that every stamp of a run comes from.
#[must_use]
pub fn monotonic() -> Nanos {
    Nanos(sys::monotonic_ns())
}
