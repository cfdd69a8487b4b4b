//! The report that people read: what was run, what the target did, whether that can be trusted, how fast, how slow, what
//! went wrong.
//!
//! As long as all is well it fits a terminal of 80 by 24 (`--verbose` has the rest), so that what a reader must know is on
//! the last screen of a run. Sections stand in the order of the questions that a reader has. Every number comes from the summary; this file only
//! chooses words and columns. Whatever a server sent is escaped.

use crate::core::http1::head::Body;
use crate::core::record::errors::MOST_ROWS;
use crate::core::record::{Came, Counts, ErrorRow};
use crate::plan::{Idle, Plan};
use crate::report::format::{self, count, counted, duration, float, length};
use crate::report::json::errno;
use crate::report::page::{Page, Paint, Style};
use crate::report::{answers, gates, latency, machine, phases, tls};
use crate::result::summary::{End, Engine, Seen, Summary};
use crate::result::verdict::{Level, Rule, TargetState, Verdict};
use crate::units::significant;

/// The whole report: with `--verbose` all there is, otherwise what fits a screen as long as all is well.
#[must_use]
pub fn text(plan: &Plan, summary: &Summary, style: Style) -> String {
    let verbose = plan.output.verbose;
    let mut page = Page::new(style);
    if verbose {
        all_that_was_run(&mut page, plan, summary);
    } else {
        what_was_run(&mut page, plan, summary);
    }
    page.gap();
    mark(&mut page, plan, summary);
    result(&mut page, &summary.verdict);
    verdict(&mut page, &summary.verdict, verbose);
    page.gap();
    throughput(&mut page, plan, summary);
    if verbose || !is_all_answered(&summary.measured.counts) {
        page.fact("Requests", &outcomes(&summary.measured.counts));
    }
    if verbose {
        page.gap();
    }
    let detail = latency::Detail { verbose, max_is_own: summary.verdict.max_is_own };
    latency::table(&mut page, &summary.latencies, detail);
    if plan.output.latency {
        latency::distribution(&mut page, &summary.latencies);
    }
    phases::table(&mut page, summary);
    gates::gates(&mut page, summary);
    let has_more = plan.output.latency || phases::is_shown(summary);
    if verbose || has_more {
        page.gap();
    }
    answers::answers(&mut page, summary, verbose);
    errors(&mut page, summary);
    machine::connections(&mut page, summary, verbose);
    if verbose || summary.record.handshakes.failed > 0 {
        tls::handshakes(&mut page, plan, summary);
    }
    machine::client(&mut page, summary, verbose);
    if verbose {
        page.gap();
    }
    page.line(&wrk_lines(summary));
    page.finish()
}

/// The report of `--quiet`: what the target did, the verdict and the two rates, and a mark when the run was cut short. No
/// colour, no wrapping.
#[must_use]
pub fn quiet_text(plan: &Plan, summary: &Summary) -> String {
    let mark = cut_short(plan, summary)
        .map(|(label, text)| format!("{label} {text}\n"))
        .unwrap_or_default();
    let verdict = &summary.verdict;
    format!(
        "{mark}Result: {}: {}\nVerdict: {}: {}\n{}\n",
        verdict.target.name(),
        verdict.target_text,
        verdict_name(verdict),
        verdict.sentence,
        wrk_lines(summary)
    )
}

/// The plan in four lines, unless there is something odd about it.
fn what_was_run(page: &mut Page, plan: &Plan, summary: &Summary) {
    whom(page, plan);
    let engine = summary.engine.name();
    let notes = engine_notes(plan, summary);
    if !notes.is_empty() {
        page.fact("Engine", &format!("{engine}{notes}"));
    }
    if plan.threads_asked.is_some() {
        page.fact("Threads", &threads(plan));
    }
    page.fact("Load", &load(plan, plan.load.pipeline > 1));
    let warmup = match summary.window.warmup_ns {
        0 => String::new(),
        warmup_ns => format!(" after {} of warm-up", length(warmup_ns)),
    };
    let threads = counted(plan.threads() as u64, "thread");
    let took = length_of_run(plan, summary);
    page.fact("Duration", &format!("{took}{warmup}; {threads}, {engine}"));
    tls::agreement(page, plan, summary);
}

fn all_that_was_run(page: &mut Page, plan: &Plan, summary: &Summary) {
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
    let drain = match summary.window.drain_ns {
        0 => String::new(),
        drain_ns => format!(", and {} of drain", length(drain_ns)),
    };
    page.fact("Duration", &format!("{}{drain}", length_of_run(plan, summary)));
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
pub(crate) fn whom(page: &mut Page, plan: &Plan) {
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
pub(crate) fn threads_and_load(page: &mut Page, plan: &Plan) {
    page.fact("Threads", &threads(plan));
    page.fact("Load", &load(plan, true));
}

fn load(plan: &Plan, with_pipeline: bool) -> String {
    let load = &plan.load;
    let connections = counted(u64::from(load.connections), "connection");
    let pipeline =
        if with_pipeline { format!(", pipeline {}", load.pipeline) } else { String::new() };
    let churn = load.requests_per_connection.map(|most| {
        let requests = counted(most, "request");
        format!(", each closed after {requests}")
    });
    format!(
        "{}, {connections}{pipeline}{}",
        phases::pattern(load.pacing.as_ref()),
        churn.unwrap_or_default()
    )
}

/// How many threads there are, and why.
pub(crate) fn threads(plan: &Plan) -> String {
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
    match (requests, duration) {
        (Some(requests), Some(duration)) => {
            format!("{requests} or {duration}, whichever is first; it was {took}")
        }
        (Some(requests), None) => format!("{requests} in {took}"),
        (None, Some(duration)) if duration == took => duration,
        (None, Some(duration)) => format!("{duration}; it was {took}"),
        (None, None) => took,
    }
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

/// What the target did.
fn result(page: &mut Page, verdict: &Verdict) {
    let paint = match verdict.target {
        TargetState::Held => Paint::Good,
        TargetState::Degraded => Paint::Doubtful,
        TargetState::Overloaded | TargetState::Failing => Paint::Bad,
    };
    page.painted_fact(
        (Paint::Bold, "Result"),
        (paint, verdict.target.name()),
        &format!(": {}", verdict.target_text),
    );
}

/// Whether to believe it. That it can be believed is no praise of the target, and has no colour.
fn verdict(page: &mut Page, verdict: &Verdict, verbose: bool) {
    let warned = verdict.reasons.iter().any(|reason| reason.level != Level::Info);
    let paint = match (verdict.valid, warned) {
        (false, _) => Paint::Bad,
        (true, true) => Paint::Doubtful,
        (true, false) => Paint::Bold,
    };
    page.painted_fact(
        (Paint::Bold, "Verdict"),
        (paint, &verdict_name(verdict)),
        &format!(": {}", verdict.sentence),
    );
    for reason in &verdict.reasons {
        // What has been said already need not be read twice, and what is only worth knowing is for who asks for all.
        let is_told = reason.text == verdict.sentence
            || verdict.target_text.contains(&reason.text)
            || (reason.rule == Rule::BadResponses && !verbose);
        if !is_told && (verbose || reason.level != Level::Info) {
            let level = reason.level.name();
            page.more(&format!("{level} {}: {}", reason.rule.name(), reason.text));
        }
    }
}

/// Rates in columns: what was due, what was sent of it, what came back, what of that was good.
fn throughput(page: &mut Page, plan: &Plan, summary: &Summary) {
    let measured = &summary.measured;
    let rates = summary.rates();
    let mut columns = vec![
        ("offered", rates.offered_rps, measured.counts.scheduled),
        ("sent", rates.sent_rps, measured.sent_in_window),
        ("achieved", rates.achieved_rps, measured.completed_in_window),
        ("goodput", rates.goodput_rps, measured.ok_in_window),
    ];
    if plan.load.pacing.is_none() {
        // A closed loop is due nothing.
        columns.drain(..2);
    }
    let line = |label: &str, cell: fn(&(&str, f64, u64)) -> String| {
        let cells: String = columns.iter().map(|column| format!("{:>16}", cell(column))).collect();
        format!("{label:<14}{cells}")
    };
    page.head(&line("Throughput", |column| column.0.to_owned()));
    page.line(&line("  a second", |column| format::rate(column.1)));
    page.line(&line("  requests", |column| count(column.2)));
    if !plan.output.verbose {
        return;
    }
    for (name, total) in
        [("bytes in", measured.bytes_in_window), ("bytes out", measured.bytes_sent)]
    {
        let per_second = format::bytes(summary.bytes_per_second(total));
        page.line(&format!("  {name:<12}{per_second} a second, {}", format::bytes(float(total))));
    }
    let late = measured.drained;
    if late > 0 {
        let late = counted(late, "more response");
        page.line(&format!("  {late} came after the end, in the drain"));
    }
}

/// Status codes tell what became of every request.
fn is_all_answered(counts: &Counts) -> bool {
    counts.completed() == counts.scheduled
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
    page.gap();
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
