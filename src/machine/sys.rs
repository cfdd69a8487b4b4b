//! The few system calls that no safe crate gives us: clocks, CPU time, resource limits.
//!
//! One of the listed places for `unsafe`; each call passes pointers to locals that outlive it.

#![expect(unsafe_code, reason = "thin wrappers around libc, each with its argument")]

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// `CLOCK_MONOTONIC` in nanoseconds.
#[inline]
#[must_use]
pub fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// CPU time of the calling thread, user and system, in nanoseconds.
#[must_use]
pub fn thread_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Time for which the calling thread was ready to run and waited for a core, in nanoseconds; 0 where the kernel does not
/// tell.
#[must_use]
pub fn thread_delayed_ns() -> u64 {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    statistics.split_ascii_whitespace().nth(1).and_then(|delayed| delayed.parse().ok()).unwrap_or(0)
}

/// Times that the calling thread was taken from its core by somebody else.
#[must_use]
#[expect(clippy::cast_sign_loss, reason = "the kernel's counters are not negative")]
pub fn thread_involuntary_switches() -> u64 {
    // SAFETY: rusage is a plain struct of integers, for which zero is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid rusage for the whole call.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_nivcsw as u64
}

#[inline]
#[expect(clippy::cast_sign_loss, reason = "these clocks start at zero and go up")]
fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the whole call; the clock ids are constants that Linux knows.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Largest resident set of this program so far, in bytes; `None` where the kernel does not tell. Not what `getrusage`
/// says: its maximum survives `exec`, and is that of a large parent then.
#[must_use]
pub fn peak_rss_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = peak.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Raises the soft limit of open descriptors to at least `needed`, as far as the hard limit allows.
///
/// Returns the soft limit that is in force afterwards.
///
/// # Errors
/// The operating system's, when limits cannot be read.
pub fn raise_descriptor_limit(needed: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the whole call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < needed && limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = needed.min(limit.rlim_max);
        // SAFETY: `limit` is a valid rlimit for the whole call; a refusal leaves the old limit in force.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

/// Whether standard output was closed when this process started.
static STDOUT_WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks before the runtime of the standard library, which puts `/dev/null` in the place of what is closed.
#[used]
// SAFETY: the section holds pointers to functions of this type, which are called before `main`; this one allocates nothing
// and uses nothing of the standard library's runtime.
#[unsafe(link_section = ".init_array")]
static LOOK_AT_STDOUT: extern "C" fn() = {
    extern "C" fn look() {
        // SAFETY: F_GETFD takes no argument and touches no memory of ours.
        let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
        STDOUT_WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
    }
    look
};

/// Whether standard output was closed when this process started (`>&-`): what is written to it gets lost.
#[must_use]
pub fn was_stdout_closed() -> bool {
    STDOUT_WAS_CLOSED.load(Ordering::Relaxed)
}

/// Whether a signal is ignored, as whoever started this process may have wanted.
#[must_use]
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: sigaction is a plain struct of integers, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action nothing is changed; `action` is a valid sigaction for the whole call.
    let read = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } == 0;
    read && action.sa_sigaction == libc::SIG_IGN
}

/// The limit of this process's address space in bytes; `None` without one.
#[must_use]
pub fn address_space_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit for the whole call.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
    (read && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Makes the closing of a socket reset its connection.
pub fn reset_on_close(socket: i32) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let length = u32::try_from(size_of::<libc::linger>()).unwrap_or(0);
    // SAFETY: `linger` is a valid struct of the given length for the whole call; a wrong descriptor is refused.
    unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            length,
        )
    };
}

/// Waits until a descriptor can be read from or written to, at most so long. Returns whether anything happened to it; what
/// that was is found out by trying.
pub fn wait_for(descriptor: i32, writing: bool, milliseconds: i32) -> bool {
    let events = if writing { libc::POLLOUT } else { libc::POLLIN };
    let mut polled = libc::pollfd { fd: descriptor, events, revents: 0 };
    // SAFETY: `polled` is one valid pollfd for the whole call; a wrong descriptor is reported in it.
    unsafe { libc::poll(&raw mut polled, 1, milliseconds) > 0 }
}

/// Lets reads and writes of a descriptor wait until they can be carried out.
///
/// # Errors
/// The operating system's, when the descriptor is not one.
pub fn set_blocking(descriptor: i32) -> io::Result<()> {
    // SAFETY: F_GETFL takes no argument and touches no memory of ours; a wrong descriptor is refused.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFL) };
    // SAFETY: F_SETFL takes one integer and touches no memory of ours; a wrong descriptor is refused.
    let set = unsafe { libc::fcntl(descriptor, libc::F_SETFL, flags & !libc::O_NONBLOCK) };
    if flags < 0 || set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The errno that a socket holds from what happened to it, or 0; asking takes it away.
#[must_use]
pub fn socket_error(socket: i32) -> i32 {
    let mut errno: libc::c_int = 0;
    let mut length = u32::try_from(size_of::<libc::c_int>()).unwrap_or(0);
    // SAFETY: `errno` is a valid int of the given length, and `length` a valid one, for the whole call.
    let result = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut errno).cast(),
            &raw mut length,
        )
    };
    if result == 0 { errno } else { libc::EBADF }
}

/// Ends a TCP connection at once, and leaves its socket open; with SO_LINGER 0 the peer gets a reset.
pub fn disconnect(socket: i32) {
    // SAFETY: a `sockaddr` of zeros is valid, and says AF_UNSPEC, which is 0.
    let nowhere: libc::sockaddr = unsafe { std::mem::zeroed() };
    let length = u32::try_from(size_of::<libc::sockaddr>()).unwrap_or(0);
    // SAFETY: `nowhere` is a valid address of the given length for the whole call; a wrong descriptor is refused.
    unsafe { libc::connect(socket, &raw const nowhere, length) };
}

/// Lets the binding of a socket to an address leave its port open until it is connected, so that connections to different
/// places may share ports. Where the kernel does not know of that, the port is chosen at once.
pub fn bind_without_port(socket: i32) {
    let on: libc::c_int = 1;
    let length = u32::try_from(size_of::<libc::c_int>()).unwrap_or(0);
    // SAFETY: `on` is a valid int of the given length for the whole call; a wrong descriptor is refused.
    unsafe {
        libc::setsockopt(
            socket,
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            length,
        )
    };
}

/// Cores that this machine has switched on, whether or not this process may use them.
#[must_use]
pub fn cores_online() -> usize {
    // SAFETY: sysconf takes one integer and touches no memory of ours.
    let cores = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(cores).unwrap_or(1).max(1)
}

/// Asks for timers of this thread to fire as late as 1 ns after they are due, instead of the usual 50 us.
pub fn sharpen_timers() {
    // SAFETY: PR_SET_TIMERSLACK takes one integer and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
}

/// Whether `descriptor` (0, 1 or 2) is a terminal, and how many columns it has.
#[must_use]
pub fn terminal_columns(descriptor: i32) -> Option<u16> {
    // SAFETY: winsize is a plain struct of integers, for which zero is a valid value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: `size` is a valid winsize for the whole call; on what is no terminal the call fails.
    let result = unsafe { libc::ioctl(descriptor, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0).then_some(if size.ws_col == 0 { 80 } else { size.ws_col })
}
