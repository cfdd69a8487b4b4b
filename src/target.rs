//! The URL that the user gave, taken apart, and the secrets that it or the flags may hold. No look-ups: addresses are the
//! plan's business.
//!
//! A password must not get into a report or a message by accident. It is a [`Secret`], which nothing prints, and text that
//! may hold a URL goes through [`mask`] or [`mask_urls`].

use std::fmt;

/// What stands in the place of a user and a password.
const MASK: &str = "***";

/// Text or bytes that must not be shown: `Debug` masks it, and `Display` is missing on purpose.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Keeps `bytes`.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes themselves, for whoever sends or uses them.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// A user and a password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credentials(Secret);

impl Credentials {
    /// Those of `USER:PASSWORD`, taken as they are. The first colon separates them.
    ///
    /// # Errors
    /// Why they cannot be sent; they are not in the message.
    pub fn of_pair(pair: &[u8]) -> Result<Self, &'static str> {
        if !pair.contains(&b':') {
            return Err("there is no ':' between user and password");
        }
        if pair.iter().any(u8::is_ascii_control) {
            return Err("user and password hold no line ends or other control characters");
        }
        Ok(Self(Secret::new(pair)))
    }

    /// Those of the part of a URL before `@`: `USER` or `USER:PASSWORD`, percent-encoded. Without a password it is empty,
    /// as in curl.
    ///
    /// # Errors
    /// Why they cannot be sent; they are not in the message.
    pub fn of_userinfo(text: &str) -> Result<Self, &'static str> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        // A server takes an encoded colon in the user for the border (RFC 7617); it is sent all the same, as in curl.
        Self::of_pair(&[&decoded(user), &b":"[..], &decoded(password)].concat())
    }

    /// `USER:PASSWORD`, for whoever sends it.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        self.0.reveal()
    }
}

/// An `http://` or `https://` URL: where to connect and what to ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// `https://`.
    pub secure: bool,
    /// Host name or address, without brackets; an international name in its ASCII form.
    pub host: String,
    /// Port, 80 or 443 when the URL names none.
    pub port: u16,
    /// Request target in origin form: path and query, never empty, no fragment.
    pub path: String,
    /// The authority for the Host header: as the user wrote it, with an international name in its ASCII form.
    pub authority: String,
    /// The authority as the user wrote it, for people.
    pub shown: String,
    /// The user and the password that the URL holds.
    pub credentials: Option<Credentials>,
}

impl Target {
    /// Takes a URL apart; `http://` may be left out.
    ///
    /// # Errors
    /// What is wrong with the URL and what would be right.
    pub fn parse(url: &str) -> Result<Self, String> {
        let shown = &mask(url);
        let (secure, rest) = match url.split_once("://") {
            None => (false, url),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            // The rest of such a URL may be anything, and so may what is taken for its scheme.
            Some((scheme, _)) if is_scheme(scheme) => {
                return Err(format!(
                    "URL '{shown}': unknown scheme '{scheme}'; use an http:// or https:// URL"
                ));
            }
            Some(_) => {
                return Err(format!(
                    "URL '{shown}': no scheme before '://'; use an http:// or https:// URL"
                ));
            }
        };
        let cut = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(cut);
        let (userinfo, authority) = match authority.rsplit_once('@') {
            Some((userinfo, authority)) => (Some(userinfo), authority),
            None => (None, authority),
        };
        // Nobody who just has to encode a password wants to see it.
        if is_cut_password(authority, after) {
            return Err(format!(
                "URL '{shown}': '/', '?' and '#' in a password must be percent-encoded: %2F, %3F, %23"
            ));
        }
        let (host, port) = split_authority(shown, authority, if secure { 443 } else { 80 })?;
        let path = after.split('#').next().unwrap_or("");
        let path = match path.as_bytes().first() {
            None => "/".to_owned(),
            Some(b'?') => format!("/{path}"),
            Some(_) => path.to_owned(),
        };
        let is_bad = |c: &char| c.is_ascii_control() || *c == ' ';
        let bad = rest[..cut].chars().find(is_bad);
        let bad = bad.or_else(|| path.chars().find(|c| is_bad(c) || !c.is_ascii()));
        if let Some(bad) = bad {
            return Err(format!("URL '{}': {bad:?} must be percent-encoded", shown.escape_debug()));
        }
        let credentials = userinfo
            .filter(|userinfo| !userinfo.is_empty())
            .map(Credentials::of_userinfo)
            .transpose()
            .map_err(|why| format!("URL '{shown}': {why}"))?;
        let ascii =
            ascii_host(host).map_err(|why| format!("URL '{}': {why}", shown.escape_debug()))?;
        // An address in brackets is ASCII already.
        let in_ascii =
            if ascii == host { authority.to_owned() } else { authority.replacen(host, &ascii, 1) };
        let shown = authority.to_owned();
        Ok(Self { secure, host: ascii, port, path, authority: in_ascii, shown, credentials })
    }
}

/// A host name as DNS, TLS and HTTP know it: an international one in its ASCII form (`xn--...`), any other as it is.
///
/// # Errors
/// When no such name can exist.
pub fn ascii_host(host: &str) -> Result<String, String> {
    if host.is_ascii() {
        return Ok(host.to_owned());
    }
    let ascii = idna::domain_to_ascii(host).ok().filter(|ascii| !ascii.is_empty());
    ascii.ok_or_else(|| {
        format!(
            "'{}' is not a valid international host name; check its spelling",
            host.escape_debug()
        )
    })
}

impl Target {
    /// The first word of the URL.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether a password holds what ends an authority: what looks like a port is none, and an `@` follows later.
fn is_cut_password(authority: &str, rest: &str) -> bool {
    let port = authority.split_once(':').map(|(_, port)| port);
    let is_no_port = port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit()));
    is_no_port && !authority.starts_with('[') && !authority.contains('@') && rest.contains('@')
}

/// `url` with a mask in the place of user and password, whatever is wrong with it.
#[must_use]
pub fn mask(url: &str) -> String {
    // Before a colon there is a user already, and not a scheme.
    let scheme = url.find("://").filter(|&at| !url[..at].contains(':'));
    let start = scheme.map_or(0, |at| at + "://".len());
    let (scheme, rest) = url.split_at(start);
    let cut = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, after) = rest.split_at(cut);
    // A user may hold an `@` itself, like an address of mail.
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let end = if is_cut_password(place, after) { rest.rfind('@') } else { authority.rfind('@') };
    match end {
        Some(end) => format!("{scheme}{MASK}{}", &rest[end..]),
        None => url.to_owned(),
    }
}

/// `text` with a mask in the place of the user and the password of each URL in it.
#[must_use]
pub fn mask_urls(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| c.is_whitespace() || "'\"`<>".contains(c)) {
        if word.contains("://") {
            shown += &mask(word);
        } else {
            shown += word;
        }
    }
    shown
}

/// Percent-encoded bytes as they are meant; what is no code stays, as in curl.
fn decoded(text: &str) -> Vec<u8> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut plain = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = match after {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                plain.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

fn split_authority<'a>(
    url: &str,
    authority: &'a str,
    usual_port: u16,
) -> Result<(&'a str, u16), String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest
            .split_once(']')
            .ok_or_else(|| format!("URL '{url}': '[' of an IPv6 address is not closed"))?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(format!("URL '{url}': ':' and a port must follow ']'")),
        }
    } else {
        match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(format!(
                    "URL '{url}': write an IPv6 address in brackets, http://[::1]:80/"
                ));
            }
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err(format!("URL '{url}': no host; use http://HOST[:PORT]/PATH"));
    }
    let port = match port {
        None | Some("") => usual_port,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 && port_digits(authority) => port,
            _ => {
                return Err(format!("URL '{url}': port '{port}' is not a number from 1 to 65535"));
            }
        },
    };
    Ok((host, port))
}

/// `u16::from_str` takes a leading `+`, which no URL has.
fn port_digits(authority: &str) -> bool {
    authority.rsplit(':').next().is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mask = if self.credentials.is_some() { "***@" } else { "" };
        write!(f, "{}://{mask}{}{}", self.scheme(), self.shown, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::{Credentials, Secret, Target, mask, mask_urls};

    #[test]
    fn a_url_is_taken_apart() {
        for (url, host, port, path, authority) in [
            ("http://a.example/", "a.example", 80, "/", "a.example"),
            ("http://a.example", "a.example", 80, "/", "a.example"),
            ("a.example:8080/x?y=1#z", "a.example", 8080, "/x?y=1", "a.example:8080"),
            ("http://[::1]:81?q", "::1", 81, "/?q", "[::1]:81"),
            ("https://a.example/b", "a.example", 443, "/b", "a.example"),
            ("HTTPS://a.example:80", "a.example", 80, "/", "a.example:80"),
            ("HTTP://127.0.0.1:9/a/b", "127.0.0.1", 9, "/a/b", "127.0.0.1:9"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port), "{url}");
            assert_eq!(
                (target.path.as_str(), target.authority.as_str()),
                (path, authority),
                "{url}"
            );
        }
    }

    #[test]
    fn an_international_host_is_asked_for_in_ascii_and_shown_as_it_was_typed() {
        for (url, host, authority) in [
            ("http://b\u{fc}cher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example"),
            (
                "https://B\u{dc}CHER.example:8443/a?b",
                "xn--bcher-kva.example",
                "xn--bcher-kva.example:8443",
            ),
            (
                "http://\u{4f8b}\u{3048}.\u{30c6}\u{30b9}\u{30c8}",
                "xn--r8jz45g.xn--zckzah",
                "xn--r8jz45g.xn--zckzah",
            ),
            // Names in ASCII are nobody else's business: DNS has more of them than the standards allow.
            ("http://MY_host--.example", "MY_host--.example", "MY_host--.example"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(
                (target.host.as_str(), target.authority.as_str()),
                (host, authority),
                "{url}"
            );
            assert!(target.to_string().starts_with(url), "{target}");
        }
        for url in ["http://b\u{202e}.example/", "http://\u{fffd}/", "http://a\u{200d}\u{2028}b/"] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains("not a valid international host name"), "{error}");
        }
        let path = Target::parse("http://b\u{fc}cher.example/b\u{fc}cher").unwrap_err();
        assert!(path.contains("percent-encoded"), "{path}");
    }

    #[test]
    fn no_message_repeats_what_may_be_a_password() {
        for url in [
            "http://u:secret@h/",
            "https://u:secret@h:99999/",
            "ftp://u:secret@h/",
            "u:secret@h",
            "http://secret@h/a b",
            "http://u:se/cret@h/",
            "http://u:secret?@h/",
            "http://u:secret#@h/",
            "http://u:a@secret@h/",
            "http://me@example.com:se/cret@127.0.0.1:1/",
            "me@example.com:secret@h",
            "http://u:secret@[::1/",
            "gopher://u:secret/@h",
        ] {
            let said = match Target::parse(url) {
                Ok(target) => format!("{target} {target:?}"),
                Err(error) => error,
            };
            assert!(!said.contains("secret") && !said.contains("cret@"), "{said}");
            assert!(said.contains("***@"), "{said}");
        }
        let error = Target::parse("http://h/@me x").unwrap_err();
        assert!(error.contains("http://h/@me x"), "{error}");
    }

    #[test]
    fn a_bad_url_is_refused_with_its_reason() {
        for (url, reason) in [
            ("ftp://x/", "unknown scheme 'ftp'"),
            ("http:///x", "no host"),
            ("http://x:0/", "port '0'"),
            ("http://x:+80/", "port '+80'"),
            ("http://x:99999/", "port '99999'"),
            ("http://::1/", "brackets"),
            ("http://[::1/", "not closed"),
            ("://x/", "no scheme"),
            ("http://u:p@/", "no host"),
            ("http://u:p@x:y/", "port 'y'"),
            ("http://u:p%0a@x/", "control characters"),
            ("http://u:p/q@x/", "%2F"),
            ("http://x/a b", "percent-encoded"),
            ("http://x/\r\nEvil: 1", "percent-encoded"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }

    #[test]
    fn a_user_and_a_password_are_decoded_as_curl_does_it() {
        for (url, pair) in [
            ("http://u:p@x/", Some("u:p")),
            ("u:p@x", Some("u:p")),
            ("https://u@x/", Some("u:")),
            ("http://:p@x/", Some(":p")),
            ("http://u:@x/", Some("u:")),
            ("http://u:p:q@x/", Some("u:p:q")),
            ("http://u@y:p@q@x:80/", Some("u@y:p@q")),
            ("http://u%3Av:p@x/", Some("u:v:p")),
            ("http://%75%40y:%3a%2F%25@[::1]:80/", Some("u@y::/%")),
            ("http://u:100%@x/", Some("u:100%")),
            ("http://u:%zz%+1%4@x/", Some("u:%zz%+1%4")),
            ("http://@x/", None),
            ("http://x/@y:z", None),
            ("http://x/a?b=u:p@y", None),
        ] {
            let target = Target::parse(url).unwrap();
            let found = target.credentials.as_ref().map(Credentials::reveal);
            assert_eq!(found, pair.map(str::as_bytes), "{url}");
            assert!(!target.authority.contains('@'), "{url}");
        }
    }

    #[test]
    fn a_target_shows_neither_user_nor_password() {
        let target = Target::parse("http://alice:hunter2@x:81/a").unwrap();
        assert_eq!(target.to_string(), "http://***@x:81/a");
        for shown in [format!("{target:?}"), format!("{:?}", Secret::new("alice, hunter2"))] {
            assert!(!shown.contains("alice") && !shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn no_refusal_of_a_url_shows_a_password() {
        for url in [
            "ftp://alice:hunter2@x/",
            "alice:hunter2://x@y/",
            "http://alice:hunter2@/",
            "http://alice:hunter2@x:0/",
            "http://alice:hunter2@::1/",
            "http://alice:hunter2@[::1/",
            "http://alice:hunter2@x/a b",
            "http://alice:hunter2%00@x/",
            "http://alice:hun/ter2@x/",
            "http://alice:hun?ter2@x/",
            "http://alice:hun#ter2@x/",
            "http://alice:hun ter2@x/",
            "alice:hun/ter2@x/",
        ] {
            let error = Target::parse(url).unwrap_err();
            let parts = ["alice", "hunter2", "hun", "ter2"];
            assert!(parts.iter().all(|part| !error.contains(part)), "{url}: {error}");
        }
    }

    #[test]
    fn a_mask_hides_what_is_before_the_host_and_nothing_else() {
        for (url, shown) in [
            ("http://u:p@x/a@b", "http://***@x/a@b"),
            ("http://u:p/q@x/", "http://***@x/"),
            ("u:p@x", "***@x"),
            ("http://x:80/@b", "http://x:80/@b"),
            ("http://[::1]:80/@b", "http://[::1]:80/@b"),
            ("http://x/", "http://x/"),
        ] {
            assert_eq!(mask(url), shown, "{url}");
        }
        let text = "see 'http://u:p@x/' and https://u@y, not a@b:c or http://z/@me";
        let masked = "see 'http://***@x/' and https://***@y, not a@b:c or http://z/@me";
        assert_eq!(mask_urls(text), masked);
    }
}
