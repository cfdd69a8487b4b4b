//! From flags to a plan: every file read, name looked up, default chosen and conflict refused, in one place.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::cores::{self, Supply, Wanted, Workers};
use super::credentials::credentials;
use super::gates::{self, Course};
use super::hash::volatile_headers;
use super::message::{Message, Serialised};
use super::pacing::{self, Pacing};
use super::proxy::Proxy;
use super::route::{self, Asking};
use super::security::security;
use super::{EngineChoice, Expect, Idle, Load, Output, Plan, Route, Timeouts};
use crate::calibration::cache;
use crate::cli::{EngineArg, FormatArg, IdleArg, RunArgs, WarmupArg};
use crate::exit::{self, Refusal};
use crate::host;
use crate::request::RequestImage;
use crate::run::Interrupts;
use crate::schedule::{Schedule, Stage, Timeline};
use crate::target::Target;
use crate::time::{NANOS_PER_SECOND, Nanos, monotonic};

const DEFAULT_DURATION_NS: u64 = 10 * NANOS_PER_SECOND;
const DEFAULT_WARMUP_NS: u64 = NANOS_PER_SECOND;
/// Slices among which the end of an automatic warm-up is looked for.
const WARMUP_SLICES: u16 = 100;
/// As many requests in flight on one connection as anybody ever asked for.
const MOST_PIPELINE: u64 = 1024;
/// Connections, ports and descriptors are counted in fewer bits than this on any machine.
const MOST_CONNECTIONS: u64 = 1_000_000;

impl Plan {
    /// Makes a plan of a run against `url`.
    ///
    /// # Errors
    /// The flag that cannot be obeyed, and the remedy.
    pub fn build(url: &str, args: &RunArgs) -> Result<Self, Refusal> {
        Self::with_stages(url, args, None)
    }

    /// The same with stages that are given already, in place of those of `args`.
    ///
    /// # Errors
    /// The flag that cannot be obeyed, and the remedy.
    pub fn with_stages(
        url: &str,
        args: &RunArgs,
        stages: Option<Vec<Stage>>,
    ) -> Result<Self, Refusal> {
        let ready_by = args.preflight.wait_ready.map(|patience_ns| monotonic().plus(patience_ns));
        let target = Target::parse(url).map_err(Refusal::usage)?;
        let security = security(&args.tls, &target).map_err(Refusal::usage)?;
        let timeouts = timeouts(args).map_err(Refusal::usage)?;
        let expect =
            Expect::parse(args.expect.iter().map(String::as_str)).map_err(Refusal::usage)?;
        let proxy = proxy(args, &target).map_err(Refusal::usage)?;
        let Serialised { image: request, method, body } = request(args, &target, proxy.as_ref())?;
        check_request(&request, &expect)?;
        let volatile_headers = volatile_headers(&args.review.volatile_headers, request.one())
            .map_err(Refusal::usage)?;
        let load = load(args, stages, &request).map_err(Refusal::usage)?;
        let request = request.for_pipeline(load.pipeline);
        let seed = args.seed.unwrap_or_else(random_seed);
        let (schedule, timeline) = course(&load, seed).map_err(Refusal::usage)?;
        let slice_ns = slice_ns(&load);
        let gated = Course { load: &load, timeline: &timeline, slice_ns };
        let (slo, abort_on) = gates::gates(args, &gated).map_err(Refusal::usage)?;
        let output = output(args)?;
        let route = find_route(&target, args, proxy.as_ref(), ready_by)?;
        let same_host = route.is_local();
        let tunnel = proxy.filter(|_| target.secure);
        let tunnel = tunnel.map(|proxy| proxy.connect_request(&target).into());
        let workers = workers(args, &load, same_host)?;
        Ok(Self {
            target,
            route,
            same_host,
            tunnel,
            ready_by,
            is_proxied: args.network.proxy.is_some(),
            security,
            request,
            method,
            volatile_headers,
            body,
            slice_ns,
            load,
            schedule,
            timeline,
            timeouts,
            expect,
            slo,
            abort_on,
            strict: args.strict,
            body_check: args.body_check,
            engine: match args.engine {
                EngineArg::Auto => EngineChoice::Auto,
                EngineArg::Uring => EngineChoice::Uring,
                EngineArg::Portable => EngineChoice::Portable,
            },
            idle: match args.idle {
                IdleArg::Auto => Idle::Auto,
                IdleArg::Spin => Idle::Spin,
                IdleArg::Sleep => Idle::Sleep,
            },
            cores: workers.cores,
            threads_asked: workers.asked,
            threads_reason: workers.reason,
            seed,
            calibration: cache::read(&host::describe()),
            output,
        })
    }
}

impl Plan {
    /// Looks for the way to the target once more: what a name stands for, and which addresses accept, may have changed,
    /// and with it on which cores the workers are to run.
    ///
    /// # Errors
    /// Why there is none.
    pub fn find_route_again(&mut self, args: &RunArgs) -> Result<(), Refusal> {
        let proxy = proxy(args, &self.target).map_err(Refusal::usage)?;
        let sources = self.route.sources.clone();
        self.route =
            Route::find(&self.target, &args.network, proxy.as_ref(), Asking::From(sources))?;
        self.same_host = self.route.is_local();
        let workers = workers(args, &self.load, self.same_host)?;
        self.cores = workers.cores;
        (self.threads_asked, self.threads_reason) = (workers.asked, workers.reason);
        Ok(())
    }
}

impl Plan {
    /// The same target asked in the same way, with the load of `args`: connections, pipeline, rate, duration, warm-up,
    /// threads and seed are theirs, everything else stays. Nothing is looked up again.
    ///
    /// # Errors
    /// The flag that cannot be obeyed, and the remedy.
    pub fn with_load(&self, args: &RunArgs) -> Result<Self, Refusal> {
        let load = load(args, None, &self.request).map_err(Refusal::usage)?;
        let seed = args.seed.unwrap_or(self.seed);
        let (schedule, timeline) = course(&load, seed).map_err(Refusal::usage)?;
        let workers = workers(args, &load, self.same_host)?;
        let request = self.request.for_pipeline(load.pipeline);
        let slice_ns = slice_ns(&load);
        let gated = Course { load: &load, timeline: &timeline, slice_ns };
        gates::check(&self.slo, &gated).map_err(Refusal::usage)?;
        Ok(Self {
            request,
            slice_ns,
            load,
            schedule,
            timeline,
            cores: workers.cores,
            threads_asked: workers.asked,
            threads_reason: workers.reason,
            seed,
            ..self.clone()
        })
    }
}

/// The proxy, if there is one.
fn proxy(args: &RunArgs, target: &Target) -> Result<Option<Proxy>, String> {
    let proxy = args.network.proxy.as_deref().map(Proxy::parse).transpose()?;
    if args.raw.is_some() && proxy.is_some() && !target.secure {
        return Err(
            "--raw contradicts --proxy for http://, which is asked in absolute form; write that into the file, and lead to the proxy with --connect-to"
                .to_owned(),
        );
    }
    Ok(proxy)
}

/// The request, as it is sent.
fn request(args: &RunArgs, target: &Target, proxy: Option<&Proxy>) -> Result<Serialised, Refusal> {
    let credentials = credentials(args.user.as_ref(), target).map_err(Refusal::usage)?;
    let message = Message {
        credentials: credentials.as_ref(),
        proxy: proxy.filter(|_| !target.secure),
        method: args.method.as_deref(),
        headers: &args.headers,
        body: args.body.as_deref(),
        raw: args.raw.as_deref(),
        close: args.no_keepalive,
    };
    message.serialise(target).map_err(Refusal::usage)
}

/// One core a worker, and why there are so many.
fn workers(args: &RunArgs, load: &Load, same_host: bool) -> Result<Workers, Refusal> {
    let wanted = Wanted {
        threads: args.threads,
        listed: args.cpus.as_ref().map(|cores| cores.0.as_slice()),
        connections: most_threads(load),
        same_host,
    };
    cores::choose(&Supply::of_this_process(), wanted).map_err(Refusal::usage)
}

/// The way to the target; one that is not there yet is looked for until `ready_by`.
fn find_route(
    target: &Target,
    args: &RunArgs,
    proxy: Option<&Proxy>,
    ready_by: Option<Nanos>,
) -> Result<Route, Refusal> {
    const AGAIN_AFTER: Duration = Duration::from_millis(50);
    let sources = route::sources(&args.network)?;
    let mut interrupts = None;
    loop {
        let asking = if args.preflight.dry_run {
            Asking::Nobody(sources.clone())
        } else {
            Asking::From(sources.clone())
        };
        let found = Route::find(target, &args.network, proxy, asking);
        match found {
            Err(Refusal { code: exit::TARGET, .. })
                if ready_by.is_some_and(|until| monotonic() < until) =>
            {
                let interrupts = match &interrupts {
                    Some(interrupts) => interrupts,
                    None => interrupts.insert(Interrupts::catch()?),
                };
                if let Some(signal) = interrupts.take() {
                    return Err(Refusal::stopped(signal, "the run began"));
                }
                thread::sleep(AGAIN_AFTER);
            }
            found => return found,
        }
    }
}

fn load(
    args: &RunArgs,
    stages: Option<Vec<Stage>>,
    request: &RequestImage,
) -> Result<Load, String> {
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
            return Err(format!("-p {p}: at most {MOST_PIPELINE} requests in flight a connection"));
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
    Ok(Load {
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

/// What is sent must fit, and be able to bring what is expected.
fn check_request(request: &RequestImage, expect: &Expect) -> Result<(), Refusal> {
    if let Some(clause) = expect.never_of_head().filter(|_| request.is_head()) {
        return Err(Refusal::usage(format!(
            "--expect {clause} contradicts -m HEAD, whose answers have no body; leave it out, or use GET"
        )));
    }
    if u32::try_from(request.length()).is_err() {
        return Err(Refusal::usage("-b, --raw: a request holds less than 4 GiB".to_owned()));
    }
    Ok(())
}

/// When requests are due, and the phases that they fall into.
fn course(load: &Load, seed: u64) -> Result<(Option<Arc<Schedule>>, Timeline), String> {
    let length_ns = load.duration_ns.unwrap_or(u64::MAX);
    let sliced = || Timeline::sliced(load.warmup_ns, length_ns, WARMUP_SLICES);
    let Some(pacing) = &load.pacing else {
        let plain = || Timeline::plain(load.warmup_ns, length_ns);
        return Ok((None, if load.auto_warmup { sliced() } else { plain() }));
    };
    let shape = pacing.shape(load, seed);
    let timeline = if load.auto_warmup { sliced() } else { Timeline::of_shape(&shape) };
    Ok((Some(Arc::new(Schedule::new(shape)?)), timeline))
}

/// Each worker needs a connection, and a place among the requests that may be in flight.
fn most_threads(load: &Load) -> u32 {
    let in_flight = load.pacing.as_ref().map_or(u64::MAX, |pacing| pacing.max_in_flight);
    u32::try_from(in_flight).map_or(load.connections, |most| most.min(load.connections))
}

/// Fine enough for some fifty slices in a run, coarse enough to cost nothing.
fn slice_ns(load: &Load) -> u64 {
    const LENGTHS_NS: [u64; 4] = [100_000_000, 50_000_000, 20_000_000, 10_000_000];
    let wanted_ns = load.duration_ns.unwrap_or(DEFAULT_DURATION_NS) / 50;
    let fitting = LENGTHS_NS.into_iter().find(|&length_ns| length_ns <= wanted_ns);
    fitting.unwrap_or(10_000_000)
}

fn timeouts(args: &RunArgs) -> Result<Timeouts, String> {
    for (flag, value_ns) in [
        ("--timeout", args.timeout),
        ("--connect-timeout", args.connect_timeout),
        ("--give-up", args.give_up),
    ] {
        if value_ns == 0 {
            return Err(format!("{flag} 0: nothing can be that fast; give a longer time"));
        }
    }
    Ok(Timeouts {
        request_ns: args.timeout,
        connect_ns: args.connect_timeout,
        drain_ns: args.drain,
        give_up_ns: args.give_up,
    })
}

impl From<&RunArgs> for Output {
    /// As the flags say, which may contradict one another.
    fn from(args: &RunArgs) -> Self {
        Self {
            json: args.json || args.format == Some(FormatArg::Json),
            tsv: args.format == Some(FormatArg::Tsv),
            csv: args.format == Some(FormatArg::Csv),
            markdown: args.format == Some(FormatArg::Markdown),
            junit: args.format == Some(FormatArg::Junit),
            file: args.output.clone(),
            quiet: args.quiet,
            latency: args.latency,
            verbose: args.verbose,
            no_progress: args.no_progress,
            hgrm: args.hgrm.clone(),
            timeseries: args.timeseries.clone(),
            hlog: args.hlog.clone(),
            log_requests: args.log_requests.clone(),
            markdown_file: args.review.markdown.clone(),
            junit_file: args.review.junit.clone(),
        }
    }
}

fn output(args: &RunArgs) -> Result<Output, Refusal> {
    if args.json && args.format.is_some_and(|format| format != FormatArg::Json) {
        return Err(Refusal::usage(
            "--json contradicts --format, which names another one; leave one of them out"
                .to_owned(),
        ));
    }
    let output = Output::from(args);
    output.check_names().and_then(|()| output.check_contradictions()).map_err(Refusal::usage)?;
    Ok(output)
}

/// The standard library seeds its hash maps from the operating system.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 11
}
