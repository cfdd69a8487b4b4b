//! `maxq sweep`: one load after the other, in one process, with one table in the end.
//!
//! A rate sweep goes through one session, over the same connections; other sweeps open one a run. What can be refused is
//! refused before the first run. What ends the sweep early leaves what there is, marked.

mod course;
pub mod page;

use std::time::Duration;

use super::live::{LiveLine, style};
use super::reports::{self, Forms, Reports, tell_of};
use super::{complaint, tell};
use crate::cli::{FormatArg, SweepArgs};
use crate::exit::{self, ExitCode, Refusal, Signal};
use crate::output::Destination;
use crate::plan::{Load, Plan};
use crate::report::{self, Document};
use crate::result::summary::{Course, End, SoFar, Summary, SweepRun, SweepSummary, Variable};
use crate::run::preflight::warn_of_place;
use crate::run::{Bench, Connections, Interrupts, no_connection};
use crate::time::seconds;
use course::{Step, Values};
use page::{Attempt, LineFormat};

/// Between two runs unless `--pause` says otherwise, in nanoseconds.
const USUAL_PAUSE_NS: u64 = 500_000_000;

/// `maxq sweep`: returns the exit code of a sweep that came to a report.
///
/// # Errors
/// Why there is no report.
pub fn sweep(args: &SweepArgs) -> Result<ExitCode, Refusal> {
    reports::watched("sweep", &(&args.target.args).into(), || carry_out(args))
}

fn carry_out(args: &SweepArgs) -> Result<ExitCode, Refusal> {
    let values = Values::of(args)?;
    let base = course::base(args)?;
    let numbers = values.numbers();
    let largest = values.args(&base, numbers.len() - 1);
    let url = args.target.url.as_deref().unwrap_or_default();
    let plan = Plan::build(url, &largest)?;
    // What is wrong with one of them is to be known before the first is run.
    let load = |index: usize| {
        let load = plan.load_of(&values.args(&base, index))?;
        plan.with_load(load).map(|plan| plan.load)
    };
    let loads = (0..numbers.len()).map(load).collect::<Result<Vec<Load>, Refusal>>()?;
    let asked_ns = args.target.args.duration;
    let mut course = Course {
        variable: values.variable(),
        values: numbers,
        lengths_ns: course::lengths_ns(&loads, asked_ns, None),
        repeats: plan.repeat.unwrap_or(1),
        open: plan.load.pacing.is_some(),
        order: course::order(args.flags.order),
        pause_ns: plan.pause_ns.unwrap_or(USUAL_PAUSE_NS),
        most_in_flight: most_in_flight(&plan, &values),
        seed: plan.seed,
    };
    if plan.preflight.dry_run {
        return dry_run(&plan, args, &course);
    }
    let places = Places::open(&plan, args)?;
    let bench =
        Bench::prepare(plan, Interrupts::catch()?)?.with_connections(match course.variable {
            Variable::Rate => Connections::Kept,
            Variable::Connections | Variable::Pipeline => Connections::Renewed,
        });
    tell(bench.plan(), bench.warnings());
    course.lengths_ns = course::lengths_ns(&loads, asked_ns, bench.seen());
    let mut sweep = Sweep {
        bench,
        loads,
        course: &course,
        places,
        runs: Vec::new(),
        sentinels: Vec::new(),
        documents: (Vec::new(), Vec::new()),
    };
    let ended = sweep.carry_out(&course::steps(&course, args.flags.sentinel));
    sweep.finish(ended)
}

/// What holds back the rates of a sweep over the same connections.
fn most_in_flight(plan: &Plan, values: &Values) -> Option<u64> {
    let pacing = plan.load.pacing.as_ref().filter(|_| values.variable() == Variable::Rate);
    pacing.map(|pacing| pacing.max_in_flight)
}

/// Shows the plan of the largest value and all values, and sends nothing.
fn dry_run(plan: &Plan, args: &SweepArgs, course: &Course) -> Result<ExitCode, Refusal> {
    if !matches!(format_of(args), FormatArg::Text) {
        return Err(Refusal::usage(
            "--dry-run shows the plan of a sweep as text only; leave --json and --format out"
                .to_owned(),
        ));
    }
    tell(plan, &warn_of_place(plan));
    let mut place = Destination::open("-o", plan.output.report())?;
    let values: Vec<String> = course.values.iter().map(ToString::to_string).collect();
    let sweep = format!(
        "Sweep of {} over {}; what follows is the plan of the largest.\n\n",
        course.name(),
        values.join(", ")
    );
    place.write(sweep + &report::plan_text(plan, style(place.is_stdout())))?;
    place.finish()?;
    Ok(exit::FINISHED)
}

fn format_of(args: &SweepArgs) -> FormatArg {
    let json = args.target.args.json.then_some(FormatArg::Json);
    args.target.args.format.or(json).unwrap_or(FormatArg::Text)
}

/// Where results go; opened before the first run.
struct Places {
    reports: Reports,
    lines: Option<LineFormat>,
    /// There is a line, or at least a header.
    begun: bool,
    svg: Option<Destination>,
}

impl Places {
    fn open(plan: &Plan, args: &SweepArgs) -> Result<Self, Refusal> {
        let output = &plan.output;
        let lines = match format_of(args) {
            FormatArg::Text | FormatArg::Json | FormatArg::Markdown | FormatArg::Junit => None,
            FormatArg::Ndjson => Some(LineFormat::Ndjson),
            FormatArg::Csv => Some(LineFormat::Csv),
            FormatArg::Tsv => Some(LineFormat::Tsv),
        };
        let svg = args.flags.svg.as_deref();
        if let Some((path, flag)) = svg.and_then(|path| Some((path, output.writer_of(path)?))) {
            let shown = path.display();
            return Err(Refusal::usage(format!(
                "--svg {shown}: {flag} already writes there; name another file"
            )));
        }
        let reports =
            if lines.is_some() { Reports::open_stream(output) } else { Reports::open(output) };
        Ok(Self {
            reports: reports?,
            lines,
            begun: false,
            svg: svg.map(|path| Destination::open("--svg", path)).transpose()?,
        })
    }

    /// Writes the line of a run, the first one below the header: until then a file keeps what was in it.
    fn line(&mut self, run: &SweepRun) -> Result<(), Refusal> {
        let Some(format) = self.lines else { return Ok(()) };
        if !self.begun {
            self.begin(format)?;
        }
        self.reports.report.write(page::sweep_line(run, format))
    }

    fn begin(&mut self, format: LineFormat) -> Result<(), Refusal> {
        self.begun = true;
        self.reports.report.begin()?;
        self.reports.report.write(page::sweep_header(format))
    }
}

/// A sweep under way.
struct Sweep<'a> {
    /// Its plan is that of the largest value.
    bench: Bench,
    /// That of each value, but for its length.
    loads: Vec<Load>,
    course: &'a Course,
    places: Places,
    runs: Vec<SweepRun>,
    sentinels: Vec<SweepRun>,
    /// Those of the runs and of the sentinels, where they are wanted.
    documents: (Vec<Document>, Vec<Document>),
}

/// Why no more runs are made.
enum Stopped {
    /// All are done, or the user wants to stop.
    By(End),
    /// The target is of no use any more, this machine refuses to go on, or results cannot be written.
    Refused(Refusal),
}

impl Sweep<'_> {
    fn carry_out(&mut self, steps: &[Step]) -> Stopped {
        self.announce(steps);
        for (number, step) in steps.iter().enumerate() {
            let pause = Duration::from_nanos(self.course.pause_ns);
            let signal = (number > 0).then(|| self.bench.pause(pause)).flatten();
            if let Some(signal) = signal {
                return Stopped::By(End::Interrupted(signal));
            }
            match self.take(*step, number, &steps[number..]) {
                Ok(None) => {}
                Ok(Some(signal)) => return Stopped::By(End::Interrupted(signal)),
                Err(refusal) => return Stopped::Refused(refusal),
            }
        }
        Stopped::By(End::Finished)
    }

    /// Makes the first of the runs that are left, and keeps what it found unless a signal ended it.
    fn take(
        &mut self,
        step: Step,
        number: usize,
        left: &[Step],
    ) -> Result<Option<Signal>, Refusal> {
        let (plan, summary) = self.run(step, number, left)?;
        if let End::Interrupted(signal) = summary.end {
            return Ok(Some(signal));
        }
        if let Some(refusal) = no_connection(&plan, &summary) {
            return Err(refusal);
        }
        if self.is_of_no_use(step, &summary) {
            let why = complaint(&plan, &summary).unwrap_or_default();
            let (name, x) = (self.course.name(), self.course.values[step.index]);
            return Err(Refusal::target(format!("{why}; this was at {name} {x}")));
        }
        self.keep(step, &plan, &summary, (number + 1, number + left.len()))?;
        Ok(None)
    }

    /// Whether there is no point in going on. That a value is too much for the target is what a sweep is to show; that it
    /// has gone, or does not answer the lowest value well, is not.
    fn is_of_no_use(&self, step: Step, summary: &Summary) -> bool {
        let unanswered = summary.counts().ok == 0;
        let gone =
            summary.measured.completed_in_window == 0 && summary.record.connections.failed > 0;
        summary.end != End::Finished || (unanswered && (step.index == 0 || gone))
    }

    /// Says how long it will take, as far as that is known.
    fn announce(&self, steps: &[Step]) {
        if let (Some(whole_s), true) =
            (self.whole_s(steps), self.bench.plan().output.shows_progress())
        {
            eprintln!("maxq: {}", page::sweep_announcement(self.course, steps.len(), whole_s));
        }
    }

    /// How long some runs take, in seconds; `None` where a number of requests ends them.
    fn whole_s(&self, steps: &[Step]) -> Option<f64> {
        course::whole_s(self.course, steps, self.bench.plan().load.warmup_ns)
    }

    /// Makes the first of the runs that are left.
    fn run(
        &mut self,
        step: Step,
        number: usize,
        left: &[Step],
    ) -> Result<(Plan, Summary), Refusal> {
        let length_ns = self.course.lengths_ns.get(step.index).copied();
        let load = &self.loads[step.index];
        let duration_ns = if load.requests.is_some() { load.duration_ns } else { length_ns };
        let load = Load { duration_ns, ..load.clone() };
        // Each run draws arrivals of its own.
        let seed = self.course.seed.wrapping_add(u64::try_from(number).unwrap_or(u64::MAX));
        let plan = self.bench.plan().with_load(load)?.with_seed(seed)?;
        let mut live = LiveLine::new(&plan);
        let attempt = Attempt {
            name: self.course.name(),
            x: self.course.values[step.index],
            place: (number + 1, number + left.len()),
            length_s: length_ns.map(seconds),
            rest_s: self.whole_s(&left[1..]),
            known: SoFar::of(&self.runs),
        };
        let summary = self.bench.run(&plan, |progress| {
            live.show_as(progress, |row, columns| page::sweep_live(&attempt, row, columns));
        })?;
        Ok((plan, summary))
    }

    /// Keeps what a run found, and tells of it.
    fn keep(
        &mut self,
        step: Step,
        plan: &Plan,
        summary: &Summary,
        (done, all): (usize, usize),
    ) -> Result<(), Refusal> {
        let run = SweepRun::of(self.course.values[step.index], step.repeat, summary);
        if plan.output.shows_progress() {
            let kind = if step.sentinel { "sentinel, " } else { "" };
            let what = format!("{kind}{}", self.course.name());
            eprintln!("maxq: {}", page::sweep_progress(&what, &run, (done, all)));
        }
        let (of_runs, of_sentinels) = &mut self.documents;
        let (runs, documents) = if step.sentinel {
            (&mut self.sentinels, of_sentinels)
        } else {
            (&mut self.runs, of_runs)
        };
        if plan.output.json {
            documents.push(report::document(plan, summary));
        }
        let written = if step.sentinel { Ok(()) } else { self.places.line(&run) };
        runs.push(run);
        written
    }

    /// Writes what there is, and returns the exit code.
    fn finish(self, stopped: Stopped) -> Result<ExitCode, Refusal> {
        let Self { bench, places, course, runs, sentinels, documents, .. } = self;
        let plan = bench.plan();
        let (end, refusal) = match stopped {
            Stopped::By(end) => (end, None),
            Stopped::Refused(refusal) if runs.is_empty() => {
                places.reports.report.discard();
                return Err(refusal);
            }
            Stopped::Refused(refusal) => (End::GaveUp, Some(refusal)),
        };
        let summary = SweepSummary::of(course.clone(), end, runs, sentinels);
        if let Some(refusal) = refusal.as_ref().filter(|refusal| refusal.code == exit::OUTPUT) {
            // What was measured is not to be lost for want of a place to write it.
            eprint!("{}", page::sweep_findings(&summary));
            return Err(refusal.clone());
        }
        let code = exit_code(plan, &summary);
        let code = refusal.as_ref().map_or(code, |refusal| refusal.code);
        let mut refusals = write(places, (plan, code), &summary, documents);
        refusals.extend(refusal);
        if code == exit::INVALID {
            let flawed = summary.runs.iter().filter(|run| run.is_flawed()).count();
            eprintln!("maxq: {flawed} of {} runs are not valid (--strict)", summary.runs.len());
        }
        Ok(tell_of(&refusals, code))
    }
}

fn write(
    mut places: Places,
    (plan, code): (&Plan, ExitCode),
    summary: &SweepSummary,
    (runs, sentinels): (Vec<Document>, Vec<Document>),
) -> Vec<Refusal> {
    let review = || page::sweep_review(summary, code, plan.strict);
    let forms = Forms {
        text: &|style| page::sweep_text(plan, summary, style),
        quiet: &|| page::sweep_findings(summary),
        json: &|| page::sweep_json(plan, summary, runs.clone(), sentinels.clone()),
        // Its lines have been written.
        tsv: &String::new,
        markdown: &|| review().markdown(),
        junit: &|| review().junit(),
    };
    let mut refusals = Vec::new();
    let has_lines = places.lines.is_some();
    if let Some(format) = places.lines.filter(|_| !places.begun) {
        // Interrupted before the first line: columns without rows.
        refusals.extend(places.begin(format).err());
    }
    refusals.extend(if has_lines {
        places.reports.close("", &forms)
    } else {
        places.reports.write(&plan.output, &forms)
    });
    // Lines have no place for what they say together.
    if has_lines && refusals.is_empty() && !plan.output.quiet {
        eprint!("{}", page::sweep_findings(summary));
    } else if summary.drift.is_some_and(|drift| drift.is_large()) && !plan.output.quiet {
        eprintln!(
            "maxq: warning: the lowest value was run again and has moved; see Sentinel in the report"
        );
    }
    if let Some(mut svg) = places.svg {
        let written = svg.write(page::sweep_svg(plan, summary));
        refusals.extend(written.and_then(|()| svg.finish()).err());
    }
    refusals
}

fn exit_code(plan: &Plan, summary: &SweepSummary) -> ExitCode {
    match summary.end {
        End::Interrupted(signal) => signal.exit_code(),
        End::GaveUp | End::Overloaded | End::Aborted { .. } => exit::TARGET,
        End::Finished if plan.strict && summary.runs.iter().any(SweepRun::is_flawed) => {
            exit::INVALID
        }
        End::Finished => exit::FINISHED,
    }
}
