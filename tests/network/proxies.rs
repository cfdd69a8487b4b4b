//! HTTP proxies: one on node's own HTTP that counts what it is asked, and some that do everything wrong.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::site::{NAME, Site};
use crate::support::report::{Report, checked, measure, measure_to};
use crate::support::scripted::{Scripted, closed_port};
use crate::support::{Ended, installed, maxq_on_engine, run};
use crate::{each, refused, told};

/// A proxy in a process of its own; killed when dropped.
struct Proxy {
    process: Child,
    address: String,
    _stdout: BufReader<ChildStdout>,
}

impl Proxy {
    /// With what `proxy.js` is told by its environment.
    fn start(environment: &[(&str, &str)]) -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/network/proxy.js");
        let mut process = Command::new(installed("node", "nodejs"))
            .arg(program)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "node starts the proxy");
        Self { process, address: format!("127.0.0.1:{}", line.trim_end()), _stdout: stdout }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn counters(&self) -> Counters {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
            .write_all(b"GET /counters HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (from, to) = (text.find('{').unwrap(), text.rfind('}').unwrap());
        Counters(serde_json::from_str(&text[from..=to]).unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It has ended, or it is to end now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the proxy has counted.
struct Counters(Value);

impl Counters {
    fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap()
    }

    fn table(&self, name: &str) -> BTreeMap<String, usize> {
        serde_json::from_value(self.0[name].clone()).unwrap()
    }
}

/// Connections that led to the proxy and were good.
fn opened(report: &Report) -> u64 {
    report.number("/connections/opened") + report.number("/connections/reconnects")
}

/// A site for `https://site.test`, and the flags that trust it.
fn secure_site() -> (Site, String, [String; 2]) {
    let site = Site::start(&["127.0.0.1:{port}", "127.0.0.1:{other} ssl"]);
    let url = format!("https://{NAME}:{}/", site.files.other);
    let trust = ["--cacert".to_owned(), site.files.argument("certificate.pem")];
    (site, url, trust)
}

#[test]
fn http_goes_through_a_proxy_in_absolute_form() {
    let (site, proxy) = (Site::start(&["127.0.0.1:{port}"]), Proxy::start(&[]));
    let authority = format!("{NAME}:{}", site.files.port);
    let url = format!("http://{authority}/path?query");
    let report = measure(&["--proxy", &proxy.url(), "-n", "500", "-c", "5", &url]);
    report.assert_all_ok();
    assert_eq!(report.text("/plan/address"), proxy.address);
    let counters = proxy.counters();
    assert_eq!((counters.number("requests"), counters.number("tunnels")), (500, 0));
    assert_eq!((counters.number("connections"), opened(&report)), (5, 5));
    assert_eq!(counters.table("asked"), each([&authority], 500));
    // Nobody's name was told.
    assert_eq!(counters.table("users"), each([""], 500));
    let log = site.log();
    assert_eq!(log.requests(), 500);
    assert_eq!(log.connections_by("host").into_keys().collect::<Vec<_>>(), [authority]);
}

#[test]
fn http_through_a_proxy_is_pipelined_and_reconnects() {
    let (site, proxy) = (Site::start(&["127.0.0.1:{port}"]), Proxy::start(&[]));
    let url = format!("http://{NAME}:{}/", site.files.port);
    let through = ["--proxy", &proxy.url(), &url];
    measure(&[&["-n", "400", "-c", "2", "-p", "8"], &through[..]].concat()).assert_all_ok();
    assert_eq!(proxy.counters().number("requests"), 400);
    let before = proxy.counters().number("connections");
    let report = measure(&[&["-n", "100", "-c", "4", "--no-keepalive"], &through[..]].concat());
    report.assert_all_ok();
    let unfinished = report.number("/connections/unfinished");
    // Of the look at the counters, too.
    let accepted = proxy.counters().number("connections") - before - 1;
    let may_be = opened(&report)..=opened(&report) + unfinished;
    assert!(may_be.contains(&accepted), "{accepted} of {may_be:?}");
    assert_eq!((proxy.counters().number("requests"), site.log().requests()), (500, 500));
}

#[test]
fn https_goes_through_a_tunnel_and_is_verified() {
    let ((site, url, trust), proxy) = (secure_site(), Proxy::start(&[]));
    let through = ["--proxy", &proxy.url(), &trust[0], &trust[1], "-n", "500", "-c", "5", &url];
    let report = measure(&through);
    report.assert_all_ok();
    assert_eq!(report.json["tls"]["verified"], true);
    assert_eq!(report.number("/tls/full") + report.number("/tls/resumed"), 5);
    let counters = proxy.counters();
    assert_eq!((counters.number("requests"), counters.number("tunnels")), (0, 5));
    assert_eq!(counters.number("connections"), 5);
    let authority = format!("{NAME}:{}", site.files.other);
    assert_eq!(counters.table("asked"), each([&authority], 5));
    let log = site.log();
    assert_eq!((log.requests(), log.connections()), (500, 5));
    assert_eq!(log.connections_by("sni"), each([NAME], 5));
}

#[test]
fn a_tunnel_to_another_than_was_meant_is_no_success() {
    let ((site, _, trust), proxy) = (secure_site(), Proxy::start(&[]));
    let url = format!("https://other.test:{}/", site.files.other);
    let through = ["--proxy", &proxy.url(), &trust[0], &trust[1], "--give-up", "200ms", &url];
    refused(5, &through, &["no connection", "certificate_wrong_host"]);
    assert!(proxy.counters().number("tunnels") > 0);
    assert_eq!(site.log().requests(), 0);
}

#[test]
fn every_connection_has_a_tunnel_of_its_own() {
    let ((site, url, trust), proxy) = (secure_site(), Proxy::start(&[]));
    let through = ["--proxy", &proxy.url(), &trust[0], &trust[1], &url];
    for churn in [&["--no-keepalive"][..], &["--requests-per-connection", "10", "-p", "4"]] {
        let before = proxy.counters();
        let flags = [&["-n", "200", "-c", "4"], churn, &through].concat();
        let report = measure(&flags);
        report.assert_all_ok();
        let unfinished = report.number("/connections/unfinished");
        let tunnels = proxy.counters().number("tunnels") - before.number("tunnels");
        let may_be = opened(&report)..=opened(&report) + unfinished;
        assert!(may_be.contains(&tunnels), "{churn:?}: {tunnels} of {may_be:?}");
    }
    assert_eq!(site.log().requests(), 400);
}

#[test]
fn a_proxy_that_answers_byte_by_byte_opens_a_tunnel() {
    let ((site, url, trust), proxy) = (secure_site(), Proxy::start(&[("DRIP", "1")]));
    let through = ["--proxy", &proxy.url(), &trust[0], &trust[1], "-n", "100", "-c", "4", &url];
    let report = measure(&through);
    report.assert_all_ok();
    // The time of a handshake is that of the handshake alone: 60 bytes came at a millisecond each before it.
    let (ended, words) = told(&through);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(words.contains("time of a handshake: p50"), "{words}");
    assert_eq!((proxy.counters().number("tunnels"), site.log().requests()), (8, 200));
}

#[test]
fn a_name_may_stand_for_the_proxy() {
    let (site, proxy) = (Site::start(&["127.0.0.1:{port}"]), Proxy::start(&[]));
    let url = format!("http://{NAME}:{}/", site.files.port);
    let port = proxy.address.rsplit(':').next().unwrap();
    let (resolve, through) =
        (format!("--resolve=proxy.test:{port}:127.0.0.1"), format!("proxy.test:{port}"));
    let report = measure(&[&resolve, "--proxy", &through, "-n", "100", "-c", "2", &url]);
    report.assert_all_ok();
    assert_eq!((proxy.counters().number("requests"), site.log().requests()), (100, 100));
}
