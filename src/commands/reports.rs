//! The report of a command in the form that is wanted, and the files beside it that reviewers and build servers read:
//! `--markdown` and `--junit`.
//!
//! Owned by the commands, all of which end here. It must not know what was found.

use std::path::Path;

use super::live::style;
use crate::exit::{self, ExitCode, Refusal};
use crate::output::Destination;
use crate::plan::Output;
use crate::report::{self, Style};

/// What a command found, in each form in which it may be wanted.
pub(super) struct Forms<'a> {
    pub(super) text: &'a dyn Fn(Style) -> String,
    /// In few words, for `-q`, and for standard error where there is no other place.
    pub(super) quiet: &'a dyn Fn() -> String,
    pub(super) json: &'a dyn Fn() -> String,
    pub(super) tsv: &'a dyn Fn() -> String,
    pub(super) markdown: &'a dyn Fn() -> String,
    pub(super) junit: &'a dyn Fn() -> String,
}

/// Where they go; opened before anything is measured.
pub(super) struct Reports {
    pub(super) report: Destination,
    markdown: Option<Destination>,
    junit: Option<Destination>,
}

impl Reports {
    /// Opens those that are wanted.
    ///
    /// # Errors
    /// Exit code 8.
    pub(super) fn open(output: &Output) -> Result<Self, Refusal> {
        Self::beside(Destination::open("-o", output.report())?, output)
    }

    /// The same for a report that is written line by line.
    ///
    /// # Errors
    /// Exit code 8.
    pub(super) fn open_stream(output: &Output) -> Result<Self, Refusal> {
        Self::beside(Destination::open_stream("-o", output.report())?, output)
    }

    fn beside(report: Destination, output: &Output) -> Result<Self, Refusal> {
        let open =
            |flag, path: Option<&Path>| path.map(|path| Destination::open(flag, path)).transpose();
        let markdown = open("--markdown", output.markdown_file.as_deref())?;
        let junit = open("--junit", output.junit_file.as_deref())?;
        Ok(Self { report, markdown, junit })
    }

    /// Writes all of them, and returns why those that are missing are.
    pub(super) fn write(self, output: &Output, forms: &Forms<'_>) -> Vec<Refusal> {
        let text = match output {
            Output { json: true, .. } => (forms.json)(),
            Output { tsv: true, .. } => (forms.tsv)(),
            Output { csv: true, .. } => report::csv_of_tsv(&(forms.tsv)()),
            Output { markdown: true, .. } => (forms.markdown)(),
            Output { junit: true, .. } => (forms.junit)(),
            Output { quiet: true, .. } => (forms.quiet)(),
            _ => (forms.text)(style(self.report.is_stdout())),
        };
        self.close(&text, forms)
    }

    /// The same where the report ends with `text`.
    pub(super) fn close(self, text: &str, forms: &Forms<'_>) -> Vec<Refusal> {
        let put =
            |mut place: Destination, text: &str| place.write(text).and_then(|()| place.finish());
        let mut refusals: Vec<Refusal> = put(self.report, text).err().into_iter().collect();
        if !refusals.is_empty() {
            // What was measured is not to be lost for want of a place to write it.
            eprint!("{}", (forms.quiet)());
        }
        for (place, form) in [(self.markdown, forms.markdown), (self.junit, forms.junit)] {
            refusals.extend(place.and_then(|place| put(place, &form()).err()));
        }
        refusals
    }
}

/// Tells why results are missing, and returns the exit code of a command that would have ended with `code` otherwise.
pub(super) fn tell_of(refusals: &[Refusal], code: ExitCode) -> ExitCode {
    refusals.iter().for_each(|refusal| eprintln!("maxq: {}", refusal.message));
    exit::first_of(refusals.iter().map(|refusal| refusal.code).chain([code]))
}

/// Does `work` for `command`, and says in the files that others read why there is nothing else in them when it is refused: a
/// build server must not take what it finds there from last time for today's.
///
/// # Errors
/// Those of `work`.
pub(super) fn watched(
    command: &str,
    output: &Output,
    work: impl FnOnce() -> Result<ExitCode, Refusal>,
) -> Result<ExitCode, Refusal> {
    work().inspect_err(|refusal| note(command, output, &refusal.message))
}

/// A second refusal would only hide the first.
fn note(command: &str, output: &Output, why: &str) {
    if output.check_contradictions().is_err() {
        // What is in such a file may be something else.
        return;
    }
    let put = |path: Option<&Path>, text: &str| {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else { return };
        if let Ok(mut place) = Destination::open("", path)
            && place.write(text).is_ok()
        {
            drop(place.finish());
        }
    };
    let markdown = report::refused_markdown(command, why);
    let junit = report::refused_junit(command, why);
    put(output.markdown_file.as_deref(), &markdown);
    put(output.junit_file.as_deref(), &junit);
    let file = output.file.as_deref();
    match (output.markdown, output.junit) {
        (true, _) => put(file, &markdown),
        (_, true) => put(file, &junit),
        _ => {}
    }
}
