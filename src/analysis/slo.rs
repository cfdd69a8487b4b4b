//! Gates on the numbers of a run, as people write them: `p99<50ms, max<1s, errors<0.1%`.

use crate::units::parse_duration_ns;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// The response time at this quantile, from 0 to 1.
    Quantile(f64),
    /// The longest response time.
    Max,
    /// The mean response time.
    Mean,
    /// The share of scheduled requests that got no good response.
    Errors,
}

/// One gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// As it was written.
    pub text: String,
    /// What is looked at.
    pub metric: Metric,
    /// The value that it must stay below: nanoseconds, or a share.
    limit: f64,
    /// The limit itself still holds.
    or_equal: bool,
}

impl Clause {
    /// Whether `value`, in nanoseconds or as a share, satisfies it.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        value < self.limit || (self.or_equal && value <= self.limit)
    }

    /// Whether it looks at a time, in nanoseconds.
    #[must_use]
    pub fn is_of_time(&self) -> bool {
        self.metric != Metric::Errors
    }

    /// The limit, when it is one that a single request can keep or break.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it was a whole number of nanoseconds"
    )]
    pub fn latency_limit_ns(&self) -> Option<u64> {
        matches!(self.metric, Metric::Quantile(_) | Metric::Max).then_some(self.limit as u64)
    }
}

/// Reads gates, separated by commas or `&&`.
///
/// # Errors
/// The one that makes no sense, and how it should look.
pub fn parse(text: &str) -> Result<Vec<Clause>, String> {
    text.replace("&&", ",").split(',').map(|clause| parse_clause(clause.trim())).collect()
}

#[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53 nanoseconds")]
fn parse_clause(text: &str) -> Result<Clause, String> {
    const EXAMPLE: &str = "use p50<10ms, p99.9<=200ms, max<1s, mean<5ms or errors<0.1%";
    let refuse = |why: String| format!("--slo '{text}': {why}; {EXAMPLE}");
    let (name, value) = text
        .split_once('<')
        .ok_or_else(|| refuse("a gate has a name, < or <=, and a limit".to_owned()))?;
    let (or_equal, value) = match value.strip_prefix('=') {
        Some(value) => (true, value.trim()),
        None => (false, value.trim()),
    };
    let metric = match name.trim() {
        "max" => Metric::Max,
        "mean" => Metric::Mean,
        "errors" => Metric::Errors,
        name => match name.strip_prefix('p').and_then(|number| number.parse::<f64>().ok()) {
            Some(percent) if percent > 0.0 && percent < 100.0 => Metric::Quantile(percent / 100.0),
            _ => return Err(refuse(format!("'{name}' is nothing that can be looked at"))),
        },
    };
    let limit = if metric == Metric::Errors {
        let percent = value.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match percent {
            Some(percent) if (0.0..=100.0).contains(&percent) => percent / 100.0,
            _ => return Err(refuse(format!("'{value}' is no share in %"))),
        }
    } else {
        parse_duration_ns(value).map_err(refuse)? as f64
    };
    Ok(Clause { text: text.to_owned(), metric, limit, or_equal })
}

#[cfg(test)]
mod tests {
    use super::{Metric, parse};

    #[test]
    fn gates_are_read_one_by_one() {
        let gates = parse("p99<50ms, p99.9 <= 200ms && max<1s,mean<5ms,errors<0.1%").unwrap();
        let metrics: Vec<Metric> = gates.iter().map(|gate| gate.metric).collect();
        assert_eq!(metrics[0], Metric::Quantile(0.99));
        assert!(matches!(metrics[1], Metric::Quantile(q) if (q - 0.999).abs() < 1e-12));
        assert_eq!(metrics[2..], [Metric::Max, Metric::Mean, Metric::Errors]);
        assert_eq!(gates[0].latency_limit_ns(), Some(50_000_000));
        assert_eq!((gates[3].latency_limit_ns(), gates[4].latency_limit_ns()), (None, None));
        assert!(!gates[0].holds(50e6) && gates[1].holds(200e6) && gates[4].holds(0.0009));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in [
            "",
            "p99",
            "p99<",
            "p99<5",
            "p0<1ms",
            "p100<1ms",
            "px<1ms",
            "errors<1",
            "errors<101%",
            "p99>1ms",
            "latency<1ms",
            "p99<-1ms",
            "p99<1ms,,",
        ] {
            let refused = parse(text);
            // A bare number is seconds everywhere else, and here too.
            if text == "p99<5" {
                assert!(refused.is_ok());
            } else {
                assert!(refused.unwrap_err().contains("--slo"), "{text}");
            }
        }
    }
}
