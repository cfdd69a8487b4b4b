//! What tables and drawings of a sweep show: a row for each value, with medians over its runs, and the marks on the axis.

use super::axis::Axis;
use crate::report::format::float;
use crate::result::summary::{Shown, SweepRun, SweepSummary, Variable};

/// All runs of one value.
pub(super) struct Row<'a> {
    pub(super) x: f64,
    pub(super) runs: Vec<&'a SweepRun>,
}

impl Row<'_> {
    /// The runs that tell of the server; all of them where none does.
    pub(super) fn shown(&self) -> impl Iterator<Item = &SweepRun> {
        let none = self.is_left_out();
        self.runs.iter().copied().filter(move |run| none || !run.client_limited)
    }

    /// How many do not.
    pub(super) fn left_out(&self) -> usize {
        self.runs.iter().filter(|run| run.client_limited).count()
    }

    /// The median of a number over the runs that have it, or the lower of the two in the middle.
    pub(super) fn median(&self, of: impl Fn(&SweepRun) -> Option<f64>) -> Option<f64> {
        let mut values: Vec<f64> = self.shown().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len().saturating_sub(1) / 2).copied()
    }

    /// The median of a latency; a bound when any of them is one.
    pub(super) fn latency(&self, of: impl Fn(&SweepRun) -> Option<Shown>) -> Option<Shown> {
        let mut values: Vec<Shown> = self.shown().filter_map(of).collect();
        values.sort_by_key(|shown| shown.value_ns);
        let middle = values.get(values.len().saturating_sub(1) / 2)?;
        Some(Shown { lower_bound: values.iter().any(|shown| shown.lower_bound), ..*middle })
    }

    /// Requests of the runs shown, and those of them that got no good answer.
    pub(super) fn requests_and_errors(&self) -> (u64, u64) {
        self.shown().fold((0, 0), |(requests, errors), run| {
            (requests + run.ok + run.errors, errors + run.errors)
        })
    }

    /// Whether no run of it says anything of the server.
    pub(super) fn is_left_out(&self) -> bool {
        self.runs.iter().all(|run| run.client_limited)
    }
}

/// The rows of a sweep, by value.
pub(super) fn rows(sweep: &SweepSummary) -> Vec<Row<'_>> {
    let sorted = sweep.sorted();
    let groups = sorted.chunk_by(|a, b| a.x.total_cmp(&b.x).is_eq());
    groups.map(|runs| Row { x: runs[0].x, runs: runs.to_vec() }).collect()
}

/// A curve to be drawn.
pub(super) type Curve = Vec<(f64, f64)>;

/// Good answers a second over the value.
pub(super) fn goodput(rows: &[Row<'_>]) -> Curve {
    rates(rows, |run| run.goodput_rps)
}

/// Errors a second over the value; empty where there are none.
pub(super) fn errors(rows: &[Row<'_>]) -> Curve {
    let curve = rates(rows, |run| run.errors_rps);
    if curve.iter().any(|&(_, rps)| rps > 0.0) { curve } else { Curve::new() }
}

fn rates(rows: &[Row<'_>], of: impl Fn(&SweepRun) -> f64) -> Curve {
    let value = |row: &Row<'_>| Some((row.x, row.median(|run| Some(of(run)))?));
    rows.iter().filter_map(value).collect()
}

/// The axis on which both curves of rates have room. A curve of errors may leave it at the bottom, where there are none.
pub(super) fn axis_of_rates(goodput: &Curve, errors: &Curve) -> Option<Axis> {
    let errors = errors.iter().filter(|point| point.1 > 0.0);
    Axis::around(goodput.iter().chain(errors).map(|point| point.1)).map(|axis| axis.with_zero())
}

/// A latency over the value, in nanoseconds; what took no time cannot be drawn.
pub(super) fn latency(rows: &[Row<'_>], of: impl Fn(&SweepRun) -> Option<Shown>) -> Curve {
    let value = |row: &Row<'_>| Some((row.x, float(row.latency(&of)?.value_ns)));
    rows.iter().filter_map(value).filter(|&(_, ns)| ns > 0.0).collect()
}

/// An inflection point on the axis of values.
pub(super) struct Mark {
    pub(super) letter: char,
    pub(super) name: &'static str,
    pub(super) x: f64,
}

/// The inflection points that lie at a value.
pub(super) fn marks(sweep: &SweepSummary) -> Vec<Mark> {
    let findings = &sweep.findings;
    let mark = |letter, name, x: Option<f64>| x.map(|x| Mark { letter, name, x });
    let saturation = findings.saturation.rps.filter(|_| sweep.course.variable == Variable::Rate);
    let best = findings.usl.as_ref().ok().and_then(|usl| usl.best_users);
    [
        mark('P', "power point", findings.power_point.as_ref().ok().map(|power| power.x.value)),
        mark('K', "knee", findings.kneedle.as_ref().ok().map(|knee| knee.x.value)),
        mark('N', "best by USL", best.map(|best| best.value)),
        mark('S', "saturation", saturation.map(|rate| rate.value)),
        mark('E', "errors start", findings.errors.as_ref().ok().map(|errors| errors.x)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
