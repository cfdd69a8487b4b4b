//! The command line: flag definitions only, no look-ups. What the flags mean together is the plan's business.

mod ceiling;
mod compare;
mod format;
mod help;
mod network;
mod points;
mod preflight;
mod review;
mod sweep;
mod tls;

pub use ceiling::CeilingArgs;
pub use compare::{CompareArgs, CompareFlags, InconclusiveArg};
pub use format::FormatArg;
use format::one_of_formats;
pub use network::{AddressesArg, NetworkArgs, ProxyProtocolArg};
pub use preflight::PreflightArgs;
pub use review::ReviewArgs;
pub use sweep::{OrderArg, SweepArgs, SweepFlags};
pub use tls::{TlsArgs, TlsVersionArg};

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::core::schedule::{Bursts, Rate};
use crate::target::Secret;
use crate::units::{parse_cores, parse_count, parse_duration_ns};

/// Version, commit and engine, for `--version`.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("MAXQ_COMMIT"), " (io_uring)");

/// HTTP/1.1 benchmarker on io_uring: fast, and true about what it measured.
#[derive(Debug, Parser)]
#[command(
    name = "maxq",
    version = VERSION,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    help_template = help::TEMPLATE,
    after_help = help::EXAMPLES
)]
pub struct Cli {
    /// What to do; `run` when only a URL is given.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `run`.
    #[command(flatten)]
    pub run: RunTarget,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Benchmark one URL (the default command).
    Run(RunTarget),
    /// Benchmark an embedded target on a free loopback port: no server needed.
    Demo(RunArgs),
    /// Fire a spike over a base rate: peak latency, backlog, time to recover.
    #[command(after_help = help::SPIKES)]
    Spike(SpikeArgs),
    /// Find the highest rate, or number of connections, that holds the gates of --slo.
    #[command(mut_args(ceiling::hide_of_one_run))]
    Ceiling(Box<CeilingArgs>),
    /// Is it slower, or is it noise? Compares files of runs, or two URLs in turns.
    #[command(after_help = compare::EXAMPLES)]
    Compare(Box<CompareArgs>),
    /// Run at one load after the other: a table, a plot, and where it bends.
    #[command(after_help = help::SWEEPS)]
    Sweep(SweepArgs),
    /// Measure what this machine and this client can offer and resolve.
    Calibrate(CalibrateArgs),
    /// Run the embedded target by itself.
    #[command(after_help = help::PATHS)]
    Serve(ServeArgs),
}

/// A run against a URL.
#[derive(Args, Clone, Debug)]
pub struct RunTarget {
    /// What to benchmark.
    #[arg(
        value_name = "URL",
        required = true,
        help = "What to benchmark: http://[USER:PASSWORD@]HOST[:PORT]/PATH or https://..."
    )]
    pub url: Option<String>,
    /// How.
    #[command(flatten)]
    pub args: RunArgs,
}

/// A spike over a base rate.
#[derive(Args, Clone, Debug)]
pub struct SpikeArgs {
    /// Requests a second before and after the spike, like 500, 1k, 90/min; 0 for none at all.
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_rate_with_zero, help_heading = "Spike")]
    pub base: Rate,
    /// Requests a second in the spike.
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_rate, help_heading = "Spike")]
    pub peak: Rate,
    /// When the spike begins, from the start of the measured window.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "5s", help_heading = "Spike")]
    pub at: u64,
    /// How long the spike lasts.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "1s", help_heading = "Spike")]
    pub hold: u64,
    /// What to benchmark, and how; -d is the whole measured time, the spike included [default: 10s after the spike].
    #[command(flatten)]
    pub target: RunTarget,
}

/// What happens to a request that is due and finds no connection; see `--on-overload`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum OnOverloadArg {
    /// It waits, and its waiting is part of its response time.
    Queue,
    /// It is given up, counted as unsent.
    Shed,
    /// The run ends, with exit code 1.
    Abort,
}

/// The spacing of an open loop; see `--arrivals`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ArrivalsArg {
    /// Evenly spaced.
    Uniform,
    /// A Poisson process: independent users.
    Poisson,
}

/// The warm-up of `--warmup`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WarmupArg {
    /// Cut from the measured time afterwards, as long as it turns out to be.
    Auto,
    /// So many nanoseconds before the measured time.
    Fixed(u64),
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    Rate::parse(text)
}

/// A rate where nothing may be sent for a while.
fn parse_rate_with_zero(text: &str) -> Result<Rate, String> {
    Rate::parse_with_zero(text)
}

/// What must not be shown, whatever is wrong with the command line.
fn parse_secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

fn parse_bursts(text: &str) -> Result<Bursts, String> {
    Bursts::parse(text)
}

fn parse_warmup(text: &str) -> Result<WarmupArg, String> {
    if text == "auto" {
        return Ok(WarmupArg::Auto);
    }
    let fixed = parse_duration_ns(text).map(WarmupArg::Fixed);
    fixed.map_err(|error| format!("{error}; or auto, or 0 for none"))
}

/// How a worker waits; see `--idle`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum IdleArg {
    /// Spin while few requests are in flight or large bodies are discarded and the core is free, sleep otherwise.
    Auto,
    /// Always spin: lowest latency, burns the worker's core.
    Spin,
    /// Always sleep: least CPU, adds the client's wake-up to every latency.
    Sleep,
}

/// What talks to the kernel; see `--engine`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum EngineArg {
    /// io_uring where this machine has it, epoll where it does not.
    Auto,
    /// io_uring or nothing: exit code 7 where it is refused.
    Uring,
    /// epoll: works everywhere, costs more CPU, and paces by spinning.
    Portable,
}

/// The flags of a run.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are bools")]
pub struct RunArgs {
    /// Worker threads, one pinned core each, at most as many as there are cores [default: cores allowed, half of them for a target on this host].
    #[arg(short, long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, help_heading = "Load")]
    pub threads: Option<u64>,
    /// Connections in total; a remainder is dealt out, never dropped. Connections are not users: a user who is thinking needs none.
    #[arg(short, long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, default_value = "64", help_heading = "Load")]
    pub connections: u64,
    /// Measured time, like 500ms, 10s, 2m, 1m30s [default: 10s, unless -n is given].
    #[arg(short, long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, help_heading = "Load")]
    pub duration: Option<u64>,
    /// Exact number of measured requests; with -d, whichever ends first.
    #[arg(short = 'n', long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, help_heading = "Load")]
    pub requests: Option<u64>,
    /// Most requests in flight on each connection.
    #[arg(short, long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, default_value = "1", help_heading = "Load")]
    pub pipeline: u64,
    /// Time before the measured window, whose requests are listed, not counted; auto cuts it from -d afterwards [default: 1s; 0 with -n, with --burst alone, and before a first stage that starts at 0].
    #[arg(long, value_name = "T|auto", allow_hyphen_values = true, value_parser = parse_warmup, help_heading = "Load")]
    pub warmup: Option<WarmupArg>,
    /// One request a connection: sends Connection: close and reconnects after each response.
    #[arg(long, conflicts_with = "requests_per_connection", help_heading = "Load")]
    pub no_keepalive: bool,
    /// Carry out the run so many times, with seeds that follow one another, and report all of them.
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, help_heading = "Load")]
    pub repeat: Option<u64>,
    /// Time between the runs of --repeat [default: 1s].
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, help_heading = "Load")]
    pub pause: Option<u64>,
    /// Close and reopen a connection after so many requests.
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, help_heading = "Load")]
    pub requests_per_connection: Option<u64>,

    /// Open loop: this many requests a second in total, like 500, 10k, 0.5, 90/min, however slow the server is. N users send N / (think time + response time): 200 users who think for 2 s send about 100.
    #[arg(short = 'R', long, value_name = "N", allow_hyphen_values = true, value_parser = parse_rate, conflicts_with = "stages", help_heading = "Open loop")]
    pub rate: Option<Rate>,
    /// Spacing of the requests of --rate or --stages [default: uniform].
    #[arg(long, value_enum, help_heading = "Open loop")]
    pub arrivals: Option<ArrivalsArg>,
    /// Steps T@RATE, linear ramps T@RATE..RATE and pauses T@0 one after the other, like 30s@0..1k,1m@1k,10s@0,5s@20k.
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, help_heading = "Open loop")]
    pub stages: Option<String>,
    /// N requests at one instant, every T, like 100@1s; alone or on top of --rate or --stages.
    #[arg(long, value_name = "N@T", allow_hyphen_values = true, value_parser = parse_bursts, help_heading = "Open loop")]
    pub burst: Option<Bursts>,
    /// Most requests in flight at once [default: connections times pipeline].
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, help_heading = "Open loop")]
    pub max_in_flight: Option<u64>,
    /// What happens to a request that is due while no connection is free [default: queue].
    #[arg(long, value_enum, help_heading = "Open loop")]
    pub on_overload: Option<OnOverloadArg>,

    /// Request method [default: GET, POST with a body].
    #[arg(short, long, value_name = "METHOD", help_heading = "Request")]
    pub method: Option<String>,
    /// Add a header, or replace Host, User-Agent, Accept, Content-Type; repeatable. 'Connection: close' works like
    /// --no-keepalive, 'Transfer-Encoding: chunked' chunks the body.
    #[arg(short = 'H', long = "header", value_name = "K: V", help_heading = "Request")]
    pub headers: Vec<String>,
    /// Authenticate with this user and password (Basic); @FILE: the first line of FILE, so that they do not show in `ps`.
    #[arg(long, value_name = "U:P|@FILE", allow_hyphen_values = true, value_parser = parse_secret, conflicts_with = "raw", help_heading = "Request")]
    pub user: Option<Secret>,
    /// Request body: text, @FILE, or @- for standard input. JSON is sent as application/json, a=1&b=2 as a form
    /// (application/x-www-form-urlencoded), all else as application/octet-stream; -H 'Content-Type: ...' says something else.
    #[arg(
        short,
        long,
        value_name = "STR|@FILE|@-",
        allow_hyphen_values = true,
        help_heading = "Request"
    )]
    pub body: Option<String>,
    /// Send the bytes of this file as they are; - for standard input. It holds exactly one request.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "headers", "body", "no_keepalive"], help_heading = "Request")]
    pub raw: Option<PathBuf>,

    /// What counts as good: status=2xx,304 or size=BYTES or body~=TEXT; repeatable [default: status=2xx,3xx].
    #[arg(long, value_name = "CLAUSE", help_heading = "Response")]
    pub expect: Vec<String>,
    /// Read bodies instead of discarding large ones in the kernel.
    #[arg(long, help_heading = "Response")]
    pub body_check: bool,
    /// Gates on the measured window and its parts.
    #[arg(long, value_name = "CLAUSES", help = help::SLO, help_heading = "Response")]
    pub slo: Option<String>,
    /// End the run early, with exit code 1, when one of these is true of the last 10 s, like 'errors>5%, p99>2s';
    /// looked at once a second. Limits have units. pN, max, mean, errors, achieved and goodput in %. Requests that are still waiting count with
    /// their current age.
    #[arg(long, value_name = "CLAUSES", help_heading = "Response")]
    pub abort_on: Option<String>,
    /// Exit with 6 when the measurement is not valid.
    #[arg(long, help_heading = "Response")]
    pub strict: bool,

    /// Where bytes go, and how sockets are set.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// TLS.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// What happens before.
    #[command(flatten)]
    pub preflight: PreflightArgs,

    /// Longest time from the intended start of a request to its last byte; the connection is closed then.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "10s", help_heading = "Limits")]
    pub timeout: u64,
    /// Longest time to open a connection, TLS handshake included.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "5s", help_heading = "Limits")]
    pub connect_timeout: u64,
    /// After the end, how long to wait for what was due and what is in flight.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "5s", help_heading = "Limits")]
    pub drain: u64,
    /// End the run when no connection could be had for so long.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "10s", help_heading = "Limits")]
    pub give_up: u64,

    /// What talks to the kernel.
    #[arg(long, value_enum, default_value = "auto", help_heading = "Machine")]
    pub engine: EngineArg,
    /// How a worker waits for responses.
    #[arg(long, value_enum, default_value = "auto", help_heading = "Machine")]
    pub idle: IdleArg,
    /// Cores to pin workers to, like 0,2-5 [default: all allowed].
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, value_parser = parse_cores_arg, help_heading = "Machine")]
    pub cpus: Option<Cores>,
    /// Seed of everything random; printed when not given.
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "Machine")]
    pub seed: Option<u64>,

    /// Print one JSON document (schema maxq.run/1, maxq.runs/1 with --repeat) instead of text.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// How the report looks [default: text].
    #[arg(long, value_parser = one_of_formats(&["text", "json", "tsv", "csv", "markdown", "junit"]), help_heading = "Output")]
    pub format: Option<FormatArg>,
    /// Write the report to this file, replacing it when the run has ended; - for standard output.
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// What others make of the result.
    #[command(flatten)]
    pub review: ReviewArgs,
    /// Only the result, the verdict, and the two rates; nothing on standard error but errors.
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Print all that is known of the run: machine, seed, connections, every note.
    #[arg(short, long, conflicts_with = "quiet", help_heading = "Output")]
    pub verbose: bool,
    /// Print the whole latency distribution.
    #[arg(long, help_heading = "Output")]
    pub latency: bool,
    /// No live line on standard error.
    #[arg(long, help_heading = "Output")]
    pub no_progress: bool,
    /// Write the latency distribution in HdrHistogram's percentile format; - for standard output, with -o FILE.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hgrm: Option<PathBuf>,
    /// Write one JSON line a second while the run goes on; - for standard output, with -o FILE for the report.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub timeseries: Option<PathBuf>,
    /// Write an HdrHistogram interval log, one histogram a second.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hlog: Option<PathBuf>,
    /// Write every request with its times: JSON lines (FILE.jsonl or .ndjson), CSV (.csv), or rows of 96 bytes (.bin or no extension).
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub log_requests: Option<PathBuf>,
}

/// Cores to pin to; a type of its own, so that clap does not take the list for a repeated flag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cores(pub Vec<usize>);

fn parse_cores_arg(text: &str) -> Result<Cores, String> {
    parse_cores(text).map(Cores)
}

/// The flags of `calibrate`.
#[derive(Args, Clone, Debug)]
pub struct CalibrateArgs {
    /// Time of each of the two throughput runs.
    #[arg(short, long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "2s")]
    pub duration: u64,
    /// Print one JSON document (schema maxq.calibration/1) instead of text.
    #[arg(long)]
    pub json: bool,
    /// Write the result to this file; - for standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Nothing on standard error but errors.
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not keep the result for later runs to compare with.
    #[arg(long)]
    pub no_cache: bool,
}

impl RunArgs {
    /// The flags of a run as if they had been typed.
    ///
    /// # Errors
    /// What the parser says of them.
    pub fn from_flags(flags: &[&str]) -> Result<Self, String> {
        #[derive(Parser)]
        struct Typed {
            #[command(flatten)]
            args: RunArgs,
        }
        let words = std::iter::once(&"maxq").chain(flags);
        Typed::try_parse_from(words).map(|typed| typed.args).map_err(|error| one_line(&error))
    }
}

/// The flags of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Threads, one core each.
    #[arg(short, long, value_name = "N", default_value = "1")]
    pub threads: usize,
    /// Cores to pin threads to, like 0,2-5 [default: not pinned].
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, value_parser = parse_cores_arg)]
    pub cpus: Option<Cores>,
}

/// What is wrong with the command line, and what may help, in one line.
#[must_use]
pub fn one_line(error: &clap::Error) -> String {
    const HELP: &str = "see maxq --help";
    let text = error.to_string();
    if error.kind() == ErrorKind::ArgumentConflict && text.contains("subcommand") {
        return format!("give one URL, and flags after the command; {HELP}");
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return format!(
            "no URL; use maxq http://HOST[:PORT]/PATH or https://..., or try maxq demo; {HELP}"
        );
    }
    let about = |line: &&str| {
        !line.is_empty() && !line.starts_with("Usage:") && !line.starts_with("For more")
    };
    let words: Vec<&str> = text.lines().map(str::trim).filter(about).collect();
    let message = words.join(" ");
    format!("{}; {HELP}", message.strip_prefix("error: ").unwrap_or(&message))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn no_flag_of_any_command_contradicts_another_definition() {
        Cli::command().debug_assert();
    }
}
