//! The third witness: a capture of the loopback, where tcpdump is there. What the client calls service time must lie
//! above what was seen on the wire, by little.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::bed::{Bed, quantile};
use super::support::{not_tested, signal, wait_until};

#[test]
fn service_times_lie_just_above_what_a_capture_of_the_wire_shows() {
    let bed = Bed::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wire.pcap");
    let port = bed.address().rsplit(':').next().unwrap().to_owned();
    let started = Command::new("tcpdump")
        .args(["-i", "lo", "-s", "128", "-U", "--time-stamp-precision=nano", "-w"])
        .arg(&file)
        .args(["tcp", "port", &port])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut capture) = started else {
        not_tested("tcpdump is not here to capture the wire");
        return;
    };
    wait_until("the capture", || fs::metadata(&file).is_ok_and(|file| file.len() >= 24));
    thread::sleep(Duration::from_millis(300));
    // tcpdump needs a core, too, and must not lose what it captures.
    let arguments = ["-R", "200", "-d", "3s", "--warmup", "0", "-c", "32"];
    let measured = bed.measure("fixed?d=2ms", &arguments);
    thread::sleep(Duration::from_millis(500));
    signal(capture.id(), "INT");
    capture.wait().unwrap();
    let port = port.parse().unwrap();
    let wire = exchanges(&file, port);
    assert!(wire.len() >= 500, "{} were captured", wire.len());
    let wire_p50 = quantile(&wire, 0.5) as f64 / 1e6;
    let service_p50 = measured.ms("service", "p50");
    let above = service_p50 - wire_p50;
    assert!(
        (0.0..0.1 * measured.slack()).contains(&above),
        "{service_p50} ms measured, {wire_p50} ms on the wire"
    );
}

/// From each request to the first packet of its answer, in nanoseconds.
fn exchanges(file: &Path, port: u16) -> Vec<u64> {
    let bytes = fs::read(file).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!(word(0), 0xa1b2_3c4d, "nanoseconds, this machine's byte order");
    let mut at = 24;
    let mut asked: HashMap<u16, u64> = HashMap::new();
    let mut exchanges = Vec::new();
    while at + 16 <= bytes.len() {
        let time = u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4));
        let length = word(at + 8) as usize;
        let Some(packet) = bytes.get(at + 16..at + 16 + length) else { break };
        at += 16 + length;
        let Some((source, destination, payload)) = tcp(packet) else { continue };
        if payload == 0 {
            continue;
        }
        if destination == port {
            asked.insert(source, time);
        } else if let Some(since) = asked.remove(&destination) {
            exchanges.push(time - since);
        }
    }
    exchanges
}

/// Ports and payload length of a TCP packet over IPv4 in an Ethernet frame.
fn tcp(frame: &[u8]) -> Option<(u16, u16, usize)> {
    let ip = frame.get(14..)?;
    if ip.first()? >> 4 != 4 || *ip.get(9)? != 6 {
        return None;
    }
    let header = usize::from(ip[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes(ip.get(2..4)?.try_into().ok()?));
    let tcp = ip.get(header..)?;
    let port = |at: usize| Some(u16::from_be_bytes(tcp.get(at..at + 2)?.try_into().ok()?));
    let options = usize::from(tcp.get(12)? >> 4) * 4;
    Some((port(0)?, port(2)?, total.checked_sub(header + options)?))
}
