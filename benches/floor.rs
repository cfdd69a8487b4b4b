//! The floor: the least that a client on io_uring can do and still read what it is answered, as a limit to compare with.
//! One thread, multishot receives into buffers that the kernel picks, the same request for ever, bytes counted, and
//! nothing else: no parsing, no times, no histograms, and the first error ends it. It takes all responses to be as long as
//! the first one. Large bodies can cost less than here: maxq lets the kernel drop them unread.
//!
//! `scripts/bench-peers` runs it beside the other tools. By hand, with 64 connections, 16 requests in flight on each, for
//! 3 seconds:
//!
//! ```text
//! cargo bench --bench floor -- 127.0.0.1:8080 /path 64 16 3
//! ```

#![expect(unsafe_code, reason = "a ring and the buffers that it shares with the kernel")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use std::{env, ptr, slice};

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode};

/// As long as that of maxq in `scripts/bench-peers`; its requests count for the CPU time, not for the rate.
const WARMUP: Duration = Duration::from_millis(200);
const SUBMISSIONS: u32 = 1024;
const GROUP: u16 = 0;
const BUFFERS: u16 = 1024;
const BUFFER_BYTES: u32 = 32 * 1024;
const USAGE: &str = "usage: floor ADDRESS PATH CONNECTIONS DEPTH SECONDS [HEADER]...";

fn main() -> ExitCode {
    // Cargo adds a flag of its own, and runs all benchmarks when none is named.
    let given: Vec<String> = env::args().skip(1).filter(|given| given != "--bench").collect();
    if given.is_empty() {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    // What the kernel was given outlives the ring, however a run ends.
    let run = Asked::read(&given).and_then(|asked| Box::leak(Box::new(Floor::open(asked)?)).run());
    match run {
        Ok(report) => println!("{report}"),
        Err(error) => {
            eprintln!("floor: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What the command line asks for.
struct Asked {
    address: SocketAddr,
    path: String,
    connections: usize,
    depth: usize,
    length: Duration,
    /// Lines of the request, behind its Host.
    headers: Vec<String>,
}

impl Asked {
    fn read(given: &[String]) -> Result<Self, Box<dyn Error>> {
        let [address, path, connections, depth, seconds, headers @ ..] = given else {
            return Err(USAGE.into());
        };
        let (connections, depth) = (connections.parse()?, depth.parse()?);
        if connections == 0 || depth == 0 {
            return Err(USAGE.into());
        }
        let length = Duration::try_from_secs_f64(seconds.parse()?)?;
        let (address, path, headers) = (address.parse()?, path.clone(), headers.to_vec());
        Ok(Self { address, path, connections, depth, length, headers })
    }
}

struct Floor {
    asked: Asked,
    streams: Vec<TcpStream>,
    /// As many requests as are in flight on a connection, one after the other.
    requests: Vec<u8>,
    request_bytes: usize,
    response_bytes: u64,
    /// Of each connection, what has come of the response in progress.
    come: Vec<u64>,
    buffers: Buffers,
}

impl Floor {
    fn open(asked: Asked) -> Result<Self, Box<dyn Error>> {
        let first = [format!("GET {} HTTP/1.1", asked.path), format!("Host: {}", asked.address)];
        let lines = first.iter().chain(&asked.headers);
        let request = lines.map(|line| format!("{line}\r\n")).collect::<String>() + "\r\n";
        let response_bytes = response_bytes(asked.address, &request)?;
        let connect = |_| {
            let stream = TcpStream::connect(asked.address)?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        let streams = (0..asked.connections).map(connect).collect::<std::io::Result<Vec<_>>>()?;
        Ok(Self {
            streams,
            requests: request.repeat(asked.depth).into_bytes(),
            request_bytes: request.len(),
            response_bytes,
            come: vec![0; asked.connections],
            buffers: Buffers::new(),
            asked,
        })
    }

    /// Keeps so many requests in flight until time is up, and says how many were answered.
    fn run(&'static mut self) -> Result<String, Box<dyn Error>> {
        let mut ring = self.ring()?;
        for index in 0..self.asked.connections {
            self.push(&mut ring, &self.receive(index))?;
            self.push(&mut ring, &self.send(index, self.asked.depth))?;
        }
        let mut reaped: Vec<cqueue::Entry> = Vec::with_capacity(65_536);
        let (mut answered, mut before) = (0_u64, None);
        let begun = Instant::now();
        let (from, until) = (begun + WARMUP, begun + WARMUP + self.asked.length);
        let (from, before, ended) = loop {
            ring.submit_and_wait(1)?;
            reaped.extend(ring.completion());
            for completion in reaped.drain(..) {
                answered += self.received(&mut ring, &completion)?;
            }
            self.buffers.publish();
            let now = Instant::now();
            if now >= from {
                let (from, before) = *before.get_or_insert((now, answered));
                if now >= until {
                    break (from, before, now);
                }
            }
        };
        let seconds = (ended - from).as_secs_f64();
        let rps = (answered - before) as f64 / seconds;
        let bytes = answered * self.response_bytes;
        Ok(format!(
            "{{\"requests\":{answered},\"response_bytes\":{bytes},\"seconds\":{seconds:.6},\"rps\":{rps:.1}}}"
        ))
    }

    fn ring(&mut self) -> Result<IoUring, Box<dyn Error>> {
        let completions = (4 * self.asked.connections).next_power_of_two().clamp(4096, 65_536);
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
        builder.setup_cqsize(u32::try_from(completions)?);
        let ring: IoUring = builder.build(SUBMISSIONS)?;
        self.buffers.register(&ring)?;
        Ok(ring)
    }

    /// How many responses what has come completes; as many requests follow them.
    fn received(
        &mut self,
        ring: &mut IoUring,
        completion: &cqueue::Entry,
    ) -> Result<u64, Box<dyn Error>> {
        let index = usize::try_from(completion.user_data())?;
        if !cqueue::more(completion.flags()) {
            self.push(ring, &self.receive(index))?;
        }
        let Ok(bytes) = u64::try_from(completion.result()) else {
            // No buffer was left; what came waits in the socket.
            return match -completion.result() {
                libc::ENOBUFS => Ok(0),
                errno => Err(std::io::Error::from_raw_os_error(errno).into()),
            };
        };
        if bytes == 0 {
            return Err("the server closed a connection".into());
        }
        self.buffers.recycle(cqueue::buffer_select(completion.flags()).ok_or("no buffer")?);
        let come = self.come[index] + bytes;
        let whole = come / self.response_bytes;
        self.come[index] = come % self.response_bytes;
        if whole > 0 {
            self.push(ring, &self.send(index, usize::try_from(whole)?))?;
        }
        Ok(whole)
    }

    fn receive(&self, index: usize) -> Entry {
        opcode::RecvMulti::new(self.descriptor(index), GROUP).build().user_data(index as u64)
    }

    fn send(&self, index: usize, count: usize) -> Entry {
        let bytes = &self.requests[..count.min(self.asked.depth) * self.request_bytes];
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        opcode::Send::new(self.descriptor(index), bytes.as_ptr(), length)
            .flags(libc::MSG_WAITALL)
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(index as u64)
    }

    fn descriptor(&self, index: usize) -> Fd {
        Fd(self.streams[index].as_raw_fd())
    }

    fn push(&self, ring: &mut IoUring, entry: &Entry) -> Result<(), Box<dyn Error>> {
        if ring.submission().is_full() {
            ring.submit()?;
        }
        // SAFETY: the requests that a send points to are never written again; they, the receive buffers and the descriptors
        // are leaked, and so live until the program ends.
        unsafe { ring.submission().push(entry) }?;
        Ok(())
    }
}

/// How many bytes a response has, head and body, by the first one.
fn response_bytes(address: SocketAddr, request: &str) -> Result<u64, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: u64 = length.ok_or("the response has no Content-Length")?.trim().parse()?;
    Ok(head.len() as u64 + length)
}

/// Receive buffers that the kernel picks from.
struct Buffers {
    entries: &'static mut [Page],
    memory: Vec<u8>,
    tail: u16,
}

/// The kernel wants the entries on a page of their own.
#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; 4096]);

impl Buffers {
    fn new() -> Self {
        let pages = (size_of::<BufRingEntry>() * usize::from(BUFFERS)).div_ceil(size_of::<Page>());
        Self {
            entries: Vec::leak(vec![Page([0; 4096]); pages]),
            memory: vec![0; usize::from(BUFFERS) * BUFFER_BYTES as usize],
            tail: 0,
        }
    }

    fn register(&mut self, ring: &IoUring) -> Result<(), Box<dyn Error>> {
        let address = self.entries.as_mut_ptr().addr() as u64;
        // SAFETY: the entries are leaked, page-aligned, and there are as many as are registered.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, BUFFERS, GROUP, 0) }?;
        (0..BUFFERS).for_each(|id| self.recycle(id));
        self.publish();
        Ok(())
    }

    fn recycle(&mut self, id: u16) {
        let place = usize::from(self.tail & (BUFFERS - 1));
        let offset = usize::from(id) * BUFFER_BYTES as usize;
        let first: *mut BufRingEntry = self.entries.as_mut_ptr().cast();
        // SAFETY: the place is below the number of entries, which zeroed bytes are valid for; the kernel reads one only
        // once the tail is past it.
        let entries = unsafe { slice::from_raw_parts_mut(first, usize::from(BUFFERS)) };
        entries[place].set_addr(ptr::from_ref(&self.memory[offset]).addr() as u64);
        entries[place].set_len(BUFFER_BYTES);
        entries[place].set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was recycled.
    fn publish(&mut self) {
        // SAFETY: the tail lies in the first of the registered entries.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_mut_ptr().cast()) };
        // SAFETY: it is a valid and aligned u16 that only this thread writes.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }.store(self.tail, Ordering::Release);
    }
}
