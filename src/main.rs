//! Parse, plan, run, report: the command line tool. Everything else is in the library.

use std::process;

use clap::Parser;
use maxq::cli::{Cli, Command, one_line};
use maxq::commands;
use maxq::exit::Refusal;

fn main() -> process::ExitCode {
    let ended = match Cli::try_parse() {
        Ok(cli) => match cli.command {
            None => commands::run(&cli.run),
            Some(Command::Run(target)) => commands::run(&target),
            Some(Command::Demo(args)) => commands::demo(&args),
            Some(Command::Spike(args)) => commands::spike(&args),
            Some(Command::Ceiling(args)) => commands::ceiling(&args),
            Some(Command::Compare(args)) => commands::compare(&args),
            Some(Command::Sweep(args)) => commands::sweep(&args),
            Some(Command::Calibrate(args)) => commands::calibrate(&args),
            Some(Command::Serve(args)) => commands::serve(&args),
        },
        // Help and version are answers, not errors.
        Err(error) if !error.use_stderr() => {
            let text = error.render();
            commands::answer(&text.to_string(), &text.ansi().to_string())
        }
        Err(error) => Err(Refusal::usage(one_line(&error))),
    };
    let code = ended.unwrap_or_else(|Refusal { message, code }| {
        maxq::output::tell(format_args!("maxq: {message}\n"));
        code
    });
    process::ExitCode::from(u8::from(code))
}
