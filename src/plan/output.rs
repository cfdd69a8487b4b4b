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
    /// Only the verdict and the two rates; nothing on stderr but errors.
    pub quiet: bool,
    /// The whole latency distribution.
    pub latency: bool,
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

impl Output {
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
