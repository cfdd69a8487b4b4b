//! A worker under an engine that does anything an engine may do: every byte of the input is one thing that happens.
//!
//! Held: actions name only connections that are there, nothing is asked for twice, news of connections that are gone
//! changes nothing, a worker that is told to stop ends in time, and no request is lost or counted twice.

use std::sync::Arc;

use maxq::core::conn::{ConnId, Receiving};
use maxq::core::failure::{Failure, Phase};
use maxq::core::record::Counts;
use maxq::core::schedule::{Arrivals, Schedule, Shape, Timeline, parse_stages};
use maxq::core::worker::{Action, Event, Job, Late, OpenJob, Worker};
use maxq::core::worker::{Expect, OnOverload, Timeouts};
use maxq::request::RequestImage;
use maxq::time::Nanos;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
const DRAIN_NS: u64 = 50 * MILLISECOND;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// What peers send.
const SAYINGS: [&[u8]; 12] = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"ngth: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\nhel",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"SSH-2.0-nothing\r\n",
    b"x",
];

/// The far end of a connection, as an engine sees it.
#[derive(Default)]
struct Peer {
    id: Option<ConnId>,
    open: bool,
    receiving: Option<Receiving>,
    discarding: Option<u64>,
    /// Sizes of sends that are to be confirmed, oldest first.
    confirms: Vec<u64>,
    /// The peer has said that it will say no more.
    ended: bool,
}

struct Engine {
    worker: Worker,
    peers: Vec<Peer>,
    now: Nanos,
    pipeline: u32,
    /// Requests that were handed over.
    sent: u64,
    /// Connections that were asked for, again and again.
    attempts: u64,
    /// Responses that can have been made of what was received.
    most_responses: u64,
}

/// Lets happen what `data` says to a worker that it chooses; returns what that counted.
pub(crate) fn worker(data: &[u8]) -> Counts {
    let Some((&[shape, size, rest @ ..], happenings)) = data.split_first_chunk::<4>() else {
        return Counts::default();
    };
    let job = job(shape, size, rest);
    let begun = Nanos(1_000_000_000);
    let mut engine = Engine {
        peers: (0..job.connections).map(|_| Peer::default()).collect(),
        pipeline: job.pipeline,
        worker: Worker::new(job, begun),
        now: begun,
        sent: 0,
        attempts: 0,
        most_responses: 0,
    };
    for pair in happenings.chunks(2) {
        engine.turn();
        if engine.worker.is_finished() {
            break;
        }
        engine.happen(pair[0], pair.get(1).copied().unwrap_or(0));
    }
    engine.end()
}

/// Closed and open loops of several sizes, with and without what else a worker can be told.
fn job(shape: u8, size: u8, [pace, timing]: [u8; 2]) -> Job {
    let connections = 1 + u32::from(size & 3);
    let pipeline = 1 + u32::from(size >> 2 & 3);
    let open = (shape & 1 == 1).then(|| open_loop(pace));
    let timeline = open
        .as_ref()
        .map_or_else(|| Timeline::plain(0, u64::MAX), |(shape, _)| Timeline::of_shape(shape));
    let milliseconds = |count: u8| u64::from(count) * MILLISECOND;
    Job {
        image: RequestImage::new(REQUEST, pipeline, false),
        connections,
        pipeline,
        requests: (open.is_none() && shape & 2 == 2).then(|| u64::from(pace)),
        duration_ns: (open.is_some() || shape & 2 == 0).then_some(SECOND),
        warmup_ns: 0,
        requests_per_connection: if shape & 4 == 4 { 1 + u64::from(size >> 4) } else { u64::MAX },
        timeouts: Timeouts {
            request_ns: milliseconds(1 + (timing & 15) * 8),
            connect_ns: milliseconds(1 + (timing >> 4) * 8),
            drain_ns: DRAIN_NS,
            give_up_ns: SECOND,
        },
        expect: Expect::default(),
        tunnel: None,
        security: None,
        may_discard: shape & 8 == 8,
        seed: u64::from(timing) + 1,
        worker: 0,
        workers: 1,
        timeline,
        slice_ns: SECOND / 10,
        open: open.map(|(shape, on_overload)| OpenJob {
            schedule: Arc::new(Schedule::new(shape).expect("a plain shape")),
            max_in_flight: u64::from(connections) * u64::from(pipeline),
            on_overload,
        }),
        logs_requests: shape & 16 == 16,
        tells_waiting: shape & 1 == 1,
    }
}

fn open_loop(pace: u8) -> (Shape, OnOverload) {
    let stages = parse_stages(&format!("1s@{}", 1 + u32::from(pace) * 16)).expect("a stage");
    let on_overload =
        [OnOverload::Queue, OnOverload::Shed, OnOverload::Abort][usize::from(pace) % 3];
    let shape = Shape {
        warmup_ns: 0,
        length_ns: SECOND,
        stages,
        bursts: None,
        requests: None,
        arrivals: if pace & 1 == 1 { Arrivals::Poisson } else { Arrivals::Uniform },
        seed: 1,
    };
    (shape, on_overload)
}

impl Engine {
    /// What an engine does between two events.
    fn turn(&mut self) {
        if self.worker.is_ready() {
            self.worker.start_at(self.now);
        }
        self.worker.tick(self.now);
        while let Some(action) = self.worker.next_action() {
            self.act(action);
        }
        self.worker.submitted(self.now);
        while self.worker.take_interval().is_some() {}
        let _ = self.worker.take_log();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect(id) => {
                let peer = &mut self.peers[id.index as usize];
                assert!(peer.id.is_none_or(|old| old.generation < id.generation), "{id:?} again");
                *peer = Peer { id: Some(id), ..Peer::default() };
                self.attempts += 1;
            }
            Action::Send { conn, count, confirm, .. } => {
                assert!((1..=self.pipeline).contains(&count), "{count} at once");
                let peer = self.peer(conn);
                assert!(peer.open, "sent on a connection that is not open");
                let bytes = u64::from(count) * REQUEST.len() as u64;
                if confirm {
                    peer.confirms.push(bytes);
                }
                self.sent += u64::from(count);
            }
            Action::Transmit { .. } => unreachable!("nothing is encrypted here"),
            Action::Receive { conn, receiving } => {
                let peer = self.peer(conn);
                assert!(peer.open && peer.discarding.is_none());
                assert_ne!(peer.receiving, Some(Receiving::Many), "received from twice");
                peer.receiving = Some(receiving);
            }
            Action::Discard { conn, length } => {
                let peer = self.peer(conn);
                assert!(peer.open && peer.discarding.is_none() && length > 0);
                assert!(peer.receiving.is_none(), "looked at and discarded at once");
                peer.discarding = Some(length);
            }
            Action::Close(id) => {
                let peer = self.peer(id);
                *peer = Peer { id: peer.id, ..Peer::default() };
            }
        }
    }

    /// The peer of a connection, which must be the one that was opened there last.
    fn peer(&mut self, id: ConnId) -> &mut Peer {
        let peer = &mut self.peers[id.index as usize];
        assert_eq!(peer.id, Some(id), "a connection that is gone");
        peer
    }

    fn happen(&mut self, what: u8, how: u8) {
        self.now = match what >> 6 {
            0 => self.now,
            1 => self.now.plus(u64::from(how) * 1_000),
            2 => self.now.plus(u64::from(how) * 100_000),
            _ => self.now.max(self.worker.next_deadline().min(self.now.plus(SECOND))),
        };
        self.worker.events_at(self.now, Late::default());
        let index = usize::from(what >> 4 & 3) % self.peers.len();
        let Some(id) = self.peers[index].id else { return };
        match what & 15 {
            0..=2 => self.connected(index, id),
            3..=8 => self.received(index, id, how),
            9 | 10 => self.confirmed(index, id),
            11 => self.failed(index, id, how),
            12 => self.ended(index, id),
            13 => self.late_news(id, how),
            _ => {}
        }
    }

    fn connected(&mut self, index: usize, id: ConnId) {
        let peer = &mut self.peers[index];
        if !std::mem::replace(&mut peer.open, true) {
            self.worker.on_event(self.now, Event::Connected(id));
        }
    }

    fn received(&mut self, index: usize, id: ConnId, how: u8) {
        let peer = &mut self.peers[index];
        if !peer.open || peer.ended {
            return;
        }
        if let Some(length) = peer.discarding.take() {
            let taken = length.min(1 + u64::from(how) * 1_000);
            self.worker.on_event(self.now, Event::Discarded(id, taken));
        } else if let Some(receiving) = peer.receiving {
            if receiving == Receiving::Once {
                peer.receiving = None;
            }
            let saying = SAYINGS[usize::from(how) % SAYINGS.len()];
            // No saying ends more responses than it has beginnings, or the one that was begun.
            let begun = saying.windows(9).filter(|part| part == b"HTTP/1.1 ").count() as u64;
            self.most_responses += begun.max(1);
            self.worker.on_event(self.now, Event::Received(id, saying));
        }
    }

    fn confirmed(&mut self, index: usize, id: ConnId) {
        let peer = &mut self.peers[index];
        if !peer.confirms.is_empty() {
            let bytes = peer.confirms.remove(0);
            self.worker.on_event(self.now, Event::Sent(id, bytes));
        }
    }

    fn failed(&mut self, index: usize, id: ConnId, how: u8) {
        let peer = &mut self.peers[index];
        let errno =
            [libc::ECONNREFUSED, libc::ECONNRESET, libc::EPIPE, libc::EMFILE, libc::EADDRNOTAVAIL]
                [usize::from(how) % 5];
        let phase = match (peer.open, how & 1) {
            (false, _) => Phase::Connect,
            (true, 0) => Phase::Send,
            (true, _) => Phase::Receive,
        };
        if !peer.ended || !peer.open {
            peer.ended = true;
            self.worker.on_event(self.now, Event::Failed(id, Failure::from_errno(phase, errno)));
        }
    }

    fn ended(&mut self, index: usize, id: ConnId) {
        let peer = &mut self.peers[index];
        if peer.open && (peer.receiving.is_some() || peer.discarding.is_some()) && !peer.ended {
            peer.ended = true;
            self.most_responses += 1;
            self.worker.on_event(self.now, Event::Eof(id));
        }
    }

    /// What a kernel still has to say of a connection whose place was taken by another.
    fn late_news(&mut self, id: ConnId, how: u8) {
        let Some(generation) = id.generation.checked_sub(1) else { return };
        let gone = ConnId { generation, ..id };
        let before = (self.worker.requests_in_flight(), self.worker.open_connections());
        self.worker.on_event(
            self.now,
            match how % 6 {
                0 => Event::Connected(gone),
                1 => Event::Received(gone, SAYINGS[0]),
                2 => Event::Eof(gone),
                3 => Event::Sent(gone, 1),
                4 => Event::SentPart(gone, 1),
                _ => Event::Failed(gone, Failure::from_errno(Phase::Receive, libc::ECONNRESET)),
            },
        );
        let after = (self.worker.requests_in_flight(), self.worker.open_connections());
        assert_eq!(before, after, "news of a connection that is gone");
    }

    /// The user ends the run, and nobody says anything any more.
    fn end(mut self) -> Counts {
        if !self.worker.is_finished() {
            if self.worker.is_ready() {
                self.turn();
            }
            self.worker.stop(self.now, DRAIN_NS);
        }
        let latest = self.now.plus(DRAIN_NS);
        for _ in 0..10_000 {
            self.turn();
            if self.worker.is_finished() {
                break;
            }
            let deadline = self.worker.next_deadline();
            assert!(
                deadline <= latest,
                "a run that was ended waits until {deadline:?}, not {latest:?}"
            );
            self.now = self.now.max(deadline);
        }
        assert!(self.worker.is_finished(), "a run that was ended does not end");
        let (record, _) = self.worker.take_record(self.now);
        record.conserved().unwrap_or_else(|broken| panic!("{broken}"));
        let counts = &record.measured().counts;
        assert_eq!(counts.sent, self.sent, "{counts:?}");
        assert!(counts.completed() <= self.most_responses, "{counts:?}");
        let tally = &record.connections;
        let ended = tally.opened + tally.reconnects + tally.failed + tally.unfinished;
        assert_eq!(ended, self.attempts, "{tally:?}");
        *counts
    }
}
