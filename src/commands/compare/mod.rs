//! `maxq compare`: two sides of runs, out of files or measured in turns, and what is to be said about them.

pub mod comparison;
pub mod page;
mod urls;

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::reports::{self, Forms, Reports, tell_of};
use crate::cli::{CompareArgs, CompareFlags, InconclusiveArg};
use crate::exit::{self, ExitCode, Refusal};
use crate::plan::Output;
use crate::result::document;
use comparison::{Comparison, Conclusion, Criteria, Kind, Side};
use page::Untold;

/// `maxq compare`: returns the exit code that the verdict has.
///
/// # Errors
/// Why there is no verdict.
pub fn compare(args: &CompareArgs) -> Result<ExitCode, Refusal> {
    // Files that show one run are refused for what they are.
    let output = Output {
        hgrm: None,
        hlog: None,
        timeseries: None,
        log_requests: None,
        ..Output::from(&args.run)
    };
    reports::watched("compare", &output, || carry_out(args, &output))
}

fn carry_out(args: &CompareArgs, output: &Output) -> Result<ExitCode, Refusal> {
    Output::check_format(&args.run)?;
    output.check_contradictions().map_err(Refusal::usage)?;
    let reports = Reports::open(output)?;
    let settings = settings(args)?;
    let (comparison, refusal) = if args.flags.urls.is_empty() {
        (of_files(args, &settings)?, None)
    } else {
        urls::measure(args, &settings)?
    };
    let code = refusal
        .as_ref()
        .map_or_else(|| exit_code(&comparison, args.flags.inconclusive), |refusal| refusal.code);
    let untold = match args.flags.inconclusive {
        InconclusiveArg::Fail => Untold::Error,
        InconclusiveArg::Pass => Untold::Skipped,
    };
    let forms = Forms {
        text: &|style| page::compare_text(&comparison, style),
        quiet: &|| page::compare_quiet_text(&comparison),
        json: &|| page::compare_json(&comparison),
        tsv: &|| page::compare_tsv(&comparison),
        markdown: &|| page::compare_markdown(&comparison),
        junit: &|| page::compare_junit(&comparison, untold),
    };
    let mut refusals = reports.write(output, &forms);
    refusals.extend(refusal);
    Ok(tell_of(&refusals, code))
}

fn exit_code(comparison: &Comparison, inconclusive: InconclusiveArg) -> ExitCode {
    if let Some(signal) = comparison.interrupted {
        return signal.exit_code();
    }
    match comparison.verdict {
        Conclusion::Pass => exit::FINISHED,
        Conclusion::Regression => exit::REGRESSION,
        // A server that does not answer is no matter of noise.
        Conclusion::Inconclusive
            if inconclusive == InconclusiveArg::Pass && comparison.undecided_because.is_none() =>
        {
            exit::FINISHED
        }
        Conclusion::Inconclusive => exit::INCONCLUSIVE,
    }
}

/// What the flags say about what matters.
fn settings(args: &CompareArgs) -> Result<Criteria, Refusal> {
    let flags = &args.flags;
    let mut settings = Criteria {
        allow_single: flags.allow_single,
        allowed: allowed(flags),
        invalid: flags.invalid || flags.force,
        ..Criteria::default()
    };
    settings.set_gates(&flags.gate).map_err(Refusal::usage)?;
    settings.set_floor(&flags.floor).map_err(Refusal::usage)?;
    for effect in &flags.effect {
        settings.add_effects(effect).map_err(Refusal::usage)?;
    }
    settings.check_effects().map_err(Refusal::usage)?;
    Ok(settings)
}

/// In what the runs may differ.
fn allowed(flags: &CompareFlags) -> BTreeSet<Kind> {
    let given = |kind: &Kind| match kind {
        Kind::Target => flags.other_target,
        Kind::Load => flags.other_load,
        Kind::Request => flags.other_request,
        Kind::Client => flags.other_client,
        Kind::Host => flags.other_host,
    };
    let of_plan = |kind: &Kind| flags.other_plans && Kind::OF_PLAN.contains(kind);
    Kind::ALL.into_iter().filter(|kind| flags.force || of_plan(kind) || given(kind)).collect()
}

/// Reads both sides.
fn of_files(args: &CompareArgs, settings: &Criteria) -> Result<Comparison, Refusal> {
    let pairs = args.flags.pairs.map(|_| "--pairs");
    if let Some(flag) = pairs.or(args.of_measuring.first().map(String::as_str)) {
        return Err(Refusal::usage(format!(
            "{flag} is about measuring, and files are measured already; leave it out, or use --urls BASE NEW"
        )));
    }
    let flags = &args.flags;
    let (base, new) = match &flags.files[..] {
        [base, new] => (vec![base.clone()], vec![new.clone()]),
        [only] => {
            return Err(Refusal::usage(format!(
                "{}: compare needs two sides; use maxq compare BASE NEW",
                document::escape(&only.to_string_lossy())
            )));
        }
        _ if !flags.base.is_empty() => (flags.base.clone(), flags.new.clone()),
        _ => {
            return Err(Refusal::usage(
                "nothing to compare; use maxq compare BASE NEW with files of runs, or --urls BASE NEW"
                    .to_owned(),
            ));
        }
    };
    let is_url = |path: &&PathBuf| path.to_string_lossy().contains("://") && !path.exists();
    if base.iter().chain(&new).any(|path| is_url(&path)) {
        // It is not repeated: it may hold a password.
        return Err(Refusal::usage(
            "a URL is not a file of runs; use maxq compare --urls BASE NEW to measure two URLs"
                .to_owned(),
        ));
    }
    comparison::compare(side(&base)?, side(&new)?, false, settings)
}

fn side(paths: &[PathBuf]) -> Result<Side, Refusal> {
    let name = |path: &PathBuf| document::escape(&path.to_string_lossy());
    let label = match paths {
        [first, _, .., last] => format!("{} to {}", name(first), name(last)),
        paths => paths.iter().map(name).collect::<Vec<_>>().join(" and "),
    };
    Ok(Side { label, runs: document::read(paths)? })
}
