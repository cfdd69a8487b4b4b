//! The files and streams of one run, opened before it starts.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::reports::Reports;
use crate::exit::Refusal;
use crate::output::{Destination, Fed, Feed};
use crate::plan::{Plan, RequestFormat};
use crate::report;
use crate::result::summary::Stream;
use crate::run::Progress;

/// Where the results of a run go; opened before it starts.
pub(super) struct Places {
    pub(super) reports: Reports,
    pub(super) hgrm: Option<Destination>,
    pub(super) streams: Streams,
}

/// What is written while a run goes on.
pub(super) struct Streams {
    timeseries: Option<Output>,
    hlog: Option<Output>,
    /// When the interval log starts, in seconds of the run's clock; `None` before its first line.
    hlog_start_s: Option<f64>,
    requests: Option<(Output, RequestFormat)>,
    phases: Vec<String>,
}

/// One of them.
struct Output {
    flag: &'static str,
    path: PathBuf,
    state: State,
}

enum State {
    /// Nothing can be written yet: the run may still be refused.
    Open(Destination),
    Feeding(Feed),
    Gone,
}

impl Output {
    fn new(flag: &'static str, path: &Path, place: Destination) -> Self {
        Self { flag, path: path.to_owned(), state: State::Open(place) }
    }

    fn begin(&mut self) -> Result<(), Refusal> {
        if let State::Open(mut place) = std::mem::replace(&mut self.state, State::Gone) {
            place.begin()?;
            self.state = State::Feeding(Feed::start(place)?);
        }
        Ok(())
    }

    fn push(&mut self, entries: u64, encode: impl FnOnce() -> Vec<u8>) {
        if let State::Feeding(feed) = &mut self.state {
            feed.push(entries, encode);
        }
    }

    /// What became of it, with `dropped` entries that never came so far, and why it is not whole.
    fn finish(self, dropped: u64) -> (Stream, Option<Refusal>) {
        let Self { flag, path, state } = self;
        let fed = match state {
            State::Feeding(feed) => feed.end(true),
            State::Open(_) | State::Gone => Fed::default(),
        };
        let stream = Stream { flag, written: fed.written, dropped: fed.dropped + dropped };
        let not_whole = || {
            let Stream { written, dropped, .. } = stream;
            let why = if fed.reader_gone {
                "because the reader left; let it read to the end"
            } else {
                "because the reader or the disk was too slow; use a faster one, or send fewer requests a second"
            };
            Refusal::output(format!(
                "{flag} {}: {dropped} of {} entries were not written, {why}",
                path.display(),
                dropped + written
            ))
        };
        // Whoever closes standard output has seen what was wanted, as of a report.
        let on_purpose = fed.reader_gone && fed.is_stdout;
        let refusal = fed.failed.or_else(|| (stream.dropped > 0 && !on_purpose).then(not_whole));
        (stream, refusal)
    }

    fn discard(self) {
        let place = match self.state {
            State::Open(place) => Some(place),
            State::Feeding(feed) => feed.end(false).place,
            State::Gone => None,
        };
        place.into_iter().for_each(Destination::discard);
    }
}

impl Streams {
    /// From here on there is a result: nothing can be refused any more.
    ///
    /// # Errors
    /// Exit code 8, or 7 when no thread can be had.
    pub(super) fn begin(&mut self) -> Result<(), Refusal> {
        let requests = self.requests.as_mut().map(|(output, _)| output);
        let outputs = [self.timeseries.as_mut(), self.hlog.as_mut(), requests];
        outputs.into_iter().flatten().try_for_each(Output::begin)
    }

    pub(super) fn take(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Opening(..) | Progress::Fallback(_) | Progress::Ended => {}
            Progress::Interval(row, latency) => {
                if let Some(output) = &mut self.timeseries {
                    output.push(1, || report::timeseries_line(row).into_bytes());
                }
                let Some(output) = &mut self.hlog else { return };
                let start_s = row.end_s - 1.0;
                if self.hlog_start_s.is_none() {
                    let started_at = SystemTime::now() - Duration::from_secs(1);
                    output.push(0, || report::hlog_header(started_at).into_bytes());
                }
                let log_start_s = *self.hlog_start_s.get_or_insert(start_s);
                let line = || report::hlog_line(row, latency, start_s - log_start_s).into_bytes();
                output.push(1, line);
            }
            Progress::Requests(rows) => {
                let Some((output, format)) = &mut self.requests else { return };
                output
                    .push(rows.len() as u64, || report::request_rows(rows, *format, &self.phases));
            }
        }
    }

    /// Ends all of them; `unlogged` requests were dropped before they came here. Whoever does not take what is left is not
    /// awaited for long. Returns what became of each, and why those that are not whole are not.
    pub(super) fn finish(self, unlogged: u64) -> (Vec<Stream>, Vec<Refusal>) {
        let mut hlog = self.hlog;
        if let Some(output) = hlog.as_mut().filter(|_| self.hlog_start_s.is_none()) {
            // The run ended within its first second.
            output.push(0, || report::hlog_header(SystemTime::now()).into_bytes());
        }
        let requests = self.requests.map(|(output, _)| (output, unlogged));
        let outputs =
            [self.timeseries.map(|output| (output, 0)), hlog.map(|output| (output, 0)), requests];
        let ended = outputs.into_iter().flatten().map(|(output, dropped)| output.finish(dropped));
        let (streams, refusals): (Vec<_>, Vec<_>) = ended.unzip();
        (streams, refusals.into_iter().flatten().collect())
    }

    /// Nothing was measured: what was opened leaves nothing behind.
    pub(super) fn discard(self) {
        let outputs = [self.timeseries, self.hlog, self.requests.map(|(output, _)| output)];
        outputs.into_iter().flatten().for_each(Output::discard);
    }
}

impl Places {
    pub(super) fn open(plan: &Plan) -> Result<Self, Refusal> {
        let output = &plan.output;
        let open = |flag, path: &Option<PathBuf>| {
            let path = path.as_ref();
            path.map(|path| Ok(Output::new(flag, path, Destination::open(flag, path)?))).transpose()
        };
        let format = output.log_requests.as_deref().map(RequestFormat::of).transpose();
        let format = format.map_err(Refusal::usage)?;
        let mut requests = open("--log-requests", &output.log_requests)?.zip(format);
        if let Some((Output { state: State::Open(place), .. }, format)) = &mut requests {
            place.write(report::request_header(*format))?;
        }
        // An automatic warm-up is found afterwards: until then all is measured.
        let auto = plan.load.auto_warmup;
        let name = |name: &String| if auto { "measured".to_owned() } else { name.clone() };
        let phases = plan.timeline.phases().iter().map(|phase| name(&phase.name)).collect();
        let reports = Reports::open(output)?;
        let hgrm =
            output.hgrm.as_ref().map(|path| Destination::open("--hgrm", path)).transpose()?;
        let hlog = open("--hlog", &output.hlog)?;
        const TIMESERIES: &str = "--timeseries";
        let timeseries = output.timeseries.as_ref().map(|path| {
            Ok(Output::new(TIMESERIES, path, Destination::open_stream(TIMESERIES, path)?))
        });
        let timeseries = timeseries.transpose()?;
        let streams = Streams { timeseries, hlog, hlog_start_s: None, requests, phases };
        Ok(Self { reports, hgrm, streams })
    }
}
