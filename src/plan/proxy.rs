//! The HTTP proxy of `--proxy`.

use super::message::basic;
use crate::target::{Credentials, Target};

/// An HTTP proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Proxy {
    /// Its host.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
    /// Who asks.
    pub(super) credentials: Option<Credentials>,
}

impl Proxy {
    /// Takes `http://[USER:PASSWORD@]HOST:PORT` apart; `http://` may be left out.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right. A password is not repeated.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let rest = match url.split_once("://") {
            None => url,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => {
                return Err(format!(
                    "--proxy: '{}' proxies are not known; use http://HOST:PORT",
                    scheme.escape_debug()
                ));
            }
        };
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let place = Target::parse(place).map_err(|error| format!("--proxy: {error}"))?;
        if place.path != "/" {
            return Err("--proxy: a proxy has no path; use http://HOST:PORT".to_owned());
        }
        let credentials = user.filter(|user| !user.is_empty()).map(Credentials::of_userinfo);
        let credentials = credentials.transpose().map_err(|why| format!("--proxy: {why}"))?;
        Ok(Self { host: place.host, port: place.port, credentials })
    }

    /// Who asks.
    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// What asks for a tunnel to `target`.
    pub(super) fn connect_request(&self, target: &Target) -> Vec<u8> {
        let host = if target.host.contains(':') {
            format!("[{}]", target.host)
        } else {
            target.host.clone()
        };
        let port = target.port;
        let authorization = self
            .credentials
            .as_ref()
            .map(|credentials| format!("Proxy-Authorization: {}\r\n", basic(credentials)));
        format!(
            "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{}\r\n",
            authorization.unwrap_or_default()
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::{Proxy, basic};
    use crate::target::Target;

    #[test]
    fn a_proxy_is_a_host_a_port_and_perhaps_a_user() {
        let proxy = Proxy::parse("http://u%40x:p@proxy.test:3128").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.test", 3128));
        assert_eq!(proxy.credentials.as_ref().map(basic).as_deref(), Some("Basic dUB4OnA="));
        let target = Target::parse("https://[::1]/x").unwrap();
        assert_eq!(
            String::from_utf8(proxy.connect_request(&target)).unwrap(),
            "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nProxy-Authorization: Basic dUB4OnA=\r\n\r\n"
        );
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_password() {
        for url in ["socks5://u:secret@p:1", "https://u:secret@p", "u:secret@", "u:secret@p:1/x"] {
            let error = Proxy::parse(url).unwrap_err();
            assert!(error.contains("--proxy") && !error.contains("secret"), "{error}");
        }
    }
}
