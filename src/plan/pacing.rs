//! The open loop as the flags describe it: which shape, and what happens when it cannot be kept.

use super::Load;
use crate::cli::{ArrivalsArg, OnOverloadArg, RunArgs};
use crate::core::schedule::{Arrivals, Bursts, Rate, Shape, Stage, parse_stages};
use crate::core::worker::OnOverload;
use crate::time::NANOS_PER_SECOND;

/// When requests come, whatever the server does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pacing {
    /// One rate all the time; `None` with stages of its own or with bursts alone.
    pub rate: Option<Rate>,
    /// Steps and ramps as the user wrote them.
    pub stages_text: Option<String>,
    /// The measured part, piece by piece; empty with bursts alone.
    pub stages: Vec<Stage>,
    /// Bursts on top.
    pub bursts: Option<Bursts>,
    /// The spacing.
    pub arrivals: Arrivals,
    /// Most requests in flight at once.
    pub max_in_flight: u64,
    /// What happens to a request that is due and finds no connection.
    pub on_overload: OnOverload,
}

impl Pacing {
    /// The pacing that the flags ask for; `None` for a closed loop.
    ///
    /// # Errors
    /// The flag that cannot be obeyed, and the remedy.
    pub(super) fn of(
        args: &RunArgs,
        preset: Option<Vec<Stage>>,
        capacity: u64,
    ) -> Result<Option<Self>, String> {
        let stages = match (preset, args.stages.as_deref()) {
            (Some(preset), _) => preset,
            (None, Some(text)) => parse_stages(text)?,
            (None, None) => Vec::new(),
        };
        if args.rate.is_none() && stages.is_empty() && args.burst.is_none() {
            return refuse_without_schedule(args).map(|()| None);
        }
        if args.burst.is_none() && !stages.is_empty() && stages.iter().all(Stage::is_pause) {
            return Err(format!(
                "--stages '{}': every rate is 0, so nothing would be sent; give at least one stage a rate above 0, like 10s@0,10s@100",
                stages_text(&stages)
            ));
        }
        if args.arrivals.is_some() && args.rate.is_none() && stages.is_empty() {
            return Err(
                "--arrivals: bursts come at one instant; give --rate or --stages too".to_owned()
            );
        }
        let max_in_flight = match args.max_in_flight {
            Some(0) => {
                return Err("--max-in-flight 0: at least one request must be in flight".to_owned());
            }
            Some(most) if most > capacity => {
                return Err(format!(
                    "--max-in-flight {most}: the connections of -c, with -p requests on each, hold {capacity}; use a larger -c"
                ));
            }
            most => most.unwrap_or(capacity),
        };
        let on_overload = match args.on_overload {
            None | Some(OnOverloadArg::Queue) => OnOverload::Queue,
            Some(OnOverloadArg::Shed) => OnOverload::Shed,
            Some(OnOverloadArg::Abort) => OnOverload::Abort,
        };
        if let Some(burst) = args.burst
            && on_overload == OnOverload::Abort
            && burst.size > max_in_flight
        {
            return Err(format!(
                "--burst: {} requests at once are more than the {max_in_flight} that may be in flight (--max-in-flight, -c), so that --on-overload abort ends every run; use a larger -c",
                burst.size
            ));
        }
        Ok(Some(Self {
            rate: args.rate,
            stages_text: (!stages.is_empty()).then(|| stages_text(&stages)),
            stages,
            bursts: args.burst,
            arrivals: match args.arrivals {
                None | Some(ArrivalsArg::Uniform) => Arrivals::Uniform,
                Some(ArrivalsArg::Poisson) => Arrivals::Poisson,
            },
            max_in_flight,
            on_overload,
        }))
    }

    /// Length of the stages, when there are any.
    pub(super) fn stages_ns(&self) -> Option<u64> {
        let lengths = self.stages.iter().map(|stage| stage.length_ns);
        (!self.stages.is_empty()).then(|| lengths.fold(0, u64::saturating_add))
    }

    /// Whether nothing is due as the measured window starts, so that a warm-up at that rate would send nothing either.
    pub(super) fn starts_from_zero(&self) -> bool {
        match self.stages.first() {
            Some(first) => first.from.is_zero(),
            None => self.rate.is_none(),
        }
    }

    /// What is to be scheduled for `load`, whose duration is known by now.
    pub(super) fn shape(&self, load: &Load, seed: u64) -> Shape {
        let length_ns = load.duration_ns.unwrap_or(u64::MAX);
        let mut stages = self.stages.clone();
        stages.extend(self.rate.map(|rate| Stage {
            name: "measured".to_owned(),
            length_ns,
            from: rate,
            to: rate,
        }));
        Shape {
            warmup_ns: load.warmup_ns,
            stages,
            bursts: self.bursts,
            length_ns,
            requests: load.requests,
            arrivals: self.arrivals,
            seed,
        }
    }
}

/// Stages as a user would write them.
fn stages_text(stages: &[Stage]) -> String {
    let texts = stages.iter().map(|stage| {
        let length = crate::time::seconds(stage.length_ns);
        let rate = |rate: Rate| rate.to_string().trim_end_matches("/s").to_owned();
        let ramp =
            if stage.from == stage.to { String::new() } else { format!("..{}", rate(stage.to)) };
        let item = format!("{length}s@{}{ramp}", rate(stage.from));
        // What was named otherwise keeps its name.
        if stage.name.contains('@') { stage.name.clone() } else { item }
    });
    texts.collect::<Vec<_>>().join(",")
}

/// Whether the load is the same all the time, so that it can be steady.
#[must_use]
pub fn is_constant(pacing: Option<&Pacing>) -> bool {
    pacing.is_none_or(|pacing| pacing.rate.is_some() && pacing.bursts.is_none())
}

/// A count at a constant rate has a length: `requests` evenly spaced slots fill it exactly.
pub(super) fn length_of_count(pacing: &Pacing, requests: u64) -> Option<u64> {
    let rate = pacing.rate.filter(|_| pacing.arrivals == Arrivals::Uniform)?;
    if pacing.bursts.is_some() {
        return None;
    }
    rate.time_of(requests).filter(|&length_ns| length_ns < 1_000_000 * NANOS_PER_SECOND)
}

fn refuse_without_schedule(args: &RunArgs) -> Result<(), String> {
    let given = [
        ("--arrivals", args.arrivals.is_some()),
        ("--max-in-flight", args.max_in_flight.is_some()),
        ("--on-overload", args.on_overload.is_some()),
    ];
    match given.into_iter().find(|&(_, given)| given) {
        None => Ok(()),
        Some((flag, _)) => Err(format!(
            "{flag}: a closed loop has no schedule; give --rate, --stages or --burst too"
        )),
    }
}
