//! The phases of a run in the text report, and what spikes and bursts did.

use crate::analysis::recovery::Recovery;
use crate::plan::{OnOverload, Pacing};
use crate::report::format::{self, count, duration, float, length};
use crate::report::page::Page;
use crate::summary::{Disturbance, PhaseSummary, Rates, Summary};
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

/// One row a phase, and what happened in those of a higher rate; nothing when there is only one.
pub(super) fn table(page: &mut Page, summary: &Summary) {
    let measured = summary.phases.iter().filter(|phase| phase.name != "warmup");
    let phases: Vec<&PhaseSummary> =
        measured.filter(|phase| phase.record.counts.scheduled > 0).collect();
    if phases.len() < 2 && phases.iter().all(|phase| phase.disturbances.is_empty()) {
        return;
    }
    page.gap();
    let is_limited = phases.iter().any(|phase| phase.over_limit.is_some());
    let over = if is_limited { "  over SLO" } else { "" };
    page.head(&format!(
        "{:<20}{:>11}{:>11}{:>11}{:>11}{:>11}{over}",
        "Phases", "offered/s", "answered/s", "p50", "p99", "max"
    ));
    for phase in &phases {
        row(page, phase);
    }
    page.note("answers of its time; response times of the requests that were due in it");
    for phase in &phases {
        disturbances(page, phase);
    }
}

fn row(page: &mut Page, phase: &PhaseSummary) {
    let rates = Rates::of(&phase.record, phase.length_ns);
    let response = &phase.latencies.response;
    let cell = |quantile: f64| match response.quantile(quantile) {
        None => "-".to_owned(),
        Some(value) if value.lower_bound => format!(">={}", duration(float(value.value_ns))),
        Some(value) => duration(float(value.value_ns)),
    };
    let max = response.all.max_ns().map_or("-".to_owned(), |max| duration(float(max)));
    let over = phase.over_limit.map_or(String::new(), |over| format!("{:>10}", count(over)));
    let answered =
        if phase.name == "bursts" { "-".to_owned() } else { significant(rates.achieved_rps, 1) };
    page.line(&format!(
        "  {:<18}{:>11}{answered:>11}{:>11}{:>11}{max:>11}{over}",
        phase.name,
        significant(rates.offered_rps, 1),
        cell(0.5),
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
        page.fact(&what, &effect(phase, disturbance, is_burst));
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

fn effect(phase: &PhaseSummary, disturbance: &Disturbance, is_burst: bool) -> String {
    let recovery = &disturbance.recovery;
    let peak = duration(float(recovery.peak_latency_ns));
    // The exact peak is known of a phase as a whole; of one burst among many, that at the end of a slice.
    let outstanding = if is_burst {
        recovery.peak_outstanding
    } else {
        recovery.peak_outstanding.max(phase.record.most_outstanding)
    };
    let recovered = match (recovery.base_p99_ns, recovery.recovered_after_ns) {
        (None, _) => without_base(recovery),
        (_, Some(ns)) => format!("back to the p99 from before after {:.2} s", seconds(ns)),
        (_, None) if recovery.cut_short => "too little time to see a recovery".to_owned(),
        (_, None) => "not seen back at the p99 from before".to_owned(),
    };
    format!("peak latency {peak}, {} outstanding at most, {recovered}", count(outstanding))
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
