//! Where the results of a run go, as the flags say.

use std::fs;
use std::path::{Path, PathBuf};

/// Where results go, and how much of them.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// One JSON document instead of text.
    pub json: bool,
    /// A table with tabs instead of text.
    pub tsv: bool,
    /// The same table with commas.
    pub csv: bool,
    /// A Markdown page for a review instead of text.
    pub markdown: bool,
    /// A JUnit document for a build server instead of text.
    pub junit: bool,
    /// Into this file instead of standard output; `-` is standard output.
    pub file: Option<PathBuf>,
    /// Only the result, the verdict, and the two rates; nothing on stderr but errors.
    pub quiet: bool,
    /// The whole latency distribution.
    pub latency: bool,
    /// All that is known of the run, however long the report gets.
    pub verbose: bool,
    /// No live line.
    pub no_progress: bool,
    /// HdrHistogram percentile file.
    pub hgrm: Option<PathBuf>,
    /// One JSON line a second.
    pub timeseries: Option<PathBuf>,
    /// HdrHistogram interval log.
    pub hlog: Option<PathBuf>,
    /// Every request with its times.
    pub log_requests: Option<PathBuf>,
    /// A Markdown page for a review as well.
    pub markdown_file: Option<PathBuf>,
    /// A JUnit document for a build server as well.
    pub junit_file: Option<PathBuf>,
}

/// How requests are written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RequestFormat {
    /// Rows of fixed length.
    Binary,
    /// One JSON object a line.
    Lines,
    /// Values between commas, below a line of names.
    Csv,
}

impl RequestFormat {
    /// The format that the extension of a file asks for; binary without one.
    ///
    /// # Errors
    /// An extension that stands for none of them.
    pub fn of(path: &Path) -> Result<Self, String> {
        let Some(extension) = path.extension() else { return Ok(Self::Binary) };
        match extension.to_str().map(str::to_ascii_lowercase).as_deref() {
            Some("jsonl" | "ndjson") => Ok(Self::Lines),
            Some("csv") => Ok(Self::Csv),
            Some("bin") => Ok(Self::Binary),
            _ => Err(format!(
                "--log-requests {}: unknown extension; use .jsonl, .ndjson, .csv, or .bin for rows of 96 bytes",
                path.display()
            )),
        }
    }
}

impl Output {
    /// Refuses names of files that promise another format than the one that is written.
    ///
    /// # Errors
    /// The flag, and names that keep their promise.
    pub fn check_names(&self) -> Result<(), String> {
        self.log_requests.as_deref().map(RequestFormat::of).transpose()?;
        let extension = |path: &Path| path.extension()?.to_str().map(str::to_ascii_lowercase);
        match self.timeseries.as_deref().map(|path| (path, extension(path))) {
            Some((path, Some(extension))) if matches!(&extension[..], "csv" | "tsv") => {
                Err(format!(
                    "--timeseries {}: the time series is JSON, one line a second; use a name that ends in .ndjson",
                    path.display()
                ))
            }
            _ => Ok(()),
        }
    }

    /// Where the report goes; `-` is standard output.
    #[must_use]
    pub fn report(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new("-"))
    }

    /// Whether those who watch standard error want to see how far it is.
    #[must_use]
    pub const fn shows_progress(&self) -> bool {
        !self.quiet && !self.no_progress
    }

    /// The flag, if any, that shows one run and has no place where there are several.
    #[must_use]
    pub fn of_one_run(&self) -> Option<&'static str> {
        let given = [
            ("--hgrm", self.hgrm.is_some()),
            ("--hlog", self.hlog.is_some()),
            ("--timeseries", self.timeseries.is_some()),
            ("--log-requests", self.log_requests.is_some()),
            ("--latency", self.latency),
            ("--verbose", self.verbose),
        ];
        given.into_iter().find(|&(_, given)| given).map(|(flag, _)| flag)
    }

    /// Refuses two results in one place.
    ///
    /// # Errors
    /// The flags that contradict each other.
    pub fn check_contradictions(&self) -> Result<(), String> {
        let stdout = Path::new("-");
        let mut places = vec![("-o", self.report().to_owned())];
        places.extend(self.hgrm.clone().map(|path| ("--hgrm", path)));
        places.extend(self.timeseries.clone().map(|path| ("--timeseries", path)));
        places.extend(self.hlog.clone().map(|path| ("--hlog", path)));
        places.extend(self.log_requests.clone().map(|path| ("--log-requests", path)));
        places.extend(self.markdown_file.clone().map(|path| ("--markdown", path)));
        places.extend(self.junit_file.clone().map(|path| ("--junit", path)));
        for (index, (flag, path)) in places.iter().enumerate() {
            let same = |other: &Path| place_of(other) == place_of(path);
            if let Some((other, _)) = places[..index].iter().find(|(_, other)| same(other)) {
                let shown = path.display();
                let is_stdout = place_of(path) == stdout;
                return Err(match (is_stdout, *other) {
                    (true, "-o") => format!(
                        "{flag} {shown}: the report goes to standard output; send it to a file with -o FILE, or name another file for {flag}"
                    ),
                    (true, other) => format!(
                        "{flag} {shown}: {other} already writes to standard output; name another file for one of them"
                    ),
                    (false, other) => {
                        format!("{flag} {shown}: {other} already writes there; name another file")
                    }
                });
            }
        }
        Ok(())
    }
}

impl Output {
    /// The flag that already writes to `path`, whichever way it is named.
    #[must_use]
    pub fn writer_of(&self, path: &Path) -> Option<&'static str> {
        let places = [
            ("-o", Some(self.report())),
            ("--markdown", self.markdown_file.as_deref()),
            ("--junit", self.junit_file.as_deref()),
        ];
        let same = |other: &Path| place_of(other) == place_of(path);
        places.into_iter().find(|(_, other)| other.is_some_and(same)).map(|(flag, _)| flag)
    }
}

/// The names of standard output.
const STDOUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// The file that a path names, whichever way it names it; the file need not exist, its folder may.
fn place_of(path: &Path) -> PathBuf {
    if STDOUT.iter().any(|name| path == Path::new(name)) {
        return PathBuf::from("-");
    }
    let absolute = fs::canonicalize(path).ok().or_else(|| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Some(fs::canonicalize(parent.unwrap_or(Path::new("."))).ok()?.join(path.file_name()?))
    });
    absolute.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Output, RequestFormat};
    use std::path::{Path, PathBuf};

    #[test]
    fn the_extension_of_a_request_log_chooses_its_format() {
        for (name, format) in [
            ("a.jsonl", RequestFormat::Lines),
            ("a.ndjson", RequestFormat::Lines),
            ("a.csv", RequestFormat::Csv),
            ("a.CSV", RequestFormat::Csv),
            ("a.bin", RequestFormat::Binary),
            ("a.csv/rows", RequestFormat::Binary),
            ("/dev/full", RequestFormat::Binary),
            ("-", RequestFormat::Binary),
        ] {
            assert_eq!(RequestFormat::of(Path::new(name)), Ok(format), "{name}");
        }
        for name in ["a.json", "a.tsv", "a.txt", "a.csv.gz"] {
            let error = RequestFormat::of(Path::new(name)).unwrap_err();
            assert!(error.starts_with(&format!("--log-requests {name}: ")), "{error}");
        }
    }

    #[test]
    fn standard_output_takes_one_result_and_the_refusal_names_the_other_flag() {
        let path = |name: &str| Some(PathBuf::from(name));
        let with = |flag: &str, name: &str, file: Option<&str>| {
            let mut output = Output { file: file.map(PathBuf::from), ..Output::default() };
            let place = match flag {
                "--hgrm" => &mut output.hgrm,
                "--timeseries" => &mut output.timeseries,
                "--hlog" => &mut output.hlog,
                _ => &mut output.log_requests,
            };
            *place = path(name);
            output.check_contradictions()
        };
        for flag in ["--hgrm", "--timeseries", "--hlog", "--log-requests"] {
            assert_eq!(with(flag, "-", Some("run.json")), Ok(()), "{flag}");
            assert_eq!(with(flag, "/dev/stdout", Some("run.json")), Ok(()), "{flag}");
            for (name, file) in [("-", None), ("/dev/stdout", None), ("-", Some("/dev/fd/1"))] {
                let refused = with(flag, name, file).unwrap_err();
                assert!(refused.starts_with(&format!("{flag} {name}: the report")), "{refused}");
                assert!(refused.contains("-o FILE"), "{refused}");
            }
        }
        let (file, hgrm, hlog) = (path("run.json"), path("-"), path("/proc/self/fd/1"));
        let twice = Output { file, hgrm, hlog, ..Output::default() };
        let refused = twice.check_contradictions().unwrap_err();
        assert!(refused.contains("--hgrm already writes to standard output"), "{refused}");
    }

    #[test]
    fn a_time_series_by_the_name_of_a_table_is_refused() {
        let named = |name: &str| {
            let timeseries = Some(PathBuf::from(name));
            Output { timeseries, ..Output::default() }.check_names()
        };
        for name in ["a.csv", "a.TSV"] {
            assert!(named(name).unwrap_err().contains(".ndjson"), "{name}");
        }
        for name in ["a.ndjson", "a.json", "a", "-"] {
            assert_eq!(named(name), Ok(()), "{name}");
        }
    }
}
