//! One connection's TLS session.

use std::fmt;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{AlertDescription, Error, HandshakeKind, ProtocolVersion};

use super::cause::TlsFailure;
use super::options::{Nobody, suite_name};
use crate::core::failure::Kind;
use crate::core::record::Negotiated;

/// What one record costs beside the bytes in it: header, nonce or type, tag; more than any suite needs.
const RECORD_OVERHEAD_BYTES: usize = 64;
/// Plain bytes in one record at most.
const RECORD_BYTES: usize = 16 * 1024;

/// Records that one session of TLS 1.2 encrypts here: half of what is safe with its usual suites (RFC 9325 section 4.4),
/// so that it can be replaced between two responses.
const TLS12_RECORDS: u64 = if cfg!(test) { 500 } else { 1 << 23 };

/// What comes out of received bytes, in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step<'a> {
    /// The handshake is over: requests may be sent.
    Established,
    /// Plain bytes, borrowed for the call only.
    Plain(&'a [u8]),
    /// The peer said in due form that it will send no more.
    Ended,
}

/// One connection's TLS session, from the client's first message to the last byte.
pub struct Session {
    connection: UnbufferedClientConnection,
    /// Whether the server wants to know who this is, where nobody can say.
    asked: Arc<Nobody>,
    /// The beginning of a record or of a message, of which the rest has not come.
    incoming: Vec<u8>,
    /// Messages of rustls that wait to be sent.
    outgoing: Vec<u8>,
    established: bool,
    ended: bool,
    /// It has failed: rustls must not be asked for anything any more.
    broken: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("established", &self.established)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(connection: UnbufferedClientConnection, asked: Arc<Nobody>) -> Self {
        Self {
            connection,
            asked,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            established: false,
            ended: false,
            broken: false,
        }
    }

    /// The handshake is over, and nothing has gone wrong since.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.established && !self.broken
    }

    /// The peer has said in due form that it will send no more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// It has something to say of its own.
    #[must_use]
    pub fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Writes down the first message.
    ///
    /// # Errors
    /// What rustls says of its own state.
    pub fn greet(&mut self) -> Result<(), TlsFailure> {
        self.receive(&[], &mut Vec::new(), |_| true)
    }

    /// Takes `bytes` and tells `each` what they mean, as long as that answers true. `scratch` is for decryption, and may
    /// be shared by all sessions of a thread.
    ///
    /// # Errors
    /// Why the session cannot go on. What is to be told to the peer about it is [`Session::has_outgoing`].
    pub fn receive(
        &mut self,
        bytes: &[u8],
        scratch: &mut Vec<u8>,
        each: impl FnMut(Step<'_>) -> bool,
    ) -> Result<(), TlsFailure> {
        let digested = self.digest(bytes, scratch, each);
        self.broken |= digested.is_err();
        digested
    }

    fn digest(
        &mut self,
        bytes: &[u8],
        scratch: &mut Vec<u8>,
        mut each: impl FnMut(Step<'_>) -> bool,
    ) -> Result<(), TlsFailure> {
        scratch.clear();
        scratch.append(&mut self.incoming);
        scratch.extend_from_slice(bytes);
        let mut at = 0;
        let mut wanted = true;
        while wanted {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut scratch[at..]);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(|error| TlsFailure::of(&error))?;
                        discard += record.discard;
                        wanted = wanted && each(Step::Plain(record.payload));
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.outgoing, |space| data.encode(space))?;
                }
                // What is written down is sent before anything that comes after it.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::WriteTraffic(_)) => {
                    if !std::mem::replace(&mut self.established, true) {
                        each(Step::Established);
                    }
                    wanted = false;
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    each(Step::Ended);
                    wanted = false;
                }
                Ok(_) => wanted = false,
                Err(error) => {
                    self.write_alert(&mut scratch[at + discard..]);
                    return Err(self.cause_of(&error));
                }
            }
            at += discard;
        }
        if at < scratch.len() {
            self.incoming = scratch[at..].to_vec();
        }
        Ok(())
    }

    /// What an error means. A server of TLS 1.2 that wants a certificate and gets none says no more than that the
    /// handshake has failed.
    fn cause_of(&self, error: &Error) -> TlsFailure {
        let failed = matches!(error, Error::AlertReceived(AlertDescription::HandshakeFailure));
        let mut cause = TlsFailure::of(error);
        if failed && !self.established && self.asked.was_asked() {
            cause.failure.kind = Kind::ClientCertificate;
        }
        // Who has spoken TLS before speaks it badly now.
        if cause.failure.kind == Kind::NotTls && self.connection.protocol_version().is_some() {
            cause.failure.kind = Kind::TlsBroken;
        }
        cause
    }

    /// After an error: what rustls wants to tell the peer about it. It keeps places in `rest`, what has not been looked
    /// at. One message, and no more: everything before it was taken, and rustls must not be made to look at the same
    /// bytes again.
    fn write_alert(&mut self, rest: &mut [u8]) {
        let state = self.connection.process_tls_records(rest).state;
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = state {
            // An alert that cannot be written need not be.
            let _ = encode(&mut self.outgoing, |space| data.encode(space));
        }
    }

    /// Appends to `out` what rustls has to say, then `plain`, encrypted.
    ///
    /// # Errors
    /// When the session cannot carry data: it is not established, has failed, or its keys are used up.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), TlsFailure> {
        out.append(&mut self.outgoing);
        self.outgoing = Vec::new();
        if plain.is_empty() {
            return Ok(());
        }
        if self.broken {
            return Err(TlsFailure::broken("the session has failed"));
        }
        let records = plain.len().div_ceil(RECORD_BYTES);
        let begin = out.len();
        out.resize(begin + plain.len() + records * RECORD_OVERHEAD_BYTES, 0);
        let UnbufferedStatus { discard, state } =
            self.connection.process_tls_records(&mut self.incoming);
        let sealed = match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                let sealed = traffic.encrypt(plain, &mut out[begin..]);
                sealed.map_err(|_| TlsFailure::broken("the keys are used up"))
            }
            Ok(_) => Err(TlsFailure::broken("the session cannot carry data now")),
            Err(error) => Err(TlsFailure::of(&error)),
        };
        self.incoming.drain(..discard);
        out.truncate(begin + *sealed.as_ref().unwrap_or(&0));
        sealed.map(drop)
    }

    /// Appends to `out` that nothing more will be sent, where that can still be said.
    pub fn say_goodbye(&mut self, out: &mut Vec<u8>) {
        if self.broken {
            return;
        }
        let state = self.connection.process_tls_records(&mut self.incoming).state;
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state {
            // What cannot be said any more need not be said.
            let _ = encode(out, |space| {
                traffic.queue_close_notify(space).map_err(|error| match error {
                    EncryptError::InsufficientSize(size) => EncodeError::InsufficientSize(size),
                    EncryptError::EncryptExhausted => EncodeError::AlreadyEncoded,
                })
            });
        }
    }

    /// What client and server have agreed on; known once it is established.
    #[must_use]
    pub fn negotiated(&self) -> Negotiated {
        let version = match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "unknown",
        };
        let suite = self.connection.negotiated_cipher_suite();
        let group = self.connection.negotiated_key_exchange_group();
        let alpn = self.connection.alpn_protocol();
        Negotiated {
            version,
            cipher: suite.map_or_else(|| "unknown".to_owned(), |suite| suite_name(&suite)),
            group: group.and_then(|group| group.name().as_str()),
            // Only what was offered can have been agreed on.
            alpn: alpn.map(|_| "http/1.1"),
        }
    }

    /// How many more records it may encrypt. In TLS 1.2 keys last for so many and cannot be changed; with those of TLS 1.3
    /// rustls sees to that.
    #[must_use]
    pub fn records_allowed(&self) -> u64 {
        match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TLS12_RECORDS,
            _ => u64::MAX,
        }
    }

    /// It goes on where an earlier session ended, without a certificate and with less work.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

/// Appends what `write` puts into the space that it asks for.
fn encode(
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), TlsFailure> {
    let begin = out.len();
    let mut space = 0;
    loop {
        out.resize(begin + space, 0);
        match write(&mut out[begin..]) {
            Ok(length) => {
                out.truncate(begin + length);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size }))
                if required_size > space =>
            {
                space = required_size;
            }
            Err(_) => {
                out.truncate(begin);
                return Err(TlsFailure::broken("a message of the session cannot be written"));
            }
        }
    }
}
