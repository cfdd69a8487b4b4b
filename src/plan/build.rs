//! From flags to a plan: every file read, name looked up, default chosen and conflict refused, in one place.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::message::Message;
use super::{Expect, Idle, Load, Output, Plan, Timeouts, cores};
use crate::cli::{IdleArg, RunArgs};
use crate::exit::Refusal;
use crate::target::Target;
use crate::time::NANOS_PER_SECOND;

const DEFAULT_DURATION_NS: u64 = 10 * NANOS_PER_SECOND;
const DEFAULT_WARMUP_NS: u64 = NANOS_PER_SECOND;
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
        let target = Target::parse(url).map_err(Refusal::usage)?;
        let load = load(args).map_err(Refusal::usage)?;
        let timeouts = timeouts(args).map_err(Refusal::usage)?;
        let expect =
            Expect::parse(args.expect.iter().map(String::as_str)).map_err(Refusal::usage)?;
        let message = Message {
            method: args.method.as_deref(),
            headers: &args.headers,
            body: args.body.as_deref(),
            raw: args.raw.as_deref(),
            close: args.no_keepalive,
            pipeline: load.pipeline,
        };
        let (request, method) = message.serialise(&target).map_err(Refusal::usage)?;
        if u32::try_from(request.length()).is_err() {
            return Err(Refusal::usage("-b, --raw: a request holds less than 4 GiB".to_owned()));
        }
        let address = resolve(&target)?;
        let same_host = cores::is_this_host(address.ip());
        let listed = args.cpus.as_ref().map(|cores| cores.0.as_slice());
        let (cores, threads_reason) =
            cores::choose(args.threads, listed, load.connections, same_host)
                .map_err(Refusal::usage)?;
        Ok(Self {
            target,
            address,
            same_host,
            request,
            method,
            load,
            timeouts,
            expect,
            body_check: args.body_check,
            idle: match args.idle {
                IdleArg::Auto => Idle::Auto,
                IdleArg::Spin => Idle::Spin,
                IdleArg::Sleep => Idle::Sleep,
            },
            cores,
            threads_reason,
            seed: args.seed.unwrap_or_else(random_seed),
            output: output(args)?,
        })
    }
}

fn load(args: &RunArgs) -> Result<Load, String> {
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
    if args.requests_per_connection == Some(0) {
        return Err("--requests-per-connection 0: at least one request must go over a connection"
            .to_owned());
    }
    let requests_per_connection =
        if args.no_keepalive { Some(1) } else { args.requests_per_connection };
    if let Some(each) = requests_per_connection
        && each < u64::from(pipeline)
    {
        let flag = if args.no_keepalive { "--no-keepalive" } else { "--requests-per-connection" };
        return Err(format!(
            "-p {pipeline} contradicts {flag}: a connection is closed after {each}; use a smaller -p"
        ));
    }
    let counted = args.requests.is_some();
    Ok(Load {
        connections,
        pipeline,
        duration_ns: args.duration.or((!counted).then_some(DEFAULT_DURATION_NS)),
        requests: args.requests,
        warmup_ns: args.warmup.unwrap_or(if counted { 0 } else { DEFAULT_WARMUP_NS }),
        requests_per_connection,
    })
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

fn output(args: &RunArgs) -> Result<Output, Refusal> {
    let output = Output {
        json: args.json,
        file: args.output.clone(),
        quiet: args.quiet,
        latency: args.latency,
        no_progress: args.no_progress,
        hgrm: args.hgrm.clone(),
        timeseries: args.timeseries.clone(),
    };
    output.check_contradictions().map_err(Refusal::usage)?;
    Ok(output)
}

/// Looks the host up once. Where it has several addresses, the first that accepts a connection is taken, as people
/// expect of `localhost`; where none does, the first.
fn resolve(target: &Target) -> Result<SocketAddr, Refusal> {
    const PROBE: Duration = Duration::from_secs(1);
    let addresses: Vec<SocketAddr> = (target.host.as_str(), target.port)
        .to_socket_addrs()
        .map_err(|error| {
            Refusal::target(format!(
                "URL '{target}': host '{}' does not resolve ({error}); check its spelling",
                target.host
            ))
        })?
        .collect();
    let Some(&first) = addresses.first() else {
        return Err(Refusal::target(format!(
            "URL '{target}': host '{}' has no address",
            target.host
        )));
    };
    if addresses.len() == 1 {
        return Ok(first);
    }
    let accepts = |address: &&SocketAddr| TcpStream::connect_timeout(address, PROBE).is_ok();
    Ok(addresses.iter().find(accepts).copied().unwrap_or(first))
}

/// The standard library seeds its hash maps from the operating system.
fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish() >> 11
}
