//! The laws over plain sockets: what a client sees of each deed, and what the target counts of it.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use maxq::serve::LawCounters;

use super::{Client, field, start};

#[test]
fn each_scripted_fault_looks_like_what_it_is_and_is_counted_as_that() {
    let server = start();
    let counted = |path: &str| server.law_counters(path).unwrap();
    let only = |counters: LawCounters, pick: fn(&LawCounters) -> u64| {
        assert_eq!((counters.requests, pick(&counters)), (1, 1), "{counters:?}");
    };
    let ask = |path: &str| {
        let mut client = Client::to(&server);
        client.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client
    };

    let path = "/law/script?p503=1";
    assert_eq!(ask(path).response().status, 503);
    only(counted(path), |counters| counters.answered_503);

    let path = "/law/script?preset=1";
    let error = ask(path).stream_error();
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
    only(counted(path), |counters| counters.reset);

    let path = "/law/script?pclose=1";
    assert_eq!(ask(path).rest(), b"");
    only(counted(path), |counters| counters.closed);

    let path = "/law/script?pgarbage=1";
    let garbage = ask(path).rest();
    assert!(!garbage.is_empty() && !garbage.starts_with(b"HTTP/"), "{garbage:?}");
    only(counted(path), |counters| counters.garbage);

    let path = "/law/script?ptruncated=1";
    let whole = ask("/law/script?seed=3").response();
    let cut = ask(path).rest();
    assert!(cut.starts_with(b"HTTP/1.1 200") && cut.len() < whole.head.len() + whole.body.len());
    only(counted(path), |counters| counters.truncated);

    let path = "/law/script?psilent=1";
    let silent = ask(path);
    silent.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut silent = silent;
    assert_eq!(silent.stream_error(), Some(ErrorKind::WouldBlock));
    // Another connection is none the worse.
    assert_eq!(ask("/law/script?seed=2").response().status, 200);
    only(counted(path), |counters| counters.silent);
}

#[test]
fn stamps_come_when_asked_for_and_are_in_order() {
    let server = start();
    let mut client = Client::to(&server);
    let mut last_ns = 0;
    for expected in 0..3 {
        let head = client.get("/law/fixed?d=2ms&stamps=1").head;
        let number = |name: &str| field(&head, name).unwrap().parse::<u64>().unwrap();
        assert_eq!(number("X-Seq"), expected);
        let (received, sent) = (number("X-Recv-ns"), number("X-Send-ns"));
        assert!(received > last_ns && sent >= received + 2_000_000, "{head}");
        last_ns = sent;
    }
    let head = client.get("/law/fixed?d=2ms").head;
    assert_eq!(field(&head, "X-Seq"), None);
}

#[test]
fn another_run_of_a_law_starts_anew() {
    let server = start();
    let mut client = Client::to(&server);
    let mut number =
        |path: &str| field(&client.get(path).head, "X-Seq").unwrap().parse::<u64>().unwrap();
    assert_eq!(number("/law/fixed?d=0&stamps=1&run=a"), 0);
    assert_eq!(number("/law/fixed?d=0&stamps=1&run=a"), 1);
    assert_eq!(number("/law/fixed?d=0&stamps=1&run=b"), 0);
    assert_eq!(server.law_counters("/law/fixed?d=0&stamps=1&run=a").unwrap().requests, 2);
    assert_eq!(server.law_counters("/law/fixed?d=0&stamps=1&run=c"), None);
}

#[test]
fn slow_answers_of_a_mixture_hold_back_no_fast_ones() {
    let server = start();
    let mut slow = Client::to(&server);
    let path = "/law/mixture?fast=1ms&slow=300ms&every=2";
    let begun = Instant::now();
    slow.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    // The first is slow; wait until it was counted, so that the next is the second.
    while server.law_counters(path).is_none() {
        assert!(begun.elapsed() < Duration::from_secs(5), "the first request did not arrive");
    }
    assert_eq!(Client::to(&server).get(path).status, 200);
    assert!(begun.elapsed() < Duration::from_millis(290), "{:?}", begun.elapsed());
    assert_eq!(slow.response().status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn laws_that_are_none_are_refused_with_a_reason() {
    let server = start();
    for (path, reason) in [
        ("/law/nothing?d=1ms", "no such law"),
        ("/law/fixed", "d=1ms"),
        ("/law/fixed?d=1", "a unit"),
        ("/law/fixed?d=1ms&x=1", "no such parameter"),
        ("/law/stall?d=1ms&stall=2s&every=1s", "shorter than every"),
        ("/law/script?preset=0.7&pclose=0.7", "more than 1"),
    ] {
        let response = Client::to(&server).get(path);
        let body = String::from_utf8(response.body).unwrap();
        assert_eq!(response.status, 400, "{path}");
        assert!(body.contains(reason), "{path}: {body:?} does not say {reason:?}");
        assert_eq!(server.law_counters(path), None);
    }
}

#[test]
fn more_instances_than_there_is_room_for_are_refused() {
    let server = start();
    let mut client = Client::to(&server);
    let path = |run: usize| format!("/law/fixed?d=0&run={run}");
    for run in 0..1024 {
        assert_eq!(client.get(&path(run)).status, 200);
    }
    assert_eq!(Client::to(&server).get(&path(1024)).status, 503);
    assert_eq!(client.get(&path(7)).status, 200, "the ones that are there go on");
}
