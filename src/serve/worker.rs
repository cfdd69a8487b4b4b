//! One thread of the server: its runtime, its listener, its connections, its end.
//!
//! The server starts it and holds the other end of `stop`. It must not know HTTP: that is the
//! connection's.
//!
//! Invariant: when [`run`] returns, no operation is in flight on a buffer that was freed. Dropping
//! the runtime does not wait for operations in flight, so every one is cancelled and every task
//! awaited first; if one does not end in time the runtime is leaked on purpose.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use monoio::io::{AsyncReadRent, CancelHandle, Canceller};
use monoio::net::TcpListener;
use monoio::time::TimeDriver;
use monoio::{FusionDriver, FusionRuntime, IoUringDriver, LegacyDriver, RuntimeBuilder};

use super::answer::Cache;
use super::clock::Clock;
use super::connection::{BODY_READ_BYTES, Connection};
use super::counters::{self, Counters, ThreadCounters};
use super::law_table::LawTable;

/// Submission queue entries; a larger batch costs another system call, no more.
const RING_ENTRIES: u32 = 4096;

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// How long a stop waits for connections whose operations were cancelled.
const STOP_WAIT: Duration = Duration::from_millis(80);
const STOP_STEP: Duration = Duration::from_millis(1);

/// Large buffers kept for the next body.
const SPARE_BUFFERS_MAX: usize = 16;

/// What a worker is started with.
pub(super) struct Seat {
    pub(super) listener: std::net::TcpListener,
    /// Readable, or at its end, when the worker shall stop.
    pub(super) stop: UnixStream,
    pub(super) counters: Arc<[ThreadCounters]>,
    pub(super) laws: Arc<LawTable>,
    pub(super) index: usize,
    pub(super) cpu: Option<usize>,
}

/// What the connections of one thread have in common.
pub(super) struct Shared {
    pub(super) answers: RefCell<Cache>,
    pub(super) cancel: CancelHandle,
    pub(super) clock: Clock,
    pub(super) laws: Arc<LawTable>,
    counters: Arc<[ThreadCounters]>,
    index: usize,
    /// Tasks that must end before the runtime may be dropped.
    live: Cell<usize>,
    spare_buffers: RefCell<Vec<Vec<u8>>>,
    stopping: Cell<bool>,
}

impl Shared {
    /// This thread's own counts.
    pub(super) fn counters(&self) -> &ThreadCounters {
        &self.counters[self.index]
    }

    /// The counts of all threads.
    pub(super) fn sum(&self) -> Counters {
        counters::sum(&self.counters)
    }

    /// An empty buffer for reading a long body.
    pub(super) fn body_buffer(&self) -> Vec<u8> {
        let spare = self.spare_buffers.borrow_mut().pop();
        spare.unwrap_or_else(|| Vec::with_capacity(BODY_READ_BYTES))
    }

    /// Takes a buffer back, if it is one of [`Shared::body_buffer`]'s.
    pub(super) fn recycle(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare_buffers.borrow_mut();
        if buffer.capacity() == BODY_READ_BYTES && spare.len() < SPARE_BUFFERS_MAX {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

/// The thread's main function. Says through `ready` whether it serves.
pub(super) fn run(seat: Seat, ready: &Sender<Result<(), String>>) {
    let mut runtime = match prepare(seat.cpu) {
        Ok(runtime) => runtime,
        Err(error) => {
            // Nobody listens only if the server gave up already.
            let _ = ready.send(Err(error));
            return;
        }
    };
    let ended = runtime.block_on(serve(seat, ready));
    if !ended {
        // The kernel may still write into a buffer that a task owns: see the module's invariant.
        std::mem::forget(runtime);
    }
}

type Runtime = FusionRuntime<TimeDriver<IoUringDriver>, TimeDriver<LegacyDriver>>;

fn prepare(cpu: Option<usize>) -> Result<Runtime, String> {
    if let Some(cpu) = cpu
        && !core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
    {
        return Err(format!("--cpus: cannot run on core {cpu}; name cores this process may use"));
    }
    // Completions are fetched when this thread enters the kernel anyway, instead of by an interrupt each.
    let mut ring = io_uring06::IoUring::builder();
    ring.setup_coop_taskrun();
    RuntimeBuilder::<FusionDriver>::new()
        .with_entries(RING_ENTRIES)
        .uring_builder(ring)
        .enable_timer()
        .build()
        .or_else(|_| {
            // The ring was probed and is there, yet cannot be had, as for locked memory.
            RuntimeBuilder::<LegacyDriver>::new().enable_timer().build().map(FusionRuntime::from)
        })
        .map_err(|error| format!("cannot start a server thread: {error}; lower --threads"))
}

async fn serve(seat: Seat, ready: &Sender<Result<(), String>>) -> bool {
    let (listener, mut stop) = match adopt(seat.listener, seat.stop) {
        Ok(adopted) => adopted,
        Err(error) => {
            let _ = ready.send(Err(format!("--listen: cannot serve: {error}")));
            return true;
        }
    };
    let canceller = Canceller::new();
    let shared = Rc::new(Shared {
        answers: RefCell::default(),
        cancel: canceller.handle(),
        clock: Clock::default(),
        laws: seat.laws,
        counters: seat.counters,
        index: seat.index,
        live: Cell::new(0),
        spare_buffers: RefCell::default(),
        stopping: Cell::new(false),
    });
    spawn(&shared, |shared| async move { shared.clock.drive().await });
    spawn(&shared, |shared| async move { shared.clock.relay().await });
    spawn(&shared, |shared| accept(listener, shared));
    let _ = ready.send(Ok(()));

    // Resolves on a byte, on the end of the stream, and on failure: all mean to stop.
    let _ = stop.read(vec![0; 1]).await;
    shared.stopping.set(true);
    let _canceller = canceller.cancel();
    shared.clock.stop();
    let deadline = Instant::now() + STOP_WAIT;
    while shared.live.get() > 0 && Instant::now() < deadline {
        monoio::time::sleep(STOP_STEP).await;
    }
    // One more turn of the loop submits the closes that the last tasks left behind.
    monoio::time::sleep(STOP_STEP).await;
    shared.live.get() == 0
}

fn adopt(
    listener: std::net::TcpListener,
    stop: UnixStream,
) -> io::Result<(TcpListener, monoio::net::UnixStream)> {
    stop.set_nonblocking(true)?;
    Ok((TcpListener::from_std(listener)?, monoio::net::UnixStream::from_std(stop)?))
}

/// Runs a task that is awaited at the end.
fn spawn<F: Future<Output = ()> + 'static>(
    shared: &Rc<Shared>,
    task: impl FnOnce(Rc<Shared>) -> F,
) {
    shared.live.set(shared.live.get() + 1);
    let live = Rc::clone(shared);
    let task = task(Rc::clone(shared));
    monoio::spawn(async move {
        task.await;
        live.live.set(live.live.get() - 1);
    });
}

async fn accept(listener: TcpListener, shared: Rc<Shared>) {
    while !shared.stopping.get() {
        match listener.cancelable_accept(shared.cancel.clone()).await {
            Ok((stream, _)) => {
                shared.counters().connections_accepted.add(1);
                // Without it only the latency suffers.
                let _ = stream.set_nodelay(true);
                spawn(&shared, |shared| Connection::new(stream, shared).serve());
            }
            Err(error) if is_the_peers(&error) => {}
            // Out of descriptors or memory: others must close first.
            Err(_) => shared.clock.until(Instant::now() + ACCEPT_BACKOFF).await,
        }
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}
