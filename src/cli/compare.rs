//! The flags of `compare`: its own, and those of a run where it measures itself.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, ValueEnum};

use super::RunArgs;
use crate::units::parse_count;

/// Shown below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  maxq http://host/ --repeat 5 --json -o base.json    before the change
  maxq http://host/ --repeat 5 --json -o new.json     after it
  maxq compare base.json new.json
  maxq compare --urls http://host:8001/ http://host:8002/ -R 1k --markdown review.md --junit compare.xml

The unit is the run: with the usual gates five a side, or five pairs, are the fewest that can show a regression; ten pairs
find 10 % in usual noise. Runs too short or too noisy to exclude a shift that matters pass if they exclude three times as much (of
shares of requests ten times), which the report says; --effect insists.

Runs that were not made the same way are refused, with the flag that allows what differs. Where the target is does not
belong to the plan, nor do the values of Authorization, Cookie, and Proxy-Authorization headers.

Exit codes: 0 nothing gated is slower by as much as matters, 3 something is, 4 inconclusive (0 with --inconclusive pass,
unless a new run got no good response at all), 2 files that cannot be compared, 5 a target of --urls is of no use,
6 too few valid runs.";

/// What becomes of the exit code when nothing can be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum InconclusiveArg {
    /// It is 4.
    Fail,
    /// It is 0.
    Pass,
}

/// The flags of `compare` that are its own.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are bools")]
pub struct CompareFlags {
    /// Files of runs, the old and the new: maxq.run/1, maxq.runs/1, or a folder of such files.
    #[arg(value_name = "BASE NEW", num_args = 0..=2, conflicts_with_all = ["base", "new", "urls"])]
    pub files: Vec<PathBuf>,
    /// Files of base runs.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "new", help_heading = "Compare")]
    pub base: Vec<PathBuf>,
    /// Files of new runs.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "base", help_heading = "Compare")]
    pub new: Vec<PathBuf>,
    /// Measure two URLs in turns, the base one and the new one, with the flags of a run; -d is 3s then unless given.
    #[arg(long, value_names = ["BASE", "NEW"], num_args = 2, conflicts_with_all = ["base", "new"], help_heading = "Compare")]
    pub urls: Vec<String>,
    /// Pairs of runs of --urls [default: 10].
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = parse_count, help_heading = "Compare")]
    pub pairs: Option<u64>,
    /// Metrics that decide, of p50, p90, p95, p99, p99.9, mean, max, rate, errors, timeouts, unsent, cpu (the client's, per request).
    #[arg(
        long,
        value_name = "LIST",
        default_value = "p50,p95,p99,rate,errors",
        help_heading = "Compare"
    )]
    pub gate: String,
    /// The smallest shift that matters, like p99=5%; repeatable [default: p50, mean 5%, p90, p95, p99 10%, p99.9, cpu 20%, max 50%, rate 3%, errors, timeouts, unsent 0.1% of all requests; more for samples that cannot show as little].
    #[arg(long, value_name = "METRIC=N%", help_heading = "Compare")]
    pub effect: Vec<String>,
    /// Shifts of latencies below this never matter.
    #[arg(long, value_name = "T", default_value = "50us", help_heading = "Compare")]
    pub floor: String,
    /// Let one run each be a regression, though the noise between runs is unknown.
    #[arg(long, help_heading = "Compare")]
    pub allow_single: bool,
    /// Compare runs against different targets: scheme, host, and port.
    #[arg(long, help_heading = "Compare")]
    pub other_target: bool,
    /// Compare runs of different loads: connections, rate, duration, timeouts.
    #[arg(long, help_heading = "Compare")]
    pub other_load: bool,
    /// Compare runs of different requests: path, headers, body, --expect, TLS.
    #[arg(long, help_heading = "Compare")]
    pub other_request: bool,
    /// Compare runs of a different engine, number of threads, or --idle.
    #[arg(long, help_heading = "Compare")]
    pub other_client: bool,
    /// Compare runs that were made on different machines: CPU, cores, CPU quota.
    #[arg(long, help_heading = "Compare")]
    pub other_host: bool,
    /// All of --other-target, --other-load, and --other-request.
    #[arg(long, help_heading = "Compare")]
    pub other_plans: bool,
    /// Let runs count that are not valid, or partial; of --urls none is measured again then.
    #[arg(long, help_heading = "Compare")]
    pub invalid: bool,
    /// All of the flags that begin with --other, and --invalid.
    #[arg(long, help_heading = "Compare")]
    pub force: bool,
    /// What the exit code says when nothing can be told.
    #[arg(long, value_enum, default_value = "fail", help_heading = "Compare")]
    pub inconclusive: InconclusiveArg,
}

/// The flags of `compare`.
#[derive(Clone, Debug)]
pub struct CompareArgs {
    /// Its own.
    pub flags: CompareFlags,
    /// Those of a run.
    pub run: RunArgs,
    /// The flags of a run that were given and mean nothing but with `--urls`, as they are typed.
    pub of_measuring: Vec<String>,
}

/// Flags of a run that are refused, and so not shown.
const MEAN_NOTHING: [&str; 11] = [
    "latency",
    "verbose",
    "hgrm",
    "timeseries",
    "hlog",
    "log_requests",
    "repeat",
    "dry_run",
    "slo",
    "strict",
    "abort_on",
];

/// Flags of a run that mean something for files, too.
const FOR_FILES: [&str; 6] = ["json", "format", "output", "quiet", "markdown", "junit"];

impl Args for CompareArgs {
    fn augment_args(command: Command) -> Command {
        let command = RunArgs::augment_args(CompareFlags::augment_args(command));
        let command = command
            .mut_arg("duration", |arg| {
                arg.help("Measured time of each run of --urls [default: 3s, unless -n or --stages is given]")
            })
            .mut_arg("requests", |arg| {
                arg.help("Exact number of measured requests of each run; with -d, whichever ends first")
            })
            .mut_arg("pause", |arg| arg.help("Time between two runs of --urls [default: 1s]"))
            .mut_arg("json", |arg| {
                arg.help("Print one JSON document (schema maxq.compare/1) instead of text: the same as --format json")
            })
            .mut_arg("output", |arg| {
                arg.help("Write the report to this file, replacing it in the end; - for standard output")
            })
            .mut_arg("quiet", |arg| {
                arg.help("Only the verdict; nothing on standard error but errors")
            })
            .mut_arg("markdown", |arg| {
                arg.help("Also write the verdict as a Markdown table for a review")
            })
            .mut_arg("junit", |arg| {
                arg.help("Also write a JUnit file for a build server, one test case per gated metric")
            })
            .mut_arg("no_progress", |arg| arg.help("No line a pair on standard error"));
        MEAN_NOTHING
            .into_iter()
            .fold(command, |command, name| command.mut_arg(name, |arg| arg.hide(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for CompareArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let of_run = RunArgs::augment_args(Command::new("run"));
        let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let of_measuring = of_run
            .get_arguments()
            .filter(|flag| {
                given(flag.get_id().as_str()) && !FOR_FILES.contains(&flag.get_id().as_str())
            })
            .filter_map(|flag| flag.get_long().map(|long| format!("--{long}")))
            .collect();
        let flags = CompareFlags::from_arg_matches(matches)?;
        Ok(Self { flags, run: RunArgs::from_arg_matches(matches)?, of_measuring })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
