//! What the first bad answer of each status said is in the report, whichever way it came, and none of the request's
//! secrets.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod support;

use std::net::SocketAddr;

use maxq::serve::{Options, Server};
use serde_json::Value;
use support::report::{Report, measure};
use support::service::Service;
use support::{Ended, maxq, run};

const ENGINES: [&str; 2] = ["uring", "portable"];
/// As much of a body is kept.
const MOST_BYTES: u64 = 2048;

fn on(engine: &str, arguments: &[&str]) -> Ended {
    run(maxq().args(["--engine", engine, "-t", "1", "--no-preflight"]).args(arguments))
}

/// The only bad answer of a run without good ones.
fn bad_answer(engine: &str, arguments: &[&str]) -> Value {
    let ended = on(engine, &[&["--json"], arguments].concat());
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    let report = Report::of(&ended.stdout);
    let [answer] = &report.json["bad_answers"].as_array().unwrap()[..] else {
        panic!("{}", report.json["bad_answers"]);
    };
    answer.clone()
}

#[test]
fn a_service_that_refuses_a_request_says_why_in_the_report() {
    let service = Service::start();
    let url = service.url("/items");
    for engine in ENGINES {
        let post = ["-n", "1", "-b", "{\"name\": 1}", "-H", "Content-Type: application/json", &url];
        let ended = on(engine, &post);
        assert_eq!(ended.code, Some(5), "{}", ended.stderr);
        let said = ended.stdout.lines().find(|line| line.starts_with("  first 422   {"));
        assert!(said.is_some_and(|said| said.contains("detail")), "{engine}: {}", ended.stdout);
        assert!(ended.stdout.contains("Result        failing: "), "{}", ended.stdout);
        let answer = bad_answer(engine, &[&["-p", "4"], &post[2..], &["-n", "40"]].concat());
        let body = answer["body"].as_str().unwrap();
        assert!(body.contains("Field required"), "{engine}: {body}");
        assert_eq!((&answer["status"], &answer["cut"]), (&422.into(), &false.into()), "{answer}");
    }
}

#[test]
fn a_pool_that_runs_dry_says_so_in_the_report() {
    let service = Service::start();
    let report = measure(&["-c", "64", "-d", "1s", "--warmup", "0", &service.url("/items/1")]);
    assert!(report.status(200) > 0 && report.status(503) > 0);
    let answers = report.json["bad_answers"].as_array().unwrap();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let body = answers[0]["body"].as_str().unwrap();
    assert_eq!(body, r#"{\"detail\":\"no database connection is free\"}"#);
    assert_eq!(report.text("/verdict/target"), "failing");
    assert!(report.text("/verdict/target_text").contains("% errors"));
}

#[test]
fn long_and_chunked_bodies_are_cut_and_say_so() {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap();
    let address = server.local_address();
    for engine in ENGINES {
        for (path, length) in [
            ("bytes/200", 200),
            ("bytes/5000", 5000),
            ("bytes/1000000", 1_000_000),
            ("chunked/9000", 9000),
        ] {
            let url = format!("http://{address}/{path}");
            for pipeline in ["1", "4"] {
                // None of the answers is what somebody wants.
                let flags = ["--expect", "status=404", "-c", "2", "-n", "40", "-p", pipeline, &url];
                let answer = bad_answer(engine, &flags);
                let body = answer["body"].as_str().unwrap().replace("\\n", "\n");
                let kept = body.len() as u64;
                assert_eq!(answer["body_bytes"], length, "{engine} {path}");
                assert_eq!(kept, MOST_BYTES.min(length), "{engine} {path}");
                assert_eq!(answer["cut"], length > MOST_BYTES, "{engine} {path}");
            }
        }
        let url = format!("http://{address}/bytes/5000");
        let ended = on(engine, &["--expect", "status=404", "-n", "1", "-v", &url]);
        assert!(ended.stdout.contains("(cut: the first 2,048 of 5,000 bytes)"), "{}", ended.stdout);
    }
}

#[test]
fn the_secrets_of_the_request_are_masked_in_what_comes_back() {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(&Options { listen, threads: 1, cpus: Vec::new() }).unwrap();
    let url = format!("http://alice:hunter22@{}/echo", server.local_address());
    let headers =
        ["-H", "Cookie: session=hunter33", "-H", "X-Api-Key: hunter44", "-H", "X-Plain: hunter55"];
    for format in ["text", "json"] {
        let flags = ["--expect", "status=404", "-n", "1", "-v", "--format", format, &url];
        let told = on("auto", &[&headers[..], &flags].concat()).stdout;
        assert!(told.contains("X-Plain: hunter55") && told.contains("***"), "{told}");
        for secret in ["hunter22", "hunter33", "hunter44", "YWxpY2U6aHVudGVyMjI="] {
            assert!(!told.contains(secret), "{format}: {secret} in {told}");
        }
    }
}
