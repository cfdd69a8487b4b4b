//! What the target did, as opposed to whether the measurement of it can be believed.

use super::{Evidence, drift, unstable};
use crate::result::summary::End;
use crate::result::verdict::{Level, Reason, Rule, TargetState};
use crate::units::{significant, thousands};

/// From this share of bad answers on, a target fails.
const FAILING_SHARE: f64 = 0.01;
/// An open loop of which this share is never sent, because every connection is busy, is more than the target can do.
const UNSENT_SHARE: f64 = 0.01;
/// A phase that lacks this share of its answers when it ends asked for more than the target can do.
const UNANSWERED_SHARE: f64 = 0.1;

/// The state of the target, with the figure that it is taken from.
pub(super) fn of(evidence: &Evidence<'_>, reasons: &[Reason]) -> (TargetState, String) {
    if let Some(text) = failing(evidence, reasons) {
        (TargetState::Failing, text)
    } else if let Some(text) = overloaded(evidence) {
        (TargetState::Overloaded, text)
    } else if let Some(text) = degraded(evidence, reasons) {
        (TargetState::Degraded, text)
    } else {
        (TargetState::Held, held(evidence))
    }
}

/// Requests that got no good answer, and all that ended.
fn errors(evidence: &Evidence<'_>) -> (u64, u64) {
    let counts = &evidence.measured.counts;
    // A run that was cut short did not wait for what was in flight.
    let waited = evidence.end == End::Finished;
    let unanswered = if waited { counts.in_flight_at_end } else { 0 };
    let errors = counts.completed() - counts.ok + counts.failed() + unanswered;
    (errors, counts.ok + errors)
}

fn failing(evidence: &Evidence<'_>, reasons: &[Reason]) -> Option<String> {
    let lost = reasons
        .iter()
        .find(|reason| reason.level == Level::Invalid && Rule::OF_TARGET.contains(&reason.rule));
    if let Some(lost) = lost {
        // What the rates mean then is for the verdict to say.
        return Some(lost.text.split(';').next().unwrap_or_default().to_owned());
    }
    let (errors, ended) = errors(evidence);
    if ended == 0 && (evidence.end == End::GaveUp || evidence.record.connections.opened == 0) {
        return Some("no connection could be opened".to_owned());
    }
    if share(errors, ended) < FAILING_SHARE {
        return None;
    }
    let mut text = share_text(errors, ended);
    if evidence.is_open() {
        let rates = evidence.rates();
        text += &format!(
            "; {} of {} requests a second got a good answer",
            thousands(&significant(rates.goodput_rps, 1)),
            thousands(&significant(rates.offered_rps, 1))
        );
    }
    Some(text)
}

/// `24.7 % errors (1234 of 5000 requests)`.
fn share_text(errors: u64, ended: u64) -> String {
    let share_pct = significant(share(errors, ended) * 100.0, 1);
    format!(
        "{share_pct} % errors ({} of {} requests)",
        thousands(&errors.to_string()),
        thousands(&ended.to_string())
    )
}

fn overloaded(evidence: &Evidence<'_>) -> Option<String> {
    if !evidence.is_open() {
        return None;
    }
    let rates = evidence.rates();
    let answered = |phase: &str, answered_rps: f64, offered_rps: f64| {
        format!(
            "{phase}{} of {} requests a second answered",
            thousands(&significant(answered_rps, 1)),
            thousands(&significant(offered_rps, 1))
        )
    };
    if unstable(evidence).is_some() {
        return Some(answered("", rates.achieved_rps, rates.offered_rps));
    }
    let (counts, unsent) = (&evidence.measured.counts, &evidence.measured.unsent);
    let unsent = unsent.total() - unsent.late;
    if evidence.end == End::Overloaded || share(unsent, counts.scheduled) >= UNSENT_SHARE {
        let text = answered("", rates.achieved_rps, rates.offered_rps);
        return Some(format!(
            "{text}; {} were never sent, because no connection was free",
            thousands(&unsent.to_string())
        ));
    }
    let (name, answered_rps, offered_rps) = overloaded_phase(evidence)?;
    Some(answered(&format!("in {name}, "), answered_rps, offered_rps))
}

/// The phase that was asked for most beyond what it answered, with its rates.
#[expect(clippy::cast_precision_loss, reason = "rates are shown with few digits")]
fn overloaded_phase<'a>(evidence: &'a Evidence<'_>) -> Option<(&'a str, f64, f64)> {
    let spans = evidence.asked.timeline.phases();
    if evidence.asked.is_constant || spans.len() != evidence.record.phases.len() {
        return None;
    }
    // What a target that keeps up takes: the fast answers of the run did not wait behind others.
    let usual_ns = evidence.latencies.service.all.quantile_ns(0.1)? as f64;
    let end_ns = spans[0].end_ns.saturating_add(evidence.measured_ns);
    let bursts = evidence.asked.timeline.bursts();
    let phases = spans.iter().zip(&evidence.record.phases).zip(0_u16..).skip(1);
    let asked_too_much = phases.filter_map(|((span, record), index)| {
        let length_ns = span.end_ns.min(end_ns).saturating_sub(span.start_ns);
        if bursts.is_some_and(|bursts| bursts.0 == index) || length_ns == 0 {
            return None;
        }
        let (asked, answered) = (record.counts.scheduled, record.completed_in_window);
        let missing = asked.saturating_sub(answered) as f64;
        let per_ns = asked as f64 / length_ns as f64;
        let is_much =
            missing > UNANSWERED_SHARE * asked as f64 && missing > 2.0 * per_ns * usual_ns;
        let per_second = |count: u64| count as f64 * 1e9 / length_ns as f64;
        is_much.then(|| (missing, (span.name.as_str(), per_second(answered), per_second(asked))))
    });
    asked_too_much.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, phase)| phase)
}

fn degraded(evidence: &Evidence<'_>, reasons: &[Reason]) -> Option<String> {
    let (errors, ended) = errors(evidence);
    let mut found: Vec<String> = drift::rise(evidence).into_iter().collect();
    if errors > 0 {
        found.push(share_text(errors, ended));
    }
    let unsent = evidence.measured.unsent.total() - evidence.measured.unsent.late;
    if evidence.is_open() && unsent > 0 {
        let unsent = thousands(&unsent.to_string());
        found.push(format!("{unsent} requests were never sent, because no connection was free"));
    }
    let lost = reasons.iter().filter(|reason| Rule::OF_TARGET.contains(&reason.rule));
    found.extend(lost.map(|reason| reason.text.clone()));
    (!found.is_empty()).then(|| found.join("; "))
}

fn held(evidence: &Evidence<'_>) -> String {
    let (_, ended) = errors(evidence);
    match ended {
        0 => "no request has ended".to_owned(),
        1 => "the only request got a good answer".to_owned(),
        _ => {
            let rate = thousands(&significant(evidence.rates().goodput_rps, 1));
            let ended = thousands(&ended.to_string());
            format!("all {ended} requests got a good answer, {rate} a second")
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    crate::result::summary::share(part, whole)
}
