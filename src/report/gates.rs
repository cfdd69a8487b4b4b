//! Gates in the text report, and the condition that ended a run.

use crate::plan::Plan;
use crate::report::format::{duration, rate};
use crate::report::page::{Page, Paint};
use crate::result::summary::{End, Summary};
use crate::slo::{Clause, Doubt, Gate, Unit};
use crate::units::significant;

/// Longer clauses do not move the others' results away.
const MOST_ALIGNED: usize = 32;

/// Which gates held.
pub(crate) fn gates(page: &mut Page, summary: &Summary) {
    if summary.gates.is_empty() {
        return;
    }
    page.gap();
    page.head("Gates");
    let longest = summary.gates.iter().map(|gate| gate.clause.text.len()).max().unwrap_or(0);
    let width = longest.min(MOST_ALIGNED);
    for gate in &summary.gates {
        let paint = if gate.holds { Paint::Good } else { Paint::Bad };
        let mark = if gate.holds { "pass" } else { "FAIL" };
        page.painted_fact(
            (Paint::Bold, &format!("  {:<width$}", gate.clause.text)),
            (paint, mark),
            &format!(" ({})", found(gate)),
        );
    }
}

/// The condition of `--abort-on` that ended a run, with the value that was found: `errors>5% (value 100 %)`.
#[must_use]
pub fn condition(plan: &Plan, summary: &Summary) -> Option<String> {
    let End::Aborted { condition, value } = summary.end else { return None };
    let condition = plan.abort_on.get(condition)?;
    Some(format!("{} (value {})", condition.text, amount(condition, value)))
}

/// What a gate found, and why that may not decide it.
pub(crate) fn found(gate: &Gate) -> String {
    let Some(value) = gate.value else { return "nothing to look at".to_owned() };
    let mut text = amount(&gate.clause, value);
    match gate.doubt {
        None if gate.clause.confident => {
            let end = if gate.clause.is_upper_bound() { "upper" } else { "lower" };
            text += &format!(", the {end} end of its 95 % confidence interval");
        }
        None => {}
        Some(Doubt::Unanswered) => text += " or more: requests are without an answer",
        Some(Doubt::Gone) => text += ", and the target was not there for longer than that allows",
        Some(Doubt::NoInterval) => {
            text += ", without a confidence interval: too few responses, or too short";
        }
    }
    if let Some(at_s) = gate.at_s {
        text += &format!("; the worst, from {at_s} s on");
    }
    text
}

/// A value in its unit; a share with four decimals at most, none that are 0.
pub(crate) fn amount(clause: &Clause, value: f64) -> String {
    match clause.unit {
        Unit::Time => duration(value),
        Unit::PerSecond => format!("{}/s", rate(value)),
        Unit::Share => {
            let text = significant(value * 100.0, 4);
            format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}
