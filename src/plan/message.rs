//! The request as the flags describe it, serialised.

use std::io;
use std::path::Path;

use super::content::RequestBody;
use super::obligations::{Given, Origin, of_raw};
use super::proxy::Proxy;
use crate::base64;
use crate::core::http1::lines::is_token_byte;
use crate::files;
use crate::request::RequestImage;
use crate::target::{Credentials, Target};

/// A request is kept in memory, whole.
const MOST_REQUEST_BYTES: u64 = 1 << 30;

/// The request, ready to be sent.
#[derive(Debug)]
pub(super) struct Serialised {
    pub(super) image: RequestImage,
    pub(super) method: String,
    /// What it carries; `None` without a body, and in a request that was written byte for byte.
    pub(super) body: Option<RequestBody>,
}

/// What the user said about the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// `--method`.
    pub method: Option<&'a str>,
    /// `--header`, as given.
    pub headers: &'a [String],
    /// `--body`, as given.
    pub body: Option<&'a str>,
    /// `--raw`.
    pub raw: Option<&'a Path>,
    /// Who asks the server.
    pub credentials: Option<&'a Credentials>,
    /// The proxy that is asked, in absolute form.
    pub proxy: Option<&'a Proxy>,
    /// Ask the server to close after the response.
    pub close: bool,
}

impl Message<'_> {
    /// Serialises the request, reading what files it names.
    ///
    /// # Errors
    /// The flag whose value cannot be sent, and why.
    pub(super) fn serialise(&self, target: &Target) -> Result<Serialised, String> {
        if let Some(path) = self.raw {
            if self.credentials.is_some() {
                return Err(
                    "--raw is sent as it is, without the user of the URL; write an Authorization header into the file, and leave the user out"
                        .to_owned(),
                );
            }
            let bytes = read_input(path).map_err(|error| {
                format!(
                    "--raw {}: {error}; name a readable file, or - for standard input",
                    path.display()
                )
            })?;
            if bytes.is_empty() {
                return Err(format!(
                    "--raw {}: the file is empty; a request is needed",
                    path.display()
                ));
            }
            let obligations = of_raw(path, &bytes)?;
            let method = method_of(&bytes);
            let image = RequestImage::new(&bytes, 1, method == "HEAD").closing(obligations.closes);
            return Ok(Serialised { image, method, body: None });
        }
        let bytes_of_body = self.read_body()?;
        let method = self.method.unwrap_or(if bytes_of_body.is_some() { "POST" } else { "GET" });
        check_method(method)?;
        let headers = self.headers.iter().map(|header| check_header(header));
        let headers = headers.collect::<Result<Vec<_>, String>>()?;
        let given = Given {
            origin: Origin::Flags,
            fields: headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
                .collect(),
            body_bytes: bytes_of_body.as_ref().map(Vec::len),
        };
        let obligations = given.obligations()?;
        let closes = self.close || obligations.closes;
        if self.close && !obligations.closes && given.has("Connection") {
            return Err(
                "--no-keepalive contradicts -H 'Connection: ...': give one of them".to_owned()
            );
        }
        if self.close && given.has("Keep-Alive") {
            return Err(
                "--no-keepalive contradicts -H 'Keep-Alive: ...': give one of them".to_owned()
            );
        }
        let named = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case("Content-Type");
        let typed = headers.iter().find(named).map(|&(_, value)| value);
        let body = bytes_of_body.as_deref().map(|bytes| RequestBody::of(bytes, typed));
        let mut bytes = self.head(target, method, &given, body.as_ref())?.into_bytes();
        for (name, value) in &headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        append(&mut bytes, bytes_of_body.as_deref().unwrap_or_default(), obligations.chunked);
        let image = RequestImage::new(&bytes, 1, method == "HEAD").closing(closes);
        Ok(Serialised { image, method: method.to_owned(), body })
    }

    fn read_body(&self) -> Result<Option<Vec<u8>>, String> {
        match self.body {
            None => Ok(None),
            Some(body) => match body.strip_prefix('@') {
                None => Ok(Some(body.as_bytes().to_vec())),
                Some(path) => read_input(Path::new(path))
                    .map(Some)
                    .map_err(|error| format!("--body {body}: {error}; name a readable file after @, or - for standard input")),
            },
        }
    }

    /// The first line and what maxq adds to the headers that were given.
    fn head(
        &self,
        target: &Target,
        method: &str,
        given: &Given<'_>,
        body: Option<&RequestBody>,
    ) -> Result<String, String> {
        let absolute = self.proxy.map(|_| format!("http://{}", target.authority));
        let absolute = absolute.unwrap_or_default();
        let mut head = format!("{method} {absolute}{} HTTP/1.1\r\n", target.path);
        let mut add = |name: &str, value: &str| {
            if !given.has(name) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        };
        add("Host", &target.authority);
        add("User-Agent", concat!("maxq/", env!("CARGO_PKG_VERSION")));
        add("Accept", "*/*");
        for (whose, name, credentials) in [
            ("the user of the URL or of --user", "Authorization", self.credentials),
            ("the user of --proxy", "Proxy-Authorization", self.proxy.and_then(Proxy::credentials)),
        ] {
            let Some(credentials) = credentials else { continue };
            if given.has(name) {
                return Err(format!(
                    "-H '{name}: ...' contradicts {whose}: maxq makes that header from it; leave one of them out"
                ));
            }
            add(name, &basic(credentials));
        }
        if let Some(body) = body {
            add("Content-Type", &body.content_type);
        }
        // Of these methods a server expects a body, and an empty one is told by its length (RFC 9110 section 8.6).
        let expected = matches!(method, "POST" | "PUT" | "PATCH").then_some(0);
        if let Some(length) = given.body_bytes.or(expected)
            && !given.has("Transfer-Encoding")
        {
            add("Content-Length", &length.to_string());
        }
        if self.close {
            add("Connection", "close");
        }
        Ok(head)
    }
}

/// The value of the header that says who asks (RFC 7617).
pub(super) fn basic(credentials: &Credentials) -> String {
    format!("Basic {}", base64::encode(credentials.reveal()))
}

/// Adds a body, as one chunk where it is to be chunked.
fn append(bytes: &mut Vec<u8>, body: &[u8], chunked: bool) {
    if !chunked {
        return bytes.extend_from_slice(body);
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
}

/// The first word of a request that the user wrote byte for byte, fit to be shown.
fn method_of(request: &[u8]) -> String {
    let word = request.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    word.iter().take(32).flat_map(|&byte| byte.escape_ascii()).map(char::from).collect()
}

fn check_method(method: &str) -> Result<(), String> {
    if method == "CONNECT" {
        return Err(
            "-m CONNECT: a tunnel is no request to benchmark; use another method".to_owned()
        );
    }
    if method.is_empty() || !method.bytes().all(is_token_byte) {
        return Err(format!("-m '{}': a method is a word like GET or POST", method.escape_debug()));
    }
    Ok(())
}

/// A header fit to be shown in a message: without the value of one that is secret.
fn shown(header: &str) -> String {
    const SECRET: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
    let end = header.find([':', ' ']).unwrap_or(header.len());
    let is_secret = SECRET.iter().any(|name| header[..end].eq_ignore_ascii_case(name));
    if is_secret && end < header.len() {
        return format!("{} [masked]", &header[..=end].trim_end());
    }
    header.escape_debug().to_string()
}

fn check_header(header: &str) -> Result<(&str, &str), String> {
    let shown = shown(header);
    let Some((name, value)) = header.split_once(':') else {
        return Err(format!("-H '{shown}': no colon; use 'Name: value'"));
    };
    if name.is_empty() || !name.bytes().all(is_token_byte) {
        return Err(format!(
            "-H '{shown}': '{}' is no header name; use 'Name: value'",
            name.escape_debug()
        ));
    }
    let value = value.trim_matches([' ', '\t']);
    if value.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
        return Err(format!(
            "-H '{shown}': a value holds no line ends or other control characters"
        ));
    }
    Ok((name, value))
}

fn read_input(path: &Path) -> io::Result<Vec<u8>> {
    let from_stdin = path == Path::new("-");
    let bytes = if from_stdin {
        files::read_stdin(MOST_REQUEST_BYTES)?
    } else {
        files::read(path, MOST_REQUEST_BYTES)?
    };
    if bytes.len() as u64 > MOST_REQUEST_BYTES {
        return Err(io::Error::other(format!("larger than {} MiB", MOST_REQUEST_BYTES >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Message, Proxy, Target};
    use std::io::Write;
    use std::path::Path;

    const PLAIN: Message<'_> = Message {
        method: None,
        headers: &[],
        body: None,
        raw: None,
        credentials: None,
        proxy: None,
        close: false,
    };

    fn serialise(message: &Message<'_>) -> Result<String, String> {
        let target = Target::parse("http://example.test:81/a?b").unwrap();
        message
            .serialise(&target)
            .map(|request| String::from_utf8(request.image.one().to_vec()).unwrap())
    }

    #[test]
    fn a_plain_request_is_a_get_with_a_host() {
        let request = serialise(&PLAIN).unwrap();
        assert!(request.starts_with("GET /a?b HTTP/1.1\r\nHost: example.test:81\r\n"), "{request}");
        assert!(request.ends_with("\r\n\r\n") && !request.contains("Content-Length"), "{request}");
    }

    #[test]
    fn a_proxy_is_asked_in_absolute_form() {
        let proxy = Proxy::parse("u:p@proxy.test").unwrap();
        let request = serialise(&Message { proxy: Some(&proxy), ..PLAIN }).unwrap();
        assert!(request.starts_with("GET http://example.test:81/a?b HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nProxy-Authorization: Basic dTpw\r\n"), "{request}");
    }

    #[test]
    fn a_user_becomes_basic_authentication_unless_a_header_says_something_else() {
        // The example of RFC 7617.
        let user = Credentials::of_pair(b"Aladdin:open sesame").unwrap();
        let asked = Message { credentials: Some(&user), ..PLAIN };
        let request = serialise(&asked).unwrap();
        let header = "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
        assert!(request.contains(header), "{request}");
        let headers = ["authorization: Bearer x".to_owned()];
        let error = serialise(&Message { headers: &headers, ..asked }).unwrap_err();
        assert!(error.starts_with("-H 'Authorization: ...' contradicts the user"), "{error}");
        let raw = Message { raw: Some(Path::new("/dev/null")), ..asked };
        assert!(serialise(&raw).unwrap_err().contains("--raw is sent as it is"));
        let proxy = Proxy::parse("u:p@proxy.test").unwrap();
        let headers = ["Proxy-Authorization: x".to_owned()];
        let twice = Message { headers: &headers, proxy: Some(&proxy), ..PLAIN };
        assert!(serialise(&twice).unwrap_err().contains("the user of --proxy"));
    }

    #[test]
    fn a_body_makes_a_post_with_its_length() {
        let request = serialise(&Message { body: Some("hello"), ..PLAIN }).unwrap();
        assert!(
            request.starts_with("POST ") && request.contains("Content-Length: 5\r\n"),
            "{request}"
        );
        assert!(request.ends_with("\r\n\r\nhello"), "{request}");
    }

    #[test]
    fn the_type_of_a_body_is_sent_once_and_a_given_one_ranks_first() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{\"a\": 1}\n").unwrap();
        let named = format!("@{}", file.path().display());
        let given = ["content-type: text/x".to_owned()];
        for (body, headers, sent) in [
            (r#"{"a":1}"#, &[][..], "Content-Type: application/json"),
            (&named[..], &[], "Content-Type: application/json"),
            ("a=b&c=d", &[], "Content-Type: application/x-www-form-urlencoded"),
            ("plain text", &[], "Content-Type: application/octet-stream"),
            (r#"{"a":1}"#, &given, "content-type: text/x"),
        ] {
            let request = serialise(&Message { body: Some(body), headers, ..PLAIN }).unwrap();
            assert!(request.contains(&format!("\r\n{sent}\r\n")), "{request}");
            let types = request.to_ascii_lowercase().matches("content-type").count();
            assert_eq!(types, 1, "{request}");
        }
        let none = serialise(&Message { method: Some("POST"), ..PLAIN }).unwrap();
        assert!(!none.contains("Content-Type"), "{none}");
    }

    #[test]
    fn a_method_that_expects_a_body_says_that_there_is_none() {
        for (method, says_so) in [
            ("POST", true),
            ("PUT", true),
            ("PATCH", true),
            ("GET", false),
            ("HEAD", false),
            ("DELETE", false),
            ("OPTIONS", false),
        ] {
            let request = serialise(&Message { method: Some(method), ..PLAIN }).unwrap();
            assert_eq!(request.contains("\r\nContent-Length: 0\r\n"), says_so, "{request}");
            let headers = ["content-length: 0".to_owned()];
            let given = Message { method: Some(method), headers: &headers, ..PLAIN };
            let request = serialise(&given).unwrap().to_ascii_lowercase();
            assert_eq!(request.matches("content-length").count(), 1, "{request}");
        }
    }

    #[test]
    fn a_chunked_request_has_its_body_chunked() {
        let headers = ["Transfer-Encoding: chunked".to_owned()];
        let request = |body| serialise(&Message { headers: &headers, body: Some(body), ..PLAIN });
        let whole = request("hello, world").unwrap();
        assert!(whole.ends_with("\r\n\r\nc\r\nhello, world\r\n0\r\n\r\n"), "{whole}");
        assert!(!whole.contains("Content-Length"), "{whole}");
        assert!(request("").unwrap().ends_with("chunked\r\n\r\n0\r\n\r\n"));
    }

    #[test]
    fn a_request_that_asks_to_close_is_known_to() {
        let target = Target::parse("http://x/").unwrap();
        let closes = |close, headers: &[String]| {
            let image = Message { close, headers, ..PLAIN }.serialise(&target).unwrap().image;
            let text = String::from_utf8(image.one().to_vec()).unwrap();
            assert!(text.matches("onnection").count() <= 1, "{text}");
            image.for_pipeline(4).closes()
        };
        assert!(!closes(false, &[]));
        assert!(closes(true, &[]));
        assert!(closes(false, &["Connection: close".to_owned()]));
        assert!(closes(true, &["connection: Close".to_owned()]));
        assert!(!closes(false, &["Connection: keep-alive".to_owned()]));
    }

    #[test]
    fn a_given_header_replaces_the_default_one() {
        let headers = ["host: other".to_owned(), "X-A:  b ".to_owned()];
        let request = serialise(&Message { headers: &headers, ..PLAIN }).unwrap();
        assert!(!request.contains("example.test"), "{request}");
        assert!(request.contains("host: other\r\n") && request.contains("X-A: b\r\n"), "{request}");
    }

    #[test]
    fn bodies_and_raw_requests_come_from_files() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"HEAD / HTTP/1.0\r\n\r\n").unwrap();
        let named = format!("@{}", file.path().display());
        assert!(
            serialise(&Message { body: Some(&named), ..PLAIN })
                .unwrap()
                .ends_with("\r\n\r\nHEAD / HTTP/1.0\r\n\r\n")
        );
        let target = Target::parse("http://x/").unwrap();
        let raw = Message { raw: Some(file.path()), ..PLAIN }.serialise(&target).unwrap();
        let sent = (raw.image.one(), raw.method.as_str());
        assert_eq!(sent, (&b"HEAD / HTTP/1.0\r\n\r\n"[..], "HEAD"));
        assert!(raw.image.is_head() && raw.body.is_none());
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_flag() {
        let header = |header: &str| {
            serialise(&Message { headers: &[header.to_owned()], ..PLAIN }).unwrap_err()
        };
        assert!(header("no colon").contains("-H 'no colon': no colon"));
        assert!(header("A: b\r\nEvil: c").contains("control characters"));
        for secret in ["Authorization Basic hunter2", "cookie: hunter2\r\n"] {
            let message = header(secret);
            assert!(message.contains("[masked]") && !message.contains("hunter2"), "{message}");
        }
        assert!(header("A B: c").contains("no header name"));
        assert!(header(": c").contains("no header name"));
        for method in ["", "GE T", "GET\r\n", "CONNECT"] {
            assert!(
                serialise(&Message { method: Some(method), ..PLAIN }).unwrap_err().contains("-m")
            );
        }
        let missing = Message { body: Some("@/nonexistent/file"), ..PLAIN };
        assert!(serialise(&missing).unwrap_err().contains("--body @/nonexistent/file"));
        let raw = Message { raw: Some(Path::new("/nonexistent")), ..PLAIN };
        assert!(serialise(&raw).unwrap_err().contains("--raw /nonexistent"));
        let both = Message { close: true, headers: &["connection: x".to_owned()], ..PLAIN };
        assert!(serialise(&both).unwrap_err().contains("--no-keepalive"));
    }
}
