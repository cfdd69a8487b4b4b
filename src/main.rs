//! Parse, plan, run, report: the command line tool. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use maxq::cli::{Cli, Command};
use maxq::command;
use maxq::exit::Refusal;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.command {
        None => command::run(&cli.run),
        Some(Command::Run(target)) => command::run(&target),
        Some(Command::Demo(args)) => command::demo(&args),
        Some(Command::Serve(args)) => command::serve(&args),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(Refusal { message, code }) => {
            eprintln!("maxq: {message}");
            ExitCode::from(code)
        }
    }
}
