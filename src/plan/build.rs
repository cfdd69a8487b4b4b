//! From flags to a plan: every file read, name looked up, default chosen and conflict refused, in one place.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use super::asked::Asked;
use super::credentials::credentials;
use super::gates::{self, Course};
use super::hash::volatile_headers;
use super::message::{Message, Serialised};
use super::proxy::Proxy;
use super::security::security;
use super::{EngineChoice, Idle, Load, Output, Plan, Preflight, expect};
use crate::cli::{EngineArg, FormatArg, IdleArg, RunArgs};
use crate::core::schedule::Stage;
use crate::core::worker::{Expect, Timeouts};
use crate::exit::Refusal;
use crate::machine::host;
use crate::request::RequestImage;
use crate::result::calibration::cache;
use crate::target::Target;
use crate::time::monotonic;

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
        let preflight = preflight(args);
        let target = Target::parse(url).map_err(Refusal::usage)?;
        let security = security(&args.tls, &target).map_err(Refusal::usage)?;
        let timeouts = timeouts(args).map_err(Refusal::usage)?;
        let expect =
            expect::parse(args.expect.iter().map(String::as_str)).map_err(Refusal::usage)?;
        let asked = Asked::of(args, &target).map_err(Refusal::usage)?;
        let proxy = asked.proxy.as_ref();
        let Serialised { image: request, method, body } = request(args, &target, proxy)?;
        check_request(&request, &expect)?;
        let volatile_headers = volatile_headers(&args.review.volatile_headers, request.one())
            .map_err(Refusal::usage)?;
        let load = Load::of(args, stages, &request).map_err(Refusal::usage)?;
        let request = request.for_pipeline(load.pipeline);
        let seed = args.seed.unwrap_or_else(random_seed);
        let (schedule, timeline) = load.course(seed).map_err(Refusal::usage)?;
        let slice_ns = load.slice_ns();
        let gated = Course { load: &load, timeline: &timeline, slice_ns };
        let (slo, abort_on) = gates::gates(args, &gated).map_err(Refusal::usage)?;
        let output = output(args)?;
        let route = asked.route(&target, &preflight)?;
        let same_host = route.is_local();
        let tunnel = proxy.filter(|_| target.secure);
        let tunnel = tunnel.map(|proxy| proxy.connect_request(&target).into());
        let workers = asked.workers(&load, same_host, false)?;
        Ok(Self {
            target,
            route,
            same_host,
            tunnel,
            preflight,
            is_proxied: asked.proxy.is_some(),
            asked: Arc::new(asked),
            repeat: args.repeat,
            pause_ns: args.pause,
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

/// What happens before the clock.
fn preflight(args: &RunArgs) -> Preflight {
    let args = &args.preflight;
    Preflight {
        dry_run: args.dry_run,
        skipped: args.no_preflight,
        wait_ready_ns: args.wait_ready,
        ready_by: args.wait_ready.map(|patience_ns| monotonic().plus(patience_ns)),
        allow_public: args.allow_public,
    }
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

impl Output {
    /// Refuses two formats for one report.
    ///
    /// # Errors
    /// The flags that contradict each other.
    pub fn check_format(args: &RunArgs) -> Result<(), Refusal> {
        match args.format {
            Some(format) if args.json && format != FormatArg::Json => Err(Refusal::usage(
                "--json contradicts --format, which names another one; leave one of them out"
                    .to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

fn output(args: &RunArgs) -> Result<Output, Refusal> {
    Output::check_format(args)?;
    let output = Output::from(args);
    output.check_names().and_then(|()| output.check_contradictions()).map_err(Refusal::usage)?;
    Ok(output)
}

/// The standard library seeds its hash maps from the operating system.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 11
}
