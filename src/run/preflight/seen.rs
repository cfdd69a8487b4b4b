//! What one request to the target showed, and what of it a user should know before it is sent a million times.
//!
//! Pure: from bytes and facts to sentences. Whatever the server sent is escaped where it is shown.

use std::net::IpAddr;

use crate::result::summary::Seen;

/// More of a value than this is of no use in a line.
const MOST_SHOWN_BYTES: usize = 120;

/// What a user said that decides which answers are surprising.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The status is one that `--expect` accepts.
    pub(super) status_is_good: bool,
    /// The user has said which statuses are good.
    pub(super) status_is_meant: bool,
    /// No body can come: the method is HEAD.
    pub(super) head: bool,
    /// Connections are to be closed after each request.
    pub(super) closes: bool,
    /// The request says that it takes encoded bodies.
    pub(super) accepts_encoding: bool,
}

/// What of an answer a user should know.
pub(super) fn surprises(seen: &Seen, expected: Expected) -> Vec<String> {
    let mut warnings = Vec::new();
    let status = seen.status;
    match (status, &seen.location) {
        (300..=399, Some(location)) if !expected.status_is_meant => warnings.push(format!(
            "the target answers {status}, a redirect to '{location}', which is not followed; measure that URL instead, if it is the one you mean"
        )),
        _ if seen.good => {}
        _ if expected.status_is_good => warnings.push(format!(
            "the target answers {status} with {} bytes, whose size or text --expect does not accept",
            seen.body_bytes
        )),
        _ => warnings.push(format!(
            "the target answers {status}; what is measured is how fast it says so; see --expect"
        )),
    }
    let may_be_empty = expected.head || matches!(status, 204 | 304) || status >= 300;
    if seen.body_bytes == 0 && !may_be_empty {
        warnings.push("the answer is empty; is that the resource you mean?".to_owned());
    }
    if let Some(encoding) = &seen.encoding
        && !expected.accepts_encoding
        && !encoding.eq_ignore_ascii_case("identity")
    {
        warnings.push(format!(
            "the answer is encoded ('{encoding}') though the request asked for no encoding"
        ));
    }
    if !seen.keep_alive && !expected.closes {
        warnings.push(
            "the server closes the connection after its answer, so that every request pays for a new one"
                .to_owned(),
        );
    }
    warnings
}

/// Load on somebody else's server is the classic mistake.
pub(super) fn public_warning(address: IpAddr) -> Option<String> {
    is_public(address).then(|| {
        format!(
            "{address} is a public address: load on a server that is not yours is an attack; --allow-public says that it is meant"
        )
    })
}

/// Whether the address is one that anybody could have: none of loopback, private, link-local, shared or documentation
/// use (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second);
            let benchmarking = first == 198 && (18..20).contains(&second);
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_documentation()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || shared
                || benchmarking)
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(v4.into()),
            None => {
                let [first, second, ..] = v6.segments();
                let documentation = first == 0x2001 && second == 0xdb8;
                !(v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_unique_local()
                    || v6.is_unicast_link_local()
                    || documentation)
            }
        },
    }
}

/// The value of the first of `fields` with this name, escaped and cut to what fits a line.
pub(super) fn value<'a>(
    mut fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    name: &str,
) -> Option<String> {
    let (_, value) = fields.find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(value[..value.len().min(MOST_SHOWN_BYTES)].escape_ascii().to_string())
}

#[cfg(test)]
mod tests {
    use super::{Expected, Seen, is_public, surprises};
    use crate::core::http1::head::Body;

    fn seen() -> Seen {
        Seen {
            endpoint: "127.0.0.1:80".to_owned(),
            status: 200,
            good: true,
            body_bytes: 5,
            framing: Body::Length(5),
            keep_alive: true,
            encoding: None,
            content_type: Some("text/plain".to_owned()),
            location: None,
            server: None,
            connect_ns: 1,
            first_byte_ns: 2,
            whole_ns: 3,
            warnings: Vec::new(),
        }
    }

    const EXPECTED: Expected = Expected {
        status_is_good: true,
        status_is_meant: false,
        head: false,
        closes: false,
        accepts_encoding: false,
    };

    fn warnings(seen: &Seen, expected: Expected) -> String {
        surprises(seen, expected).join("\n")
    }

    #[test]
    fn a_plain_answer_is_no_surprise() {
        assert_eq!(warnings(&seen(), EXPECTED), "");
    }

    #[test]
    fn what_is_probably_not_meant_is_said() {
        let location = Some("https://x/".to_owned());
        let redirect = Seen { status: 301, location, ..seen() };
        assert!(warnings(&redirect, EXPECTED).contains("redirect to 'https://x/'"));
        let meant = Expected { status_is_meant: true, ..EXPECTED };
        assert_eq!(warnings(&redirect, meant), "");
        let bad = Expected { status_is_good: false, ..EXPECTED };
        let error = Seen { status: 404, good: false, ..seen() };
        assert!(warnings(&error, bad).contains("answers 404"));
        assert_eq!(warnings(&Seen { good: true, ..error }, meant), "");
        let other = Seen { good: false, ..seen() };
        assert!(warnings(&other, EXPECTED).contains("size or text"));
        let empty = Seen { body_bytes: 0, ..seen() };
        assert!(warnings(&empty, EXPECTED).contains("empty"));
        assert_eq!(warnings(&empty, Expected { head: true, ..EXPECTED }), "");
        assert_eq!(warnings(&Seen { status: 204, ..empty }, EXPECTED), "");
        let encoded = Seen { encoding: Some("gzip".to_owned()), ..seen() };
        assert!(warnings(&encoded, EXPECTED).contains("'gzip'"));
        assert_eq!(warnings(&encoded, Expected { accepts_encoding: true, ..EXPECTED }), "");
        let closing = Seen { keep_alive: false, ..seen() };
        assert!(warnings(&closing, EXPECTED).contains("closes the connection"));
        assert_eq!(warnings(&closing, Expected { closes: true, ..EXPECTED }), "");
    }

    #[test]
    fn only_what_anybody_could_have_is_public() {
        for text in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2600::1", "::ffff:8.8.8.8"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "127.0.0.9",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.0.1",
            "100.64.0.1",
            "192.0.2.1",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }
}
