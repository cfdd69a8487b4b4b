//! Failures grouped by phase, kind and errno: how many, when first and last, and what one looked like.
//!
//! Bounded whatever a server does: at most [`MOST_ROWS`] groups, one sample of at most [`SAMPLE_BYTES`] a group.

use crate::core::failure::Failure;
use crate::time::Nanos;

/// Most groups kept apart; further ones are counted in the last.
pub const MOST_ROWS: usize = 64;
/// Most bytes of received data kept with a group.
pub const SAMPLE_BYTES: usize = 96;

/// How far a response had come that never was whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Came {
    /// The status of its head.
    pub status: u16,
    /// From the send to its first byte, in nanoseconds.
    pub first_byte_ns: u64,
    /// Bytes of its body, without transfer coding.
    pub body_bytes: u64,
    /// How many there should have been; `None` where the head does not say.
    pub body_length: Option<u64>,
}

/// One group of equal failures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ErrorRow {
    /// What they have in common.
    pub failure: Failure,
    /// How many there were.
    pub count: u64,
    /// When the first one was seen.
    pub first: Nanos,
    /// When the last one was seen.
    pub last: Nanos,
    /// The bytes that the first one with any was about; raw, never to be printed unescaped.
    pub sample: Vec<u8>,
    /// How far the response of the first one came whose head was whole.
    pub came: Option<Came>,
}

/// All failures of one worker.
#[derive(Clone, Debug, Default)]
pub struct ErrorTable {
    rows: Vec<ErrorRow>,
}

impl ErrorTable {
    /// Counts one failure; `sample` may be empty.
    pub fn count(&mut self, failure: Failure, now: Nanos, sample: &[u8]) {
        let sample = sample[..sample.len().min(SAMPLE_BYTES)].to_vec();
        self.add_row(ErrorRow { failure, count: 1, first: now, last: now, sample, came: None });
    }

    /// Counts one failure in the middle of a response, whose head may have been whole.
    pub fn count_begun(&mut self, failure: Failure, now: Nanos, came: Option<Came>) {
        let sample = Vec::new();
        self.add_row(ErrorRow { failure, count: 1, first: now, last: now, sample, came });
    }

    /// Adds the failures of another worker.
    pub fn add(&mut self, other: &Self) {
        for row in &other.rows {
            self.add_row(row.clone());
        }
    }

    /// The groups, in the order in which they were first seen.
    #[must_use]
    pub fn rows(&self) -> &[ErrorRow] {
        &self.rows
    }

    fn add_row(&mut self, row: ErrorRow) {
        let known = self.rows.iter().position(|known| known.failure == row.failure);
        let index = match known {
            Some(index) => index,
            None if self.rows.len() < MOST_ROWS => {
                self.rows.push(row);
                return;
            }
            None => MOST_ROWS - 1,
        };
        let known = &mut self.rows[index];
        known.count += row.count;
        known.first = known.first.min(row.first);
        known.last = known.last.max(row.last);
        if known.sample.is_empty() {
            known.sample = row.sample;
        }
        known.came = known.came.or(row.came);
    }
}

#[cfg(test)]
mod tests {
    use super::{Came, ErrorTable, MOST_ROWS, SAMPLE_BYTES};
    use crate::core::failure::{Failure, Kind, Phase};
    use crate::time::Nanos;

    #[test]
    fn equal_failures_share_a_row_with_first_last_and_one_sample() {
        let mut table = ErrorTable::default();
        let refused = Failure::from_errno(Phase::Connect, libc::ECONNREFUSED);
        table.count(refused, Nanos(5), b"");
        table.count(refused, Nanos(9), &[b'x'; 1000]);
        table.count(refused, Nanos(7), b"later");
        let [row] = table.rows() else { panic!("one row") };
        assert_eq!((row.count, row.first, row.last), (3, Nanos(5), Nanos(9)));
        assert_eq!(row.sample.len(), SAMPLE_BYTES);
    }

    #[test]
    fn a_row_keeps_how_far_the_first_response_came() {
        let came = |status| Came { status, first_byte_ns: 1, body_bytes: 2, body_length: Some(3) };
        let late = Failure::new(Phase::Timeout, Kind::BodyTimeout);
        let (mut table, mut other) = (ErrorTable::default(), ErrorTable::default());
        table.count_begun(late, Nanos(5), None);
        other.count_begun(late, Nanos(6), Some(came(200)));
        other.count_begun(late, Nanos(7), Some(came(201)));
        table.add(&other);
        let [row] = table.rows() else { panic!("one row") };
        assert_eq!((row.count, row.came), (3, Some(came(200))));
    }

    #[test]
    fn any_number_of_distinct_failures_stays_bounded_and_counted() {
        let mut table = ErrorTable::default();
        for errno in 1..1000 {
            table.count(Failure::from_errno(Phase::Receive, errno), Nanos(1), b"");
        }
        assert_eq!(table.rows().len(), MOST_ROWS);
        assert_eq!(table.rows().iter().map(|row| row.count).sum::<u64>(), 999);
    }
}
