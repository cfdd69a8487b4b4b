//! Constructed runs, and what every report says of them.
//!
//! The runs are built from records, as an engine leaves them, so that no test can state figures that no run could have.

pub(crate) mod checks;
mod files;
mod gates;
mod json;
mod review;
mod runs;
mod screen;
mod text;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::core::failure::{Failure, Kind, Phase as FailurePhase};
use crate::core::record::latency::HIGHEST_NS;
use crate::core::record::{
    BadAnswer, Came, ClientTally, Completion, ConnectionTally, Outcome, PhaseRecord, Record,
};
use crate::core::schedule::{Arrivals, Rate, Timeline};
use crate::core::worker::{Expect, OnOverload, Timeouts};
use crate::machine::pressure::Pressure;
use crate::plan::{EngineChoice, Idle, Load, Output, Pacing, Plan, Preflight, Route};
use crate::report::Style;
use crate::request::RequestImage;
use crate::result::summary::{
    Client, End, Engine, Host, InFlight, IntervalRow, Latencies, PhaseSummary, Presence, Summary,
    Window,
};
use crate::result::verdict::{Code, Level, Reason, Rule, TargetState, Verdict};
use crate::stats::series::Series;
use crate::target::Target;
use crate::time::Nanos;

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const PLAIN: Style = Style { color: false, columns: 80 };

pub(crate) fn plan() -> Plan {
    Plan {
        target: Target::parse("http://127.0.0.1:8080/bytes/100?x=1").unwrap(),
        route: Route::to("127.0.0.1:8080".parse().unwrap()),
        tunnel: None,
        preflight: Preflight::default(),
        asked: Arc::default(),
        repeat: None,
        pause_ns: None,
        is_proxied: false,
        same_host: true,
        method: "GET".to_owned(),
        volatile_headers: Vec::new(),
        body: None,
        security: None,
        request: RequestImage::new(b"GET /bytes/100?x=1 HTTP/1.1\r\nHost: h\r\n\r\n", 1, false),
        load: Load {
            connections: 64,
            pipeline: 1,
            duration_ns: Some(10 * SECOND),
            requests: None,
            warmup_ns: SECOND,
            auto_warmup: false,
            requests_per_connection: None,
            pacing: None,
        },
        schedule: None,
        timeline: Timeline::plain(SECOND, 10 * SECOND),
        slice_ns: SECOND / 10,
        timeouts: Timeouts {
            request_ns: 10 * SECOND,
            connect_ns: 5 * SECOND,
            drain_ns: 5 * SECOND,
            give_up_ns: 10 * SECOND,
        },
        expect: Expect::default(),
        slo: Vec::new(),
        abort_on: Vec::new(),
        strict: false,
        body_check: false,
        engine: EngineChoice::Auto,
        idle: Idle::Auto,
        cores: vec![0],
        threads_asked: None,
        threads_reason: Some("half of the 2 cores, the target is on this host".to_owned()),
        seed: 42,
        calibration: None,
        output: Output::default(),
    }
}

/// The same plan, by a schedule of one hundred requests a second.
pub(crate) fn open_plan() -> Plan {
    let mut plan = plan();
    plan.load.pacing = Some(Pacing {
        rate: Rate::nearest(100.0),
        stages_text: None,
        stages: Vec::new(),
        bursts: None,
        arrivals: Arrivals::Uniform,
        max_in_flight: 64,
        on_overload: OnOverload::Queue,
    });
    plan
}

/// A run in which everything that was asked for happened, and nothing else.
pub(crate) fn summary(record: Record) -> Summary {
    record.conserved().unwrap();
    Summary {
        started_at: UNIX_EPOCH + Duration::from_secs(1_795_410_000),
        preflight: None,
        streams: Vec::new(),
        unlogged: 0,
        engine: Engine::Uring,
        end: End::Finished,
        window: Window { warmup_ns: SECOND, measured_ns: 10 * SECOND, drain_ns: 0 },
        origin: Nanos(100 * SECOND),
        latencies: Latencies::of(&record.measured(), &[]),
        measured: record.measured(),
        phases: phases(&record),
        series: Series::new(SECOND / 10),
        in_flight: Some(InFlight { mean: 16.0, by_law: Some(16.2) }),
        gates: Vec::new(),
        presence: Presence::default(),
        pressure: Pressure::default(),
        record,
        intervals: vec![interval(0.0), interval(1.0)],
        client: Client {
            cpu_ns: 9 * SECOND,
            peak_rss_bytes: Some(12 << 20),
            clock_read_ns: 25,
            workers: vec![ClientTally {
                cpu_ns: 6 * SECOND,
                wall_ns: 10 * SECOND,
                delayed_ns: SECOND,
                stamp_skew_ns: 3_200,
                receive_slack_ns: 41_000,
                ..ClientTally::default()
            }],
        },
        host: Host {
            cpu: Some("Imaginary \u{1b}[31m 9000".to_owned()),
            cores_allowed: 2,
            kernel: Some("6.12.0".to_owned()),
            clocksource: Some("tsc".to_owned()),
            cgroup_quota_cores: None,
        },
        verdict: Verdict {
            target: TargetState::Held,
            target_text: "all requests got a good answer".to_owned(),
            max_is_own: false,
            code: Code::ServerLimited,
            valid: true,
            sentence: "The workers waited for the server for 30 % of the time.".to_owned(),
            reasons: vec![Reason {
                rule: Rule::ClientLag,
                level: Level::Info,
                text: "The workers waited for the server for 30 % of the time.".to_owned(),
            }],
        },
    }
}

fn phases(record: &Record) -> Vec<PhaseSummary> {
    let spans = [("warmup", -1.0, 0.0), ("measured", 0.0, 10.0)];
    let phase =
        |(&(name, start_s, end_s), record): (&(&str, f64, f64), &PhaseRecord)| PhaseSummary {
            name: name.to_owned(),
            start_s,
            end_s,
            length_ns: Nanos::from_seconds(end_s - start_s).0,
            record: record.clone(),
            latencies: Latencies::of(record, &[]),
            disturbances: Vec::new(),
            over_limit: None,
            gone_share: 0.0,
        };
    spans.iter().zip(&record.phases).map(phase).collect()
}

fn interval(end_s: f64) -> IntervalRow {
    IntervalRow {
        end_s,
        scheduled: 2000,
        sent: 2000,
        completed: 1990,
        ok: 1980,
        errors: 10,
        in_flight: 64,
        backlog: 0,
        bytes_received: 300_000,
        p50_ns: Some(312_319),
        p95_ns: Some(900_000),
        p99_ns: Some(1_236_000),
        max_ns: Some(2_000_001),
    }
}

/// Responses after `first_byte_ns` and `service_ns`, the former `None` when they came in one piece.
pub(crate) fn complete(
    phase: &mut PhaseRecord,
    status: u16,
    service_ns: u64,
    first_byte_ns: Option<u64>,
) {
    phase.counts.scheduled += 1;
    phase.counts.sent += 1;
    phase.sent_in_window += 1;
    phase.bytes_sent += 43;
    phase.bytes_received += 200;
    phase.bytes_in_window += 200;
    phase.complete(&Completion {
        status,
        outcome: match status {
            ..400 => Outcome::Ok,
            400.. => Outcome::HttpError,
        },
        service_ns,
        first_byte_ns,
        drained: false,
    });
    phase.complete_in_window(if status < 400 { Outcome::Ok } else { Outcome::HttpError }, 1);
}

pub(crate) fn fail(phase: &mut PhaseRecord, outcome: Outcome, age_ns: u64) {
    phase.counts.scheduled += 1;
    phase.counts.sent += 1;
    phase.bytes_sent += 43;
    phase.sent_in_window += 1;
    phase.fail(outcome, age_ns, age_ns);
}

pub(crate) fn abandon(phase: &mut PhaseRecord, age_ns: u64) {
    phase.counts.scheduled += 1;
    phase.counts.sent += 1;
    phase.bytes_sent += 43;
    phase.abandon(age_ns);
}

/// 20,000 responses of 1 to 21 ms, each its first half waiting for the first byte, after 500 of warm-up.
fn normal_record() -> Record {
    let mut record = Record::default();
    for index in 0..20_000 {
        let service_ns = 1_000_000 + index * 1000;
        complete(&mut record.phases[1], 200, service_ns, Some(service_ns / 2));
    }
    for _ in 0..500 {
        complete(&mut record.phases[0], 200, 5_000_000, None);
    }
    record.connections = ConnectionTally {
        kept: 0,
        asked: 64,
        opened: 64,
        used: 64,
        failed: 0,
        reconnects: 0,
        unfinished: 0,
        responses: (0..64).map(|index| 300 + index).collect(),
    };
    record.connected(120_000);
    record
}

pub(crate) fn normal() -> Summary {
    summary(normal_record())
}

/// A run against a port where nobody listens.
fn empty() -> Summary {
    let mut record = Record::default();
    let refused = Failure::from_errno(FailurePhase::Connect, libc::ECONNREFUSED);
    for index in 0..1234 {
        record.errors.count(refused, Nanos((99 + index / 130) * SECOND), b"");
    }
    record.connections = ConnectionTally {
        asked: 64,
        failed: 1234,
        responses: vec![0; 64],
        ..ConnectionTally::default()
    };
    let mut summary = summary(record);
    summary.end = End::GaveUp;
    summary.window.warmup_ns = 0;
    summary.phases.remove(0);
    summary.intervals.clear();
    summary.client = Client::default();
    summary.host = Host::default();
    summary.verdict = Verdict {
        target: TargetState::Failing,
        target_text: "no connection could be opened".to_owned(),
        max_is_own: false,
        code: Code::InsufficientSamples,
        valid: false,
        sentence: "No response came at all.".to_owned(),
        reasons: vec![],
    };
    summary
}

/// A run that the user stopped, with requests in flight that were never awaited.
fn interrupted() -> Summary {
    let mut record = normal_record();
    for _ in 0..64 {
        abandon(&mut record.phases[1], 2_000_000);
    }
    let mut summary = summary(record);
    summary.end = End::Interrupted(crate::exit::Signal::Interrupt);
    summary.window.measured_ns = 3_210_000_000;
    summary.window.drain_ns = 12_345_678;
    summary
}

/// A run with failures of every sort and bytes that a terminal must never see.
fn hostile() -> Summary {
    let mut record = normal_record();
    let measured = &mut record.phases[1];
    for _ in 0..7 {
        complete(measured, 503, 900_000, None);
    }
    fail(measured, Outcome::ProtocolError, 1_200_000);
    fail(measured, Outcome::ProtocolError, 1_300_000);
    fail(measured, Outcome::Reset, 3_000_000);
    fail(measured, Outcome::Truncated, 3_000_000);
    fail(measured, Outcome::Timeout, 10 * SECOND);
    for _ in 0..3 {
        measured.counts.scheduled += 1;
        measured.unsent.left += 1;
        measured.drop_unsent(2_000_000_000);
    }
    let errors = &mut record.errors;
    let at = |ms: u64| Nanos(100 * SECOND + ms * 1_000_000);
    let bad_head = Failure::new(FailurePhase::Parse, Kind::BadHead);
    errors.count(bad_head, at(1500), b"\x1b[2J\x1b]0;owned\x07\xff\xfe\xc2\x9b31m\"\r\n");
    errors.count(bad_head, at(2500), b"");
    let too_large = Failure::new(FailurePhase::Parse, Kind::HeadTooLarge);
    errors.count(too_large, Nanos(99 * SECOND), &[0x9b; 96]);
    let reset = Failure::from_errno(FailurePhase::Receive, libc::ECONNRESET);
    errors.count(reset, at(3000), b"");
    let unnamed = Failure::from_errno(FailurePhase::Send, libc::EXDEV);
    errors.count(unnamed, at(4000), b"");
    let timeout = Failure::new(FailurePhase::Timeout, Kind::BodyTimeout);
    let came =
        Came { status: 200, first_byte_ns: 1_200_000, body_bytes: 9, body_length: Some(1000) };
    errors.count_begun(timeout, at(9000), Some(came));
    let said = b"busy \x1b[2J\"".to_vec();
    record.bad_answers.add(BadAnswer::new(503, at(100), (said, 9000)));
    record.interim_responses = 5;
    summary(record)
}

/// A run with two latencies beyond the histogram's hour.
fn clamped() -> Summary {
    let mut record = normal_record();
    for _ in 0..2 {
        complete(&mut record.phases[1], 200, HIGHEST_NS * 3, None);
    }
    summary(record)
}

/// Every constructed run with its name.
fn all() -> [(&'static str, Summary); 5] {
    [
        ("normal", normal()),
        ("empty", empty()),
        ("interrupted", interrupted()),
        ("hostile", hostile()),
        ("clamped", clamped()),
    ]
}
