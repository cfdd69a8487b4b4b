//! The last head that was parsed in full, as literals and holes: most later heads are the same one again.
//!
//! A hole is a header value that says nothing about framing (a date, an identifier). A later head with the same
//! literals, whose holes hold only bytes that a field value may hold, has the same framing; nothing else is recognised,
//! so this path and [`head::parse`] agree on every input.

use std::ops::Range;

use super::head::{self, Head, Refused};
use super::lines::is_text;

/// What has been learned, if anything.
#[derive(Clone, Debug, Default)]
pub struct LearnedHead {
    /// The head as it last came, to the byte: the common case is one comparison.
    bytes: Vec<u8>,
    holes: Vec<Range<usize>>,
    head: Option<Head>,
}

impl LearnedHead {
    /// The head at the start of `input`, if it is the learned one.
    #[inline(always)]
    pub fn recognise(&mut self, input: &[u8]) -> Option<Head> {
        let candidate = input.get(..self.bytes.len())?;
        if candidate == self.bytes || self.matches_with_holes(candidate) {
            return self.head;
        }
        None
    }

    /// Parses the head at the start of `input` in full and learns it, unless it is interim. `None`: it goes on.
    ///
    /// # Errors
    /// As [`head::parse`].
    pub fn parse(&mut self, input: &[u8], to_head_request: bool) -> Result<Option<Head>, Refused> {
        let head = head::parse(input, to_head_request, Some(&mut self.holes));
        // The holes may have been overwritten: what was known before is gone.
        self.head = None;
        self.bytes.clear();
        if let Ok(Some(head)) = head
            && !head.is_interim()
        {
            self.bytes.extend_from_slice(&input[..head.length]);
            self.head = Some(head);
        }
        head
    }

    #[inline(never)]
    fn matches_with_holes(&mut self, candidate: &[u8]) -> bool {
        if self.head.is_none() {
            return false;
        }
        let mut literal_start = 0;
        for hole in &self.holes {
            let literal = literal_start..hole.start;
            if candidate[literal.clone()] != self.bytes[literal]
                || !candidate[hole.clone()].iter().all(|&byte| is_text(byte))
            {
                return false;
            }
            literal_start = hole.end;
        }
        if candidate[literal_start..] != self.bytes[literal_start..] {
            return false;
        }
        self.bytes.copy_from_slice(candidate);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{LearnedHead, head};
    use proptest::prelude::*;

    const NGINX: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 05:00:00 GMT\r\n\
        Content-Type: text/html\r\nContent-Length: 615\r\nConnection: keep-alive\r\nETag: \"637f7a5d-267\"\r\n\r\n";

    fn learned() -> LearnedHead {
        let mut learned = LearnedHead::default();
        learned.parse(NGINX, false).unwrap().unwrap();
        learned
    }

    fn replaced(old: &str, new: &str) -> Vec<u8> {
        String::from_utf8(NGINX.to_vec()).unwrap().replace(old, new).into_bytes()
    }

    #[test]
    fn a_head_that_differs_only_in_its_date_is_recognised() {
        let mut learned = learned();
        let full = head::parse(NGINX, false, None).unwrap();
        assert_eq!(learned.recognise(&replaced("05:00:00", "05:00:01")), full);
        assert_eq!(learned.recognise(NGINX), full);
    }

    #[test]
    fn a_head_that_differs_in_framing_is_not_recognised() {
        for (old, new) in
            [("615", "616"), ("keep-alive", "close     "), ("200", "204"), ("Date", "Tate")]
        {
            assert_eq!(learned().recognise(&replaced(old, new)), None, "{old} -> {new}");
        }
    }

    #[test]
    fn a_hole_with_line_ends_or_controls_is_not_recognised() {
        for bad in ["05:00\r\n00", "05:00\n:00", "05:00\0:00", "05:00\x7f:00", "05:00\x1b:00"] {
            assert_eq!(learned().recognise(&replaced("05:00:00", bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn a_cut_head_is_not_recognised() {
        for cut in 0..NGINX.len() {
            assert_eq!(learned().recognise(&NGINX[..cut]), None);
        }
    }

    proptest! {
        #[test]
        fn learned_and_full_parse_agree_on_mutated_heads(
            edits in prop::collection::vec((0..NGINX.len(), any::<u8>()), 0..4),
            cut in 0..=NGINX.len(),
        ) {
            let mut bytes = NGINX.to_vec();
            for (at, byte) in edits {
                bytes[at] = byte;
            }
            bytes.truncate(cut);
            if let Some(recognised) = learned().recognise(&bytes) {
                prop_assert_eq!(head::parse(&bytes, false, None), Ok(Some(recognised)));
            }
        }
    }
}
