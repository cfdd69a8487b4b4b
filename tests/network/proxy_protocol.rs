//! The PROXY protocol: what nginx and haproxy read out of it is what they see of the connection itself.

use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::proxies::Proxy;
use crate::site::{Log, NAME, Site};
use crate::support::nginx::free_address;
use crate::support::report::{measure, measure_to};
use crate::support::{installed, wait_until};
use crate::{each, told};

const VERSIONS: [&str; 2] = ["v1", "v2"];

/// What was claimed is true of every request.
fn assert_true(log: &Log) {
    for (claimed, seen) in [
        ("claimed_addr", "remote_addr"),
        ("claimed_port", "remote_port"),
        ("claimed_server_addr", "server_addr"),
        ("claimed_server_port", "server_port"),
    ] {
        log.assert_equal(claimed, seen);
    }
}

#[test]
fn nginx_is_told_the_true_ends_of_every_connection() {
    for version in VERSIONS {
        let site = Site::start(&["127.0.0.1:{port} proxy_protocol"]);
        let url = format!("http://127.0.0.1:{}/", site.files.port);
        let flags = ["--proxy-protocol", version, "-n", "500", "-c", "8", &url];
        measure(&flags).assert_all_ok();
        measure(&[&flags[..], &["-p", "8"]].concat()).assert_all_ok();
        let log = site.log();
        assert_eq!((log.requests(), log.connections()), (1000, 16));
        assert_true(&log);
    }
}

#[test]
fn the_header_comes_before_the_handshake_of_tls() {
    for version in VERSIONS {
        let site = Site::start(&["127.0.0.1:{other} ssl proxy_protocol"]);
        let url = format!("https://{NAME}:{}/", site.files.other);
        let resolve = format!("--resolve={NAME}:{}:127.0.0.1", site.files.other);
        let trust = site.files.argument("certificate.pem");
        let flags = ["--proxy-protocol", version, &resolve, "--cacert", &trust, "-n", "300"];
        measure(&[&flags[..], &["-c", "4", &url]].concat()).assert_all_ok();
        let log = site.log();
        assert_eq!((log.requests(), log.connections()), (300, 4));
        assert_true(&log);
    }
}

#[test]
fn every_connection_begins_with_one_header() {
    for version in VERSIONS {
        let site = Site::start(&[
            "127.0.0.1:{port} proxy_protocol",
            "127.0.0.1:{other} ssl proxy_protocol",
        ]);
        let plain = format!("http://127.0.0.1:{}/", site.files.port);
        let secure = format!("https://127.0.0.1:{}/", site.files.other);
        for url in [&["-k", &secure][..], &[&plain]] {
            for churn in [&["--no-keepalive"][..], &["--requests-per-connection", "10"]] {
                let flags = ["--proxy-protocol", version, "-n", "200", "-c", "4"];
                measure(&[&flags[..], churn, url].concat()).assert_all_ok();
            }
        }
        let log = site.log();
        assert_eq!(log.requests(), 800);
        // Up to one a connection is opened in vain at the end of a run.
        assert!((440..=448).contains(&log.connections()), "{}", log.connections());
        assert_true(&log);
    }
}

#[test]
fn sources_and_several_addresses_are_told_truly() {
    for version in VERSIONS {
        let site =
            Site::start(&["127.0.0.1:{port} proxy_protocol", "127.0.0.2:{port} proxy_protocol"]);
        let port = site.files.port;
        let (resolve, url) = (
            format!("--resolve={NAME}:{port}:127.0.0.1,127.0.0.2"),
            format!("http://{NAME}:{port}/"),
        );
        let flags = ["--proxy-protocol", version, "--source", "127.0.0.4-127.0.0.5", &resolve];
        measure(&[&flags[..], &["-n", "400", "-c", "8", &url]].concat()).assert_all_ok();
        let log = site.log();
        assert_true(&log);
        let pairs = [
            "127.0.0.4 127.0.0.1",
            "127.0.0.4 127.0.0.2",
            "127.0.0.5 127.0.0.1",
            "127.0.0.5 127.0.0.2",
        ];
        assert_eq!(
            log.connections_by_all(&["claimed_addr", "claimed_server_addr"]),
            each(pairs, 2)
        );
    }
}

#[test]
fn over_a_unix_socket_there_is_a_header_that_tells_nothing() {
    for version in VERSIONS {
        for (scheme, listen) in [
            ("http", "unix:{prefix}/socket proxy_protocol"),
            ("https", "unix:{prefix}/socket ssl proxy_protocol"),
        ] {
            let site = Site::start(&[listen]);
            let path = site.files.argument("socket");
            let trust = site.files.argument("certificate.pem");
            let url = format!("{scheme}://{NAME}/");
            let over_it = ["--proxy-protocol", version, "--unix-socket", &path, &url];
            let trust = if scheme == "https" { &["--cacert", &trust][..] } else { &[] };
            let report = measure(&[&over_it[..], trust, &["-n", "300", "-c", "4"]].concat());
            report.assert_all_ok();
            let log = site.log();
            assert_eq!((log.requests(), log.connections()), (300, 4));
            assert_eq!(log.connections_by("claimed_addr"), each([""], 4));
        }
    }
}

#[test]
fn a_server_that_expects_no_header_answers_no_request() {
    for version in VERSIONS {
        let site = Site::start(&["127.0.0.1:{port}", "unix:{prefix}/socket"]);
        let url = format!("http://127.0.0.1:{}/", site.files.port);
        let path = site.files.argument("socket");
        for way in [&[][..], &["--unix-socket", &path]] {
            let flags = ["--proxy-protocol", version, "-n", "50", "-c", "2", &url];
            let report = measure_to(5, &[&flags[..], way].concat());
            assert_eq!(report.count("ok"), 0);
            let (ended, words) = told(&[&flags[..], way].concat());
            assert_eq!(ended.code, Some(5), "{words}");
        }
        let log = site.log();
        assert!(log.connections_by("status").into_keys().eq(["400"]), "{log:?}");
    }
}

#[test]
fn a_server_that_waits_for_a_header_answers_no_request_without_one() {
    let site = Site::start(&["127.0.0.1:{port} proxy_protocol"]);
    let url = format!("http://127.0.0.1:{}/", site.files.port);
    // Each attempt after a fruitless one is made later.
    let report = measure_to(5, &["-n", "8", "-c", "2", &url]);
    assert_eq!(report.count("ok"), 0);
    assert_eq!(site.log().requests(), 0);
}

/// haproxy, which answers by itself and logs on its standard output, or relays to another server; killed when dropped.
struct Haproxy {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
    other: u16,
    relay: u16,
}

const HAPROXY: &str = r#"
global
  log stdout format raw local0
  nbthread 1
  maxconn 500
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend all
  log global
  log-format "%ci %cp %[dst] %[dst_port] %ST"
  bind 127.0.0.1:{port} accept-proxy
  bind 127.0.0.1:{other} accept-proxy ssl crt {both}
  http-request return status 200 content-type text/plain string "Hello"
listen relay
  mode tcp
  bind 127.0.0.1:{relay} accept-proxy
  server next {next}
"#;

impl Haproxy {
    /// With the certificate and key of the file `both`; relaying leads to `next`.
    fn start(both: &str, next: &str) -> Self {
        let [port, other, relay] = [(); 3].map(|()| free_address().port());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("haproxy.cfg");
        let configuration = HAPROXY
            .replace("{port}", &port.to_string())
            .replace("{other}", &other.to_string())
            .replace("{relay}", &relay.to_string())
            .replace("{next}", next)
            .replace("{both}", both);
        fs::write(&path, configuration).unwrap();
        let output = |name| Stdio::from(File::create(folder.path().join(name)).unwrap());
        // Not its master with a worker of its own, but the one process.
        let process = Command::new(installed("haproxy", "haproxy"))
            .args(["-db", "-f"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(output("log"))
            .stderr(output("errors"))
            .spawn()
            .unwrap();
        let mut haproxy = Self { process, folder, port, other, relay };
        wait_until("haproxy", || {
            let errors = fs::read_to_string(haproxy.folder.path().join("errors")).unwrap();
            assert!(haproxy.process.try_wait().unwrap().is_none(), "{errors}");
            [port, other, relay].iter().all(|&at| TcpStream::connect(("127.0.0.1", at)).is_ok())
        });
        haproxy
    }

    /// Lines about requests that were answered, as soon as there are so many.
    fn log(&self, requests: usize) -> Vec<String> {
        let path = self.folder.path().join("log");
        let read = || {
            let text = fs::read_to_string(&path).unwrap();
            // Attempts to connect that told nothing are logged with addresses that are no claims.
            text.lines().filter(|line| line.ends_with(" 200")).map(str::to_owned).collect()
        };
        let mut lines: Vec<String> = Vec::new();
        wait_until("haproxy's log", || {
            lines = read();
            lines.len() >= requests
        });
        lines
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // It has ended, or it is to end now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn haproxy_accepts_the_header_with_and_without_tls() {
    // Of the site only the certificate is wanted.
    let site = Site::start(&["127.0.0.1:{port}"]);
    let both = site.files.argument("both.pem");
    let trust = site.files.argument("certificate.pem");
    for version in VERSIONS {
        let haproxy = Haproxy::start(&both, "127.0.0.1:9");
        let (port, other) = (haproxy.port, haproxy.other);
        let mut requests = 0;
        for (url, at, flags) in [
            (format!("http://127.0.0.1:{port}/"), port, &[][..]),
            (format!("https://127.0.0.1:{other}/"), other, &["--cacert", &trust]),
        ] {
            let load = ["--proxy-protocol", version, "-n", "200", "-c", "4", &url];
            let source = ["--source", "127.0.0.6"];
            let report = measure(&[&load[..], &source, flags].concat());
            report.assert_all_ok();
            requests += 200;
            let log = haproxy.log(requests);
            assert_eq!(log.len(), requests);
            let told: std::collections::BTreeSet<_> = log[requests - 200..].iter().collect();
            // One port a connection.
            assert_eq!(told.len(), 4, "{told:?}");
            let end = format!(" 127.0.0.1 {at} 200");
            let is_true = |line: &&String| line.starts_with("127.0.0.6 ") && line.ends_with(&end);
            assert!(told.iter().all(is_true), "{told:?}");
        }
    }
}

#[test]
fn the_header_comes_before_what_is_said_to_a_proxy() {
    let site = Site::start(&["127.0.0.1:{port}", "127.0.0.1:{other} ssl"]);
    let trust = site.files.argument("certificate.pem");
    let proxy = Proxy::start(&[]);
    let haproxy = Haproxy::start(&site.files.argument("both.pem"), proxy.address());
    let through = format!("127.0.0.1:{}", haproxy.relay);
    for version in VERSIONS {
        let flags = ["--proxy-protocol", version, "--proxy", &through, "-n", "100", "-c", "2"];
        let plain = format!("http://{NAME}:{}/", site.files.port);
        measure(&[&flags[..], &[&plain]].concat()).assert_all_ok();
        let secure = format!("https://{NAME}:{}/", site.files.other);
        measure(&[&flags[..], &["--cacert", &trust, &secure]].concat()).assert_all_ok();
    }
    assert_eq!((proxy.number("requests"), proxy.number("tunnels")), (200, 4));
    assert_eq!(site.log().requests(), 400);
}
