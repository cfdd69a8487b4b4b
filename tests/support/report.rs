//! The JSON report of a run, held to its schema and to the conservation of requests before a test sees it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::{Ended, maxq_on_engine, run};

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let text = include_str!("../../src/report/run.schema.json");
    let schema: Value = serde_json::from_str(text).expect("the schema is JSON");
    jsonschema::validator_for(&schema).expect("the schema is a schema")
});

/// How a request that was sent can end.
const OUTCOMES: [&str; 8] = [
    "ok",
    "unexpected",
    "http_error",
    "protocol_error",
    "truncated",
    "reset",
    "timeout",
    "in_flight_at_end",
];

/// A checked report.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) json: Value,
}

impl Report {
    /// Reads and checks a report.
    pub(crate) fn of(text: &str) -> Self {
        let json = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
        let violations: Vec<String> = SCHEMA
            .iter_errors(&json)
            .map(|error| format!("{}: {:.300}", error.instance_path(), error.to_string()))
            .collect();
        assert!(violations.is_empty(), "{violations:#?}");
        let report = Self { json };
        report.check_conservation();
        report
    }

    /// A number of requests in the measured window.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.number(&format!("/counts/{name}"))
    }

    /// A whole number anywhere in the report.
    pub(crate) fn number(&self, pointer: &str) -> u64 {
        let value = self.json.pointer(pointer).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("{pointer} is no whole number"))
    }

    /// A number anywhere in the report.
    pub(crate) fn float(&self, pointer: &str) -> f64 {
        let value = self.json.pointer(pointer).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("{pointer} is no number"))
    }

    /// A text anywhere in the report.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.json.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("{pointer} is no text"))
    }

    /// Whole responses with this status.
    pub(crate) fn status(&self, code: u16) -> u64 {
        self.json["status"][code.to_string()].as_u64().unwrap_or(0)
    }

    /// Errors as `phase/kind` and their number.
    pub(crate) fn errors(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for row in self.json["errors"].as_array().expect("errors are a list") {
            let name = |key: &str| row[key].as_str().expect("a name").to_owned();
            *sums.entry(format!("{}/{}", name("phase"), name("kind"))).or_default() +=
                row["count"].as_u64().expect("a count");
        }
        sums
    }

    /// Errors of one `phase/kind`.
    pub(crate) fn error(&self, name: &str) -> u64 {
        self.errors().get(name).copied().unwrap_or(0)
    }

    /// The sum of a column of the intervals, which hold the warm-up too.
    pub(crate) fn in_intervals(&self, column: &str) -> u64 {
        let rows = self.json["intervals"].as_array().expect("intervals are a list");
        rows.iter().map(|row| row[column].as_u64().expect("a count")).sum()
    }

    /// Every request that was asked for ended well, and nothing else happened.
    pub(crate) fn assert_all_ok(&self) {
        assert!(self.count("ok") > 0, "{:#}", self.json["counts"]);
        assert_eq!(self.count("ok"), self.count("scheduled"), "{:#}", self.json["counts"]);
        assert_eq!(self.errors(), BTreeMap::new());
    }

    fn check_conservation(&self) {
        check_counts("run", &self.json);
        let phases = self.json["phases"].as_array().expect("phases are a list");
        for phase in phases {
            check_counts(phase["name"].as_str().expect("a name"), phase);
        }
        let statuses = self.json["status"].as_object().expect("status is a table");
        let sum: u64 = statuses.values().filter_map(Value::as_u64).sum();
        assert_eq!(sum, self.count("completed"), "status codes add up");
        for column in ["scheduled", "sent", "completed", "ok"] {
            let all: u64 = phases.iter().filter_map(|phase| phase["counts"][column].as_u64()).sum();
            assert_eq!(self.in_intervals(column), all, "intervals add up to the phases: {column}");
        }
        self.check_handshakes();
    }

    /// A connection is open once its handshake is over, and then only.
    fn check_handshakes(&self) {
        if self.json["tls"].is_null() {
            return;
        }
        let handshakes = self.number("/tls/full") + self.number("/tls/resumed");
        let opened = self.number("/connections/opened") + self.number("/connections/reconnects");
        assert_eq!(handshakes, opened, "handshakes are connections: {:#}", self.json["tls"]);
        assert_eq!(handshakes, self.number("/latency/tls/count"), "each has its time");
        let agreed = self.json["tls"]["negotiated"].as_array().expect("agreements are a list");
        let agreed: u64 = agreed.iter().filter_map(|row| row["handshakes"].as_u64()).sum();
        assert_eq!(handshakes, agreed, "something was agreed on in each");
        assert!(self.number("/tls/failed") <= self.number("/connections/failed"));
    }
}

/// The identities between the counts and latencies of `part`, a run or a phase.
fn check_counts(name: &str, part: &Value) {
    let counts = &part["counts"];
    let count = |key: &str| counts[key].as_u64().expect("a count");
    let values = |key: &str| part["latency"][key]["count"].as_u64().expect("a count");
    let shown = format!("{name}: {counts:#}");
    assert_eq!(count("scheduled"), count("sent") + count("unsent"), "{shown}");
    assert_eq!(count("sent"), OUTCOMES.iter().map(|key| count(key)).sum::<u64>(), "{shown}");
    let whole = count("ok") + count("unexpected") + count("http_error");
    assert_eq!(count("completed"), whole, "{shown}");
    assert_eq!(values("service"), whole + count("timeout"), "{shown}");
    let failed = count("protocol_error") + count("truncated") + count("reset");
    assert_eq!(values("failed"), failed, "{shown}");
    let unanswered = count("unsent") + count("in_flight_at_end");
    assert_eq!(values("response"), values("service") + unanswered, "{shown}");
}

/// Runs one worker to its end, and returns the report of a run that succeeded.
pub(crate) fn measure(arguments: &[&str]) -> Report {
    measure_to(0, arguments)
}

/// Runs one worker to its end, which must be `code`.
pub(crate) fn measure_to(code: i32, arguments: &[&str]) -> Report {
    let ended = run(maxq_on_engine().args(["-t", "1", "--json"]).args(arguments));
    checked(code, &ended)
}

/// The report of a run that has ended in `code`; only a target that was of no use is complained of on the side.
pub(crate) fn checked(code: i32, ended: &Ended) -> Report {
    const TARGET: i32 = 5;
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    let complaints = ended.stderr.lines().count();
    assert_eq!(complaints, usize::from(code == TARGET), "{}", ended.stderr);
    Report::of(&ended.stdout)
}
