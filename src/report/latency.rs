//! The latency part of the text report: the table, the distribution, and what the numbers leave open.
//!
//! A value that may be larger than it could be measured is a bound and is never shown without its `>=`.

use crate::report::format::{count, counted, duration, float, percent};
use crate::report::page::Page;
use crate::result::summary::{Distribution, Lags, Latencies};

/// The rows between the smallest and the largest value.
const TABLE: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];
/// The rows of the distribution before p100, which is the maximum.
const DISTRIBUTION: [(&str, f64); 8] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("p99.999", 0.99999),
];
/// Less of the p99 than this is not worth a line about the transfer.
const WORTH_TELLING: f64 = 0.05;

/// One column of the table.
struct Column<'a> {
    name: &'static str,
    values: &'a Distribution,
}

impl Column<'_> {
    fn quantile(&self, quantile: f64) -> String {
        let value = self.values.quantile(quantile);
        cell(value.map(|value| (float(value.value_ns), value.lower_bound)))
    }

    fn censored(&self) -> bool {
        self.values.all.count() > self.values.answered.count()
    }
}

/// How much the table says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    /// All that is known, rather than what fits a screen.
    pub(super) verbose: bool,
    /// The longest response time is the client's doing.
    pub(super) max_is_own: bool,
}

/// Latencies side by side; those that are the same by definition only once.
pub(super) fn table(page: &mut Page, latencies: &Latencies, detail: Detail) {
    let Latencies { response, service, first_byte, failed, lags, censored } = latencies;
    if response.all.count() == 0 {
        page.fact("Latency", "not a single response, so there is none");
    } else {
        let mut columns = vec![column("service", service)];
        if lags.is_some() || *censored > 0 {
            columns.insert(0, column("response", response));
        }
        match lags {
            Some(lags) => columns.push(column("send lag", &lags.send)),
            None => columns.push(column("ttfb", first_byte)),
        }
        rows(page, &columns, detail);
        notes(page, latencies, (&columns, detail));
    }
    let failed = &failed.all;
    if let (Some(median), Some(max)) = (failed.quantile_ns(0.5), failed.max_ns()) {
        page.note(&format!(
            "{} failed, after {} (p50) to {} (max)",
            counted(failed.count(), "request"),
            duration(float(median)),
            duration(float(max))
        ));
    }
}

fn column<'a>(name: &'static str, values: &'a Distribution) -> Column<'a> {
    Column { name, values }
}

fn rows(page: &mut Page, columns: &[Column<'_>], detail: Detail) {
    let line = |label: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>16}")).collect();
        format!("{label:<14}{cells}")
    };
    let names = columns.iter().map(|column| column.name.to_owned());
    page.head(&line("Latency", names.collect()));
    let min = |column: &Column<'_>| cell(column.values.all.min_ns().map(|ns| (float(ns), false)));
    if detail.verbose {
        page.line(&line("  min", columns.iter().map(min).collect()));
    }
    for (name, quantile) in TABLE {
        let cells = columns.iter().map(|column| column.quantile(quantile));
        page.line(&line(&format!("  {name}"), cells.collect()));
    }
    // One that was not awaited could have become the largest.
    let max = |column: &Column<'_>| {
        cell(column.values.all.max_ns().map(|ns| (float(ns), column.censored())))
    };
    let label = if detail.max_is_own { "  max*" } else { "  max" };
    page.line(&line(label, columns.iter().map(max).collect()));
    let mean =
        |column: &Column<'_>| cell(column.values.all.mean_ns().map(|ns| (ns, column.censored())));
    if detail.verbose {
        page.line(&line("  mean", columns.iter().map(mean).collect()));
    }
}

fn cell(value: Option<(f64, bool)>) -> String {
    match value {
        None => "-".to_owned(),
        Some((ns, false)) => duration(ns),
        Some((ns, true)) => format!(">= {}", duration(ns)),
    }
}

fn notes(page: &mut Page, latencies: &Latencies, (columns, detail): (&[Column<'_>], Detail)) {
    let schedule = "closed loop: there is no schedule, so response time equals service time";
    if let Some(lags) = &latencies.lags {
        where_it_went(page, latencies, (lags, detail));
    } else if latencies.censored == 0 {
        page.note(schedule);
    } else {
        page.note(&format!(
            "{schedule}, but for {} in flight at the end, which response holds at the age that it had",
            counted(latencies.censored, "request")
        ));
    }
    if detail.max_is_own {
        page.note("* the longest response time is the client's doing");
    }
    let p99 = latencies.response.quantile(0.99).filter(|_| detail.verbose);
    if let Some((low, high)) = p99.and_then(|value| value.interval_ns) {
        page.note(&format!(
            "p99 of the {} is {} to {} with 95 % confidence",
            columns[0].name,
            duration(float(low)),
            duration(float(high))
        ));
    }
    let bound = |column: &Column<'_>| {
        TABLE.iter().any(|&(_, quantile)| {
            column.values.quantile(quantile).is_some_and(|value| value.lower_bound)
        })
    };
    if columns.iter().any(bound) {
        page.note(">= marks a lower bound: too few samples, or some not seen to their end");
    }
    let clamped = latencies.response.all.clamped();
    if clamped > 0 {
        page.note(&format!(
            "{} above one hour: quantiles take them for one hour, max and mean do not",
            counted(clamped, "latency value"),
        ));
    }
    if let Some(share) = transfer_share(latencies).filter(|_| detail.verbose) {
        page.note(&format!(
            "of the p99, about {} was waiting for the first byte, {} the transfer of the rest",
            percent(1.0 - share),
            percent(share)
        ));
    }
}

/// What the response times of an open loop are made of.
fn where_it_went(page: &mut Page, latencies: &Latencies, (lags, detail): (&Lags, Detail)) {
    let p99 = |of: &Distribution| duration(float(of.all.quantile_ns(0.99).unwrap_or(0)));
    let went = format!(
        "where p99 went: client {}, pool wait {}, service {}",
        p99(&lags.client),
        p99(&lags.pool),
        p99(&latencies.service)
    );
    if detail.verbose {
        page.note(&format!(
            "response = send lag + service, from the intended time on; {went} (each its own p99)"
        ));
    } else {
        page.note(&went);
    }
    if latencies.censored > 0 {
        page.note(&format!(
            "response holds {} that got no answer or were never sent at the age that they had",
            counted(latencies.censored, "request")
        ));
    }
}

/// How much of the p99 passed after the first byte; `None` where either is uncertain or it is next to nothing.
fn transfer_share(latencies: &Latencies) -> Option<f64> {
    let p99 = |values: &Distribution| {
        let value = values.quantile(0.99);
        value.filter(|value| !value.lower_bound && value.value_ns > 0).map(|v| float(v.value_ns))
    };
    let share = 1.0 - p99(&latencies.first_byte)? / p99(&latencies.service)?;
    (share >= WORTH_TELLING).then_some(share)
}

/// The whole distribution of `--latency`, with the number of values up to each quantile and beyond it. Begins with a gap.
pub(super) fn distribution(page: &mut Page, latencies: &Latencies) {
    let response = column("response", &latencies.response);
    let all = &latencies.response.all;
    let (Some(max_ns), total) = (all.max_ns(), all.count()) else {
        return;
    };
    page.gap();
    page.head(&format!(
        "{:<14}{:>16}{:>16}{:>16}",
        "Distribution", response.name, "up to it", "above"
    ));
    let mut row = |name: &str, value: &str, up_to: u64| {
        page.line(&format!(
            "  {name:<12}{value:>16}{:>16}{:>16}",
            count(up_to),
            count(total - up_to)
        ));
    };
    for (name, quantile) in DISTRIBUTION {
        let value_ns = all.quantile_ns(quantile).unwrap_or(max_ns);
        let up_to = all.count_up_to(value_ns);
        row(name, &response.quantile(quantile), up_to);
    }
    let max = cell(Some((float(max_ns), response.censored())));
    row("p100", &max, total);
}
