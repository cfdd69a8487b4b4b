//! The embedded target, held to its contract over plain sockets.
//!
//! Each test starts its own server on port 0 and speaks to it byte by byte.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

#[path = "serve/laws.rs"]
mod laws;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use maxq::serve::{Options, PathClass, Server, StatusClass};

fn start() -> Server {
    start_with(1)
}

fn start_with(threads: usize) -> Server {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(&Options { listen, threads, cpus: Vec::new() }).unwrap()
}

/// One connection and what was read from it but not looked at yet.
struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Debug)]
struct Response {
    head: String,
    status: u16,
    body: Vec<u8>,
}

impl Client {
    fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(server.local_address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.response()
    }

    fn more(&mut self) -> usize {
        let mut piece = [0; 65536];
        let count = self.stream.read(&mut piece).unwrap();
        self.unread.extend_from_slice(&piece[..count]);
        count
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(self.more() > 0, "the stream ended early");
        }
        self.unread.drain(..count).collect()
    }

    fn line(&mut self) -> String {
        self.until(b"\r\n")
    }

    fn until(&mut self, mark: &[u8]) -> String {
        loop {
            let found = self.unread.windows(mark.len()).position(|part| part == mark);
            if let Some(at) = found {
                let text = self.take(at + mark.len());
                return String::from_utf8(text).unwrap();
            }
            assert!(self.more() > 0, "the stream ended early");
        }
    }

    fn response(&mut self) -> Response {
        let mut response = self.response_head();
        if let Some(length) = field(&response.head, "Content-Length") {
            response.body = self.take(length.parse().unwrap());
        } else if field(&response.head, "Transfer-Encoding") == Some("chunked") {
            loop {
                let size = usize::from_str_radix(self.line().trim_end(), 16).unwrap();
                let piece = self.take(size);
                response.body.extend_from_slice(&piece);
                assert_eq!(self.take(2), b"\r\n");
                if size == 0 {
                    break;
                }
            }
        }
        response
    }

    fn response_head(&mut self) -> Response {
        let head = self.until(b"\r\n\r\n");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { head, status, body: Vec::new() }
    }

    /// How reading fails, if it does.
    fn stream_error(&mut self) -> Option<ErrorKind> {
        let mut piece = [0; 64];
        self.stream.read(&mut piece).err().map(|error| error.kind())
    }

    /// All that comes until the server closes.
    fn rest(&mut self) -> Vec<u8> {
        while self.more() > 0 {}
        std::mem::take(&mut self.unread)
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn follows_pattern(body: &[u8]) -> bool {
    const PATTERN: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n";
    body.iter().enumerate().all(|(i, byte)| *byte == PATTERN[i % 64])
}

#[test]
fn each_path_answers_as_documented() {
    let server = start_with(2);
    let mut client = Client::to(&server);
    let root = client.get("/");
    assert_eq!((root.status, root.body.as_slice()), (200, &b"Hello, World\n"[..]));
    assert_eq!(field(&root.head, "Content-Type"), Some("text/plain"));
    for count in [0, 1, 1000, 65_536, 1_048_576, 5_000_000] {
        for kind in ["bytes", "chunked"] {
            let response = client.get(&format!("/{kind}/{count}"));
            assert_eq!((response.status, response.body.len()), (200, count));
            assert!(follows_pattern(&response.body));
        }
    }
    for status in [200, 204, 205, 301, 304, 404, 418, 503, 599] {
        assert_eq!(client.get(&format!("/status/{status}")).status, status);
    }
    for path in ["/nothing", "/status/600", "/bytes/x", "/delay/1"] {
        assert_eq!(client.get(path).status, 404, "{path}");
    }
    server.stop();
}

#[test]
fn delays_are_never_early_and_not_late_by_much() {
    let server = start();
    let mut client = Client::to(&server);
    for (path, delay_us) in [("/delay/500us", 500), ("/delay/2.5ms", 2500), ("/delay/30ms", 30_000)]
    {
        let start = Instant::now();
        assert_eq!(client.get(path).status, 200);
        let took = start.elapsed();
        assert!(took >= Duration::from_micros(delay_us), "{path} took {took:?}");
        // A loaded machine may stretch any wait; this is far from the usual tens of microseconds.
        assert!(took < Duration::from_micros(delay_us) + Duration::from_secs(1), "{path}");
    }
    server.stop();
}

#[test]
fn delay_stalls_neither_earlier_answers_nor_other_connections() {
    let server = start();
    let mut slow = Client::to(&server);
    let mut quick = Client::to(&server);
    let start = Instant::now();
    slow.send(
        "GET / HTTP/1.1\r\n\r\nGET /delay/400ms HTTP/1.1\r\n\r\nGET /status/201 HTTP/1.1\r\n\r\n",
    );
    assert_eq!(slow.response().status, 200);
    for _ in 0..100 {
        assert_eq!(quick.get("/").status, 200);
    }
    assert!(start.elapsed() < Duration::from_millis(390));
    assert_eq!(slow.response().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(400));
    assert_eq!(slow.response().status, 201);
    server.stop();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = start();
    let mut client = Client::to(&server);
    let paths = ["/", "/status/503", "/bytes/100000", "/chunked/70000", "/delay/1ms", "/x", "/"];
    let expected = [200, 503, 200, 200, 200, 404, 200];
    let mut requests = String::new();
    for path in paths.iter().cycle().take(paths.len() * 20) {
        requests.push_str(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    client.send(requests);
    for (path, status) in paths.iter().zip(expected).cycle().take(paths.len() * 20) {
        let response = client.response();
        assert_eq!(response.status, status, "{path}");
    }
    assert_eq!(server.counters().requests_total(), 140);
    server.stop();
}

#[test]
fn requests_split_at_every_byte_are_understood() {
    let server = start();
    let text = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let mut client = Client::to(&server);
    for cut in 1..text.len() {
        client.send(&text[..cut]);
        std::thread::sleep(Duration::from_millis(1));
        client.send(&text[cut..]);
        assert_eq!(client.response().body, text.as_bytes(), "{cut}");
    }
    server.stop();
}

#[test]
fn head_answers_without_a_body_and_with_its_length() {
    let server = start();
    let mut client = Client::to(&server);
    for (path, length) in [
        ("/", Some("13")),
        ("/bytes/10737418240", Some("10737418240")),
        ("/chunked/5", None),
        ("/status/500", Some("26")),
    ] {
        client.send(format!("HEAD {path} HTTP/1.1\r\n\r\n"));
        let response = client.response_head();
        assert_eq!(field(&response.head, "Content-Length"), length, "{path}");
    }
    // No body came in between, or this would not parse.
    assert_eq!(client.get("/").body, b"Hello, World\n");
    server.stop();
}

#[test]
fn bodies_of_requests_are_read_and_dropped() {
    let server = start();
    let mut client = Client::to(&server);
    let body = vec![b'x'; 3 << 20];
    for _ in 0..2 {
        client.send(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()));
        client.send(&body);
        assert_eq!(client.response().status, 200);
        client.send("PUT /status/201 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n300000\r\n");
        client.send(&body);
        client.send("\r\n0\r\nTrailer: x\r\n\r\nGET /x HTTP/1.1\r\n\r\n");
        assert_eq!(client.response().status, 201);
        assert_eq!(client.response().status, 404);
    }
    assert!(server.counters().bytes_in > 4 * (3 << 20));
    server.stop();
}

#[test]
fn echo_repeats_the_request_as_it_came() {
    let server = start();
    let mut client = Client::to(&server);
    for size in [0, 5, 100_000, 4_000_000] {
        let mut request =
            format!("PATCH /echo?q=1 HTTP/1.1\r\nX-Odd:  v \r\nContent-Length: {size}\r\n\r\n")
                .into_bytes();
        request.resize(request.len() + size, b'z');
        client.send(&request);
        let response = client.response();
        assert_eq!(field(&response.head, "Content-Type"), Some("text/plain"));
        assert!(response.body == request, "{size}");
    }
    client.send("POST /echo HTTP/1.1\r\nContent-Length: 20000000\r\n\r\n");
    let mut client_writes = client.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || client_writes.write_all(&vec![0; 20_000_000]).is_ok());
    assert_eq!(client.response().status, 413);
    let _ = writer.join().unwrap();
    server.stop();
}

#[test]
fn expectation_is_met_before_the_body_is_sent() {
    let server = start();
    let mut client = Client::to(&server);
    client.send("POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(client.response_head().status, 100);
    client.send("abc");
    assert!(client.response().body.ends_with(b"\r\n\r\nabc"));
    // A client that did not wait gets the final answer only.
    client.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(client.response().status, 200);
    server.stop();
}

#[test]
fn bad_requests_are_refused_and_the_connection_closed() {
    let server = start();
    let huge = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    let refused: [(&str, u16); 6] = [
        ("BAD\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (&huge, 431),
    ];
    for (request, status) in refused {
        let mut client = Client::to(&server);
        // The one before is answered first.
        client.send("GET / HTTP/1.1\r\n\r\n");
        client.send(request);
        assert_eq!(client.response().status, 200);
        let response = client.response();
        assert_eq!(response.status, status, "{request:.40}");
        assert_eq!(field(&response.head, "Connection"), Some("close"));
        assert_eq!(client.more(), 0);
    }
    let counters = server.counters();
    assert_eq!(counters.malformed, 6);
    assert_eq!(counters.requests_total(), 6);
    assert_eq!(counters.responses(StatusClass::ClientError), 5);
    assert_eq!(counters.responses(StatusClass::ServerError), 1);
    server.stop();
}

#[test]
fn connection_closes_when_either_side_says_so() {
    let server = start();
    for request in [
        "GET /close HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET /bytes/1000000 HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n\r\n",
    ] {
        for warm in [false, true] {
            let mut client = Client::to(&server);
            if warm {
                assert_eq!(client.get("/").status, 200);
            }
            client.send(request);
            let response = client.response();
            assert_eq!(response.status, 200);
            assert_eq!(field(&response.head, "Connection"), Some("close"), "{request}");
            assert!(client.rest().is_empty());
        }
    }
    server.stop();
}

#[test]
fn old_clients_keep_the_connection_when_they_ask_and_get_no_chunks() {
    let server = start();
    let mut client = Client::to(&server);
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let response = client.response();
        assert_eq!(field(&response.head, "Connection"), Some("keep-alive"));
    }
    client.send("GET /chunked/50000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let head = client.response_head().head;
    assert_eq!(field(&head, "Transfer-Encoding"), None);
    assert!(follows_pattern(&client.rest()));
    server.stop();
}

#[test]
fn half_closed_client_still_gets_its_answers() {
    let server = start();
    let mut client = Client::to(&server);
    client.send("GET /bytes/2000000 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.response().body.len(), 2_000_000);
    assert_eq!(client.response().status, 200);
    assert!(client.rest().is_empty());
    server.stop();
}

#[test]
fn peers_that_vanish_do_no_harm() {
    let server = start();
    for request in [
        "",
        "GET /bytes/100000000 HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Le",
        "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc",
        "GET /delay/20ms HTTP/1.1\r\n\r\n",
    ] {
        for _ in 0..5 {
            let mut client = Client::to(&server);
            client.send(request);
            std::thread::sleep(Duration::from_millis(2));
            // Unread input makes this a reset.
            drop(client);
        }
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(Client::to(&server).get("/").status, 200);
    let counters = server.counters();
    assert_eq!(counters.requests(PathClass::Bytes), 5);
    assert_eq!(counters.requests(PathClass::Root), 1, "unfinished requests are not counted");
    server.stop();
}

#[test]
fn counters_are_exact_and_leave_themselves_out() {
    let server = start_with(2);
    let mut clients: Vec<Client> = (0..8).map(|_| Client::to(&server)).collect();
    let mut sent = 0;
    let mut received = 0;
    for client in &mut clients {
        for path in ["/", "/status/500", "/bytes/100000", "/chunked/3", "/close"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
            sent += request.len() as u64;
            client.send(&request);
            client.response();
        }
        assert!(client.rest().is_empty());
    }
    for client in &mut clients {
        // Counted on the wire: the same requests again, all that comes.
        let mut again = Client::to(&server);
        again.send("GET /bytes/100000 HTTP/1.1\r\nConnection: close\r\n\r\n");
        received += again.rest().len() as u64;
        drop(std::mem::replace(client, again));
    }
    let mut observer = Client::to(&server);
    for _ in 0..2 {
        let json: serde_json::Value =
            serde_json::from_slice(&observer.get("/counters").body).unwrap();
        assert_eq!(json["connections_accepted"], 16);
        assert_eq!(json["requests"]["root"], 8);
        assert_eq!(json["requests"]["bytes"], 16);
        assert_eq!(json["requests_total"], 48);
        assert_eq!(json["responses"]["5xx"], 8);
        assert_eq!(json["responses_total"], 48);
        assert_eq!(json["malformed"], 0);
    }
    let counters = server.counters();
    assert_eq!(counters.responses(StatusClass::Success), 40);
    assert!(counters.bytes_in > sent && counters.bytes_out > received);
    server.stop();
}

#[test]
fn bytes_are_counted_as_they_were_on_the_wire() {
    let server = start();
    let mut client = Client::to(&server);
    let requests = "GET / HTTP/1.1\r\n\r\nGET /chunked/40000 HTTP/1.1\r\n\r\n\
                    POST /bytes/3000000 HTTP/1.1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd";
    client.send(requests);
    let received = client.rest().len() as u64;
    let counters = server.counters();
    assert_eq!(counters.bytes_in, requests.len() as u64);
    assert_eq!(counters.bytes_out, received);
    server.stop();
}

#[test]
fn stop_is_prompt_with_connections_in_every_state() {
    let server = start_with(2);
    let mut clients: Vec<Client> = (0..200).map(|_| Client::to(&server)).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        match index % 5 {
            0 => {}
            1 => assert_eq!(client.get("/").status, 200),
            2 => client.send("GET /delay/60s HTTP/1.1\r\n\r\n"),
            3 => client.send("GET /bytes/10737418240 HTTP/1.1\r\n\r\n"),
            _ => client.send("POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc"),
        }
    }
    std::thread::sleep(Duration::from_millis(100));
    let address = server.local_address();
    let start = Instant::now();
    server.stop();
    let took = start.elapsed();
    assert!(took < Duration::from_millis(500), "took {took:?}");
    assert!(TcpStream::connect(address).is_err());
    // Every connection was closed, not left to hang.
    for client in &mut clients {
        let mut piece = vec![0; 1 << 20];
        loop {
            match client.stream.read(&mut piece) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    break;
                }
            }
        }
    }
}

#[test]
fn port_is_shared_by_the_threads_and_free_after_the_stop() {
    let server = start_with(3);
    let listen = server.local_address();
    assert_ne!(listen.port(), 0);
    for _ in 0..30 {
        assert_eq!(Client::to(&server).get("/").status, 200);
    }
    assert_eq!(server.counters().connections_accepted, 30);
    server.stop();
    let again = Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap();
    assert_eq!(Client::to(&again).get("/").status, 200);
    let taken = Server::start(&Options { listen, threads: 1, cpus: Vec::new() });
    assert!(taken.err().unwrap().contains("--listen"));
    again.stop();
}

#[test]
fn options_that_cannot_be_had_are_refused_by_name() {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let none = Server::start(&Options { listen, threads: 0, cpus: Vec::new() });
    assert!(none.err().unwrap().contains("--threads"));
    let nowhere = Server::start(&Options { listen, threads: 2, cpus: vec![1023] });
    assert!(nowhere.err().unwrap().contains("--cpus"));
}
