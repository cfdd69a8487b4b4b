//! What a search knows in the end.

use super::change::Change;

/// How a search ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The ceiling is known.
    Found,
    /// The highest load that was allowed holds the goals.
    AtMost,
    /// The client cannot offer more.
    ClientLimited,
    /// The lowest load misses a goal already.
    MinimumFails,
    /// Time ran out before anything was known well enough.
    OutOfBudget,
    /// Trials came to nothing again and again for want of answers.
    TooFewAnswers,
    /// Trials contradict one another over time: the target changed during the search.
    Changed,
    /// Trials speak against the interval that they led to, so there is none.
    Unsupported,
}

/// Why a search that came close to an answer gives no interval.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Doubt {
    /// The low end did not hold when it was verified, as often as it was tried.
    VerificationFailed,
    /// Loads that hold in a full trial fail in a longer one: the target lives on a reserve.
    LongerFails,
    /// The share of misses does not follow the line that was fitted to it, and the trials have not come close enough to
    /// the place where they turn from kept to missed.
    NoFit,
}

/// What a search knows in the end.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchResult {
    /// How it ended.
    pub ending: Ending,
    /// The highest load that holds the goals, or as much of it as is known.
    pub ceiling: Option<f64>,
    /// Between which loads the ceiling lies with 95 % confidence; one end where the search ended early.
    pub interval: Option<(f64, f64)>,
    /// The load at which a single trial holds the goals 19 times out of 20.
    pub safe: Option<f64>,
    /// Index of the goal that is missed first.
    pub limiting: Option<usize>,
    /// A trial at the low end of the interval has passed.
    pub verified: bool,
    /// The interval is as narrow as was asked for.
    pub precise: bool,
    /// The interval comes from a regression. Otherwise its ends are the last load that held and the first that did not.
    pub regressed: bool,
    /// The highest load that seems to hold, and the lowest that seems not to; a single trial may have said so.
    pub bracket: (Option<f64>, Option<f64>),
    /// The target was not the same throughout; its trials' indices are from 0.
    pub change: Option<Change>,
    /// Why there is no interval although trials came close to one.
    pub doubt: Option<Doubt>,
}
