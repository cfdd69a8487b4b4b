//! The load that the flags ask for, and plans that differ from another one in nothing else.
//!
//! Owned by the plan. It must not know what is sent, nor where to.

use std::sync::Arc;

use super::gates::{self, Course};
use super::pacing::{self, Pacing};
use super::{Load, Plan};
use crate::cli::{RunArgs, WarmupArg};
use crate::core::schedule::{Schedule, Stage, Timeline};
use crate::exit::Refusal;
use crate::request::RequestImage;
use crate::time::NANOS_PER_SECOND;

const DEFAULT_DURATION_NS: u64 = 10 * NANOS_PER_SECOND;
const DEFAULT_WARMUP_NS: u64 = NANOS_PER_SECOND;
/// Slices among which the end of an automatic warm-up is looked for.
const WARMUP_SLICES: u16 = 100;
/// As many requests in flight on one connection as anybody ever asked for.
const MOST_PIPELINE: u64 = 1024;
/// Connections, ports and descriptors are counted in fewer bits than this on any machine.
const MOST_CONNECTIONS: u64 = 1_000_000;

impl Plan {
    /// The load of other flags for the same request.
    ///
    /// # Errors
    /// The flag that cannot be obeyed, and the remedy.
    pub fn load_of(&self, args: &RunArgs) -> Result<Load, Refusal> {
        Load::of(args, None, &self.request).map_err(Refusal::usage)
    }

    /// The same target asked in the same way, with another load: everything else stays. Nothing is looked up again.
    ///
    /// # Errors
    /// The flag that cannot be obeyed with that load, and the remedy.
    pub fn with_load(&self, load: Load) -> Result<Self, Refusal> {
        self.remade(load, false)
    }

    /// The same for a load that need not have a connection for each thread of `-t`: it gets as many threads as it can use.
    ///
    /// # Errors
    /// The flag that cannot be obeyed with that load, and the remedy.
    pub fn with_load_for_fewer_threads(&self, load: Load) -> Result<Self, Refusal> {
        self.remade(load, true)
    }

    /// The same plan with other arrivals: what is random is drawn anew.
    ///
    /// # Errors
    /// None that this plan would not have had.
    pub fn with_seed(&self, seed: u64) -> Result<Self, Refusal> {
        let (schedule, timeline) = self.load.course(seed).map_err(Refusal::usage)?;
        Ok(Self { schedule, timeline, seed, ..self.clone() })
    }

    fn remade(&self, load: Load, fewer_threads: bool) -> Result<Self, Refusal> {
        let (schedule, timeline) = load.course(self.seed).map_err(Refusal::usage)?;
        let workers = self.asked.workers(&load, self.same_host, fewer_threads)?;
        let request = self.request.for_pipeline(load.pipeline);
        let slice_ns = load.slice_ns();
        let gated = Course { load: &load, timeline: &timeline, slice_ns };
        gates::check(&self.slo, &gated).map_err(Refusal::usage)?;
        let plan = Self { request, slice_ns, load, schedule, timeline, ..self.clone() };
        Ok(plan.on(workers))
    }
}

impl Load {
    /// The load of `args`, with `stages` in place of theirs where these are given already.
    ///
    /// # Errors
    /// The flag that cannot be obeyed, and the remedy.
    pub(super) fn of(
        args: &RunArgs,
        stages: Option<Vec<Stage>>,
        request: &RequestImage,
    ) -> Result<Self, String> {
        let connections = match args.connections {
            0 => return Err("-c 0: there must be at least one connection".to_owned()),
            c if c > MOST_CONNECTIONS => {
                return Err(format!("-c {c}: at most {MOST_CONNECTIONS} connections"));
            }
            c => u32::try_from(c).map_err(|error| error.to_string())?,
        };
        let pipeline = match args.pipeline {
            0 => return Err("-p 0: at least one request must be in flight a connection".to_owned()),
            p if p > MOST_PIPELINE => {
                return Err(format!(
                    "-p {p}: at most {MOST_PIPELINE} requests in flight a connection"
                ));
            }
            p => u32::try_from(p).map_err(|error| error.to_string())?,
        };
        if args.requests == Some(0) {
            return Err(
                "-n 0: at least one request must be sent; leave -n out to run for the time of -d"
                    .to_owned(),
            );
        }
        if args.duration == Some(0) {
            return Err("-d 0: the measured time must be longer than nothing".to_owned());
        }
        let requests_per_connection = requests_per_connection(args, request, u64::from(pipeline))?;
        let pacing = Pacing::of(args, stages, u64::from(connections) * u64::from(pipeline))?;
        let (warmup_ns, auto_warmup) = warmup(args, pacing.as_ref())?;
        Ok(Self {
            connections,
            pipeline,
            duration_ns: duration(args, pacing.as_ref())?,
            requests: args.requests,
            warmup_ns,
            auto_warmup,
            requests_per_connection,
            pacing,
        })
    }

    /// When requests are due, and the phases that they fall into.
    ///
    /// # Errors
    /// What no schedule can hold.
    pub(super) fn course(&self, seed: u64) -> Result<(Option<Arc<Schedule>>, Timeline), String> {
        let length_ns = self.duration_ns.unwrap_or(u64::MAX);
        let sliced = || Timeline::sliced(self.warmup_ns, length_ns, WARMUP_SLICES);
        let Some(pacing) = &self.pacing else {
            let plain = || Timeline::plain(self.warmup_ns, length_ns);
            return Ok((None, if self.auto_warmup { sliced() } else { plain() }));
        };
        let shape = pacing.shape(self, seed);
        let timeline = if self.auto_warmup { sliced() } else { Timeline::of_shape(&shape) };
        Ok((Some(Arc::new(Schedule::new(shape)?)), timeline))
    }

    /// Each worker needs a connection, and a place among the requests that may be in flight.
    pub(super) fn most_threads(&self) -> u32 {
        let in_flight = self.pacing.as_ref().map_or(u64::MAX, |pacing| pacing.max_in_flight);
        u32::try_from(in_flight).map_or(self.connections, |most| most.min(self.connections))
    }

    /// Fine enough for some fifty slices in a run, coarse enough to cost nothing.
    pub(super) fn slice_ns(&self) -> u64 {
        const LENGTHS_NS: [u64; 4] = [100_000_000, 50_000_000, 20_000_000, 10_000_000];
        let wanted_ns = self.duration_ns.unwrap_or(DEFAULT_DURATION_NS) / 50;
        let fitting = LENGTHS_NS.into_iter().find(|&length_ns| length_ns <= wanted_ns);
        fitting.unwrap_or(10_000_000)
    }
}

/// After how many requests a connection is closed, if that is said.
fn requests_per_connection(
    args: &RunArgs,
    request: &RequestImage,
    pipeline: u64,
) -> Result<Option<u64>, String> {
    let each = args.requests_per_connection;
    if each == Some(0) {
        return Err("--requests-per-connection 0: at least one request must go over a connection"
            .to_owned());
    }
    let closer = if args.no_keepalive {
        Some("--no-keepalive")
    } else if !request.closes() {
        None
    } else if args.raw.is_some() {
        Some("--raw, whose request asks the server to close,")
    } else {
        Some("-H 'Connection: close'")
    };
    if let (Some(closer), Some(each @ 2..)) = (closer, each) {
        return Err(format!(
            "--requests-per-connection {each} contradicts {closer}, which closes a connection after each request; leave one of them out"
        ));
    }
    let flag = closer.unwrap_or("--requests-per-connection");
    let each = if closer.is_some() { Some(1) } else { each };
    match each {
        Some(each) if each < pipeline => Err(format!(
            "-p {pipeline} contradicts {flag}: a connection is closed after {each}; use a smaller -p"
        )),
        each => Ok(each),
    }
}

/// How long the measured window is, where that is known beforehand.
fn duration(args: &RunArgs, pacing: Option<&Pacing>) -> Result<Option<u64>, String> {
    let stages_ns = pacing.and_then(Pacing::stages_ns);
    if let Some(stages_ns) = stages_ns {
        if args.requests.is_some() {
            return Err(
                "-n contradicts --stages, whose rates and lengths say how many requests there are; leave -n out"
                    .to_owned(),
            );
        }
        return match args.duration {
            Some(duration_ns) if duration_ns != stages_ns => Err(format!(
                "-d contradicts --stages, which take {} s together; leave -d out",
                crate::time::seconds(stages_ns)
            )),
            _ => Ok(Some(stages_ns)),
        };
    }
    let Some(requests) = args.requests else {
        return Ok(args.duration.or(Some(DEFAULT_DURATION_NS)));
    };
    let counted_ns = pacing.and_then(|pacing| pacing::length_of_count(pacing, requests));
    Ok(match (args.duration, counted_ns) {
        (Some(duration_ns), Some(counted_ns)) => Some(duration_ns.min(counted_ns)),
        (duration_ns, counted_ns) => duration_ns.or(counted_ns),
    })
}

/// Length of the warm-up, and whether it is to be found afterwards.
fn warmup(args: &RunArgs, pacing: Option<&Pacing>) -> Result<(u64, bool), String> {
    match args.warmup {
        Some(WarmupArg::Fixed(warmup_ns)) => Ok((warmup_ns, false)),
        Some(WarmupArg::Auto) if !pacing::is_constant(pacing) => Err(
            "--warmup auto looks for the time from which on nothing changes; with --stages or --burst give a time"
                .to_owned(),
        ),
        Some(WarmupArg::Auto) if args.requests.is_some() => {
            Err("--warmup auto cuts from the time of -d; leave -n out, or give a time".to_owned())
        }
        Some(WarmupArg::Auto) => Ok((0, true)),
        None if args.requests.is_some() => Ok((0, false)),
        // Nothing comes before the first burst, or before a ramp from 0.
        None if pacing.is_some_and(Pacing::starts_from_zero) => Ok((0, false)),
        None => Ok((DEFAULT_WARMUP_NS, false)),
    }
}
