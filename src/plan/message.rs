//! The request as the flags describe it, serialised.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::proxy::Proxy;
use crate::base64;
use crate::request::RequestImage;
use crate::target::{Credentials, Target};

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
    /// Copies to prepare.
    pub pipeline: u32,
}

impl Message<'_> {
    /// Serialises the request, reading what files it names. Returns the method beside it.
    ///
    /// # Errors
    /// The flag whose value cannot be sent, and why.
    pub(super) fn serialise(&self, target: &Target) -> Result<(RequestImage, String), String> {
        if let Some(path) = self.raw {
            if self.credentials.is_some() {
                return Err(
                    "--raw is sent as it is, without the user of the URL; write an Authorization header into the file, and leave the user out"
                        .to_owned(),
                );
            }
            let bytes =
                read_input(path).map_err(|error| format!("--raw {}: {error}", path.display()))?;
            if bytes.is_empty() {
                return Err(format!(
                    "--raw {}: the file is empty; a request is needed",
                    path.display()
                ));
            }
            let method = method_of(&bytes);
            return Ok((RequestImage::new(&bytes, self.pipeline, method == "HEAD"), method));
        }
        let body = self.read_body()?;
        let method = self.method.unwrap_or(if body.is_some() { "POST" } else { "GET" });
        check_method(method)?;
        let mut bytes = self.head(target, method, body.as_deref())?.into_bytes();
        bytes.extend_from_slice(body.as_deref().unwrap_or(b""));
        Ok((RequestImage::new(&bytes, self.pipeline, method == "HEAD"), method.to_owned()))
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

    fn head(&self, target: &Target, method: &str, body: Option<&[u8]>) -> Result<String, String> {
        let absolute = self.proxy.map(|_| format!("http://{}", target.authority));
        let absolute = absolute.unwrap_or_default();
        let mut head = format!("{method} {absolute}{} HTTP/1.1\r\n", target.path);
        let mut given = Vec::new();
        for header in self.headers {
            given.push(check_header(header)?);
        }
        let has = |name: &str| given.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut add = |name: &str, value: &str| {
            if !has(name) {
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
            if has(name) {
                return Err(format!(
                    "-H '{name}: ...' contradicts {whose}: maxq makes that header from it; leave one of them out"
                ));
            }
            add(name, &basic(credentials));
        }
        if let Some(body) = body {
            add("Content-Type", "application/octet-stream");
            if !has("Transfer-Encoding") {
                add("Content-Length", &body.len().to_string());
            }
        }
        if self.close {
            if has("Connection") {
                return Err(
                    "--no-keepalive contradicts -H 'Connection: ...': give one of them".to_owned()
                );
            }
            add("Connection", "close");
        }
        for (name, value) in &given {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Ok(head)
    }
}

/// The value of the header that says who asks (RFC 7617).
pub(super) fn basic(credentials: &Credentials) -> String {
    format!("Basic {}", base64::encode(credentials.reveal()))
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

fn check_header(header: &str) -> Result<(&str, &str), String> {
    let shown = header.escape_debug();
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

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn read_input(path: &Path) -> io::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    fs::read(path)
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
        pipeline: 1,
    };

    fn serialise(message: &Message<'_>) -> Result<String, String> {
        let target = Target::parse("http://example.test:81/a?b").unwrap();
        message
            .serialise(&target)
            .map(|(image, _)| String::from_utf8(image.one().to_vec()).unwrap())
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
        let (image, method) =
            Message { raw: Some(file.path()), ..PLAIN }.serialise(&target).unwrap();
        assert_eq!((image.one(), method.as_str()), (&b"HEAD / HTTP/1.0\r\n\r\n"[..], "HEAD"));
        assert!(image.is_head());
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_flag() {
        let header = |header: &str| {
            serialise(&Message { headers: &[header.to_owned()], ..PLAIN }).unwrap_err()
        };
        assert!(header("no colon").contains("-H 'no colon': no colon"));
        assert!(header("A: b\r\nEvil: c").contains("control characters"));
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
