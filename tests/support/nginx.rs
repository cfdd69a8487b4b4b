//! A real nginx of the test's own: configuration, files, logs and port are nobody else's.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::{installed, signal, wait_until};

/// One process, files under `{prefix}`. `{front}` logs to `access.log`; `{back}` reads what `{front}` passes on and logs
/// to `back.log`.
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
  log_format brief '$request_method $uri $status $request_length $content_length $connection';
  default_type text/html;
  gzip off;
  keepalive_requests 1000000;
  client_max_body_size 8m;
  client_body_buffer_size 2m;
  upstream back { server 127.0.0.1:{back}; keepalive 16; }
  server {
    listen 127.0.0.1:{front};
    access_log {prefix}/access.log brief;
    {locations}
  }
  server {
    listen 127.0.0.1:{back};
    access_log {prefix}/back.log brief;
    location / { return 200 "read\n"; }
  }
  {more}
}
"#;

/// What every server but `{back}` answers.
const LOCATIONS: &str = r#"
    root {prefix}/www;
    location = /small { return 200 "Hello, World\n"; }
    location = /limited { keepalive_requests 100; return 200 "Hello, World\n"; }
    location = /chunked.html { ssi on; }
    location = /read {
      proxy_pass http://back;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
"#;

/// A running nginx; killed when dropped.
pub(crate) struct Nginx {
    program: PathBuf,
    process: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Nginx {
    /// Starts one that serves `files`, each a name and its size.
    pub(crate) fn start(files: &[(&str, usize)]) -> Self {
        Self::start_with(files, "", &[], |_| {})
    }

    /// The same with `more` servers, which listen at `addresses`; `prepare` writes the files that they need.
    pub(crate) fn start_with(
        files: &[(&str, usize)],
        more: &str,
        addresses: &[SocketAddr],
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let program = installed("nginx", "nginx-light");
        let folder = tempfile::tempdir().expect("a folder can be made");
        let www = folder.path().join("www");
        fs::create_dir(&www).expect("a folder can be made");
        for (name, size) in files {
            fs::write(www.join(name), vec![b'x'; *size]).expect("a file can be written");
        }
        let page = format!("<p><!--#echo var=\"uri\" --></p>{}\n", "y".repeat(50_000));
        fs::write(www.join("chunked.html"), page).expect("a file can be written");
        prepare(folder.path());
        let (front, back) = (free_address(), free_address());
        let process = spawn(&program, folder.path(), front, back, more);
        let mut nginx = Self { program, process, folder, address: front };
        wait_until("nginx", || {
            assert!(
                nginx.process.try_wait().unwrap_or(None).is_none(),
                "{}",
                nginx.read("error.log")
            );
            let mut listening = [front, back].into_iter().chain(addresses.iter().copied());
            listening.all(|address| TcpStream::connect(address).is_ok())
        });
        nginx
    }

    /// Where it listens for plain text.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Lengths of head and body, as they are on the wire of a kept connection.
    pub(crate) fn lengths_of(&self, path: &str) -> (u64, u64) {
        let mut stream = TcpStream::connect(self.address).expect("nginx listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time is valid");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).expect("nginx reads");
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("nginx answers");
            head.extend_from_slice(&byte);
        }
        let text = String::from_utf8_lossy(&head);
        let length = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.and_then(|length| length.parse().ok()).expect("a length is announced");
        (head.len() as u64, length)
    }

    /// Ends it in order, and returns the lines of its access log and of its back end's.
    pub(crate) fn logs(mut self) -> (Vec<String>, Vec<String>) {
        self.quit();
        let lines = |name| self.read(name).lines().map(str::to_owned).collect();
        (lines("access.log"), lines("back.log"))
    }

    /// Ends it in order.
    pub(crate) fn quit(&mut self) {
        signal(self.process.id(), "QUIT");
        wait_until("the end of nginx", || self.process.try_wait().unwrap_or(None).is_some());
    }

    /// Dies at once, as by a crash.
    pub(crate) fn die(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it can be waited for");
    }

    /// Starts again where it was after [`Nginx::die`].
    pub(crate) fn revive(&mut self) {
        self.process = launch(&self.program, self.folder.path());
    }

    /// Sends it a signal by its short name, like `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.process.id(), name);
    }

    /// What one of its files holds.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It has ended, or it is to end now.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(program: &Path, prefix: &Path, front: SocketAddr, back: SocketAddr, more: &str) -> Child {
    let configuration = CONFIGURATION
        .replace("{more}", more)
        .replace("{locations}", LOCATIONS)
        .replace("{prefix}", &prefix.display().to_string())
        .replace("{front}", &front.port().to_string())
        .replace("{back}", &back.port().to_string());
    fs::write(prefix.join("nginx.conf"), configuration).expect("a file can be written");
    launch(program, prefix)
}

fn launch(program: &Path, prefix: &Path) -> Child {
    Command::new(program)
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
        .expect("nginx starts")
}

/// A free port below those that the kernel deals out by itself, so that it is still free when a program comes to it.
pub(crate) fn free_address() -> SocketAddr {
    const FIRST: u16 = 18_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(process::id() * 37 % u32::from(COUNT)).unwrap_or(0);
    (0..COUNT)
        .map(|_| FIRST + own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a port is free")
}
