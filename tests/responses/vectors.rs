//! Known awkward responses, one a line: where the idea comes from, what is to be made of it, its bytes.
//!
//! The verdict lists what is read: `ok STATUS BODY keep` or `close`, `eof STATUS BODY` when the end of the stream ends it,
//! `cut` when that comes too early, `bad` for what is no response. Bytes are written with `\r`, `\n`, `\t`, `\0`, `\\`,
//! `\xNN`, and `{TEXT*N}` for repetitions.
#![allow(dead_code, reason = "each test file uses its own share of this")]

pub(crate) struct Vector {
    pub(crate) verdict: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) line: String,
}

pub(crate) fn all() -> Vec<Vector> {
    let lines = include_str!("vectors.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(vector).collect()
}

fn vector(line: &str) -> Vector {
    let mut parts = line.splitn(3, " | ");
    let mut part = || parts.next().unwrap_or_else(|| panic!("three parts: {line}")).to_owned();
    let (_source, verdict, text) = (part(), part().trim().to_owned(), part());
    Vector { verdict, bytes: bytes(&text), line: line.to_owned() }
}

fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '{' {
            let (inside, after) = rest[1..].split_once('}').expect("a repetition ends");
            let (what, times) = inside.rsplit_once('*').expect("a repetition has a count");
            bytes.extend(self::bytes(what).repeat(times.parse().expect("a count")));
            rest = after;
        } else if first == '\\' {
            let (byte, length) = match rest.as_bytes()[1] {
                b'r' => (b'\r', 2),
                b'n' => (b'\n', 2),
                b't' => (b'\t', 2),
                b'0' => (0, 2),
                b'x' => (u8::from_str_radix(&rest[2..4], 16).expect("two digits"), 4),
                other => (other, 2),
            };
            bytes.push(byte);
            rest = &rest[length..];
        } else {
            bytes.extend_from_slice(first.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    bytes
}
