//! What a calibration found, for people and for programs.

use serde_json::json;

use crate::report::format::{duration, float, rate};
use crate::report::page::{Page, Style};
use crate::result::calibration::{Calibration, cache};
use crate::result::summary::Host;

/// One page: each number, and what it means for a user.
#[must_use]
pub fn calibration_text(calibration: &Calibration, host: &Host, shared_core: bool) -> String {
    let mut page = Page::new(Style::default());
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    page.head(&format!("maxq {}: calibration", env!("CARGO_PKG_VERSION")));
    page.fact(
        "Machine",
        &format!(
            "{}, {} cores allowed, Linux {}, clock {}",
            crate::report::format::escape(known(&host.cpu).as_bytes()),
            host.cores_allowed,
            known(&host.kernel),
            known(&host.clocksource)
        ),
    );
    page.gap();
    let ns = |length_ns: u64| duration(float(length_ns));
    page.fact("Clock", &format!("{} a look", ns(calibration.clock_read_ns)));
    page.fact(
        "Sleeping",
        &format!(
            "a sleeping thread wakes up {} late (p50), {} (p99): with --idle sleep this is part of every latency of an idle connection",
            ns(calibration.wake_p50_ns),
            ns(calibration.wake_p99_ns)
        ),
    );
    page.fact(
        "Hiccups",
        &format!(
            "within one second the core was taken away for {} at most: a latency of that length may be this machine's own",
            ns(calibration.hiccup_ns)
        ),
    );
    let at_least = if calibration.client_limited { "" } else { "at least " };
    page.fact(
        "Ceiling",
        &format!(
            "{at_least}{} requests a second of one worker against an empty server, {} of CPU each, p50 {}: offer less than 70 % of it",
            rate(calibration.ceiling_rps),
            duration(calibration.cpu_ns_per_request),
            ns(calibration.service_p50_ns)
        ),
    );
    if shared_core {
        page.more("there is one core only: this is what client and server reach together");
    } else if !calibration.client_limited {
        page.more("the server was the limit: the client can do more");
    }
    page.fact(
        "Pacing",
        &format!(
            "at {} requests a second they were sent {} late (p50), {} (p99); a send stamp was off by {} at most",
            rate(calibration.paced_rps),
            ns(calibration.send_lag_p50_ns),
            ns(calibration.send_lag_p99_ns),
            ns(calibration.stamp_skew_ns)
        ),
    );
    page.finish()
}

/// The same as one JSON document, schema `maxq.calibration/1`.
#[must_use]
pub fn calibration_json(calibration: &Calibration, host: &Host) -> String {
    let document = json!({
        "schema": "maxq.calibration/1",
        "version": env!("CARGO_PKG_VERSION"),
        "host": {
            "cpu": host.cpu,
            "cores_allowed": host.cores_allowed,
            "kernel": host.kernel,
            "clocksource": host.clocksource,
            "cgroup_quota_cores": host.cgroup_quota_cores,
        },
        "calibration": cache::to_json(calibration),
    });
    format!("{document:#}\n")
}
