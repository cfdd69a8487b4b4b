//! A place that a thread of its own writes to: whoever has something for it never waits, however slow it is.
//!
//! What waits to be written is bounded. What does not fit is dropped and counted, and so is what a stalled reader has not
//! taken some time after the end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::Destination;
use crate::exit::Refusal;

/// Bytes that may wait to be written.
const MOST_WAITING_BYTES: usize = 32 << 20;
/// Bytes written at once: a slow reader that takes so many is not a stalled one.
const PIECE_BYTES: usize = 16 << 10;
/// How often the end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// After the end, a reader that takes nothing for so long is given up.
const STALLED_AFTER: Duration = Duration::from_secs(2);
/// And so is one that is not done after so long.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Something to write, and how many entries it holds.
struct Parcel {
    bytes: Vec<u8>,
    entries: u64,
}

/// What the writing thread shows of itself.
#[derive(Debug, Default)]
struct Shown {
    waiting_bytes: AtomicUsize,
    pieces: AtomicU64,
    written: AtomicU64,
    /// The result is whole and is to be put in its place.
    finish: AtomicBool,
}

/// How the writing ended: the place, unless it was finished, and what kept something from being written.
type Ended = (Option<Destination>, Option<Refusal>);

/// A destination, and the thread that writes to it.
#[derive(Debug)]
pub struct Feed {
    parcels: Sender<Parcel>,
    ended: Receiver<Ended>,
    shown: Arc<Shown>,
    offered: u64,
    most_waiting_bytes: usize,
}

/// What became of a feed.
#[derive(Debug, Default)]
pub struct Fed {
    /// Entries that were written whole.
    pub written: u64,
    /// Entries that were not.
    pub dropped: u64,
    /// The place, when it was not to be finished and nobody holds it any more.
    pub place: Option<Destination>,
    /// The first error.
    pub failed: Option<Refusal>,
}

impl Feed {
    /// Starts to write to `place`.
    ///
    /// # Errors
    /// Exit code 7 when no thread can be had.
    pub fn start(place: Destination) -> Result<Self, Refusal> {
        Self::with_room(place, MOST_WAITING_BYTES)
    }

    fn with_room(place: Destination, most_waiting_bytes: usize) -> Result<Self, Refusal> {
        let (parcels, received) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let shown = Arc::new(Shown::default());
        let theirs = Arc::clone(&shown);
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                // Nobody to hear of it means that it took too long.
                let _ = end.send(write_all(place, &received, &theirs));
            })
            .map_err(|error| no_thread(&error))?;
        Ok(Self { parcels, ended, shown, offered: 0, most_waiting_bytes })
    }

    /// Hands over `entries` entries, which `encode` turns into bytes unless so much waits already that they are dropped.
    pub fn push(&mut self, entries: u64, encode: impl FnOnce() -> Vec<u8>) {
        self.offered += entries;
        if self.shown.waiting_bytes.load(Ordering::Acquire) >= self.most_waiting_bytes {
            return;
        }
        let bytes = encode();
        self.shown.waiting_bytes.fetch_add(bytes.len(), Ordering::AcqRel);
        // The thread ends after this feed has.
        let _ = self.parcels.send(Parcel { bytes, entries });
    }

    /// Waits, for a while, until everything is written, and puts a whole file in its place when it is to be finished.
    #[must_use]
    pub fn end(self, finish: bool) -> Fed {
        let Self { parcels, ended, shown, offered, .. } = self;
        shown.finish.store(finish, Ordering::Release);
        drop(parcels);
        let (place, failed) = await_end(&ended, &shown).unwrap_or_default();
        let written = shown.written.load(Ordering::Acquire);
        Fed { written, dropped: offered - written, place, failed }
    }
}

/// How the writing ended; `None` when it did not, and is left to itself.
fn await_end(ended: &Receiver<Ended>, shown: &Shown) -> Option<Ended> {
    let (mut seen, mut still, mut waited) = (0, Duration::ZERO, Duration::ZERO);
    while still < STALLED_AFTER && waited < LONGEST_WAIT {
        match ended.recv_timeout(LOOK_EVERY) {
            Ok(ended) => return Some(ended),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let pieces = shown.pieces.load(Ordering::Acquire);
        still = if pieces == seen { still + LOOK_EVERY } else { Duration::ZERO };
        (seen, waited) = (pieces, waited + LOOK_EVERY);
    }
    None
}

/// The writing thread.
fn write_all(mut place: Destination, parcels: &Receiver<Parcel>, shown: &Shown) -> Ended {
    let mut failed = None;
    for Parcel { bytes, entries } in parcels {
        if failed.is_none() {
            failed = write(&mut place, &bytes, shown).err();
            if failed.is_none() {
                shown.written.fetch_add(entries, Ordering::AcqRel);
            }
        }
        shown.waiting_bytes.fetch_sub(bytes.len(), Ordering::AcqRel);
    }
    if failed.is_some() || !shown.finish.load(Ordering::Acquire) {
        return (Some(place), failed);
    }
    (None, place.finish().err())
}

fn write(place: &mut Destination, bytes: &[u8], shown: &Shown) -> Result<(), Refusal> {
    for piece in bytes.chunks(PIECE_BYTES) {
        place.write(piece)?;
        shown.pieces.fetch_add(1, Ordering::AcqRel);
    }
    Ok(())
}

fn no_thread(error: &io::Error) -> Refusal {
    Refusal::environment(format!(
        "a thread that writes results cannot be started: {error}; raise the limit of processes (ulimit -u)"
    ))
}

#[cfg(test)]
mod tests {
    use super::{Destination, Feed};
    use std::fs::{self, File, OpenOptions};
    use std::io::Read;
    use std::path::PathBuf;
    use std::process::Command;

    fn fifo(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    #[test]
    fn what_is_pushed_is_written_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut feed = Feed::start(Destination::open("--hlog", &path).unwrap()).unwrap();
        for number in 0..1000 {
            feed.push(2, || format!("{number}\n{number}\n").into_bytes());
        }
        let fed = feed.end(true);
        assert_eq!((fed.written, fed.dropped, fed.failed), (2000, 0, None));
        assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 2000);
    }

    #[test]
    fn what_a_stalled_reader_does_not_take_is_dropped_and_counted_and_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(&folder);
        let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let place = Destination::open("--log-requests", &path).unwrap();
        let mut feed = Feed::with_room(place, 1 << 20).unwrap();
        // The pipe holds 64 KiB, the queue a megabyte: most of this has no place.
        let mut encoded = 0;
        for _ in 0..4000 {
            feed.push(1, || {
                encoded += 1;
                vec![b'x'; 1 << 10]
            });
        }
        assert!(encoded < 2500, "{encoded} were encoded");
        let fed = feed.end(true);
        assert_eq!(fed.written + fed.dropped, 4000);
        assert!((1..=64).contains(&fed.written), "{} written", fed.written);
        let mut taken = vec![0; 1 << 10];
        reader.read_exact(&mut taken).unwrap();
        assert_eq!(taken, vec![b'x'; 1 << 10]);
    }

    #[test]
    fn after_an_error_nothing_more_is_written_and_the_rest_is_counted() {
        let mut feed = Feed::start(Destination::open("-o", "/dev/full".as_ref()).unwrap()).unwrap();
        for _ in 0..10 {
            feed.push(1, || b"x".to_vec());
        }
        let fed = feed.end(true);
        assert_eq!((fed.written, fed.dropped), (0, 10));
        assert!(fed.failed.unwrap().message.contains("-o /dev/full"));
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_refused_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(&folder);
        for open in [Destination::open, Destination::open_stream] {
            let refusal = open("--hlog", &path).unwrap_err();
            assert!(
                refusal.message.contains("no program has opened this pipe"),
                "{}",
                refusal.message
            );
        }
        let reader = std::thread::spawn({
            let path = path.clone();
            move || File::open(path).unwrap()
        });
        assert!(
            Destination::open("--hlog", &path).is_ok(),
            "a reader that comes in time is awaited"
        );
        reader.join().unwrap();
    }
}
