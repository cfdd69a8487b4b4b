//! An nginx that speaks TLS, and what it says about every request: who negotiated what, and whether a session went on.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use super::certificates::Certified;
use super::nginx::{Nginx, free_address};

/// One server of it.
#[derive(Clone)]
pub(crate) struct Host<'a> {
    certified: &'a Certified,
    names: &'a str,
    directives: String,
    port: usize,
}

impl<'a> Host<'a> {
    /// One that shows this certificate, on the first port.
    pub(crate) fn showing(certified: &'a Certified) -> Self {
        Self { certified, names: "first", directives: String::new(), port: 0 }
    }

    /// The same for requests to these names only.
    pub(crate) fn named(self, names: &'a str) -> Self {
        Self { names, ..self }
    }

    /// The same with further lines of configuration.
    pub(crate) fn with(self, directives: &str) -> Self {
        Self { directives: format!("{}{directives}\n", self.directives), ..self }
    }

    /// The same on another port.
    pub(crate) fn at(self, port: usize) -> Self {
        Self { port, ..self }
    }

    fn configuration(&self, number: usize, address: SocketAddr) -> String {
        format!(
            "server {{
                listen {address} ssl;
                server_name {names};
                ssl_certificate {{prefix}}/{number}.pem;
                ssl_certificate_key {{prefix}}/{number}.key;
                access_log {{prefix}}/secure.log secure;
                {directives}
                {{locations}}
            }}",
            names = self.names,
            directives = self.directives
        )
    }
}

/// Columns of the log, none of which holds a space; and both versions, unless a server says otherwise.
const COMMON: &str = "
  ssl_protocols TLSv1.2 TLSv1.3;
  log_format secure '$request_method $uri $status $request_length $bytes_sent $connection $server_name '
    '$ssl_protocol $ssl_cipher $ssl_curve $ssl_session_reused $ssl_server_name';
";

/// What nginx says about one request.
#[derive(Debug)]
pub(crate) struct Handled {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    /// Plain bytes, head and body.
    pub(crate) request_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) connection: u64,
    /// Of the server that answered.
    pub(crate) name: String,
    /// The name that the client asked for in its handshake; a dash for none.
    pub(crate) asked_for: String,
    pub(crate) version: String,
    /// As OpenSSL calls it.
    pub(crate) cipher: String,
    pub(crate) curve: String,
    /// The session began in another connection.
    pub(crate) resumed: bool,
}

impl Handled {
    fn of(line: &str) -> Self {
        let columns: Vec<&str> = line.split(' ').collect();
        let text = |at: usize| columns[at].to_owned();
        let number = |at: usize| columns[at].parse().unwrap_or_else(|_| panic!("{line}"));
        Self {
            method: text(0),
            path: text(1),
            status: columns[2].parse().unwrap_or_else(|_| panic!("{line}")),
            request_bytes: number(3),
            sent_bytes: number(4),
            connection: number(5),
            name: text(6),
            version: text(7),
            cipher: text(8),
            curve: text(9),
            resumed: columns[10] == "r",
            asked_for: text(11),
        }
    }
}

/// A running nginx that speaks TLS.
pub(crate) struct SecureNginx {
    nginx: Nginx,
    addresses: Vec<SocketAddr>,
}

impl SecureNginx {
    /// Starts one that serves `files`, each a name and its size, from each of `hosts`.
    pub(crate) fn start(hosts: &[Host<'_>], files: &[(&str, usize)]) -> Self {
        let ports = hosts.iter().map(|host| host.port + 1).max().unwrap_or(0);
        let addresses: Vec<SocketAddr> = (0..ports).map(|_| free_address()).collect();
        let servers: Vec<String> = (hosts.iter().enumerate())
            .map(|(number, host)| host.configuration(number, addresses[host.port]))
            .collect();
        let more = format!("{COMMON}\n{}", servers.join("\n"));
        let nginx = Nginx::start_with(files, &more, &addresses, |prefix| {
            for (number, host) in hosts.iter().enumerate() {
                let Certified { chain, key } = host.certified;
                fs::write(prefix.join(format!("{number}.pem")), chain).expect("it can be written");
                fs::write(prefix.join(format!("{number}.key")), key).expect("it can be written");
            }
        });
        Self { nginx, addresses }
    }

    /// One server, which shows this certificate.
    pub(crate) fn showing(certified: &Certified) -> Self {
        Self::start(&[Host::showing(certified)], &[])
    }

    /// Where it listens: the first port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub(crate) fn address_of(&self, port: usize) -> SocketAddr {
        self.addresses[port]
    }

    /// Where it listens for plain text.
    pub(crate) fn plain_address(&self) -> SocketAddr {
        self.nginx.address()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address())
    }

    /// Ends it in order, and returns what it says about every request that came in TLS.
    pub(crate) fn handled(mut self) -> Vec<Handled> {
        self.nginx.quit();
        self.nginx.read("secure.log").lines().map(Handled::of).collect()
    }
}

/// Of each connection, what is said about its first request: the handshake.
pub(crate) fn handshakes(handled: &[Handled]) -> Vec<&Handled> {
    let mut first = BTreeMap::new();
    for request in handled {
        first.entry(request.connection).or_insert(request);
    }
    first.into_values().collect()
}
