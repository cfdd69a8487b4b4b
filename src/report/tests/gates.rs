//! Gates, and the condition that ended a run, in both reports.

use serde_json::{Value, json};

use super::*;
use crate::report::{condition, json as document_of, json_schema, quiet_text, text};
use crate::slo::{Doubt, Gate, parse, parse_conditions};

fn gate(text: &str, value: Option<f64>, doubt: Option<Doubt>, at_s: Option<f64>) -> Gate {
    let clause = parse(text).unwrap().remove(0);
    let holds = value.is_some_and(|value| clause.is_proven_by(value, doubt.is_none()));
    Gate { clause, value, doubt, holds, at_s }
}

fn gated() -> Summary {
    Summary {
        gates: vec![
            gate("p99<50ms", Some(21e6), None, None),
            gate("p99[spike]<50ms", Some(312e6), Some(Doubt::Unanswered), None),
            gate("max[each 1s]<1s", Some(1.5e9), None, Some(3.0)),
            gate("errors<=0%", Some(0.0), None, None),
            gate("goodput>=99.5%", Some(0.987_654), None, None),
            gate("achieved>=1k/s", Some(1234.5), None, None),
            gate("p99<50ms@95%", Some(22e6), None, None),
            gate("p90[base]>1ms@95%", Some(5e5), Some(Doubt::NoInterval), None),
            gate("mean[2s..3s]<1s", None, None, None),
        ],
        ..normal()
    }
}

fn aborted() -> (Plan, Summary) {
    let abort_on = parse_conditions("p99>2s, errors>5%").unwrap();
    let end = End::Aborted { condition: 1, value: 1.0 };
    let window = Window { measured_ns: 3 * SECOND, ..normal().window };
    (Plan { abort_on, ..plan() }, Summary { end, window, ..normal() })
}

fn valid_document(plan: &Plan, summary: &Summary) -> Value {
    let schema: Value = serde_json::from_str(json_schema()).unwrap();
    let document = serde_json::from_str(&document_of(plan, summary)).unwrap();
    jsonschema::validate(&schema, &document).unwrap();
    document
}

#[test]
fn every_gate_says_what_it_found_and_where() {
    let report = text(&plan(), &gated(), Style { columns: 120, ..PLAIN });
    let expected = "
Gates
  p99<50ms          pass (21.00 ms)
  p99[spike]<50ms   FAIL (312.0 ms or more: requests are without an answer)
  max[each 1s]<1s   FAIL (1.500 s; the worst, from 3 s on)
  errors<=0%        pass (0 %)
  goodput>=99.5%    FAIL (98.7654 %)
  achieved>=1k/s    pass (1,234.50/s)
  p99<50ms@95%      pass (22.00 ms, the upper end of its 95 % confidence interval)
  p90[base]>1ms@95% FAIL (500.0 us, without a confidence interval: too few responses, or too short)
  mean[2s..3s]<1s   FAIL (nothing to look at)
";
    assert!(report.contains(expected), "{report}");
}

#[test]
fn gates_are_data_with_their_scopes() {
    let document = valid_document(&plan(), &gated());
    let row = |clause: &str, scope: Value, value: Value, unit: &str| {
        let slo = document["slo"].as_array().unwrap();
        let row = slo.iter().find(|row| row["clause"] == clause).unwrap();
        assert_eq!(row["scope"], scope, "{clause}");
        assert_eq!(row["value"], value, "{clause}");
        assert_eq!(row["unit"], unit, "{clause}");
        (row["pass"].clone(), row["known"].clone(), row["at_s"].clone())
    };
    let whole = row("p99<50ms", Value::Null, json!(21_000.0), "us");
    assert_eq!(whole, (json!(true), json!(true), Value::Null));
    let spike = row("p99[spike]<50ms", json!("spike"), json!(312_000.0), "us");
    assert_eq!(spike, (json!(false), json!(false), Value::Null));
    let each = row("max[each 1s]<1s", json!("each 1s"), json!(1_500_000.0), "us");
    assert_eq!(each, (json!(false), json!(true), json!(3.0)));
    row("goodput>=99.5%", Value::Null, json!(0.987_654), "share");
    row("achieved>=1k/s", Value::Null, json!(1234.5), "rps");
    row("mean[2s..3s]<1s", json!("2s..3s"), Value::Null, "us");
}

#[test]
fn an_aborted_run_is_marked_with_its_condition() {
    let (plan, summary) = aborted();
    let mark = "ABORTED       after 3 s: errors>5% (value 100 %)\n";
    assert!(text(&plan, &summary, PLAIN).contains(mark));
    let quiet = quiet_text(&plan, &summary);
    assert!(quiet.starts_with("ABORTED after 3 s: errors>5% (value 100 %)\n"), "{quiet}");
    assert_eq!(condition(&plan, &summary).unwrap(), "errors>5% (value 100 %)");
    assert_eq!(condition(&plan, &normal()), None);
    let document = valid_document(&plan, &summary);
    assert_eq!(document["partial"], true);
    let end = json!({"reason": "aborted", "signal": null, "condition": "errors>5%"});
    assert_eq!(document["end"], end);
}
