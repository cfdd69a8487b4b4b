//! A drawing of a sweep that needs nothing else: no scripts, no fonts of its own, readable on white and on black.
//!
//! The same sweep gives the same bytes. What the user typed is escaped. No two texts touch, wherever the marks lie.

use std::fmt::Write;

use super::axis::Axis;
use super::curves::{self, Curve, Mark, Row};
use super::{labels, number};
use crate::plan::Plan;
use crate::report::format::{duration, escape};
use crate::result::summary::{SweepRun, SweepSummary, Variable};

const LEFT: f64 = 90.0;
const RIGHT: f64 = 740.0;
/// Right of the panels: the last label of an axis ends there.
const MARGIN: f64 = 40.0;
/// Heights of the panels.
const TALL: f64 = 205.0;
/// From a panel to the heading of the next one: labels of the axis stand between them.
const BELOW: f64 = 44.0;

/// No variables and no background of the root: half of the programs that draw SVG know neither.
const STYLE: &str = "<style>\
    text{font:12px sans-serif;fill:#222}.t{font-size:15px;font-weight:bold}.e{text-anchor:end}.m{text-anchor:middle}\
    .p{fill:#fff}.f{stroke:#ddd}.x{stroke:#222;fill:none}.l{fill:none;stroke-width:2}.k{stroke:#7a5195;stroke-dasharray:5 4}\
    .a{stroke:#0072b2}.b{stroke:#009e73}.c{stroke:#d55e00}.d{stroke:#a6761d}.r{stroke:#c0143c;stroke-dasharray:6 3}\
    .a0{fill:#0072b2}.b0{fill:#009e73}.c0{fill:#d55e00}.d0{fill:#a6761d}.r0{fill:#c0143c}\
    .o{fill:#fff}text.kt{fill:#7a5195}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}.p{fill:#181818}.f{stroke:#444}.x{stroke:#ddd}.k{stroke:#c9a6e6}\
    .a{stroke:#56b4e9}.b{stroke:#2fd6a3}.c{stroke:#ff9d5c}.d{stroke:#e0b050}.r{stroke:#ff6b81}\
    .a0{fill:#56b4e9}.b0{fill:#2fd6a3}.c0{fill:#ff9d5c}.d0{fill:#e0b050}.r0{fill:#ff6b81}\
    .o{fill:#181818}text.kt{fill:#c9a6e6}}\
    </style>";

/// The drawing.
#[must_use]
pub fn sweep_svg(plan: &Plan, sweep: &SweepSummary) -> String {
    let rows = curves::rows(sweep);
    let url = escape(plan.target.to_string().as_bytes());
    let title =
        format!("{} {url}: sweep of {}", escape(plan.method.as_bytes()), sweep.course.name());
    let mut inside = Drawing::default();
    inside.text((20.0, 26.0), "t", &shortened(&title));
    let size = match Axis::around(rows.iter().map(|row| row.x)) {
        Some(xs) => panels(&mut inside, sweep, &rows, &xs),
        None => {
            inside.text((LEFT, 60.0), "", "no run came to its end");
            (RIGHT + MARGIN, 90.0)
        }
    };
    let (width, height) = size;
    let mut svg = Drawing::default();
    svg.add(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">"
    ));
    svg.add(format_args!("<title>{}</title>", xml(&title)));
    svg.add(format_args!("{STYLE}"));
    svg.add(format_args!("<rect width=\"{width:.0}\" height=\"{height:.0}\" class=\"p\"/>"));
    svg.0.push_str(&inside.0);
    svg.add(format_args!("</svg>"));
    svg.0
}

/// Both panels with their marks; returns the width and the height of the whole drawing.
fn panels(svg: &mut Drawing, sweep: &SweepSummary, rows: &[Row<'_>], xs: &Axis) -> (f64, f64) {
    let mut marks: Vec<(f64, Mark)> = curves::marks(sweep)
        .into_iter()
        .filter_map(|mark| Some((across(xs, mark.x)?, mark)))
        .collect();
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let heading = 54.0;
    let named: Vec<(f64, String)> =
        marks.iter().map(|(at, mark)| (*at, format!("{} {}", mark.name, number(mark.x)))).collect();
    let steps = labels::staircase(&named);
    let lines = steps.iter().map(|step| step + 1).max().unwrap_or(0);
    let first = heading + 20.0;
    let top = first + down(lines) - 8.0;
    let upper = (top, top + TALL);
    let lower = (upper.1 + BELOW + 8.0, upper.1 + BELOW + 8.0 + TALL);
    throughput(svg, sweep, rows, xs, (heading, upper));
    latency(svg, rows, xs, (upper.1 + BELOW, lower));
    let mut width = RIGHT + MARGIN;
    for ((at, text), step) in named.iter().zip(steps) {
        let y = first + down(step);
        svg.line((*at, y - 9.0), (*at, upper.1), "k");
        // Labels of the axis stand between the panels.
        svg.line((*at, lower.0), (*at, lower.1), "k");
        svg.text((at + 4.0, y), "kt", text);
        width = width.max(at + 4.0 + labels::width(text, labels::SIZE) + MARGIN);
    }
    let unit = if sweep.course.variable == Variable::Rate { ", requests a second" } else { "" };
    let scale = if xs.logarithmic { " (logarithmic)" } else { "" };
    let label = format!("{}{unit}{scale}", sweep.course.name());
    svg.text(((LEFT + RIGHT) / 2.0, lower.1 + 40.0), "m", &label);
    (width, lower.1 + 60.0)
}

/// Where a line of labels begins, seen from the first one.
fn down(line: usize) -> f64 {
    labels::LINE * f64::from(u32::try_from(line).unwrap_or(0))
}

#[derive(Default)]
struct Drawing(String);

impl Drawing {
    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{element}").expect("a text takes all that is written");
    }

    fn text(&mut self, (x, y): (f64, f64), class: &str, text: &str) {
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>",
            xml(text)
        ));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
        ));
    }

    /// What curves are, one beside the other.
    fn legend(&mut self, y: f64, what: &str, curves: &[(&str, &str)]) {
        let mut x = LEFT;
        if !what.is_empty() {
            self.text((x, y), "", what);
            x += labels::width(what, labels::SIZE) + 12.0;
        }
        for (class, name) in curves {
            self.add(format_args!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" class=\"{class}0\"/>",
                x + 4.0,
                y - 4.0
            ));
            self.text((x + 12.0, y), "", name);
            x += 12.0 + labels::width(name, labels::SIZE) + 16.0;
        }
    }
}

/// One part of the drawing, between two heights.
struct Panel<'a> {
    xs: &'a Axis,
    ys: Axis,
    heights: (f64, f64),
}

impl Panel<'_> {
    fn point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        Some((across(self.xs, x)?, self.up(y)?))
    }

    fn up(&self, y: f64) -> Option<f64> {
        let (top, bottom) = self.heights;
        Some(bottom - self.ys.place(y)? * (bottom - top))
    }

    /// Lines and labels at round values.
    fn frame(&self, svg: &mut Drawing, label: impl Fn(f64) -> String) {
        let (top, bottom) = self.heights;
        for tick in self.ys.ticks(5) {
            if let Some(y) = self.up(tick) {
                svg.line((LEFT, y), (RIGHT, y), "f");
                svg.text((LEFT - 8.0, y + 4.0), "e", &label(tick));
            }
        }
        let ticks: Vec<(f64, String)> = self
            .xs
            .ticks(7)
            .into_iter()
            .filter_map(|tick| Some((across(self.xs, tick)?, number(tick))))
            .collect();
        for ((x, text), fits) in ticks.iter().zip(labels::in_one_line(&ticks)) {
            svg.line((*x, bottom), (*x, bottom + 5.0), "x");
            if fits {
                svg.text((*x, bottom + 19.0), "m", text);
            }
        }
        svg.add(format_args!("<path d=\"M{LEFT} {top:.1}V{bottom:.1}H{RIGHT}\" class=\"x\"/>"));
    }

    /// A line through the points, and a dot at each; hollow ones say nothing of the server.
    fn curve(&self, svg: &mut Drawing, rows: &[Row<'_>], curve: &Curve, class: &str) {
        let points: Vec<(f64, f64, f64)> = curve
            .iter()
            .filter_map(|&(x, y)| self.point(x, y).map(|(across, up)| (x, across, up)))
            .collect();
        let path: Vec<String> =
            points.iter().map(|(_, across, up)| format!("{across:.1},{up:.1}")).collect();
        svg.add(format_args!("<polyline points=\"{}\" class=\"l {class}\"/>", path.join(" ")));
        for (x, across, up) in points {
            let hollow = rows.iter().any(|row| row.x.total_cmp(&x).is_eq() && row.is_left_out());
            let fill = if hollow { "o".to_owned() } else { format!("{class}0") };
            svg.add(format_args!(
                "<circle cx=\"{across:.1}\" cy=\"{up:.1}\" r=\"3.5\" class=\"{class} {fill}\"/>"
            ));
        }
    }
}

fn across(xs: &Axis, x: f64) -> Option<f64> {
    Some(LEFT + xs.place(x)? * (RIGHT - LEFT))
}

/// What a panel shows, and where: its heading and its top and bottom.
type Place = (f64, (f64, f64));

fn throughput(
    svg: &mut Drawing,
    sweep: &SweepSummary,
    rows: &[Row<'_>],
    xs: &Axis,
    (heading, heights): Place,
) {
    let (good, errors) = (curves::goodput(rows), curves::errors(rows));
    let Some(ys) = curves::axis_of_rates(&good, &errors) else { return };
    let panel = Panel { xs, ys, heights };
    panel.frame(svg, number);
    let saturation = sweep.findings.saturation.rps;
    if let Some(y) = saturation.and_then(|rate| panel.up(rate.value)) {
        svg.line((LEFT, y), (RIGHT, y), "k");
    }
    let mut legend = vec![("a", "good answers a second")];
    if !errors.is_empty() {
        panel.curve(svg, rows, &errors, "r");
        legend.push(("r", "errors a second"));
    }
    panel.curve(svg, rows, &good, "a");
    svg.legend(heading, "", &legend);
}

fn latency(svg: &mut Drawing, rows: &[Row<'_>], xs: &Axis, (heading, heights): Place) {
    let p50 = curves::latency(rows, SweepRun::p50);
    let p95 = curves::latency(rows, SweepRun::p95);
    let p99 = curves::latency(rows, SweepRun::p99);
    let values = p50.iter().chain(&p95).chain(&p99).map(|point| point.1);
    let Some(ys) = Axis::around(values) else { return };
    let panel = Panel { xs, ys: ys.with_zero(), heights };
    panel.frame(svg, duration);
    panel.curve(svg, rows, &p99, "c");
    panel.curve(svg, rows, &p95, "d");
    panel.curve(svg, rows, &p50, "b");
    svg.legend(heading, "response time:", &[("b", "p50"), ("d", "p95"), ("c", "p99")]);
}

/// A title that fits.
fn shortened(title: &str) -> String {
    const MOST: usize = 78;
    if title.len() <= MOST { title.to_owned() } else { format!("{}...", &title[..MOST - 3]) }
}

/// Text, as XML takes it.
fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
