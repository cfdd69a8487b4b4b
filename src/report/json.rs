//! The JSON document of a run, schema `maxq.run/1`.
//!
//! Every key is always present; what does not apply to a run is null. Keys may be added, never renamed. The document is
//! a function of plan and summary alone: the same run gives the same bytes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::base64;
use crate::core::failure::errno_name;
use crate::core::http1::head::Body;
use crate::core::record::{BadAnswer, Counts, ErrorRow, PhaseRecord};
use crate::machine::pressure::Pressure;
use crate::plan::Plan;
use crate::report::timeseries::interval;
use crate::report::{format, tls};
use crate::result::summary::{
    Distribution, Disturbance, End, Latencies, PhaseSummary, Rates, Seen, Spread, Stream, Summary,
    spin_share, work_share,
};
use crate::result::verdict::Verdict;
use crate::slo::{Gate, Unit};
use crate::time::seconds;

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
    format!("{:#}\n", document(plan, summary))
}

/// The document of a run as a value, for documents that hold several.
#[must_use]
pub fn document(plan: &Plan, summary: &Summary) -> Value {
    let measured = &summary.measured;
    json!({
        "schema": "maxq.run/1",
        "tool": {
            "version": env!("CARGO_PKG_VERSION"),
            "git": option_env!("MAXQ_GIT"),
            "engine": summary.engine.name(),
            "engine_instead_because": summary.engine.instead_because(),
        },
        "started_at": format::rfc3339(summary.started_at),
        "partial": summary.end != End::Finished,
        "end": end(plan, summary.end),
        "plan": plan_of(plan),
        "preflight": summary.preflight.as_ref().map_or(Value::Null, preflight),
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
        "unsent_by_cause": unsent(measured),
        "rates": rates(&summary.rates()),
        "bytes": {
            "sent": measured.bytes_sent,
            "received": measured.bytes_received,
            "received_per_s": summary.bytes_per_second(measured.bytes_in_window),
        },
        "status": status(&measured.status),
        "interim_responses": summary.record.interim_responses,
        "bad_answers": bad_answers(summary),
        "errors": summary.record.errors.rows().iter().map(|row| error(row, summary)).collect::<Vec<_>>(),
        "connections": connections(summary),
        "tls": tls::object(plan, summary),
        "latency": latency_of_run(summary),
        "in_flight": summary.in_flight.map(|in_flight| json!({
            "mean": in_flight.mean,
            "by_littles_law": in_flight.by_law,
            "difference_pct": in_flight.difference_pct(),
        })),
        "phases": phases(summary),
        "intervals": summary.intervals.iter().map(interval).collect::<Vec<_>>(),
        "client": client(summary),
        "pressure": pressure(&summary.pressure),
        "slo": summary.gates.iter().map(gate).collect::<Vec<_>>(),
        "streams": streams(summary),
    })
}

pub(crate) fn end(plan: &Plan, end: End) -> Value {
    let (reason, signal, condition) = match end {
        End::Finished => ("finished", None, None),
        End::Interrupted(signal) => ("interrupted", Some(signal.number()), None),
        End::GaveUp => ("gave_up", None, None),
        End::Overloaded => ("overloaded", None, None),
        End::Aborted { condition, .. } => ("aborted", None, plan.abort_on.get(condition)),
    };
    let condition = condition.map(|condition| &condition.text);
    json!({ "reason": reason, "signal": signal, "condition": condition })
}

fn preflight(seen: &Seen) -> Value {
    let framing = match seen.framing {
        Body::None => "none",
        Body::Length(_) => "content_length",
        Body::Chunked => "chunked",
        Body::UntilClose => "until_close",
    };
    json!({
        "endpoint": seen.endpoint,
        "status": seen.status,
        "body_bytes": seen.body_bytes,
        "framing": framing,
        "keep_alive": seen.keep_alive,
        "content_encoding": seen.encoding,
        "content_type": seen.content_type,
        "location": seen.location,
        "server": seen.server,
        "connect_us": seconds(seen.connect_ns) * 1e6,
        "first_byte_us": seconds(seen.first_byte_ns) * 1e6,
        "whole_us": seconds(seen.whole_ns) * 1e6,
        "warnings": seen.warnings,
    })
}

pub(crate) fn plan_of(plan: &Plan) -> Value {
    let pacing = plan.load.pacing.as_ref();
    let paced = pacing.filter(|pacing| !pacing.stages.is_empty() || pacing.rate.is_some());
    let hashes = plan.hashes();
    json!({
        "hash": hashes.whole(),
        "hashes": { "load": hashes.load, "request": hashes.request },
        "volatile_headers": plan.volatile_headers,
        "url": plan.target.to_string(),
        "address": plan.route.endpoints.first().map(ToString::to_string),
        "addresses": plan.route.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sources": plan.route.sources.len(),
        "same_host": plan.same_host,
        "method": plan.method,
        "body_bytes": plan.body.as_ref().map(|body| body.length_bytes),
        "content_type": plan.body.as_ref().map(|body| body.content_type.clone()),
        "content_type_from": plan.body.as_ref().map(|body| body.source.name()),
        "mode": if pacing.is_some() { "open" } else { "closed" },
        "threads": plan.threads(),
        "threads_asked": plan.threads_asked,
        "threads_reason": plan.threads_reason,
        "connections": plan.load.connections,
        "pipeline": plan.load.pipeline,
        "rate_rps": pacing.and_then(|pacing| pacing.rate).map(|rate| rate.per_second()),
        "arrivals": paced.map(|pacing| pacing.arrivals.name()),
        "stages": pacing.and_then(|pacing| pacing.stages_text.clone()),
        "burst": pacing.and_then(|pacing| pacing.bursts).map(|bursts| {
            json!({ "requests": bursts.size, "every_s": seconds(bursts.every_ns) })
        }),
        "max_in_flight": pacing.map(|pacing| pacing.max_in_flight),
        "on_overload": pacing.map(|pacing| pacing.on_overload.name()),
        "duration_s": plan.load.duration_ns.map(seconds),
        "requests": plan.load.requests,
        "requests_per_connection": plan.load.requests_per_connection,
        "warmup_s": seconds(plan.load.warmup_ns),
        "auto_warmup": plan.load.auto_warmup,
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
        .map(|reason| json!({ "rule": reason.rule.name(), "level": reason.level.name(), "text": reason.text }))
        .collect();
    json!({
        "code": verdict.code.name(),
        "valid": verdict.valid,
        "sentence": verdict.sentence,
        "target": verdict.target.name(),
        "target_text": verdict.target_text,
        "max_is_own": verdict.max_is_own,
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

fn unsent(record: &PhaseRecord) -> Value {
    let unsent = &record.unsent;
    json!({ "shed": unsent.shed, "expired": unsent.expired, "left": unsent.left, "late": unsent.late })
}

fn gate(gate: &Gate) -> Value {
    let unit = gate.clause.unit;
    let scale = if unit == Unit::Time { 1e3 } else { 1.0 };
    json!({
        "clause": gate.clause.text,
        "scope": gate.clause.scope_text(),
        "value": gate.value.map(|value| value / scale),
        "unit": unit.name(),
        "pass": gate.holds,
        "known": gate.doubt.is_none(),
        "at_s": gate.at_s,
    })
}

fn pressure(pressure: &Pressure) -> Value {
    json!({
        "stolen_share": pressure.stolen_share,
        "throttled_periods": pressure.throttled_periods,
        "tcp_retransmits": pressure.retransmits,
        "listen_overflows": pressure.listen_overflows,
        "waiting_share": pressure.waiting_share,
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

fn bad_answers(summary: &Summary) -> Vec<Value> {
    let answer = |answer: &BadAnswer| {
        json!({
            "status": answer.status,
            "at_s": answer.at.seconds_from(summary.origin),
            "body": format::escape(&answer.body),
            "body_bytes": answer.body_bytes,
            "cut": answer.is_cut(),
        })
    };
    summary.record.bad_answers.all().iter().map(answer).collect()
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
        "hint": row.failure.hint(),
        "response": row.came.map(|came| json!({
            "status": came.status,
            "first_byte_us": micros(came.first_byte_ns),
            "body_bytes": came.body_bytes,
            "body_length": came.body_length,
        })),
    })
}

/// The symbol of an errno, or its number where it has none here; `None` for 0.
pub(crate) fn errno(errno: i32) -> Option<String> {
    (errno != 0).then(|| errno_name(errno).map_or_else(|| errno.to_string(), str::to_owned))
}

fn connections(summary: &Summary) -> Value {
    let tally = &summary.record.connections;
    let fairness = Spread::of(&tally.responses)
        .map(|spread| json!({ "min": spread.min, "median": spread.median, "max": spread.max }));
    json!({
        "asked": tally.asked,
        "opened": tally.opened,
        "kept": tally.kept,
        "used": tally.used,
        "failed": tally.failed,
        "reconnects": tally.reconnects,
        "unfinished": tally.unfinished,
        "lost": summary.presence.lost.len(),
        "requests_per_connection": fairness,
    })
}

fn streams(summary: &Summary) -> Vec<Value> {
    let stream = |stream: &Stream| json!({ "flag": stream.flag, "written": stream.written, "dropped": stream.dropped });
    summary.streams.iter().map(stream).collect()
}

fn client(summary: &Summary) -> Value {
    let together = summary.client.together();
    let shares: Vec<f64> = summary.client.workers.iter().map(work_share).collect();
    json!({
        "cpu_s": seconds(summary.client.cpu_ns),
        "spin_cpu_s": seconds(together.spin_cpu_ns),
        "cpu_us_per_request": summary.cpu_ns_per_response().map(|ns| ns / 1e3),
        "cpu_share_per_worker": shares,
        "spin_share": spin_share(&together),
        "peak_rss_bytes": summary.client.peak_rss_bytes,
        "stamp_skew_us": micros(together.stamp_skew_ns),
        "receive_slack_us": micros(together.receive_slack_ns),
        "late_us": micros(together.late_ns),
        "away_us": micros(together.away_ns),
        "late_at_s": (together.late_ns > 0).then(|| together.late_at.seconds_from(summary.origin)),
        "turn_p99_9_us": summary.record.turns.quantile_ns(0.999).map(micros),
        "clock_read_us": micros(summary.client.clock_read_ns),
        "involuntary_switches": together.involuntary_switches,
        "buffers_exhausted": together.buffers_exhausted,
        "completions_overflowed": together.completions_overflowed,
    })
}

fn phases(summary: &Summary) -> Vec<Value> {
    let phase = |phase: &PhaseSummary| {
        json!({
            "name": phase.name,
            "start_s": phase.start_s,
            "end_s": phase.end_s,
            "counts": counts(&phase.record.counts),
            "unsent_by_cause": unsent(&phase.record),
            "rates": rates(&Rates::of(&phase.record, phase.length_ns)),
            "peak_outstanding": phase.record.most_outstanding,
            "peak_backlog": phase.record.most_backlog,
            "over_slo": phase.over_limit,
            "disturbances": phase.disturbances.iter().map(disturbance).collect::<Vec<_>>(),
            // Connections belong to no phase.
            "latency": latency(&phase.latencies, Histograms::Omitted, (Value::Null, Value::Null)),
        })
    };
    summary.phases.iter().map(phase).collect()
}

fn disturbance(disturbance: &Disturbance) -> Value {
    let recovery = &disturbance.recovery;
    json!({
        "start_s": disturbance.start_s,
        "end_s": disturbance.end_s,
        "peak_latency_us": micros(recovery.peak_latency_ns),
        "peak_outstanding": recovery.peak_outstanding,
        "recovered_after_s": recovery.recovered_after_ns.map(seconds),
        "all_answered_after_s": recovery.all_answered_after_ns.map(seconds),
        "base_p99_us": recovery.base_p99_ns.map(micros),
    })
}

fn latency_of_run(summary: &Summary) -> Value {
    let opened = summary.record.connect.clone().unwrap_or_default();
    let connect = distribution(&Distribution::plain(opened), Histograms::Included);
    let handshake = summary.record.handshake.clone().map_or(Value::Null, |times| {
        distribution(&Distribution::plain(times), Histograms::Included)
    });
    latency(&summary.latencies, Histograms::Included, (connect, handshake))
}

/// Whether distributions carry their histogram. Those of the phases do not: they would be most of the document.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Histograms {
    Included,
    Omitted,
}

fn latency(
    latencies: &Latencies,
    histograms: Histograms,
    (connect, handshake): (Value, Value),
) -> Value {
    let mut response = distribution(&latencies.response, histograms);
    response["censored"] = json!(latencies.censored);
    let lags = latencies.lags.as_ref();
    let lag = |of: Option<&Distribution>| of.map(|lag| distribution(lag, histograms));
    json!({
        "response": response,
        "service": distribution(&latencies.service, histograms),
        "failed": distribution(&latencies.failed, histograms),
        "ttfb": distribution(&latencies.first_byte, histograms),
        "send_lag": lag(lags.map(|lags| &lags.send)),
        "client_lag": lag(lags.map(|lags| &lags.client)),
        "pool_wait": lag(lags.map(|lags| &lags.pool)),
        "connect": connect,
        "tls": handshake,
    })
}

fn distribution(distribution: &Distribution, histograms: Histograms) -> Value {
    let all = &distribution.all;
    let mut keys = Map::new();
    let mut unsupported = Vec::new();
    let mut intervals = Map::new();
    keys.insert("count".into(), json!(all.count()));
    keys.insert("min_us".into(), json!(all.min_ns().map(micros)));
    keys.insert("mean_us".into(), json!(all.mean_ns().map(|ns| ns / 1e3)));
    keys.insert("max_us".into(), json!(all.max_ns().map(micros)));
    for (name, quantile) in QUANTILES {
        let value = distribution.quantile(quantile);
        keys.insert(format!("{name}_us"), json!(value.map(|value| micros(value.value_ns))));
        if value.is_none_or(|value| value.lower_bound) {
            unsupported.push(name);
        }
        if let Some((low, high)) = value.and_then(|value| value.interval_ns) {
            intervals.insert(name.into(), json!([micros(low), micros(high)]));
        }
    }
    // Where it is not known how much responses depend on one another there is no interval.
    let intervals = if intervals.is_empty() { Value::Null } else { Value::Object(intervals) };
    keys.insert("ci95_us".into(), intervals);
    keys.insert("censored".into(), json!(0));
    keys.insert("clamped".into(), json!(all.clamped()));
    keys.insert("unsupported".into(), json!(unsupported));
    let histogram =
        (histograms == Histograms::Included).then(|| base64::encode(&all.to_v2_deflate()));
    keys.insert("histogram".into(), json!(histogram));
    Value::Object(keys)
}

pub(crate) fn micros(length_ns: u64) -> f64 {
    format::float(length_ns) / 1e3
}
