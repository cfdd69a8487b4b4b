//! What is compared, and from which size on a shift matters.

use std::collections::BTreeMap;

use crate::units::parse_duration_ns;

/// What is compared, one number a run.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Metric {
    /// Median response time.
    P50,
    /// Its 90th percentile.
    P90,
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
    /// CPU time of the client a request.
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
    pub const ALL: [Self; 9] = [
        Self::P50,
        Self::P90,
        Self::P99,
        Self::P999,
        Self::Mean,
        Self::Max,
        Self::Rate,
        Self::Errors,
        Self::Cpu,
    ];

    /// The stable name, as in reports and flags.
    #[must_use]
    pub const fn name(self, open: bool) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Rate if open => "achieved",
            Self::Rate => "rate",
            Self::Errors => "errors",
            Self::Cpu => "cpu",
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
                "'{text}' is no metric; use p50, p90, p99, p99.9, mean, max, rate (or achieved), errors or cpu"
            )
        })
    }

    /// What it is counted in.
    #[must_use]
    pub const fn unit(self, open: bool) -> Unit {
        match self {
            Self::Rate if open => Unit::Share,
            Self::Rate => Unit::PerSecond,
            Self::Errors => Unit::Share,
            _ => Unit::Micros,
        }
    }

    /// Less of it is worse.
    #[must_use]
    pub const fn is_better_when_larger(self) -> bool {
        matches!(self, Self::Rate)
    }

    /// It is a latency, of which very short differences do not matter.
    #[must_use]
    pub const fn has_floor(self) -> bool {
        !matches!(self, Self::Rate | Self::Errors | Self::Cpu)
    }

    /// The key of a latency in a run.
    pub(super) const fn latency_key(self) -> Option<&'static str> {
        match self {
            Self::P999 => Some("p99_9"),
            Self::Rate | Self::Errors | Self::Cpu => None,
            other => Some(other.name(false)),
        }
    }

    /// The smallest relative shift for the worse that matters unless the user says otherwise; of errors in share.
    const fn usual_effect(self) -> f64 {
        match self {
            Self::P50 | Self::Mean | Self::Cpu => 0.05,
            Self::P90 | Self::P99 => 0.1,
            Self::P999 => 0.2,
            Self::Max => 0.5,
            Self::Rate => 0.03,
            Self::Errors => 0.001,
        }
    }
}

/// What the user wants to know.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are bools")]
pub struct Settings {
    /// The metrics that decide.
    pub gates: Vec<Metric>,
    /// Shifts that matter, where they are not the usual ones.
    pub effects: BTreeMap<Metric, f64>,
    /// Shifts of latencies below this many microseconds do not matter.
    pub floor_us: f64,
    /// Two single runs may be called a regression.
    pub allow_single: bool,
    /// Runs of different plans are compared all the same.
    pub other_plans: bool,
    /// Invalid and partial runs count all the same.
    pub invalid: bool,
    /// However few runs are valid, they are shown.
    pub whatever_remains: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gates: vec![Metric::P50, Metric::P99, Metric::Rate, Metric::Errors],
            effects: BTreeMap::new(),
            floor_us: 50.0,
            allow_single: false,
            other_plans: false,
            invalid: false,
            whatever_remains: false,
        }
    }
}

impl Settings {
    /// The smallest relative shift for the worse that matters; of errors in share.
    #[must_use]
    pub fn effect(&self, metric: Metric) -> f64 {
        self.effects.get(&metric).copied().unwrap_or_else(|| metric.usual_effect())
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
