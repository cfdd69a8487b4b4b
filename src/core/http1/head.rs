//! One response head: from bytes to status and framing (RFC 9112 sections 4 and 6).
//!
//! httparse reads what nearly every server sends. What it does not accept is read once more by `lines`, which knows what
//! can be accepted all the same; `fields` says what the fields mean for the length of the body.

use std::ops::Range;

use httparse::{EMPTY_HEADER, Header, Status};

use super::fields::Fields;
use super::lines;
use crate::core::failure::Kind;

/// All heads of a response, interim ones included, may have so many bytes together. Their lines are not counted.
pub const MOST_HEAD_BYTES: usize = 1024 * 1024;
/// Enough for nearly every response; the array is on the stack.
const USUAL_HEADERS: usize = 32;

/// How the body after a head is delimited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    /// There is none.
    None,
    /// By its length in bytes.
    Length(u64),
    /// By the chunked coding.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// What a head says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Three digits, 100 to 999.
    pub status: u16,
    /// How the body is delimited.
    pub body: Body,
    /// Whether another response may follow on the connection.
    pub keep_alive: bool,
    /// Bytes of the head, with its empty line.
    pub length: usize,
}

impl Head {
    /// Whether a final response is still to come.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status < 200
    }
}

/// Why a head is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// The kind of violation.
    pub kind: Kind,
    /// Where in the bytes the offending line is; of what does not begin like a head, everything.
    pub line: Range<usize>,
}

/// Parses the head at the start of `bytes`, however long it is. `None`: it goes on after them.
///
/// `to_head_request` says that no body follows whatever the head announces. When `holes` is given, it is filled with
/// the places of header values that say nothing about framing.
///
/// # Errors
/// The kind of violation and the line that it is in.
pub fn parse(
    bytes: &[u8],
    to_head_request: bool,
    holes: Option<&mut Vec<Range<usize>>>,
) -> Result<Option<Head>, Refused> {
    let mut headers = [EMPTY_HEADER; USUAL_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let (length, status) = match (response.parse(bytes), response.code) {
        (Ok(Status::Partial), _) => return Ok(None),
        (Ok(Status::Complete(length)), Some(status @ 100..)) => (length, status),
        // More lines than usual, a later minor version, something odd, or no response at all.
        _ => return lines::parse(bytes, to_head_request, holes),
    };
    let mut fields = Fields::default();
    for header in response.headers.iter() {
        let added = fields.add(header.name.as_bytes(), header.value);
        added.map_err(|kind| Refused { kind, line: place(bytes, header) })?;
    }
    if let Some(holes) = holes {
        find_holes(bytes, response.headers, holes);
    }
    let http_1_0 = response.version == Some(0);
    Ok(Some(Head {
        status,
        body: fields.body(status, to_head_request),
        keep_alive: fields.keep_alive(http_1_0),
        length,
    }))
}

/// Where `header` is in `bytes`, from its name to the end of its value.
#[cold]
fn place(bytes: &[u8], header: &Header<'_>) -> Range<usize> {
    let start = header.name.as_ptr().addr() - bytes.as_ptr().addr();
    let length = bytes[start..].iter().position(|byte| b"\r\n".contains(byte));
    start..length.map_or(bytes.len(), |length| start + length)
}

fn find_holes(bytes: &[u8], headers: &[Header<'_>], holes: &mut Vec<Range<usize>>) {
    holes.clear();
    for header in headers {
        let framing = ["content-length", "transfer-encoding", "connection"]
            .iter()
            .any(|name| header.name.eq_ignore_ascii_case(name));
        if !framing && !header.value.is_empty() {
            let start = header.value.as_ptr().addr() - bytes.as_ptr().addr();
            holes.push(start..start + header.value.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, parse};
    use crate::core::failure::Kind;

    fn framing(head: &str) -> Result<(Body, bool), Kind> {
        parse(format!("{head}\r\n\r\n").as_bytes(), false, None)
            .map(|head| head.map(|head| (head.body, head.keep_alive)).expect("a whole head"))
            .map_err(|refused| refused.kind)
    }

    #[test]
    fn framing_follows_rfc_9112() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5", (Body::Length(5), true)),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\nContent-Length:5",
                (Body::Length(5), true),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0005", (Body::Length(5), true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0", (Body::None, true)),
            ("HTTP/1.1 200 OK", (Body::UntilClose, true)),
            ("HTTP/1.1 200", (Body::UntilClose, true)),
            ("HTTP/1.1 204 No\r\nContent-Length: 5", (Body::None, true)),
            ("HTTP/1.1 304 No\r\nTransfer-Encoding: chunked", (Body::None, true)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", (Body::Chunked, true)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked", (Body::Chunked, true)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
                (Body::Chunked, true),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked", (Body::UntilClose, true)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3",
                (Body::Chunked, false),
            ),
            (
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive",
                (Body::Chunked, false),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Foo, Close",
                (Body::Length(5), false),
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5", (Body::Length(5), false)),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive",
                (Body::Length(5), true),
            ),
        ] {
            assert_eq!(framing(head), Ok(expected), "{head}");
        }
    }

    #[test]
    fn what_cannot_be_framed_is_refused_by_kind() {
        for (head, kind) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: -1", Kind::BadContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: +5", Kind::BadContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0x20", Kind::BadContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length:", Kind::BadContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5,6", Kind::BadContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6", Kind::BadContentLength),
            ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616", Kind::BadContentLength),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip", Kind::BadTransferEncoding),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding:", Kind::BadTransferEncoding),
            ("HTTP/1.1 099 OK", Kind::BadHead),
            ("HTTP/1.1 2e2 OK", Kind::BadHead),
            ("HTTP/1.1 2000 OK", Kind::BadHead),
            ("HTTP/2.0 200 OK", Kind::UnsupportedVersion),
            ("http/1.1 200 OK", Kind::BadHead),
            ("SSH-2.0-OpenSSH", Kind::BadHead),
            ("\x16\x03\x01\x02", Kind::LooksLikeTls),
            ("\0\0\x12\x04\0\0\0\0\0", Kind::LooksLikeHttp2),
            ("HTTP/1.1 200 OK\r\nContent-Length : 5", Kind::BadHeaderLine),
            ("HTTP/1.1 200 OK\r\nConnection: a\r\n b", Kind::BadHeaderLine),
            ("HTTP/1.1 200 OK\r\nA: b\0c", Kind::BadHeaderLine),
        ] {
            assert_eq!(framing(head), Err(kind), "{head:?}");
        }
    }

    #[test]
    fn a_head_to_a_head_request_has_no_body() {
        let head = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, None);
        assert_eq!(head.unwrap().unwrap().body, Body::None);
    }

    #[test]
    fn a_head_may_have_any_number_of_lines_of_any_length() {
        let long = format!("X: {}", "x".repeat(70 * 1024));
        for lines in ["a: b\r\n".repeat(300), "a: b\r\n".repeat(50_000), format!("{long}\r\n")] {
            let head = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 5");
            assert_eq!(framing(&head), Ok((Body::Length(5), true)));
        }
    }

    #[test]
    fn the_offending_line_is_named() {
        let head = b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5, 6\r\nC: d\r\n\r\n";
        let refused = parse(head, false, None).unwrap_err();
        assert_eq!(head[refused.line].escape_ascii().to_string(), "Content-Length: 5, 6");
    }
}
