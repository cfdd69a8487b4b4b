//! One run as it was written down.

use std::collections::BTreeMap;

use serde_json::Value;

use super::histogram;
use super::seek::{amount, at, count, flag, number, text};

/// The latencies that every run has.
const LATENCIES: [&str; 7] = ["p50", "p90", "p95", "p99", "p99_9", "mean", "max"];

/// What a document says of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where it came from, for people.
    pub source: String,
    /// The whole document.
    pub document: Value,
    /// The hash of its plan: runs of the same plan may be compared.
    pub hash: String,
    /// What it was run against.
    pub url: String,
    /// Whether requests came by a schedule.
    pub open: bool,
    /// Why its numbers do not mean what they seem to.
    pub void: Option<String>,
    /// It did not carry out its plan.
    pub partial: bool,
    /// Response times by name (`p50` to `p99_9`, `mean`, `max`), in microseconds; without those that nothing answered.
    pub latency_us: BTreeMap<&'static str, f64>,
    /// Their 95 % intervals, where they are known.
    pub interval_us: BTreeMap<&'static str, (f64, f64)>,
    /// Names of quantiles that are lower bounds only.
    pub unsupported: Vec<String>,
    /// Requests that were due, or taken.
    pub scheduled: u64,
    /// Those of them that got a good response.
    pub ok: u64,
    /// Requests that were given up at their timeout.
    pub timeouts: u64,
    /// Requests that were never sent.
    pub unsent: u64,
    /// Requests a second that were offered.
    pub offered_rps: f64,
    /// Whole responses a second.
    pub achieved_rps: f64,
    /// CPU time of the client a request, in microseconds.
    pub cpu_us: Option<f64>,
    /// Requests that came into being, and whole responses, in each whole second of the measured window.
    pub seconds: Vec<(f64, f64)>,
    /// Response times in nanoseconds, with how often each came.
    pub responses: Vec<(u64, u64)>,
}

impl Run {
    /// Reads a document of schema `maxq.run/1`.
    ///
    /// # Errors
    /// The key that is missing or makes no sense.
    pub fn of(document: Value, source: String) -> Result<Self, String> {
        let mut latency_us = BTreeMap::new();
        let mut interval_us = BTreeMap::new();
        for name in LATENCIES {
            let value = number(&document, &format!("/latency/response/{name}_us"))?;
            // Nothing is answered in no time: there was no answer.
            if let Some(value) = value.filter(|value| *value > 0.0) {
                latency_us.insert(name, value);
            }
            if let Some(interval) = interval(&document, name)? {
                interval_us.insert(name, interval);
            }
        }
        let unsupported = at(&document, "/latency/response/unsupported")?.as_array();
        let unsupported = unsupported.ok_or("latency.response.unsupported is no list")?;
        let responses = match at(&document, "/latency/response/histogram")? {
            Value::Null => Vec::new(),
            Value::String(encoded) => histogram::values(encoded)?,
            _ => return Err("latency.response.histogram is no text".to_owned()),
        };
        let (scheduled, ok) =
            (count(&document, "/counts/scheduled")?, count(&document, "/counts/ok")?);
        if ok > scheduled {
            return Err(format!("counts.ok is {ok} of {scheduled} that were scheduled"));
        }
        let part = |name: &str| {
            let part = count(&document, &format!("/counts/{name}"))?;
            if part > scheduled - ok {
                return Err(format!(
                    "counts.{name} is {part} of {scheduled} that were scheduled, {ok} of them ok"
                ));
            }
            Ok(part)
        };
        let (timeouts, unsent) = (part("timeout")?, part("unsent")?);
        at(&document, "/plan")?.as_object().ok_or("plan is no object")?;
        Ok(Self {
            source,
            hash: text(&document, "/plan/hash")?,
            url: text(&document, "/plan/url")?,
            open: text(&document, "/plan/mode")? == "open",
            void: void(&document)?,
            partial: flag(&document, "/partial")?,
            latency_us,
            interval_us,
            unsupported: unsupported.iter().filter_map(Value::as_str).map(super::escape).collect(),
            scheduled,
            ok,
            timeouts,
            unsent,
            offered_rps: amount(&document, "/rates/offered_rps")?,
            achieved_rps: amount(&document, "/rates/achieved_rps")?,
            cpu_us: number(&document, "/client/cpu_us_per_request")?,
            seconds: seconds(&document)?,
            responses,
            document,
        })
    }
}

/// Why the numbers of a run cannot be used. Too few samples for a p99 are no reason: the run is one sample of its own, and
/// how much such runs differ is seen.
fn void(document: &Value) -> Result<Option<String>, String> {
    if flag(document, "/verdict/valid")? {
        return Ok(None);
    }
    let code = text(document, "/verdict/code")?;
    let reasons =
        at(document, "/verdict/reasons")?.as_array().ok_or("verdict.reasons is no list")?;
    let of_weight = reasons.iter().find(|reason| reason["level"] == "invalid");
    if code == "insufficient_samples" && of_weight.is_none() {
        return Ok(None);
    }
    let sentence = document.pointer("/verdict/sentence").and_then(Value::as_str).map(super::escape);
    Ok(Some(match sentence {
        Some(sentence) => format!("{code}: {sentence}"),
        None => code,
    }))
}

fn interval(document: &Value, name: &str) -> Result<Option<(f64, f64)>, String> {
    let key = format!("/latency/response/ci95_us/{name}");
    if document.pointer(&key).is_none_or(Value::is_null) {
        return Ok(None);
    }
    let end = |index: usize| amount(document, &format!("{key}/{index}"));
    Ok(Some((end(0)?, end(1)?)))
}

/// What happened in each whole second of the window.
fn seconds(document: &Value) -> Result<Vec<(f64, f64)>, String> {
    let measured_s = amount(document, "/window/measured_s")?;
    let rows = at(document, "/intervals")?.as_array().ok_or("intervals is no list")?;
    let row = |row: &Value| {
        let end_s = row.get("t_s").and_then(Value::as_f64)?;
        let within = end_s >= 1.0 && end_s <= measured_s;
        let number = |key: &str| row.get(key).and_then(Value::as_f64).filter(|n| *n >= 0.0);
        number("scheduled").zip(number("completed")).filter(|_| within)
    };
    Ok(rows.iter().filter_map(row).collect())
}
