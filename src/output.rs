//! Where results go: standard output or files that are replaced in one step when they are whole.
//!
//! What is written while a run goes on is written by [`Feed`], which nobody waits for.

mod feed;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::exit::{Refusal, Signal};
use crate::files;
use crate::machine::sys;
use crate::target;
pub use feed::{Fed, Feed};

/// A pipe that can be written to takes this many bytes without a wait (PIPE_BUF).
const PIECE_BYTES: usize = 4096;
/// How long one look at a reader lasts, in milliseconds.
const LOOK_MS: i32 = 50;
/// Looks before a wait is announced, and can be ended by a signal: a second.
const LOOKS_IN_SILENCE: u32 = 20;
/// Looks before a reader that takes nothing is given up: ten seconds.
const MOST_LOOKS: u32 = 200;

/// Where the number of the last signal is noted that nobody has taken yet.
static SIGNALED: Mutex<Option<Arc<AtomicUsize>>> = Mutex::new(None);

/// Lets a signal end the wait for a reader from here on; its number is noted in `last`, where 0 is none.
pub fn end_waits_by(last: Arc<AtomicUsize>) {
    *SIGNALED.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
}

/// The signal that came and was not taken.
fn pending_signal() -> Option<Signal> {
    let signaled = SIGNALED.lock().unwrap_or_else(PoisonError::into_inner);
    Signal::of(signaled.as_ref()?.load(Ordering::Relaxed))
}

/// A place for one result, opened before the run so that a path that cannot be written is refused at once.
#[derive(Debug)]
pub struct Destination {
    flag: &'static str,
    path: PathBuf,
    place: Place,
    /// Somebody has had the first byte.
    begun: bool,
}

#[derive(Debug)]
enum Place {
    /// Standard output, past the buffer of the standard library: what was written has been taken.
    Stdout(File),
    /// A pipe, a terminal or a device: written as it is.
    Stream(File),
    /// A file that others may read while it grows. It keeps its old content, if it has any, until it is begun.
    Growing { file: File, path: PathBuf, old: bool, begun: bool },
    /// A regular file: written beside its final name, then renamed.
    Replaced { file: File, beside: PathBuf, target: PathBuf },
}

/// What became of something that was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Taken {
    Whole,
    /// The reader went away after the first byte: this was not taken whole, and nothing more will be.
    ReaderGone,
}

impl Destination {
    /// Opens `path` for the result of `flag`; `-` is standard output. A regular file keeps its old content until
    /// [`Destination::finish`].
    ///
    /// # Errors
    /// Exit code 8 and the reason why nothing can be written there.
    pub fn open(flag: &'static str, path: &Path) -> Result<Self, Refusal> {
        let place = if path == Path::new("-") { open_stdout() } else { open_place(path) };
        Self::opened(flag, path, place)
    }

    /// Opens `path` for a result that others may read while it grows: a regular file loses its old content with
    /// [`Destination::begin`].
    ///
    /// # Errors
    /// Exit code 8 and the reason why nothing can be written there.
    pub fn open_stream(flag: &'static str, path: &Path) -> Result<Self, Refusal> {
        let place = if path == Path::new("-") { open_stdout() } else { open_growing(path) };
        Self::opened(flag, path, place)
    }

    fn opened(flag: &'static str, path: &Path, place: io::Result<Place>) -> Result<Self, Refusal> {
        let place = place.map_err(|error| {
            Refusal::output(format!(
                "{flag} {}: {error}; name a file that can be written",
                path.display()
            ))
        })?;
        Ok(Self { flag, path: path.to_owned(), place, begun: false })
    }

    /// Whether this is standard output.
    #[must_use]
    pub fn is_stdout(&self) -> bool {
        matches!(self.place, Place::Stdout(_))
    }

    /// Empties a file that will grow: from here on there is a result.
    ///
    /// # Errors
    /// Exit code 8.
    pub fn begin(&mut self) -> Result<(), Refusal> {
        let Place::Growing { file, begun, .. } = &mut self.place else { return Ok(()) };
        *begun = true;
        // Pipes and devices have nothing to lose.
        let is_file = file.metadata().is_ok_and(|known| known.is_file());
        let emptied = if is_file { file.set_len(0) } else { Ok(()) };
        emptied.map_err(|error| self.refusal(&error))
    }

    /// Adds to the result.
    ///
    /// # Errors
    /// Exit code 8; also when the reader of a named pipe takes nothing for 10 s. That of standard output may take its time,
    /// as a pager does. A signal ends both waits, with its own exit code. A reader that went away after the first byte is no
    /// error: it has seen what it wanted.
    pub fn write(&mut self, text: impl AsRef<[u8]>) -> Result<(), Refusal> {
        let most_looks = if self.is_stdout() { u32::MAX } else { MOST_LOOKS };
        self.write_within(most_looks, text.as_ref())
    }

    fn write_within(&mut self, most_looks: u32, bytes: &[u8]) -> Result<(), Refusal> {
        if !matches!(self.place, Place::Stdout(_) | Place::Stream(_)) {
            return self.offer(bytes).map(|_| ());
        }
        for piece in bytes.chunks(PIECE_BYTES) {
            self.await_reader(most_looks)?;
            if self.offer(piece)? == Taken::ReaderGone {
                break;
            }
        }
        Ok(())
    }

    /// Waits until there is room for a piece.
    fn await_reader(&self, most_looks: u32) -> Result<(), Refusal> {
        let (Place::Stdout(file) | Place::Stream(file)) = &self.place else { return Ok(()) };
        let mut looks = 0;
        while !sys::wait_for(file.as_raw_fd(), true, LOOK_MS) {
            looks += 1;
            let place = || format!("{} {}", self.flag, self.path.display());
            if looks >= most_looks {
                return Err(Refusal::output(format!(
                    "{}: its reader has taken nothing for {} s, so the result is incomplete; let the reader read to the end, or name a file",
                    place(),
                    most_looks * LOOK_MS.unsigned_abs() / 1000
                )));
            }
            // A signal of the last moment of a run must not cost the report of a reader that is only slow.
            if let Some(signal) = pending_signal().filter(|_| looks >= LOOKS_IN_SILENCE) {
                let message = format!(
                    "{}: stopped by {} while its reader took nothing, so the result is incomplete",
                    place(),
                    signal.name()
                );
                return Err(Refusal { message, code: signal.exit_code() });
            }
            if looks == LOOKS_IN_SILENCE && !self.is_stdout() {
                eprintln!("maxq: waiting for the reader of {}", place());
            }
        }
        Ok(())
    }

    /// The same, for those who count what was taken.
    fn offer(&mut self, bytes: &[u8]) -> Result<Taken, Refusal> {
        let (Place::Stdout(file)
        | Place::Stream(file)
        | Place::Growing { file, .. }
        | Place::Replaced { file, .. }) = &mut self.place;
        match write_all(file, bytes, &mut self.begun) {
            Ok(()) => Ok(Taken::Whole),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.begun => {
                Ok(Taken::ReaderGone)
            }
            Err(error) => Err(self.refusal(&error)),
        }
    }

    /// Whether there is no result before [`Destination::finish`].
    fn is_replaced(&self) -> bool {
        matches!(self.place, Place::Replaced { .. })
    }

    /// Why a result is not whole that is not waited for any longer.
    fn given_up(&self) -> Refusal {
        let why = match &self.place {
            Place::Replaced { beside, .. } => format!(
                "the disk took too long to store the file, which may be left as {}; name a file on a faster disk",
                beside.display()
            ),
            _ => "whoever reads it took too long; the output is incomplete".to_owned(),
        };
        Refusal::output(format!("{} {}: {why}", self.flag, self.path.display()))
    }

    /// Puts a whole file in its place.
    ///
    /// # Errors
    /// Exit code 8.
    pub fn finish(mut self) -> Result<(), Refusal> {
        let Place::Replaced { file, beside, target } = &mut self.place else {
            return Ok(());
        };
        let finished = file.sync_all().and_then(|()| fs::rename(&*beside, &*target));
        finished.map_err(|error| self.refusal(&error))
    }

    /// Leaves nothing behind, not even of a file that grew.
    pub fn discard(self) {
        if let Place::Growing { file, path, begun: true, .. } = &self.place
            && file.metadata().is_ok_and(|known| known.is_file())
        {
            drop(fs::remove_file(path));
        }
    }

    fn refusal(&self, error: &io::Error) -> Refusal {
        Refusal::output(format!(
            "{} {}: {error}; the result could not be written",
            self.flag,
            self.path.display()
        ))
    }
}

impl Drop for Destination {
    /// What was not finished leaves nothing behind.
    fn drop(&mut self) {
        match &self.place {
            // After a successful rename there is nothing by that name any more.
            Place::Replaced { beside, .. } => drop(fs::remove_file(beside)),
            Place::Growing { path, old: false, begun: false, .. } => drop(fs::remove_file(path)),
            _ => {}
        }
    }
}

/// The file that `path` names: a link is followed once, here, so that the file is replaced and not the link.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if !fs::symlink_metadata(path).is_ok_and(|known| known.is_symlink()) => {
            // What is not there yet will be made.
            if error.kind() == io::ErrorKind::NotFound { Ok(path.to_owned()) } else { Err(error) }
        }
        Err(error) => Err(io::Error::new(error.kind(), format!("it is a link, and: {error}"))),
        Ok(path) => Ok(path),
    }
}

/// What is there and is not a regular file, open. Links to it are not followed by name first: `/dev/fd/63` leads to a pipe
/// that has none.
fn open_special(path: &Path) -> Option<io::Result<File>> {
    let special = fs::metadata(path).is_ok_and(|known| !known.is_file());
    special.then(|| files::open_special_for_writing(path))
}

fn open_growing(path: &Path) -> io::Result<Place> {
    if let Some(file) = open_special(path) {
        return Ok(Place::Stream(file?));
    }
    let path = resolve(path)?;
    let old = path.exists();
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
    Ok(Place::Growing { file, path, old, begun: false })
}

fn open_place(path: &Path) -> io::Result<Place> {
    if let Some(file) = open_special(path) {
        return Ok(Place::Stream(file?));
    }
    let path = resolve(path)?;
    match fs::metadata(&path) {
        Ok(known) if known.permissions().readonly() => {
            return Err(io::Error::other("it is read-only"));
        }
        Ok(_) | Err(_) => {}
    }
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.partial", std::process::id()));
    let beside = path.with_file_name(temporary);
    let file = OpenOptions::new().write(true).create_new(true).open(&beside)?;
    Ok(Place::Replaced { file, beside, target: path })
}

/// Another descriptor of standard output.
fn open_stdout() -> io::Result<Place> {
    if sys::was_stdout_closed() {
        return Err(io::Error::other("standard output is closed"));
    }
    Ok(Place::Stdout(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
}

/// Writes all of `bytes`, and notes that the first one was taken.
fn write_all(file: &mut File, mut bytes: &[u8], begun: &mut bool) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => {
                *begun = true;
                bytes = &bytes[length..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes to standard error what is for people. Nobody can be told that this fails, and it is no reason to end a run: the
/// terminal may have been closed, or the reader have gone. Whatever it is, passwords of URLs are not shown.
pub fn tell(text: std::fmt::Arguments<'_>) {
    // In one piece: several processes may share a terminal.
    let text = target::mask_urls(&text.to_string());
    drop(io::stderr().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::Destination;
    use crate::exit::OUTPUT;
    use std::fs;
    use std::path::Path;

    #[test]
    fn a_file_keeps_its_old_content_until_the_new_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        fs::write(&path, "old").unwrap();
        let mut destination = Destination::open("-o", &path).unwrap();
        destination.write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        destination.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut destination = Destination::open("-o", &folder.path().join("run.json")).unwrap();
        destination.write("half").unwrap();
        drop(destination);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_written_is_refused_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/nonexistent/run.json"), Path::new("/proc/run.json")]
        {
            let refusal = Destination::open("-o", path).unwrap_err();
            assert_eq!(refusal.code, OUTPUT);
            assert!(refusal.message.contains("-o "), "{}", refusal.message);
        }
    }

    #[test]
    fn a_pipe_that_has_no_name_of_its_own_is_written_to() {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        let (mut reader, writer) = std::io::pipe().unwrap();
        let path = format!("/dev/fd/{}", writer.as_raw_fd());
        for open in [Destination::open, Destination::open_stream] {
            let mut destination = open("-o", Path::new(&path)).unwrap();
            destination.begin().unwrap();
            destination.write("result").unwrap();
            destination.finish().unwrap();
            let mut bytes = [0; 6];
            reader.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"result");
        }
    }

    #[test]
    fn a_full_device_is_an_error() {
        let mut destination = Destination::open("-o", Path::new("/dev/full")).unwrap();
        assert_eq!(destination.write("x").unwrap_err().code, OUTPUT);
    }

    #[test]
    fn a_reader_that_goes_away_is_forgiven_from_the_first_byte_on() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let open = || {
            let reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
            (reader, Destination::open("-o", &pipe).unwrap())
        };
        let (reader, mut early) = open();
        drop(reader);
        let refusal = early.write("x").unwrap_err();
        assert_eq!(refusal.code, OUTPUT, "{}", refusal.message);
        let (reader, mut late) = open();
        late.write("x").unwrap();
        drop(reader);
        late.write("y").unwrap();
    }

    #[test]
    fn a_reader_that_takes_nothing_is_given_up_and_one_that_is_slow_is_not() {
        use std::io::Read;
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        let mut stalled = Destination::open("--hgrm", &pipe).unwrap();
        // More than a pipe holds.
        let refusal = stalled.write_within(3, &vec![b'x'; 1 << 20]).unwrap_err();
        assert_eq!(refusal.code, OUTPUT);
        for part in ["--hgrm ", "pipe", "its reader has taken nothing", "incomplete"] {
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
        let slow = std::thread::spawn(move || {
            let mut left = vec![0; 2 << 20];
            let mut bytes = 0;
            while bytes < 3 << 19 {
                std::thread::sleep(std::time::Duration::from_millis(20));
                bytes += reader.read(&mut left[..1 << 17]).unwrap();
            }
        });
        // Half a second of waits, none of which is long.
        stalled.write_within(40, &vec![b'x'; 3 << 19]).unwrap();
        slow.join().unwrap();
    }

    #[test]
    fn a_link_that_leads_nowhere_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let link = |name: &str, to: &str| {
            std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        };
        link("dangling", "nothing");
        link("loop", "back");
        link("back", "loop");
        for name in ["dangling", "loop"] {
            let path = folder.path().join(name);
            for open in [Destination::open, Destination::open_stream] {
                let refusal = open("-o", &path).unwrap_err();
                assert!(refusal.message.contains("it is a link"), "{}", refusal.message);
            }
            assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_grows_behind_a_link_is_removed_and_the_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Destination::open_stream("--timeseries", &link).unwrap().discard();
        assert_eq!(fs::read_to_string(&file).unwrap(), "old", "nothing was begun");
        let mut begun = Destination::open_stream("--timeseries", &link).unwrap();
        begun.begin().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "");
        begun.discard();
        assert!(!file.exists() && fs::symlink_metadata(&link).is_ok());
    }

    #[test]
    fn a_link_to_a_file_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mut destination = Destination::open("-o", &link).unwrap();
        destination.write("new").unwrap();
        destination.finish().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
