//! The completion loop: drives one worker on a ring of its own.
//!
//! A turn hands over what is due, stamped with the time before, then reaps, and only when nothing is ready waits, with
//! the deadline in the enter call. Submitting and reaping are two calls on purpose: the kernel runs the sends of one
//! submission one after the other, and only a call that does nothing else can be stamped. A stamp may be early, so a
//! submission holds a few sends only; it is never late, or an effect would come before its cause.
//!
//! One of the listed places for `unsafe`: submission entries point into the request image, into transmissions (`sends`),
//! into the addresses of `sockets`, and into the buffer ring. The engine holds all of these, and cancels and awaits every
//! operation before it lets go of them, whichever way it ends. Only this file makes entries, each from what is held.

#![expect(unsafe_code, reason = "submission entries carry raw pointers")]

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::ptr;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{IoUring, SubmissionQueue, Submitter, opcode};

use super::arrivals::discarded;
use super::bufring::{self, Completions};
use super::idle::{Idler, LARGE_BODY_BYTES};
use super::meter::Meter;
use super::pace::Pace;
use super::ring::{Operation, Slot, build, explain, token, untoken};
use super::sockets::Sockets;
use super::spin::Spent;
use super::{
    Desk, Link, Order, PACED_SENDS, SENDS_AT_ONCE, STOP_DRAIN_NS, Settings, Stop, Unsupported,
};
use crate::core::conn::{ConnId, Receiving};
use crate::core::failure::{Failure, Phase};
use crate::core::record::{ClientTally, Record, Turns};
use crate::core::worker::{Action, Event, Job, Late, Span, Worker};
use crate::request::RequestImage;
use crate::time::{Nanos, monotonic};

/// Entries of the submission queue; a turn that has more to say submits several times.
const SUBMISSIONS: u32 = 1024;
/// Bytes of one receive buffer.
const BUFFER_BYTES: u32 = 32 * 1024;
/// Most receive buffers of a worker; only what responses touch is resident.
const MOST_BUFFERS: u32 = 1024;
/// Lets the kernel finish what it has put off.
const GET_EVENTS: u32 = 1;
/// Tells the kernel not to try a receive that cannot succeed yet.
const POLL_FIRST: u16 = 1;

/// Whether this machine lets a worker with so many connections have its ring and its buffers; tried before a run is
/// planned around it.
///
/// # Errors
/// The probable cause and the remedy.
pub fn probe(connections: u32) -> Result<(), Unsupported> {
    let mut ring = build(SUBMISSIONS, completions_for(connections))?;
    bufring::split(&mut ring, buffers_for(connections), BUFFER_BYTES)
        .map(drop)
        .map_err(|error| explain(&error))
}

fn completions_for(connections: u32) -> u32 {
    connections.saturating_mul(2).next_power_of_two().clamp(4 * SUBMISSIONS, 65_536)
}

fn buffers_for(connections: u32) -> u16 {
    let buffers = connections.next_power_of_two().clamp(64, MOST_BUFFERS);
    u16::try_from(buffers).unwrap_or(u16::MAX)
}

/// Carries out one run after the other on the calling thread, all on the same connections.
///
/// # Errors
/// When the ring cannot be set up; nothing was sent then.
pub fn run(first: Order, settings: &Settings<'_>, desk: &Desk) -> Result<(), Unsupported> {
    let Order { job, mut link } = first;
    let connections = job.connections.max(1);
    let mut ring = build(SUBMISSIONS, completions_for(connections))?;
    let mut engine = Engine::new(&mut ring, &job, settings).map_err(|error| explain(&error))?;
    let mut worker = Worker::new(job, monotonic());
    loop {
        let outcome = engine.drive(&mut worker, &link);
        let Some(next) = desk.exchange(outcome, link) else { break };
        engine.catch_up(&mut worker);
        worker.renew(next.job, monotonic());
        link = next.link;
    }
    Ok(())
}

pub(super) struct Engine<'r> {
    pub(super) submitter: Submitter<'r>,
    pub(super) submissions: SubmissionQueue<'r>,
    pub(super) completions: Completions<'r>,
    /// What unencrypted sends point into; every run on these connections sends it.
    pub(super) image: RequestImage,
    pub(super) slots: Vec<Slot>,
    /// Receives that ended without telling the worker anything and must be asked for again.
    pub(super) rearm: Vec<(ConnId, Receiving)>,
    /// Transmissions of connections that were closed before the kernel was done with them.
    pub(super) retired: Vec<(ConnId, Vec<u8>)>,
    pub(super) idler: Idler,
    pub(super) sockets: Sockets,
    pub(super) tally: ClientTally,
    pub(super) spent: Spent,
    pub(super) turns: Turns,
    /// Requests come by a schedule.
    pub(super) paced: bool,
    /// How late the engine looks at the completions that come next.
    pub(super) late: Late,
    /// Whether it was busy or away meanwhile.
    pub(super) pace: Pace,
    /// When the completion queue was last looked at.
    pub(super) last_look: Nanos,
    /// When much of a body was last asked for, to be discarded.
    pub(super) large_body_at: Nanos,
    /// When the first of the sends was stamped that the kernel has not taken yet.
    queued_since: Option<Nanos>,
    pub(super) lost_seen: u32,
}

impl<'r> Engine<'r> {
    /// One that has done nothing yet.
    pub(super) fn new(
        ring: &'r mut IoUring,
        job: &Job,
        settings: &Settings<'_>,
    ) -> io::Result<Self> {
        let connections = job.connections.max(1);
        let (submitter, submissions, completions) =
            bufring::split(ring, buffers_for(connections), BUFFER_BYTES)?;
        let paced = job.open.is_some();
        Ok(Self {
            submitter,
            submissions,
            completions,
            image: job.image.clone(),
            slots: (0..connections).map(|_| Slot::default()).collect(),
            rearm: Vec::new(),
            retired: Vec::new(),
            idler: Idler::new(settings.idle, settings.cores_left, paced),
            sockets: Sockets::new(settings.route, settings.first_connection),
            tally: ClientTally::default(),
            spent: Spent::default(),
            turns: Turns::default(),
            paced,
            late: Late::default(),
            pace: Pace::start(monotonic()),
            last_look: monotonic(),
            large_body_at: Nanos(0),
            queued_since: None,
            lost_seen: 0,
        })
    }

    /// From the first connection of a run to its last answer.
    fn drive(&mut self, worker: &mut Worker, link: &Link) -> (Record, Span) {
        let mut now = monotonic();
        let mut meter = Meter::start(now, self.spent);
        let mut started = false;
        let mut stopping = Stop::No;
        while !worker.is_finished() {
            if !started {
                started = link.prepare_start(worker);
                if started {
                    // What it took to open the connections says nothing about the run.
                    meter = Meter::start(now, self.spent);
                    self.tally = ClientTally::default();
                    self.turns = Turns::default();
                }
            }
            let stop = link.control.stopping();
            if stop != stopping {
                stopping = stop;
                worker.stop(now, if stop == Stop::Soon { STOP_DRAIN_NS } else { 0 });
            }
            worker.tick(now);
            link.publish(worker);
            self.submit_actions(worker, now);
            self.wait_for_completions(worker, started);
            now = monotonic();
            if worker.is_draining() {
                // Waiting for the last answers is no part of how busy the worker was.
                meter.stop(&mut self.tally, now, &self.spent);
            }
            self.look_late(worker, now);
            self.reap(worker, now);
            if self.late.counts() {
                // The kernel hands over only so many completions a call, and without a schedule nobody is to be given up
                // whose answer is there.
                self.reap_what_gathered(worker, now);
            }
            self.late = Late::default();
            if self.paced {
                // What was reaped took its time, in which more may have become due.
                now = monotonic();
            }
        }
        let now = monotonic();
        meter.stop(&mut self.tally, now, &self.spent);
        link.publish(worker);
        let (mut record, span) = worker.take_record(now);
        record.client = self.tally;
        record.turns = std::mem::take(&mut self.turns);
        (record, span)
    }

    /// Lets the kernel do some of the work that it has put off for this thread; whether there is something to reap then.
    pub(super) fn fetch(&mut self) -> bool {
        let _ = self.enter(0, GET_EVENTS);
        self.completions.sync();
        !self.completions.is_empty()
    }

    /// Hands over everything that the worker wants.
    pub(super) fn submit_actions(&mut self, worker: &mut Worker, now: Nanos) {
        while let Some((id, receiving)) = self.rearm.pop() {
            self.receive(id, receiving, worker);
        }
        let most = if self.paced { PACED_SENDS } else { SENDS_AT_ONCE };
        let mut sends = 0;
        while let Some(action) = worker.next_action() {
            // A connect takes the kernel longer than a send, and keeps waiting what comes after it.
            if matches!(action, Action::Send { .. } | Action::Transmit { .. } | Action::Connect(_))
            {
                if sends == most {
                    self.submit(worker);
                    sends = 0;
                }
                sends += 1;
            }
            match action {
                Action::Connect(id) => self.connect(id, worker, now),
                Action::Send { conn, count, confirm, .. } => {
                    self.send(conn, count, confirm, worker)
                }
                Action::Transmit { conn, .. } => self.transmit(conn, worker, now),
                Action::Receive { conn, receiving } => self.receive(conn, receiving, worker),
                Action::Discard { conn, length } => self.discard(conn, length, worker),
                Action::Close(id) => self.close(id, worker),
            }
        }
        self.submit(worker);
    }

    /// Submits what is queued, and nothing else, and stamps it with the time before.
    pub(super) fn submit(&mut self, worker: &mut Worker) {
        self.submissions.sync();
        if self.submissions.is_empty() {
            return;
        }
        let before = monotonic();
        while !self.submissions.is_empty() {
            let queued = u32::try_from(self.submissions.len()).unwrap_or(u32::MAX);
            let entered = self.enter(queued, 0);
            self.submissions.sync();
            if entered.is_err() {
                // EAGAIN or EBUSY: the kernel wants its completions to be reaped first. Some may have left, so all of them have
                // their stamps now; what is still queued is stamped early by as long as it stays there.
                if worker.submitted(before) {
                    self.queued_since.get_or_insert(before);
                }
                return;
            }
        }
        let queued_since = self.queued_since.take();
        if worker.submitted(before) || queued_since.is_some() {
            let skew_ns = monotonic().since(queued_since.unwrap_or(before));
            self.tally.stamp_skew_ns = self.tally.stamp_skew_ns.max(skew_ns);
        }
    }

    /// Calls the kernel: it takes `entries`, and does not wait.
    fn enter(&self, entries: u32, flags: u32) -> io::Result<usize> {
        // SAFETY: no argument is passed, and what the entries point to was seen to when they were pushed.
        unsafe { self.submitter.enter::<()>(entries, 0, flags, None) }
    }

    /// Queues a send of a part of the copies in the request image. One that is not confirmed completes only if it fails.
    pub(super) fn push_send(
        &mut self,
        id: ConnId,
        (from, length): (u32, u32),
        confirm: bool,
        worker: &mut Worker,
    ) {
        let Some(descriptor) = self.descriptor(id) else {
            return;
        };
        let copies = self.image.batch(self.image.most());
        let bytes = &copies[from as usize..from as usize + length as usize];
        // A send that is confirmed completes with each part that the socket takes: what was handed over is then known
        // even when the rest never is, because the connection ends before that.
        let all = if confirm { 0 } else { libc::MSG_WAITALL };
        let entry = opcode::Send::new(descriptor, bytes.as_ptr(), length)
            .flags(all | libc::MSG_NOSIGNAL)
            .build()
            .user_data(token(Operation::Send, id));
        // A failed or short send completes in any case; only the news of success can be done without.
        let entry = if confirm { entry } else { entry.flags(Flags::SKIP_SUCCESS) };
        self.push(&entry, worker);
    }

    /// Queues a send of what is left of the slot's transmission, which stays there.
    pub(super) fn push_transmission(&mut self, id: ConnId, from: usize, worker: &mut Worker) {
        let Some(descriptor) = self.descriptor(id) else {
            return;
        };
        let bytes = &self.slots[id.index as usize].transmission[from..];
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(descriptor, bytes.as_ptr(), length)
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build()
            .user_data(token(Operation::Transmit, id));
        self.push(&entry, worker);
    }

    /// Queues an entry. Only this file can, and makes each from what the engine holds.
    fn push(&mut self, entry: &Entry, worker: &mut Worker) {
        loop {
            // SAFETY: what entries point to is held by this value, which is not freed before `drop` has cancelled and
            // awaited all operations. Until then it stays where it is: the image, the addresses of `sockets` and the
            // buffers are never replaced, and a transmission stays in its slot, then among the retired ones, until the
            // completion of its send is seen.
            if unsafe { self.submissions.push(entry) }.is_ok() {
                return;
            }
            self.submit(worker);
            if self.submissions.is_full() {
                let now = monotonic();
                let _ = self.submitter.submit_and_wait(0);
                self.reap(worker, now);
            }
        }
    }

    fn connect(&mut self, id: ConnId, worker: &mut Worker, now: Nanos) {
        let (socket, address) = match self.sockets.open(id.index) {
            Ok(opened) => opened,
            Err(error) => {
                let failure =
                    Failure::from_errno(Phase::Connect, error.raw_os_error().unwrap_or(0));
                worker.on_event(now, Event::Failed(id, failure));
                return;
            }
        };
        let entry = opcode::Connect::new(
            Fd(socket.as_raw_fd()),
            // It lies in `sockets`, which outlives the ring's operations.
            address.as_ptr().cast(),
            address.len(),
        )
        .build()
        .user_data(token(Operation::Connect, id));
        self.slots[id.index as usize] =
            Slot { socket: Some(socket), generation: id.generation, busy: true, ..Slot::default() };
        self.push(&entry, worker);
        self.hand_over_connect(id, worker);
    }

    fn receive(&mut self, id: ConnId, receiving: Receiving, worker: &mut Worker) {
        let Some(descriptor) = self.descriptor(id) else {
            return;
        };
        let entry = match receiving {
            Receiving::Many => opcode::RecvMulti::new(descriptor, bufring::GROUP)
                .build()
                .user_data(token(Operation::Receive, id)),
            Receiving::Once => opcode::Recv::new(descriptor, ptr::null_mut(), BUFFER_BYTES)
                .buf_group(bufring::GROUP)
                .ioprio(POLL_FIRST)
                .build()
                .flags(Flags::BUFFER_SELECT)
                .user_data(token(Operation::ReceiveOnce, id)),
        };
        self.slots[id.index as usize].busy = true;
        self.push(&entry, worker);
    }

    /// A truncating receive consumes bytes without copying them. Not with `MSG_WAITALL`: the kernel would wait for the
    /// whole length again after each part.
    fn discard(&mut self, id: ConnId, length: u64, worker: &mut Worker) {
        const MOST: u32 = 1 << 30;
        let Some(descriptor) = self.descriptor(id) else {
            return;
        };
        let length = u32::try_from(length).map_or(MOST, |length| length.min(MOST));
        let entry = opcode::Recv::new(descriptor, ptr::null_mut(), length)
            .flags(libc::MSG_TRUNC)
            .build()
            .user_data(token(Operation::Discard, id));
        self.slots[id.index as usize].busy = true;
        if u64::from(length) >= LARGE_BODY_BYTES {
            self.large_body_at = self.last_look;
        }
        self.push(&entry, worker);
    }

    /// Cancels what is under way and closes. An operation holds on to the socket until it has ended, so a close alone
    /// would not reach the peer.
    fn close(&mut self, id: ConnId, worker: &mut Worker) {
        let slot = &mut self.slots[id.index as usize];
        if slot.generation != id.generation {
            return;
        }
        let Some(socket) = slot.socket.take() else {
            return;
        };
        let descriptor = Fd(socket.into_raw_fd());
        if !slot.transmission.is_empty() {
            self.retired.push((id, std::mem::take(&mut slot.transmission)));
        }
        if slot.busy {
            let cancel = opcode::AsyncCancel2::new(CancelBuilder::fd(descriptor).all())
                .build()
                .flags(Flags::SKIP_SUCCESS)
                .user_data(token(Operation::Silent, id));
            self.push(&cancel, worker);
        }
        let close = opcode::Close::new(descriptor)
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(token(Operation::Silent, id));
        self.push(&close, worker);
    }

    pub(super) fn descriptor(&self, id: ConnId) -> Option<Fd> {
        let slot = &self.slots[id.index as usize];
        let socket = slot.socket.as_ref().filter(|_| slot.generation == id.generation)?;
        Some(Fd(socket.as_raw_fd()))
    }

    /// Takes every completion that is there.
    pub(super) fn reap(&mut self, worker: &mut Worker, now: Nanos) {
        self.last_look = now;
        worker.events_at(now, self.late);
        self.completions.sync();
        let lost = self.completions.overflow();
        self.tally.completions_lost += u64::from(lost.wrapping_sub(self.lost_seen));
        self.lost_seen = lost;
        while let Some(completion) = self.completions.next() {
            let (operation, id) = untoken(completion.token());
            let result = completion.result();
            match operation {
                Operation::Receive => self.received(id, completion, Receiving::Many, worker),
                Operation::ReceiveOnce => self.received(id, completion, Receiving::Once, worker),
                Operation::Send => self.sent(id, result, worker, now),
                Operation::Discard => {
                    self.settle(id);
                    discarded(id, result, worker, now);
                }
                Operation::Connect if result == 0 => self.connected(id, worker, now),
                Operation::Connect => fail(Phase::Connect, id, result, worker, now),
                Operation::Transmit => self.transmitted(id, result, worker, now),
                Operation::Silent => {}
            }
        }
        self.completions.sync();
        self.completions.publish();
    }
}

impl Drop for Engine<'_> {
    /// Cancels everything, so that the kernel is done with our memory before that is freed. A cancelled operation is not
    /// tried again; what is left of it is the completion, which goes with the ring. What was queued and never submitted
    /// never will be.
    fn drop(&mut self) {
        while let Err(error) = self.submitter.register_sync_cancel(None, CancelBuilder::any().all())
        {
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::ENOENT) => break,
                // The kernel keeps operations on memory that would now be freed. A panic would free it all the same.
                _ => std::process::abort(),
            }
        }
        // The cancelled operations let go of their sockets.
        let _ = self.enter(0, GET_EVENTS);
    }
}

#[cold]
pub(super) fn fail(phase: Phase, id: ConnId, result: i32, worker: &mut Worker, now: Nanos) {
    worker.on_event(now, Event::Failed(id, Failure::from_errno(phase, -result)));
}
