//! Whether the target was there all the time: when no connection could be had, when nothing good came, and what that
//! leaves open.
//!
//! Pure: everything has been measured when this begins. What it means is for the verdict and the gates to say.

use crate::core::record::Record;
use crate::result::summary::Latencies;
use crate::stats::silence::Silence;
use crate::time::Nanos;

/// Shorter absences go unmentioned: it is the time that a server takes to start again.
const LEAST_DARK_NS: u64 = 100_000_000;
/// So do shorter times in which everything failed.
const LEAST_FAILING_NS: u64 = 250_000_000;
/// With fewer failures, chance may have put them together.
const LEAST_FAILURES: u64 = 5;
/// A time without any answer that ended with late ones must be longer, and so many times longer than the usual answer.
const LEAST_SILENT_NS: u64 = 1_000_000_000;
const USUAL_ANSWERS: u64 = 20;

/// A stretch of the measured window, in nanoseconds since its zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stretch {
    /// Where it begins.
    pub from_ns: u64,
    /// Where it ends.
    pub to_ns: u64,
    /// It lasts to the end of the run.
    pub to_the_end: bool,
}

/// A stretch without a good answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quiet {
    /// When.
    pub stretch: Stretch,
    /// Requests that ended badly in it.
    pub errors: u64,
    /// Nothing failed: what was awaited came afterwards, late.
    pub was_late: bool,
}

/// What is known of the target's presence in the measured window.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    /// No connection was open, and none could be opened.
    pub dark: Vec<Stretch>,
    /// Connections were there, and no good answer came.
    pub quiet: Vec<Quiet>,
    /// Connections that were lost and could not be had again, and when the first of them was lost, in nanoseconds since the
    /// window's zero.
    pub lost: Vec<u64>,
    /// From the loss of the first connection that could not be opened again at once to the return of the last one.
    pub missing: Option<Stretch>,
    /// The share of all connections' time for which they were missing after a loss, from 0 to 1.
    pub missing_share: f64,
    /// The share of the window for which the target was not there, from 0 to 1: missing connections count for their part.
    pub gone_share: f64,
}

/// The measured window on two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Zero of the run's clock.
    pub origin: Nanos,
    /// Where the window begins on the run's clock, in nanoseconds: more than 0 where a warm-up was cut from it.
    pub from_ns: u64,
    /// Its length, in nanoseconds.
    pub length_ns: u64,
}

impl Measured {
    fn end_ns(self) -> u64 {
        self.from_ns + self.length_ns
    }

    /// What of a stretch lies in it; `None` when nothing does.
    fn clip(&self, from_ns: u64, to_ns: u64, to_the_end: bool) -> Option<Stretch> {
        let (from_ns, to_ns) = (from_ns.max(self.from_ns), to_ns.min(self.end_ns()));
        let to_the_end = to_the_end && to_ns == self.end_ns();
        (from_ns < to_ns).then_some(Stretch { from_ns, to_ns, to_the_end })
    }
}

impl Presence {
    /// From what workers could not have, the stretches without a good answer, and how long answers took.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "shares are shown with few digits")]
    pub fn of(
        record: &Record,
        silences: &[Silence],
        latencies: &Latencies,
        measured: Measured,
    ) -> Self {
        let (absence, asked) = (&record.absence, record.connections.asked);
        let least_dark_ns = LEAST_DARK_NS.min(measured.length_ns / 100).max(1);
        let since = |at: Nanos| at.since(measured.origin);
        let all_dark: Vec<Stretch> = absence
            .dark()
            .iter()
            .filter_map(|dark| {
                measured.clip(since(dark.from), since(dark.to), dark.to == Nanos::NEVER)
            })
            .collect();
        let length_ns = |stretch: &Stretch| stretch.to_ns - stretch.from_ns;
        let dark: Vec<Stretch> =
            all_dark.into_iter().filter(|dark| length_ns(dark) >= least_dark_ns).collect();
        let patience = Patience::of(latencies, measured.length_ns);
        let mut silent_ns = 0;
        let quiet: Vec<Quiet> = silences
            .iter()
            .filter(|silence| patience.is_over(silence))
            .filter_map(|silence| {
                let Silence { from_ns, to_ns, to_the_end, errors, .. } = *silence;
                let stretch = measured.clip(from_ns, to_ns, to_the_end)?;
                silent_ns += silence.silent_ns.min(length_ns(&stretch));
                let was_late = !to_the_end && errors < LEAST_FAILURES;
                Some(Quiet { stretch, errors, was_late })
            })
            // Without a connection there is no answer: that is known already.
            .filter(|quiet| !is_mostly_in(&quiet.stretch, &dark))
            .collect();
        let share = |part_ns: u64, whole_ns: u64| part_ns as f64 / whole_ns.max(1) as f64;
        let missing_share =
            share(absence.missing_ns, measured.length_ns.saturating_mul(asked)).min(1.0);
        let dark_ns: u64 = dark.iter().map(length_ns).sum();
        let gone_ns = dark_ns.max(silent_ns);
        let mut lost: Vec<u64> = absence.lost.iter().map(|&at| since(at)).collect();
        lost.sort_unstable();
        let missing = absence
            .missing
            .and_then(|missing| measured.clip(since(missing.from), since(missing.to), false));
        Self {
            dark,
            quiet,
            lost,
            missing,
            missing_share,
            gone_share: missing_share.max(share(gone_ns, measured.length_ns)).min(1.0),
        }
    }
}

fn is_mostly_in(stretch: &Stretch, others: &[Stretch]) -> bool {
    let shared = others.iter().map(|other| {
        stretch.to_ns.min(other.to_ns).saturating_sub(stretch.from_ns.max(other.from_ns))
    });
    shared.sum::<u64>() * 2 >= stretch.to_ns - stretch.from_ns
}

/// How long a time without a good answer must be to be more than the way of the target.
struct Patience {
    failing_ns: u64,
    silent_ns: u64,
}

impl Patience {
    fn of(latencies: &Latencies, window_ns: u64) -> Self {
        let answered = &latencies.service.answered;
        let quantile = |quantile| answered.quantile_ns(quantile).unwrap_or(0);
        Self {
            failing_ns: LEAST_FAILING_NS.min(window_ns / 4).max(quantile(0.99).saturating_mul(2)),
            silent_ns: LEAST_SILENT_NS.max(quantile(0.5).saturating_mul(USUAL_ANSWERS)),
        }
    }

    fn is_over(&self, silence: &Silence) -> bool {
        let fails = silence.to_the_end || silence.errors >= LEAST_FAILURES;
        silence.watched_ns() >= if fails { self.failing_ns } else { self.silent_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::{Measured, Presence};
    use crate::core::record::absence::Stretch;
    use crate::core::record::{Absence, PhaseRecord, Record};
    use crate::result::summary::Latencies;
    use crate::stats::silence::Silence;
    use crate::time::Nanos;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1000 * MS;
    /// Zero of the run's clock.
    const ORIGIN: u64 = 7 * SECOND;

    /// Ten seconds over four connections, whose usual answer takes a millisecond.
    fn presence(absence: &Absence, silences: &[Silence]) -> Presence {
        let mut phase = PhaseRecord::new();
        for _ in 0..1000 {
            phase.complete(&crate::core::record::Completion {
                status: 200,
                outcome: crate::core::record::Outcome::Ok,
                service_ns: MS,
                first_byte_ns: None,
                drained: false,
            });
        }
        let measured = Measured { origin: Nanos(ORIGIN), from_ns: 0, length_ns: 10 * SECOND };
        let mut record = Record { absence: absence.clone(), ..Record::default() };
        record.connections.asked = 4;
        Presence::of(&record, silences, &Latencies::of(&phase, &[]), measured)
    }

    fn silence(from_ms: u64, to_ms: u64, errors: u64) -> Silence {
        let (from_ns, to_ns) = (from_ms * MS, to_ms * MS);
        Silence {
            from_ns,
            to_ns,
            to_the_end: false,
            errors,
            silent_ns: to_ns - from_ns,
            unwatched_ns: 0,
        }
    }

    fn dark(from_ms: u64, to_ms: u64) -> Absence {
        let mut absence = Absence::default();
        let at = |ms: u64| Nanos(ORIGIN + ms * MS);
        let to = if to_ms == u64::MAX { Nanos::NEVER } else { at(to_ms) };
        absence.note_dark(Stretch { from: at(from_ms), to });
        absence
    }

    #[test]
    fn a_target_that_stays_away_is_gone_for_its_share_of_the_window() {
        let mut absence = dark(5000, u64::MAX);
        absence.lost = vec![Nanos(ORIGIN + 5 * SECOND); 4];
        absence.missing_ns = 4 * 5 * SECOND;
        let found = presence(&absence, &[silence(5000, 10_000, 4)]);
        let [stretch] = found.dark[..] else { panic!("{found:?}") };
        assert_eq!((stretch.from_ns, stretch.to_the_end), (5 * SECOND, true));
        assert_eq!((found.lost.len(), found.lost[0]), (4, 5 * SECOND));
        assert!((found.gone_share - 0.5).abs() < 1e-9, "{found:?}");
        assert!(found.quiet.is_empty(), "it is told once: {found:?}");
    }

    #[test]
    fn one_connection_that_is_missing_counts_for_its_part() {
        let mut absence = Absence::default();
        let (from, to) = (Nanos(ORIGIN + 3 * SECOND), Nanos(ORIGIN + 7 * SECOND));
        absence.note_missing(Stretch { from, to });
        let found = presence(&absence, &[]);
        assert!((found.gone_share - 0.1).abs() < 1e-9 && found.dark.is_empty(), "{found:?}");
        let missing = found.missing.map(|missing| (missing.from_ns, missing.to_ns));
        assert_eq!(missing, Some((3 * SECOND, 7 * SECOND)));
    }

    #[test]
    fn short_absences_go_unmentioned() {
        assert!(presence(&dark(5000, 5090), &[]).dark.is_empty());
        assert_eq!(presence(&dark(5000, 5110), &[]).dark.len(), 1);
        // What lies before the window or after it is none of its.
        assert!(presence(&dark(10_000, u64::MAX), &[]).dark.is_empty());
    }

    #[test]
    fn a_silence_must_be_longer_than_what_is_usual_unless_everything_fails_in_it() {
        let quiet = |silence: Silence| {
            let found = presence(&Absence::default(), &[silence]);
            found.quiet.first().map(|quiet| quiet.was_late)
        };
        assert_eq!(quiet(silence(3000, 3900, 0)), None);
        assert_eq!(quiet(silence(3000, 4100, 0)), Some(true));
        assert_eq!(quiet(silence(3000, 3400, 4)), None);
        assert_eq!(quiet(silence(3000, 3400, 40)), Some(false));
        let last = Silence { to_the_end: true, ..silence(9700, 15_000, 0) };
        assert_eq!(quiet(last), Some(false));
        let found = presence(&Absence::default(), &[last]);
        assert!((found.gone_share - 0.03).abs() < 1e-9, "{found:?}");
    }
}
