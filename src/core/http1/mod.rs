//! HTTP/1.1 responses out of bytes, sans-io: RFC 9112 framing for a client that wants to know where a response ends.
//!
//! A [`ResponseReader`] belongs to a connection and holds what one response in progress needs; a [`Framer`] belongs to
//! a worker and holds what all its connections share. Neither knows sockets, clocks or requests. Bytes go in by
//! reference, nothing is kept of them but a head that was cut and the beginning of a body that is watched for
//! ([`Framer::watch`]); no allocation follows a number that the server sent. After a head is refused, the line that it was
//! refused for is kept to be shown ([`ResponseReader::offence`]).
//!
//! Rule 1: the verdict on a stream of bytes does not depend on how it was cut into pieces.
//! Rule 2: the end of the stream is an input like any other ([`ResponseReader::end_of_stream`]).

mod carry;
pub mod chunked;
mod fields;
pub mod head;
pub mod kept;
pub mod learned;
pub mod lines;
pub mod needle;
pub mod stamps;

use crate::core::failure::Kind;
use carry::Carry;
use chunked::{Chunked, Found};
use head::{Body, Head, MOST_HEAD_BYTES, Refused};
use kept::{Kept, Watched};
use learned::LearnedHead;
use needle::{Needle, Progress};
pub use stamps::{Stamp, stamp_lines};

/// Interim responses that may precede a final one.
const MOST_INTERIM: u8 = 64;

/// What all connections of a worker share: what was learned, and what to look for.
#[derive(Clone, Debug)]
pub struct Framer {
    learned: LearnedHead,
    to_head_request: bool,
    needle: Option<Needle>,
    watched: Watched,
    interim: u64,
}

impl Framer {
    /// A framer for responses to one kind of request; `needle` is a text to look for in bodies.
    #[must_use]
    pub fn new(to_head_request: bool, needle: Option<&[u8]>) -> Self {
        Self {
            learned: LearnedHead::default(),
            to_head_request,
            needle: needle.map(Needle::new),
            watched: Watched::new(needle.is_some()),
            interim: 0,
        }
    }

    /// Interim responses seen so far.
    #[must_use]
    pub fn interim_responses(&self) -> u64 {
        self.interim
    }
}

/// A whole response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Response {
    /// Three digits.
    pub status: u16,
    /// Whether another may follow on the connection.
    pub keep_alive: bool,
    /// Bytes of the body, without transfer coding.
    pub body_bytes: u64,
    /// Whether the body contains the framer's text; true without one.
    pub contains: bool,
}

/// What came of a piece of input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progressed {
    /// A response is whole after `consumed` bytes of the input; more may follow.
    Whole {
        /// Bytes that belonged to it.
        consumed: usize,
        /// The response.
        response: Response,
    },
    /// All of the input was taken and the response goes on.
    NeedMore,
}

/// What is known of a response whose head was whole, and whose body was not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Begun {
    /// Three digits.
    pub status: u16,
    /// Bytes of the body so far, without transfer coding.
    pub body_bytes: u64,
    /// How the body ends.
    pub body: Body,
}

/// What the end of the stream means at this point.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamEnd {
    /// No byte of a response had come.
    BetweenResponses,
    /// A response was cut.
    Cut,
    /// What had come so far can be no response.
    Violation(Kind),
    /// It ended a response that had no other end.
    Whole(Response),
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Length { left: u64 },
    Chunked(Chunked),
    UntilClose,
}

/// One response in progress.
#[derive(Clone, Debug)]
pub struct ResponseReader {
    state: State,
    /// The pieces of a head that was cut; after a violation, the offending line.
    carry: Carry,
    /// Bytes of the whole heads of the response in progress.
    head_bytes: u32,
    status: u16,
    keep_alive: bool,
    interim: u8,
    body_bytes: u64,
    found: Progress,
    /// The beginning of the body in progress, or of the last one, where it was watched for.
    kept: Option<Box<Kept>>,
}

impl ResponseReader {
    /// Between two responses.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Head,
            carry: Carry::default(),
            head_bytes: 0,
            status: 0,
            keep_alive: false,
            interim: 0,
            body_bytes: 0,
            found: Progress::default(),
            kept: None,
        }
    }

    /// What comes next belongs to a head, or begins one.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Forgets a response in progress: its connection is gone.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Takes the next bytes of the stream, up to the end of one response.
    ///
    /// # Errors
    /// The kind of violation; the stream is of no use after it. [`ResponseReader::offence`] shows it.
    #[inline(always)]
    pub fn advance(&mut self, input: &[u8], framer: &mut Framer) -> Result<Progressed, Kind> {
        if let State::Head = self.state
            && self.carry.is_empty()
            && let Some(head) = framer.learned.recognise(input)
        {
            if self.interim == 0
                && let Some(whole) = whole_at_once(&head, input, framer)
            {
                return Ok(whole);
            }
            return self.enter_learned_body(&head, input, framer);
        }
        self.advance_slowly(input, framer)
    }

    /// What is known of the response in progress, once its head is whole.
    #[must_use]
    pub fn begun(&self) -> Option<Begun> {
        let body = match self.state {
            State::Head => return None,
            State::Length { left } => Body::Length(self.body_bytes.saturating_add(left)),
            State::Chunked(_) => Body::Chunked,
            State::UntilClose => Body::UntilClose,
        };
        Some(Begun { status: self.status, body_bytes: self.body_bytes, body })
    }

    /// The kind of a timeout here: how far the response in progress has come.
    #[must_use]
    pub fn late_kind(&self) -> Kind {
        match self.state {
            State::Head if self.carry.is_empty() && self.interim == 0 => Kind::ResponseTimeout,
            State::Head => Kind::HeadTimeout,
            State::Length { .. } | State::Chunked(_) => Kind::BodyTimeout,
            State::UntilClose => Kind::OpenEnded,
        }
    }

    /// The line for which a head was refused, or its beginning; empty when it was not.
    #[must_use]
    pub fn offence(&self) -> &[u8] {
        self.carry.bytes()
    }

    #[inline(never)]
    fn enter_learned_body(
        &mut self,
        head: &Head,
        input: &[u8],
        framer: &Framer,
    ) -> Result<Progressed, Kind> {
        if head.length > self.head_room() {
            self.carry.keep(last_line(&input[..self.head_room()]));
            return Err(Kind::HeadTooLarge);
        }
        self.enter_body(head, input, head.length, framer)
    }

    #[inline(never)]
    fn advance_slowly(&mut self, input: &[u8], framer: &mut Framer) -> Result<Progressed, Kind> {
        match self.state {
            State::Head => self.read_head(input, framer),
            _ => self.read_body(input, 0, framer),
        }
    }

    /// The bytes still missing, when their number is known and nobody looks at them.
    #[must_use]
    pub fn known_remainder(&self) -> Option<u64> {
        match self.state {
            State::Length { left } => Some(left),
            _ => None,
        }
    }

    /// Counts bytes of [`ResponseReader::known_remainder`] that were dropped unseen.
    pub fn skip(&mut self, skipped: u64) -> Option<Response> {
        let State::Length { left } = &mut self.state else {
            debug_assert!(false, "only a known remainder is skipped");
            return None;
        };
        debug_assert!(skipped <= *left, "no more is skipped than is missing");
        *left = left.saturating_sub(skipped);
        self.body_bytes += skipped;
        (*left == 0).then(|| self.finish(None))
    }

    /// Takes the end of the stream.
    pub fn end_of_stream(&mut self, framer: &Framer) -> StreamEnd {
        match self.state {
            State::UntilClose => StreamEnd::Whole(self.finish(framer.needle.as_ref())),
            State::Head if self.carry.is_empty() && self.interim == 0 => {
                StreamEnd::BetweenResponses
            }
            // A long head is not looked at again after each piece, so a violation may still be hidden in it.
            State::Head => match head::parse(self.carry.bytes(), framer.to_head_request, None) {
                Err(Refused { kind, line }) => {
                    let line = self.carry.bytes()[line].to_vec();
                    self.carry.keep(&line);
                    StreamEnd::Violation(kind)
                }
                Ok(_) => StreamEnd::Cut,
            },
            State::Length { .. } | State::Chunked(_) => StreamEnd::Cut,
        }
    }

    /// Reads heads, of which interim ones may precede the final one.
    fn read_head(&mut self, input: &[u8], framer: &mut Framer) -> Result<Progressed, Kind> {
        let mut from = 0;
        loop {
            let Some((head, consumed)) = self.next_head(&input[from..], framer)? else {
                return Ok(Progressed::NeedMore);
            };
            from += consumed;
            if !head.is_interim() {
                return self.enter_body(&head, input, from, framer);
            }
            self.count_interim(head.status, framer)?;
            if from == input.len() {
                return Ok(Progressed::NeedMore);
            }
        }
    }

    /// A whole head and how many bytes of `input` belonged to it, or `None` when all of it was carried over.
    fn next_head(
        &mut self,
        input: &[u8],
        framer: &mut Framer,
    ) -> Result<Option<(Head, usize)>, Kind> {
        let carried = self.carry.len();
        let room = self.head_room() - carried;
        let seen = &input[..input.len().min(room)];
        let is_full = seen.len() == room;
        if carried > 0 && !self.carry.add(seen) && !is_full {
            return Ok(None);
        }
        let bytes = if carried > 0 { self.carry.bytes() } else { seen };
        let line = match framer.learned.parse(bytes, framer.to_head_request) {
            Ok(Some(head)) => {
                self.carry.clear();
                self.head_bytes += u32::try_from(head.length).unwrap_or(u32::MAX);
                // What was carried was no whole head, so the head ends within the new bytes.
                return Ok(Some((head, head.length - carried)));
            }
            Ok(None) if !is_full => {
                if carried == 0 {
                    self.carry.add(seen);
                }
                return Ok(None);
            }
            Ok(None) => (Kind::HeadTooLarge, last_line(bytes)),
            Err(Refused { kind, line }) => (kind, &bytes[line]),
        };
        let (kind, line) = (line.0, line.1.to_vec());
        self.carry.keep(&line);
        Err(kind)
    }

    /// Bytes that the heads of the response in progress may still have.
    fn head_room(&self) -> usize {
        MOST_HEAD_BYTES - self.head_bytes as usize
    }

    fn count_interim(&mut self, status: u16, framer: &mut Framer) -> Result<(), Kind> {
        const SWITCHING_PROTOCOLS: u16 = 101;
        if status == SWITCHING_PROTOCOLS {
            return Err(Kind::UnwantedUpgrade);
        }
        if self.interim == MOST_INTERIM {
            return Err(Kind::TooManyInterim);
        }
        self.interim += 1;
        framer.interim += 1;
        Ok(())
    }

    /// A final head ended before `input[from..]`.
    fn enter_body(
        &mut self,
        head: &Head,
        input: &[u8],
        from: usize,
        framer: &Framer,
    ) -> Result<Progressed, Kind> {
        self.status = head.status;
        self.keep_alive = head.keep_alive;
        self.kept = framer.watched.keeps(head.status).then(Box::default);
        match head.body {
            Body::None => {
                return Ok(Progressed::Whole {
                    consumed: from,
                    response: self.finish(framer.needle.as_ref()),
                });
            }
            Body::Length(left) => self.state = State::Length { left },
            Body::Chunked => self.state = State::Chunked(Chunked::new()),
            Body::UntilClose => {
                self.state = State::UntilClose;
                self.keep_alive = false;
            }
        }
        self.read_body(input, from, framer)
    }

    fn read_body(
        &mut self,
        input: &[u8],
        from: usize,
        framer: &Framer,
    ) -> Result<Progressed, Kind> {
        match &mut self.state {
            State::Length { left } => {
                let available = input.len() - from;
                let taken = usize::try_from(*left).map_or(available, |left| left.min(available));
                *left -= taken as u64;
                let whole = *left == 0;
                self.see_data(&input[from..from + taken], framer);
                if whole {
                    let response = self.finish(framer.needle.as_ref());
                    return Ok(Progressed::Whole { consumed: from + taken, response });
                }
                Ok(Progressed::NeedMore)
            }
            State::Chunked(chunked) => {
                let chunked = *chunked;
                self.read_chunks(chunked, input, from, framer)
            }
            State::UntilClose => {
                self.see_data(&input[from..], framer);
                Ok(Progressed::NeedMore)
            }
            State::Head => unreachable!("a body follows a head"),
        }
    }

    fn read_chunks(
        &mut self,
        mut chunked: Chunked,
        input: &[u8],
        from: usize,
        framer: &Framer,
    ) -> Result<Progressed, Kind> {
        let mut at = from;
        loop {
            match chunked.next(input, at)? {
                Found::Data(range) => {
                    at = range.end;
                    self.see_data(&input[range], framer);
                }
                Found::End(consumed) => {
                    return Ok(Progressed::Whole {
                        consumed,
                        response: self.finish(framer.needle.as_ref()),
                    });
                }
                Found::NeedMore => {
                    self.state = State::Chunked(chunked);
                    return Ok(Progressed::NeedMore);
                }
            }
        }
    }

    fn see_data(&mut self, data: &[u8], framer: &Framer) {
        self.body_bytes += data.len() as u64;
        if let Some(kept) = &mut self.kept {
            kept.add(data);
        }
        if let Some(needle) = &framer.needle {
            needle.search(data, &mut self.found);
        }
    }

    fn finish(&mut self, needle: Option<&Needle>) -> Response {
        let response = Response {
            status: self.status,
            keep_alive: self.keep_alive,
            body_bytes: self.body_bytes,
            contains: needle.is_none_or(|needle| needle.is_found(self.found)),
        };
        self.state = State::Head;
        self.head_bytes = 0;
        self.interim = 0;
        self.body_bytes = 0;
        self.found = Progress::default();
        response
    }
}

/// The last line of `bytes`, which goes on after them.
#[cold]
fn last_line(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    &bytes[start..]
}

/// A response that is all there, and that nobody looks into: the reader need not even be told.
#[inline(always)]
fn whole_at_once(head: &Head, input: &[u8], framer: &Framer) -> Option<Progressed> {
    let body_bytes = match head.body {
        Body::Length(length) => length,
        Body::None => 0,
        Body::Chunked | Body::UntilClose => return None,
    };
    let available = (input.len() - head.length) as u64;
    if body_bytes > available || framer.watched.sees(head.status) {
        return None;
    }
    let consumed = head.length + usize::try_from(body_bytes).ok()?;
    let response =
        Response { status: head.status, keep_alive: head.keep_alive, body_bytes, contains: true };
    Some(Progressed::Whole { consumed, response })
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
