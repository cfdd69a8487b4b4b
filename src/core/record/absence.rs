//! When the target could not be reached: connections that were lost for good, and stretches of time without any.
//!
//! Owned by one worker while it runs, put together after the join. It must not know why a connection was lost.

use crate::time::Nanos;

/// A stretch of time in which no connection was open, and none could be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stretch {
    /// When the last open connection was lost, or when the run began without one.
    pub from: Nanos,
    /// When the next one was open; [`Nanos::NEVER`] when there was none before the run ended.
    pub to: Nanos,
}

/// The connections that a worker could not have, or all workers after [`Absence::add`].
#[derive(Clone, Debug, Default)]
pub struct Absence {
    /// For each connection that was lost and could not be opened again before the run ended, when it was lost.
    pub lost: Vec<Nanos>,
    /// For how long connections that had been lost could not be opened again, over all of them, in nanoseconds of the
    /// measured window.
    pub missing_ns: u64,
    /// From the loss of the first of them to the return of the last, or the end of the window.
    pub missing: Option<Stretch>,
    /// In order of time; `None` while no worker has told of any.
    dark: Option<Vec<Stretch>>,
}

impl Absence {
    /// Most stretches kept; beyond that, the longest are.
    const MOST_STRETCHES: usize = 256;

    /// Stretches of time in which no connection was open, and none could be opened, in order of time.
    #[must_use]
    pub fn dark(&self) -> &[Stretch] {
        self.dark.as_deref().unwrap_or_default()
    }

    /// Adds the time for which a connection that had been lost could not be opened again.
    pub fn note_missing(&mut self, stretch: Stretch) {
        if stretch.from < stretch.to {
            self.missing_ns += stretch.to.since(stretch.from);
            self.span(stretch);
        }
    }

    fn span(&mut self, stretch: Stretch) {
        let all = self.missing.get_or_insert(stretch);
        (all.from, all.to) = (all.from.min(stretch.from), all.to.max(stretch.to));
    }

    /// Says that a worker watches its connections: no stretch is an answer, too.
    pub fn watch(&mut self) {
        self.dark.get_or_insert_default();
    }

    /// Adds a stretch, which comes after those that are there.
    pub fn note_dark(&mut self, stretch: Stretch) {
        let dark = self.dark.get_or_insert_default();
        dark.push(stretch);
        if dark.len() > Self::MOST_STRETCHES {
            let lengths = dark.iter().map(|stretch| stretch.to.since(stretch.from)).enumerate();
            let shortest = lengths.min_by_key(|&(_, length_ns)| length_ns);
            dark.remove(shortest.map_or(0, |(index, _)| index));
        }
    }

    /// Adds what another worker could not have. A target that is there for one of them is there.
    pub fn add(&mut self, other: &Self) {
        self.lost.extend_from_slice(&other.lost);
        self.missing_ns += other.missing_ns;
        other.missing.into_iter().for_each(|stretch| self.span(stretch));
        self.dark = match (self.dark.take(), &other.dark) {
            (Some(mine), Some(theirs)) => Some(common(&mine, theirs)),
            (mine, theirs) => mine.or_else(|| theirs.clone()),
        };
    }
}

/// What two lists of stretches have in common, each in order of time.
fn common(one: &[Stretch], other: &[Stretch]) -> Vec<Stretch> {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    let mut both = Vec::new();
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        let shared = Stretch { from: a.from.max(b.from), to: a.to.min(b.to) };
        if shared.from < shared.to {
            both.push(shared);
        }
        if a.to < b.to {
            one.next()
        } else {
            other.next()
        };
    }
    both
}

#[cfg(test)]
mod tests {
    use super::{Absence, Stretch};
    use crate::time::Nanos;

    fn dark(stretches: &[(u64, u64)]) -> Absence {
        let mut absence = Absence::default();
        absence.watch();
        for &(from, to) in stretches {
            absence.note_dark(Stretch { from: Nanos(from), to: Nanos(to) });
        }
        absence
    }

    fn both(one: &[(u64, u64)], other: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut sum = Absence::default();
        sum.add(&dark(one));
        sum.add(&dark(other));
        sum.dark().iter().map(|stretch| (stretch.from.0, stretch.to.0)).collect()
    }

    #[test]
    fn the_target_is_away_only_while_it_is_away_for_every_worker() {
        assert_eq!(both(&[(10, 20), (30, 40)], &[(15, 35)]), [(15, 20), (30, 35)]);
        assert_eq!(both(&[(10, 20)], &[]), []);
        assert_eq!(both(&[(10, 20)], &[(20, 30)]), []);
        assert_eq!(both(&[(5, u64::MAX)], &[(1, 2), (7, u64::MAX)]), [(7, u64::MAX)]);
    }

    #[test]
    fn connections_are_missing_from_the_first_loss_to_the_last_return() {
        let missing = |stretches: &[(u64, u64)]| {
            let mut absence = Absence::default();
            for &(from, to) in stretches {
                absence.note_missing(Stretch { from: Nanos(from), to: Nanos(to) });
            }
            absence
        };
        let mut sum = missing(&[]);
        assert_eq!((sum.missing_ns, sum.missing), (0, None));
        sum.add(&missing(&[(30, 50), (40, 45), (60, 60), (90, 80)]));
        sum.add(&missing(&[(20, 25)]));
        sum.add(&missing(&[]));
        assert_eq!(sum.missing_ns, 20 + 5 + 5);
        assert_eq!(sum.missing, Some(Stretch { from: Nanos(20), to: Nanos(50) }));
    }

    #[test]
    fn any_number_of_stretches_stays_bounded_and_the_longest_are_kept() {
        let many: Vec<(u64, u64)> =
            (1..2000).map(|at| (at * 100, at * 100 + if at == 7 { 90 } else { 10 })).collect();
        let absence = dark(&many);
        assert_eq!(absence.dark().len(), Absence::MOST_STRETCHES);
        assert_eq!(absence.dark()[0].from, Nanos(700));
    }
}
