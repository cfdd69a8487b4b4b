//! The slots of a schedule, worker by worker.
//!
//! With evenly spaced arrivals slot `k` is due at the first whole nanosecond at which the integral of the rate has
//! reached `k`. The integral runs through all stages, so that a fraction of a request at the end of one is carried into
//! the next, in whole millionths. Worker `w` of `W` takes the slots `w`, `w + W`, and so on. All of it is exact: a
//! floating-point number is at most a first guess that integers correct.
//!
//! Nothing is due in a pause: a slot that is reached as one begins is due when it is over. A ramp from 0 has its first slot
//! at its start, as every schedule does, and its second slot late.

use std::sync::Arc;

use super::poisson::Poisson;
use super::segment::{PARTS, Segment};
use super::shape::{Arrivals, Bursts, Shape};

/// A request that is to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slot {
    /// When, in nanoseconds since the schedule's start.
    pub at_ns: u64,
    /// It is part of a burst.
    pub burst: bool,
    /// It comes after the warm-up.
    pub measured: bool,
}

/// When every request of a run is due: immutable, shared by its workers.
#[derive(Debug)]
pub struct Schedule {
    segments: Arc<[Segment]>,
    bursts: Option<Bursts>,
    /// Where the measured part begins and ends.
    measured_ns: (u64, u64),
    requests: Option<u64>,
    arrivals: Arrivals,
    seed: u64,
}

impl Schedule {
    /// The schedule of a shape.
    ///
    /// # Errors
    /// The stage whose numbers are too large for exact arithmetic.
    pub fn new(shape: Shape) -> Result<Self, String> {
        let mut segments = Vec::new();
        if let Some(first) = shape.stages.first()
            && shape.warmup_ns > 0
        {
            let rates = (first.from, first.from);
            segments.push(Segment::of(rates, 0, shape.warmup_ns, false, (0, 0)));
        }
        let mut start_ns = shape.warmup_ns;
        let (mut before, mut first) = (0, 0);
        for stage in &shape.stages {
            let rates = (stage.from, stage.to);
            let segment = Segment::of(rates, start_ns, stage.length_ns, true, (before, first));
            let segment = segment.filter(Segment::is_exact).ok_or_else(|| {
                format!(
                    "--stages, --rate '{}': its numbers are too large to be exact; use fewer digits or a shorter time",
                    stage.name
                )
            })?;
            before = segment.integral_at_end().unwrap_or(before);
            first = segment.first_after().unwrap_or(first);
            start_ns = start_ns.saturating_add(stage.length_ns);
            segments.push(Some(segment));
        }
        let segments: Option<Vec<Segment>> = segments.into_iter().collect();
        let segments = segments.ok_or_else(|| {
            "--warmup: too long for this rate to be exact; use a shorter one".to_owned()
        })?;
        Ok(Self {
            segments: segments.into(),
            bursts: shape.bursts,
            measured_ns: (shape.warmup_ns, shape.warmup_ns.saturating_add(shape.length_ns)),
            requests: shape.requests,
            arrivals: shape.arrivals,
            seed: shape.seed,
        })
    }

    /// Measured slots over all workers; `None` where chance decides or there is no end.
    #[must_use]
    pub fn slots(&self) -> Option<u64> {
        let (start_ns, end_ns) = self.measured_ns;
        let stages = match self.segments.last().filter(|segment| segment.measured) {
            Some(_) if self.arrivals == Arrivals::Poisson => return None,
            Some(last) if last.length_ns < u64::MAX => u64::try_from(last.first_after()?).ok()?,
            Some(_) => u64::MAX,
            None => 0,
        };
        let bursts = self.bursts.map_or(0, |bursts| {
            (end_ns - start_ns).div_ceil(bursts.every_ns).saturating_mul(bursts.size)
        });
        let all = stages.saturating_add(bursts).min(self.requests.unwrap_or(u64::MAX));
        (all < u64::MAX).then_some(all)
    }

    /// The slots of worker `worker` of `workers`, from the first on.
    #[must_use]
    pub fn cursor(&self, worker: u32, workers: u32) -> Cursor {
        let (worker, workers) = (u64::from(worker), u64::from(workers.max(1)));
        let alone = self.bursts.is_none() && self.arrivals == Arrivals::Uniform;
        let share = |total: u64| total / workers + u64::from(worker < total % workers);
        let paced = Paced {
            segments: Arc::clone(&self.segments),
            segment: 0,
            worker: i128::from(worker),
            workers: i128::from(workers),
            most: self.requests.filter(|_| alone).map(i128::from),
            number: 0,
            at_ns: 0,
            numerator: 0,
            step: (0, 0),
            poisson: (self.arrivals == Arrivals::Poisson).then(|| {
                let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
                Poisson::new(self.seed, small(worker), small(workers))
            }),
        };
        let (start_ns, end_ns) = self.measured_ns;
        // Without a rate beside them bursts are numbered, so that a count ends in the right one.
        let only_bursts = self.segments.is_empty();
        let burst = self.bursts.filter(|bursts| worker < bursts.size).map(|bursts| BurstSlots {
            at_ns: start_ns,
            end_ns,
            bursts,
            worker,
            workers,
            place: worker,
            left: self.requests.filter(|_| only_bursts).unwrap_or(u64::MAX),
        });
        let mut cursor = Cursor {
            paced,
            paced_next: None,
            burst,
            next: None,
            taken: 0,
            left: self.requests.filter(|_| !alone && !only_bursts).map_or(u64::MAX, share),
        };
        cursor.paced_next = cursor.paced.enter_segment();
        cursor.choose();
        cursor
    }
}

/// A worker's way through its slots: a few words, whatever the length of the run.
#[derive(Clone, Debug)]
pub struct Cursor {
    paced: Paced,
    paced_next: Option<Slot>,
    burst: Option<BurstSlots>,
    next: Option<Slot>,
    taken: u64,
    /// Measured slots that may still come.
    left: u64,
}

impl Cursor {
    /// The next slot; `None` after the last.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<Slot> {
        self.next
    }

    /// Slots passed so far.
    #[inline]
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Passes the next slot.
    #[inline]
    pub fn advance(&mut self) {
        let Some(slot) = self.next else { return };
        self.taken += 1;
        self.left -= u64::from(slot.measured);
        if slot.burst {
            if let Some(burst) = &mut self.burst {
                burst.advance();
            }
        } else {
            self.paced_next = self.paced.advance();
        }
        self.choose();
    }

    /// The earlier of the two streams; a burst first.
    #[inline]
    fn choose(&mut self) {
        self.next = self.paced_next;
        if let Some(burst) = self.burst.as_ref().and_then(BurstSlots::peek)
            && self.paced_next.is_none_or(|paced| burst.at_ns <= paced.at_ns)
        {
            self.next = Some(burst);
        }
        if self.left == 0 {
            self.next = None;
        }
    }
}

/// The bursts' share of one worker: the places `worker`, `worker + workers`, and so on of each.
#[derive(Clone, Debug)]
struct BurstSlots {
    at_ns: u64,
    end_ns: u64,
    bursts: Bursts,
    worker: u64,
    workers: u64,
    /// Of the next slot, in its burst.
    place: u64,
    /// Slots of all workers that may still come, from this burst's first on.
    left: u64,
}

impl BurstSlots {
    fn peek(&self) -> Option<Slot> {
        let slot = Slot { at_ns: self.at_ns, burst: true, measured: true };
        (self.at_ns < self.end_ns && self.place < self.left).then_some(slot)
    }

    fn advance(&mut self) {
        self.place += self.workers;
        if self.place >= self.bursts.size {
            self.place = self.worker;
            self.left = self.left.saturating_sub(self.bursts.size);
            self.at_ns = self.at_ns.saturating_add(self.bursts.every_ns);
        }
    }
}

/// The stages' share of one worker.
#[derive(Clone, Debug)]
struct Paced {
    segments: Arc<[Segment]>,
    segment: usize,
    worker: i128,
    workers: i128,
    /// Measured slots over all workers.
    most: Option<i128>,
    /// Of the next slot, since the start of the integral.
    number: i128,
    /// In a constant segment the next slot is due at `at_ns + numerator / (from * parts)`, rounded up.
    at_ns: i64,
    numerator: i128,
    /// What both grow by from slot to slot of this worker.
    step: (i64, i128),
    poisson: Option<Poisson>,
}

impl Paced {
    /// The first slot of the segment, or of the next one that has any.
    fn enter_segment(&mut self) -> Option<Slot> {
        loop {
            let segment = self.segments.get(self.segment)?;
            if segment.is_pause() {
                self.segment += 1;
                continue;
            }
            if let Some(poisson) = &mut self.poisson {
                poisson.enter_segment();
            } else {
                let ahead = (self.worker - segment.first).rem_euclid(self.workers);
                self.number = segment.first + ahead;
                self.prepare_steps();
            }
            if let Some(slot) = self.slot() {
                return Some(slot);
            }
            self.segment += 1;
        }
    }

    /// Quotient and remainder of the first slot's time and of the step between two.
    fn prepare_steps(&mut self) {
        let segment = &self.segments[self.segment];
        if segment.is_ramp() {
            return;
        }
        let divisor = segment.from * PARTS;
        let missing = segment.per_ns * (self.number * PARTS - segment.before);
        let step = segment.per_ns * self.workers;
        let whole = |number: i128| i64::try_from(number).unwrap_or(i64::MAX);
        // A slot that fell into the last nanosecond of the segment before is due a fraction before this one begins.
        self.at_ns = whole(missing.div_euclid(divisor));
        self.numerator = missing.rem_euclid(divisor);
        self.step = (whole(step / segment.from), step % segment.from * PARTS);
    }

    #[inline]
    fn advance(&mut self) -> Option<Slot> {
        if self.poisson.is_none() {
            self.number += self.workers;
            let segment = self.segments.get(self.segment)?;
            let divisor = segment.from * PARTS;
            self.at_ns = self.at_ns.saturating_add(self.step.0);
            self.numerator += self.step.1;
            if self.numerator >= divisor {
                self.numerator -= divisor;
                self.at_ns = self.at_ns.saturating_add(1);
            }
        }
        if let Some(slot) = self.slot() {
            return Some(slot);
        }
        self.segment += 1;
        self.enter_segment()
    }

    /// The next slot of this segment; `None` when it is over.
    #[inline]
    fn slot(&mut self) -> Option<Slot> {
        let segment = self.segments.get(self.segment)?;
        let measured = segment.measured;
        let at_ns = match &mut self.poisson {
            Some(poisson) => poisson.next(segment)?,
            None if measured && self.most.is_some_and(|most| self.number >= most) => return None,
            None if segment.is_ramp() => {
                u64::try_from(segment.time_in_ramp(self.number)).unwrap_or(u64::MAX)
            }
            None => {
                let rounded_ns = self.at_ns.saturating_add(i64::from(self.numerator > 0));
                u64::try_from(rounded_ns).unwrap_or(0)
            }
        };
        let slot = Slot { at_ns: segment.start_ns.saturating_add(at_ns), burst: false, measured };
        (at_ns < segment.length_ns).then_some(slot)
    }
}
