//! The beginning of a body that somebody wants to read: that of an answer nobody expected.
//!
//! Bodies are not kept. Of a response whose status is watched ([`super::Framer::watch`]), the reader copies the first
//! [`MOST_BYTES`] as they pass, so that all others pass as they always did.

use super::{Framer, ResponseReader};

/// Most bytes of a body that are kept.
pub const MOST_BYTES: usize = 2048;
/// Status codes have three digits; a power of two needs no check of bounds.
const STATUS_CODES: usize = 1024;

/// Which responses are not to pass unseen, by status.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// Their bodies are kept.
    kept: Box<[bool; STATUS_CODES]>,
    /// Somebody looks into all bodies.
    all: bool,
    /// One of both.
    seen: Box<[bool; STATUS_CODES]>,
}

impl Watched {
    pub(super) fn new(all: bool) -> Self {
        Self { kept: Box::new([false; STATUS_CODES]), all, seen: Box::new([all; STATUS_CODES]) }
    }

    pub(super) fn set(&mut self, status: u16, kept: bool) {
        let place = usize::from(status) % STATUS_CODES;
        self.kept[place] = kept;
        self.seen[place] = kept || self.all;
    }

    /// Somebody looks into the body of such a response.
    #[inline(always)]
    pub(super) fn sees(&self, status: u16) -> bool {
        self.seen[usize::from(status) % STATUS_CODES]
    }

    pub(super) fn keeps(&self, status: u16) -> bool {
        self.kept[usize::from(status) % STATUS_CODES]
    }
}

impl Framer {
    /// Whether the beginning of the body is kept of responses with this status, to be taken with
    /// [`ResponseReader::take_kept`]. Three digits; none is at first.
    pub fn watch(&mut self, status: u16, kept: bool) {
        self.watched.set(status, kept);
    }
}

impl ResponseReader {
    /// The beginning of the body of the response that has just become whole, at most [`MOST_BYTES`]; `None` when its
    /// status is not watched.
    pub fn take_kept(&mut self) -> Option<Vec<u8>> {
        self.kept.take().map(|kept| kept.into_bytes())
    }

    /// More of the body in progress is wanted: it must not be dropped unseen.
    #[must_use]
    pub fn wants_body(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| !kept.is_full())
    }
}

/// What was kept of a body so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
}

impl Kept {
    /// Takes as much of `data` as there is room for.
    pub(super) fn add(&mut self, data: &[u8]) {
        let room = MOST_BYTES - self.bytes.len();
        self.bytes.extend_from_slice(&data[..data.len().min(room)]);
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() == MOST_BYTES
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Framer, MOST_BYTES, ResponseReader};
    use crate::core::http1::Progressed;

    /// What is kept of the first response of `stream`, which comes in pieces of `size` bytes; the rest of the input is
    /// returned, too.
    fn kept(stream: &[u8], size: usize, watched: &[u16]) -> Option<Vec<u8>> {
        let mut framer = Framer::new(false, None);
        watched.iter().for_each(|&status| framer.watch(status, true));
        let mut reader = ResponseReader::new();
        // A head that is known is no reason to look away.
        for _ in 0..2 {
            for piece in stream.chunks(size) {
                let done = reader.advance(piece, &mut framer).unwrap();
                assert!(matches!(done, Progressed::NeedMore | Progressed::Whole { .. }));
            }
        }
        reader.take_kept()
    }

    fn with_length(status: u16, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn the_body_of_a_watched_status_is_kept_however_it_is_cut() {
        let chunked =
            b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbus\r\n1\r\ny\r\n0\r\n\r\n";
        for size in [1, 2, 7, 4096] {
            for stream in [with_length(503, b"busy"), chunked.to_vec()] {
                assert_eq!(kept(&stream, size, &[503]).as_deref(), Some(&b"busy"[..]), "{size}");
                assert_eq!(kept(&stream, size, &[500]), None, "{size}");
            }
        }
    }

    #[test]
    fn no_more_is_kept_than_anybody_reads() {
        let stream = with_length(500, &[b'x'; 3 * MOST_BYTES]);
        for size in [1, 1000, 1 << 20] {
            assert_eq!(kept(&stream, size, &[500]).map(|bytes| bytes.len()), Some(MOST_BYTES));
        }
    }

    #[test]
    fn a_body_is_wanted_until_enough_of_it_has_come() {
        let stream = with_length(500, &[b'x'; 3 * MOST_BYTES]);
        let mut framer = Framer::new(false, None);
        framer.watch(500, true);
        let mut reader = ResponseReader::new();
        for (to, wanted) in [(100, true), (3000, false)] {
            let from = if to == 100 { 0 } else { 100 };
            reader.advance(&stream[from..to], &mut framer).unwrap();
            assert_eq!(reader.wants_body(), wanted);
        }
    }
}
