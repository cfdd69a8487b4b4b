//! The flags about what happens before a run.

use clap::Args;

use crate::units::parse_duration_ns;

/// The flags about what happens before a run.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct PreflightArgs {
    /// Do not send one request before the run, which shows what will be measured, and which no count includes.
    #[arg(long, conflicts_with = "wait_ready", help_heading = "Preflight")]
    pub no_preflight: bool,
    /// Ask again and again for so long, until the target gives an answer that --expect accepts.
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = parse_duration_ns, help_heading = "Preflight")]
    pub wait_ready: Option<u64>,
    /// Load on a public address is meant: do not warn of it.
    #[arg(long, help_heading = "Preflight")]
    pub allow_public: bool,
    /// Show the plan and the bytes of the request, and send nothing.
    #[arg(long, conflicts_with_all = ["wait_ready", "no_preflight"], help_heading = "Preflight")]
    pub dry_run: bool,
}
