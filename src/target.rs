//! The URL that the user gave, taken apart. No look-ups: addresses are the plan's business.

use std::fmt;

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
}

impl Target {
    /// Takes a URL apart; `http://` may be left out.
    ///
    /// # Errors
    /// What is wrong with the URL and what would be right.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (secure, rest) = match url.split_once("://") {
            None => (false, url),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, _)) => {
                return Err(format!(
                    "URL '{}': unknown scheme '{}'; use an http:// or https:// URL",
                    masked(url),
                    scheme.escape_debug()
                ));
            }
        };
        let url = &masked(url);
        let rest = rest.split('#').next().unwrap_or("");
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        if authority.contains('@') {
            return Err(format!(
                "URL '{url}': maxq does not send a user and password from a URL; use -H 'Authorization: ...'"
            ));
        }
        let (host, port) = split_authority(url, authority, if secure { 443 } else { 80 })?;
        let path = match path.as_bytes().first() {
            None => "/".to_owned(),
            Some(b'?') => format!("/{path}"),
            Some(_) => path.to_owned(),
        };
        let is_bad = |c: &char| c.is_ascii_control() || *c == ' ';
        let bad = rest.chars().find(is_bad).or_else(|| path.chars().find(|c| !c.is_ascii()));
        if let Some(bad) = bad {
            return Err(format!("URL '{}': {bad:?} must be percent-encoded", url.escape_debug()));
        }
        let ascii =
            ascii_host(host).map_err(|why| format!("URL '{}': {why}", url.escape_debug()))?;
        // An address in brackets is ASCII already.
        let in_ascii =
            if ascii == host { authority.to_owned() } else { authority.replacen(host, &ascii, 1) };
        Ok(Self {
            secure,
            host: ascii,
            port,
            path,
            authority: in_ascii,
            shown: authority.to_owned(),
        })
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

/// A URL fit to be shown in a message: what stands before the host, a password perhaps, is replaced. A password with a `/`
/// in it makes no valid host and port out of what is before that, and is replaced too.
fn masked(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let is_place = split_authority("", &rest[..end], 80).is_ok();
    let at = match rest[..end].rfind('@') {
        None if is_place => None,
        _ => rest.rfind('@'),
    };
    match at {
        Some(at) => format!("{scheme}[masked]{}", &rest[at..]),
        None => url.to_owned(),
    }
}

impl Target {
    /// The first word of the URL.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
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
            // What looks like a port may be a password.
            _ if url.contains("[masked]@") => {
                return Err(format!(
                    "URL '{url}': maxq does not send a user and password from a URL; use -H 'Authorization: ...'"
                ));
            }
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
        write!(f, "{}://{}{}", self.scheme(), self.shown, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

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
            "http://u:secret@[::1/",
            "gopher://u:secret/@h",
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(!error.contains("secret") && !error.contains("cret@"), "{error}");
            assert!(error.contains("[masked]@"), "{error}");
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
            ("http://u:p@x/", "Authorization"),
            ("http://x/a b", "percent-encoded"),
            ("http://x/\r\nEvil: 1", "percent-encoded"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
