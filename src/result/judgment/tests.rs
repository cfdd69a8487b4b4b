//! Constructed runs, and what the verdict makes of them.

mod drift;
mod lateness;
mod state;

use super::{Asked, Code, Evidence, Level, Rule, Verdict, judge};
use crate::core::failure::{Failure, Phase as FailurePhase};
use crate::core::record::{ClientTally, Completion, Lag, Outcome, Record};
use crate::core::schedule::Timeline;
use crate::machine::pressure::Pressure;
use crate::result::calibration::Calibration;
use crate::result::summary::{Client, End, Host, Latencies, Presence, Quiet, Stretch};
use crate::slo::Clause;
use crate::stats::series::Slice;
use crate::time::Nanos;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
/// Requests of the constructed runs: a thousand a second for ten seconds.
const REQUESTS: u64 = 10_000;

/// A run against another host in which nothing is wrong, to be spoilt.
struct Case {
    open: bool,
    is_constant: bool,
    timeline: Timeline,
    slo: Vec<Clause>,
    record: Record,
    client: ClientTally,
    pressure: Pressure,
    host: Host,
    clock_read_ns: u64,
    slices: Vec<Slice>,
    calibration: Option<Calibration>,
    steady: bool,
    end: End,
    presence: Presence,
}

/// Each request takes a little over a millisecond, and is sent `lag` late.
fn case(open: bool, lag: impl Fn(u64) -> Lag) -> Case {
    let mut record = Record::new(2, open);
    let phase = &mut record.phases[1];
    for number in 0..REQUESTS {
        let lag = lag(number);
        let service_ns = MS + number % 100 * 1000;
        phase.counts.scheduled += 1;
        phase.counts.sent += 1;
        phase.sent_in_window += 1;
        phase.complete(&Completion {
            status: 200,
            outcome: Outcome::Ok,
            service_ns,
            first_byte_ns: None,
            drained: false,
        });
        phase.respond(service_ns + lag.send_ns);
        phase.lag(lag);
        phase.complete_in_window(Outcome::Ok, 1);
    }
    record.connections.asked = 64;
    record.connections.opened = 64;
    record.conserved().unwrap();
    let slice = |index: u64| Slice {
        scheduled: 100,
        sent: 100,
        completed: 100,
        outstanding: 1 + index % 3,
        max_ns: 2 * MS,
        latency: [(MS, 95), (2 * MS - 1, 4 + index % 3)].into_iter().collect(),
        ..Slice::default()
    };
    Case {
        open,
        is_constant: true,
        timeline: Timeline::plain(0, 10 * SECOND),
        slo: Vec::new(),
        record,
        client: ClientTally { cpu_ns: 3 * SECOND, wall_ns: 10 * SECOND, ..ClientTally::default() },
        pressure: Pressure::default(),
        host: Host::default(),
        clock_read_ns: 25,
        slices: (0..100).map(slice).collect(),
        calibration: None,
        steady: true,
        end: End::Finished,
        presence: Presence::default(),
    }
}

fn in_time(_: u64) -> Lag {
    Lag { send_ns: 1000, pool_ns: 0, client_ns: 1000 }
}

fn open() -> Case {
    case(true, in_time)
}

impl Case {
    fn verdict(&self) -> Verdict {
        let measured = self.record.measured();
        let latencies = Latencies::of(&measured, &self.slices);
        let client = Client {
            cpu_ns: self.client.cpu_ns,
            peak_rss_bytes: None,
            clock_read_ns: self.clock_read_ns,
            workers: vec![self.client],
        };
        judge(&Evidence {
            asked: Asked {
                slo: &self.slo,
                timeline: &self.timeline,
                max_in_flight: self.open.then_some(64),
                is_constant: self.is_constant,
                connections: 64,
                threads: 1,
                same_host: false,
            },
            record: &self.record,
            measured: &measured,
            latencies: &latencies,
            presence: &self.presence,
            client: &client,
            pressure: &self.pressure,
            host: &self.host,
            calibration: self.calibration.as_ref(),
            slices: &self.slices,
            slice_ns: SECOND / 10,
            origin: Nanos(SECOND),
            steady: self.steady,
            end: self.end,
            measured_ns: 10 * SECOND,
        })
    }

    /// The rules that fired at `level`.
    fn rules(&self, level: Level) -> Vec<&'static str> {
        let reasons = self.verdict().reasons;
        reasons
            .iter()
            .filter(|reason| reason.level == level)
            .map(|reason| reason.rule.name())
            .collect()
    }
}

#[test]
fn a_run_in_which_nothing_is_wrong_is_valid_without_a_word() {
    let verdict = open().verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::Valid, true), "{verdict:?}");
    assert!(verdict.reasons.is_empty(), "{verdict:?}");
    let closed = case(false, in_time).verdict();
    assert_eq!((closed.code, closed.valid), (Code::ServerLimited, true), "{closed:?}");
}

#[test]
fn client_lag_is_warned_of_and_then_invalid() {
    let late =
        |client_ns: u64| case(true, move |_| Lag { send_ns: client_ns, pool_ns: 0, client_ns });
    assert_eq!(late(90_000).rules(Level::Warn), Vec::<&str>::new());
    assert_eq!(late(300_000).rules(Level::Warn), ["C1"]);
    let verdict = late(3 * MS).verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::ClientLimited, false), "{verdict:?}");
}

#[test]
fn a_saturated_worker_is_a_fault_only_of_an_open_loop() {
    let busy =
        ClientTally { cpu_ns: 98 * SECOND / 10, wall_ns: 10 * SECOND, ..ClientTally::default() };
    let in_vain = |_| Lag { send_ns: 150_000, pool_ns: 0, client_ns: 150_000 };
    let open = Case { client: busy, ..case(true, in_vain) }.verdict();
    assert_eq!((open.code, open.valid), (Code::ClientLimited, false));
    // As long as it keeps the schedule, having no time left is only worth a warning.
    let kept = Case { client: busy, ..self::open() };
    assert_eq!((kept.verdict().code, kept.rules(Level::Warn)), (Code::Valid, vec!["C3"]));
    let closed = Case { client: busy, ..case(false, in_time) }.verdict();
    assert_eq!((closed.code, closed.valid), (Code::ClientLimited, true));
    // Spinning is no work.
    let spinning = ClientTally { spin_ns: 9 * SECOND, spin_cpu_ns: 9 * SECOND, ..busy };
    let verdict = Case { client: spinning, ..self::open() }.verdict();
    assert_eq!(verdict.code, Code::Valid, "{verdict:?}");
    assert_eq!(Case { client: spinning, ..self::open() }.rules(Level::Warn), [""; 0]);
    // A spin that lost its core takes no work away from the rest of the time.
    let apart = ClientTally { spin_ns: 9 * SECOND, spin_cpu_ns: SECOND / 10, ..busy };
    assert_eq!(Case { client: apart, ..self::open() }.rules(Level::Warn), ["C3"]);
}

#[test]
fn waiting_for_connections_is_named_with_how_many_are_missing() {
    let waiting = |_| Lag { send_ns: 50 * MS, pool_ns: 50 * MS, client_ns: 0 };
    let verdict = case(true, waiting).verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::ConnectionLimited, true), "{verdict:?}");
    assert_eq!(verdict.reasons[0].rule, Rule::NoConnectionFree);
}

#[test]
fn what_the_end_came_before_did_not_wait_for_connections() {
    let unsent = |late: bool| {
        let mut case = open();
        let phase = &mut case.record.phases[1];
        for _ in 0..5 {
            phase.counts.scheduled += 1;
            phase.drop_unsent(1000);
            *(if late { &mut phase.unsent.late } else { &mut phase.unsent.left }) += 1;
        }
        case.record.conserved().unwrap();
        let verdict = case.verdict();
        (verdict.code, verdict.reasons.iter().any(|reason| reason.rule == Rule::NoConnectionFree))
    };
    assert_eq!(unsent(true), (Code::Valid, false));
    assert_eq!(unsent(false), (Code::ConnectionLimited, true));
}

#[test]
fn a_growing_queue_is_unstable_whoever_holds_it() {
    let mut case = open();
    for (slice, outstanding) in case.slices.iter_mut().zip((0..).step_by(25)) {
        slice.outstanding = outstanding;
    }
    let verdict = case.verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::Unstable, false), "{verdict:?}");
    assert!(verdict.sentence.contains("250 a second"), "{}", verdict.sentence);
}

#[test]
fn responses_that_depend_on_one_another_are_too_few() {
    let mut case = open();
    // All that is slow came in two seconds.
    for (index, slice) in case.slices.iter_mut().enumerate() {
        let slow = if index < 10 { 100 } else { 0 };
        slice.latency = [(MS, 100 - slow), (3 * MS, slow)].into_iter().collect();
        slice.max_ns = 3 * MS;
    }
    let slow = |number: u64| if number < 1000 { 2 * MS } else { 0 };
    let spoilt = self::case(true, |number| Lag {
        send_ns: slow(number),
        pool_ns: slow(number),
        client_ns: 0,
    });
    let case = Case { record: spoilt.record, ..case };
    let verdict = case.verdict();
    let found = verdict.reasons.iter().any(|reason| reason.rule == Rule::NoConnectionFree)
        || verdict.code == Code::InsufficientSamples;
    assert!(found, "{verdict:?}");
}

#[test]
fn what_the_machine_did_is_told() {
    let throttled = |periods| {
        let throttled_periods = Some(periods);
        Case { pressure: Pressure { throttled_periods, ..Pressure::default() }, ..open() }
    };
    assert_eq!(throttled(60).rules(Level::Invalid), ["C5"]);
    assert_eq!(throttled(60).verdict().code, Code::ClientLimited);
    // A tenth of a second in ten moves no quantile of times that are all alike.
    assert_eq!(throttled(1).rules(Level::Warn), ["C5"]);
    assert!(throttled(1).verdict().valid);
    let stolen = Pressure { stolen_share: Some(0.05), ..Pressure::default() };
    assert_eq!(Case { pressure: stolen, ..open() }.rules(Level::Warn), ["C5"]);
    assert_eq!(Case { clock_read_ns: 900, ..open() }.rules(Level::Warn), ["C10"]);
    let late = ClientTally { late_ns: 5 * MS, late_at: Nanos(2 * SECOND), ..open().client };
    let case = Case { client: late, ..open() };
    assert_eq!(case.rules(Level::Info), ["C6"]);
    assert!(case.verdict().reasons[0].text.contains("1.00 s"));
    let lost =
        Pressure { retransmits: Some(5000), listen_overflows: Some(2), ..Pressure::default() };
    assert_eq!(Case { pressure: lost, ..open() }.rules(Level::Info), ["S1", "S2"]);
}

#[test]
fn a_client_without_a_schedule_that_was_away_says_so_and_one_that_was_stopped_is_not_believed() {
    let closed = || case(false, in_time);
    let verdict = closed().verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::ServerLimited, true), "{verdict:?}");
    for (longest_ms, in_all_ms, invalid) in
        [(12, 12, false), (12, 2000, false), (110, 110, false), (988, 988, true)]
    {
        let away = ClientTally {
            late_ns: longest_ms * MS,
            late_at: Nanos(2 * SECOND),
            away_ns: in_all_ms * MS,
            ..closed().client
        };
        let case = Case { client: away, ..closed() };
        let level = if invalid { Level::Invalid } else { Level::Warn };
        assert_eq!(case.rules(level), ["C1"], "{longest_ms} ms");
        let verdict = case.verdict();
        assert_eq!(verdict.valid, !invalid, "{verdict:?}");
        let text = &verdict.reasons[0].text;
        assert!(text.contains("1.00 s") && text.contains(&longest_ms.to_string()), "{text}");
        assert_eq!(verdict.code == Code::ClientLimited, invalid, "{verdict:?}");
    }
}

#[test]
fn a_rate_close_to_the_calibrated_ceiling_is_warned_of() {
    let calibration = |ceiling_rps| Calibration {
        ceiling_rps,
        client_limited: true,
        clock_read_ns: 0,
        wake_p50_ns: 0,
        wake_p99_ns: 0,
        hiccup_ns: 0,
        cpu_ns_per_request: 0.0,
        service_p50_ns: 0,
        stamp_skew_ns: 0,
        send_lag_p50_ns: 0,
        send_lag_p99_ns: 0,
        paced_rps: 0.0,
    };
    let near = Case { calibration: Some(calibration(1200.0)), ..open() };
    assert_eq!(near.rules(Level::Warn), ["C11"]);
    let far = Case { calibration: Some(calibration(100_000.0)), ..open() };
    assert!(far.verdict().reasons.is_empty());
}

#[test]
fn what_this_machine_refused_and_what_got_no_answer_is_told() {
    let mut case = open();
    let refused = Failure::from_errno(FailurePhase::Connect, libc::EADDRNOTAVAIL);
    case.record.errors.count(refused, Nanos(1), b"");
    assert_eq!(case.rules(Level::Invalid), ["C8"]);
    let verdict = case.verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::ClientLimited, false), "{verdict:?}");
    assert!(verdict.sentence.contains("this machine refused 1"), "{}", verdict.sentence);
    let mut case = open();
    for _ in 0..500 {
        let phase = &mut case.record.phases[1];
        phase.counts.scheduled += 1;
        phase.counts.sent += 1;
        phase.sent_in_window += 1;
        phase.fail(Outcome::Reset, MS, MS);
        phase.lag(in_time(0));
    }
    let verdict = case.verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::ServerLimited, true), "{verdict:?}");
    assert_eq!(case.rules(Level::Warn), ["E1"]);
}

#[test]
fn an_abort_is_the_connections_and_never_valid() {
    let verdict = Case { end: End::Overloaded, ..open() }.verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::ConnectionLimited, false));
    assert!(verdict.sentence.contains("64"), "{}", verdict.sentence);
}

fn away(from_s: u64, to_s: u64, to_the_end: bool) -> Stretch {
    Stretch { from_ns: from_s * SECOND, to_ns: to_s * SECOND, to_the_end }
}

#[test]
fn a_run_whose_target_was_gone_is_never_valid_and_says_when_and_what_its_rates_are() {
    for open in [false, true] {
        let dark = vec![away(2, 3, false), away(8, 10, true)];
        let presence = Presence { dark, lost: vec![8 * SECOND; 64], ..Presence::default() };
        let case = Case { presence, ..case(open, in_time) };
        let verdict = case.verdict();
        assert_eq!((verdict.code, verdict.valid), (Code::ConnectionLimited, false), "{verdict:?}");
        assert_eq!(case.rules(Level::Invalid), ["T1"], "it is told once");
        let times = "no connection could be had from 2.0 s to 3.0 s, and from 8.0 s to the end";
        assert!(verdict.sentence.starts_with(times), "{}", verdict.sentence);
        // Ten thousand answers in the seven seconds that are left.
        assert!(verdict.sentence.contains("1429 answers a second"), "{}", verdict.sentence);
        assert!(verdict.has_lost_target() && verdict.has_lost_connections());
    }
}

#[test]
fn less_than_an_answer_a_second_is_not_none() {
    let presence = Presence { dark: vec![away(8, 10, true)], ..Presence::default() };
    let mut case = Case { presence, ..case(false, in_time) };
    case.record.phases[1].completed_in_window = 2;
    let text = case.verdict().sentence;
    assert!(text.contains("without that time, 0.250 answers a second came"), "{text}");
}

#[test]
fn a_few_lost_connections_are_warned_of_and_many_are_invalid() {
    let lost = |missing_share: f64, end: End| {
        let presence = Presence { lost: vec![SECOND], missing_share, ..Presence::default() };
        Case { presence, end, ..case(false, in_time) }
    };
    assert_eq!(lost(0.001, End::Finished).rules(Level::Warn), ["T2"]);
    assert!(lost(0.001, End::Finished).verdict().valid);
    let much = lost(0.02, End::Finished);
    assert_eq!((much.rules(Level::Invalid), much.verdict().valid), (vec!["T2"], false));
    assert!(
        much.verdict().sentence.contains("1 of 64 connections were lost"),
        "{:?}",
        much.verdict()
    );
    // Whoever gave up for want of it did not carry out the plan.
    assert!(!lost(0.001, End::GaveUp).verdict().valid);
}

#[test]
fn connections_that_were_missing_for_long_are_invalid_though_they_came_back() {
    let back = |missing_share: f64, dark: Vec<Stretch>| {
        let missing = Some(away(2, 5, false));
        let presence = Presence { dark, missing, missing_share, ..Presence::default() };
        Case { presence, ..case(false, in_time) }
    };
    let much = back(0.15, Vec::new());
    let verdict = much.verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::ConnectionLimited, false), "{verdict:?}");
    assert_eq!(much.rules(Level::Invalid), ["T2"]);
    let text = "15 % of their time, between 2.0 s and 5.0 s";
    assert!(verdict.sentence.contains(text), "{}", verdict.sentence);
    assert!(back(0.009, Vec::new()).verdict().valid);
    // What was dark for all of them is told once.
    assert_eq!(back(0.3, vec![away(2, 5, false)]).rules(Level::Invalid), ["T1"]);
    assert_eq!(back(0.32, vec![away(2, 5, false)]).rules(Level::Invalid), ["T1", "T2"]);
}

#[test]
fn a_time_without_a_good_answer_is_invalid_unless_an_open_loop_saw_its_length() {
    let quiet = |open: bool, was_late: bool| {
        let quiet = vec![Quiet { stretch: away(3, 5, false), errors: 0, was_late }];
        Case { presence: Presence { quiet, ..Presence::default() }, ..case(open, in_time) }
    };
    for (open, was_late) in [(false, false), (false, true), (true, false)] {
        let case = quiet(open, was_late);
        let verdict = case.verdict();
        assert_eq!((verdict.code, verdict.valid), (Code::NotSteady, false), "{verdict:?}");
        assert_eq!(case.rules(Level::Invalid), ["T3"]);
        let times = "no good answer came from 3.0 s to 5.0 s; rates are over the whole window";
        assert!(verdict.sentence.starts_with(times), "{}", verdict.sentence);
        assert!(verdict.has_lost_target() && !verdict.has_lost_connections());
    }
    let seen = quiet(true, true);
    assert_eq!((seen.verdict().valid, seen.rules(Level::Warn)), (true, vec!["T3"]));
}

#[test]
fn a_target_that_answers_only_errors_is_no_measurement_of_it() {
    let mut case = case(false, in_time);
    let counts = &mut case.record.phases[1].counts;
    (counts.http_error, counts.ok) = (counts.ok, 0);
    let verdict = case.verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::ServerLimited, false), "{verdict:?}");
    assert!(verdict.sentence.contains("none of 10000 requests"), "{}", verdict.sentence);
    let counts = &mut case.record.phases[1].counts;
    (counts.scheduled, counts.sent, counts.http_error) = (1, 1, 1);
    let text = case.verdict().sentence;
    assert!(text.contains("the only request got no good answer"), "{text}");
}

#[test]
fn a_client_at_fault_is_named_before_a_target_that_was_gone() {
    let late = |_| Lag { send_ns: 3 * MS, pool_ns: 0, client_ns: 3 * MS };
    let presence = Presence { dark: vec![away(8, 10, true)], ..Presence::default() };
    let verdict = Case { presence, ..case(true, late) }.verdict();
    assert_eq!((verdict.code, verdict.valid), (Code::ClientLimited, false));
    assert!(verdict.sentence.contains("the client was late"), "{}", verdict.sentence);
}
