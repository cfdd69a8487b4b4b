//! What stands between client and server, to the byte: sessions that stall, end early, are changed or end without notice.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;

use crate::VERSIONS;
use crate::refusals::{assert_failed, assert_one_failed, assert_refused, for_each};
use crate::support::certificates::Papers;
use crate::support::programs::Node;
use crate::support::relay::{Relay, Treatment};
use crate::support::report::{Report, measure, measure_to};
use crate::support::scripted::Scripted;
use crate::support::secure::{Host, SecureNginx};

/// An nginx whose handshakes are all of the same length.
fn even_nginx() -> (Papers, SecureNginx) {
    let papers = Papers::new();
    let certified = papers.authority.issue_rsa(&["127.0.0.1"]);
    let nginx = SecureNginx::start(&[Host::showing(&certified)], &[]);
    (papers, nginx)
}

/// What the server has sent when the client takes the handshake for finished.
fn handshake(papers: &Papers, server: SocketAddr, version: &str) -> Vec<u8> {
    let relay = Relay::start(move |_| (server, Treatment::Whole));
    once(&relay, papers, version, &[]).assert_all_ok();
    let heard = relay.heard();
    assert_eq!(heard.turns[0], 0, "the client speaks first");
    // In TLS 1.3 the server has nothing more to say then; in TLS 1.2 it has the last word.
    let length = heard.turns[if version == "1.3" { 1 } else { 2 }];
    assert!(length > 700, "{length} bytes are no handshake");
    heard.bytes[..length].to_vec()
}

/// Whether nothing depends on this byte of a handshake: the version of a record is to be ignored, says RFC 8446.
fn is_free(handshake: &[u8], place: usize) -> bool {
    let mut begin = 0;
    while let Some(&[_, _, _, high, low]) = handshake.get(begin..begin + 5) {
        if (begin + 1..begin + 3).contains(&place) {
            return true;
        }
        begin += 5 + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}

/// One request, over a connection after the others if those come to nothing.
fn once(relay: &Relay, papers: &Papers, version: &str, more: &[&str]) -> Report {
    let url = relay.url("/small");
    let always = ["-c", "1", "-n", "1", "--cacert", &papers.cacert, "--tls", version, &url];
    measure(&[&always[..], more].concat())
}

#[test]
fn a_handshake_that_is_cut_anywhere_is_one_that_was_closed() {
    let (papers, nginx) = even_nginx();
    let server = nginx.address();
    for (version, _) in VERSIONS {
        let length = handshake(&papers, server, version).len();
        let mut places: Vec<usize> = (0..10).chain((10..length).step_by(97)).collect();
        places.push(length - 1);
        let together: Vec<&[usize]> = places.chunks(5).collect();
        for_each(&together, |places| {
            let cuts = places.iter().map(|&place| Treatment::CutAfter(place)).collect();
            let relay = Relay::treating(server, cuts);
            let report = once(&relay, &papers, version, &[]);
            assert_failed(&report, "tls/closed_in_handshake", places.len() as u64);
        });
        // One byte more, and it is a session that ends, before its first request or after it.
        let relay = Relay::first_treated(server, Treatment::CutAfter(length));
        let url = relay.url("/small");
        let always = ["-c", "1", "-n", "2", "--cacert", &papers.cacert, "--tls", version, &url];
        let report = measure(&always);
        assert_eq!((report.number("/tls/failed"), relay.accepted()), (0, 2));
        assert_eq!(report.count("ok") + report.count("truncated"), 2, "{:?}", report.errors());
        let named = |error: &String| error.starts_with("receive/closed_");
        assert!(report.errors().keys().all(named), "{:?}", report.errors());
    }
}

#[test]
fn handshakes_that_are_always_cut_are_given_up() {
    let (papers, nginx) = even_nginx();
    let server = nginx.address();
    let arguments = ["--cacert", &papers.cacert];
    for place in [0, 1, 100, 500] {
        let relay = Relay::start(move |_| (server, Treatment::CutAfter(place)));
        assert_refused("closed_in_handshake", &relay.url("/small"), &arguments);
    }
    assert_eq!(nginx.handled().len(), 0, "no request was sent");
}

#[test]
fn a_handshake_that_was_changed_anywhere_is_none() {
    let (papers, nginx) = even_nginx();
    let server = nginx.address();
    for (version, _) in VERSIONS {
        let handshake = handshake(&papers, server, version);
        let all = (0..10).chain((10..handshake.len()).step_by(61));
        let places: Vec<usize> = all.filter(|&place| !is_free(&handshake, place)).collect();
        let together: Vec<&[usize]> = places.chunks(4).collect();
        for_each(&together, |places| {
            let changes = places.iter().map(|&place| Treatment::CorruptAt(place)).collect();
            let relay = Relay::treating(server, changes);
            // A length that has grown is waited for.
            let report = once(&relay, &papers, version, &["--connect-timeout", "300ms"]);
            let errors = report.errors();
            let shown = format!("{version}, bytes {places:?}: {errors:?}");
            let changed = places.len() as u64;
            assert_eq!(errors.values().sum::<u64>(), changed, "{shown}");
            assert_eq!((report.number("/tls/failed"), report.count("ok")), (changed, 1), "{shown}");
            let named =
                |error: &String| error.starts_with("tls/") || error == "timeout/handshake_timeout";
            assert!(errors.keys().all(named), "{shown}");
        });
    }
}

#[test]
fn a_response_that_was_changed_is_none() {
    let (papers, nginx) = even_nginx();
    let server = nginx.address();
    for (version, _) in VERSIONS {
        let length = handshake(&papers, server, version).len();
        // In TLS 1.3 two tickets come first, maybe before there is a request to lose.
        for place in [length + 12, length + 100, length + 170] {
            let relay = Relay::first_treated(server, Treatment::CorruptAt(place));
            let url = relay.url("/small");
            let always = ["-c", "1", "-n", "2", "--cacert", &papers.cacert, "--tls", version, &url];
            let report = measure(&always);
            let shown = format!("{version}, byte {place}: {:?}", report.errors());
            assert_eq!(report.count("ok") + report.count("protocol_error"), 2, "{shown}");
            assert!(report.errors().keys().all(|error| error.starts_with("tls/")), "{shown}");
            assert_eq!(
                (report.errors().values().sum::<u64>(), relay.accepted()),
                (1, 2),
                "{shown}"
            );
        }
    }
}

#[test]
fn a_handshake_that_stalls_is_not_waited_for() {
    let (papers, nginx) = even_nginx();
    let silent = Scripted::start(|peer| peer.wait_for_close());
    let half = nginx.address();
    let trust = ["--cacert", &papers.cacert, "--connect-timeout", "200ms"];
    let relay = Relay::first_to(silent.address(), nginx.address());
    let report = once(&relay, &papers, "1.3", &["--connect-timeout", "200ms"]);
    assert_one_failed(&report, "timeout/handshake_timeout");
    let last = report.float("/errors/0/last_s") - report.float("/errors/0/first_s");
    assert!(last.abs() < f64::EPSILON);
    let url = format!("https://{}/small", silent.address());
    assert_refused("handshake_timeout", &url, &trust);
    drop(silent);
    // The time is for all of it, however much has come.
    let slow = Scripted::start(move |peer| {
        let mut server = std::net::TcpStream::connect(half).expect("nginx listens");
        let mut piece = [0; 16 * 1024];
        if let Ok(count) = peer.stream().read(&mut piece) {
            let _ = std::io::Write::write_all(&mut server, &piece[..count]);
        }
        if let Ok(count) = server.read(&mut piece) {
            peer.send(&piece[..count.min(300)]);
        }
        peer.wait_for_close();
    });
    let url = format!("https://{}/small", slow.address());
    assert_refused("handshake_timeout", &url, &trust);
}

#[test]
fn a_reset_in_a_handshake_is_one_of_tls() {
    let (papers, nginx) = even_nginx();
    let resetting = Scripted::start(|peer| {
        // Something must have come, or it would be an attempt to connect that was reset.
        let _ = peer.stream().read(&mut [0; 1]);
        peer.reset();
    });
    let url = format!("https://{}/small", resetting.address());
    assert_refused("reset", &url, &["--cacert", &papers.cacert]);
    let relay = Relay::first_treated(nginx.address(), Treatment::Reset);
    assert_one_failed(&once(&relay, &papers, "1.3", &[]), "tls/reset");
}

/// A server whose responses end with the session: after each, it says so in due form.
const CLOSING: &str = "
listen(tls.createServer(identity, socket => socket.once('data', () => {
  counts.requests += 1;
  socket.end('HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n' + 'z'.repeat(1000));
})));
";

#[test]
fn a_session_that_ends_without_notice_may_have_been_cut() {
    let papers = Papers::new();
    for (version, _) in VERSIONS {
        let node = Node::start(&papers.certified, "", CLOSING);
        let server = node.address();
        let cut = Relay::start(move |_| (server, Treatment::WithoutAlerts));
        let whole = Relay::start(move |_| (server, Treatment::Whole));
        let always = ["-n", "20", "-c", "2", "--cacert", &papers.cacert, "--tls", version];
        let report = measure_to(5, &[&always[..], &[&cut.url("/")]].concat());
        assert_eq!((report.count("truncated"), report.count("ok")), (20, 0));
        assert_eq!(
            report.errors(),
            BTreeMap::from([("receive/closed_without_notice".to_owned(), 20)])
        );
        measure(&[&always[..], &[&whole.url("/")]].concat()).assert_all_ok();
        assert_eq!(node.counts()["requests"], 40);
    }
}

#[test]
fn a_response_of_known_length_needs_no_notice() {
    let (papers, nginx) = even_nginx();
    let server = nginx.address();
    for (version, _) in VERSIONS {
        let relay = Relay::start(move |_| (server, Treatment::WithoutAlerts));
        let always = ["--no-keepalive", "-n", "40", "-c", "2", "--cacert", &papers.cacert];
        let url = relay.url("/small");
        let report = measure(&[&always[..], &["--tls", version, &url]].concat());
        report.assert_all_ok();
        assert_eq!(report.count("ok"), 40);
    }
}

#[test]
fn a_response_that_is_shorter_than_announced_is_truncated_in_due_form_too() {
    let papers = Papers::new();
    let script = "listen(tls.createServer(identity, socket => socket.once('data', () => {
        socket.end('HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nfar too short');
    })));";
    for (version, _) in VERSIONS {
        let node = Node::start(&papers.certified, "", script);
        let url = node.url("/");
        let always = ["-n", "10", "-c", "2", "--cacert", &papers.cacert, "--tls", version, &url];
        let report = measure_to(5, &always);
        assert_eq!(report.count("truncated"), 10);
        assert_eq!(report.errors(), BTreeMap::from([("receive/closed_early".to_owned(), 10)]));
    }
}
