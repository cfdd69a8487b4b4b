//! What a worker on a ring is told of what has come: that a connection is open, bytes, the end.
//!
//! Owned by the completion loop, which reaps. It knows nothing of submission entries, and sees a receive buffer only as a
//! lease.

use super::bufring::Completion;
use super::uring::{Engine, fail};
use crate::core::conn::{ConnId, Receiving};
use crate::core::failure::Phase;
use crate::core::worker::{Event, Worker};
use crate::time::Nanos;

impl Engine<'_> {
    pub(super) fn connected(&self, id: ConnId, worker: &mut Worker, now: Nanos) {
        let slot = &self.slots[id.index as usize];
        let socket = slot.socket.as_ref().filter(|_| slot.generation == id.generation);
        match socket.map_or(Ok(()), |socket| self.sockets.begin(socket)) {
            Ok(()) => worker.on_event(now, Event::Connected(id)),
            Err(error) => {
                fail(Phase::Connect, id, -error.raw_os_error().unwrap_or(0), worker, now);
            }
        }
    }

    #[inline]
    pub(super) fn received(
        &mut self,
        id: ConnId,
        completion: Completion,
        receiving: Receiving,
        worker: &mut Worker,
    ) {
        let now = self.last_look;
        let (result, more) = (completion.result(), completion.has_more());
        if !more {
            self.settle(id);
        }
        if let Some(bytes) = self.completions.lease(completion) {
            worker.on_event(now, Event::Received(id, &bytes));
            drop(bytes);
            if !more && receiving == Receiving::Many {
                self.rearm.push((id, receiving));
            }
        } else if result == 0 {
            worker.on_event(now, Event::Eof(id));
        } else if result == -libc::ENOBUFS {
            // The buffers of this turn are given back before the next submission.
            self.tally.buffers_exhausted += 1;
            self.rearm.push((id, receiving));
        } else {
            fail(Phase::Receive, id, result, worker, now);
        }
    }

    /// An operation has ended: unless a send is under way too, closing need not cancel anything.
    pub(super) fn settle(&mut self, id: ConnId) {
        let slot = &mut self.slots[id.index as usize];
        if slot.generation == id.generation && slot.send.1 == 0 {
            slot.busy = false;
        }
    }
}

pub(super) fn discarded(id: ConnId, result: i32, worker: &mut Worker, now: Nanos) {
    match u64::try_from(result) {
        Ok(0) => worker.on_event(now, Event::Eof(id)),
        Ok(length) => worker.on_event(now, Event::Discarded(id, length)),
        Err(_) => fail(Phase::Receive, id, result, worker, now),
    }
}
