//! Which whole responses are good.
//!
//! Owned by the worker. It must not know how that is written on a command line.

/// A number of clauses that must all hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expect {
    /// Accepted status codes, as inclusive ranges; any of them will do.
    pub status: Vec<(u16, u16)>,
    /// The body, without transfer coding, has exactly so many bytes.
    pub size: Option<u64>,
    /// The body contains these bytes.
    pub body_contains: Option<Vec<u8>>,
}

impl Default for Expect {
    /// Status 2xx and 3xx.
    fn default() -> Self {
        Self { status: vec![(200, 399)], size: None, body_contains: None }
    }
}

impl Expect {
    /// Whether `status` is accepted.
    #[inline]
    #[must_use]
    pub fn accepts_status(&self, status: u16) -> bool {
        self.status.iter().any(|&(low, high)| (low..=high).contains(&status))
    }

    /// The clause that no answer to HEAD can meet, since none has a body; `Content-Length` is then the length of a body that
    /// is not sent.
    #[must_use]
    pub fn never_of_head(&self) -> Option<&'static str> {
        match (self.size, &self.body_contains) {
            (Some(1..), _) => Some("size="),
            (_, Some(_)) => Some("body~="),
            _ => None,
        }
    }

    /// Whether a body must be read to judge it.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        self.body_contains.is_some()
    }
}
