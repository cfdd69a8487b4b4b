//! The last request of a connection: most clients repeat themselves, byte for byte.
//!
//! A connection owns one. A head that equals the last one needs no parsing and no new answer, so
//! a run of equal requests costs a comparison and a copy each. It must not know of sockets.

use bytes::Bytes;

use super::answer::Answer;
use super::body::{BodyReader, Framing};
use super::connection::COPY_BYTES_MAX;
use super::counters::{PathClass, StatusClass};
use super::request::{Persistence, Request};
use super::route::Target;

/// A longer head is parsed anew each time it comes.
const KNOWN_HEAD_BYTES_MAX: usize = 1024;

/// The last request head and all that was worked out from it: most clients repeat themselves.
pub(super) struct Known {
    /// Empty when it was too long to keep; then it matches nothing.
    pub(super) head: Vec<u8>,
    pub(super) request: Request,
    pub(super) answer: Answer,
    pub(super) class: Option<PathClass>,
    /// The answer needs nothing but to be copied.
    pub(super) plain: bool,
}

impl Known {
    pub(super) fn nothing() -> Self {
        let request = Request {
            target: Target::NotFound,
            framing: Framing::Length(0),
            persistence: Persistence::Close,
            head_only: false,
            old_version: false,
            expects_continue: false,
        };
        Self {
            head: Vec::new(),
            request,
            answer: Answer {
                opening: Bytes::new(),
                filler: &[],
                filler_bytes: 0,
                closing: Bytes::new(),
                status: StatusClass::ClientError,
            },
            class: None,
            plain: false,
        }
    }

    pub(super) fn matches(&self, pending: &[u8]) -> bool {
        !self.head.is_empty() && pending.starts_with(&self.head)
    }

    pub(super) fn learn(&mut self, request: Request, answer: Answer, head: &[u8]) {
        self.head.clear();
        if head.len() <= KNOWN_HEAD_BYTES_MAX {
            self.head.extend_from_slice(head);
        }
        self.request = request;
        self.class = request.target.class();
        self.plain = !matches!(
            request.target,
            Target::Delay(_) | Target::Echo | Target::Counters | Target::Law(_)
        ) && BodyReader::new(request.framing).is_done()
            && answer.filler_bytes == 0
            && answer.closing.is_empty()
            && answer.opening.len() <= COPY_BYTES_MAX;
        self.answer = answer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::{answer, request};

    fn learnt(text: &str) -> Known {
        let mut known = Known::nothing();
        let (request, head_bytes) = request::parse(text.as_bytes()).unwrap().unwrap();
        known.learn(request, answer::answer(&request), &text.as_bytes()[..head_bytes]);
        known
    }

    #[test]
    fn nothing_matches_before_a_head_was_learnt() {
        assert!(!Known::nothing().matches(b"GET / HTTP/1.1\r\n\r\n"));
    }

    #[test]
    fn only_a_whole_equal_head_matches() {
        let known = learnt("GET / HTTP/1.1\r\n\r\n");
        assert!(known.matches(b"GET / HTTP/1.1\r\n\r\nGET"));
        assert!(!known.matches(b"GET / HTTP/1.1\r\n\r"));
        assert!(!known.matches(b"GET / HTTP/1.1\r\nA: b\r\n\r\n"));
    }

    #[test]
    fn long_head_is_not_kept() {
        let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(KNOWN_HEAD_BYTES_MAX));
        assert!(!learnt(&long).matches(long.as_bytes()));
    }

    #[test]
    fn only_short_answers_to_bodiless_requests_are_plain() {
        assert!(learnt("GET /bytes/100 HTTP/1.1\r\n\r\n").plain);
        for request in ["GET /bytes/100000", "GET /delay/1ms", "GET /echo", "GET /counters"] {
            assert!(!learnt(&format!("{request} HTTP/1.1\r\n\r\n")).plain, "{request}");
        }
        assert!(!learnt("GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n").plain);
    }
}
