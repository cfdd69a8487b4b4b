//! Which cores the workers get, and how many there are.

use std::net::IpAddr;

/// Cores that this process may use, in ascending order.
#[must_use]
pub fn allowed() -> Vec<usize> {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    cores.sort_unstable();
    if cores.is_empty() { vec![0] } else { cores }
}

/// The workers' cores, and why there are so many when the user did not say.
///
/// # Errors
/// The flag that asks for what this machine or the other flags do not allow.
pub fn choose(
    threads: Option<u64>,
    listed: Option<&[usize]>,
    connections: u32,
    same_host: bool,
) -> Result<(Vec<usize>, Option<String>), String> {
    let allowed = allowed();
    if let Some(core) = listed.and_then(|listed| listed.iter().find(|core| !allowed.contains(core)))
    {
        return Err(format!(
            "--cpus: core {core} is not one that this process may use ({allowed:?})"
        ));
    }
    let usable = listed.unwrap_or(&allowed);
    let Some(threads) = threads else {
        let (count, reason) = default_count(usable.len(), listed.is_some(), connections, same_host);
        return Ok((usable[..count].to_vec(), reason));
    };
    if threads == 0 {
        return Err("-t 0: there must be at least one worker thread".to_owned());
    }
    if threads > u64::from(connections) {
        return Err(format!(
            "-t {threads}: more threads than the {connections} connections of -c; each thread needs one"
        ));
    }
    match usize::try_from(threads) {
        Ok(threads) if threads <= usable.len() => Ok((usable[..threads].to_vec(), None)),
        _ => Err(format!(
            "-t {threads}: only {} cores are allowed here, and each thread is pinned to one of its own; use -t {} or less",
            usable.len(),
            usable.len()
        )),
    }
}

fn default_count(
    usable: usize,
    listed: bool,
    connections: u32,
    same_host: bool,
) -> (usize, Option<String>) {
    let quota = std::thread::available_parallelism().map_or(usable, std::num::NonZero::get);
    let most = usable.min(quota).min(connections as usize).max(1);
    if listed || !same_host {
        return (most, None);
    }
    let half = (usable.min(quota) / 2).clamp(1, most);
    let reason = (half < most)
        .then(|| format!("half of {} cores: the target is on this host", usable.min(quota)));
    (half, reason)
}

/// Whether `address` belongs to this host: a socket can be bound to it.
#[must_use]
pub fn is_this_host(address: IpAddr) -> bool {
    address.is_loopback() || std::net::UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{allowed, choose, is_this_host};

    #[test]
    fn what_cannot_be_had_is_refused_by_flag() {
        let cores = allowed();
        let too_many = cores.len() as u64 + 1;
        assert!(choose(Some(0), None, 64, false).unwrap_err().contains("-t 0"));
        assert!(choose(Some(2), None, 1, false).unwrap_err().contains("-c"));
        assert!(choose(Some(too_many), None, 1000, false).unwrap_err().contains("-t"));
        assert!(choose(None, Some(&[8000]), 64, false).unwrap_err().contains("--cpus"));
    }

    #[test]
    fn a_target_on_this_host_gets_half_of_the_cores() {
        let cores = allowed().len();
        assert_eq!(choose(None, None, 64, true).unwrap().0.len(), (cores / 2).max(1));
        assert_eq!(choose(None, None, 1, false).unwrap().0.len(), 1);
    }

    #[test]
    fn loopback_is_this_host_and_documentation_addresses_are_not() {
        assert!(is_this_host("127.0.0.9".parse().unwrap()));
        assert!(!is_this_host("192.0.2.1".parse().unwrap()));
    }
}
