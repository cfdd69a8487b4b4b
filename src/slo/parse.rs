//! The grammar of gates.
//!
//! ```text
//! gates  := clause ( ("," | "&&") clause )*
//! clause := metric [ "[" scope "]" ] ( "<" | "<=" | ">" | ">=" ) limit [ "@" "95%" ]
//! scope  := phase | T ".." T | "each" T
//! ```
//!
//! A limit has a unit: a number alone has several readings, and all of them are named. What does not fit is refused with what
//! would. It must not know which phases there are.

use super::{Clause, Metric, Relation, Scope, Unit};
use crate::units::parse_duration_ns;

/// Reads gates, separated by commas or `&&`.
///
/// # Errors
/// The one that makes no sense, and how it should look.
pub fn parse(text: &str) -> Result<Vec<Clause>, String> {
    let read = |clause: &str| {
        parse_clause(clause, true).map_err(|why| format!("--slo '{}': {why}", clause.trim()))
    };
    clauses(text).into_iter().map(read).collect()
}

/// Reads what is to end a run early, separated by commas: gates on the last seconds.
///
/// # Errors
/// The one that makes no sense, and how it should look.
pub fn parse_conditions(text: &str) -> Result<Vec<Clause>, String> {
    if text.contains("&&") {
        return Err(format!(
            "--abort-on '{text}': one condition is enough to end the run, so && would mislead; separate them with commas"
        ));
    }
    let read = |clause: &str| {
        let condition = parse_clause(clause, false).and_then(check_condition);
        condition.map_err(|why| format!("--abort-on '{}': {why}", clause.trim()))
    };
    clauses(text).into_iter().map(read).collect()
}

fn check_condition(condition: Clause) -> Result<Clause, String> {
    let example = format!("use {}", Metric::CONDITIONS);
    if condition.scope != Scope::Window {
        return Err(format!("it is always about the last 10 s, so leave [...] out; {example}"));
    }
    if condition.confident {
        return Err(format!("10 s have no confidence interval, so leave @ out; {example}"));
    }
    if !condition.metric.is_in_slices() || condition.unit == Unit::PerSecond {
        return Err(format!("this is not known while the run goes on; {example}"));
    }
    Ok(condition)
}

/// The pieces between separators outside of brackets.
fn clauses(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut depth) = (0, 0_i32);
    for (at, character) in text.char_indices() {
        let separator = match character {
            '[' => {
                depth += 1;
                continue;
            }
            ']' => {
                depth -= 1;
                continue;
            }
            ',' if depth <= 0 => 1,
            '&' if depth <= 0 && at >= start && text[at..].starts_with("&&") => 2,
            _ => continue,
        };
        pieces.push(&text[start..at]);
        start = at + separator;
    }
    pieces.push(&text[start..]);
    pieces
}

/// Reads one clause; `rates` says whether its limit may be a number a second.
fn parse_clause(text: &str, rates: bool) -> Result<Clause, String> {
    let text = text.trim();
    let refuse = |why: String| format!("{why}; use {} and so on", Metric::GATES);
    // A scope is taken out first: what it says may look like anything.
    let (name, scope, rest) = match (text.find('['), text.find(['<', '>'])) {
        (Some(open), sign) if sign.is_none_or(|sign| open < sign) => {
            let (scope, rest) = text[open + 1..]
                .split_once(']')
                .ok_or_else(|| refuse("the bracket [ is not closed".to_owned()))?;
            (&text[..open], Some(scope.trim()), rest.trim_start())
        }
        (_, Some(sign)) => (&text[..sign], None, &text[sign..]),
        _ if text.contains('=') => {
            let why = "numbers that were measured are never exactly equal to a limit: <= or >=";
            return Err(refuse(why.to_owned()));
        }
        _ => return Err(refuse("a gate has a name, <, <=, > or >=, and a limit".to_owned())),
    };
    let (relation, rest) = parse_relation(rest)
        .ok_or_else(|| refuse("a gate has a name, <, <=, > or >=, and a limit".to_owned()))?;
    let metric = Metric::parse(name.trim())
        .ok_or_else(|| refuse(format!("'{}' is nothing that can be looked at", name.trim())))?;
    let (value, confidence) = match rest.split_once('@') {
        Some((value, confidence)) => (value.trim(), Some(confidence.trim())),
        None => (rest.trim(), None),
    };
    let (limit, unit) =
        parse_limit(metric, value).map_err(|why| match without_unit(metric, value, rates) {
            Some(readings) => format!("{value} has no unit; write {readings}"),
            None => why,
        })?;
    if limit <= 0.0 && relation == Relation::Below {
        return Err(format!("nothing is below 0; use {}<={value}", name.trim()));
    }
    let scope = scope.map_or(Ok(Scope::Window), parse_scope)?;
    if !matches!(scope, Scope::Window | Scope::Phase(_)) && !metric.is_in_slices() {
        return Err(format!(
            "pieces of time know {} only; leave [{}] out, or name a phase",
            Metric::IN_PIECES,
            scope_of(text)
        ));
    }
    let confident = confidence.is_some();
    if let Some(level) = confidence {
        check_confidence(metric, &scope, level)?;
    }
    Ok(Clause { text: text.to_owned(), metric, scope, relation, limit, unit, confident })
}

fn scope_of(text: &str) -> &str {
    text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(scope, _)| scope)
}

fn parse_relation(text: &str) -> Option<(Relation, &str)> {
    let signs = [
        ("<=", Relation::AtMost),
        (">=", Relation::AtLeast),
        ("<", Relation::Below),
        (">", Relation::Above),
    ];
    signs.into_iter().find_map(|(sign, what)| Some((what, text.strip_prefix(sign)?)))
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53 nanoseconds")]
fn parse_limit(metric: Metric, value: &str) -> Result<(f64, Unit), String> {
    let example = metric.example();
    if value.is_empty() {
        return Err(format!("a limit is missing; use {example}"));
    }
    if metric.is_of_time() {
        let limit_ns = parse_duration_ns(value)
            .map_err(|_| format!("'{value}' is not a length of time; use {example}"))?;
        return Ok((limit_ns as f64, Unit::Time));
    }
    if let Some(number) = value.strip_suffix('%') {
        return match plain_number(number.trim_end()) {
            Some(percent) if percent <= 100.0 => Ok((percent / 100.0, Unit::Share)),
            _ => Err(format!("'{value}' is no share from 0% to 100%; use {example}")),
        };
    }
    if !metric.is_throughput() {
        return Err(format!("'{value}' is no share in %; use {example}"));
    }
    let rate = value.strip_suffix("/s").map(str::trim_end).and_then(rate);
    rate.map(|limit| (limit, Unit::PerSecond))
        .ok_or_else(|| format!("'{value}' is neither a share in % nor a rate in /s; use {example}"))
}

/// What a limit without a unit may have meant; `None` for one that has a unit, or is no number at all.
fn without_unit(metric: Metric, value: &str, rates: bool) -> Option<String> {
    let number = plain_number(value)?;
    if metric.is_of_time() {
        return Some(format!("{value}ms or {value}s"));
    }
    let is_share = number <= 100.0;
    if metric.is_throughput() {
        let share = is_share.then(|| format!("{value}%"));
        let readings = share.into_iter().chain(rates.then(|| format!("{value}/s")));
        return Some(readings.collect::<Vec<_>>().join(" or ")).filter(|text| !text.is_empty());
    }
    let share =
        if is_share { format!("{value}% for a share") } else { "a share, like 1%".to_owned() };
    let name = metric.name(true);
    Some(format!("{share}, or {name}<=0% for none at all; a limit cannot be a number of requests"))
}

/// A number a second, with an optional k, M or G.
fn rate(text: &str) -> Option<f64> {
    let scales = [('k', 1e3), ('M', 1e6), ('G', 1e9)];
    let scaled = scales.iter().find_map(|&(letter, scale)| {
        text.strip_suffix(letter).and_then(plain_number).map(|number| number * scale)
    });
    scaled.or_else(|| plain_number(text))
}

/// Digits, with a point among them at most: no signs, exponents or infinities.
pub(super) fn plain_number(text: &str) -> Option<f64> {
    let ends_well = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit());
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (ends_well && plain).then(|| text.parse().ok()).flatten()
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    const EXAMPLE: &str = "use a phase like [spike], a piece of time like [2s..5s], or [each 1s] for every such piece";
    if text.is_empty() {
        return Err(format!("the brackets are empty; {EXAMPLE}"));
    }
    if let Some(length) = text.strip_prefix("each ") {
        let length_ns =
            parse_duration_ns(length.trim()).map_err(|why| format!("{why}; {EXAMPLE}"))?;
        if length_ns == 0 {
            return Err(format!("[{text}] does not last; {EXAMPLE}"));
        }
        return Ok(Scope::Each(length_ns));
    }
    // Stages that are ramps have two points in their names, and an @.
    if let Some((from, to)) = text.split_once("..").filter(|_| !text.contains('@')) {
        let bound = |bound: &str| {
            parse_duration_ns(bound.trim()).map_err(|why| format!("{why}; {EXAMPLE}"))
        };
        let (from_ns, to_ns) = (bound(from)?, bound(to)?);
        if from_ns >= to_ns {
            return Err(format!("[{text}] does not last; {EXAMPLE}"));
        }
        return Ok(Scope::Span { from_ns, to_ns });
    }
    if text == "warmup" {
        return Err(
            "the warm-up is not measured; name another phase, or use --warmup 0 and a stage"
                .to_owned(),
        );
    }
    Ok(Scope::Phase(text.to_owned()))
}

/// One level is worked out, and of some quantiles only.
fn check_confidence(metric: Metric, scope: &Scope, level: &str) -> Result<(), String> {
    let known = "p50, p75, p90, p95, p99, p99.9 and p99.99";
    if level.strip_suffix('%').map(str::trim_end) != Some("95") {
        return Err(format!(
            "confidence intervals are worked out for 95 % only, not for '{level}'; use @95%"
        ));
    }
    if !metric.has_interval() {
        return Err(format!(
            "there are confidence intervals of {known} of the response time only; leave @{level} out"
        ));
    }
    if matches!(scope, Scope::Span { .. } | Scope::Each(_)) {
        return Err(format!(
            "pieces of time have no confidence interval; leave @{level} out, or name a phase"
        ));
    }
    Ok(())
}
