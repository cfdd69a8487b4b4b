//! Which of the target's behaviours a request-target names.
//!
//! Pure: from the bytes of a path to a [`Target`]. It must not know how any of them is answered.

use std::time::Duration;

use super::counters::PathClass;
use super::law::{Asked, Law};

/// What to do for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Bytes(u64),
    Chunked(u64),
    Close,
    Counters,
    Delay(Duration),
    Echo,
    Law(Asked),
    NoLaw(&'static str),
    NotFound,
    Root,
    Status(u16),
}

/// A longer delay is not a delay but a typing error.
const DELAY_MAX: Duration = Duration::from_secs(3600);

impl Target {
    /// Reads origin-form and absolute-form; only laws have a query.
    pub(super) fn parse(target: &str) -> Self {
        let path = path_of(target);
        match path {
            "/" => return Self::Root,
            "/close" => return Self::Close,
            "/counters" => return Self::Counters,
            "/echo" => return Self::Echo,
            _ => {}
        }
        if let Some(name) = path.strip_prefix("/law/") {
            return match Law::parse(name, query_of(target)) {
                Ok(asked) => Self::Law(asked),
                Err(reason) => Self::NoLaw(reason),
            };
        }
        let parsed = if let Some(count) = path.strip_prefix("/bytes/") {
            digits(count).map(Self::Bytes)
        } else if let Some(count) = path.strip_prefix("/chunked/") {
            digits(count).map(Self::Chunked)
        } else if let Some(delay) = path.strip_prefix("/delay/") {
            duration(delay).map(Self::Delay)
        } else if let Some(status) = path.strip_prefix("/status/") {
            digits(status)
                .and_then(|status| u16::try_from(status).ok())
                .filter(|status| (200..600).contains(status))
                .map(Self::Status)
        } else {
            None
        };
        parsed.unwrap_or(Self::NotFound)
    }

    /// Where the request is counted; `/counters` is not.
    pub(super) const fn class(self) -> Option<PathClass> {
        match self {
            Self::Bytes(_) => Some(PathClass::Bytes),
            Self::Chunked(_) => Some(PathClass::Chunked),
            Self::Close => Some(PathClass::Close),
            Self::Counters => None,
            Self::Delay(_) => Some(PathClass::Delay),
            Self::Echo => Some(PathClass::Echo),
            Self::Law(_) => Some(PathClass::Law),
            Self::NoLaw(_) | Self::NotFound => Some(PathClass::Other),
            Self::Root => Some(PathClass::Root),
            Self::Status(_) => Some(PathClass::Status),
        }
    }
}

fn path_of(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.starts_with('/') => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    if path.is_empty() { "/" } else { path }
}

fn query_of(target: &str) -> &str {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query.split('#').next().unwrap_or(query)
}

/// Digits only: `u64::from_str` would take a sign as well.
pub(super) fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A number, whole or decimal, and its unit: `500us`, `2.5ms`, `1s`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ns: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let mut total_ns = digits(whole)?.checked_mul(unit_ns)?;
    digits(fraction)?;
    let mut place_ns = unit_ns;
    for digit in fraction.bytes() {
        place_ns /= 10;
        total_ns = total_ns.checked_add(u64::from(digit - b'0') * place_ns)?;
    }
    Some(Duration::from_nanos(total_ns)).filter(|delay| *delay <= DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_names_its_target() {
        let known = [
            ("/", Target::Root),
            ("/?a=b", Target::Root),
            ("http://host:80", Target::Root),
            ("http://host/close?x", Target::Close),
            ("/counters", Target::Counters),
            ("/echo", Target::Echo),
            ("/bytes/10737418240", Target::Bytes(10 << 30)),
            ("/chunked/0", Target::Chunked(0)),
            ("/status/204", Target::Status(204)),
            ("/delay/500us", Target::Delay(Duration::from_micros(500))),
            ("/delay/2.5ms", Target::Delay(Duration::from_micros(2500))),
            (
                "/law/nothing",
                Target::NoLaw("no such law: bucket fixed md1 mm1 mixture script silent stall"),
            ),
            ("/delay/1s", Target::Delay(Duration::from_secs(1))),
        ];
        for (path, target) in known {
            assert_eq!(Target::parse(path), target, "{path}");
        }
    }

    #[test]
    fn near_misses_are_not_found() {
        let unknown = [
            "*",
            "/x",
            "/bytes/",
            "/bytes/-1",
            "/bytes/+1",
            "/bytes/1x",
            "/bytes/99999999999999999999",
            "/status/199",
            "/status/600",
            "/delay/5",
            "/delay/ms",
            "/delay/1.ms",
            "/delay/.5ms",
            "/delay/1.2.3s",
            "/delay/2h",
            "/delay/99999999s",
            "/delay/1é",
        ];
        for path in unknown {
            assert_eq!(Target::parse(path), Target::NotFound, "{path}");
        }
    }
}
