//! What must not be shown of what a server says: the secrets that the request told it, which some answers repeat.

use crate::base64;
use crate::target::Secret;

/// Shorter values are parts of any text, and guessed as quickly as read.
const FEWEST_BYTES: usize = 4;
/// What stands in the place of a secret.
const MASK: &[u8] = b"***";
/// Headers whose values are secret, by what their names hold.
const SECRET_NAMES: [&str; 9] =
    ["auth", "cookie", "token", "secret", "password", "passwd", "api-key", "apikey", "session"];

/// The secrets of a request: the values of Authorization, Cookie and headers with names of the kind, and their parts.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// The longest first.
    values: Vec<Secret>,
}

impl Secrets {
    /// Those in the head of `request`.
    #[must_use]
    pub fn of(request: &[u8]) -> Self {
        let lines = request.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let mut values: Vec<Vec<u8>> = Vec::new();
        for line in lines.skip(1).take_while(|line| !line.is_empty()) {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if SECRET_NAMES.iter().any(|part| name.contains(part)) {
                values.extend(parts(value));
            }
        }
        let escaped: Vec<Vec<u8>> = values.iter().map(|value| in_json(value)).collect();
        values.extend(escaped);
        values.retain(|value| value.len() >= FEWEST_BYTES);
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self { values: values.into_iter().map(Secret::new).collect() }
    }

    /// `text` with a mask in the place of each secret. Of a text that `is_cut` the end may be the beginning of one.
    #[must_use]
    pub fn mask(&self, text: &[u8], is_cut: bool) -> Vec<u8> {
        let mut shown = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            let whole = self.values.iter().find(|secret| rest.starts_with(secret.reveal()));
            if let Some(secret) = whole {
                shown.extend_from_slice(MASK);
                rest = &rest[secret.reveal().len()..];
                continue;
            }
            let is_begun = rest.len() >= FEWEST_BYTES
                && self.values.iter().any(|secret| secret.reveal().starts_with(rest));
            if is_cut && is_begun {
                shown.extend_from_slice(MASK);
                break;
            }
            shown.push(first);
            rest = after;
        }
        shown
    }
}

/// A value, and what of it is a secret by itself: what follows the scheme, the password in it, each cookie.
fn parts(value: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![value.to_vec()];
    let words = value.split(|&byte| byte == b' ' || byte == b';' || byte == b',');
    for word in words.map(<[u8]>::trim_ascii) {
        // The scheme is no secret.
        if [&b"basic"[..], b"bearer", b"digest", b"token"]
            .iter()
            .any(|scheme| word.eq_ignore_ascii_case(scheme))
        {
            continue;
        }
        parts.push(word.to_vec());
        if let Some(equals) = word.iter().position(|&byte| byte == b'=') {
            parts.push(word[equals + 1..].to_vec());
        }
        let pair = std::str::from_utf8(word).ok().and_then(base64::decode);
        if let Some(pair) = pair
            && let Some(colon) = pair.iter().position(|&byte| byte == b':')
        {
            parts.push(pair[colon + 1..].to_vec());
            parts.push(pair);
        }
    }
    parts
}

/// A value as it is written in a string of JSON.
fn in_json(value: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(value.len());
    for &byte in value {
        if byte == b'"' || byte == b'\\' {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::Secrets;

    fn masked(headers: &str, text: &str) -> String {
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\nAuthorization: body");
        let shown = Secrets::of(request.as_bytes()).mask(text.as_bytes(), false);
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn what_the_request_told_in_confidence_is_masked_wherever_it_comes_back() {
        for (headers, text, shown) in [
            ("Authorization: Bearer hunter2", r#"{"token":"hunter2"}"#, r#"{"token":"***"}"#),
            ("authorization:Bearer hunter2", "Bearer hunter2!", "***!"),
            // user:hunter2
            ("Authorization: Basic dXNlcjpodW50ZXIy", "hunter2 dXNlcjpodW50ZXIy", "*** ***"),
            ("Cookie: a=1; session=hunter2", "no session hunter2 a=1", "no session *** a=1"),
            ("X-Api-Key: hunter2", "hunter2hunter2", "******"),
            ("X-Auth-Token: hun\"ter", r#""hun\"ter""#, r#""***""#),
            ("Accept: text/plain", "text/plain", "text/plain"),
            ("X-Session: abc", "abc", "abc"),
            // What follows the head is a body.
            ("Accept: */*", "body", "body"),
        ] {
            assert_eq!(masked(headers, text), shown, "{headers}");
        }
    }

    #[test]
    fn a_secret_that_is_cut_is_masked_as_far_as_it_goes() {
        let secrets = Secrets::of(b"GET / HTTP/1.1\r\nCookie: hunter2hunter2\r\n\r\n");
        assert_eq!(secrets.mask(b"it is hunter2h", true), b"it is ***");
        assert_eq!(secrets.mask(b"it is hunter2h", false), b"it is hunter2h");
    }
}
