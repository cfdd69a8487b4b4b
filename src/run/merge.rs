//! One summary out of what the workers of a run bring home.
//!
//! Pure: everything has been measured when this begins. It must not know threads or engines.

use std::time::SystemTime;

use super::observer::Observer;
use crate::core::record::{ClientTally, PhaseRecord, Record};
use crate::core::schedule::{PhaseIndex, PhaseSpan, Stage};
use crate::core::worker::Span;
use crate::machine::host;
use crate::machine::pressure::Pressure;
use crate::machine::sys;
use crate::plan::{Plan, Secrets, pacing};
use crate::result::judgment::{self, Asked, Evidence};
use crate::result::summary::{
    Client, Disturbance, End, Engine, InFlight, Latencies, Measured, PhaseSummary, Presence,
    RunPart, Summary, Window,
};
use crate::slo::windows::Windows;
use crate::slo::{Gate, Parts};
use crate::stats::recovery::{Recovery, recovery};
use crate::stats::series::Slice;
use crate::stats::warmup::{Steady, mser5};
use crate::time::{Nanos, seconds};

/// Bursts that are told one by one.
const MOST_DISTURBANCES: usize = 256;

/// What is there when all workers have been joined.
pub(super) struct Finished {
    pub(super) engine: Engine,
    pub(super) workers: Vec<(Record, Span)>,
    pub(super) end: End,
    pub(super) started_at: SystemTime,
    pub(super) observer: Observer,
    pub(super) pressure: Pressure,
    pub(super) clock_read_ns: u64,
    pub(super) unlogged: u64,
}

/// One record out of several, checked: a request that was lost or counted twice is a bug, and no report is worth
/// printing then.
pub(super) fn merge(plan: &Plan, finished: Finished) -> Summary {
    let Finished { engine, workers, end, started_at, observer, .. } = finished;
    let Finished { pressure, clock_read_ns, unlogged, .. } = finished;
    let (mut record, clients, spans) = together(plan, workers);
    record.conserved().expect("every request that was taken ends in exactly one outcome");
    let counted = plan.load.requests.is_some() && plan.load.pacing.is_none();
    // Reports travel further than their authors think.
    let secrets = Secrets::of(plan.request.one());
    record.bad_answers.change_bodies(|body, is_cut| secrets.mask(body, is_cut));
    let (mut window, origin) = measure(&spans, counted, end);
    let planned = plan.timeline.phases();
    let (steady, phases) = cut_warmup(plan, &mut record, &mut window);
    let measured = record.measured();
    let cut_ns = window.warmup_ns.saturating_sub(planned[0].end_ns);
    let slices = observer.series.between(cut_ns, cut_ns + window.measured_ns);
    // Where the load changes, so do latencies, and how much they depend on one another cannot be told from all of them.
    let constant = pacing::is_constant(plan.load.pacing.as_ref());
    let latencies = Latencies::of(&measured, if constant { slices } else { &[] });
    let phases = summarise(plan, &record, &phases, &window, &observer);
    let client = client_of(clients, clock_read_ns);
    let host = host::describe();
    let times = Measured { origin, from_ns: cut_ns, length_ns: window.measured_ns };
    let silences = observer.silences.clone().finish();
    let presence = Presence::of(&record, &silences, &latencies, times);
    let evidence = Evidence {
        asked: asked(plan, constant),
        record: &record,
        measured: &measured,
        latencies: &latencies,
        presence: &presence,
        client: &client,
        pressure: &pressure,
        host: &host,
        calibration: plan.calibration.as_ref(),
        slices,
        slice_ns: observer.series.slice_ns(),
        origin,
        steady,
        end,
        measured_ns: window.measured_ns,
    };
    let verdict = judgment::judge(&evidence);
    let seen =
        Seen { measured: &measured, latencies: &latencies, phases: &phases, presence: &presence };
    let gates = gates(plan, &seen, times, &observer.windows);
    Summary {
        in_flight: InFlight::of(slices, evidence.slice_ns, &measured, window.measured_ns),
        started_at,
        preflight: None,
        streams: Vec::new(),
        unlogged,
        engine,
        end,
        window,
        origin,
        record,
        measured,
        latencies,
        phases,
        series: observer.series,
        intervals: observer.rows,
        gates,
        presence,
        client,
        pressure,
        host,
        verdict,
    }
}

/// What a verdict depends on of what was asked for.
fn asked(plan: &Plan, is_constant: bool) -> Asked<'_> {
    Asked {
        slo: &plan.slo,
        timeline: &plan.timeline,
        max_in_flight: plan.load.pacing.as_ref().map(|pacing| pacing.max_in_flight),
        is_constant,
        connections: plan.load.connections,
        threads: plan.threads(),
        same_host: plan.same_host,
    }
}

/// Cuts an automatic warm-up off the measured window: whether it found an end, and the phases as they are then.
fn cut_warmup(plan: &Plan, record: &mut Record, window: &mut Window) -> (bool, Vec<PhaseSpan>) {
    let planned = plan.timeline.phases();
    if !plan.load.auto_warmup {
        return (true, planned.to_vec());
    }
    let (steady, cut) = steady_from(record);
    record.cut_warmup(cut);
    let phases = cut_phases(planned, cut);
    let cut_ns = phases[1].start_ns - planned[1].start_ns;
    window.warmup_ns += cut_ns;
    window.measured_ns = window.measured_ns.saturating_sub(cut_ns);
    (steady, phases)
}

/// One record of all workers, and what each of them used, and when it ended.
fn together(plan: &Plan, workers: Vec<(Record, Span)>) -> (Record, Vec<ClientTally>, Vec<Span>) {
    let mut record = Record::new(plan.timeline.phases().len(), plan.schedule.is_some());
    let (mut clients, mut spans) = (Vec::new(), Vec::new());
    for (worker_record, span) in workers {
        record.add(&worker_record);
        clients.push(worker_record.client);
        spans.push(span);
    }
    (record, clients, spans)
}

/// What the client used, all workers together.
fn client_of(workers: Vec<ClientTally>, clock_read_ns: u64) -> Client {
    let cpu_ns = workers.iter().map(|worker| worker.cpu_ns).sum();
    Client { cpu_ns, peak_rss_bytes: sys::peak_rss_bytes(), clock_read_ns, workers }
}

/// From which slice on nothing changes any more, and how many of them are to be cut.
fn steady_from(record: &Record) -> (bool, usize) {
    // A slice without an answer has no mean, and still is a slice.
    let slices = record.phases[1..].iter().enumerate();
    let (places, means): (Vec<usize>, Vec<f64>) =
        slices.filter_map(|(place, phase)| Some((place, phase.responded().mean_ns()?))).unzip();
    match mser5(&means) {
        Some(Steady::From(cut)) => (true, places.get(cut).copied().unwrap_or(0)),
        Some(Steady::Never) => (false, 0),
        None => (true, 0),
    }
}

/// The warm-up and the rest after cutting some of the measured phases.
fn cut_phases(planned: &[PhaseSpan], cut: usize) -> Vec<PhaseSpan> {
    let last = planned.len() - 1;
    let start_ns = planned.get(1 + cut).map_or(planned[last].end_ns, |phase| phase.start_ns);
    let (warmup, end_ns) = (&planned[0], planned[last].end_ns);
    vec![
        PhaseSpan { name: warmup.name.clone(), start_ns: warmup.start_ns, end_ns: start_ns },
        PhaseSpan { name: "measured".to_owned(), start_ns, end_ns },
    ]
}

/// Each phase by itself, as far as the run came.
fn summarise(
    plan: &Plan,
    record: &Record,
    phases: &[PhaseSpan],
    window: &Window,
    observer: &Observer,
) -> Vec<PhaseSummary> {
    let origin_ns = plan.timeline.phases()[0].end_ns;
    let cut_ns = window.warmup_ns.saturating_sub(origin_ns);
    let over_ns = origin_ns + cut_ns + window.measured_ns;
    let limit_ns = plan.slo.iter().find_map(|clause| clause.latency_limit_ns());
    let mut summaries: Vec<PhaseSummary> = Vec::new();
    for (phase, record) in phases.iter().zip(&record.phases) {
        let (start_ns, end_ns) = (phase.start_ns.min(over_ns), phase.end_ns.min(over_ns));
        let offset = |at_ns: u64| Nanos(at_ns).seconds_from(Nanos(origin_ns));
        let range = |at_ns: u64| at_ns.saturating_sub(origin_ns);
        let slices: &[Slice] = if end_ns > origin_ns {
            observer.series.between(range(start_ns), range(end_ns))
        } else {
            &[]
        };
        let latencies = Latencies::of(record, slices);
        summaries.push(PhaseSummary {
            name: phase.name.clone(),
            start_s: offset(start_ns),
            end_s: offset(end_ns),
            length_ns: end_ns - start_ns,
            over_limit: limit_ns.map(|limit_ns| over_limit(record, &latencies, limit_ns)),
            record: record.clone(),
            latencies,
            disturbances: Vec::new(),
            gone_share: 0.0,
        });
    }
    find_disturbances(plan, &mut summaries, observer);
    // A warm-up that did not last is no phase.
    if summaries.first().is_some_and(|warmup| warmup.length_ns == 0) {
        summaries.remove(0);
    }
    summaries
}

/// Requests that took longer than a gate allows, or never got an answer.
fn over_limit(record: &PhaseRecord, latencies: &Latencies, limit_ns: u64) -> u64 {
    let answered = &latencies.response.answered;
    let within = answered.count_up_to(limit_ns);
    record.counts.scheduled - within.min(record.counts.scheduled)
}

/// What stages of a higher rate than the one before, and bursts, did to the latency, and for how long.
fn find_disturbances(plan: &Plan, phases: &mut [PhaseSummary], observer: &Observer) {
    let Some(pacing) = &plan.load.pacing else { return };
    let series = &observer.series;
    let p99 = |phase: &PhaseSummary| phase.latencies.response.all.quantile_ns(0.99);
    let at_ns = |at_s: f64| Nanos::from_seconds(at_s).0;
    let highest = |stage: &Stage| stage.from.per_second().max(stage.to.per_second());
    for stage in 1..pacing.stages.len() {
        let (earlier, spike) = (&pacing.stages[..stage], &pacing.stages[stage]);
        // A pause is no load to compare with: what counts is the stage before it, if there is one.
        let before = earlier.iter().rposition(|stage| !stage.is_pause());
        let before_rps = before.map_or(0.0, |before| earlier[before].to.per_second());
        let rises = highest(spike) > before_rps;
        // Phase 0 is the warm-up, so that stage `i` is phase `i + 1`.
        let base = before.and_then(|before| phases.get(before + 1)).and_then(p99);
        let Some(phase) = phases.get(stage + 1).filter(|_| rises) else { continue };
        let (start_s, end_s) = (phase.start_s, phase.end_s);
        if end_s <= start_s {
            continue;
        }
        let until_s = phases.get(stage + 2).map_or(end_s, |next| next.end_s.max(end_s));
        let until_ns = match pacing.stages.get(stage + 1) {
            None => u64::MAX,
            // Nobody recovers under a load that is higher than the one from before.
            Some(next) if before.is_some() && highest(next) > before_rps => at_ns(end_s),
            Some(_) => at_ns(until_s),
        };
        let found = recovery(series, (at_ns(start_s), at_ns(end_s)), until_ns, base);
        let recovery = of_own_requests(found, phase);
        // Workers look when they have time; the end of a slice may have seen one more.
        phases[stage + 1].record.most_outstanding = recovery.peak_outstanding;
        phases[stage + 1].disturbances.push(Disturbance { start_s, end_s, recovery });
    }
    if let (Some(bursts), Some(PhaseIndex(index))) = (pacing.bursts, plan.timeline.bursts()) {
        let between = phases.get(1).and_then(p99);
        let phase = &mut phases[usize::from(index)];
        let end_ns = at_ns(phase.end_s);
        let longest_ns = phase.latencies.response.all.max_ns().unwrap_or(0);
        for burst in (0..).map(|burst| burst * bursts.every_ns).take_while(|&at| at < end_ns) {
            if phase.disturbances.len() == MOST_DISTURBANCES {
                break;
            }
            let next = burst + bursts.every_ns;
            let until_ns = if next < end_ns { next } else { u64::MAX };
            let mut found = recovery(series, (burst, burst), until_ns, between);
            // At its instant all of it is due, however fast it is answered within a slice.
            found.peak_outstanding = found.peak_outstanding.max(bursts.size);
            // Answers to requests between the bursts came in the same slices.
            found.peak_latency_ns = found.peak_latency_ns.min(longest_ns);
            let at_s = seconds(burst);
            phase.disturbances.push(Disturbance { start_s: at_s, end_s: at_s, recovery: found });
        }
    }
}

/// The peaks of a stage are those of the requests that were due in it: slices tell when answers came, and those of a stage
/// come in the next one, too.
fn of_own_requests(found: Recovery, phase: &PhaseSummary) -> Recovery {
    let longest_ns = phase.latencies.response.all.max_ns();
    Recovery {
        peak_latency_ns: longest_ns.unwrap_or(found.peak_latency_ns),
        peak_outstanding: found.peak_outstanding.max(phase.record.most_outstanding),
        ..found
    }
}

/// What gates are held against.
struct Seen<'a> {
    measured: &'a PhaseRecord,
    latencies: &'a Latencies,
    phases: &'a [PhaseSummary],
    presence: &'a Presence,
}

/// Which gates hold.
fn gates(plan: &Plan, seen: &Seen<'_>, times: Measured, windows: &[Windows]) -> Vec<Gate> {
    let Seen { measured, latencies, phases, presence } = *seen;
    let between_ns = (times.from_ns, times.from_ns + times.length_ns);
    let judge = |whole: RunPart<'_>, phases: &[PhaseSummary]| {
        let phases: Vec<_> = phases.iter().map(PhaseSummary::part).collect();
        let parts = Parts { whole, phases: &phases, windows, between_ns };
        plan.slo.iter().map(|clause| parts.judge(clause)).collect()
    };
    let length_ns = times.length_ns;
    // An open loop goes on asking while the target is away: its requests say all there is to say.
    if plan.load.pacing.is_some() || presence.gone_share <= 0.0 {
        let whole = RunPart { record: measured, latencies, length_ns, gone_share: 0.0 };
        return judge(whole, phases);
    }
    let ages = presence.lost.iter().map(|&lost_ns| between_ns.1.saturating_sub(lost_ns));
    let ages: Vec<u64> = ages.collect();
    let waiting = |record: &PhaseRecord| {
        let mut record = record.clone();
        ages.iter().for_each(|&age_ns| record.await_in_vain(age_ns));
        record
    };
    let record = waiting(measured);
    // What is known of how values depend on one another is known of those that were answered.
    let latencies = latencies.with_unanswered(&record);
    let mut phases = phases.to_vec();
    if let Some(last) = phases.last_mut() {
        last.record = waiting(&last.record);
        last.latencies = last.latencies.with_unanswered(&last.record);
        last.gone_share = presence.gone_share;
    }
    let gone_share = presence.gone_share;
    judge(RunPart { record: &record, latencies: &latencies, length_ns, gone_share }, &phases)
}

/// How long the parts of the run really lasted.
fn measure(spans: &[Span], counted: bool, end: End) -> (Window, Nanos) {
    let latest = |of: fn(&Span) -> Nanos| spans.iter().map(of).max().unwrap_or_default();
    let start = spans.iter().map(|span| span.window.start).min().unwrap_or_default();
    let origin = latest(|span| span.window.origin);
    let finished = latest(|span| span.finished);
    // A worker that reached its count was never stopped.
    let stop = latest(|span| match span.window.stop {
        Nanos::NEVER => span.finished,
        stop => stop,
    });
    // A count that was reached ends the window with its last request. One that was not is no reason to forget the time
    // in which nothing came any more.
    let stop = if counted && end == End::Finished { stop.min(finished).max(origin) } else { stop };
    let window = Window {
        warmup_ns: origin.since(start),
        measured_ns: stop.since(origin),
        drain_ns: finished.since(stop),
    };
    (window, origin)
}

#[cfg(test)]
mod tests {
    use super::measure;
    use crate::core::schedule::Window;
    use crate::core::worker::Span;
    use crate::result::summary::End;
    use crate::time::Nanos;

    fn span(stop: Nanos, finished: u64) -> Span {
        Span {
            window: Window { start: Nanos(10), origin: Nanos(20), stop, interval_ns: 1 },
            finished: Nanos(finished),
        }
    }

    fn lengths(spans: &[Span], counted: bool, end: End) -> (u64, u64, u64) {
        let (window, origin) = measure(spans, counted, end);
        assert_eq!(origin, Nanos(20));
        (window.warmup_ns, window.measured_ns, window.drain_ns)
    }

    #[test]
    fn a_timed_run_is_as_long_as_planned_and_its_drain_comes_after() {
        let spans = [span(Nanos(120), 125), span(Nanos(120), 123)];
        assert_eq!(lengths(&spans, false, End::Finished), (10, 100, 5));
    }

    #[test]
    fn a_count_that_was_reached_ends_with_its_last_request() {
        let spans = [span(Nanos::NEVER, 90), span(Nanos::NEVER, 70)];
        assert_eq!(lengths(&spans, true, End::Finished), (10, 70, 0));
        let spans = [span(Nanos(1000), 90), span(Nanos(1000), 70)];
        assert_eq!(lengths(&spans, true, End::Finished), (10, 70, 0));
    }

    #[test]
    fn a_count_that_was_not_reached_includes_the_time_in_which_nothing_came() {
        let spans = [span(Nanos::NEVER, 30), span(Nanos(500), 40)];
        assert_eq!(lengths(&spans, true, End::GaveUp), (10, 480, 0));
        let spans = [span(Nanos(500), 40), span(Nanos(500), 60)];
        assert_eq!(
            lengths(&spans, true, End::Interrupted(crate::exit::Signal::Interrupt)),
            (10, 480, 0)
        );
    }
}
