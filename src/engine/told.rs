//! What a worker on the portable engine hears of what it sends.

use crate::core::conn::ConnId;
use crate::core::worker::Event;

/// What the worker wants to hear when requests are on their way.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Told {
    Nothing,
    Sent,
    Transmitted,
}

impl Told {
    /// What the worker hears when the socket has taken `sent` bytes, the last of them or not.
    pub(super) fn event(self, id: ConnId, sent: usize, is_last: bool) -> Option<Event<'static>> {
        match self {
            Self::Sent if is_last => Some(Event::Sent(id, sent as u64)),
            Self::Sent => Some(Event::SentPart(id, sent as u64)),
            Self::Transmitted if is_last => Some(Event::Transmitted(id)),
            Self::Nothing | Self::Transmitted => None,
        }
    }
}
