//! Where the labels of a drawing stand, so that none lies on another.
//!
//! Nobody knows the font in which a drawing will be shown: widths are those of a wide one.

/// Font size of labels.
pub(super) const SIZE: f64 = 12.0;
/// From one line of labels to the next.
pub(super) const LINE: f64 = 15.0;
/// Between two labels in one line, and between a label and the line that it belongs to.
const GAP: f64 = 8.0;
/// Width of a character, as a share of the font size.
const WIDTH: f64 = 0.58;

/// The width of a text in a font of that size.
#[expect(clippy::cast_precision_loss, reason = "a text of a few words")]
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * WIDTH * size
}

/// The rows of labels, each of which begins right of a vertical line that goes down from it: from the places of the lines,
/// which rise, and the texts. No label lies on another, nor on the line of another. The first row is the highest.
pub(super) fn staircase(labels: &[(f64, String)]) -> Vec<usize> {
    let mut rows: Vec<usize> = Vec::with_capacity(labels.len());
    for (index, (at, _)) in labels.iter().enumerate() {
        // Lines go down: one that begins below a label does not cross it.
        let is_over = |(left, text): &(f64, String)| left + width(text, SIZE) + 2.0 * GAP > *at;
        let above = labels[..index].iter().zip(&rows).filter(|(label, _)| is_over(label));
        rows.push(above.map(|(_, row)| row + 1).max().unwrap_or(0));
    }
    rows
}

/// Which of some labels in one line, centered at rising places, can be shown without touching one that is shown already.
pub(super) fn in_one_line(labels: &[(f64, String)]) -> Vec<bool> {
    let mut free_from = f64::NEG_INFINITY;
    labels
        .iter()
        .map(|(at, text)| {
            let half = width(text, SIZE) / 2.0;
            let fits = at - half >= free_from;
            if fits {
                free_from = at + half + GAP;
            }
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{in_one_line, staircase};

    #[test]
    fn labels_far_apart_share_a_row_and_close_ones_step_down() {
        let label = |at: f64| (at, "knee 100".to_owned());
        assert_eq!(staircase(&[label(0.0), label(200.0), label(400.0)]), [0, 0, 0]);
        assert_eq!(staircase(&[label(0.0), label(0.0), label(30.0), label(200.0)]), [0, 1, 2, 0]);
    }

    #[test]
    fn of_labels_that_would_touch_the_first_is_shown() {
        let label = |at: f64| (at, "1,000".to_owned());
        assert_eq!(in_one_line(&[label(0.0), label(20.0), label(60.0)]), [true, false, true]);
    }
}
