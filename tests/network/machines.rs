//! Machines of their own, in network namespaces: few local ports, both versions of IP, several interfaces.

use crate::site::Files;
use crate::support::report::{Report, checked};
use crate::support::{Ended, not_tested, run};
use crate::{each, refused};

/// Ten ports, of which a source can have each once towards one address.
const FEW_PORTS: &str = "
    ip link set lo up && echo '40000 40009' > /proc/sys/net/ipv4/ip_local_port_range || exit 99
    serve; measure \"$@\"";

const BOTH_VERSIONS: &str = "ip link set lo up || exit 99; serve; measure \"$@\"";

/// Two lines to another machine, which answers at 10.9.9.8 and 10.9.9.9. By itself the kernel takes the first; what is
/// bound to the second interface, or comes from its address, goes over the second.
const TWO_LINES: &str = r#"
    unshare -n sleep 60 & other=$!
    until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
    THERE="nsenter -t $other -n"
    for line in 1 2; do
      ip link add near$line type veth peer name far$line netns $other || exit 99
      ip addr add 10.9.$line.1/24 dev near$line && ip link set near$line up || exit 99
      $THERE ip addr add 10.9.$line.2/24 dev far$line && $THERE ip link set far$line up || exit 99
    done
    $THERE ip link set lo up && $THERE ip addr add 10.9.9.8 dev lo && $THERE ip addr add 10.9.9.9 dev lo
    # A line that is cut leads to nobody.
    ip route add 10.9.9.0/24 via 10.9.1.${CUT:-2} metric 100 || exit 99
    ip route add 10.9.9.0/24 via 10.9.2.2 metric 200 || exit 99
    ip route add 10.9.9.0/24 via 10.9.2.2 table 100 && ip rule add from 10.9.2.1 table 100 || exit 99
    serve; measure "$@""#;

/// Runs maxq on the machine that `script` makes. `None` where there can be no such machine.
fn run_on(files: &Files, script: &str, arguments: &[&str]) -> Option<Ended> {
    Some(run(files.machine(script)?.args(arguments)))
}

/// The same with the report of a run that ended well.
fn measured_on(files: &Files, script: &str, arguments: &[&str]) -> Option<Report> {
    Some(checked(0, &run_on(files, script, arguments)?))
}

#[test]
fn one_source_has_no_more_connections_than_ports() {
    let files = Files::write(&["127.0.0.1:8080"], 8080, 8443);
    let flags = ["-c", "40", "-d", "300ms", "--warmup", "0", "http://127.0.0.1:8080/"];
    for source in [&[][..], &["--source", "127.0.0.2"]] {
        let arguments = [&flags[..], source].concat();
        let Some(report) = measured_on(&files, FEW_PORTS, &arguments) else { return };
        assert!(report.error("environment/no_local_port") >= 30, "{:?}", report.errors());
        assert_eq!(report.number("/connections/opened"), 10);
        assert_eq!(report.count("ok"), report.count("sent"));
        assert_eq!(report.json["verdict"]["valid"], false);
    }
}

#[test]
fn several_sources_share_the_ports() {
    let files = Files::write(&["127.0.0.1:8080"], 8080, 8443);
    let flags = ["-c", "40", "-n", "4000", "http://127.0.0.1:8080/"];
    let arguments = [&flags[..], &["--source", "127.0.0.2-127.0.0.6"]].concat();
    let Some(report) = measured_on(&files, FEW_PORTS, &arguments) else { return };
    report.assert_all_ok();
    assert_eq!(report.number("/connections/opened"), 40);
    let log = files.log();
    assert_eq!(log.requests(), 4000);
    let sources = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"];
    assert_eq!(log.connections_by("remote_addr"), each(sources, 8));
    assert!(log.connections_by("remote_port").len() <= 10, "{log:?}");
}

#[test]
fn ports_are_shared_between_several_addresses_of_the_target() {
    let listen = ["127.0.0.1:8080", "127.0.0.2:8080", "127.0.0.3:8080", "127.0.0.4:8080"];
    let files = Files::write(&listen, 8080, 8443);
    let resolve = "--resolve=a.test:8080:127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4";
    // The probes of the addresses take a port each, too.
    let flags = [resolve, "--source", "127.0.0.9", "-c", "32", "-n", "3200", "http://a.test:8080/"];
    let Some(report) = measured_on(&files, FEW_PORTS, &flags) else { return };
    report.assert_all_ok();
    let dealt = files.log().connections_by("server_addr");
    assert_eq!(dealt, each(["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"], 8));
}

/// A server on both versions of IP; `None` where this machine has only one.
fn both_versions() -> Option<Files> {
    if !std::path::Path::new("/proc/net/if_inet6").exists() {
        not_tested("this machine has no IPv6");
        return None;
    }
    Some(Files::write(&["127.0.0.1:8080", "[::1]:8080"], 8080, 8443))
}

#[test]
fn a_literal_address_of_version_6_is_reached() {
    let Some(files) = both_versions() else { return };
    let flags = ["-n", "400", "-c", "4", "http://[::1]:8080/"];
    for more in [&[][..], &["-6"], &["--source", "::1"], &["--interface", "lo"]] {
        let arguments = [&flags[..], more].concat();
        let Some(report) = measured_on(&files, BOTH_VERSIONS, &arguments) else { return };
        report.assert_all_ok();
        assert_eq!(report.text("/plan/address"), "[::1]:8080");
    }
    let log = files.log();
    assert_eq!(log.requests(), 1600);
    let columns = ["server_addr", "remote_addr", "host"];
    assert_eq!(log.connections_by_all(&columns), each(["::1 ::1 [::1]:8080"], 4));
}

#[test]
fn a_version_of_ip_can_be_chosen() {
    let resolve = "--resolve=both.test:8080:127.0.0.1,[::1]";
    let flags = [resolve, "-n", "400", "-c", "4", "http://both.test:8080/"];
    for (choice, dealt) in [
        (&[][..], each(["127.0.0.1", "::1"], 2)),
        (&["-4"], each(["127.0.0.1"], 4)),
        (&["-6"], each(["::1"], 4)),
        (&["--addresses", "first"], each(["127.0.0.1"], 4)),
        (&["--source", "127.0.0.1,::1"], each(["127.0.0.1", "::1"], 2)),
        (&["-6", "--source", "::1"], each(["::1"], 4)),
    ] {
        let Some(files) = both_versions() else { return };
        let arguments = [&flags[..], choice].concat();
        let Some(report) = measured_on(&files, BOTH_VERSIONS, &arguments) else { return };
        report.assert_all_ok();
        assert_eq!(files.log().connections_by("server_addr"), dealt, "{choice:?}");
    }
}

#[test]
fn what_stands_in_for_a_host_may_be_of_version_6() {
    let Some(files) = both_versions() else { return };
    let flags = ["--connect-to", "www.test:80:[::1]:8080", "-n", "100", "-c", "2"];
    let arguments = [&flags[..], &["http://www.test/"]].concat();
    let Some(report) = measured_on(&files, BOTH_VERSIONS, &arguments) else { return };
    report.assert_all_ok();
    assert_eq!(files.log().connections_by_all(&["server_addr", "host"]), each(["::1 www.test"], 2));
}

#[test]
fn a_source_of_the_wrong_version_is_refused() {
    let resolve = "--resolve=both.test:8080:127.0.0.1,[::1]";
    let url = "http://both.test:8080/";
    for arguments in [
        &["--source", "::1", "http://127.0.0.1:8080/"][..],
        &["--source", "127.0.0.2", "http://[::1]:8080/"],
        &[resolve, "--source", "::1", url],
        &[resolve, "--source", "::1", "-4", url],
    ] {
        let Some(files) = both_versions() else { return };
        let Some(ended) = run_on(&files, BOTH_VERSIONS, arguments) else { return };
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
        for part in ["--source", "no address of the same version", ":8080"] {
            assert!(ended.stderr.contains(part), "{arguments:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn the_proxy_protocol_tells_addresses_of_version_6() {
    if both_versions().is_none() {
        return;
    }
    for version in ["v1", "v2"] {
        let files = Files::write(&["[::1]:8080 proxy_protocol"], 8080, 8443);
        let flags = ["--proxy-protocol", version, "-n", "100", "-c", "4", "http://[::1]:8080/"];
        let Some(report) = measured_on(&files, BOTH_VERSIONS, &flags) else { return };
        report.assert_all_ok();
        let log = files.log();
        assert_eq!(log.connections_by("claimed_addr"), each(["::1"], 4));
        log.assert_equal("claimed_port", "remote_port");
        log.assert_equal("claimed_server_port", "server_port");
    }
}

fn two_lines() -> Files {
    Files::write(&["10.9.9.8:8080", "10.9.9.9:8080"], 8080, 8443)
}

#[test]
fn connections_go_over_the_interface_that_was_named() {
    let flags = ["-n", "200", "-c", "4", "http://10.9.9.9:8080/"];
    for (choice, from) in [
        (&[][..], "10.9.1.1"),
        (&["--interface", "near1"], "10.9.1.1"),
        (&["--interface", "near2"], "10.9.2.1"),
        (&["--source", "10.9.2.1"], "10.9.2.1"),
        (&["--source", "10.9.2.1", "--interface", "near2"], "10.9.2.1"),
    ] {
        let files = two_lines();
        let arguments = [&flags[..], choice].concat();
        let Some(report) = measured_on(&files, TWO_LINES, &arguments) else { return };
        report.assert_all_ok();
        let pairs = format!("10.9.9.9 {from}");
        let columns = ["server_addr", "remote_addr"];
        assert_eq!(files.log().connections_by_all(&columns), each([&pairs], 4), "{choice:?}");
    }
}

#[test]
fn several_addresses_are_looked_for_where_connections_will_go() {
    let resolve = "--resolve=a.test:8080:10.9.9.8,10.9.9.9";
    let flags = [resolve, "-n", "200", "-c", "4", "http://a.test:8080/"];
    for choice in [["--interface", "near2"], ["--source", "10.9.2.1"]] {
        let files = two_lines();
        let Some(mut machine) = files.machine(&format!("CUT=3; {TWO_LINES}")) else { return };
        let report = checked(0, &run(machine.args(flags).args(choice)));
        report.assert_all_ok();
        let dealt = files.log().connections_by("server_addr");
        assert_eq!(dealt, each(["10.9.9.8", "10.9.9.9"], 2), "{choice:?}");
    }
}

#[test]
fn an_interface_that_is_not_there_is_refused_by_the_machine() {
    let url = "http://127.0.0.1:9/";
    refused(7, &["--interface", "none7", url], &["--interface"]);
    refused(7, &["--interface", "a-name-that-is-too-long-for-one", url], &["--interface"]);
}
