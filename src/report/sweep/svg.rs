//! A drawing of a sweep that needs nothing else: no scripts, no fonts of its own, readable on white and on black.
//!
//! The same sweep gives the same bytes. What the user typed is escaped.

use std::fmt::Write;

use super::axis::Axis;
use super::curves::{self, Curve, Mark, Row};
use super::number;
use crate::plan::Plan;
use crate::report::format::{duration, escape};
use crate::summary::{SweepSummary, Variable};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 600.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 740.0;

/// Tops and bottoms of the panels.
const THROUGHPUT: (f64, f64) = (86.0, 290.0);
const LATENCY: (f64, f64) = (330.0, 540.0);

/// No variables and no background of the root: half of the programs that draw SVG know neither.
const STYLE: &str = "<style>\
    text{font:12px sans-serif;fill:#222}.t{font-size:15px;font-weight:bold}.e{text-anchor:end}.m{text-anchor:middle}\
    .p{fill:#fff}.f{stroke:#ddd}.x{stroke:#222;fill:none}.l{fill:none;stroke-width:2}.k{stroke:#7a5195;stroke-dasharray:5 4}\
    .a{stroke:#0072b2}.b{stroke:#009e73}.c{stroke:#d55e00}.a0{fill:#0072b2}.b0{fill:#009e73}.c0{fill:#d55e00}\
    .o{fill:#fff}text.kt{fill:#7a5195}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}.p{fill:#181818}.f{stroke:#444}.x{stroke:#ddd}.k{stroke:#c9a6e6}\
    .a{stroke:#56b4e9}.b{stroke:#2fd6a3}.c{stroke:#ff9d5c}.a0{fill:#56b4e9}.b0{fill:#2fd6a3}.c0{fill:#ff9d5c}\
    .o{fill:#181818}text.kt{fill:#c9a6e6}}\
    </style>";

/// The drawing.
#[must_use]
pub fn sweep_svg(plan: &Plan, sweep: &SweepSummary) -> String {
    let mut svg = Drawing::default();
    svg.add(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">"
    ));
    let url = escape(plan.target.to_string().as_bytes());
    let title =
        format!("{} {url}: sweep of {}", escape(plan.method.as_bytes()), sweep.course.name());
    svg.add(format_args!("<title>{}</title>", xml(&title)));
    svg.add(format_args!("{STYLE}"));
    svg.add(format_args!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" class=\"p\"/>"));
    svg.text((LEFT, 28.0), "t", &shortened(&title));
    let rows = curves::rows(sweep);
    if let Some(xs) = Axis::around(rows.iter().map(|row| row.x)) {
        throughput(&mut svg, sweep, &rows, &xs);
        latency(&mut svg, &rows, &xs);
        let marks = curves::marks(sweep);
        marks.iter().enumerate().for_each(|(index, mark)| vertical(&mut svg, index, mark, &xs));
        let unit = if sweep.course.variable == Variable::Rate { ", requests a second" } else { "" };
        let scale = if xs.logarithmic { " (logarithmic)" } else { "" };
        let label = format!("{}{unit}{scale}", sweep.course.name());
        svg.text(((LEFT + RIGHT) / 2.0, 580.0), "m", &label);
    } else {
        svg.text((LEFT, 60.0), "", "no run came to its end");
    }
    svg.add(format_args!("</svg>"));
    svg.0
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
        for tick in self.xs.ticks(7) {
            if let Some(x) = across(self.xs, tick) {
                svg.line((x, bottom), (x, bottom + 5.0), "x");
                svg.text((x, bottom + 19.0), "m", &number(tick));
            }
        }
        svg.add(format_args!("<path d=\"M{LEFT} {top}V{bottom}H{RIGHT}\" class=\"x\"/>"));
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

fn throughput(svg: &mut Drawing, sweep: &SweepSummary, rows: &[Row<'_>], xs: &Axis) {
    let curve = curves::throughput(rows);
    let Some(ys) = Axis::around(curve.iter().map(|point| point.1)) else { return };
    let panel = Panel { xs, ys: ys.with_zero(), heights: THROUGHPUT };
    panel.frame(svg, number);
    let saturation = sweep.findings.saturation.rps;
    if let Some(y) = saturation.and_then(|rate| panel.up(rate.value)) {
        svg.line((LEFT, y), (RIGHT, y), "k");
    }
    panel.curve(svg, rows, &curve, "a");
    svg.text((LEFT, THROUGHPUT.0 - 8.0), "", "achieved requests a second");
}

fn latency(svg: &mut Drawing, rows: &[Row<'_>], xs: &Axis) {
    let p50 = curves::latency(rows, |run| run.p50());
    let p99 = curves::latency(rows, |run| run.p99());
    let values = p50.iter().chain(&p99).map(|point| point.1);
    let Some(ys) = Axis::around(values) else { return };
    let panel = Panel { xs, ys: ys.with_zero(), heights: LATENCY };
    panel.frame(svg, duration);
    panel.curve(svg, rows, &p99, "c");
    panel.curve(svg, rows, &p50, "b");
    let y = LATENCY.0 - 8.0;
    svg.text((LEFT, y), "", "response time:");
    for (x, class, name) in [(192.0, "b", "p50"), (242.0, "c", "p99")] {
        svg.add(format_args!(
            "<circle cx=\"{x}\" cy=\"{:.1}\" r=\"3.5\" class=\"{class}0\"/>",
            y - 4.0
        ));
        svg.text((x + 8.0, y), "", name);
    }
}

/// A mark through both panels; its name stands above them, one below the other.
fn vertical(svg: &mut Drawing, index: usize, mark: &Mark, xs: &Axis) {
    let Some(x) = across(xs, mark.x) else { return };
    let down = f64::from(u32::try_from(index).unwrap_or(0)) * 14.0;
    let y = THROUGHPUT.0 - 38.0 + down;
    svg.line((x, y - 8.0), (x, LATENCY.1), "k");
    let right = x > (LEFT + RIGHT) / 2.0;
    let (at, class) = if right { (x - 4.0, "kt e") } else { (x + 4.0, "kt") };
    svg.text((at, y), class, &format!("{} {}", mark.name, number(mark.x)));
}

/// A title that fits.
fn shortened(title: &str) -> String {
    const MOST: usize = 80;
    if title.len() <= MOST { title.to_owned() } else { format!("{}...", &title[..MOST - 3]) }
}

/// Text, as XML takes it.
fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
