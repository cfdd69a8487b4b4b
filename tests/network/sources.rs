//! Where connections come from: the addresses of `--source`, dealt out in turn.

use crate::site::{NAME, Site};
use crate::support::report::measure;
use crate::{each, refused};

#[test]
fn connections_come_from_all_addresses_of_a_range() {
    let site = Site::start(&["127.0.0.1:{port}"]);
    let url = format!("http://127.0.0.1:{}/", site.files.port);
    let report = measure(&["--source", "127.0.0.2-127.0.0.5", "-n", "400", "-c", "8", &url]);
    report.assert_all_ok();
    assert_eq!(report.number("/plan/sources"), 4);
    let log = site.log();
    assert_eq!(log.requests(), 400);
    let sources = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"];
    assert_eq!(log.connections_by("remote_addr"), each(sources, 2));
}

#[test]
fn connections_come_from_all_hosts_of_a_block_and_from_single_addresses() {
    let site = Site::start(&["127.0.0.1:{port}"]);
    let url = format!("http://127.0.0.1:{}/", site.files.port);
    let list = "127.0.0.8/29, 127.0.0.77";
    measure(&["--source", list, "-n", "700", "-c", "14", &url]).assert_all_ok();
    let hosts = [
        "127.0.0.9",
        "127.0.0.10",
        "127.0.0.11",
        "127.0.0.12",
        "127.0.0.13",
        "127.0.0.14",
        "127.0.0.77",
    ];
    assert_eq!(site.log().connections_by("remote_addr"), each(hosts, 2));
}

#[test]
fn every_source_reaches_every_address() {
    let site = Site::start(&["127.0.0.1:{port}", "127.0.0.2:{port}"]);
    let port = site.files.port;
    let resolve = format!("--resolve={NAME}:{port}:127.0.0.1,127.0.0.2");
    let url = format!("http://{NAME}:{port}/");
    let source = ["--source", "127.0.0.4-127.0.0.6"];
    measure(&[&source[..], &[&resolve, "-n", "600", "-c", "12", &url]].concat()).assert_all_ok();
    let pairs = [
        "127.0.0.1 127.0.0.4",
        "127.0.0.1 127.0.0.5",
        "127.0.0.1 127.0.0.6",
        "127.0.0.2 127.0.0.4",
        "127.0.0.2 127.0.0.5",
        "127.0.0.2 127.0.0.6",
    ];
    assert_eq!(site.log().connections_by_all(&["server_addr", "remote_addr"]), each(pairs, 2));
}

#[test]
fn a_connection_that_is_opened_again_comes_from_where_it_came_before() {
    let site = Site::start(&["127.0.0.1:{port}"]);
    let url = format!("http://127.0.0.1:{}/", site.files.port);
    let flags = ["--source", "127.0.0.4-127.0.0.6", "-n", "300", "-c", "3", "--no-keepalive"];
    measure(&[&flags[..], &[&url]].concat()).assert_all_ok();
    let log = site.log();
    assert_eq!(log.connections(), 300);
    let dealt = log.connections_by("remote_addr");
    // One connection has each of them, and gets as many requests as it is fast.
    assert!(dealt.len() == 3 && dealt.values().all(|&count| count > 50), "{dealt:?}");
}

#[test]
fn what_cannot_be_a_source_is_refused() {
    let at = |source| ["--source", source, "http://127.0.0.1:9/"];
    refused(2, &at("192.0.2.1"), &["--source", "192.0.2.1", "no address of this host"]);
    refused(2, &at("127.0.0.2,192.0.2.7"), &["--source", "192.0.2.7"]);
    // The last of the range is nobody's, and the first is this host's.
    refused(2, &at("127.255.255.255-128.0.0.1"), &["--source"]);
    // There are machines without IPv6, which have no such address.
    refused(2, &at("::1"), &["--source"]);
    refused(2, &at("127.0.0.9-127.0.0.2"), &["--source", "127.0.0.9-127.0.0.2"]);
    refused(2, &at("127.0.0.0/33"), &["--source", "127.0.0.0/33"]);
    refused(2, &at("0.0.0.0/0"), &["--source", "more addresses"]);
    refused(2, &at("localhost"), &["--source", "localhost"]);
    refused(2, &at(""), &["--source"]);
}
