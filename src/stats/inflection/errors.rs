//! Where errors start: the first value of a sweep at which more requests fail than the odd one that always may.

use super::Point;

/// A share of failed requests that is no finding.
const TOLERATED: f64 = 0.001;
/// How sure it must be that the share is larger.
const Z_99: f64 = 2.326;
/// From this many expected failures on, a normal distribution tells as much as the exact one.
const MANY: f64 = 100.0;
/// Standard errors by which the shares of two values differ when chance alone does not explain it.
const APART: f64 = 3.0;

/// Where errors start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Onset {
    /// The first value of the variable with more errors than 0.1 % and chance explain.
    pub x: f64,
    /// The share of its requests that got no good answer, from 0 to 1.
    pub share: f64,
    /// It is the lowest value of the sweep: errors may start below it.
    pub at_lowest: bool,
}

/// The requests of all runs of one value.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    x: f64,
    requests: f64,
    errors: f64,
}

impl Group {
    fn share(&self) -> f64 {
        if self.requests > 0.0 { self.errors / self.requests } else { 0.0 }
    }

    fn has_too_many(&self) -> bool {
        self.errors > allowed(self.requests)
    }

    fn with(&self, other: &Self) -> Self {
        Self {
            x: self.x,
            requests: self.requests + other.requests,
            errors: self.errors + other.errors,
        }
    }

    /// Whether a larger share of the requests of `other` failed than chance explains.
    fn is_exceeded_by(&self, other: &Self) -> bool {
        let share = self.with(other).share();
        let variance = share * (1.0 - share) * (1.0 / self.requests + 1.0 / other.requests);
        other.share() - self.share() > APART * variance.sqrt()
    }
}

/// The values of points sorted by `x`, those without a request left out.
fn groups(points: &[Point]) -> impl Iterator<Item = Group> {
    let runs = points.chunk_by(|a, b| a.x.total_cmp(&b.x).is_eq());
    let group = |runs: &[Point]| Group {
        x: runs[0].x,
        requests: runs.iter().map(|run| run.good + run.errors).sum(),
        errors: runs.iter().map(|run| run.errors).sum(),
    };
    runs.map(group).filter(|group| group.requests > 0.0)
}

/// Where errors start, of points sorted by `x`.
///
/// # Errors
/// Why there is no such value.
pub(super) fn onset(points: &[Point]) -> Result<Onset, String> {
    let Some(lowest) = groups(points).next() else {
        return Err("no run tells of the server".to_owned());
    };
    let Some(first) = groups(points).find(Group::has_too_many) else {
        let any = groups(points).any(|group| group.errors > 0.0);
        return Err(if any {
            "at no value did more than 0.1 % of the requests fail, beyond chance".to_owned()
        } else {
            "every request got a good answer".to_owned()
        });
    };
    let at_lowest = first.x.total_cmp(&lowest.x).is_eq();
    Ok(Onset { x: first.x, share: first.share(), at_lowest })
}

/// The share of requests that fail however few are sent: that of the lowest value, and of those above it up to the first
/// at which a larger share fails. 0 where the lowest value has no more errors than chance explains.
pub(super) fn background(points: &[Point]) -> f64 {
    let mut groups = groups(points);
    let Some(mut together) = groups.next().filter(Group::has_too_many) else { return 0.0 };
    for group in groups {
        if together.is_exceeded_by(&group) {
            break;
        }
        together = together.with(&group);
    }
    // Where nothing succeeds there is nothing to compare with.
    if together.share() < 1.0 { together.share() } else { 0.0 }
}

/// Failures that are not exceeded in 99 of 100 runs of a target that fails the tolerated share of `requests`.
fn allowed(requests: f64) -> f64 {
    let mean = requests * TOLERATED;
    if mean > MANY {
        return (mean + Z_99 * mean.sqrt()).ceil();
    }
    // Of rare failures, the Poisson distribution is as good as the binomial one.
    let (mut count, mut probability) = (0.0, (-mean).exp());
    let mut below = probability;
    while below < 0.99 {
        count += 1.0;
        probability *= mean / count;
        below += probability;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{allowed, background, onset};
    use crate::stats::inflection::Point;

    fn points(rows: &[(f64, f64, f64)]) -> Vec<Point> {
        let point = |&(x, requests, errors): &(f64, f64, f64)| Point {
            x,
            offered_rps: x,
            good_rps: x,
            good: requests - errors,
            errors,
            mean_s: None,
            p99_s: None,
        };
        rows.iter().map(point).collect()
    }

    #[test]
    fn errors_start_where_more_fail_than_a_thousandth_and_chance() {
        // 0.1 % of 5,000 requests is 5; twice as many happen by chance once in thirty runs, 15 practically never.
        let found = onset(&points(&[(8.0, 5e3, 0.0), (16.0, 5e3, 9.0), (64.0, 5e3, 1150.0)]));
        let found = found.unwrap();
        assert_eq!((found.x, found.at_lowest), (64.0, false));
        assert!((found.share - 0.23).abs() < 1e-9);
        assert_eq!(onset(&points(&[(8.0, 5e3, 0.0), (16.0, 5e3, 15.0)])).unwrap().x, 16.0);
        assert!(onset(&points(&[(8.0, 200.0, 20.0), (9.0, 200.0, 40.0)])).unwrap().at_lowest);
    }

    #[test]
    fn a_stray_failure_and_none_at_all_are_no_start() {
        let stray = onset(&points(&[(8.0, 5e3, 1.0), (16.0, 1e6, 1000.0)])).unwrap_err();
        assert!(stray.contains("0.1 %"), "{stray}");
        assert!(onset(&points(&[(8.0, 5e3, 0.0)])).unwrap_err().contains("every request"));
        assert!(onset(&[]).unwrap_err().contains("no run"));
    }

    #[test]
    fn repeats_of_a_value_are_looked_at_together() {
        // One failure of 100 may be chance, three of 300 are not.
        let run = (8.0, 100.0, 1.0);
        assert!(onset(&points(&[run])).is_err());
        assert!(onset(&points(&[run; 3])).is_ok());
    }

    #[test]
    fn what_chance_allows_grows_more_slowly_than_the_requests() {
        let limits = [10.0, 1e3, 1e5, 1e6, 1e8].map(allowed);
        assert_eq!(limits[..2], [0.0, 4.0]);
        assert!(limits[2] > 110.0 && limits[2] < 130.0, "{limits:?}");
        assert!(limits[4] > 1e5 && limits[4] < 1.01e5, "{limits:?}");
    }

    #[test]
    fn a_share_that_fails_at_every_load_is_told_from_what_load_adds() {
        let steady = points(&[(1.0, 2e3, 104.0), (2.0, 4e3, 190.0), (4.0, 8e3, 2400.0)]);
        assert!((background(&steady) - 294.0 / 6e3).abs() < 1e-9, "{}", background(&steady));
        assert_eq!(background(&points(&[(1.0, 2e3, 0.0), (2.0, 4e3, 900.0)])), 0.0);
        assert_eq!(background(&points(&[(1.0, 2e3, 2e3)])), 0.0);
    }
}
