//! The files that reviewers and build servers read, beside the report: `--markdown` and `--junit`.

use std::path::Path;

use crate::exit::Refusal;
use crate::output::Destination;
use crate::plan::Output;
use crate::report::{self, Review};

/// Where they go; opened before anything is measured.
pub(super) struct ReviewFiles {
    markdown: Option<Destination>,
    junit: Option<Destination>,
}

impl ReviewFiles {
    /// Opens those that are wanted.
    ///
    /// # Errors
    /// Exit code 8.
    pub(super) fn open(output: &Output) -> Result<Self, Refusal> {
        let open =
            |flag, path: Option<&Path>| path.map(|path| Destination::open(flag, path)).transpose();
        Ok(Self {
            markdown: open("--markdown", output.markdown_file.as_deref())?,
            junit: open("--junit", output.junit_file.as_deref())?,
        })
    }

    /// Writes them.
    ///
    /// # Errors
    /// Exit code 8.
    pub(super) fn write(
        self,
        markdown: impl FnOnce() -> String,
        junit: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        if let Some(mut place) = self.markdown {
            place.write(markdown())?;
            place.finish()?;
        }
        if let Some(mut place) = self.junit {
            place.write(junit())?;
            place.finish()?;
        }
        Ok(())
    }

    /// Writes what a command found.
    ///
    /// # Errors
    /// Exit code 8.
    pub(super) fn write_review(self, review: impl Fn() -> Review) -> Result<(), Refusal> {
        self.write(|| review().markdown(), || review().junit())
    }
}

/// The report as a review, where that is the format.
pub(super) fn formatted(output: &Output, review: impl FnOnce() -> Review) -> Option<String> {
    match (output.markdown, output.junit) {
        (true, _) => Some(review().markdown()),
        (_, true) => Some(review().junit()),
        _ => None,
    }
}

/// Opens the place of the report.
///
/// # Errors
/// Exit code 8.
pub(super) fn open_report(output: &Output) -> Result<Destination, Refusal> {
    Destination::open("-o", output.report())
}

/// Does `work` for `command`, and says in the files that others read why there is nothing else in them when it is refused: a
/// build server must not take what it finds there from last time for today's.
///
/// # Errors
/// Those of `work`.
pub(super) fn watched(
    command: &str,
    output: &Output,
    work: impl FnOnce() -> Result<u8, Refusal>,
) -> Result<u8, Refusal> {
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
