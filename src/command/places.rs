//! The files and streams of one run, opened before it starts.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::exit::Refusal;
use crate::output::Destination;
use crate::plan::{Plan, RequestFormat};
use crate::report;
use crate::run::Progress;

/// Where the results of a run go; opened before it starts.
pub(super) struct Places {
    pub(super) report: Destination,
    pub(super) hgrm: Option<Destination>,
    pub(super) streams: Streams,
}

/// What is written while a run goes on.
pub(super) struct Streams {
    pub(super) timeseries: Option<Destination>,
    hlog: Option<Destination>,
    /// When the interval log starts, in seconds of the run's clock; `None` before its first line.
    hlog_start_s: Option<f64>,
    requests: Option<(Destination, RequestFormat)>,
    phases: Vec<String>,
    /// The first thing that could not be written. The measurement goes on, and its report is still printed.
    failed: Option<Refusal>,
}

impl Streams {
    pub(super) fn take(&mut self, progress: Progress<'_>) {
        if self.failed.is_none() {
            self.failed = self.write(progress).err();
        }
    }

    fn write(&mut self, progress: Progress<'_>) -> Result<(), Refusal> {
        match progress {
            Progress::Opening(..) | Progress::Fallback(_) => Ok(()),
            Progress::Interval(row, latency) => {
                if let Some(place) = &mut self.timeseries {
                    place.write(report::timeseries_line(row))?;
                }
                let Some(place) = &mut self.hlog else { return Ok(()) };
                let start_s = row.end_s - 1.0;
                if self.hlog_start_s.is_none() {
                    let started_at = SystemTime::now() - Duration::from_secs(1);
                    place.write(report::hlog_header(started_at))?;
                }
                let log_start_s = *self.hlog_start_s.get_or_insert(start_s);
                place.write(report::hlog_line(row, latency, start_s - log_start_s))
            }
            Progress::Requests(rows) => {
                let Some((place, format)) = &mut self.requests else { return Ok(()) };
                place.write(report::request_rows(rows, *format, &self.phases))
            }
        }
    }

    pub(super) fn finish(self) -> Result<(), Refusal> {
        if let Some(refusal) = self.failed {
            return Err(refusal);
        }
        let mut hlog = self.hlog;
        if let Some(place) = hlog.as_mut().filter(|_| self.hlog_start_s.is_none()) {
            // The run ended within its first second.
            place.write(report::hlog_header(SystemTime::now()))?;
        }
        let places = [self.timeseries, hlog, self.requests.map(|(place, _)| place)];
        places.into_iter().flatten().try_for_each(Destination::finish)
    }

    /// Nothing was measured: what was opened leaves nothing behind.
    pub(super) fn discard(self) {
        let places = [self.timeseries, self.hlog, self.requests.map(|(place, _)| place)];
        places.into_iter().flatten().for_each(Destination::discard);
    }
}

impl Places {
    pub(super) fn open(plan: &Plan) -> Result<Self, Refusal> {
        let output = &plan.output;
        let open = |flag, path: &Option<_>| {
            path.as_ref().map(|path: &std::path::PathBuf| Destination::open(flag, path)).transpose()
        };
        let format = output.log_requests.as_deref().map(RequestFormat::of).transpose();
        let format = format.map_err(Refusal::usage)?;
        let mut requests = open("--log-requests", &output.log_requests)?.zip(format);
        if let Some((place, format)) = &mut requests {
            place.write(report::request_header(*format))?;
        }
        // An automatic warm-up is found afterwards: until then all is measured.
        let auto = plan.load.auto_warmup;
        let name = |name: &String| if auto { "measured".to_owned() } else { name.clone() };
        let phases = plan.timeline.phases().iter().map(|phase| name(&phase.name)).collect();
        let report = Destination::open("-o", output.file.as_deref().unwrap_or(Path::new("-")))?;
        let (hgrm, hlog) = (open("--hgrm", &output.hgrm)?, open("--hlog", &output.hlog)?);
        let timeseries = output.timeseries.as_ref();
        let timeseries = timeseries.map(|path| Destination::open_stream("--timeseries", path));
        Ok(Self {
            report,
            hgrm,
            streams: Streams {
                timeseries: timeseries.transpose()?,
                hlog,
                hlog_start_s: None,
                requests,
                phases,
                failed: None,
            },
        })
    }
}
