//! Ports that speak something else, and servers that have nothing in common with the client.

use std::time::Duration;

use crate::refusals::{assert_listed, assert_refused};
use crate::support::certificates::Papers;
use crate::support::nginx::Nginx;
use crate::support::programs::{Haproxy, Node};
use crate::support::report::measure_to;
use crate::support::scripted::Scripted;
use crate::support::secure::{Host, SecureNginx};
use crate::support::{maxq_on_engine, run};

/// Nothing here waits for anything.
const AT_ONCE: Duration = Duration::from_secs(15);

#[test]
fn a_port_without_tls_is_no_tls() {
    let papers = Papers::new();
    let good = SecureNginx::showing(&papers.certified);
    let plain = Nginx::start(&[]);
    let banner = Scripted::start(|peer| {
        peer.send("SSH-2.0-OpenSSH_9.2p1\r\n");
        peer.wait_for_close();
    });
    for address in [plain.address(), banner.address()] {
        let url = format!("https://{address}/small");
        assert_refused("not_tls", &url, &["-k"]);
        assert_listed("not_tls", address, good.address(), &["-k"]);
    }
    // What it makes of the first message of TLS it calls a bad request.
    let (log, _) = plain.logs();
    assert!(!log.is_empty() && log.iter().all(|line| line.contains(" 400 ")), "{log:?}");
}

#[test]
fn nginx_answers_plain_text_on_a_tls_port_with_400() {
    let papers = Papers::new();
    let nginx = SecureNginx::showing(&papers.certified);
    let url = format!("http://{}/small", nginx.address());
    let report = measure_to(5, &["-n", "40", "-c", "2", &url]);
    assert_eq!((report.status(400), report.count("http_error")), (40, 40));
    assert!(report.json["tls"].is_null());
}

#[test]
fn others_hang_up_on_plain_text_and_the_run_ends_with_a_word() {
    let papers = Papers::new();
    let nginx = SecureNginx::showing(&papers.certified);
    let answer = "listen(https.createServer(identity, (_, response) => response.end('x')));";
    let node = Node::start(&papers.certified, "", answer);
    let haproxy = Haproxy::start(&papers.certified, nginx.plain_address());
    for address in [node.address(), haproxy.address()] {
        let url = format!("http://{address}/small");
        let report = measure_to(5, &["-n", "20", "-c", "2", &url]);
        assert_eq!((report.count("sent"), report.count("ok")), (20, 0));
        assert_eq!(report.errors().values().sum::<u64>(), 20, "{:?}", report.errors());
        assert!(report.float("/window/measured_s") < AT_ONCE.as_secs_f64());
    }
}

#[test]
fn a_server_that_speaks_other_protocols_only_is_named() {
    let papers = Papers::new();
    let good = SecureNginx::showing(&papers.certified);
    let script = "listen(tls.createServer({ ...identity, ALPNProtocols: ['h2'] }, () => {}));";
    let node = Node::start(&papers.certified, "", script);
    for version in ["1.2", "1.3"] {
        let arguments = ["--cacert", &papers.cacert, "--tls", version];
        assert_refused("alpn_refused", &node.url("/"), &arguments);
        assert_listed("alpn_refused", node.address(), good.address(), &arguments);
    }
    assert_eq!(node.counts()["connections"], 0);
}

#[test]
fn a_server_without_alpn_is_spoken_to() {
    let papers = Papers::new();
    let script = "listen(tls.createServer(identity, socket => socket.on('data', () => {
        counts.requests += 1;
        socket.write('HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi');
    })));";
    let node = Node::start(&papers.certified, "", script);
    for version in ["1.2", "1.3"] {
        let url = node.url("/");
        let arguments = ["-n", "20", "-c", "2", "--cacert", &papers.cacert, "--tls", version, &url];
        let report = crate::support::report::measure(&arguments);
        report.assert_all_ok();
        assert!(report.json["tls"]["negotiated"][0]["alpn"].is_null());
    }
    assert_eq!(node.counts()["requests"], 40);
}

#[test]
fn client_and_server_may_have_nothing_in_common() {
    let papers = Papers::new();
    let rsa = papers.authority.issue_rsa(&["127.0.0.1"]);
    let (new, old) = ("ssl_protocols TLSv1.3;", "ssl_protocols TLSv1.2;");
    let ec = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    let curve = "ssl_ecdh_curve secp384r1;";
    let cases: [(Host<'_>, &[&str]); 6] = [
        (Host::showing(&papers.certified).with(new), &["--tls", "1.2"]),
        (Host::showing(&papers.certified).with(old), &["--tls", "1.3"]),
        (Host::showing(&rsa).with(old), &["--ciphers", ec]),
        (Host::showing(&papers.certified).with(new), &["--ciphers", ec]),
        (Host::showing(&papers.certified).with(new).with(curve), &["--groups", "X25519"]),
        (Host::showing(&papers.certified).with(old).with(curve), &["--groups", "X25519"]),
    ];
    for (host, choice) in cases {
        let nginx = SecureNginx::start(&[host], &[]);
        let arguments = [&["--cacert", &papers.cacert][..], choice].concat();
        assert_refused("nothing_in_common", &nginx.url("/small"), &arguments);
        assert_eq!(nginx.handled().len(), 0);
    }
}

#[test]
fn nothing_in_common_is_listed_when_a_run_goes_on() {
    let papers = Papers::new();
    let hosts = [
        Host::showing(&papers.certified),
        Host::showing(&papers.certified).at(1).with("ssl_protocols TLSv1.2;"),
        Host::showing(&papers.certified).at(2).with("ssl_protocols TLSv1.3;"),
    ];
    let nginx = SecureNginx::start(&hosts, &[]);
    for (port, version) in [(1, "1.3"), (2, "1.2")] {
        let arguments = ["--cacert", &papers.cacert, "--tls", version];
        assert_listed("nothing_in_common", nginx.address_of(port), nginx.address(), &arguments);
    }
}

#[test]
fn a_name_that_the_server_does_not_know_is_named() {
    let papers = Papers::new();
    let hosts = [
        Host::showing(&papers.certified).with("ssl_reject_handshake on;"),
        Host::showing(&papers.certified).named("localhost"),
        Host::showing(&papers.certified).at(1),
    ];
    let nginx = SecureNginx::start(&hosts, &[]);
    let arguments = ["-k", "--sni", "other.example"];
    assert_refused("name_refused", &nginx.url("/small"), &arguments);
    assert_listed("name_refused", nginx.address(), nginx.address_of(1), &arguments);
}

#[test]
fn a_port_on_which_nothing_listens_is_refused_before_any_tls() {
    let (address, _socket) = crate::support::scripted::closed_port();
    let url = format!("https://{address}/");
    let ended =
        run(maxq_on_engine().args(["-t", "1", "-n", "1", "--give-up", "300ms", "-k", &url]));
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("refused"), "{}", ended.stderr);
}
