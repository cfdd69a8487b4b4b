//! One response head: from bytes to status and framing (RFC 9112 sections 4 and 6).
//!
//! httparse finds the lines; what they mean for the length of the body is decided here.

use std::ops::Range;

use httparse::{EMPTY_HEADER, Header, ParserConfig, Status};

use crate::failure::Kind;

/// A head of more bytes than this is refused.
pub const MOST_HEAD_BYTES: usize = 64 * 1024;
/// A head of more header lines than this is refused.
pub const MOST_HEADERS: usize = 256;
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

/// Parses the head at the start of `bytes`. `None`: it goes on after them.
///
/// `to_head_request` says that no body follows whatever the head announces. When `holes` is given, it is filled with
/// the places of header values that say nothing about framing.
///
/// # Errors
/// The kind of violation.
pub fn parse(
    bytes: &[u8],
    to_head_request: bool,
    holes: Option<&mut Vec<Range<usize>>>,
) -> Result<Option<Head>, Kind> {
    let seen = &bytes[..bytes.len().min(MOST_HEAD_BYTES)];
    let mut holes = holes;
    let parsed = match parse_lines::<USUAL_HEADERS>(seen, to_head_request, holes.as_deref_mut()) {
        Err(Stop::MoreHeaders) => parse_lines::<MOST_HEADERS>(seen, to_head_request, holes),
        parsed => parsed,
    };
    let parsed = parsed.map_err(|stop| match stop {
        Stop::Kind(kind) => kind,
        Stop::MoreHeaders => Kind::HeadTooLarge,
    })?;
    match parsed {
        None if seen.len() == MOST_HEAD_BYTES => Err(Kind::HeadTooLarge),
        parsed => Ok(parsed),
    }
}

enum Stop {
    Kind(Kind),
    MoreHeaders,
}

fn parse_lines<const N: usize>(
    bytes: &[u8],
    to_head_request: bool,
    holes: Option<&mut Vec<Range<usize>>>,
) -> Result<Option<Head>, Stop> {
    let mut headers = [EMPTY_HEADER; N];
    let mut response = httparse::Response::new(&mut headers);
    let length = match ParserConfig::default().parse_response(&mut response, bytes) {
        Ok(Status::Partial) => return Ok(None),
        Ok(Status::Complete(length)) => length,
        Err(httparse::Error::TooManyHeaders) => return Err(Stop::MoreHeaders),
        Err(httparse::Error::Version) => {
            return match as_version_1_1(bytes) {
                Some(copy) => parse_lines::<N>(&copy, to_head_request, holes),
                None => Err(Stop::Kind(version_kind(bytes))),
            };
        }
        Err(_) => return Err(Stop::Kind(Kind::BadHead)),
    };
    let status = response.code.unwrap_or(0);
    if status < 100 {
        return Err(Stop::Kind(Kind::BadHead));
    }
    let fields = Fields::read(response.headers).map_err(Stop::Kind)?;
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

/// A head of a later version with the same major number is read as HTTP/1.1 (RFC 9110 section 2.5), which httparse
/// leaves to us.
#[cold]
fn as_version_1_1(bytes: &[u8]) -> Option<Vec<u8>> {
    const BEFORE_MINOR: &[u8] = b"HTTP/1.";
    let start = bytes.iter().position(|byte| !b"\r\n".contains(byte))?;
    let minor = start + BEFORE_MINOR.len();
    let later = bytes[start..].starts_with(BEFORE_MINOR)
        && bytes.get(minor).is_some_and(|digit| (b'2'..=b'9').contains(digit));
    later.then(|| {
        let mut copy = bytes.to_vec();
        copy[minor] = b'1';
        copy
    })
}

/// Tells apart what commonly answers on the wrong port.
fn version_kind(bytes: &[u8]) -> Kind {
    const TLS_ALERT: u8 = 0x15;
    const TLS_HANDSHAKE: u8 = 0x16;
    const HTTP2_SETTINGS: u8 = 4;
    match bytes {
        [TLS_ALERT | TLS_HANDSHAKE, ..] => Kind::LooksLikeTls,
        [0, 0, _, HTTP2_SETTINGS, ..] => Kind::LooksLikeHttp2,
        _ if bytes.starts_with(b"HTTP/") => Kind::UnsupportedVersion,
        _ => Kind::BadHead,
    }
}

/// The header fields that decide about framing.
#[derive(Default)]
struct Fields {
    content_length: Option<u64>,
    chunked_last: Option<bool>,
    close: bool,
    keep_alive: bool,
}

impl Fields {
    fn read(headers: &[Header<'_>]) -> Result<Self, Kind> {
        let mut fields = Self::default();
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                fields.add_content_length(header.value)?;
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                fields.add_transfer_encoding(header.value)?;
            } else if header.name.eq_ignore_ascii_case("connection") {
                for option in list(header.value) {
                    fields.close |= option.eq_ignore_ascii_case(b"close");
                    fields.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
        }
        Ok(fields)
    }

    /// Equal values, in one line or several, are one value (RFC 9112 section 6.3).
    fn add_content_length(&mut self, value: &[u8]) -> Result<(), Kind> {
        let mut any = false;
        for item in value.split(|&byte| byte == b',') {
            let length = decimal(item.trim_ascii()).ok_or(Kind::BadContentLength)?;
            if self.content_length.is_some_and(|known| known != length) {
                return Err(Kind::BadContentLength);
            }
            self.content_length = Some(length);
            any = true;
        }
        if any { Ok(()) } else { Err(Kind::BadContentLength) }
    }

    /// Codings accumulate over lines; after `chunked` none may follow.
    fn add_transfer_encoding(&mut self, value: &[u8]) -> Result<(), Kind> {
        for coding in list(value) {
            if self.chunked_last == Some(true) {
                return Err(Kind::BadTransferEncoding);
            }
            self.chunked_last = Some(coding.eq_ignore_ascii_case(b"chunked"));
        }
        if self.chunked_last.is_none() { Err(Kind::BadTransferEncoding) } else { Ok(()) }
    }

    fn body(&self, status: u16, to_head_request: bool) -> Body {
        if to_head_request || status < 200 || status == 204 || status == 304 {
            return Body::None;
        }
        match (self.chunked_last, self.content_length) {
            (Some(true), _) => Body::Chunked,
            (Some(false), _) | (None, None) => Body::UntilClose,
            (None, Some(0)) => Body::None,
            (None, Some(length)) => Body::Length(length),
        }
    }

    /// A message with both framings, or with a coding that HTTP/1.0 does not know, may be an attack: its connection is
    /// not used again.
    fn keep_alive(&self, http_1_0: bool) -> bool {
        let suspect = self.chunked_last.is_some() && (self.content_length.is_some() || http_1_0);
        !suspect && !self.close && (!http_1_0 || self.keep_alive)
    }
}

/// The non-empty members of a comma-separated list.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
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
    use super::{Body, MOST_HEAD_BYTES, MOST_HEADERS, parse};
    use crate::failure::Kind;

    fn framing(head: &str) -> Result<(Body, bool), Kind> {
        parse(format!("{head}\r\n\r\n").as_bytes(), false, None)
            .map(|head| head.map(|head| (head.body, head.keep_alive)).expect("a whole head"))
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
            ("HTTP/1.1 200 OK\r\nA : b", Kind::BadHead),
            ("HTTP/1.1 200 OK\r\nA: b\r\n c", Kind::BadHead),
            ("HTTP/1.1 200 OK\r\nA: b\0c", Kind::BadHead),
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
    fn heads_are_bounded_in_bytes_and_lines() {
        let mut lines = "HTTP/1.1 200 OK\r\n".to_owned();
        lines.push_str(&"a: b\r\n".repeat(MOST_HEADERS));
        assert!(parse(format!("{lines}\r\n").as_bytes(), false, None).unwrap().is_some());
        lines.push_str("a: b\r\n\r\n");
        assert_eq!(parse(lines.as_bytes(), false, None), Err(Kind::HeadTooLarge));
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(MOST_HEAD_BYTES));
        assert_eq!(parse(long.as_bytes(), false, None), Err(Kind::HeadTooLarge));
        let whole_but_long = format!("{long}\r\n\r\n");
        assert_eq!(parse(whole_but_long.as_bytes(), false, None), Err(Kind::HeadTooLarge));
    }
}
