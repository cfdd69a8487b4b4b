//! What a shift means: a regression, none that matters, or not enough to tell.
//!
//! Nothing passes for want of evidence. A regression is the proof of a shift whose best guess matters. A pass is the proof
//! that the shift is smaller than what matters, or, where a small sample cannot show that much, that it is smaller than
//! what is tolerated and cannot be told from no shift at all. All between is inconclusive, and more runs would help.

use super::{NORMAL_975, Shift, TAIL, normal_beyond};

/// What is significant after the correction for several metrics.
pub const SIGNIFICANT: f64 = 0.05;
/// More runs than this are no advice.
const MOST_RUNS: f64 = 10_000.0;

/// How the runs belong together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Design {
    /// Each base run has a new run beside it.
    Paired,
    /// Two sets.
    TwoSample,
    /// One run each: nothing is known of the noise between runs.
    Single,
}

impl Design {
    /// Fewest pairs, or runs a side, with which a single metric can be decided.
    #[must_use]
    pub const fn fewest(self) -> usize {
        match self {
            Self::Paired => 6,
            Self::TwoSample | Self::Single => 4,
        }
    }

    /// The smallest p-value that so many pairs, or runs a side, can have.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a number of runs is small")]
    pub fn smallest_p(self, runs: usize) -> f64 {
        match self {
            Self::Paired => 0.5_f64.powi(i32::try_from(runs).unwrap_or(i32::MAX) - 1).min(1.0),
            // Two of all ways to choose a half are extreme.
            Self::TwoSample | Self::Single => {
                let part = |place| place as f64 / (runs + place) as f64;
                (2.0 * (1..=runs).map(part).product::<f64>()).min(1.0)
            }
        }
    }

    /// Fewest pairs, or runs a side, with which one of so many metrics can be called a regression.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a number of metrics is small")]
    pub fn fewest_among(self, metrics: usize) -> usize {
        let enough = |runs: &usize| self.smallest_p(*runs) * (metrics as f64) < SIGNIFICANT;
        (self.fewest()..).find(enough).unwrap_or(usize::MAX)
    }
}

/// A metric to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The shift, up for worse.
    pub shift: Shift,
    /// The smallest shift that matters, in its units.
    pub matters: f64,
    /// A sample that cannot exclude a shift as small as `matters` passes if it excludes this one; at least `matters`.
    pub tolerated: f64,
    /// Its p-value after the correction for several metrics.
    pub adjusted_p: f64,
    /// Pairs, or runs on the smaller side.
    pub runs: usize,
    /// How they belong together.
    pub design: Design,
    /// How many metrics are judged.
    pub metrics: usize,
    /// Single runs may be called a regression, too.
    pub allow_single: bool,
}

/// What is to be said of a metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It is worse, and by enough to matter.
    Regression,
    /// It is not worse by as much as matters.
    Pass {
        /// It is better by as much as would matter.
        improved: bool,
    },
    /// Neither can be said.
    Inconclusive {
        /// So many more pairs, or runs a side, would probably tell; `None` when no reasonable number would.
        more: Option<usize>,
    },
}

/// Judges a metric.
#[must_use]
pub fn decide(question: &Question) -> Decision {
    let Question { shift, matters, design, .. } = *question;
    let single = design == Design::Single;
    let enough = single || question.runs >= design.fewest();
    let significant = question.adjusted_p < SIGNIFICANT;
    let may_regress = !single || question.allow_single;
    match shift.interval {
        Some((low, _))
            if enough && low > 0.0 && significant && shift.estimate >= matters && may_regress =>
        {
            Decision::Regression
        }
        Some((_, high)) if enough && high < matters => {
            Decision::Pass { improved: high < 0.0 && significant && -shift.estimate >= matters }
        }
        // A shift for the worse that is known to be one is never tolerated.
        Some((low, high)) if enough && low <= 0.0 && high < question.tolerated => {
            Decision::Pass { improved: false }
        }
        _ => Decision::Inconclusive { more: more(question) },
    }
}

/// How many more would probably tell, from how fast intervals narrow.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a bounded number of runs"
)]
fn more(question: &Question) -> Option<usize> {
    let Question { shift, matters, runs, design, .. } = *question;
    if design == Design::Single {
        return Some(Design::TwoSample.fewest_among(question.metrics) - 1);
    }
    let worse = shift.estimate >= matters;
    // A regression must hold after the correction, so its interval is that of a stricter test.
    let strict = normal_beyond(TAIL / question.metrics.max(1) as f64) / NORMAL_975;
    let passes_below = if shift.interval.is_none_or(|(low, _)| low <= 0.0) {
        question.tolerated.max(matters)
    } else {
        matters
    };
    let (room, strict) =
        if worse { (shift.estimate, strict) } else { (passes_below - shift.estimate, 1.0) };
    let fewest = if worse { design.fewest_among(question.metrics) } else { design.fewest() };
    let wanted = match shift.half_width {
        Some(half) if room > 0.0 => {
            runs as f64 * (half * strict / room).powf(1.0 / shift.narrowing)
        }
        Some(_) => f64::INFINITY,
        None => 0.0,
    };
    let total = wanted.max(fewest as f64).max(runs as f64 + 1.0);
    (total <= MOST_RUNS).then(|| total.ceil() as usize - runs)
}
