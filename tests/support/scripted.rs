//! A TCP server whose every connection follows a script: what servers do wrong, done on purpose.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::wait_until;

/// What the server saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Connections accepted.
    pub(crate) accepted: AtomicU64,
    /// Request heads read whole.
    pub(crate) requests: AtomicU64,
}

/// One accepted connection; closed when dropped.
pub(crate) struct Peer {
    stream: Arc<TcpStream>,
    unread: Vec<u8>,
    seen: Arc<Seen>,
    /// How many connections were accepted before this one.
    pub(crate) number: u64,
}

impl Peer {
    /// Reads one request without a body. `None`: the client is gone.
    pub(crate) fn request(&mut self) -> Option<u64> {
        const END: &[u8] = b"\r\n\r\n";
        loop {
            if let Some(at) = self.unread.windows(END.len()).position(|part| part == END) {
                self.unread.drain(..at + END.len());
                return Some(self.seen.requests.fetch_add(1, Ordering::SeqCst));
            }
            let mut piece = [0; 16 * 1024];
            match (&*self.stream).read(&mut piece) {
                Ok(count @ 1..) => self.unread.extend_from_slice(&piece[..count]),
                _ => return None,
            }
        }
    }

    /// The connection itself, for scripts that are about bytes.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends at once; a client that is gone is none of a script's business.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        let _ = (&*self.stream).write_all(bytes.as_ref());
    }

    /// Sends each piece in a segment of its own.
    pub(crate) fn send_in_pieces(&self, pieces: &[&[u8]], pause: Duration) {
        for piece in pieces {
            self.send(piece);
            thread::sleep(pause);
        }
    }

    /// Sends no more, and keeps reading.
    pub(crate) fn half_close(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads until the client closes.
    pub(crate) fn wait_for_close(&self) {
        let mut piece = [0; 16 * 1024];
        while matches!((&*self.stream).read(&mut piece), Ok(1..)) {}
    }

    /// Hands everything on between the client and `other`, until one of them has no more to say.
    pub(crate) fn relay(&self, other: TcpStream) {
        let onward = Arc::new(other);
        let back = Arc::clone(&onward);
        let stream = Arc::clone(&self.stream);
        let answers = thread::spawn(move || {
            // What breaks here is broken for the client, too, and it will say so.
            let _ = io::copy(&mut &*back, &mut &*stream);
            let _ = stream.shutdown(Shutdown::Write);
        });
        let _ = (&*onward).write_all(&self.unread);
        let _ = io::copy(&mut &*self.stream, &mut &*onward);
        let _ = onward.shutdown(Shutdown::Both);
        let _ = answers.join();
    }

    /// Closes with a reset.
    pub(crate) fn reset(self) {
        let _ = SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
    }
}

/// The server; stops and drops every connection when dropped.
pub(crate) struct Scripted {
    address: SocketAddr,
    seen: Arc<Seen>,
    listener: Arc<TcpListener>,
    streams: Arc<Mutex<Vec<Weak<TcpStream>>>>,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

impl Scripted {
    /// Runs `script` for each connection, on a free port.
    pub(crate) fn start(script: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script)
    }

    /// The same at a given address.
    pub(crate) fn start_at(
        address: SocketAddr,
        script: impl Fn(Peer) + Send + Sync + 'static,
    ) -> Self {
        // A program that starts elsewhere may hold a copy of a listener that was closed for a moment longer.
        let mut bound = None;
        wait_until("a free address", || {
            bound = TcpListener::bind(address).ok();
            bound.is_some()
        });
        let listener = Arc::new(bound.expect("it was waited for"));
        let address = listener.local_addr().expect("a listener has an address");
        let seen = Arc::<Seen>::default();
        let streams = Arc::<Mutex<Vec<Weak<TcpStream>>>>::default();
        let acceptor = {
            let (listener, seen, streams) =
                (Arc::clone(&listener), Arc::clone(&seen), Arc::clone(&streams));
            let script = Arc::new(script);
            thread::spawn(move || accept(&listener, &seen, &streams, &script))
        };
        Self { address, seen, listener, streams, acceptor: Some(acceptor) }
    }

    /// A server that answers every request with `response` and keeps the connection.
    pub(crate) fn answering(response: &'static [u8]) -> Self {
        Self::start(move |mut peer| {
            while peer.request().is_some() {
                peer.send(response);
            }
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.seen.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// Dies: nothing listens any more, every connection is closed.
    pub(crate) fn die(self) {}
}

impl Drop for Scripted {
    fn drop(&mut self) {
        // Shutting a listening socket down wakes whoever waits to accept.
        let _ = SockRef::from(&*self.listener).shutdown(Shutdown::Both);
        let Some(acceptor) = self.acceptor.take() else { return };
        let scripts = acceptor.join().unwrap_or_default();
        for stream in self.streams.lock().expect("nobody panics with it").iter() {
            if let Some(stream) = stream.upgrade() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        for script in scripts {
            assert!(script.join().is_ok() || thread::panicking(), "a script panicked");
        }
    }
}

fn accept(
    listener: &TcpListener,
    seen: &Arc<Seen>,
    streams: &Mutex<Vec<Weak<TcpStream>>>,
    script: &Arc<impl Fn(Peer) + Send + Sync + 'static>,
) -> Vec<JoinHandle<()>> {
    let mut scripts = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        streams.lock().expect("nobody panics with it").push(Arc::downgrade(&stream));
        let number = seen.accepted.fetch_add(1, Ordering::SeqCst);
        let peer = Peer { stream, unread: Vec::new(), seen: Arc::clone(seen), number };
        let script = Arc::clone(script);
        scripts.push(thread::spawn(move || script(peer)));
    }
    scripts
}

/// A port that drops what would connect: its accept queue is full. The sockets that fill it must be kept.
pub(crate) fn black_hole() -> (SocketAddr, Vec<Socket>) {
    let (address, listener) = closed_port();
    listener.listen(0).expect("it can listen");
    let mut kept = vec![listener];
    for _ in 0..4 {
        let filler = stream();
        filler.set_nonblocking(true).expect("it need not block");
        // Under way, or dropped already: what counts is that the queue is full afterwards.
        let _ = filler.connect(&address.into());
        kept.push(filler);
    }
    thread::sleep(Duration::from_millis(50));
    (address, kept)
}

/// A port on which nothing listens; nobody else gets it while the socket is kept.
pub(crate) fn closed_port() -> (SocketAddr, Socket) {
    let socket = stream();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port is free");
    let address = socket.local_addr().expect("it has an address");
    (address.as_socket().expect("it is an IP address"), socket)
}

fn stream() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be had")
}
