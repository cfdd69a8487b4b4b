//! What those see who watch a search: a line a trial, and where the search stands in front of the live line.

use super::text::{ceiling_load, length_s, number, reasons, verdict_name};
use crate::commands::ceiling::capacity::{Goals, Row};
use crate::report::gates::amount;

/// One line about a trial that has ended: what came of it, why, what is known of the ceiling by then, and how long it may
/// still take.
#[must_use]
pub fn ceiling_progress(
    row: &Row,
    count: usize,
    goals: &Goals,
    closed: bool,
    known: &Known,
) -> String {
    let proposal = row.trial.proposal;
    let missed = reasons(row, goals);
    let found = if missed.is_empty() {
        worst_gate(row).map(|found| format!("  {found}")).unwrap_or_default()
    } else {
        format!("  {}", missed.join("; "))
    };
    format!(
        "trial {count:>2}  {:<7} {:>14} {:>6.1} s  {:<4}{found}  ({}; {} left at most)",
        proposal.purpose.name(),
        ceiling_load(proposal.load, closed),
        row.length_s,
        verdict_name(row),
        between(known.bracket),
        length_s(known.left_s.round()),
    )
}

/// What is known in the middle of a search.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The highest load that seems to hold, and the lowest that seems not to.
    pub bracket: (Option<f64>, Option<f64>),
    /// How long the search may still take, in seconds.
    pub left_s: f64,
}

impl Known {
    /// The same so many seconds later.
    #[must_use]
    pub fn after(self, elapsed_s: f64) -> Self {
        Self { left_s: (self.left_s - elapsed_s).max(0.0), ..self }
    }
}

/// The same while a trial goes on, before the state of its run: `trial 7 of a load of 540 req/s, between 520 and 560 so
/// far, 1m12s left at most`.
#[must_use]
pub fn ceiling_trial(count: usize, load: f64, closed: bool, known: &Known) -> String {
    format!(
        "trial {count} at {}, {} so far, {} left at most",
        ceiling_load(load, closed),
        between(known.bracket),
        length_s(known.left_s.round()),
    )
}

fn between(bracket: (Option<f64>, Option<f64>)) -> String {
    match bracket {
        (Some(low), Some(high)) => {
            format!("between {} and {}", number(low), number(high))
        }
        (Some(low), None) => format!("at least {}", number(low)),
        (None, Some(high)) => format!("below {}", number(high)),
        (None, None) => "nothing known yet".to_owned(),
    }
}

/// The gate of the user that failed, or the first one, with what it found.
fn worst_gate(row: &Row) -> Option<String> {
    let gate = row.gates.iter().find(|gate| !gate.holds).or_else(|| row.gates.first())?;
    let value = gate.value.map_or("-".to_owned(), |value| amount(&gate.clause, value));
    let bound = if gate.doubt.is_some() { ">=" } else { "" };
    Some(format!("{}: {bound}{value}", gate.clause.text))
}

#[cfg(test)]
mod tests {
    use super::{Known, ceiling_trial};

    #[test]
    fn the_time_left_goes_on_while_a_trial_does() {
        let known = Known { bracket: (Some(520.0), None), left_s: 72.4 };
        let line = |elapsed_s| ceiling_trial(7, 540.0, false, &known.after(elapsed_s));
        assert!(line(10.0).ends_with("at least 520 so far, 62 s left at most"));
        assert!(line(100.0).ends_with(", 0 s left at most"));
    }
}
