//! Faults in the midst of good answers: each is counted as what it was, and the good ones are measured as well as ever.

use super::bed::{Bed, RATE, until_no_hiccup};

#[test]
fn scripted_faults_are_counted_by_class_and_good_answers_stay_accurate() {
    let bed = Bed::start();
    let law = "script?seed=9&d=1ms&p503=0.1&preset=0.02&ptruncated=0.02&pgarbage=0.01&pclose=0.05&psilent=0.01";
    let arguments = [
        "-R",
        RATE,
        "-n",
        "3000",
        "--warmup",
        "0",
        "-c",
        "128",
        "--timeout",
        "1s",
        "--drain",
        "3s",
    ];
    let measured = bed.undisturbed(law, &arguments);
    let report = &measured.report;
    for (client, target) in [
        ("ok", "answered_200"),
        ("http_error", "answered_503"),
        ("reset", "reset"),
        ("protocol_error", "garbage"),
        ("timeout", "silent"),
    ] {
        assert_eq!(report.count(client), measured.target_count(target), "{client}");
    }
    let cut = measured.target_count("truncated") + measured.target_count("closed");
    assert_eq!(report.count("truncated"), cut);
    assert_eq!(report.count("scheduled"), 3000);
    // A request that found its connection just gone waited for another; the good ones did not wait for the bad.
    let (p50, p99) = (measured.undisturbed_ms(0.5), measured.undisturbed_ms(0.99));
    assert!((p50 - 1.0).abs() < 0.1 * measured.slack(), "p50 is {p50} ms");
    assert!((p99 - 1.0).abs() < 0.5 || !measured.quiet, "p99 is {p99} ms");
}

#[test]
fn a_token_bucket_lets_through_its_rate_and_refuses_the_rest() {
    let bed = Bed::start();
    let arguments = ["-R", "1000", "-d", "3s", "--warmup", "0", "-c", "64"];
    until_no_hiccup(|| {
        let measured = bed.measure("bucket?rate=400&burst=10", &arguments);
        let report = &measured.report;
        let ok = report.count("ok");
        assert_eq!(ok + report.count("http_error"), 3000);
        assert_eq!(ok, measured.target_count("answered_200"));
        measured.holds(ok.abs_diff(1210) <= 5, format!("{ok} were let through"))?;
        let goodput = report.float("/rates/goodput_rps");
        measured.holds((goodput - 403.0).abs() < 3.0, format!("goodput is {goodput}/s"))
    });
}
