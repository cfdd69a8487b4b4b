//! The commands, each as plan, run, report.

mod calibrate;
pub mod ceiling;
pub mod compare;
mod live;
mod places;
mod repeat;
mod reports;
pub mod sweep;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::cli::{RunArgs, RunTarget, ServeArgs, SpikeArgs};
use crate::core::schedule::{Rate, Stage};
use crate::exit::{self, ExitCode, Refusal};
use crate::output::Destination;
use crate::plan::{Plan, cores};
use crate::report;
use crate::result::summary::{End, Summary};
use crate::run::preflight::warn_of_place;
use crate::run::{Bench, Interrupts, check_descriptors};
use crate::serve::{self, Server};
use crate::time::seconds;
pub use calibrate::calibrate;
pub use ceiling::ceiling;
pub use compare::compare;
use live::{LiveLine, style};
use places::Places;
use reports::{Forms, Reports, tell_of};
pub use sweep::sweep;

/// Prints help or the version: `colored` where colors are wanted, and `plain` elsewhere.
///
/// # Errors
/// Exit code 8.
pub fn answer(plain: &str, colored: &str) -> Result<ExitCode, Refusal> {
    let mut place = Destination::open("-o", Path::new("-"))?;
    place.write(if style(true).color { colored } else { plain })?;
    Ok(exit::FINISHED)
}

/// `maxq run URL`: returns the exit code of a run that came to a report.
///
/// # Errors
/// Why there is no report.
pub fn run(target: &RunTarget) -> Result<ExitCode, Refusal> {
    let url = target.url.as_deref().unwrap_or_default();
    benchmark(url, &target.args)
}

/// `maxq demo`: the same against an embedded target, which gets the cores that the workers do not use.
///
/// # Errors
/// Why there is no report.
pub fn demo(args: &RunArgs) -> Result<ExitCode, Refusal> {
    let network = &args.network;
    for (flag, given) in [
        ("--unix-socket", network.unix_socket.is_some()),
        ("--proxy", network.proxy.is_some()),
        ("--connect-to", !network.connect_to.is_empty()),
        ("--proxy-protocol", network.proxy_protocol.is_some()),
    ] {
        if given {
            return Err(Refusal::usage(format!(
                "{flag} leads away from the embedded target, which is what demo is about; leave it out, or use maxq URL"
            )));
        }
    }
    let allowed = cores::allowed();
    let threads = (allowed.len() / 2).max(1);
    let options = serve::Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        threads,
        cpus: allowed[allowed.len() - threads..].to_vec(),
    };
    // The far ends of the connections are in this process too.
    check_descriptors(args.connections.saturating_mul(2), args.connections)?;
    let server = Server::start(&options).map_err(Refusal::environment)?;
    let ended = benchmark(&format!("http://{}/", server.local_address()), args);
    server.stop();
    ended
}

/// `maxq spike`: a base rate, a higher one for a while, and the base rate again.
///
/// # Errors
/// Why there is no report.
pub fn spike(spike: &SpikeArgs) -> Result<ExitCode, Refusal> {
    const AFTER_NS: u64 = 10_000_000_000;
    let args = &spike.target.args;
    for (flag, given) in [
        ("-R", args.rate.is_some()),
        ("--stages", args.stages.is_some()),
        ("--burst", args.burst.is_some()),
        ("-n", args.requests.is_some()),
        ("--repeat", args.repeat.is_some()),
    ] {
        if given {
            return Err(Refusal::usage(format!(
                "{flag} contradicts spike, whose load is --base, --peak, --at and --hold; leave it out, or use maxq --stages"
            )));
        }
    }
    for (flag, length_ns) in [("--at", spike.at), ("--hold", spike.hold)] {
        if length_ns == 0 {
            return Err(Refusal::usage(format!("{flag} 0: it must last; give a longer time")));
        }
    }
    if spike.peak.per_second() <= spike.base.per_second() {
        return Err(Refusal::usage(format!(
            "--peak {} must be above --base {}",
            spike.peak, spike.base
        )));
    }
    let before_ns = spike.at.saturating_add(spike.hold);
    let whole_ns = args.duration.unwrap_or_else(|| before_ns.saturating_add(AFTER_NS));
    if whole_ns <= before_ns {
        return Err(Refusal::usage(format!(
            "-d {} s leaves no time after the spike, which is over at {} s; use a longer -d",
            seconds(whole_ns),
            seconds(before_ns)
        )));
    }
    let stage = |name: &str, length_ns: u64, rate: Rate| Stage {
        name: name.to_owned(),
        length_ns,
        from: rate,
        to: rate,
    };
    let stages = vec![
        stage("base", spike.at, spike.base),
        stage("spike", spike.hold, spike.peak),
        stage("recovery", whole_ns - before_ns, spike.base),
    ];
    let url = spike.target.url.as_deref().unwrap_or_default();
    reports::watched("run", &args.into(), || carry_out(Plan::with_stages(url, args, Some(stages))?))
}

/// `maxq serve`: until a signal comes.
///
/// # Errors
/// Why it cannot listen.
pub fn serve(args: &ServeArgs) -> Result<ExitCode, Refusal> {
    let allowed = cores::allowed();
    let listed = args.cpus.as_ref().map(|cores| cores.0.as_slice()).unwrap_or_default();
    if args.threads == 0 {
        return Err(Refusal::usage("-t 0: there must be at least one thread".to_owned()));
    }
    if let Some(core) = listed.iter().find(|core| !allowed.contains(core)) {
        return Err(Refusal::usage(format!(
            "--cpus: core {core} is not one that this process may use ({allowed:?})"
        )));
    }
    let options =
        serve::Options { listen: args.listen, threads: args.threads, cpus: listed.to_vec() };
    let interrupts = Interrupts::catch()?;
    let mut place = Destination::open("-o", Path::new("-"))?;
    let server = Server::start(&options).map_err(Refusal::environment)?;
    place.write(format!("listening on http://{}\n", server.local_address()))?;
    // To be stopped is what it is for.
    interrupts.wait()?;
    server.stop();
    Ok(exit::FINISHED)
}

fn benchmark(url: &str, args: &RunArgs) -> Result<ExitCode, Refusal> {
    reports::watched("run", &args.into(), || carry_out(Plan::build(url, args)?))
}

/// Runs a plan, and writes down what came of it.
fn carry_out(plan: Plan) -> Result<ExitCode, Refusal> {
    repeat::check(&plan)?;
    if plan.preflight.dry_run {
        return dry_run(&plan);
    }
    if let Some(times) = plan.repeat {
        return repeat::carry_out(plan, times);
    }
    let Places { reports, hgrm, mut streams } = Places::open(&plan)?;
    let mut bench = Bench::prepare(plan, Interrupts::catch()?)?;
    let plan = &bench.plan().clone();
    // Nothing can be refused any more.
    streams.begin()?;
    tell(plan, bench.warnings());
    let mut live = LiveLine::new(plan);
    let measured = bench.run(plan, |progress| {
        live.show(progress);
        streams.take(progress);
    });
    let mut summary = match measured {
        Ok(summary) => summary,
        Err(refusal) => {
            streams.discard();
            return Err(refusal);
        }
    };
    bench.close();
    let (written, mut refusals) = streams.finish(summary.unlogged);
    summary.note_written(written);
    refusals.extend(write(plan, &summary, (reports, hgrm)));
    if let Some(complaint) = complaint(plan, &summary) {
        eprintln!("maxq: {complaint}");
    }
    Ok(tell_of(&refusals, exit_code(plan, &summary)))
}

/// Shows the plan, and sends nothing.
fn dry_run(plan: &Plan) -> Result<ExitCode, Refusal> {
    tell(plan, &warn_of_place(plan));
    let output = &plan.output;
    if output.tsv || output.csv || output.markdown || output.junit {
        return Err(Refusal::usage(
            "--dry-run shows the plan as text, or with --json; leave --format out".to_owned(),
        ));
    }
    let mut report = Destination::open("-o", output.report())?;
    let text = if plan.output.json {
        report::plan_json(plan)
    } else {
        report::plan_text(plan, style(report.is_stdout()))
    };
    report.write(&text)?;
    report.finish()?;
    Ok(exit::FINISHED)
}

/// What the user should know before the run: of the plan, and of what was found when the run was prepared.
fn tell(plan: &Plan, warnings: &[String]) {
    tell_of_threads(plan);
    warn(plan, warnings);
}

/// That fewer threads run than `-t` asked for.
fn tell_of_threads(plan: &Plan) {
    let reason = plan.threads_asked.and(plan.threads_reason.clone());
    warn(plan, reason.as_slice());
}

fn warn(plan: &Plan, warnings: &[String]) {
    for warning in warnings.iter().filter(|_| !plan.output.quiet) {
        eprintln!("maxq: warning: {warning}");
    }
}

/// Why a run that came to a report is no success, for those who read only standard error.
fn complaint(plan: &Plan, summary: &Summary) -> Option<String> {
    let counts = summary.counts();
    match summary.end {
        End::Interrupted(_) => None,
        End::GaveUp => Some(format!(
            "{}: no connection could be had for {:.1} s (--give-up), so the run was ended early",
            plan.target,
            seconds(plan.timeouts.give_up_ns)
        )),
        End::Overloaded => Some(format!(
            "{}: a request was due and no connection was free, so the run was ended (--on-overload abort)",
            plan.target
        )),
        End::Aborted { .. } => report::condition(plan, summary).map(|condition| {
            let after_s = seconds(summary.window.measured_ns);
            format!("--abort-on: {condition} after {after_s:.1} s, so the run was ended early")
        }),
        End::Finished if counts.ok == 0 => Some(format!(
            "{}: not one of {} requests got a good response; see the status codes and errors of the report, and --expect",
            plan.target, counts.sent
        )),
        End::Finished if plan.strict && !summary.verdict.valid => {
            Some(format!("the measurement is not valid (--strict): {}", summary.verdict.sentence))
        }
        End::Finished => {
            let failed = summary.gates.iter().filter(|gate| !gate.holds);
            let texts: Vec<&str> = failed.map(|gate| gate.clause.text.as_str()).collect();
            (!texts.is_empty()).then(|| format!("--slo: {} failed", texts.join(", ")))
        }
    }
}

/// Writes what a run found, and returns why what is missing is.
fn write(
    plan: &Plan,
    summary: &Summary,
    (reports, hgrm): (Reports, Option<Destination>),
) -> Vec<Refusal> {
    let complaint = complaint(plan, summary);
    let review =
        || report::run_review(plan, summary, (exit_code(plan, summary), complaint.as_deref()));
    let forms = Forms {
        text: &|style| report::text(plan, summary, style),
        quiet: &|| report::quiet_text(plan, summary),
        json: &|| report::json(plan, summary),
        tsv: &|| report::tsv_header() + &report::tsv_row(plan, summary),
        markdown: &|| review().markdown(),
        junit: &|| review().junit(),
    };
    let mut refusals = reports.write(&plan.output, &forms);
    if let Some(mut hgrm) = hgrm {
        let written = hgrm.write(report::hgrm(&summary.latencies.response.all));
        refusals.extend(written.and_then(|()| hgrm.finish()).err());
    }
    refusals
}

fn exit_code(plan: &Plan, summary: &Summary) -> ExitCode {
    match summary.end {
        End::Interrupted(signal) => signal.exit_code(),
        End::GaveUp => exit::TARGET,
        End::Aborted { .. } | End::Overloaded => exit::GATE,
        End::Finished if summary.counts().ok == 0 => exit::TARGET,
        // What a gate says of numbers that do not hold is worth nothing.
        End::Finished if plan.strict && !summary.verdict.valid => exit::INVALID,
        End::Finished if summary.gates.iter().any(|gate| !gate.holds) => exit::GATE,
        End::Finished => exit::FINISHED,
    }
}
