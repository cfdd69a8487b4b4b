//! What the user wants to know of two sides of runs: which metrics decide, and from which size on a shift matters.

use std::collections::BTreeSet;

use super::Kind;
use crate::slo::Metric;
use crate::units::parse_duration_ns;

/// What the user wants to know.
#[derive(Clone, Debug)]
pub struct Criteria {
    /// The metrics that decide.
    pub gates: Vec<Metric>,
    /// Shifts that matter, where they are not the usual ones.
    pub effects: Vec<(Metric, f64)>,
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

impl Default for Criteria {
    fn default() -> Self {
        Self {
            gates: Metric::COMPARED.into_iter().filter(|metric| metric.decides_usually()).collect(),
            effects: Vec::new(),
            floor_us: 50.0,
            allow_single: false,
            allowed: BTreeSet::new(),
            invalid: false,
            whatever_remains: false,
        }
    }
}

impl Criteria {
    /// The smallest relative shift for the worse that matters; of shares of requests the difference.
    #[must_use]
    pub fn effect(&self, metric: Metric) -> f64 {
        self.given(metric).unwrap_or_else(|| metric.usual_effect())
    }

    /// The shift that a pass excludes at least, in the same units. It is more than the effect where the user did not say
    /// which effect matters: a small sample cannot exclude that, and would never pass.
    #[must_use]
    pub fn tolerated(&self, metric: Metric) -> f64 {
        self.given(metric).unwrap_or_else(|| metric.usual_effect() * metric.usual_tolerance())
    }

    /// The shift that matters by the user's word, the last one of several.
    fn given(&self, metric: Metric) -> Option<f64> {
        let given = self.effects.iter().rfind(|(of, _)| *of == metric);
        given.map(|&(_, effect)| effect)
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
            let metric = Metric::compared(name.trim()).map_err(refuse)?;
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
            let metric = Metric::compared(name.trim()).map_err(refuse)?;
            let percent = value.trim().strip_suffix('%').map(str::trim).map(str::parse::<f64>);
            let most = if metric.is_better_when_larger() { 99.0 } else { 1000.0 };
            match percent {
                Some(Ok(percent)) if percent > 0.0 && percent <= most => {
                    self.effects.push((metric, percent / 100.0));
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
        let is_idle =
            |metric: &Metric| self.given(*metric).is_some() && !self.gates.contains(metric);
        Metric::COMPARED.into_iter().find(is_idle).map_or(Ok(()), |metric| {
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
