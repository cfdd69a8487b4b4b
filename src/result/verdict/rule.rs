//! The rules that a verdict may name, each with its stable short name. Must not know when a rule fires.

/// A rule about a run. `C` rules are about the client and its machine, `W` about the run itself, `S` about the server and
/// the network, `E` about errors, `T` about a target that was not there, `O` about output files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// C1: the client sent late or looked late.
    ClientLag,
    /// C2: requests were not sent in time although connections were free.
    BehindSchedule,
    /// C3: the workers had no time left.
    Saturated,
    /// C4: the loop was slow, or the kernel lost completions.
    SlowTurns,
    /// C5: the client's cores were taken away.
    TakenAway,
    /// C6: the client looked at its ring much later than it wanted to.
    LateLook,
    /// C7: requests waited for a connection.
    NoConnectionFree,
    /// C8: this machine refused operations.
    Refused,
    /// C9: client and target share a host.
    SameHost,
    /// C10: the clock is slow.
    SlowClock,
    /// C11: the offered rate is close to what this client can do here.
    NearCeiling,
    /// W1: the run did not settle.
    NotSettled,
    /// S1: packets were sent again.
    Retransmits,
    /// S2: a listener had no room for connections.
    ListenOverflows,
    /// S3: the latency changed to the end.
    Drift,
    /// E1: requests got no good response.
    BadResponses,
    /// T1: no connection could be had.
    NoConnection,
    /// T2: some connections were lost.
    ConnectionsLost,
    /// T3: connections were open, and no good answer came.
    NoGoodAnswer,
    /// O1: an output file is incomplete.
    OutputDropped,
}

impl Rule {
    /// Those that make the client the limit.
    pub const OF_CLIENT: [Self; 4] =
        [Self::ClientLag, Self::BehindSchedule, Self::Saturated, Self::TakenAway];
    /// Those about connections to the target that could not be had.
    pub const OF_CONNECTIONS: [Self; 2] = [Self::NoConnection, Self::ConnectionsLost];
    /// Those about a target that was not there.
    pub const OF_TARGET: [Self; 3] =
        [Self::NoConnection, Self::ConnectionsLost, Self::NoGoodAnswer];

    /// The stable short name in reports and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientLag => "C1",
            Self::BehindSchedule => "C2",
            Self::Saturated => "C3",
            Self::SlowTurns => "C4",
            Self::TakenAway => "C5",
            Self::LateLook => "C6",
            Self::NoConnectionFree => "C7",
            Self::Refused => "C8",
            Self::SameHost => "C9",
            Self::SlowClock => "C10",
            Self::NearCeiling => "C11",
            Self::NotSettled => "W1",
            Self::Retransmits => "S1",
            Self::ListenOverflows => "S2",
            Self::Drift => "S3",
            Self::BadResponses => "E1",
            Self::NoConnection => "T1",
            Self::ConnectionsLost => "T2",
            Self::NoGoodAnswer => "T3",
            Self::OutputDropped => "O1",
        }
    }
}
