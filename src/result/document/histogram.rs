//! The values in a histogram as it travels in a document: HdrHistogram V2, deflated, base64.
//!
//! Anybody may have written the document. Its header is read first and checked against what maxq writes; from there on
//! no more is inflated than the buckets of that header can fill.

use std::io::Read;

use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

use crate::base64;

/// Significant decimal digits of the finest histogram that maxq writes.
pub(super) const MOST_DIGITS: u8 = 3;
/// Highest value of the largest histogram that maxq writes, in nanoseconds: one hour.
pub(super) const HIGHEST_NS: u64 = 3_600_000_000_000;
/// Length of the header of either encoding, in bytes: outside cookie and length; inside these, the normalizing offset,
/// the digits, the lowest and the highest value, and a ratio.
const OUTER_BYTES: usize = 8;
const INNER_BYTES: usize = 40;
/// Even counts that cannot be deflated, all of 9 bytes, make less than half of this.
const MOST_TEXT_BYTES: usize = 1 << 20;
/// First bytes of the two encodings.
const DEFLATED_COOKIE: u32 = 0x1c84_9314;
const PLAIN_COOKIE: u32 = 0x1c84_9313;
/// A bucket's count takes at most this many bytes.
const MOST_COUNT_BYTES: usize = 9;
/// No run has more requests, and sums over thousands of runs fit.
const MOST_REQUESTS: u64 = 1 << 48;

/// Each value in nanoseconds, and how often it came.
///
/// # Errors
/// When it is none, or not one that maxq could have written.
pub(super) fn values(text: &str) -> Result<Vec<(u64, u64)>, String> {
    let broken = || "latency.response.histogram is not an HdrHistogram".to_owned();
    if text.len() > MOST_TEXT_BYTES {
        return Err("latency.response.histogram is longer than any that maxq writes".to_owned());
    }
    let deflated = base64::decode(text).ok_or_else(broken)?;
    let (outer, deflated) = deflated.split_first_chunk::<OUTER_BYTES>().ok_or_else(broken)?;
    if number::<4>(outer, 0) != Some(u64::from(DEFLATED_COOKIE)) {
        return Err(broken());
    }
    let mut plain = vec![0; INNER_BYTES];
    let mut inflating = ZlibDecoder::new(deflated);
    inflating.read_exact(&mut plain).map_err(|_| broken())?;
    let payload_bytes = checked_payload_bytes(&plain).ok_or_else(broken)??;
    plain.resize(INNER_BYTES + payload_bytes, 0);
    inflating.read_exact(&mut plain[INNER_BYTES..]).map_err(|_| broken())?;
    let decoded: Histogram<u64> =
        Deserializer::new().deserialize(&mut plain.as_slice()).map_err(|_| broken())?;
    let middle = |value| decoded.median_equivalent(value);
    let row = |step: hdrhistogram::iterators::IterationValue<u64>| {
        (middle(step.value_iterated_to()), step.count_at_value())
    };
    let rows: Vec<(u64, u64)> = decoded.iter_recorded().map(row).collect();
    let all = rows.iter().fold(0_u64, |all, (_, count)| all.saturating_add(*count));
    if all > MOST_REQUESTS {
        return Err(
            "latency.response.histogram counts more requests than a run can have".to_owned()
        );
    }
    Ok(rows)
}

/// Bytes that follow the header, when it is one that maxq could have written; `None` when it is no header at all.
fn checked_payload_bytes(header: &[u8]) -> Option<Result<usize, String>> {
    if number::<4>(header, 0)? != u64::from(PLAIN_COOKIE) {
        return None;
    }
    let payload_bytes = number::<4>(header, 4)?;
    let (digits, lowest, highest) =
        (number::<4>(header, 12)?, number::<8>(header, 16)?, number::<8>(header, 24)?);
    if digits > u64::from(MOST_DIGITS) || highest > HIGHEST_NS {
        return Some(Err(format!(
            "latency.response.histogram has {digits} digits up to {highest} ns; maxq writes at most {MOST_DIGITS} digits up to {HIGHEST_NS} ns"
        )));
    }
    let digits = u8::try_from(digits).ok()?;
    let buckets =
        Histogram::<u64>::new_with_bounds(lowest, highest, digits).ok()?.distinct_values();
    let most_bytes = buckets * MOST_COUNT_BYTES;
    let payload_bytes = usize::try_from(payload_bytes).ok()?;
    Some(if payload_bytes > most_bytes {
        Err(format!(
            "latency.response.histogram expands to {payload_bytes} bytes; its {buckets} buckets take at most {most_bytes}"
        ))
    } else {
        Ok(payload_bytes)
    })
}

/// The big-endian number of `BYTES` bytes at `at`.
fn number<const BYTES: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + BYTES)?;
    Some(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use hdrhistogram::Histogram;

    use super::{HIGHEST_NS, MOST_DIGITS, values};
    use crate::base64;
    use crate::core::record::latency;

    /// A histogram of this header, whose payload is `byte` over and over.
    fn encoded(digits: u32, highest: u64, announced: u32, payload: (u8, usize)) -> String {
        let mut plain = Vec::new();
        plain.extend_from_slice(&super::PLAIN_COOKIE.to_be_bytes());
        plain.extend_from_slice(&announced.to_be_bytes());
        plain.extend_from_slice(&0_u32.to_be_bytes());
        plain.extend_from_slice(&digits.to_be_bytes());
        plain.extend_from_slice(&1_u64.to_be_bytes());
        plain.extend_from_slice(&highest.to_be_bytes());
        plain.extend_from_slice(&1_f64.to_be_bytes());
        plain.resize(plain.len() + payload.1, payload.0);
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&plain).unwrap();
        let deflated = encoder.finish().unwrap();
        let mut bytes = super::DEFLATED_COOKIE.to_be_bytes().to_vec();
        bytes.extend_from_slice(&u32::try_from(deflated.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&deflated);
        base64::encode(&bytes)
    }

    #[test]
    fn the_largest_histogram_that_maxq_writes_is_read_whole() {
        let mut histogram = latency::LatencyHistogram::new();
        let buckets = histogram.to_hdr();
        let all: Vec<u64> = buckets.iter_all().map(|step| step.value_iterated_to()).collect();
        all.iter().for_each(|&value| histogram.record(value.min(HIGHEST_NS)));
        let rows = values(&base64::encode(&histogram.to_v2_deflate())).unwrap();
        assert_eq!(rows.iter().map(|(_, count)| count).sum::<u64>(), all.len() as u64);
        assert_eq!((MOST_DIGITS, HIGHEST_NS), (latency::DIGITS, latency::HIGHEST_NS));
    }

    #[test]
    fn what_expands_beyond_its_buckets_is_refused_before_it_is_expanded() {
        // A megabyte of text for each gigabyte; 64 MiB of zeros would be as many empty buckets.
        let bytes = 64 << 20;
        let bomb = encoded(3, HIGHEST_NS, bytes, (0, bytes as usize));
        let why = values(&bomb).unwrap_err();
        assert!(why.contains("expands to 67108864 bytes"), "{why}");
        // A header that promises what does not follow is not believed either.
        let why = values(&encoded(3, HIGHEST_NS, u32::MAX, (0, 8))).unwrap_err();
        assert!(why.contains("expands to 4294967295 bytes"), "{why}");
        let why = values(&encoded(3, HIGHEST_NS, 100, (0, 8))).unwrap_err();
        assert!(why.contains("not an HdrHistogram"), "{why}");
        // What follows the histogram is not looked at.
        assert_eq!(values(&encoded(3, HIGHEST_NS, 8, (0, 1 << 20))), Ok(Vec::new()));
    }

    #[test]
    fn layouts_and_counts_that_no_run_has_are_refused_by_what_is_wrong_with_them() {
        for (digits, highest) in [(4, HIGHEST_NS), (5, u64::MAX), (3, u64::MAX), (u32::MAX, 2)] {
            let why = values(&encoded(digits, highest, 0, (0, 0))).unwrap_err();
            assert!(why.contains("maxq writes at most 3 digits"), "{why}");
        }
        for (digits, highest) in [(3, 0), (3, 1)] {
            let why = values(&encoded(digits, highest, 0, (0, 0))).unwrap_err();
            assert!(why.contains("not an HdrHistogram"), "{why}");
        }
        let mut huge = Histogram::<u64>::new_with_bounds(1, HIGHEST_NS, 3).unwrap();
        for value in [5, 6, 7] {
            huge.record_n(value, i64::MAX.unsigned_abs()).unwrap();
        }
        let mut bytes = Vec::new();
        let mut serializer = hdrhistogram::serialization::V2DeflateSerializer::new();
        hdrhistogram::serialization::Serializer::serialize(&mut serializer, &huge, &mut bytes)
            .unwrap();
        let why = values(&base64::encode(&bytes)).unwrap_err();
        assert!(why.contains("more requests than a run can have"), "{why}");
    }
}
