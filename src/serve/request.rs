//! One request's head, from bytes to what the server must do about it.
//!
//! Pure: httparse finds the lines, this module gives them their meaning (RFC 9112 sections 6 and
//! 9). It must not know of sockets, and keeps nothing of the bytes.

use super::body::Framing;
use super::route::{Target, digits};

/// Longest head that is read; beyond it the answer is 431.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Most header fields of a head; beyond it the answer is 431.
const HEADERS_MAX: usize = 128;

/// Whether the connection outlives the response, and what the response says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistence {
    /// `Connection: close`.
    Close,
    /// As HTTP/1.1 has it by default, unsaid.
    Keep,
    /// `Connection: keep-alive`: an HTTP/1.0 client wants to be told.
    KeepSaid,
}

/// All that a head asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) target: Target,
    pub(super) framing: Framing,
    pub(super) persistence: Persistence,
    /// The response has no body, as to HEAD.
    pub(super) head_only: bool,
    /// HTTP/1.0: the client does not know chunks.
    pub(super) old_version: bool,
    pub(super) expects_continue: bool,
}

/// Why a head is refused. The connection is closed after saying so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 413: an echo would not fit.
    BodyTooLarge,
    /// 431
    HeadTooLarge,
    /// 400
    Malformed,
    /// 501: a transfer coding other than chunked.
    Unsupported,
}

/// The request at the front of `bytes` and the length of its head; `None` if more must come.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => {
            Ok(Some((interpret(&head)?, length)))
        }
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Refusal::HeadTooLarge),
        Err(_) => Err(Refusal::Malformed),
    }
}

fn interpret(head: &httparse::Request<'_, '_>) -> Result<Request, Refusal> {
    let old_version = head.version == Some(0);
    let mut length: Option<u64> = None;
    let mut chunked = false;
    let mut close = false;
    let mut keep = false;
    let mut expects_continue = false;
    for header in head.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            for value in tokens(header.value) {
                let value = content_length(value)?;
                if length.is_some_and(|length| length != value) {
                    return Err(Refusal::Malformed);
                }
                length = Some(value);
            }
        } else if is("transfer-encoding") {
            for coding in tokens(header.value) {
                if chunked || !coding.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::Unsupported);
                }
                chunked = true;
            }
        } else if is("connection") {
            for option in tokens(header.value) {
                close |= option.eq_ignore_ascii_case(b"close");
                keep |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if is("expect") {
            expects_continue |= header.value.eq_ignore_ascii_case(b"100-continue");
        }
    }
    let framing = match (length, chunked) {
        // Both at once is how requests are smuggled; HTTP/1.0 has no transfer codings.
        (Some(_), true) => return Err(Refusal::Malformed),
        (None, true) if old_version => return Err(Refusal::Malformed),
        (None, true) => Framing::Chunked,
        (length, false) => Framing::Length(length.unwrap_or(0)),
    };
    let target = Target::parse(head.path.unwrap_or("/"));
    // Without chunks the end of a chunked answer can only be the end of the connection.
    let unframed = old_version && matches!(target, Target::Chunked(_));
    let persistence = if close || unframed || target == Target::Close || (old_version && !keep) {
        Persistence::Close
    } else if old_version {
        Persistence::KeepSaid
    } else {
        Persistence::Keep
    };
    Ok(Request {
        target,
        framing,
        persistence,
        head_only: head.method == Some("HEAD"),
        old_version,
        expects_continue: expects_continue && !old_version,
    })
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    let text = std::str::from_utf8(value).map_err(|_| Refusal::Malformed)?;
    digits(text).ok_or(Refusal::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Option<(Request, usize)>, Refusal> {
        parse(text.as_bytes())
    }

    fn head_of(lines: &str) -> Request {
        let text = format!("GET / HTTP/1.1\r\n{lines}\r\n");
        one(&text).unwrap().unwrap().0
    }

    #[test]
    fn head_split_anywhere_is_partial_until_whole() {
        let text = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";
        for cut in 0..text.len() {
            assert_eq!(one(&text[..cut]), Ok(None), "{cut}");
        }
        let (request, length) = one(text).unwrap().unwrap();
        assert_eq!(length, text.len());
        assert_eq!(request.target, Target::Echo);
        assert_eq!(request.framing, Framing::Length(3));
    }

    #[test]
    fn persistence_follows_version_and_connection_header() {
        assert_eq!(head_of("").persistence, Persistence::Keep);
        assert_eq!(head_of("connection: x, Close\r\n").persistence, Persistence::Close);
        let old = |lines: &str| one(&format!("GET / HTTP/1.0\r\n{lines}\r\n")).unwrap().unwrap().0;
        assert_eq!(old("").persistence, Persistence::Close);
        assert_eq!(old("Connection: Keep-Alive\r\n").persistence, Persistence::KeepSaid);
    }

    #[test]
    fn framing_that_contradicts_itself_is_refused() {
        let refused = [
            ("Content-Length: 1\r\nContent-Length: 2\r\n", Refusal::Malformed),
            ("Content-Length: 1, 2\r\n", Refusal::Malformed),
            ("Content-Length: +1\r\n", Refusal::Malformed),
            ("Content-Length: \r\n", Refusal::Malformed),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", Refusal::Malformed),
            ("Transfer-Encoding: gzip, chunked\r\n", Refusal::Unsupported),
        ];
        for (lines, refusal) in refused {
            assert_eq!(one(&format!("GET / HTTP/1.1\r\n{lines}\r\n")), Err(refusal), "{lines}");
        }
        assert_eq!(head_of("Content-Length: 2, 2\r\n").framing, Framing::Length(2));
        assert_eq!(head_of("Transfer-Encoding: Chunked\r\n").framing, Framing::Chunked);
    }

    #[test]
    fn garbage_is_malformed_and_a_huge_head_too_large() {
        assert_eq!(one("\u{1}\u{2}"), Err(Refusal::Malformed));
        assert_eq!(one("GET / HTTP/2.0\r\n\r\n"), Err(Refusal::Malformed));
        let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(one(&long), Err(Refusal::HeadTooLarge));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(one(&many), Err(Refusal::HeadTooLarge));
    }

    #[test]
    fn expectation_and_head_method_are_seen() {
        assert!(head_of("Expect: 100-Continue\r\n").expects_continue);
        assert!(one("HEAD / HTTP/1.1\r\n\r\n").unwrap().unwrap().0.head_only);
    }
}
