//! One connection: requests in, answers out, in order.
//!
//! A task of a worker owns it. It gathers the answers to all requests that one read brought and
//! sends them in one write; only what cannot be gathered (bodies that go on, long answers,
//! delays) takes the slow path. It must not know how the worker accepts or stops; it sees a stop
//! as an operation that fails.
//!
//! Invariants: `input[start..]` is what was read and not consumed; `out` is what was answered and
//! not sent, and `marks` where in it each counted response ends. A failed write takes back the
//! count of what it did not send.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncWriteRent, CancelableAsyncReadRent, CancelableAsyncWriteRent};
use monoio::net::TcpStream;

use super::answer::{self, Answer};
use super::body::BodyReader;
use super::counters::StatusClass;
use super::known::Known;
use super::request::{self, Persistence, Refusal, Request};
use super::route::Target;
use super::worker::Shared;
use crate::time::monotonic;

/// Answers are sent once this much is gathered, or when no whole request is left.
const GATHER_BYTES: usize = 64 * 1024;

/// A longer answer is written from where it lies instead of being copied among the gathered.
pub(super) const COPY_BYTES_MAX: usize = 8 * 1024;

/// What an idle connection holds, what a busy one grows to, and what a body is read into.
const INITIAL_READ_BYTES: usize = 2 * 1024;
const BUSY_READ_BYTES: usize = 16 * 1024;
pub(super) const BODY_READ_BYTES: usize = 256 * 1024;

/// Longest request that `/echo` repeats.
const ECHO_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much is read and dropped after a refusal before the connection is closed regardless.
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) shared: Rc<Shared>,
    pub(super) input: Vec<u8>,
    pub(super) start: usize,
    /// The last read left no room: more is likely waiting.
    filled: bool,
    out: Vec<u8>,
    marks: Vec<Mark>,
    known: Known,
    purpose: Purpose,
}

/// What the connection is for, as far as its requests have told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Something that is counted.
    Load,
    /// Nothing but `/counters`, so the connection is left out of the counts.
    Observe,
    Unknown,
}

/// A counted response ends at `end` in the gathered bytes.
struct Mark {
    end: usize,
    status: StatusClass,
}

/// What to do when no more can be gathered.
enum Step {
    Close,
    Fill,
    Flush,
    Refuse(Refusal),
    /// The known request, whose head has this length.
    Slow(usize),
}

/// Why a connection ends before its time.
pub(super) enum End {
    /// The peer went away, or the server stops.
    Gone,
    Refused(Refusal),
}

impl Connection {
    pub(super) fn new(stream: TcpStream, shared: Rc<Shared>) -> Self {
        Self {
            stream,
            shared,
            input: Vec::new(),
            start: 0,
            filled: false,
            out: Vec::new(),
            marks: Vec::new(),
            known: Known::nothing(),
            purpose: Purpose::Unknown,
        }
    }

    /// Serves until the peer leaves, one side asks to close, or the server stops.
    pub(super) async fn serve(mut self) {
        if let Err(End::Refused(refusal)) = self.converse().await {
            Box::pin(self.refuse(refusal)).await;
        }
        self.shared.recycle(self.input);
    }

    async fn converse(&mut self) -> Result<(), End> {
        loop {
            match self.gather() {
                Step::Fill => {
                    self.flush().await?;
                    if !self.fill(0).await? {
                        return Ok(());
                    }
                }
                Step::Flush => self.flush().await?,
                Step::Slow(head_bytes) => {
                    // Boxed, so that an idle connection's task stays small.
                    Box::pin(self.serve_slowly(head_bytes)).await?;
                    if self.known.request.persistence == Persistence::Close {
                        return self.part().await;
                    }
                }
                Step::Close => return self.part().await,
                Step::Refuse(refusal) => return Err(End::Refused(refusal)),
            }
        }
    }

    /// Answers from the buffer as far as copying goes. The hot path: no allocation, no parsing
    /// while the requests are the same.
    fn gather(&mut self) -> Step {
        while self.out.len() < GATHER_BYTES {
            let pending = &self.input[self.start..];
            if pending.is_empty() {
                return Step::Fill;
            }
            let head_bytes = if self.known.matches(pending) {
                self.known.head.len()
            } else {
                match request::parse(pending) {
                    Ok(None) => return Step::Fill,
                    Ok(Some((request, head_bytes))) => {
                        let answer = self.shared.answers.borrow_mut().answer(&request);
                        self.known.learn(request, answer, &pending[..head_bytes]);
                        head_bytes
                    }
                    Err(refusal) => return Step::Refuse(refusal),
                }
            };
            let first = self.purpose != Purpose::Load;
            let Some(class) = self.known.class.filter(|_| self.known.plain && !first) else {
                return Step::Slow(head_bytes);
            };
            self.start += head_bytes;
            let counters = self.shared.counters();
            counters.bytes_in.add(head_bytes);
            counters.requests(class).add(1);
            self.out.extend_from_slice(&self.known.answer.opening);
            self.marks.push(Mark { end: self.out.len(), status: self.known.answer.status });
            if self.known.request.persistence == Persistence::Close {
                return Step::Close;
            }
        }
        Step::Flush
    }

    /// One request of any kind, from its head to the last byte of its answer or to the gathered.
    async fn serve_slowly(&mut self, head_bytes: usize) -> Result<(), End> {
        let request = self.known.request;
        let class = self.known.class;
        self.note_purpose(class.is_some());
        let received = monotonic();
        let law = match request.target {
            Target::Law(asked) => Some((asked, self.request_target(head_bytes))),
            _ => None,
        };
        let mut kept = match request.target {
            Target::Echo => Some(self.input[self.start..self.start + head_bytes].to_vec()),
            _ => None,
        };
        self.start += head_bytes;
        if class.is_some() {
            self.shared.counters().bytes_in.add(head_bytes);
        }
        self.read_body(&request, kept.as_mut()).await?;
        if let Some(class) = class {
            self.shared.counters().requests(class).add(1);
        }
        match request.target {
            Target::Counters => {
                // Sent before the sum is taken, so that what came earlier is in it.
                self.flush().await?;
                let laws = self.shared.laws.to_json();
                let json = self.shared.sum().to_json(laws).into_bytes();
                let answer = answer::document(&request, "application/json", json);
                self.send(answer, false).await
            }
            Target::Delay(delay) => {
                let deadline = Instant::now() + delay;
                self.flush().await?;
                self.shared.clock.until(deadline).await;
                self.send(self.known.answer.clone(), true).await
            }
            Target::Echo => {
                let kept = kept.unwrap_or_default();
                self.send(answer::document(&request, "text/plain", kept), true).await
            }
            Target::Law(_) => match law {
                Some((asked, text)) => self.obey(&request, &asked, &text, received).await,
                None => Ok(()),
            },
            _ => self.send(self.known.answer.clone(), true).await,
        }
    }

    /// The path and query of the request at the front of the input, as they came.
    fn request_target(&self, head_bytes: usize) -> String {
        let head = &self.input[self.start..self.start + head_bytes];
        let target = head.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
        String::from_utf8_lossy(target).into_owned()
    }

    /// Keeps a connection that only ever asks for the counters out of them.
    fn note_purpose(&mut self, counted: bool) {
        let accepted = &self.shared.counters().connections_accepted;
        match (self.purpose, counted) {
            (Purpose::Unknown, true) => self.purpose = Purpose::Load,
            (Purpose::Unknown, false) => {
                accepted.take_back(1);
                self.purpose = Purpose::Observe;
            }
            (Purpose::Observe, true) => {
                accepted.add(1);
                self.purpose = Purpose::Load;
            }
            (Purpose::Load, _) | (Purpose::Observe, false) => {}
        }
    }

    /// Consumes the body, into `kept` if it is wanted.
    async fn read_body(
        &mut self,
        request: &Request,
        mut kept: Option<&mut Vec<u8>>,
    ) -> Result<(), End> {
        let mut body = BodyReader::new(request.framing);
        let mut continues = request.expects_continue;
        loop {
            let pending = &self.input[self.start..];
            let Ok(taken) = body.feed(pending) else {
                return Err(End::Refused(Refusal::Malformed));
            };
            if let Some(kept) = &mut kept {
                if kept.len() + taken > ECHO_BYTES_MAX {
                    return Err(End::Refused(Refusal::BodyTooLarge));
                }
                kept.extend_from_slice(&pending[..taken]);
            }
            self.start += taken;
            if request.target.class().is_some() {
                self.shared.counters().bytes_in.add(taken);
            }
            if body.is_done() {
                return Ok(());
            }
            // A client that began to send the body without waiting needs no permission.
            if continues && taken == 0 {
                self.out.extend_from_slice(answer::CONTINUE);
            }
            continues = false;
            self.flush().await?;
            if !self.fill(body.expected()).await? {
                return Err(End::Gone);
            }
        }
    }

    /// Gathers a short answer; writes a long one, after what was gathered.
    pub(super) async fn send(&mut self, answer: Answer, counted: bool) -> Result<(), End> {
        let Answer { opening, filler, mut filler_bytes, closing, status } = answer;
        if counted && filler_bytes == 0 && opening.len() + closing.len() <= COPY_BYTES_MAX {
            self.out.extend_from_slice(&opening);
            self.out.extend_from_slice(&closing);
            self.marks.push(Mark { end: self.out.len(), status });
            return Ok(());
        }
        self.flush().await?;
        // The response is counted with its last piece, whichever of the three that is.
        let counted = counted.then_some(status);
        let last = filler_bytes == 0 && closing.is_empty();
        self.write_piece(opening, counted, last).await?;
        while filler_bytes > 0 {
            let piece = &filler[..answer::clamp(filler_bytes, filler.len())];
            filler_bytes -= piece.len() as u64;
            let last = filler_bytes == 0 && closing.is_empty();
            self.write_piece(Bytes::from_static(piece), counted, last).await?;
        }
        if closing.is_empty() {
            return Ok(());
        }
        self.write_piece(closing, counted, true).await
    }

    async fn write_piece(
        &mut self,
        piece: Bytes,
        counted: Option<StatusClass>,
        last: bool,
    ) -> Result<(), End> {
        let length = piece.len();
        let shared = Rc::clone(&self.shared);
        let Some(status) = counted else {
            let (written, _) = self.write_all(piece).await;
            return if written == length { Ok(()) } else { Err(End::Gone) };
        };
        shared.counters().bytes_out.add(length);
        shared.counters().responses(status).add(usize::from(last));
        let (written, _) = self.write_all(piece).await;
        if written == length {
            return Ok(());
        }
        shared.counters().bytes_out.take_back(length - written);
        shared.counters().responses(status).take_back(usize::from(last));
        Err(End::Gone)
    }

    /// Sends what was gathered.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        let length = self.out.len();
        if length == 0 {
            return Ok(());
        }
        let counters = self.shared.counters();
        counters.bytes_out.add(length);
        for mark in &self.marks {
            counters.responses(mark.status).add(1);
        }
        let out = std::mem::take(&mut self.out);
        let (written, mut out) = self.write_all(out).await;
        out.clear();
        self.out = out;
        if written < length {
            let counters = self.shared.counters();
            counters.bytes_out.take_back(length - written);
            for mark in self.marks.iter().filter(|mark| mark.end > written) {
                counters.responses(mark.status).take_back(1);
            }
            return Err(End::Gone);
        }
        self.marks.clear();
        Ok(())
    }

    /// Writes until all is written or the connection fails; returns how much was.
    pub(super) async fn write_all<B: IoBuf>(&mut self, buffer: B) -> (usize, B) {
        let length = buffer.bytes_init();
        let cancel = self.shared.cancel.clone();
        let (result, mut buffer) = self.stream.cancelable_write(buffer, cancel).await;
        let mut written = match result {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(_) => return (0, buffer),
        };
        while written < length {
            let cancel = self.shared.cancel.clone();
            let rest = buffer.slice(written..);
            let (result, rest) = self.stream.cancelable_write(rest, cancel).await;
            buffer = rest.into_inner();
            match result {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        (written, buffer)
    }

    /// Reads once; false at the end of the stream. `expected` bytes of a body are to come.
    pub(super) async fn fill(&mut self, expected: u64) -> Result<bool, End> {
        self.make_room(expected);
        loop {
            let held = self.input.len();
            let input = std::mem::take(&mut self.input);
            let cancel = self.shared.cancel.clone();
            let read = self.stream.cancelable_read(input.slice_mut(held..), cancel).await;
            let (result, input) = (read.0, read.1.into_inner());
            self.input = input;
            match result {
                Ok(count) => {
                    self.filled = self.input.len() == self.input.capacity();
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Gone),
            }
        }
    }

    /// Makes the buffer one that the next read fits: small when idle, large for a long body.
    fn make_room(&mut self, expected: u64) {
        self.input.drain(..self.start);
        self.start = 0;
        let capacity = self.input.capacity();
        if self.input.is_empty() {
            if expected > BUSY_READ_BYTES as u64 {
                if capacity < BODY_READ_BYTES {
                    self.input = self.shared.body_buffer();
                }
            } else if capacity > BUSY_READ_BYTES {
                self.shared.recycle(std::mem::take(&mut self.input));
                self.input.reserve_exact(BUSY_READ_BYTES);
            } else if capacity == 0 {
                self.input.reserve_exact(INITIAL_READ_BYTES);
            } else if self.filled {
                self.input.reserve_exact(BUSY_READ_BYTES);
            }
        } else if self.input.len() == capacity {
            // An unfinished head; its cap bounds the growth.
            self.input.reserve_exact(capacity * 3);
        }
    }

    /// Sends the rest and closes on good terms.
    async fn part(&mut self) -> Result<(), End> {
        self.flush().await?;
        if self.start < self.input.len() {
            // Closing with unread input resets the connection and may destroy the last answer.
            Box::pin(self.linger()).await;
        }
        Ok(())
    }

    /// Answers that the request is not served, and closes.
    async fn refuse(&mut self, refusal: Refusal) {
        self.note_purpose(true);
        let counters = self.shared.counters();
        counters.malformed.add(1);
        counters.bytes_in.add(self.input.len() - self.start);
        let answer = answer::refusal(refusal);
        if self.send(answer, true).await.is_ok() && self.flush().await.is_ok() {
            self.linger().await;
        }
    }

    /// Ends the answers and drops what still comes until the peer ends, too: RFC 9112 section 9.6.
    async fn linger(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let mut dropped = 0;
        while dropped < LINGER_BYTES_MAX {
            self.start = self.input.len();
            match self.fill(0).await {
                Ok(true) => dropped += self.input.len(),
                Ok(false) | Err(_) => break,
            }
        }
    }
}
