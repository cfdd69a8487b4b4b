//! The live line of a sweep: what is being tried, what is known so far, and how long it may still take.

use super::number;
use super::text::span;
use crate::report::format::{counted, duration, float, small_share};
use crate::result::summary::{IntervalRow, SoFar};

/// The run that goes on, and what was before it.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// What is swept.
    pub name: &'a str,
    /// The value of this run.
    pub x: f64,
    /// Which of all runs it is, from 1, and how many there are.
    pub place: (usize, usize),
    /// Measured time of this run in seconds; `None` where a number of requests ends it.
    pub length_s: Option<f64>,
    /// What the runs after this one will take, in seconds; `None` where that is not known.
    pub rest_s: Option<f64>,
    /// What the runs before this one tell.
    pub known: SoFar,
}

/// One line without a newline, of at most `columns` characters: the least important parts go first where space is short.
#[must_use]
pub fn sweep_live(attempt: &Attempt<'_>, row: &IntervalRow, columns: u16) -> String {
    let (done, all) = attempt.place;
    let trying = format!("{done}/{all} {} {}", attempt.name, number(attempt.x));
    let latency = row.p99_ns.map(|ns| format!("p99 {}", duration(float(ns))));
    let errors = (row.errors > 0).then(|| counted(row.errors, "error"));
    let known = attempt.known;
    let best = known.best.map(|(rps, x)| format!("best {} good/s at {}", number(rps), number(x)));
    let start = known
        .errors
        .map(|errors| format!("errors from {} ({})", number(errors.x), small_share(errors.share)));
    // By importance, and where each stands in the line.
    let parts = [
        (0, Some(trying)),
        (5, left(attempt, row)),
        (3, best),
        (4, start),
        (1, Some(format!("{} good/s", number(float(row.ok))))),
        (2, [errors, latency].into_iter().flatten().reduce(|a, b| format!("{a}, {b}"))),
    ];
    let mut room = usize::from(columns);
    let mut shown: Vec<(u8, String)> = Vec::new();
    for (place, part) in parts {
        let Some(part) = part else { continue };
        let gap = if shown.is_empty() { 0 } else { GAP.len() };
        if gap + part.len() <= room {
            room -= gap + part.len();
            shown.push((place, part));
        }
    }
    shown.sort_by_key(|part| part.0);
    shown.into_iter().map(|part| part.1).collect::<Vec<_>>().join(GAP)
}

/// Between two parts.
const GAP: &str = "  ";

/// How long it may still take.
fn left(attempt: &Attempt<'_>, row: &IntervalRow) -> Option<String> {
    let of_this_s = (attempt.length_s? - row.end_s).max(0.0);
    Some(format!("{} left", span(of_this_s + attempt.rest_s?)))
}

#[cfg(test)]
mod tests {
    use super::{Attempt, sweep_live};
    use crate::result::summary::{IntervalRow, SoFar};
    use crate::stats::inflection::Onset;

    fn row(end_s: f64, ok: u64, errors: u64) -> IntervalRow {
        IntervalRow {
            end_s,
            scheduled: ok + errors,
            sent: ok + errors,
            completed: ok + errors,
            ok,
            errors,
            in_flight: 64,
            backlog: 0,
            bytes_received: 1 << 20,
            p50_ns: Some(90_000_000),
            p95_ns: None,
            p99_ns: Some(151_000_000),
            max_ns: Some(160_000_000),
        }
    }

    fn attempt() -> Attempt<'static> {
        let errors = Onset { x: 37.0, share: 0.0124, at_lowest: false };
        Attempt {
            name: "connections",
            x: 139.0,
            place: (4, 9),
            length_s: Some(5.0),
            rest_s: Some(32.5),
            known: SoFar { best: Some((560.4, 72.0)), errors: Some(errors) },
        }
    }

    #[test]
    fn it_tells_what_is_tried_what_is_known_and_how_long_it_may_take() {
        assert_eq!(
            sweep_live(&attempt(), &row(2.0, 551, 290), 140),
            "4/9 connections 139  551 good/s  290 errors, p99 151.0 ms  best 560.4 good/s at 72  errors from 37 (1.2 %)  36 s left"
        );
        let first = Attempt { known: SoFar::default(), rest_s: None, ..attempt() };
        assert_eq!(
            sweep_live(&first, &row(-1.0, 551, 0), 140),
            "4/9 connections 139  551 good/s  p99 151.0 ms"
        );
    }

    #[test]
    fn on_a_narrow_terminal_the_least_important_parts_go_first() {
        for columns in [20_u16, 40, 60, 80, 100] {
            let line = sweep_live(&attempt(), &row(2.0, 551, 290), columns);
            assert!(line.len() <= usize::from(columns), "{columns}: {line}");
            assert!(line.starts_with("4/9 connections 139"), "{columns}: {line}");
        }
        let narrow = sweep_live(&attempt(), &row(2.0, 551, 290), 80);
        assert!(narrow.contains("best 560.4") && narrow.ends_with("36 s left"), "{narrow}");
    }
}
