//! Several runs in one report, and runs as a table.

use serde_json::Value;

use super::*;
use crate::report::{Carried, runs_json, runs_text, runs_tsv, tsv_header, tsv_row};

fn carried() -> Vec<Carried> {
    vec![(plan(), normal()), (plan(), hostile()), (plan(), interrupted())]
}

#[test]
fn one_document_holds_all_runs_and_obeys_the_shipped_schema() {
    let document: Value = serde_json::from_str(&runs_json(&carried())).unwrap();
    let validator = checks::validator(crate::report::runs_json_schema());
    let broken = checks::violations(&validator, &document);
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(3));
    assert_eq!(document["runs"][2]["partial"], true);
    let mut other = document;
    other["runs"][1]["schema"] = "maxq.run/2".into();
    assert!(!validator.is_valid(&other));
}

#[test]
fn a_table_has_a_line_a_run_and_what_is_in_the_middle_of_the_whole_ones() {
    let text = runs_text(&carried(), 5, PLAIN);
    for part in [
        "3 runs",
        "3 of 5 runs were begun",
        "interrupted: partial",
        "without 1 partial run",
        "server_limited",
        "p95               20.00 ms      20.00 ms      20.00 ms",
        "p50               11.00 ms      11.00 ms      11.00 ms",
    ] {
        assert!(text.contains(part), "{text}\n{part}");
    }
    assert!(text.is_ascii() && !text.contains('\u{1b}'));
}

#[test]
fn a_row_has_a_cell_a_column_and_the_numbers_of_the_json() {
    let header = tsv_header();
    let names: Vec<&str> = header.trim_end().split('\t').collect();
    let stable = "url mode connections pipeline rate_rps duration_s offered_rps achieved_rps \
        goodput_rps ok errors p50_us p90_us p99_us p99_9_us max_us verdict valid partial p95_us target target_text";
    assert_eq!(names, stable.split_whitespace().collect::<Vec<_>>());
    for (name, summary) in all() {
        let row = tsv_row(&plan(), &summary);
        let cells: Vec<&str> = row.trim_end_matches('\n').split('\t').collect();
        assert_eq!(cells.len(), names.len(), "{name}: {row}");
        let document: Value = crate::report::document(&plan(), &summary);
        let cell = |column: &str| cells[names.iter().position(|name| *name == column).unwrap()];
        for (column, pointer) in [
            ("p50_us", "/latency/response/p50_us"),
            ("p95_us", "/latency/response/p95_us"),
            ("p99_9_us", "/latency/response/p99_9_us"),
            ("max_us", "/latency/response/max_us"),
            ("achieved_rps", "/rates/achieved_rps"),
            ("ok", "/counts/ok"),
        ] {
            let expected = document.pointer(pointer).unwrap().as_f64();
            assert_eq!(cell(column).parse().ok(), expected, "{name} {column}");
        }
        assert_eq!(cell("rate_rps"), "", "a closed loop has none");
        assert_eq!(cell("valid"), summary.verdict.valid.to_string());
        assert_eq!(cell("target"), summary.verdict.target.name());
        assert_eq!(document["verdict"]["target_text"], cell("target_text"));
    }
    let mut lost = normal();
    lost.end = End::Finished;
    let is_partial =
        |summary: &Summary| tsv_row(&plan(), summary).split('\t').nth(18) == Some("true");
    assert!(!is_partial(&lost));
    lost.verdict.reasons.push(Reason {
        rule: Rule::NoConnection,
        level: Level::Invalid,
        text: String::new(),
    });
    assert!(is_partial(&lost), "its target was not there");
    lost.verdict.reasons.clear();
    lost.end = End::Interrupted(crate::exit::Signal::Interrupt);
    assert!(is_partial(&lost), "it was cut short");
    let whole = runs_tsv(&carried());
    assert_eq!(whole.lines().count(), 4);
}
