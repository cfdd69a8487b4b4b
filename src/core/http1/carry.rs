//! A head that comes in pieces, and when it is worth parsing again.
//!
//! A parse starts from the beginning each time, so a long head that comes in many small pieces must not be parsed after
//! each of them: it is parsed again when its end has come, when it is twice as long as the last time, and while it is
//! short. All parses of a head together then look at its bytes only a few times.

/// A head is parsed again after each piece while it is not longer than this.
const EAGER_BYTES: usize = 1024;
/// Memory that is kept for the next head.
const KEPT_BYTES: usize = 4096;
/// Most bytes of an offending line that are kept to be shown.
const SHOWN_BYTES: usize = 128;

/// The pieces so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Carry {
    bytes: Vec<u8>,
    /// How many there were when they were last parsed.
    parsed: u32,
    place: Place,
}

/// Where in the lines of a head the pieces end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Place {
    /// Before the first line that is not empty.
    #[default]
    Before,
    /// In a line.
    Line,
    /// Behind the end of a line.
    LineStart,
    /// Behind that and a CR.
    Return,
}

impl Carry {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds a piece; true when all of it is worth parsing.
    pub(super) fn add(&mut self, piece: &[u8]) -> bool {
        self.bytes.extend_from_slice(piece);
        let length = self.bytes.len();
        // A NUL is refused wherever it is in a head, so the parse that it causes is the last one.
        let is_due = self.passes_end(piece)
            || length <= EAGER_BYTES
            || length >= 2 * self.parsed as usize
            || piece.contains(&0);
        if is_due {
            self.parsed = u32::try_from(length).unwrap_or(u32::MAX);
        }
        is_due
    }

    /// Forgets the pieces: they were a whole head.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.parsed = 0;
        self.place = Place::Before;
    }

    /// Keeps the beginning of an offending line, in place of everything else.
    pub(super) fn keep(&mut self, line: &[u8]) {
        self.bytes = line[..line.len().min(SHOWN_BYTES)].to_vec();
    }

    /// Whether an empty line behind one that is not ends in `piece`.
    fn passes_end(&mut self, piece: &[u8]) -> bool {
        let mut ended = false;
        let mut place = self.place;
        for &byte in piece {
            place = match (place, byte) {
                (Place::Before, b'\r' | b'\n') => Place::Before,
                (Place::Line, b'\n') => Place::LineStart,
                (Place::LineStart, b'\r') => Place::Return,
                (Place::LineStart | Place::Return, b'\n') => {
                    ended = true;
                    Place::LineStart
                }
                _ => Place::Line,
            };
        }
        self.place = place;
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::Carry;

    /// Bytes that are looked at when `head` comes in pieces of `length` bytes, and whether the last piece was due.
    fn looked_at(head: &[u8], length: usize) -> (usize, bool) {
        let mut carry = Carry::default();
        let (mut bytes, mut due) = (0, false);
        for piece in head.chunks(length) {
            due = carry.add(piece);
            bytes += if due { carry.len() } else { 0 };
        }
        (bytes, due)
    }

    #[test]
    fn a_long_head_in_small_pieces_is_looked_at_a_few_times_only() {
        let one_line = [b"HTTP/1.1 200 OK\r\nX: ", &[b'x'; 1_000_000][..], b"\r\n\r\n"].concat();
        let many_lines =
            [b"HTTP/1.1 200 OK\r\n", &b"X: y\r\n".repeat(170_000)[..], b"\r\n"].concat();
        let empty_lines = [&b"\r\n".repeat(500_000)[..], b"HTTP/1.1 200 OK\r\n\r\n"].concat();
        for head in [one_line, many_lines, empty_lines] {
            for length in [1, 7, 100, 4096, 60_000] {
                let (bytes, due) = looked_at(&head, length);
                assert!(due, "its end is seen");
                // What is short is looked at after each piece: at most 1,024 times half of 1,024 bytes.
                assert!(
                    bytes < 4 * head.len() + 1024 * 1024,
                    "{bytes} for {} by {length}",
                    head.len()
                );
            }
        }
    }

    #[test]
    fn the_end_is_seen_however_it_is_cut() {
        for end in [&b"\r\n\r\n"[..], b"\n\n", b"\r\n\n", b"\n\r\n"] {
            let head = [b"\r\nHTTP/1.1 200 OK\r\nX: ", &[b'x'; 3000][..], end].concat();
            for cut in 1..head.len() {
                let mut carry = Carry::default();
                carry.add(&head[..cut]);
                assert!(carry.add(&head[cut..]), "cut at {cut}");
            }
        }
    }
}
