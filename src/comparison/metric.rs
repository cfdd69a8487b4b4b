//! What is compared, and from which size on a shift matters.

use std::collections::{BTreeMap, BTreeSet};

use super::Kind;
use crate::units::parse_duration_ns;

/// What is compared, one number a run.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Metric {
    /// Median response time.
    P50,
    /// Its 90th percentile.
    P90,
    /// Its 95th percentile.
    P95,
    /// Its 99th percentile.
    P99,
    /// Its 99.9th percentile.
    P999,
    /// The mean response time.
    Mean,
    /// The longest.
    Max,
    /// Whole responses a second; in an open loop, whose schedule makes the rate, their share of what was offered.
    Rate,
    /// The share of requests that got no good response.
    Errors,
    /// The share of requests that were given up at their timeout.
    Timeouts,
    /// The share of requests that were never sent.
    Unsent,
    /// CPU time that the client, maxq itself, takes for a request.
    Cpu,
}

/// What a metric is counted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Microseconds.
    Micros,
    /// A second.
    PerSecond,
    /// A share of a whole, from 0 to 1.
    Share,
}

impl Unit {
    /// The stable name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Micros => "us",
            Self::PerSecond => "rps",
            Self::Share => "share",
        }
    }
}

impl Metric {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 12] = [
        Self::P50,
        Self::P90,
        Self::P95,
        Self::P99,
        Self::P999,
        Self::Mean,
        Self::Max,
        Self::Rate,
        Self::Errors,
        Self::Timeouts,
        Self::Unsent,
        Self::Cpu,
    ];

    /// The stable name, as in reports and flags.
    #[must_use]
    pub const fn name(self, open: bool) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Rate if open => "achieved",
            Self::Rate => "rate",
            Self::Errors => "errors",
            Self::Timeouts => "timeouts",
            Self::Unsent => "unsent",
            Self::Cpu => "cpu",
        }
    }

    /// The name that people read, which says whose CPU time it is.
    #[must_use]
    pub const fn label(self, open: bool) -> &'static str {
        match self {
            Self::Cpu => "client cpu",
            other => other.name(open),
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// The names that there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = |metric: &&Self| metric.name(false) == text || metric.name(true) == text;
        Self::ALL.iter().find(named).copied().ok_or_else(|| {
            format!(
                "'{text}' is not a metric; use p50, p90, p95, p99, p99.9, mean, max, rate (or achieved), errors, timeouts, unsent or cpu"
            )
        })
    }

    /// What it is counted in.
    #[must_use]
    pub const fn unit(self, open: bool) -> Unit {
        match self {
            Self::Rate if open => Unit::Share,
            Self::Rate => Unit::PerSecond,
            Self::Errors | Self::Timeouts | Self::Unsent => Unit::Share,
            _ => Unit::Micros,
        }
    }

    /// It is a share of the requests of a side, whose shift is a difference, in percentage points.
    #[must_use]
    pub const fn is_share_of_requests(self) -> bool {
        matches!(self, Self::Errors | Self::Timeouts | Self::Unsent)
    }

    /// Less of it is worse.
    #[must_use]
    pub const fn is_better_when_larger(self) -> bool {
        matches!(self, Self::Rate)
    }

    /// It is a latency, of which very short differences do not matter.
    #[must_use]
    pub const fn has_floor(self) -> bool {
        self.latency_key().is_some()
    }

    /// The key of a latency in a run.
    pub(super) const fn latency_key(self) -> Option<&'static str> {
        match self {
            Self::P999 => Some("p99_9"),
            Self::Rate | Self::Errors | Self::Timeouts | Self::Unsent | Self::Cpu => None,
            other => Some(other.name(false)),
        }
    }

    /// The smallest relative shift for the worse that matters unless the user says otherwise; of shares of requests the
    /// difference.
    const fn usual_effect(self) -> f64 {
        match self {
            Self::P50 | Self::Mean => 0.05,
            Self::P90 | Self::P95 | Self::P99 => 0.1,
            Self::P999 | Self::Cpu => 0.2,
            Self::Max => 0.5,
            Self::Rate => 0.03,
            Self::Errors | Self::Timeouts | Self::Unsent => 0.001,
        }
    }

    /// How many times the usual effect a sample that is too small for it may leave open, and still pass.
    const fn usual_tolerance(self) -> f64 {
        if self.is_share_of_requests() { 10.0 } else { 3.0 }
    }
}

/// What the user wants to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The metrics that decide.
    pub gates: Vec<Metric>,
    /// Shifts that matter, where they are not the usual ones.
    pub effects: BTreeMap<Metric, f64>,
    /// Shifts of latencies below this many microseconds do not matter.
    pub floor_us: f64,
    /// Two single runs may be called a regression.
    pub allow_single: bool,
    /// In what the runs may differ.
    pub allowed: BTreeSet<Kind>,
    /// Invalid and partial runs count all the same.
    pub invalid: bool,
    /// However few runs are valid, they are shown.
    pub whatever_remains: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gates: vec![Metric::P50, Metric::P95, Metric::P99, Metric::Rate, Metric::Errors],
            effects: BTreeMap::new(),
            floor_us: 50.0,
            allow_single: false,
            allowed: BTreeSet::new(),
            invalid: false,
            whatever_remains: false,
        }
    }
}

impl Settings {
    /// The smallest relative shift for the worse that matters; of shares of requests the difference.
    #[must_use]
    pub fn effect(&self, metric: Metric) -> f64 {
        self.effects.get(&metric).copied().unwrap_or_else(|| metric.usual_effect())
    }

    /// The shift that a pass excludes at least, in the same units. It is more than the effect where the user did not say
    /// which effect matters: a small sample cannot exclude that, and would never pass.
    #[must_use]
    pub fn tolerated(&self, metric: Metric) -> f64 {
        let usual = metric.usual_effect() * metric.usual_tolerance();
        self.effects.get(&metric).copied().unwrap_or(usual)
    }

    /// How many of the metrics that decide are judged by ranks, at least 1. Shares of requests are not.
    #[must_use]
    pub fn ranked_gates(&self) -> usize {
        let ranked = self.gates.iter().filter(|gate| !gate.is_share_of_requests());
        ranked.count().max(1)
    }

    /// Reads `--gate`: names of metrics, separated by commas.
    ///
    /// # Errors
    /// The one that is none.
    pub fn set_gates(&mut self, text: &str) -> Result<(), String> {
        let refuse = |why| format!("--gate {text}: {why}");
        let mut gates = Vec::new();
        for name in text.split(',') {
            let metric = Metric::parse(name.trim()).map_err(refuse)?;
            if gates.contains(&metric) {
                return Err(refuse(format!("{name} is named twice; name it once")));
            }
            gates.push(metric);
        }
        self.gates = gates;
        Ok(())
    }

    /// Reads `--effect`: metrics with the smallest shift that matters, like `p99=5%`, separated by commas.
    ///
    /// # Errors
    /// What makes no sense.
    pub fn add_effects(&mut self, text: &str) -> Result<(), String> {
        const EXAMPLE: &str = "use a metric and a share, like p99=5% or errors=0.1%";
        for part in text.split(',') {
            let refuse = |why: String| format!("--effect {text}: {why}");
            let (name, value) =
                part.split_once('=').ok_or_else(|| refuse(format!("no '='; {EXAMPLE}")))?;
            let metric = Metric::parse(name.trim()).map_err(refuse)?;
            let percent = value.trim().strip_suffix('%').map(str::trim).map(str::parse::<f64>);
            let most = if metric.is_better_when_larger() { 99.0 } else { 1000.0 };
            match percent {
                Some(Ok(percent)) if percent > 0.0 && percent <= most => {
                    self.effects.insert(metric, percent / 100.0);
                }
                _ => {
                    let why =
                        format!("'{value}' is no share above 0 and up to {most} %; {EXAMPLE}");
                    return Err(refuse(why));
                }
            }
        }
        Ok(())
    }

    /// Refuses a shift that matters of a metric that does not decide.
    ///
    /// # Errors
    /// The metric.
    pub fn check_effects(&self) -> Result<(), String> {
        let idle = self.effects.keys().find(|metric| !self.gates.contains(metric));
        idle.map_or(Ok(()), |metric| {
            let name = metric.name(false);
            Err(format!("--effect {name}: {name} does not decide; name it in --gate, too"))
        })
    }

    /// Reads `--floor`: a length of time.
    ///
    /// # Errors
    /// What is wrong with it.
    #[expect(clippy::cast_precision_loss, reason = "a floor has few digits")]
    pub fn set_floor(&mut self, text: &str) -> Result<(), String> {
        let floor_ns = parse_duration_ns(text).map_err(|why| format!("--floor: {why}"))?;
        self.floor_us = floor_ns as f64 / 1e3;
        Ok(())
    }
}
