//! What the target server counted: its own ledger, to be held against a client's.
//!
//! Each worker thread owns one [`ThreadCounters`] and is its only writer; anyone may read. A sum
//! is taken on demand. Nothing here knows of sockets or of HTTP syntax.
//!
//! Invariants: a request is counted once its head and body were read whole; a response, and its
//! bytes, as the last of it is handed to the kernel, and taken back if the kernel refuses. So
//! whoever has seen a response finds it counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// The kind of path that a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathClass {
    /// `/bytes/N`
    Bytes,
    /// `/chunked/N`
    Chunked,
    /// `/close`
    Close,
    /// `/delay/T`
    Delay,
    /// `/echo`
    Echo,
    /// `/law/...`
    Law,
    /// Anything else, answered with 404.
    Other,
    /// `/`
    Root,
    /// `/status/N`
    Status,
}

impl PathClass {
    /// Every class, in the order of the JSON document.
    pub const ALL: [Self; 9] = [
        Self::Bytes,
        Self::Chunked,
        Self::Close,
        Self::Delay,
        Self::Echo,
        Self::Law,
        Self::Other,
        Self::Root,
        Self::Status,
    ];

    /// The key of this class in the JSON document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Chunked => "chunked",
            Self::Close => "close",
            Self::Delay => "delay",
            Self::Echo => "echo",
            Self::Law => "law",
            Self::Other => "other",
            Self::Root => "root",
            Self::Status => "status",
        }
    }
}

/// The first digit of a final response's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// 200 to 299
    Success,
    /// 300 to 399
    Redirection,
    /// 400 to 499
    ClientError,
    /// 500 to 599
    ServerError,
}

impl StatusClass {
    /// Every class, in the order of the JSON document.
    pub const ALL: [Self; 4] =
        [Self::Success, Self::Redirection, Self::ClientError, Self::ServerError];

    /// The key of this class in the JSON document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }

    /// The class of a final status; interim ones are not counted.
    pub(super) const fn of(status: u16) -> Self {
        match status {
            ..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

/// A sum over all worker threads at one moment.
///
/// What `/counters` itself took (requests, responses, bytes, and a connection that asked for
/// nothing else) is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub connections_accepted: u64,
    /// Bytes of the requests that were consumed, heads and bodies.
    pub bytes_in: u64,
    /// Bytes of the responses, heads and bodies, interim ones too.
    pub bytes_out: u64,
    /// Requests refused as malformed, too large or not supported. They are answered, yet are in
    /// no path class.
    pub malformed: u64,
    requests: [u64; PathClass::ALL.len()],
    responses: [u64; StatusClass::ALL.len()],
}

impl Counters {
    /// Requests read whole whose path is of `class`.
    pub fn requests(&self, class: PathClass) -> u64 {
        self.requests[class as usize]
    }

    /// Requests read whole.
    pub fn requests_total(&self) -> u64 {
        self.requests.iter().sum()
    }

    /// Final responses written whole whose status is of `class`.
    pub fn responses(&self, class: StatusClass) -> u64 {
        self.responses[class as usize]
    }

    /// Final responses written whole.
    pub fn responses_total(&self) -> u64 {
        self.responses.iter().sum()
    }

    /// The document that `/counters` answers with; `laws` are the accounts of the laws in use.
    pub(super) fn to_json(&self, laws: serde_json::Value) -> String {
        let requests: serde_json::Map<_, _> = PathClass::ALL
            .iter()
            .map(|class| (class.name().to_owned(), self.requests(*class).into()))
            .collect();
        let responses: serde_json::Map<_, _> = StatusClass::ALL
            .iter()
            .map(|class| (class.name().to_owned(), self.responses(*class).into()))
            .collect();
        let document = serde_json::json!({
            "connections_accepted": self.connections_accepted,
            "requests": requests,
            "requests_total": self.requests_total(),
            "responses": responses,
            "responses_total": self.responses_total(),
            "malformed": self.malformed,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "laws": laws,
        });
        format!("{document}\n")
    }
}

/// One thread's counts, alone on their cache lines (two, for the adjacent-line prefetcher).
#[derive(Default)]
#[repr(align(128))]
pub(super) struct ThreadCounters {
    pub(super) connections_accepted: Count,
    pub(super) bytes_in: Count,
    pub(super) bytes_out: Count,
    pub(super) malformed: Count,
    requests: [Count; PathClass::ALL.len()],
    responses: [Count; StatusClass::ALL.len()],
}

impl ThreadCounters {
    pub(super) fn requests(&self, class: PathClass) -> &Count {
        &self.requests[class as usize]
    }

    pub(super) fn responses(&self, class: StatusClass) -> &Count {
        &self.responses[class as usize]
    }
}

/// A number with one writer and any number of readers.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// A load and a store instead of a locked add: the owner is the only writer.
    pub(super) fn add(&self, amount: usize) {
        let amount = amount as u64;
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Takes back what was added before.
    pub(super) fn take_back(&self, amount: usize) {
        let amount = amount as u64;
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(amount), Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sums the counts of all threads.
pub(super) fn sum(threads: &[ThreadCounters]) -> Counters {
    let mut total = Counters::default();
    for thread in threads {
        total.connections_accepted += thread.connections_accepted.read();
        total.bytes_in += thread.bytes_in.read();
        total.bytes_out += thread.bytes_out.read();
        total.malformed += thread.malformed.read();
        for (sum, count) in total.requests.iter_mut().zip(&thread.requests) {
            *sum += count.read();
        }
        for (sum, count) in total.responses.iter_mut().zip(&thread.responses) {
            *sum += count.read();
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_adds_every_thread() {
        let threads = [ThreadCounters::default(), ThreadCounters::default()];
        threads[0].requests(PathClass::Root).add(2);
        threads[1].requests(PathClass::Root).add(3);
        threads[1].responses(StatusClass::of(404)).add(1);
        let total = sum(&threads);
        assert_eq!(total.requests(PathClass::Root), 5);
        assert_eq!(total.responses(StatusClass::ClientError), 1);
    }

    #[test]
    fn classes_index_their_own_slot() {
        for (index, class) in PathClass::ALL.iter().enumerate() {
            assert_eq!(*class as usize, index);
        }
        for (index, class) in StatusClass::ALL.iter().enumerate() {
            assert_eq!(*class as usize, index);
        }
    }
}
