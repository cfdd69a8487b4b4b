//! What one request before the run showed; filled by the preflight.

use crate::core::http1::head::Body;

/// What one request to the target showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Where the connection went.
    pub endpoint: String,
    /// The status code.
    pub status: u16,
    /// It is an answer that `--expect` accepts.
    pub good: bool,
    /// Bytes of the body, without what the chunked coding adds.
    pub body_bytes: u64,
    /// How the body was delimited.
    pub framing: Body,
    /// Whether another response could have followed.
    pub keep_alive: bool,
    /// `Content-Encoding`.
    pub encoding: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// `Server`.
    pub server: Option<String>,
    /// Time to open the connection, TLS included, in nanoseconds.
    pub connect_ns: u64,
    /// From the request to the first byte of the answer, in nanoseconds.
    pub first_byte_ns: u64,
    /// From the request to the last byte of the answer, in nanoseconds.
    pub whole_ns: u64,
    /// What a user should know.
    pub warnings: Vec<String>,
}
