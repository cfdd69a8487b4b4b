//! Where a comparison that measures stands, in front of the live line of its run.

use crate::report::format::length;
use crate::time::NANOS_PER_SECOND;

/// Where a comparison stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The pair under way, from 1; 0 for the one that does not count.
    pub pair: u64,
    /// Pairs that are wanted.
    pub pairs: u64,
    /// The side that is measured: `base` or `new`.
    pub side: &'static str,
    /// By how much p50 and p99 are longer on the new side so far, in percent: medians over the pairs. `None` before the first.
    pub shifts_pct: Option<(f64, f64)>,
    /// Seconds until all pairs are measured, if none is invalid; `None` when runs have no known length.
    pub left_s: Option<u64>,
}

impl Standing {
    /// The same so many seconds later.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative")]
    pub fn after(&self, elapsed_s: f64) -> Self {
        let elapsed_s = elapsed_s.max(0.0) as u64;
        Self { left_s: self.left_s.map(|left_s| left_s.saturating_sub(elapsed_s)), ..self.clone() }
    }
}

/// `pair 3/10 new  so far p50 +1.2 %, p99 -0.3 %  88 s left`, without a newline.
#[must_use]
pub fn compare_progress(standing: &Standing) -> String {
    let Standing { pair, pairs, side, shifts_pct, left_s } = standing;
    let place = match pair {
        0 => format!("first pair, not counted, {side}"),
        pair => format!("pair {pair}/{pairs} {side}"),
    };
    let known =
        shifts_pct.map(|(p50, p99)| format!("so far p50 {} %, p99 {} %", signed(p50), signed(p99)));
    let left = left_s.map(|left_s| format!("{} left", length(left_s * NANOS_PER_SECOND)));
    [Some(place), known, left].into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn signed(percent: f64) -> String {
    let text = format!("{percent:+.1}");
    if text == "-0.0" || text == "+0.0" { "0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::{Standing, compare_progress};

    #[test]
    fn the_live_line_says_which_pair_and_side_what_is_known_and_how_long_it_takes() {
        let first = Standing { pairs: 10, side: "base", left_s: Some(88), ..Standing::default() };
        assert_eq!(compare_progress(&first), "first pair, not counted, base  88 s left");
        let third = Standing { pair: 3, side: "new", shifts_pct: Some((1.24, -0.04)), ..first };
        assert_eq!(
            compare_progress(&third),
            "pair 3/10 new  so far p50 +1.2 %, p99 0 %  88 s left"
        );
        assert!(compare_progress(&third.after(10.6)).ends_with("  78 s left"));
        assert!(compare_progress(&third.after(1e3)).ends_with("  0 s left"), "not below nothing");
        let endless = Standing { left_s: None, ..third };
        assert_eq!(compare_progress(&endless), "pair 3/10 new  so far p50 +1.2 %, p99 0 %");
    }
}
