//! Constructed searches, and what every report says of them.

use std::sync::LazyLock;

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

use super::*;
use crate::commands::ceiling::capacity::{Broken, Found, Goals, Row};
use crate::commands::ceiling::search::{
    Change, Doubt, Ending, Measure, Proposal, Purpose, SearchResult, SearchSettings, Trial,
    TrialVerdict,
};
use crate::plan::Plan;
use crate::report::tests::{PLAIN, normal, open_plan, plan};
use crate::report::{Style, document, json_schema};
use crate::result::summary::Summary;
use crate::result::verdict::Code;
use crate::slo::{self, Gate};

const SLO: &str = "p99<50ms, errors<1%";

/// The run of every trial.
static RUN: LazyLock<Summary> = LazyLock::new(normal);

fn plan_of(closed: bool) -> Plan {
    if closed { plan() } else { open_plan() }
}

/// A trial of 10 s at `load`, in which `achieved_rps` were answered.
fn row(load: f64, achieved_rps: f64, verdict: TrialVerdict, purpose: Purpose) -> Row {
    let failed = verdict == TrialVerdict::Fail;
    let measure = Measure { amount: if failed { 200.0 } else { 5.0 }, of: 1000.0, kept: !failed };
    let measures = vec![measure, Measure { amount: 0.0, of: 1000.0, kept: true }];
    let trial = Trial {
        proposal: Proposal { load, length_s: 10.0, purpose },
        verdict,
        requests: 1000.0,
        measures,
        cut_short: failed && purpose == Purpose::Bracket,
    };
    let mut row = Row::of(trial, 1.5, &RUN);
    row.rates.offered_rps = load;
    row.rates.achieved_rps = achieved_rps;
    row.second_half = Some((load, achieved_rps));
    row.code = Code::Valid;
    let clause = slo::parse(SLO).unwrap().remove(0);
    let value = Some(if failed { 312e6 } else { 21e6 });
    row.gates = vec![Gate { clause, value, doubt: None, holds: !failed, at_s: None }];
    row
}

fn rows(closed: bool) -> Vec<Row> {
    use Purpose::{Bracket, Narrow, Verify};
    use TrialVerdict::{ClientLimited, Fail, Pass};
    let scale = if closed { 0.01 } else { 1.0 };
    vec![
        row(800.0 * scale, 800.0, ClientLimited, Bracket),
        row(800.0 * scale, 800.0, Pass, Bracket),
        row(1600.0 * scale, 998.04, Fail, Bracket),
        row(1000.0 * scale, 997.0, Fail, Narrow),
        row(900.0 * scale, 900.0, Pass, Verify),
    ]
}

pub(super) fn found(ending: Ending, closed: bool) -> Found {
    let goals = Goals::new(&slo::parse(SLO).unwrap(), !closed);
    let limits = goals.limits();
    let known = ending == Ending::Found;
    Found {
        closed,
        goals,
        slo: SLO.to_owned(),
        settings: SearchSettings {
            from: if closed { 1.0 } else { 100.0 },
            most: closed.then_some(4096.0),
            whole: closed,
            limits,
            seed: 7,
            ..SearchSettings::usual(10.0, 1.7)
        },
        rows: rows(closed),
        answer: SearchResult {
            ending,
            ceiling: Some(if closed { 9.0 } else { 907.94 }),
            interval: known.then_some(if closed { (8.0, 9.0) } else { (900.0, 916.0) }),
            safe: Some(if closed { 9.0 } else { 893.0 }),
            limiting: Some(0),
            verified: known,
            precise: known,
            regressed: true,
            bracket: (None, None),
            change: None,
            doubt: None,
        },
        broken: None,
        spent_s: 61.4,
    }
}

/// What is known of nothing.
pub(super) fn unknown(ending: Ending, closed: bool) -> Found {
    let mut found = found(ending, closed);
    found.answer.ceiling = None;
    found.answer.safe = None;
    found.answer.limiting = None;
    found.rows.truncate(1);
    found
}

/// What single trials said before time ran out.
fn half_known(closed: bool) -> Found {
    let mut found = found(Ending::OutOfBudget, closed);
    let scale = if closed { 0.01 } else { 1.0 };
    found.answer.ceiling = None;
    found.answer.safe = None;
    found.answer.bracket = (Some(900.0 * scale), Some(1000.0 * scale));
    found
}

fn minimum_fails(closed: bool) -> Found {
    let mut found = unknown(Ending::MinimumFails, closed);
    found.answer.limiting = Some(0);
    found.rows = vec![row(found.settings.from, 100.0, TrialVerdict::Fail, Purpose::Narrow)];
    found
}

/// A search that trials speak against: nothing of it is known.
fn without_answer(ending: Ending, closed: bool) -> Found {
    let mut found = found(ending, closed);
    found.answer.ceiling = None;
    found.answer.safe = None;
    found
}

/// The target changed: trials 2 and 4 contradict one another.
fn changed(closed: bool, worse: bool, until: Option<usize>) -> Found {
    let mut found = without_answer(Ending::Changed, closed);
    found.rows[3].begun_s = 31.2;
    found.answer.change = Some(Change { worse, before: 1, since: 3, until });
    found
}

fn unsupported(closed: bool, doubt: Doubt) -> Found {
    let mut found = without_answer(Ending::Unsupported, closed);
    found.answer.doubt = Some(doubt);
    found
}

fn broken(broken: Broken, closed: bool) -> Found {
    Found { broken: Some(broken), ..half_known(closed) }
}

/// Every way in which a search can end, by the name of its end.
fn all(closed: bool) -> Vec<(&'static str, Found)> {
    vec![
        ("found", found(Ending::Found, closed)),
        ("max_reached", found(Ending::AtMost, closed)),
        ("client_limited", found(Ending::ClientLimited, closed)),
        ("client_limited", unknown(Ending::ClientLimited, closed)),
        ("minimum_fails", minimum_fails(closed)),
        ("out_of_budget", half_known(closed)),
        ("out_of_budget", unknown(Ending::OutOfBudget, closed)),
        ("too_few_answers", unknown(Ending::TooFewAnswers, closed)),
        ("target_changed", changed(closed, true, None)),
        ("target_changed", changed(closed, true, Some(4))),
        ("target_changed", changed(closed, false, None)),
        ("not_supported", unsupported(closed, Doubt::VerificationFailed)),
        ("not_supported", unsupported(closed, Doubt::LongerFails)),
        ("interrupted", broken(Broken::Interrupted(crate::exit::Signal::Interrupt), closed)),
        ("target_lost", broken(Broken::Dead, closed)),
    ]
}

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let run: Value = serde_json::from_str(json_schema()).unwrap();
    let registry = Registry::new().add("urn:maxq:run:1", run).unwrap().prepare().unwrap();
    let schema: Value = serde_json::from_str(ceiling_schema()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::options().with_registry(&registry).build(&schema).unwrap()
});

/// The document of a search, with the runs of its trials, held to the schema.
fn checked(found: &Found) -> Value {
    let plan = plan_of(found.closed);
    let runs = vec![document(&plan, &RUN); found.rows.len()];
    let text = ceiling_json(&plan, found, &runs);
    assert!(text.ends_with("}\n"));
    let value: Value = serde_json::from_str(&text).unwrap();
    let broken = violations(&value);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    value
}

fn violations(document: &Value) -> Vec<String> {
    let errors = SCHEMA.iter_errors(document);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn every_document_obeys_the_shipped_schema() {
    for closed in [false, true] {
        for (name, found) in all(closed) {
            let document = checked(&found);
            assert_eq!(document["end"], name);
            let partial = matches!(name, "interrupted" | "target_lost");
            assert_eq!(document["partial"], partial, "{name}");
            let at_least = matches!(name, "max_reached" | "client_limited");
            assert_eq!(document["at_least"], at_least, "{name}");
        }
    }
}

#[test]
fn the_schema_refuses_what_is_not_so() {
    let document = checked(&found(Ending::Found, false));
    for (pointer, bad) in [
        ("/end", json!("done")),
        ("/ceiling_rps", Value::Null),
        ("/ceiling_rps", json!(0)),
        ("/ceiling_connections", json!(3)),
        ("/ci95_rps", json!([1.0])),
        ("/partial", json!(true)),
        ("/trials/0/rate_rps", Value::Null),
        ("/trials/0/result", json!("ok")),
        ("/trials/0/run/schema", json!("maxq.run/2")),
        ("/trials/0/run/counts/sent", json!(-1)),
        ("/plan/seed", Value::Null),
    ] {
        let mut worse = document.clone();
        *worse.pointer_mut(pointer).unwrap() = bad;
        assert!(!violations(&worse).is_empty(), "{pointer}");
    }
    for key in document.as_object().unwrap().keys() {
        let mut less = document.clone();
        less.as_object_mut().unwrap().remove(key);
        assert!(!violations(&less).is_empty(), "{key} is required");
    }
}

#[test]
fn the_document_says_what_was_found() {
    let document = checked(&found(Ending::Found, false));
    assert_eq!(document["variable"], "rate");
    assert_eq!(document["ceiling_rps"], 907.94);
    assert_eq!(document["ci95_rps"], json!([900.0, 916.0]));
    assert_eq!(document["safe_rps"], 893.0);
    assert_eq!(document["limiting_clause"], "p99<50ms");
    assert_eq!(document["goals"].as_array().unwrap().len(), 5);
    assert!((document["saturation_rps"].as_f64().unwrap() - 998.04).abs() < 0.01);
    let trial = &document["trials"][2];
    assert_eq!(
        (&trial["missed"], &trial["held_up"], &trial["error_share"]),
        (&json!(["p99<50ms: 312.0 ms"]), &json!(false), &json!(0.0))
    );
    assert_eq!((&trial["rate_rps"], &trial["result"]), (&json!(1600.0), &json!("fail")));
    assert_eq!(
        trial["goals"][0],
        json!({"goal": "p99<50ms", "kept": false, "amount": 200.0, "of": 1000.0})
    );
    assert_eq!(trial["run"]["schema"], "maxq.run/1");
    let closed = checked(&found(Ending::Found, true));
    assert_eq!(closed["variable"], "connections");
    assert_eq!(closed["ceiling_connections"], 9.0);
    assert_eq!(closed["settings"]["max"], 4096.0);
    assert_eq!(closed["goals"], json!(["p99<50ms", "errors<1%"]));
}

#[test]
fn the_page_of_a_rate_has_the_answer_first_and_every_trial() {
    let page = ceiling_text(&plan_of(false), &found(Ending::Found, false), PLAIN);
    let expected = "\
Target        127.0.0.1:8080 on this host
Threads       1 (half of the 2 cores, the target is on this host)
Load          open loop, uniform, 64 connections kept from trial to trial,
              pipeline 1
Must hold     p99<50ms, errors<1%
              and, implied: unsent<=0%, achieved>=99%, nothing piles up
Seed          42

Ceiling       907.9 req/s (95 % confidence: 900 to 916), limited by p99<50ms
Safe          893 req/s: a trial of 10 s passes there 19 times out of 20
Verified      yes: a trial of 10 s at 900 req/s passed
Throughput    998 req/s at most, whatever is offered
Search        5 trials in 61 s

   Trials   offered  result    answered        p50        p95        p99  errors
 1 bracket      800  client       800.0   11.00 ms   20.00 ms   20.81 ms       0
 2 bracket      800  pass         800.0   11.00 ms   20.00 ms   20.81 ms       0
 3 bracket    1,600  FAIL         998.0   11.00 ms   20.00 ms   20.81 ms       0
              missed: p99<50ms: 312.0 ms (ended after 10.0 s, since that is far
              off)
 4 narrow     1,000  FAIL         997.0   11.00 ms   20.00 ms   20.81 ms       0
              missed: p99<50ms: 312.0 ms
 5 verify       900  pass         900.0   11.00 ms   20.00 ms   20.81 ms       0
  lengths of trials, at most: bracket 10 s, narrow 10 s, verify 10 s
  client: the client was the limit; says nothing of the target, and is made
  again while there is time
";
    assert_eq!(page.split_once('\n').unwrap().1, expected);
}

#[test]
fn the_page_of_a_closed_loop_counts_connections() {
    let page = ceiling_text(&plan_of(true), &found(Ending::Found, true), PLAIN);
    for part in [
        "\nThreads       at most one a connection (half of the 2 cores, the target is on\n",
        "\nLoad          closed loop, pipeline 1\n",
        "\nMust hold     p99<50ms, errors<1%\nSeed",
        "\nCeiling       9 connections (95 % confidence: 8 to 9), limited by p99<50ms\n",
        "\nSafe          9 connections: a trial of 10 s passes there 19 times out of 20\n",
        "\nVerified      yes: a trial of 10 s at 9 connections passed\n",
        "at most, with any number of connections\n",
        "   Trials     conns  result",
    ] {
        assert!(page.contains(part), "{part:?} is not in\n{page}");
    }
}

fn quiet(found: &Found) -> String {
    ceiling_quiet(found)
}

#[test]
fn every_end_has_its_sentence() {
    let open: Vec<String> = all(false).iter().map(|(_, found)| quiet(found)).collect();
    assert_eq!(
        open,
        [
            "Ceiling: 907.9 req/s (95 % confidence: 900 to 916), limited by p99<50ms\n",
            "Ceiling: at least 907.9 req/s: the highest load that was allowed (--max) holds\n",
            "Ceiling: at least 907.9 req/s: this client cannot offer more\n",
            "Ceiling: unknown: the client itself was the limit at the lowest load (--from) already\n",
            "Ceiling: below 100 req/s: the lowest load (--from) fails already, limited by p99<50ms\n",
            "Ceiling: not known well enough: it seems to hold at 900 req/s, and to fail at 1,000 req/s\n",
            "Ceiling: unknown\n",
            "Ceiling: unknown: too few answers to judge by\n",
            "Ceiling: unknown: the target got slower by trial 4, 31 s into the search: 800 req/s passed in trial 2, 1,000 req/s fails since\n",
            "Ceiling: unknown: the target was slower from trial 4, 31 s into the search, to trial 5: 800 req/s passed before and after, 1,000 req/s failed in between\n",
            "Ceiling: unknown: the target got faster by trial 4, 31 s into the search: 800 req/s failed in trial 2, 1,000 req/s passes since\n",
            "Ceiling: unknown: the low end of the interval failed when it was verified\n",
            "Ceiling: unknown: loads that hold in one trial fail in a longer one, as if the target lived on a reserve\n",
            "INTERRUPTED before the search was over: this is what was known by then\nCeiling: not known well enough: it seems to hold at 900 req/s, and to fail at 1,000 req/s\n",
            "TARGET LOST nobody answered any more: this is what was known by then\nCeiling: not known well enough: it seems to hold at 900 req/s, and to fail at 1,000 req/s\n",
        ]
    );
    let closed: Vec<String> = all(true).iter().map(|(_, found)| quiet(found)).collect();
    assert_eq!(
        closed[1],
        "Ceiling: at least 9 connections: the highest load that was allowed (--max) holds\n"
    );
    assert_eq!(
        closed[4],
        "Ceiling: below 1 connection: the lowest load (--from) fails already, limited by p99<50ms\n"
    );
    for (closed, (name, found)) in [false, true]
        .into_iter()
        .flat_map(|closed| all(closed).into_iter().map(move |one| (closed, one)))
    {
        let page = ceiling_text(&plan_of(closed), &found, PLAIN);
        assert!(page.contains("\nCeiling  "), "{name}: {page}");
        assert!(page.lines().all(|line| line.chars().count() <= 96), "{name}: {page}");
        let marked = page.contains("INTERRUPTED") || page.contains("TARGET LOST");
        assert_eq!(marked, found.broken.is_some(), "{name}");
    }
}

#[test]
fn a_page_says_how_far_its_answer_can_be_relied_on() {
    let page =
        |found: &Found| ceiling_text(&plan_of(false), found, Style { columns: 200, ..PLAIN });
    let mut doubtful = found(Ending::Found, false);
    doubtful.answer.precise = false;
    doubtful.answer.verified = false;
    let text = page(&doubtful);
    assert!(
        text.contains("no: a trial of 10 s at 900 req/s passed, and the interval has moved since"),
        "{text}"
    );
    assert!(text.contains("wider than was asked for (--precision 2%)"), "{text}");
    doubtful.rows[4].trial.verdict = TrialVerdict::Fail;
    let text = page(&doubtful);
    assert!(text.contains("NO: a trial of 10 s at 900 req/s failed\n"), "{text}");
    doubtful.rows.truncate(4);
    assert!(page(&doubtful).contains("Verified      no: there was no time left"));
    for row in &mut doubtful.rows {
        row.trial.proposal.load = 908.0;
        row.code = Code::ConnectionLimited;
    }
    assert!(page(&doubtful).contains("more of them (-c) may hold more"));
}

#[test]
fn a_target_that_changed_is_named_with_the_trials_that_show_it() {
    let sentence = |worse, until| ceiling_quiet(&changed(false, worse, until));
    assert_eq!(
        sentence(true, None),
        "Ceiling: unknown: the target got slower by trial 4, 31 s into the search: 800 req/s passed in trial 2, 1,000 req/s fails since\n"
    );
    assert_eq!(
        sentence(true, Some(4)),
        "Ceiling: unknown: the target was slower from trial 4, 31 s into the search, to trial 5: 800 req/s passed before and after, 1,000 req/s failed in between\n"
    );
    assert_eq!(
        sentence(false, None),
        "Ceiling: unknown: the target got faster by trial 4, 31 s into the search: 800 req/s failed in trial 2, 1,000 req/s passes since\n"
    );
    let document = checked(&changed(false, true, Some(4)));
    let expected = json!({
        "direction": "slower", "before_trial": 2, "before_load": 800.0, "since_trial": 4,
        "since_load": 1000.0, "since_s": 31.2, "until_trial": 5, "until_s": 1.5
    });
    assert_eq!(document["change"], expected);
    assert_eq!(document["no_interval_because"], "target_changed");
    assert!(document["ci95_rps"].is_null() && document["saturation_rps"].is_null());
    let line = ceiling_tsv(&changed(false, true, None));
    assert!(
        line.ends_with("\ttarget_changed\t5\t61.4\tslower\t4\t31.200\ttarget_changed\n"),
        "{line}"
    );
}

#[test]
fn an_answer_that_trials_speak_against_says_why_there_is_none() {
    let page = |doubt| ceiling_text(&plan_of(false), &unsupported(false, doubt), PLAIN);
    let failed = page(Doubt::VerificationFailed);
    assert!(failed.contains("unknown: the low end of the interval failed when it was"), "{failed}");
    assert!(failed.contains("Verified") && !failed.contains("Safe"), "{failed}");
    assert!(page(Doubt::LongerFails).contains("fail in a longer one"));
    let document = checked(&unsupported(false, Doubt::LongerFails));
    assert_eq!(document["no_interval_because"], "longer_trials_fail");
    assert!(document["change"].is_null() && document["ceiling_rps"].is_null());
}

#[test]
fn a_line_of_values_has_a_line_of_names_above_it() {
    for closed in [false, true] {
        for (name, found) in all(closed) {
            let text = ceiling_tsv(&found);
            let lines: Vec<Vec<&str>> =
                text.lines().map(|line| line.split('\t').collect()).collect();
            assert_eq!((lines.len(), lines[0].len()), (2, lines[1].len()), "{text}");
            assert!(text.ends_with('\n') && lines[1].contains(&name), "{text}");
        }
    }
    assert_eq!(
        ceiling_tsv(&found(Ending::Found, false)).lines().nth(1).unwrap(),
        "rate\t907.940\t900.000\t916.000\t893.000\t998.040\tp99<50ms\ttrue\tfound\t5\t61.4\t\t\t\t"
    );
    assert_eq!(
        ceiling_tsv(&unknown(Ending::TooFewAnswers, false)).lines().nth(1).unwrap(),
        "rate\t\t\t\t\t\t\tfalse\ttoo_few_answers\t1\t61.4\t\t\t\t"
    );
}

#[test]
fn a_line_a_trial_tells_why_it_failed_and_what_is_known_by_then() {
    let goals = Goals::new(&slo::parse(SLO).unwrap(), true);
    let line = |verdict: TrialVerdict, bracket| {
        let known = Known { bracket, left_s: 72.4 };
        ceiling_progress(&row(1600.0, 998.0, verdict, Purpose::Narrow), 3, &goals, false, &known)
    };
    assert_eq!(
        line(TrialVerdict::Pass, (Some(1600.0), None)),
        "trial  3  narrow     1,600 req/s   10.0 s  pass  p99<50ms: 21.00 ms  (at least 1,600; 72 s left at most)"
    );
    assert_eq!(
        line(TrialVerdict::Fail, (Some(907.94), Some(1600.0))),
        "trial  3  narrow     1,600 req/s   10.0 s  FAIL  p99<50ms: 312.0 ms  (between 907.9 and 1,600; 72 s left at most)"
    );
    assert!(line(TrialVerdict::Fail, (None, Some(1600.0))).contains("(below 1,600;"));
    assert!(
        line(TrialVerdict::ClientLimited, (None, None))
            .contains("client limited  p99<50ms: 21.00 ms  (nothing known yet;")
    );
}

#[test]
fn a_failed_trial_names_the_implied_goal_that_it_missed() {
    let mut row = row(1600.0, 998.0, TrialVerdict::Fail, Purpose::Narrow);
    let kept = |amount: f64, kept: bool| Measure { amount, of: 1000.0, kept };
    // p99, errors, unsent, achieved, nothing piles up.
    row.trial.measures = [(5.0, true), (0.0, true), (32.0, false), (69.0, false), (1.0, false)]
        .map(|(a, k)| kept(a, k))
        .into();
    let goals = Goals::new(&slo::parse(SLO).unwrap(), true);
    let known = Known { bracket: (None, None), left_s: 0.0 };
    let line = ceiling_progress(&row, 1, &goals, false, &known);
    for said in [
        "unsent<=0% (implied): 3.20 %",
        "achieved>=99% (implied): 93.1 %",
        "nothing piles up (implied): what is outstanding grew",
    ] {
        assert!(line.contains(said), "{line}");
    }
}
