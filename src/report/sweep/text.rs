//! The sweep that people read: what was run, a row a value, a plot, and the inflection points with their names.
//!
//! No number is called "the knee" alone: each says what it is.

use super::curves::{self, Row};
use super::{number, plot};
use crate::plan::Plan;
use crate::report::format::{counted, duration, escape, float, length, percent};
use crate::report::page::{Page, Paint, Style};
use crate::report::text::{threads, whom};
use crate::summary::{
    Doubling, End, Estimate, Knee, PowerPoint, Scalability, Shown, SweepRun, SweepSummary, Variable,
};

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
    table(&mut page, sweep);
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

/// One line for a run that has just ended, without a newline.
#[must_use]
pub fn sweep_progress(sweep: &str, run: &SweepRun, (done, all): (usize, usize)) -> String {
    let latency = |name: &str, shown: Option<Shown>| {
        shown.map(|shown| format!(", {name} {}", cell(Some(shown)))).unwrap_or_default()
    };
    let errors =
        if run.errors > 0 { format!(", {}", counted(run.errors, "error")) } else { String::new() };
    format!(
        "{done}/{all} {sweep} {}: {} answers/s{}{}{errors}, {}",
        number(run.x),
        number(run.achieved_rps),
        latency("p50", run.p50()),
        latency("p99", run.p99()),
        run.code.name()
    )
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
        crate::summary::Order::Random => "shuffled",
        crate::summary::Order::Up => "rising",
        crate::summary::Order::Down => "falling",
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
    let measured = load.duration_ns.map(length);
    let requests = load.requests.map(|requests| counted(requests, "request"));
    let each = measured.into_iter().chain(requests).collect::<Vec<_>>().join(" or ");
    let warmup = if load.auto_warmup { "cut from it".to_owned() } else { length(load.warmup_ns) };
    let pause = length(course.pause_ns);
    page.fact("Each run", &format!("{each} after a warm-up of {warmup}, {pause} apart"));
    page.fact("Seed", &course.seed.to_string());
}

/// What a reader must know before any number when not all was done.
fn mark(page: &mut Page, sweep: &SweepSummary) {
    let done = format!("{} of {} runs", sweep.runs.len(), sweep.course.runs());
    let (label, paint, text) = match sweep.end {
        End::Finished => return,
        End::Interrupted(signal) => (
            "INTERRUPTED",
            Paint::Doubtful,
            format!("by {} after {done}: these numbers are of those only", signal.name()),
        ),
        End::GaveUp | End::Overloaded | End::Aborted { .. } => (
            "PARTIAL",
            Paint::Bad,
            format!("it could not go on after {done}: these numbers are of those only"),
        ),
    };
    page.painted_fact((paint, label), (paint, ""), &text);
}

fn table(page: &mut Page, sweep: &SweepSummary) {
    let rows = curves::rows(sweep);
    let gates = sweep.runs.iter().any(|run| run.gates_hold.is_some());
    let slo = if gates { "  slo " } else { "" };
    page.head(&format!(
        "{:>11}{:>10}{:>7}{:>9}{:>12}{:>10}{slo}  verdict",
        sweep.course.name(),
        "achieved",
        "errors",
        "p50",
        "p99",
        "in flight"
    ));
    rows.iter().for_each(|row| page.line(&line(row, gates)));
    if sweep.course.repeats > 1 {
        page.note("medians of the runs of each value; errors are sums");
    }
    if sweep.runs.iter().any(|run| run.p99().is_some_and(|p99| p99.lower_bound)) {
        page.note(">= a bound: too few responses for this quantile, or requests without an answer");
    }
    if rows.iter().any(Row::is_left_out) {
        page.note(
            "! the client was at fault or at its limit, or lost the target: its latencies are in no finding below",
        );
    }
    if rows.iter().any(|row| row.left_out() > 0 && !row.is_left_out()) {
        page.note("~ the client was at fault in some of its runs, or lost the target: they are not in this table");
    }
}

fn line(row: &Row<'_>, gates: bool) -> String {
    let errors: u64 = row.shown().map(|run| run.errors).sum();
    let achieved = row.median(|run| Some(run.achieved_rps));
    let in_flight = row.median(|run| run.mean_in_flight);
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), number);
    let slo = match (gates, row.shown().all(|run| run.gates_hold != Some(false))) {
        (false, _) => "",
        (true, true) => "  pass",
        (true, false) => "  FAIL",
    };
    let mark = match row.left_out() {
        0 => ' ',
        _ if row.is_left_out() => '!',
        _ => '~',
    };
    format!(
        "{mark}{:>10}{:>10}{:>7}{:>9}{:>12}{:>10}{slo}  {}",
        number(row.x),
        shown(achieved),
        number(float(errors)),
        cell(row.latency(|run| run.p50())),
        cell(row.latency(|run| run.p99())),
        shown(in_flight),
        verdict(row)
    )
}

/// The verdict of the runs of a value that tell of the server: one that is not valid before the others.
fn verdict(row: &Row<'_>) -> &'static str {
    row.shown().max_by_key(|run| !run.valid).map_or("-", |run| run.code.name())
}

/// A latency, marked where it is only a bound.
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
                "requests in flight differ from rate times service time by {} at most",
                percent(worst)
            ),
        );
    }
    let left_out = sweep.left_out();
    if left_out > 0 {
        let runs = counted(u64::try_from(left_out).unwrap_or(u64::MAX), "run");
        page.fact("Left out", &format!("{runs} in which the client was at fault or at its limit, or lost the target; for the former, a quieter machine or more threads (-t) help"));
    }
    let late = sweep.late();
    if late > 0 {
        let runs = counted(u64::try_from(late).unwrap_or(u64::MAX), "run");
        page.fact("Late", &format!("{runs} in which only the client was late: what was answered counts for the saturation, its latencies count for nothing; a quieter machine or more threads (-t) help"));
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

fn saturation(sweep: &SweepSummary) -> String {
    let saturation = &sweep.findings.saturation;
    let Some(rate) = &saturation.rps else {
        let at_least = saturation.at_least_rps;
        let at_least = at_least
            .map(|rate| format!("at least {} requests a second: ", number(rate)))
            .unwrap_or_default();
        return format!("{at_least}{}", saturation.reason.as_deref().unwrap_or_default());
    };
    let mut text = format!("{} requests a second", estimate(rate));
    text += match (saturation.collapses(), sweep.course.variable) {
        (true, Variable::Rate) => ": beyond it fewer are answered, the more are offered",
        (true, _) => ": more concurrency than it takes gets fewer answers",
        (false, Variable::Rate) => ": more are not answered, however many are offered",
        (false, _) => ": more concurrency does not raise it",
    };
    if let (true, Some(slope)) = (saturation.collapses(), saturation.slope) {
        let each = match sweep.course.variable {
            Variable::Rate => "that is offered",
            Variable::Connections => "connection more",
            Variable::Pipeline => "request in flight more",
        };
        text += &format!(", {} fewer for each {each}", number(-slope.value));
    }
    if let (true, Some(most)) = (sweep.is_full_beyond(), sweep.course.most_in_flight) {
        text += &format!(
            "; all {} were busy there, so that a larger -c may show more",
            counted(most, "connection")
        );
    }
    text
}

/// A value of the variable with its noun.
fn at(variable: Variable, x: &Estimate) -> String {
    match variable {
        Variable::Rate => format!("{} requests a second", estimate(x)),
        Variable::Connections => format!("{} connections", estimate(x)),
        Variable::Pipeline => format!("a pipeline of {}", estimate(x)),
    }
}

fn power_point(variable: Variable, power: &PowerPoint) -> String {
    let rate = match variable {
        Variable::Rate => String::new(),
        _ => format!(", {} requests a second", number(power.rps.value)),
    };
    let edge =
        if power.at_edge { "; it is at the end of the sweep, and may lie beyond" } else { "" };
    format!("{}{rate}: the best throughput for its mean latency{edge}", at(variable, &power.x))
}

fn doubling(variable: Variable, found: &Doubling) -> String {
    let base = duration(found.base_s * 1e9);
    format!(
        "{}: from there on p99 is more than twice the {base} of the lowest value",
        at(variable, &found.x)
    )
}

fn kneedle(variable: Variable, knee: &Knee) -> String {
    format!(
        "{}: where p99 turns up, seen over {} to {}; another range has another knee",
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
            let beyond = if best.value > most { " (worked out: the sweep ends below)" } else { "" };
            format!(
                "best at {} connections with {} requests a second{beyond}",
                estimate(best),
                number(peak)
            )
        }
        _ => "no best number of connections".to_owned(),
    };
    format!(
        "{best}; one connection alone {} requests a second, contention {}, coherency {}",
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
    let moved: Vec<String> = [share("p50", drift.p50_share), share("rate", drift.rate_share)]
        .into_iter()
        .flatten()
        .collect();
    let lowest = sweep.sentinels.first().map_or(0.0, |run| run.x);
    let (paint, what) = if drift.is_large() {
        (Paint::Doubtful, "DRIFT: the target or the machine is not what it was: at ")
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
