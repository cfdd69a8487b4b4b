//! What can be told of the machine that the client runs on. Missing pieces are `None`: nothing here may fail a run.

use std::fs;

use crate::machine::cgroup::CpuGroups;
use crate::plan::cores;
use crate::result::summary::Host;

/// Looks around.
#[must_use]
pub(crate) fn describe() -> Host {
    Host {
        cpu: cpu_model(),
        cores_allowed: cores::allowed().len(),
        kernel: read_trimmed("/proc/sys/kernel/osrelease"),
        clocksource: read_trimmed(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        ),
        cgroup_quota_cores: CpuGroups::own().and_then(|groups| groups.quota_cores()),
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
