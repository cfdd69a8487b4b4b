//! Where a request's body ends, found without keeping the body.
//!
//! A pure state machine over slices: the connection owns the bytes and feeds them in whatever
//! pieces the network made. It must not know what the body is for.
//!
//! Invariant: `feed` never consumes a byte beyond the body's end, so what follows is the next
//! pipelined request.

/// How a request's head says its body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Chunked,
    Length(u64),
}

/// The body does not follow its framing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadBody;

/// Longest chunk extension, and longest block of trailers.
const EXTENSION_BYTES_MAX: usize = 4 * 1024;
const TRAILER_BYTES_MAX: usize = 64 * 1024;

/// Sixteen hexadecimal digits fill a u64.
const SIZE_DIGITS_MAX: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Bytes of a body with Content-Length, or of one chunk, still to come.
    Length(u64),
    Size {
        value: u64,
        digits: usize,
    },
    Extension {
        bytes: usize,
        size: u64,
    },
    SizeLineFeed {
        size: u64,
    },
    ChunkData(u64),
    DataCarriageReturn,
    DataLineFeed,
    TrailerStart {
        bytes: usize,
    },
    TrailerLine {
        bytes: usize,
    },
    TrailerLineFeed {
        bytes: usize,
    },
    LastLineFeed,
    Done,
}

/// Follows one body to its end.
pub(super) struct BodyReader {
    state: State,
}

impl BodyReader {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Chunked => State::Size { value: 0, digits: 0 },
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
        };
        Self { state }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes certain to follow: a hint for the size of the next read.
    pub(super) fn expected(&self) -> u64 {
        match self.state {
            State::Length(left) | State::ChunkData(left) => left,
            _ => 0,
        }
    }

    /// Consumes from the front of `bytes`, and says how much.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, BadBody> {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Done => break,
                State::Length(left) => {
                    let (taken, left) = take(left, bytes.len() - at);
                    at += taken;
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                }
                State::ChunkData(left) => {
                    let (taken, left) = take(left, bytes.len() - at);
                    at += taken;
                    self.state =
                        if left == 0 { State::DataCarriageReturn } else { State::ChunkData(left) };
                }
                state => {
                    self.state = after_byte(state, bytes[at])?;
                    at += 1;
                }
            }
        }
        Ok(at)
    }
}

fn take(left: u64, available: usize) -> (usize, u64) {
    match usize::try_from(left) {
        Ok(left) if left <= available => (left, 0),
        _ => (available, left - available as u64),
    }
}

fn after_byte(state: State, byte: u8) -> Result<State, BadBody> {
    Ok(match (state, byte) {
        (State::Size { digits: 1.., value }, b'\r') => State::SizeLineFeed { size: value },
        (State::Size { digits: 1.., value }, b';' | b' ' | b'\t') => {
            State::Extension { bytes: 0, size: value }
        }
        (State::Size { value, digits }, _) => {
            let digit = (byte as char).to_digit(16).ok_or(BadBody)?;
            if digits == SIZE_DIGITS_MAX {
                return Err(BadBody);
            }
            State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
        }
        (State::Extension { size, .. }, b'\r') => State::SizeLineFeed { size },
        (State::Extension { bytes, size }, _) if byte != b'\n' && bytes < EXTENSION_BYTES_MAX => {
            State::Extension { bytes: bytes + 1, size }
        }
        (State::SizeLineFeed { size: 0 }, b'\n') => State::TrailerStart { bytes: 0 },
        (State::SizeLineFeed { size }, b'\n') => State::ChunkData(size),
        (State::DataCarriageReturn, b'\r') => State::DataLineFeed,
        (State::DataLineFeed, b'\n') => State::Size { value: 0, digits: 0 },
        (State::TrailerStart { .. }, b'\r') => State::LastLineFeed,
        (State::TrailerLine { bytes }, b'\r') => State::TrailerLineFeed { bytes },
        (State::TrailerStart { bytes } | State::TrailerLine { bytes }, _)
            if byte != b'\n' && bytes < TRAILER_BYTES_MAX =>
        {
            State::TrailerLine { bytes: bytes + 1 }
        }
        (State::TrailerLineFeed { bytes }, b'\n') => State::TrailerStart { bytes },
        (State::LastLineFeed, b'\n') => State::Done,
        _ => return Err(BadBody),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n";

    #[test]
    fn chunked_body_split_anywhere_ends_at_the_same_byte() {
        for cut in 0..CHUNKED.len() {
            let mut reader = BodyReader::new(Framing::Chunked);
            assert_eq!(reader.feed(&CHUNKED[..cut]), Ok(cut));
            assert!(!reader.is_done());
            let mut rest = CHUNKED[cut..].to_vec();
            rest.extend_from_slice(b"GET / HTTP/1.1\r\n");
            assert_eq!(reader.feed(&rest), Ok(CHUNKED.len() - cut));
            assert!(reader.is_done());
        }
    }

    #[test]
    fn body_with_a_length_stops_at_its_length() {
        let mut reader = BodyReader::new(Framing::Length(4));
        assert_eq!(reader.feed(b"ab"), Ok(2));
        assert_eq!(reader.expected(), 2);
        assert_eq!(reader.feed(b"cdef"), Ok(2));
        assert!(reader.is_done());
    }

    #[test]
    fn empty_body_is_done_at_once() {
        assert!(BodyReader::new(Framing::Length(0)).is_done());
    }

    #[test]
    fn bad_chunk_lines_are_refused() {
        let bad: [&[u8]; 7] = [
            b"\r\n",
            b"g\r\n",
            b"-1\r\n",
            b"5\nhello",
            b"5\r\nhelloX",
            b"11111111111111111\r\n",
            b"0\r\nT: v\n",
        ];
        for bytes in bad {
            let mut reader = BodyReader::new(Framing::Chunked);
            assert_eq!(reader.feed(bytes), Err(BadBody), "{bytes:?}");
        }
    }

    #[test]
    fn endless_extension_and_trailers_are_refused() {
        let mut extension = b"5;".to_vec();
        extension.resize(EXTENSION_BYTES_MAX + 10, b'x');
        assert_eq!(BodyReader::new(Framing::Chunked).feed(&extension), Err(BadBody));
        let mut trailers = b"0\r\n".to_vec();
        trailers.resize(TRAILER_BYTES_MAX + 10, b'x');
        assert_eq!(BodyReader::new(Framing::Chunked).feed(&trailers), Err(BadBody));
    }
}
