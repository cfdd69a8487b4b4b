//! Lists of numbers as people type them: `100,200,400`, `200..1300/6`, `1,2,4..512`.
//!
//! Pure: text in, numbers out. What is typed is taken exactly; what lies between two ends is rounded to what the flag can
//! hold. A list is refused as a whole, with an example.

use crate::core::schedule::Rate;
use crate::units::parse_count;

/// Nobody waits for more.
const MOST_POINTS: usize = 200;

/// What a list is of.
struct Kind<V> {
    parse: fn(&str) -> Result<V, String>,
    value: fn(&V) -> f64,
    nearest: fn(f64) -> Option<V>,
    examples: &'static str,
}

/// Reads rates; those between two ends are rounded to a thousandth of a request a second.
///
/// # Errors
/// What is wrong with the list, and how it should look.
pub(super) fn parse_rates(text: &str) -> Result<Vec<Rate>, String> {
    const EXAMPLES: &str = "use 200..1300/6, 100,200,400 or 1k,2k..64k";
    let kind = Kind {
        parse: Rate::parse,
        value: |rate: &Rate| rate.per_second(),
        nearest: Rate::nearest,
        examples: EXAMPLES,
    };
    kind.list(text)
}

/// Reads counts; those between two ends are rounded to whole ones, each of which is taken once.
///
/// # Errors
/// What is wrong with the list, and how it should look.
pub(super) fn parse_counts(text: &str) -> Result<Vec<u64>, String> {
    let kind = Kind {
        parse: parse_count,
        value: |&count: &u64| float(count),
        nearest: |value| whole(value),
        examples: "use 1..512/10, 1,2,8 or 1,2,4..512",
    };
    kind.list(text)
}

#[expect(clippy::cast_precision_loss, reason = "counts of connections are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 2^53 after the check"
)]
fn whole(value: f64) -> Option<u64> {
    let rounded = value.round();
    (0.0..9e15).contains(&rounded).then_some(rounded as u64)
}

impl<V: Clone> Kind<V> {
    /// All values of a list, in rising order.
    fn list(&self, text: &str) -> Result<Vec<V>, String> {
        let mut values: Vec<V> = Vec::new();
        for item in text.split(',') {
            let Some((from, to)) = item.split_once("..") else {
                self.add(&mut values, self.one(item, text)?, text)?;
                continue;
            };
            match to.rsplit_once('/').filter(|(_, count)| is_number(count)) {
                Some((to, count)) => {
                    let ends = (self.one(from, text)?, self.one(to, text)?);
                    self.spread(&mut values, ends, count, text)?;
                }
                None => {
                    let ends = (self.one(from, text)?, self.one(to, text)?);
                    self.go_on(&mut values, ends, text)?;
                }
            }
        }
        values.sort_by(|a, b| (self.value)(a).total_cmp(&(self.value)(b)));
        Ok(values)
    }

    fn one(&self, item: &str, text: &str) -> Result<V, String> {
        (self.parse)(item).map_err(|error| {
            let whole = if item == text { String::new() } else { format!("'{text}': ") };
            format!("{whole}{error}; for lists {}", self.examples)
        })
    }

    fn refuse(&self, text: &str, why: &str) -> String {
        format!("'{text}': {why}; {}", self.examples)
    }

    /// Adds a value that was typed.
    fn add(&self, values: &mut Vec<V>, value: V, text: &str) -> Result<(), String> {
        let number = (self.value)(&value);
        if self.holds(values, number) {
            return Err(self.refuse(text, &format!("{number} is there twice")));
        }
        if values.len() == MOST_POINTS {
            return Err(self.refuse(text, &format!("at most {MOST_POINTS} values can be swept")));
        }
        values.push(value);
        Ok(())
    }

    fn holds(&self, values: &[V], number: f64) -> bool {
        values.iter().any(|known| (self.value)(known).total_cmp(&number).is_eq())
    }

    /// `A..B/N`: so many values, each the same multiple of the one before.
    fn spread(
        &self,
        values: &mut Vec<V>,
        (from, to): (V, V),
        count: &str,
        text: &str,
    ) -> Result<(), String> {
        let count: usize = count.parse().unwrap_or(usize::MAX);
        if !(2..=MOST_POINTS).contains(&count) {
            let why = format!("the number behind / says how many, from 2 to {MOST_POINTS}");
            return Err(self.refuse(text, &why));
        }
        let (low, high) = ((self.value)(&from), (self.value)(&to));
        if low <= 0.0 || low >= high {
            return Err(self.refuse(text, "A..B goes from a number above 0 up to a larger one"));
        }
        self.add(values, from, text)?;
        let steps = u32::try_from(count - 1).unwrap_or(1);
        for step in 1..steps {
            let share = f64::from(step) / f64::from(steps);
            self.add_between(values, low * (high / low).powf(share), text)?;
        }
        // Between close ends there are fewer whole numbers than were asked for.
        if self.holds(values, high) { Ok(()) } else { self.add(values, to, text) }
    }

    /// `X,Y..B`: on from Y as from X to Y, up to B.
    fn go_on(&self, values: &mut Vec<V>, (from, to): (V, V), text: &str) -> Result<(), String> {
        let Some(before) = values.last().map(&self.value) else {
            let why = "A..B needs two values before it to go on from, or a number behind it";
            return Err(self.refuse(text, why));
        };
        let (start, end) = ((self.value)(&from), (self.value)(&to));
        if before <= 0.0 || start <= before || end <= start {
            return Err(self.refuse(text, "a list that goes on must rise"));
        }
        self.add(values, from, text)?;
        let ratio = start / before;
        let mut value = start * ratio;
        // What floats leave of a whole multiple must not cost the last value.
        while value <= end * (1.0 + 1e-9) {
            self.add_between(values, value.min(end), text)?;
            value *= ratio;
        }
        Ok(())
    }

    /// Adds a value that nobody typed, once.
    fn add_between(&self, values: &mut Vec<V>, number: f64, text: &str) -> Result<(), String> {
        let nearest = (self.nearest)(number);
        let value = nearest.ok_or_else(|| self.refuse(text, "a value in it is too small"))?;
        if self.holds(values, (self.value)(&value)) {
            Ok(())
        } else {
            self.add(values, value, text)
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{parse_counts, parse_rates};

    fn rates(text: &str) -> Vec<f64> {
        parse_rates(text).unwrap().iter().map(|rate| rate.per_second()).collect()
    }

    #[test]
    fn a_range_with_a_number_is_geometric_and_keeps_its_ends() {
        assert_eq!(rates("100..10k/3"), [100.0, 1000.0, 10_000.0]);
        assert_eq!(rates("200..1300/2"), [200.0, 1300.0]);
        let six = rates("200..1300/6");
        assert_eq!(six.len(), 6);
        for pair in six.windows(2) {
            assert!((pair[1] / pair[0] - 6.5_f64.powf(0.2)).abs() < 1e-5, "{six:?}");
        }
        assert_eq!(rates("60/min..600/min/2"), [1.0, 10.0]);
        assert_eq!(parse_counts("1..1000/4"), Ok(vec![1, 10, 100, 1000]));
        // Whole numbers are taken once.
        assert_eq!(parse_counts("1..4/9"), Ok(vec![1, 2, 3, 4]));
    }

    #[test]
    fn a_list_goes_on_with_its_last_ratio_up_to_its_end() {
        assert_eq!(parse_counts("1,2,4..64"), Ok(vec![1, 2, 4, 8, 16, 32, 64]));
        assert_eq!(parse_counts("1,2,4..100"), Ok(vec![1, 2, 4, 8, 16, 32, 64]));
        assert_eq!(parse_counts("1,10..10k"), Ok(vec![1, 10, 100, 1000, 10_000]));
        assert_eq!(parse_counts("2,3..12"), Ok(vec![2, 3, 5, 7, 10]));
        assert_eq!(rates("1k,2k..8k"), [1000.0, 2000.0, 4000.0, 8000.0]);
        assert_eq!(rates("0.5,1..4"), [0.5, 1.0, 2.0, 4.0]);
    }

    #[test]
    fn lists_are_taken_as_they_are_in_rising_order() {
        assert_eq!(rates("400,100,90/min"), [1.5, 100.0, 400.0]);
        assert_eq!(parse_counts("8"), Ok(vec![8]));
        assert_eq!(parse_counts("1..100/3,5,300"), Ok(vec![1, 5, 10, 100, 300]));
    }

    #[test]
    fn lists_that_make_no_sense_are_refused_with_an_example() {
        for text in [
            "1,",
            ",1",
            "1,,2",
            "1..",
            "..5",
            "1..5",
            "5..1/3",
            "1..5/1",
            "1..5/0",
            "1..5/201",
            "1..5/x",
            "0..5/3",
            "1,1",
            "2,1..8",
            "1,2..2",
            "1,2,4..",
            "0,0..5",
            "1...5/3",
            "1-5",
            "a..b/3",
            "1..5/99999999999999999999",
        ] {
            for (refused, example) in [
                (parse_counts(text).unwrap_err(), "1,2,4..512"),
                (parse_rates(text).unwrap_err(), "200..1300/6"),
            ] {
                assert!(refused.contains(text) && refused.contains(example), "{text}: {refused}");
            }
        }
        let many: Vec<String> = (1..=201).map(|count| count.to_string()).collect();
        assert!(parse_counts(&many.join(",")).unwrap_err().contains("at most 200"));
        assert!(parse_counts("1000,1001..2000").unwrap_err().contains("at most 200"));
        assert_eq!(parse_counts(&many[..200].join(",")).unwrap().len(), 200);
    }
}
