//! Servers that want to know who asks, and flags about TLS that cannot be obeyed.

use std::collections::BTreeSet;

use crate::VERSIONS;
use crate::refusals::assert_refused;
use crate::support::certificates::{Authority, Papers};
use crate::support::programs::{Haproxy, Node};
use crate::support::report::{Report, measure, measure_to};
use crate::support::secure::{Host, SecureNginx};
use crate::support::{maxq_on_engine, run};

/// A server in node that hangs up on strangers.
const SELECTIVE: &str = "
const selective = { ...identity, ca: read('authority.pem'), requestCert: true, rejectUnauthorized: true };
listen(https.createServer(selective, (request, response) => {
  counts.requests += 1;
  response.end(request.socket.getPeerCertificate().subject.CN);
}));
";

/// The errors of a run, without their numbers.
fn kinds(report: &Report) -> BTreeSet<String> {
    report.errors().into_keys().collect()
}

/// Who is known to `papers`, and somebody who is not, each as `--cert` and `--key`.
fn identities(papers: &Papers) -> [(String, String); 2] {
    let known = papers.authority.issue(&["client.example"]);
    let stranger = Authority::new("somebody else").issue(&["stranger.example"]);
    [papers.write_identity("known", &known), papers.write_identity("stranger", &stranger)]
}

/// `arguments`, and who asks.
fn showing<'a>(arguments: &[&'a str], (cert, key): &'a (String, String)) -> Vec<&'a str> {
    [arguments, &["--cert", cert, "--key", key]].concat()
}

#[test]
fn nginx_answers_those_whom_it_knows_and_refuses_others_with_400() {
    let papers = Papers::new();
    let [known, stranger] = identities(&papers);
    for (version, _) in VERSIONS {
        let host = Host::showing(&papers.certified)
            .with(&format!("ssl_client_certificate {}; ssl_verify_client on;", papers.cacert));
        let nginx = SecureNginx::start(&[host], &[]);
        let url = nginx.url("/small");
        let always = ["-n", "40", "-c", "2", "--cacert", &papers.cacert, "--tls", version, &url];
        let report = measure(&showing(&always, &known));
        report.assert_all_ok();
        assert_eq!(report.count("ok"), 40);
        let report = measure_to(5, &showing(&always, &stranger));
        assert_eq!((report.status(400), report.count("http_error")), (40, 40));
        let report = measure_to(5, &always);
        assert_eq!((report.status(400), report.count("http_error")), (40, 40));
        let statuses = nginx.handled();
        assert_eq!(statuses.iter().filter(|request| request.status == 200).count(), 40);
        assert_eq!(statuses.iter().filter(|request| request.status == 400).count(), 80);
    }
}

#[test]
fn a_certificate_is_shown_with_each_new_session() {
    let papers = Papers::new();
    let [known, _] = identities(&papers);
    for (version, _) in VERSIONS {
        let node = Node::start(&papers.certified, &papers.authority.pem(), SELECTIVE);
        let always = ["--cacert", &papers.cacert, "--tls", version, "--no-resumption"];
        let more = ["--no-keepalive", "-n", "40", "-c", "2", "--expect", "body~=client.example"];
        let url = node.url("/");
        let report = measure(&[&showing(&always, &known)[..], &more, &[&url]].concat());
        report.assert_all_ok();
        let counts = node.counts();
        assert_eq!(counts["requests"], 40);
        // What the end of the run cut off is no handshake for node.
        assert!(counts["refused"].as_u64() <= Some(2), "{counts}");
    }
}

#[test]
fn a_server_that_wants_a_certificate_and_gets_none_says_so_in_tls_1_3() {
    let papers = Papers::new();
    let node = Node::start(&papers.certified, &papers.authority.pem(), SELECTIVE);
    let url = node.url("/");
    // The client's handshake is over by then, so that requests may be on their way.
    let report =
        measure_to(5, &["-n", "10", "-c", "2", "--cacert", &papers.cacert, "--tls", "1.3", &url]);
    assert_eq!(kinds(&report), BTreeSet::from(["tls/client_certificate".to_owned()]));
    assert_eq!((report.count("ok"), report.count("sent")), (0, 10));
    let counts = node.counts();
    assert_eq!(counts["requests"], 0);
    assert!(counts["refused"].as_u64() > Some(0), "{counts}");
}

#[test]
fn a_server_that_wants_a_certificate_and_gets_none_says_so_in_tls_1_2() {
    let papers = Papers::new();
    let node = Node::start(&papers.certified, &papers.authority.pem(), SELECTIVE);
    // Servers say "handshake failure", as they do when nothing is in common; but they had asked for a certificate.
    let arguments = ["--cacert", &papers.cacert, "--tls", "1.2"];
    assert_refused("client_certificate", &node.url("/"), &arguments);
    assert_eq!(node.counts()["requests"], 0);
}

#[test]
fn a_certificate_that_a_server_does_not_trust_is_the_clients_matter() {
    let papers = Papers::new();
    let [known, stranger] = identities(&papers);
    let nginx = SecureNginx::showing(&papers.certified);
    let ask = format!("ca-file {} verify required", papers.cacert);
    for (version, _) in VERSIONS {
        let haproxy = Haproxy::start_with(&papers.certified, nginx.plain_address(), &ask);
        let url = haproxy.url("/small");
        let always = ["--cacert", &papers.cacert, "--tls", version];
        let ten = ["-n", "10", "-c", "2", &url];
        measure(&[&showing(&always, &known)[..], &ten].concat()).assert_all_ok();
        let arguments = showing(&always, &stranger);
        if version == "1.2" {
            assert_refused("client_certificate", &url, &arguments);
        } else {
            let report = measure_to(5, &[&arguments[..], &ten].concat());
            assert_eq!(kinds(&report), BTreeSet::from(["tls/client_certificate".to_owned()]));
            assert!(report.text("/errors/0/sample").starts_with("alert "));
        }
        assert_eq!(haproxy.log().iter().filter(|line| line.contains(" 200 ")).count(), 10);
    }
}

#[test]
fn a_server_that_hangs_up_on_a_certificate_without_a_word_gets_no_good_counts() {
    let papers = Papers::new();
    let [_, stranger] = identities(&papers);
    let node = Node::start(&papers.certified, &papers.authority.pem(), SELECTIVE);
    // Node looks at the certificate when it has all it needs, and sends no alert. In TLS 1.2 it has not had its last word
    // then; in TLS 1.3 it has, and requests may be on their way.
    let url = node.url("/");
    let always = ["--cacert", &papers.cacert, "--tls", "1.2"];
    assert_refused("closed_in_handshake", &url, &showing(&always, &stranger));
    let always = ["-n", "10", "-c", "2", "--cacert", &papers.cacert, "--tls", "1.3", &url];
    let report = measure_to(5, &showing(&always, &stranger));
    assert_eq!(report.count("truncated") + report.count("reset"), 10, "{:?}", report.errors());
    assert_eq!(node.counts()["requests"], 0);
}

/// Nothing listens there, and nobody asks whether it does.
const URL: &str = "https://127.0.0.1:1/";

fn with_identity<'a>(cert: &'a str, key: &'a str) -> [&'a str; 5] {
    [URL, "--cert", cert, "--key", key]
}

/// What is complained of when a run is not even begun.
fn assert_usage(arguments: &[&str], wanted: &[&str]) {
    let ended = run(maxq_on_engine().args(["-t", "1", "-n", "1"]).args(arguments));
    let shown = format!("{arguments:?}: {ended:?}");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{shown}");
    for part in wanted {
        assert!(ended.stderr.contains(part), "{part} is not in {shown}");
    }
}

#[test]
fn files_that_cannot_be_used_are_refused_by_flag() {
    let papers = Papers::new();
    let [(cert, key), (_, other_key)] = identities(&papers);
    let prose = papers.write("prose.txt", "This is no PEM file.\n");
    let broken =
        papers.write("broken.pem", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n");
    let empty = papers.write("empty.pem", "");
    let missing = format!("{cert}.missing");
    assert_usage(&with_identity(&cert, &other_key), &["--key", "--cert"]);
    assert_usage(&with_identity(&missing, &key), &["--cert", &missing]);
    assert_usage(&with_identity(&cert, &missing), &["--key", &missing]);
    for file in [&prose, &broken, &empty, &key] {
        assert_usage(&with_identity(file, &key), &["--cert"]);
        assert_usage(&[URL, "--cacert", file], &["--cacert"]);
    }
    for file in [&prose, &broken, &empty, &cert] {
        assert_usage(&with_identity(&cert, file), &["--key"]);
    }
    assert_usage(&[URL, "--cacert", &missing], &["--cacert", &missing]);
    assert_usage(&[URL, "--cert", &cert], &["--key"]);
    assert_usage(&[URL, "--key", &key], &["--cert"]);
}

#[test]
fn authorities_that_the_environment_names_are_taken_or_refused_and_never_made_up_for() {
    let papers = Papers::new();
    let nginx = SecureNginx::start(&[Host::showing(&papers.certified)], &[]);
    let url = nginx.url("/small");
    let with = |file: &str| {
        run(maxq_on_engine().env("SSL_CERT_FILE", file).args([
            "-t",
            "1",
            "-n",
            "5",
            "--give-up",
            "300ms",
            "--json",
            &url,
        ]))
    };
    let trusting = with(&papers.cacert);
    assert_eq!(trusting.code, Some(0), "{}", trusting.stderr);
    assert_eq!(Report::of(&trusting.stdout).text("/tls/trust"), "platform");
    let missing = with(&format!("{}.missing", papers.cacert));
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(2), ""));
    assert!(missing.stderr.contains("SSL_CERT_FILE"), "{}", missing.stderr);
    // What holds no certificate vouches for nobody.
    assert_ne!(with(&papers.write("prose.txt", "no PEM")).code, Some(0));
}

#[test]
fn choices_that_nobody_can_make_are_refused_by_flag() {
    assert_usage(&[URL, "--ciphers", "RC4"], &["--ciphers", "RC4", "TLS_AES_128_GCM_SHA256"]);
    assert_usage(&[URL, "--groups", "secp192r1"], &["--groups", "secp192r1", "X25519"]);
    assert_usage(&[URL, "--tls", "1.1"], &["--tls", "1.1", "1.2"]);
    assert_usage(&[URL, "--sni", "not a name"], &["--sni", "not a name"]);
    assert_usage(&[URL, "--resumption", "101%"], &["--resumption"]);
    assert_usage(&[URL, "--resumption", "on", "--no-resumption"], &["resumption"]);
    let suite = "TLS_AES_128_GCM_SHA256";
    assert_usage(&[URL, "--tls", "1.2", "--ciphers", suite], &["--tls", "--ciphers"]);
    assert_usage(&[URL, "-k", "--cacert", "file"], &["--insecure", "--cacert"]);
}

#[test]
fn what_is_about_tls_is_refused_without_it() {
    let papers = Papers::new();
    let (cert, key) = papers.write_identity("own", &papers.certified);
    let flags: [&[&str]; 9] = [
        &["-k"],
        &["--cacert", &papers.cacert],
        &["--cert", &cert, "--key", &key],
        &["--sni", "other.example"],
        &["--tls", "1.3"],
        &["--ciphers", "TLS_AES_128_GCM_SHA256"],
        &["--groups", "X25519"],
        &["--resumption", "50%"],
        &["--no-resumption"],
    ];
    for flag in flags {
        let arguments = [&["http://127.0.0.1:1/"][..], flag].concat();
        assert_usage(&arguments, &[flag[0], "https://"]);
    }
}
