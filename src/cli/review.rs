//! The flags about what reviewers and build servers make of a result.

use std::path::PathBuf;

use clap::Args;

/// The flags about what reviewers and build servers make of a result.
#[derive(Args, Clone, Debug, Default)]
pub struct ReviewArgs {
    /// A header whose value may change between runs that compare takes for the same plan; repeatable. Authorization, Cookie, and
    /// Proxy-Authorization always may.
    #[arg(long = "volatile-header", value_name = "NAME", help_heading = "Request")]
    pub volatile_headers: Vec<String>,
    /// Also write the gates as a Markdown page, which a review or a GitHub job summary can show.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub markdown: Option<PathBuf>,
    /// Also write the gates as a JUnit file for a build server, one test case per gate.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub junit: Option<PathBuf>,
}
