//! The flags of `ceiling`.

use clap::{Arg, Args};

use super::RunTarget;
use crate::units::parse_duration_ns;

/// The search for the highest load that holds the gates of `--slo`.
#[derive(Args, Clone, Debug)]
pub struct CeilingArgs {
    /// Search for the largest number of connections of a closed loop, instead of the highest rate.
    #[arg(long, conflicts_with_all = ["connections", "arrivals", "max_in_flight", "on_overload"], help_heading = "Ceiling")]
    pub closed: bool,
    /// The first load, which must hold the gates: requests a second, or connections [default: 100, or 1].
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "Ceiling")]
    pub from: Option<String>,
    /// The highest load that is tried [default: no end, or 4096 connections].
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "Ceiling")]
    pub max: Option<String>,
    /// How far the ends of the 95 % interval may be from the ceiling, like 2% [default: 5%, 2% with --rigorous].
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, value_parser = parse_precision, help_heading = "Ceiling")]
    pub precision: Option<f64>,
    /// Time for all of it; the search ends as soon as --precision is reached and verified [default: 2m, 1h with --rigorous].
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, help_heading = "Ceiling")]
    pub budget: Option<u64>,
    /// Length of a full trial; those that look for the bracket take 3/10 of it [default: a 24th of --budget, from 2s to 10s; 60s with --rigorous].
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, help_heading = "Ceiling")]
    pub trial: Option<u64>,
    /// The durations of RFC 9971: trials of 60 s, and half of 120 s must pass for a load to hold.
    #[arg(long, help_heading = "Ceiling")]
    pub rigorous: bool,
    /// What to search, and how; --slo says what the load must hold.
    #[command(flatten)]
    pub target: RunTarget,
}

/// Flags of `run` that contradict a search.
const OF_ONE_RUN: [&str; 13] = [
    "rate",
    "stages",
    "burst",
    "requests",
    "duration",
    "abort_on",
    "repeat",
    "latency",
    "verbose",
    "hgrm",
    "hlog",
    "timeseries",
    "log_requests",
];

/// They are refused by name, and not shown.
pub(super) fn hide_of_one_run(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        id if OF_ONE_RUN.contains(&id) => arg.hide(true),
        "pause" => arg.help("Time between two trials [default: 500ms]").help_heading("Ceiling"),
        "slo" => {
            arg.help("What the load must hold, like 'p99<50ms, errors<0.1%'; see maxq run --help")
        }
        "quiet" => arg.help("Only the answer; nothing on standard error but errors"),
        "json" => arg.help("Print one JSON document (schema maxq.ceiling/1) instead of text"),
        _ => arg,
    }
}

fn parse_precision(text: &str) -> Result<f64, String> {
    let refuse = || format!("'{text}' is no precision; use a share from 0.2% to 50%, like 2%");
    let percent: f64 =
        text.strip_suffix('%').and_then(|text| text.trim().parse().ok()).ok_or_else(refuse)?;
    if (0.2..=50.0).contains(&percent) { Ok(percent / 100.0) } else { Err(refuse()) }
}
