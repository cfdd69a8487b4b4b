//! Exact rates, as people type them.

use std::fmt;

use crate::time::NANOS_PER_SECOND;

/// No machine sends more requests a second.
const MOST_PER_SECOND: u64 = 10_000_000;
/// Decimals beyond these are refused.
const MOST_DECIMALS: usize = 9;
const EXAMPLES: &str = "use requests a second, like 500, 10k, 0.5 or 90/min";

/// So many requests in so many nanoseconds; a fraction in lowest terms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    requests: u64,
    per_ns: u64,
}

impl Rate {
    /// Nothing is sent.
    pub const ZERO: Self = Self { requests: 0, per_ns: 1 };

    /// Reads a rate: `500`, `10k`, `1.5M`, `0.5`, `90/min`, `5/h`; a second is meant where nothing else is said.
    ///
    /// # Errors
    /// What is wrong with it and how it should look. Rates are exact or refused, and so is 0.
    pub fn parse(text: &str) -> Result<Self, String> {
        match Self::parse_with_zero(text)? {
            Self::ZERO => Err(format!("'{text}': the rate must be above 0; {EXAMPLES}")),
            rate => Ok(rate),
        }
    }

    /// The same where 0 makes sense: before and after a spike, at one end of a ramp, in a pause.
    ///
    /// # Errors
    /// What is wrong with it and how it should look. Rates are exact or refused.
    pub fn parse_with_zero(text: &str) -> Result<Self, String> {
        let refuse = || format!("'{text}' is no rate; {EXAMPLES}");
        let (amount, unit) = text.split_once('/').unwrap_or((text, "s"));
        let period_ns = match unit {
            "s" => NANOS_PER_SECOND,
            "m" | "min" => 60 * NANOS_PER_SECOND,
            "h" => 3600 * NANOS_PER_SECOND,
            _ => return Err(refuse()),
        };
        let (number, scale) = match amount.as_bytes().last() {
            Some(b'k' | b'K') => (&amount[..amount.len() - 1], 1_000_u64),
            Some(b'M') => (&amount[..amount.len() - 1], 1_000_000),
            Some(b'G') => (&amount[..amount.len() - 1], 1_000_000_000),
            _ => (amount, 1),
        };
        let (whole, decimals) = match number.split_once('.') {
            Some((whole, decimals)) if !decimals.is_empty() => (whole, decimals),
            Some(_) => return Err(refuse()),
            None => (number, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) {
            return Err(refuse());
        }
        if decimals.len() > MOST_DECIMALS {
            return Err(format!("'{text}' has more than {MOST_DECIMALS} decimals; {EXAMPLES}"));
        }
        let too_large = || {
            format!(
                "'{text}' is more than the {MOST_PER_SECOND} requests a second that any machine sends"
            )
        };
        let mantissa: u128 = format!("{whole}{decimals}").parse().map_err(|_| too_large())?;
        let shift = 10_u128.pow(u32::try_from(decimals.len()).unwrap_or(0));
        let requests = mantissa.checked_mul(u128::from(scale)).ok_or_else(too_large)?;
        let per_ns = u128::from(period_ns) * shift;
        if requests.checked_mul(u128::from(NANOS_PER_SECOND)).ok_or_else(too_large)?
            > u128::from(MOST_PER_SECOND) * per_ns
        {
            return Err(too_large());
        }
        let divisor = greatest_common_divisor(requests, per_ns);
        let reduced = |number: u128| u64::try_from(number / divisor);
        match (reduced(requests), reduced(per_ns)) {
            (Ok(requests), Ok(per_ns)) => Ok(Self { requests, per_ns }),
            _ => Err(format!("'{text}' has too many digits; {EXAMPLES}")),
        }
    }

    /// The rate closest to `per_second`, to a thousandth of a request a second; `None` where there is none.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "between 1 and 10^10 after the check"
    )]
    pub fn nearest(per_second: f64) -> Option<Self> {
        const PARTS: u64 = 1_000;
        let thousandths = (per_second * PARTS as f64).round();
        if !(1.0..=(MOST_PER_SECOND * PARTS) as f64).contains(&thousandths) {
            return None;
        }
        let (requests, per_ns) = (thousandths as u64, NANOS_PER_SECOND * PARTS);
        let divisor = greatest_common_divisor(u128::from(requests), u128::from(per_ns));
        let divisor = u64::try_from(divisor).unwrap_or(1);
        Some(Self { requests: requests / divisor, per_ns: per_ns / divisor })
    }

    /// Whether nothing is sent.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.requests == 0
    }

    /// Requests in [`Rate::per_ns`].
    #[must_use]
    pub(super) fn requests(self) -> u64 {
        self.requests
    }

    /// The length of time that [`Rate::requests`] belong to, in nanoseconds.
    #[must_use]
    pub(super) fn per_ns(self) -> u64 {
        self.per_ns
    }

    /// Requests a second, for reports.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "reports show few digits")]
    pub fn per_second(self) -> f64 {
        self.requests as f64 * NANOS_PER_SECOND as f64 / self.per_ns as f64
    }

    /// When slot `number` is due, in nanoseconds from slot 0: `number` evenly spaced requests fill this time. `None`
    /// beyond 584 years, and at a rate of 0.
    #[must_use]
    pub fn time_of(self, number: u64) -> Option<u64> {
        if self.is_zero() {
            return None;
        }
        let product = u128::from(number) * u128::from(self.per_ns);
        u64::try_from(product.div_ceil(u128::from(self.requests))).ok()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/s", self.per_second())
    }
}

/// Euclid's algorithm.
pub(super) fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
