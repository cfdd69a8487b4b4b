//! The JSON document: its schema, its nulls, and that it says what the text says.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::*;
use crate::report::{format, json as document_of, json_schema, text};

fn document(summary: &Summary) -> Value {
    serde_json::from_str(&document_of(&plan(), summary)).unwrap()
}

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(json_schema()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn histogram(distribution: &Value) -> Histogram<u64> {
    let bytes = decode(distribution["histogram"].as_str().unwrap());
    Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap()
}

fn decode(base64: &str) -> Vec<u8> {
    let sextet = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is not base64"),
    };
    let mut bytes = Vec::new();
    for group in base64.as_bytes().chunks(4) {
        let sextets: Vec<u8> = group.iter().filter(|&&c| c != b'=').map(|&c| sextet(c)).collect();
        let bits = (0..4).fold(0_u32, |bits, index| {
            (bits << 6) | u32::from(sextets.get(index).copied().unwrap_or(0))
        });
        bytes.extend_from_slice(&bits.to_be_bytes()[1..sextets.len()]);
    }
    bytes
}

#[test]
fn every_document_obeys_the_shipped_schema() {
    let validator = validator();
    for (name, summary) in all() {
        let document = document(&summary);
        let broken: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{name}: {}: {error}", error.instance_path()))
            .collect();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }
}

/// JSON pointers to every object in `value`.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(keys) => {
            found.push(at.to_owned());
            for (key, value) in keys {
                objects(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                objects(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_schema_refuses_a_key_too_many_and_a_key_too_few_wherever_it_is() {
    let validator = validator();
    let whole = document(&hostile());
    let mut places = Vec::new();
    objects(&whole, "", &mut places);
    assert!(places.len() > 40, "{places:?}");
    for place in places {
        let mut more = whole.clone();
        more.pointer_mut(&place).unwrap()["typo"] = json!(1);
        assert!(!validator.is_valid(&more), "{place} takes any key");
        // Codes that did not come are left out.
        if place == "/status" {
            continue;
        }
        for key in whole.pointer(&place).unwrap().as_object().unwrap().keys() {
            let mut fewer = whole.clone();
            let object = fewer.pointer_mut(&place).unwrap().as_object_mut().unwrap();
            object.remove(key);
            assert!(!validator.is_valid(&fewer), "{place}/{key} may be missing");
        }
    }
}

#[test]
fn the_schema_refuses_null_for_a_value_that_was_measured() {
    let mut document = document(&normal());
    document["latency"]["service"]["p99_us"] = Value::Null;
    assert!(!validator().is_valid(&document));
}

#[test]
fn what_a_closed_loop_does_not_have_is_null() {
    let document = document(&normal());
    for pointer in [
        "/plan/rate_rps",
        "/plan/arrivals",
        "/plan/stages",
        "/latency/tls",
        "/latency/send_lag",
        "/latency/client_lag",
        "/latency/pool_wait",
        "/latency/response/ci95_us",
    ] {
        assert_eq!(document.pointer(pointer), Some(&Value::Null), "{pointer}");
    }
    assert_eq!(document["plan"]["mode"], "closed");
    assert_eq!(document["slo"], json!([]));
    let [response, service] = ["response", "service"].map(|name| document["latency"][name].clone());
    assert_eq!(response, service);
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let summary = hostile();
    let first = document_of(&plan(), &summary);
    assert_eq!(first, document_of(&plan(), &hostile()));
    assert!(first.ends_with("}\n"));
    assert!(first.starts_with("{\n  \"schema\": \"maxq.run/1\",\n"));
}

#[test]
fn the_histogram_decodes_to_equal_counts() {
    for (name, summary) in all() {
        let document = document(&summary);
        let latencies = &summary.latencies;
        for (key, recorded) in [
            ("response", &latencies.response),
            ("service", &latencies.service),
            ("ttfb", &latencies.first_byte),
            ("failed", &latencies.failed),
        ] {
            let decoded = histogram(&document["latency"][key]);
            assert_eq!(decoded, recorded.all.to_hdr(), "{name} {key}");
            assert_eq!(document["latency"][key]["count"], json!(decoded.len()));
        }
    }
}

#[test]
fn text_json_and_histogram_agree_on_quantiles() {
    for (name, summary) in [("normal", normal()), ("hostile", hostile())] {
        let document = document(&summary);
        let text = text(&plan(), &summary, PLAIN);
        for (label, key, quantile) in [
            ("p50", "p50_us", 0.5),
            ("p90", "p90_us", 0.9),
            ("p99", "p99_us", 0.99),
            ("p99.9", "p99_9_us", 0.999),
        ] {
            let cells = ["service", "ttfb"].map(|column| {
                let distribution = &document["latency"][column];
                let us = distribution[key].as_f64().unwrap();
                let decoded = histogram(distribution).value_at_quantile(quantile);
                assert!((format::float(decoded) / 1e3 - us).abs() < 1e-9, "{name} {column} {key}");
                format::duration(us * 1e3)
            });
            // Before them stands the response, where some requests got no answer.
            let row = text.lines().find(|line| line.starts_with(&format!("  {label} ")));
            let row = row.unwrap_or_else(|| panic!("{name}: no {label} in\n{text}"));
            let end = format!("{:>16}{:>16}", cells[0], cells[1]);
            assert!(row.ends_with(&end), "{name}: {row:?} does not end in {end:?}");
        }
    }
}

#[test]
fn quantiles_that_are_only_bounds_are_named() {
    let unsupported =
        |summary: &Summary, key: &str| document(summary)["latency"][key]["unsupported"].clone();
    assert_eq!(unsupported(&normal(), "service"), json!(["p99_99"]));
    // 64 unanswered requests of unknown age weigh on every quantile of the response, on none of the service time.
    let interrupted = interrupted();
    assert_eq!(unsupported(&interrupted, "service"), json!(["p99_99"]));
    let named = unsupported(&interrupted, "response");
    assert!(named.as_array().unwrap().contains(&json!("p99_9")));
    let response = &document(&interrupted)["latency"]["response"];
    assert_eq!(response["censored"], 64);
    assert!(response["p99_99_us"].is_f64(), "a bound keeps its value");
    let clamped = document(&clamped());
    assert_eq!(clamped["latency"]["response"]["clamped"], 2);
    assert_eq!(clamped["latency"]["response"]["max_us"], json!(10_800e6));
}

#[test]
fn an_empty_run_has_zeros_and_nulls() {
    let document = document(&empty());
    assert_eq!(document["partial"], true);
    assert_eq!(document["end"], json!({"reason": "gave_up", "signal": null, "condition": null}));
    assert_eq!(document["rates"]["achieved_rps"], 0.0);
    assert_eq!(document["status"], json!({}));
    assert_eq!(document["latency"]["service"]["count"], 0);
    assert_eq!(document["latency"]["service"]["p50_us"], Value::Null);
    assert_eq!(document["latency"]["connect"]["count"], 0);
    assert_eq!(document["client"]["cpu_us_per_request"], Value::Null);
    assert_eq!(document["client"]["cpu_share_per_worker"], json!([]));
    assert_eq!(document["phases"].as_array().unwrap().len(), 1);
    let error = &document["errors"][0];
    assert_eq!(error["errno"], "ECONNREFUSED");
    assert_eq!(error["sample"], Value::Null);
    assert_eq!(error["first_s"], -1.0);
}

#[test]
fn an_interrupted_run_is_marked() {
    let document = document(&interrupted());
    assert_eq!(document["partial"], true);
    assert_eq!(document["end"], json!({"reason": "interrupted", "signal": 2, "condition": null}));
    assert_eq!(document["window"]["measured_s"], 3.21);
    assert_eq!(document["counts"]["in_flight_at_end"], 64);
}

#[test]
fn hostile_bytes_arrive_as_printable_ascii() {
    let summary = hostile();
    let text = document_of(&plan(), &summary);
    assert!(text.bytes().all(|byte| byte == b'\n' || (32..127).contains(&byte)));
    let document = document(&summary);
    assert_eq!(
        document["errors"][0]["sample"],
        r#"\x1b[2J\x1b]0;owned\x07\xff\xfe\xc2\x9b31m\"\r\n"#
    );
    assert_eq!(document["errors"][3]["errno"], "18");
    assert_eq!(document["errors"][3]["response"], Value::Null);
    assert_eq!(
        document["errors"][4]["response"],
        json!({"status": 200, "first_byte_us": 1200.0, "body_bytes": 9, "body_length": 1000})
    );
    assert_eq!(document["status"], json!({"200": 20_000, "503": 7}));
}

#[test]
fn the_plan_and_the_phases_say_what_was_done() {
    let document = document(&normal());
    let plan = &document["plan"];
    assert_eq!(plan["method"], "GET");
    assert_eq!(plan["url"], "http://127.0.0.1:8080/bytes/100?x=1");
    assert_eq!(plan["duration_s"], 10.0);
    assert_eq!(plan["requests"], Value::Null);
    assert_eq!(document["started_at"], "2026-11-23T05:00:00.000Z");
    let [warmup, measured] = [0, 1].map(|index| &document["phases"][index]);
    assert_eq!((&warmup["name"], &warmup["start_s"]), (&json!("warmup"), &json!(-1.0)));
    assert_eq!(warmup["end_s"], 0.0);
    assert_eq!(warmup["rates"]["achieved_rps"], 500.0);
    assert_eq!(warmup["latency"]["service"]["count"], 500);
    assert_eq!(warmup["latency"]["service"]["histogram"], Value::Null);
    assert_eq!(measured["counts"], document["counts"]);
    assert_eq!(measured["rates"], document["rates"]);
    assert_eq!(
        document["connections"]["requests_per_connection"],
        json!({"min": 300, "median": 331, "max": 363})
    );
    assert_eq!(document["client"]["cpu_share_per_worker"], json!([0.7]));
    assert_eq!(document["client"]["stamp_skew_us"], 3.2);
}
