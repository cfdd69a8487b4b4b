//! Arrivals of independent users: a Poisson process, drawn by each worker for itself.
//!
//! Each of W workers draws a process of a W-th of the rate from a generator of its own; together they are exactly a
//! process of the whole rate, the same for the same seed and number of workers. A ramp is thinned out of the larger of
//! its two rates. Gaps are drawn in floating point, times add up in whole nanoseconds with the fraction carried on.

use super::segment::Segment;

/// One worker's draws.
#[derive(Clone, Debug)]
pub(super) struct Poisson {
    random: u64,
    workers: f64,
    /// Since the start of the segment.
    at_ns: u64,
    fraction_ns: f64,
}

impl Poisson {
    pub(super) fn new(seed: u64, worker: u32, workers: u32) -> Self {
        let mut poisson =
            Self { random: seed, workers: f64::from(workers), at_ns: 0, fraction_ns: 0.0 };
        // Neighbouring seeds and workers end up far apart.
        poisson.random = poisson.draw() ^ (u64::from(worker) << 32 | u64::from(workers));
        poisson.draw();
        poisson
    }

    /// Another segment begins; what came before does not matter to a process without memory.
    pub(super) fn enter_segment(&mut self) {
        self.at_ns = 0;
        self.fraction_ns = 0.0;
    }

    /// The next arrival, in nanoseconds since the start of `segment`; `None` when it would come after its end.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "gaps are positive, and one that is too long for the type is over the end"
    )]
    pub(super) fn next(&mut self, segment: &Segment) -> Option<u64> {
        let most_per_ns = segment.rate_at(0).max(segment.rate_at(segment.length_ns));
        loop {
            let gap_ns = -self.uniform().ln() * self.workers / most_per_ns + self.fraction_ns;
            let whole_ns = gap_ns.floor();
            self.fraction_ns = gap_ns - whole_ns;
            self.at_ns = self.at_ns.saturating_add(whole_ns as u64);
            if self.at_ns >= segment.length_ns {
                return None;
            }
            if !segment.is_ramp() || self.uniform() * most_per_ns <= segment.rate_at(self.at_ns) {
                return Some(self.at_ns);
            }
        }
    }

    /// Above 0, at most 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    fn uniform(&mut self) -> f64 {
        ((self.draw() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
