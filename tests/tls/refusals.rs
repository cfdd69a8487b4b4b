//! How a server that cannot be talked to is held against what a run says about it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use maxq::core::failure::Kind;

use crate::support::relay::Relay;
use crate::support::report::{Report, measure};
use crate::support::{maxq_on_engine, run};

/// How many runs of one test go on at once: most of them wait for something.
const AT_ONCE: usize = 4;

/// Does something for each of `cases`, several at once.
pub(crate) fn for_each<T: Sync>(cases: &[T], each: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    each(case);
                }
            });
        }
    });
}

/// What a user is told to do about failures of this kind.
fn hint_of(kind: &str) -> &'static str {
    let known = Kind::ALL.iter().find(|known| known.name() == kind);
    known.unwrap_or_else(|| panic!("no kind is called {kind}")).hint()
}

/// A run for which there is nobody to talk to: no report, exit code 5, one line that names the kind and what to do.
pub(crate) fn assert_refused(kind: &str, url: &str, arguments: &[&str]) {
    let within = |give_up| {
        let always = ["-t", "1", "-c", "2", "-n", "10", "--json", "--give-up", give_up];
        run(maxq_on_engine().args(always).args(arguments).arg(url))
    };
    let mut ended = within("300ms");
    if ended.stderr.contains("no connection could be opened") {
        // A machine that is busy with something else did not get to the end of a single attempt.
        ended = within("5s");
    }
    let shown = format!("{kind}: {ended:?}");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(5), ""), "{shown}");
    assert_eq!(ended.stderr.lines().count(), 1, "{shown}");
    assert!(ended.stderr.contains(&format!("({kind}, ")), "{shown}");
    assert!(ended.stderr.contains(hint_of(kind)), "{shown}");
}

/// A run whose first connection leads to `bad` and all later ones to `good`: it ends well, and lists what went wrong.
pub(crate) fn assert_listed(
    kind: &str,
    bad: SocketAddr,
    good: SocketAddr,
    arguments: &[&str],
) -> Report {
    let relay = Relay::first_to(bad, good);
    let url = relay.url("/small");
    let report = measure(&[&["-c", "1", "-n", "5", &url][..], arguments].concat());
    assert_one_failed(&report, &format!("tls/{kind}"));
    assert_eq!(report.json["errors"][0]["hint"], hint_of(kind));
    assert_eq!(relay.accepted(), 2);
    report
}

/// One handshake failed, for that reason; all requests went well over the next connection.
pub(crate) fn assert_one_failed(report: &Report, error: &str) {
    assert_failed(report, error, 1);
}

/// The same for some handshakes in a row.
pub(crate) fn assert_failed(report: &Report, error: &str, handshakes: u64) {
    assert_eq!(
        report.errors(),
        BTreeMap::from([(error.to_owned(), handshakes)]),
        "{:#}",
        report.json["tls"]
    );
    assert_eq!(report.count("ok"), report.count("scheduled"));
    assert_eq!(
        (report.number("/tls/failed"), report.number("/tls/full"), report.number("/tls/resumed")),
        (handshakes, 1, 0)
    );
}
