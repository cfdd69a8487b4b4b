//! What else the machine did while a run went on: time taken away by a hypervisor or a quota, packets sent again.
//!
//! Sampled by the control plane before and after a run. Everything is read from files that may be missing: what cannot
//! be told is `None`, and nothing here may fail a run.

use std::fs;

use crate::machine::cgroup::CpuGroups;
use crate::time::Nanos;

/// A stretch in which the machine was held up: somebody who asked to run did not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Held {
    /// When it may have begun.
    pub from: Nanos,
    /// When it was over.
    pub to: Nanos,
}

/// Counters of the machine at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Ticks of all cores: stolen by the hypervisor, and all.
    stolen: Option<(u64, u64)>,
    /// Periods in which the control group was throttled.
    throttled_periods: Option<u64>,
    retransmits: Option<u64>,
    listen_overflows: Option<u64>,
    /// Share of the last ten seconds in which something waited for a core.
    waiting_share: Option<f64>,
}

/// What happened between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// Share of the time of all cores that the hypervisor took.
    pub stolen_share: Option<f64>,
    /// Periods in which the CPU quota of the control group was used up.
    pub throttled_periods: Option<u64>,
    /// TCP segments sent again by this host.
    pub retransmits: Option<u64>,
    /// Connections that a listener of this host had no room for.
    pub listen_overflows: Option<u64>,
    /// Share of the last ten seconds in which something on this machine waited for a core.
    pub waiting_share: Option<f64>,
}

impl Sample {
    /// Reads what there is to be read.
    #[must_use]
    pub fn take() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok();
        Self {
            stolen: read("/proc/stat").and_then(|text| stolen_ticks(&text)),
            throttled_periods: CpuGroups::own().and_then(|groups| groups.throttled_periods()),
            retransmits: read("/proc/net/snmp")
                .and_then(|text| column(&text, "Tcp:", "RetransSegs")),
            listen_overflows: read("/proc/net/netstat")
                .and_then(|text| column(&text, "TcpExt:", "ListenOverflows")),
            waiting_share: read("/proc/pressure/cpu").and_then(|text| average_of_ten(&text)),
        }
    }

    /// What happened from this moment to a later one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share is shown with few digits")]
    pub fn until(&self, later: &Self) -> Pressure {
        let difference = |before: Option<u64>, after: Option<u64>| {
            before.zip(after).map(|(before, after)| after.saturating_sub(before))
        };
        let stolen = self.stolen.zip(later.stolen);
        let stolen_share = stolen.and_then(|((stolen, all), (later_stolen, later_all))| {
            let all = later_all.checked_sub(all).filter(|&all| all > 0)?;
            Some(later_stolen.saturating_sub(stolen) as f64 / all as f64)
        });
        Pressure {
            stolen_share,
            throttled_periods: difference(self.throttled_periods, later.throttled_periods),
            retransmits: difference(self.retransmits, later.retransmits),
            listen_overflows: difference(self.listen_overflows, later.listen_overflows),
            waiting_share: later.waiting_share,
        }
    }
}

/// `cpu  user nice system idle iowait irq softirq steal ...` of `/proc/stat`.
fn stolen_ticks(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Vec<u64> = line
        .split_ascii_whitespace()
        .skip(1)
        .take(8)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    Some((*ticks.get(7)?, ticks.iter().sum()))
}

/// A number in the tables of `/proc/net`: a line of names, and one of numbers with the same first word.
fn column(text: &str, table: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(table));
    let place = lines.next()?.split_ascii_whitespace().position(|word| word == name)?;
    lines.next()?.split_ascii_whitespace().nth(place)?.parse().ok()
}

/// `some avg10=1.23 avg60=...` of `/proc/pressure/cpu`.
fn average_of_ten(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    let value = line.split_ascii_whitespace().find_map(|word| word.strip_prefix("avg10="))?;
    value.parse::<f64>().ok().map(|percent| percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::{Sample, average_of_ten, column, stolen_ticks};

    #[test]
    fn the_kernels_tables_are_read() {
        let stat = "cpu  10 0 20 50 5 1 2 12 0 0\ncpu0 1 2 3\n";
        assert_eq!(stolen_ticks(stat), Some((12, 100)));
        let snmp = "Ip: A B\nIp: 1 2\nTcp: RtoMin RetransSegs InErrs\nTcp: 200 17 3\n";
        assert_eq!(column(snmp, "Tcp:", "RetransSegs"), Some(17));
        let pressure = "some avg10=12.50 avg60=1.00 avg300=0.10 total=5\nfull avg10=0.00\n";
        assert_eq!(average_of_ten(pressure), Some(0.125));
    }

    #[test]
    fn what_is_missing_or_broken_is_not_told() {
        for text in ["", "cpu", "cpu  1 2", "cpu  a b c d e f g h", "\0"] {
            assert_eq!(stolen_ticks(text), None, "{text:?}");
        }
        assert_eq!(column("Tcp: A\n", "Tcp:", "A"), None);
        assert_eq!(column("Tcp: A\nTcp: x\n", "Tcp:", "A"), None);
        assert_eq!(average_of_ten("some avg10=x"), None);
    }

    #[test]
    fn a_share_needs_both_ends_and_time_between_them() {
        let at = |stolen| Sample { stolen, ..Sample::default() };
        let share = |from, to| at(from).until(&at(to)).stolen_share;
        assert_eq!(share(Some((10, 100)), Some((20, 200))), Some(0.1));
        assert_eq!(share(Some((10, 100)), Some((10, 100))), None);
        assert_eq!(share(None, Some((10, 100))), None);
    }
}
