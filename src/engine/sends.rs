//! What a worker on a ring sends: requests from where they were serialised, and what was encrypted for one connection.

use super::uring::{Engine, fail};
use crate::core::conn::ConnId;
use crate::core::failure::Phase;
use crate::core::worker::{Event, Worker};
use crate::time::Nanos;

impl Engine<'_> {
    pub(super) fn send(&mut self, id: ConnId, count: u32, confirm: bool, worker: &mut Worker) {
        let length = u32::try_from(self.image.batch(count).len()).unwrap_or(u32::MAX);
        let slot = &mut self.slots[id.index as usize];
        if confirm {
            slot.send = (length, length);
            slot.busy = true;
        }
        self.push_send(id, (0, length), confirm, worker);
    }

    /// Sends what the worker has encrypted; it is kept where it lies until the kernel is done with it.
    pub(super) fn transmit(&mut self, id: ConnId, worker: &mut Worker, now: Nanos) {
        let bytes = worker.sealed(id);
        let slot = &mut self.slots[id.index as usize];
        let open = slot.generation == id.generation && slot.socket.is_some();
        if !open || bytes.is_empty() {
            worker.reuse(bytes);
            worker.on_event(now, Event::Transmitted(id));
            return;
        }
        debug_assert!(slot.transmission.is_empty(), "one transmission at a time");
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        slot.transmission = bytes;
        slot.send = (length, length);
        slot.busy = true;
        self.push_transmission(id, 0, worker);
    }

    pub(super) fn transmitted(&mut self, id: ConnId, result: i32, worker: &mut Worker, now: Nanos) {
        let slot = &mut self.slots[id.index as usize];
        if slot.generation != id.generation || slot.socket.is_none() {
            // The connection was closed meanwhile, and the kernel was not done with it until now.
            if let Some(place) = self.retired.iter().position(|(retired, _)| *retired == id) {
                worker.reuse(self.retired.swap_remove(place).1);
            }
            return;
        }
        let sent = u32::try_from(result).unwrap_or(0);
        let left = slot.send.1.saturating_sub(sent);
        if sent > 0 && left > 0 {
            slot.send.1 = left;
            let from = slot.transmission.len() - left as usize;
            self.push_transmission(id, from, worker);
            return;
        }
        slot.send = (0, 0);
        worker.reuse(std::mem::take(&mut slot.transmission));
        if sent > 0 {
            worker.on_event(now, Event::Transmitted(id));
        } else {
            // Nothing of what is left was taken, and nobody says why: the connection is as good as broken.
            let errno = if result < 0 { result } else { -libc::EPIPE };
            fail(Phase::Send, id, errno, worker, now);
        }
    }

    pub(super) fn sent(&mut self, id: ConnId, result: i32, worker: &mut Worker, now: Nanos) {
        let slot = &mut self.slots[id.index as usize];
        if slot.generation != id.generation || slot.socket.is_none() {
            // The connection was closed while this was on its way.
            let sent = u64::try_from(result).unwrap_or(0);
            return worker.on_event(now, Event::SentPart(id, sent));
        }
        let Ok(sent) = u32::try_from(result) else {
            fail(Phase::Send, id, result, worker, now);
            return;
        };
        let (whole, left) = slot.send;
        if sent >= left {
            slot.send = (0, 0);
            if whole > 0 {
                worker.on_event(now, Event::Sent(id, u64::from(sent)));
            } else {
                // Only failures and short sends complete unasked.
                fail(Phase::Send, id, -libc::EPIPE, worker, now);
            }
            return;
        }
        let left = left - sent;
        slot.send = (whole, left);
        worker.on_event(now, Event::SentPart(id, u64::from(sent)));
        self.push_send(id, (whole - left, left), true, worker);
    }
}
