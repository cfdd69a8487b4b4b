//! Texts in the drawing of a sweep: none lies on another, nor on the line of a mark, wherever the marks are.

use super::*;
use crate::result::summary::{Estimate, Knee, Onset, PowerPoint, Scalability};
use crate::stats::random::Random;

/// What a text or a line takes up.
#[derive(Debug)]
#[expect(dead_code, reason = "a failing test shows all of it")]
struct Area {
    what: String,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Area {
    fn touches(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// The value of an attribute of an element.
fn attribute<'a>(element: &'a str, name: &str) -> &'a str {
    let (_, rest) = element.split_once(&format!(" {name}=\"")).unwrap();
    rest.split_once('"').unwrap().0
}

fn number_of(element: &str, name: &str) -> f64 {
    attribute(element, name).parse().unwrap()
}

/// The elements of a name, each from its name to the next element.
fn elements<'a>(svg: &'a str, name: &str) -> Vec<&'a str> {
    svg.split(&format!("<{name} ")).skip(1).collect()
}

/// The areas of all texts in a font as wide as usual ones are.
fn texts(svg: &str) -> Vec<Area> {
    let area = |element: &str| {
        let (x, y) = (number_of(&format!(" {element}"), "x"), number_of(element, "y"));
        let class = attribute(element, "class").to_owned();
        let (_, rest) = element.split_once('>').unwrap();
        let what = rest.split_once("</text>").unwrap().0.to_owned();
        let is = |wanted: &str| class.split(' ').any(|word| word == wanted);
        let size = if is("t") { 15.0 } else { 12.0 };
        let width = what.chars().count() as f64 * size * 0.56;
        let left = match (is("m"), is("e")) {
            (true, _) => x - width / 2.0,
            (_, true) => x - width,
            _ => x,
        };
        Area { what, left, right: left + width, top: y - size * 0.75, bottom: y + size * 0.2 }
    };
    elements(svg, "text").into_iter().map(area).collect()
}

/// The lines of marks.
fn marks(svg: &str) -> Vec<Area> {
    let lines = elements(svg, "line").into_iter().map(|element| format!(" {element}"));
    lines
        .filter(|line| {
            attribute(line, "class") == "k" && attribute(line, "x1") == attribute(line, "x2")
        })
        .map(|line| {
            let x = number_of(&line, "x1");
            let (top, bottom) = (number_of(&line, "y1"), number_of(&line, "y2"));
            Area { what: "a mark".to_owned(), left: x, right: x + 0.1, top, bottom }
        })
        .collect()
}

/// Fails where texts of a drawing touch one another, its edge, or the line of a mark.
fn assert_is_readable(svg: &str) {
    let texts = texts(svg);
    assert!(texts.len() > 5, "{svg}");
    let (width, height) = (number_of(svg, "width"), number_of(svg, "height"));
    for (index, text) in texts.iter().enumerate() {
        let inside = text.left >= 0.0 && text.right <= width && text.bottom <= height;
        assert!(inside && text.top >= 0.0, "{text:?} is not in {width} x {height}");
        let touched = texts[index + 1..].iter().find(|other| text.touches(other));
        assert!(touched.is_none(), "{text:?} lies on {touched:?}");
        let crossing = marks(svg).into_iter().find(|mark| text.touches(mark));
        assert!(crossing.is_none(), "{text:?} lies on {crossing:?}");
    }
}

/// The sweep with its marks at other places.
fn marked(mut sweep: SweepSummary, at: &mut impl FnMut() -> f64) -> SweepSummary {
    let estimate = |value: f64| Estimate { value, ci95: None };
    let findings = &mut sweep.findings;
    let (x, rps) = (estimate(at()), estimate(500.0));
    findings.power_point = Ok(PowerPoint { x, rps, at_edge: false });
    findings.kneedle = Ok(Knee { x: estimate(at()), range: (1.0, 2.0) });
    findings.saturation.rps = Some(estimate(at()));
    findings.errors = Ok(Onset { x: at(), share: 0.1, at_lowest: false });
    findings.usl = Ok(Scalability {
        gain_rps: rps,
        contention: rps,
        coherency: rps,
        best_users: Some(estimate(at())),
        peak_rps: None,
    });
    sweep
}

#[test]
fn no_text_of_the_drawing_lies_on_another_or_on_a_mark_wherever_the_marks_are() {
    let mut random = Random::new(7);
    let mut share = move || random.below(1001) as f64 / 1000.0;
    let sweeps = [rates(), connections(), refusing()];
    for round in 0..60 {
        for sweep in sweeps.clone() {
            let xs: Vec<f64> = sweep.runs.iter().map(|run| run.x).collect();
            let low = xs.iter().copied().fold(f64::INFINITY, f64::min);
            let high = xs.iter().copied().fold(0.0, f64::max);
            // All over the axis, and in every other round close together.
            let (from, width) = if round % 2 == 0 { (0.0, 1.0) } else { (share() * 0.95, 0.05) };
            let mut at = || low * (high / low).powf(from + width * share());
            assert_is_readable(&sweep_svg(&plan(), &marked(sweep, &mut at)));
        }
    }
}

#[test]
fn labels_of_any_axis_are_readable() {
    for (low, high) in
        [(1.0, 5.0), (1.0, 512.0), (200.0, 1300.0), (0.5, 2e6), (9e5, 2.1e6), (1e5, 9e6)]
    {
        let steps = 9;
        let values: Vec<f64> = (0..steps)
            .map(|step| low * f64::powf(high / low, f64::from(step) / f64::from(steps - 1)))
            .collect();
        let runs: Vec<SweepRun> = values.iter().map(|&x| run_at(x, x.min(high / 2.0), 1)).collect();
        let course = course(Variable::Rate, &values, 1);
        let sweep = SweepSummary::of(course, End::Finished, runs, Vec::new());
        let svg = sweep_svg(&plan(), &sweep);
        assert_is_readable(&svg);
        let ends = |text: &Area| text.top > 250.0 && text.left > 80.0;
        assert!(texts(&svg).iter().filter(|text| ends(text)).count() >= 6, "{svg}");
    }
}
