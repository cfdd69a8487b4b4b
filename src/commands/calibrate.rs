//! `maxq calibrate`: what this machine and this client can offer and resolve, before a server is judged.
//!
//! The control plane measures the machine from a pinned thread of its own, then runs the client against the embedded
//! target as any user would. It must not be needed for anything else: a run without a calibration is only without the
//! rule that compares with it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::cli::{CalibrateArgs, RunArgs};
use crate::exit::{self, ExitCode, Refusal, Signal};
use crate::machine::host;
use crate::machine::sys;
use crate::output::Destination;
use crate::plan::{Plan, cores};
use crate::report;
use crate::result::calibration::{Calibration, cache};
use crate::result::summary::{End, Summary, work_share};
use crate::run::{Bench, Interrupts};
use crate::serve::{self, Server};
use crate::time::{monotonic, seconds};

/// Sleeps whose lateness is measured.
const SLEEPS: usize = 300;
/// How long each is meant to be.
const SLEEP: Duration = Duration::from_millis(1);
/// For how long a core is watched for being taken away, in nanoseconds.
const WATCH_NS: u64 = 1_000_000_000;
/// The share of the ceiling at which lags are measured, at most [`MOST_PACED_RPS`].
const PACED_SHARE: f64 = 0.25;
const MOST_PACED_RPS: f64 = 30_000.0;
/// From this share of its time on, the worker was the limit.
const SATURATED_SHARE: f64 = 0.95;

/// Measures, prints, keeps.
///
/// # Errors
/// What this machine refuses, or the flag that cannot be obeyed.
pub fn calibrate(args: &CalibrateArgs) -> Result<ExitCode, Refusal> {
    if args.duration == 0 {
        return Err(Refusal::usage("-d 0: nothing can be measured in no time".to_owned()));
    }
    let mut place = Destination::open("-o", args.output.as_deref().unwrap_or(Path::new("-")))?;
    let interrupts = Interrupts::catch()?;
    let allowed = cores::allowed();
    let core = allowed[0];
    let tell = |what: &str| {
        if !args.quiet {
            eprintln!("maxq: {what}");
        }
    };
    tell("measuring the clock, sleeping threads and the core: 2 s");
    let machine = thread::scope(|scope| {
        let watch = || watch_machine(core, &interrupts);
        let watching = thread::Builder::new().spawn_scoped(scope, watch)?;
        Ok(watching.join().expect("a thread that panics aborts the process"))
    })
    .map_err(|error: io::Error| {
        Refusal::environment(format!("a thread cannot be started: {error}; raise ulimit -u or -v"))
    })?;
    if let Some(signal) = interrupts.take() {
        return Err(stopped(signal));
    }
    let server = Server::start(&serve::Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        threads: 1,
        cpus: vec![*allowed.last().unwrap_or(&core)],
    })
    .map_err(Refusal::environment)?;
    let measured = measure_client(args, &server, core, &interrupts, tell);
    server.stop();
    let (ceiling, paced) = measured?;
    let calibration = put_together(machine, &ceiling, &paced);
    let host = host::describe();
    let shared_core = allowed.len() == 1;
    let text = if args.json {
        report::calibration_json(&calibration, &host)
    } else {
        report::calibration_text(&calibration, &host, shared_core)
    };
    place.write(&text)?;
    place.finish()?;
    if !args.no_cache {
        match cache::write(&host, &calibration) {
            Ok(path) => tell(&format!("kept in {}; later runs compare with it", path.display())),
            Err(error) => tell(&format!("not kept for later runs: {error}")),
        }
    }
    Ok(exit::FINISHED)
}

/// What a core and the clock are like.
#[derive(Clone, Copy, Debug)]
struct Machine {
    clock_read_ns: u64,
    wake_p50_ns: u64,
    wake_p99_ns: u64,
    hiccup_ns: u64,
}

/// Half of a calibration is none.
fn stopped(signal: Signal) -> Refusal {
    Refusal::stopped(signal, "all was measured; nothing was kept")
}

/// Watches both for a while; a signal ends it early, and then the figures mean nothing.
fn watch_machine(core: usize, interrupts: &Interrupts) -> Machine {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
    sys::sharpen_timers();
    let mut late: Vec<u64> = (0..SLEEPS)
        .take_while(|_| !interrupts.is_pending())
        .map(|_| {
            let begun = monotonic();
            thread::sleep(SLEEP);
            let slept_ns = monotonic().since(begun);
            slept_ns.saturating_sub(u64::try_from(SLEEP.as_nanos()).unwrap_or(0))
        })
        .collect();
    late.sort_unstable();
    let begun = monotonic();
    let (mut last, mut hiccup_ns, mut looks) = (begun, 0, 0_u64);
    while last.since(begun) < WATCH_NS && !interrupts.is_pending() {
        let now = monotonic();
        hiccup_ns = hiccup_ns.max(now.since(last));
        last = now;
        looks += 1;
    }
    Machine {
        clock_read_ns: last.since(begun) / looks.max(1),
        wake_p50_ns: late.get(late.len() / 2).copied().unwrap_or(0),
        wake_p99_ns: late.get(late.len() * 99 / 100).copied().unwrap_or(0),
        hiccup_ns,
    }
}

/// A closed loop, then a steady rate well below what it reached.
fn measure_client(
    args: &CalibrateArgs,
    server: &Server,
    core: usize,
    interrupts: &Interrupts,
    tell: impl Fn(&str),
) -> Result<(Summary, Summary), Refusal> {
    let url = format!("http://{}/", server.local_address());
    let length = format!("{}ns", args.duration);
    let core = core.to_string();
    let measure = |more: &[&str]| {
        let flags =
            [&["--no-preflight", "--cpus", &core, "-t", "1", "-c", "64", "-d", &length][..], more]
                .concat();
        let run_args = RunArgs::from_flags(&flags).map_err(Refusal::usage)?;
        let plan = Plan::build(&url, &run_args)?;
        let summary = Bench::prepare(plan.clone(), interrupts.clone())?.run(&plan, |_| {})?;
        match summary.end {
            End::Interrupted(signal) => Err(stopped(signal)),
            _ => Ok(summary),
        }
    };
    let shown = seconds(args.duration);
    tell(&format!("a closed loop against an empty server: {shown} s"));
    let ceiling = measure(&[])?;
    let rate = (ceiling.rates().achieved_rps * PACED_SHARE).clamp(1.0, MOST_PACED_RPS).floor();
    tell(&format!("a steady rate of {rate} requests a second: {shown} s"));
    Ok((ceiling, measure(&["-R", &rate.to_string()])?))
}

fn put_together(machine: Machine, ceiling: &Summary, paced: &Summary) -> Calibration {
    let busiest = ceiling.client.workers.iter().map(work_share).fold(0.0, f64::max);
    let lag = |quantile: f64| {
        let lags = paced.latencies.lags.as_ref();
        lags.and_then(|lags| lags.send.all.quantile_ns(quantile)).unwrap_or(0)
    };
    Calibration {
        ceiling_rps: ceiling.rates().achieved_rps,
        client_limited: busiest >= SATURATED_SHARE,
        clock_read_ns: machine.clock_read_ns,
        wake_p50_ns: machine.wake_p50_ns,
        wake_p99_ns: machine.wake_p99_ns,
        hiccup_ns: machine.hiccup_ns,
        cpu_ns_per_request: ceiling.cpu_ns_per_response().unwrap_or(0.0),
        service_p50_ns: ceiling.latencies.service.all.quantile_ns(0.5).unwrap_or(0),
        stamp_skew_ns: paced.client.together().stamp_skew_ns,
        send_lag_p50_ns: lag(0.5),
        send_lag_p99_ns: lag(0.99),
        paced_rps: paced.rates().offered_rps,
    }
}
