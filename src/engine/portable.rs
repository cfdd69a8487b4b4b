//! The same worker where io_uring is refused or absent: on monoio's epoll, one task a connection.
//!
//! Owned by its thread. A task waits for its socket and hands what comes to the worker; whoever has given the worker
//! something to do carries out what it asks for. Borrows of the worker never last over an await. It must not decide
//! anything about requests, just as the other engines.
//!
//! monoio's timers are those of a wheel of milliseconds, rounded up. The clock task therefore sleeps until shortly before
//! what is due and then lets the loop go round until it is time.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::TcpStream;
use monoio::{LegacyDriver, RuntimeBuilder};

use super::closing::{Closing, Role, unless_closed};
use super::looks::Looks;
use super::meter::Meter;
use super::patience::Patience;
use super::sockets::{self, Sockets};
use super::spin::Rounds;
use super::told::Told;
use super::{
    Desk, LONGEST_SLEEP_NS, Link, Order, PACED_SENDS, STOP_DRAIN_NS, Settings, Stop, Unsupported,
};
use crate::core::conn::ConnId;
use crate::core::failure::{Failure, Phase};
use crate::core::record::{ClientTally, Record, Turns};
use crate::core::worker::{Action, Event, Job, Span, Worker};
use crate::machine::sys;
use crate::time::{Nanos, monotonic};

/// Longest sleep before the common start is known.
const START_SLEEP_NS: u64 = 1_000_000;
/// A wheel of milliseconds fires up to two of them late: the clock gets up so long before what is due.
const EARLY_NS: u64 = 2_000_000;
/// What a read may bring, at first and at most.
const LEAST_BUFFER_BYTES: usize = 4 * 1024;
const MOST_BUFFER_BYTES: usize = 64 * 1024;

/// Carries out one run after the other on the calling thread, all on the same connections.
///
/// # Errors
/// Why an event loop cannot be had.
pub fn run(first: Order, settings: &Settings<'_>, desk: &Desk) -> Result<(), Unsupported> {
    let Order { job, link } = first;
    // Nothing consumes bytes inside the kernel here.
    let job = without_discarding(job);
    let paced = job.open.is_some();
    let (connections, length) = (job.connections as usize, job.image.length());
    let copies = Bytes::copy_from_slice(job.image.batch(job.image.most()));
    let engine = Rc::new(Engine {
        worker: RefCell::new(Worker::new(job, monotonic())),
        slots: RefCell::new((0..connections).map(|_| Slot::default()).collect()),
        tally: RefCell::new(ClientTally::default()),
        turns: RefCell::new(Turns::default()),
        copies,
        length,
        sockets: Sockets::new(settings.route, settings.first_connection),
        looks: Looks::new(paced, monotonic()),
        measuring: Cell::new(false),
        last_event: Cell::new(Nanos(0)),
        deeds: Cell::new(0),
        rounds: Cell::new(Rounds::default()),
        nap: RefCell::new(None),
    });
    let mut runtime = RuntimeBuilder::<LegacyDriver>::new()
        .enable_timer()
        .build()
        .map_err(|error| Unsupported(format!("no event loop can be had: {error}")))?;
    let patience = Patience::new(settings.idle, settings.cores_left, paced, EARLY_NS);
    runtime.block_on(carry_out_all(engine, patience, link, desk));
    Ok(())
}

fn without_discarding(job: Job) -> Job {
    Job { may_discard: false, ..job }
}

/// One run after the other.
async fn carry_out_all(engine: Rc<Engine>, mut patience: Patience, mut link: Link, desk: &Desk) {
    loop {
        let outcome = drive(&engine, &mut patience, &link).await;
        let Some(next) = desk.exchange(outcome, link) else { break };
        // Between two runs time passes in which nobody looks: who was closed meanwhile is seen before the next one begins.
        engine.looks.forget(monotonic());
        engine.measuring.set(false);
        monoio::time::sleep(Duration::from_millis(1)).await;
        let now = monotonic();
        engine.looks.forget(now);
        engine.worker().renew(without_discarding(next.job), now);
        link = next.link;
    }
    engine.close_all().await;
}

/// What the tasks of a thread share.
struct Engine {
    worker: RefCell<Worker>,
    slots: RefCell<Vec<Slot>>,
    tally: RefCell<ClientTally>,
    turns: RefCell<Turns>,
    /// The request image, this thread's own.
    copies: Bytes,
    length: usize,
    sockets: Sockets,
    looks: Looks,
    measuring: Cell<bool>,
    last_event: Cell<Nanos>,
    /// Events told and times that something was carried out so far: a round with any of it is no spinning.
    deeds: Cell<u64>,
    rounds: Cell<Rounds>,
    /// Wakes the clock before its time.
    nap: RefCell<Option<(Nanos, Waker)>>,
}

/// One connection, as far as others must reach it.
#[derive(Default)]
struct Slot {
    generation: u32,
    /// Away while a task writes what the socket did not take at once.
    writer: Option<OwnedWriteHalf<TcpStream>>,
    /// What is to be sent after that.
    queue: VecDeque<Sending>,
    closing: Rc<Closing>,
}

impl Slot {
    fn close(&mut self) {
        self.closing.close(self.writer.is_some());
        (self.writer, self.queue) = (None, VecDeque::new());
    }
}

/// Requests on their way into a socket.
struct Sending {
    rest: Bytes,
    told: Told,
}

/// The loop of a run: waits, tells the worker the time, and ends when it is finished.
async fn drive(engine: &Rc<Engine>, patience: &mut Patience, link: &Link) -> (Record, Span) {
    let mut meter = Meter::start(monotonic(), engine.rounds.get().spent());
    let (mut started, mut stopping) = (false, Stop::No);
    loop {
        let now = monotonic();
        let deeds = engine.deeds.get();
        let deadline = {
            let mut worker = engine.worker();
            if !started {
                started = link.prepare_start(&mut worker);
                if started {
                    // What it took to open the connections says nothing about the run.
                    meter = Meter::start(now, engine.rounds.get().spent());
                    *engine.tally.borrow_mut() = ClientTally::default();
                    *engine.turns.borrow_mut() = Turns::default();
                }
            }
            let stop = link.control.stopping();
            if stop != stopping {
                stopping = stop;
                worker.stop(now, if stop == Stop::Soon { STOP_DRAIN_NS } else { 0 });
            }
            engine.measuring.set(now >= worker.measured_from() && !worker.is_draining());
            engine.looks.begin_round(now);
            engine.look(&mut worker, now);
            if !engine.looks.just_back() {
                worker.tick(now);
            }
            link.publish(&mut worker);
            if worker.is_draining() {
                meter.stop(&mut engine.tally.borrow_mut(), now, &engine.rounds.get().spent());
            }
            worker.next_deadline()
        };
        Engine::carry_out(engine);
        engine.looks.was_busy(monotonic());
        if engine.worker().is_finished() {
            break;
        }
        let longest_ns = if started { LONGEST_SLEEP_NS } else { START_SLEEP_NS };
        let deadline = deadline.min(engine.worker().next_deadline()).min(now.plus(longest_ns));
        let in_flight = engine.worker().requests_in_flight();
        if patience.spins(monotonic(), deadline, (in_flight, engine.last_event.get())) {
            let begun = monotonic();
            engine.looks.spin(begun);
            go_round().await;
            let idle = engine.deeds.get() == deeds;
            engine.rounds.set(engine.rounds.get().and((begun, monotonic()), idle));
        } else {
            engine.rounds.set(engine.rounds.get().paused());
            let wake_up = Nanos(deadline.0.saturating_sub(patience.early_ns(now)));
            engine.looks.nap(wake_up, monotonic());
            engine.nap(wake_up).await;
        }
    }
    engine.end(meter, link)
}

/// Lets every other task and the event loop have a turn. The main task must not wake itself: it would be asked again
/// before anybody else is.
async fn go_round() {
    monoio::spawn(async {}).await;
}

impl Engine {
    fn worker(&self) -> RefMut<'_, Worker> {
        self.worker.borrow_mut()
    }

    /// Sleeps until `wake_up`, or until somebody has given the worker something to do before that.
    async fn nap(&self, wake_up: Nanos) {
        let length_ns = wake_up.since(monotonic());
        if length_ns == 0 {
            return go_round().await;
        }
        let mut sleep = pin!(monoio::time::sleep(Duration::from_nanos(length_ns)));
        let mut begun = false;
        poll_fn(|context| {
            let mut nap = self.nap.borrow_mut();
            if std::mem::replace(&mut begun, true) && nap.is_none() {
                return Poll::Ready(());
            }
            *nap = Some((wake_up, context.waker().clone()));
            drop(nap);
            sleep.as_mut().poll(context)
        })
        .await;
        *self.nap.borrow_mut() = None;
    }

    /// Tells the worker that it is looked at now, and how much later than it could have been.
    fn look(&self, worker: &mut Worker, now: Nanos) {
        let (expected_ns, late) = self.looks.look(now);
        let away_ns = self.looks.take_news_ns();
        let mut tally = self.tally.borrow_mut();
        tally.receive_slack_ns = tally.receive_slack_ns.max(expected_ns);
        if self.measuring.get() {
            tally.late(late.look_ns, now);
            tally.away_ns += away_ns;
        }
        worker.events_at(now, late);
    }

    /// Hands an event to the worker, and carries out what it asks for.
    fn tell(engine: &Rc<Self>, event: Event<'_>) {
        let now = monotonic();
        engine.last_event.set(now);
        {
            let mut worker = engine.worker();
            engine.look(&mut worker, now);
            worker.on_event(now, event);
            // After a while away nobody is given up whose answer may be the next that is told.
            if !engine.looks.was_away() {
                worker.tick(now);
            }
        }
        Self::carry_out(engine);
        let done = monotonic();
        let turn_ns = done.since(now);
        engine.looks.saw_to_event(turn_ns, done);
        engine.deeds.set(engine.deeds.get() + 1);
        engine.turns.borrow_mut().record(turn_ns);
        engine.hurry();
    }

    /// Wakes the clock when the worker must be looked at before the clock meant to.
    fn hurry(&self) {
        let worker = self.worker();
        let mut nap = self.nap.borrow_mut();
        let too_late = |(wake_up, _): &mut (Nanos, Waker)| {
            worker.is_finished() || worker.next_deadline() < *wake_up
        };
        if let Some((_, waker)) = nap.take_if(too_late) {
            waker.wake();
        }
    }

    /// Carries out everything that the worker wants.
    fn carry_out(engine: &Rc<Self>) {
        let mut worker = engine.worker();
        let mut before = monotonic();
        let mut sends = 0;
        let mut any = false;
        while let Some(action) = worker.next_action() {
            any = true;
            if let Action::Send { conn, .. } | Action::Transmit { conn, .. } = action {
                if sends == PACED_SENDS {
                    engine.stamp(&mut worker, before);
                    (before, sends) = (monotonic(), 0);
                }
                sends += 1;
                let (rest, told) = match action {
                    Action::Send { count, confirm, .. } => {
                        let told = if confirm { Told::Sent } else { Told::Nothing };
                        (engine.copies.slice(..engine.length * count as usize), told)
                    }
                    _ => (Bytes::from(worker.sealed(conn)), Told::Transmitted),
                };
                Self::send(engine, &mut worker, conn, Sending { rest, told });
                continue;
            }
            match action {
                Action::Connect(id) => Self::connect(engine, id),
                Action::Close(id) => engine.close(id),
                // A connection is always being read; nothing is discarded unread.
                Action::Receive { .. }
                | Action::Discard { .. }
                | Action::Send { .. }
                | Action::Transmit { .. } => {}
            }
        }
        if any {
            engine.deeds.set(engine.deeds.get() + 1);
            engine.stamp(&mut worker, before);
        }
    }

    fn stamp(&self, worker: &mut Worker, before: Nanos) {
        if worker.submitted(before) {
            let mut tally = self.tally.borrow_mut();
            tally.stamp_skew_ns = tally.stamp_skew_ns.max(monotonic().since(before));
        }
    }

    fn is_current(&self, id: ConnId) -> bool {
        self.slots.borrow()[id.index as usize].generation == id.generation
    }

    fn connect(engine: &Rc<Self>, id: ConnId) {
        let closing = Rc::new(Closing::default());
        engine.slots.borrow_mut()[id.index as usize] =
            Slot { generation: id.generation, closing: Rc::clone(&closing), ..Slot::default() };
        let live = Self::live(Rc::clone(engine), id);
        monoio::spawn(unless_closed(closing, Role::Reader, live));
    }

    fn close(&self, id: ConnId) {
        if self.is_current(id) {
            self.slots.borrow_mut()[id.index as usize].close();
        }
    }

    /// A connected socket. A Unix socket, too, is read and written as any stream.
    async fn open(&self, id: ConnId) -> io::Result<TcpStream> {
        let (socket, address) = self.sockets.open(id.index)?;
        self.worker().connecting(monotonic(), id);
        let is_open = sockets::connect(&socket, address)?;
        // A second descriptor, only for those that need more than to be read and written.
        let again = self.sockets.has_beginning().then(|| socket.try_clone()).transpose()?;
        let stream = TcpStream::from_std(socket.into())?;
        if !is_open {
            stream.writable(true).await?;
        }
        if self.sockets.resets() {
            self.slots.borrow()[id.index as usize].closing.resets(stream.as_raw_fd());
        }
        match sys::socket_error(stream.as_raw_fd()) {
            0 => again.map_or(Ok(()), |again| self.sockets.begin(&again))?,
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
        Ok(stream)
    }

    /// A connection from its first packet to its last.
    async fn live(engine: Rc<Self>, id: ConnId) {
        let (mut reader, writer) = match engine.open(id).await {
            Ok(stream) => stream.into_split(),
            Err(error) => return Self::tell(&engine, failed(Phase::Connect, id, &error)),
        };
        if !engine.is_current(id) {
            return;
        }
        engine.slots.borrow_mut()[id.index as usize].writer = Some(writer);
        Self::tell(&engine, Event::Connected(id));
        Self::read(&engine, &mut reader, id).await;
    }

    async fn read(engine: &Rc<Self>, reader: &mut OwnedReadHalf<TcpStream>, id: ConnId) {
        let closing = Rc::clone(&engine.slots.borrow()[id.index as usize].closing);
        let mut buffer = Vec::with_capacity(LEAST_BUFFER_BYTES);
        while !closing.closed.get() {
            let (result, filled) = reader.read(buffer).await;
            match result {
                Ok(0) => return Self::tell(engine, Event::Eof(id)),
                Ok(length) => Self::tell(engine, Event::Received(id, &filled[..length])),
                Err(error) => return Self::tell(engine, failed(Phase::Receive, id, &error)),
            }
            buffer = filled;
            let was_full = buffer.len() == buffer.capacity();
            buffer.clear();
            if was_full && buffer.capacity() < MOST_BUFFER_BYTES {
                buffer.reserve_exact(buffer.capacity() * 4);
            }
        }
    }

    /// Sends at once what the socket takes; the rest is left to a task.
    fn send(engine: &Rc<Self>, worker: &mut Worker, id: ConnId, sending: Sending) {
        if !engine.is_current(id) {
            return;
        }
        let Some(mut writer) = engine.slots.borrow_mut()[id.index as usize].writer.take() else {
            engine.slots.borrow_mut()[id.index as usize].queue.push_back(sending);
            return;
        };
        let attempt = {
            let mut write = pin!(writer.write(sending.rest.clone()));
            match write.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready((result, _)) => result,
                Poll::Pending => Ok(0),
            }
        };
        match attempt {
            Ok(sent) => {
                let rest = sending.rest.slice(sent..);
                if let Some(event) = sending.told.event(id, sent, rest.is_empty()) {
                    worker.on_event(monotonic(), event);
                }
                if rest.is_empty() {
                    engine.slots.borrow_mut()[id.index as usize].writer = Some(writer);
                    return;
                }
                let closing = Rc::clone(&engine.slots.borrow()[id.index as usize].closing);
                let write = Self::write(Rc::clone(engine), id, writer, Sending { rest, ..sending });
                monoio::spawn(unless_closed(closing, Role::Writer, write));
            }
            Err(error) => worker.on_event(monotonic(), failed(Phase::Send, id, &error)),
        }
    }

    /// Writes the rest of a send, and whatever was to be sent meanwhile.
    async fn write(
        engine: Rc<Self>,
        id: ConnId,
        mut writer: OwnedWriteHalf<TcpStream>,
        first: Sending,
    ) {
        let mut next = Some(first);
        let closing = Rc::clone(&engine.slots.borrow()[id.index as usize].closing);
        while let Some(Sending { mut rest, told }) = next.take() {
            loop {
                match writer.write(rest.clone()).await.0 {
                    Ok(sent) => {
                        rest = rest.slice(sent..);
                        if let Some(event) = told.event(id, sent, rest.is_empty()) {
                            Self::tell(&engine, event);
                        }
                    }
                    Err(error) => return Self::tell(&engine, failed(Phase::Send, id, &error)),
                }
                if closing.closed.get() {
                    return;
                }
                if rest.is_empty() {
                    break;
                }
            }
            next = engine.slots.borrow_mut()[id.index as usize].queue.pop_front();
        }
        engine.slots.borrow_mut()[id.index as usize].writer = Some(writer);
    }

    /// What was seen in a run that has ended.
    fn end(&self, mut meter: Meter, link: &Link) -> (Record, Span) {
        let now = monotonic();
        let mut tally = self.tally.take();
        meter.stop(&mut tally, now, &self.rounds.get().spent());
        let mut worker = self.worker();
        link.publish(&mut worker);
        let (mut record, span) = worker.take_record(now);
        record.client = tally;
        record.turns = self.turns.take();
        (record, span)
    }

    /// Closes what is left.
    async fn close_all(&self) {
        for slot in self.slots.borrow_mut().iter_mut() {
            slot.close();
            *slot = Slot::default();
        }
        // Each task that was told so ends in its next turn.
        go_round().await;
        go_round().await;
    }
}

fn failed(phase: Phase, id: ConnId, error: &io::Error) -> Event<'static> {
    Event::Failed(id, Failure::from_errno(phase, error.raw_os_error().unwrap_or(0)))
}
