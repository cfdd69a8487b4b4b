//! The chunked transfer coding (RFC 9112 section 7.1), fed in any pieces, without buffering.

use std::ops::Range;

use crate::core::failure::Kind;

/// Bytes of chunk extensions and trailers that one message may have.
const MOST_EXTRA_BYTES: u32 = 64 * 1024;
/// Hexadecimal digits of a size that fits 64 bits.
const MOST_SIZE_DIGITS: u8 = 16;

/// Where in the coding the next byte belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Digits of a chunk size.
    Size,
    /// White space after the size; an extension or the line end follows.
    AfterSize,
    /// A chunk extension, ignored.
    Extension,
    /// The LF that ends the size line.
    SizeLineFeed,
    /// The data of a chunk.
    Data,
    /// The CR after the data.
    DataReturn,
    /// The LF after the data.
    DataLineFeed,
    /// The first byte of a trailer line, or the CR of the empty line that ends it all.
    TrailerStart,
    /// Inside a trailer line.
    Trailer,
    /// The LF that ends a trailer line.
    TrailerLineFeed,
    /// The LF that ends it all.
    LastLineFeed,
}

/// A decoder for one message.
#[derive(Clone, Copy, Debug)]
pub struct Chunked {
    state: State,
    digits: u8,
    extra: u32,
    /// Bytes left of the current chunk; while its size is read, the size so far.
    left: u64,
}

/// What one call of [`Chunked::next`] found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found {
    /// Data of the body, as a range of the input; the next call starts after it.
    Data(Range<usize>),
    /// The end of the message, after so many bytes of the input.
    End(usize),
    /// The end of the input.
    NeedMore,
}

impl Chunked {
    /// At the start of a body.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Size, digits: 0, extra: 0, left: 0 }
    }

    /// Goes on at `input[from..]` to the next piece of data or the end.
    ///
    /// # Errors
    /// [`Kind::BadChunk`] when the coding is violated, [`Kind::HeadTooLarge`] when extensions or trailers are endless.
    pub fn next(&mut self, input: &[u8], from: usize) -> Result<Found, Kind> {
        let mut at = from;
        while at < input.len() {
            if self.state == State::Data {
                let available = input.len() - at;
                let taken =
                    usize::try_from(self.left).map_or(available, |left| left.min(available));
                self.left -= taken as u64;
                if self.left == 0 {
                    self.state = State::DataReturn;
                }
                return Ok(Found::Data(at..at + taken));
            }
            let byte = input[at];
            at += 1;
            if self.state == State::LastLineFeed && byte == b'\n' {
                return Ok(Found::End(at));
            }
            self.state = self.step(byte)?;
        }
        Ok(Found::NeedMore)
    }

    fn step(&mut self, byte: u8) -> Result<State, Kind> {
        Ok(match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.add_digit(byte)?,
            (State::Size, _) if self.digits == 0 => return Err(Kind::BadChunk),
            (State::Size | State::AfterSize, b'\r') | (State::Extension, b'\r') => {
                State::SizeLineFeed
            }
            (State::Size | State::AfterSize, b' ' | b'\t') => self.extra(State::AfterSize)?,
            (State::Size | State::AfterSize, b';') => self.extra(State::Extension)?,
            (State::Extension, b'\n' | b'\0') => return Err(Kind::BadChunk),
            (State::Extension, _) => self.extra(State::Extension)?,
            (State::SizeLineFeed, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeLineFeed, b'\n') => State::Data,
            (State::DataReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => {
                self.digits = 0;
                State::Size
            }
            (State::TrailerStart, b'\r') => State::LastLineFeed,
            (State::Trailer, b'\r') => State::TrailerLineFeed,
            (State::TrailerStart | State::Trailer, b'\n' | b'\0') => return Err(Kind::BadChunk),
            (State::TrailerStart | State::Trailer, _) => self.extra(State::Trailer)?,
            (State::TrailerLineFeed, b'\n') => State::TrailerStart,
            _ => return Err(Kind::BadChunk),
        })
    }

    fn add_digit(&mut self, byte: u8) -> Result<State, Kind> {
        if self.digits == MOST_SIZE_DIGITS {
            return Err(Kind::BadChunk);
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        self.digits += 1;
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn extra(&mut self, next: State) -> Result<State, Kind> {
        self.extra += 1;
        if self.extra > MOST_EXTRA_BYTES { Err(Kind::HeadTooLarge) } else { Ok(next) }
    }
}

impl Default for Chunked {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Chunked, Found};
    use crate::core::failure::Kind;

    /// Decodes `input` in pieces of `piece` bytes; the body and how many bytes belonged to the message.
    fn decode(input: &[u8], piece: usize) -> Result<Option<(Vec<u8>, usize)>, Kind> {
        let mut chunked = Chunked::new();
        let mut body = Vec::new();
        for (index, part) in input.chunks(piece).enumerate() {
            let mut at = 0;
            loop {
                match chunked.next(part, at)? {
                    Found::Data(range) => {
                        at = range.end;
                        body.extend_from_slice(&part[range]);
                    }
                    Found::End(end) => return Ok(Some((body, index * piece + end))),
                    Found::NeedMore => break,
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn every_split_of_a_message_gives_the_same_body() {
        let input = b"5;a=\"b\"\r\nhello\r\n00b \r\n, many more\r\n1\r\n!\r\n0\r\nX: y\r\nZ: \r\n\r\nHTTP/1.1";
        let whole = decode(input, input.len()).unwrap().unwrap();
        assert_eq!(whole, (b"hello, many more!".to_vec(), input.len() - 8));
        for piece in 1..input.len() {
            assert_eq!(
                decode(input, piece).unwrap().as_ref(),
                Some(&whole),
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn broken_coding_is_refused_however_it_is_split() {
        for bad in [
            "G\r\n",
            "\r\n",
            "-1\r\n",
            "0x5\r\n",
            "5\nhello",
            "5\r\nhelloX",
            "5\r\nhello\n0",
            "5\r\r\n",
            "11111111111111111\r\n",
            "5 5\r\n",
            "0\r\nX\n\r\n",
            "0\r\n\rX",
        ] {
            for piece in 1..=bad.len() {
                assert_eq!(
                    decode(bad.as_bytes(), piece),
                    Err(Kind::BadChunk),
                    "{bad:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn the_largest_size_does_not_overflow() {
        let mut chunked = Chunked::new();
        assert_eq!(chunked.next(b"ffffffffffffffff\r\nxyz", 0), Ok(Found::Data(18..21)));
        assert_eq!(chunked.left, u64::MAX - 3);
    }

    #[test]
    fn endless_extensions_and_trailers_are_refused() {
        for start in ["1;", "0\r\n"] {
            let endless = format!("{start}{}", "a".repeat(70_000));
            assert_eq!(decode(endless.as_bytes(), 4096), Err(Kind::HeadTooLarge));
        }
    }

    #[test]
    fn a_million_chunks_of_one_byte_are_decoded() {
        let mut input = "1\r\nx\r\n".repeat(1_000_000);
        input.push_str("0\r\n\r\n");
        assert_eq!(decode(input.as_bytes(), 8192).unwrap().unwrap().0.len(), 1_000_000);
    }
}
