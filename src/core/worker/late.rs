//! How late an engine looks, and from when on that is charged to the client.

/// Looking late by less than this may be anybody's doing, and stays in the service time; from here on the verdict says
/// so, and it is the client's.
pub const LATE_FROM_NS: u64 = 10_000_000;

/// How late an engine looks at what it tells the worker.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Late {
    /// How much later than it wanted to, in nanoseconds: what is sent late for that is the client's doing.
    pub look_ns: u64,
    /// For how long what it tells may have been there unseen, in nanoseconds; at least `look_ns`.
    pub unseen_ns: u64,
}

impl Late {
    /// All of it was there for as long as the look came late.
    #[must_use]
    pub fn by(look_ns: u64) -> Self {
        Self { look_ns, unseen_ns: look_ns }
    }

    /// Late enough to be charged to the client.
    #[must_use]
    pub fn counts(self) -> bool {
        self.look_ns >= LATE_FROM_NS
    }
}
