//! The last calibration of this machine, in the user's cache folder.
//!
//! It holds for one processor, kernel, number of cores and build of maxq. Reading never fails: what is not there or
//! not ours is no calibration.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::Calibration;
use crate::result::summary::Host;

/// Where the calibration is kept: below `XDG_CACHE_HOME` or `~/.cache`; `None` where neither is known.
#[must_use]
pub(crate) fn path() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = folder("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| folder("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    cache.is_absolute().then(|| cache.join("maxq").join("calibration.json"))
}

/// The calibration of this machine, if it was made.
#[must_use]
pub(crate) fn read(host: &Host) -> Option<Calibration> {
    let text = fs::read_to_string(path()?).ok()?;
    let document: Value = serde_json::from_str(&text).ok()?;
    (document["key"] == key(host)).then(|| from_json(&document["calibration"])).flatten()
}

/// Keeps a calibration of this machine, in one step.
///
/// # Errors
/// The operating system's.
pub(crate) fn write(host: &Host, calibration: &Calibration) -> io::Result<PathBuf> {
    let path = path().ok_or_else(|| io::Error::other("neither XDG_CACHE_HOME nor HOME is set"))?;
    let folder = path.parent().ok_or_else(|| io::Error::other("it has no folder"))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let document = json!({ "key": key(host), "calibration": to_json(calibration) });
    let beside = path.with_extension(format!("{}.partial", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(format!("{document:#}\n").as_bytes()))
        .and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        // It may not even have been created.
        drop(fs::remove_file(&beside));
    }
    written.map(|()| path)
}

fn key(host: &Host) -> Value {
    json!({
        "cpu": host.cpu,
        "cores_allowed": host.cores_allowed,
        "kernel": host.kernel,
        "version": env!("CARGO_PKG_VERSION"),
        "optimized": cfg!(not(debug_assertions)),
    })
}

/// The calibration as it is kept, and as `maxq calibrate --json` prints it.
#[must_use]
pub(crate) fn to_json(calibration: &Calibration) -> Value {
    json!({
        "ceiling_rps": calibration.ceiling_rps,
        "client_limited": calibration.client_limited,
        "clock_read_ns": calibration.clock_read_ns,
        "wake_p50_ns": calibration.wake_p50_ns,
        "wake_p99_ns": calibration.wake_p99_ns,
        "hiccup_ns": calibration.hiccup_ns,
        "cpu_ns_per_request": calibration.cpu_ns_per_request,
        "service_p50_ns": calibration.service_p50_ns,
        "stamp_skew_ns": calibration.stamp_skew_ns,
        "send_lag_p50_ns": calibration.send_lag_p50_ns,
        "send_lag_p99_ns": calibration.send_lag_p99_ns,
        "paced_rps": calibration.paced_rps,
    })
}

fn from_json(value: &Value) -> Option<Calibration> {
    let whole = |key: &str| value[key].as_u64();
    let float = |key: &str| value[key].as_f64().filter(|number| *number >= 0.0);
    Some(Calibration {
        ceiling_rps: float("ceiling_rps")?,
        client_limited: value["client_limited"].as_bool()?,
        clock_read_ns: whole("clock_read_ns")?,
        wake_p50_ns: whole("wake_p50_ns")?,
        wake_p99_ns: whole("wake_p99_ns")?,
        hiccup_ns: whole("hiccup_ns")?,
        cpu_ns_per_request: float("cpu_ns_per_request")?,
        service_p50_ns: whole("service_p50_ns")?,
        stamp_skew_ns: whole("stamp_skew_ns")?,
        send_lag_p50_ns: whole("send_lag_p50_ns")?,
        send_lag_p99_ns: whole("send_lag_p99_ns")?,
        paced_rps: float("paced_rps")?,
    })
}

#[cfg(test)]
mod tests {
    use super::{from_json, to_json};
    use crate::result::calibration::Calibration;
    use serde_json::json;

    #[test]
    fn a_calibration_survives_being_kept() {
        let calibration = Calibration {
            ceiling_rps: 180_000.5,
            client_limited: true,
            clock_read_ns: 25,
            wake_p50_ns: 50_000,
            wake_p99_ns: 90_000,
            hiccup_ns: 3_000_000,
            cpu_ns_per_request: 5_900.25,
            service_p50_ns: 340_000,
            stamp_skew_ns: 4_000,
            send_lag_p50_ns: 600,
            send_lag_p99_ns: 20_000,
            paced_rps: 10_000.0,
        };
        assert_eq!(from_json(&to_json(&calibration)), Some(calibration.clone()));
        let mut broken = to_json(&calibration);
        broken["wake_p50_ns"] = json!("soon");
        assert_eq!(from_json(&broken), None);
        assert_eq!(from_json(&json!(null)), None);
    }
}
