//! The control: the simplest client there is, for one question only: how many of its requests does this machine hold up? A
//! thread on the core of the client sends a request when it is due, and reads the answer before it sleeps until the next
//! one. Its requests pass through the same four waits as those of the client under test: both sides wake up twice.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const DELAY: Duration = Duration::from_millis(1);
const SPACING: Duration = Duration::from_millis(2);
const REQUESTS: u32 = 1000;

/// The share of requests that took more than `held_up_ns` beside the delay of a law, which `path` is an instance of. With
/// `ahead` the control runs ahead of all ordinary threads.
pub(crate) fn share_held_up(
    (core, ahead): (usize, bool),
    (address, path): (&str, &str),
    held_up_ns: u64,
) -> f64 {
    thread::scope(|scope| {
        let control = scope.spawn(|| {
            core_affinity::set_for_current(core_affinity::CoreId { id: core });
            if ahead {
                run_ahead("1");
            }
            held_up(address, path, Duration::from_nanos(held_up_ns))
        });
        f64::from(control.join().unwrap()) / f64::from(REQUESTS)
    })
}

/// The law whose delay the control expects.
pub(crate) const LAW: &str = "fixed?d=1ms";

/// Puts the calling thread ahead of all ordinary ones, as far as that is allowed.
pub(crate) fn run_ahead(priority: &str) {
    let Ok(path) = fs::read_link("/proc/thread-self") else { return };
    let thread = path.file_name().unwrap().to_owned();
    let mut ahead = Command::new("chrt");
    ahead.args(["-f", "-p", priority]).arg(thread);
    let _ = ahead.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// How many requests were late, reckoned from when they were due.
fn held_up(address: &str, path: &str, bound: Duration) -> u32 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: control\r\n\r\n");
    let mut answer = [0; 4096];
    let mut late = 0;
    let mut due = Instant::now();
    for _ in 0..REQUESTS {
        due += SPACING;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(request.as_bytes()).unwrap();
        assert!(stream.read(&mut answer).unwrap() > 0, "the target answers the control");
        late += u32::from(due.elapsed() > DELAY + bound);
    }
    late
}
