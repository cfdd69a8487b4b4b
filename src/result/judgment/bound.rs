//! How far the client's own lateness can have moved the figures that a report shows.
//!
//! Of no request is it known how long it would have taken without the client's lag, but of all of them together there is
//! a bound. A request whose response time without the lag is at most `x` took at most `x + t` with it, or its lag was
//! more than `t`. So with `k(t)` of `n` lags above `t`, the quantile `q` without them is at least the quantile
//! `q - k(t)/n` with them, less `t`, for each `t`. Stops too short to show in the lags hit a share `s` of the requests at
//! most, which is taken off in the same way.

use super::Evidence;
use crate::result::summary::{Distribution, Latencies, RunPart};
use crate::slo::{Metric, Scope, Timing};

/// A figure that cannot have moved by more than this share means what it seems to.
const TOLERATED_SHARE: f64 = 0.05;
/// What reports show of a response time, but for the maximum.
const SHOWN: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];

/// A figure, and the least that it would be without the client's lateness, in nanoseconds.
#[derive(Clone, Debug)]
struct Moved {
    name: String,
    shown_ns: u64,
    /// `None` where nothing is known of it.
    least_ns: Option<u64>,
}

impl Moved {
    #[expect(clippy::cast_precision_loss, reason = "a share is compared with a coarse limit")]
    fn share(&self) -> f64 {
        let least_ns = self.least_ns.unwrap_or(0);
        self.shown_ns.saturating_sub(least_ns) as f64 / self.shown_ns.max(1) as f64
    }

    fn is_material(&self) -> bool {
        self.share() > TOLERATED_SHARE
    }

    /// `without that, p99 would be at least 16.100 ms instead of 16.900 ms`.
    fn text(&self) -> String {
        let ms = super::milliseconds;
        let (name, shown) = (&self.name, ms(self.shown_ns));
        let Some(least) = self.least_ns.map(ms) else {
            return format!("{name} may be another one for that");
        };
        if least == shown {
            format!("without that, {name} would be the same, {shown}")
        } else {
            format!("without that, {name} would be at least {least} instead of {shown}")
        }
    }
}

/// What the client's lateness can have done to a run.
pub(super) struct Effect {
    figures: Vec<Moved>,
}

impl Effect {
    /// That of the lags of an open loop, and of stops that hit `hidden_share` of the requests without showing in them.
    pub(super) fn of(evidence: &Evidence<'_>, hidden_share: f64) -> Self {
        let mut figures = quantiles("", evidence.latencies, hidden_share);
        if !evidence.asked.is_constant {
            let spans = evidence.asked.timeline.phases();
            let phases = spans.iter().zip(&evidence.record.phases).skip(1);
            for (span, record) in phases {
                let latencies = Latencies::of(record, &[]);
                figures.extend(quantiles(&format!(" of {}", span.name), &latencies, hidden_share));
            }
        }
        figures.extend(gates(evidence, hidden_share));
        Self { figures }
    }

    /// Whether a shown figure could be another one by more than a twentieth.
    pub(super) fn is_material(&self) -> bool {
        self.figures.iter().any(Moved::is_material)
    }

    /// What it comes to: the figure that could have moved most where one is material, p99 otherwise.
    pub(super) fn text(&self) -> String {
        let worst = self.figures.iter().max_by(|a, b| a.share().total_cmp(&b.share()));
        let p99 = self.figures.iter().find(|figure| figure.name == "p99");
        let told = worst.filter(|worst| worst.is_material()).or(p99).or(worst);
        told.map_or_else(String::new, |figure| format!("; {}", figure.text()))
    }
}

/// The shown quantiles that have enough samples.
fn quantiles(of: &str, latencies: &Latencies, hidden_share: f64) -> Vec<Moved> {
    let Some(lags) = &latencies.lags else { return Vec::new() };
    let response = &latencies.response;
    let supported = SHOWN.iter().filter(|(_, quantile)| {
        response.quantile(*quantile).is_some_and(|value| !value.lower_bound || value.censored)
    });
    let quantiles: Vec<(&str, f64)> = supported.copied().collect();
    let curves = Curves::of(response, &lags.client);
    let moved = |&(name, quantile): &(&str, f64)| Moved {
        name: format!("{name}{of}"),
        shown_ns: response.all.quantile_ns(quantile).unwrap_or(0),
        least_ns: Some(curves.least_ns(quantile, hidden_share)),
    };
    quantiles.iter().map(moved).collect()
}

/// The gates that look at response times. One on a part of the run may be about the very requests that were late: of it
/// nothing is known, and all of them count as moved.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean is a positive number of nanoseconds"
)]
fn gates(evidence: &Evidence<'_>, hidden_share: f64) -> Vec<Moved> {
    let Some(lags) = &evidence.latencies.lags else { return Vec::new() };
    let response = &evidence.latencies.response;
    let curves = Curves::of(response, &lags.client);
    let window = RunPart {
        record: evidence.measured,
        latencies: evidence.latencies,
        length_ns: evidence.measured_ns,
        gone_share: 0.0,
    };
    let clauses = evidence.asked.slo.iter().filter(|clause| clause.metric.is_response_time());
    let moved = clauses.filter_map(|clause| {
        let name = format!("the value of {}", clause.text);
        let (shown_ns, least_ns) = if let Some(quantile) = clause.metric.quantile() {
            (response.all.quantile_ns(quantile)?, curves.least_ns(quantile, hidden_share))
        } else {
            let value = |metric: Metric| Some(metric.value(clause.unit, &window)?.least);
            let shown = value(clause.metric)?;
            let lag = value(clause.metric.of(Timing::ClientLag))?;
            (shown as u64, (shown - lag).max(0.0) as u64)
        };
        let least_ns = (clause.scope == Scope::Window).then_some(least_ns);
        Some(Moved { name, shown_ns, least_ns })
    });
    moved.collect()
}

/// Response times and lags as steps: up to each value, so many.
struct Curves {
    response: Vec<(u64, u64)>,
    /// Lags with the number of those that are longer, 0 included.
    longer: Vec<(u64, u64)>,
}

impl Curves {
    fn of(response: &Distribution, lag: &Distribution) -> Self {
        let mut longer = vec![(0, lag.all.count())];
        longer.extend(lag.all.steps().map(|(value_ns, up_to)| (value_ns, lag.all.count() - up_to)));
        Self { response: response.all.steps().collect(), longer }
    }

    /// The least that a quantile can be without the lags.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank is a positive number below 2^53"
    )]
    fn least_ns(&self, quantile: f64, hidden_share: f64) -> u64 {
        let count = self.response.last().map_or(0, |step| step.1);
        let rank = (quantile * count as f64).ceil() - hidden_share * count as f64;
        let bounds = self.longer.iter().filter_map(|&(lag_ns, longer)| {
            let rank = rank - longer as f64;
            let rank = if rank >= 1.0 { rank as u64 } else { return None };
            let place = self.response.partition_point(|step| step.1 < rank);
            self.response.get(place).map(|step| step.0.saturating_sub(lag_ns))
        });
        bounds.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Curves, Distribution};
    use crate::core::record::LatencyHistogram;

    const MS: u64 = 1_000_000;

    fn distribution(values: impl IntoIterator<Item = u64>) -> Distribution {
        let mut histogram = LatencyHistogram::new();
        values.into_iter().for_each(|value| histogram.record(value));
        Distribution::plain(histogram)
    }

    /// Requests of 10 to 20 ms, some of them later by a lag of the client.
    fn least_ms(lags: &[u64], quantile: f64) -> (f64, f64) {
        let own = |index: usize| 10 * MS + index as u64 % 1000 * MS / 100;
        let lag = |index: usize| lags.get(index).copied().unwrap_or(0);
        let response = distribution((0..10_000).map(|index| own(index) + lag(index)));
        let lag = distribution((0..10_000).map(lag));
        let ms = |ns: u64| ns as f64 / 1e6;
        let shown = response.all.quantile_ns(quantile).unwrap();
        (ms(shown), ms(Curves::of(&response, &lag).least_ns(quantile, 0.0)))
    }

    #[test]
    fn a_few_late_requests_move_a_high_quantile_by_little_and_many_by_much() {
        let (shown, least) = least_ms(&[], 0.99);
        assert!((shown - least).abs() < 0.02, "{shown} {least}");
        let (shown, least) = least_ms(&[47 * MS; 10], 0.99);
        assert!(shown > least && (shown - least) < 0.05 * shown, "{shown} {least}");
        let (shown, least) = least_ms(&[47 * MS; 200], 0.99);
        assert!(shown > 50.0 && least < 20.0, "{shown} {least}");
        // The bound never promises more than the truth, 19.9 ms.
        assert!(least <= 19.91, "{least}");
        let (shown, least) = least_ms(&[47 * MS; 200], 0.5);
        assert!((shown - least) < 0.05 * shown, "{shown} {least}");
    }

    #[test]
    fn a_lag_that_all_requests_have_comes_off_every_quantile() {
        let (shown, least) = least_ms(&[5 * MS; 10_000], 0.5);
        assert!((shown - least - 5.0).abs() < 0.05, "{shown} {least}");
    }

    #[test]
    fn what_hit_more_requests_than_a_quantile_has_leaves_no_bound() {
        let response = distribution((0..1000).map(|index| MS + index));
        let curves = Curves::of(&response, &distribution([0; 1000]));
        assert_eq!(curves.least_ns(0.5, 0.6), 0);
        assert!(curves.least_ns(0.99, 0.01) > 0);
    }
}
