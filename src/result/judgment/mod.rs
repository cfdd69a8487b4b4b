//! What did the target do, is this measurement valid, and who was the bottleneck? Pure over what is known of a finished
//! run.
//!
//! `rules`, `drift` and `target` look at one thing each and say what they found, `bound` how much of what is shown the
//! client can have moved, `state` what the target did; this file draws the conclusion.

mod bound;
mod drift;
mod rules;
mod state;
mod target;

use crate::core::record::{PhaseRecord, Record};
use crate::core::schedule::Timeline;
use crate::machine::pressure::Pressure;
use crate::result::calibration::Calibration;
use crate::result::summary::{
    Client, Distribution, End, Host, Latencies, Presence, Rates, fewest_samples, work_share,
};
use crate::result::verdict::{Code, Level, Reason, Rule, Verdict};
use crate::slo::{Clause, Scope};
use crate::stats::series::Slice;
use crate::stats::trend::growth;
use crate::time::{Nanos, seconds};
use crate::units::significant;

/// What was asked for, as far as a verdict depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Gates on the measured window and its parts.
    pub slo: &'a [Clause],
    /// The phases of the run.
    pub timeline: &'a Timeline,
    /// Most requests in flight at once, where they come by a schedule; `None` in a closed loop.
    pub max_in_flight: Option<u64>,
    /// The load is the same all the time.
    pub is_constant: bool,
    /// Connections over all workers.
    pub connections: u32,
    /// Workers, each on a core of its own.
    pub threads: usize,
    /// Target and client share the cores of this host.
    pub same_host: bool,
}

/// All that a verdict is drawn from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    /// What was asked for.
    pub asked: Asked<'a>,
    /// What all workers saw.
    pub record: &'a Record,
    /// The measured phases together.
    pub measured: &'a PhaseRecord,
    /// Their latencies.
    pub latencies: &'a Latencies,
    /// Whether the target was there.
    pub presence: &'a Presence,
    /// What the client used.
    pub client: &'a Client,
    /// What the machine did meanwhile.
    pub pressure: &'a Pressure,
    /// The machine.
    pub host: &'a Host,
    /// What this client can do on this machine, where that was measured.
    pub calibration: Option<&'a Calibration>,
    /// The measured window, slice by slice.
    pub slices: &'a [Slice],
    /// Length of a slice, in nanoseconds.
    pub slice_ns: u64,
    /// Zero of the run's clock.
    pub origin: Nanos,
    /// An automatic warm-up found an end.
    pub steady: bool,
    /// How the run ended.
    pub end: End,
    /// Length of the measured window, in nanoseconds.
    pub measured_ns: u64,
}

impl Evidence<'_> {
    /// Whether requests came by a schedule.
    fn is_open(&self) -> bool {
        self.asked.max_in_flight.is_some()
    }

    /// The share of time for which the busiest worker had work.
    fn busiest(&self) -> f64 {
        self.client.workers.iter().map(work_share).fold(0.0, f64::max)
    }

    fn rates(&self) -> Rates {
        Rates::of(self.measured, self.measured_ns)
    }

    /// Requests that were due and unanswered at the end of each slice, with its time in seconds.
    #[expect(clippy::cast_precision_loss, reason = "statistics need few digits")]
    fn outstanding(&self) -> Vec<(f64, f64)> {
        let at_s = |index: usize| seconds(self.slice_ns) * (index + 1) as f64;
        let outstanding = |(index, slice): (usize, &Slice)| (at_s(index), slice.outstanding as f64);
        self.slices.iter().enumerate().map(outstanding).collect()
    }
}

/// From this share of its time on, a worker counts as saturated.
const SATURATED_SHARE: f64 = 0.95;

/// Judges a run.
#[must_use]
pub(crate) fn judge(evidence: &Evidence<'_>) -> Verdict {
    let reasons = rules::all(evidence);
    let invalid = |rules: &[Rule]| {
        reasons.iter().find(|reason| reason.level == Level::Invalid && rules.contains(&reason.rule))
    };
    let has = |rule: Rule| reasons.iter().find(|reason| reason.rule == rule);
    let (code, sentence) = if evidence.end == End::Overloaded {
        (Code::ConnectionLimited, overloaded(evidence))
    } else if let Some(reason) = invalid(&[Rule::Refused]) {
        // Whoever waited for a port or a descriptor did not wait for the server, whatever else the numbers look like.
        (Code::ClientLimited, reason.text.clone())
    } else if let Some(found) = client_limited(evidence, invalid(&Rule::OF_CLIENT)) {
        (Code::ClientLimited, found)
    } else if let Some(slope) = unstable(evidence) {
        let rate = evidence.rates().offered_rps;
        (
            Code::Unstable,
            format!(
                "what waited for an answer grew by {} a second at {} requests a second: latencies depend on how long the run is",
                significant(slope, 0),
                significant(rate, 0)
            ),
        )
    } else if let Some(reason) = invalid(&Rule::OF_CONNECTIONS) {
        (Code::ConnectionLimited, reason.text.clone())
    } else if let Some(reason) = has(Rule::NoConnectionFree) {
        (Code::ConnectionLimited, reason.text.clone())
    } else if evidence.record.connections.opened < evidence.record.connections.asked {
        let connections = &evidence.record.connections;
        let (opened, asked) = (connections.opened, connections.asked);
        (Code::ConnectionLimited, format!("only {opened} of {asked} connections could be opened"))
    } else if let Some(reason) =
        invalid(&[Rule::NoGoodAnswer]).filter(|_| evidence.measured.counts.ok > 0)
    {
        (Code::NotSteady, reason.text.clone())
    } else if let Some(reason) = has(Rule::NotSettled) {
        (Code::NotSteady, reason.text.clone())
    } else if let Some(sentence) = too_few(evidence) {
        (Code::InsufficientSamples, sentence)
    } else {
        fine(evidence)
    };
    // Whatever else holds: that the target was not there is what people must know first, unless the client was at fault.
    let at_fault = invalid(&Rule::OF_CLIENT).or_else(|| invalid(&[Rule::Refused]));
    let gone = invalid(&Rule::OF_TARGET).filter(|_| at_fault.is_none());
    let sentence = gone.map_or(sentence, |reason| reason.text.clone());
    // A saturated worker is no fault in a closed loop: it is what the load was limited by.
    let harmless = match code {
        Code::Valid | Code::ServerLimited => true,
        Code::ClientLimited => !evidence.is_open(),
        Code::ConnectionLimited => {
            has(Rule::NoConnectionFree).is_some() && evidence.end != End::Overloaded
        }
        Code::InsufficientSamples | Code::NotSteady | Code::Unstable => false,
    };
    let valid = harmless && reasons.iter().all(|reason| reason.level != Level::Invalid);
    let (target, target_text) = state::of(evidence, &reasons);
    let max_is_own = rules::owns_longest(evidence);
    Verdict { target, target_text, max_is_own, code, valid, sentence, reasons }
}

fn client_limited(evidence: &Evidence<'_>, invalid: Option<&Reason>) -> Option<String> {
    let busiest = evidence.busiest();
    match invalid {
        Some(reason) if evidence.is_open() || reason.rule == Rule::ClientLag => {
            Some(reason.text.clone())
        }
        _ if busiest >= SATURATED_SHARE && !evidence.is_open() => Some(rules::limit(evidence)),
        _ => None,
    }
}

fn overloaded(evidence: &Evidence<'_>) -> String {
    let most = evidence.asked.max_in_flight.unwrap_or_default();
    format!(
        "a request was due while there was no room for it, with {most} in flight at most, and --on-overload abort ends the run then"
    )
}

/// The growth of what is unanswered over the second half of a constant load, in requests a second.
fn unstable(evidence: &Evidence<'_>) -> Option<f64> {
    if !evidence.is_open() || !evidence.asked.is_constant {
        return None;
    }
    growth(&evidence.outstanding(), evidence.rates().offered_rps)
}

/// Too few samples for a quantile that somebody asked for: those of the gates, and p99, which every report shows. Others
/// are shown as bounds.
fn too_few(evidence: &Evidence<'_>) -> Option<String> {
    let of_gates = evidence.asked.slo.iter().filter(|clause| clause.scope == Scope::Window);
    let mut of_gates = of_gates.filter_map(|clause| {
        // How late the client was is judged by rules of its own.
        let timing = clause.metric.timing().filter(|_| !clause.metric.is_of_client())?;
        let (values, quantile) = (evidence.latencies.timing(timing)?, clause.metric.quantile()?);
        lacks(values, quantile, &clause.text)
    });
    lacks(&evidence.latencies.response, 0.99, "a p99").or_else(|| of_gates.next())
}

/// What there is, and what `whom` needs; `None` where there is enough.
fn lacks(values: &Distribution, quantile: f64, whom: &str) -> Option<String> {
    let (count, needed) = (values.all.count(), fewest_samples(quantile));
    let effective = values.effective_count(quantile).unwrap_or(count);
    if effective >= needed {
        return None;
    }
    Some(if effective < count && count >= needed {
        format!(
            "{count} responses that depend on one another tell as much as {effective}, too few for {whom}, which needs {needed}: run longer"
        )
    } else {
        let responses = if count == 1 { "response is" } else { "responses are" };
        format!("{count} {responses} too few for {whom}, which needs {needed}")
    })
}

fn fine(evidence: &Evidence<'_>) -> (Code, String) {
    if !evidence.is_open() {
        let share = percent(1.0 - evidence.busiest());
        return (
            Code::ServerLimited,
            format!("the workers waited for the server {share} of the time"),
        );
    }
    let counts = &evidence.measured.counts;
    let kept = counts.ok + counts.unexpected + counts.http_error;
    if counts.scheduled > 0 && kept * 100 < counts.scheduled * 99 {
        let missing = counts.scheduled - kept;
        let scheduled = counts.scheduled;
        return (
            Code::ServerLimited,
            format!("{missing} of {scheduled} requests got no whole answer"),
        );
    }
    (Code::Valid, "the client kept its schedule".to_owned())
}

fn milliseconds(length_ns: u64) -> String {
    format!("{:.3} ms", seconds(length_ns) * 1e3)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[cfg(test)]
mod tests;
