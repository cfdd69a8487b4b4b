//! A plan that is not carried out: what would be sent, when, and to whom.

use serde_json::{Value, json};

use crate::plan::Plan;
use crate::report::format::{self, count, counted, length};
use crate::report::json::plan_of;
use crate::report::page::{Page, Style};
use crate::report::text::{threads_and_load, whom};
use crate::time::seconds;

/// So many requests of a schedule are shown.
const SHOWN_SLOTS: usize = 5;
/// Of a request so many bytes are shown in a text.
const SHOWN_BYTES: usize = 4096;

/// For people.
#[must_use]
pub fn plan_text(plan: &Plan, style: Style) -> String {
    let mut page = Page::new(style);
    whom(&mut page, plan);
    if let Some(security) = &plan.security {
        page.fact("TLS", &format!("for {}, {}", security.name(), security.vouching()));
    }
    threads_and_load(&mut page, plan);
    let requests = plan.load.requests.map(|requests| counted(requests, "request"));
    let duration = plan.load.duration_ns.map(length);
    let wanted: Vec<String> = requests.into_iter().chain(duration).collect();
    page.fact("Duration", &wanted.join(" or "));
    page.fact(
        "Warm-up",
        &if plan.load.auto_warmup {
            "cut from it afterwards".to_owned()
        } else {
            length(plan.load.warmup_ns)
        },
    );
    page.fact("Seed", &plan.seed.to_string());
    if let Some(schedule) = &plan.schedule {
        let slots = schedule
            .slots()
            .map_or("no fixed number of requests".to_owned(), |slots| counted(slots, "request"));
        let first: Vec<String> =
            first_due_s(plan).iter().map(|at_s| format!("{at_s:.6}")).collect();
        let more = if first.len() == SHOWN_SLOTS { " ..." } else { "" };
        page.fact(
            "Schedule",
            &format!(
                "{slots} in the measured window; with the warm-up, due at {}{more} s",
                first.join(", ")
            ),
        );
    }
    page.gap();
    if let Some(version) = plan.route.proxy_protocol {
        page.line(&format!("Each connection begins with a PROXY protocol header, {version:?}."));
    }
    if plan.route.reset_on_close {
        page.line("Connections are closed with a reset.");
    }
    if let Some(tunnel) = &plan.tunnel {
        page.line("Then the proxy is asked for a tunnel:");
        lines(&mut page, &masked(tunnel));
    }
    let length = plan.request.length();
    page.line(&format!("Request, {} bytes:", count(length as u64)));
    let request = masked(plan.request.one());
    let shown = &request[..request.len().min(SHOWN_BYTES)];
    lines(&mut page, shown);
    if shown.len() < request.len() {
        page.line(&format!("  ... and {} more bytes", count((request.len() - shown.len()) as u64)));
    }
    page.gap();
    let tunnel_masked = plan.tunnel.as_ref().is_some_and(|tunnel| masked(tunnel) != tunnel[..]);
    if request != plan.request.one() || tunnel_masked {
        page.line("Values of Authorization, Proxy-Authorization and Cookie are masked.");
    }
    page.line("Nothing was sent.");
    page.finish()
}

fn lines(page: &mut Page, bytes: &[u8]) {
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        page.line(&format!("  {}", format::escape(line)));
    }
}

/// For programs: schema `maxq.plan/1`.
#[must_use]
pub fn plan_json(plan: &Plan) -> String {
    let request = masked(plan.request.one());
    let document = json!({
        "schema": "maxq.plan/1",
        "plan": plan_of(plan),
        "request": { "bytes": plan.request.length(), "escaped": format::escape(&request) },
        "schedule": plan.schedule.as_ref().map_or(Value::Null, |schedule| {
            json!({ "requests": schedule.slots(), "first_due_s": first_due_s(plan) })
        }),
    });
    format!("{document:#}\n")
}

/// A request with the values of its secret headers replaced: reports travel further than their authors think.
fn masked(request: &[u8]) -> Vec<u8> {
    const SECRET: [&[u8]; 3] = [b"authorization:", b"proxy-authorization:", b"cookie:"];
    let mut shown = Vec::new();
    let mut in_head = true;
    for line in request.split_inclusive(|&byte| byte == b'\n') {
        let secret = SECRET
            .iter()
            .find(|name| line.len() >= name.len() && line[..name.len()].eq_ignore_ascii_case(name));
        match secret {
            Some(name) if in_head => {
                shown.extend_from_slice(&line[..name.len()]);
                shown.extend_from_slice(b" [masked]\r\n");
            }
            _ => shown.extend_from_slice(line),
        }
        // A file of --raw may hold several requests.
        in_head = (in_head && line.trim_ascii() != b"") || is_request_line(line);
    }
    shown
}

fn is_request_line(line: &[u8]) -> bool {
    [b" HTTP/1.1".as_slice(), b" HTTP/1.0"].iter().any(|end| line.trim_ascii_end().ends_with(end))
}

/// When the first requests are due, in seconds from the start of the warm-up.
fn first_due_s(plan: &Plan) -> Vec<f64> {
    let Some(schedule) = &plan.schedule else { return Vec::new() };
    let mut cursor = schedule.cursor(0, 1);
    let next = std::iter::from_fn(|| {
        let slot = cursor.peek()?;
        cursor.advance();
        Some(seconds(slot.at_ns))
    });
    next.take(SHOWN_SLOTS).collect()
}
