//! HTTP proxies: one on node's own HTTP that counts what it is asked, and some that do everything wrong.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::site::{NAME, Site};
use crate::support::report::{Report, checked, measure};
use crate::support::scripted::{Scripted, closed_port};
use crate::support::{Ended, installed, maxq_on_engine, run};
use crate::{GIVE_UP, each, refused, told};

/// A proxy in a process of its own; killed when dropped.
pub(crate) struct Proxy {
    process: Child,
    address: String,
    _stdout: BufReader<ChildStdout>,
}

impl Proxy {
    /// With what `proxy.js` is told by its environment.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
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

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// One of the numbers that it has counted so far.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.counters().number(name)
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
    assert_eq!(proxy.number("requests"), 400);
    let before = proxy.number("connections");
    let report = measure(&[&["-n", "100", "-c", "4", "--no-keepalive"], &through[..]].concat());
    report.assert_all_ok();
    let unfinished = report.number("/connections/unfinished");
    // Of the look at the counters, too.
    let accepted = proxy.number("connections") - before - 1;
    let may_be = opened(&report)..=opened(&report) + unfinished;
    assert!(may_be.contains(&accepted), "{accepted} of {may_be:?}");
    assert_eq!((proxy.number("requests"), site.log().requests()), (500, 500));
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
    let through = ["--proxy", &proxy.url(), &trust[0], &trust[1], &url];
    refused(5, &[&GIVE_UP[..], &through].concat(), &["no connection", "certificate_wrong_host"]);
    assert!(proxy.number("tunnels") > 0);
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
        let tunnels = proxy.number("tunnels") - before.number("tunnels");
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
    // The answer took 55 bytes of 10 ms each, and the handshake began after that.
    let quickest_us = report.float("/latency/tls/min_us");
    assert!(quickest_us < 500_000.0, "{quickest_us}");
    assert_eq!((proxy.number("tunnels"), site.log().requests()), (4, 100));
}

#[test]
fn a_detour_that_a_proxy_would_leave_without_effect_is_not_swallowed() {
    let (site, proxy) = (Site::start(&["127.0.0.1:{port}"]), Proxy::start(&[]));
    let entry = format!("{NAME}:80:other.test:{}", site.files.port);
    let flags = ["--proxy", &proxy.url(), "--connect-to", &entry, "-n", "20", "-c", "2"];
    let ended = run(maxq_on_engine().args(flags).arg(format!("http://{NAME}/")));
    // Either it is obeyed, or it is refused by name.
    let refused = ended.code == Some(2) && ended.stderr.contains("--connect-to");
    assert!(refused || site.log().requests() == 20, "{:?} {}", ended.code, ended.stderr);
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
    assert_eq!((proxy.number("requests"), site.log().requests()), (100, 100));
}

#[test]
fn user_and_password_arrive_as_they_are_meant() {
    let ((site, secure, trust), proxy) =
        (secure_site(), Proxy::start(&[("USER_WANTED", "us:er@x:p%: wörd")]));
    // The first colon that is not encoded parts them; the rest is as in RFC 3986.
    let through = format!("http://us%3Aer%40x:p%25%3A%20w%C3%B6rd@{}", proxy.address);
    let plain = format!("http://{NAME}:{}/", site.files.port);
    let flags = ["--proxy", &through, "-n", "100", "-c", "2"];
    measure(&[&flags[..], &[&plain]].concat()).assert_all_ok();
    measure(&[&flags[..], &[&trust[0], &trust[1], &secure]].concat()).assert_all_ok();
    let counters = proxy.counters();
    assert_eq!(counters.number("refused"), 0);
    // A hundred requests, and two tunnels.
    assert_eq!(counters.table("users"), each(["us:er@x:p%: wörd"], 102));
    let log = site.log();
    assert_eq!(log.requests(), 200);
    let told: Vec<_> = log.connections_by("authorization").into_keys().collect();
    assert_eq!(told, [""], "it is none of the target's business");
}

const PASSWORD: &str = "s3cret%2Fword";
/// Everything that it could be recognised by: as given, as meant, as told to the proxy behind a name and a colon.
const BETRAYALS: [&str; 3] = [PASSWORD, "s3cret/word", "c29tZW9uZTpzM2NyZXQvd29yZA"];

/// Nothing that was printed betrays the password.
fn assert_secret(ended: &Ended) {
    for part in BETRAYALS {
        assert!(!ended.stdout.contains(part), "{part} in {}", ended.stdout);
        assert!(!ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
}

#[test]
fn a_password_is_never_printed() {
    let ((site, secure, trust), proxy) =
        (secure_site(), Proxy::start(&[("USER_WANTED", "someone:s3cret/word")]));
    let through = format!("http://someone:{PASSWORD}@{}", proxy.address);
    let plain = format!("http://{NAME}:{}/", site.files.port);
    for url in [plain, secure] {
        let secure = url.starts_with("https");
        let trust = if secure { &[trust[0].as_str(), &trust[1]][..] } else { &[] };
        for output in ["--json", "--latency", "--quiet"] {
            let flags = ["-t", "1", "-n", "50", "-c", "2", "--proxy", &through, output, &url];
            let ended = run(maxq_on_engine().args(flags).args(trust));
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert_secret(&ended);
            if output == "--json" {
                checked(0, &ended).assert_all_ok();
            }
        }
    }
    assert_eq!(proxy.number("refused"), 0);
}

#[test]
fn what_is_wrong_with_a_proxy_is_said_without_its_password() {
    for place in [
        "socks5://someone:PASSWORD@127.0.0.1:1",
        "https://someone:PASSWORD@127.0.0.1:1",
        "http://someone:PASSWORD@",
        "http://someone:PASSWORD@127.0.0.1:99999",
        "http://someone:PASSWORD@127.0.0.1:x",
        "http://someone:PASSWORD@127.0.0.1:1/path",
        "http://someone:PASSWORD@127.0.0.1 :1",
        "http://someone:PASSWORD@[::1:1",
        "someone:PASSWORD@",
    ] {
        let given = place.replace("PASSWORD", PASSWORD);
        assert_secret(&refused(2, &["--proxy", &given, "http://a.test/"], &["--proxy"]));
    }
    let (address, _kept) = closed_port();
    let given = format!("http://someone:{PASSWORD}@{address}");
    for url in ["http://a.test/", "https://a.test/"] {
        let flags = [&GIVE_UP[..], &["--proxy", &given, url]].concat();
        assert_secret(&refused(5, &flags, &["the proxy", &address.to_string(), "refused"]));
    }
    let resolve = format!("--resolve=proxy.test:{}:127.0.0.1", address.port());
    let given = format!("http://someone:{PASSWORD}@proxy.test:{}", address.port());
    let flags = [&resolve, "-6", "--proxy", &given, "http://a.test/"];
    assert_secret(&refused(5, &flags, &["-6", "proxy.test"]));
}

#[test]
fn who_is_not_admitted_by_a_proxy_is_told_so() {
    let proxy = Proxy::start(&[("USER_WANTED", "someone:else")]);
    for user in [format!("someone:{PASSWORD}@"), String::new()] {
        let through = format!("http://{user}{}", proxy.address);
        // In absolute form a refusal is a response like any other.
        let flags = ["--proxy", &through, "-n", "50", "-c", "2", "http://site.test/"];
        let ended = run(maxq_on_engine().args(["-t", "1", "--json"]).args(flags));
        let report = checked(5, &ended);
        assert_eq!((report.status(407), report.count("http_error")), (50, 50));
        assert_secret(&ended);
        // Without a tunnel there is no connection.
        let flags = [&GIVE_UP[..], &["--proxy", &through, "https://site.test/"]].concat();
        let parts = ["the proxy", "proxy_refused", "407 Proxy Authentication Required"];
        assert_secret(&refused(5, &flags, &parts));
    }
    assert_eq!(proxy.number("refused"), proxy.number("tunnels") + 2 * 50);
}

/// A proxy that opens tunnels to a port for so long as it has opened fewer than `good`, and then answers with `refusal`.
fn tiring_proxy(good: u64, port: u16, refusal: &'static str) -> Scripted {
    Scripted::start(move |mut peer| {
        let Some(number) = peer.request() else { return };
        if number >= good {
            peer.send(refusal);
            return peer.wait_for_close();
        }
        peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
        peer.relay(TcpStream::connect(("127.0.0.1", port)).unwrap());
    })
}

#[test]
fn a_proxy_that_opens_no_more_tunnels_is_in_the_report() {
    let (site, url, trust) = secure_site();
    let refusal = "HTTP/1.1 503 Too Many\r\nX-Escape: \x1b[31m\r\nContent-Length: 0\r\n\r\n";
    let proxy = tiring_proxy(6, site.files.other, refusal);
    let through = format!("http://someone:{PASSWORD}@{}", proxy.address());
    let limits = ["-d", "500ms", "--warmup", "0", "-c", "2", "--requests-per-connection", "5"];
    let flags = ["--proxy", &through, &trust[0], &trust[1], &url];
    let report = measure(&[&limits[..], &flags].concat());
    assert_eq!((report.count("ok"), opened(&report)), (30, 6));
    let refused = report.error("connect/proxy_refused");
    assert_eq!(refused, report.number("/connections/failed"), "{:?}", report.errors());
    assert!(refused > 2, "{refused}");
    let rows = report.json["errors"].to_string();
    assert!(rows.contains("503 Too Many") && !rows.contains('\x1b'), "{rows}");
    assert_eq!(report.json["tls"]["failed"], 0, "no handshake has begun");
    assert_eq!(report.count("scheduled"), 30, "what was not sent was not due");
}

/// A proxy that says `answer` to whatever it is asked, and no more.
fn saying(answer: &'static str) -> Scripted {
    Scripted::start(move |mut peer| {
        peer.request();
        peer.send(answer);
        // What has been said comes before the end.
        peer.half_close();
        peer.wait_for_close();
    })
}

/// Runs through `proxy`, where no connection can be had for a reason that holds all of `parts`.
fn nothing_through(proxy: &Scripted, parts: &[&str]) {
    let through = format!("http://{}", proxy.address());
    let flags = [&GIVE_UP[..], &["--proxy", &through, "https://a.test/"]].concat();
    refused(5, &flags, &[&["no connection", "the proxy"], parts].concat());
}

#[test]
fn proxies_that_open_no_tunnel_are_unusable_targets() {
    let cases = [
        ("", &["proxy_refused"][..]),
        ("SSH-2.0-OpenSSH_9.2\r\n", &["proxy_refused", "SSH-2.0"]),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", &["proxy_refused", "302 Found"]),
        ("HTTP/1.1 200", &["proxy_refused"]),
        ("HTTP/1.1 200 OK\r\n\r\n", &["closed_in_handshake"]),
    ];
    // They only wait, and may do so at the same time.
    thread::scope(|scope| {
        for (answer, parts) in cases {
            scope.spawn(move || nothing_through(&saying(answer), parts));
        }
        // It may be gone before or after it was asked, and the kernel says so in one way or the other.
        scope.spawn(|| nothing_through(&Scripted::start(drop), &["attempts"]));
    });
}

#[test]
fn a_tunnel_to_what_speaks_no_tls_is_an_unusable_target() {
    nothing_through(&saying("HTTP/1.1 200 OK\r\n\r\nno TLS"), &["not_tls"]);
    nothing_through(&saying("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad\r\n\r\n"), &["not_tls"]);
}

#[test]
fn a_proxy_that_never_answers_is_not_waited_for_longer_than_allowed() {
    let proxy = Scripted::start(|mut peer| {
        peer.request();
        peer.wait_for_close();
    });
    let through = format!("http://{}", proxy.address());
    let through = ["--connect-timeout", "100ms", "--proxy", &through, "https://a.test/"];
    let flags = [&GIVE_UP[..], &through].concat();
    refused(5, &flags, &["no connection", "the proxy", "connect_timeout"]);
    assert!(proxy.accepted() >= 4, "each of both is tried again");
}

#[test]
fn the_report_names_the_proxy() {
    let ((site, secure, trust), proxy) = (secure_site(), Proxy::start(&[]));
    let port = proxy.address.rsplit(':').next().unwrap();
    let resolve = format!("--resolve=proxy.test:{port}:127.0.0.1");
    let through = format!("proxy.test:{port}");
    let plain = format!("http://{NAME}:{}/", site.files.port);
    for url in [&plain, &secure] {
        let flags = [&resolve, "--proxy", &through, "-n", "100", "-c", "2", url];
        let trust = if *url == secure { &[trust[0].as_str(), &trust[1]][..] } else { &[] };
        let (ended, words) = told(&[&flags[..], trust].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let target = format!("Target 127.0.0.1:{port}, the proxy proxy.test:{port} on this host");
        assert!(words.contains(&target), "{words}");
        assert!(words.contains(&format!("GET {url}")), "{words}");
    }
}
