//! What a terminal shows: colour where it is wanted, and one live line on standard error while a run goes on.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use crate::machine::sys;
use crate::plan::Plan;
use crate::report::{self, Style};
use crate::result::summary::IntervalRow;
use crate::run::Progress;
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
    /// What is shown in front so many seconds after the start: where a longer course stands.
    standing: Box<dyn Fn(f64) -> String>,
    /// Where it is shown, once it is.
    screen: Option<Screen>,
}

impl LiveLine {
    pub(super) fn new(plan: &Plan) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let wanted = plan.output.shows_progress();
        let total_s = plan.load.duration_ns.map(seconds);
        Self {
            quiet: plan.output.quiet,
            shown: wanted && !dumb && io::stderr().is_terminal(),
            last_shown: None,
            columns: sys::terminal_columns(2).unwrap_or(80),
            begun: Instant::now(),
            total_s,
            standing: Box::new(|_| String::new()),
            screen: None,
        }
    }

    /// The same for a run that is a part of something longer, with where that stands in front, so many seconds after the
    /// start of the run.
    pub(super) fn within(plan: &Plan, standing: impl Fn(f64) -> String + 'static) -> Self {
        let standing = move |elapsed_s| standing(elapsed_s) + "  ";
        Self { standing: Box::new(standing), ..Self::new(plan) }
    }

    pub(super) fn show(&mut self, progress: Progress<'_>) {
        let total_s = self.total_s;
        self.show_as(progress, |row, columns| {
            report::progress_line(row, row.end_s, total_s, columns)
        });
    }

    /// The same with another line for an interval, of at most that many columns.
    pub(super) fn show_as(
        &mut self,
        progress: Progress<'_>,
        line: impl FnOnce(&IntervalRow, u16) -> String,
    ) {
        if let Progress::Ended = progress {
            if let Some(screen) = self.screen.take() {
                screen.clear();
            }
            return;
        }
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
            Progress::Requests(_) | Progress::Fallback(_) | Progress::Ended => return,
            Progress::Interval(row, _)
                if self.total_s.is_some_and(|total_s| row.end_s >= total_s + 1.0) =>
            {
                return;
            }
            Progress::Opening(open, asked) => format!("opening connections: {open} of {asked}"),
            Progress::Interval(row, _) => {
                let columns = usize::from(self.columns);
                let standing: String = (self.standing)(elapsed_s).chars().take(columns).collect();
                let room = u16::try_from(columns - standing.chars().count()).unwrap_or(0);
                standing + &line(row, room)
            }
        };
        self.last_shown = Some(Instant::now());
        let screen = self.screen.get_or_insert_with(|| Screen::new(io::stderr()));
        screen.show(format!("\r\x1b[K{line}"));
    }

    /// Nobody reads more than a few lines a second.
    fn shown_lately(&self) -> bool {
        const OFTEN_ENOUGH: Duration = Duration::from_millis(200);
        self.last_shown.is_some_and(|shown| shown.elapsed() < OFTEN_ENOUGH)
    }
}

/// What shows lines, from a thread of its own: a terminal that was stopped by its user must not stop a run.
struct Screen {
    lines: SyncSender<String>,
    ended: Receiver<()>,
}

impl Screen {
    /// How long the last line may take.
    const PATIENCE: Duration = Duration::from_millis(200);

    fn new(mut terminal: impl Write + Send + 'static) -> Self {
        let (lines, shown) = mpsc::sync_channel::<String>(1);
        let (end, ended) = mpsc::channel();
        // Nobody can be told that the live line is broken, or that there is none.
        let _ = thread::Builder::new().name("live".to_owned()).spawn(move || {
            for line in shown {
                let _ = terminal.write_all(line.as_bytes());
            }
            let _ = terminal.write_all(b"\r\x1b[K");
            let _ = end.send(());
        });
        Self { lines, ended }
    }

    /// Shows a line, unless the one before it is still not shown.
    fn show(&self, line: String) {
        let _ = self.lines.try_send(line);
    }

    /// Clears the line, so that something else can be written in its place.
    fn clear(self) {
        drop(self.lines);
        let _ = self.ended.recv_timeout(Self::PATIENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::Screen;
    use std::io::{self, Write};
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Duration;

    /// A terminal that takes nothing before it is told to.
    struct Stopped {
        go_on: Receiver<()>,
        taken: Sender<String>,
    }

    impl Write for Stopped {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.go_on.recv();
            let _ = self.taken.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stopped_terminal_holds_nobody_up() {
        let (go_on, gone_on) = mpsc::channel();
        let (taken, seen) = mpsc::channel();
        let screen = Screen::new(Stopped { go_on: gone_on, taken });
        (0..1000).for_each(|number| screen.show(number.to_string()));
        screen.clear();
        assert!(seen.try_recv().is_err(), "nothing was taken so far");
        drop(go_on);
        let shown: Vec<String> =
            std::iter::from_fn(|| seen.recv_timeout(Duration::from_secs(10)).ok()).collect();
        // One line was on its way, one could wait, and at the end there is none.
        assert!((2..=3).contains(&shown.len()), "{shown:?}");
        assert_eq!(shown.last().map(String::as_str), Some("\r\u{1b}[K"));
    }
}
