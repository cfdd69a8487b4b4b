//! What has come too late, and what only looks so because the client looked too late: limits hold by the stamps, whatever
//! is looked at first.

use super::Worker;
use crate::core::conn::Flight;
use crate::core::failure::{Failure, Kind, Phase as FailurePhase};
use crate::core::http1::Response;
use crate::core::record::{Came, Outcome};
use crate::time::Nanos;

impl Worker {
    /// A whole answer came too late, and says so itself.
    #[cold]
    pub(super) fn lose_late_answer(&mut self, now: Nanos, index: u32, response: &Response) {
        let conn = &self.conns[index as usize];
        // Of one that came whole at once nothing came in time.
        let kind = match conn.first_byte {
            Some(_) => Kind::BodyTimeout,
            None => Kind::ResponseTimeout,
        };
        let first_byte = conn.first_byte.unwrap_or(now);
        let came = self.flights.oldest(conn, index).map(|flight| Came {
            status: response.status,
            first_byte_ns: first_byte.since(flight.sent),
            body_bytes: response.body_bytes,
            body_length: Some(response.body_bytes),
        });
        let late = Failure::new(FailurePhase::Timeout, kind);
        self.record.errors.count_begun(late, now, came);
        self.lose(now, index, Outcome::Timeout);
    }

    /// Whether the oldest request of a connection had waited for as long as it may when its answer was there, whoever is
    /// looked at first in this turn, the answer or the deadline.
    #[inline]
    pub(super) fn answer_comes_too_late(&mut self, now: Nanos, index: u32) -> bool {
        let Some(flight) = self.flights.oldest(&self.conns[index as usize], index) else {
            return false;
        };
        let limit_ns = self.job.timeouts.request_ns;
        if self.open_loop.is_some() {
            return now.since(flight.intended) >= limit_ns;
        }
        now.since(flight.sent) >= limit_ns
            && self.seen_at(now, &flight).since(flight.sent) >= limit_ns
    }

    /// When an answer that is looked at now was there. What the client did not look at is not the server's doing; but it
    /// will have taken no less than the quickest answer so far.
    #[inline]
    pub(super) fn seen_at(&mut self, now: Nanos, flight: &Flight) -> Nanos {
        let service_ns = now.since(flight.sent);
        if self.looked_late_ns == 0 {
            self.shortest_service_ns = self.shortest_service_ns.min(service_ns);
            return now;
        }
        let least_ns = service_ns.saturating_sub(self.looked_late_ns);
        flight.sent.plus(least_ns.max(self.shortest_service_ns.min(service_ns)))
    }

    /// How much of the age of a request that is given up now is the client's own, for want of a look: it would have been
    /// given up at its limit.
    #[inline]
    pub(super) fn unseen_ns(&self, now: Nanos, flight: &Flight) -> u64 {
        let beyond_ns = now.since(flight.sent).saturating_sub(self.job.timeouts.request_ns);
        self.looked_late_ns.min(beyond_ns)
    }
}
