//! The first bad answer of each status: what the server said.
//!
//! Bounded whatever a server does: at most [`MOST`] of them, whose bodies are cut by whoever reads them.

use crate::time::Nanos;

/// Most status codes of which one is kept.
pub const MOST: usize = 16;

/// A whole answer that was not good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadAnswer {
    /// Three digits.
    pub status: u16,
    /// When it was whole.
    pub at: Nanos,
    /// The beginning of its body, without transfer coding; raw, never to be printed unescaped.
    pub body: Vec<u8>,
    /// Bytes of the whole body.
    pub body_bytes: u64,
    /// Of them, those that were kept.
    pub kept_bytes: u64,
}

impl BadAnswer {
    /// One whose body has `body_bytes`, of which `body` is the beginning.
    #[must_use]
    pub fn new(status: u16, at: Nanos, (body, body_bytes): (Vec<u8>, u64)) -> Self {
        let kept_bytes = body.len() as u64;
        Self { status, at, body, body_bytes, kept_bytes }
    }

    /// There was more of the body than is kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.body_bytes > self.kept_bytes
    }
}

/// The first of each status, by status.
#[derive(Clone, Debug, Default)]
pub struct BadAnswers {
    answers: Vec<BadAnswer>,
}

impl BadAnswers {
    /// Keeps an answer, unless an earlier one of its status is there, or too many others.
    pub fn add(&mut self, answer: BadAnswer) {
        match self.answers.binary_search_by_key(&answer.status, |known| known.status) {
            Ok(place) if answer.at < self.answers[place].at => self.answers[place] = answer,
            Err(place) if !self.is_full() => self.answers.insert(place, answer),
            Ok(_) | Err(_) => {}
        }
    }

    /// No further status has room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.answers.len() >= MOST
    }

    /// Adds those of another worker.
    pub fn add_all(&mut self, other: &Self) {
        other.answers.iter().cloned().for_each(|answer| self.add(answer));
    }

    /// All of them, by status.
    #[must_use]
    pub fn all(&self) -> &[BadAnswer] {
        &self.answers
    }

    /// Replaces each body by what `shown` makes of it; it is told whether the body was cut.
    pub fn change_bodies(&mut self, shown: impl Fn(&[u8], bool) -> Vec<u8>) {
        for answer in &mut self.answers {
            let is_cut = answer.is_cut();
            answer.body = shown(&answer.body, is_cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadAnswer, BadAnswers, MOST};
    use crate::time::Nanos;

    fn answer(status: u16, at: u64) -> BadAnswer {
        BadAnswer::new(status, Nanos(at), (Vec::new(), 1))
    }

    #[test]
    fn the_earliest_of_each_status_is_kept_whichever_worker_saw_it() {
        let (mut one, mut other) = (BadAnswers::default(), BadAnswers::default());
        one.add(answer(503, 7));
        one.add(answer(404, 3));
        other.add(answer(503, 5));
        other.add(answer(404, 9));
        one.add_all(&other);
        let kept: Vec<_> = one.all().iter().map(|kept| (kept.status, kept.at.0)).collect();
        assert_eq!(kept, [(404, 3), (503, 5)]);
    }

    #[test]
    fn any_number_of_statuses_stays_bounded() {
        let mut answers = BadAnswers::default();
        (400..600).for_each(|status| answers.add(answer(status, 1)));
        assert_eq!(answers.all().len(), MOST);
    }
}
