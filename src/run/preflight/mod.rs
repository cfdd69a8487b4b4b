//! Before the clock: one request on its own connection shows what will be measured. No count includes it.
//!
//! Owned by the control plane. It goes the same way as every connection of the run, through the same sockets, tunnel and
//! TLS, but one step after the other, and looks at what a worker has no time for. `seen` says what the answer means, `ready`
//! what comes of it.

mod ready;
mod seen;

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use socket2::{SockAddr, Socket};

use crate::core::failure::{Failure, Kind, Phase};
use crate::core::http1::head::{self, Body};
use crate::core::http1::lines;
use crate::core::http1::{Framer, Progressed, Response, ResponseReader, StreamEnd};
use crate::core::tls::{self, Session, Step};
use crate::core::tunnel::{Heard, Tunnel};
use crate::core::worker::Expect;
use crate::engine::sockets::Sockets;
use crate::exit::Signal;
use crate::machine::sys;
use crate::plan::{Endpoint, Plan, cores};
use crate::result::summary::Seen;
use crate::run::Interrupts;
use crate::time::{Nanos, monotonic};
pub(super) use ready::await_target;
use seen::{Expected, public_warning, surprises, value};

/// How long a step waits before it is asked whether the user wants to stop, in milliseconds.
const PATIENCE_MS: i32 = 50;
/// Of an answer this much is kept, enough for any head that is accepted.
const KEPT_BYTES: usize = head::MOST_HEAD_BYTES;

/// Why there was no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoAnswer {
    /// What went wrong.
    pub failure: Failure,
    /// What it looked like; may be empty.
    pub sample: String,
    /// The user wants to stop, by this signal.
    pub signal: Option<Signal>,
}

impl NoAnswer {
    fn new(phase: Phase, kind: Kind) -> Self {
        Self { failure: Failure::new(phase, kind), sample: String::new(), signal: None }
    }

    fn of(phase: Phase, error: &io::Error) -> Self {
        let failure = Failure::from_errno(phase, error.raw_os_error().unwrap_or(0));
        Self { failure, sample: String::new(), signal: None }
    }

    /// Whether a run would fare no better: nobody could be talked to at all.
    #[must_use]
    pub fn is_final(&self) -> bool {
        let failure = self.failure;
        matches!(failure.phase, Phase::Connect | Phase::Tls | Phase::Environment)
            || matches!(failure.kind, Kind::ConnectTimeout | Kind::HandshakeTimeout)
    }
}

/// Sends one request of `plan` and says what came back, if it does before `latest`.
///
/// # Errors
/// Why nothing did.
pub fn look(plan: &Plan, interrupts: &Interrupts, latest: Nanos) -> Result<Seen, NoAnswer> {
    let begun = monotonic();
    let mut wire = Wire::open(plan, interrupts, latest)?;
    wire.tunnel(plan)?;
    wire.secure(plan)?;
    let asked = monotonic();
    wire.until = asked.plus(plan.timeouts.request_ns).min(latest);
    let sent = wire.send(plan.request.one());
    let answer = match (wire.answer(plan), sent) {
        // Who answers before all of a request has been sent, and closes, has answered.
        (Ok(answer), _) => answer,
        (Err(_), Err(unsent)) => return Err(unsent),
        (Err(none), Ok(())) => return Err(none),
    };
    wire.say_goodbye();
    let good = plan.expect.accepts_status(answer.response.status)
        && answer.response.contains
        && plan.expect.size.is_none_or(|size| size == answer.response.body_bytes);
    let mut seen = Seen {
        endpoint: plan.route.endpoints[0].to_string(),
        good,
        connect_ns: asked.since(begun),
        first_byte_ns: answer.first_byte.since(asked),
        whole_ns: answer.last_byte.since(asked),
        ..answer.read(plan)?
    };
    let expected = Expected {
        status_is_good: plan.expect.accepts_status(seen.status),
        status_is_meant: plan.expect.status != Expect::default().status,
        head: plan.request.is_head(),
        closes: plan.load.requests_per_connection == Some(1),
        accepts_encoding: contains_header(plan.request.one(), b"accept-encoding:"),
    };
    seen.warnings = surprises(&seen, expected);
    Ok(seen)
}

/// What a user should know of where the load will go, whether or not anybody answers there.
#[must_use]
pub fn warn_of_place(plan: &Plan) -> Vec<String> {
    let public = plan.route.endpoints.iter().find_map(|endpoint| match endpoint {
        Endpoint::Inet(address) if cores::is_this_host(address.ip()) => None,
        Endpoint::Inet(address) => public_warning(address.ip()),
        Endpoint::Unix(_) => None,
    });
    // Whom a proxy leads to can be told only where an address was given.
    let behind = plan.target.host.parse().ok().filter(|_| plan.is_proxied);
    let public = public.or(behind.and_then(public_warning));
    let crowded =
        plan.same_host && plan.threads() >= sys::cores_online() && !plan.preflight.skipped;
    let crowded = crowded.then(|| {
        "the target is on this host, and the workers take all of its cores: each is measured at the expense of the other; use a smaller -t"
            .to_owned()
    });
    public.filter(|_| !plan.preflight.allow_public).into_iter().chain(crowded).collect()
}

/// Whether the head of a request has a line that begins so, in lower case.
fn contains_header(request: &[u8], name: &[u8]) -> bool {
    let lines = request.split(|&byte| byte == b'\n').take_while(|line| line.len() > 1);
    lines
        .into_iter()
        .any(|line| line.len() >= name.len() && line[..name.len()].eq_ignore_ascii_case(name))
}

/// The one connection. It never blocks: each step looks at the time, and at whether the user wants to stop.
struct Wire<'a> {
    socket: Socket,
    session: Option<Session>,
    /// The peer said by TLS that nothing more will come.
    ended: bool,
    scratch: Vec<u8>,
    /// What came behind the answer of a proxy.
    ahead: Vec<u8>,
    /// When patience ends.
    until: Nanos,
    interrupts: &'a Interrupts,
}

/// An answer as it came.
struct Answer {
    kept: Vec<u8>,
    response: Response,
    first_byte: Nanos,
    last_byte: Nanos,
}

impl<'a> Wire<'a> {
    fn open(plan: &Plan, interrupts: &'a Interrupts, latest: Nanos) -> Result<Self, NoAnswer> {
        let failed = |error: &io::Error| NoAnswer::of(Phase::Connect, error);
        let sockets = Sockets::new(&plan.route, 0);
        let (socket, address) = sockets.open(0).map_err(|error| failed(&error))?;
        let until = monotonic().plus(plan.timeouts.connect_ns).min(latest);
        let (session, ended, scratch, ahead) = (None, false, Vec::new(), Vec::new());
        let wire = Self { socket, session, ended, scratch, ahead, until, interrupts };
        wire.connect(address)?;
        sockets.begin(&wire.socket).map_err(|error| failed(&error))?;
        Ok(wire)
    }

    fn connect(&self, address: &SockAddr) -> Result<(), NoAnswer> {
        loop {
            match self.socket.connect(address) {
                Ok(()) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::EISCONN) => return Ok(()),
                // Under way; or the queue of a Unix socket is full, which nobody tells the end of.
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::EINPROGRESS | libc::EALREADY | libc::EAGAIN | libc::EINTR)
                    ) => {}
                Err(error) => return Err(NoAnswer::of(Phase::Connect, &error)),
            }
            self.look_around(Kind::ConnectTimeout)?;
            sys::wait_for(self.socket.as_raw_fd(), true, PATIENCE_MS);
            match sys::socket_error(self.socket.as_raw_fd()) {
                0 => {}
                errno => {
                    let error = io::Error::from_raw_os_error(errno);
                    return Err(NoAnswer::of(Phase::Connect, &error));
                }
            }
        }
    }

    /// The way through a proxy, where there is one.
    fn tunnel(&mut self, plan: &Plan) -> Result<(), NoAnswer> {
        let Some(request) = &plan.tunnel else { return Ok(()) };
        self.write(request, Kind::ConnectTimeout)?;
        let mut tunnel = Tunnel::default();
        loop {
            let refused = NoAnswer::new(Phase::Connect, Kind::ProxyRefused);
            let bytes = self.read(Kind::ConnectTimeout)?.ok_or_else(|| refused.clone())?;
            match tunnel.hear(&bytes) {
                Heard::NeedMore => {}
                Heard::Open(rest) => {
                    self.ahead = bytes[bytes.len() - rest..].to_vec();
                    return Ok(());
                }
                Heard::Refused(answer) => {
                    return Err(NoAnswer { sample: shown(&answer), ..refused });
                }
            }
        }
    }

    fn secure(&mut self, plan: &Plan) -> Result<(), NoAnswer> {
        let Some(security) = &plan.security else { return Ok(()) };
        let mut session = tls::Client::new(security, 1).begin().map_err(tls_failed)?;
        session.greet().map_err(tls_failed)?;
        loop {
            let mut out = Vec::new();
            session.seal(&[], &mut out).map_err(tls_failed)?;
            self.write(&out, Kind::HandshakeTimeout).map_err(in_handshake)?;
            if session.is_established() {
                self.session = Some(session);
                return Ok(());
            }
            let closed = NoAnswer::new(Phase::Tls, Kind::ClosedInHandshake);
            let bytes = self.read(Kind::HandshakeTimeout);
            let bytes = bytes.map_err(in_handshake)?.ok_or(closed)?;
            let mut early = false;
            let heard = session.receive(&bytes, &mut self.scratch, |step| {
                early |= matches!(step, Step::Plain(_));
                true
            });
            if let Err(failure) = heard {
                // The peer is told why, as far as it listens.
                let mut alert = Vec::new();
                let _ = session.seal(&[], &mut alert);
                let _ = self.write(&alert, Kind::HandshakeTimeout);
                return Err(tls_failed(failure));
            }
            if early {
                return Err(NoAnswer::new(Phase::Tls, Kind::UnsolicitedData));
            }
        }
    }

    fn send(&mut self, plain: &[u8]) -> Result<(), NoAnswer> {
        let Some(session) = &mut self.session else {
            return self.write(plain, Kind::ResponseTimeout);
        };
        let mut out = Vec::new();
        session.seal(plain, &mut out).map_err(tls_failed)?;
        self.write(&out, Kind::ResponseTimeout)
    }

    /// Reads a whole answer.
    fn answer(&mut self, plan: &Plan) -> Result<Answer, NoAnswer> {
        let needle = plan.expect.body_contains.as_deref();
        let mut framer = Framer::new(plan.request.is_head(), needle);
        let mut reader = ResponseReader::new();
        let mut kept = Vec::new();
        let mut first_byte = None;
        loop {
            let plain = self.plain().map_err(|none| match none.failure.kind {
                Kind::ResponseTimeout if none.signal.is_none() => {
                    sampled(Phase::Timeout, reader.late_kind(), &kept)
                }
                _ => none,
            })?;
            let now = monotonic();
            let first_byte = *first_byte.get_or_insert(now);
            let whole = |response, kept| Answer { kept, response, first_byte, last_byte: now };
            let Some(plain) = plain else {
                return match reader.end_of_stream(&framer) {
                    StreamEnd::Whole(_) if self.session.is_some() && !self.ended => {
                        Err(sampled(Phase::Receive, Kind::ClosedWithoutNotice, &kept))
                    }
                    StreamEnd::Whole(response) => Ok(whole(response, kept)),
                    StreamEnd::Violation(kind) => {
                        Err(sampled(Phase::Parse, kind, reader.offence()))
                    }
                    StreamEnd::BetweenResponses => {
                        Err(NoAnswer::new(Phase::Receive, Kind::ClosedUnanswered))
                    }
                    StreamEnd::Cut => Err(sampled(Phase::Receive, Kind::ClosedEarly, &kept)),
                };
            };
            let room = KEPT_BYTES.saturating_sub(kept.len());
            kept.extend_from_slice(&plain[..plain.len().min(room)]);
            match reader.advance(&plain, &mut framer) {
                Ok(Progressed::Whole { response, .. }) => return Ok(whole(response, kept)),
                Ok(Progressed::NeedMore) => {}
                Err(kind) => {
                    let offence = reader.offence();
                    let sample = if offence.is_empty() { &plain } else { offence };
                    return Err(sampled(Phase::Parse, kind, sample));
                }
            }
        }
    }

    /// The next plain bytes; `None` at the end of the stream.
    fn plain(&mut self) -> Result<Option<Vec<u8>>, NoAnswer> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let bytes = self.read(Kind::ResponseTimeout)?;
            let (Some(session), Some(bytes)) = (&mut self.session, &bytes) else {
                return Ok(bytes);
            };
            let (mut plain, mut ended) = (Vec::new(), false);
            let heard = session.receive(bytes, &mut self.scratch, |step| {
                match step {
                    Step::Plain(bytes) => plain.extend_from_slice(bytes),
                    Step::Ended => ended = true,
                    Step::Established => {}
                }
                true
            });
            heard.map_err(tls_failed)?;
            self.ended = ended;
            if !plain.is_empty() {
                return Ok(Some(plain));
            }
        }
    }

    /// Nothing more is wanted.
    fn say_goodbye(&mut self) {
        let Some(session) = &mut self.session else { return };
        let mut out = Vec::new();
        session.say_goodbye(&mut out);
        let _ = (&self.socket).write(&out);
    }

    fn write(&self, bytes: &[u8], late: Kind) -> Result<(), NoAnswer> {
        let mut rest = bytes;
        while !rest.is_empty() {
            self.look_around(late)?;
            match (&self.socket).write(rest) {
                Ok(length) => rest = &rest[length..],
                Err(error) if is_for_later(&error) => {
                    sys::wait_for(self.socket.as_raw_fd(), true, PATIENCE_MS);
                }
                Err(error) => return Err(NoAnswer::of(Phase::Send, &error)),
            }
        }
        Ok(())
    }

    /// The next bytes; `None` at the end of the stream.
    fn read(&mut self, late: Kind) -> Result<Option<Vec<u8>>, NoAnswer> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead)));
        }
        let mut buffer = vec![0; 64 * 1024];
        loop {
            self.look_around(late)?;
            match (&self.socket).read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(length) => {
                    buffer.truncate(length);
                    return Ok(Some(buffer));
                }
                Err(error) if is_for_later(&error) => {
                    sys::wait_for(self.socket.as_raw_fd(), false, PATIENCE_MS);
                }
                Err(error) => return Err(NoAnswer::of(Phase::Receive, &error)),
            }
        }
    }

    /// Whether there is time left, and the user still wants to know.
    fn look_around(&self, late: Kind) -> Result<(), NoAnswer> {
        let stopped = NoAnswer::new(Phase::Timeout, late);
        if let Some(signal) = self.interrupts.take() {
            return Err(NoAnswer { signal: Some(signal), ..stopped });
        }
        if monotonic() >= self.until { Err(stopped) } else { Ok(()) }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Answer {
    /// What the head says.
    fn read(self, plan: &Plan) -> Result<Seen, NoAnswer> {
        let mut bytes = &self.kept[..];
        let broken = |kind| sampled(Phase::Parse, kind, &self.kept);
        let head = loop {
            let head = head::parse(bytes, plan.request.is_head(), None);
            let head = head.map_err(|refused| broken(refused.kind))?;
            let head = head.ok_or_else(|| broken(Kind::HeadTooLarge))?;
            if !head.is_interim() {
                break head;
            }
            bytes = &bytes[head.length..];
        };
        let value = |name| value(lines::fields(&bytes[..head.length]), name);
        Ok(Seen {
            endpoint: String::new(),
            status: head.status,
            good: true,
            body_bytes: self.response.body_bytes,
            framing: head.body,
            keep_alive: self.response.keep_alive && head.body != Body::UntilClose,
            encoding: value("content-encoding"),
            content_type: value("content-type"),
            location: value("location"),
            server: value("server"),
            connect_ns: 0,
            first_byte_ns: 0,
            whole_ns: 0,
            warnings: Vec::new(),
        })
    }
}

fn tls_failed(failure: tls::TlsFailure) -> NoAnswer {
    NoAnswer { failure: failure.failure, sample: failure.text, signal: None }
}

/// A reset in the handshake is one of TLS.
fn in_handshake(mut none: NoAnswer) -> NoAnswer {
    if none.failure.phase == Phase::Receive {
        none.failure.phase = Phase::Tls;
    }
    none
}

fn sampled(phase: Phase, kind: Kind, bytes: &[u8]) -> NoAnswer {
    NoAnswer { sample: shown(bytes), ..NoAnswer::new(phase, kind) }
}

/// The beginning of what was received, fit to be shown.
fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(96)].escape_ascii().to_string()
}
