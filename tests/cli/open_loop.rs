//! The open loop on the command line: what is refused, what is obeyed to the request, what its files hold.

use std::fs;

use serde_json::Value;

use super::support::report::{Report, checked};
use super::support::{Ended, maxq_on_engine, run};
use super::{NOWHERE, quick, refused_by_the_parser, refused_in_one_line, target, url};

#[test]
fn shapes_that_cannot_be_obeyed_are_refused_by_name() {
    let cases: [(&[&str], &[&str]); 20] = [
        (&["--arrivals", "poisson"], &["--arrivals", "--rate"]),
        (&["--arrivals", "poisson", "--burst", "5@1s"], &["--arrivals", "--rate"]),
        (&["--max-in-flight", "5"], &["--max-in-flight", "--rate"]),
        (&["--on-overload", "shed"], &["--on-overload", "--rate"]),
        (&["-R", "10", "--max-in-flight", "0"], &["--max-in-flight 0", "at least one"]),
        (&["-R", "10", "-c", "4", "--max-in-flight", "5"], &["--max-in-flight 5", "-c"]),
        (&["--stages", "30s"], &["--stages '30s'", "rate"]),
        (&["--stages", "10s@0"], &["--stages '10s@0'", "nothing would be sent"]),
        (&["--stages", "10s@0,5s@0"], &["--stages '10s@0,5s@0'", "nothing would be sent"]),
        (
            &["--stages", "10s@0..0"],
            &["--stages '10s@0..0'", "sends nothing", "write 10s@0 for a pause"],
        ),
        (&["--stages", "10@1k"], &["--stages '10@1k'", "'10' has no unit", "10s"]),
        (&["--stages", "0s@1k"], &["--stages '0s@1k'", "last"]),
        (&["--stages", "1s@1k", "-n", "5"], &["-n", "--stages"]),
        (&["--stages", "1s@1k", "-d", "2s"], &["-d", "--stages", "1 s"]),
        (&["--stages", "1s@1k", "--warmup", "auto"], &["--warmup auto", "--stages"]),
        (&["-R", "10", "-n", "5", "--warmup", "auto"], &["--warmup auto", "-n"]),
        (
            &["--burst", "100@1s", "-c", "10", "--on-overload", "abort"],
            &["--burst", "100", "--on-overload abort", "-c"],
        ),
        (&["--slo", "p99<"], &["--slo 'p99<'", "use p99<50ms"]),
        (&["--slo", "speed<1ms"], &["--slo 'speed<1ms'", "looked at"]),
        (&["-t", "2", "-R", "10", "--max-in-flight", "1"], &["-t 2"]),
    ];
    for (arguments, parts) in cases {
        refused_in_one_line(2, &[arguments, &[NOWHERE]].concat(), parts);
    }
    for (arguments, parts) in [
        (&["-R", "0", NOWHERE][..], &["--rate", "above 0"][..]),
        (&["-R", "-5", NOWHERE], &["--rate", "-5"]),
        (&["-R", "1e3", NOWHERE], &["--rate", "1e3"]),
        (&["-R", "100M", NOWHERE], &["--rate", "more than"]),
        (&["-R", "5", "--stages", "1s@5", NOWHERE], &["--rate", "--stages"]),
        (&["--burst", "0@1s", NOWHERE], &["--burst", "at least one"]),
        (&["--burst", "5@0s", NOWHERE], &["--burst", "time between"]),
        (&["--warmup", "soon", NOWHERE], &["--warmup", "auto"]),
        (&["--on-overload", "drop", NOWHERE], &["--on-overload", "shed"]),
        (&["spike", NOWHERE], &["--base", "--peak"]),
    ] {
        refused_by_the_parser(arguments, parts);
    }
}

#[test]
fn a_spike_that_is_none_is_refused_by_name() {
    let spike = ["spike", "--base", "10", "--peak", "100", NOWHERE];
    for (more, parts) in [
        (&["-R", "5"][..], &["-R", "spike"][..]),
        (&["-n", "5"], &["-n", "spike"]),
        (&["--burst", "5@1s"], &["--burst", "spike"]),
        (&["--hold", "0"], &["--hold 0", "last"]),
        (&["--at", "0"], &["--at 0", "last"]),
        (&["-d", "3s"], &["-d 3 s", "6 s"]),
    ] {
        refused_in_one_line(2, &[&spike[..], more].concat(), parts);
    }
    refused_by_the_parser(
        &["spike", "--base", "0", "--peak", "0", NOWHERE],
        &["--peak", "above 0"],
    );
    let from_nothing = ["spike", "--base", "0", "--peak", "100", "--slo"];
    for gate in ["p99[base]<1s", "errors[recovery]<1%", "achieved[base]>=99%"] {
        let arguments = [&from_nothing[..], &[gate, NOWHERE]].concat();
        refused_in_one_line(2, &arguments, &["--slo", gate, "has no requests to judge"]);
    }
    let flat = ["spike", "--base", "100", "--peak", "100", NOWHERE];
    refused_in_one_line(2, &flat, &["--peak 100/s", "--base 100/s"]);
}

fn report(ended: &Ended) -> Report {
    checked(0, ended)
}

#[test]
fn a_rate_and_a_count_are_obeyed_to_the_request() {
    let server = target();
    for (flags, scheduled) in [
        (&["-R", "1300", "-d", "500ms"][..], 650),
        (&["-R", "333.3", "-d", "1s"], 334),
        (&["-R", "500", "-n", "123"], 123),
        (&["-R", "500", "-n", "123", "--arrivals", "poisson"], 123),
        (&["--stages", "500ms@100,500ms@100..300"], 150),
        (&["--stages", "500ms@0..300,200ms@0,300ms@200..0"], 105),
        (&["--burst", "20@250ms", "-d", "1s"], 80),
        (&["--burst", "20@250ms", "-R", "100", "-d", "1s"], 180),
    ] {
        let arguments = ["-t", "1", "-c", "8", "--warmup", "0", "--json"];
        let ended = run(maxq_on_engine().args(arguments).args(flags).arg(url(&server)));
        let report = report(&ended);
        assert_eq!(report.count("scheduled"), scheduled, "{flags:?}");
        report.assert_all_ok();
        assert_eq!(report.text("/plan/mode"), "open");
    }
}

#[test]
fn a_spike_out_of_nothing_says_that_there_is_no_latency_to_return_to() {
    let server = target();
    // One server that takes 2 ms a request: 200 of the spike are left for 200 ms more.
    let law = format!("http://{}/law/md1?d=2ms", server.local_address());
    let load = ["--base", "0", "--peak", "1k", "--at", "300ms", "--hold", "400ms", "-d", "2500ms"];
    let more = ["-t", "1", "-c", "400", "--no-preflight", "--slo", "achieved[recovery]>=1/s"];
    let spike = |format: &[&str]| {
        let mut command = super::support::maxq();
        run(command.arg("spike").args(load).args(more).args(format).arg(&law))
    };
    let ended = spike(&["--json"]);
    let report = report(&ended);
    let scheduled = |phase: usize| report.number(&format!("/phases/{phase}/counts/scheduled"));
    assert_eq!([0, 1, 2].map(scheduled), [0, 400, 0]);
    assert_eq!(report.float("/window/warmup_s"), 0.0, "a warm-up at a rate of 0 warms nothing");
    let spike_of = |key: &str| report.json["phases"][1]["disturbances"][0][key].clone();
    assert!(spike_of("recovered_after_s").is_null() && spike_of("base_p99_us").is_null());
    let answered_s = spike_of("all_answered_after_s").as_f64().unwrap();
    assert!((0.3..1.8).contains(&answered_s), "{answered_s}");
    let text = spike(&[]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = "no requests were answered before, so there is no p99 to return to; everything was answered within";
    assert!(text.contains(said), "{text}");
}

#[test]
fn what_comes_after_a_pause_is_compared_with_what_came_before_it() {
    let server = target();
    let stages = "200ms@100,100ms@0,200ms@100,100ms@0,200ms@400";
    let flags = ["--stages", stages, "--warmup", "0", "-t", "1", "-c", "4", "--json"];
    let report = report(&run(maxq_on_engine().args(flags).arg(url(&server))));
    let phases = report.json["phases"].as_array().unwrap();
    let disturbances = |phase: &Value| phase["disturbances"].as_array().unwrap().clone();
    let counts: Vec<usize> = phases.iter().map(|phase| disturbances(phase).len()).collect();
    assert_eq!(counts, [0, 0, 0, 0, 1], "going on at the same rate is no spike");
    assert_eq!(
        disturbances(&phases[4])[0]["base_p99_us"],
        phases[2]["latency"]["response"]["p99_us"]
    );
}

#[test]
fn bursts_alone_have_no_latency_to_return_to_either() {
    let server = target();
    let load = ["--burst", "20@100ms", "-d", "1s", "-t", "1", "-c", "4", "--json"];
    let report = report(&run(maxq_on_engine().args(load).arg(url(&server))));
    let phases = report.json["phases"].as_array().unwrap();
    let bursts = phases.iter().find(|phase| phase["name"] == "bursts").unwrap();
    let each = bursts["disturbances"].as_array().unwrap();
    assert_eq!(each.len(), 10);
    assert!(each.iter().all(|burst| burst["recovered_after_s"].is_null()));
    assert!(each.iter().any(|burst| burst["all_answered_after_s"].as_f64().is_some()));
}

#[test]
fn each_stage_is_a_phase_and_the_warmup_is_none_of_them() {
    let server = target();
    let flags = ["--stages", "300ms@100,200ms@500", "--warmup", "200ms", "-c", "4", "--json"];
    let report = report(&run(maxq_on_engine().args(flags).arg(url(&server))));
    let phases = report.json["phases"].as_array().unwrap();
    let names: Vec<&str> = phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["warmup", "300ms@100", "200ms@500"]);
    let scheduled: Vec<u64> =
        phases.iter().map(|phase| phase["counts"]["scheduled"].as_u64().unwrap()).collect();
    assert_eq!(scheduled, [20, 30, 100]);
    assert_eq!(phases[2]["disturbances"].as_array().unwrap().len(), 1);
    assert!((report.float("/phases/2/rates/offered_rps") - 500.0).abs() < 1e-6);
}

#[test]
fn the_peaks_of_a_stage_are_those_of_its_own_requests() {
    let server = target();
    // One server that takes a millisecond: the last stage asks for twice as much as it can do.
    let flags = ["--stages", "500ms@100,500ms@300,500ms@2000", "--warmup", "0", "-c", "1000"];
    let law = format!("{}law/md1?d=1ms", url(&server));
    let report = report(&run(maxq_on_engine().args(flags).args(["-t", "1", "--json", &law])));
    let phases = report.json["phases"].as_array().unwrap();
    for phase in &phases[1..] {
        let [effect] = &phase["disturbances"].as_array().unwrap()[..] else { panic!("{phase}") };
        assert_eq!(effect["peak_latency_us"], phase["latency"]["response"]["max_us"], "{phase}");
        assert_eq!(effect["peak_outstanding"], phase["peak_outstanding"], "{phase}");
    }
    let peaks = [1, 2].map(|place| report.number(&format!("/phases/{place}/peak_outstanding")));
    assert!(peaks[0] < 200 && peaks[1] > 300, "{peaks:?}");
    assert_eq!(report.text("/verdict/target"), "overloaded");
}

#[test]
fn a_burst_is_outstanding_as_a_whole_however_fast_it_is_answered() {
    let server = target();
    let flags = ["--burst", "40@300ms", "-R", "50", "-d", "1s", "--warmup", "0", "-c", "4"];
    let report =
        report(&run(maxq_on_engine().args(flags).args(["-t", "1", "--json"]).arg(url(&server))));
    let phases = report.json["phases"].as_array().unwrap();
    let bursts = phases.iter().find(|phase| phase["name"] == "bursts").unwrap();
    assert_eq!(bursts["counts"]["scheduled"], 160);
    let each = bursts["disturbances"].as_array().unwrap();
    assert_eq!(each.len(), 4);
    for burst in each {
        assert!(burst["peak_outstanding"].as_u64().unwrap() >= 40, "{burst}");
        assert!(burst["peak_latency_us"].as_f64().unwrap() > 0.0, "{burst}");
    }
}

#[test]
fn an_automatic_warmup_says_what_it_cut_and_nothing_is_lost() {
    let server = target();
    for load in [&["-R", "500"][..], &[]] {
        let flags = ["-d", "1s", "--warmup", "auto", "-t", "1", "-c", "2", "--json"];
        let report = report(&run(maxq_on_engine().args(flags).args(load).arg(url(&server))));
        let (cut, rest) = (report.float("/window/warmup_s"), report.float("/window/measured_s"));
        assert!((cut + rest - 1.0).abs() < 0.01, "{cut} s of warm-up and {rest} s measured");
        assert!(cut <= 0.5);
        let all: u64 = report.json["phases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|phase| phase["counts"]["scheduled"].as_u64().unwrap())
            .sum();
        assert_eq!(all, report.in_intervals("scheduled"));
        if !load.is_empty() {
            assert_eq!(all, 500);
        }
    }
}

#[test]
fn gates_decide_the_exit_code() {
    let server = target();
    let load = ["-R", "200", "--json"];
    let pass = quick(&server, &[&load[..], &["--slo", "p99<10s,errors<1%"]].concat());
    let passed = report(&pass);
    assert_eq!(passed.json["slo"].as_array().unwrap().len(), 2);
    assert_eq!(passed.json["slo"][1]["value"], 0.0);
    let fail = quick(&server, &[&load[..], &["--slo", "p99<10s, max<1ns"]].concat());
    assert_eq!(fail.code, Some(1), "{}", fail.stderr);
    assert!(fail.stderr.contains("--slo: max<1ns failed"), "{}", fail.stderr);
    let failed = Report::of(&fail.stdout);
    assert_eq!(failed.json["slo"][0]["pass"], true);
    assert_eq!(failed.json["slo"][1]["pass"], false);
}

#[test]
fn strict_makes_an_invalid_measurement_an_error() {
    let server = target();
    // Forty requests are too few for a p99.
    let few = ["-R", "200", "--json"];
    assert_eq!(quick(&server, &few).code, Some(0));
    let strict = quick(&server, &[&few[..], &["--strict"]].concat());
    assert_eq!(strict.code, Some(6), "{}", strict.stderr);
    // Which reason is named depends on how busy the machine is.
    assert!(strict.stderr.contains("not valid (--strict)"), "{}", strict.stderr);
    assert!(strict.stdout.contains("\"valid\": false"), "{}", strict.stdout);
}

#[test]
fn an_abort_is_marked_and_exits_like_a_failed_gate() {
    let server = target();
    let slow = format!("http://{}/delay/300ms", server.local_address());
    let flags = ["-R", "100", "-d", "2s", "--warmup", "0", "-c", "2", "--on-overload", "abort"];
    let ended = run(maxq_on_engine().args(flags).arg(&slow));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("OVERLOADED") && ended.stderr.contains("--on-overload abort"));
    assert!(ended.took.as_millis() < 1500, "{:?}", ended.took);
}

#[test]
fn what_is_shed_is_counted_and_named() {
    let server = target();
    let slow = format!("http://{}/delay/100ms", server.local_address());
    let flags = ["-R", "100", "-d", "1s", "--warmup", "0", "-c", "2", "--on-overload", "shed"];
    let report = report(&run(maxq_on_engine().args(flags).args(["-t", "1", "--json"]).arg(&slow)));
    assert_eq!(report.count("scheduled"), 100);
    let shed = report.number("/unsent_by_cause/shed");
    assert_eq!(report.count("unsent"), shed);
    assert!((70..=85).contains(&shed), "{shed} were shed");
    assert_eq!(report.text("/verdict/code"), "connection_limited");
}

#[test]
fn every_request_is_logged_in_each_form() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let lines = folder.path().join("requests.jsonl");
    let binary = folder.path().join("requests.bin");
    let csv = folder.path().join("requests.csv");
    for (path, more) in [(&lines, &["-R", "300"][..]), (&binary, &[]), (&csv, &["-R", "300"])] {
        let flag = ["--json", "-n", "60", "--log-requests", path.to_str().unwrap()];
        let ended = quick(&server, &[&flag[..], more].concat());
        assert_eq!(report(&ended).count("ok"), 60);
    }
    let text = fs::read_to_string(&lines).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut numbers: Vec<u64> = rows.iter().map(|row| row["number"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..60).collect::<Vec<u64>>());
    assert!(rows.iter().all(|row| row["outcome"] == "ok" && row["status"] == 200));
    let text = fs::read_to_string(&csv).unwrap();
    let (header, values) = text.split_once('\n').unwrap();
    let names: Vec<&str> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(header, names.join(","));
    assert_eq!(values.lines().count(), 60);
    for line in values.lines() {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), names.len(), "{line}");
        assert_eq!(cells[1..4], ["measured", "ok", "200"], "{line}");
        assert!(cells[6].parse::<u64>().unwrap() < cells[8].parse::<u64>().unwrap(), "{line}");
    }
    let bytes = fs::read(&binary).unwrap();
    assert_eq!(&bytes[..8], b"MAXQREQ1");
    let row_bytes = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    assert_eq!((row_bytes, bytes.len()), (96, 16 + 60 * row_bytes));
}

#[test]
fn the_interval_log_adds_up_to_the_whole() {
    let (server, folder) = (target(), tempfile::tempdir().unwrap());
    let path = folder.path().join("run.hlog");
    let flags =
        ["-R", "400", "-d", "2s", "--warmup", "500ms", "-t", "1", "-c", "4", "--json", "--hlog"];
    let ended = run(maxq_on_engine().args(flags).arg(&path).arg(url(&server)));
    let report = report(&ended);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("#[Histogram log format version 1.2]\n#[StartTime: "));
    let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with(['#', '"'])).collect();
    assert!(rows[0].starts_with("Tag=warmup,0.000,1.000,"), "{}", rows[0]);
    let values: u64 =
        rows.iter().map(|row| histogram_length(row.rsplit(',').next().unwrap())).sum();
    assert_eq!(values, report.in_intervals("completed"));
    assert_eq!(values, 1000);
}

/// Values in a histogram of HdrHistogram's V2 encoding, deflated, in base64.
fn histogram_length(text: &str) -> u64 {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter(|&byte| byte != b'=');
    let bits: Vec<bool> = digits
        .flat_map(|byte| {
            let digit = alphabet.iter().position(|&known| known == byte).unwrap();
            (0..6).rev().map(move |bit| digit >> bit & 1 == 1)
        })
        .collect();
    let bytes: Vec<u8> = bits
        .chunks_exact(8)
        .map(|byte| byte.iter().fold(0, |value, &bit| value << 1 | u8::from(bit)))
        .collect();
    let decoded: hdrhistogram::Histogram<u64> =
        hdrhistogram::serialization::Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
    decoded.len()
}

#[test]
fn logs_that_cannot_be_written_are_no_reason_to_lose_the_report() {
    let server = target();
    for flag in ["--hlog", "--log-requests"] {
        let ended = quick(&server, &["-R", "100", flag, "/dev/full"]);
        assert_eq!(ended.code, Some(8), "{flag}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("{flag} /dev/full")), "{}", ended.stderr);
    }
}

#[test]
fn a_dead_target_ends_an_open_loop_as_it_ends_a_closed_one() {
    let (address, _kept) = super::closed_port();
    let url = format!("http://{address}/");
    let parts = [&url[..], "refused"];
    refused_in_one_line(5, &["-R", "100", "--give-up", "300ms", &url], &parts);
}
