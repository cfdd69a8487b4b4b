//! What can be told of the machine that the client runs on. Missing pieces are `None`: nothing here may fail a run.

use std::fs;

use crate::plan::cores;
use crate::summary::Host;

/// Looks around.
#[must_use]
pub fn describe() -> Host {
    Host {
        cpu: cpu_model(),
        cores_allowed: cores::allowed().len(),
        kernel: read_trimmed("/proc/sys/kernel/osrelease"),
        clocksource: read_trimmed(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        ),
        cgroup_quota_cores: cgroup_quota_cores(),
    }
}

fn read_trimmed(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn cpu_model() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The quota of this process's own control group, version 2 or 1.
fn cgroup_quota_cores() -> Option<f64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    for group in groups.lines() {
        let mut parts = group.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let quota = if controllers.is_empty() {
            quota_v2(path)
        } else if controllers.split(',').any(|controller| controller == "cpu") {
            quota_v1(path)
        } else {
            None
        };
        if quota.is_some() {
            return quota;
        }
    }
    None
}

fn quota_v2(path: &str) -> Option<f64> {
    let text = read_trimmed(&format!("/sys/fs/cgroup{path}/cpu.max"))?;
    let (quota, period) = text.split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

fn quota_v1(path: &str) -> Option<f64> {
    let read = |file: &str| {
        ["cpu", "cpu,cpuacct"].iter().find_map(|mount| {
            read_trimmed(&format!("/sys/fs/cgroup/{mount}{path}/{file}"))?.parse::<f64>().ok()
        })
    };
    let quota = read("cpu.cfs_quota_us").filter(|&quota| quota > 0.0)?;
    Some(quota / read("cpu.cfs_period_us")?)
}
