//! What is fuzzed: functions over arbitrary bytes that panic when something is wrong. Two drivers share them: the tests
//! next to this folder, for a bounded number of inputs, and libFuzzer, for as long as one likes (`scripts/fuzz`).
#![allow(dead_code, reason = "each test file uses its own share of this")]

use maxq::core::http1::{Framer, Progressed, ResponseReader, StreamEnd};

use super::reference::{self, Ending, Whole};

/// Reads the stream behind the first bytes of `data` whole, cut where those bytes say, and with whatever was learned from
/// it before; each time it must be what the slow reader of the standard makes of it.
pub(crate) fn responses(data: &[u8]) {
    let Some((&[mode, step, cut], stream)) = data.split_first_chunk::<3>() else { return };
    let head_request = mode & 1 == 1;
    let expected = reference::read(stream, head_request);
    let (first, second) = stream.split_at(usize::from(cut) * stream.len() / 256);
    let steps: Vec<&[u8]> = stream.chunks(usize::from(step).max(1)).collect();
    let mut learned = Framer::new(head_request, None);
    for (how, pieces) in [
        ("whole", &[stream][..]),
        ("cut in two", &[first, second]),
        ("in steps", &steps),
        ("in steps again", &steps),
        ("whole, learned", &[stream]),
    ] {
        let found = read(pieces, &mut Framer::new(head_request, None));
        assert!(agree(&found, &expected), "{how}: {found:?}, by the reference {expected:?}");
        let found = read(pieces, &mut learned);
        assert!(
            agree(&found, &expected),
            "{how}, learned: {found:?}, by the reference {expected:?}"
        );
    }
}

/// A reader that has learned the head of one stream must make of another one what a reader makes of it that has learned
/// nothing. The other one is the first with some of its bytes replaced, as the first bytes of `data` say.
pub(crate) fn learned_head(data: &[u8]) {
    let Some((edits, lesson)) = data.split_first_chunk::<EDIT_BYTES>() else { return };
    let mut stream = lesson.to_vec();
    for edit in edits[1..].chunks_exact(2).take(usize::from(edits[0] & 7)) {
        let at = usize::from(edit[0]) * stream.len() / 256;
        if let Some(byte) = stream.get_mut(at) {
            *byte =
                if edit[1] < 128 { edit[1] } else { TELLING[usize::from(edit[1]) % TELLING.len()] };
        }
    }
    let mut learned = Framer::new(false, None);
    read(&[lesson], &mut learned);
    let fresh = read(&[&stream], &mut Framer::new(false, None));
    assert_eq!(read(&[&stream], &mut learned), fresh, "after a lesson");
}

/// A number of edits, and a place and a byte for each.
pub(crate) const EDIT_BYTES: usize = 1 + 2 * 7;
/// Bytes that mean something in a head.
const TELLING: &[u8] = b"\r\n\0:; ,0123456789cC-";

/// What the reader makes of a stream that comes in pieces.
pub(crate) fn read(pieces: &[&[u8]], framer: &mut Framer) -> (Vec<Whole>, Ending) {
    let mut reader = ResponseReader::new();
    let mut responses = Vec::new();
    let whole = |response: maxq::core::http1::Response| Whole {
        status: response.status,
        body_bytes: response.body_bytes,
        keep_alive: response.keep_alive,
    };
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match reader.advance(rest, framer) {
                Ok(Progressed::Whole { consumed, response }) => {
                    responses.push(whole(response));
                    rest = &rest[consumed..];
                }
                Ok(Progressed::NeedMore) => break,
                Err(_) => return (responses, Ending::Bad),
            }
        }
    }
    let in_head = reader.is_in_head();
    match reader.end_of_stream(framer) {
        StreamEnd::BetweenResponses => (responses, Ending::Between),
        StreamEnd::Cut if in_head => (responses, Ending::CutInHead),
        StreamEnd::Cut => (responses, Ending::Cut),
        StreamEnd::Violation(_) => (responses, Ending::Bad),
        StreamEnd::Whole(response) => {
            responses.push(whole(response));
            (responses, Ending::Closed)
        }
    }
}

/// A head that the stream cuts may be refused already, or not yet.
pub(crate) fn agree(found: &(Vec<Whole>, Ending), expected: &(Vec<Whole>, Ending)) -> bool {
    let ending = match expected.1 {
        Ending::CutInHead => matches!(found.1, Ending::CutInHead | Ending::Bad),
        other => found.1 == other,
    };
    ending && found.0 == expected.0
}
