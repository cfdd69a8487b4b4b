//! The flags about where bytes go, where they come from, and how sockets are set.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::units::parse_size;

/// The flags about the way to the target.
#[derive(Args, Clone, Debug, Default)]
pub struct NetworkArgs {
    /// Only IPv4 addresses of the host.
    #[arg(short = '4', long, conflicts_with = "ipv6", help_heading = "Network")]
    pub ipv4: bool,
    /// Only IPv6 addresses of the host.
    #[arg(short = '6', long, help_heading = "Network")]
    pub ipv6: bool,
    /// Of several addresses of a host, all that accept a connection, dealt out in turn, or only the first [default: all].
    #[arg(long, value_enum, help_heading = "Network")]
    pub addresses: Option<AddressesArg>,
    /// HOST:PORT:ADDRESS,...: take these addresses for the host instead of looking it up; repeatable.
    #[arg(long, value_name = "H:P:ADDR", help_heading = "Network")]
    pub resolve: Vec<String>,
    /// HOST1:PORT1:HOST2:PORT2: connect to the second for what is asked of the first; parts may be empty; repeatable.
    #[arg(long, value_name = "H1:P1:H2:P2", help_heading = "Network")]
    pub connect_to: Vec<String>,
    /// Connect to this Unix socket; the URL says what to ask for.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["ipv4", "ipv6", "addresses", "resolve", "connect_to", "source", "interface", "proxy"], help_heading = "Network")]
    pub unix_socket: Option<PathBuf>,
    /// Addresses to connect from, dealt over the connections: ADDRESS, FIRST-LAST, ADDRESS/BITS, or several with commas.
    #[arg(long, value_name = "LIST", help_heading = "Network")]
    pub source: Option<String>,
    /// Network interface to connect over.
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    pub interface: Option<String>,
    /// HTTP proxy: http://HOST:PORT, asked in absolute form for http:// and by CONNECT for https://.
    #[arg(long, value_name = "URL", help_heading = "Network")]
    pub proxy: Option<String>,
    /// Begin every connection with a PROXY protocol header of this version.
    #[arg(long, value_enum, value_name = "VERSION", help_heading = "Network")]
    pub proxy_protocol: Option<ProxyProtocolArg>,

    /// Congestion control of the client's sockets, like cubic or reno.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "unix_socket",
        help_heading = "Socket options"
    )]
    pub congestion: Option<String>,
    /// SO_BUSY_POLL: microseconds for which a receive may poll the network card.
    #[arg(
        long,
        value_name = "US",
        conflicts_with = "unix_socket",
        help_heading = "Socket options"
    )]
    pub busy_poll: Option<u32>,
    /// SO_SNDBUF, like 64k; the kernel doubles it.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Socket options")]
    pub send_buffer: Option<u64>,
    /// SO_RCVBUF, likewise.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = "Socket options")]
    pub receive_buffer: Option<u64>,
    /// TCP_QUICKACK: acknowledge at once at the beginning of a connection.
    #[arg(long, conflicts_with = "unix_socket", help_heading = "Socket options")]
    pub quickack: bool,
    /// SO_LINGER 0: close connections with a reset, which leaves none in TIME_WAIT.
    #[arg(long, conflicts_with = "unix_socket", help_heading = "Socket options")]
    pub reset_on_close: bool,
}

/// Which addresses of a host are used; see `--addresses`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum AddressesArg {
    /// All that accept a connection.
    All,
    /// The first that accepts a connection.
    First,
}

/// A version of the PROXY protocol; see `--proxy-protocol`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ProxyProtocolArg {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}
