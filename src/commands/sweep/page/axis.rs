//! The axis of a drawing: where a value lies on it, and at which values it is labelled.

/// From this ratio of its ends on, an axis is logarithmic.
const WIDE: f64 = 8.0;

/// From one value to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    pub(super) logarithmic: bool,
}

impl Axis {
    /// An axis with room for all values, which ends at the outermost of them; logarithmic when they are far apart.
    /// `None` without any.
    pub(super) fn around(values: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let low = values.clone().reduce(f64::min)?;
        let high = values.reduce(f64::max)?;
        let logarithmic = low > 0.0 && high / low >= WIDE;
        // One value alone stands in the middle.
        let (low, high) = if high > low { (low, high) } else { (low * 0.5, high * 1.5 + 1e-9) };
        Some(Self { low, high, logarithmic })
    }

    /// The same with a linear axis beginning at 0.
    pub(super) fn with_zero(self) -> Self {
        if self.logarithmic { self } else { Self { low: 0.0, ..self } }
    }

    /// Where a value lies, from 0 to 1; `None` off the axis.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let place = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        // Ends must not fall off by the last bit.
        (-1e-9..=1.0 + 1e-9).contains(&place).then(|| place.clamp(0.0, 1.0))
    }

    /// The value at a place.
    pub(super) fn value(&self, place: f64) -> f64 {
        if self.logarithmic {
            self.low * (self.high / self.low).powf(place)
        } else {
            self.low + (self.high - self.low) * place
        }
    }

    /// Round values along the axis, about as many as `wanted`.
    pub(super) fn ticks(&self, wanted: u32) -> Vec<f64> {
        let exponent = |value: f64| value.log10().floor();
        if self.logarithmic {
            let decades = exponent(self.high) - exponent(self.low);
            let steps: &[f64] =
                if decades * 3.0 <= f64::from(wanted) + 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            return self.rounds(exponent(self.low), decades, steps);
        }
        let step = (self.high - self.low) / f64::from(wanted.max(1));
        let unit = 10_f64.powf(exponent(step));
        let multiple = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| unit * m >= step).unwrap_or(10.0);
        let step = unit * multiple;
        let first = (self.low / step).ceil();
        (0..=2 * wanted)
            .map(|index| (first + f64::from(index)) * step)
            .take_while(|&tick| tick <= self.high * (1.0 + 1e-9))
            .collect()
    }

    fn rounds(&self, from: f64, decades: f64, steps: &[f64]) -> Vec<f64> {
        let mut ticks = Vec::new();
        let mut decade = 0.0;
        while decade <= decades {
            ticks.extend(steps.iter().map(|step| step * 10_f64.powf(from + decade)));
            decade += 1.0;
        }
        ticks.retain(|&tick| self.place(tick).is_some());
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::Axis;

    #[test]
    fn values_far_apart_make_a_logarithmic_axis() {
        let near = Axis::around([200.0, 1300.0].into_iter()).unwrap();
        assert!(!near.logarithmic);
        assert_eq!((near.place(200.0), near.place(1300.0)), (Some(0.0), Some(1.0)));
        assert_eq!(near.place(1301.0), None);
        let far = Axis::around([1.0, 100.0].into_iter()).unwrap();
        assert!(far.logarithmic);
        assert!((far.place(10.0).unwrap() - 0.5).abs() < 1e-12);
        assert!((far.value(0.5) - 10.0).abs() < 1e-12);
        assert_eq!(near.with_zero().place(0.0), Some(0.0));
        assert!(!Axis::around([0.0, 100.0].into_iter()).unwrap().logarithmic);
        assert_eq!(Axis::around(std::iter::empty()), None);
        let alone = Axis::around([5.0].into_iter()).unwrap();
        assert!(alone.place(5.0).unwrap() > 0.4);
    }

    #[test]
    fn ticks_are_round_and_on_the_axis() {
        let near = Axis::around([200.0, 1300.0].into_iter()).unwrap();
        assert_eq!(near.ticks(5), [500.0, 1000.0]);
        assert_eq!(near.with_zero().ticks(5), [0.0, 500.0, 1000.0]);
        let far = Axis::around([1.0, 512.0].into_iter()).unwrap();
        assert_eq!(far.ticks(6), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]);
        let wider = Axis::around([0.5, 2e6].into_iter()).unwrap();
        assert_eq!(wider.ticks(6), [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]);
    }
}
