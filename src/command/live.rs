//! What a terminal shows: colour where it is wanted, and one live line on standard error while a run goes on.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::plan::Plan;
use crate::report::{self, Style};
use crate::run::Progress;
use crate::sys;
use crate::time::seconds;

/// How text may look where it goes.
pub(super) fn style(is_stdout: bool) -> Style {
    let terminal = is_stdout && io::stdout().is_terminal();
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let forced = is_stdout && set("CLICOLOR_FORCE");
    let color = !set("NO_COLOR") && (forced || (terminal && !dumb));
    let columns = if terminal { sys::terminal_columns(1).unwrap_or(80) } else { 80 };
    Style { color, columns }
}

/// The one live line on standard error, when somebody can see it.
pub(super) struct LiveLine {
    quiet: bool,
    shown: bool,
    last_shown: Option<Instant>,
    columns: u16,
    begun: Instant,
    total_s: Option<f64>,
    visible: bool,
}

impl LiveLine {
    pub(super) fn new(plan: &Plan) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let wanted = !plan.output.quiet && !plan.output.no_progress;
        let total_s = plan.load.duration_ns.map(seconds);
        Self {
            quiet: plan.output.quiet,
            shown: wanted && !dumb && io::stderr().is_terminal(),
            last_shown: None,
            columns: sys::terminal_columns(2).unwrap_or(80),
            begun: Instant::now(),
            total_s,
            visible: false,
        }
    }

    pub(super) fn show(&mut self, progress: Progress<'_>) {
        if let Progress::Fallback(cause) = progress {
            if !self.quiet {
                eprintln!(
                    "maxq: {cause}; the portable engine takes its place, which costs more CPU"
                );
            }
            return;
        }
        if !self.shown {
            return;
        }
        let elapsed_s = self.begun.elapsed().as_secs_f64();
        let line = match progress {
            // Opening is over before anybody can read of it, unless something is wrong.
            Progress::Opening(..) if elapsed_s < 0.3 || self.shown_lately() => return,
            // The last second of a drain is no second of the run.
            Progress::Requests(_) | Progress::Fallback(_) => return,
            Progress::Interval(row, _)
                if self.total_s.is_some_and(|total_s| row.end_s >= total_s + 1.0) =>
            {
                return;
            }
            Progress::Opening(open, asked) => format!("opening connections: {open} of {asked}"),
            Progress::Interval(row, _) => {
                report::progress_line(row, row.end_s, self.total_s, self.columns)
            }
        };
        self.visible = true;
        self.last_shown = Some(Instant::now());
        // Nobody can be told that the live line is broken.
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
    }

    /// Nobody reads more than a few lines a second.
    fn shown_lately(&self) -> bool {
        const OFTEN_ENOUGH: Duration = Duration::from_millis(200);
        self.last_shown.is_some_and(|shown| shown.elapsed() < OFTEN_ENOUGH)
    }

    pub(super) fn clear(&self) {
        if self.visible {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
