//! Receive buffers that the kernel picks from: a provided-buffer ring and the memory behind it.
//!
//! One of the listed places for `unsafe`. The kernel owns a buffer from the moment it is published until a completion
//! names it; then it is ours until it is recycled. Types keep it so: only [`Completions`] makes a [`Completion`], which
//! can be traded once for a [`Lease`], and only the end of the lease recycles the buffer.

#![expect(unsafe_code, reason = "memory that is shared with the kernel")]

use std::io;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;
use io_uring::{CompletionQueue, IoUring, SubmissionQueue, Submitter, cqueue};

/// The buffer group; there is one a ring.
pub(super) const GROUP: u16 = 0;

/// The completions of one ring, and the buffers that they name.
pub(super) struct Completions<'r> {
    queue: CompletionQueue<'r>,
    buffers: BufferRing,
}

/// Splits a ring into its ends and gives it `count` receive buffers (a power of two) of `size` bytes.
///
/// # Errors
/// The operating system's.
pub(super) fn split(
    ring: &mut IoUring,
    count: u16,
    size: u32,
) -> io::Result<(Submitter<'_>, SubmissionQueue<'_>, Completions<'_>)> {
    let (mut submitter, submissions, queue) = ring.split();
    // The registered descriptor is known only to this submitter, which is therefore kept.
    submitter.register_ring_fd()?;
    let buffers = BufferRing::register(&submitter, count, size)?;
    Ok((submitter, submissions, Completions { queue, buffers }))
}

impl Completions<'_> {
    /// Takes notice of what the kernel has added, and shows it what was taken.
    #[inline]
    pub(super) fn sync(&mut self) {
        self.queue.sync();
    }

    /// Whether there are none, as of the last `sync`.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many the kernel has dropped so far; it wraps around.
    pub(super) fn overflow(&self) -> u32 {
        self.queue.overflow()
    }

    /// Takes the next one.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Completion> {
        self.queue.next().map(Completion)
    }

    /// The buffer that a receive has filled, if it did.
    #[inline]
    pub(super) fn lease(&mut self, completion: Completion) -> Option<Lease<'_>> {
        let id = cqueue::buffer_select(completion.0.flags())?;
        let length = usize::try_from(completion.result()).unwrap_or(0);
        assert!(
            id < self.buffers.count && length <= self.buffers.size as usize,
            "the kernel names what it was given"
        );
        Some(Lease { buffers: &mut self.buffers, id, length })
    }

    /// Shows the recycled buffers to the kernel.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.buffers.publish();
    }
}

/// How an operation went. There is one value for each completion, and it cannot be copied.
#[derive(Debug)]
pub(super) struct Completion(cqueue::Entry);

impl Completion {
    /// What the submission said of itself.
    #[inline]
    pub(super) fn token(&self) -> u64 {
        self.0.user_data()
    }

    /// What a system call would return, and a negative errno for a failure.
    #[inline]
    pub(super) fn result(&self) -> i32 {
        self.0.result()
    }

    /// Whether the operation goes on and will complete again.
    #[inline]
    pub(super) fn has_more(&self) -> bool {
        cqueue::more(self.0.flags())
    }
}

/// A buffer with what was received. It goes back to the kernel when this is dropped.
pub(super) struct Lease<'b> {
    buffers: &'b mut BufferRing,
    /// Below the number of buffers.
    id: u16,
    /// At most the size of a buffer.
    length: usize,
}

impl Deref for Lease<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let start = self.buffers.memory().wrapping_add(self.buffers.offset(self.id));
        // SAFETY: `id` and `length` were checked when the lease was made, so the bytes lie within the mapping, which is
        // zeroed at first and lives as long as `buffers`. A completion handed this buffer back, and it is recycled only
        // when the lease is dropped: until then the kernel does not write to it.
        unsafe { std::slice::from_raw_parts(start, self.length) }
    }
}

impl Drop for Lease<'_> {
    #[inline]
    fn drop(&mut self) {
        self.buffers.recycle(self.id);
    }
}

/// Buffers of equal size, offered to the kernel.
#[derive(Debug)]
struct BufferRing {
    /// The ring of entries, and the buffers behind it.
    mapping: NonNull<BufRingEntry>,
    count: u16,
    size: u32,
    /// The next place in the ring; published by [`BufferRing::publish`].
    tail: u16,
}

impl BufferRing {
    /// Maps and registers the buffers. Pages that no response touches stay unmapped.
    fn register(submitter: &Submitter<'_>, count: u16, size: u32) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "the kernel masks ring places");
        let mapping = map(mapped_bytes(count, size))?.cast();
        let mut ring = Self { mapping, count, size, tail: 0 };
        let address = mapping.as_ptr().addr() as u64;
        // SAFETY: the entries are page-aligned, mapped for `count` entries, and stay mapped until the value is dropped,
        // which the engine does only after every operation that may pick a buffer has ended.
        unsafe { submitter.register_buf_ring_with_flags(address, count, GROUP, 0) }?;
        for id in 0..count {
            ring.recycle(id);
        }
        ring.publish();
        Ok(ring)
    }

    /// The first byte of the first buffer.
    #[inline]
    fn memory(&self) -> *mut u8 {
        self.mapping.as_ptr().wrapping_add(usize::from(self.count)).cast()
    }

    /// Where buffer `id` begins, in bytes from the first one.
    #[inline]
    fn offset(&self, id: u16) -> usize {
        usize::from(id) * self.size as usize
    }

    /// Gives buffer `id` back; the kernel sees it after [`BufferRing::publish`].
    #[inline]
    fn recycle(&mut self, id: u16) {
        let address = self.memory().wrapping_add(self.offset(id));
        let place = self.mapping.as_ptr().wrapping_add(usize::from(self.tail & (self.count - 1)));
        // SAFETY: the place is below `count`, and the mapping begins with `count` entries. Only this thread writes
        // entries, and the kernel reads one only once the tail is past it. Entry 0 shares memory with the tail, which the
        // setters below do not touch.
        let entry = unsafe { &mut *place };
        entry.set_addr(address.addr() as u64);
        entry.set_len(self.size);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the recycled buffers to the kernel.
    #[inline]
    fn publish(&mut self) {
        // SAFETY: the mapping begins with the entries of a buffer ring, whose tail lies in the first entry.
        let tail = unsafe { BufRingEntry::tail(self.mapping.as_ptr()) };
        // SAFETY: the tail is a valid, aligned u16 that only this thread writes; the kernel reads it with acquire, which
        // the release store pairs with.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }.store(self.tail, Ordering::Release);
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        let length = mapped_bytes(self.count, self.size);
        // SAFETY: mapped by `map` with this length and no longer used: no lease outlives the ring, and the engine has
        // cancelled every operation and seen it end.
        unsafe { libc::munmap(self.mapping.as_ptr().cast(), length) };
    }
}

/// Bytes of `count` entries and as many buffers.
fn mapped_bytes(count: u16, size: u32) -> usize {
    usize::from(count) * (size_of::<BufRingEntry>() + size as usize)
}

fn map(length: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no memory of ours.
    let address = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(NonNull::new(address.cast()).expect("mmap does not return null without being asked to"))
}
