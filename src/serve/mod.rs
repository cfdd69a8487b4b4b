//! The embedded target: an HTTP/1.1 server whose answers are known beforehand.
//!
//! One thread per core, each with its own listener on the shared port, its own event loop and
//! its own connections; threads share nothing but counters that they only add to. This module is
//! the control plane: it binds, starts, counts and stops. It must not know the client, and
//! nothing on a connection's path returns here.
//!
//! `/` text, `/bytes/N`, `/chunked/N`, `/delay/T`, `/status/N`, `/close`, `/echo`, `/counters`, and the laws, whose
//! latencies are known in closed form. While a law is asked for, its thread polls instead of sleeping.
//!
//! | law | each request is answered |
//! |---|---|
//! | `/law/fixed?d=1ms` | after `d`, whatever the others do |
//! | `/law/mixture?fast=1ms&slow=100ms&every=100` | after `fast`, every so many-th after `slow` |
//! | `/law/md1?d=1ms` | by one server, first come, first served, that takes `d` each (M/D/1, D/D/1) |
//! | `/law/mm1?mean=1ms&seed=7` | the same with exponential service times (M/M/1) |
//! | `/law/stall?d=1ms&stall=1s&every=10s` | after `d`, but not in the last `stall` of each period |
//! | `/law/silent?d=1ms&every=50` | after `d`; every so many-th never |
//! | `/law/bucket?rate=1000&burst=100` | at once, 200 while there are tokens, 503 otherwise |
//! | `/law/script?seed=1&p503=0.1&...` | after `d`, or with a fault drawn by its number: `p503`, `preset`, `ptruncated`, `pgarbage`, `pclose`, `psilent` |
//!
//! `stamps=1` adds `X-Seq`, `X-Recv-ns`, `X-Send-ns` and `X-Service-ns` to answers. Requests are numbered in the order
//! of receipt within an instance, which is the whole text of the path: another `run=N` gives a fresh one. Pipelined
//! requests are answered in order.

mod answer;
mod body;
mod clock;
mod connection;
mod counters;
mod known;
mod law;
mod law_table;
mod obey;
mod request;
mod route;
mod worker;

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use socket2::{Domain, Protocol, Socket, Type};

use counters::ThreadCounters;
pub use counters::{Counters, PathClass, StatusClass};
pub use law::service_draw_ns;
pub use law_table::LawCounters;
use law_table::LawTable;
use worker::Seat;

/// Connections that may wait to be accepted; the kernel cuts it to its own limit.
const LISTEN_BACKLOG: i32 = 4096;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// How many threads serve.
    pub threads: usize,
    /// Cores to pin the threads to, dealt round-robin; empty leaves them unpinned.
    pub cpus: Vec<usize>,
}

/// A running server. Dropped without [`Server::stop`] it stops as well, but nobody waits for it.
pub struct Server {
    local_address: SocketAddr,
    counters: Arc<[ThreadCounters]>,
    laws: Arc<LawTable>,
    /// Closing one tells its worker to stop.
    stops: Vec<UnixStream>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Returns once every thread serves.
    pub fn start(options: &Options) -> Result<Self, String> {
        if options.threads == 0 {
            return Err("--threads: a server needs at least 1".to_owned());
        }
        let (listeners, local_address) = bind_all(options)?;
        let mut server = Self {
            local_address,
            counters: (0..options.threads).map(|_| ThreadCounters::default()).collect(),
            laws: Arc::default(),
            stops: Vec::new(),
            threads: Vec::new(),
        };
        let (ready, readiness) = mpsc::channel();
        for (index, listener) in listeners.into_iter().enumerate() {
            let cpu = options.cpus.get(index % options.cpus.len().max(1)).copied();
            // On an error the workers started before stop by themselves, as `server` is dropped.
            server.start_worker(listener, cpu, ready.clone())?;
        }
        drop(ready);
        for _ in 0..options.threads {
            readiness.recv().map_err(|_| "a server thread ended before it served".to_owned())??;
        }
        Ok(server)
    }

    fn start_worker(
        &mut self,
        listener: std::net::TcpListener,
        cpu: Option<usize>,
        ready: mpsc::Sender<Result<(), String>>,
    ) -> Result<(), String> {
        let failed = |error| format!("cannot start a server thread: {error}; lower --threads");
        let (keep, give) = UnixStream::pair().map_err(failed)?;
        let index = self.threads.len();
        let (counters, laws) = (Arc::clone(&self.counters), Arc::clone(&self.laws));
        let seat = Seat { listener, stop: give, counters, laws, index, cpu };
        let thread = std::thread::Builder::new()
            .name(format!("serve-{index}"))
            .spawn(move || worker::run(seat, &ready))
            .map_err(failed)?;
        self.stops.push(keep);
        self.threads.push(thread);
        Ok(())
    }

    /// Where it listens, with the port that was picked.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// The counts up to now, of all threads.
    pub fn counters(&self) -> Counters {
        counters::sum(&self.counters)
    }

    /// What the law with this path and query has done so far; `None` before its first request.
    pub fn law_counters(&self, path_and_query: &str) -> Option<LawCounters> {
        self.laws.counters(path_and_query)
    }

    /// Stops accepting, closes every connection and joins the threads.
    pub fn stop(mut self) {
        self.stops.clear();
        for thread in self.threads.drain(..) {
            // A panic was printed by its thread already.
            let _ = thread.join();
        }
    }
}

/// One listener a thread; the kernel deals connections out among those that share the port.
fn bind_all(options: &Options) -> Result<(Vec<std::net::TcpListener>, SocketAddr), String> {
    let failed = |error| format!("--listen {}: {error}; choose another, or port 0", options.listen);
    let shared = options.threads > 1;
    let first = bind(options.listen, shared).map_err(failed)?;
    let local_address = first.local_addr().map_err(failed)?;
    let mut listeners = vec![first];
    for _ in 1..options.threads {
        listeners.push(bind(local_address, shared).map_err(failed)?);
    }
    Ok((listeners, local_address))
}

fn bind(address: SocketAddr, shared: bool) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // The epoll driver needs it; the ring does not mind.
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}
