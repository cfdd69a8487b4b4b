//! Numbers as people type them, lengths of time and counts, and as they read them.

use crate::time::NANOS_PER_SECOND;

/// Units of time, by falling length: how they are written, and how many nanoseconds each has.
const UNITS: [(&[&str], u64); 6] = [
    (&["h"], 3600 * NANOS_PER_SECOND),
    (&["m", "min"], 60 * NANOS_PER_SECOND),
    (&["s"], NANOS_PER_SECOND),
    (&["ms"], 1_000_000),
    (&["us", "µs"], 1_000),
    (&["ns"], 1),
];

/// Reads a length of time: `500ms`, `10s`, `1.5s`, `2m`, `250us`, or several units one after the other, each shorter than the
/// one before: `1h5m`, `1m30s`, `2m30.5s`. Only 0 needs no unit.
///
/// # Errors
/// What is wrong with it and how it should look. Lengths are exact to the nanosecond or refused.
pub fn parse_duration_ns(text: &str) -> Result<u64, String> {
    const EXAMPLES: &str = "use a number and a unit, like 500ms, 10s, 2m, 1h or 1m30s";
    let refuse = || format!("'{text}' is not a length of time; {EXAMPLES}");
    if text == "0" {
        return Ok(0);
    }
    let mut length_ns: u64 = 0;
    let mut shorter_than_ns = u64::MAX;
    let mut rest = text;
    while !rest.is_empty() || shorter_than_ns == u64::MAX {
        let (number, after) = split_at_end(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split_at_end(after, |c| !c.is_ascii_digit() && c != '.');
        if unit.is_empty() && is_decimal(number) {
            let part = if number == text { String::new() } else { format!(": {number}") };
            let readings = with_units(number, shorter_than_ns);
            return Err(format!("'{text}'{part} has no unit; write {readings}"));
        }
        let known = UNITS.iter().find(|(names, _)| names.contains(&unit));
        let &(_, unit_ns) = known.filter(|_| is_decimal(number)).ok_or_else(refuse)?;
        if unit_ns >= shorter_than_ns {
            return Err(format!(
                "'{text}': each unit is written once, the longer one first; use for example 1h5m, 1m30s or 1s500ms"
            ));
        }
        if number.contains('.') && !after.is_empty() {
            return Err(format!(
                "'{text}': only the last number can have decimals; use for example 2m30.5s"
            ));
        }
        let part_ns = exact_ns(number, unit_ns, text)?;
        length_ns = length_ns.checked_add(part_ns).ok_or_else(|| too_long(text))?;
        (rest, shorter_than_ns) = (after, unit_ns);
    }
    Ok(length_ns)
}

/// What a number without a unit may have meant: `10ms, 10s or 10m`, or those of them that are shorter than the unit before.
fn with_units(number: &str, shorter_than_ns: u64) -> String {
    let usual = [("ms", 1_000_000), ("s", NANOS_PER_SECOND), ("m", 60 * NANOS_PER_SECOND)];
    let fitting = usual.iter().filter(|&&(_, unit_ns)| unit_ns < shorter_than_ns);
    let readings: Vec<String> = fitting.map(|(unit, _)| format!("{number}{unit}")).collect();
    match &readings[..] {
        [] => "a shorter unit after it, or leave it out".to_owned(),
        [only] => only.clone(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

fn too_long(text: &str) -> String {
    format!("'{text}' is longer than 584 years")
}

/// The characters at the start that are `of_kind`, and the rest.
fn split_at_end(text: &str, of_kind: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c: char| !of_kind(c)).unwrap_or(text.len()))
}

/// Digits, and at most one point between digits.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole) && digits(fraction)
}

/// A decimal number of units in nanoseconds; `text` is what it is part of.
fn exact_ns(number: &str, unit_ns: u64, text: &str) -> Result<u64, String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().map_err(|_| too_long(text))?;
    let mut length_ns = whole.checked_mul(unit_ns).ok_or_else(|| too_long(text))?;
    let mut place_ns = unit_ns;
    for digit in fraction.bytes() {
        if !place_ns.is_multiple_of(10) && digit != b'0' {
            return Err(format!("'{text}' is finer than a nanosecond"));
        }
        place_ns /= 10;
        length_ns = length_ns
            .checked_add(place_ns * u64::from(digit - b'0'))
            .ok_or_else(|| too_long(text))?;
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

/// The digits of a number that is not negative in groups of three, decimals as they are: `1,842,013`, `184,201.33`.
#[must_use]
pub fn thousands(number: &str) -> String {
    let (whole, decimals) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut grouped = String::with_capacity(number.len() + number.len() / 3);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + decimals
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
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.000000001s", 1),
            ("1.50ms", 1_500_000),
            ("100ns", 100),
            ("0", 0),
            ("1.5h", 5_400_000_000_000),
            ("2.5min", 150_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h5m", 3_900_000_000_000),
            ("2m30.5s", 150_500_000_000),
            ("1s500ms", 1_500_000_000),
            ("1h1min1s1ms1us1ns", 3_661_001_001_001),
            ("1ms5µs", 1_005_000),
            ("1m90s", 150_000_000_000),
            ("0m5s", 5_000_000_000),
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
            "30s1m",
            "1m-3s",
            "1m 30s",
            "1s1s",
            "1m1min",
            "1ms1s",
            "1.5m30s",
            "1m30.s",
            "5000000h5000000m99999999999999999999s",
            "2000000h9223372036s9223372036854775807ns",
            "1m30s!",
        ] {
            assert!(parse_duration_ns(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_what_it_may_have_meant() {
        for (text, remedy) in [
            ("10", "write 10ms, 10s or 10m"),
            ("1.5", "write 1.5ms, 1.5s or 1.5m"),
            ("00", "write 00ms"),
            ("1m30", "30 has no unit; write 30ms or 30s"),
            ("1s500", "500 has no unit; write 500ms"),
            ("1ms5", "5 has no unit; write a shorter unit after it"),
        ] {
            let error = parse_duration_ns(text).unwrap_err();
            assert!(error.starts_with(&format!("'{text}'")) && error.contains(remedy), "{error}");
        }
        for (text, why) in [
            ("30s1m", "the longer one first"),
            ("1.5m30s", "only the last number can have decimals"),
            ("1d", "500ms"),
        ] {
            assert!(parse_duration_ns(text).unwrap_err().contains(why), "{text}");
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
