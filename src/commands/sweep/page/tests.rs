//! The reports of a sweep: the schema of the document, the lines, the table, the plot and the drawing.

mod svg;

use serde_json::{Value, json};

use super::{
    LineFormat, sweep_announcement, sweep_findings, sweep_header, sweep_json, sweep_json_schema,
    sweep_line, sweep_progress, sweep_review, sweep_svg, sweep_text,
};
use crate::report::tests::checks::{tags, validator};
use crate::report::tests::*;
use crate::report::{Style, json_schema};
use crate::result::summary::End;
use crate::result::summary::{Course, Order, SweepRun, SweepSummary, Variable};
use crate::result::verdict::{Code, Level, Reason, Rule};
use crate::slo::Gate;
use crate::target::Target;
use crate::time::Nanos;

/// A run at `x` of which `achieved` were answered a second, in times that grow with the load.
fn run_at(x: f64, achieved_rps: f64, repeat: u64) -> SweepRun {
    let mut run = SweepRun::of(x, repeat, &normal());
    let load = (x / 1000.0).min(0.99);
    run.offered_rps = x;
    run.achieved_rps = achieved_rps;
    run.goodput_rps = achieved_rps;
    (run.ok, run.errors, run.errors_rps) = (20_000, 0, 0.0);
    run.mean_ns = Some(1e6 / (1.0 - load));
    run.mean_in_flight = Some(2.0 + load);
    run.little = Some(0.01 * load);
    for (shown, factor) in run.quantiles.iter_mut().flatten().zip([0.7, 2.3, 3.0, 4.6, 6.9]) {
        shown.value_ns = Nanos::from_seconds(0.001 * factor / (1.0 - load)).0;
    }
    run
}

fn course(variable: Variable, values: &[f64], repeats: u64) -> Course {
    let values = values.to_vec();
    Course {
        variable,
        lengths_ns: vec![5 * SECOND; values.len()],
        values,
        repeats,
        open: variable == Variable::Rate,
        order: Order::Random,
        pause_ns: SECOND / 2,
        most_in_flight: None,
        seed: 42,
    }
}

/// A rate sweep beyond the 1,000 requests a second that its server can do, with two runs each and one that says nothing.
fn rates() -> SweepSummary {
    let values = [100.0, 200.0, 400.0, 600.0, 800.0, 900.0, 1100.0, 1300.0];
    let mut runs: Vec<SweepRun> = Vec::new();
    for repeat in [1, 2] {
        runs.extend(values.iter().rev().map(|&x| run_at(x, x.min(1000.0 + repeat as f64), repeat)));
    }
    runs[0].client_limited = true;
    runs[0].code = Code::ClientLimited;
    let sentinels = vec![run_at(100.0, 100.0, 1), run_at(100.0, 80.0, 2)];
    SweepSummary::of(course(Variable::Rate, &values, 2), End::Finished, runs, sentinels)
}

fn connections() -> SweepSummary {
    let values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
    let throughput = |n: f64| 900.0 * n / (1.0 + 0.03 * (n - 1.0) + 0.001 * n * (n - 1.0));
    let runs: Vec<SweepRun> = values.iter().map(|&n| run_at(n, throughput(n), 1)).collect();
    SweepSummary::of(course(Variable::Connections, &values, 1), End::Finished, runs, Vec::new())
}

/// A sweep of connections to a service whose pool runs dry: good answers a second, all of them, and the p50 in milliseconds.
fn refusing() -> SweepSummary {
    const RUNS: [(f64, u64, u64, u64); 7] = [
        (10.0, 248, 248, 40),
        (19.0, 452, 452, 42),
        (37.0, 556, 563, 66),
        (72.0, 560, 731, 98),
        (139.0, 553, 842, 151),
        (268.0, 549, 951, 252),
        (518.0, 502, 1025, 455),
    ];
    let values = RUNS.map(|run| run.0);
    let run = |(x, good, all, ms): (f64, u64, u64, u64)| {
        let mut run = run_at(x, good as f64, 1);
        (run.offered_rps, run.achieved_rps) = (all as f64, all as f64);
        run.errors_rps = (all - good) as f64;
        (run.ok, run.errors) = (good * 5, (all - good) * 5);
        run.mean_ns = Some(ms as f64 * 1e6);
        run.quantiles.iter_mut().flatten().for_each(|shown| shown.value_ns = ms * 1_000_000);
        run
    };
    let runs = RUNS.map(run).to_vec();
    SweepSummary::of(course(Variable::Connections, &values, 1), End::Finished, runs, Vec::new())
}

fn nothing() -> SweepSummary {
    let course = course(Variable::Pipeline, &[1.0, 2.0], 1);
    SweepSummary::of(
        course,
        End::Interrupted(crate::exit::Signal::Interrupt),
        Vec::new(),
        Vec::new(),
    )
}

fn partial() -> SweepSummary {
    let runs = vec![run_at(2.0, 90.0, 1)];
    SweepSummary::of(course(Variable::Pipeline, &[1.0, 2.0], 1), End::GaveUp, runs, Vec::new())
}

fn sweeps() -> [(&'static str, SweepSummary); 5] {
    [
        ("rates", rates()),
        ("connections", connections()),
        ("refusing", refusing()),
        ("nothing", nothing()),
        ("partial", partial()),
    ]
}

fn document(sweep: &SweepSummary) -> Value {
    let documents = |runs: &[SweepRun]| {
        runs.iter().map(|_| crate::report::document(&plan(), &normal())).collect()
    };
    let text = sweep_json(&plan(), sweep, documents(&sweep.runs), documents(&sweep.sentinels));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_sweep_obeys_the_shipped_schema_and_its_runs_theirs() {
    let (of_sweeps, of_runs) = (validator(sweep_json_schema()), validator(json_schema()));
    for (name, sweep) in sweeps() {
        let document = document(&sweep);
        let broken: Vec<String> = of_sweeps
            .iter_errors(&document)
            .map(|error| format!("{name}: {}: {error}", error.instance_path()))
            .collect();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
        let points = document["points"].as_array().unwrap();
        assert_eq!(points.len(), sweep.runs.len());
        for point in points.iter().chain(document["sentinels"].as_array().unwrap()) {
            assert!(of_runs.is_valid(&point["run"]), "{name}");
        }
    }
}

/// JSON pointers to every object of a sweep but those of its runs and its plan, which have a schema of their own.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(keys) if !at.ends_with("/run") && !at.ends_with("/plan") => {
            found.push(at.to_owned());
            for (key, value) in keys {
                objects(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| objects(value, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

#[test]
fn the_schema_of_sweeps_refuses_a_key_too_many_and_a_key_too_few() {
    let validator = validator(sweep_json_schema());
    for whole in [document(&rates()), document(&connections()), document(&refusing())] {
        let mut places = Vec::new();
        objects(&whole, "", &mut places);
        assert!(places.len() > 10, "{places:?}");
        for place in places {
            let mut more = whole.clone();
            more.pointer_mut(&place).unwrap()["typo"] = json!(1);
            assert!(!validator.is_valid(&more), "{place} takes any key");
            for key in whole.pointer(&place).unwrap().as_object().unwrap().keys() {
                let mut fewer = whole.clone();
                fewer.pointer_mut(&place).unwrap().as_object_mut().unwrap().remove(key);
                assert!(!validator.is_valid(&fewer), "{place}/{key} may be missing");
            }
        }
    }
}

#[test]
fn the_document_says_what_was_found_and_why_something_was_not() {
    let found = document(&rates());
    assert_eq!((&found["variable"], &found["partial"]), (&json!("rate"), &json!(false)));
    let saturation = found["saturation"]["rps"].as_f64().unwrap();
    assert!((saturation / 1000.0 - 1.0).abs() < 0.01, "{saturation}");
    assert!((found["power_point"]["rps"].as_f64().unwrap() / 500.0 - 1.0).abs() < 0.05);
    assert_eq!((&found["left_out"], &found["usl"]), (&json!(1), &Value::Null));
    assert!(found["reasons"]["usl"].as_str().unwrap().contains("closed loop"));
    assert_eq!(found["reasons"]["power_point"], Value::Null);
    assert_eq!(found["drift"]["warns"], true);
    // By value and repeat, however they were run.
    let first = &found["points"][0];
    assert_eq!(
        (&first["x"], &first["repeat"], &first["ran_as"]),
        (&json!(100.0), &json!(1), &json!(8))
    );
    let closed = document(&connections());
    let best = closed["usl"]["best_connections"].as_f64().unwrap();
    assert!((best / (0.97_f64 / 0.001).sqrt() - 1.0).abs() < 0.01, "{best}");
    assert_eq!(document(&partial())["end"]["reason"], "gave_up");
    assert_eq!(
        document(&nothing())["end"],
        json!({"reason": "interrupted", "signal": 2, "condition": null})
    );
}

#[test]
fn lines_have_the_columns_of_their_header_in_every_format() {
    let header = "x,repeat,offered_rps,achieved_rps,goodput_rps,ok,errors,p50_us,p90_us,p99_us,p99_9_us,max_us,mean_us,mean_in_flight,verdict,valid,slo_pass,unsupported,left_out,late,p95_us,error_pct\n";
    assert_eq!(sweep_header(LineFormat::Csv), header);
    assert_eq!(sweep_header(LineFormat::Tsv), header.replace(',', "\t"));
    assert_eq!(sweep_header(LineFormat::Ndjson), "");
    let mut run = run_at(500.0, 499.5, 3);
    run.gates_hold = Some(false);
    run.mean_in_flight = None;
    (run.ok, run.errors) = (15_000, 5000);
    let csv = sweep_line(&run, LineFormat::Csv);
    assert!(csv.starts_with("500,3,500,499.5,499.5,15000,5000,1400,4600,9200,13800,"), "{csv}");
    assert!(csv.ends_with(",2000,,server_limited,true,false,,false,false,6000,25\n"), "{csv}");
    let mut doubtful = run.clone();
    (doubtful.client_limited, doubtful.late) = (true, true);
    doubtful.quantiles.iter_mut().skip(3).flatten().for_each(|shown| shown.lower_bound = true);
    let marked = sweep_line(&doubtful, LineFormat::Csv);
    assert!(marked.ends_with(",true,false,p99 p99_9,false,true,6000,25\n"), "{marked}");
    doubtful.late = false;
    let marked = sweep_line(&doubtful, LineFormat::Tsv);
    assert!(marked.ends_with("\ttrue\tfalse\tp99 p99_9\ttrue\tfalse\t6000\t25\n"), "{marked}");
    assert_eq!(csv.matches(',').count(), header.matches(',').count());
    assert_eq!(sweep_line(&run, LineFormat::Tsv), csv.replace(',', "\t"));
    let line = sweep_line(&run, LineFormat::Ndjson);
    let object: Value = serde_json::from_str(&line).unwrap();
    let keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys.join(",") + "\n", header);
    assert_eq!(
        (&object["mean_in_flight"], &object["verdict"]),
        (&Value::Null, &json!("server_limited"))
    );
    assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
}

#[test]
fn the_text_has_a_row_a_value_and_names_every_number() {
    let text = sweep_text(&plan(), &rates(), PLAIN);
    for value in ["100", "400", "1,100"] {
        let rows = text.lines().filter(|line| line.starts_with(&format!("{value:>7}  "))).count();
        assert_eq!(rows, 1, "{value} in\n{text}");
    }
    for part in [
        "Sweep         rate: 8 values from 100 to 1,300, each 2 times, shuffled",
        "Threads       1 (half of the 2 cores, the target is on this host)",
        "   rate  good/s  errors       p50       p95       p99  in flight  verdict\n",
        "~ 1,300   1,002     0 %  70.00 ms  300.0 ms  460.0 ms       2.99  server_limited\n",
        "~ in some of its runs",
        "Saturation    1,00",
        "Power point   ",
        "p99 doubled   ",
        "Kneedle       ",
        "from 100 to 1,300",
        "Errors        none: every request got a good answer",
        "Each run      5 s after",
        "Little's law  ",
        "Left out      1 run ",
        "Sentinel      DRIFT: ",
        "good/s by -20.0 %",
        "S saturation",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(text.lines().all(|line| line.len() <= 82), "{text}");
    assert!(text.is_ascii());
    let marks = text.lines().find(|line| line.contains('P') && line.trim_start().starts_with('P'));
    assert!(marks.is_some_and(|marks| marks.contains('S')), "{text}");
    let closed = sweep_text(&plan(), &connections(), PLAIN);
    assert!(closed.contains("USL           best at 31.1"), "{closed}");
    let wide = sweep_text(&plan(), &rates(), Style { color: true, columns: 120 });
    assert!(wide.contains("\x1b[1mSaturation\x1b[0m"), "{wide}");
}

#[test]
fn runs_in_which_the_client_was_only_late_count_for_the_saturation_and_are_said_to() {
    let whole = rates();
    let mut runs = whole.runs.clone();
    runs[0].late = true;
    runs[3].client_limited = true;
    runs[3].late = true;
    runs[3].mean_ns = Some(1e12);
    runs[5].quantiles[3].as_mut().unwrap().lower_bound = true;
    let sweep = SweepSummary::of(whole.course.clone(), End::Finished, runs, Vec::new());
    assert_eq!((sweep.left_out(), sweep.late(), sweep.bounded_p99()), (0, 2, 1));
    // Its answers are in the fit, its latencies in none.
    assert_ne!(sweep.findings.saturation, whole.findings.saturation);
    assert!(sweep.findings.power_point.as_ref().unwrap().x.value < 600.0);
    let document = document(&sweep);
    assert!(validator(sweep_json_schema()).is_valid(&document));
    let keys = [&document["left_out"], &document["late"], &document["p99_lower_bounds"]];
    assert_eq!(keys, [&json!(0), &json!(2), &json!(1)]);
    let late = list(&document["points"]).iter().filter(|point| point["late"] == true);
    assert!(late.clone().count() == 2 && late.clone().all(|point| point["left_out"] == false));
    let text = sweep_text(&plan(), &sweep, PLAIN);
    assert!(text.contains("Late          2 runs ") && !text.contains("Left out"), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("1 of these p99 is a lower bound"), "{text}");
    assert!(!sweep_text(&plan(), &whole, PLAIN).contains("lower bound"));
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

#[test]
fn connections_that_were_all_busy_beyond_saturation_are_told_of() {
    let mut sweep = rates();
    assert!(!sweep_text(&plan(), &sweep, PLAIN).contains("larger -c"));
    sweep.course.most_in_flight = Some(3);
    assert!(sweep.is_full_beyond());
    assert!(sweep_findings(&sweep).contains("all 3 connections were busy"));
    sweep.course.most_in_flight = Some(64);
    assert!(!sweep.is_full_beyond());
}

#[test]
fn a_sweep_that_was_cut_short_is_marked_everywhere() {
    for (sweep, mark) in [
        (nothing(), "INTERRUPTED   by SIGINT after 0 of 2 runs"),
        (partial(), "PARTIAL       the sweep could not go on after 1 of 2 runs"),
    ] {
        assert!(sweep_text(&plan(), &sweep, PLAIN).contains(mark));
        assert!(sweep_findings(&sweep).starts_with(mark));
        assert_eq!(document(&sweep)["partial"], true);
    }
}

#[test]
fn progress_is_one_line_a_run() {
    let line = sweep_progress("rate", &run_at(500.0, 499.5, 1), (3, 12));
    assert_eq!(
        line,
        "3/12 rate 500: 499.5 good/s, p50 1.400 ms, p95 6.000 ms, p99 9.200 ms, server_limited"
    );
    let refusing = refusing();
    let line = sweep_progress("connections", &refusing.runs[3], (4, 7));
    assert!(
        line.starts_with("4/7 connections 72: 560 good/s, 855 errors (23 %), p50 98"),
        "{line}"
    );
}

#[test]
fn the_drawing_is_the_same_every_time_marks_what_was_found_and_escapes_what_was_typed() {
    let mut plan = plan();
    plan.target = Target::parse("http://127.0.0.1:8080/a?x=<b>&y=\"'").unwrap();
    let svg = sweep_svg(&plan, &rates());
    assert_eq!(svg, sweep_svg(&plan, &rates()));
    assert!(svg.contains("x=&lt;b&gt;&amp;y="), "{svg}");
    for part in [
        "saturation 1,00",
        "power point ",
        "knee ",
        "p50",
        "p95",
        "p99",
        "good answers a second",
        "</svg>",
    ] {
        assert!(svg.contains(part), "no {part} in\n{svg}");
    }
    assert_eq!(svg.matches("<polyline").count(), 4);
    assert!(!svg.contains("errors"), "{svg}");
    assert!(svg.contains("prefers-color-scheme:dark"));
    // librsvg, Inkscape and ImageMagick draw nothing in a colour that is a variable.
    assert!(!svg.contains("var(") && !svg.contains("currentColor"), "{svg}");
    let refusing = sweep_svg(&plan, &refusing());
    assert_eq!(refusing.matches("<polyline").count(), 5, "{refusing}");
    assert!(refusing.contains(">errors a second<") && refusing.contains(">errors start 37<"));
    for (_, sweep) in sweeps() {
        let svg = sweep_svg(&plan, &sweep);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

#[test]
fn a_run_that_lost_its_target_is_in_no_finding_and_one_that_answered_nothing_in_time_is() {
    let run = |rule: Rule| {
        let mut summary = normal();
        summary.verdict.valid = false;
        let text = String::new();
        summary.verdict.reasons = vec![Reason { rule, level: Level::Invalid, text }];
        SweepRun::of(1000.0, 1, &summary)
    };
    assert!(run(Rule::NoConnection).is_left_out() && run(Rule::ConnectionsLost).is_left_out());
    assert!(!run(Rule::NoGoodAnswer).is_left_out() && run(Rule::NoGoodAnswer).is_flawed());
}

#[test]
fn a_sweep_is_reviewed_run_by_run_and_fails_no_build_for_its_gates() {
    let mut sweep = rates();
    sweep.runs.iter_mut().for_each(|run| run.gates_hold = Some(run.x < 900.0));
    sweep.runs[1].gates_hold = None;
    let review = sweep_review(&sweep, crate::exit::FINISHED, false);
    let xml = review.junit();
    tags(&xml);
    let runs = sweep.runs.len();
    assert!(xml.contains(&format!("tests=\"{}\" failures=\"0\" errors=\"0\"", runs + 1)), "{xml}");
    assert!(
        xml.contains("name=\"rate 1,300, run 2\">\n      <skipped message=\"the gates do not hold")
    );
    assert!(xml.contains("name=\"rate 100, run 1\">\n      <system-out>the gates hold"), "{xml}");
    let page = review.markdown();
    assert!(page.starts_with("### maxq sweep: pass\n"), "{page}");
    let rows = page.lines().filter(|line| line.starts_with('|')).count();
    assert_eq!(rows, 2 + runs + 1 + 2 + runs, "{page}");
    sweep.runs[2].valid = false;
    sweep.runs[2].code = Code::NotSteady;
    let strict = sweep_review(&sweep, crate::exit::INVALID, true).junit();
    assert!(
        strict.contains("errors=\"1\"") && strict.contains("not valid: not_steady"),
        "{strict}"
    );
}

#[test]
fn refusals_are_errors_in_every_format_and_no_throughput() {
    let sweep = refusing();
    let found = document(&sweep);
    let saturation = found["saturation"]["rps"].as_f64().unwrap();
    assert!((saturation / 554.0 - 1.0).abs() < 0.02, "{saturation}");
    assert_eq!(
        (&found["errors_start"]["x"], &found["errors_start"]["at_lowest"]),
        (&json!(37.0), &json!(false))
    );
    assert!((found["errors_start"]["error_pct"].as_f64().unwrap() - 1.24).abs() < 0.1);
    assert_eq!(
        (&found["reasons"]["errors_start"], &found["mostly_errors"]),
        (&Value::Null, &json!(1))
    );
    assert!((found["points"][3]["error_pct"].as_f64().unwrap() - 23.4).abs() < 0.1);
    let text = sweep_text(&plan(), &sweep, PLAIN);
    for part in [
        "           72     560    23 %  98.00 ms",
        "          518     502    51 %",
        "* good answers a second, x errors a second",
        "E errors start",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let quiet = sweep_findings(&sweep);
    let words = quiet.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("Errors start at 37 connections, where 1.2 % of the requests fail; latencies of 1 run with more errors"),
        "{quiet}"
    );
    assert!(words.contains("good answers a second"), "{quiet}");
    assert_eq!(document(&rates())["reasons"]["errors_start"], "every request got a good answer");
}

#[test]
fn a_plan_with_longer_runs_at_low_rates_says_so_before_the_first() {
    let mut course = course(Variable::Rate, &[50.0, 100.0, 800.0], 3);
    course.lengths_ns = vec![15 * SECOND, 8 * SECOND, 5 * SECOND];
    assert_eq!(
        sweep_announcement(&course, 9, 98.4),
        "9 runs in about 1 min 38 s, each measured for 5 s to 15 s (the fewer answers, the longer)"
    );
    course.lengths_ns = vec![5 * SECOND; 3];
    assert_eq!(sweep_announcement(&course, 3, 19.5), "3 runs in about 20 s, each measured for 5 s");
    course.lengths_ns = Vec::new();
    assert_eq!(sweep_announcement(&course, 3, 4500.0), "3 runs in about 1 h 15 min");
}

#[test]
fn too_few_samples_make_bounds_and_no_invalid_run_unless_a_gate_asks_for_a_latency() {
    let mut summary = normal();
    summary.verdict.code = Code::InsufficientSamples;
    summary.verdict.valid = false;
    summary.verdict.reasons.clear();
    summary.gates.clear();
    let short = SweepRun::of(50.0, 1, &summary);
    assert!(short.valid && !short.is_flawed() && short.code == Code::InsufficientSamples);
    for (clause, valid) in [("errors<1%", true), ("p99<50ms", false)] {
        let clauses = crate::slo::parse(clause).unwrap();
        let gate = |clause| Gate { clause, value: None, doubt: None, holds: true, at_s: None };
        summary.gates = clauses.into_iter().map(gate).collect();
        assert_eq!(SweepRun::of(50.0, 1, &summary).valid, valid, "{clause}");
    }
    let text = String::new();
    summary.gates.clear();
    summary.verdict.reasons = vec![Reason { rule: Rule::ClientLag, level: Level::Invalid, text }];
    assert!(!SweepRun::of(50.0, 1, &summary).valid);
}
