//! Where a sweep bends: saturation, the best throughput for its latency, the knee, and what stands in the way of scaling.
//!
//! Each question has an answer of its own, since "the knee" means something else to everybody. Each has a 95 % interval by a
//! seeded bootstrap over the points, or over the repeats of each point where there are any. Throughput is that of good
//! answers alone: a target that refuses quickly gets no more done. Pure: points in, findings out; which points can be
//! trusted is decided by whoever made them.

mod bootstrap;
mod errors;
mod isotonic;
mod knee;
mod plateau;
mod power;
mod spline;
mod stick;
mod usl;

use crate::stats::random::Random;
pub use errors::Onset;
pub use knee::{Doubling, Knee};
pub use power::PowerPoint;
pub use usl::Scalability;

/// What one run of a sweep found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The value of the variable that is swept.
    pub x: f64,
    /// Requests that came due, a second; what was answered where nothing was scheduled.
    pub offered_rps: f64,
    /// Good answers a second.
    pub good_rps: f64,
    /// How many there were.
    pub good: f64,
    /// Requests that got no good answer.
    pub errors: f64,
    /// Mean time that one good answer took, in seconds: the response time, times the requests it takes to get one.
    pub mean_s: Option<f64>,
    /// 99th percentile of the response time, in seconds.
    pub p99_s: Option<f64>,
}

/// What the points differ in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sweep {
    /// The rate of an open loop.
    Rate,
    /// How many connections ask in a closed loop, or over how many an open one may.
    Connections,
    /// How many requests are in flight on each.
    Pipeline,
}

/// A value and the interval in which it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The best guess.
    pub value: f64,
    /// `None` where too few points say anything about it.
    pub ci95: Option<(f64, f64)>,
}

/// The most good answers a second, however much is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Saturation {
    /// Good answers a second; `None` when the sweep did not get that far.
    pub rps: Option<Estimate>,
    /// The most good answers a second that a run got.
    pub at_least_rps: Option<f64>,
    /// Good answers a second that each further request a second, or each further step of the variable, adds beyond it;
    /// `None` where one rate fits as well.
    pub slope: Option<Estimate>,
    /// Why there is no value.
    pub reason: Option<String>,
}

impl Saturation {
    /// Whether more load gets fewer good answers.
    #[must_use]
    pub fn collapses(&self) -> bool {
        self.slope.and_then(|slope| slope.ci95).is_some_and(|(_, high)| high < 0.0)
    }

    fn beyond(points: &[Point], reason: &str) -> Self {
        let most = points.iter().map(|point| point.good_rps).reduce(f64::max);
        Self { rps: None, at_least_rps: most, slope: None, reason: Some(reason.to_owned()) }
    }
}

/// Everything that a sweep shows. Where something cannot be said, there is a sentence that says why.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// The most good answers a second.
    pub saturation: Saturation,
    /// The best throughput for its latency.
    pub power_point: Result<PowerPoint, String>,
    /// Where the p99 turns up, for the range that was swept.
    pub kneedle: Result<Knee, String>,
    /// Where the p99 has doubled.
    pub doubling: Result<Doubling, String>,
    /// What stands in the way of scaling.
    pub usl: Result<Scalability, String>,
    /// Where errors start.
    pub errors: Result<Onset, String>,
}

/// What kind of sweep it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asked {
    /// What the points differ in.
    pub sweep: Sweep,
    /// A schedule said when requests were sent, as it always does in a sweep of rates.
    pub open: bool,
    /// Points at which the client was at fault lie beyond all others, so that the sweep ends before the server does.
    pub cut_short: bool,
}

/// How the intervals of confidence are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawing {
    /// Of all that chance decides.
    pub seed: u64,
    /// How often a sweep is drawn.
    pub times: usize,
}

impl Drawing {
    /// As often as two digits of an interval need.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, times: 2000 }
    }

    /// For tests that look at many sweeps.
    #[cfg(test)]
    const fn few(seed: u64) -> Self {
        Self { seed, times: 100 }
    }

    fn random(self) -> Random {
        Random::new(self.seed)
    }
}

/// Looks at the points of a sweep. Those at which the client was at fault are not among them.
#[must_use]
pub fn find(asked: Asked, points: &[Point], drawing: Drawing) -> Findings {
    let Asked { sweep, open, cut_short } = asked;
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let mut saturation = match sweep {
        Sweep::Rate => stick::saturation(&points, drawing),
        // The schedule would be taken for the limit of the server.
        Sweep::Connections | Sweep::Pipeline if open => Saturation::beyond(
            &points,
            "the same rate was offered at each value; sweep --rate, or leave it out",
        ),
        Sweep::Connections | Sweep::Pipeline => plateau::saturation(&points, drawing),
    };
    if cut_short && saturation.rps.is_none() && (sweep == Sweep::Rate || !open) {
        saturation.reason = Some("the client reached its limit before the server did".to_owned());
    }
    // The power point is looked for among the rates offered, some of which may fail at any load.
    let background = if sweep == Sweep::Rate { errors::background(&points) } else { 0.0 };
    let saturated_rps = saturation.rps.map(|rate| rate.value / (1.0 - background));
    Findings {
        power_point: power::power_point(sweep, &points, saturated_rps, drawing),
        kneedle: knee::kneedle_of(&points, saturated_rps.is_some(), drawing),
        doubling: knee::doubling(&points, drawing),
        usl: usl::scalability(asked, &points, drawing),
        errors: errors::onset(&points),
        saturation,
    }
}

/// Where errors start, as far as some points tell.
#[must_use]
pub fn errors_start(points: &[Point]) -> Option<Onset> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    errors::onset(&points).ok()
}

/// Points with the same `x` put together: the mean of what `value` says of them, in the order of `x`.
fn means(points: &[Point], value: impl Fn(&Point) -> Option<f64>) -> Vec<(f64, f64)> {
    let mut sorted: Vec<(f64, f64)> =
        points.iter().filter_map(|point| Some((point.x, value(point)?))).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let together = sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq());
    together.map(|group| (group[0].0, mean(group.iter().map(|pair| pair.1)))).collect()
}

/// The mean of some values; 0 without any.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// How many different `x` there are.
fn distinct(points: &[Point]) -> usize {
    means(points, |point| Some(point.x)).len()
}

#[cfg(test)]
mod tests;
