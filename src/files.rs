//! Files that the user names, opened and read without a silent wait.
//!
//! Owned by the control plane. What is at the other end of a pipe may be slow, late, or not there at all: a wait says what
//! it waits for, and a pipe that has no other end is refused. What cannot hold a result or an input, like a folder, is
//! refused by what it is.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::machine::sys;

/// How long one look at a pipe lasts, in milliseconds.
const LOOK_MS: i32 = 50;
/// Looks before a wait is announced: a second.
const LOOKS_IN_SILENCE: u32 = 20;
/// Looks before a pipe without another end is refused: ten seconds.
const MOST_LOOKS: u32 = 200;
/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// The whole content of `path`. A file of more than `most_bytes` is read only a little further, so that the length
/// tells.
///
/// # Errors
/// The operating system's, or why nothing can be read there: a folder, a block device, a socket, a pipe that no program
/// opens for writing.
pub(crate) fn read(path: &Path, most_bytes: u64) -> io::Result<Vec<u8>> {
    refuse_unusable(fs::metadata(path)?.file_type())?;
    // Without a writer, a plain open of a named pipe would wait for one, and nothing could say so.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    Input { from: file, name: path.display().to_string().escape_debug().to_string(), named: true }
        .read_to_end(most_bytes)
}

/// All of standard input; of more than `most_bytes` a little more than those.
///
/// # Errors
/// The operating system's.
pub(crate) fn read_stdin(most_bytes: u64) -> io::Result<Vec<u8>> {
    let stdin = io::stdin().lock();
    Input { from: stdin, name: "standard input".to_owned(), named: false }.read_to_end(most_bytes)
}

/// Opens what is there already and is not a regular file for writing: a pipe, a terminal, a device.
///
/// # Errors
/// The operating system's, or why nothing can be written there: a folder, a block device, a socket, a pipe that no program
/// opens for reading.
pub(crate) fn open_special_for_writing(path: &Path) -> io::Result<File> {
    refuse_unusable(fs::metadata(path)?.file_type())?;
    let mut looks = 0;
    loop {
        let opened = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path);
        match opened {
            Ok(file) => {
                // From here on a write may wait, as everywhere.
                sys::set_blocking(file.as_raw_fd())?;
                return Ok(file);
            }
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) && looks < MOST_LOOKS => {}
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
                return Err(io::Error::other(
                    "no program has opened this pipe for reading; start the reader first",
                ));
            }
            Err(error) => return Err(error),
        }
        looks += 1;
        if looks == LOOKS_IN_SILENCE {
            announce(&format!(
                "{}: a program to open this pipe for reading",
                path.display().to_string().escape_debug()
            ));
        }
        thread::sleep(Duration::from_millis(LOOK_MS.unsigned_abs().into()));
    }
}

/// Refuses what can be neither an input nor an output.
fn refuse_unusable(kind: FileType) -> io::Result<()> {
    let what = if kind.is_dir() {
        "it is a directory"
    } else if kind.is_block_device() {
        "it is a block device"
    } else if kind.is_socket() {
        "it is a socket"
    } else {
        return Ok(());
    };
    Err(io::Error::other(what))
}

fn announce(what: &str) {
    eprintln!("maxq: waiting for {what}");
}

/// Something that is read to its end.
struct Input<R> {
    from: R,
    /// What people call it.
    name: String,
    /// It was opened by its name, and does not block.
    named: bool,
}

impl<R: Read + AsRawFd> Input<R> {
    fn read_to_end(mut self, most_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut looks = 0;
        while bytes.len() as u64 <= most_bytes {
            if !sys::wait_for(self.from.as_raw_fd(), false, LOOK_MS) {
                looks += 1;
                self.look_after(looks, bytes.is_empty())?;
                continue;
            }
            match self.from.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(bytes)
    }

    /// Nothing came for another look. Where a program has the other end open, it may take its time; where none ever had,
    /// none may ever come.
    fn look_after(&mut self, looks: u32, is_empty: bool) -> io::Result<()> {
        if looks == LOOKS_IN_SILENCE {
            announce(&format!("input from {}", self.name));
        }
        // Of a pipe that nobody holds the other end of, a read finds the end at once; otherwise it finds nothing yet.
        let alone = self.named
            && is_empty
            && looks >= MOST_LOOKS
            && matches!(self.from.read(&mut [0]), Ok(0));
        if alone {
            return Err(io::Error::other(
                "no program has opened this pipe for writing; start the writer first",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::{Read, Write};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::thread;

    use super::{open_special_for_writing, read};

    fn pipe(folder: &Path) -> PathBuf {
        let path = folder.join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    #[test]
    fn a_pipe_without_another_end_is_refused_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(folder.path());
        let (reading, writing) = thread::scope(|scope| {
            let reading = scope.spawn(|| read(&path, 10).unwrap_err().to_string());
            // A reader of the same pipe would be the other end of a writer.
            let other = folder.path().join("other");
            assert!(Command::new("mkfifo").arg(&other).status().unwrap().success());
            let writing = open_special_for_writing(&other).unwrap_err().to_string();
            (reading.join().unwrap(), writing)
        });
        assert!(reading.contains("opened this pipe for writing"), "{reading}");
        assert!(writing.contains("opened this pipe for reading"), "{writing}");
    }

    #[test]
    fn a_pipe_whose_writer_comes_late_and_in_pieces_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(folder.path());
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(std::time::Duration::from_millis(150));
                let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
                writer.write_all(b"one ").unwrap();
                thread::sleep(std::time::Duration::from_millis(150));
                writer.write_all(b"two").unwrap();
            });
            assert_eq!(read(&path, 100).unwrap(), b"one two");
        });
    }

    #[test]
    fn a_pipe_whose_writer_has_nothing_to_say_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(folder.path());
        thread::scope(|scope| {
            scope.spawn(|| drop(OpenOptions::new().write(true).open(&path).unwrap()));
            assert_eq!(read(&path, 100).unwrap(), b"");
        });
    }

    #[test]
    fn a_pipe_is_written_to_once_its_reader_has_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(folder.path());
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                thread::sleep(std::time::Duration::from_millis(150));
                let mut text = String::new();
                fs::File::open(&path).unwrap().read_to_string(&mut text).unwrap();
                text
            });
            let mut file = open_special_for_writing(&path).unwrap();
            // More than a pipe holds: such a write waits for the reader.
            file.write_all(&[b'x'; 1 << 20]).unwrap();
            drop(file);
            assert_eq!(reader.join().unwrap().len(), 1 << 20);
        });
    }

    #[test]
    fn what_has_no_content_is_refused_by_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, what) in [(folder.path(), "directory"), (&socket, "socket")] {
            assert!(read(path, 1).unwrap_err().to_string().contains(what));
            let refused = open_special_for_writing(path).unwrap_err();
            assert!(refused.to_string().contains(what), "{refused}");
        }
        assert_eq!(read(Path::new("/dev/zero"), 1 << 17).unwrap().len(), (1 << 17) + (1 << 16));
        assert_eq!(read(Path::new("/dev/null"), 1).unwrap(), b"");
    }
}
