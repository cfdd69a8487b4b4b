//! Receive buffers that the kernel picks from: a provided-buffer ring and the memory behind it.
//!
//! One of the listed places for `unsafe`. The kernel owns a buffer from the moment it is published until a completion
//! names it; then it is ours until it is recycled.

#![expect(unsafe_code, reason = "memory that is shared with the kernel")]

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// The buffer group; there is one a ring.
pub(super) const GROUP: u16 = 0;

/// Buffers of equal size, offered to the kernel.
#[derive(Debug)]
pub(super) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    count: u16,
    size: u32,
    /// The next place in the ring; published by [`BufferRing::publish`].
    tail: u16,
}

impl BufferRing {
    /// Maps and registers `count` buffers (a power of two) of `size` bytes. Pages that no response touches stay unmapped.
    pub(super) fn register(submitter: &Submitter<'_>, count: u16, size: u32) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "the kernel masks ring places");
        let entries = map(size_of::<BufRingEntry>() * usize::from(count))?.cast::<BufRingEntry>();
        let memory = map(usize::from(count) * size as usize)?;
        let mut ring = Self { entries, memory, count, size, tail: 0 };
        // SAFETY: the entries are page-aligned, mapped for `count` entries, and stay mapped until the value is dropped,
        // which the engine does only after every operation that may pick a buffer has ended.
        unsafe {
            submitter.register_buf_ring_with_flags(entries.as_ptr().addr() as u64, count, GROUP, 0)
        }?;
        for id in 0..count {
            ring.recycle(id);
        }
        ring.publish();
        Ok(ring)
    }

    /// The first `length` bytes of buffer `id`, which a completion has just named.
    #[inline]
    pub(super) fn bytes(&self, id: u16, length: usize) -> &[u8] {
        assert!(
            id < self.count && length <= self.size as usize,
            "the kernel names what it was given"
        );
        let offset = usize::from(id) * self.size as usize;
        // SAFETY: `id` is below `count`, so the offset lies within the mapping.
        let start = unsafe { self.memory.add(offset) };
        // SAFETY: the completion handed this buffer back, so the kernel writes no more to it until it is recycled, for
        // which `&mut self` is needed; the mapping is zeroed, so every byte is initialised.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), length) }
    }

    /// Gives buffer `id` back; the kernel sees it after [`BufferRing::publish`].
    #[inline]
    pub(super) fn recycle(&mut self, id: u16) {
        let place = usize::from(self.tail & (self.count - 1));
        let offset = usize::from(id) * self.size as usize;
        // SAFETY: the place is below `count`, the mapping holds `count` entries.
        let mut entry = unsafe { self.entries.add(place) };
        // SAFETY: only this thread writes entries, and the kernel reads one only once the tail is past it. Entry 0
        // shares memory with the tail, which the setters below do not touch.
        let entry = unsafe { entry.as_mut() };
        entry.set_addr(self.memory.as_ptr().addr() as u64 + offset as u64);
        entry.set_len(self.size);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the recycled buffers to the kernel.
    #[inline]
    pub(super) fn publish(&mut self) {
        // SAFETY: the entries are a registered buffer ring, whose tail lies in the first entry.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail is a valid, aligned u16 that only this thread writes; the kernel reads it with acquire, which
        // the release store pairs with.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }.store(self.tail, Ordering::Release);
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        let ring_bytes = size_of::<BufRingEntry>() * usize::from(self.count);
        let memory_bytes = usize::from(self.count) * self.size as usize;
        // SAFETY: mapped by `map` with this length and no longer used: the engine has cancelled every operation and seen it end.
        unsafe { libc::munmap(self.entries.as_ptr().cast(), ring_bytes) };
        // SAFETY: as above.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), memory_bytes) };
    }
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
