//! Who a server says it is: certificates that prove it, and those that do not, to the letter of what is wrong.

use serde_json::json;

use crate::refusals::{assert_listed, assert_refused, for_each};
use crate::support::certificates::{Authority, Certified, Papers};
use crate::support::report::measure;
use crate::support::secure::{Handled, Host, SecureNginx};

/// A run that trusts whom `arguments` say, and finds its server.
fn assert_trusted(url: &str, arguments: &[&str]) {
    let report = measure(&[&["-c", "2", "-n", "10", url][..], arguments].concat());
    report.assert_all_ok();
    assert_eq!(report.count("ok"), 10);
    assert_eq!(report.json["tls"]["verified"], json!(!arguments.contains(&"-k")));
}

#[test]
fn what_is_wrong_with_a_certificate_is_named_and_no_request_is_sent() {
    let papers = Papers::new();
    let own = ["127.0.0.1"];
    let stranger = Authority::new("somebody else");
    // Its name is that of the authority that is trusted, its key is not.
    let impostor = Authority::new("authority of the test");
    let cases = [
        ("certificate_expired", papers.authority.issue_for_years(&own, (2019, 2021))),
        ("certificate_not_yet_valid", papers.authority.issue_for_years(&own, (3000, 3001))),
        ("certificate_wrong_host", papers.authority.issue(&["other.example", "localhost"])),
        ("certificate_without_names", papers.authority.issue(&[])),
        ("certificate_untrusted", stranger.issue(&own)),
        ("certificate_untrusted", impostor.issue(&own)),
        ("certificate_untrusted", Certified::by_itself(&own, false)),
        ("certificate_untrusted", Certified::by_itself(&own, true)),
        ("certificate_untrusted", papers.authority.intermediate("between").issue(&own).alone()),
    ];
    let good = Host::showing(&papers.certified).named("good");
    let bad = cases
        .iter()
        .zip(1..)
        .map(|((_, certified), port)| Host::showing(certified).named("bad").at(port));
    let hosts: Vec<Host<'_>> = [good].into_iter().chain(bad).collect();
    let nginx = SecureNginx::start(&hosts, &[]);
    let trust = ["--cacert", &papers.cacert];
    let kinds: Vec<(&str, usize)> = cases.iter().map(|(kind, _)| *kind).zip(1..).collect();
    for_each(&kinds, |&(kind, port)| {
        let bad = nginx.address_of(port);
        assert_refused(kind, &format!("https://{bad}/small"), &trust);
        let report = assert_listed(kind, bad, nginx.address(), &trust);
        if kind == "certificate_without_names" {
            assert_eq!(report.text("/errors/0/sample"), "no subjectAltName");
        }
        if kind == "certificate_wrong_host" {
            assert_eq!(report.text("/errors/0/sample"), "valid for other.example, localhost");
        }
    });
    let handled = nginx.handled();
    assert_eq!(handled.len(), 5 * cases.len(), "only the good server was sent requests");
    assert!(handled.iter().all(|request| request.name == "good"));
}

#[test]
fn every_certificate_will_do_when_nobody_asks() {
    let papers = Papers::new();
    let own = ["127.0.0.1"];
    let certificates = [
        papers.authority.issue_for_years(&own, (2019, 2021)),
        papers.authority.issue_for_years(&own, (3000, 3001)),
        papers.authority.issue(&["other.example"]),
        Authority::new("somebody else").issue(&own),
        Certified::by_itself(&own, false),
        Certified::by_itself(&own, true),
    ];
    let hosts =
        certificates.iter().enumerate().map(|(port, certified)| Host::showing(certified).at(port));
    let nginx = SecureNginx::start(&hosts.collect::<Vec<_>>(), &[]);
    for port in 0..certificates.len() {
        for version in ["1.2", "1.3"] {
            let url = format!("https://{}/small", nginx.address_of(port));
            assert_trusted(&url, &["-k", "--tls", version]);
        }
    }
    assert_eq!(nginx.handled().len(), 2 * 10 * certificates.len());
}

#[test]
fn a_certificate_that_signed_itself_is_trusted_when_it_is_named() {
    let papers = Papers::new();
    for is_issuer in [false, true] {
        let certified = Certified::by_itself(&["127.0.0.1"], is_issuer);
        let elsewhere = Certified::by_itself(&["other.example"], is_issuer);
        let hosts = [Host::showing(&certified), Host::showing(&elsewhere).at(1)];
        let nginx = SecureNginx::start(&hosts, &[]);
        let own = papers.write("own.pem", &certified.chain);
        assert_trusted(&nginx.url("/small"), &["--cacert", &own]);
        // To be known is not to be somebody else: neither by name nor by key.
        let other = papers.write("other.pem", &elsewhere.chain);
        let at_other = format!("https://{}/small", nginx.address_of(1));
        assert_refused("certificate_wrong_host", &at_other, &["--cacert", &other]);
        assert_refused("certificate_untrusted", &at_other, &["--cacert", &own]);
        assert_trusted(&at_other, &["--cacert", &other, "--sni", "other.example"]);
        assert_eq!(nginx.handled().len(), 20);
    }
}

#[test]
fn a_named_certificate_that_signed_itself_expires_all_the_same() {
    let papers = Papers::new();
    for is_issuer in [false, true] {
        let certified = Certified::by_itself_for_years(&["127.0.0.1"], is_issuer, (2019, 2021));
        let nginx = SecureNginx::showing(&certified);
        let own = papers.write("own.pem", &certified.chain);
        assert_refused("certificate_expired", &nginx.url("/small"), &["--cacert", &own]);
    }
}

#[test]
fn those_between_a_certificate_and_an_authority_are_served_or_named() {
    let papers = Papers::new();
    let between = papers.authority.intermediate("between");
    let nearer = between.intermediate("nearer");
    let far = nearer.issue(&["127.0.0.1"]);
    let near = between.issue(&["127.0.0.1"]);
    let near_alone = near.alone();
    let hosts = [Host::showing(&near), Host::showing(&far).at(1), Host::showing(&near_alone).at(2)];
    let nginx = SecureNginx::start(&hosts, &[]);
    let url = |port| format!("https://{}/small", nginx.address_of(port));
    assert_trusted(&url(0), &["--cacert", &papers.cacert]);
    assert_trusted(&url(1), &["--cacert", &papers.cacert]);
    assert_refused("certificate_untrusted", &url(2), &["--cacert", &papers.cacert]);
    // Who is named is trusted, and need not be signed by anybody.
    let named = papers.write("between.pem", &between.pem());
    assert_trusted(&url(2), &["--cacert", &named]);
    let several =
        papers.write("several.pem", &format!("{}{}", papers.authority.pem(), between.pem()));
    assert_trusted(&url(2), &["--cacert", &several]);
}

#[test]
fn a_certificate_is_for_names_or_for_addresses() {
    let papers = Papers::new();
    let for_address = papers.authority.issue(&["127.0.0.1"]);
    let for_name = papers.authority.issue(&["localhost"]);
    let for_all = papers.authority.issue(&["*.wide.example"]);
    let hosts = [
        Host::showing(&for_address),
        Host::showing(&for_name).at(1),
        Host::showing(&for_all).at(2),
    ];
    let nginx = SecureNginx::start(&hosts, &[]);
    let trust = ["--cacert", &papers.cacert];
    let url = |host, port| {
        let address = nginx.address_of(port);
        format!("https://{host}:{}/small", address.port())
    };
    assert_trusted(&url("127.0.0.1", 0), &trust);
    assert_refused("certificate_wrong_host", &url("localhost", 0), &trust);
    assert_trusted(&url("localhost", 1), &trust);
    assert_refused("certificate_wrong_host", &url("127.0.0.1", 1), &trust);
    let named = |name| [&trust[..], &["--sni", name]].concat();
    assert_trusted(&url("127.0.0.1", 2), &named("any.wide.example"));
    assert_refused("certificate_wrong_host", &url("127.0.0.1", 2), &named("one.more.wide.example"));
}

#[test]
fn the_name_that_is_asked_for_selects_the_server() {
    let papers = Papers::new();
    let second = papers.authority.issue(&["second.example"]);
    let third = papers.authority.issue(&["third.example"]);
    let hosts = [
        Host::showing(&papers.certified).named("first.example"),
        Host::showing(&second).named("second.example"),
        Host::showing(&third).named("third.example"),
    ];
    let nginx = SecureNginx::start(&hosts, &[]);
    let url = nginx.url("/small");
    let trust = ["--cacert", &papers.cacert];
    assert_trusted(&url, &trust);
    for name in ["second.example", "third.example"] {
        let header = format!("Host: {name}");
        let asking = ["-n", "10", "-c", "2", "--sni", name, "-H", &header, &url];
        let report = measure(&[&asking[..], &trust].concat());
        report.assert_all_ok();
        assert_eq!(report.text("/tls/name"), name);
    }
    assert_refused(
        "certificate_wrong_host",
        &url,
        &[&trust[..], &["--sni", "fourth.example"]].concat(),
    );
    let handled = nginx.handled();
    // Addresses are no names to ask for.
    for (asked_for, name) in [
        ("-", "first.example"),
        ("second.example", "second.example"),
        ("third.example", "third.example"),
    ] {
        let of = |request: &&Handled| request.asked_for == asked_for && request.name == name;
        assert_eq!(handled.iter().filter(of).count(), 10, "{name}");
    }
}
