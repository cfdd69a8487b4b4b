//! The report that people read: what was run, whether it can be trusted, how fast, how slow, what went wrong.
//!
//! Sections stand in the order of the questions that a reader has. Every number comes from the summary; this file only
//! chooses words and columns. Whatever a server sent is escaped.

use crate::http1::head::Body;
use crate::plan::{Idle, Plan};
use crate::record::errors::MOST_ROWS;
use crate::record::{Came, Counts, ErrorRow};
use crate::report::format::{self, count, counted, duration, float, length, percent};
use crate::report::json::errno;
use crate::report::page::{Page, Paint, Style, unbroken};
use crate::report::{gates, latency, phases, tls};
use crate::summary::{End, Engine, Seen, Spread, Summary, spin_share, work_share};
use crate::units::significant;
use crate::verdict::{Level, Verdict};

/// More workers than this are shown as a range.
const MOST_SHARES: usize = 4;

/// The whole report.
#[must_use]
pub fn text(plan: &Plan, summary: &Summary, style: Style) -> String {
    let mut page = Page::new(style);
    what_was_run(&mut page, plan, summary);
    page.gap();
    mark(&mut page, plan, summary);
    verdict(&mut page, &summary.verdict);
    page.gap();
    throughput(&mut page, plan, summary);
    page.gap();
    latency::table(&mut page, &summary.latencies);
    if plan.output.latency {
        latency::distribution(&mut page, &summary.latencies);
    }
    phases::table(&mut page, summary);
    gates::gates(&mut page, summary);
    status_codes(&mut page, summary);
    errors(&mut page, summary);
    page.gap();
    connections(&mut page, summary);
    tls::handshakes(&mut page, plan, summary);
    client(&mut page, summary);
    page.gap();
    page.line(&wrk_lines(summary));
    page.finish()
}

/// The report of `--quiet`: the verdict and the two rates, and a mark when the run was cut short. No colour, no wrapping.
#[must_use]
pub fn quiet_text(plan: &Plan, summary: &Summary) -> String {
    let mark = cut_short(plan, summary)
        .map(|(label, text)| format!("{label} {text}\n"))
        .unwrap_or_default();
    let verdict = &summary.verdict;
    format!(
        "{mark}Verdict: {}: {}\n{}\n",
        verdict_name(verdict),
        verdict.sentence,
        wrk_lines(summary)
    )
}

fn what_was_run(page: &mut Page, plan: &Plan, summary: &Summary) {
    whom(page, plan);
    if let Some(seen) = &summary.preflight {
        page.fact("Answer", &answer(seen));
    }
    tls::agreement(page, plan, summary);
    let idle = plan.idle.name();
    page.fact(
        "Engine",
        &format!("{}, idle {idle}{}", summary.engine.name(), engine_notes(plan, summary)),
    );
    threads_and_load(page, plan);
    page.fact("Duration", &length_of_run(plan, summary));
    page.fact("Warm-up", &warmup(summary));
    page.fact("Seed", &plan.seed.to_string());
}

/// What one request before the run showed.
fn answer(seen: &Seen) -> String {
    let framing = match seen.framing {
        Body::None => "no body",
        Body::Length(_) => "Content-Length",
        Body::Chunked => "chunked",
        Body::UntilClose => "ends with the connection",
    };
    let kept = if seen.keep_alive { "kept alive" } else { "closed after it" };
    let bytes = counted(seen.body_bytes, "byte");
    let mut facts = vec![seen.status.to_string(), format!("{bytes} ({framing})"), kept.to_owned()];
    facts.extend([&seen.content_type, &seen.encoding].into_iter().flatten().cloned());
    facts.join(", ")
}

/// What is asked of whom.
pub(super) fn whom(page: &mut Page, plan: &Plan) {
    let version = env!("CARGO_PKG_VERSION");
    page.head(&format!("maxq {version}: {} {}", plan.method, plan.target));
    let same_host = if plan.same_host { " on this host" } else { "" };
    page.fact("Target", &format!("{}{same_host}", plan.route));
    if let Some(body) = &plan.body {
        let (bytes, source) =
            (counted(body.length_bytes as u64, "byte"), body.source.description());
        let content_type = format::escape(body.content_type.as_bytes());
        page.fact("Body", &format!("{bytes}, {content_type}, {source}"));
    }
}

/// By whom, and how much.
pub(super) fn threads_and_load(page: &mut Page, plan: &Plan) {
    let load = &plan.load;
    page.fact("Threads", &threads(plan));
    let connections = counted(u64::from(load.connections), "connection");
    let churn = load.requests_per_connection.map(|most| {
        let requests = counted(most, "request");
        format!(", each closed after {requests}")
    });
    page.fact(
        "Load",
        &format!(
            "{}, {connections}, pipeline {}{}",
            phases::pattern(load.pacing.as_ref()),
            load.pipeline,
            churn.unwrap_or_default()
        ),
    );
}

/// How many threads there are, and why.
pub(super) fn threads(plan: &Plan) -> String {
    let reason = plan.threads_reason.as_ref();
    let reason = reason.map(|reason| format!(" ({reason})"));
    format!("{}{}", plan.threads(), reason.unwrap_or_default())
}

/// What a reader must know of the engine that is not the best one.
fn engine_notes(plan: &Plan, summary: &Summary) -> String {
    let mut notes = String::new();
    if summary.engine != Engine::Uring && plan.idle == Idle::Sleep && plan.load.pacing.is_some() {
        notes += "; it sleeps by the millisecond, and sends that late";
    }
    if let Some(cause) = summary.engine.instead_because() {
        notes += &format!("; {cause}");
    }
    notes
}

fn length_of_run(plan: &Plan, summary: &Summary) -> String {
    let took = length(summary.window.measured_ns);
    let requests = plan.load.requests.map(|requests| counted(requests, "request"));
    let duration = plan.load.duration_ns.map(length);
    let mut text = match (requests, duration) {
        (Some(requests), Some(duration)) => {
            format!("{requests} or {duration}, whichever is first; it was {took}")
        }
        (Some(requests), None) => format!("{requests} in {took}"),
        (None, Some(duration)) if duration == took => duration,
        (None, Some(duration)) => format!("{duration}; it was {took}"),
        (None, None) => took,
    };
    if summary.window.drain_ns > 0 {
        text += &format!(", and {} of drain", length(summary.window.drain_ns));
    }
    text
}

fn warmup(summary: &Summary) -> String {
    let sent = summary.record.warmup().counts.sent;
    if summary.window.warmup_ns == 0 && sent == 0 {
        return "none".to_owned();
    }
    let requests = counted(sent, "request");
    format!("{requests} in {}, not counted", length(summary.window.warmup_ns))
}

/// What a reader must know before any number when the plan was not carried out.
fn mark(page: &mut Page, plan: &Plan, summary: &Summary) {
    if let Some((label, text)) = cut_short(plan, summary) {
        let paint = match summary.end {
            End::GaveUp | End::Overloaded | End::Aborted { .. } => Paint::Bad,
            End::Finished | End::Interrupted(_) => Paint::Doubtful,
        };
        page.painted_fact((paint, label), (paint, ""), &text);
    }
}

fn cut_short(plan: &Plan, summary: &Summary) -> Option<(&'static str, String)> {
    let after = length(summary.window.measured_ns);
    match summary.end {
        End::Finished => None,
        End::Interrupted(signal) => {
            let signal = signal.name();
            let whole = plan.load.duration_ns.map(length);
            let whole = whole.map(|whole| format!(" of {whole}"));
            let text = format!(
                "by {signal} after {after}{}: these numbers are of that part only",
                whole.unwrap_or_default()
            );
            Some(("INTERRUPTED", text))
        }
        End::Aborted { .. } => gates::condition(plan, summary)
            .map(|condition| ("ABORTED", format!("after {after}: {condition}"))),
        End::Overloaded => Some((
            "OVERLOADED",
            format!(
                "after {after}: a request was due and no connection was free (--on-overload abort)"
            ),
        )),
        End::GaveUp => {
            let patience = length(plan.timeouts.give_up_ns);
            let text = format!("after {after}: no connection could be had for {patience}");
            Some(("GAVE UP", text))
        }
    }
}

fn verdict_name(verdict: &Verdict) -> String {
    let not_valid = if verdict.valid { "" } else { "NOT VALID, " };
    format!("{not_valid}{}", verdict.code.name())
}

fn verdict(page: &mut Page, verdict: &Verdict) {
    let warned = verdict.reasons.iter().any(|reason| reason.level != Level::Info);
    let paint = match (verdict.valid, warned) {
        (false, _) => Paint::Bad,
        (true, true) => Paint::Doubtful,
        (true, false) => Paint::Good,
    };
    page.painted_fact(
        (Paint::Bold, "Verdict"),
        (paint, &verdict_name(verdict)),
        &format!(": {}", verdict.sentence),
    );
    for reason in &verdict.reasons {
        // The sentence often is the first reason, which need not be read twice.
        if reason.text != verdict.sentence {
            let level = reason.level.name();
            page.more(&format!("{level} {}: {}", reason.rule, reason.text));
        }
    }
}

fn throughput(page: &mut Page, plan: &Plan, summary: &Summary) {
    let measured = &summary.measured;
    let rates = summary.rates();
    page.head(&format!("{:<14}{:>16}{:>18}", "Throughput", "per second", "total"));
    let mut row = |name: &str, per_second: &str, total: &str, note: &str| {
        page.line(&format!("  {name:<12}{per_second:>16}{total:>18}{note}"));
    };
    if plan.load.pacing.is_some() {
        row(
            "offered",
            &format::rate(rates.offered_rps),
            &count(measured.counts.scheduled),
            "  requests due",
        );
        row(
            "sent",
            &format::rate(rates.sent_rps),
            &count(measured.sent_in_window),
            "  of them in time",
        );
    }
    for (name, per_second, total, note) in [
        ("achieved", rates.achieved_rps, measured.completed_in_window, "  responses"),
        ("goodput", rates.goodput_rps, measured.ok_in_window, "  of them good"),
    ] {
        row(name, &format::rate(per_second), &count(total), note);
    }
    for (name, total) in
        [("bytes in", measured.bytes_in_window), ("bytes out", measured.bytes_sent)]
    {
        let per_second = format::bytes(summary.bytes_per_second(total));
        row(name, &per_second, &format::bytes(float(total)), "");
    }
    let late = measured.drained;
    if late > 0 {
        let late = counted(late, "more response");
        page.line(&format!("  {late} came after the end, in the drain"));
    }
    page.gap();
    page.fact("Requests", &outcomes(&measured.counts));
}

/// Every request and what became of it; the numbers add up.
fn outcomes(counts: &Counts) -> String {
    let sent = count(counts.sent);
    let outcomes: Vec<String> = [
        ("ok", counts.ok),
        ("unexpected", counts.unexpected),
        ("http_error", counts.http_error),
        ("protocol_error", counts.protocol_error),
        ("truncated", counts.truncated),
        ("reset", counts.reset),
        ("timeout", counts.timeout),
        ("in flight at the end", counts.in_flight_at_end),
    ]
    .into_iter()
    .filter(|&(_, number)| number > 0)
    .map(|(name, number)| format!("{} {name}", count(number)))
    .collect();
    let mut text = match outcomes.len() {
        0 => "none sent".to_owned(),
        1 if counts.ok > 0 => format!("{sent} sent, all ok"),
        _ => format!("{sent} sent: {}", outcomes.join(", ")),
    };
    if counts.unsent > 0 {
        text += &format!("; {} never sent", count(counts.unsent));
    }
    text
}

fn status_codes(page: &mut Page, summary: &Summary) {
    let seen = summary.measured.status.iter().enumerate();
    let mut seen = seen.filter(|&(_, &number)| number > 0).peekable();
    let interim = summary.record.interim_responses;
    if seen.peek().is_none() && interim == 0 {
        return;
    }
    page.gap();
    page.head("Status codes");
    for (code, &number) in seen {
        page.line(&format!("  {code:<12}{:>16}", count(number)));
    }
    if interim > 0 {
        page.line(&format!("  {:<12}{:>16}  end no request", "1xx", count(interim)));
    }
}

fn errors(page: &mut Page, summary: &Summary) {
    let rows = summary.record.errors.rows();
    if rows.is_empty() {
        return;
    }
    page.gap();
    let total: u64 = rows.iter().map(|row| row.count).sum();
    let whole_run = if summary.window.warmup_ns > 0 { ", warm-up included" } else { "" };
    page.painted_fact(
        (Paint::Bad, "Errors"),
        (Paint::Bold, ""),
        &format!("{}{whole_run}", count(total)),
    );
    for row in rows {
        error(page, row, summary);
    }
    if rows.len() == MOST_ROWS {
        page.more("further kinds of errors are counted with the last one");
    }
}

fn error(page: &mut Page, row: &ErrorRow, summary: &Summary) {
    let failure = row.failure;
    let kind = failure.kind;
    let errno = errno(failure.errno).map(|errno| format!(" ({errno})"));
    let (first, last) =
        (row.first.seconds_from(summary.origin), row.last.seconds_from(summary.origin));
    let when = if row.count == 1 {
        format!("at {first:.2} s")
    } else {
        format!("from {first:.2} s to {last:.2} s")
    };
    page.fact(
        &format!("{:>12}", count(row.count)),
        &format!("{} {}{}, {when}", failure.phase.name(), kind.name(), errno.unwrap_or_default()),
    );
    page.more(kind.description());
    if let Some(came) = &row.came {
        page.more(&how_far(came));
    }
    if !row.sample.is_empty() {
        const AROUND: usize = "sample: \"\"".len();
        let sample = format::escape_within(&row.sample, page.width() - AROUND);
        page.line(&format!("{:14}sample: \"{sample}\"", ""));
    }
    page.more(&format!("hint: {}", failure.hint()));
}

/// How far the response of the first error of a kind came.
fn how_far(came: &Came) -> String {
    let status = came.status;
    let first_byte = duration(float(came.first_byte_ns));
    let body = match came.body_length {
        None => format!("{} of the body", counted(came.body_bytes, "byte")),
        Some(length) => format!("{} of {} body bytes", count(came.body_bytes), count(length)),
    };
    format!("first: status {status} after {first_byte}, then {body}")
}

fn connections(page: &mut Page, summary: &Summary) {
    let tally = &summary.record.connections;
    page.fact(
        "Connections",
        &format!(
            "{} asked, {} opened, {} used, {}, {}",
            count(tally.asked),
            count(tally.opened),
            count(tally.used),
            counted(tally.failed, "failed attempt"),
            counted(tally.reconnects, "reconnect"),
        ),
    );
    if let Some(Spread { min, median, max }) = Spread::of(&tally.responses) {
        page.more(&format!(
            "requests per connection: min {}, median {}, max {}",
            count(min),
            count(median),
            count(max)
        ));
    }
    let connect = summary.record.connect.as_ref();
    if let Some((median, max)) =
        connect.and_then(|connect| Some((connect.quantile_ns(0.5)?, connect.max_ns()?)))
    {
        page.more(&format!(
            "time to open: p50 {}, max {}",
            duration(float(median)),
            duration(float(max))
        ));
    }
}

fn client(page: &mut Page, summary: &Summary) {
    let client = &summary.client;
    let together = client.together();
    let mut facts = Vec::new();
    if let Some(cpu_ns) = summary.cpu_ns_per_response() {
        facts.push(format!("{} of CPU a request", duration(cpu_ns)));
    }
    let shares: Vec<f64> = client.workers.iter().map(work_share).collect();
    if let Some(&first) = shares.first() {
        let text = if shares.len() <= MOST_SHARES {
            let each: Vec<String> = shares.iter().map(|&share| percent(share)).collect();
            each.join(", ")
        } else {
            let least = shares.iter().copied().fold(first, f64::min);
            let most = shares.iter().copied().fold(first, f64::max);
            format!("{} to {}", percent(least), percent(most))
        };
        facts.push(format!("work share by worker {text}"));
    }
    if together.spin_ns > 0 {
        let share = percent(spin_share(&together));
        facts.push(format!("spinning {share} of the time"));
    }
    if let Some(peak_bytes) = client.peak_rss_bytes {
        facts.push(format!("peak memory {}", format::bytes(float(peak_bytes))));
    }
    let shows_late = summary.latencies.lags.is_some() || together.away_ns > 0;
    let late_ns = if shows_late { together.late_ns } else { 0 };
    for (what, length_ns) in [
        ("stamp skew", together.stamp_skew_ns),
        ("receive slack", together.receive_slack_ns),
        ("latest look", late_ns),
    ] {
        if length_ns > 0 || what != "latest look" {
            facts.push(format!("{what} {}", duration(float(length_ns))));
        }
    }
    for (what, times) in [
        ("no receive buffer was left", together.buffers_exhausted),
        ("the completion queue overflowed", together.completions_overflowed),
    ] {
        if times > 0 {
            facts.push(format!("{what} {}", counted(times, "time")));
        }
    }
    let facts: Vec<String> = facts.iter().map(|fact| unbroken(fact)).collect();
    page.fact("Client", &facts.join("; "));
}

/// The two lines that scripts look for, to the letter as wrk prints them.
fn wrk_lines(summary: &Summary) -> String {
    let requests = summary.rates().achieved_rps;
    let bytes = summary.bytes_per_second(summary.measured.bytes_in_window);
    format!(
        "Requests/sec: {:>9}\nTransfer/sec: {:>10}B",
        significant(requests, 2),
        format::wrk_bytes(bytes)
    )
}
