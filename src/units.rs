//! Numbers as people type them, lengths of time and counts, and as they read them.

use crate::time::NANOS_PER_SECOND;

/// Reads a length of time: `500ms`, `10s`, `2m`, `1h`, `1.5s`, `250us`, `100ns`; a bare number is seconds.
///
/// # Errors
/// What is wrong with it and how it should look. Lengths are exact to the nanosecond or refused.
pub fn parse_duration_ns(text: &str) -> Result<u64, String> {
    const EXAMPLES: &str = "use a number and a unit, like 500ms, 10s, 2m or 1h";
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    let unit_ns: u64 = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" | "" => NANOS_PER_SECOND,
        "m" | "min" => 60 * NANOS_PER_SECOND,
        "h" => 3600 * NANOS_PER_SECOND,
        _ => return Err(format!("'{text}' is no length of time; {EXAMPLES}")),
    };
    let refuse = || format!("'{text}' is no length of time; {EXAMPLES}");
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || number.ends_with('.') {
        return Err(refuse());
    }
    let whole: u64 = whole.parse().map_err(|_| refuse())?;
    let mut length_ns =
        whole.checked_mul(unit_ns).ok_or_else(|| format!("'{text}' is longer than 584 years"))?;
    let mut place_ns = unit_ns;
    for digit in fraction.bytes() {
        if !digit.is_ascii_digit() {
            return Err(refuse());
        }
        if !place_ns.is_multiple_of(10) && digit != b'0' {
            return Err(format!("'{text}' is finer than a nanosecond"));
        }
        place_ns /= 10;
        length_ns = length_ns
            .checked_add(place_ns * u64::from(digit - b'0'))
            .ok_or_else(|| format!("'{text}' is longer than 584 years"))?;
    }
    Ok(length_ns)
}

/// Reads a count: digits, with an optional `k`, `M` or `G` for powers of a thousand: `10k`, `1.5M`.
///
/// # Errors
/// What is wrong with it and how it should look. Counts are exact or refused.
pub fn parse_count(text: &str) -> Result<u64, String> {
    let refuse = || {
        format!("'{text}' is no count; use digits, with k, M or G for thousands, like 200 or 10k")
    };
    let (number, scale) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000_u64),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000),
        Some(b'G') => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || number.ends_with('.') || !whole.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(refuse());
    }
    let whole: u64 = whole.parse().map_err(|_| format!("'{text}' is too large"))?;
    let mut count = whole.checked_mul(scale).ok_or_else(|| format!("'{text}' is too large"))?;
    let mut place = scale;
    for digit in fraction.bytes() {
        if !digit.is_ascii_digit() || !place.is_multiple_of(10) {
            return Err(refuse());
        }
        place /= 10;
        count = count
            .checked_add(place * u64::from(digit - b'0'))
            .ok_or_else(|| format!("'{text}' is too large"))?;
    }
    Ok(count)
}

/// Reads a number of bytes: digits, with k, M or G for powers of 1024.
///
/// # Errors
/// What is wrong with it and how it should look.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>());
    match number {
        Some(Ok(number)) if number <= u64::MAX >> shift => Ok(number << shift),
        _ => Err(format!("'{text}' is no number of bytes; use digits, with k, M or G, like 64k")),
    }
}

/// Reads a list of cores: `0,2-5`.
///
/// # Errors
/// What is wrong with it and how it should look.
pub fn parse_cores(text: &str) -> Result<Vec<usize>, String> {
    /// No machine that Linux runs on has more.
    const MOST_CORES: usize = 8192;
    let refuse = || format!("'{text}' is no list of cores; use numbers and ranges, like 0,2-5");
    let mut cores = Vec::new();
    for item in text.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(first) || !digits(last) {
            return Err(refuse());
        }
        let first: usize = first.parse().map_err(|_| refuse())?;
        let last: usize = last.parse().map_err(|_| refuse())?;
        if first > last || last >= MOST_CORES {
            return Err(refuse());
        }
        for core in first..=last {
            if cores.contains(&core) {
                return Err(format!("'{text}' names core {core} twice"));
            }
            cores.push(core);
        }
    }
    Ok(cores)
}

/// A number for people: `decimals` of them, and more where a fraction would show fewer than three digits otherwise, so that
/// 5 an hour is not 0 a second.
#[must_use]
pub fn significant(number: f64, decimals: usize) -> String {
    /// What is smaller is shown as 0.
    const MOST_DECIMALS: usize = 12;
    let plain = format!("{number:.decimals$}");
    if number == number.trunc() || !number.is_finite() {
        return plain;
    }
    // The exponent after rounding: 0.9996 is 1.00.
    let rounded = format!("{:.2e}", number.abs());
    let exponent = rounded.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok());
    let wanted = usize::try_from(2 - exponent.unwrap_or(0)).unwrap_or(0).min(MOST_DECIMALS);
    if wanted > decimals { format!("{number:.wanted$}") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::{parse_cores, parse_count, parse_duration_ns, significant};

    #[test]
    fn small_numbers_keep_three_digits() {
        for (number, decimals, text) in [
            (5.0 / 3600.0, 0, "0.00139"),
            (5.0 / 3600.0, 2, "0.00139"),
            (0.5, 2, "0.500"),
            (0.9996, 2, "1.00"),
            (1.5, 0, "1.50"),
            (1.5, 2, "1.50"),
            (12.34, 0, "12.3"),
            (12.34, 2, "12.34"),
            (123.4, 0, "123"),
            (184_201.334, 2, "184201.33"),
            (7.0, 0, "7"),
            (7.0, 2, "7.00"),
            (0.0, 2, "0.00"),
            (-0.0123, 1, "-0.0123"),
            (1e-15, 0, "0.000000000000"),
            (f64::INFINITY, 1, "inf"),
        ] {
            assert_eq!(significant(number, decimals), text, "{number} {decimals}");
        }
    }

    #[test]
    fn lengths_of_time_are_exact() {
        for (text, length_ns) in [
            ("500ms", 500_000_000),
            ("10s", 10_000_000_000),
            ("10", 10_000_000_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.000000001s", 1),
            ("1.50ms", 1_500_000),
            ("100ns", 100),
            ("0", 0),
        ] {
            assert_eq!(parse_duration_ns(text), Ok(length_ns), "{text}");
        }
        for text in [
            "",
            "s",
            "ms",
            "-1s",
            "+1s",
            "1.s",
            ".5s",
            "1.2.3s",
            "10 s",
            "1d",
            "1e3s",
            "1.5ns",
            "99999999999h",
        ] {
            assert!(parse_duration_ns(text).is_err(), "{text}");
        }
    }

    #[test]
    fn counts_are_exact() {
        for (text, count) in
            [("0", 0), ("200", 200), ("10k", 10_000), ("1.5M", 1_500_000), ("2G", 2_000_000_000)]
        {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
        for text in ["", "k", "-1", "+1", "1.5", "1.2345k", "1e3", "10 k", "10kk", "99999999999G"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_of_cores_hold_each_core_once() {
        assert_eq!(parse_cores("0,2-4"), Ok(vec![0, 2, 3, 4]));
        for text in ["", "a", "1-", "-1", "3-1", "1,1", "0-2,1", "99999", "+1"] {
            assert!(parse_cores(text).is_err(), "{text}");
        }
    }
}
