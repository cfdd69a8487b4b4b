//! Whether runs had the same plan, and what differs where they did not.

use serde_json::Value;

use crate::results::{Run, escape};

/// What may differ between runs of the same plan, or says nothing to people.
const NEVER_NAMED: [&str; 8] =
    ["hash", "seed", "address", "addresses", "same_host", "threads", "idle", "sources"];
/// More differences than these are not listed.
const MOST_NAMED: usize = 6;

/// What differs between the plans of the first base run and of another run; `None` when all are the same.
pub(super) fn difference(base: &[Run], new: &[Run]) -> Option<String> {
    let first = base.first().or(new.first())?;
    let other = base.iter().chain(new).find(|run| run.hash != first.hash)?;
    let (one, two) = (&first.document["plan"], &other.document["plan"]);
    let keys = one.as_object()?.keys().filter(|key| !NEVER_NAMED.contains(&key.as_str()));
    let mut named: Vec<String> = keys
        .filter(|key| one[key.as_str()] != two[key.as_str()])
        .map(|key| format!("{key} {} and {}", shown(&one[key]), shown(&two[key])))
        .collect();
    if named.len() > MOST_NAMED {
        named.truncate(MOST_NAMED);
        named.push("more".to_owned());
    }
    if named.is_empty() {
        let versions = [first, other].map(|run| shown(&run.document["tool"]["version"]));
        named.push(if versions[0] == versions[1] {
            "what is sent, expected or encrypted (headers, body, --expect, TLS)".to_owned()
        } else {
            format!("versions of maxq ({} and {})", versions[0], versions[1])
        });
    }
    Some(format!("{} ({} and {})", named.join(", "), first.source, other.source))
}

/// A value of a plan, as short as it can be said, with nothing that a terminal obeys.
fn shown(value: &Value) -> String {
    const MOST: usize = 80;
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => format!("'{}'", escape(text)),
        other => escape(&other.to_string()),
    };
    text.chars().take(MOST).collect()
}
