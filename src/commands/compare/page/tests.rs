//! Comparisons of constructed runs, in every format.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{
    Untold, compare_json, compare_json_schema, compare_junit, compare_markdown, compare_quiet_text,
    compare_text, compare_tsv,
};
use crate::commands::compare::comparison::{Comparison, Conclusion, Criteria, Side, compare};
use crate::report::document;
use crate::report::tests::checks::{tags, validator, violations};
use crate::report::tests::*;
use crate::result::document::Run;

/// Something in a name that must not reach a terminal, a document or a build server as it is.
const HOSTILE: &str = "<b>&\"'|`\u{1b}[2J]]>\n*_";

/// A constructed run, written down and read back once: that takes its time.
static READ_BACK: LazyLock<Run> =
    LazyLock::new(|| Run::of(document(&plan(), &normal()), "run".to_owned()).unwrap());

/// Five runs whose response times are `factor` times those of a constructed one, each a little off.
fn side(factor: f64, errors: u64) -> Side {
    let run = |index: u32| {
        let mut run = READ_BACK.clone();
        let by = factor * (1.0 + f64::from(index) / 1000.0);
        run.latency_us.values_mut().for_each(|value| *value *= by);
        run.ok -= errors;
        run
    };
    Side { label: crate::result::document::escape(HOSTILE), runs: (0..5).map(run).collect() }
}

fn compared(factor: f64, errors: u64) -> Comparison {
    compare(side(1.0, 0), side(factor, errors), false, &Criteria::default()).unwrap()
}

/// One of each verdict, with its name.
fn each() -> Vec<(&'static str, Comparison)> {
    let mut void = side(1.0, 0);
    void.runs[0].void = Some("not_steady: \u{9b}it drifts".escape_default().to_string());
    let few = Side { runs: side(1.3, 0).runs[..3].to_vec(), ..side(1.0, 0) };
    let single = |factor| Side { runs: side(factor, 0).runs[..1].to_vec(), ..side(1.0, 0) };
    let settings = Criteria::default();
    let mut silent = side(1.0, 20_000);
    silent.runs.iter_mut().for_each(|run| run.latency_us.clear());
    vec![
        ("regression", compared(1.3, 0)),
        ("errors", compared(1.0, 400)),
        ("pass", compared(1.0, 0)),
        ("faster", compared(0.7, 0)),
        ("left out", compare(void.clone(), side(1.0, 0), false, &settings).unwrap()),
        ("few", compare(few, side(1.0, 0), false, &settings).unwrap()),
        ("single", compare(single(1.0), single(1.2), false, &settings).unwrap()),
        ("silent", compare(side(1.0, 0), silent, false, &settings).unwrap()),
        ("paired", {
            let mut cut =
                compare(void, side(1.0, 0), true, &Criteria { invalid: true, ..settings }).unwrap();
            cut.undecided(
                10,
                Some(crate::exit::Signal::Interrupt),
                "interrupted before all pairs were measured",
            );
            cut
        }),
    ]
}

#[test]
fn every_document_obeys_the_shipped_schema_and_holds_its_runs() {
    let validator = validator(compare_json_schema());
    for (name, comparison) in each() {
        let text = compare_json(&comparison);
        assert!(!text.contains("NaN") && text.ends_with("}\n"), "{name}");
        let document: Value = serde_json::from_str(&text).unwrap();
        let broken = violations(&validator, &document);
        assert!(broken.is_empty(), "{name}: {broken:#?}");
        let runs = document["base"]["runs"].as_array().unwrap().len();
        assert_eq!(runs, comparison.base.runs.len(), "{name}");
        assert_eq!(document["verdict"], comparison.verdict.name());
    }
}

#[test]
fn the_schema_refuses_a_key_too_many_and_a_key_too_few() {
    let validator = validator(compare_json_schema());
    let mut whole: Value = serde_json::from_str(&compare_json(&compared(1.3, 0))).unwrap();
    for side in ["base", "new"] {
        whole[side]["runs"].as_array_mut().unwrap().truncate(1);
    }
    for place in ["", "/metrics/0", "/quantiles/0", "/base", "/tool"] {
        let mut more = whole.clone();
        more.pointer_mut(place).unwrap()["typo"] = json!(1);
        assert!(!validator.is_valid(&more), "{place} takes any key");
        for key in whole.pointer(place).unwrap().as_object().unwrap().keys() {
            let mut fewer = whole.clone();
            fewer.pointer_mut(place).unwrap().as_object_mut().unwrap().remove(key);
            assert!(!validator.is_valid(&fewer), "{place}/{key}");
        }
    }
}

#[test]
fn the_verdict_comes_first_and_says_what_moved() {
    let text = compare_text(&compared(1.3, 0), PLAIN);
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in {text}"));
    assert!(
        at("Verdict       regression: p50 is 30.0 % slower, p95 is 30.0 % slower, p99 is")
            < at("Metric")
    );
    assert!(at("Metric") < at("Quantiles") && text.contains("50.0 % of all cases"));
    assert_eq!(
        compare_quiet_text(&compared(1.0, 0)),
        "Verdict: pass: nothing gated is worse by as much as matters\n"
    );
    let faster = compare_quiet_text(&compared(0.7, 0));
    assert!(faster.contains("p50 is 30.0 % faster"), "{faster}");
    let errors = compare_quiet_text(&compared(1.0, 400));
    assert!(errors.contains("regression: errors rose by 2.00 points"), "{errors}");
    for (name, comparison) in each() {
        let text = compare_text(&comparison, PLAIN);
        assert!(
            text.is_ascii() && !text.contains('\u{1b}') && !text.contains("NaN"),
            "{name}: {text}"
        );
        assert!(text.lines().all(|line| line.len() <= 80), "{name}: {text}");
    }
}

#[test]
fn junit_has_a_case_a_gated_metric_and_is_well_formed() {
    for (name, comparison) in each() {
        let xml = compare_junit(&comparison, Untold::Skipped);
        let seen = tags(&xml);
        let number = |tag: &str| seen.iter().filter(|seen| *seen == tag).count();
        assert_eq!(number("testcase"), 5, "{name}");
        assert!(xml.contains("tests=\"5\""), "{name}: {xml}");
        assert_eq!(
            number("failure") > 0,
            comparison.verdict == Conclusion::Regression,
            "{name}: {xml}"
        );
        if comparison.verdict == Conclusion::Inconclusive {
            assert!(number("skipped") + number("error") > 0, "{name}: {xml}");
            let undecided = comparison.undecided_because.is_some();
            assert_eq!(number("error") > 0, undecided, "{name}: {xml}");
        }
        assert!(!xml.contains("<b>") && !xml.contains("]]>"), "{name}");
    }
}

#[test]
fn markdown_is_one_table_in_which_nothing_foreign_is_markup() {
    for (name, comparison) in each() {
        let text = compare_markdown(&comparison);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 7, "{name}: {text}");
        assert!(rows.iter().all(|row| row.matches('|').count() == 8), "{name}: {text}");
        let table = text.lines().skip_while(|line| !line.starts_with('|'));
        assert!(table.clone().take(7).all(|line| line.starts_with('|')), "{name}: {text}");
        assert!(!text.contains('\u{1b}'), "{name}");
    }
}

#[test]
fn a_table_with_tabs_has_a_line_a_metric() {
    for (name, comparison) in each() {
        let text = compare_tsv(&comparison);
        let widths: Vec<usize> = text.lines().map(|line| line.split('\t').count()).collect();
        assert_eq!(widths, [18; 13], "{name}: {text}");
    }
}
