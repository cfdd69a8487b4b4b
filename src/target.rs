//! The URL that the user gave, taken apart. No look-ups: addresses are the plan's business.

use std::fmt;

/// An `http://` or `https://` URL: where to connect and what to ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// `https://`.
    pub secure: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port, 80 or 443 when the URL names none.
    pub port: u16,
    /// Request target in origin form: path and query, never empty, no fragment.
    pub path: String,
    /// The authority as the user wrote it, for the Host header.
    pub authority: String,
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
                    "URL '{url}': unknown scheme '{scheme}'; use an http:// or https:// URL"
                ));
            }
        };
        let rest = rest.split('#').next().unwrap_or("");
        let cut = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        if authority.contains('@') {
            return Err(format!(
                "URL '{url}': user and password are not sent from a URL; use -H 'Authorization: ...'"
            ));
        }
        let (host, port) = split_authority(url, authority, if secure { 443 } else { 80 })?;
        let path = match path.as_bytes().first() {
            None => "/".to_owned(),
            Some(b'?') => format!("/{path}"),
            Some(_) => path.to_owned(),
        };
        if let Some(bad) = rest.chars().find(|c| c.is_ascii_control() || *c == ' ' || !c.is_ascii())
        {
            return Err(format!("URL '{}': {bad:?} must be percent-encoded", url.escape_debug()));
        }
        Ok(Self { secure, host: host.to_owned(), port, path, authority: authority.to_owned() })
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
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.path)
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
