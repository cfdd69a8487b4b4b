//! What the headers of a request oblige its client to do. maxq does it, or refuses the header by its flag: a request that
//! says one thing while its client does another would put the blame on the server.

use std::fmt;
use std::path::Path;

use crate::core::failure::Kind;
use crate::core::http1::chunked::{Chunked, Found};
use crate::core::http1::head::{self, Body, Head, Refused};
use crate::core::http1::lines;

/// Where the headers of a request come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    /// `--header`.
    Flags,
    /// `--raw`.
    File(&'a Path),
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags => write!(formatter, "-H"),
            Self::File(path) => write!(formatter, "--raw {}:", path.display()),
        }
    }
}

/// The headers that the user gave.
#[derive(Clone, Debug)]
pub(super) struct Given<'a> {
    /// Where they come from.
    pub(super) origin: Origin<'a>,
    /// Names and values.
    pub(super) fields: Vec<(&'a [u8], &'a [u8])>,
    /// Bytes of the body; `None` without one.
    pub(super) body_bytes: Option<usize>,
}

/// What maxq has to do for the request to be true.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Obligations {
    /// Close the connection after the response.
    pub(super) closes: bool,
    /// Send the body in the chunked coding.
    pub(super) chunked: bool,
}

impl Given<'_> {
    /// The values of all fields with this name.
    fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> {
        let mine = self.fields.iter();
        mine.filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| *value)
    }

    /// Whether there is a field with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The members of the comma-separated lists in all fields with this name.
    fn members<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> {
        let members = self.values(name).flat_map(|value| value.split(|&byte| byte == b','));
        members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
    }

    fn lists(&self, name: &str, wanted: &str) -> bool {
        self.members(name).any(|member| member.eq_ignore_ascii_case(wanted.as_bytes()))
    }

    fn refusal(&self, name: &str, why: &str) -> String {
        let value = self.values(name).next().unwrap_or_default();
        let value = String::from_utf8_lossy(value);
        format!("{} '{name}: {}': {why}", self.origin, value.escape_debug())
    }

    /// Takes headers of `--header`, of which maxq makes a request.
    ///
    /// # Errors
    /// The header that maxq cannot obey, and the remedy.
    pub(super) fn obligations(&self) -> Result<Obligations, String> {
        if self.values("Host").nth(1).is_some() {
            return Err(self.refusal("Host", "a request has one Host; give it once"));
        }
        if self.values("Host").any(<[u8]>::is_empty) {
            return Err(self.refusal("Host", "an http:// URL has a host; leave the header out"));
        }
        if self.has("Trailer") {
            return Err(self.refusal("Trailer", "maxq sends no trailers; leave the header out"));
        }
        let chunked = self.chunked()?;
        self.check_length(chunked)?;
        Ok(Obligations { closes: self.closes()?, chunked })
    }

    /// Whether the connection is to be closed after the response.
    ///
    /// # Errors
    /// The header that says something else at the same time, or asks for what maxq never does.
    fn closes(&self) -> Result<bool, String> {
        for (name, option) in [("Upgrade", "upgrade"), ("HTTP2-Settings", "http2-settings")] {
            let why = "maxq keeps to HTTP/1.1 and cannot switch protocols; leave the header out";
            if self.has(name) {
                return Err(self.refusal(name, why));
            }
            if self.lists("Connection", option) {
                return Err(self.refusal("Connection", why));
            }
        }
        let closes = self.lists("Connection", "close");
        if closes && self.lists("Connection", "keep-alive") {
            return Err(
                self.refusal("Connection", "close contradicts keep-alive; give one of them")
            );
        }
        if self.lists("Proxy-Connection", "close") {
            return Err(self.refusal("Proxy-Connection", "use 'Connection: close' instead"));
        }
        for name in ["Keep-Alive", "Proxy-Connection"] {
            if closes && self.has(name) {
                return Err(self.refusal(name, "contradicts 'Connection: close'; leave one out"));
            }
        }
        if self.members("TE").any(|coding| !coding.eq_ignore_ascii_case(b"trailers")) {
            return Err(
                self.refusal("TE", "maxq decodes no transfer coding; only 'TE: trailers' is true")
            );
        }
        if self.lists("Expect", "100-continue") && self.body_bytes.is_none() {
            return Err(self.refusal(
                "Expect",
                "the request has no body to wait with; give one with -b, or leave the header out",
            ));
        }
        Ok(closes)
    }

    fn chunked(&self) -> Result<bool, String> {
        const NAME: &str = "Transfer-Encoding";
        if !self.has(NAME) {
            return Ok(false);
        }
        let codings: Vec<_> = self.members(NAME).collect();
        let is_chunked = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked");
        let once = codings.iter().filter(|coding| is_chunked(coding)).count() == 1;
        if !once || !codings.last().is_some_and(is_chunked) {
            return Err(self.refusal(NAME, "the last coding of a request is chunked, given once"));
        }
        if self.has("Content-Length") {
            return Err(self.refusal(NAME, "contradicts Content-Length; leave one out"));
        }
        if self.body_bytes.is_none() {
            return Err(self.refusal(NAME, "there is no body; give one with -b"));
        }
        Ok(true)
    }

    fn check_length(&self, chunked: bool) -> Result<(), String> {
        const NAME: &str = "Content-Length";
        if chunked || !self.has(NAME) {
            return Ok(());
        }
        let length = self.body_bytes.unwrap_or(0);
        // A number is digits alone: a sign is for servers to stumble over.
        let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let told = || {
            let text = std::str::from_utf8(self.values(NAME).next()?).ok().filter(digits)?;
            text.parse::<usize>().ok()
        };
        if self.values(NAME).nth(1).is_some() || told() != Some(length) {
            let why = format!(
                "the body has {length} bytes; leave the header out: maxq adds it where it is due"
            );
            return Err(self.refusal(NAME, &why));
        }
        Ok(())
    }
}

/// What a request that is sent byte for byte obliges maxq to do.
///
/// # Errors
/// Why a server would not take it for exactly one request, or what in it maxq cannot obey.
pub(super) fn of_raw(path: &Path, request: &[u8]) -> Result<Obligations, String> {
    let refusal = |why: &str| format!("--raw {}: {why}", path.display());
    let begin = request.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(request.len());
    let line = request[begin..].split(|&byte| byte == b'\n').next().unwrap_or_default();
    let after = &request[(begin + line.len() + 1).min(request.len())..];
    let mut words = line.split(u8::is_ascii_whitespace);
    if words.next() == Some(b"CONNECT") {
        return Err(refusal("CONNECT asks for a tunnel, which is no request to measure"));
    }
    let version = words.rfind(|word| word.starts_with(b"HTTP/")).unwrap_or(b"HTTP/1.1");
    if !version.starts_with(b"HTTP/1.") {
        return Err(refusal("maxq speaks HTTP/1.1; give a request of that version"));
    }
    // Behind its first line, a request is framed like a response.
    let status: &[u8] =
        if version == b"HTTP/1.0" { b"HTTP/1.0 200\r\n" } else { b"HTTP/1.1 200\r\n" };
    let message = [status, after].concat();
    let head =
        head::parse(&message, false, None).map_err(|refused| bad_line(path, &message, &refused))?;
    let Some(head) = head else {
        return Err(refusal("no empty line ends the head, so that a server waits for the rest"));
    };
    if let Some(name) = folded(&message[..head.length]) {
        return Err(refusal(&format!(
            "the header '{name}' is folded, and maxq must know what it says; write it in one line"
        )));
    }
    let given = Given {
        origin: Origin::File(path),
        fields: lines::fields(&message[..head.length]).collect(),
        body_bytes: Some(message.len() - head.length).filter(|&bytes| bytes > 0),
    };
    check_framing(&given, &head, &message[head.length..]).map_err(|why| refusal(&why))?;
    Ok(Obligations { closes: given.closes()? || !head.keep_alive, chunked: false })
}

/// A header that obliges maxq to something and goes on in the next line, which not every server reads alike. Those that
/// frame the request are refused before.
fn folded(head: &[u8]) -> Option<&'static str> {
    const OBLIGING: [&str; 8] = [
        "Expect",
        "Host",
        "HTTP2-Settings",
        "Keep-Alive",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Upgrade",
    ];
    let lines = || head.split(|&byte| byte == b'\n');
    let pairs = lines().zip(lines().skip(1));
    let mut begun = pairs.filter(|(_, next)| next.starts_with(b" ") || next.starts_with(b"\t"));
    begun.find_map(|(line, _)| {
        let name = line.split(|&byte| byte == b':').next()?.trim_ascii();
        OBLIGING.into_iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    })
}

fn bad_line(path: &Path, message: &[u8], refused: &Refused) -> String {
    const SHOWN_BYTES: usize = 96;
    let line = &message[refused.line.clone()];
    let why = match refused.kind {
        Kind::BadHeaderLine => "can be read in more than one way",
        _ => "says nothing sensible about the length of the body",
    };
    let line = line[..line.len().min(SHOWN_BYTES)].escape_ascii();
    format!("--raw {}: '{line}' {why}", path.display())
}

/// Whether `body` is what the head says, and nothing follows it.
fn check_framing(given: &Given<'_>, head: &Head, body: &[u8]) -> Result<(), String> {
    let bytes = body.len();
    let coded = given.has("Transfer-Encoding");
    if coded && given.has("Content-Length") {
        return Err("Transfer-Encoding contradicts Content-Length; give one of them".to_owned());
    }
    match head.body {
        Body::Length(length) if length != bytes as u64 => {
            Err(format!("Content-Length is {length}, but {bytes} bytes follow the head"))
        }
        Body::None if bytes > 0 => {
            Err(format!("Content-Length is 0, but {bytes} bytes follow the head"))
        }
        Body::UntilClose if coded => Err("the last Transfer-Encoding is not chunked".to_owned()),
        Body::UntilClose if bytes > 0 => Err(format!(
            "{bytes} bytes follow the head, which has neither Content-Length nor Transfer-Encoding; a server takes them for another request"
        )),
        Body::Chunked if !is_one_chunked_body(body) => {
            Err("what follows the head is not one chunked body".to_owned())
        }
        _ => Ok(()),
    }
}

fn is_one_chunked_body(body: &[u8]) -> bool {
    let (mut chunked, mut at) = (Chunked::new(), 0);
    loop {
        match chunked.next(body, at) {
            Ok(Found::Data(range)) => at = range.end,
            Ok(Found::End(end)) => return end == body.len(),
            Ok(Found::NeedMore) | Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Given, Obligations, Origin, of_raw};
    use std::path::Path;

    fn given(headers: &[&'static str], body_bytes: Option<usize>) -> Result<Obligations, String> {
        let fields = headers.iter().map(|header| {
            let (name, value) = header.split_once(':').unwrap();
            (name.as_bytes(), value.trim().as_bytes())
        });
        Given { origin: Origin::Flags, fields: fields.collect(), body_bytes }.obligations()
    }

    #[test]
    fn what_can_be_obeyed_is_obeyed() {
        let (nothing, closes) =
            (Obligations::default(), Obligations { closes: true, chunked: false });
        for (headers, body_bytes, expected) in [
            (&["Connection: keep-alive"][..], None, nothing),
            (&["Connection: keep-alive", "Keep-Alive: timeout=5"], None, nothing),
            (&["connection: x, Close"], None, closes),
            (&["Content-Length: 5"], Some(5), nothing),
            (&["Content-Length: 0"], None, nothing),
            (&["TE: trailers", "Connection: TE"], None, nothing),
            (&["Expect: 100-continue"], Some(5), nothing),
            (&["Host: a"], None, nothing),
            (
                &["Transfer-Encoding: gzip, chunked"],
                Some(5),
                Obligations { closes: false, chunked: true },
            ),
        ] {
            assert_eq!(given(headers, body_bytes), Ok(expected), "{headers:?}");
        }
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused_by_flag() {
        for (headers, body_bytes) in [
            (&["Upgrade: h2c"][..], None),
            (&["Connection: upgrade"], None),
            (&["HTTP2-Settings: AAMAAABkAAQAAP__"], None),
            (&["Connection: close, keep-alive"], None),
            (&["Keep-Alive: timeout=5", "Connection: close"], None),
            (&["Proxy-Connection: close"], None),
            (&["Content-Length: 5"], Some(11)),
            (&["Content-Length: 5"], None),
            (&["Content-Length: five"], Some(5)),
            (&["Content-Length: +5"], Some(5)),
            (&["Content-Length: 5", "Content-Length: 5"], Some(5)),
            (&["Content-Length: 5, 5"], Some(5)),
            (&["Transfer-Encoding: chunked"], None),
            (&["Transfer-Encoding: gzip"], Some(5)),
            (&["Transfer-Encoding: chunked, chunked"], Some(5)),
            (&["Transfer-Encoding: chunked", "Content-Length: 5"], Some(5)),
            (&["Expect: 100-continue"], None),
            (&["TE: gzip"], None),
            (&["Trailer: X"], Some(5)),
            (&["Host: a", "Host: b"], None),
            (&["Host:"], None),
        ] {
            let refusal = given(headers, body_bytes).expect_err(headers[0]);
            let name = headers[0].split(':').next().unwrap();
            assert!(refusal.starts_with(&format!("-H '{name}: ")), "{refusal}");
        }
    }

    #[test]
    fn a_raw_request_that_is_exactly_one_request_is_sent() {
        for (request, closes) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("\r\nGET / HTTP/1.1\nHost: a\n\n", false),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nX-Odd : a\r\nY: \r\n b\r\n\r\nabc", false),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
                false,
            ),
            ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", true),
            ("GET / HTTP/1.0\r\n\r\n", true),
            ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na", false),
        ] {
            let found = of_raw(Path::new("f"), request.as_bytes());
            assert_eq!(found, Ok(Obligations { closes, chunked: false }), "{request:?}");
        }
    }

    #[test]
    fn a_raw_request_that_contradicts_itself_or_maxq_is_refused() {
        for (request, why) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n", "no empty line"),
            ("GET / HTTP/1.1", "no empty line"),
            ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", "18 bytes follow the head"),
            (
                "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello world",
                "Content-Length is 5, but 11",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 15\r\n\r\nhello world",
                "Content-Length is 15, but 11",
            ),
            ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nhello", "Content-Length is 0, but 5"),
            ("POST / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\nhello", "'Content-Length: 5, 6'"),
            ("POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\nhello", "'Content-Length : 5'"),
            ("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", "'X: a\\x00b'"),
            ("GET / HTTP/1.1\r\nX: a\rConnection: close\r\n\r\n", "more than one way"),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                "not one chunked body",
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n0\r\n\r\n",
                "not one chunked body",
            ),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc", "not chunked"),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
                "contradicts Content-Length",
            ),
            ("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "'Upgrade: h2c'"),
            ("GET / HTTP/1.1\r\nte:\r\n gzip\r\n\r\n", "the header 'TE' is folded"),
            (
                "GET / HTTP/1.1\r\nConnection: close, keep-alive\r\n\r\n",
                "close contradicts keep-alive",
            ),
            ("GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", "no body to wait with"),
            ("GET / HTTP/1.1\r\nTE: gzip\r\n\r\n", "TE: gzip"),
            ("CONNECT a:1 HTTP/1.1\r\n\r\n", "tunnel"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1"),
        ] {
            let refusal = of_raw(Path::new("f"), request.as_bytes()).expect_err(request);
            assert!(refusal.starts_with("--raw f: ") && refusal.contains(why), "{refusal}");
        }
    }
}
