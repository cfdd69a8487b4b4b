//! TLS of others than nginx: node, and haproxy before an nginx. Client and server count the same.

use crate::support::certificates::Papers;
use crate::support::nginx::Nginx;
use crate::support::programs::{Haproxy, Node};
use crate::support::report::{Report, measure};
use crate::{VERSIONS, agreed};

/// Counts requests and the bytes of their bodies; answers with a body of 20,000 bytes, chunked.
const COUNTING: &str = "
listen(https.createServer(identity, (request, response) => {
  counts.requests += 1;
  request.on('data', piece => { counts.bytes += piece.length; });
  request.on('end', () => { response.write('x'.repeat(10000)); response.end('y'.repeat(10000)); });
}));
";

fn handshakes(report: &Report) -> (u64, u64) {
    let (full, resumed) = (report.number("/tls/full"), report.number("/tls/resumed"));
    (full + resumed, resumed)
}

#[test]
fn node_counts_the_same_requests_bytes_and_handshakes() {
    let papers = Papers::new();
    let body = format!("@{}", papers.write("body", &"b".repeat(65_536)));
    let runs: [&[&str]; 3] =
        [&["-n", "300"], &["-n", "50", "-b", &body], &["-n", "200", "--no-keepalive"]];
    for (version, name) in VERSIONS {
        for more in runs {
            let node = Node::start(&papers.certified, "", COUNTING);
            let url = node.url("/");
            let always = ["-c", "4", "--cacert", &papers.cacert, "--tls", version];
            let report = measure(&[&always[..], more, &["--expect", "size=20000", &url]].concat());
            report.assert_all_ok();
            assert_eq!(agreed(&report)["version"], name);
            let counts = node.counts();
            let count = |of: &str| counts[of].as_u64().expect("a count");
            assert_eq!(count("requests"), report.count("ok"));
            let bytes = if more.contains(&"-b") { 65_536 * report.count("ok") } else { 0 };
            assert_eq!(count("bytes"), bytes);
            let seen = (count("connections"), count("resumed"));
            // What the end of the run cut off, one side may take for a handshake and the other not.
            let (all, resumed) = handshakes(&report);
            let cut_off = if more.contains(&"--no-keepalive") { 4 } else { 0 };
            assert!(seen.0.abs_diff(all) <= cut_off, "{seen:?} of {all}");
            assert!(seen.1.abs_diff(resumed) <= cut_off, "{seen:?} of {resumed}");
            assert!(count("refused") <= cut_off, "{counts}");
            if more.contains(&"--no-keepalive") {
                // In TLS 1.3 node gives out two tickets after a full handshake and none after others, and each is for once.
                let least = if version == "1.3" { 120 } else { 190 };
                assert!(resumed >= least, "{resumed} of {all}");
            }
        }
    }
}

#[test]
fn node_that_closes_after_each_response_is_read_to_the_last_byte() {
    // No length and no chunks: the end of the session is the end of the response.
    let script = "listen(tls.createServer(identity, socket => socket.once('data', () => {
        counts.requests += 1;
        socket.end('HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n' + 'z'.repeat(100000));
    })));";
    let papers = Papers::new();
    for (version, _) in VERSIONS {
        let node = Node::start(&papers.certified, "", script);
        let url = node.url("/");
        let arguments = ["-n", "40", "-c", "2", "--cacert", &papers.cacert, "--tls", version];
        let report = measure(&[&arguments[..], &["--expect", "size=100000", &url]].concat());
        report.assert_all_ok();
        assert_eq!(report.count("ok"), 40);
        assert_eq!(node.counts()["requests"], 40);
    }
}

#[test]
fn haproxy_passes_on_what_the_client_counts() {
    let papers = Papers::new();
    for (version, name) in VERSIONS {
        for (more, requests) in [(&["-p", "4"][..], 1000_u64), (&["--no-keepalive"], 200)] {
            let nginx = Nginx::start(&[]);
            let haproxy = Haproxy::start(&papers.certified, nginx.address());
            let (url, count) = (haproxy.url("/small"), requests.to_string());
            let always = ["-n", &count, "-c", "4", "--cacert", &papers.cacert, "--tls", version];
            let report = measure(&[&always[..], more, &[&url]].concat());
            report.assert_all_ok();
            assert_eq!(report.count("ok"), requests);
            assert_eq!(agreed(&report)["version"], name);
            let log = haproxy.log();
            assert_eq!(log.len() as u64, requests, "{more:?}");
            let wanted = format!("GET /small 200 {name} ");
            assert!(log.iter().all(|line| line.starts_with(&wanted)), "{:?}", log.first());
            if more.contains(&"--no-keepalive") {
                let resumed = log.iter().filter(|line| line.ends_with(" 1")).count() as u64;
                let (all, by_client) = handshakes(&report);
                let in_vain = all - requests;
                assert!((resumed..=resumed + in_vain).contains(&by_client), "{by_client}");
            }
            assert_eq!(nginx.logs().0.len() as u64, requests);
        }
    }
}
