//! An nginx that listens wherever a test wants it to, and notes of every request where it came from and where it went.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::namespaces::in_namespaces;
use crate::support::nginx::free_address;
use crate::support::{installed, signal, wait_until};

/// The name that the certificate of every site is valid for.
pub(crate) const NAME: &str = "site.test";

/// Bytes of what every site answers to `/large`: more than is ever received at once.
pub(crate) const LARGE: usize = 300_000;

/// One process, files under `{prefix}`.
const CONFIGURATION: &str = r#"
daemon off;
master_process off;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
events { worker_connections 1024; }
http {
  client_body_temp_path {prefix}/body;
  proxy_temp_path {prefix}/proxy;
  fastcgi_temp_path {prefix}/fastcgi;
  uwsgi_temp_path {prefix}/uwsgi;
  scgi_temp_path {prefix}/scgi;
  log_format ends escape=json '{"connection":"$connection","status":"$status","host":"$http_host",'
    '"server_addr":"$server_addr","server_port":"$server_port",'
    '"remote_addr":"$remote_addr","remote_port":"$remote_port","sni":"$ssl_server_name",'
    '"authorization":"$http_proxy_authorization",'
    '"claimed_addr":"$proxy_protocol_addr","claimed_port":"$proxy_protocol_port",'
    '"claimed_server_addr":"$proxy_protocol_server_addr","claimed_server_port":"$proxy_protocol_server_port"}';
  access_log {prefix}/access.log ends;
  keepalive_requests 1000000;
  default_type text/plain;
  ssl_certificate {prefix}/certificate.pem;
  ssl_certificate_key {prefix}/key.pem;
  server {
{listen}
    location / { return 200 "Hello, World\n"; }
    location = /large { root {prefix}; }
  }
}
"#;

/// What a script in namespaces of its own begins with: nginx is served, then measured, then ended in order, so that its
/// log is whole. `$THERE` is what leads to where it is served, if that is elsewhere.
const SCRIPT: &str = r#"
serve() {
  $THERE "$PROGRAM" -p "$PREFIX" -e "$PREFIX/error.log" -c "$PREFIX/nginx.conf" & server=$!
  until [ -s "$PREFIX/nginx.pid" ]; do kill -0 $server && sleep 0.01 || exit 98; done
}
measure() {
  "$0" --engine $ENGINE -t 1 --json --no-preflight "$@"; code=$?
  kill -QUIT $server; wait $server; exit $code
}
"#;

/// What nginx needs to be started, and what it leaves behind.
pub(crate) struct Files {
    folder: TempDir,
    /// In place of `{port}` in what it listens on.
    pub(crate) port: u16,
    /// In place of `{other}`.
    pub(crate) other: u16,
}

impl Files {
    /// For one that listens on `listen`, the parameters of nginx's directives of that name.
    pub(crate) fn write(listen: &[&str], port: u16, other: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prefix = folder.path().display().to_string();
        let listen: Vec<String> = listen.iter().map(|each| format!("    listen {each};")).collect();
        let configuration = CONFIGURATION
            .replace("{listen}", &listen.join("\n"))
            .replace("{prefix}", &prefix)
            .replace("{port}", &port.to_string())
            .replace("{other}", &other.to_string());
        fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
        fs::write(folder.path().join("large"), vec![b'x'; LARGE]).unwrap();
        let names = vec![NAME.to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        // haproxy wants both in one file.
        fs::write(folder.path().join("both.pem"), format!("{certificate}{key}")).unwrap();
        fs::write(folder.path().join("certificate.pem"), certificate).unwrap();
        fs::write(folder.path().join("key.pem"), key).unwrap();
        Self { folder, port, other }
    }

    /// The path of one of its files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as an argument.
    pub(crate) fn argument(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// A machine of its own, as `script` sets it up before it says `serve` and `measure "$@"`. What follows is for maxq.
    pub(crate) fn machine(&self, script: &str) -> Option<Command> {
        let mut command =
            in_namespaces(&["-n", "-p", "--mount-proc"], &format!("{SCRIPT}{script}"))?;
        command.env("PROGRAM", program()).env("PREFIX", self.folder.path());
        Some(command)
    }

    /// The requests that nginx has logged, once it has ended.
    pub(crate) fn log(&self) -> Log {
        let text = fs::read_to_string(self.path("access.log")).unwrap_or_default();
        Log(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

/// A running nginx; killed when dropped.
pub(crate) struct Site {
    process: Child,
    pub(crate) files: Files,
}

impl Site {
    /// Starts one that listens on `listen`, where `{port}`, `{other}` and `{prefix}` are its own.
    pub(crate) fn start(listen: &[&str]) -> Self {
        let files = Files::write(listen, free_address().port(), free_address().port());
        let process = spawn(files.folder.path());
        let mut site = Self { process, files };
        wait_until("nginx", || {
            assert!(site.process.try_wait().unwrap().is_none(), "{}", site.errors());
            // It is written once nginx listens.
            fs::metadata(site.files.path("nginx.pid")).is_ok_and(|file| file.len() > 0)
        });
        site
    }

    /// Ends it in order, and returns what it has logged.
    pub(crate) fn log(mut self) -> Log {
        signal(self.process.id(), "QUIT");
        wait_until("the end of nginx", || self.process.try_wait().unwrap().is_some());
        self.files.log()
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.files.path("error.log")).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // It has ended, or it is to end now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The requests that a site has answered.
#[derive(Debug)]
pub(crate) struct Log(Vec<Value>);

impl Log {
    pub(crate) fn requests(&self) -> u64 {
        self.0.len() as u64
    }

    /// Connections that carried a request, by what the log has in `column`.
    pub(crate) fn connections_by(&self, column: &str) -> BTreeMap<String, usize> {
        self.connections_by_all(&[column])
    }

    /// The same by several columns, with spaces between them.
    pub(crate) fn connections_by_all(&self, columns: &[&str]) -> BTreeMap<String, usize> {
        let mut sets = BTreeMap::<String, BTreeSet<&str>>::new();
        for line in &self.0 {
            let values: Vec<&str> = columns.iter().map(|name| text(line, name)).collect();
            sets.entry(values.join(" ")).or_default().insert(text(line, "connection"));
        }
        sets.into_iter().map(|(value, set)| (value, set.len())).collect()
    }

    /// Connections that carried a request.
    pub(crate) fn connections(&self) -> usize {
        self.connections_by("connection").len()
    }

    /// Every request has the same in both columns, and something in them.
    pub(crate) fn assert_equal(&self, column: &str, other: &str) {
        for line in &self.0 {
            assert_eq!(text(line, column), text(line, other), "{column} and {other}: {line}");
            assert_ne!(text(line, column), "", "{column}: {line}");
        }
    }
}

fn text<'a>(line: &'a Value, column: &str) -> &'a str {
    line[column].as_str().unwrap()
}

fn program() -> OsString {
    installed("nginx", "nginx-light").into()
}

fn spawn(prefix: &Path) -> Child {
    Command::new(program())
        .arg("-p")
        .arg(prefix)
        .arg("-e")
        .arg(prefix.join("error.log"))
        .arg("-c")
        .arg(prefix.join("nginx.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
