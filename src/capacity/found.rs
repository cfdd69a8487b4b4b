//! What a search has found, with all of its trials: what reports are written from.

use super::Goals;
use crate::analysis::ceiling::{Answer, Ending, Purpose, Settings, Trial, Verdict};
use crate::exit::Signal;
use crate::summary::{Gate, Quantile, Rates, Summary};
use crate::verdict::Code;

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
    /// Its median and 99th percentile of response times.
    pub quantiles: [Option<Quantile>; 2],
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
            quantiles: [0.5, 0.99].map(|quantile| response.quantile(quantile)),
            code: summary.verdict.code,
        }
    }

    /// The target could not keep up: what it answered is all that it can.
    fn is_saturated(&self) -> bool {
        self.rates.achieved_rps < 0.97 * self.rates.offered_rps
    }
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
    pub settings: Settings,
    /// The trials, in the order in which they were made.
    pub rows: Vec<Row>,
    /// What is known.
    pub answer: Answer,
    /// Why it was broken off.
    pub broken: Option<Broken>,
    /// How long it took, in seconds.
    pub spent_s: f64,
}

impl Found {
    /// Requests a second that the target answered at most, where it was offered more than it could answer.
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
            matches!(row.trial.verdict, Verdict::Pass | Verdict::Fail)
                && (!self.closed || !any_full || is_full(row))
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
        (most > 0.0 && weight > 0.0 && !outdone).then(|| sum / weight)
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
