//! The phases of a run, and which of them an instant is in.
//!
//! Times are nanoseconds since the schedule's start, where the warm-up begins.

use std::sync::Arc;

use super::shape::Shape;

/// Index of a phase. The first is the warm-up, whether or not it lasts.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PhaseIndex(pub u16);

impl PhaseIndex {
    /// The warm-up.
    pub const WARMUP: Self = Self(0);
}

/// A phase: `[start_ns, end_ns)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PhaseSpan {
    /// What the report calls it.
    pub name: String,
    /// Its start, in nanoseconds.
    pub start_ns: u64,
    /// Its end; `u64::MAX` where it has none.
    pub end_ns: u64,
}

/// All phases in the order of time; that of the bursts, which overlaps all measured ones, is the last.
#[derive(Clone, Debug)]
pub struct Timeline {
    phases: Arc<[PhaseSpan]>,
    bursts: Option<PhaseIndex>,
}

impl Timeline {
    /// A warm-up and one measured phase.
    #[must_use]
    pub fn plain(warmup_ns: u64, length_ns: u64) -> Self {
        Self::of_parts(warmup_ns, [("measured".to_owned(), length_ns)], false)
    }

    /// The measured window in equal slices, to choose the warm-up among them afterwards.
    #[must_use]
    pub fn sliced(warmup_ns: u64, length_ns: u64, slices: u16) -> Self {
        let slices = u64::from(slices.max(1));
        let bound = |slice: u64| {
            let bound = u128::from(length_ns) * u128::from(slice) / u128::from(slices);
            u64::try_from(bound).unwrap_or(u64::MAX)
        };
        let parts =
            (0..slices).map(|slice| (format!("slice {slice}"), bound(slice + 1) - bound(slice)));
        Self::of_parts(warmup_ns, parts, false)
    }

    /// The warm-up, one phase a stage, and one for all bursts. A stage that is all there is, is called measured.
    #[must_use]
    pub fn of_shape(shape: &Shape) -> Self {
        let stages = shape.stages.iter().map(|stage| (stage.name.clone(), stage.length_ns));
        let bursts = shape.bursts.is_some();
        if shape.stages.is_empty() {
            let between = [("measured".to_owned(), shape.length_ns)];
            return Self::of_parts(shape.warmup_ns, between, bursts);
        }
        Self::of_parts(shape.warmup_ns, stages, bursts)
    }

    fn of_parts(
        warmup_ns: u64,
        parts: impl IntoIterator<Item = (String, u64)>,
        with_bursts: bool,
    ) -> Self {
        let mut phases =
            vec![PhaseSpan { name: "warmup".to_owned(), start_ns: 0, end_ns: warmup_ns }];
        let mut start_ns = warmup_ns;
        for (name, length_ns) in parts {
            let end_ns = start_ns.saturating_add(length_ns);
            phases.push(PhaseSpan { name, start_ns, end_ns });
            start_ns = end_ns;
        }
        let bursts = with_bursts.then(|| {
            let span =
                PhaseSpan { name: "bursts".to_owned(), start_ns: warmup_ns, end_ns: start_ns };
            phases.push(span);
            PhaseIndex(u16::try_from(phases.len() - 1).unwrap_or(u16::MAX))
        });
        Self { phases: phases.into(), bursts }
    }

    /// All phases, the warm-up first, that of the bursts last.
    #[must_use]
    pub fn phases(&self) -> &[PhaseSpan] {
        &self.phases
    }

    /// The phase of the bursts, which only they belong to.
    #[must_use]
    pub fn bursts(&self) -> Option<PhaseIndex> {
        self.bursts
    }

    /// Looks instants up.
    #[must_use]
    pub fn cursor(&self) -> TimelineCursor {
        let timed = self.phases.len() - usize::from(self.bursts.is_some());
        TimelineCursor {
            phases: Arc::clone(&self.phases),
            timed,
            index: 0,
            from_ns: 0,
            until_ns: self.phases[0].end_ns,
        }
    }
}

/// Looks up instants that mostly go forward: one comparison where the phase is still the same.
#[derive(Clone, Debug)]
pub struct TimelineCursor {
    phases: Arc<[PhaseSpan]>,
    /// Phases that follow one another in time.
    timed: usize,
    index: u16,
    from_ns: u64,
    until_ns: u64,
}

impl TimelineCursor {
    /// The phase that `at_ns` is in; what comes after the end belongs to the last one.
    #[inline]
    pub fn phase_at(&mut self, at_ns: u64) -> PhaseIndex {
        if !(self.from_ns..self.until_ns).contains(&at_ns) {
            self.find(at_ns);
        }
        PhaseIndex(self.index)
    }

    #[cold]
    fn find(&mut self, at_ns: u64) {
        let timed = &self.phases[..self.timed];
        let index = timed.partition_point(|phase| phase.end_ns <= at_ns).min(self.timed - 1);
        let last = index + 1 == self.timed;
        self.index = u16::try_from(index).unwrap_or(u16::MAX);
        self.from_ns = timed[index].start_ns;
        self.until_ns = if last { u64::MAX } else { timed[index].end_ns };
    }
}
