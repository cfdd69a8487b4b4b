//! The `T` rules: was the target there all the time?

use super::{Evidence, percent};
use crate::result::summary::{End, Quiet, Stretch};
use crate::result::verdict::{Level, Reason, Rule};
use crate::time::{NANOS_PER_SECOND, seconds};
use crate::units::significant;

/// A smaller share of the connections' time is worth a warning only.
const MISSING_SHARE: f64 = 0.01;
/// Stretches that are told one by one.
const MOST_TOLD: usize = 3;

/// T1, T2, T3.
pub(super) fn all(evidence: &Evidence<'_>) -> Vec<Reason> {
    [no_connection, lost, no_good_answer].into_iter().flat_map(|rule| rule(evidence)).collect()
}

/// T1: no connection could be had.
fn no_connection(evidence: &Evidence<'_>) -> Vec<Reason> {
    let dark = &evidence.presence.dark;
    if dark.is_empty() {
        return Vec::new();
    }
    let when = times(dark.iter().copied());
    let text = format!("no connection could be had {when}{}", rate_meanwhile(evidence, dark));
    vec![Reason { rule: Rule::NoConnection, level: Level::Invalid, text }]
}

/// T2: some connections were lost, for good or for a while, and others were not.
fn lost(evidence: &Evidence<'_>) -> Vec<Reason> {
    let presence = evidence.presence;
    let is_told = presence.dark.last().is_some_and(|dark| dark.to_the_end);
    if is_told {
        return Vec::new();
    }
    let Some(&first_ns) = presence.lost.first() else { return came_back(evidence) };
    let (lost, asked) = (presence.lost.len(), evidence.record.connections.asked);
    let text = format!(
        "{lost} of {asked} connections were lost and could not be opened again, the first from {:.1} s on",
        seconds(first_ns)
    );
    let is_much = presence.missing_share > MISSING_SHARE || evidence.end == End::GaveUp;
    let level = if is_much { Level::Invalid } else { Level::Warn };
    vec![Reason { rule: Rule::ConnectionsLost, level, text }]
}

/// T2 where all of them came back. When none was open is told by T1.
fn came_back(evidence: &Evidence<'_>) -> Vec<Reason> {
    let presence = evidence.presence;
    let dark_s: f64 = presence.dark.iter().map(|dark| seconds(dark.to_ns - dark.from_ns)).sum();
    let dark_share = dark_s / seconds(evidence.measured_ns.max(1));
    let is_much = presence.missing_share - dark_share > MISSING_SHARE;
    let Some(missing) = presence.missing.filter(|_| is_much) else { return Vec::new() };
    let text = format!(
        "connections were lost and could not be opened again for a while, {} of their time, between {:.1} s and {:.1} s",
        percent(presence.missing_share),
        seconds(missing.from_ns),
        seconds(missing.to_ns)
    );
    vec![Reason { rule: Rule::ConnectionsLost, level: Level::Invalid, text }]
}

/// T3: connections were open, and no good answer came.
fn no_good_answer(evidence: &Evidence<'_>) -> Vec<Reason> {
    let counts = &evidence.measured.counts;
    let rule = |level, text| vec![Reason { rule: Rule::NoGoodAnswer, level, text }];
    if counts.ok == 0 && counts.sent > 0 {
        let text = match counts.sent {
            1 => "the only request got no good answer".to_owned(),
            sent => format!("none of {sent} requests got a good answer"),
        };
        return rule(Level::Invalid, text);
    }
    let quiet = &evidence.presence.quiet;
    // An open loop goes on asking, and what waits for an answer is seen in its response times.
    let is_harmless = |quiet: &Quiet| quiet.was_late && evidence.is_open();
    let worst: Vec<Stretch> =
        quiet.iter().filter(|quiet| !is_harmless(quiet)).map(|quiet| quiet.stretch).collect();
    if !worst.is_empty() {
        let when = times(worst.iter().copied());
        let rate = rate_meanwhile(evidence, &worst);
        return rule(Level::Invalid, format!("no good answer came {when}{rate}"));
    }
    if quiet.is_empty() {
        return Vec::new();
    }
    let when = times(quiet.iter().map(|quiet| quiet.stretch));
    rule(Level::Warn, format!("no good answer came {when}; what was awaited came late"))
}

/// When: `from 3.1 s to 5.6 s, and from 7.0 s to the end`.
fn times(stretches: impl ExactSizeIterator<Item = Stretch>) -> String {
    let more = stretches.len().saturating_sub(MOST_TOLD);
    let told = stretches.take(MOST_TOLD).map(|stretch| {
        let from_s = seconds(stretch.from_ns);
        if stretch.to_the_end {
            format!("from {from_s:.1} s to the end")
        } else {
            format!("from {from_s:.1} s to {:.1} s", seconds(stretch.to_ns))
        }
    });
    let mut text = told.collect::<Vec<_>>().join(", and ");
    if more > 0 {
        text += &format!(", and {more} more times");
    }
    text
}

/// What the rates of the whole window hide: how fast the target was while it was there.
#[expect(clippy::cast_precision_loss, reason = "rates are shown with few digits")]
fn rate_meanwhile(evidence: &Evidence<'_>, away: &[Stretch]) -> String {
    let away_ns: u64 = away.iter().map(|stretch| stretch.to_ns - stretch.from_ns).sum();
    let rest_ns = evidence.measured_ns.saturating_sub(away_ns);
    let answered = evidence.measured.completed_in_window;
    if rest_ns == 0 || answered == 0 {
        return String::new();
    }
    let rate = answered as f64 * NANOS_PER_SECOND as f64 / rest_ns as f64;
    let rate = significant(rate, 0);
    format!("; rates are over the whole window: without that time, {rate} answers a second came")
}
