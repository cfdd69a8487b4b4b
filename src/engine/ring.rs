//! Setting up a ring, saying why that failed, and what its completions carry.

use std::io;

use io_uring::IoUring;
use socket2::Socket;

use super::Unsupported;
use crate::core::conn::ConnId;

/// A ring for one thread, which alone submits to it and fetches its completions.
///
/// # Errors
/// The probable cause and the remedy.
pub(super) fn build(submissions: u32, completions: u32) -> Result<IoUring, Unsupported> {
    let with = |no_array: bool| {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(completions);
        if no_array {
            builder.setup_no_sqarray();
        }
        builder.build(submissions)
    };
    with(true).or_else(|_| with(false)).map_err(|error| explain(&error))
}

/// The probable cause of a refused ring, and what to do about it.
pub(super) fn explain(error: &io::Error) -> Unsupported {
    let cause = match error.raw_os_error() {
        Some(libc::EPERM) => {
            "io_uring is denied (EPERM), by a seccomp profile as containers have it or by \
             kernel.io_uring_disabled; allow it: docker run --security-opt seccomp=unconfined, \
             or sysctl kernel.io_uring_disabled=0"
        }
        Some(libc::ENOSYS) => "this kernel has no io_uring (ENOSYS); Linux 6.1 or newer is needed",
        Some(libc::EINVAL) => {
            "this kernel's io_uring is too old (EINVAL); Linux 6.1 or newer is needed"
        }
        Some(libc::ENOMEM) => "no memory may be locked for io_uring (ENOMEM); raise 'ulimit -l'",
        Some(libc::EMFILE | libc::ENFILE) => {
            "no file descriptor is left for io_uring; raise 'ulimit -n'"
        }
        _ => return Unsupported(format!("io_uring cannot be set up: {error}")),
    };
    Unsupported(cause.to_owned())
}

/// What a completion is about, in the low byte of its user data; above it the generation, then the index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Operation {
    Connect,
    Send,
    Receive,
    ReceiveOnce,
    Discard,
    Transmit,
    /// Cancel and close: nobody asks how they went.
    Silent,
}

/// User data of an operation on a connection.
pub(super) fn token(operation: Operation, id: ConnId) -> u64 {
    u64::from(id.index) << 32 | u64::from(id.generation) << 8 | operation as u64
}

/// What [`token`] put together.
#[expect(clippy::cast_possible_truncation, reason = "taking apart what token put together")]
pub(super) fn untoken(token: u64) -> (Operation, ConnId) {
    let operation = match token as u8 {
        0 => Operation::Connect,
        1 => Operation::Send,
        2 => Operation::Receive,
        3 => Operation::ReceiveOnce,
        4 => Operation::Discard,
        5 => Operation::Transmit,
        _ => Operation::Silent,
    };
    (
        operation,
        ConnId { index: (token >> 32) as u32, generation: (token >> 8) as u32 & 0x00ff_ffff },
    )
}

/// One connection's descriptor.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) socket: Option<Socket>,
    pub(super) generation: u32,
    /// Operations whose completion is awaited: closing must cancel them first.
    pub(super) busy: bool,
    /// Bytes of the send that is to be confirmed, and how many are left of it.
    pub(super) send: (u32, u32),
    /// What is being transmitted; the kernel reads it until that has completed.
    pub(super) transmission: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::{Operation, explain, token, untoken};
    use crate::core::conn::{ConnId, GENERATIONS};
    use std::io;

    #[test]
    fn a_token_gives_back_what_it_was_made_of() {
        for operation in [
            Operation::Connect,
            Operation::Send,
            Operation::Receive,
            Operation::ReceiveOnce,
            Operation::Discard,
            Operation::Transmit,
            Operation::Silent,
        ] {
            for (index, generation) in [(0, 0), (u32::MAX, GENERATIONS - 1), (19_999, 77)] {
                let id = ConnId { index, generation };
                assert_eq!(untoken(token(operation, id)), (operation, id));
            }
        }
    }

    #[test]
    fn a_refused_ring_is_explained_with_its_remedy() {
        for (errno, remedy) in [
            (libc::EPERM, "kernel.io_uring_disabled"),
            (libc::ENOSYS, "Linux 6.1"),
            (libc::EINVAL, "Linux 6.1"),
            (libc::ENOMEM, "ulimit -l"),
            (libc::EMFILE, "ulimit -n"),
        ] {
            let explained = explain(&io::Error::from_raw_os_error(errno)).0;
            assert!(explained.contains(remedy), "{explained}");
        }
    }
}
