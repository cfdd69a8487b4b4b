//! How much memory a run needs at least, and how much there is: what cannot work is refused before anything is sent,
//! instead of ending in the middle of it.
//!
//! Owned by the control plane. An estimate from below: only what grows with the plan is counted.

use std::fs;

use crate::core::conn::{Conn, Detail, Flight};
use crate::machine::sys;
use crate::plan::Plan;

/// What a process of this program takes whatever it does: code, stacks, rings, receive buffers, histograms.
const BASE_BYTES: u64 = 16 << 20;
/// What an engine keeps of a connection.
const SLOT_BYTES: u64 = 96;
/// What a TLS session takes when nothing is under way.
const SESSION_BYTES: u64 = 4 << 10;

/// The least that `plan` needs, in bytes.
#[must_use]
pub(crate) fn needed_bytes(plan: &Plan) -> u64 {
    let load = &plan.load;
    let detailed = load.pacing.is_some() || plan.output.log_requests.is_some();
    let flight = size_of::<Flight>() + if detailed { size_of::<Detail>() } else { 0 };
    let session = if plan.security.is_some() { SESSION_BYTES } else { 0 };
    let connection = size_of::<Conn>() as u64 + SLOT_BYTES + session;
    let each = connection + u64::from(load.pipeline) * flight as u64;
    let requests = u64::from(plan.request.most()) * plan.request.length() as u64;
    BASE_BYTES + u64::from(load.connections) * each + requests
}

/// What this process can still have, in bytes: the least of what the machine has, what the limit of its address space
/// leaves, and what its control group may use. `None` when nothing of it is known.
#[must_use]
pub(crate) fn available_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available_of(&text));
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    [machine, sys::address_space_limit(), group].into_iter().flatten().min()
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::{available_bytes, available_of};

    #[test]
    fn what_is_available_is_read_in_bytes() {
        let text = "MemTotal:       24683416 kB\nMemFree: 1 kB\nMemAvailable:   24196608 kB\n";
        assert_eq!(available_of(text), Some(24_196_608 * 1024));
        assert_eq!(available_of("MemTotal: 1 kB\n"), None);
        assert!(available_bytes().is_none_or(|bytes| bytes > 1 << 20));
    }
}
