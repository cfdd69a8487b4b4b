//! The JSON document of a run, schema `maxq.run/1`.
//!
//! Every key is always present; what does not apply to a run is null. Keys may be added, never renamed. The document is
//! a function of plan and summary alone: the same run gives the same bytes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::failure::errno_name;
use crate::plan::Plan;
use crate::record::{Counts, ErrorRow, LatencyHistogram, Phase, PhaseRecord};
use crate::report::timeseries::interval;
use crate::report::{base64, format};
use crate::summary::{End, Latencies, Quantile, Rates, Spread, Summary, spin_share, work_share};
use crate::time::seconds;
use crate::verdict::Verdict;

/// The quantiles of every distribution. Those that are only lower bounds are named in `unsupported`.
const QUANTILES: [(&str, f64); 7] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99_9", 0.999),
    ("p99_99", 0.9999),
];

/// The JSON Schema (draft 2020-12) of the documents that [`json()`] writes.
#[must_use]
pub fn json_schema() -> &'static str {
    include_str!("run.schema.json")
}

/// The document of a run, indented, with a newline at its end.
#[must_use]
pub fn json(plan: &Plan, summary: &Summary) -> String {
    let measured = &summary.record.measured;
    let document = json!({
        "schema": "maxq.run/1",
        "tool": {
            "version": env!("CARGO_PKG_VERSION"),
            "git": option_env!("MAXQ_GIT"),
            "engine": summary.engine,
        },
        "started_at": format::rfc3339(summary.started_at),
        "partial": summary.end != End::Finished,
        "end": end(summary.end),
        "plan": plan_of(plan),
        "host": {
            "cpu": summary.host.cpu,
            "cores_allowed": summary.host.cores_allowed,
            "kernel": summary.host.kernel,
            "clocksource": summary.host.clocksource,
            "cgroup_quota_cores": summary.host.cgroup_quota_cores,
        },
        "verdict": verdict(&summary.verdict),
        "window": {
            "measured_s": seconds(summary.window.measured_ns),
            "warmup_s": seconds(summary.window.warmup_ns),
            "drain_s": seconds(summary.window.drain_ns),
        },
        "counts": counts(&measured.counts),
        "rates": rates(&summary.rates()),
        "bytes": {
            "sent": measured.bytes_sent,
            "received": measured.bytes_received,
            "received_per_s": summary.bytes_per_second(measured.bytes_in_window),
        },
        "status": status(&measured.status),
        "interim_responses": summary.record.interim_responses,
        "errors": summary.record.errors.rows().iter().map(|row| error(row, summary)).collect::<Vec<_>>(),
        "connections": connections(summary),
        "latency": latency_of_run(summary),
        "phases": phases(summary),
        "intervals": summary.intervals.iter().map(interval).collect::<Vec<_>>(),
        "client": client(summary),
        "slo": [],
    });
    format!("{document:#}\n")
}

fn end(end: End) -> Value {
    let (reason, signal) = match end {
        End::Finished => ("finished", None),
        End::Interrupted(signal) => ("interrupted", Some(signal)),
        End::GaveUp => ("gave_up", None),
    };
    json!({ "reason": reason, "signal": signal })
}

fn plan_of(plan: &Plan) -> Value {
    json!({
        "hash": plan.hash(),
        "url": plan.target.to_string(),
        "address": plan.address.to_string(),
        "same_host": plan.same_host,
        "method": plan.method,
        "mode": "closed",
        "threads": plan.threads(),
        "connections": plan.load.connections,
        "pipeline": plan.load.pipeline,
        "rate_rps": null,
        "arrivals": null,
        "stages": null,
        "duration_s": plan.load.duration_ns.map(seconds),
        "requests": plan.load.requests,
        "requests_per_connection": plan.load.requests_per_connection,
        "warmup_s": seconds(plan.load.warmup_ns),
        "timeout_s": seconds(plan.timeouts.request_ns),
        "connect_timeout_s": seconds(plan.timeouts.connect_ns),
        "drain_s": seconds(plan.timeouts.drain_ns),
        "give_up_s": seconds(plan.timeouts.give_up_ns),
        "idle": plan.idle.name(),
        "body_check": plan.body_check,
        "seed": plan.seed,
    })
}

fn verdict(verdict: &Verdict) -> Value {
    let reasons: Vec<Value> = verdict
        .reasons
        .iter()
        .map(|reason| json!({ "rule": reason.rule, "level": reason.level.name(), "text": reason.text }))
        .collect();
    json!({
        "code": verdict.code.name(),
        "valid": verdict.valid,
        "sentence": verdict.sentence,
        "reasons": reasons,
    })
}

fn counts(counts: &Counts) -> Value {
    json!({
        "scheduled": counts.scheduled,
        "sent": counts.sent,
        "unsent": counts.unsent,
        "completed": counts.completed(),
        "ok": counts.ok,
        "unexpected": counts.unexpected,
        "http_error": counts.http_error,
        "protocol_error": counts.protocol_error,
        "truncated": counts.truncated,
        "reset": counts.reset,
        "timeout": counts.timeout,
        "in_flight_at_end": counts.in_flight_at_end,
    })
}

fn rates(rates: &Rates) -> Value {
    json!({
        "offered_rps": rates.offered_rps,
        "sent_rps": rates.sent_rps,
        "achieved_rps": rates.achieved_rps,
        "goodput_rps": rates.goodput_rps,
    })
}

fn status(responses: &[u64]) -> Value {
    let seen: BTreeMap<usize, u64> =
        responses.iter().copied().enumerate().filter(|&(_, count)| count > 0).collect();
    json!(seen)
}

fn error(row: &ErrorRow, summary: &Summary) -> Value {
    json!({
        "phase": row.failure.phase.name(),
        "kind": row.failure.kind.name(),
        "errno": errno(row.failure.errno),
        "count": row.count,
        "first_s": row.first.seconds_from(summary.origin),
        "last_s": row.last.seconds_from(summary.origin),
        "sample": (!row.sample.is_empty()).then(|| format::escape(&row.sample)),
        "hint": row.failure.kind.hint(),
    })
}

/// The symbol of an errno, or its number where it has none here; `None` for 0.
pub(super) fn errno(errno: i32) -> Option<String> {
    (errno != 0).then(|| errno_name(errno).map_or_else(|| errno.to_string(), str::to_owned))
}

fn connections(summary: &Summary) -> Value {
    let tally = &summary.record.connections;
    let fairness = Spread::of(&tally.responses)
        .map(|spread| json!({ "min": spread.min, "median": spread.median, "max": spread.max }));
    json!({
        "asked": tally.asked,
        "opened": tally.opened,
        "used": tally.used,
        "failed": tally.failed,
        "reconnects": tally.reconnects,
        "requests_per_connection": fairness,
    })
}

fn client(summary: &Summary) -> Value {
    let together = summary.client.together();
    let shares: Vec<f64> = summary.client.workers.iter().map(work_share).collect();
    json!({
        "cpu_s": seconds(summary.client.cpu_ns),
        "cpu_us_per_request": summary.cpu_ns_per_response().map(|ns| ns / 1e3),
        "cpu_share_per_worker": shares,
        "spin_share": spin_share(&together),
        "peak_rss_bytes": summary.client.peak_rss_bytes,
        "stamp_skew_us": micros(together.stamp_skew_ns),
        "receive_slack_us": micros(together.receive_slack_ns),
        "buffers_exhausted": together.buffers_exhausted,
        "completions_overflowed": together.completions_overflowed,
    })
}

fn phases(summary: &Summary) -> Vec<Value> {
    let window = summary.window;
    Phase::ALL
        .into_iter()
        .filter_map(|phase| {
            let (record, length_ns, start_s, end_s) = match phase {
                Phase::Warmup if window.warmup_ns == 0 => return None,
                Phase::Warmup => {
                    (&summary.record.warmup, window.warmup_ns, -seconds(window.warmup_ns), 0.0)
                }
                Phase::Measured => {
                    (&summary.record.measured, window.measured_ns, 0.0, seconds(window.measured_ns))
                }
            };
            Some(json!({
                "name": phase.name(),
                "start_s": start_s,
                "end_s": end_s,
                "counts": counts(&record.counts),
                "rates": rates(&Rates::of(record, length_ns)),
                "latency": latency_of_phase(record),
            }))
        })
        .collect()
}

fn latency_of_run(summary: &Summary) -> Value {
    let none_opened = LatencyHistogram::new();
    let connect = summary.record.connect.as_ref().unwrap_or(&none_opened);
    let connect = distribution(connect, connect, Histograms::Included);
    latency(&summary.latencies, Histograms::Included, connect)
}

/// Connections belong to no phase.
fn latency_of_phase(record: &PhaseRecord) -> Value {
    latency(&Latencies::of(record), Histograms::Omitted, Value::Null)
}

/// Whether distributions carry their histogram. Those of the phases do not: they would be most of the document.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Histograms {
    Included,
    Omitted,
}

fn latency(latencies: &Latencies, histograms: Histograms, connect: Value) -> Value {
    let Latencies { response, service, answered, first_byte, failed, censored } = latencies;
    let mut response = distribution(response, answered, histograms);
    response["censored"] = json!(censored);
    json!({
        "response": response,
        "service": distribution(service, answered, histograms),
        "failed": distribution(failed, failed, histograms),
        "ttfb": distribution(first_byte, first_byte, histograms),
        "send_lag": null,
        "client_lag": null,
        "pool_wait": null,
        "connect": connect,
        "tls": null,
    })
}

/// `answered` is `all` without its right-censored values.
fn distribution(
    all: &LatencyHistogram,
    answered: &LatencyHistogram,
    histograms: Histograms,
) -> Value {
    let mut keys = Map::new();
    let mut unsupported = Vec::new();
    keys.insert("count".into(), json!(all.count()));
    keys.insert("min_us".into(), json!(all.min_ns().map(micros)));
    keys.insert("mean_us".into(), json!(all.mean_ns().map(|ns| ns / 1e3)));
    keys.insert("max_us".into(), json!(all.max_ns().map(micros)));
    for (name, quantile) in QUANTILES {
        let value = Quantile::of(all, answered, quantile);
        keys.insert(format!("{name}_us"), json!(value.map(|value| micros(value.value_ns))));
        if value.is_none_or(|value| value.lower_bound) {
            unsupported.push(name);
        }
    }
    // An interval needs the number of independent values, which is far below `count` when responses queue together.
    keys.insert("ci95_us".into(), Value::Null);
    keys.insert("censored".into(), json!(0));
    keys.insert("clamped".into(), json!(all.clamped()));
    keys.insert("unsupported".into(), json!(unsupported));
    let histogram =
        (histograms == Histograms::Included).then(|| base64::encode(&all.to_v2_deflate()));
    keys.insert("histogram".into(), json!(histogram));
    Value::Object(keys)
}

pub(super) fn micros(length_ns: u64) -> f64 {
    format::float(length_ns) / 1e3
}
