//! Commands that are refused io_uring as containers refuse it: by a filter on their system calls.
#![expect(unsafe_code, reason = "a filter is installed between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Loads the number of the system call.
const LOAD_NUMBER: libc::sock_filter = libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
const ALLOW: u32 = 0x7fff_0000;
const REFUSE: u32 = 0x0005_0000;

fn answer(k: u32) -> libc::sock_filter {
    libc::sock_filter { code: 0x06, jt: 0, jf: 0, k }
}

/// Makes `io_uring_setup` fail with `errno` in the program that `command` starts.
pub(crate) fn refused(mut command: Command, errno: i32) -> Command {
    let number =
        u32::try_from(libc::SYS_io_uring_setup).expect("numbers of system calls are small");
    let errno = u32::try_from(errno).expect("errors are positive");
    let install = move || {
        let is_setup = libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: number };
        let mut filter = [LOAD_NUMBER, is_setup, answer(REFUSE | errno), answer(ALLOW)];
        let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
        // SAFETY: a flag and zeros, as the call wants them.
        let mut result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        if result == 0 {
            // SAFETY: the program and its four instructions live until the call returns.
            result =
                unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
        }
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec it makes two system calls, and allocates nothing.
    unsafe { command.pre_exec(install) };
    command
}
