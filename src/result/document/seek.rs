//! Values out of a document, by their pointers, or the name of the key that is not as it should be.

use serde_json::Value;

/// No time or rate of a run is larger, and none but 0 smaller: ratios of what is between them are numbers.
const LARGEST: f64 = 1e15;
const SMALLEST: f64 = 1e-9;
/// No run has more requests, and sums over thousands of runs fit.
const MOST: u64 = 1 << 48;

/// What stands at `pointer`; it may be null.
pub(super) fn at<'a>(document: &'a Value, pointer: &str) -> Result<&'a Value, String> {
    document.pointer(pointer).ok_or_else(|| format!("{} is missing", name(pointer)))
}

/// A finite number that is not negative; `None` for null.
pub(super) fn number(document: &Value, pointer: &str) -> Result<Option<f64>, String> {
    let value = at(document, pointer)?;
    if value.is_null() {
        return Ok(None);
    }
    let fits = |number: &f64| *number == 0.0 || (SMALLEST..=LARGEST).contains(number);
    let number = value.as_f64().filter(fits);
    number.map(Some).ok_or_else(|| format!("{} is no number that a run could have", name(pointer)))
}

/// A number that must be there.
pub(super) fn amount(document: &Value, pointer: &str) -> Result<f64, String> {
    number(document, pointer)?.ok_or_else(|| format!("{} is null", name(pointer)))
}

/// A whole number.
pub(super) fn count(document: &Value, pointer: &str) -> Result<u64, String> {
    let count = at(document, pointer)?.as_u64().filter(|count| *count <= MOST);
    count.ok_or_else(|| format!("{} is no count", name(pointer)))
}

/// A text.
pub(super) fn text(document: &Value, pointer: &str) -> Result<String, String> {
    let text = at(document, pointer)?.as_str();
    text.map(super::escape).ok_or_else(|| format!("{} is no text", name(pointer)))
}

/// Yes or no.
pub(super) fn flag(document: &Value, pointer: &str) -> Result<bool, String> {
    let flag = at(document, pointer)?.as_bool();
    flag.ok_or_else(|| format!("{} is neither true nor false", name(pointer)))
}

/// A pointer as people write it: `latency.response.p99_us`.
fn name(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}
