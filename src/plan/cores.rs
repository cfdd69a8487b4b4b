//! Which cores the workers get, and how many there are.

use std::net::IpAddr;

use crate::machine::cgroup::CpuGroups;

/// Cores that this process may use, in ascending order.
#[must_use]
pub fn allowed() -> Vec<usize> {
    let mut cores: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    cores.sort_unstable();
    if cores.is_empty() { vec![0] } else { cores }
}

/// What this machine lets the workers have.
#[derive(Clone, Debug, PartialEq)]
pub struct Supply {
    /// Cores that this process may use, in ascending order.
    pub allowed: Vec<usize>,
    /// The CPU quota of its control groups, in cores; `None` without one.
    pub quota_cores: Option<f64>,
}

impl Supply {
    /// That of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        let quota_cores = CpuGroups::own().and_then(|groups| groups.quota_cores());
        Self { allowed: allowed(), quota_cores }
    }
}

/// What the flags say about the workers.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// `-t`.
    pub threads: Option<u64>,
    /// `--cpus`.
    pub listed: Option<&'a [usize]>,
    /// The most that the other flags have work for.
    pub connections: u32,
    /// The target runs on this host.
    pub same_host: bool,
}

/// The workers' cores, and why there are so many.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Workers {
    /// One core a worker.
    pub cores: Vec<usize>,
    /// What `-t` asked for, if that is more threads than there are cores; `None` otherwise.
    pub asked: Option<u64>,
    /// Why there are so many threads, unless that is what the user asked for.
    pub reason: Option<String>,
}

/// Chooses the workers' cores. More threads than cores are cut to the cores: people paste such commands from other tools.
///
/// # Errors
/// The flag that asks for what this machine or the other flags do not allow.
pub fn choose(supply: &Supply, wanted: Wanted<'_>) -> Result<Workers, String> {
    let Supply { allowed, quota_cores } = supply;
    let Wanted { threads, listed, connections, same_host } = wanted;
    if let Some(core) = listed.and_then(|listed| listed.iter().find(|core| !allowed.contains(core)))
    {
        return Err(format!(
            "--cpus: core {core} is not one that this process may use ({allowed:?})"
        ));
    }
    let usable = listed.unwrap_or(allowed);
    let Some(threads) = threads else {
        let quota = quota_cores.map_or(usable.len(), |quota| whole_cores(quota.floor()));
        let most = usable.len().min(quota);
        let (count, reason) = default_count(most, listed.is_some(), connections, same_host);
        return Ok(Workers { cores: usable[..count].to_vec(), asked: None, reason });
    };
    if threads == 0 {
        return Err("-t 0: there must be at least one worker thread".to_owned());
    }
    if threads > u64::from(connections) {
        return Err(format!(
            "-t {threads}: more threads than the {connections} connections of -c; each thread needs one"
        ));
    }
    // Part of a core is still a core for a while.
    let quota = quota_cores.map_or(usable.len(), |quota| whole_cores(quota.ceil()));
    let most = usable.len().min(quota);
    match usize::try_from(threads) {
        Ok(threads) if threads <= most => {
            Ok(Workers { cores: usable[..threads].to_vec(), asked: None, reason: None })
        }
        _ => {
            let cores = format!("{most} {}", if most == 1 { "core" } else { "cores" });
            let why = match quota_cores {
                Some(quota) if most < usable.len() => {
                    format!("the control group has a CPU quota of {quota} cores")
                }
                _ if listed.is_some() => format!("--cpus lists {cores}"),
                _ => format!("this process may use {cores}"),
            };
            let reason = Some(format!("-t {threads} was cut to the cores: {why}"));
            Ok(Workers { cores: usable[..most].to_vec(), asked: Some(threads), reason })
        }
    }
}

/// At least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of cores, and a cast that saturates"
)]
fn whole_cores(cores: f64) -> usize {
    (cores as usize).max(1)
}

fn default_count(
    cores: usize,
    listed: bool,
    connections: u32,
    same_host: bool,
) -> (usize, Option<String>) {
    let most = cores.min(connections as usize).max(1);
    if listed || !same_host {
        return (most, None);
    }
    let half = (cores / 2).clamp(1, most);
    let reason =
        (half < most).then(|| format!("half of {cores} cores: the target is on this host"));
    (half, reason)
}

/// Whether `address` belongs to this host: a socket can be bound to it.
#[must_use]
pub fn is_this_host(address: IpAddr) -> bool {
    address.is_loopback() || std::net::UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Supply, Wanted, Workers, choose, is_this_host};

    const PLAIN: Wanted<'_> =
        Wanted { threads: None, listed: None, connections: 64, same_host: false };

    fn supply(cores: usize, quota_cores: Option<f64>) -> Supply {
        Supply { allowed: (0..cores).collect(), quota_cores }
    }

    fn chosen(supply: &Supply, wanted: Wanted<'_>) -> Workers {
        choose(supply, wanted).unwrap()
    }

    #[test]
    fn what_cannot_be_had_is_refused_by_flag() {
        let two = supply(2, None);
        let refused = |wanted| choose(&two, wanted).unwrap_err();
        assert!(refused(Wanted { threads: Some(0), ..PLAIN }).contains("-t 0"));
        assert!(refused(Wanted { threads: Some(3), connections: 2, ..PLAIN }).contains("-c"));
        assert!(refused(Wanted { listed: Some(&[8000]), ..PLAIN }).contains("--cpus"));
    }

    #[test]
    fn more_threads_than_cores_are_cut_to_the_cores_with_the_reason() {
        let asked = |threads| Wanted { threads: Some(threads), connections: 400, ..PLAIN };
        for (supply, wanted, cores, why) in [
            (supply(2, None), asked(12), vec![0, 1], "may use 2 cores"),
            (supply(1, None), asked(12), vec![0], "may use 1 core"),
            (supply(4, None), Wanted { listed: Some(&[3, 1]), ..asked(12) }, vec![3, 1], "--cpus"),
            (supply(4, Some(1.5)), asked(12), vec![0, 1], "quota of 1.5 cores"),
            (supply(4, Some(0.2)), asked(2), vec![0], "quota of 0.2 cores"),
            (
                supply(4, Some(2.0)),
                Wanted { listed: Some(&[3, 1, 0]), ..asked(3) },
                vec![3, 1],
                "quota",
            ),
            // A quota that is not what limits is not to blame.
            (supply(2, Some(8.0)), asked(12), vec![0, 1], "may use 2 cores"),
        ] {
            let workers = chosen(&supply, wanted);
            assert_eq!((workers.cores, workers.asked), (cores, wanted.threads));
            let reason = workers.reason.unwrap();
            assert!(reason.contains("cut") && reason.contains(why), "{reason}");
        }
    }

    #[test]
    fn as_many_threads_as_there_are_cores_are_obeyed_without_a_word() {
        for (supply, threads) in [(supply(2, None), 2), (supply(4, Some(1.5)), 2)] {
            let workers = chosen(&supply, Wanted { threads: Some(threads), ..PLAIN });
            assert_eq!(workers, Workers { cores: vec![0, 1], asked: None, reason: None });
        }
    }

    #[test]
    fn a_target_on_this_host_gets_half_of_the_cores() {
        let count = |supply, wanted| chosen(&supply, wanted).cores.len();
        let same_host = Wanted { same_host: true, ..PLAIN };
        assert_eq!(count(supply(8, None), same_host), 4);
        assert_eq!(count(supply(1, None), same_host), 1);
        assert_eq!(count(supply(8, Some(2.5)), same_host), 1);
        assert_eq!(count(supply(8, Some(2.5)), PLAIN), 2);
        assert_eq!(count(supply(8, None), Wanted { connections: 1, ..PLAIN }), 1);
    }

    #[test]
    fn loopback_is_this_host_and_documentation_addresses_are_not() {
        assert!(is_this_host("127.0.0.9".parse().unwrap()));
        assert!(!is_this_host("192.0.2.1".parse().unwrap()));
    }
}
