//! Finds a text in a body that comes in pieces (Knuth, Morris, Pratt): no buffering, one integer of state.

/// A text to look for, prepared once.
#[derive(Clone, Debug)]
pub struct Needle {
    text: Vec<u8>,
    /// For each prefix, the length of its longest proper border.
    borders: Vec<usize>,
}

/// How far a search has come: bytes matched so far, the whole length once found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress(usize);

impl Needle {
    /// Prepares a search for `text`.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        let mut borders = vec![0; text.len()];
        let mut matched = 0;
        for at in 1..text.len() {
            while matched > 0 && text[at] != text[matched] {
                matched = borders[matched - 1];
            }
            matched += usize::from(text[at] == text[matched]);
            borders[at] = matched;
        }
        Self { text: text.to_vec(), borders }
    }

    /// Looks at the next piece.
    pub fn search(&self, piece: &[u8], progress: &mut Progress) {
        let mut matched = progress.0;
        for &byte in piece {
            if matched == self.text.len() {
                break;
            }
            while matched > 0 && byte != self.text[matched] {
                matched = self.borders[matched - 1];
            }
            matched += usize::from(byte == self.text[matched]);
        }
        progress.0 = matched;
    }

    /// Whether the text has been seen.
    #[must_use]
    pub fn is_found(&self, progress: Progress) -> bool {
        progress.0 == self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Needle, Progress};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_exactly_what_a_plain_search_finds(
            text in "[ab]{1,5}", body in "[ab]{0,40}", piece in 1_usize..7,
        ) {
            let needle = Needle::new(text.as_bytes());
            let mut progress = Progress::default();
            for part in body.as_bytes().chunks(piece) {
                needle.search(part, &mut progress);
            }
            prop_assert_eq!(needle.is_found(progress), body.contains(&text));
        }
    }
}
