//! The flags of `sweep`: those of `run`, three of which may be lists here, and its own.
//!
//! The parser of a list hands its first value to the flags of `run`; the list itself is read from what was typed.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueEnum};

use super::points::{parse_counts, parse_rates};
use super::{RunTarget, one_of_formats};
use crate::core::schedule::Rate;

/// In which order the values are run; see `--order`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum OrderArg {
    /// Shuffled by --seed, so that what changes with time is not taken for what changes with load.
    Random,
    /// Rising.
    Up,
    /// Falling.
    Down,
}

/// The flags that only a sweep has.
#[derive(Args, Clone, Debug)]
pub struct SweepFlags {
    /// Order in which the values are run.
    #[arg(long, value_enum, default_value = "random", help_heading = "Sweep")]
    pub order: OrderArg,
    /// Run the lowest value first, after every fifth run, and last, and warn if its p50 or goodput moves by more than 10 %.
    #[arg(long, help_heading = "Sweep")]
    pub sentinel: bool,
    /// Draw good answers, errors, and latency over the value into this file.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub svg: Option<PathBuf>,
}

/// `maxq sweep`.
#[derive(Clone, Debug)]
pub struct SweepArgs {
    /// What to benchmark, and how; of what is a list, the first value.
    pub target: RunTarget,
    /// The flags that only a sweep has.
    pub flags: SweepFlags,
    /// `--rate`; empty when it was not given.
    pub rates: Vec<Rate>,
    /// `--connections`.
    pub connections: Vec<u64>,
    /// `--pipeline`.
    pub pipelines: Vec<u64>,
}

/// Flags of `run` that say nothing about several runs.
const OF_ONE_RUN: [&str; 6] = ["latency", "verbose", "hgrm", "timeseries", "hlog", "log_requests"];

impl Args for SweepArgs {
    fn augment_args(command: Command) -> Command {
        let command = SweepFlags::augment_args(RunTarget::augment_args(command));
        lists(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        let command =
            SweepFlags::augment_args_for_update(RunTarget::augment_args_for_update(command));
        lists(command)
    }
}

/// Lets three flags of `run` be lists, and says of others what they are in a sweep.
fn lists(command: Command) -> Command {
    let counts = |arg: Arg, help: &'static str| {
        arg.value_parser(first_of_counts).value_name("LIST").help(help).help_heading("Sweep")
    };
    let command = command
        .mut_arg("rate", |arg| {
            arg.value_parser(first_of_rates)
                .value_name("LIST")
                .help("Open loop at each of these rates: 200..1300/6 (six, each the same multiple of the one before), 100,200,400, or 1k,2k..64k (on to the end)")
                .help_heading("Sweep")
        })
        .mut_arg("connections", |arg| {
            counts(arg, "A closed loop over each number of connections, like 1,2,4..512; one number for the other sweeps")
        })
        .mut_arg("pipeline", |arg| {
            counts(arg, "A closed loop with each number of requests in flight a connection, like 1,2,4..64; one number for the other sweeps")
        })
        .mut_arg("duration", |arg| {
            arg.help("Measured time of each run [default: 5s, and up to 15s where few answers are to be expected; none with -n]")
        })
        .mut_arg("requests", |arg| {
            arg.help("Exact number of measured requests of each run; with -d, whichever ends first")
        })
        .mut_arg("slo", |arg| {
            arg.help("Gates like 'p99<50ms, errors<0.1%', shown for each run; they do not change the exit code, since a sweep exceeds them on purpose")
        })
        .mut_arg("strict", |arg| {
            arg.help("Exit with 6 when the measurement of a run is not valid; an overloaded server is no reason, nor are too few samples unless --slo asks for a latency")
        })
        .mut_arg("json", |arg| {
            arg.help("Print one JSON document (schema maxq.sweep/1) instead of text: the same as --format json")
        })
        .mut_arg("quiet", |arg| {
            arg.help("Print only what the runs say together: saturation, where errors start, and so on; nothing on standard error but errors")
        })
        .mut_arg("format", |arg| {
            arg.value_parser(one_of_formats(&["text", "json", "ndjson", "csv", "tsv", "markdown", "junit"]))
                .help("Format of the results [default: text]; ndjson, csv, and tsv write one line for each run as it ends")
        })
        .mut_arg("repeat", |arg| {
            arg.help("Runs of each value; with more than one, confidence intervals rest on their differences [default: 1]").help_heading("Sweep")
        })
        .mut_arg("pause", |arg| {
            arg.help("Time between two runs [default: 500ms]").help_heading("Sweep")
        })
        .mut_arg("no_progress", |arg| {
            arg.help("No live line, and no line for each run, on standard error")
        });
    OF_ONE_RUN
        .into_iter()
        .chain(["stages", "burst", "abort_on"])
        .fold(command, |command, name| command.mut_arg(name, |arg| arg.hide(true)))
}

impl FromArgMatches for SweepArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Self::from_arg_matches_mut(&mut matches.clone())
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        // Whoever takes the values takes what was typed with them.
        let rates = typed(matches, "rate", parse_rates);
        let connections = typed(matches, "connections", parse_counts);
        let pipelines = typed(matches, "pipeline", parse_counts);
        let flags = SweepFlags::from_arg_matches_mut(matches)?;
        let target = RunTarget::from_arg_matches_mut(matches)?;
        Ok(Self { target, flags, rates, connections, pipelines })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The list of a flag as it was typed, which its parser has accepted; empty without one.
fn typed<V>(matches: &ArgMatches, name: &str, parse: fn(&str) -> Result<Vec<V>, String>) -> Vec<V> {
    let raw = matches.get_raw(name).and_then(|mut values| values.next_back());
    raw.and_then(|text| text.to_str()).and_then(|text| parse(text).ok()).unwrap_or_default()
}

fn first_of_rates(text: &str) -> Result<Rate, String> {
    parse_rates(text).map(|rates| rates[0])
}

fn first_of_counts(text: &str) -> Result<u64, String> {
    parse_counts(text).map(|counts| counts[0])
}
