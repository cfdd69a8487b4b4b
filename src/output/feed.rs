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

use super::{Destination, Taken};
use crate::exit::Refusal;

/// Bytes written at once: a slow reader that takes so many is not a stalled one.
const PIECE_BYTES: usize = 16 << 10;
/// How often the end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const LIMITS: Limits = Limits {
    waiting_bytes: 32 << 20,
    stalled_after: Duration::from_secs(2),
    longest_wait: Duration::from_secs(30),
};

/// How much is kept for a place, and for how long.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Bytes that may wait to be written.
    waiting_bytes: usize,
    /// After the end, a reader that takes nothing for so long is given up.
    stalled_after: Duration,
    /// And so is one that is not done after so long, and a disk that has not stored the file by then.
    longest_wait: Duration,
}

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
    /// All is written, and the result is being put in its place, which may take the disk a while.
    finishing: AtomicBool,
}

/// How the writing ended.
#[derive(Debug, Default)]
struct Ended {
    /// The place, unless it was finished.
    place: Option<Destination>,
    /// What kept something from being written.
    failed: Option<Refusal>,
    reader_gone: bool,
}

/// A destination, and the thread that writes to it.
#[derive(Debug)]
pub struct Feed {
    parcels: Sender<Parcel>,
    ended: Receiver<Ended>,
    shown: Arc<Shown>,
    offered: u64,
    limits: Limits,
    /// There is no result before it was put in its place.
    replaced: bool,
    is_stdout: bool,
    /// What to say when the thread is not waited for any longer.
    given_up: Refusal,
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
    /// The reader went away in between.
    pub reader_gone: bool,
    /// The place is standard output.
    pub is_stdout: bool,
}

impl Feed {
    /// Starts to write to `place`.
    ///
    /// # Errors
    /// Exit code 7 when no thread can be had.
    pub fn start(place: Destination) -> Result<Self, Refusal> {
        Self::within(place, LIMITS)
    }

    fn within(place: Destination, limits: Limits) -> Result<Self, Refusal> {
        let (replaced, is_stdout) = (place.is_replaced(), place.is_stdout());
        let given_up = place.given_up();
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
        Ok(Self { parcels, ended, shown, offered: 0, limits, replaced, is_stdout, given_up })
    }

    /// Hands over `entries` entries, which `encode` turns into bytes unless so much waits already that they are dropped.
    pub fn push(&mut self, entries: u64, encode: impl FnOnce() -> Vec<u8>) {
        self.offered += entries;
        if self.shown.waiting_bytes.load(Ordering::Acquire) >= self.limits.waiting_bytes {
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
        let Self { parcels, ended, shown, offered, limits, replaced, is_stdout, given_up } = self;
        shown.finish.store(finish, Ordering::Release);
        drop(parcels);
        let known = await_end(&ended, &shown, limits);
        let is_done = known.is_some();
        let Ended { place, mut failed, reader_gone } = known.unwrap_or_default();
        let mut written = shown.written.load(Ordering::Acquire);
        if replaced && (!is_done || failed.is_some()) {
            // What was written is in no file that anybody will find.
            written = 0;
        }
        let dropped = offered - written;
        if !is_done && (replaced || dropped == 0) {
            failed = Some(given_up);
        }
        Fed { written, dropped, place, failed, reader_gone, is_stdout }
    }
}

/// How the writing ended; `None` when it did not, and is left to itself.
fn await_end(ended: &Receiver<Ended>, shown: &Shown, limits: Limits) -> Option<Ended> {
    let (mut seen, mut still, mut waited) = (0, Duration::ZERO, Duration::ZERO);
    while still < limits.stalled_after && waited < limits.longest_wait {
        match ended.recv_timeout(LOOK_EVERY) {
            Ok(ended) => return Some(ended),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let pieces = shown.pieces.load(Ordering::Acquire);
        let moves = pieces != seen || shown.finishing.load(Ordering::Acquire);
        still = if moves { Duration::ZERO } else { still + LOOK_EVERY };
        (seen, waited) = (pieces, waited + LOOK_EVERY);
    }
    None
}

/// The writing thread.
fn write_all(mut place: Destination, parcels: &Receiver<Parcel>, shown: &Shown) -> Ended {
    let (mut failed, mut reader_gone) = (None, false);
    for Parcel { bytes, entries } in parcels {
        if failed.is_none() && !reader_gone {
            match write(&mut place, &bytes, shown) {
                Ok(Taken::Whole) => drop(shown.written.fetch_add(entries, Ordering::AcqRel)),
                Ok(Taken::ReaderGone) => reader_gone = true,
                Err(refusal) => failed = Some(refusal),
            }
        }
        shown.waiting_bytes.fetch_sub(bytes.len(), Ordering::AcqRel);
    }
    if failed.is_some() || !shown.finish.load(Ordering::Acquire) {
        return Ended { place: Some(place), failed, reader_gone };
    }
    shown.finishing.store(true, Ordering::Release);
    Ended { place: None, failed: place.finish().err(), reader_gone }
}

fn write(place: &mut Destination, bytes: &[u8], shown: &Shown) -> Result<Taken, Refusal> {
    for piece in bytes.chunks(PIECE_BYTES) {
        if place.offer(piece)? == Taken::ReaderGone {
            return Ok(Taken::ReaderGone);
        }
        shown.pieces.fetch_add(1, Ordering::AcqRel);
    }
    Ok(Taken::Whole)
}

fn no_thread(error: &io::Error) -> Refusal {
    Refusal::environment(format!(
        "a thread that writes results cannot be started: {error}; raise the limit of processes (ulimit -u)"
    ))
}

#[cfg(test)]
mod tests {
    use super::{Destination, Ended, Feed, LIMITS, Limits, Ordering, Shown, await_end};
    use std::fs::{self, File, OpenOptions};
    use std::io::Read;
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

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
        let mut feed = Feed::within(place, Limits { waiting_bytes: 1 << 20, ..LIMITS }).unwrap();
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
    fn what_a_reader_that_left_has_not_taken_is_counted_and_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = fifo(&folder);
        let mut reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut feed =
            Feed::start(Destination::open_stream("--timeseries", &path).unwrap()).unwrap();
        feed.push(1, || b"first".to_vec());
        reader.read_exact(&mut [0; 5]).unwrap();
        drop(reader);
        while feed.shown.written.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        for _ in 0..10 {
            feed.push(3, || b"more".to_vec());
        }
        let fed = feed.end(true);
        assert_eq!((fed.written, fed.dropped, fed.failed), (1, 30, None));
        assert!(fed.reader_gone && !fed.is_stdout);
    }

    #[test]
    fn a_disk_that_takes_its_time_to_store_a_file_is_awaited() {
        let (end, ended) = mpsc::channel();
        let shown = Arc::new(Shown::default());
        let limits = Limits { stalled_after: Duration::from_millis(100), ..LIMITS };
        std::thread::spawn({
            let shown = Arc::clone(&shown);
            move || {
                shown.finishing.store(true, Ordering::Release);
                std::thread::sleep(Duration::from_millis(500));
                end.send(Ended::default()).unwrap();
            }
        });
        assert!(await_end(&ended, &shown, limits).is_some());
    }

    #[test]
    fn a_file_that_is_never_stored_is_refused_and_none_of_it_counts_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let place = Destination::open("--log-requests", &path).unwrap();
        let limits = Limits { longest_wait: Duration::from_millis(200), ..LIMITS };
        let mut feed = Feed::within(place, limits).unwrap();
        feed.push(7, || b"x".to_vec());
        while feed.shown.written.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        // From here on the disk stands still: nobody says that the writing ended.
        let (_end, ended) = mpsc::channel();
        feed.ended = ended;
        feed.shown.finishing.store(true, Ordering::Release);
        let fed = feed.end(true);
        assert_eq!((fed.written, fed.dropped), (0, 7));
        let refusal = fed.failed.unwrap();
        assert_eq!(refusal.code, crate::exit::OUTPUT);
        assert!(refusal.message.contains("--log-requests "), "{}", refusal.message);
        assert!(refusal.message.contains(path.to_str().unwrap()), "{}", refusal.message);
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
