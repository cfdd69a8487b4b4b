//! The sweep that people read: what was run, a table, a plot, and the inflection points with their names.
//!
//! No number is called "the knee" alone: each says what it is.

use super::{number, plot, table};
use crate::plan::Plan;
use crate::report::format::{counted, duration, escape, float, length, percent, small_share};
use crate::report::page::{Page, Paint, Style};
use crate::report::text::{threads, whom};
use crate::result::summary::{
    Course, Doubling, End, Estimate, Knee, Onset, PowerPoint, Scalability, Shown, SweepRun,
    SweepSummary, Variable,
};
use crate::result::verdict::Code;

/// The whole report.
#[must_use]
pub fn sweep_text(plan: &Plan, sweep: &SweepSummary, style: Style) -> String {
    let mut page = Page::new(style);
    whom(&mut page, plan);
    what_was_run(&mut page, plan, sweep);
    mark(&mut page, sweep);
    if sweep.runs.is_empty() {
        return page.finish();
    }
    page.gap();
    table::table(&mut page, sweep, style.columns);
    plot::plot(&mut page, sweep, style.columns);
    page.gap();
    findings(&mut page, sweep);
    page.finish()
}

/// The report of `--quiet`: the inflection points. No colour.
#[must_use]
pub fn sweep_findings(sweep: &SweepSummary) -> String {
    let mut page = Page::new(Style::default());
    mark(&mut page, sweep);
    findings(&mut page, sweep);
    page.finish()
}

/// What a sweep is going to do, before its first run, without a newline.
#[must_use]
pub fn sweep_announcement(course: &Course, runs: usize, whole_s: f64) -> String {
    let runs = counted(u64::try_from(runs).unwrap_or(u64::MAX), "run");
    let each = measured(course).map(|each| format!(", each measured for {each}"));
    format!("{runs} in about {}{}", span(whole_s), each.unwrap_or_default())
}

/// One line for a run that has just ended, without a newline.
#[must_use]
pub fn sweep_progress(sweep: &str, run: &SweepRun, (done, all): (usize, usize)) -> String {
    let latency = |name: &str, shown: Option<Shown>| {
        shown.map(|shown| format!(", {name} {}", cell(Some(shown)))).unwrap_or_default()
    };
    let errors = match run.errors {
        0 => String::new(),
        errors => format!(", {} ({})", counted(errors, "error"), small_share(run.error_share())),
    };
    format!(
        "{done}/{all} {sweep} {}: {} good/s{errors}{}{}{}, {}",
        number(run.x),
        number(run.goodput_rps),
        latency("p50", run.p50()),
        latency("p95", run.p95()),
        latency("p99", run.p99()),
        verdict_of(run)
    )
}

/// How long runs are measured, where a time ends them.
fn measured(course: &Course) -> Option<String> {
    let (shortest, longest) = (course.lengths_ns.iter().min()?, course.lengths_ns.iter().max()?);
    if shortest == longest {
        return Some(length(*shortest));
    }
    let (shortest, longest) = (length(*shortest), length(*longest));
    Some(format!("{shortest} to {longest} (the fewer answers, the longer)"))
}

/// The verdict of a run; too few samples are no reason to doubt what is shown.
pub(super) fn verdict_of(run: &SweepRun) -> &'static str {
    match run.code {
        Code::InsufficientSamples if run.valid => "few samples",
        code => code.name(),
    }
}

fn what_was_run(page: &mut Page, plan: &Plan, sweep: &SweepSummary) {
    let (course, load) = (&sweep.course, &plan.load);
    let ends = (course.values.first().copied(), course.values.last().copied());
    let range = match ends {
        (Some(low), Some(high)) => format!(" from {} to {}", number(low), number(high)),
        _ => String::new(),
    };
    let values = counted(u64::try_from(course.values.len()).unwrap_or(u64::MAX), "value");
    let repeats =
        if course.repeats > 1 { format!(", each {} times", course.repeats) } else { String::new() };
    let order = match course.order {
        crate::result::summary::Order::Random => "shuffled",
        crate::result::summary::Order::Up => "rising",
        crate::result::summary::Order::Down => "falling",
    };
    page.fact("Sweep", &format!("{}: {values}{range}{repeats}, {order}", course.name()));
    let pattern = match &load.pacing {
        None => "closed loop".to_owned(),
        Some(pacing) if course.variable == Variable::Rate => {
            format!("open loop, {} arrivals", pacing.arrivals.name())
        }
        Some(pacing) => {
            let rate = pacing.rate.map_or(0.0, |rate| rate.per_second());
            format!(
                "open loop of {} requests a second, {} arrivals",
                number(rate),
                pacing.arrivals.name()
            )
        }
    };
    let mut parts = vec![pattern];
    if course.variable != Variable::Connections {
        parts.push(counted(u64::from(load.connections), "connection"));
    }
    if course.variable != Variable::Pipeline {
        parts.push(format!("pipeline {}", load.pipeline));
    }
    page.fact("Threads", &threads(plan));
    page.fact("Load", &parts.join(", "));
    let measured = measured(course);
    let requests = load.requests.map(|requests| counted(requests, "request"));
    let each = measured.into_iter().chain(requests).collect::<Vec<_>>().join(" or ");
    let warmup = if load.auto_warmup { "cut from it".to_owned() } else { length(load.warmup_ns) };
    let pause = length(course.pause_ns);
    page.fact("Each run", &format!("{each} after a warm-up of {warmup}, {pause} apart"));
    page.fact("Seed", &course.seed.to_string());
}

/// A length of time that nobody wants to know exactly: `45 s`, `2 min 5 s`, `1 h 10 min`.
pub(super) fn span(length_s: f64) -> String {
    let whole_s = length_s.round();
    let part = |length_s: f64, unit_s: f64| (length_s / unit_s).floor();
    if whole_s < 90.0 {
        return format!("{:.0} s", whole_s.max(1.0));
    }
    if whole_s < 3600.0 {
        return format!("{:.0} min {:.0} s", part(whole_s, 60.0), whole_s % 60.0);
    }
    format!("{:.0} h {:.0} min", part(whole_s, 3600.0), part(whole_s % 3600.0, 60.0))
}

/// What a reader must know before any number when not all was done.
fn mark(page: &mut Page, sweep: &SweepSummary) {
    let done = format!("{} of {} runs", sweep.runs.len(), sweep.course.runs());
    let (label, paint, text) = match sweep.end {
        End::Finished => return,
        End::Interrupted(signal) => (
            "INTERRUPTED",
            Paint::Doubtful,
            format!("by {} after {done}; these numbers are of those runs only", signal.name()),
        ),
        End::GaveUp | End::Overloaded | End::Aborted { .. } => (
            "PARTIAL",
            Paint::Bad,
            format!("the sweep could not go on after {done}; these numbers are of those runs only"),
        ),
    };
    page.painted_fact((paint, label), (paint, ""), &text);
}

/// A latency; one that may be larger is at least that.
pub(super) fn cell(shown: Option<Shown>) -> String {
    match shown {
        None => "-".to_owned(),
        Some(Shown { value_ns, lower_bound: false }) => duration(float(value_ns)),
        Some(Shown { value_ns, lower_bound: true }) => format!(">= {}", duration(float(value_ns))),
    }
}

fn findings(page: &mut Page, sweep: &SweepSummary) {
    let findings = &sweep.findings;
    page.fact("Saturation", &saturation(sweep));
    page.fact("Errors", &errors(sweep));
    let variable = sweep.course.variable;
    page.fact("Power point", &told(&findings.power_point, |power| power_point(variable, power)));
    let bounds = bounds(sweep.bounded_p99());
    let doubled = told(&findings.doubling, |found| doubling(variable, found) + &bounds);
    page.fact("p99 doubled", &doubled);
    page.fact("Kneedle", &told(&findings.kneedle, |knee| kneedle(variable, knee) + &bounds));
    if variable == Variable::Connections {
        let most = sweep.course.values.last().copied().unwrap_or(0.0);
        page.fact("USL", &told(&findings.usl, |law| usl(law, most)));
    }
    if let Some(worst) = sweep.worst_little() {
        page.fact(
            "Little's law",
            &format!(
                "the requests in flight differ from rate times service time, errors included, by at most {}",
                percent(worst)
            ),
        );
    }
    let left_out = sweep.left_out();
    if left_out > 0 {
        let runs = counted(u64::try_from(left_out).unwrap_or(u64::MAX), "run");
        page.fact("Left out", &format!("{runs} in which the client was at fault or at its limit, or the target was lost. If it was the client, use a quieter machine or more threads (-t)"));
    }
    let late = sweep.late();
    if late > 0 {
        let runs = counted(u64::try_from(late).unwrap_or(u64::MAX), "run");
        page.fact("Late", &format!("{runs} in which only the client was late: good answers and errors count, latencies do not. Use a quieter machine or more threads (-t)"));
    }
    drift(page, sweep);
}

/// What must be known of the p99 that findings rest on.
fn bounds(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "; 1 of these p99 is a lower bound (>=)".to_owned(),
        count => format!("; {count} of these p99 are lower bounds (>=)"),
    }
}

fn told<T>(finding: &Result<T, String>, tell: impl Fn(&T) -> String) -> String {
    match finding {
        Ok(found) => tell(found),
        Err(reason) => format!("none: {}", escape(reason.as_bytes())),
    }
}

/// A value with its interval.
fn estimate(estimate: &Estimate) -> String {
    let interval = match estimate.ci95 {
        None => String::new(),
        Some((low, high)) if high.is_finite() => {
            format!(" [95 % CI {} to {}]", number(low), number(high))
        }
        Some((low, _)) => format!(" [95 % CI {} or more]", number(low)),
    };
    format!("{}{interval}", number(estimate.value))
}

/// Where errors start.
fn errors(sweep: &SweepSummary) -> String {
    let variable = sweep.course.variable;
    let mut text = told(&sweep.findings.errors, |start: &Onset| {
        let lowest = if start.at_lowest { ", the lowest value" } else { "" };
        let place = with_noun(variable, &number(start.x));
        format!("start at {place}{lowest}, where {} of the requests fail", small_share(start.share))
    });
    let count = sweep.mostly_errors();
    if count > 0 {
        let runs = counted(u64::try_from(count).unwrap_or(u64::MAX), "run");
        text += &format!(
            "; latencies of {runs} with more errors than good answers count for nothing below"
        );
    }
    text
}

fn saturation(sweep: &SweepSummary) -> String {
    let saturation = &sweep.findings.saturation;
    let Some(rate) = &saturation.rps else {
        let at_least = saturation.at_least_rps;
        let at_least = at_least
            .map(|rate| format!("at least {} good answers a second: ", number(rate)))
            .unwrap_or_default();
        return format!("{at_least}{}", saturation.reason.as_deref().unwrap_or_default());
    };
    let mut text = format!("{} good answers a second", estimate(rate));
    text += match (saturation.collapses(), sweep.course.variable) {
        (true, Variable::Rate) => ": a higher rate gets fewer",
        (true, _) => ": more concurrency gets fewer",
        (false, Variable::Rate) => ": a higher rate does not get more",
        (false, _) => ": more concurrency does not get more",
    };
    if let (true, Some(slope)) = (saturation.collapses(), saturation.slope) {
        let each = match sweep.course.variable {
            Variable::Rate => "request a second",
            Variable::Connections => "connection",
            Variable::Pipeline => "request in flight",
        };
        text += &format!(", {} fewer for each further {each}", number(-slope.value));
    }
    if let (true, Some(most)) = (sweep.is_full_beyond(), sweep.course.most_in_flight) {
        text += &format!(
            "; all {} were busy there, so a larger -c may get more",
            counted(most, "connection")
        );
    }
    text
}

/// A value of the variable with its noun.
fn at(variable: Variable, x: &Estimate) -> String {
    with_noun(variable, &estimate(x))
}

fn with_noun(variable: Variable, x: &str) -> String {
    match variable {
        Variable::Rate => format!("{x} requests a second"),
        Variable::Connections => format!("{x} connections"),
        Variable::Pipeline => format!("a pipeline of {x}"),
    }
}

fn power_point(variable: Variable, power: &PowerPoint) -> String {
    let rate = match variable {
        Variable::Rate => String::new(),
        _ => format!(", {} good answers a second", number(power.rps.value)),
    };
    let edge = if power.at_edge { "; it is at an end of the sweep and may lie beyond" } else { "" };
    format!("{}{rate}: the most good answers for their mean latency{edge}", at(variable, &power.x))
}

fn doubling(variable: Variable, found: &Doubling) -> String {
    let base = duration(found.base_s * 1e9);
    format!(
        "{}: from there on p99 is more than twice that of the lowest value, {base}",
        at(variable, &found.x)
    )
}

fn kneedle(variable: Variable, knee: &Knee) -> String {
    format!(
        "{}: where p99 turns up, in a sweep from {} to {}; another range has another knee",
        at(variable, &knee.x),
        number(knee.range.0),
        number(knee.range.1)
    )
}

/// A coefficient, which may be a millionth.
fn tiny(value: f64) -> String {
    if value == 0.0 || value >= 0.01 { number(value) } else { format!("{value:.2e}") }
}

fn usl(usl: &Scalability, most: f64) -> String {
    let small = |estimate: &Estimate| {
        let interval = estimate.ci95.filter(|interval| interval.1.is_finite());
        let interval =
            interval.map(|(low, high)| format!(" [95 % CI {} to {}]", tiny(low), tiny(high)));
        format!("{}{}", tiny(estimate.value), interval.unwrap_or_default())
    };
    let best = match (&usl.best_users, usl.peak_rps) {
        (Some(best), Some(peak)) => {
            let beyond =
                if best.value > most { " (extrapolated: the sweep ends below)" } else { "" };
            format!(
                "best at {} connections with {} good answers a second{beyond}",
                estimate(best),
                number(peak)
            )
        }
        _ => "no best number of connections".to_owned(),
    };
    format!(
        "{best}; one connection alone gets {} good answers a second; contention {}, coherency {}",
        number(usl.gain_rps.value),
        small(&usl.contention),
        small(&usl.coherency)
    )
}

fn drift(page: &mut Page, sweep: &SweepSummary) {
    let Some(drift) = sweep.drift else { return };
    let share = |name: &str, share: Option<f64>| {
        share.map(|share| format!("{name} by {:+.1} %", share * 100.0))
    };
    let moved: Vec<String> = [share("p50", drift.p50_share), share("good/s", drift.rate_share)]
        .into_iter()
        .flatten()
        .collect();
    let lowest = sweep.sentinels.first().map_or(0.0, |run| run.x);
    let (paint, what) = if drift.is_large() {
        (Paint::Doubtful, "DRIFT: the target or the machine has changed: at ")
    } else {
        (Paint::Good, "steady: at ")
    };
    page.painted_fact(
        (Paint::Bold, "Sentinel"),
        (paint, what.split(':').next().unwrap_or_default()),
        &format!(
            "{}{}, run {} times, {} at most",
            &what[what.find(':').unwrap_or(0)..],
            number(lowest),
            sweep.sentinels.len(),
            moved.join(", ")
        ),
    );
}
