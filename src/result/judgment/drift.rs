//! W1, S3: did the run settle, and did the target become slower while it went on?
//!
//! A latency that changes early and then stays is the target warming up (caches, connections, a compiler): W1 asks for a
//! longer warm-up. One that goes on changing to the end is what a long run is made to find: S3 reports it with its slope,
//! and the measurement is as valid as it was.

use super::{Evidence, unstable};
use crate::result::verdict::{Level, Reason, Rule};
use crate::stats::trend::{Course, course, median, theil_sen};
use crate::time::{NANOS_PER_SECOND, seconds};

/// A smaller change is noise of the machine, whatever share of the latency it is.
const LEAST_CHANGE_MS: f64 = 0.1;

/// What the median latency did, second by second.
struct Change {
    course: Course,
    /// In the first second and in the last, in milliseconds.
    first_ms: f64,
    last_ms: f64,
    /// Sen's slope, in milliseconds a minute.
    slope_ms: f64,
    length_s: f64,
}

/// W1 and S3.
pub(super) fn all(evidence: &Evidence<'_>) -> Vec<Reason> {
    let change = change(evidence);
    let drifts = change.as_ref().is_some_and(|change| change.course == Course::Drifts);
    if !evidence.steady && !drifts {
        let text = "no time was found from which on nothing changed: run longer".to_owned();
        return vec![Reason { rule: Rule::NotSettled, level: Level::Warn, text }];
    }
    let Some(change) = change else { return Vec::new() };
    match change.course {
        Course::Steady => Vec::new(),
        Course::Settles if !evidence.is_open() => Vec::new(),
        Course::Settles => {
            let text = format!(
                "the median latency went from {:.3} ms at the start to {:.3} ms and stayed there: use a longer --warmup",
                change.first_ms, change.last_ms
            );
            vec![Reason { rule: Rule::NotSettled, level: Level::Warn, text }]
        }
        Course::Drifts => {
            let level = if change.rises() { Level::Warn } else { Level::Info };
            vec![Reason { rule: Rule::Drift, level, text: change.text() }]
        }
    }
}

/// How the median latency rose over the run; `None` when it did not.
pub(super) fn rise(evidence: &Evidence<'_>) -> Option<String> {
    let change = change(evidence)?;
    (change.course == Course::Drifts && change.rises()).then(|| change.text())
}

impl Change {
    fn rises(&self) -> bool {
        self.last_ms > self.first_ms
    }

    fn text(&self) -> String {
        let (went, slope_ms) =
            if self.rises() { ("rose", self.slope_ms) } else { ("fell", -self.slope_ms) };
        format!(
            "median {went} from {:.1} ms to {:.1} ms in {:.0} s, {slope_ms:.1} ms a minute",
            self.first_ms, self.last_ms, self.length_s
        )
    }
}

/// `None` where it did not change by as much as matters, or where the load was to change it.
#[expect(clippy::cast_precision_loss, reason = "statistics need few digits")]
fn change(evidence: &Evidence<'_>) -> Option<Change> {
    // Where answers do not keep up, latency grows with what waits: that is told already.
    if !evidence.asked.is_constant || unstable(evidence).is_some() {
        return None;
    }
    let per_block =
        usize::try_from(NANOS_PER_SECOND / evidence.slice_ns.max(1)).unwrap_or(1).max(1);
    let block_s = seconds(evidence.slice_ns) * per_block as f64;
    let medians: Vec<(f64, f64)> = evidence
        .slices
        .chunks_exact(per_block)
        .enumerate()
        .filter_map(|(index, block)| {
            let mut whole = block[0].clone();
            block[1..].iter().for_each(|later| whole.extend(later));
            Some((index as f64 * block_s, seconds(whole.quantile_ns(0.5)?) * 1e3))
        })
        .collect();
    let values: Vec<f64> = medians.iter().map(|median| median.1).collect();
    let course = course(&values);
    let slope_ms = theil_sen(&medians)? * 60.0;
    let length_s = values.len() as f64 * block_s;
    // Single seconds may be anything: the first is often cold.
    let (first_ms, last_ms) = match course {
        Course::Settles => {
            let third = (values.len() / 3).max(1);
            let last = median(&mut values[values.len() - third..].to_vec())?;
            (median(&mut values.get(..third)?.to_vec())?, last)
        }
        Course::Steady | Course::Drifts => {
            let mut sorted = values;
            let middle = median(&mut sorted)?;
            let rise = slope_ms / 60.0 * (length_s - block_s) / 2.0;
            ((middle - rise).max(0.0), middle + rise)
        }
    };
    if course == Course::Steady || (last_ms - first_ms).abs() < LEAST_CHANGE_MS {
        return None;
    }
    Some(Change { course, first_ms, last_ms, slope_ms, length_s })
}
