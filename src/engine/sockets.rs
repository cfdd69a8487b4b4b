//! The client's sockets, as a route wants them: which address each connection goes to and comes from, with which options,
//! and what it begins with.
//!
//! Owned by the loop of a thread. Which connection goes where is decided by its place alone, so that a reopened one goes
//! where it went before.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use crate::machine::sys;
use crate::plan::{Endpoint, ProxyProtocol, Route};

/// What every PROXY protocol header of version 2 begins with.
const PROXY_V2: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Opens the sockets of one worker.
#[derive(Debug)]
pub struct Sockets {
    places: Vec<Place>,
    /// Where connections may come from, by version of IP; all places share them.
    sources: [Vec<IpAddr>; 2],
    route: Route,
    /// Number of the worker's first connection among those of all workers.
    first: u64,
}

/// Where a connection may go.
#[derive(Debug)]
struct Place {
    domain: Domain,
    address: SockAddr,
}

impl Sockets {
    /// Those of a worker whose first connection is number `first`.
    ///
    /// # Panics
    /// When the path of a Unix socket is too long, which a plan does not allow.
    #[must_use]
    pub fn new(route: &Route, first: u64) -> Self {
        let place = |endpoint: &Endpoint| match endpoint {
            Endpoint::Inet(address) => {
                Place { domain: Domain::for_address(*address), address: SockAddr::from(*address) }
            }
            Endpoint::Unix(path) => Place {
                domain: Domain::UNIX,
                address: SockAddr::unix(path).expect("its length was checked when it was planned"),
            },
        };
        let places = route.endpoints.iter().map(place).collect();
        let (v4, v6) = route.sources.iter().partition(|source| source.is_ipv4());
        let bare = Route { sources: Vec::new(), ..route.clone() };
        Self { places, sources: [v4, v6], route: bare, first }
    }

    /// A new socket for connection `index`, which does not block, and the address that it is to be connected to.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(&self, index: u32) -> io::Result<(Socket, &SockAddr)> {
        let number = self.first + u64::from(index);
        let count = self.places.len() as u64;
        let place = &self.places[usize::try_from(number % count).unwrap_or(0)];
        let tcp = (place.domain != Domain::UNIX).then_some(Protocol::TCP);
        let socket = Socket::new(place.domain, Type::STREAM.nonblocking().cloexec(), tcp)?;
        if tcp.is_some() {
            socket.set_tcp_nodelay(true)?;
        }
        self.set_options(&socket)?;
        let sources = &self.sources[usize::from(place.domain == Domain::IPV6)];
        if tcp.is_some() && !sources.is_empty() {
            // Those of one place take turns, whatever the number of places.
            let turn = usize::try_from(number / count % sources.len() as u64).unwrap_or(0);
            sys::bind_without_port(socket.as_raw_fd());
            socket.bind(&SocketAddr::from((sources[turn], 0)).into())?;
        }
        Ok((socket, &place.address))
    }

    /// Whether connections are closed with a reset.
    #[must_use]
    pub fn resets(&self) -> bool {
        self.route.reset_on_close
    }

    fn set_options(&self, socket: &Socket) -> io::Result<()> {
        let options = &self.route.options;
        if let Some(name) = &self.route.interface {
            socket.bind_device(Some(name.as_bytes()))?;
        }
        if self.route.reset_on_close {
            socket.set_linger(Some(Duration::ZERO))?;
        }
        if let Some(name) = &options.congestion {
            socket.set_tcp_congestion(name.as_bytes())?;
        }
        if let Some(length_us) = options.busy_poll_us {
            socket.set_busy_poll(length_us)?;
        }
        if let Some(bytes) = options.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = options.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        Ok(())
    }

    /// Whether [`Sockets::begin`] has anything to do.
    pub(super) fn has_beginning(&self) -> bool {
        self.route.proxy_protocol.is_some() || self.route.options.quickack
    }

    /// What an open connection begins with, before anybody else may send on it. A fresh socket has room for it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn begin(&self, socket: &impl AsFd) -> io::Result<()> {
        if !self.has_beginning() {
            return Ok(());
        }
        let socket = SockRef::from(socket);
        if self.route.options.quickack {
            socket.set_tcp_quickack(true)?;
        }
        if let Some(version) = self.route.proxy_protocol {
            let ends = socket.local_addr()?.as_socket().zip(socket.peer_addr()?.as_socket());
            let header = proxy_header(version, ends);
            if socket.send(&header)? < header.len() {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}

/// Begins to connect a socket that does not block, and says whether it is open already: a handshake with a target nearby
/// is over at once, and a loop would see that only after it has begun those of all other connections.
///
/// # Errors
/// The operating system's.
pub(super) fn connect(socket: &Socket, address: &SockAddr) -> io::Result<bool> {
    match socket.connect(address) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.peer_addr().is_ok()),
    }
}

/// Tries a socket for each place, so that what the machine refuses is known before a run begins.
///
/// # Errors
/// The flag that is refused, and why.
pub fn try_out(route: &Route) -> Result<(), String> {
    let sockets = Sockets::new(route, 0);
    for place in 0..sockets.places.len().min(8) {
        let index = u32::try_from(place).unwrap_or(0);
        sockets.open(index).map_err(|error| refused(route, &error))?;
    }
    Ok(())
}

/// Which flag an error is about can be told by trying each one alone.
fn refused(route: &Route, error: &io::Error) -> String {
    let bare = Route { endpoints: route.endpoints.clone(), ..Route::default() };
    let with = |flag: &str, changed: Route| {
        let alone = Sockets::new(&changed, 0).open(0).err()?;
        Some(format!("{flag}: the kernel refuses it ({alone})"))
    };
    let options = |change: fn(&Route, &mut Route)| {
        let mut changed = bare.clone();
        change(route, &mut changed);
        changed
    };
    let interface = options(|from, to| to.interface.clone_from(&from.interface));
    let congestion = options(|from, to| to.options.congestion.clone_from(&from.options.congestion));
    let busy_poll = options(|from, to| to.options.busy_poll_us = from.options.busy_poll_us);
    let name = route.interface.as_deref().unwrap_or_default().escape_debug();
    with(&format!("--interface {name}"), interface)
        .or_else(|| with("--congestion", congestion))
        .or_else(|| with("--busy-poll", busy_poll))
        .unwrap_or_else(|| format!("no socket can be had: {error}"))
}

/// The header that tells a server who is behind a proxy: here, this client itself. Ends that are no addresses, as those
/// of a Unix socket, cannot be told.
fn proxy_header(version: ProxyProtocol, ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    match (version, ends) {
        (ProxyProtocol::V1, None) => b"PROXY UNKNOWN\r\n".to_vec(),
        (ProxyProtocol::V1, Some((from, to))) => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from_ip, to_ip) = (from.ip(), to.ip());
            format!("PROXY {family} {from_ip} {to_ip} {} {}\r\n", from.port(), to.port())
                .into_bytes()
        }
        (ProxyProtocol::V2, ends) => {
            let mut addresses = Vec::new();
            let family = match ends {
                None => 0x00,
                Some((SocketAddr::V4(from), SocketAddr::V4(to))) => {
                    addresses.extend(from.ip().octets());
                    addresses.extend(to.ip().octets());
                    0x11
                }
                Some((from, to)) => {
                    for ip in [from.ip(), to.ip()] {
                        let v6 = match ip {
                            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                            IpAddr::V6(v6) => v6,
                        };
                        addresses.extend(v6.octets());
                    }
                    0x21
                }
            };
            if let Some((from, to)) = ends {
                addresses.extend(from.port().to_be_bytes());
                addresses.extend(to.port().to_be_bytes());
            }
            let length = u16::try_from(addresses.len()).unwrap_or(0);
            // Version 2, on behalf of somebody.
            let mut header = [PROXY_V2.as_slice(), &[0x21, family]].concat();
            header.extend(length.to_be_bytes());
            header.extend(addresses);
            header
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PROXY_V2, Sockets, proxy_header};
    use crate::plan::{Endpoint, ProxyProtocol, Route};

    #[test]
    fn a_header_says_who_talks_to_whom() {
        let v4 = Some(("10.0.0.1:1000".parse().unwrap(), "10.0.0.2:80".parse().unwrap()));
        let v6 = Some(("[::1]:1000".parse().unwrap(), "[::2]:80".parse().unwrap()));
        assert_eq!(
            proxy_header(ProxyProtocol::V1, v4),
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1000 80\r\n"
        );
        assert_eq!(proxy_header(ProxyProtocol::V1, v6), b"PROXY TCP6 ::1 ::2 1000 80\r\n");
        assert_eq!(proxy_header(ProxyProtocol::V1, None), b"PROXY UNKNOWN\r\n");
        let binary = proxy_header(ProxyProtocol::V2, v4);
        assert_eq!(binary[..12], PROXY_V2);
        assert_eq!(binary[12..], [0x21, 0x11, 0, 12, 10, 0, 0, 1, 10, 0, 0, 2, 3, 232, 0, 80]);
        assert_eq!(proxy_header(ProxyProtocol::V2, v6)[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(proxy_header(ProxyProtocol::V2, None)[12..], [0x21, 0x00, 0, 0]);
    }

    #[test]
    fn every_pair_of_source_and_endpoint_takes_its_turn() {
        let endpoint = |text: &str| Endpoint::Inet(text.parse().unwrap());
        let route = Route {
            endpoints: vec![endpoint("127.0.0.1:9"), endpoint("127.0.0.2:9")],
            sources: ["127.0.0.3", "127.0.0.4", "127.0.0.5"].map(|ip| ip.parse().unwrap()).to_vec(),
            ..Route::default()
        };
        let mut seen = std::collections::BTreeSet::new();
        for first in [0, 4] {
            let sockets = Sockets::new(&route, first);
            for index in 0..2 {
                let (socket, to) = sockets.open(index).unwrap();
                let from = socket.local_addr().unwrap().as_socket().unwrap().ip();
                seen.insert((from, to.as_socket().unwrap()));
            }
        }
        let sockets = Sockets::new(&route, 2);
        for index in 0..2 {
            let (socket, to) = sockets.open(index).unwrap();
            let from = socket.local_addr().unwrap().as_socket().unwrap().ip();
            seen.insert((from, to.as_socket().unwrap()));
        }
        assert_eq!(seen.len(), 6);
    }
}
