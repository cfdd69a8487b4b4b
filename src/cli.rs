//! The command line: flag definitions only, no look-ups. What the flags mean together is the plan's business.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

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
    after_help = "Examples:\n  \
        maxq demo                                   try it, no server needed\n  \
        maxq http://127.0.0.1:8080/                 64 connections, 10 seconds\n  \
        maxq -c 256 -d 30s -p 16 http://host/       256 connections, 16 requests in flight on each\n  \
        maxq -n 100k --json -o run.json http://host/   exactly 100,000 requests, result as JSON\n\n\
        Exit codes: 0 finished, 2 wrong usage, 5 target unusable, 7 machine refuses (no io_uring, descriptors),\n\
        8 results not written, 130 or 143 interrupted with a partial report."
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
    /// Run the embedded target by itself.
    Serve(ServeArgs),
}

/// A run against a URL.
#[derive(Args, Clone, Debug)]
pub struct RunTarget {
    /// What to benchmark.
    #[arg(
        value_name = "URL",
        required = true,
        help = "What to benchmark: http://HOST[:PORT]/PATH"
    )]
    pub url: Option<String>,
    /// How.
    #[command(flatten)]
    pub args: RunArgs,
}

/// How a worker waits; see `--idle`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum IdleArg {
    /// Spin while few requests are in flight and the core is free, sleep otherwise.
    Auto,
    /// Always spin: lowest latency, burns the worker's core.
    Spin,
    /// Always sleep: least CPU, adds the client's wake-up to every latency.
    Sleep,
}

/// The flags of a run.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are bools")]
pub struct RunArgs {
    /// Worker threads, one pinned core each [default: cores allowed, half of them for a target on this host].
    #[arg(short, long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, help_heading = "Load")]
    pub threads: Option<u64>,
    /// Connections in total; a remainder is dealt out, never dropped.
    #[arg(short, long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, default_value = "64", help_heading = "Load")]
    pub connections: u64,
    /// Measured time, like 500ms, 10s, 2m [default: 10s, unless -n is given].
    #[arg(short, long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, help_heading = "Load")]
    pub duration: Option<u64>,
    /// Exact number of measured requests; with -d, whichever ends first.
    #[arg(short = 'n', long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, help_heading = "Load")]
    pub requests: Option<u64>,
    /// Requests in flight on each connection.
    #[arg(short, long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, default_value = "1", help_heading = "Load")]
    pub pipeline: u64,
    /// Time before the measured window; its requests are listed, not counted [default: 1s, 0 with -n].
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, help_heading = "Load")]
    pub warmup: Option<u64>,
    /// One request a connection: sends Connection: close and reconnects after each response.
    #[arg(long, conflicts_with = "requests_per_connection", help_heading = "Load")]
    pub no_keepalive: bool,
    /// Close and reopen a connection after so many requests.
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, help_heading = "Load")]
    pub requests_per_connection: Option<u64>,

    /// Request method [default: GET, POST with a body].
    #[arg(short, long, value_name = "METHOD", help_heading = "Request")]
    pub method: Option<String>,
    /// Add a header, or replace Host, User-Agent, Content-Type; repeatable.
    #[arg(short = 'H', long = "header", value_name = "K: V", help_heading = "Request")]
    pub headers: Vec<String>,
    /// Request body: text, @FILE, or @- for standard input.
    #[arg(
        short,
        long,
        value_name = "STR|@FILE|@-",
        allow_hyphen_values = true,
        help_heading = "Request"
    )]
    pub body: Option<String>,
    /// Send the bytes of this file as they are; - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "headers", "body", "no_keepalive"], help_heading = "Request")]
    pub raw: Option<PathBuf>,

    /// What counts as good: status=2xx,304 or size=BYTES or body~=TEXT; repeatable [default: status=2xx,3xx].
    #[arg(long, value_name = "CLAUSE", help_heading = "Response")]
    pub expect: Vec<String>,
    /// Read bodies instead of discarding large ones in the kernel.
    #[arg(long, help_heading = "Response")]
    pub body_check: bool,

    /// Longest time from the start of a request to its last byte; the connection is closed then.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "10s", help_heading = "Limits")]
    pub timeout: u64,
    /// Longest time to open a connection.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "5s", help_heading = "Limits")]
    pub connect_timeout: u64,
    /// After the end, how long to wait for what is in flight.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "5s", help_heading = "Limits")]
    pub drain: u64,
    /// End the run when no connection could be had for so long.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, default_value = "10s", help_heading = "Limits")]
    pub give_up: u64,

    /// How a worker waits for responses.
    #[arg(long, value_enum, default_value = "auto", help_heading = "Machine")]
    pub idle: IdleArg,
    /// Cores to pin workers to, like 0,2-5 [default: all allowed].
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, value_parser = parse_cores_arg, help_heading = "Machine")]
    pub cpus: Option<Cores>,
    /// Seed of everything random; printed when not given.
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "Machine")]
    pub seed: Option<u64>,

    /// Print one JSON document (schema maxq.run/1) instead of text.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Write the report to this file, replacing it when the run has ended; - for standard output.
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Only the verdict and the two rates; nothing on standard error but errors.
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Print the whole latency distribution.
    #[arg(long, help_heading = "Output")]
    pub latency: bool,
    /// No live line on standard error.
    #[arg(long, help_heading = "Output")]
    pub no_progress: bool,
    /// Write the latency distribution in HdrHistogram's percentile format.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub hgrm: Option<PathBuf>,
    /// Write one JSON line a second while the run goes on; - for standard output.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub timeseries: Option<PathBuf>,
}

/// Cores to pin to; a type of its own, so that clap does not take the list for a repeated flag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cores(pub Vec<usize>);

fn parse_cores_arg(text: &str) -> Result<Cores, String> {
    parse_cores(text).map(Cores)
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
        return format!("no URL; use maxq http://HOST[:PORT]/PATH, or try maxq demo; {HELP}");
    }
    let about = |line: &&str| {
        !line.is_empty() && !line.starts_with("Usage:") && !line.starts_with("For more")
    };
    let words: Vec<&str> = text.lines().map(str::trim).filter(about).collect();
    let message = words.join(" ");
    format!("{}; {HELP}", message.strip_prefix("error: ").unwrap_or(&message))
}
