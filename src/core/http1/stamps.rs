//! What a target tells of its own side of a request, where it was asked to: three headers with whole numbers.
//!
//! Used only when every request is logged. It must not change how a response is framed; a line that was cut between two
//! pieces of input tells nothing.

/// One of the headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stamp {
    /// `X-Seq`: the target's number of the request.
    Number(u64),
    /// `X-Recv-ns`: when it was received, in nanoseconds of the target's monotonic clock.
    Received(u64),
    /// `X-Send-ns`: when the response was sent, likewise.
    Sent(u64),
}

/// The stamps in whole header lines of `bytes`, up to the end of the head.
pub fn stamp_lines(bytes: &[u8]) -> impl Iterator<Item = Stamp> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        loop {
            let end = rest.iter().position(|&byte| byte == b'\n')?;
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            if line.is_empty() {
                return None;
            }
            rest = &rest[end + 1..];
            if let Some(stamp) = stamp_of(line) {
                return Some(stamp);
            }
        }
    })
}

fn stamp_of(line: &[u8]) -> Option<Stamp> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let stamp: fn(u64) -> Stamp = if name.eq_ignore_ascii_case(b"x-seq") {
        Stamp::Number
    } else if name.eq_ignore_ascii_case(b"x-recv-ns") {
        Stamp::Received
    } else if name.eq_ignore_ascii_case(b"x-send-ns") {
        Stamp::Sent
    } else {
        return None;
    };
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok().map(stamp)
}

#[cfg(test)]
mod tests {
    use super::{Stamp, stamp_lines};

    #[test]
    fn stamps_are_found_among_other_headers_and_not_in_the_body() {
        let response = b"HTTP/1.1 200 OK\r\nX-Seq: 00012\r\nDate: x\r\nx-recv-ns:7\r\nX-Send-ns: 9 \r\n\r\nX-Seq: 3\r\n";
        let stamps: Vec<_> = stamp_lines(response).collect();
        assert_eq!(stamps, [Stamp::Number(12), Stamp::Received(7), Stamp::Sent(9)]);
    }

    #[test]
    fn what_is_cut_or_no_number_tells_nothing() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nX-Seq: 12"[..],
            b"X-Seq: -1\r\n",
            b"X-Seq: +1\r\n",
            b"X-Seq:\r\n",
            b"X-Seq: 99999999999999999999999\r\n",
            b"\xff\xfe\n\n",
            b"",
        ] {
            assert_eq!(stamp_lines(bytes).next(), None, "{bytes:?}");
        }
    }
}
