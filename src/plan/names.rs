//! What a host stands for: what `--connect-to` and `--resolve` say of it, and what the system knows.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::proxy::Proxy;
use crate::cli::NetworkArgs;
use crate::exit::Refusal;
use crate::target::Target;

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

/// Where `--connect-to` leads from a host and a port.
pub(super) fn connect_to(
    args: &NetworkArgs,
    host: &str,
    port: u16,
) -> Result<(String, u16), String> {
    for entry in &args.connect_to {
        let [from, to] = connect_to_entry(entry, host, port)?;
        if from.0.eq_ignore_ascii_case(host) && from.1 == port {
            return Ok(to);
        }
    }
    Ok((host.to_owned(), port))
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
    let place = |name: &str, number: &str| {
        let name = if name.is_empty() { host } else { name };
        let number = if number.is_empty() { Ok(port) } else { number.parse::<u16>() };
        number.map(|number| (name.to_owned(), number)).map_err(|_| refuse())
    };
    Ok([place(from_host, from_port)?, place(to_host, to_port)?])
}

/// An entry of `--resolve`: a host, a port, its addresses.
fn resolve_entry(entry: &str) -> Result<(&str, u16, Vec<IpAddr>), String> {
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
    Ok((host, port, addresses.map_err(|_| refuse())?))
}

/// The addresses that `--resolve` gives a host, or those that the system knows.
pub(super) fn look_up(
    target: &Target,
    args: &NetworkArgs,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, Refusal> {
    for entry in &args.resolve {
        let (known, number, addresses) = resolve_entry(entry).map_err(Refusal::usage)?;
        if known.eq_ignore_ascii_case(host) && number == port {
            return Ok(addresses.into_iter().map(|address| (address, port).into()).collect());
        }
    }
    let found = (host, port).to_socket_addrs().map_err(|error| {
        Refusal::target(format!(
            "URL '{target}': host '{host}' does not resolve ({error}); check its spelling"
        ))
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(Refusal::target(format!("URL '{target}': host '{host}' has no address")));
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
    use super::connect_to;
    use crate::cli::NetworkArgs;

    #[test]
    fn connections_are_led_elsewhere_as_far_as_they_are_meant() {
        let to = |entry: &str| {
            let connect_to_args = vec![entry.to_owned()];
            let args = NetworkArgs { connect_to: connect_to_args, ..NetworkArgs::default() };
            connect_to(&args, "a.test", 80)
        };
        let is = |host: &str, port: u16| Ok((host.to_owned(), port));
        assert_eq!(to("a.test:80:b.test:8080"), is("b.test", 8080));
        assert_eq!(to("::b.test:8080"), is("b.test", 8080));
        assert_eq!(to("A.test::[::1]:"), is("::1", 80));
        assert_eq!(to("a.test:443:b.test:8080"), is("a.test", 80));
        assert_eq!(to("c.test:80:b.test:8080"), is("a.test", 80));
        for entry in ["", "a", "a:b", "a:80:b:x", "a:80:b:1:2"] {
            assert!(to(entry).unwrap_err().contains("--connect-to"), "{entry}");
        }
    }
}
