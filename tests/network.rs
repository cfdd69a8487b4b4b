//! Every way to reach a server, against software that others wrote: nginx, haproxy and a proxy on node's HTTP. What they
//! saw of where connections came from and what they began with is what the flags asked for.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "network/addresses.rs"]
mod addresses;
#[path = "network/machines.rs"]
mod machines;
#[path = "network/options.rs"]
mod options;
#[path = "network/proxies.rs"]
mod proxies;
#[path = "network/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "network/site.rs"]
mod site;
#[path = "network/sources.rs"]
mod sources;
mod support;
#[path = "network/unix_sockets.rs"]
mod unix_sockets;

use std::collections::BTreeMap;

use support::{Ended, maxq_on_engine, run};

/// Whatever is refused before anything is sent never gets as far as this.
const NOWHERE: &str = "http://127.0.0.1:9/";

/// What fails fast, and yet not before the workers of a busy machine have begun.
const GIVE_UP: [&str; 4] = ["-c", "2", "--give-up", "500ms"];

/// `arguments` are refused in one line that holds all of `parts`.
fn refused(code: i32, arguments: &[&str], parts: &[&str]) -> Ended {
    let ended = run(maxq_on_engine().args(["-t", "1"]).args(arguments));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments:?}: {ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{arguments:?}: {}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "{arguments:?}: no {part:?} in {}", ended.stderr);
    }
    ended
}

/// The same for what clap refuses, in lines of its own.
fn refused_as_usage(arguments: &[&str], part: &str) {
    let ended = run(maxq_on_engine().args(arguments));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
    assert!(ended.stderr.contains(part), "{arguments:?}: no {part:?} in {}", ended.stderr);
}

/// The report for people, without the ends of its lines, and what was said beside it.
fn told(arguments: &[&str]) -> (Ended, String) {
    let ended = run(maxq_on_engine().args(["-t", "1", "--no-progress"]).args(arguments));
    let words = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    (ended, words)
}

/// So many of each.
fn each<const N: usize>(values: [&str; N], count: usize) -> BTreeMap<String, usize> {
    values.map(|value| (value.to_owned(), count)).into()
}
