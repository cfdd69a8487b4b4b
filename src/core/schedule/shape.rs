//! What is to be scheduled: stages one after the other, bursts on top.

use super::rate::Rate;
use crate::units::{parse_count, parse_duration_ns};

/// Phases of a run stay few enough to be read.
const MOST_STAGES: usize = 254;

/// How arrivals are spaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrivals {
    /// Evenly.
    Uniform,
    /// As a Poisson process: independent users.
    Poisson,
}

impl Arrivals {
    /// The word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Poisson => "poisson",
        }
    }
}

/// One piece of the load over time: a constant rate when both are the same, a linear ramp otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stage {
    /// What the report calls it.
    pub name: String,
    /// How long it lasts, in nanoseconds; `u64::MAX` has no end.
    pub length_ns: u64,
    /// The rate at its start.
    pub from: Rate,
    /// The rate at its end.
    pub to: Rate,
}

impl Stage {
    /// Whether nothing is sent in it.
    #[must_use]
    pub fn is_pause(&self) -> bool {
        self.from.is_zero() && self.to.is_zero()
    }
}

/// Reads stages: `30s@0..1k,5s@50k,10s@50k..1k,10s@0`.
///
/// # Errors
/// The item that makes no sense, and how it should look.
pub fn parse_stages(text: &str) -> Result<Vec<Stage>, String> {
    const EXAMPLE: &str =
        "use T@RATE for a step, T@RATE..RATE for a ramp and T@0 for a pause, like 30s@0..1k,10s@1k";
    let stages: Vec<Stage> = text
        .split(',')
        .map(|item| {
            let item = item.trim();
            let refuse = |why: String| format!("--stages '{item}': {why}; {EXAMPLE}");
            let (length, rates) = match item.split_once('@') {
                Some((length, rates)) if !rates.is_empty() => (length, rates),
                _ => return Err(refuse("a stage needs a rate".to_owned())),
            };
            let length_ns = parse_duration_ns(length).map_err(refuse)?;
            if length_ns == 0 {
                return Err(refuse("a stage must last".to_owned()));
            }
            let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
            let rate = |text: &str| Rate::parse_with_zero(text).map_err(refuse);
            let stage =
                Stage { name: item.to_owned(), length_ns, from: rate(from)?, to: rate(to)? };
            if stage.is_pause() && rates.contains("..") {
                let why = "a ramp from 0 to 0 sends nothing; write {T}@0 for a pause";
                return Err(refuse(why.replace("{T}", length)));
            }
            Ok(stage)
        })
        .collect::<Result<_, String>>()?;
    if stages.len() > MOST_STAGES {
        return Err(format!(
            "--stages: {} stages are more than the {MOST_STAGES} that a run has room for; use ramps",
            stages.len()
        ));
    }
    Ok(stages)
}

/// Requests at one instant, again and again; the first ones when the measured window starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bursts {
    /// Requests in each.
    pub size: u64,
    /// From one to the next, in nanoseconds.
    pub every_ns: u64,
}

impl Bursts {
    /// Reads bursts: `100@1s`.
    ///
    /// # Errors
    /// What is wrong and how it should look.
    pub fn parse(text: &str) -> Result<Self, String> {
        const EXAMPLE: &str = "use N@T, like 100@1s for 100 requests at once every second";
        let refuse = |why: String| format!("'{text}': {why}; {EXAMPLE}");
        let (size, every) =
            text.split_once('@').ok_or_else(|| refuse("it is no burst".to_owned()))?;
        let bursts = Self {
            size: parse_count(size).map_err(refuse)?,
            every_ns: parse_duration_ns(every).map_err(refuse)?,
        };
        match (bursts.size, bursts.every_ns) {
            (0, _) => Err(refuse("a burst holds at least one request".to_owned())),
            (_, 0) => Err(refuse("there must be time between two bursts".to_owned())),
            // Ten million requests a second, as for rates.
            (size, every_ns) if u128::from(size) * 100 > u128::from(every_ns) => {
                Err(refuse("that is more than any machine sends".to_owned()))
            }
            _ => Ok(bursts),
        }
    }
}

/// All that makes a schedule.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Length of the warm-up, in nanoseconds, at the rate at which the first stage starts.
    pub warmup_ns: u64,
    /// The measured part, piece by piece; empty when there are only bursts.
    pub stages: Vec<Stage>,
    /// On top of the stages.
    pub bursts: Option<Bursts>,
    /// Length of the measured part, in nanoseconds; `u64::MAX` has no end.
    pub length_ns: u64,
    /// Most measured requests over all workers.
    pub requests: Option<u64>,
    /// How the stages' arrivals are spaced.
    pub arrivals: Arrivals,
    /// Seed of random arrivals.
    pub seed: u64,
}
