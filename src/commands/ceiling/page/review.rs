//! What a search for the highest load has found, for a review and for a build server.

use super::text::{ceiling_load, ceiling_quiet, reasons, verdict_name};
use crate::commands::ceiling::capacity::{Found, Row};
use crate::exit::{self, ExitCode};
use crate::report::format::{duration, float, rate};
use crate::report::review::{Check, Outcome, Review, Table, gate_checks};

/// The gates as the verification found them, or the last trial where there was none, and the search itself; `code` is
/// what it ended with.
#[must_use]
pub fn ceiling_review(found: &Found, code: ExitCode) -> Review {
    let decisive = found.verification().or(found.rows.last());
    let mut checks = decisive.map_or_else(Vec::new, |row| {
        let load = ceiling_load(row.trial.proposal.load, found.closed);
        gate_checks(&format!("at {load}: "), &row.gates)
    });
    if code != exit::FINISHED {
        // A trial that goes too far fails its gates on purpose; the search has its own answer.
        checks.retain(|check| check.outcome == Outcome::Pass || code == exit::GATE);
    }
    let sentence = ceiling_quiet(found).trim_end().replace('\n', "; ");
    let outcome = match code {
        exit::FINISHED => Outcome::Pass,
        exit::GATE => Outcome::Fail,
        _ => Outcome::Error,
    };
    checks.push(Check { name: "ceiling".to_owned(), outcome, found: sentence.clone() });
    let columns =
        vec!["trial", "purpose", "load", "result", "answered/s", "p50", "p95", "p99", "missed"];
    let rows = found.rows.iter().enumerate().map(|(index, row)| trial(index, row, found));
    Review {
        command: "ceiling",
        code,
        sentence,
        checks,
        table: Table { columns, rows: rows.collect() },
    }
}

fn trial(index: usize, row: &Row, found: &Found) -> Vec<String> {
    let [p50, p95, p99] = row.quantiles.map(|quantile| match quantile {
        None => "-".to_owned(),
        Some(value) if value.lower_bound => format!(">= {}", duration(float(value.value_ns))),
        Some(value) => duration(float(value.value_ns)),
    });
    vec![
        (index + 1).to_string(),
        row.trial.proposal.purpose.name().to_owned(),
        ceiling_load(row.trial.proposal.load, found.closed),
        verdict_name(row),
        rate(row.rates.achieved_rps),
        p50,
        p95,
        p99,
        reasons(row, &found.goals).join("; "),
    ]
}

#[cfg(test)]
mod tests {
    use super::ceiling_review;
    use crate::commands::ceiling::capacity::Found;
    use crate::commands::ceiling::page::tests::{found, unknown};
    use crate::commands::ceiling::search::Ending;
    use crate::exit::{self, ExitCode};

    #[test]
    fn a_search_is_reviewed_by_its_answer_and_the_gates_of_its_verification() {
        let reviewed = |found: &Found, code: ExitCode| {
            let review = ceiling_review(found, code);
            (review.markdown(), review.junit())
        };
        let (page, xml) = reviewed(&found(Ending::Found, false), exit::FINISHED);
        assert!(page.starts_with("### maxq ceiling: pass\n\nCeiling: 907.9 req/s"), "{page}");
        assert!(xml.contains("name=\"ceiling\">\n      <system-out>Ceiling: "), "{xml}");
        assert!(xml.contains(": p99&lt;50ms\">\n      <system-out>"), "{xml}");
        assert!(xml.contains("failures=\"0\" errors=\"0\""), "{xml}");
        let (page, xml) = reviewed(&unknown(Ending::TooFewAnswers, false), exit::INCONCLUSIVE);
        assert!(page.starts_with("### maxq ceiling: inconclusive\n"), "{page}");
        assert!(xml.contains("failures=\"0\" errors=\"1\""), "{xml}");
        let (page, xml) = reviewed(&unknown(Ending::MinimumFails, false), exit::GATE);
        assert!(page.starts_with("### maxq ceiling: **fail**\n"), "{page}");
        assert!(xml.contains("name=\"ceiling\">\n      <failure"), "{xml}");
    }
}
