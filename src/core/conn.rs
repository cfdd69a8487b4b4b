//! One connection: its place in life, the response in progress, and the stamps of what is in flight on it.
//!
//! Owned by a worker. It knows neither sockets nor clocks, and decides nothing about the run.

use crate::core::http1::ResponseReader;
use crate::core::schedule::PhaseIndex;
use crate::time::Nanos;

/// Generations wrap here, so that one fits beside an index and an operation in 64 bits.
pub const GENERATIONS: u32 = 1 << 24;

/// A connection at one time: a later one in the same place has another generation, so that late news of the earlier one
/// is recognised and dropped.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ConnId {
    /// Its place among the worker's connections.
    pub index: u32,
    /// How often that place was used before, modulo [`GENERATIONS`].
    pub generation: u32,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Not to be opened (again).
    Closed,
    /// To be opened at `until`.
    Waiting {
        /// The end of the back-off.
        until: Nanos,
    },
    /// Being opened.
    Connecting {
        /// When that began.
        since: Nanos,
    },
    /// Open, and agreeing on keys.
    Securing {
        /// When it began to be opened.
        since: Nanos,
        /// When it was open.
        from: Nanos,
    },
    /// Ready for requests, or busy with them.
    Open,
}

/// How the bytes of a connection are received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Receiving {
    /// Whatever comes, until further notice.
    Many,
    /// One piece at a time, so that the rest of a large body can be discarded in the kernel.
    Once,
}

/// A request that was taken and not yet answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Flight {
    /// When it was to be sent by the schedule; in a closed loop, when it came into being.
    pub intended: Nanos,
    /// When it was handed to the kernel.
    pub sent: Nanos,
}

/// What only an open loop or a log of requests needs to know of a flight.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Detail {
    /// Number of the request, unique within the run.
    pub number: u64,
    /// How long it was due while no connection was free, in nanoseconds.
    pub pool_ns: u64,
    /// The phase that it belongs to.
    pub phase: PhaseIndex,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Conn {
    /// Where it is in its life.
    pub state: State,
    /// The response in progress.
    pub reader: ResponseReader,
    /// When the first byte of the response in progress came, if it did not come whole.
    pub first_byte: Option<Nanos>,
    /// How it receives.
    pub receiving: Receiving,
    /// A send is under way that must end before the next one.
    pub sending: bool,
    /// When it was last open; `NEVER` while it is, or when it never was.
    pub lost_at: Nanos,
    /// It was open, and an attempt to open it again has failed since.
    pub missing: bool,
    /// It waits although its last attempt succeeded: it was closed before it was given a request.
    pub resting: bool,
    /// Whether its first attempt to open has ended.
    pub settled: bool,
    /// Whether it was ever open.
    pub was_open: bool,
    /// It is known to have room for the next request that is due.
    pub offered: bool,
    generation: u32,
    /// Place of the oldest flight in the connection's ring.
    oldest: u32,
    /// Flights in the ring.
    in_flight: u32,
    /// Attempts in a row that failed, or opened a connection that closed before it was given a request.
    pub fruitless: u32,
    /// Requests taken since it was opened.
    pub taken: u64,
    /// Whole responses since it was opened.
    pub answered: u64,
    /// Whole responses ever.
    pub responses: u64,
}

impl Conn {
    /// A connection that was never opened.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Closed,
            reader: ResponseReader::new(),
            first_byte: None,
            receiving: Receiving::Once,
            sending: false,
            lost_at: Nanos::NEVER,
            missing: false,
            resting: false,
            settled: false,
            was_open: false,
            offered: false,
            generation: 0,
            oldest: 0,
            in_flight: 0,
            fruitless: 0,
            taken: 0,
            answered: 0,
            responses: 0,
        }
    }

    /// Its generation now.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Requests taken and not answered.
    #[inline]
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Starts a new life: what is known of the old one no longer holds, and late news of it will be dropped.
    pub fn renew(&mut self) {
        debug_assert_eq!(self.in_flight, 0, "flights end before their connection does");
        self.generation = (self.generation + 1) % GENERATIONS;
        self.reader.reset();
        self.first_byte = None;
        self.receiving = Receiving::Once;
        self.sending = false;
        self.offered = false;
        self.oldest = 0;
        self.taken = 0;
        self.answered = 0;
    }
}

impl Default for Conn {
    fn default() -> Self {
        Self::new()
    }
}

/// The stamps of all that is in flight on a worker's connections: one ring of `depth` places a connection, in one block.
#[derive(Clone, Debug)]
pub struct Flights {
    places: Vec<Flight>,
    /// Beside the places; empty when nobody needs them.
    details: Vec<Detail>,
    depth: u32,
}

impl Flights {
    /// Room for `depth` requests in flight on each of `connections`, with or without details.
    #[must_use]
    pub fn new(connections: u32, depth: u32, detailed: bool) -> Self {
        let places = connections as usize * depth as usize;
        let details = if detailed { places } else { 0 };
        Self {
            places: vec![Flight::default(); places],
            details: vec![Detail::default(); details],
            depth,
        }
    }

    /// Adds `count` flights, at least one, intended at the same time; they are sent when [`Flights::stamp`] says so.
    /// Returns the ring place of the first.
    #[inline]
    pub fn take(&mut self, conn: &mut Conn, index: u32, count: u32, intended: Nanos) -> u32 {
        debug_assert!(
            conn.in_flight + count <= self.depth,
            "no more in flight than the ring holds"
        );
        let first = self.wrapped(conn.oldest + conn.in_flight);
        conn.in_flight += count;
        let depth = self.depth;
        let ring = self.ring(index);
        let mut place = first;
        for _ in 1..count {
            ring[place as usize] = Flight { intended, sent: intended };
            place = next(place, depth);
        }
        ring[place as usize] = Flight { intended, sent: intended };
        first
    }

    /// Stamps `count` flights, at least one, from ring place `first` on, as sent.
    #[inline]
    pub fn stamp(&mut self, index: u32, first: u32, count: u32, sent: Nanos) {
        let depth = self.depth;
        let ring = self.ring(index);
        let mut place = first;
        for _ in 1..count {
            ring[place as usize].sent = sent;
            place = next(place, depth);
        }
        ring[place as usize].sent = sent;
    }

    /// Tells the details of the flight in a ring place, where they are kept.
    #[inline]
    pub fn describe(&mut self, index: u32, place: u32, detail: Detail) {
        let at = index as usize * self.depth as usize + place as usize;
        if let Some(known) = self.details.get_mut(at) {
            *known = detail;
        }
    }

    /// The details of the oldest flight; those of none where they are not kept.
    #[inline]
    #[must_use]
    pub fn oldest_detail(&self, conn: &Conn, index: u32) -> Detail {
        let at = index as usize * self.depth as usize + conn.oldest as usize;
        self.details.get(at).copied().unwrap_or_default()
    }

    /// The oldest flight, removed; `None` when there is none.
    #[inline]
    pub fn end_oldest(&mut self, conn: &mut Conn, index: u32) -> Option<Flight> {
        let oldest = self.oldest(conn, index)?;
        conn.oldest = next(conn.oldest, self.depth);
        conn.in_flight -= 1;
        Some(oldest)
    }

    /// How many of the oldest flights have the stamps of the very oldest.
    #[inline]
    #[must_use]
    pub fn alike(&self, conn: &Conn, index: u32) -> usize {
        let Some(oldest) = self.oldest(conn, index) else { return 0 };
        let start = index as usize * self.depth as usize;
        let ring = &self.places[start..start + self.depth as usize];
        let (before, after) = ring.split_at(conn.oldest as usize);
        let in_flight = after.iter().chain(before).take(conn.in_flight as usize);
        in_flight.take_while(|flight| **flight == oldest).count()
    }

    /// Removes the oldest `count` flights; there are as many.
    #[inline]
    pub fn end(&self, conn: &mut Conn, count: u32) {
        debug_assert!(count <= conn.in_flight, "what ends was in flight");
        conn.oldest = self.wrapped(conn.oldest + count);
        conn.in_flight -= count;
    }

    /// The oldest flight.
    #[inline]
    #[must_use]
    pub fn oldest(&self, conn: &Conn, index: u32) -> Option<Flight> {
        if conn.in_flight == 0 {
            return None;
        }
        self.places.get(index as usize * self.depth as usize + conn.oldest as usize).copied()
    }

    /// All that is in flight on a connection, oldest first.
    pub fn of(&self, conn: &Conn, index: u32) -> impl Iterator<Item = &Flight> {
        let start = index as usize * self.depth as usize;
        let ring = &self.places[start..start + self.depth as usize];
        let (oldest, in_flight) = (conn.oldest as usize, conn.in_flight as usize);
        ring.iter().cycle().skip(oldest).take(in_flight)
    }

    #[inline]
    fn ring(&mut self, index: u32) -> &mut [Flight] {
        let start = index as usize * self.depth as usize;
        &mut self.places[start..start + self.depth as usize]
    }

    #[inline]
    fn wrapped(&self, place: u32) -> u32 {
        if place >= self.depth { place - self.depth } else { place }
    }
}

/// The ring place after `place`.
#[inline]
fn next(place: u32, depth: u32) -> u32 {
    if place + 1 == depth { 0 } else { place + 1 }
}

const _: () = assert!(size_of::<Conn>() <= 192, "an idle connection stays small");

#[cfg(test)]
mod tests {
    use super::{Conn, Flights};
    use crate::time::Nanos;

    #[test]
    fn flights_leave_in_the_order_in_which_they_came_around_the_ring() {
        let mut flights = Flights::new(2, 3, false);
        let mut conn = Conn::new();
        let mut next_in = 0;
        let mut next_out = 0;
        for round in 0..10 {
            let count = 1 + round % 3;
            while conn.in_flight() + count > 3 {
                assert_eq!(
                    flights.end_oldest(&mut conn, 1).map(|flight| flight.intended),
                    Some(Nanos(next_out))
                );
                next_out += 1;
            }
            for _ in 0..count {
                flights.take(&mut conn, 1, 1, Nanos(next_in));
                next_in += 1;
            }
        }
        while let Some(flight) = flights.end_oldest(&mut conn, 1) {
            assert_eq!(flight.intended, Nanos(next_out));
            next_out += 1;
        }
        assert_eq!(next_out, next_in);
    }

    #[test]
    fn a_stamp_reaches_exactly_its_flights() {
        let mut flights = Flights::new(1, 4, false);
        let mut conn = Conn::new();
        flights.take(&mut conn, 0, 3, Nanos(1));
        flights.end_oldest(&mut conn, 0);
        flights.end_oldest(&mut conn, 0);
        let first = flights.take(&mut conn, 0, 3, Nanos(2));
        flights.stamp(0, first, 3, Nanos(7));
        let sent: Vec<_> = std::iter::from_fn(|| flights.end_oldest(&mut conn, 0))
            .map(|flight| flight.sent.0)
            .collect();
        assert_eq!(sent, [1, 7, 7, 7]);
    }

    #[test]
    fn a_renewed_connection_has_another_generation() {
        let mut conn = Conn::new();
        let before = conn.generation();
        conn.renew();
        assert_ne!(conn.generation(), before);
    }
}
