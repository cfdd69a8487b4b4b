//! The document of a sweep, schema `maxq.sweep/1`, which holds its runs whole.

use serde_json::{Map, Value, json};

use crate::plan::Plan;
use crate::report::Document;
use crate::report::json::{end, micros, plan_of};
use crate::result::summary::{
    Course, Doubling, Estimate, Knee, Onset, PowerPoint, Scalability, SweepRun, SweepSummary,
};
use crate::time::seconds;

/// The JSON Schema (draft 2020-12) of the documents that [`sweep_json`] writes; their runs obey `maxq.run/1`.
#[must_use]
pub fn sweep_json_schema() -> &'static str {
    include_str!("../sweep.schema.json")
}

/// The document of a sweep, indented, with a newline at its end. The documents of its runs and of its sentinels stand in
/// the order of the summary's.
#[must_use]
pub fn sweep_json(
    plan: &Plan,
    sweep: &SweepSummary,
    runs: Vec<Document>,
    sentinels: Vec<Document>,
) -> String {
    let course = &sweep.course;
    let mut points: Vec<(&SweepRun, usize, Value)> = sweep
        .runs
        .iter()
        .zip(runs)
        .enumerate()
        .map(|(index, (run, document))| (run, index + 1, document))
        .collect();
    points.sort_by(|a, b| a.0.x.total_cmp(&b.0.x).then(a.0.repeat.cmp(&b.0.repeat)));
    let points: Vec<Value> = points
        .into_iter()
        .map(|(run, ran_as, document)| point(run, Some(ran_as), document))
        .collect();
    let sentinels: Vec<Value> = sweep
        .sentinels
        .iter()
        .zip(sentinels)
        .map(|(run, document)| point(run, None, document))
        .collect();
    let findings = &sweep.findings;
    let mut reasons = Map::new();
    let value = json!({
        "schema": "maxq.sweep/1",
        "tool": { "version": env!("CARGO_PKG_VERSION"), "git": option_env!("MAXQ_GIT") },
        "variable": course.name(),
        "partial": sweep.end != crate::result::summary::End::Finished,
        "end": end(plan, sweep.end),
        "url": plan.target.to_string(),
        "plan": plan_of(plan),
        "course": {
            "values": course.values,
            "durations_s": durations(course),
            "repeats": course.repeats,
            "order": course.order.name(),
            "pause_s": seconds(course.pause_ns),
            "seed": course.seed,
            "runs": course.runs(),
        },
        "points": points,
        "sentinels": sentinels,
        "drift": sweep.drift.map(|drift| json!({
            "sentinel": drift.sentinel,
            "p50_pct": drift.p50_share.map(percent),
            "rate_pct": drift.rate_share.map(percent),
            "warns": drift.is_large(),
        })),
        "left_out": sweep.left_out(),
        "late": sweep.late(),
        "mostly_errors": sweep.mostly_errors(),
        "p99_lower_bounds": sweep.bounded_p99(),
        "saturation": saturation(sweep),
        "power_point": found(&findings.power_point, "power_point", &mut reasons, power_point),
        "kneedle": found(&findings.kneedle, "kneedle", &mut reasons, kneedle),
        "p99_doubles": found(&findings.doubling, "p99_doubles", &mut reasons, doubling),
        "usl": found(&findings.usl, "usl", &mut reasons, usl),
        "errors_start": found(&findings.errors, "errors_start", &mut reasons, errors_start),
        "littles_law_worst_pct": sweep.worst_little().map(percent),
        "reasons": {
            "saturation": findings.saturation.reason,
            "power_point": reasons.get("power_point"),
            "kneedle": reasons.get("kneedle"),
            "p99_doubles": reasons.get("p99_doubles"),
            "usl": reasons.get("usl"),
            "errors_start": reasons.get("errors_start"),
        },
    });
    format!("{value:#}\n")
}

fn percent(share: f64) -> f64 {
    share * 100.0
}

/// Measured time of the runs of each value; null where a number of requests ends them.
fn durations(course: &Course) -> Option<Vec<f64>> {
    let lengths_ns = &course.lengths_ns;
    (!lengths_ns.is_empty()).then(|| lengths_ns.iter().map(|&length| seconds(length)).collect())
}

fn errors_start(errors: &Onset) -> Value {
    json!({ "x": errors.x, "error_pct": percent(errors.share), "at_lowest": errors.at_lowest })
}

fn point(run: &SweepRun, ran_as: Option<usize>, document: Value) -> Value {
    json!({
        "x": run.x,
        "repeat": run.repeat,
        "ran_as": ran_as,
        "left_out": run.is_left_out(),
        "late": run.late,
        "goodput_rps": run.goodput_rps,
        "errors": run.errors,
        "error_pct": percent(run.error_share()),
        "p95_us": run.p95().map(|p95| micros(p95.value_ns)),
        "mean_in_flight": run.mean_in_flight,
        "littles_law_pct": run.little.map(percent),
        "run": document,
    })
}

/// What was found, or null and a reason.
fn found<T>(
    finding: &Result<T, String>,
    name: &str,
    reasons: &mut Map<String, Value>,
    show: fn(&T) -> Value,
) -> Value {
    match finding {
        Ok(found) => show(found),
        Err(reason) => {
            reasons.insert(name.to_owned(), json!(reason));
            Value::Null
        }
    }
}

/// An interval, whose infinite end is null.
fn interval(estimate: &Estimate) -> Value {
    json!(estimate.ci95.map(|(low, high)| [Some(low), high.is_finite().then_some(high)]))
}

fn saturation(sweep: &SweepSummary) -> Value {
    let saturation = &sweep.findings.saturation;
    let rps = saturation.rps.as_ref();
    json!({
        "rps": rps.map(|rate| rate.value),
        "ci95_rps": rps.map(interval),
        "at_least_rps": saturation.at_least_rps,
        "slope_beyond": saturation.slope.map(|slope| slope.value),
        "ci95_slope_beyond": saturation.slope.as_ref().map(interval),
        "collapses": saturation.collapses(),
        "all_connections_busy": sweep.is_full_beyond(),
    })
}

fn power_point(power: &PowerPoint) -> Value {
    json!({
        "rps": power.rps.value,
        "ci95_rps": interval(&power.rps),
        "x": power.x.value,
        "ci95_x": interval(&power.x),
        "at_edge": power.at_edge,
    })
}

fn kneedle(knee: &Knee) -> Value {
    json!({ "x": knee.x.value, "ci95_x": interval(&knee.x), "range": [knee.range.0, knee.range.1] })
}

fn doubling(doubling: &Doubling) -> Value {
    json!({
        "x": doubling.x.value,
        "ci95_x": interval(&doubling.x),
        "base_p99_us": doubling.base_s * 1e6,
    })
}

fn usl(usl: &Scalability) -> Value {
    json!({
        "gain_rps": usl.gain_rps.value,
        "ci95_gain_rps": interval(&usl.gain_rps),
        "contention": usl.contention.value,
        "ci95_contention": interval(&usl.contention),
        "coherency": usl.coherency.value,
        "ci95_coherency": interval(&usl.coherency),
        "best_connections": usl.best_users.map(|best| best.value),
        "ci95_best_connections": usl.best_users.as_ref().map(interval),
        "peak_rps": usl.peak_rps,
    })
}
