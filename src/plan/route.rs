//! The way to the target: where connections go, where they come from, how their sockets are set. Names are looked up
//! here, once.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::names::Place;
use super::proxy::Proxy;
use super::{cores, names, sources};
use crate::cli::{AddressesArg, NetworkArgs, ProxyProtocolArg};
use crate::exit::Refusal;
use crate::machine::sys;
use crate::target::Target;

/// Addresses of one host that are used at most.
const MOST_ADDRESSES: usize = 256;

/// As long as the path of a Unix socket may be.
const MOST_PATH_BYTES: usize = 107;

/// The way to the target.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Route {
    /// Where connections go, dealt out in turn; at least one.
    pub endpoints: Vec<Endpoint>,
    /// Where they come from, dealt out in turn; empty leaves it to the kernel.
    pub sources: Vec<IpAddr>,
    /// The interface that they go over.
    pub interface: Option<String>,
    /// What each of them begins with.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How their sockets are set.
    pub options: SocketOptions,
    /// They are closed with a reset instead of in order (SO_LINGER 0).
    pub reset_on_close: bool,
    /// What a reader should know of how the endpoints were chosen; may be empty.
    pub note: String,
}

/// Where a connection goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// An address and a port.
    Inet(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyProtocol {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// Options of the client's sockets; `None` leaves the kernel's choice.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SocketOptions {
    /// TCP_CONGESTION.
    pub congestion: Option<String>,
    /// SO_BUSY_POLL, in microseconds.
    pub busy_poll_us: Option<u32>,
    /// SO_SNDBUF, in bytes.
    pub send_buffer_bytes: Option<usize>,
    /// SO_RCVBUF, in bytes.
    pub receive_buffer_bytes: Option<usize>,
    /// TCP_QUICKACK.
    pub quickack: bool,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display().to_string().escape_debug()),
        }
    }
}

impl fmt::Display for Route {
    /// The endpoints, as many as fit a line, and what there is to know of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        let shown: Vec<String> =
            self.endpoints.iter().take(SHOWN).map(ToString::to_string).collect();
        f.write_str(&shown.join(", "))?;
        if self.endpoints.len() > SHOWN {
            write!(f, " and {} more", self.endpoints.len() - SHOWN)?;
        }
        if self.endpoints.len() > 1 {
            f.write_str(", dealt out in turn")?;
        }
        f.write_str(&self.note)
    }
}

impl Route {
    /// A route to one address, with nothing special about it.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        Self { endpoints: vec![Endpoint::Inet(address)], ..Self::default() }
    }

    /// Whether any of it leads to this host.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.endpoints.iter().any(|endpoint| match endpoint {
            Endpoint::Inet(address) => cores::is_this_host(address.ip()),
            Endpoint::Unix(_) => true,
        })
    }

    /// Finds the way to `target`, or to the proxy before it. Where there are several addresses, they are asked whether
    /// they accept a connection, unless nobody may be asked.
    ///
    /// # Errors
    /// The flag that cannot be obeyed, or why the host has no address.
    pub(super) fn find(
        target: &Target,
        args: &NetworkArgs,
        proxy: Option<&Proxy>,
        asking: Asking,
    ) -> Result<Self, Refusal> {
        names::check(args, proxy)?;
        if proxy.is_some() && !args.connect_to.is_empty() {
            return Err(Refusal::usage(
                "--connect-to contradicts --proxy, which finds the target by itself; leave one of them out"
                    .to_owned(),
            ));
        }
        if args.interface.as_ref().is_some_and(String::is_empty) {
            return Err(Refusal::usage("--interface: a name is wanted, like eth0".to_owned()));
        }
        let (asking, sources) = match asking {
            Asking::From(sources) => (true, sources),
            Asking::Nobody(sources) => (false, sources),
        };
        let (endpoints, note) = match &args.unix_socket {
            Some(path) => (vec![unix_socket(path.clone())?], String::new()),
            None => addresses(target, args, proxy, asking.then_some(&sources[..]))?,
        };
        let route = Self {
            endpoints,
            sources,
            interface: args.interface.clone(),
            proxy_protocol: args.proxy_protocol.map(|version| match version {
                ProxyProtocolArg::V1 => ProxyProtocol::V1,
                ProxyProtocolArg::V2 => ProxyProtocol::V2,
            }),
            options: options(args)?,
            reset_on_close: args.reset_on_close,
            note,
        };
        route.check_families()?;
        Ok(route)
    }

    /// Every endpoint must be one that some source can reach.
    fn check_families(&self) -> Result<(), Refusal> {
        let reached = |endpoint: &&Endpoint| match endpoint {
            Endpoint::Inet(address) => {
                self.sources.iter().any(|source| source.is_ipv4() == address.is_ipv4())
            }
            Endpoint::Unix(_) => true,
        };
        let unreached = self.endpoints.iter().find(|endpoint| !reached(endpoint));
        match unreached {
            Some(endpoint) if !self.sources.is_empty() => Err(Refusal::usage(format!(
                "--source: no address of the same version as {endpoint}; name one, or choose with -4 or -6"
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether addresses may be asked if they accept a connection, and where from; either way, where connections come from.
#[derive(Clone, Debug)]
pub(super) enum Asking {
    /// They are, from one of these, or from where the kernel likes.
    From(Vec<IpAddr>),
    /// They are not.
    Nobody(Vec<IpAddr>),
}

fn unix_socket(path: PathBuf) -> Result<Endpoint, Refusal> {
    let shown = path.display().to_string();
    if path.as_os_str().is_empty() || path.as_os_str().len() > MOST_PATH_BYTES {
        return Err(Refusal::usage(format!(
            "--unix-socket {}: a path of at most {MOST_PATH_BYTES} bytes is wanted",
            shown.escape_debug()
        )));
    }
    if matches!(path.try_exists(), Ok(false)) {
        return Err(Refusal::target(format!(
            "--unix-socket {}: there is no such file; is the server running?",
            shown.escape_debug()
        )));
    }
    Ok(Endpoint::Unix(path))
}

fn options(args: &NetworkArgs) -> Result<SocketOptions, Refusal> {
    let size = |flag: &str, bytes: Option<u64>| match bytes {
        Some(bytes) if i32::try_from(bytes).is_err() || bytes == 0 => {
            Err(Refusal::usage(format!("{flag} {bytes}: a buffer holds between 1 byte and 2 GiB")))
        }
        bytes => Ok(bytes.and_then(|bytes| usize::try_from(bytes).ok())),
    };
    Ok(SocketOptions {
        congestion: args.congestion.clone(),
        busy_poll_us: args.busy_poll,
        send_buffer_bytes: size("--send-buffer", args.send_buffer)?,
        receive_buffer_bytes: size("--receive-buffer", args.receive_buffer)?,
        quickack: args.quickack,
    })
}

/// What `--source` names, each of which this host must have.
pub(super) fn sources(args: &NetworkArgs) -> Result<Vec<IpAddr>, Refusal> {
    let Some(list) = &args.source else { return Ok(Vec::new()) };
    let sources = sources::parse(list).map_err(Refusal::usage)?;
    for &source in &sources {
        UdpSocket::bind((source, 0)).map_err(|error| match error.kind() {
            io::ErrorKind::AddrNotAvailable => Refusal::usage(format!(
                "--source: {source} is no address of this host; add it with 'ip address add', or name others"
            )),
            _ => Refusal::usage(format!("--source: {source} cannot be used ({error})")),
        })?;
    }
    Ok(sources)
}

/// The addresses of the host that connections are to go to, and what is to be said of them.
fn addresses(
    target: &Target,
    args: &NetworkArgs,
    proxy: Option<&Proxy>,
    asking_from: Option<&[IpAddr]>,
) -> Result<(Vec<Endpoint>, String), Refusal> {
    let place = Place::of(target, args, proxy).map_err(Refusal::usage)?;
    let mut found = names::look_up(&place, args)?;
    let all = found.len();
    found.retain(|address| !(args.ipv4 && address.is_ipv6() || args.ipv6 && address.is_ipv4()));
    if found.is_empty() {
        let (flag, version) = if args.ipv4 { ("-4", "IPv4") } else { ("-6", "IPv6") };
        return Err(Refusal::target(format!(
            "{flag}: host '{}' of {} has no {version} address, and {all} of the other version",
            place.host, place.named_by
        )));
    }
    let mut note = String::new();
    if found.len() > 1 && asking_from.is_none() {
        note = match args.addresses {
            Some(AddressesArg::First) => ", but only the first that accepts is used".to_owned(),
            _ => ", of which those are used that accept".to_owned(),
        };
    } else if found.len() > 1 {
        found.truncate(MOST_ADDRESSES);
        let known = found.len();
        let mut accepting = accepting(&found, args, asking_from.unwrap_or_default());
        if accepting.is_empty() {
            accepting = vec![found[0]];
            note = format!(", the first of {known} addresses, none of which accepts");
        } else if args.addresses == Some(AddressesArg::First) {
            accepting.truncate(1);
            note = format!(", the first of {known} addresses that accepts");
        } else if accepting.len() < known {
            note = format!(", {} of {known} addresses that accept", accepting.len());
        }
        found = accepting;
    }
    if let Some(proxy) = proxy {
        note += &format!(", the proxy {}:{}", proxy.host, proxy.port);
    }
    Ok((found.into_iter().map(Endpoint::Inet).collect(), note))
}

/// Those of several addresses that accept a connection, in the same order.
fn accepting(addresses: &[SocketAddr], args: &NetworkArgs, sources: &[IpAddr]) -> Vec<SocketAddr> {
    let accepts = |address: SocketAddr| accepts(address, args, sources).is_ok();
    thread::scope(|scope| {
        let start = |&address| {
            thread::Builder::new()
                .spawn_scoped(scope, move || accepts(address))
                .map_err(|_| address)
        };
        let probes: Vec<_> = addresses.iter().map(start).collect();
        let answers = probes.into_iter().map(|probe| match probe {
            Ok(thread) => thread.join().unwrap_or(false),
            // Where no thread can be had, this one takes a turn more.
            Err(address) => accepts(address),
        });
        addresses.iter().zip(answers).filter_map(|(&address, yes)| yes.then_some(address)).collect()
    })
}

/// Connects once, from where and over what all connections will go.
fn accepts(address: SocketAddr, args: &NetworkArgs, sources: &[IpAddr]) -> io::Result<()> {
    const PROBE: Duration = Duration::from_secs(1);
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    if let Some(name) = &args.interface {
        socket.bind_device(Some(name.as_bytes()))?;
    }
    // Neither its port nor the memory of its end may be missing later.
    sys::bind_without_port(socket.as_raw_fd());
    sys::reset_on_close(socket.as_raw_fd());
    if let Some(&source) = sources.iter().find(|source| source.is_ipv4() == address.is_ipv4()) {
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    socket.connect_timeout(&address.into(), PROBE)
}

#[cfg(test)]
mod tests {
    use super::{Asking, Endpoint, Route};
    use crate::cli::NetworkArgs;
    use crate::target::Target;

    fn find(url: &str, args: &NetworkArgs) -> Result<Vec<String>, String> {
        let asking = super::sources(args).map(Asking::From);
        let target = Target::parse(url).unwrap();
        let route = asking.and_then(|asking| Route::find(&target, args, None, asking));
        let shown = |route: Route| route.endpoints.iter().map(Endpoint::to_string).collect();
        route.map(shown).map_err(|refusal| refusal.message)
    }

    fn resolving(entries: &[&str]) -> NetworkArgs {
        let resolve = entries.iter().map(|&entry| entry.to_owned()).collect();
        NetworkArgs { resolve, ..NetworkArgs::default() }
    }

    #[test]
    fn a_given_address_takes_the_place_of_a_look_up() {
        let args = resolving(&["b.test:80:192.0.2.9", "a.test:80:192.0.2.1"]);
        assert_eq!(find("http://A.test/", &args).unwrap(), ["192.0.2.1:80"]);
        let args = resolving(&["a.test:81:[2001:db8::1]"]);
        assert_eq!(find("http://a.test:81/", &args).unwrap(), ["[2001:db8::1]:81"]);
        for entry in ["a.test", "a.test:80", "a.test:x:192.0.2.1", "a.test:80:b"] {
            assert!(
                find("http://a.test/", &resolving(&[entry])).unwrap_err().contains("--resolve")
            );
        }
    }

    #[test]
    fn only_addresses_of_the_chosen_version_are_used() {
        let entries = ["a.test:80:192.0.2.1,2001:db8::1"];
        let args = NetworkArgs { ipv6: true, ..resolving(&entries) };
        assert_eq!(find("http://a.test/", &args).unwrap(), ["[2001:db8::1]:80"]);
        let args = NetworkArgs { ipv4: true, ..resolving(&["a.test:80:2001:db8::1"]) };
        assert!(find("http://a.test/", &args).unwrap_err().contains("no IPv4 address"));
    }

    #[test]
    fn sources_must_fit_the_target_and_this_host() {
        let args = |source: &str| NetworkArgs {
            source: Some(source.to_owned()),
            ..NetworkArgs::default()
        };
        let url = "http://127.0.0.1:9/";
        assert!(find(url, &args("127.0.0.2-127.0.0.5")).is_ok());
        assert!(find(url, &args("192.0.2.1")).unwrap_err().contains("no address of this host"));
        assert!(find(url, &args("::1")).unwrap_err().contains("same version"));
    }
}
