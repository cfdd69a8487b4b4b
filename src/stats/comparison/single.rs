//! The shift between two single runs, from how far each of them can be believed by itself.
//!
//! It holds without the noise between runs, which two runs cannot show and which is usually the larger part.

use super::{NORMAL_975, Shift, two_sided_p};

/// No histogram tells response times apart that are nearer to one another than this, in logarithms.
const RESOLUTION: f64 = 0.5e-3;

/// A value, and the standard error of its logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Above 0.
    pub value: f64,
    /// Of its natural logarithm; `None` where it is not known.
    pub error: Option<f64>,
}

impl Measured {
    /// A value with its 95 % interval; one that reaches down to 0 says nothing of the logarithm.
    #[must_use]
    pub fn with_interval(value: f64, interval: Option<(f64, f64)>) -> Self {
        let error = interval
            .filter(|&(low, high)| low > 0.0 && high >= low)
            .map(|(low, high)| ((high / low).ln() / 2.0).max(RESOLUTION) / NORMAL_975);
        Self { value, error }
    }

    /// A value with the spread of what it is the mean of; fewer than five parts say nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a number of seconds is small")]
    pub fn with_parts(value: f64, parts: &[f64]) -> Self {
        const FEWEST: usize = 5;
        let count = parts.len() as f64;
        let mean = parts.iter().sum::<f64>() / count;
        let error = super::deviation(parts)
            .filter(|_| parts.len() >= FEWEST && mean > 0.0)
            .map(|deviation| deviation / mean / count.sqrt());
        Self { value, error }
    }
}

/// The shift from one value to another.
#[must_use]
pub fn shift(base: Measured, new: Measured) -> Shift {
    let estimate = (new.value / base.value).ln();
    let error = base.error.zip(new.error).map(|(base, new)| base.hypot(new));
    let half_width = error.map(|error| NORMAL_975 * error);
    let p_value = match error {
        Some(error) if error > 0.0 => two_sided_p(estimate / error),
        // Without any noise, any shift at all is one.
        Some(_) if estimate != 0.0 => 0.0,
        _ => 1.0,
    };
    Shift {
        estimate,
        interval: half_width.map(|half| (estimate - half, estimate + half)),
        p_value,
        half_width,
        narrowing: 0.5,
        hopeless: estimate == 0.0 && error.is_some_and(|error| error <= 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::{Measured, shift};

    #[test]
    fn without_any_noise_every_shift_is_certain() {
        let steady = |value: f64| Measured::with_parts(value, &[value; 6]);
        let certain = shift(steady(1000.0), steady(900.0));
        assert_eq!((certain.p_value, certain.hopeless), (0.0, false));
        let none = shift(steady(1000.0), steady(1000.0));
        assert_eq!((none.p_value, none.hopeless), (1.0, true));
        let unknown = Measured { value: 900.0, error: None };
        assert_eq!(shift(steady(1000.0), unknown).p_value, 1.0);
    }

    #[test]
    fn an_interval_within_one_step_of_the_histogram_is_as_wide_as_the_step() {
        let sharp = |value: f64| Measured::with_interval(value, Some((value, value)));
        let neighbours = shift(sharp(1000.0), sharp(1000.5));
        assert!(neighbours.p_value > 0.05, "{neighbours:?}");
        assert!(shift(sharp(1000.0), sharp(1100.0)).p_value < 1e-6);
    }
}
