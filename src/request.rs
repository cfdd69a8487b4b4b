//! The serialised request: written once before the clock starts, sent from where it lies.
//!
//! Several copies follow one another, so that a pipelined batch is one contiguous send.

use bytes::Bytes;

/// Copies stop here: a batch of requests larger than this is sent in several parts.
const BATCH_BYTES: usize = 256 * 1024;

/// The bytes of a request, and of as many copies as one send may hold.
#[derive(Clone, Debug)]
pub struct RequestImage {
    copies: Bytes,
    length: usize,
    head: bool,
    closes: bool,
}

impl RequestImage {
    /// An image of `request`, ready for batches of up to `pipeline` requests. `head` says that responses to it carry no
    /// body, as those to HEAD do.
    ///
    /// # Panics
    /// When `request` is empty.
    #[must_use]
    pub fn new(request: &[u8], pipeline: u32, head: bool) -> Self {
        assert!(!request.is_empty(), "an empty request cannot be sent");
        let fitting = (BATCH_BYTES / request.len()).max(1);
        let copies = fitting.min(pipeline.max(1) as usize);
        Self { copies: request.repeat(copies).into(), length: request.len(), head, closes: false }
    }

    /// The same request, ready for batches of up to `pipeline`.
    #[must_use]
    pub fn for_pipeline(&self, pipeline: u32) -> Self {
        Self::new(self.one(), pipeline, self.head).closing(self.closes)
    }

    /// The same request; `closes` says that it asks the server to close the connection after its response.
    #[must_use]
    pub fn closing(self, closes: bool) -> Self {
        Self { closes, ..self }
    }

    /// One request.
    #[must_use]
    pub fn one(&self) -> &[u8] {
        &self.copies[..self.length]
    }

    /// The contiguous bytes of `count` requests; `count` is at most [`RequestImage::most`].
    #[inline]
    #[must_use]
    pub fn batch(&self, count: u32) -> &[u8] {
        &self.copies[..self.length * count as usize]
    }

    /// Most requests that one send may hold.
    #[must_use]
    pub fn most(&self) -> u32 {
        u32::try_from(self.copies.len() / self.length).unwrap_or(u32::MAX)
    }

    /// Bytes of one request.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether it asks the server to close the connection after its response, so that it is the last one on it.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// Whether responses carry no body whatever their head says.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.head
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH_BYTES, RequestImage};

    #[test]
    fn a_batch_is_whole_requests_one_after_the_other() {
        let image = RequestImage::new(b"abc", 4, false);
        assert_eq!(image.most(), 4);
        assert_eq!(image.batch(3), b"abcabcabc");
    }

    #[test]
    fn large_requests_are_not_copied_beyond_the_batch() {
        let image = RequestImage::new(&vec![b'x'; BATCH_BYTES + 1], 16, false);
        assert_eq!(image.most(), 1);
    }
}
