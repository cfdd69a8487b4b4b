//! Where connections go: several addresses of one host, and hosts that stand in for others.

use crate::site::{NAME, Site};
use crate::support::report::{Report, checked, measure};
use crate::support::scripted::closed_port;
use crate::support::{maxq_on_engine, not_tested, run};
use crate::{GIVE_UP, each, refused, told};

const THREE: [&str; 3] = ["127.0.0.1:{port}", "127.0.0.2:{port}", "127.0.0.3:{port}"];

/// The flag that gives a site's name three addresses, and a URL with that name.
fn three(site: &Site) -> (String, String) {
    let port = site.files.port;
    let resolve = format!("--resolve={NAME}:{port}:127.0.0.1,127.0.0.2,127.0.0.3");
    (resolve, format!("http://{NAME}:{port}/"))
}

fn listed(report: &Report) -> Vec<&str> {
    let addresses = report.json["plan"]["addresses"].as_array().unwrap();
    addresses.iter().map(|address| address.as_str().unwrap().split_once(':').unwrap().0).collect()
}

#[test]
fn connections_are_dealt_over_all_addresses_of_a_host() {
    let site = Site::start(&THREE);
    let (resolve, url) = three(&site);
    let report = measure(&[&resolve, "-n", "900", "-c", "9", &url]);
    report.assert_all_ok();
    assert_eq!(listed(&report), ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    assert_eq!(report.text("/plan/address"), format!("127.0.0.1:{}", site.files.port));
    let log = site.log();
    assert_eq!(log.requests(), 900);
    assert_eq!(log.connections_by("server_addr"), each(["127.0.0.1", "127.0.0.2", "127.0.0.3"], 3));
}

#[test]
fn threads_go_on_dealing_where_the_one_before_them_ended() {
    let site = Site::start(&THREE);
    let (resolve, url) = three(&site);
    let flags = ["-t", "2", "-c", "7", "-n", "1400", "--json"];
    let ended = run(maxq_on_engine().args(flags).args([&resolve, &url]));
    if ended.code == Some(2) && ended.stderr.contains("1 core") {
        return not_tested("this machine has one core, and two threads want two");
    }
    checked(0, &ended).assert_all_ok();
    let dealt = site.log().connections_by("server_addr");
    assert_eq!(dealt.into_values().collect::<Vec<_>>(), [3, 2, 2]);
}

#[test]
fn a_connection_is_opened_again_where_it_went_before() {
    let site = Site::start(&THREE);
    let (resolve, url) = three(&site);
    let flags = ["-c", "3", "-n", "900", "--requests-per-connection", "10"];
    let report = measure(&[&flags[..], &[&resolve, &url]].concat());
    report.assert_all_ok();
    let log = site.log();
    assert_eq!(log.requests(), 900);
    let dealt = log.connections_by("server_addr");
    // One connection leads to each; they are about as fast as each other, which is all that decides who gets more requests.
    assert_eq!(dealt.len(), 3);
    assert!(dealt.values().all(|&count| count > 15), "{dealt:?}");
    assert!((90..=93).contains(&log.connections()), "{}", log.connections());
}

#[test]
fn addresses_where_nobody_listens_are_left_out() {
    let site = Site::start(&["127.0.0.1:{port}", "127.0.0.3:{port}"]);
    let (resolve, url) = three(&site);
    let report = measure(&[&resolve, "-n", "400", "-c", "4", &url]);
    report.assert_all_ok();
    assert_eq!(listed(&report), ["127.0.0.1", "127.0.0.3"]);
    let (ended, words) = told(&[&resolve, "-n", "400", "-c", "4", &url]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(words.contains("2 of 3 addresses that accept"), "{words}");
    assert!(words.contains("dealt out in turn"), "{words}");
    let log = site.log();
    assert_eq!(log.requests(), 800);
    assert_eq!(log.connections_by("server_addr"), each(["127.0.0.1", "127.0.0.3"], 4));
}

#[test]
fn more_addresses_than_fit_a_line_are_counted() {
    let site = Site::start(&["127.0.0.1:{port}", "127.0.0.2:{port}", "127.0.0.3:{port}"]);
    let (port, first) = (site.files.port, "127.0.0.1,127.0.0.2,127.0.0.3");
    let resolve = format!("--resolve={NAME}:{port}:{first},{first}");
    let (ended, words) =
        told(&[&resolve, "-n", "600", "-c", "6", &format!("http://{NAME}:{port}/")]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let expected = format!("127.0.0.3:{port}, 127.0.0.1:{port} and 2 more, dealt out in turn");
    assert!(words.contains(&expected), "{words}");
    assert_eq!(site.log().requests(), 600);
}

#[test]
fn the_first_address_that_accepts_can_be_had_alone() {
    for (listen, only) in [(&THREE[..], "127.0.0.1"), (&THREE[1..], "127.0.0.2")] {
        let site = Site::start(listen);
        let (resolve, url) = three(&site);
        let first = [resolve.as_str(), "--addresses", "first", "-n", "400", "-c", "4", &url];
        let report = measure(&first);
        report.assert_all_ok();
        assert_eq!(listed(&report), [only]);
        let (_, words) = told(&first);
        assert!(words.contains("the first of 3 addresses that accepts"), "{words}");
        assert_eq!(site.log().connections_by("server_addr"), each([only], 8));
    }
}

#[test]
fn a_host_none_of_whose_addresses_accepts_is_an_unusable_target() {
    let (address, _kept) = closed_port();
    let resolve = format!("--resolve=a.test:{}:127.0.0.1,127.0.0.2", address.port());
    let url = format!("http://a.test:{}/", address.port());
    let flags = [&GIVE_UP[..], &[&resolve, &url]].concat();
    let parts = ["127.0.0.1:", "the first of 2 addresses, none of which accepts", "refused"];
    refused(5, &flags, &parts);
}

#[test]
fn a_host_without_an_address_of_the_chosen_version_is_refused() {
    let flags = ["--resolve", "a.test:80:127.0.0.1", "-6", "http://a.test/"];
    refused(5, &flags, &["-6", "a.test", "no IPv6 address"]);
    let flags = ["--resolve", "a.test:80:::1", "-4", "http://a.test/"];
    refused(5, &flags, &["-4", "a.test", "no IPv4 address"]);
}

#[test]
fn what_stands_in_for_a_host_is_asked_for_that_host() {
    let site = Site::start(&["127.0.0.1:{port}"]);
    let port = site.files.port;
    for (entry, url, host) in [
        (format!("www.test:80:127.0.0.1:{port}"), "http://www.test/", "www.test"),
        (format!("::127.0.0.1:{port}"), "http://other.test/", "other.test"),
        (format!("any.test::127.0.0.1:{port}"), "http://ANY.test:81/", "ANY.test:81"),
        (format!("[::1]:8:127.0.0.1:{port}"), "http://[::1]:8/", "[::1]:8"),
        (format!("[::1]:8:[127.0.0.1]:{port}"), "http://[::1]:8/", "[::1]:8"),
    ] {
        let elsewhere = "not.this:80:192.0.2.1:80";
        let flags = ["--connect-to", elsewhere, "--connect-to", &entry, "-n", "100", "-c", "2"];
        let report = measure(&[&flags[..], &[url]].concat());
        report.assert_all_ok();
        assert_eq!(report.text("/plan/url").trim_end_matches('/'), format!("http://{host}"));
        assert_eq!(report.text("/plan/address"), format!("127.0.0.1:{port}"));
    }
    let mut hosts = each(["www.test", "other.test", "ANY.test:81"], 2);
    hosts.insert("[::1]:8".to_owned(), 4);
    assert_eq!(site.log().connections_by("host"), hosts);
}

#[test]
fn what_stands_in_for_a_host_may_have_several_addresses() {
    let site = Site::start(&THREE);
    let (resolve, _) = three(&site);
    let entry = format!("www.test:80:{NAME}:{}", site.files.port);
    let flags = ["--connect-to", &entry, &resolve, "-n", "300", "-c", "6", "http://www.test/"];
    let report = measure(&flags);
    report.assert_all_ok();
    let dealt = site.log().connections_by_all(&["server_addr", "host"]);
    let pairs = ["127.0.0.1 www.test", "127.0.0.2 www.test", "127.0.0.3 www.test"];
    assert_eq!(dealt, each(pairs, 2));
}

#[test]
fn the_name_that_tls_verifies_is_that_of_the_url() {
    let site = Site::start(&["127.0.0.1:{other} ssl"]);
    let entry = format!("{NAME}:443:127.0.0.1:{}", site.files.other);
    let trust = site.files.argument("certificate.pem");
    let url = format!("https://{NAME}/");
    let report =
        measure(&["--connect-to", &entry, "--cacert", &trust, "-n", "100", "-c", "2", &url]);
    report.assert_all_ok();
    assert_eq!(site.log().connections_by_all(&["sni", "host"]), each(["site.test site.test"], 2));
}

#[test]
fn entries_that_say_nothing_are_refused() {
    for entry in ["a", "a:80", "a:80:b", "a:80:b:x", "a:80:b:1:2", "a:99999:b:80"] {
        refused(2, &["--connect-to", entry, "http://a/"], &["--connect-to", entry]);
    }
    for entry in ["a", "a:80", "a:80:", "a:80:b", "a:x:127.0.0.1", "a:80:127.0.0.1,"] {
        refused(2, &["--resolve", entry, "http://a/"], &["--resolve", entry]);
    }
}
