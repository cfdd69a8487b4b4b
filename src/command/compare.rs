//! `maxq compare`: two sides of runs, out of files or measured in turns, and what is to be said about them.

mod urls;

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::live::style;
use super::review::{ReviewFiles, open_report};
use crate::cli::{CompareArgs, CompareFlags, FormatArg, InconclusiveArg};
use crate::comparison::{self, Comparison, Kind, Settings, Side, Verdict};
use crate::exit::{self, Refusal};
use crate::output::Destination;
use crate::plan::Output;
use crate::report::{self, Untold};
use crate::results;

/// `maxq compare`: returns the exit code that the verdict has.
///
/// # Errors
/// Why there is no verdict.
pub fn compare(args: &CompareArgs) -> Result<u8, Refusal> {
    let format = format(args)?;
    let places = Places::open(args)?;
    let compared = settings(args).and_then(|settings| {
        if args.flags.urls.is_empty() {
            of_files(args, &settings).map(|comparison| (comparison, None))
        } else {
            urls::measure(args, &settings)
        }
    });
    let (comparison, refusal) = match compared {
        Ok(compared) => compared,
        Err(refusal) => {
            // A build server must not take what it finds there from last time for today's.
            places.write_refusal(&refusal, format)?;
            return Err(refusal);
        }
    };
    let code = refusal
        .as_ref()
        .map_or_else(|| exit_code(&comparison, args.flags.inconclusive), |refusal| refusal.code);
    places.write(&comparison, format, args).map_err(|refusal| refusal.beside(code))?;
    refusal.map_or(Ok(code), Err)
}

fn exit_code(comparison: &Comparison, inconclusive: InconclusiveArg) -> u8 {
    if let Some(signal) = comparison.interrupted {
        return signal.exit_code();
    }
    match comparison.verdict {
        Verdict::Pass => exit::FINISHED,
        Verdict::Regression => exit::REGRESSION,
        // A server that does not answer is no matter of noise.
        Verdict::Inconclusive
            if inconclusive == InconclusiveArg::Pass && comparison.undecided_because.is_none() =>
        {
            exit::FINISHED
        }
        Verdict::Inconclusive => exit::INCONCLUSIVE,
    }
}

/// What the flags say about what matters.
fn settings(args: &CompareArgs) -> Result<Settings, Refusal> {
    let flags = &args.flags;
    let mut settings = Settings {
        allow_single: flags.allow_single,
        allowed: allowed(flags),
        invalid: flags.invalid || flags.force,
        ..Settings::default()
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

fn format(args: &CompareArgs) -> Result<FormatArg, Refusal> {
    match (args.run.json, args.run.format) {
        (true, None | Some(FormatArg::Json)) => Ok(FormatArg::Json),
        (true, Some(_)) => Err(Refusal::usage(
            "--json contradicts --format, which names another one; leave one of them out"
                .to_owned(),
        )),
        (false, format) => Ok(format.unwrap_or(FormatArg::Text)),
    }
}

/// Reads both sides.
fn of_files(args: &CompareArgs, settings: &Settings) -> Result<Comparison, Refusal> {
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
                results::escape(&only.to_string_lossy())
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
    let name = |path: &PathBuf| results::escape(&path.to_string_lossy());
    let label = match paths {
        [first, _, .., last] => format!("{} to {}", name(first), name(last)),
        paths => paths.iter().map(name).collect::<Vec<_>>().join(" and "),
    };
    Ok(Side { label, runs: results::read(paths)? })
}

/// Where the reports go; opened before anything is measured.
struct Places {
    report: Destination,
    files: ReviewFiles,
}

impl Places {
    fn open(args: &CompareArgs) -> Result<Self, Refusal> {
        let output = Output {
            file: args.run.output.clone(),
            markdown_file: args.run.review.markdown.clone(),
            junit_file: args.run.review.junit.clone(),
            ..Output::default()
        };
        output.check_contradictions().map_err(Refusal::usage)?;
        let files = ReviewFiles::open(&output)?;
        Ok(Self { report: open_report(&output)?, files })
    }

    /// Says in the files that others read why there is nothing else in them.
    fn write_refusal(self, refusal: &Refusal, format: FormatArg) -> Result<(), Refusal> {
        let why = &refusal.message;
        let of_report = match format {
            FormatArg::Markdown => report::refused_markdown("compare", why),
            FormatArg::Junit => report::refused_junit("compare", why),
            _ => String::new(),
        };
        let mut report = self.report;
        if !of_report.is_empty() && !report.is_stdout() {
            report.write(of_report)?;
            report.finish()?;
        }
        self.files.write(
            || report::refused_markdown("compare", why),
            || report::refused_junit("compare", why),
        )
    }

    fn write(
        self,
        comparison: &Comparison,
        format: FormatArg,
        args: &CompareArgs,
    ) -> Result<(), Refusal> {
        let mut place = self.report;
        let quiet = args.run.quiet;
        let untold = match args.flags.inconclusive {
            InconclusiveArg::Fail => Untold::Error,
            InconclusiveArg::Pass => Untold::Skipped,
        };
        let text = match format {
            FormatArg::Text if quiet => report::compare_quiet_text(comparison),
            FormatArg::Text => report::compare_text(comparison, style(place.is_stdout())),
            FormatArg::Json => report::compare_json(comparison),
            FormatArg::Markdown => report::compare_markdown(comparison),
            FormatArg::Junit => report::compare_junit(comparison, untold),
            FormatArg::Csv => report::csv_of_tsv(&report::compare_tsv(comparison)),
            // The parser knows no others.
            FormatArg::Tsv | FormatArg::Ndjson => report::compare_tsv(comparison),
        };
        if let Err(refusal) = place.write(&text).and_then(|()| place.finish()) {
            // What was measured is not to be lost for want of a place to write it.
            eprint!("{}", report::compare_quiet_text(comparison));
            return Err(refusal);
        }
        self.files.write(
            || report::compare_markdown(comparison),
            || report::compare_junit(comparison, untold),
        )
    }
}
