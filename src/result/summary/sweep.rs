//! A finished sweep: its runs shrunk to a row each, and what they say together. Its reports are written from this alone.

use crate::result::summary::{Distribution, End, Summary, float, share};
use crate::result::verdict::{Code, Level, Reason, Rule};
use crate::stats::inflection::{self, Asked, Drawing, Findings, Point};
use crate::time::seconds;

pub use crate::stats::inflection::{
    Doubling, Estimate, Knee, Onset, PowerPoint, Saturation, Scalability, Sweep as Variable,
};

/// A sentinel that has moved by more than this share warns.
const MOST_DRIFT: f64 = 0.1;

/// The quantiles of the response time that a run keeps.
const QUANTILES: [f64; 5] = [0.5, 0.9, 0.95, 0.99, 0.999];

/// A latency as tables show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// The value in nanoseconds.
    pub value_ns: u64,
    /// It may be larger.
    pub lower_bound: bool,
}

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRun {
    /// The value of the variable.
    pub x: f64,
    /// Which run of this value it is, from 1.
    pub repeat: u64,
    /// Requests that came due, a second.
    pub offered_rps: f64,
    /// Whole answers, a second.
    pub achieved_rps: f64,
    /// Good ones of them.
    pub goodput_rps: f64,
    /// Requests with a good answer.
    pub ok: u64,
    /// Requests without one.
    pub errors: u64,
    /// Those requests, a second.
    pub errors_rps: f64,
    /// Response times: p50, p90, p95, p99 and p99.9.
    pub quantiles: [Option<Shown>; QUANTILES.len()],
    /// The longest.
    pub max_ns: Option<u64>,
    /// Their mean.
    pub mean_ns: Option<f64>,
    /// Mean number of requests in flight.
    pub mean_in_flight: Option<f64>,
    /// By how much that differs from rate times mean service time, as a share of it.
    pub little: Option<f64>,
    /// What to think of the run.
    pub code: Code,
    /// Whether its numbers mean what they seem to. Too few samples for a quantile make that a bound, and the run no less
    /// valid, unless a gate asks for a latency.
    pub valid: bool,
    /// The client was at fault or at its limit, or the target was lost: the run says nothing of the server, unless it was only `late`.
    pub client_limited: bool,
    /// It was only late itself: its latencies are its own, and what was answered was answered all the same.
    pub late: bool,
    /// Whether its gates held; `None` without any.
    pub gates_hold: Option<bool>,
}

impl SweepRun {
    /// The row of a run.
    #[must_use]
    pub fn of(x: f64, repeat: u64, summary: &Summary) -> Self {
        let rates = summary.rates();
        let counts = summary.counts();
        let response = &summary.latencies.response;
        // A target that answers nothing in time is what a sweep may find; one that is gone is not.
        let is_invalid = |reason: &&Reason| reason.level == Level::Invalid;
        let reasons = || summary.verdict.reasons.iter().filter(is_invalid);
        let mut invalid = reasons().filter(|reason| reason.rule != Rule::NoGoodAnswer);
        let at_fault = invalid.clone().count() > 0;
        let late = at_fault
            && summary.latencies.lags.is_some()
            && invalid.all(|r| r.rule == Rule::ClientLag);
        let gates = &summary.gates;
        let asks_for_latency = gates.iter().any(|gate| gate.clause.metric.is_of_time());
        let only_short = summary.verdict.code == Code::InsufficientSamples
            && reasons().next().is_none()
            && !asks_for_latency;
        let errors = counts.scheduled.saturating_sub(counts.ok);
        Self {
            x,
            repeat,
            offered_rps: rates.offered_rps,
            achieved_rps: rates.achieved_rps,
            goodput_rps: rates.goodput_rps,
            ok: counts.ok,
            errors,
            errors_rps: rates.offered_rps * share(errors, counts.scheduled),
            quantiles: QUANTILES.map(|quantile| shown(response, quantile)),
            max_ns: response.all.max_ns(),
            mean_ns: response.all.mean_ns(),
            mean_in_flight: summary.in_flight.map(|in_flight| in_flight.mean),
            little: summary
                .in_flight
                .and_then(|in_flight| Some(in_flight.difference_pct()? / 100.0)),
            code: summary.verdict.code,
            valid: summary.verdict.valid || only_short,
            client_limited: at_fault || summary.verdict.code == Code::ClientLimited,
            late,
            gates_hold: (!gates.is_empty()).then(|| gates.iter().all(|gate| gate.holds)),
        }
    }

    /// Whether the measurement is to be complained of: that a server is overloaded is what a sweep looks for.
    #[must_use]
    pub fn is_flawed(&self) -> bool {
        !self.valid && (self.code != Code::Unstable || self.client_limited)
    }

    /// Whether it is in no finding at all.
    #[must_use]
    pub fn is_left_out(&self) -> bool {
        self.client_limited && !self.late
    }

    /// The share of its requests that got no good answer, from 0 to 1.
    #[must_use]
    pub fn error_share(&self) -> f64 {
        share(self.errors, self.ok + self.errors)
    }

    /// Whether more requests failed than not.
    #[must_use]
    pub fn is_mostly_errors(&self) -> bool {
        self.errors > self.ok
    }

    /// Whether its latencies are in the findings: those of a late client are its own, and those of errors are of another
    /// service than the one that was asked for.
    #[must_use]
    pub fn has_latencies(&self) -> bool {
        !self.client_limited && !self.is_mostly_errors()
    }

    /// The median.
    #[must_use]
    pub fn p50(&self) -> Option<Shown> {
        self.quantiles[0]
    }

    /// The 95th percentile.
    #[must_use]
    pub fn p95(&self) -> Option<Shown> {
        self.quantiles[2]
    }

    /// The 99th percentile.
    #[must_use]
    pub fn p99(&self) -> Option<Shown> {
        self.quantiles[3]
    }

    fn point(&self) -> Point {
        Point {
            x: self.x,
            offered_rps: self.offered_rps,
            good_rps: self.goodput_rps,
            good: float(self.ok),
            errors: float(self.errors),
            // Whoever is refused has waited as well.
            mean_s: self
                .mean_ns
                .filter(|_| self.has_latencies())
                .map(|mean_ns| mean_ns / 1e9 / (1.0 - self.error_share())),
            p99_s: self.p99().filter(|_| self.has_latencies()).map(|p99| seconds(p99.value_ns)),
        }
    }
}

fn shown(response: &Distribution, quantile: f64) -> Option<Shown> {
    let value = response.quantile(quantile)?;
    Some(Shown { value_ns: value.value_ns, lower_bound: value.lower_bound })
}

/// What is known of a sweep that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SoFar {
    /// The most good answers a second that a run got, and its value.
    pub best: Option<(f64, f64)>,
    /// Where errors start among the values that were run.
    pub errors: Option<Onset>,
}

impl SoFar {
    /// What the runs that have ended tell.
    #[must_use]
    pub fn of(runs: &[SweepRun]) -> Self {
        let used = || runs.iter().filter(|run| !run.is_left_out());
        let best = used().max_by(|a, b| a.goodput_rps.total_cmp(&b.goodput_rps));
        let points: Vec<Point> = used().map(SweepRun::point).collect();
        Self {
            best: best.map(|run| (run.goodput_rps, run.x)),
            errors: inflection::errors_start(&points),
        }
    }
}

/// How far the lowest value was from its first run when it was run again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// The sentinel that was farthest away, counted from 1; the first is 0.
    pub sentinel: usize,
    /// By how much its p50 differs, as a share of the first one's.
    pub p50_share: Option<f64>,
    /// By how much its good answers a second do.
    pub rate_share: Option<f64>,
}

impl Drift {
    /// Whether the target, or the machine, is no longer what it was.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.largest() > MOST_DRIFT
    }

    fn largest(&self) -> f64 {
        let size = |share: Option<f64>| share.unwrap_or(0.0).abs();
        size(self.p50_share).max(size(self.rate_share))
    }

    /// The largest of the sentinels; `None` with fewer than two.
    fn of(sentinels: &[SweepRun]) -> Option<Self> {
        let (first, later) = sentinels.split_first()?;
        let share = |now: Option<f64>, then: Option<f64>| {
            then.filter(|&then| then > 0.0).and_then(|then| Some(now? / then - 1.0))
        };
        let p50 = |run: &SweepRun| run.p50().map(|p50| seconds(p50.value_ns));
        let drifts = later.iter().enumerate().map(|(index, run)| Self {
            sentinel: index + 1,
            p50_share: share(p50(run), p50(first)),
            rate_share: share(Some(run.goodput_rps), Some(first.goodput_rps)),
        });
        drifts.max_by(|a, b| a.largest().total_cmp(&b.largest()))
    }
}

/// In which order the values were run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Shuffled.
    Random,
    /// Rising.
    Up,
    /// Falling.
    Down,
}

impl Order {
    /// The word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What was to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// What the runs differ in.
    pub variable: Variable,
    /// Its values, rising.
    pub values: Vec<f64>,
    /// Measured time of the runs of each value, in nanoseconds; empty where a number of requests ends them.
    pub lengths_ns: Vec<u64>,
    /// Runs of each.
    pub repeats: u64,
    /// A schedule says when requests are sent, whatever the variable is.
    pub open: bool,
    /// In which order.
    pub order: Order,
    /// Time between runs, in nanoseconds.
    pub pause_ns: u64,
    /// Most requests in flight at once, where a schedule may want more; `None` where connections set the pace.
    pub most_in_flight: Option<u64>,
    /// Seed of the order, of the runs and of the intervals.
    pub seed: u64,
}

impl Course {
    /// The name of the variable in reports and on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.variable {
            Variable::Rate => "rate",
            Variable::Connections => "connections",
            Variable::Pipeline => "pipeline",
        }
    }

    /// How many runs there are to be, without sentinels.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.values.len().saturating_mul(usize::try_from(self.repeats).unwrap_or(usize::MAX))
    }
}

/// Everything that the reports of a sweep are written from.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepSummary {
    /// What was to be done.
    pub course: Course,
    /// How it ended.
    pub end: End,
    /// The runs as they came one after the other.
    pub runs: Vec<SweepRun>,
    /// The lowest value, again and again.
    pub sentinels: Vec<SweepRun>,
    /// How far the sentinels are apart.
    pub drift: Option<Drift>,
    /// What the runs say together.
    pub findings: Findings,
}

impl SweepSummary {
    /// Looks at what the runs say together.
    #[must_use]
    pub fn of(course: Course, end: End, runs: Vec<SweepRun>, sentinels: Vec<SweepRun>) -> Self {
        let used: Vec<Point> =
            runs.iter().filter(|run| !run.is_left_out()).map(SweepRun::point).collect();
        let highest = used.iter().map(|point| point.x).fold(f64::NEG_INFINITY, f64::max);
        let cut_short = runs.iter().any(|run| run.is_left_out() && run.x > highest);
        let asked = Asked { sweep: course.variable, open: course.open, cut_short };
        let findings = inflection::find(asked, &used, Drawing::new(course.seed));
        let drift = Drift::of(&sentinels);
        Self { course, end, runs, sentinels, drift, findings }
    }

    /// Runs that say nothing of the server.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.runs.iter().filter(|run| run.is_left_out()).count()
    }

    /// Runs that say how much was answered well, but not how long it took: the client was late.
    #[must_use]
    pub fn late(&self) -> usize {
        self.runs.iter().filter(|run| run.late).count()
    }

    /// Runs that tell of the server and got more errors than good answers: their latencies are in no finding.
    #[must_use]
    pub fn mostly_errors(&self) -> usize {
        let used = self.runs.iter().filter(|run| !run.is_left_out());
        used.filter(|run| run.is_mostly_errors()).count()
    }

    /// Runs whose p99 is in the findings, and is only a lower bound of the true one.
    #[must_use]
    pub fn bounded_p99(&self) -> usize {
        let used = self.runs.iter().filter(|run| run.has_latencies());
        used.filter(|run| run.p99().is_some_and(|p99| p99.lower_bound)).count()
    }

    /// The largest difference of any run from Little's law, as a share. What the client does wrong is in both of its sides.
    #[must_use]
    pub fn worst_little(&self) -> Option<f64> {
        let used = self.runs.iter();
        used.filter_map(|run| run.little).map(f64::abs).reduce(f64::max)
    }

    /// Whether all connections were in use wherever more was offered than gets a good answer: then it may be their number that
    /// limits, and not the server.
    #[must_use]
    pub fn is_full_beyond(&self) -> bool {
        const FULL: f64 = 0.95;
        let (Some(most), Some(rate)) = (self.course.most_in_flight, self.findings.saturation.rps)
        else {
            return false;
        };
        let full = FULL * float(most);
        let mut beyond = self
            .runs
            .iter()
            .filter(|run| !run.client_limited && run.offered_rps > rate.value * 1.1)
            .peekable();
        beyond.peek().is_some()
            && beyond.all(|run| run.mean_in_flight.is_some_and(|in_flight| in_flight >= full))
    }

    /// The runs by their value, and those of one value in their order.
    #[must_use]
    pub fn sorted(&self) -> Vec<&SweepRun> {
        let mut sorted: Vec<&SweepRun> = self.runs.iter().collect();
        sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.repeat.cmp(&b.repeat)));
        sorted
    }
}

#[cfg(test)]
mod tests;
