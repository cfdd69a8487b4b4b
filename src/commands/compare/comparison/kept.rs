//! Which runs count, and whether they are enough. Must not know what they say.

use super::{Criteria, Design, Side};
use crate::exit::{INVALID, Refusal};
use crate::result::document::Run;

/// A run that counts for nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeftOut {
    /// Whether it is one of the new side.
    pub is_new: bool,
    /// Where it came from.
    pub source: String,
    /// Why.
    pub why: String,
}

/// The runs that count.
pub(super) struct Kept<'a> {
    pub(super) base: Vec<&'a Run>,
    pub(super) new: Vec<&'a Run>,
}

/// Leaves out what is not valid, unless the user wants it all the same.
pub(super) fn keep<'a>(
    base: &'a Side,
    new: &'a Side,
    paired: bool,
    settings: &Criteria,
) -> (Kept<'a>, Vec<LeftOut>) {
    let reason = |run: &Run| {
        let partial =
            run.partial.then(|| "it is partial: it did not carry out its plan".to_owned());
        let why =
            partial.or_else(|| run.void.as_ref().map(|void| format!("it is not valid: {void}")));
        why.filter(|_| !settings.invalid)
    };
    let mut left_out = Vec::new();
    for (side, is_new) in [(base, false), (new, true)] {
        for run in &side.runs {
            let source = run.source.clone();
            left_out.extend(reason(run).map(|why| LeftOut { is_new, source, why }));
        }
    }
    let good = |run: &&Run| reason(run).is_none();
    let kept = if paired {
        // A run without its other half says nothing.
        let pairs = base.runs.iter().zip(&new.runs).filter(|(base, new)| good(base) && good(new));
        let (base, new) = pairs.unzip();
        Kept { base, new }
    } else {
        Kept {
            base: base.runs.iter().filter(good).collect(),
            new: new.runs.iter().filter(good).collect(),
        }
    };
    (kept, left_out)
}

/// Refuses when what was left out is what would have decided.
pub(super) fn enough(
    base: &Side,
    new: &Side,
    (kept, left_out): (&Kept<'_>, &[LeftOut]),
    design: Design,
) -> Result<(), Refusal> {
    let Some(first) = left_out.first() else { return Ok(()) };
    for (name, side, kept, is_new) in
        [("base", base, kept.base.len(), false), ("new", new, kept.new.len(), true)]
    {
        let all = side.runs.len();
        // Two single runs need no more than themselves.
        let needed = if all == 1 { 1 } else { design.fewest() };
        if kept < all && (kept * 2 < all || kept < needed) {
            let named = left_out.iter().find(|left| left.is_new == is_new).unwrap_or(first);
            return Err(Refusal {
                message: format!(
                    "of {all} {name} runs {kept} remain, too few: {}: {}; measure again, or compare all the same with --invalid",
                    named.source, named.why
                ),
                code: INVALID,
            });
        }
    }
    Ok(())
}
