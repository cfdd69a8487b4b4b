//! Distributions of latencies, and how far each of their quantiles can be relied on.

use crate::core::record::latency::HIGHEST_NS;
use crate::core::record::{LatencyHistogram, PhaseRecord};
use crate::stats::effective::{JUDGED, design_effect, effective_count, quantile_levels};
use crate::stats::series::Slice;

/// The latencies that reports show side by side, and the rest of them.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// What a user waited, censored ones included.
    pub response: Distribution,
    /// From the send to the last byte, and timeouts when they were given up.
    pub service: Distribution,
    /// From the send to the first byte.
    pub first_byte: Distribution,
    /// Ages of failed requests.
    pub failed: Distribution,
    /// What kept requests from being sent when they were intended; `None` in a closed loop.
    pub lags: Option<Lags>,
    /// How many of `response` were still unanswered when the drain ended, or never sent.
    pub censored: u64,
}

/// What kept requests from being sent when they were intended.
#[derive(Clone, Debug)]
pub struct Lags {
    /// All of it.
    pub send: Distribution,
    /// No connection was free.
    pub pool: Distribution,
    /// The client was late, also in looking at the answer.
    pub client: Distribution,
}

impl Latencies {
    /// Puts the histograms of a phase together; `slices` are what the headline latency did over its time.
    #[must_use]
    pub fn of(phase: &PhaseRecord, slices: &[Slice]) -> Self {
        let lags = phase.lags().map(|[send, pool, client]| Lags {
            send: Distribution::plain(send),
            pool: Distribution::plain(pool),
            client: Distribution::plain(client),
        });
        let response = Distribution::new(phase.response(), phase.responded());
        let service = Distribution::new(phase.service(), phase.answered());
        // Slices hold response times where there is a schedule. Without one, response and service are the same.
        let service = if lags.is_some() { service } else { service.with_effects(slices) };
        Self {
            response: response.with_effects(slices),
            service,
            first_byte: Distribution::plain(phase.first_byte()),
            failed: Distribution::plain(phase.failed.clone()),
            lags,
            censored: phase.censored.count(),
        }
    }
}

impl Latencies {
    /// The same with the unanswered requests of `phase`, which holds more of them.
    #[must_use]
    pub fn with_unanswered(&self, phase: &PhaseRecord) -> Self {
        let response = Distribution { all: phase.response(), ..self.response.clone() };
        Self { response, censored: phase.censored.count(), ..self.clone() }
    }
}

/// Latencies in a histogram, and what is known of their dependence on one another.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// All of them.
    pub all: LatencyHistogram,
    /// Those that were seen to their end: all but the right-censored ones.
    pub answered: LatencyHistogram,
    /// By quantile, how many values tell as much as one independent one; empty where that is not known.
    effects: Vec<(f64, f64)>,
}

impl Distribution {
    /// Of all values, and of those that were seen to their end.
    #[must_use]
    pub fn new(all: LatencyHistogram, answered: LatencyHistogram) -> Self {
        Self { all, answered, effects: Vec::new() }
    }

    /// Of values that were all seen to their end.
    #[must_use]
    pub fn plain(all: LatencyHistogram) -> Self {
        Self { answered: all.clone(), all, effects: Vec::new() }
    }

    /// Learns from how the values came one after the other how much they depend on one another.
    fn with_effects(mut self, slices: &[Slice]) -> Self {
        for quantile in JUDGED {
            let Some(limit_ns) = self.all.quantile_ns(quantile) else { continue };
            let blocks: Vec<(u64, u64)> = slices
                .iter()
                .filter(|slice| slice.count() > 0)
                .map(|slice| (slice.count(), slice.above(limit_ns)))
                .collect();
            self.effects.extend(design_effect(&blocks).map(|effect| (quantile, effect)));
        }
        self
    }

    /// How many independent values tell as much of `quantile`; `None` where that is not known.
    #[must_use]
    pub fn effective_count(&self, quantile: f64) -> Option<u64> {
        let known = self.effects.iter().find(|(known, _)| (known - quantile).abs() < 1e-9);
        known.map(|&(_, effect)| effective_count(self.all.count(), effect))
    }

    /// The value at `quantile`; `None` when it is empty.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank is a positive number below 2^53"
    )]
    pub fn quantile(&self, quantile: f64) -> Option<Quantile> {
        let (all, answered) = (&self.all, &self.answered);
        let value_ns = all.quantile_ns(quantile)?;
        let count = all.count();
        let rank = ((quantile * count as f64).ceil() as u64).clamp(1, count);
        // Had the censored values been awaited, they might all have been the largest. Where even that would not change
        // the quantile, it is certain.
        let censored = count > answered.count()
            && (rank > answered.count() || answered.at_rank(rank) != all.at_rank(rank));
        let clamped = rank > count - all.clamped();
        let effective = self.effective_count(quantile);
        let interval = effective.and_then(|effective| {
            let levels = quantile_levels(quantile, effective);
            Some((all.quantile_ns(levels.low)?, all.quantile_ns(levels.high?)?))
        });
        let enough = effective.unwrap_or(count) >= fewest_samples(quantile);
        Some(Quantile {
            // Of single ones that have no bucket nothing is known but that they exceed the hour.
            value_ns: if clamped { value_ns.min(HIGHEST_NS) } else { value_ns },
            lower_bound: censored || clamped || !enough,
            censored: censored || clamped,
            interval_ns: interval.filter(|_| enough && !clamped),
        })
    }
}

/// A quantile, and how far it can be relied on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quantile {
    /// The value in nanoseconds.
    pub value_ns: u64,
    /// The true value may be larger: there are too few values, or those that were given up unanswered or clamped may
    /// belong below it.
    pub lower_bound: bool,
    /// The bound is one because of values that were given up unanswered, or clamped.
    pub censored: bool,
    /// A 95 % confidence interval; `None` where it is not known how much the values depend on one another.
    pub interval_ns: Option<(u64, u64)>,
}

/// Fewest values for which a quantile has a two-sided 95 % interval by order statistics.
///
/// The upper rank `n*q + 1.96*sqrt(n*q*(1-q))` must exist.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small positive numbers"
)]
pub fn fewest_samples(quantile: f64) -> u64 {
    (1.96 * 1.96 * quantile / (1.0 - quantile)).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::{Distribution, fewest_samples};
    use crate::core::record::latency::{HIGHEST_NS, LatencyHistogram};

    #[test]
    fn quantiles_need_the_published_number_of_samples() {
        let needed = [0.9, 0.95, 0.99, 0.999, 0.9999].map(fewest_samples);
        assert_eq!(needed, [35, 73, 381, 3838, 38413]);
    }

    fn histogram(values: impl IntoIterator<Item = u64>) -> LatencyHistogram {
        let mut histogram = LatencyHistogram::new();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }

    fn bound(all: &LatencyHistogram, answered: &LatencyHistogram, quantile: f64) -> bool {
        let distribution = Distribution::new(all.clone(), answered.clone());
        distribution.quantile(quantile).unwrap().lower_bound
    }

    #[test]
    fn a_quantile_is_a_bound_only_where_the_unanswered_could_move_it() {
        let answered = histogram((1..=10_000).map(|i| 1_000_000 + i * 10));
        // Ten requests were given up at once: ten ranks stay within a bucket, but beyond p99.9 there is none left.
        let mut all = answered.clone();
        all.add(&histogram([50_000; 10]));
        assert!(!bound(&all, &answered, 0.5) && !bound(&all, &answered, 0.9));
        assert!(bound(&all, &answered, 0.9995));
        // Ten that were as old as anything: what is below them is certain.
        let mut all = answered.clone();
        all.add(&histogram([900_000_000; 10]));
        assert!(!bound(&all, &answered, 0.5) && !bound(&all, &answered, 0.99));
        assert!(bound(&all, &answered, 0.9995));
    }

    #[test]
    fn a_quantile_of_too_few_or_clamped_values_is_a_bound() {
        let few = histogram([1000; 380]);
        let enough = histogram([1000; 381]);
        let mut clamped = enough.clone();
        clamped.add(&histogram([HIGHEST_NS * 2; 40]));
        assert!(bound(&few, &few, 0.99) && !bound(&few, &few, 0.95));
        assert!(!bound(&enough, &enough, 0.99));
        assert!(bound(&clamped, &clamped, 0.95) && !bound(&clamped, &clamped, 0.5));
        assert_eq!(Distribution::plain(histogram([])).quantile(0.5), None);
    }
}
