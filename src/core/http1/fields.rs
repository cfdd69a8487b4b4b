//! The header fields that decide where a response ends, and whether another may follow it (RFC 9112 sections 6 and 9).

use super::head::Body;
use crate::core::failure::Kind;

/// What the framing fields of one head say.
#[derive(Default)]
pub(super) struct Fields {
    content_length: Option<u64>,
    chunked_last: Option<bool>,
    close: bool,
    keep_alive: bool,
}

impl Fields {
    /// Takes one field into account; false when it says nothing about framing.
    ///
    /// # Errors
    /// What is wrong with its value.
    #[inline]
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<bool, Kind> {
        if name.eq_ignore_ascii_case(b"content-length") {
            self.add_content_length(value)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.add_transfer_encoding(value)?;
        } else if name.eq_ignore_ascii_case(b"connection") {
            for option in list(value) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Equal values, in one line or several, are one value (RFC 9112 section 6.3).
    fn add_content_length(&mut self, value: &[u8]) -> Result<(), Kind> {
        for item in value.split(|&byte| byte == b',') {
            let length = decimal(item.trim_ascii()).ok_or(Kind::BadContentLength)?;
            if self.content_length.is_some_and(|known| known != length) {
                return Err(Kind::BadContentLength);
            }
            self.content_length = Some(length);
        }
        Ok(())
    }

    /// Codings accumulate over lines; after `chunked` none may follow.
    fn add_transfer_encoding(&mut self, value: &[u8]) -> Result<(), Kind> {
        for coding in list(value) {
            if self.chunked_last == Some(true) {
                return Err(Kind::BadTransferEncoding);
            }
            self.chunked_last = Some(coding.eq_ignore_ascii_case(b"chunked"));
        }
        if self.chunked_last.is_none() { Err(Kind::BadTransferEncoding) } else { Ok(()) }
    }

    pub(super) fn body(&self, status: u16, to_head_request: bool) -> Body {
        if to_head_request || status < 200 || status == 204 || status == 304 {
            return Body::None;
        }
        match (self.chunked_last, self.content_length) {
            (Some(true), _) => Body::Chunked,
            (Some(false), _) | (None, None) => Body::UntilClose,
            (None, Some(0)) => Body::None,
            (None, Some(length)) => Body::Length(length),
        }
    }

    /// A message with both framings, or with a coding that HTTP/1.0 does not know, may be an attack: its connection is
    /// not used again.
    pub(super) fn keep_alive(&self, http_1_0: bool) -> bool {
        let suspect = self.chunked_last.is_some() && (self.content_length.is_some() || http_1_0);
        !suspect && !self.close && (!http_1_0 || self.keep_alive)
    }
}

/// The non-empty members of a comma-separated list.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}
