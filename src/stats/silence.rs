//! Stretches of a run without a good answer, from its slices as they come.
//!
//! Bounds are those of slices. Slices in which nothing was asked for neither begin a stretch nor end one, and
//! neither do those in which the client was away, since nobody knows what would have been seen.

use super::series::Slice;

/// Most stretches kept; beyond that, the longest are.
const MOST: usize = 64;

/// A stretch of time without a good answer while some were awaited, in nanoseconds since the measured window began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Silence {
    /// Where it begins.
    pub from_ns: u64,
    /// Where it ends.
    pub to_ns: u64,
    /// Nothing good came any more, in the drain either.
    pub to_the_end: bool,
    /// Requests that ended badly in it.
    pub errors: u64,
    /// Time in it without any answer while one was awaited, in nanoseconds.
    pub silent_ns: u64,
    /// Time in it in which the client was away, in nanoseconds.
    pub unwatched_ns: u64,
}

impl Silence {
    /// For how much of it the client was there to see it, in nanoseconds.
    #[must_use]
    pub fn watched_ns(&self) -> u64 {
        (self.to_ns - self.from_ns).saturating_sub(self.unwatched_ns)
    }
}

/// Looks for them.
#[derive(Clone, Debug)]
pub struct Silences {
    slice_ns: u64,
    seen: u64,
    /// Something was awaited at the end of the last slice.
    awaited: bool,
    /// How long the client has been away since the last slice of the stretch, in nanoseconds.
    away_ns: u64,
    open: Option<Silence>,
    found: Vec<Silence>,
}

impl Silences {
    /// Over slices of this length, the first of which begins with the measured window.
    #[must_use]
    pub fn new(slice_ns: u64) -> Self {
        Self { slice_ns, seen: 0, awaited: false, away_ns: 0, open: None, found: Vec::new() }
    }

    /// Takes the next slice.
    pub fn push(&mut self, slice: &Slice) {
        let from_ns = self.seen * self.slice_ns;
        self.seen += 1;
        let awaits = slice.outstanding > 0 || slice.missing > 0;
        let was_awaited = std::mem::replace(&mut self.awaited, awaits) || awaits;
        if slice.ok > 0 {
            self.close();
            return;
        }
        if slice.unwatched {
            self.away_ns += self.slice_ns;
            return;
        }
        if !was_awaited && slice.errors == 0 {
            return;
        }
        let open = self.open.get_or_insert(Silence {
            from_ns,
            to_ns: from_ns,
            to_the_end: false,
            errors: 0,
            silent_ns: 0,
            unwatched_ns: 0,
        });
        let away_ns = std::mem::take(&mut self.away_ns);
        open.unwatched_ns += if open.to_ns > open.from_ns { away_ns } else { 0 };
        open.to_ns = from_ns + self.slice_ns;
        open.errors += slice.errors;
        open.silent_ns += if slice.completed == 0 { self.slice_ns } else { 0 };
    }

    fn close(&mut self) {
        self.away_ns = 0;
        self.found.extend(self.open.take());
        if self.found.len() > MOST {
            let lengths = self.found.iter().map(Silence::watched_ns).enumerate();
            let shortest = lengths.min_by_key(|&(_, length_ns)| length_ns);
            self.found.remove(shortest.map_or(0, |(index, _)| index));
        }
    }

    /// All of them, in order of time, after the last slice.
    #[must_use]
    pub fn finish(mut self) -> Vec<Silence> {
        if let Some(last) = &mut self.open {
            last.to_the_end = true;
        }
        self.close();
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, Silences, Slice};

    fn slice(ok: u64, bad: u64, outstanding: u64) -> Slice {
        Slice { ok, errors: bad, completed: ok, outstanding, ..Slice::default() }
    }

    fn found(slices: &[Slice]) -> Vec<(u64, u64, bool)> {
        let mut silences = Silences::new(10);
        slices.iter().for_each(|slice| silences.push(slice));
        let found = silences.finish();
        found.iter().map(|found| (found.from_ns, found.to_ns, found.to_the_end)).collect()
    }

    #[test]
    fn a_stretch_lasts_from_good_answer_to_good_answer() {
        let (good, hung, failing) = (slice(9, 0, 4), slice(0, 0, 4), slice(0, 7, 0));
        let slices = [&good, &hung, &hung, &good, &failing, &failing, &failing, &good];
        let slices = slices.map(Clone::clone);
        assert_eq!(found(&slices), [(10, 30, false), (40, 70, false)]);
        assert_eq!(found(&slices[..7]), [(10, 30, false), (40, 70, true)]);
    }

    #[test]
    fn time_in_which_nothing_was_asked_for_is_no_silence() {
        let (good, idle, failing) = (slice(9, 0, 0), slice(0, 0, 0), slice(0, 1, 0));
        assert_eq!(found(&[good.clone(), idle.clone(), idle.clone()]), []);
        // What fails before and after it is one stretch, which ends with the last failure.
        let slices = [good.clone(), failing.clone(), idle.clone(), failing, idle, good];
        assert_eq!(found(&slices), [(10, 40, false)]);
    }

    #[test]
    fn what_a_client_that_was_away_did_not_see_is_no_silence() {
        let away = Slice { unwatched: true, ..slice(0, 0, 4) };
        let (good, hung) = (slice(9, 0, 4), slice(0, 0, 4));
        assert_eq!(found(&[good.clone(), away.clone(), away.clone(), good.clone()]), []);
        // Nor does it end one, of which it saw the rest.
        let mut silences = Silences::new(10);
        let slices = [&good, &away, &hung, &away, &away, &hung, &away, &good];
        slices.into_iter().for_each(|slice| silences.push(slice));
        let [silence] = silences.finish()[..] else { panic!("one stretch") };
        assert_eq!((silence.from_ns, silence.to_ns, silence.watched_ns()), (20, 60, 20));
        assert_eq!(silence.silent_ns, 20);
    }

    #[test]
    fn a_connection_that_is_missing_awaits_an_answer() {
        let missing = Slice { missing: 2, ..slice(0, 0, 0) };
        assert_eq!(found(&[slice(9, 0, 0), missing.clone(), missing]), [(10, 30, true)]);
    }

    #[test]
    fn any_number_of_stretches_stays_bounded_and_the_longest_are_kept() {
        let mut silences = Silences::new(10);
        for number in 0..10 * MOST {
            for _ in 0..if number == 3 { 5 } else { 1 } {
                silences.push(&slice(0, 1, 0));
            }
            silences.push(&slice(1, 0, 0));
        }
        let found = silences.finish();
        assert_eq!((found.len(), found[0].watched_ns()), (MOST, 50));
    }
}
