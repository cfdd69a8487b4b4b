//! Responses, laid out before they are sent: an opening, a filler that repeats, a closing.
//!
//! Pure: it builds bytes and owns the static blocks that long bodies are cut from, so a body of
//! any length costs no memory of its own. It must not know of connections or counters.
//!
//! Invariant: byte `i` of a `/bytes/N` or `/chunked/N` body is `PATTERN[i % PATTERN.len()]`.

use std::sync::LazyLock;

use bytes::Bytes;

use super::counters::StatusClass;
use super::law::{Decision, Deed};
use super::request::{Persistence, Refusal, Request};
use super::route::Target;

/// One response, in the three parts that are written one after the other.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The head, and as much of the body as is cheap to keep.
    pub(super) opening: Bytes,
    /// Repeated from its first byte for `filler_bytes` in total.
    pub(super) filler: &'static [u8],
    pub(super) filler_bytes: u64,
    pub(super) closing: Bytes,
    pub(super) status: StatusClass,
}

pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

const GREETING: &[u8] = b"Hello, World\n";
const PATTERN: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n";
const CHUNK_BYTES: usize = 16 * 1024;
const CHUNK_LINE: &[u8] = b"4000\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One write's worth of a long body: long enough to make system calls rare, short enough to stay
/// in the second-level cache.
const FILLER_BYTES: usize = 256 * 1024;

/// Most of a body that an opening holds. Bodies up to here go out in a single write.
const OPENING_BODY_BYTES_MAX: u64 = 1024 * 1024;
const OPENING_CHUNKS_MAX: u64 = OPENING_BODY_BYTES_MAX / CHUNK_BYTES as u64;

static PATTERN_BLOCK: LazyLock<Vec<u8>> =
    LazyLock::new(|| PATTERN.repeat(FILLER_BYTES / PATTERN.len()));

static CHUNK_BLOCK: LazyLock<Vec<u8>> =
    LazyLock::new(|| chunk(CHUNK_BYTES).repeat(FILLER_BYTES / CHUNK_BYTES));

const _: () = assert!(CHUNK_BYTES == 0x4000 && FILLER_BYTES.is_multiple_of(CHUNK_BYTES));

/// What the head says of the body's length.
enum Length {
    Absent,
    Bytes(u64),
    Chunked,
}

/// The response to `request`, for every target whose answer does not depend on the moment.
pub(super) fn answer(request: &Request) -> Answer {
    match request.target {
        Target::Bytes(count) => counted(request, count),
        Target::Chunked(count) if request.old_version => unframed(request, count),
        Target::Chunked(count) => chunked(request, count),
        Target::NoLaw(reason) => short(request, 400, format!("{reason}\n").as_bytes()),
        Target::Close
        | Target::Counters
        | Target::Delay(_)
        | Target::Echo
        | Target::Law(_)
        | Target::Root => short(request, 200, GREETING),
        Target::NotFound => short(request, 404, b"404 Not Found\n"),
        Target::Status(status) => {
            short(request, status, format!("{status} {}\n", reason(status)).as_bytes())
        }
    }
}

/// A response whose body is at hand.
pub(super) fn document(request: &Request, content_type: &str, body: Vec<u8>) -> Answer {
    let length = Length::Bytes(body.len() as u64);
    let closing = if request.head_only { Bytes::new() } else { Bytes::from(body) };
    let mut answer = whole(200, head(200, content_type, &length, request.persistence));
    answer.closing = closing;
    answer
}

/// There are as many laws in use as the server has room for.
pub(super) fn refused_law(request: &Request) -> Answer {
    short(request, 503, b"too many laws are in use: restart the server\n")
}

/// What a law answers a request with; with stamps, values have the same width in every answer.
pub(super) fn by_law(request: &Request, decision: &Decision, stamps: Option<(u64, u64)>) -> Answer {
    let (status, body) = match decision.deed {
        Deed::Busy => (503, &b"busy\n"[..]),
        _ => (200, GREETING),
    };
    let mut opening = head(status, TEXT, &Length::Bytes(body.len() as u64), request.persistence);
    if let Some((received_ns, sent_ns)) = stamps {
        opening.truncate(opening.len() - 2);
        let stamps = format!(
            "X-Seq: {:020}\r\nX-Recv-ns: {received_ns:020}\r\nX-Send-ns: {sent_ns:020}\r\nX-Service-ns: {:020}\r\n\r\n",
            decision.number, decision.service_ns
        );
        opening.extend_from_slice(stamps.as_bytes());
    }
    if !request.head_only {
        opening.extend_from_slice(body);
    }
    whole(status, opening)
}

/// What a client is told whose request is not served.
pub(super) fn refusal(refusal: Refusal) -> Answer {
    let status = match refusal {
        Refusal::BodyTooLarge => 413,
        Refusal::HeadTooLarge => 431,
        Refusal::Malformed => 400,
        Refusal::Unsupported => 501,
    };
    let body = format!("{status} {}\n", reason(status));
    let length = Length::Bytes(body.len() as u64);
    let mut opening = head(status, TEXT, &length, Persistence::Close);
    opening.extend_from_slice(body.as_bytes());
    whole(status, opening)
}

const TEXT: &str = "text/plain";
const BINARY: &str = "application/octet-stream";

fn whole(status: u16, opening: Vec<u8>) -> Answer {
    Answer {
        opening: Bytes::from(opening),
        filler: &[],
        filler_bytes: 0,
        closing: Bytes::new(),
        status: StatusClass::of(status),
    }
}

fn short(request: &Request, status: u16, body: &[u8]) -> Answer {
    // RFC 9110: 204 and 304 have no body, 205 an empty one.
    let (length, body) = match status {
        204 | 304 => (Length::Absent, &[][..]),
        205 => (Length::Bytes(0), &[][..]),
        _ => (Length::Bytes(body.len() as u64), body),
    };
    let mut opening = head(status, TEXT, &length, request.persistence);
    if !request.head_only {
        opening.extend_from_slice(body);
    }
    whole(status, opening)
}

fn counted(request: &Request, count: u64) -> Answer {
    let head = head(200, BINARY, &Length::Bytes(count), request.persistence);
    patterned(request, head, count)
}

/// An HTTP/1.0 client knows no chunks: the end of the connection ends the body.
fn unframed(request: &Request, count: u64) -> Answer {
    patterned(request, head(200, BINARY, &Length::Absent, Persistence::Close), count)
}

fn patterned(request: &Request, mut opening: Vec<u8>, count: u64) -> Answer {
    if request.head_only {
        return whole(200, opening);
    }
    let mut in_opening = count.min(OPENING_BODY_BYTES_MAX);
    let filler_bytes = count - in_opening;
    while in_opening > 0 {
        let piece = clamp(in_opening, PATTERN_BLOCK.len());
        opening.extend_from_slice(&PATTERN_BLOCK[..piece]);
        in_opening -= piece as u64;
    }
    Answer { filler: &PATTERN_BLOCK, filler_bytes, ..whole(200, opening) }
}

fn chunked(request: &Request, count: u64) -> Answer {
    let mut opening = head(200, BINARY, &Length::Chunked, request.persistence);
    if request.head_only {
        return whole(200, opening);
    }
    let whole_chunks = count / CHUNK_BYTES as u64;
    let chunk_wire_bytes = CHUNK_BLOCK.len() / (FILLER_BYTES / CHUNK_BYTES);
    for _ in 0..whole_chunks.min(OPENING_CHUNKS_MAX) {
        opening.extend_from_slice(&CHUNK_BLOCK[..chunk_wire_bytes]);
    }
    let mut ending = match clamp(count % CHUNK_BYTES as u64, CHUNK_BYTES) {
        0 => Vec::new(),
        rest => chunk(rest),
    };
    ending.extend_from_slice(LAST_CHUNK);
    if whole_chunks <= OPENING_CHUNKS_MAX {
        opening.extend_from_slice(&ending);
        return whole(200, opening);
    }
    Answer {
        filler: &CHUNK_BLOCK,
        filler_bytes: (whole_chunks - OPENING_CHUNKS_MAX) * chunk_wire_bytes as u64,
        closing: Bytes::from(ending),
        ..whole(200, opening)
    }
}

fn chunk(bytes: usize) -> Vec<u8> {
    let mut wire = if bytes == CHUNK_BYTES {
        CHUNK_LINE.to_vec()
    } else {
        format!("{bytes:x}\r\n").into_bytes()
    };
    wire.extend_from_slice(&PATTERN_BLOCK[..bytes]);
    wire.extend_from_slice(b"\r\n");
    wire
}

/// `count` as a usize, at most `limit`.
pub(super) fn clamp(count: u64, limit: usize) -> usize {
    usize::try_from(count).map_or(limit, |count| count.min(limit))
}

fn head(status: u16, content_type: &str, length: &Length, persistence: Persistence) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    if status != 204 && status != 304 {
        head.push_str("Content-Type: ");
        head.push_str(content_type);
        head.push_str("\r\n");
    }
    match length {
        Length::Absent => {}
        Length::Bytes(count) => head.push_str(&format!("Content-Length: {count}\r\n")),
        Length::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
    }
    match persistence {
        Persistence::Close => head.push_str("Connection: close\r\n"),
        Persistence::Keep => {}
        Persistence::KeepSaid => head.push_str("Connection: keep-alive\r\n"),
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Content Too Large",
        418 => "I'm a teapot",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        // Any phrase will do for the others; clients are told not to read it.
        _ => "Status",
    }
}

/// The last few answers that are long to build, shared by the connections of one thread.
#[derive(Default)]
pub(super) struct Cache {
    entries: Vec<(Request, Answer)>,
    next: usize,
}

/// With openings of at most 1 MiB this bounds the cache to 8 MiB.
const CACHE_ENTRIES: usize = 8;
const CACHED_BYTES_MIN: u64 = 4 * 1024;

impl Cache {
    /// The response to `request`, built only if it is not at hand.
    pub(super) fn answer(&mut self, request: &Request) -> Answer {
        let (Target::Bytes(CACHED_BYTES_MIN..) | Target::Chunked(CACHED_BYTES_MIN..)) =
            request.target
        else {
            return answer(request);
        };
        if let Some((_, answer)) = self.entries.iter().find(|(known, _)| known == request) {
            return answer.clone();
        }
        let built = answer(request);
        let entry = (*request, built.clone());
        if self.entries.len() < CACHE_ENTRIES {
            self.entries.push(entry);
        } else {
            self.entries[self.next] = entry;
            self.next = (self.next + 1) % CACHE_ENTRIES;
        }
        built
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Request {
        let text = format!("GET {path} HTTP/1.1\r\n\r\n");
        super::super::request::parse(text.as_bytes()).unwrap().unwrap().0
    }

    fn wire(answer: &Answer) -> Vec<u8> {
        let mut wire = answer.opening.to_vec();
        let mut left = clamp(answer.filler_bytes, usize::MAX);
        while left > 0 {
            let piece = left.min(answer.filler.len());
            wire.extend_from_slice(&answer.filler[..piece]);
            left -= piece;
        }
        wire.extend_from_slice(&answer.closing);
        wire
    }

    fn body_of(wire: &[u8]) -> &[u8] {
        let end = wire.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        &wire[end + 4..]
    }

    fn follows_pattern(body: &[u8]) -> bool {
        body.iter().enumerate().all(|(i, byte)| *byte == PATTERN[i % PATTERN.len()])
    }

    #[test]
    fn counted_bodies_of_every_layout_follow_the_pattern() {
        for count in [0, 1, 63, 65, 262_143, 262_145, 1 << 20, (1 << 20) + 1, 3_000_001] {
            let wire = wire(&answer(&get(&format!("/bytes/{count}"))));
            let body = body_of(&wire);
            assert_eq!(body.len(), count);
            assert!(follows_pattern(body), "{count}");
        }
    }

    #[test]
    fn chunked_bodies_of_every_layout_follow_the_pattern() {
        for count in [0, 1, 16_383, 16_384, 16_385, 1 << 20, (1 << 20) + 16_384, 3_000_001] {
            let wire = wire(&answer(&get(&format!("/chunked/{count}"))));
            let mut left = body_of(&wire);
            let mut body = Vec::new();
            loop {
                let (at, size) = httparse::parse_chunk_size(left).unwrap().unwrap();
                let size = usize::try_from(size).unwrap();
                assert!(size <= CHUNK_BYTES);
                body.extend_from_slice(&left[at..at + size]);
                assert_eq!(&left[at + size..at + size + 2], b"\r\n");
                left = &left[at + size + 2..];
                if size == 0 {
                    break;
                }
            }
            assert!(left.is_empty());
            assert_eq!(body.len(), count);
            assert!(follows_pattern(&body), "{count}");
        }
    }

    #[test]
    fn ten_gibibytes_take_no_more_than_an_opening() {
        let answer = answer(&get("/bytes/10737418240"));
        assert!(answer.opening.len() < 2 << 20);
        assert_eq!(answer.filler_bytes + OPENING_BODY_BYTES_MAX, 10 << 30);
    }

    #[test]
    fn statuses_without_a_body_have_none() {
        for status in [204, 304] {
            let wire = wire(&answer(&get(&format!("/status/{status}"))));
            assert!(body_of(&wire).is_empty());
            assert!(!String::from_utf8(wire).unwrap().contains("Content-"));
        }
    }

    #[test]
    fn cache_stays_bounded_and_right() {
        let mut cache = Cache::default();
        for round in 0..3 {
            for count in 0..20 {
                let request = get(&format!("/bytes/{}", 5000 + count));
                assert_eq!(wire(&cache.answer(&request)), wire(&answer(&request)), "{round}");
            }
        }
        assert_eq!(cache.entries.len(), CACHE_ENTRIES);
    }
}
