//! The same worker against a seeded server in memory, on a clock that only moves when nothing is left to do.
//!
//! For tests and instruction counts: no descriptors, no threads, no real time. The server counts for itself what it
//! did, so that both sides of every request can be compared.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::mirror::Mirror;
use super::sim_queue::{Answered, Line};
pub use super::sim_server::{Counts, Deed, Outcome, Queue, Server};
use crate::core::conn::{ConnId, Receiving};
use crate::core::failure::{Failure, Phase};
use crate::core::record::{Interval, RequestRow};
use crate::core::worker::{Action, Event, Job, Late, Worker};
use crate::time::Nanos;

/// Runs a worker to its end.
#[must_use]
pub fn run(job: Job, server: &Server) -> Outcome {
    Session::new(job, server).finish()
}

/// One run after the other on the same connections.
#[derive(Debug)]
pub struct Session<'s> {
    simulation: Simulation<'s>,
}

impl<'s> Session<'s> {
    /// Gets ready for a run.
    #[must_use]
    pub fn new(job: Job, server: &'s Server) -> Self {
        let begun = Nanos(1_000_000_000);
        let connections = job.connections as usize;
        let simulation = Simulation {
            worker: Worker::new(job, begun),
            server,
            now: begun,
            peers: (0..connections).map(|_| Peer::default()).collect(),
            events: BinaryHeap::new(),
            next_event: 0,
            random: server.seed,
            line: Line::default(),
            counts: Counts::default(),
            intervals: Vec::new(),
            stops: VecDeque::new(),
            holds: Vec::new(),
            ends: None,
            late_ns: 0,
            log: Vec::new(),
        };
        Self { simulation }
    }

    /// Carries the run out.
    pub fn finish(&mut self) -> Outcome {
        let simulation = &mut self.simulation;
        simulation.drive();
        let overloaded = simulation.worker.is_overloaded();
        let (record, span) = simulation.worker.take_record(simulation.now);
        Outcome {
            record,
            span,
            intervals: std::mem::take(&mut simulation.intervals),
            server: std::mem::take(&mut simulation.counts),
            overloaded,
            log: std::mem::take(&mut simulation.log),
        }
    }

    /// Holds the whole machine up in the run that comes next: so long after its start, for so long, in nanoseconds, in order.
    pub fn hold_up(&mut self, stretches: &[(u64, u64)]) {
        self.simulation.holds = stretches.to_vec();
    }

    /// Gets ready for the next run, `pause_ns` after the last one has ended; nobody looks meanwhile.
    pub fn next(&mut self, job: Job, pause_ns: u64) {
        let simulation = &mut self.simulation;
        simulation.now = simulation.now.plus(pause_ns);
        simulation.worker.renew(job, simulation.now);
    }
}

/// The far end of one connection.
#[derive(Debug, Default)]
struct Peer {
    generation: u32,
    open: bool,
    /// Arrived and not yet received.
    buffered: Vec<u8>,
    /// The stream ends after what is buffered.
    ended: bool,
    receiving: Option<Waiting>,
    /// When the last piece that was planned arrives: answers do not overtake each other.
    busy_until: Nanos,
    /// Nothing more will be said.
    silent: bool,
    /// A request has come.
    asked: bool,
    /// Its side of TLS, and the plain bytes that are no whole request yet.
    mirror: Option<Mirror>,
    plain_bytes: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Waiting {
    Bytes(Receiving),
    Discard(u64),
}

/// What is planned to happen: when, in which order at that instant, on which connection.
type Planned = Reverse<(Nanos, u64, u32, u32, News)>;

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum News {
    Opened,
    Refused,
    Bored,
    Sent,
    Transmitted,
    Bytes(Vec<u8>),
    End,
    Reset,
}

#[derive(Debug)]
struct Simulation<'s> {
    worker: Worker,
    server: &'s Server,
    now: Nanos,
    peers: Vec<Peer>,
    events: BinaryHeap<Planned>,
    next_event: u64,
    random: u64,
    /// Those who wait for a server of the queue.
    line: Line,
    counts: Counts,
    intervals: Vec<Interval>,
    /// When the client is stopped, and for how long, in order.
    stops: VecDeque<(Nanos, u64)>,
    /// When client and server are, after the start of the run that comes next, in nanoseconds: when, and for how long.
    holds: Vec<(u64, u64)>,
    /// When the user ends the run, and how long it may drain.
    ends: Option<(Nanos, u64)>,
    /// How much later than it could the client looks at what comes next.
    late_ns: u64,
    log: Vec<RequestRow>,
}

impl Simulation<'_> {
    fn drive(&mut self) {
        const WIRE_NS: u64 = 1_000;
        let mut started = false;
        loop {
            if !started && self.worker.is_ready() {
                started = true;
                let start = self.now.plus(WIRE_NS);
                self.worker.start_at(start);
                self.plan_stops(start);
                let ends = self.server.user_stops;
                self.ends = ends.map(|(at, drain_ns)| (start.plus(at), drain_ns));
            }
            if let Some((_, drain_ns)) = self.ends.take_if(|(at, _)| self.now >= *at) {
                self.worker.stop(self.now, drain_ns);
            }
            self.worker.tick(self.now);
            // What was taken is handed over even when the run is over by then.
            let mut acted = false;
            while let Some(action) = self.worker.next_action() {
                acted = true;
                self.act(action);
            }
            self.worker.submitted(self.now);
            self.log.extend(self.worker.take_log().into_iter().flatten());
            self.intervals.extend(std::iter::from_fn(|| self.worker.take_interval()));
            if self.worker.is_finished() {
                return;
            }
            if !acted {
                self.advance();
            }
        }
    }

    /// A run starts: when nothing runs in it.
    fn plan_stops(&mut self, start: Nanos) {
        let holds = std::mem::take(&mut self.holds);
        let held = holds.iter().map(|&(at, ns)| (start.plus(at), start.plus(at + ns)));
        self.line.hold_up(held.collect());
        let stops = self.server.client_stops.into_iter().chain(holds);
        self.stops = stops.map(|(at, length_ns)| (start.plus(at), length_ns)).collect();
    }

    /// Moves the clock to the next thing that happens, and lets it happen.
    fn advance(&mut self) {
        let deadline = self.worker.next_deadline();
        let due = self.events.peek().map_or(Nanos::NEVER, |Reverse((at, ..))| *at);
        assert!(
            due.min(deadline) < Nanos::NEVER,
            "a worker that waits for nothing would wait forever"
        );
        let ends = self.ends.map_or(Nanos::NEVER, |(at, _)| at);
        let planned = self.now.max(due.min(deadline).min(ends));
        self.now = planned;
        let mut woke_late = false;
        while let Some((at, length_ns)) = self.stops.front().copied()
            && self.now >= at
        {
            self.stops.pop_front();
            self.now = self.now.max(at.plus(length_ns));
            self.late_ns = self.now.since(planned);
            woke_late = true;
        }
        // Everything that came while it was stopped is seen late; what comes from here on is not.
        let late_ns = if woke_late || due < self.now { self.late_ns } else { 0 };
        self.worker.events_at(self.now, Late::by(late_ns));
        if due > deadline.min(ends) {
            return;
        }
        // What has gathered while the client was stopped is all there before anything else is done.
        let gathered = if late_ns > 0 { self.now } else { Nanos(0) };
        loop {
            if let Some(Reverse((_, _, index, generation, news))) = self.events.pop() {
                self.happen(ConnId { index, generation }, news);
            }
            if self.events.peek().is_none_or(|Reverse((at, ..))| *at > gathered) {
                return;
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect(id) => {
                let mirror =
                    self.server.mirror.as_ref().map(|config| {
                        Mirror::new(config).expect("its configuration was used before")
                    });
                self.peers[id.index as usize] =
                    Peer { generation: id.generation, mirror, ..Peer::default() };
                let refused = self.draw() % 100 < self.server.refused_percent;
                self.plan(
                    id,
                    self.now.plus(10_000),
                    if refused { News::Refused } else { News::Opened },
                );
            }
            Action::Send { conn, count, confirm, .. } => {
                for _ in 0..count {
                    self.serve(conn);
                }
                if confirm {
                    // Its sockets take everything at once, and say so a moment later.
                    let bytes = self.worker.image().batch(count).len() as u64;
                    self.worker.on_event(self.now, Event::SentPart(conn, bytes));
                    self.plan(conn, self.now.plus(1_000), News::Sent);
                }
            }
            Action::Transmit { conn, .. } => self.transmit(conn),
            Action::Receive { conn, receiving } => self.wait(conn, Waiting::Bytes(receiving)),
            Action::Discard { conn, length } => self.wait(conn, Waiting::Discard(length)),
            Action::Close(id) => self.peers[id.index as usize].open = false,
        }
    }

    /// Encrypted bytes have reached the server: it answers what is TLS' own, and serves the requests in them.
    fn transmit(&mut self, id: ConnId) {
        let bytes = self.worker.sealed(id);
        let length = self.worker.image().length();
        let peer = &mut self.peers[id.index as usize];
        let Some(mirror) = &mut peer.mirror else { return };
        let heard = mirror.receive(&bytes);
        self.worker.reuse(bytes);
        self.plan(id, self.now.plus(1_000), News::Transmitted);
        let Ok((plain, reply)) = heard else {
            return self.plan(id, self.now.plus(1_000), News::Reset);
        };
        let peer = &mut self.peers[id.index as usize];
        peer.plain_bytes += plain.len();
        let requests = peer.plain_bytes / length;
        peer.plain_bytes %= length;
        let at = peer.busy_until.max(self.now.plus(1_000));
        self.deliver(id, at, &reply);
        for _ in 0..requests {
            self.serve(id);
        }
    }

    /// One request has reached the server.
    fn serve(&mut self, id: ConnId) {
        self.counts.requests += 1;
        self.peers[id.index as usize].asked = true;
        let deed = self.draw_deed();
        let peer = &self.peers[id.index as usize];
        if peer.silent {
            self.counts.spoilt += 1;
            return;
        }
        let busy_until = peer.busy_until;
        let (served_at, deed) = match self.answered() {
            Answered::Served(at) => (at, deed),
            Answered::TurnedAway(at) => (at, Deed::Refuse),
        };
        let at = busy_until.max(served_at);
        let half = self.server.response.len() / 2;
        let (bytes, end) = match deed {
            Deed::Answer => (self.server.response.clone(), None),
            Deed::Refuse => (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy".to_vec(), None),
            Deed::Garbage => (b"SSH-2.0-nothing\r\n".to_vec(), Some(News::End)),
            Deed::Cut => (self.server.response[..half].to_vec(), Some(News::End)),
            Deed::Close => (Vec::new(), Some(News::End)),
            Deed::Reset => (Vec::new(), Some(News::Reset)),
            Deed::Ignore => (Vec::new(), None),
        };
        match deed {
            Deed::Answer => self.counts.answered += 1,
            Deed::Refuse => self.counts.refused += 1,
            _ => self.counts.spoilt += 1,
        }
        self.peers[id.index as usize].silent = end.is_some() || deed == Deed::Ignore;
        let peer = &mut self.peers[id.index as usize];
        let bytes = match &mut peer.mirror {
            None => bytes,
            Some(mirror) => {
                let mut sealed = mirror.send(&bytes);
                if end == Some(News::End) {
                    sealed.extend(mirror.say_goodbye());
                }
                sealed
            }
        };
        let last = self.deliver(id, at, &bytes);
        if let Some(end) = end {
            self.plan(id, last.plus(1_000), end);
        }
    }

    /// When a request that comes now is answered.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a positive length of time far below 2^53 nanoseconds"
    )]
    fn answered(&mut self) -> Answered {
        let arrived = self.now.plus(self.server.delay_ns);
        let Some(queue) = self.server.queue else { return Answered::Served(arrived) };
        let service_ns = if queue.exponential {
            let uniform = ((self.draw() & 0xffff_ffff) + 1) as f64 / (1_u64 << 32) as f64;
            (-uniform.ln() * queue.mean_ns as f64) as u64
        } else {
            queue.mean_ns
        };
        let patience_ns = queue.patience_ns.unwrap_or(u64::MAX);
        self.line.serve(arrived, queue.servers, service_ns, patience_ns)
    }

    /// Plans the arrival of `bytes` in pieces; returns when the last one comes.
    fn deliver(&mut self, id: ConnId, at: Nanos, bytes: &[u8]) -> Nanos {
        let mut last = at;
        let mut next = at;
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = rest.len().min(self.server.piece_bytes.max(1)) as u64;
            let length = usize::try_from(1 + self.draw() % most).unwrap_or(1);
            let (piece, after) = if self.server.piece_bytes >= rest.len() {
                (rest, &rest[rest.len()..])
            } else {
                rest.split_at(length)
            };
            self.plan(id, next, News::Bytes(piece.to_vec()));
            last = next;
            next = next.plus(1_000);
            rest = after;
        }
        self.peers[id.index as usize].busy_until = last;
        last
    }

    fn plan(&mut self, id: ConnId, at: Nanos, news: News) {
        self.next_event += 1;
        self.events.push(Reverse((at, self.next_event, id.index, id.generation, news)));
    }

    fn wait(&mut self, id: ConnId, waiting: Waiting) {
        let peer = &mut self.peers[id.index as usize];
        if peer.generation == id.generation {
            peer.receiving = Some(waiting);
            self.flush(id);
        }
    }

    fn happen(&mut self, id: ConnId, news: News) {
        let peer = &mut self.peers[id.index as usize];
        if peer.generation != id.generation {
            return;
        }
        match news {
            News::Opened => {
                peer.open = true;
                self.counts.opened += 1;
                if let Some(idle_ns) = self.server.idle_ns {
                    self.plan(id, self.now.plus(idle_ns), News::Bored);
                }
                self.worker.on_event(self.now, Event::Connected(id));
            }
            News::Bored if peer.asked => {}
            News::Bored => {
                peer.ended = true;
                self.flush(id);
            }
            News::Refused => {
                let failure = Failure::from_errno(Phase::Connect, libc::ECONNREFUSED);
                self.worker.on_event(self.now, Event::Failed(id, failure));
            }
            News::Sent => self.worker.on_event(self.now, Event::Sent(id, 0)),
            News::Transmitted => self.worker.on_event(self.now, Event::Transmitted(id)),
            News::Bytes(bytes) => {
                peer.buffered.extend_from_slice(&bytes);
                self.flush(id);
            }
            News::End => {
                peer.ended = true;
                self.flush(id);
            }
            News::Reset => {
                let failure = Failure::from_errno(Phase::Receive, libc::ECONNRESET);
                self.worker.on_event(self.now, Event::Failed(id, failure));
            }
        }
    }

    /// Hands over what has arrived, as far as the worker asked for it.
    fn flush(&mut self, id: ConnId) {
        let peer = &mut self.peers[id.index as usize];
        let Some(waiting) = peer.receiving else { return };
        if peer.buffered.is_empty() {
            if peer.ended {
                peer.ended = false;
                self.worker.on_event(self.now, Event::Eof(id));
            }
            return;
        }
        match waiting {
            Waiting::Bytes(receiving) => {
                let bytes = std::mem::take(&mut peer.buffered);
                if receiving == Receiving::Once {
                    peer.receiving = None;
                }
                self.worker.on_event(self.now, Event::Received(id, &bytes));
            }
            Waiting::Discard(length) => {
                let taken = usize::try_from(length)
                    .map_or(peer.buffered.len(), |l| l.min(peer.buffered.len()));
                peer.buffered.drain(..taken);
                peer.receiving = None;
                self.worker.on_event(self.now, Event::Discarded(id, taken as u64));
            }
        }
        let ended = self.peers[id.index as usize].ended;
        if ended {
            self.flush(id);
        }
    }

    fn draw_deed(&mut self) -> Deed {
        let total: u32 = self.server.deeds.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.draw() % u64::from(total.max(1));
        for &(deed, weight) in &self.server.deeds {
            if drawn < u64::from(weight) {
                return deed;
            }
            drawn -= u64::from(weight);
        }
        Deed::Answer
    }

    /// xorshift64*: repeatable draws.
    fn draw(&mut self) -> u64 {
        let mut x = self.random | 1;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random = x;
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}
