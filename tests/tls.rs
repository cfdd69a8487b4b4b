//! https against servers that we did not write, nginx, node and haproxy, and against what goes wrong between client and
//! server. This file: runs in which nothing goes wrong; what the client reports is what nginx has logged.

mod support;

#[path = "tls/between.rs"]
mod between;
#[path = "tls/certificates.rs"]
mod certificates;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/keys.rs"]
mod keys;
#[path = "tls/others.rs"]
mod others;
#[path = "tls/refusals.rs"]
mod refusals;
#[path = "tls/strangers.rs"]
mod strangers;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::certificates::Papers;
use support::report::{Report, measure};
use support::secure::{Handled, Host, SecureNginx, handshakes};
use support::{maxq_on_engine, run};

/// Both, as the command line calls them and as everybody else does.
const VERSIONS: [(&str, &str); 2] = [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")];

/// Ends nginx and holds the report of a run without a warm-up against its log: each request is in there, with its bytes,
/// in a connection that was counted. Returns the log.
fn assert_logged(report: &Report, nginx: SecureNginx) -> Vec<Handled> {
    let handled = nginx.handled();
    assert_eq!(handled.len() as u64, report.count("sent"));
    let sum = |of: fn(&Handled) -> u64| handled.iter().map(of).sum::<u64>();
    assert_eq!(sum(|request| request.request_bytes), report.number("/bytes/sent"));
    assert_eq!(sum(|request| request.sent_bytes), report.number("/bytes/received"));
    let connections = handshakes(&handled).len() as u64;
    let in_vain = in_vain(report, connections);
    assert!(in_vain <= report.number("/connections/asked"), "{in_vain} carried no request");
    handled
}

/// Connections that the client opened beyond the `known` ones, which carried requests: when a run ends, some are open and
/// find nothing more to do.
fn in_vain(report: &Report, known: u64) -> u64 {
    let all = report.number("/tls/full") + report.number("/tls/resumed");
    all.checked_sub(known).unwrap_or_else(|| panic!("{known} connections of {all}"))
}

/// The only agreement of a run's full handshakes.
fn agreed(report: &Report) -> &Value {
    let agreements = report.json["tls"]["negotiated"].as_array().expect("agreements are a list");
    // Sessions of TLS 1.2 that are resumed need no exchange of keys.
    let full: Vec<&Value> = agreements.iter().filter(|row| !row["group"].is_null()).collect();
    assert_eq!(full.len(), 1, "{agreements:#?}");
    full[0]
}

#[test]
fn requests_are_counted_as_nginx_logged_them_in_both_versions() {
    let papers = Papers::new();
    for (version, name) in VERSIONS {
        let host = Host::showing(&papers.certified);
        let nginx = SecureNginx::start(&[host], &[]);
        let url = nginx.url("/small");
        let arguments = ["--cacert", &papers.cacert, "--tls", version];
        let report = measure(&[&["-n", "1001", "-c", "7", &url][..], &arguments].concat());
        report.assert_all_ok();
        assert_eq!((report.count("ok"), report.status(200)), (1001, 1001));
        assert_eq!(
            (&agreed(&report)["version"], &agreed(&report)["alpn"]),
            (&json!(name), &json!("http/1.1"))
        );
        assert_eq!(
            (report.text("/tls/name"), &report.json["tls"]["verified"]),
            ("127.0.0.1", &json!(true))
        );
        assert_eq!(report.number("/connections/used"), 7);
        let handled = assert_logged(&report, nginx);
        assert_eq!(handshakes(&handled).len(), 7);
        assert!(handled.iter().all(|request| request.version == name && request.status == 200));
    }
}

#[test]
fn without_a_choice_the_newer_version_is_taken() {
    let papers = Papers::new();
    let nginx = SecureNginx::start(&[Host::showing(&papers.certified)], &[]);
    let report =
        measure(&["-n", "10", "-c", "1", "--cacert", &papers.cacert, &nginx.url("/small")]);
    report.assert_all_ok();
    assert_eq!(agreed(&report)["version"], "TLSv1.3");
}

/// Runs with each choice of a suite and of groups, the first of which is to be taken, and holds what client and nginx say
/// about it against each other.
fn assert_negotiated(papers: &Papers, host: &Host<'_>, choices: &[(&str, &str)]) {
    for &(suite, groups) in choices {
        let nginx = SecureNginx::start(std::slice::from_ref(host), &[]);
        let url = nginx.url("/small");
        let arguments = ["--cacert", &papers.cacert, "--ciphers", suite, "--groups", groups];
        let report = measure(&[&["-n", "20", "-c", "2", &url][..], &arguments].concat());
        report.assert_all_ok();
        let group = groups.split(',').next().unwrap_or(groups);
        assert_eq!(agreed(&report)["cipher"], suite);
        assert_eq!(agreed(&report)["group"], group);
        for Handled { cipher, curve, .. } in assert_logged(&report, nginx) {
            assert_eq!(cipher, in_openssl(suite));
            assert_eq!(curve, if group == "secp256r1" { "prime256v1" } else { group });
        }
    }
}

/// What OpenSSL calls a suite: the same for TLS 1.3, and a name from before IANA's for TLS 1.2.
fn in_openssl(suite: &str) -> String {
    let Some((exchange, cipher)) = suite.split_once("_WITH_") else { return suite.to_owned() };
    let cipher = cipher.replace("AES_", "AES").replace("POLY1305_SHA256", "POLY1305");
    format!("{}_{cipher}", exchange.replace("TLS_", "")).replace('_', "-")
}

const ALL_CURVES: &str = "ssl_ecdh_curve X25519:prime256v1:secp384r1;";

#[test]
fn suites_and_groups_are_those_that_were_chosen_and_nginx_says_so() {
    let papers = Papers::new();
    let host = Host::showing(&papers.certified).with(ALL_CURVES);
    let choices = [
        ("TLS_AES_128_GCM_SHA256", "X25519"),
        ("TLS_AES_256_GCM_SHA384", "secp256r1"),
        ("TLS_CHACHA20_POLY1305_SHA256", "secp384r1"),
        // In TLS 1.2 the groups say what the curve of a certificate may be, too.
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "secp384r1,secp256r1"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "X25519,secp256r1"),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "secp256r1"),
    ];
    assert_negotiated(&papers, &host, &choices);
}

#[test]
fn a_certificate_with_an_rsa_key_is_as_good() {
    let papers = Papers::new();
    let certified = papers.authority.issue_rsa(&["127.0.0.1"]);
    let host = Host::showing(&certified).with(ALL_CURVES);
    let choices = [
        ("TLS_AES_256_GCM_SHA384", "X25519"),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "X25519"),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "secp256r1"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "secp384r1"),
    ];
    assert_negotiated(&papers, &host, &choices);
}

#[test]
fn a_server_that_wants_another_group_first_asks_once_more() {
    let papers = Papers::new();
    for (version, _) in VERSIONS {
        let host = Host::showing(&papers.certified).with("ssl_ecdh_curve secp384r1;");
        let nginx = SecureNginx::start(&[host], &[]);
        let url = nginx.url("/small");
        let arguments = ["--cacert", &papers.cacert, "--tls", version, "--no-resumption"];
        let report =
            measure(&[&["--no-keepalive", "-n", "40", "-c", "2", &url][..], &arguments].concat());
        report.assert_all_ok();
        assert_eq!(agreed(&report)["group"], "secp384r1");
        assert!(assert_logged(&report, nginx).iter().all(|request| request.curve == "secp384r1"));
    }
}

#[test]
fn bodies_of_every_kind_arrive_whole_in_both_versions() {
    const MIB: usize = 1 << 20;
    let papers = Papers::new();
    let body = format!("@{}", papers.write("body", &"b".repeat(65_536)));
    let large_body = format!("@{}", papers.write("large", &"b".repeat(MIB)));
    let chunked = format!("size={}", "<p>/chunked.html</p>".len() + 50_001);
    let runs: [(&str, u64, &[&str]); 7] = [
        ("/file", 40, &["--expect", "size=1048576"]),
        ("/file", 20, &["--expect", "size=1048576", "--body-check", "-p", "4"]),
        ("/read", 200, &["-b", &body]),
        ("/read", 12, &["-b", &large_body]),
        ("/chunked.html", 200, &["--expect", &chunked, "-p", "8"]),
        ("/small", 4000, &["-p", "8"]),
        ("/file", 100, &["-m", "HEAD"]),
    ];
    for (version, _) in VERSIONS {
        for (path, requests, more) in runs {
            let host = Host::showing(&papers.certified);
            let nginx = SecureNginx::start(&[host], &[("file", MIB)]);
            let (url, count) = (nginx.url(path), requests.to_string());
            let arguments =
                ["--cacert", &papers.cacert, "--tls", version, "-n", &count, "-c", "4", &url];
            let report = measure(&[&arguments[..], more].concat());
            report.assert_all_ok();
            assert_eq!(report.count("ok"), requests, "{path} {more:?}");
            assert_logged(&report, nginx);
        }
    }
}

#[test]
fn an_open_loop_keeps_its_rate_over_tls() {
    let papers = Papers::new();
    let nginx = SecureNginx::showing(&papers.certified);
    let arguments =
        ["-R", "400", "-d", "1s", "--warmup", "0", "-c", "8", "--cacert", &papers.cacert];
    let report = measure(&[&arguments[..], &[&nginx.url("/small")]].concat());
    report.assert_all_ok();
    assert_eq!(report.count("ok"), 400);
    assert_logged(&report, nginx);
}

#[test]
fn requests_of_a_warm_up_are_listed_and_its_handshakes_counted() {
    let papers = Papers::new();
    let nginx = SecureNginx::showing(&papers.certified);
    let arguments = ["-d", "200ms", "--warmup", "100ms", "-c", "4", "--cacert", &papers.cacert];
    let report = measure(&[&arguments[..], &[&nginx.url("/small")]].concat());
    report.assert_all_ok();
    let handled = nginx.handled();
    assert_eq!(handled.len() as u64, report.in_intervals("completed"));
    assert_eq!(handshakes(&handled).len() as u64, 4);
}

#[test]
fn no_request_is_lost_when_nginx_ends_its_sessions() {
    let papers = Papers::new();
    for (version, _) in VERSIONS {
        let host = Host::showing(&papers.certified);
        let nginx = SecureNginx::start(&[host], &[]);
        let url = nginx.url("/limited");
        let arguments =
            ["-n", "1000", "-c", "2", "--cacert", &papers.cacert, "--tls", version, &url];
        let report = measure(&arguments);
        report.assert_all_ok();
        let handled = assert_logged(&report, nginx);
        // A hundred requests a connection at most.
        assert!((10..=11).contains(&handshakes(&handled).len()));
    }
}

#[test]
fn resumed_sessions_are_those_that_nginx_resumed() {
    let papers = Papers::new();
    for (version, name) in VERSIONS {
        for (choice, share) in [("on", 100), ("off", 0), ("50%", 50), ("10%", 10)] {
            let host = Host::showing(&papers.certified);
            let nginx = SecureNginx::start(&[host], &[]);
            let url = nginx.url("/small");
            let arguments = ["--cacert", &papers.cacert, "--tls", version, "--resumption", choice];
            let report = measure(
                &[&["--no-keepalive", "-n", "200", "-c", "4", &url][..], &arguments].concat(),
            );
            report.assert_all_ok();
            let handled = assert_logged(&report, nginx);
            let known = handshakes(&handled);
            assert_eq!(known.len(), 200, "each request has a connection of its own");
            let by_nginx = known.iter().filter(|request| request.resumed).count() as u64;
            let resumed = report.number("/tls/resumed");
            let shown = format!("{name} {choice}: {resumed} and {by_nginx}");
            let in_vain = in_vain(&report, 200);
            assert!((by_nginx..=by_nginx + in_vain).contains(&resumed), "{shown}");
            // The first of each of the four connections may come before there is anything to resume.
            let wanted = (200 + in_vain) * share / 100;
            assert!(resumed <= wanted + 1 && resumed + 5 >= wanted, "{shown}, not {wanted}");
        }
    }
}

#[test]
fn to_ask_for_no_resumption_has_two_names() {
    let papers = Papers::new();
    let nginx = SecureNginx::showing(&papers.certified);
    let arguments = ["--no-keepalive", "-n", "40", "-c", "2", "--cacert", &papers.cacert];
    let report = measure(&[&arguments[..], &["--no-resumption", &nginx.url("/small")]].concat());
    report.assert_all_ok();
    assert_eq!(report.number("/tls/resumed"), 0);
    assert!(nginx.handled().iter().all(|request| !request.resumed));
}

#[test]
fn the_text_says_what_was_agreed_on_and_whether_anybody_was_trusted() {
    let papers = Papers::new();
    let nginx = SecureNginx::start(&[Host::showing(&papers.certified)], &[]);
    let url = nginx.url("/small");
    for (trust, sentence) in [
        (&["--cacert", &papers.cacert][..], "certificate verified"),
        (&["-k"], "certificate NOT verified (-k)"),
    ] {
        let arguments = ["-t", "1", "-n", "10", "-c", "2", "--tls", "1.3", &url];
        let ended = run(maxq_on_engine().args(arguments).args(trust));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for wanted in ["TLSv1.3, TLS_", "ALPN http/1.1", sentence] {
            assert!(ended.stdout.contains(wanted), "{wanted}: {}", ended.stdout);
        }
        let ended = run(maxq_on_engine().args(arguments).args(trust).arg("-v"));
        assert!(ended.stdout.contains("full handshake"), "{}", ended.stdout);
    }
    let paths: BTreeSet<String> = nginx
        .handled()
        .into_iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    assert_eq!(paths, BTreeSet::from(["GET /small".to_owned()]));
}
