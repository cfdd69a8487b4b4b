//! A head read line by line: what the fast parser does not accept, and what can be accepted all the same.
//!
//! Clients in wide use accept folded lines, a space before the colon, odd characters in names, and lines without a colon,
//! so servers that send them exist and are measured. None of these changes where a response ends, as long as the line
//! cannot be taken for Content-Length, Transfer-Encoding, or Connection. A line that can is refused, because two readers
//! may disagree about it (RFC 9112 section 11.2), and so are NUL and a bare CR in any line.

use std::ops::Range;

use super::fields::Fields;
use super::head::{Head, Refused};
use crate::core::failure::Kind;

/// The letters of the fields that decide about framing.
const FRAMING: [&[u8]; 3] = [b"contentlength", b"transferencoding", b"connection"];

/// Parses the head at the start of `bytes`, as [`super::head::parse`] does.
///
/// # Errors
/// The kind of violation and the line that it is in.
pub(super) fn parse(
    bytes: &[u8],
    to_head_request: bool,
    mut holes: Option<&mut Vec<Range<usize>>>,
) -> Result<Option<Head>, Refused> {
    if let Some(holes) = holes.as_deref_mut() {
        holes.clear();
    }
    let start = begin(bytes)?;
    let Some((line, mut at)) = line_at(bytes, start) else {
        let line = bytes[start..].strip_suffix(b"\r").unwrap_or(&bytes[start..]);
        status_line(line).map_err(|kind| Refused { kind, line: start..bytes.len() })?;
        return Ok(None);
    };
    let status = status_line(&bytes[line]).and_then(|found| found.ok_or(Kind::BadHead));
    let (minor, status) = status.map_err(|kind| Refused { kind, line: start..bytes.len() })?;
    let mut reader = LineReader::default();
    loop {
        let Some((line, next)) = line_at(bytes, at) else {
            return match has_forbidden(bytes[at..].strip_suffix(b"\r").unwrap_or(&bytes[at..])) {
                true => Err(Refused { kind: Kind::BadHeaderLine, line: at..bytes.len() }),
                false => Ok(None),
            };
        };
        at = next;
        if line.is_empty() {
            break;
        }
        let hole = reader.read(&bytes[line.clone()]);
        let hole = hole.map_err(|kind| Refused { kind, line: line.clone() })?;
        if let (Some(hole), Some(holes)) = (hole, holes.as_deref_mut()) {
            holes.push(line.start + hole.start..line.start + hole.end);
        }
    }
    Ok(Some(Head {
        status,
        body: reader.fields.body(status, to_head_request),
        keep_alive: reader.fields.keep_alive(minor == 0),
        length: at,
    }))
}

/// The names and values in a whole head, in order. Folded lines and lines without a colon are left out.
pub fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines =
        head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines =
        lines.skip_while(|line| line.is_empty()).skip(1).take_while(|line| !line.is_empty());
    lines.filter(|line| !is_blank(line[0])).filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii()))
    })
}

/// Where the status line begins: empty lines may precede it.
fn begin(bytes: &[u8]) -> Result<usize, Refused> {
    let mut at = 0;
    loop {
        match bytes[at..] {
            [b'\n', ..] => at += 1,
            [b'\r', b'\n', ..] => at += 2,
            [b'\r', _, ..] => return Err(Refused { kind: Kind::BadHead, line: at..bytes.len() }),
            _ => return Ok(at),
        }
    }
}

/// The line at `from` without its end, and where the next one begins; `None` when it goes on after `bytes`.
fn line_at(bytes: &[u8], from: usize) -> Option<(Range<usize>, usize)> {
    let end = from + bytes[from..].iter().position(|&byte| byte == b'\n')?;
    let text = bytes[from..end].strip_suffix(b"\r").unwrap_or(&bytes[from..end]);
    Some((from..from + text.len(), end + 1))
}

/// Minor version and status; `None` while they are not all there.
fn status_line(line: &[u8]) -> Result<Option<(u8, u16)>, Kind> {
    const START: &[u8] = b"HTTP/1.";
    for (at, &byte) in line.iter().enumerate() {
        let fits = match at {
            0..=6 => byte == START[at],
            7 | 9..=11 => byte.is_ascii_digit(),
            8 | 12 => byte == b' ',
            _ => is_text(byte),
        };
        if !fits {
            return Err(if at < 8 { version_kind(line) } else { Kind::BadHead });
        }
    }
    let Some([minor, _, digits @ ..]) = line.get(7..12) else { return Ok(None) };
    let status = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    if status < 100 { Err(Kind::BadHead) } else { Ok(Some((minor - b'0', status))) }
}

/// Tells apart what commonly answers on the wrong port.
fn version_kind(line: &[u8]) -> Kind {
    const TLS_ALERT: u8 = 0x15;
    const TLS_HANDSHAKE: u8 = 0x16;
    const HTTP2_SETTINGS: u8 = 4;
    match line {
        [TLS_ALERT | TLS_HANDSHAKE, ..] => Kind::LooksLikeTls,
        [0, 0, _, HTTP2_SETTINGS, ..] => Kind::LooksLikeHttp2,
        _ if line.starts_with(b"HTTP/") => Kind::UnsupportedVersion,
        _ => Kind::BadHead,
    }
}

/// Header lines, one after the other.
#[derive(Default)]
struct LineReader {
    fields: Fields,
    /// The last line that was not folded decides about framing.
    in_framing: bool,
}

impl LineReader {
    /// Takes the next line, which is not empty. Returns the place of a value that says nothing about framing, whatever it is.
    fn read(&mut self, line: &[u8]) -> Result<Option<Range<usize>>, Kind> {
        if has_forbidden(line) {
            return Err(Kind::BadHeaderLine);
        }
        let colon = line.iter().position(|&byte| byte == b':');
        if is_blank(line[0]) {
            // It goes on with the line before. Another reader may take it for a line of its own.
            let name = &line[..colon.unwrap_or(0)];
            let in_doubt = self.in_framing || spells_framing(name);
            return if in_doubt { Err(Kind::BadHeaderLine) } else { Ok(None) };
        }
        self.in_framing = false;
        let Some(colon) = colon else {
            let in_doubt =
                FRAMING.iter().any(|word| letters(line).take(word.len()).eq(word.iter().copied()));
            return if in_doubt { Err(Kind::BadHeaderLine) } else { Ok(None) };
        };
        let (name, value) = (&line[..colon], trim_blanks(&line[colon + 1..]));
        let is_token = !name.is_empty() && name.iter().all(|&byte| is_token_byte(byte));
        if !is_token && spells_framing(name) {
            return Err(Kind::BadHeaderLine);
        }
        if is_token && self.fields.add(name, value)? {
            self.in_framing = true;
            let is_clean = value.iter().all(|&byte| is_text(byte));
            return if is_clean { Ok(None) } else { Err(Kind::BadHeaderLine) };
        }
        let start = value.as_ptr().addr() - line.as_ptr().addr();
        Ok((!value.is_empty()).then_some(start..start + value.len()))
    }
}

/// NUL and a bare CR: some readers end a line there.
fn has_forbidden(line: &[u8]) -> bool {
    line.iter().any(|&byte| byte == 0 || byte == b'\r')
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// What a field value may hold (RFC 9110 section 5.5).
pub(super) fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// What a field name may hold (RFC 9110 section 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn trim_blanks(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|&byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|&byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// Whether a careless reader could take `name` for a field that decides about framing.
fn spells_framing(name: &[u8]) -> bool {
    FRAMING.iter().any(|word| letters(name).eq(word.iter().copied()))
}

fn letters(text: &[u8]) -> impl Iterator<Item = u8> {
    text.iter().filter(|byte| byte.is_ascii_alphabetic()).map(u8::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::{fields, parse};
    use crate::core::failure::Kind;
    use crate::core::http1::head::{self, Body};

    const STATUS: &[u8] = b"HTTP/1.1 200 OK\r\n";
    const LENGTH: &[u8] = b"Content-Length: 5\r\n";

    #[test]
    fn odd_lines_that_say_nothing_about_framing_are_accepted() {
        for odd in [
            &b"X: a\r\n b\r\n\tc\r\n"[..],
            b"X: a\r\n \r\n",
            b" X: before the first field\r\n",
            b"X : a\r\n",
            b"X\t: a\r\n",
            b"X Y: a\r\n",
            b"What?: a\r\n",
            b"\"X\": a\r\n",
            b"X\x7f: \x01\r\n",
            b": no name\r\n",
            b"no colon\r\n",
            b"\xff\xfe: a\r\n",
            b"X-Content-Length : 7\r\n",
            b"X: Content-Length: 7\r\n",
        ] {
            for head in
                [[STATUS, odd, LENGTH, b"\r\n"].concat(), [STATUS, LENGTH, odd, b"\n"].concat()]
            {
                if head.windows(2).any(|pair| pair == b"5\r")
                    && odd[0] == b' '
                    && head.ends_with(b"\n\n")
                {
                    // Behind a field that decides about framing, a fold is another matter.
                    continue;
                }
                let found = head::parse(&head, false, None).expect("accepted").expect("whole");
                assert_eq!(
                    (found.body, found.keep_alive, found.length),
                    (Body::Length(5), true, head.len())
                );
            }
        }
    }

    #[test]
    fn odd_lines_that_may_be_taken_for_framing_are_refused_by_line() {
        for odd in [
            &b"Content-Length : 5"[..],
            b"Content-Length\t: 5",
            b"Content Length: 5",
            b"\"Content-Length\": 5",
            b"?Transfer-Encoding: chunked",
            b"Transfer-Encoding chunked",
            b"Connection : close",
            b"connection",
            b" Content-Length: 5",
            b"\tTransfer-Encoding: chunked",
            b"Transfer-Encoding: chunked\x01",
            b"Connection: \x7fclose",
            b"X: a\0b",
            b"X\0: a",
            b"X: a\rContent-Length: 5",
            b"no\0colon",
        ] {
            let head = [STATUS, b"A: b\r\n", odd, b"\r\nC: d\r\n\r\n"].concat();
            let refused = head::parse(&head, false, None).expect_err("refused");
            assert_eq!(&head[refused.line.clone()], odd);
            let kind = if odd.ends_with(b"\x01") { Kind::BadHeaderLine } else { refused.kind };
            assert_eq!(kind, Kind::BadHeaderLine, "{}", odd.escape_ascii());
        }
    }

    #[test]
    fn a_fold_in_a_field_that_decides_about_framing_is_refused() {
        for head in [
            &b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip,\r\n\tchunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: x,\r\n close\r\n\r\n",
        ] {
            let refused = head::parse(head, false, None);
            let refused = refused.expect_err("refused");
            assert!(
                matches!(refused.kind, Kind::BadHeaderLine | Kind::BadContentLength),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn a_strict_head_means_the_same_line_by_line() {
        for head in [
            &b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"[..],
            b"HTTP/1.0 404\nConnection: keep-alive\nTransfer-Encoding: chunked\n\n",
            b"\r\n\r\nHTTP/1.1 304 \r\nX:\r\nY: \t a b \t\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Le",
        ] {
            let (mut strict, mut by_line) = (Vec::new(), Vec::new());
            let expected = head::parse(head, false, Some(&mut strict));
            assert_eq!(parse(head, false, Some(&mut by_line)), expected);
            assert!(expected.expect("accepted").is_none() || strict == by_line);
        }
    }

    #[test]
    fn fields_are_found_among_odd_lines() {
        let head =
            b"\r\nHTTP/1.1 200 OK\r\n Folded: x\r\nServer : x y \r\nnone\r\nA: b\r\n c\r\n\r\nD: e";
        let found: Vec<_> = fields(head).collect();
        assert_eq!(found, [(&b"Server"[..], &b"x y"[..]), (b"A", b"b")]);
    }
}
