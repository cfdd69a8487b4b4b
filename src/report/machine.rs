//! The connections and the machine of the client in the text report: what went wrong, and the rest for who wants it.

use crate::report::format::{self, count, counted, duration, float, percent};
use crate::report::page::{Page, unbroken};
use crate::result::summary::{Spread, Summary, spin_share, work_share};

/// More workers than this are shown as a range.
const MOST_SHARES: usize = 4;
/// A connection that took this long to open is worth a line.
const SLOW_TO_OPEN_NS: u64 = 100_000_000;

/// What became of the connections; all that is usual only where `verbose`.
pub(super) fn connections(page: &mut Page, summary: &Summary, verbose: bool) {
    let tally = &summary.record.connections;
    let (median, max) = summary
        .record
        .connect
        .as_ref()
        .map_or((None, None), |connect| (connect.quantile_ns(0.5), connect.max_ns()));
    let is_slow = max.is_some_and(|max| max >= SLOW_TO_OPEN_NS);
    let has_failed = tally.failed > 0 || tally.reconnects > 0;
    if !verbose && !has_failed {
        let (asked, opened) = (count(tally.asked), count(tally.opened));
        page.fact(
            "Connections",
            &format!("{asked} asked, {opened} opened, {} used", count(tally.used)),
        );
        return time_to_open(page, (median, max), is_slow);
    }
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
    let spread = Spread::of(&tally.responses).filter(|_| verbose);
    if let Some(Spread { min, median, max }) = spread {
        page.more(&format!(
            "requests per connection: min {}, median {}, max {}",
            count(min),
            count(median),
            count(max)
        ));
    }
    time_to_open(page, (median, max), verbose || is_slow);
}

fn time_to_open(page: &mut Page, times: (Option<u64>, Option<u64>), shown: bool) {
    if let (Some(median), Some(max), true) = (times.0, times.1, shown) {
        page.more(&format!(
            "time to open: p50 {}, max {}",
            duration(float(median)),
            duration(float(max))
        ));
    }
}

/// What the client used, and what it ran out of; without `verbose` the latter alone.
pub(super) fn client(page: &mut Page, summary: &Summary, verbose: bool) {
    let mut facts = if verbose { used(summary) } else { Vec::new() };
    let together = summary.client.together();
    for (what, times) in [
        ("no receive buffer was left", together.buffers_exhausted),
        ("the completion queue overflowed", together.completions_overflowed),
    ] {
        if times > 0 {
            facts.push(format!("{what} {}", counted(times, "time")));
        }
    }
    if !facts.is_empty() {
        let facts: Vec<String> = facts.iter().map(|fact| unbroken(fact)).collect();
        page.fact("Client", &facts.join("; "));
    }
}

fn used(summary: &Summary) -> Vec<String> {
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
    facts
}
