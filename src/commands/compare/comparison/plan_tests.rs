//! What runs may differ in, and what is said where they do.

use serde_json::{Value, json};

use super::tests::run;
use super::*;

/// Five runs like those of a document of today, changed.
fn side(change: impl Fn(&mut Value)) -> Side {
    let one = |index: u32| {
        let mut document = run(5000.0 + f64::from(index), 0).document;
        document["plan"]["hash"] = json!("new");
        document["plan"]["hashes"] = json!({ "load": "l", "request": "r" });
        document["plan"]["threads"] = json!(2);
        document["tool"] = json!({ "version": "0.1.0", "engine": "uring" });
        document["host"] = json!({ "cpu": "a", "cores_allowed": 2, "cgroup_quota_cores": null });
        change(&mut document);
        Run::of(document, format!("{index}.json")).unwrap()
    };
    Side { label: "x".to_owned(), runs: (0..5).map(one).collect() }
}

/// The same as an earlier version wrote it.
fn older(change: impl Fn(&mut Value)) -> Side {
    side(|document| {
        let plan = document["plan"].as_object_mut().unwrap();
        plan.remove("hashes");
        plan["hash"] = json!("old");
        change(document);
    })
}

fn with(allowed: &[Kind], base: Side, new: Side) -> Result<Comparison, Refusal> {
    let allowed = allowed.iter().copied().collect();
    compare(base, new, false, &Criteria { allowed, ..Criteria::default() })
}

#[test]
fn each_kind_of_difference_is_named_with_the_one_flag_that_allows_it() {
    let set = |pointer: &'static str, value: Value| {
        side(move |document| {
            *document.pointer_mut(pointer).unwrap() = value.clone();
            if pointer == "/plan/connections" {
                document["plan"]["hashes"]["load"] = json!("other");
            }
        })
    };
    for (kind, new, says) in [
        (
            Kind::Target,
            set("/plan/url", json!("http://***@h:81/")),
            "target http://h and http://h:81",
        ),
        (Kind::Load, set("/plan/connections", json!(16)), "load: connections 8 and 16"),
        (
            Kind::Load,
            set("/plan/hashes/load", json!("x")),
            "load: settings that the files do not show",
        ),
        (
            Kind::Request,
            set("/plan/hashes/request", json!("x")),
            "request: headers, body, --expect",
        ),
        (Kind::Client, set("/plan/threads", json!(1)), "client: threads 2 and 1"),
        (
            Kind::Client,
            set("/tool/engine", json!("portable")),
            "client: engine 'uring' and 'portable'",
        ),
        (Kind::Host, set("/host/cpu", json!("b")), "host: cpu 'a' and 'b'"),
        (
            Kind::Host,
            set("/host/cgroup_quota_cores", json!(1.5)),
            "host: cgroup_quota_cores none and 1.5",
        ),
    ] {
        let refusal = with(&[], side(|_| ()), new.clone()).unwrap_err();
        assert_eq!(refusal.code, crate::exit::USAGE);
        assert!(refusal.message.contains(says), "{}", refusal.message);
        assert!(
            refusal.message.ends_with(&format!("anyway with {}", kind.flag())),
            "{}",
            refusal.message
        );
        let others: Vec<Kind> = Kind::ALL.into_iter().filter(|other| *other != kind).collect();
        assert!(with(&others, side(|_| ()), new.clone()).is_err(), "{says}");
        let comparison = with(&[kind], side(|_| ()), new).unwrap();
        assert!(comparison.notes[0].starts_with(kind.flag()), "{:?}", comparison.notes);
    }
}

#[test]
fn several_differences_are_named_together_and_another_path_is_another_request() {
    let new = side(|document| {
        document["plan"]["url"] = json!("http://h:81/b?c");
        document["plan"]["hashes"]["request"] = json!("x");
        document["host"]["cores_allowed"] = json!(4);
    });
    let message = with(&[], side(|_| ()), new).unwrap_err().message;
    for part in [
        "target http://h and http://h:81; request: path '/' and '/b?c'; host: cores_allowed 2 and 4",
        "(0.json and 0.json)",
        "with --other-target --other-request --other-host",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn what_does_not_shape_the_load_may_differ_and_another_version_is_noted() {
    let new = side(|document| {
        document["plan"]["seed"] = json!(7);
        document["plan"]["addresses"] = json!(["127.0.0.1:1"]);
        document["host"]["kernel"] = json!("7.0");
        document["tool"]["version"] = json!("0.2.0");
    });
    let notes = with(&[], side(|_| ()), new).unwrap().notes;
    assert_eq!(notes[0], "the runs were made by versions 0.1.0 and 0.2.0 of maxq");
}

#[test]
fn an_older_baseline_is_compared_by_what_it_shows() {
    // Two of them, by the hash that they have.
    assert!(with(&[], older(|_| ()), older(|_| ())).is_ok());
    let hidden = older(|document| document["plan"]["hash"] = json!("other"));
    let message = with(&[], older(|_| ()), hidden).unwrap_err().message;
    assert!(
        message.contains("request: headers, body") && message.ends_with("--other-request"),
        "{message}"
    );
    // Another port explains another hash.
    let moved = older(|document| {
        document["plan"]["hash"] = json!("other");
        document["plan"]["url"] = json!("http://h:81/");
    });
    let message = with(&[], older(|_| ()), moved).unwrap_err().message;
    assert!(message.ends_with("with --other-target") && !message.contains("request"), "{message}");
    // Beside one of today it does not show what was sent.
    for (base, new) in [(older(|_| ()), side(|_| ())), (side(|_| ()), older(|_| ()))] {
        let message = with(&[], base.clone(), new.clone()).unwrap_err().message;
        assert!(
            message.contains("earlier version of maxq")
                && message.ends_with("with --other-request"),
            "{message}"
        );
        assert!(with(&[Kind::Request], base, new).is_ok());
    }
    let louder = older(|document| document["plan"]["connections"] = json!(64));
    let message = with(&[], louder, side(|_| ())).unwrap_err().message;
    assert!(message.contains("load: connections 64 and 8"), "{message}");
}
