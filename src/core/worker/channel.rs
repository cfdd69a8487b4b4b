//! What lies between the bytes of a connection and HTTP: TLS, from the open connection to its end.
//!
//! A connection has at most one transmission under way; `sending` says so. What is encrypted is encrypted when an engine
//! takes it, into memory that it gives back once it has been sent, so that idle connections hold none.

use super::{Action, Worker};
use crate::core::conn::{ConnId, Receiving, State};
use crate::core::failure::{Failure, Kind, Phase as FailurePhase};
use crate::core::record::Outcome;
use crate::core::tls::{self, Security, Session, Step, TlsFailure};
use crate::core::tunnel::{Heard, Tunnel};
use crate::time::Nanos;

/// Plain bytes that one transmission holds at most: longer requests go in several.
const PIECE_BYTES: usize = 64 * 1024;
/// Plain bytes of one record.
const RECORD_BYTES: usize = 16 * 1024;
/// Buffers that are kept for later transmissions.
const MOST_SPARE: usize = 64;
/// A buffer that grew beyond this is not kept.
const MOST_SPARE_BYTES: usize = 2 * PIECE_BYTES;

/// The channels of a worker's connections.
#[derive(Debug)]
pub(super) struct Channels {
    client: tls::Client,
    by_connection: Vec<Option<Box<Channel>>>,
    /// What each connection is sending. Not part of its channel, which is away while what it received is looked at, and
    /// that may bring the next requests.
    batches: Vec<Unsealed>,
    /// Where records are put together and decrypted.
    scratch: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

/// Requests that were taken and are not yet encrypted: from where to where in the image.
#[derive(Clone, Copy, Debug, Default)]
struct Unsealed {
    from: usize,
    to: usize,
    /// Plain bytes in the transmission under way.
    plain_bytes: u64,
    /// Records that the session may still encrypt.
    records_left: u64,
}

/// A session with fewer records left than any batch of requests takes is replaced.
const RECORDS_KEPT: u64 = 64;

/// One connection's.
#[derive(Debug)]
struct Channel {
    /// The tunnel that leads to the other end, until it is there.
    tunnel: Option<Tunnel>,
    session: Session,
    /// A transmission is under way.
    transmitting: bool,
    /// Nothing more will be sent; the peer is to be told so.
    leaving: bool,
}

impl Channel {
    fn new(session: Session, tunnel: Option<Tunnel>) -> Self {
        Self { tunnel, session, transmitting: false, leaving: false }
    }

    fn has_outgoing(&self) -> bool {
        match &self.tunnel {
            Some(tunnel) => !tunnel.asked,
            None => self.session.has_outgoing(),
        }
    }
}

impl Channels {
    pub(super) fn new(security: &Security, connections: u32) -> Self {
        Self {
            client: tls::Client::new(security, connections),
            by_connection: (0..connections).map(|_| None).collect(),
            batches: vec![Unsealed::default(); connections as usize],
            scratch: Vec::new(),
            spare: Vec::new(),
        }
    }
}

impl Worker {
    /// What a [`Action::Transmit`] is about: bytes for the wire. Give them back with [`Worker::reuse`].
    #[must_use]
    pub fn sealed(&mut self, id: ConnId) -> Vec<u8> {
        let Some(channels) = &mut self.channels else { return Vec::new() };
        let mut out = channels.spare.pop().unwrap_or_default();
        out.clear();
        let Some(channel) = &mut channels.by_connection[id.index as usize] else { return out };
        channel.transmitting = true;
        if let Some(tunnel) = &mut channel.tunnel {
            tunnel.asked = true;
            out.extend_from_slice(self.job.tunnel.as_deref().unwrap_or_default());
            return out;
        }
        let batch = &mut channels.batches[id.index as usize];
        // A session that has failed since says why, and carries nothing more.
        let usable = channel.session.is_established();
        let piece = if usable { (batch.to - batch.from).min(PIECE_BYTES) } else { 0 };
        let plain = &self.job.image.batch(self.batch.most)[batch.from..batch.from + piece];
        batch.from += piece;
        batch.plain_bytes = piece as u64;
        batch.records_left = batch.records_left.saturating_sub(1 + (piece / RECORD_BYTES) as u64);
        // It is replaced before its keys are used up, which is all that can go wrong now.
        let sealed = channel.session.seal(plain, &mut out);
        debug_assert!(sealed.is_ok(), "{sealed:?}");
        if channel.leaving {
            channel.session.say_goodbye(&mut out);
        }
        out
    }

    /// Takes back the memory of [`Worker::sealed`].
    pub fn reuse(&mut self, bytes: Vec<u8>) {
        if let Some(channels) = &mut self.channels
            && channels.spare.len() < MOST_SPARE
            && bytes.capacity() <= MOST_SPARE_BYTES
        {
            channels.spare.push(bytes);
        }
    }

    /// Hands requests that were taken to whoever sends them.
    #[inline]
    pub(super) fn push_send(&mut self, id: ConnId, count: u32, first: u32) {
        let Some(channels) = &mut self.channels else {
            let confirm = self.batch.confirm;
            self.actions.push(Action::Send { conn: id, count, first, confirm });
            return;
        };
        let to = self.job.image.length() * count as usize;
        let batch = &mut channels.batches[id.index as usize];
        (batch.from, batch.to) = (0, to);
        self.actions.push(Action::Transmit { conn: id, count, first });
    }

    /// A connection is open: the handshake begins.
    pub(super) fn secure(&mut self, now: Nanos, index: u32, since: Nanos) {
        self.conns[index as usize].state = State::Securing { since, from: now };
        let Some(channels) = &mut self.channels else { return };
        let tunnel = self.job.tunnel.is_some().then(Tunnel::default);
        let greeted = channels.client.begin().and_then(|mut session| {
            session.greet()?;
            Ok(session)
        });
        match greeted {
            Ok(session) => {
                channels.by_connection[index as usize] =
                    Some(Box::new(Channel::new(session, tunnel)));
                channels.batches[index as usize] = Unsealed::default();
                self.say_what_there_is(index);
                self.conns[index as usize].receiving = Receiving::Many;
                let conn = self.id(index);
                self.actions.push(Action::Receive { conn, receiving: Receiving::Many });
            }
            Err(TlsFailure { failure, text }) => {
                self.handshake_failed(now, index, failure, text.as_bytes());
            }
        }
    }

    /// Bytes came on a connection that is wrapped in TLS.
    pub(super) fn unseal(&mut self, now: Nanos, id: ConnId, bytes: &[u8]) {
        let Some(channels) = &mut self.channels else { return };
        let Some(mut channel) = channels.by_connection[id.index as usize].take() else { return };
        let mut bytes = bytes;
        if let Some(tunnel) = &mut channel.tunnel {
            let heard = tunnel.hear(bytes);
            match heard {
                Heard::Open(rest) => {
                    channel.tunnel = None;
                    bytes = &bytes[bytes.len() - rest..];
                }
                Heard::NeedMore | Heard::Refused(_) => {
                    channels.by_connection[id.index as usize] = Some(channel);
                    if let Heard::Refused(answer) = heard {
                        let refused = Failure::new(FailurePhase::Connect, Kind::ProxyRefused);
                        self.connect_failed(now, id.index, refused, &answer);
                    }
                    return;
                }
            }
            self.tunnelled(now, id.index);
        }
        let Some(channels) = &mut self.channels else { return };
        let mut scratch = std::mem::take(&mut channels.scratch);
        let mut early = false;
        let heard = channel.session.receive(bytes, &mut scratch, |step| {
            match step {
                Step::Established => {}
                // Nothing was asked for, and nothing may be said before the handshake is over.
                Step::Plain(_) if self.is_securing(id) => early = true,
                Step::Plain(plain) => self.received(now, id.index, plain),
                Step::Ended => self.end_of_stream(now, id.index, true),
            }
            self.is_current(id) && !early
        });
        let established = channel.session.is_established();
        let records_allowed = channel.session.records_allowed();
        let agreement = (established && self.is_securing(id))
            .then(|| (channel.session.negotiated(), channel.session.is_resumed()));
        if let Some(channels) = &mut self.channels {
            channels.scratch = scratch;
            channels.by_connection[id.index as usize] = Some(channel);
        }
        if !self.is_current(id) {
            return;
        }
        if early {
            let unsolicited = Failure::new(FailurePhase::Tls, Kind::UnsolicitedData);
            self.handshake_failed(now, id.index, unsolicited, &[]);
            return;
        }
        if let Err(TlsFailure { failure, text }) = heard {
            self.session_failed(now, id.index, failure, text.as_bytes());
            return;
        }
        if let Some((negotiated, resumed)) = agreement
            && let State::Securing { since, from } = self.conns[id.index as usize].state
        {
            if self.opens_too_late(now, since) {
                return self.expire(now, id.index);
            }
            let in_window = now >= self.window.origin && now < self.window.stop;
            self.record.handshakes.count(negotiated, resumed, in_window);
            self.record.shook_hands(now.since(from));
            if let Some(channels) = &mut self.channels {
                channels.batches[id.index as usize].records_left = records_allowed;
            }
            self.ready_for_requests(now, id.index);
        }
        self.say_what_there_is(id.index);
    }

    /// The other end can be reached: only now the handshake begins.
    fn tunnelled(&mut self, now: Nanos, index: u32) {
        if let State::Securing { from, .. } = &mut self.conns[index as usize].state {
            *from = now;
        }
    }

    /// The way through the proxy is not there yet.
    fn is_tunnelling(&self, index: u32) -> bool {
        let channel = self.channels.as_ref().and_then(|c| c.by_connection[index as usize].as_ref());
        channel.is_some_and(|channel| channel.tunnel.is_some())
    }

    fn is_securing(&self, id: ConnId) -> bool {
        self.is_current(id) && matches!(self.conns[id.index as usize].state, State::Securing { .. })
    }

    /// Lets the session say what it has to, unless something is under way already, which will be followed by it.
    fn say_what_there_is(&mut self, index: u32) {
        if self.conns[index as usize].sending {
            return;
        }
        let Some(channels) = &self.channels else { return };
        let Some(channel) = &channels.by_connection[index as usize] else { return };
        let batch = channels.batches[index as usize];
        if channel.has_outgoing() || batch.from < batch.to {
            let conn = self.id(index);
            self.conns[index as usize].sending = true;
            self.actions.push(Action::Transmit { conn, count: 0, first: 0 });
        }
    }

    /// The keys of a connection are nearly used up: it must be replaced.
    #[inline]
    pub(super) fn is_worn_out(&self, index: u32) -> bool {
        self.channels
            .as_ref()
            .is_some_and(|channels| channels.batches[index as usize].records_left < RECORDS_KEPT)
    }

    /// All that was encrypted has been handed over.
    pub(super) fn transmitted(&mut self, now: Nanos, index: u32) {
        self.conns[index as usize].sending = false;
        let Some(channels) = &mut self.channels else { return };
        if let Some(channel) = &mut channels.by_connection[index as usize] {
            channel.transmitting = false;
        }
        let plain_bytes = std::mem::take(&mut channels.batches[index as usize].plain_bytes);
        let phase = self.phase_at(now);
        self.record.phase_mut(phase).bytes_sent += plain_bytes;
        self.say_what_there_is(index);
        self.refill(now, index);
    }

    /// A session cannot go on: in its handshake no request is lost, later those in flight are.
    fn session_failed(&mut self, now: Nanos, index: u32, failure: Failure, sample: &[u8]) {
        // The peer is told why, as far as it listens.
        self.say_what_there_is(index);
        if matches!(self.conns[index as usize].state, State::Securing { .. }) {
            self.handshake_failed(now, index, failure, sample);
            return;
        }
        self.record.errors.count(failure, now, sample);
        if self.conns[index as usize].in_flight() == 0 {
            self.close(now, index);
            return;
        }
        let by_peer = matches!(failure.kind, Kind::TlsAlert | Kind::ClientCertificate);
        let outcome = if by_peer { Outcome::Reset } else { Outcome::ProtocolError };
        self.lose(now, index, outcome);
    }

    /// A handshake came to nothing, and the connection with it.
    pub(super) fn handshake_failed(
        &mut self,
        now: Nanos,
        index: u32,
        failure: Failure,
        sample: &[u8],
    ) {
        if self.is_tunnelling(index) {
            let failure = match failure.kind {
                Kind::ClosedInHandshake => Failure::new(FailurePhase::Connect, Kind::ProxyRefused),
                Kind::HandshakeTimeout => Failure { kind: Kind::ConnectTimeout, ..failure },
                _ => failure,
            };
            return self.connect_failed(now, index, failure, sample);
        }
        let failure = match failure.phase {
            FailurePhase::Environment | FailurePhase::Timeout => failure,
            _ => Failure { phase: FailurePhase::Tls, ..failure },
        };
        self.record.handshakes.failed += 1;
        self.connect_failed(now, index, failure, sample);
    }

    /// A connection is about to be closed: whether the peer is to be told so first. It is where it does not know, and
    /// where nothing is under way that could be cut in two.
    #[inline]
    pub(super) fn leaves_channel(&mut self, id: ConnId) -> bool {
        let Some(channels) = &mut self.channels else { return false };
        let place = id.index as usize;
        let Some(channel) = &mut channels.by_connection[place] else { return false };
        let talks = channel.session.is_established() && !channel.session.has_ended();
        if !talks || channel.transmitting || channel.leaving {
            channels.by_connection[place] = None;
            return false;
        }
        channel.leaving = true;
        channels.batches[place] = Unsealed::default();
        true
    }
}
