//! Other TLS servers than nginx, with what they count themselves: node and haproxy.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::certificates::Certified;
use super::installed;
use super::nginx::free_address;
use super::{Running, wait_until};

/// What every script of node begins with: `identity` for servers, `counts` for what is counted, `listen` to be called
/// with a server.
const PRELUDE: &str = r"
const fs = require('fs'), https = require('https'), path = require('path'), tls = require('tls');
const read = name => fs.readFileSync(path.join(__dirname, name));
const identity = { cert: read('chain.pem'), key: read('key.pem') };
const counts = { requests: 0, bytes: 0, connections: 0, resumed: 0, refused: 0 };
function listen(server) {
  server.on('secureConnection', socket => {
    counts.connections += 1;
    counts.resumed += socket.isSessionReused() ? 1 : 0;
    socket.on('error', () => {});
  });
  server.on('tlsClientError', () => { counts.refused += 1; });
  server.listen(0, '127.0.0.1', () => {
    fs.writeFileSync(path.join(__dirname, 'begun'), String(server.address().port));
    fs.renameSync(path.join(__dirname, 'begun'), path.join(__dirname, 'port'));
  });
}
process.on('SIGTERM', () => { console.log(JSON.stringify(counts)); process.exit(0); });
";

/// A server in node; killed when dropped.
pub(crate) struct Node {
    running: Running,
    address: SocketAddr,
    _folder: TempDir,
}

impl Node {
    /// Starts a script that has the prelude before it, a certificate, and `authority` in a file for the trust in clients.
    pub(crate) fn start(certified: &Certified, authority: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let whole = format!("{PRELUDE}{script}");
        let files = [
            ("chain.pem", certified.chain.as_str()),
            ("key.pem", &certified.key),
            ("authority.pem", authority),
            ("server.js", &whole),
        ];
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a file can be written");
        }
        let mut command = Command::new(installed("node", "nodejs"));
        let mut running = Running::start(command.arg(folder.path().join("server.js")));
        let port = folder.path().join("port");
        wait_until("node", || {
            assert!(!running.has_ended(), "node ends at once: {script}");
            port.exists()
        });
        let port = fs::read_to_string(port).expect("it is there");
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("it is a port")));
        Self { running, address, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// Ends it, and returns what it has counted.
    pub(crate) fn counts(self) -> Value {
        self.running.signal("TERM");
        let ended = self.running.end();
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    }
}

/// A haproxy that takes TLS off; killed when dropped.
pub(crate) struct Haproxy {
    running: Running,
    address: SocketAddr,
    _folder: TempDir,
}

impl Haproxy {
    /// Starts one that passes requests on to `to` in plain text.
    pub(crate) fn start(certified: &Certified, to: SocketAddr) -> Self {
        Self::start_with(certified, to, "")
    }

    /// The same with more `options` of the line that says where it listens.
    pub(crate) fn start_with(certified: &Certified, to: SocketAddr, options: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let both = folder.path().join("both.pem");
        let Certified { chain, key } = certified;
        fs::write(&both, format!("{chain}{key}")).expect("a file can be written");
        let address = free_address();
        let configuration = format!(
            "global
                log stdout format raw daemon
                # Threads lose lines to each other.
                nbthread 1
                ssl-default-bind-options ssl-min-ver TLSv1.2
            defaults
                mode http
                log global
                log-format \"%HM %HP %ST %sslv %sslc %[ssl_fc_is_resumed]\"
                timeout connect 5s
                timeout client 10s
                timeout server 10s
            frontend secure
                bind {address} ssl crt {both} alpn http/1.1 {options}
                default_backend plain
            backend plain
                server nginx {to}\n",
            both = both.display()
        );
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, configuration).expect("a file can be written");
        let mut command = Command::new(installed("haproxy", "haproxy"));
        let mut running = Running::start(command.args(["-db", "-f"]).arg(path));
        wait_until("haproxy", || {
            assert!(!running.has_ended(), "haproxy ends at once");
            std::net::TcpStream::connect(address).is_ok()
        });
        Self { running, address, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// Ends it in order, and returns a line for each GET request: method, path, status, version, cipher, 1 if resumed.
    pub(crate) fn log(self) -> Vec<String> {
        self.running.signal("USR1");
        let ended = self.running.end();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        // Connections that never came to a request have lines, too.
        let requests = ended.stdout.lines().filter(|line| line.starts_with("GET "));
        requests.map(str::to_owned).collect()
    }
}
