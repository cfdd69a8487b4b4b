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

    /// Refuses two results in one place.
    ///
    /// # Errors
    /// The flags that contradict each other.
    pub fn check_contradictions(&self) -> Result<(), String> {
        self.check_contradictions_with([])
    }

    /// The same with other flags that name a place, where they are given.
    ///
    /// # Errors
    /// The flags that contradict each other.
    pub fn check_contradictions_with<'a>(
        &'a self,
        others: impl IntoIterator<Item = (&'static str, Option<&'a Path>)>,
    ) -> Result<(), String> {
        let report = self.file.clone().unwrap_or_else(|| PathBuf::from("-"));
        let mut places = vec![("-o", report)];
        places.extend(self.hgrm.clone().map(|path| ("--hgrm", path)));
        places.extend(self.timeseries.clone().map(|path| ("--timeseries", path)));
        places.extend(self.hlog.clone().map(|path| ("--hlog", path)));
        places.extend(self.log_requests.clone().map(|path| ("--log-requests", path)));
        let others = others.into_iter();
        places.extend(others.filter_map(|(flag, path)| Some((flag, path?.to_owned()))));
        for (index, (flag, path)) in places.iter().enumerate() {
            let same = |other: &Path| place_of(other) == place_of(path);
            if let Some((other, _)) = places[..index].iter().find(|(_, other)| same(other)) {
                let shown = path.display();
                return Err(format!(
                    "{flag} {shown}: {other} already writes there; name another file"
                ));
            }
        }
        Ok(())
    }
}

impl Output {
    /// Whether the report goes to `path`, whichever way it is named.
    #[must_use]
    pub fn is_report(&self, path: &Path) -> bool {
        place_of(self.file.as_deref().unwrap_or(Path::new("-"))) == place_of(path)
    }
}

/// The file that a path names, whichever way it names it; the file need not exist, its folder may.
fn place_of(path: &Path) -> PathBuf {
    let absolute = fs::canonicalize(path).ok().or_else(|| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Some(fs::canonicalize(parent.unwrap_or(Path::new("."))).ok()?.join(path.file_name()?))
    });
    if path == Path::new("-") {
        path.to_owned()
    } else {
        absolute.unwrap_or_else(|| path.to_owned())
    }
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
