//! Every request of a run, one by one: `--log-requests`.
//!
//! Times are nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine share, so that a target's own stamps can
//! be compared with them. JSON lines and CSV are for scripts. The binary form has a header of 16 bytes (`MAXQREQ1`, the length of
//! a row and a zero as 32-bit numbers), then rows of 96 bytes, all little-endian: nine 64-bit numbers (number, intended,
//! sent, first byte, ended, pool wait, the target's number, received, sent; 2^64-1 where there is none), the connection
//! (32 bits), status and phase (16 bits each), the outcome (8 bits: the place of its name among ok, unexpected,
//! http_error, protocol_error, truncated, reset, timeout, in_flight_at_end, unsent), seven zeros, the late look (64
//! bits). New fields come at the end of a row: a reader takes the length of a row from the header.
//!
//! The service time of a response is ended - sent - late look; its response time is ended - intended.

use serde_json::json;

use crate::core::record::{Fate, RequestRow};
use crate::plan::RequestFormat;
use crate::time::Nanos;

const ROW_BYTES: u32 = 96;

/// The fields of a request in text, in the order of CSV; new ones come at the end.
const COLUMNS: [&str; 14] = [
    "number",
    "phase",
    "outcome",
    "status",
    "connection",
    "intended_ns",
    "sent_ns",
    "first_byte_ns",
    "ended_ns",
    "pool_wait_ns",
    "server_number",
    "server_received_ns",
    "server_sent_ns",
    "late_look_ns",
];
/// Those before the numbers.
const WORDS: usize = 3;

/// What comes before the first request.
#[must_use]
pub fn request_header(format: RequestFormat) -> Vec<u8> {
    match format {
        RequestFormat::Lines => Vec::new(),
        RequestFormat::Csv => format!("{}\n", COLUMNS.join(",")).into_bytes(),
        RequestFormat::Binary => {
            let mut header = b"MAXQREQ1".to_vec();
            header.extend_from_slice(&ROW_BYTES.to_le_bytes());
            header.extend_from_slice(&0_u32.to_le_bytes());
            header
        }
    }
}

/// Requests as they are written; `phases` are the names of all phases.
#[must_use]
pub fn request_rows(rows: &[RequestRow], format: RequestFormat, phases: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        match format {
            RequestFormat::Lines => line(&mut bytes, row, phases),
            RequestFormat::Csv => values(&mut bytes, row, phases),
            RequestFormat::Binary => binary(&mut bytes, row),
        }
    }
    bytes
}

/// One object, put together by hand: it has only numbers and names of our own, and there may be hundreds of thousands a
/// second, written on a machine whose time is being measured.
fn line(bytes: &mut Vec<u8>, row: &RequestRow, phases: &[String]) {
    let phase = phases.get(usize::from(row.phase.0));
    bytes.extend_from_slice(b"{\"number\":");
    decimal(bytes, row.number);
    bytes.extend_from_slice(b",\"phase\":");
    bytes.extend_from_slice(json!(phase).to_string().as_bytes());
    bytes.extend_from_slice(b",\"outcome\":\"");
    bytes.extend_from_slice(row.fate.name().as_bytes());
    bytes.push(b'"');
    for (key, value) in COLUMNS[WORDS..].iter().zip(numbers(row)) {
        bytes.extend_from_slice(b",\"");
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(b"\":");
        match value {
            Some(value) => decimal(bytes, value),
            None => bytes.extend_from_slice(b"null"),
        }
    }
    bytes.extend_from_slice(b"}\n");
}

/// The same as comma-separated values; what did not happen is empty.
fn values(bytes: &mut Vec<u8>, row: &RequestRow, phases: &[String]) {
    decimal(bytes, row.number);
    bytes.push(b',');
    quoted(bytes, phases.get(usize::from(row.phase.0)).map_or("", String::as_str));
    bytes.push(b',');
    bytes.extend_from_slice(row.fate.name().as_bytes());
    for value in numbers(row) {
        bytes.push(b',');
        value.into_iter().for_each(|value| decimal(bytes, value));
    }
    bytes.push(b'\n');
}

/// In quotes where RFC 4180 wants them.
fn quoted(bytes: &mut Vec<u8>, text: &str) {
    if text.contains([',', '"', '\n', '\r']) {
        bytes.push(b'"');
        bytes.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        bytes.push(b'"');
    } else {
        bytes.extend_from_slice(text.as_bytes());
    }
}

/// What [`COLUMNS`] names after the words.
fn numbers(row: &RequestRow) -> [Option<u64>; COLUMNS.len() - WORDS] {
    let at = |instant: Option<Nanos>| instant.map(|instant| instant.0);
    [
        (row.status > 0).then_some(u64::from(row.status)),
        (row.connection < u32::MAX).then_some(u64::from(row.connection)),
        Some(row.intended.0),
        at(row.sent),
        at(row.first_byte),
        Some(row.ended.0),
        Some(row.pool_ns),
        row.server.number,
        at(row.server.received),
        at(row.server.sent),
        Some(row.late_ns),
    ]
}

fn decimal(bytes: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    bytes.extend_from_slice(&digits[first..]);
}

fn binary(bytes: &mut Vec<u8>, row: &RequestRow) {
    let at = |instant: Option<Nanos>| instant.map_or(u64::MAX, |instant| instant.0);
    let outcome = Fate::ALL.iter().position(|fate| *fate == row.fate).unwrap_or(0);
    for number in [
        row.number,
        row.intended.0,
        at(row.sent),
        at(row.first_byte),
        row.ended.0,
        row.pool_ns,
        row.server.number.unwrap_or(u64::MAX),
        at(row.server.received),
        at(row.server.sent),
    ] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&row.connection.to_le_bytes());
    bytes.extend_from_slice(&row.status.to_le_bytes());
    bytes.extend_from_slice(&row.phase.0.to_le_bytes());
    bytes.push(u8::try_from(outcome).unwrap_or(u8::MAX));
    bytes.extend_from_slice(&[0; 7]);
    bytes.extend_from_slice(&row.late_ns.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::{ROW_BYTES, RequestFormat, request_header, request_rows};
    use crate::core::record::{Fate, RequestRow, ServerStamps};
    use crate::core::schedule::PhaseIndex;
    use crate::time::Nanos;
    use serde_json::json;

    fn row() -> RequestRow {
        RequestRow {
            number: 7,
            phase: PhaseIndex(1),
            fate: Fate::Unsent,
            status: 0,
            connection: u32::MAX,
            intended: Nanos(1_000),
            sent: None,
            first_byte: None,
            ended: Nanos(9_000),
            pool_ns: 8_000,
            late_ns: 450,
            server: ServerStamps { number: Some(3), ..ServerStamps::default() },
        }
    }

    #[test]
    fn a_row_of_csv_has_the_fields_of_a_json_line_in_the_order_of_the_header() {
        let phases = ["warmup".to_owned(), "5s@1k, then \"more\"".to_owned()];
        let text = |format| {
            let mut bytes = request_header(format);
            bytes.extend(request_rows(&[row()], format, &phases));
            String::from_utf8(bytes).unwrap()
        };
        let line: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text(RequestFormat::Lines)).unwrap();
        let csv = text(RequestFormat::Csv);
        let (header, values) = csv.trim_end().split_once('\n').unwrap();
        assert_eq!(header, line.keys().map(String::as_str).collect::<Vec<_>>().join(","));
        assert_eq!(values, "7,\"5s@1k, then \"\"more\"\"\",unsent,,,1000,,,9000,8000,3,,,450");
    }

    #[test]
    fn a_binary_row_has_its_length_and_its_numbers_in_place() {
        let bytes = request_rows(&[row(), row()], RequestFormat::Binary, &[]);
        assert_eq!(bytes.len(), 2 * ROW_BYTES as usize);
        let message = RequestFormat::of("a.txt".as_ref()).unwrap_err();
        assert!(message.ends_with(&format!("rows of {ROW_BYTES} bytes")), "{message}");
        let number = |at: usize| u64::from_le_bytes(bytes[at * 8..at * 8 + 8].try_into().unwrap());
        assert_eq!(
            [number(0), number(1), number(2), number(4), number(6), number(11)],
            [7, 1000, u64::MAX, 9000, 3, 450]
        );
        assert_eq!((bytes[76], bytes[78], bytes[80]), (0, 1, 8));
        assert_eq!(request_header(RequestFormat::Binary).len(), 16);
    }

    #[test]
    fn a_line_is_one_json_object_with_null_for_what_did_not_happen() {
        let phases = ["warmup".to_owned(), "measured".to_owned()];
        let text =
            String::from_utf8(request_rows(&[row()], RequestFormat::Lines, &phases)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["phase"], "measured");
        assert_eq!((&value["number"], &value["ended_ns"]), (&json!(7), &json!(9_000)));
        assert_eq!(value["late_look_ns"], 450);
        assert_eq!(value["outcome"], "unsent");
        assert!(value["sent_ns"].is_null() && value["connection"].is_null());
        assert!(text.ends_with('\n') && text.lines().count() == 1);
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 9, 10, 1_000_000_007, u64::MAX] {
            let mut bytes = Vec::new();
            super::decimal(&mut bytes, number);
            assert_eq!(bytes, number.to_string().as_bytes());
        }
    }
}
