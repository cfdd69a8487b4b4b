//! The phases of a run in the text report, and what spikes and bursts did.

use crate::core::worker::OnOverload;
use crate::plan::Pacing;
use crate::report::format::{self, count, duration, float, length};
use crate::report::page::Page;
use crate::result::summary::{Disturbance, PhaseSummary, Rates, Summary, share};
use crate::stats::recovery::Recovery;
use crate::time::seconds;
use crate::units::significant;

/// More bursts than this are summed up.
const MOST_BURSTS: usize = 8;

/// How requests come, in a few words.
pub(super) fn pattern(pacing: Option<&Pacing>) -> String {
    let Some(pacing) = pacing else { return "closed loop".to_owned() };
    let mut parts = Vec::new();
    if let Some(rate) = pacing.rate {
        parts.push(format!("{} requests a second", short_rate(rate.per_second())));
    }
    if let Some(stages) = &pacing.stages_text {
        parts.push(stages.clone());
    }
    if !parts.is_empty() {
        parts.push(pacing.arrivals.name().to_owned());
    }
    if let Some(bursts) = pacing.bursts {
        parts.push(format!("{} at once every {}", count(bursts.size), length(bursts.every_ns)));
    }
    let policy = match pacing.on_overload {
        OnOverload::Queue => String::new(),
        other => format!(", {} on overload", other.name()),
    };
    format!("open loop, {}{policy}", parts.join(", "))
}

/// A rate without zeros that say nothing: `1,000`, `0.5`.
fn short_rate(per_second: f64) -> String {
    let text = format::rate(per_second);
    text.strip_suffix(".00").map_or(text.clone(), str::to_owned)
}

/// The phases that have a row.
fn measured(summary: &Summary) -> Vec<&PhaseSummary> {
    let measured = summary.phases.iter().filter(|phase| phase.name != "warmup");
    measured.filter(|phase| phase.record.counts.scheduled > 0).collect()
}

/// Whether there is a table: of a single phase the rest of the report says everything.
pub(super) fn is_shown(summary: &Summary) -> bool {
    let phases = measured(summary);
    phases.len() >= 2 || phases.iter().any(|phase| !phase.disturbances.is_empty())
}

/// Two rows a phase, rates and errors above, response times below, and what happened in those of a higher rate.
pub(super) fn table(page: &mut Page, summary: &Summary) {
    if !is_shown(summary) {
        return;
    }
    let phases = measured(summary);
    page.gap();
    let is_limited = phases.iter().any(|phase| phase.over_limit.is_some());
    let over = if is_limited { "    over SLO" } else { "" };
    page.head(&format!(
        "{:<20}{:>12}{:>12}{:>12}{:>10}{over}",
        "Phases", "offered/s", "answered/s", "errors", "share"
    ));
    for phase in &phases {
        rates(page, phase);
    }
    page.head(&format!(
        "{:<20}{:>12}{:>12}{:>12}{:>12}",
        "Response time", "p50", "p95", "p99", "max"
    ));
    for phase in &phases {
        response_times(page, phase);
    }
    page.note("answers of its time; errors and response times of the requests that were due in it");
    for phase in &phases {
        disturbances(page, phase);
    }
}

fn rates(page: &mut Page, phase: &PhaseSummary) {
    let rates = Rates::of(&phase.record, phase.length_ns);
    let counts = &phase.record.counts;
    let errors = counts.scheduled - counts.ok - counts.unsent;
    let over = phase.over_limit.map_or(String::new(), |over| format!("{:>12}", count(over)));
    let answered =
        if phase.name == "bursts" { "-".to_owned() } else { significant(rates.achieved_rps, 1) };
    page.line(&format!(
        "  {:<18}{:>12}{answered:>12}{:>12}{:>10}{over}",
        phase.name,
        significant(rates.offered_rps, 1),
        count(errors),
        format::percent(share(errors, counts.sent)),
    ));
}

fn response_times(page: &mut Page, phase: &PhaseSummary) {
    let response = &phase.latencies.response;
    let cell = |quantile: f64| match response.quantile(quantile) {
        None => "-".to_owned(),
        Some(value) if value.lower_bound => format!(">={}", duration(float(value.value_ns))),
        Some(value) => duration(float(value.value_ns)),
    };
    let max = response.all.max_ns().map_or("-".to_owned(), |max| duration(float(max)));
    page.line(&format!(
        "  {:<18}{:>12}{:>12}{:>12}{max:>12}",
        phase.name,
        cell(0.5),
        cell(0.95),
        cell(0.99),
    ));
}

/// What the spike of a phase did, or each burst.
fn disturbances(page: &mut Page, phase: &PhaseSummary) {
    let is_burst = phase.name == "bursts";
    for disturbance in phase.disturbances.iter().take(MOST_BURSTS) {
        let what = if is_burst {
            // Tenths, unless they come closer together.
            let text = format!("{:.3}", disturbance.start_s);
            format!("burst at {} s", text.strip_suffix("00").unwrap_or(&text))
        } else {
            format!("{} at {:.1} s", phase.name, disturbance.start_s)
        };
        page.fact(&what, &effect(disturbance));
    }
    let rest: Vec<&Disturbance> = phase.disturbances.iter().skip(MOST_BURSTS).collect();
    if rest.is_empty() {
        return;
    }
    // Bursts alone have no latency from before that could come back.
    let (what, slowest): (_, fn(&Recovery) -> Option<u64>) =
        if rest.iter().all(|burst| burst.recovery.base_p99_ns.is_none()) {
            ("were seen to be answered to the last request", |burst| burst.all_answered_after_ns)
        } else {
            ("were seen to recover", |burst| burst.recovered_after_ns)
        };
    let seen: Vec<u64> = rest.iter().filter_map(|burst| slowest(&burst.recovery)).collect();
    let slowest = seen
        .iter()
        .max()
        .map_or(String::new(), |&ns| format!(", the slowest after {:.2} s", seconds(ns)));
    let (told, seen) = (count(rest.len() as u64), count(seen.len() as u64));
    page.note(&format!("of the next {told} bursts {seen} {what}{slowest}; see --json"));
}

fn effect(disturbance: &Disturbance) -> String {
    let recovery = &disturbance.recovery;
    let recovered = match (recovery.base_p99_ns, recovery.recovered_after_ns) {
        (None, _) => without_base(recovery),
        (_, Some(ns)) => format!("back to the p99 from before after {:.2} s", seconds(ns)),
        (_, None) if recovery.cut_short => {
            "no time under the load from before to see a recovery".to_owned()
        }
        (_, None) => "not seen back at the p99 from before".to_owned(),
    };
    format!(
        "peak latency {}, {} outstanding at most, {recovered}",
        duration(float(recovery.peak_latency_ns)),
        count(recovery.peak_outstanding)
    )
}

/// What there is to say where no request came before, so that there is no latency to return to.
fn without_base(recovery: &Recovery) -> String {
    let answered = match recovery.all_answered_after_ns {
        Some(0) => "everything was answered by its end".to_owned(),
        Some(ns) => format!("everything was answered within {:.2} s after it", seconds(ns)),
        None => "not everything was seen answered".to_owned(),
    };
    format!("no requests were answered before, so there is no p99 to return to; {answered}")
}
