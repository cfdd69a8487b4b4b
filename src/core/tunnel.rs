//! A tunnel through a proxy: it is asked for, and the answer is read, before anything else is said on a connection.
//!
//! Pure: bytes in, meaning out. Owned by whoever talks to a proxy, a worker or the preflight.

use crate::core::http1::head;

/// More bytes than this are no answer to CONNECT.
const MOST_HEAD_BYTES: usize = 16 * 1024;

/// A tunnel that is not there yet.
#[derive(Debug, Default)]
pub(crate) struct Tunnel {
    /// It was asked for.
    pub asked: bool,
    head: Vec<u8>,
}

/// What the bytes of a proxy mean.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    /// The answer is not whole.
    NeedMore,
    /// The tunnel is there; so many of the bytes belong to what comes through it.
    Open(usize),
    /// There will be none; what the proxy said.
    Refused(Vec<u8>),
}

impl Tunnel {
    /// Takes what the proxy says.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Heard {
        self.head.extend_from_slice(bytes);
        match head::parse(&self.head, false, None) {
            // RFC 9110 section 9.3.6: after any 2xx, what follows the head is the tunnel's.
            Ok(Some(answer)) if (200..300).contains(&answer.status) => {
                Heard::Open(self.head.len() - answer.length)
            }
            Ok(None) if self.head.len() <= MOST_HEAD_BYTES => Heard::NeedMore,
            _ => Heard::Refused(std::mem::take(&mut self.head)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Heard, Tunnel};

    #[test]
    fn an_answer_opens_the_tunnel_however_it_is_cut() {
        let answer = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
        for cut in 0..answer.len() {
            let mut tunnel = Tunnel::default();
            assert_eq!(tunnel.hear(&answer[..cut]), Heard::NeedMore);
            assert_eq!(tunnel.hear(&[&answer[cut..], b"abc"].concat()), Heard::Open(3));
        }
    }

    #[test]
    fn an_answer_with_odd_lines_opens_the_tunnel() {
        let lines = "X : y\r\nX: folded\r\n line\r\nno colon\r\n".repeat(100);
        let answer = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        assert_eq!(Tunnel::default().hear(answer.as_bytes()), Heard::Open(0));
    }

    #[test]
    fn a_refusal_is_one_whatever_it_looks_like() {
        let long = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'x'; 20_000]].concat();
        for answer in [b"HTTP/1.1 407 Who?\r\n\r\n".as_slice(), b"SSH-2.0-x\r\n", &long] {
            assert!(matches!(Tunnel::default().hear(answer), Heard::Refused(_)));
        }
    }
}
