//! Whether runs were made the same way, and what differs where they were not.
//!
//! A document of today names its plan by two hashes, of the load and of the request. An older one has a single hash, over
//! the address and the values of all headers as well, which says nothing beside one of today.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::exit::Refusal;
use crate::result::document::{Run, escape};

/// In what runs may differ.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Scheme, host, and port of the URL.
    Target,
    /// How much was sent when: connections, rate, duration, timeouts.
    Load,
    /// What was sent and expected: method, path, headers, body, `--expect`, TLS, socket options.
    Request,
    /// The engine, the number of threads, and how they wait.
    Client,
    /// The machine that the client ran on.
    Host,
}

impl Kind {
    /// All of them, in the order in which they are named.
    pub const ALL: [Self; 5] = [Self::Target, Self::Load, Self::Request, Self::Client, Self::Host];
    /// What makes up a plan.
    pub const OF_PLAN: [Self; 3] = [Self::Target, Self::Load, Self::Request];

    /// The flag that allows it.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Target => "--other-target",
            Self::Load => "--other-load",
            Self::Request => "--other-request",
            Self::Client => "--other-client",
            Self::Host => "--other-host",
        }
    }
}

/// Keys of a plan that may differ between runs of the same plan, or that say nothing to people.
const NEVER_NAMED: [&str; 9] = [
    "hash",
    "hashes",
    "seed",
    "address",
    "addresses",
    "same_host",
    "threads_asked",
    "threads_reason",
    "sources",
];
/// Keys of a plan that are of the request.
const OF_REQUEST: [&str; 3] = ["method", "body_check", "volatile_headers"];
/// Keys of a plan that are of the client.
const OF_CLIENT: [&str; 2] = ["threads", "idle"];
/// What of a machine changes what a client measures on it.
const OF_HOST: [&str; 3] = ["cpu", "cores_allowed", "cgroup_quota_cores"];
/// What of a request no document shows.
const UNSEEN: &str = "headers, body, --expect, or TLS";
/// More differences of a kind than these are not listed.
const MOST_NAMED: usize = 6;

/// A difference between the first base run and another run.
struct Difference {
    kind: Kind,
    text: String,
    sources: (String, String),
}

/// Refuses runs that differ in what is not `allowed`; returns what is to be noted of what is.
///
/// # Errors
/// Exit code 2, with the differences and the flags that allow them.
pub(super) fn check(
    base: &[Run],
    new: &[Run],
    allowed: &BTreeSet<Kind>,
) -> Result<Vec<String>, Refusal> {
    let found = differences(base, new);
    let (allowed, refused): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|difference| allowed.contains(&difference.kind));
    if let Some(first) = refused.first() {
        let told: Vec<&str> = refused.iter().map(|difference| difference.text.as_str()).collect();
        let flags: Vec<&str> = refused.iter().map(|difference| difference.kind.flag()).collect();
        let (one, other) = &first.sources;
        return Err(Refusal::usage(format!(
            "the runs were not made the same way: {} ({one} and {other}); measure both the same way, or compare them anyway with {}",
            told.join("; "),
            flags.join(" ")
        )));
    }
    let mut notes: Vec<String> = allowed
        .into_iter()
        .map(|difference| {
            let (one, other) = &difference.sources;
            format!("{}: {} ({one} and {other})", difference.kind.flag(), difference.text)
        })
        .collect();
    notes.extend(versions(base, new));
    Ok(notes)
}

/// The first difference of each kind.
fn differences(base: &[Run], new: &[Run]) -> Vec<Difference> {
    let Some(first) = base.first().or(new.first()) else { return Vec::new() };
    let found = |kind: Kind| {
        base.iter().chain(new).find_map(|other| {
            let text = of_kind(kind, first, other)?;
            let sources = (first.source.clone(), other.source.clone());
            Some(Difference { kind, text, sources })
        })
    };
    Kind::ALL.into_iter().filter_map(found).collect()
}

/// What differs between two runs.
fn of_kind(kind: Kind, first: &Run, other: &Run) -> Option<String> {
    let (one, two) = (&first.document, &other.document);
    match kind {
        Kind::Target => {
            let (one, two) = (origin(&first.url), origin(&other.url));
            (one != two).then(|| format!("target {one} and {two}"))
        }
        Kind::Load => of_plan(Kind::Load, first, other),
        Kind::Request => of_plan(Kind::Request, first, other),
        Kind::Client => {
            let engines = named("engine", &one["tool"], &two["tool"]);
            let plans = OF_CLIENT.iter().filter_map(|key| named(key, &one["plan"], &two["plan"]));
            listed("client", engines.into_iter().chain(plans).collect())
        }
        Kind::Host => {
            let hosts = OF_HOST.iter().filter_map(|key| named(key, &one["host"], &two["host"]));
            listed("host", hosts.collect())
        }
    }
}

/// What differs between the loads, or the requests, of two runs.
fn of_plan(kind: Kind, first: &Run, other: &Run) -> Option<String> {
    let is_request = kind == Kind::Request;
    let name = if is_request { "request" } else { "load" };
    let hashes = [first, other].map(|run| run.document["plan"]["hashes"][name].as_str());
    let are_older = hashes.map(|hash| hash.is_none());
    match hashes {
        [Some(one), Some(two)] if one == two => return None,
        [None, None] if first.hash == other.hash => return None,
        _ => {}
    }
    let mut found = shown_of_plan(is_request, first, other);
    if found.is_empty() {
        let why = match are_older {
            [false, false] if is_request => Some(UNSEEN.to_owned()),
            [false, false] => Some("settings that the files do not show".to_owned()),
            // A hash of old is of everything: what is seen to differ explains it.
            [true, true] if is_request && !is_seen_to_differ(first, other) => {
                Some(UNSEEN.to_owned())
            }
            [true, false] | [false, true] if is_request => Some(format!(
                "{} was written by an earlier version of maxq, whose files do not show whether {UNSEEN} were the same",
                if are_older[0] { &first.source } else { &other.source }
            )),
            _ => None,
        };
        found.extend(why);
    }
    listed(name, found)
}

/// What the documents show of a difference between two loads, or two requests.
fn shown_of_plan(is_request: bool, first: &Run, other: &Run) -> Vec<String> {
    let (one, two) = (&first.document["plan"], &other.document["plan"]);
    let is_mine = |key: &&String| {
        let key = key.as_str();
        let is_foreign = NEVER_NAMED.contains(&key) || OF_CLIENT.contains(&key) || key == "url";
        !is_foreign && OF_REQUEST.contains(&key) == is_request
    };
    let keys = one.as_object().into_iter().flat_map(|plan| plan.keys()).filter(is_mine);
    let paths = [path(&first.url), path(&other.url)];
    let path = (is_request && paths[0] != paths[1])
        .then(|| format!("path '{}' and '{}'", paths[0], paths[1]));
    path.into_iter().chain(keys.filter_map(|key| named(key, one, two))).collect()
}

/// Whether the documents show any difference between two plans.
fn is_seen_to_differ(first: &Run, other: &Run) -> bool {
    let any = |is_request| !shown_of_plan(is_request, first, other).is_empty();
    origin(&first.url) != origin(&other.url) || any(true) || any(false)
}

/// `connections 8 and 16`, where both documents say something and not the same.
fn named(key: &str, one: &Value, two: &Value) -> Option<String> {
    let (one, two) = (one.get(key)?, two.get(key)?);
    (one != two).then(|| format!("{key} {} and {}", shown(one), shown(two)))
}

/// Differences after what they are about; `None` without any.
fn listed(about: &str, mut found: Vec<String>) -> Option<String> {
    if found.len() > MOST_NAMED {
        found.truncate(MOST_NAMED);
        found.push("more".to_owned());
    }
    (!found.is_empty()).then(|| format!("{about}: {}", found.join(", ")))
}

/// What to note where runs were made by different versions of maxq.
fn versions(base: &[Run], new: &[Run]) -> Option<String> {
    let version = |run: &Run| run.document["tool"]["version"].as_str().map(escape);
    let mut all = base.iter().chain(new).filter_map(version);
    let first = all.next()?;
    let other = all.find(|version| *version != first)?;
    Some(format!("the runs were made by versions {first} and {other} of maxq"))
}

/// Scheme, host, and port of a URL, without the user.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let place = rest[..end].rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{place}")
}

/// What follows the host and port of a URL.
fn path(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + "://".len());
    url[start..].find(['/', '?', '#']).map_or("", |at| &url[start + at..])
}

/// A value of a document, as short as it can be said, with nothing that a terminal obeys.
fn shown(value: &Value) -> String {
    const MOST: usize = 80;
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => format!("'{}'", escape(text)),
        other => escape(&other.to_string()),
    };
    text.chars().take(MOST).collect()
}
