//! What a spike or a burst did to the answers, and how long it took until it was over.

use super::series::{Series, Slice};

/// So many slices from the first calm one on are looked at before it is taken for the end.
const CALM_SLICES: usize = 5;
/// So many of them may be disturbed: something small happens on every machine.
const DISTURBED_OF_THEM: usize = 1;

/// What a disturbance did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recovery {
    /// The longest latency of what was answered from its start to its end or to the recovery: nobody can tell from slices
    /// which requests those were, and whoever knows the requests of the disturbance knows better.
    pub peak_latency_ns: u64,
    /// Most requests that were due and unanswered at the end of a slice while it lasted.
    pub peak_outstanding: u64,
    /// From the end of the disturbance to the first of several slices in which, but for one of them, latencies were again
    /// as before; `None` when that was not seen, or nothing was known from before.
    pub recovered_after_ns: Option<u64>,
    /// From the end of the disturbance to the end of the first slice that left nothing due and unanswered; `None` when
    /// that was not seen.
    pub all_answered_after_ns: Option<u64>,
    /// What latencies are compared with: the p99 from before, in nanoseconds; `None` where no request came before.
    pub base_p99_ns: Option<u64>,
    /// The next disturbance, or the end, came too soon to see a recovery.
    pub cut_short: bool,
}

/// Looks at the slices from the disturbance's start to `until_ns`, in nanoseconds since the start of the measured
/// window. Latencies are as before when not significantly more than one in a hundred is above `base_p99_ns`. Without it,
/// the disturbance lasts until everything is answered.
#[must_use]
pub fn recovery(
    series: &Series,
    (from_ns, end_ns): (u64, u64),
    until_ns: u64,
    base_p99_ns: Option<u64>,
) -> Recovery {
    let slice_ns = series.slice_ns();
    let from = slice_at(series, from_ns);
    // A burst has no length: what it did is in the slice in which it came, too.
    let end = slice_at(series, end_ns);
    let until = slice_at(series, until_ns).max(end);
    let after = &series.slices()[end..until];
    let disturbed = |slice: &&Slice| {
        base_p99_ns.map_or(slice.outstanding > 0, |base_p99_ns| is_disturbed(slice, base_p99_ns))
    };
    let calm = |window: &[Slice]| {
        let allowed = if window.len() < CALM_SLICES { 0 } else { DISTURBED_OF_THEM };
        !disturbed(&&window[0]) && window.iter().filter(disturbed).count() <= allowed
    };
    let enough = CALM_SLICES.min(after.len());
    let recovered = (0..after.len().saturating_sub(1))
        .find(|&first| calm(&after[first..(first + enough).min(after.len())]));
    // What is over by the end of the disturbance shows at the end of its last slice.
    let last = if end_ns > from_ns { slice_at(series, end_ns - 1) } else { end };
    let mut left = series.slices()[last..until].iter();
    let all_answered = left.position(|slice| slice.outstanding == 0).map(|place| last + place);
    let over = recovered.map_or(until, |first| end + first + 1).min(until);
    // Where the next one comes within the same slice, that slice is of both.
    let over = over.max(end + 1).min(series.slices().len());
    let touched = &series.slices()[from.min(over)..over];
    // What is outstanding later is due later.
    let during = &series.slices()[from.min(over)..end.max(from + 1).min(over)];
    Recovery {
        peak_latency_ns: touched.iter().map(|slice| slice.max_ns).max().unwrap_or(0),
        peak_outstanding: during.iter().map(|slice| slice.outstanding).max().unwrap_or(0),
        recovered_after_ns: recovered
            .filter(|_| base_p99_ns.is_some())
            .map(|first| ((end + first) as u64 * slice_ns).saturating_sub(end_ns)),
        all_answered_after_ns: all_answered
            .map(|slice| ((slice + 1) as u64 * slice_ns).saturating_sub(end_ns)),
        base_p99_ns,
        cut_short: recovered.is_none() && after.len() <= 2,
    }
}

fn slice_at(series: &Series, at_ns: u64) -> usize {
    let last = series.slices().len();
    usize::try_from(at_ns / series.slice_ns()).map_or(last, |slice| slice.min(last))
}

/// Significantly more than one in a hundred answers took longer than before, or nothing was answered at all.
#[expect(clippy::cast_precision_loss, reason = "statistics need few digits")]
fn is_disturbed(slice: &Slice, base_p99_ns: u64) -> bool {
    let expected = slice.count() as f64 / 100.0;
    let above = slice.above(base_p99_ns) as f64;
    above > expected + 3.0 * expected.sqrt() + 1.0
        || (slice.completed == 0 && slice.outstanding > 0)
}

#[cfg(test)]
mod tests {
    use super::recovery;
    use crate::stats::series::{Series, Slice};

    const MILLISECOND: u64 = 1_000_000;
    const SLICE: u64 = 100 * MILLISECOND;

    /// One server of 1000 a second; 500 a second, and 2000 in the second from 5 s on. Every `slow`th request takes
    /// 20 ms more.
    fn spiked(slow: u64) -> Series {
        let mut answers = Vec::new();
        let mut free_at = 0;
        let mut at = 0;
        let mut number = 0;
        while at < 20_000 * MILLISECOND {
            free_at = free_at.max(at) + MILLISECOND;
            let extra = if number % slow == 0 { 20 * MILLISECOND } else { 0 };
            answers.push((at, free_at + extra));
            let spike = (5_000..6_000).contains(&(at / MILLISECOND));
            at += if spike { MILLISECOND / 2 } else { 2 * MILLISECOND };
            number += 1;
        }
        let mut series = Series::new(SLICE);
        for slice in 0..200 {
            let range = slice * SLICE..(slice + 1) * SLICE;
            let inside: Vec<u64> = answers
                .iter()
                .filter(|(_, done)| range.contains(done))
                .map(|(at, done)| done - at)
                .collect();
            let open = answers.iter().filter(|(at, done)| *at < range.end && *done >= range.end);
            let mut latency: Vec<(u64, u64)> = Vec::new();
            let mut sorted = inside.clone();
            sorted.sort_unstable();
            for value in sorted {
                match latency.last_mut() {
                    Some(last) if last.0 == value => last.1 += 1,
                    _ => latency.push((value, 1)),
                }
            }
            series.push(Slice {
                completed: inside.len() as u64,
                outstanding: open.count() as u64,
                max_ns: inside.iter().copied().max().unwrap_or(0),
                latency: latency.into_iter().collect(),
                ..Slice::default()
            });
        }
        series
    }

    #[test]
    fn a_spike_has_the_peak_and_the_recovery_of_the_closed_form() {
        let second = 1_000 * MILLISECOND;
        let found =
            recovery(&spiked(u64::MAX), (5 * second, 6 * second), u64::MAX, Some(MILLISECOND));
        assert!(found.peak_latency_ns.abs_diff(second) < 3 * MILLISECOND, "{found:?}");
        assert!(found.peak_outstanding.abs_diff(1000) <= 100, "{found:?}");
        let recovered = found.recovered_after_ns.unwrap();
        assert!(recovered.abs_diff(2 * second) <= SLICE, "{found:?}");
    }

    #[test]
    fn slow_requests_that_were_there_before_do_not_prevent_recovery() {
        let second = 1_000 * MILLISECOND;
        let found =
            recovery(&spiked(100), (5 * second, 6 * second), u64::MAX, Some(20 * MILLISECOND));
        let recovered = found.recovered_after_ns.unwrap();
        assert!(recovered.abs_diff(2 * second) <= SLICE, "{found:?}");
    }

    #[test]
    fn one_disturbed_slice_after_it_does_not_put_off_the_recovery() {
        let second = 1_000 * MILLISECOND;
        let mut hiccup = Series::new(SLICE);
        for (at, slice) in spiked(u64::MAX).slices().iter().enumerate() {
            let mut slice = slice.clone();
            if at == 82 {
                slice.latency = [(9 * MILLISECOND, 50)].into_iter().collect();
            }
            hiccup.push(slice);
        }
        let found = recovery(&hiccup, (5 * second, 6 * second), u64::MAX, Some(MILLISECOND));
        let recovered = found.recovered_after_ns.unwrap();
        assert!(recovered.abs_diff(2 * second) <= SLICE, "{found:?}");
    }

    #[test]
    fn a_burst_with_another_close_behind_it_keeps_its_peak_and_claims_no_recovery() {
        let second = 1_000 * MILLISECOND;
        let series = spiked(u64::MAX);
        for until in [5 * second + SLICE / 2, 5 * second + SLICE, 5 * second + 2 * SLICE] {
            let found = recovery(&series, (5 * second, 5 * second), until, Some(MILLISECOND));
            assert!(found.peak_latency_ns > MILLISECOND, "{found:?}");
            assert_eq!((found.recovered_after_ns, found.cut_short), (None, true));
        }
        let at_the_end = recovery(&series, (20 * second, 20 * second), u64::MAX, Some(MILLISECOND));
        assert_eq!(at_the_end.recovered_after_ns, None);
    }

    #[test]
    fn what_piles_up_after_a_disturbance_is_not_its_own() {
        let second = 1_000 * MILLISECOND;
        // What came before the spike is over when the spike begins.
        let found =
            recovery(&spiked(u64::MAX), (3 * second, 4 * second), u64::MAX, Some(MILLISECOND));
        assert!(found.peak_outstanding <= 1, "{found:?}");
    }

    #[test]
    fn what_never_gets_better_has_not_recovered() {
        let second = 1_000 * MILLISECOND;
        let spike = (5 * second, 6 * second);
        let found = recovery(&spiked(u64::MAX), spike, 7 * second, Some(MILLISECOND));
        assert_eq!((found.recovered_after_ns, found.all_answered_after_ns), (None, None));
    }

    #[test]
    fn without_a_latency_from_before_there_is_no_recovery_and_an_end_of_the_answers() {
        // 30 requests at 1 s are answered one after the other, 10 in each slice; a late one comes in the fifth.
        let mut series = Series::new(SLICE);
        for at in 0..40_u64 {
            let outstanding = match at {
                0..10 => 0,
                10 => 20,
                11 => 10,
                12 | 13 => 1,
                _ => 0,
            };
            let completed = if (10..13).contains(&at) { 10 } else { u64::from(at == 14) };
            series.push(Slice { completed, outstanding, max_ns: at, ..Slice::default() });
        }
        let second = 1_000 * MILLISECOND;
        let found = recovery(&series, (second, second), u64::MAX, None);
        assert_eq!((found.recovered_after_ns, found.base_p99_ns), (None, None));
        assert_eq!(found.all_answered_after_ns, Some(5 * SLICE));
        assert_eq!((found.peak_outstanding, found.peak_latency_ns), (20, 14));
        let cut = recovery(&series, (second, second), second + 3 * SLICE, None);
        assert_eq!(cut.all_answered_after_ns, None);
        // A spike of half a second leaves nothing behind, even where the run ends with it.
        for until_ns in [u64::MAX, 2 * second] {
            let over = recovery(&series, (3 * second / 2, 2 * second), until_ns, None);
            assert_eq!(over.all_answered_after_ns, Some(0));
        }
    }
}
