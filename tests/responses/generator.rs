//! Streams of responses: mostly well-formed, often odd, sometimes spoilt. Seeded, so that a failure repeats.
#![allow(dead_code, reason = "each test file uses its own share of this")]

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number from 0 on, below `most`, which is not 0.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const STARTS: [&str; 14] = [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 404 Not Found",
    "HTTP/1.1 503 ",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 103 Early Hints",
    "HTTP/1.2 200 OK",
    "HTTP/1.1 999 \u{e9}",
    "HTTP/1.1 205 Reset",
];
const ODD_STARTS: [&str; 14] = [
    "HTTP/1.1 101 Switching",
    "HTTP/2.0 200 OK",
    "HTTP/1.1  200 OK",
    "HTTP/1.1 20 OK",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 099 OK",
    "HTTP/1.1 200OK",
    "http/1.1 200 OK",
    "HTTP/1.1\t200 OK",
    "HTTP/1. 200 OK",
    "HTTP/1.1 200 O\0K",
    "ICY 200 OK",
    "HTTP/1.1 +20 OK",
    "HTTP/11 200 OK",
];
const FIELDS: [&str; 16] = [
    "Date: Thu, 26 Nov 2026 00:00:00 GMT",
    "Server: x",
    "X-Empty:",
    "X-Spaces: \t a b \t",
    "connection: keep-alive",
    "Connection: close",
    "Connection: foo, Close",
    "Connection: ,keep-alive,",
    "Content-Type: text/plain; charset=utf-8",
    "X-Latin: \u{e9}\u{ff}",
    "a:b",
    "Content-Lengthy: 7",
    "Transfer-Encodings: chunked",
    "X-!#$%&'*+-.^_`|~09: token",
    "Set-Cookie: a=b, c=d",
    "Trailer: x",
];
const ODD_FIELDS: [&str; 22] = [
    "no colon",
    ": no name",
    "Space : before",
    " Folded: x",
    "\tfolded",
    "X: bad\0value",
    "X: bare\rreturn",
    "X\u{7f}: y",
    "X: \u{7f}",
    "Content-Length: 3, 4",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked, gzip",
    "(X): y",
    " Content-Length: 3",
    "Content-Length : 3",
    "Transfer-Encoding\t: chunked",
    "\"Connection\": close",
    "Connection close",
    "X-Connection : close",
    "Connection: \u{1}close",
    "X: \u{1}",
];
const LENGTHS: [&str; 6] = ["{}", " {} ", "000{}", "{}, {}", "{},{} , {}", "\t{}"];
const CODINGS: [&str; 7] =
    ["chunked", "Chunked", "gzip, chunked", " chunked ", "identity", "gzip", ",chunked,"];

/// A few responses one after the other, sometimes cut, sometimes with a byte changed.
pub(crate) fn stream(random: &mut Random) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..=random.below(3) {
        response(random, &mut stream);
    }
    if random.one_in(4) {
        let length = random.below(stream.len() + 1);
        stream.truncate(length);
    }
    if random.one_in(4) && !stream.is_empty() {
        for _ in 0..=random.below(2) {
            let at = random.below(stream.len());
            stream[at] = byte(random);
        }
    }
    stream
}

/// Bytes that are seldom a response.
pub(crate) fn noise(random: &mut Random) -> Vec<u8> {
    let mut bytes = if random.one_in(2) { b"HTTP/1.1 200 OK\r\n".to_vec() } else { Vec::new() };
    for _ in 0..random.below(60) {
        bytes.push(byte(random));
    }
    bytes
}

/// Those that mean something come more often.
fn byte(random: &mut Random) -> u8 {
    const MEANING: &[u8] = b"\r\n\t :;,0159aFHP/.\0\x7f\xff";
    if random.one_in(4) {
        u8::try_from(random.below(256)).unwrap_or(0)
    } else {
        MEANING[random.below(MEANING.len())]
    }
}

fn response(random: &mut Random, stream: &mut Vec<u8>) {
    if random.one_in(12) {
        stream.extend_from_slice(random.pick(&["\r\n", "\n", "\r\n\r\n"]).as_bytes());
    }
    let end = if random.one_in(10) { "\n" } else { "\r\n" };
    let odd = random.one_in(12);
    let start = if odd { random.pick(&ODD_STARTS) } else { random.pick(&STARTS) };
    text(stream, start);
    text(stream, end);
    for _ in 0..random.below(4) {
        let field = if random.one_in(12) { random.pick(&ODD_FIELDS) } else { random.pick(&FIELDS) };
        text(stream, field);
        text(stream, end);
    }
    let body = random.below(40);
    let framing = random.below(8);
    if framing < 4 || framing == 7 {
        // Now and then it promises more or less than comes.
        let told = if random.one_in(16) { random.below(60) } else { body };
        let value = random.pick(&LENGTHS).replace("{}", &told.to_string());
        text(stream, &format!("Content-Length:{value}{end}"));
    }
    if (4..6).contains(&framing) || framing == 7 {
        let coding = random.pick(&CODINGS);
        text(stream, &format!("Transfer-Encoding: {coding}{end}"));
    }
    text(stream, end);
    if (4..6).contains(&framing) || framing == 7 {
        chunked(random, stream, body);
    } else {
        stream.extend((0..body).map(|_| b'b'));
    }
}

fn chunked(random: &mut Random, stream: &mut Vec<u8>, body: usize) {
    let mut left = body;
    while left > 0 {
        let size = 1 + random.below(left);
        left -= size;
        let digits = match random.below(4) {
            0 => format!("{size:X}"),
            1 => format!("{size:04x}"),
            _ => format!("{size:x}"),
        };
        let extension = random.pick(&["", "", "", " ", ";a=b", " ; a=\"x\"", ";"]);
        text(stream, &format!("{digits}{extension}\r\n"));
        stream.extend((0..size).map(|_| b'c'));
        text(stream, if random.one_in(60) { "\n" } else { "\r\n" });
    }
    text(stream, random.pick(&["0\r\n", "0\r\n", "000\r\n", "0;x\r\n", "0 \r\n", "g\r\n"]));
    text(
        stream,
        random.pick(&["\r\n", "\r\n", "\r\n", "X: y\r\n\r\n", "A: b\r\nC: d\r\n\r\n", "\n"]),
    );
}

/// Latin-1, as heads are.
fn text(stream: &mut Vec<u8>, text: &str) {
    stream.extend(text.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')));
}
