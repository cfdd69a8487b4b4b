//! Streams of responses, whole and cut at every byte.

use proptest::prelude::*;

use super::head::Body;
use super::{Begun, Framer, Progressed, Response, ResponseReader, StreamEnd};
use crate::core::failure::Kind;

/// Everything that a stream came to: its responses, then how it ended.
#[derive(Debug, PartialEq)]
struct Verdict {
    responses: Vec<Response>,
    violation: Option<Kind>,
    end: Option<StreamEnd>,
}

fn read(pieces: &[&[u8]], framer: &mut Framer) -> Verdict {
    let mut reader = ResponseReader::new();
    let mut responses = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match reader.advance(rest, framer) {
                Ok(Progressed::Whole { consumed, response }) => {
                    responses.push(response);
                    rest = &rest[consumed..];
                }
                Ok(Progressed::NeedMore) => break,
                Err(kind) => {
                    return Verdict { responses, violation: Some(kind), end: None };
                }
            }
        }
    }
    let end = match reader.end_of_stream(framer) {
        StreamEnd::Violation(kind) => {
            return Verdict { responses, violation: Some(kind), end: None };
        }
        end => Some(end),
    };
    Verdict { responses, violation: None, end }
}

fn whole(stream: &[u8]) -> Verdict {
    read(&[stream], &mut Framer::new(false, Some(b"needle")))
}

const STREAMS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nneedle",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnee\r\n3\r\ndle\r\n0\r\n\r\nHTTP/1.1 204 X\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the needle and the end",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nxHTTP/1.0 404 No\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 1\n\nx",
    b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxgarbage",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"HTTP/1.1 200 OK\r\nX : a\r\n b\r\nWhat?: c\r\nnone\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n b\r\n\r\nx",
];

#[test]
fn the_verdict_does_not_depend_on_where_a_stream_is_cut() {
    for stream in STREAMS {
        let expected = whole(stream);
        for cut in 0..=stream.len() {
            let (first, second) = stream.split_at(cut);
            let verdict = read(&[first, second], &mut Framer::new(false, Some(b"needle")));
            assert_eq!(verdict, expected, "{:?} cut at {cut}", String::from_utf8_lossy(stream));
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read(&bytes, &mut Framer::new(false, Some(b"needle"))), expected);
    }
}

#[test]
fn bodies_are_counted_searched_and_ended_by_their_framing() {
    let found = |stream: &[u8]| -> Vec<(u16, u64, bool)> {
        whole(stream).responses.iter().map(|r| (r.status, r.body_bytes, r.contains)).collect()
    };
    assert_eq!(found(STREAMS[0]), [(200, 6, true)]);
    assert_eq!(found(STREAMS[1]), [(200, 2, false), (200, 2, false)]);
    assert_eq!(found(STREAMS[2]), [(200, 6, true), (204, 0, false)]);
    assert_eq!(found(STREAMS[3]), [(200, 1, false)]);
    assert_eq!(found(STREAMS[6]), [(304, 0, false), (200, 1, false)]);
}

#[test]
fn the_end_of_the_stream_ends_or_cuts_a_response() {
    assert!(
        matches!(whole(STREAMS[4]).end, Some(StreamEnd::Whole(r)) if r.body_bytes == 28 && r.contains && !r.keep_alive)
    );
    assert_eq!(whole(STREAMS[9]).end, Some(StreamEnd::Cut));
    assert_eq!(whole(STREAMS[11]).end, Some(StreamEnd::Cut));
    assert_eq!(whole(STREAMS[0]).end, Some(StreamEnd::BetweenResponses));
}

#[test]
fn violations_are_named() {
    for (index, kind) in [
        (8, Kind::UnwantedUpgrade),
        (10, Kind::BadChunk),
        (12, Kind::BadHead),
        (13, Kind::LooksLikeTls),
    ] {
        assert_eq!(whole(STREAMS[index]).violation, Some(kind));
    }
}

#[test]
fn endless_interim_responses_are_refused() {
    let stream = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(65);
    assert_eq!(whole(&stream).violation, Some(Kind::TooManyInterim));
    let mut fine = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(64);
    fine.extend_from_slice(b"HTTP/1.1 204 No\r\n\r\n");
    assert_eq!(whole(&fine).responses.len(), 1);
}

#[test]
fn interim_responses_do_not_add_up_over_final_ones() {
    let mut framer = Framer::new(false, None);
    let (mut hinted, mut plain) = (ResponseReader::new(), ResponseReader::new());
    let last = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    for round in 0..100 {
        let hint = hinted.advance(b"HTTP/1.1 103 Early Hints\r\n\r\n", &mut framer);
        assert_eq!(hint, Ok(Progressed::NeedMore), "round {round}");
        // The other connection learns the final head before this one sees it, so that it is recognised, not parsed.
        for reader in [&mut plain, &mut hinted] {
            let whole = reader.advance(last, &mut framer);
            assert!(matches!(whole, Ok(Progressed::Whole { .. })), "round {round}: {whole:?}");
        }
        assert_eq!(hinted.end_of_stream(&framer), StreamEnd::BetweenResponses);
    }
}

#[test]
fn a_head_without_end_is_refused_at_its_limit_and_not_buffered_beyond() {
    let mut reader = ResponseReader::new();
    let mut framer = Framer::new(false, None);
    let mut fed = reader.advance(b"HTTP/1.1 200 OK\r\nX: ", &mut framer);
    let mut pieces = 0;
    while fed == Ok(Progressed::NeedMore) {
        fed = reader.advance(&[b'x'; 1000], &mut framer);
        pieces += 1;
    }
    assert_eq!(fed, Err(Kind::HeadTooLarge));
    assert_eq!(pieces, 1049);
    assert!(reader.offence().starts_with(b"X: xxx"), "{:?}", reader.offence());
}

#[test]
fn a_long_hidden_violation_is_found_at_the_end_of_the_stream() {
    let mut stream = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    stream.extend_from_slice(&[b'x'; 2000]);
    stream.push(0);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read(&bytes, &mut Framer::new(false, None)).violation, Some(Kind::BadHeaderLine));
    assert_eq!(whole(&stream).violation, Some(Kind::BadHeaderLine));
}

#[test]
fn the_line_that_is_refused_is_shown_however_it_came() {
    let stream = [
        b"HTTP/1.1 200 OK\r\nX: ",
        &[b'x'; 3000][..],
        b"\r\nContent-Length : 5\r\nY: y\r\n\r\nhello",
    ]
    .concat();
    for length in [1, 10, 1000, 5000] {
        let mut reader = ResponseReader::new();
        let mut framer = Framer::new(false, None);
        let refused =
            stream.chunks(length).find_map(|piece| reader.advance(piece, &mut framer).err());
        assert_eq!(refused, Some(Kind::BadHeaderLine), "in pieces of {length}");
        assert_eq!(reader.offence(), b"Content-Length : 5", "in pieces of {length}");
    }
}

#[test]
fn the_heads_of_a_response_share_one_limit() {
    let long = format!("X: {}\r\n\r\n", "x".repeat(600_000));
    let last = format!("HTTP/1.1 204 No\r\n{long}");
    let stream = format!("HTTP/1.1 103 Early Hints\r\n{long}{last}");
    assert_eq!(whole(last.repeat(3).as_bytes()).responses.len(), 3);
    let (interim, after) = stream.as_bytes().split_at(stream.len() - last.len());
    for pieces in [&[stream.as_bytes()][..], &[interim, after]] {
        let verdict = read(pieces, &mut Framer::new(false, None));
        assert_eq!(verdict.violation, Some(Kind::HeadTooLarge));
    }
    // Another connection learns the final head in between, so that it is recognised, not parsed.
    let mut framer = Framer::new(false, None);
    let (mut hinted, mut plain) = (ResponseReader::new(), ResponseReader::new());
    assert_eq!(hinted.advance(interim, &mut framer), Ok(Progressed::NeedMore));
    assert!(matches!(plain.advance(after, &mut framer), Ok(Progressed::Whole { .. })));
    assert_eq!(hinted.advance(after, &mut framer), Err(Kind::HeadTooLarge));
    assert!(hinted.offence().starts_with(b"X: xxx"), "{:?}", hinted.offence());
}

#[test]
fn a_timeout_says_how_far_the_response_had_come() {
    let begun = |body_bytes, body| Some(Begun { status: 200, body_bytes, body });
    for (stream, kind, expected) in [
        ("", Kind::ResponseTimeout, None),
        ("HTTP/1.1 200 OK\r\nContent-", Kind::HeadTimeout, None),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", Kind::HeadTimeout, None),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour",
            Kind::BodyTimeout,
            begun(4, Body::Length(9)),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            Kind::BodyTimeout,
            begun(3, Body::Chunked),
        ),
        ("HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n", Kind::OpenEnded, begun(9, Body::UntilClose)),
    ] {
        let mut reader = ResponseReader::new();
        let advanced = reader.advance(stream.as_bytes(), &mut Framer::new(false, None));
        assert_eq!(advanced, Ok(Progressed::NeedMore));
        assert_eq!((reader.late_kind(), reader.begun()), (kind, expected), "{stream:?}");
    }
}

#[test]
fn a_known_remainder_can_be_skipped_unseen() {
    let mut reader = ResponseReader::new();
    let mut framer = Framer::new(false, None);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc";
    assert_eq!(reader.advance(head, &mut framer), Ok(Progressed::NeedMore));
    assert_eq!(reader.known_remainder(), Some(997));
    assert_eq!(reader.skip(900), None);
    let response = reader.skip(97).expect("whole");
    assert_eq!((response.status, response.body_bytes), (200, 1000));
    assert_eq!(reader.known_remainder(), None);
}

proptest! {
    #[test]
    fn any_bytes_give_the_same_verdict_in_any_pieces(
        start in 0..STREAMS.len(),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mut stream = STREAMS[start].repeat(2);
        for (at, byte) in noise {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts {
            pieces.push(&stream[from..cut]);
            from = cut;
        }
        pieces.push(&stream[from..]);
        // Learning must not change a verdict either: the second framer has read the clean stream before.
        let mut experienced = Framer::new(false, Some(b"needle"));
        read(&[STREAMS[start]], &mut experienced);
        let expected = whole(&stream);
        prop_assert_eq!(&read(&pieces, &mut Framer::new(false, Some(b"needle"))), &expected);
        prop_assert_eq!(&read(&pieces, &mut experienced), &expected);
    }
}
