//! The words and figures that all reports of a comparison share.

use crate::commands::compare::comparison::{Comparison, Conclusion, Decision, Design, Row, Side};
use crate::report::format::{count, counted, duration};
use crate::slo::Unit;
use crate::units::significant;

/// More runs that were left out are not named one by one.
const MOST_NAMED: usize = 4;

/// The answer of a row in a word; `None` when it is not gated.
pub(super) fn answer(row: &Row, open: bool) -> Option<&'static str> {
    Some(match row.answer? {
        Decision::Regression => "regression",
        Decision::Pass { improved: false } => "pass",
        Decision::Pass { improved: true } => row.metric.better(open),
        Decision::Inconclusive { .. } => "inconclusive",
    })
}

/// The stable name of an answer in JSON and TSV, and whether the metric improved; no name when it is not gated.
pub(super) fn stable_answer(row: &Row) -> (Option<&'static str>, bool) {
    match row.answer {
        None => (None, false),
        Some(Decision::Regression) => (Some("regression"), false),
        Some(Decision::Pass { improved }) => (Some("pass"), improved),
        Some(Decision::Inconclusive { .. }) => (Some("inconclusive"), false),
    }
}

/// A value of a metric with its unit.
pub(super) fn value(row: &Row, open: bool, value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    match row.metric.unit(open) {
        Unit::Time => duration(value * 1e3),
        Unit::Share if row.metric.is_share_of_requests() => share(value),
        Unit::Share => format!("{:.2} %", value * 100.0),
        Unit::PerSecond => per_second(value),
    }
}

/// A rate with as many digits as a column has room for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is a positive number far below 2^53"
)]
fn per_second(rate: f64) -> String {
    if rate < 1000.0 { significant(rate, 2) } else { count(rate.round() as u64) }
}

/// A share of errors: small ones keep their digits.
fn share(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        percent if percent < 0.1 => format!("{percent:.4} %"),
        percent => format!("{percent:.2} %"),
    }
}

/// A share in percent, without the noise of binary fractions.
pub(super) fn percent(share: f64) -> f64 {
    (share * 1e5).round() / 1e3
}

/// A shift in percent, with its sign; of shares of requests in percentage points, which are small.
pub(super) fn shift(row: &Row, percent: f64) -> String {
    let decimals = if row.metric.is_share_of_requests() || percent.abs() < 0.95 { 2 } else { 1 };
    let text = format!("{percent:+.decimals$}");
    // A zero has no direction.
    if text.trim_start_matches(['+', '-']).chars().all(|c| c == '0' || c == '.') {
        return "0".to_owned();
    }
    text
}

/// The interval of a shift.
pub(super) fn interval(row: &Row) -> String {
    let shown = |(low, high)| format!("[{}, {}]", shift(row, low), shift(row, high));
    row.interval_pct().map_or_else(|| "-".to_owned(), shown)
}

/// A p-value with the digits that matter.
pub(super) fn p_value(row: &Row) -> String {
    match row.p_value {
        None => "-".to_owned(),
        Some(p) if p < 0.0001 => "<.0001".to_owned(),
        Some(p) => format!("{p:.4}"),
    }
}

/// `p99 is 24.1 % slower`.
fn moved(row: &Row, open: bool) -> String {
    let percent = row.shift_pct().unwrap_or(0.0);
    let size = shift(row, percent.abs());
    row.metric.moved(open, size.trim_start_matches('+'), percent > 0.0)
}

/// `p50 5 %, p99 10 %`: from which shift on the gated metrics matter.
pub(super) fn effects(comparison: &Comparison) -> String {
    let effect = |row: &Row| format!("{} {} {}", row.label, percent(row.effect), unit(row));
    let gated = comparison.rows.iter().filter(|row| row.gated);
    gated.map(effect).collect::<Vec<_>>().join(", ")
}

/// What its shift is counted in.
fn unit(row: &Row) -> &'static str {
    if row.metric.is_share_of_requests() { "points" } else { "%" }
}

/// What passes with less than what matters excluded, and what is excluded instead; `None` when nothing does.
fn bounds(comparison: &Comparison) -> Option<String> {
    let bound = |row: &Row| {
        let excluded = row.excluded_pct()?;
        // Rounded up: what is said to be excluded is.
        let decimals = if row.metric.is_share_of_requests() { 100.0 } else { 10.0 };
        let excluded = (excluded * decimals).ceil() / decimals;
        Some(format!("{} worse by {excluded} {}", row.label, unit(row)))
    };
    let bounds: Vec<String> = comparison.rows.iter().filter_map(bound).collect();
    (!bounds.is_empty()).then(|| bounds.join(", "))
}

/// The verdict in a sentence, without its name.
pub(super) fn sentence(comparison: &Comparison) -> String {
    if let Some(why) = &comparison.undecided_because {
        return why.clone();
    }
    let with = |wanted: &dyn Fn(Decision) -> bool| -> Vec<&Row> {
        comparison.rows.iter().filter(|row| row.answer.is_some_and(wanted)).collect()
    };
    let list = |rows: Vec<&Row>| {
        rows.into_iter().map(|row| moved(row, comparison.open)).collect::<Vec<_>>().join(", ")
    };
    let improved = with(&|answer| answer == Decision::Pass { improved: true });
    let besides = if improved.is_empty() { String::new() } else { format!("; {}", list(improved)) };
    match comparison.verdict {
        Conclusion::Regression => {
            format!("{}{besides}", list(with(&|answer| answer == Decision::Regression)))
        }
        Conclusion::Pass => {
            let known = bounds(comparison)
                .map_or_else(String::new, |bounds| format!("; these runs rule out {bounds}"));
            let what = if known.is_empty() {
                "nothing gated is worse by as much as matters"
            } else {
                "no sign that anything gated got worse"
            };
            format!("{what}{known}{besides}")
        }
        Conclusion::Inconclusive => {
            let open = with(&|answer| matches!(answer, Decision::Inconclusive { .. }));
            format!("{}{besides}; {}", reasons(&open, comparison.judged_as), advice(comparison))
        }
    }
}

/// Why these metrics are undecided, those with the same reason together.
fn reasons(open: &[&Row], judged_as: Design) -> String {
    let reason = |row: &Row| match row.shift {
        None => "not measured on both sides",
        _ if judged_as == Design::Single => "not to be told from one run each",
        _ if row.runs < judged_as.fewest() => "not to be told from so few runs",
        _ => "cannot be told from noise",
    };
    let mut told: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in open {
        match told.iter_mut().find(|(why, _)| *why == reason(row)) {
            Some((_, names)) => names.push(&row.label),
            None => told.push((reason(row), vec![row.label.as_str()])),
        }
    }
    let told = told.iter().map(|(why, names)| format!("{} {why}", names.join(", ")));
    told.collect::<Vec<_>>().join("; ")
}

/// What would lead to an answer.
pub(super) fn advice(comparison: &Comparison) -> String {
    let noun = if comparison.design == Design::Paired { "more pair" } else { "more run" };
    let side = if comparison.design == Design::Paired { "" } else { " a side" };
    match comparison.more_runs {
        Some(more) => format!("about {}{side} would tell", counted(more as u64, noun)),
        None => {
            "no reasonable number of runs would tell: measure longer, or look for what is missing"
                .to_owned()
        }
    }
}

/// How the runs were put together.
pub(super) fn method(comparison: &Comparison) -> String {
    let Comparison { base_runs, new_runs, design, judged_as, .. } = comparison;
    let exact = if comparison.exact { ", exact" } else { ", normal approximation" };
    match design {
        Design::Paired => {
            let ranks = if *judged_as == Design::Paired {
                "signed ranks"
            } else {
                "rank sums (too few pairs for signed ranks)"
            };
            format!("{} of runs, interleaved; {ranks}{exact}", counted(*base_runs as u64, "pair"))
        }
        Design::TwoSample => format!("{base_runs} and {new_runs} runs; ranks{exact}"),
        Design::Single => "one run each, from their own intervals".to_owned(),
    }
}

/// What a side is.
pub(super) fn side(side: &Side) -> String {
    format!("{} ({})", side.label, counted(side.runs.len() as u64, "run"))
}

/// All that a reader has to know beside the numbers.
pub(super) fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(signal) = comparison.interrupted {
        notes.push(format!("partial: interrupted by {}", signal.name()));
    }
    for left in comparison.left_out.iter().take(MOST_NAMED) {
        let side = if left.is_new { "new" } else { "base" };
        notes.push(format!("left out of {side}: {}: {}", left.source, left.why));
    }
    let more = comparison.left_out.len().saturating_sub(MOST_NAMED);
    if more > 0 {
        notes
            .push(format!("left out likewise: {} (--json names all)", counted(more as u64, "run")));
    }
    notes.push(format!(
        "what matters: {}; latencies from {} on (--effect, --floor)",
        effects(comparison),
        duration(comparison.floor_us * 1e3)
    ));
    let bounded = comparison.rows.iter().filter(|row| row.excluded.is_some());
    let bounded: Vec<&str> = bounded.map(|row| row.label.as_str()).collect();
    if !bounded.is_empty() {
        notes.push(format!(
            "{}: these runs are too few, too short, or too noisy to rule out all that matters; more or longer runs rule out more, and --effect insists",
            bounded.join(", ")
        ));
    }
    notes.extend(comparison.notes.iter().cloned());
    notes
}

/// How often a new response takes longer.
pub(super) fn share_above(comparison: &Comparison) -> Option<String> {
    comparison.share_above.map(|share| {
        format!(
            "a new response takes longer than one of the base in {:.1} % of all cases (50 %: no difference)",
            share * 100.0
        )
    })
}
