//! Where trials turn from passing to failing, when a disturbance may make any of them fail and none of them pass.
//!
//! Bayes' rule over a grid. A trial at load `x` passes with probability `(1 - e) / (1 + exp((ln x - ln t) / s))`: `t` is
//! the threshold, `s` is how gradually passing turns into failing, `e` is the share of trials that fail for a reason that has
//! nothing to do with the load. None of the three is known; all of them are weighed by what the trials say. So a pass
//! counts for much, wherever it comes, and one failure below many passes counts for little.

use super::{SearchSettings, Trial, TrialVerdict};

/// Points of a grid over thresholds.
const POINTS: usize = 240;
/// How gradually: from an edge to a queue whose tail comes in bursts, in units of the logarithm of the load.
const WIDTHS: [f64; 4] = [0.004, 0.012, 0.03, 0.05];
/// The share of disturbed trials, with what is expected of it before the first trial.
const DISTURBED: [(f64, f64); 3] = [(0.02, 0.5), (0.08, 0.3), (0.2, 0.2)];
/// A short trial may hold by chance a little above what holds for long: what it proves is a load lower by this factor.
pub(super) const SHORT_PROVES: f64 = 0.85;
/// The grid reaches beyond all trials by this factor.
const BEYOND: f64 = 2.5;
/// Quantiles of the threshold at which another trial might be made.
const CANDIDATES: [f64; 7] = [0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9];

/// What is known of the threshold: a weight for each point of a grid, width and share of disturbed trials.
#[derive(Clone, Debug)]
pub(super) struct Threshold {
    /// Logarithms of loads, rising.
    points: Vec<f64>,
    /// For each point, for each width and share of disturbed trials in turn; they add up to 1.
    weights: Vec<f64>,
}

/// A trial as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Logarithm of the load.
    x: f64,
    passed: bool,
    /// How much more gradual the turn is for it than for a full trial.
    blur: f64,
}

impl Threshold {
    /// What the judged ones among `trials` say; `None` without any.
    pub(super) fn of(settings: &SearchSettings, trials: &[Trial]) -> Option<Self> {
        let seen: Vec<Seen> = trials.iter().filter_map(|trial| seen(settings, trial)).collect();
        let lowest = seen.iter().map(|seen| seen.x).reduce(f64::min)?;
        let highest = seen.iter().map(|seen| seen.x).reduce(f64::max)?;
        let coarse = Self::over(lowest - BEYOND.ln(), highest + BEYOND.ln(), &seen);
        let step = coarse.points[1] - coarse.points[0];
        let (from, to) = (coarse.quantile(0.0005) - step, coarse.quantile(0.9995) + step);
        Some(Self::over(from, to, &seen))
    }

    #[expect(clippy::cast_precision_loss, reason = "a few hundred points")]
    fn over(from: f64, to: f64, seen: &[Seen]) -> Self {
        let step = (to - from) / (POINTS - 1) as f64;
        let points: Vec<f64> = (0..POINTS).map(|index| from + step * index as f64).collect();
        let mut weights = Vec::with_capacity(POINTS * SHAPES);
        for &point in &points {
            for (width, disturbed, expected) in shapes() {
                let each = seen.iter().map(|seen| {
                    let pass = pass(seen.x, point, width * seen.blur, disturbed);
                    if seen.passed { pass } else { 1.0 - pass }
                });
                weights.push(each.product::<f64>() * expected);
            }
        }
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum.max(f64::MIN_POSITIVE));
        Self { points, weights }
    }

    /// The load below which the threshold lies with this probability.
    pub(super) fn load(&self, probability: f64) -> f64 {
        self.quantile(probability).exp()
    }

    /// The probability that the threshold lies below a load.
    pub(super) fn below(&self, load: f64) -> f64 {
        let x = load.ln();
        let points = self.points.iter().zip(self.weights.chunks(SHAPES));
        points
            .filter(|(point, _)| **point < x)
            .map(|(_, weights)| weights.iter().sum::<f64>())
            .sum()
    }

    fn quantile(&self, probability: f64) -> f64 {
        let mut sum = 0.0;
        let points = self.points.iter().zip(self.weights.chunks(SHAPES));
        let found = points.into_iter().find(|(_, weights)| {
            sum += weights.iter().sum::<f64>();
            sum >= probability
        });
        found.map_or(self.points[POINTS - 1], |(point, _)| *point)
    }

    /// The load at which a full trial is expected to say most of the threshold.
    pub(super) fn most_telling(&self) -> f64 {
        let candidates = CANDIDATES.map(|probability| self.quantile(probability));
        let doubt = |x: &f64| self.doubt_after(*x);
        let best = candidates.into_iter().min_by(|a, b| doubt(a).total_cmp(&doubt(b)));
        best.unwrap_or_else(|| self.quantile(0.5)).exp()
    }

    /// Entropy of the threshold that is left, on average, after a full trial at a load whose logarithm is `x`.
    fn doubt_after(&self, x: f64) -> f64 {
        let mut after = [vec![0.0; POINTS], vec![0.0; POINTS]];
        for (index, weights) in self.weights.chunks(SHAPES).enumerate() {
            for ((width, disturbed, _), weight) in shapes().zip(weights) {
                let pass = pass(x, self.points[index], width, disturbed);
                after[0][index] += weight * pass;
                after[1][index] += weight * (1.0 - pass);
            }
        }
        let entropy = |weights: &Vec<f64>| {
            let sum: f64 = weights.iter().sum();
            let each = weights.iter().filter(|&&weight| weight > 0.0);
            // The outcome's probability times the entropy given that outcome.
            each.map(|weight| -weight * (weight / sum).ln()).sum::<f64>()
        };
        after.iter().map(entropy).sum()
    }
}

const SHAPES: usize = WIDTHS.len() * DISTURBED.len();

/// Width, share of disturbed trials, and what is expected of both.
fn shapes() -> impl Iterator<Item = (f64, f64, f64)> {
    let disturbed = |width: f64| DISTURBED.map(|(share, expected)| (width, share, expected));
    WIDTHS.into_iter().flat_map(disturbed)
}

/// The probability that a trial at `x` passes.
fn pass(x: f64, threshold: f64, width: f64, disturbed: f64) -> f64 {
    (1.0 - disturbed) / (1.0 + ((x - threshold) / width).exp())
}

fn seen(settings: &SearchSettings, trial: &Trial) -> Option<Seen> {
    let passed = match trial.verdict {
        TrialVerdict::Pass => true,
        TrialVerdict::Fail => false,
        TrialVerdict::ClientLimited | TrialVerdict::Inconclusive | TrialVerdict::HeldUp => {
            return None;
        }
    };
    let share = trial.proposal.length_s / settings.rules.trial_s;
    let is_short = share < 1.0 - 1e-9;
    let proves = if is_short && passed { SHORT_PROVES } else { 1.0 };
    let x = (trial.proposal.load * proves).ln();
    Some(Seen { x, passed, blur: (1.0 / share).sqrt().clamp(1.0, 2.0) })
}

#[cfg(test)]
mod tests {
    use super::{Threshold, TrialVerdict};
    use crate::commands::ceiling::search::{Proposal, Purpose, SearchSettings, Trial};

    fn threshold(trials: &[(f64, TrialVerdict)]) -> Threshold {
        let settings = SearchSettings::usual(5.0, 1.7);
        let trials: Vec<Trial> = trials
            .iter()
            .map(|&(load, verdict)| {
                let proposal = Proposal { load, length_s: 5.0, purpose: Purpose::Confirm };
                Trial { proposal, verdict, requests: 1e3, measures: Vec::new(), cut_short: false }
            })
            .collect();
        Threshold::of(&settings, &trials).unwrap()
    }

    #[test]
    fn a_pass_above_a_failure_counts_for_more_than_the_failure() {
        use TrialVerdict::{Fail, Pass};
        let trials = [(400.0, Fail), (420.0, Fail), (500.0, Pass), (520.0, Pass), (560.0, Fail)];
        let threshold = threshold(&[&trials[..], &[(560.0, Fail), (550.0, Fail)]].concat());
        let median = threshold.load(0.5);
        assert!((520.0..560.0).contains(&median), "{median}");
        assert!(threshold.below(490.0) < 0.1, "{}", threshold.below(490.0));
    }

    #[test]
    fn what_cannot_be_judged_says_nothing() {
        use TrialVerdict::{Fail, HeldUp, Pass};
        let known = [(500.0, Pass), (600.0, Fail)];
        let more = [&known[..], &[(510.0, HeldUp)]].concat();
        let medians = (threshold(&known).load(0.5), threshold(&more).load(0.5));
        assert!((medians.0 - medians.1).abs() < 1e-9, "{medians:?}");
    }

    #[test]
    fn trials_where_most_is_learned_close_in_on_an_edge() {
        let mut trials = vec![(400.0, TrialVerdict::Pass), (800.0, TrialVerdict::Fail)];
        for _ in 0..16 {
            let load = threshold(&trials).most_telling();
            let verdict = if load < 540.0 { TrialVerdict::Pass } else { TrialVerdict::Fail };
            trials.push((load, verdict));
        }
        let threshold = threshold(&trials);
        let (low, high) = (threshold.load(0.025), threshold.load(0.975));
        assert!(low < 540.0 && 540.0 < high && high / low < 1.1, "{low} to {high}: {trials:?}");
    }
}
