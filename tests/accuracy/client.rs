//! Clients that are starved on purpose: what that does shows in client lag and in the verdict, and is not blamed on the
//! target.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::bed::{Bed, cores, undisturbable, until_no_hiccup};
use super::support::{Running, not_tested, signal};

/// Something else that wants the client's core; ended when dropped.
pub(crate) struct Competitor(Child);

impl Competitor {
    pub(crate) fn start(core: usize) -> Self {
        let spin = "while :; do :; done";
        let child = Command::new("taskset")
            .args(["-c", &core.to_string(), "sh", "-c", spin])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Competitor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_client_left_alone_keeps_its_schedule_and_is_believed() {
    let bed = Bed::start();
    let arguments = ["-R", "2000", "-d", "3s", "--warmup", "300ms", "-c", "64"];
    until_no_hiccup(|| {
        let measured = bed.measure("fixed?d=1ms", &arguments);
        let (report, lag) = (&measured.report, measured.ms("client_lag", "p99"));
        measured.holds(lag < 0.3, format!("client lag is {lag} ms"))?;
        let (code, verdict) = (report.text("/verdict/code"), &report.json["verdict"]);
        assert!(code != "valid" || verdict["valid"] == true, "{verdict:#}");
        // A few hiccups in a row say little of a p99, and that is no fault of the client's.
        measured.holds(["valid", "insufficient_samples"].contains(&code), format!("{verdict}"))
    });
}

#[test]
fn a_client_that_is_stopped_blames_itself_alone() {
    let bed = Bed::start();
    let (core, _) = cores();
    for _ in 0..10 {
        let path = bed.law("fixed?d=1ms&stamps=1");
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("requests.jsonl");
        let mut command = undisturbable();
        command
            .args(["-R", "1000", "-d", "3s", "--warmup", "0", "-c", "64", "-t", "1", "--json"])
            .args(["--idle", "sleep", "--cpus", &core.to_string()])
            .args(["--no-preflight", "--log-requests"])
            .arg(&log)
            .arg(bed.url(&path));
        let running = Running::start(&mut command);
        thread::sleep(Duration::from_millis(1500));
        let stopped = running.id();
        signal(stopped, "STOP");
        thread::sleep(Duration::from_millis(500));
        signal(stopped, "CONT");
        let ended = running.end();
        let measured = bed.read(&path, ended, &fs::read_to_string(log).unwrap());
        let report = &measured.report;
        assert_eq!(report.count("ok"), 3000);
        let late = measured.ms("client_lag", "max");
        assert!((late - 500.0).abs() < 60.0, "client lag is {late} ms");
        assert!(measured.ms("response", "max") >= late);
        assert_eq!(report.text("/verdict/code"), "client_limited");
        assert_eq!(report.json["verdict"]["valid"], false);
        // A machine that held up the target meanwhile says nothing about the client.
        let (service, pool) = (measured.ms("service", "max"), measured.ms("pool_wait", "max"));
        if service < 10.0 && pool < 1.0 {
            return;
        }
        eprintln!("void: service {service} ms, pool wait {pool} ms");
    }
    panic!("the stop shows in service time or pool wait");
}

#[test]
fn a_client_that_shares_its_core_says_so() {
    let bed = Bed::start();
    let (core, _) = cores();
    let _competitor = Competitor::start(core);
    let core = core.to_string();
    let arguments = ["-R", "20000", "-d", "2s", "--warmup", "300ms", "-c", "64"];
    let pinned = [&["-t", "1", "--cpus", &core][..], &arguments].concat();
    let measured = bed.measure_unpinned("fixed?d=0", &pinned);
    let report = &measured.report;
    assert_eq!(report.text("/verdict/code"), "client_limited", "{:#}", report.json["verdict"]);
    assert_eq!(report.json["verdict"]["valid"], false);
    assert!(measured.ms("client_lag", "p99") > 1.0);
}

#[test]
fn a_client_whose_quota_is_used_up_says_so() {
    let Some(group) = Quota::of_a_fifth() else {
        not_tested("no control group for CPU time can be made here, and no quota");
        return;
    };
    let bed = Bed::start();
    let (core, _) = cores();
    let path = bed.law("fixed?d=0&stamps=1");
    let join = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", group.0);
    let mut command = Command::new("sh");
    command
        .args(["-c", &join])
        .arg(super::support::binary())
        .args(["-R", "5000", "-d", "2s", "--warmup", "0", "-c", "64", "-t", "1", "--json"])
        .args(["--idle", "spin", "--cpus", &core.to_string()])
        .arg(bed.url(&path));
    let ended = super::support::run(&mut command);
    let report = super::support::report::Report::of(&ended.stdout);
    assert_eq!(report.text("/verdict/code"), "client_limited", "{:#}", report.json["verdict"]);
    assert_eq!(report.json["verdict"]["valid"], false);
    let reasons = report.json["verdict"]["reasons"].to_string();
    assert!(reasons.contains("C5") && reasons.contains("quota"), "{reasons}");
    assert!(report.number("/pressure/throttled_periods") > 0);
}

/// A control group with a fifth of a core, removed when dropped.
struct Quota(String);

impl Quota {
    fn of_a_fifth() -> Option<Self> {
        let name = format!("maxq-accuracy-{}", std::process::id());
        let first = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"]
            .into_iter()
            .find(|folder| Path::new(folder).join("cpu.cfs_quota_us").exists());
        if let Some(folder) = first {
            let group = Self(format!("{folder}/{name}"));
            fs::create_dir(&group.0).ok()?;
            fs::write(format!("{}/cpu.cfs_period_us", group.0), "100000").ok()?;
            fs::write(format!("{}/cpu.cfs_quota_us", group.0), "20000").ok()?;
            return Some(group);
        }
        let group = Self(format!("/sys/fs/cgroup/{name}"));
        fs::create_dir(&group.0).ok()?;
        fs::write(format!("{}/cpu.max", group.0), "20000 100000").ok()?;
        Some(group)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // The last process may only just be gone.
        for _ in 0..50 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
