//! Numbers, bytes and instants as people and scripts read them.
//!
//! Pure functions from values to text. Nothing here knows what a number means. Whatever came from the network goes
//! through [`escape`] before it may reach a terminal.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::units::{significant, thousands};

const SECONDS_PER_DAY: u64 = 86_400;

/// A latency with four digits and its unit: `850 ns`, `312.4 us`, `1.234 ms`, `10.00 s`.
#[must_use]
pub fn duration(length_ns: f64) -> String {
    if length_ns < 999.5 {
        return format!("{length_ns:.0} ns");
    }
    // The bounds are what rounds up to the next unit with four digits.
    let (value, unit) = match length_ns {
        ns if ns < 999.95e3 => (ns / 1e3, "us"),
        ns if ns < 999.95e6 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    let decimals = match value {
        value if value < 9.9995 => 3,
        value if value < 99.995 => 2,
        value if value < 999.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// A length that the user gave or that a run took: `10 s`, `1.5 s`, `500 ms`; three decimals at most, none that are 0.
#[must_use]
pub fn length(length_ns: u64) -> String {
    let (unit_ns, unit) = match length_ns {
        0 | 999_500_000.. => (1e9, "s"),
        999_500.. => (1e6, "ms"),
        _ => (1e3, "us"),
    };
    let text = format!("{:.3}", float(length_ns) / unit_ns);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} {unit}")
}

/// A count of anything as a float.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "reports show far fewer digits than the 15 that this keeps"
)]
pub fn float(number: u64) -> f64 {
    number as f64
}

/// A whole number in groups of three: `1,842,013`.
#[must_use]
pub fn count(number: u64) -> String {
    thousands(&number.to_string())
}

/// A count with its noun: `1 connection`, `64 connections`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A rate with two decimals, in groups of three: `184,201.33`; a small one with three digits: `0.00139`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    thousands(&significant(per_second, 2))
}

/// A share as a percentage: `97 %`, and one decimal below ten.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 9.95 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// A share as [`percent`] shows it, where a small one is not to look like none: `< 0.1 %`.
#[must_use]
pub fn small_share(share: f64) -> String {
    if share > 0.0 && share < 0.0005 { "< 0.1 %".to_owned() } else { percent(share) }
}

/// How many of all: `12 (0.4 %)`, and `0`.
#[must_use]
pub fn part(number: u64, all: u64) -> String {
    match number {
        0 => "0".to_owned(),
        number => {
            format!("{} ({})", count(number), small_share(float(number) / float(all.max(1))))
        }
    }
}

/// Bytes in binary units: `43 B`, `341.21 MiB`.
#[must_use]
pub fn bytes(number: f64) -> String {
    let mut amount = number;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        // 1023.995 rounds up to 1024.00, which belongs to the next unit.
        if amount < 1023.995 {
            break;
        }
        amount /= 1024.0;
        unit = larger;
    }
    match unit {
        // Bytes are whole, but not those of a second.
        "B" if amount < 1.0 => format!("{} B", significant(amount, 0)),
        "B" => format!("{amount:.0} B"),
        unit => format!("{amount:.2} {unit}"),
    }
}

/// Bytes a second as wrk prints them, without the final `B`: `606.33M`. A unit begins at 0.85 of itself.
#[must_use]
pub fn wrk_bytes(per_second: f64) -> String {
    let mut amount = per_second;
    let mut unit = "";
    for larger in ["K", "M", "G", "T"] {
        if amount < 1024.0 * 0.85 {
            break;
        }
        amount /= 1024.0;
        unit = larger;
    }
    if amount < 1.0 && unit.is_empty() {
        return significant(amount, 2);
    }
    format!("{amount:.2}{unit}")
}

/// Bytes as printable ASCII: `\r`, `\x1b` and so on stand for what a terminal would obey or mangle.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Like [`escape`], cut before `most` characters are exceeded; an ellipsis says so.
#[must_use]
pub fn escape_within(bytes: &[u8], most: usize) -> String {
    let whole = escape(bytes);
    if whole.len() <= most {
        return whole;
    }
    let mut cut = String::new();
    for byte in bytes {
        let escaped = escape(&[*byte]);
        if cut.len() + escaped.len() + "...".len() > most {
            break;
        }
        cut.push_str(&escaped);
    }
    cut + "..."
}

/// An instant in RFC 3339, UTC with milliseconds: `2026-11-23T05:00:00.000Z`. Before 1970 is 1970.
#[must_use]
pub fn rfc3339(instant: SystemTime) -> String {
    let since_epoch = instant.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) =
        (since_epoch.as_secs() / SECONDS_PER_DAY, since_epoch.as_secs() % SECONDS_PER_DAY);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millisecond = since_epoch.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// Year, month and day of a day since 1970-01-01, by Howard Hinnant's `civil_from_days`: years start in March, so that
/// the leap day comes last, and 400 of them have 146,097 days.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_part_has_its_share_and_a_small_one_is_not_none() {
        assert_eq!(part(0, 10), "0");
        assert_eq!(part(12, 3_000), "12 (0.4 %)");
        assert_eq!(part(1, 1_000_000), "1 (< 0.1 %)");
        assert_eq!(part(2_500, 2_500), "2,500 (100 %)");
    }

    #[test]
    fn a_duration_has_four_digits_and_moves_to_the_next_unit_when_it_rounds_there() {
        for (ns, text) in [
            (0.0, "0 ns"),
            (850.4, "850 ns"),
            (999.6, "1.000 us"),
            (9_999.6, "10.00 us"),
            (312_449.0, "312.4 us"),
            (999_949.0, "999.9 us"),
            (999_951.0, "1.000 ms"),
            (1_234_000.0, "1.234 ms"),
            (10e9, "10.00 s"),
            (3.6e12, "3600 s"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn a_length_drops_the_zeros_that_say_nothing() {
        for (ns, text) in [
            (0, "0 s"),
            (250, "0.25 us"),
            (10_000_000_000, "10 s"),
            (1_500_000_000, "1.5 s"),
            (500_000_000, "500 ms"),
            (999_600_000, "1 s"),
            (12_345_678, "12.346 ms"),
            (100_000_000_000, "100 s"),
        ] {
            assert_eq!(length(ns), text);
        }
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let counts = [0, 999, 1000, 1_842_013].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "1,842,013"]);
        assert_eq!(rate(184_201.329), "184,201.33");
        assert_eq!(rate(999.999), "1,000.00");
        assert_eq!(counted(1, "thread"), "1 thread");
        assert_eq!(counted(2000, "thread"), "2,000 threads");
    }

    #[test]
    fn sizes_have_binary_units() {
        let sizes = [0.0, 1023.0, 1024.0, 1_048_575.0, 357_785_600.0].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.00 KiB", "1.00 MiB", "341.21 MiB"]);
    }

    #[test]
    fn wrk_starts_a_unit_at_85_percent_of_it() {
        let sizes = [0.0, 870.0, 871.0, 635_783_086.0].map(wrk_bytes);
        assert_eq!(sizes, ["0.00", "870.00", "0.85K", "606.33M"]);
        assert_eq!(wrk_bytes(5.0 / 3600.0), "0.00139");
    }

    #[test]
    fn a_share_is_a_percentage() {
        let shares = [0.0, 0.012, 0.0994, 0.0996, 0.97, 1.0].map(percent);
        assert_eq!(shares, ["0 %", "1.2 %", "9.9 %", "10 %", "97 %", "100 %"]);
    }

    #[test]
    fn nothing_a_terminal_obeys_survives_escaping() {
        let all: Vec<u8> = (0..=255).collect();
        assert!(escape(&all).bytes().all(|byte| (32..127).contains(&byte)));
        assert_eq!(escape(b"\x1b[2J\r\n\xff\""), r#"\x1b[2J\r\n\xff\""#);
    }

    #[test]
    fn a_cut_never_splits_an_escape() {
        assert_eq!(escape_within(b"abcd", 4), "abcd");
        for most in 3..20 {
            let cut = escape_within(&[0x1b; 20], most);
            assert!(cut.len() <= most && cut.ends_with("..."), "{cut}");
            assert_eq!((cut.len() - 3) % 4, 0, "{cut}");
        }
    }

    #[test]
    fn instants_are_civil_dates() {
        let at = |seconds, ms: u32| rfc3339(UNIX_EPOCH + Duration::new(seconds, ms * 1_000_000));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399, 7), "2000-02-28T23:59:59.007Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(951_868_800, 0), "2000-03-01T00:00:00.000Z");
        assert_eq!(at(1_795_410_000, 0), "2026-11-23T05:00:00.000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(rfc3339(before), "1970-01-01T00:00:00.000Z");
    }
}
