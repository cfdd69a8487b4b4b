//! What a search has found, with all of its trials: what reports are written from.

use super::Goals;
use crate::commands::ceiling::search::{
    Ending, Purpose, SearchResult, SearchSettings, Trial, TrialVerdict,
};
use crate::exit::Signal;
use crate::result::summary::{Quantile, Rates, Summary};
use crate::result::verdict::Code;
use crate::slo::Gate;
use crate::stats::series::Slice;

/// A trial, as far as reports show it.
#[derive(Clone, Debug)]
pub struct Row {
    /// As the search knows it.
    pub trial: Trial,
    /// How long its measured window really was, in seconds.
    pub length_s: f64,
    /// When it began, in seconds from the start of the search.
    pub begun_s: f64,
    /// Its rates.
    pub rates: Rates,
    /// What the user's gates found.
    pub gates: Vec<Gate>,
    /// Its response times: p50, p95 and p99.
    pub quantiles: [Option<Quantile>; 3],
    /// Requests without a good answer, as a share of those that were due.
    pub error_share: f64,
    /// Requests a second that were due in the second half of its window, and those answered in it.
    pub second_half: Option<(f64, f64)>,
    /// What was thought of its measurement.
    pub code: Code,
}

impl Row {
    /// What a summary says of a trial that began `begun_s` seconds after the search.
    #[must_use]
    pub fn of(trial: Trial, begun_s: f64, summary: &Summary) -> Self {
        let response = &summary.latencies.response;
        Self {
            trial,
            length_s: crate::time::seconds(summary.window.measured_ns),
            begun_s,
            rates: summary.rates(),
            gates: summary.gates.clone(),
            quantiles: [0.5, 0.95, 0.99].map(|quantile| response.quantile(quantile)),
            error_share: error_share(summary),
            second_half: second_half(summary),
            code: summary.verdict.code,
        }
    }

    /// The target could not keep up when it had had time to: what it answered is all that it can. One that is only slow
    /// answers in the second half what came in it, if later.
    fn is_saturated(&self) -> bool {
        self.second_half.is_some_and(|(due_rps, answered_rps)| answered_rps < 0.97 * due_rps)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares are shown with few digits")]
fn error_share(summary: &Summary) -> f64 {
    let counts = summary.counts();
    counts.scheduled.saturating_sub(counts.ok) as f64 / counts.scheduled.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "rates are shown with few digits")]
fn second_half(summary: &Summary) -> Option<(f64, f64)> {
    let end_ns = summary.window.measured_ns;
    let slices = summary.series.between(end_ns / 2, end_ns);
    let length_s = crate::time::seconds(summary.series.slice_ns()) * slices.len() as f64;
    let rate = |number: fn(&Slice) -> u64| slices.iter().map(number).sum::<u64>() as f64 / length_s;
    (!slices.is_empty()).then(|| (rate(|slice| slice.scheduled), rate(|slice| slice.completed)))
}

/// Why a search ended before it was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Broken {
    /// The user stopped it, by this signal.
    Interrupted(Signal),
    /// Nobody answers any more.
    Dead,
    /// This machine, or the flags, refused a trial.
    Refused,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Loads are connections of a closed loop, not requests a second.
    pub closed: bool,
    /// What had to be held.
    pub goals: Goals,
    /// The user's gates, as they were written.
    pub slo: String,
    /// How it was searched.
    pub settings: SearchSettings,
    /// The trials, in the order in which they were made.
    pub rows: Vec<Row>,
    /// What is known.
    pub answer: SearchResult,
    /// Why it was broken off.
    pub broken: Option<Broken>,
    /// How long it took, in seconds.
    pub spent_s: f64,
}

impl Found {
    /// Requests a second that the target answered at most, where it was offered more for the length of a full trial and did
    /// not answer it.
    #[must_use]
    pub fn saturation_rps(&self) -> Option<f64> {
        if self.answer.ending == Ending::Changed {
            // It was not one target.
            return None;
        }
        // Short trials answer more or less by chance.
        let is_full = |row: &Row| row.length_s >= self.settings.rules.trial_s * 0.99;
        let any_full = self.rows.iter().any(is_full);
        let judged = |row: &&Row| {
            matches!(row.trial.verdict, TrialVerdict::Pass | TrialVerdict::Fail)
                && (is_full(row) || (self.closed && !any_full))
        };
        let best = self
            .rows
            .iter()
            .filter(judged)
            .max_by(|a, b| a.rates.achieved_rps.total_cmp(&b.rates.achieved_rps))?;
        // In a closed loop it is the most where more connections have brought no more.
        let brings_no_more = |row: &Row| {
            let ratio = row.trial.proposal.load / best.trial.proposal.load;
            let as_good = row.rates.achieved_rps >= 0.97 * best.rates.achieved_rps;
            ratio >= 1.1 || (ratio <= 1.0 / 1.1 && as_good)
        };
        if self.closed && !self.rows.iter().filter(judged).any(brings_no_more) {
            return None;
        }
        let rows =
            || self.rows.iter().filter(judged).filter(|row| self.closed || row.is_saturated());
        let most = rows().map(|row| row.rates.achieved_rps).fold(0.0, f64::max);
        // A target that has answered more at times was held up for another reason.
        let outdone = self.rows.iter().any(|row| row.rates.achieved_rps > 1.05 * most);
        // The best of several is better than each of them by chance: those that are as good are averaged.
        let close = || rows().filter(|row| row.rates.achieved_rps >= 0.95 * most);
        let weight: f64 = close().map(|row| row.length_s).sum();
        let sum: f64 = close().map(|row| row.rates.achieved_rps * row.length_s).sum();
        let rps = (most > 0.0 && weight > 0.0 && !outdone).then(|| sum / weight)?;
        // A load that holds has been answered.
        let held = self.answer.ceiling.filter(|_| !self.closed).unwrap_or(0.0);
        (rps >= 0.97 * held).then_some(rps)
    }

    /// The trial that verified the answer, or failed to.
    #[must_use]
    pub fn verification(&self) -> Option<&Row> {
        self.rows.iter().rev().find(|row| row.trial.proposal.purpose == Purpose::Verify)
    }

    /// Whether trials near the answer waited for connections: more of them may hold more.
    #[must_use]
    pub fn lacks_connections(&self) -> bool {
        let Some(ceiling) = self.answer.ceiling.filter(|_| !self.closed) else { return false };
        let near = |row: &&Row| (0.97..1.03).contains(&(row.trial.proposal.load / ceiling));
        let near: Vec<&Row> = self.rows.iter().filter(near).collect();
        let limited = near.iter().filter(|row| row.code == Code::ConnectionLimited).count();
        limited * 2 > near.len()
    }
}
