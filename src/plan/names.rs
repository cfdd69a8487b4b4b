//! What a host stands for: what `--connect-to` and `--resolve` say of it, and what the system knows.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::proxy::Proxy;
use crate::cli::NetworkArgs;
use crate::exit::Refusal;
use crate::target::{Target, ascii_host};

/// Every entry of `--resolve` and `--connect-to` must be one, and may lead somewhere.
pub(super) fn check(args: &NetworkArgs, proxy: Option<&Proxy>) -> Result<(), Refusal> {
    for entry in &args.connect_to {
        connect_to_entry(entry, "", 0).map_err(Refusal::usage)?;
    }
    for entry in &args.resolve {
        let (host, port, _) = resolve_entry(entry).map_err(Refusal::usage)?;
        if let Some(proxy) = proxy
            && !(host.eq_ignore_ascii_case(&proxy.host) && port == proxy.port)
        {
            return Err(Refusal::usage(format!(
                "--resolve '{}': with --proxy only the proxy is looked up here; name {}:{}, or leave it out",
                entry.escape_debug(),
                proxy.host,
                proxy.port
            )));
        }
    }
    Ok(())
}

/// A host that is to be looked up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// Its name or address, in ASCII.
    pub(super) host: String,
    /// The port there.
    pub(super) port: u16,
    /// What named it, for messages: `--proxy`, `URL '...'`.
    pub(super) named_by: String,
}

impl Place {
    /// Where connections for `target` go: to the proxy, where `--connect-to` leads, or where the URL says.
    ///
    /// # Errors
    /// The entry of `--connect-to` that is none.
    pub(super) fn of(
        target: &Target,
        args: &NetworkArgs,
        proxy: Option<&Proxy>,
    ) -> Result<Self, String> {
        if let Some(Proxy { host, port, .. }) = proxy {
            return Ok(Self { host: host.clone(), port: *port, named_by: "--proxy".to_owned() });
        }
        for entry in &args.connect_to {
            let [from, (host, port)] = connect_to_entry(entry, &target.host, target.port)?;
            if from.0.eq_ignore_ascii_case(&target.host) && from.1 == target.port {
                let named_by = format!("--connect-to '{}'", entry.escape_debug());
                return Ok(Self { host, port, named_by });
            }
        }
        let named_by = format!("URL '{target}'");
        Ok(Self { host: target.host.clone(), port: target.port, named_by })
    }
}

/// An entry of `--connect-to`, from where and to where; `host` and `port` stand for what it leaves empty.
fn connect_to_entry(entry: &str, host: &str, port: u16) -> Result<[(String, u16); 2], String> {
    let refuse = || {
        format!(
            "--connect-to '{}': HOST1:PORT1:HOST2:PORT2 is wanted, where parts may be empty",
            entry.escape_debug()
        )
    };
    let parts = split(entry);
    let [from_host, from_port, to_host, to_port] = parts[..] else { return Err(refuse()) };
    let place = |name: &str, number: &str| -> Result<(String, u16), String> {
        let name = if name.is_empty() { host } else { name };
        let number = if number.is_empty() { Ok(port) } else { number.parse::<u16>() };
        let number = number.map_err(|_| refuse())?;
        let name = ascii_host(name)
            .map_err(|why| format!("--connect-to '{}': {why}", entry.escape_debug()))?;
        Ok((name, number))
    };
    Ok([place(from_host, from_port)?, place(to_host, to_port)?])
}

/// An entry of `--resolve`: a host, a port, its addresses.
fn resolve_entry(entry: &str) -> Result<(String, u16, Vec<IpAddr>), String> {
    let refuse =
        || format!("--resolve '{}': HOST:PORT:ADDRESS,... is wanted", entry.escape_debug());
    let mut parts = entry.splitn(3, ':');
    let (Some(host), Some(port), Some(list)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(refuse());
    };
    // What others take for all hosts, or for entries of a cache, would only look as if it had an effect.
    if host.is_empty() || host == "*" || host.starts_with(['+', '-']) {
        return Err(refuse());
    }
    let port: u16 = port.parse().map_err(|_| refuse())?;
    let bare = |text: &str| text.trim().trim_start_matches('[').trim_end_matches(']').to_owned();
    let addresses: Result<Vec<IpAddr>, _> =
        list.split(',').map(|address| bare(address).parse()).collect();
    let host =
        ascii_host(host).map_err(|why| format!("--resolve '{}': {why}", entry.escape_debug()))?;
    Ok((host, port, addresses.map_err(|_| refuse())?))
}

/// The addresses that `--resolve` gives a host, or those that the system knows.
pub(super) fn look_up(place: &Place, args: &NetworkArgs) -> Result<Vec<SocketAddr>, Refusal> {
    let Place { host, port, named_by } = place;
    let (host, port) = (host.as_str(), *port);
    for entry in &args.resolve {
        let (known, number, addresses) = resolve_entry(entry).map_err(Refusal::usage)?;
        if known.eq_ignore_ascii_case(host) && number == port {
            return Ok(addresses.into_iter().map(|address| (address, port).into()).collect());
        }
    }
    let found = (host, port).to_socket_addrs().map_err(|error| {
        Refusal::target(format!(
            "{named_by}: host '{host}' does not resolve ({error}); check its spelling"
        ))
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(Refusal::target(format!(
            "{named_by}: host '{host}' has no address; check its spelling"
        )));
    }
    Ok(addresses)
}

/// Splits at colons, but not within brackets, which are taken off.
fn split(entry: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = entry;
    loop {
        let bracketed = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'));
        let (part, after) = match bracketed {
            Some((part, after)) => (part, after.strip_prefix(':')),
            None => match rest.split_once(':') {
                Some((part, after)) => (part, Some(after)),
                None => (rest, None),
            },
        };
        parts.push(part);
        match after {
            Some(after) => rest = after,
            None => return parts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, look_up};
    use crate::cli::NetworkArgs;
    use crate::plan::proxy::Proxy;
    use crate::target::Target;

    #[test]
    fn connections_are_led_elsewhere_as_far_as_they_are_meant() {
        let to = |entry: &str| {
            let connect_to_args = vec![entry.to_owned()];
            let args = NetworkArgs { connect_to: connect_to_args, ..NetworkArgs::default() };
            let target = Target::parse("http://a.test/").unwrap();
            Place::of(&target, &args, None).map(|place| (place.host, place.port))
        };
        let is = |host: &str, port: u16| Ok((host.to_owned(), port));
        assert_eq!(to("a.test:80:b.test:8080"), is("b.test", 8080));
        assert_eq!(to("::b.test:8080"), is("b.test", 8080));
        assert_eq!(to("A.test::[::1]:"), is("::1", 80));
        assert_eq!(to("a.test:443:b.test:8080"), is("a.test", 80));
        assert_eq!(to("c.test:80:b.test:8080"), is("a.test", 80));
        assert_eq!(to("a.test:80:b\u{fc}cher.test:"), is("xn--bcher-kva.test", 80));
        for entry in ["", "a", "a:b", "a:80:b:x", "a:80:b:1:2"] {
            assert!(to(entry).unwrap_err().contains("--connect-to"), "{entry}");
        }
    }

    #[test]
    fn a_host_that_does_not_resolve_is_reported_with_what_named_it() {
        let target = Target::parse("http://a.invalid/").unwrap();
        let proxy = Proxy::parse("http://u:secret@proxy.invalid:3128").unwrap();
        let leads =
            NetworkArgs { connect_to: vec!["::b.invalid:81".to_owned()], ..NetworkArgs::default() };
        let plain = NetworkArgs::default();
        for (args, proxy, says) in [
            (&plain, Some(&proxy), "--proxy: host 'proxy.invalid' does not resolve"),
            (&leads, None, "--connect-to '::b.invalid:81': host 'b.invalid' does not resolve"),
            (&plain, None, "URL 'http://a.invalid/': host 'a.invalid' does not resolve"),
        ] {
            let place = Place::of(&target, args, proxy).unwrap();
            let refusal = look_up(&place, args).unwrap_err();
            assert!(refusal.message.starts_with(says), "{}", refusal.message);
            assert!(!refusal.message.contains("secret"), "{}", refusal.message);
        }
    }
}
