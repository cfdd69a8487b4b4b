//! What was agreed on with the server, and what agreeing took: text and JSON.

use serde_json::{Value, json};

use crate::core::record::Negotiated;
use crate::plan::Plan;
use crate::report::format::{count, counted, duration, float, percent};
use crate::report::page::Page;
use crate::result::summary::{Summary, share};
use crate::time::seconds;
use crate::units::significant;

/// The line about TLS among those that say what was run; nothing for plain text.
pub(super) fn agreement(page: &mut Page, plan: &Plan, summary: &Summary) {
    let Some(security) = &plan.security else { return };
    let agreements = summary.record.handshakes.agreements();
    let agreed = match agreements {
        [] => "nothing was agreed on".to_owned(),
        [(only, _)] => words(only),
        several => several
            .iter()
            .map(|(negotiated, times)| format!("{} ({} times)", words(negotiated), count(*times)))
            .collect::<Vec<_>>()
            .join("; "),
    };
    page.fact("TLS", &format!("{agreed}; {}", security.vouching()));
}

fn words(negotiated: &Negotiated) -> String {
    let Negotiated { version, cipher, group, alpn } = negotiated;
    let group = group.map(|group| format!(", {group}")).unwrap_or_default();
    let alpn = alpn.map_or(", no ALPN".to_owned(), |alpn| format!(", ALPN {alpn}"));
    format!("{version}, {cipher}{group}{alpn}")
}

/// The lines about handshakes among those about connections.
pub(super) fn handshakes(page: &mut Page, plan: &Plan, summary: &Summary) {
    if plan.security.is_none() {
        return;
    }
    let handshakes = &summary.record.handshakes;
    page.more(&format!(
        "TLS: {}, {} resumed ({}), {} failed; {} handshakes a second",
        counted(handshakes.full, "full handshake"),
        count(handshakes.resumed),
        percent(share(handshakes.resumed, handshakes.completed())),
        count(handshakes.failed),
        significant(a_second(summary), 2),
    ));
    let times = summary.record.handshake.as_ref();
    if let Some((median, max)) =
        times.and_then(|times| Some((times.quantile_ns(0.5)?, times.max_ns()?)))
    {
        page.more(&format!(
            "time of a handshake: p50 {}, max {}",
            duration(float(median)),
            duration(float(max))
        ));
    }
}

/// Handshakes a second within the measured window.
#[expect(clippy::cast_precision_loss, reason = "a rate is shown with few digits")]
fn a_second(summary: &Summary) -> f64 {
    let window_s = seconds(summary.window.measured_ns);
    if window_s > 0.0 { summary.record.handshakes.in_window as f64 / window_s } else { 0.0 }
}

/// The `tls` object; null for plain text.
pub(super) fn object(plan: &Plan, summary: &Summary) -> Value {
    let Some(security) = &plan.security else { return Value::Null };
    let handshakes = &summary.record.handshakes;
    let agreements: Vec<Value> = handshakes
        .agreements()
        .iter()
        .map(|(negotiated, times)| {
            json!({
                "version": negotiated.version,
                "cipher": negotiated.cipher,
                "group": negotiated.group,
                "alpn": negotiated.alpn,
                "handshakes": times,
            })
        })
        .collect();
    let completed = handshakes.completed();
    json!({
        "name": security.name(),
        "verified": security.is_verified(),
        "trust": security.trust,
        "full": handshakes.full,
        "resumed": handshakes.resumed,
        "failed": handshakes.failed,
        "resumed_share": (completed > 0).then(|| share(handshakes.resumed, completed)),
        "handshakes_rps": a_second(summary),
        "negotiated": agreements,
    })
}
