//! The control groups that limit this process's CPU time, version 1 or 2: how much it may use, and how often it was held
//! back for it. A limit of any group above its own counts as well.
//!
//! Read once or twice a run, by `host` and `pressure`. Missing pieces are `None`: nothing here may fail a run.

use std::fs;
use std::path::{Path, PathBuf};

/// The groups that a process is in, its own one first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CpuGroups {
    folders: Vec<PathBuf>,
}

impl CpuGroups {
    /// Those of this process.
    #[must_use]
    pub(crate) fn own() -> Option<Self> {
        Self::of(Path::new("/sys/fs/cgroup"), &fs::read_to_string("/proc/self/cgroup").ok()?)
    }

    /// Those that `membership`, the text of `/proc/PID/cgroup`, names, where control groups are mounted at `mount`.
    #[must_use]
    pub(crate) fn of(mount: &Path, membership: &str) -> Option<Self> {
        membership.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let mount = if controllers.is_empty() {
                mount.to_owned()
            } else if controllers.split(',').any(|controller| controller == "cpu") {
                ["cpu", "cpu,cpuacct"]
                    .map(|name| mount.join(name))
                    .into_iter()
                    .find(|m| m.is_dir())?
            } else {
                return None;
            };
            let own = mount.join(path.trim_start_matches('/'));
            // In a container the path may be that of another root: then what is mounted is the group itself.
            let own = if own.is_dir() { own } else { mount.clone() };
            let above = own.ancestors().take_while(|folder| folder.starts_with(&mount));
            let folders: Vec<PathBuf> = above.map(Path::to_owned).collect();
            let limits = ["cpu.max", "cpu.cfs_quota_us", "cpu.stat"];
            let limiting = |folder: &PathBuf| limits.iter().any(|file| folder.join(file).exists());
            folders.iter().any(limiting).then_some(Self { folders })
        })
    }

    /// The least that any of them allows, in cores; `None` without a limit.
    #[must_use]
    pub(crate) fn quota_cores(&self) -> Option<f64> {
        self.folders.iter().filter_map(|folder| quota(folder)).min_by(f64::total_cmp)
    }

    /// Periods in which any of them was held back.
    #[must_use]
    pub(crate) fn throttled_periods(&self) -> Option<u64> {
        let throttled = |folder: &PathBuf| row(&read(folder, "cpu.stat")?, "nr_throttled");
        self.folders.iter().filter_map(throttled).reduce(|sum, more| sum + more)
    }
}

fn quota(folder: &Path) -> Option<f64> {
    let number = |file: &str| read(folder, file)?.trim().parse::<f64>().ok();
    let (quota, period) = if let Some(text) = read(folder, "cpu.max") {
        // The word max, which is no number, is no limit.
        let (quota, period) = text.trim().split_once(' ')?;
        (quota.parse().ok()?, period.parse::<f64>().ok()?)
    } else {
        // A quota of -1 is no limit.
        (number("cpu.cfs_quota_us").filter(|&quota| quota > 0.0)?, number("cpu.cfs_period_us")?)
    };
    Some(quota / period)
}

fn read(folder: &Path, file: &str) -> Option<String> {
    fs::read_to_string(folder.join(file)).ok()
}

/// A row of a `cpu.stat`: `nr_throttled 5`.
fn row(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::CpuGroups;
    use std::fs;
    use std::path::Path;

    fn write(mount: &Path, file: &str, text: &str) {
        let file = mount.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn a_quota_of_version_2_may_be_that_of_any_group_above() {
        let mount = tempfile::tempdir().unwrap();
        write(mount.path(), "slice/cpu.max", "150000 100000\n");
        write(mount.path(), "slice/cpu.stat", "usage_usec 9\nnr_periods 5\nnr_throttled 3\n");
        write(mount.path(), "slice/unit/cpu.max", "max 100000\n");
        write(mount.path(), "slice/unit/cpu.stat", "nr_periods 0\nnr_throttled 1\n");
        let groups = CpuGroups::of(mount.path(), "0::/slice/unit\n").unwrap();
        assert_eq!(groups.quota_cores(), Some(1.5));
        assert_eq!(groups.throttled_periods(), Some(4));
        write(mount.path(), "slice/unit/cpu.max", "50000 100000\n");
        assert_eq!(groups.quota_cores(), Some(0.5));
    }

    #[test]
    fn a_quota_of_version_1_is_found_in_either_mount() {
        for name in ["cpu", "cpu,cpuacct"] {
            let mount = tempfile::tempdir().unwrap();
            let file = |file: &str| format!("{name}/jail/{file}");
            write(mount.path(), &file("cpu.cfs_quota_us"), "20000\n");
            write(mount.path(), &file("cpu.cfs_period_us"), "100000\n");
            write(
                mount.path(),
                &file("cpu.stat"),
                "nr_periods 9\nnr_throttled 7\nthrottled_time 1\n",
            );
            let membership = "9:memory:/jail\n4:cpu,cpuacct:/jail\n0::/\n";
            let groups = CpuGroups::of(mount.path(), membership).unwrap();
            assert_eq!(groups.quota_cores(), Some(0.2));
            assert_eq!(groups.throttled_periods(), Some(7));
            write(mount.path(), &file("cpu.cfs_quota_us"), "-1\n");
            assert_eq!(groups.quota_cores(), None);
        }
    }

    #[test]
    fn in_a_container_what_is_mounted_is_the_group() {
        let mount = tempfile::tempdir().unwrap();
        write(mount.path(), "cpu.max", "25000 100000");
        let groups = CpuGroups::of(mount.path(), "0::/docker/0123abcd").unwrap();
        assert_eq!(groups.quota_cores(), Some(0.25));
    }

    #[test]
    fn a_machine_without_control_groups_limits_nothing() {
        let mount = tempfile::tempdir().unwrap();
        for membership in ["", "0::/", "4:cpu:/", "nonsense"] {
            assert_eq!(CpuGroups::of(mount.path(), membership), None);
        }
    }
}
