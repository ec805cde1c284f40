//! Memory that is mapped: a process's own, or shared with another or with the kernel.
#![allow(unsafe_code, reason = "mmap(2) gives addresses")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::NonNull;

/// A mapping, until it is dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping belongs to no thread; it is reached by raw pointers alone, and whoever makes
// references of those says why he may.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `bytes` bytes of `file` from `offset` on, shared with all who map them.
    pub(super) fn of(file: BorrowedFd<'_>, offset: i64, bytes: usize) -> io::Result<Self> {
        Self::map(libc::MAP_SHARED, file.as_raw_fd(), offset, bytes)
    }

    /// Fresh memory.
    pub(super) fn private(bytes: usize) -> io::Result<Self> {
        Self::map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0, bytes)
    }

    fn map(flags: i32, file: i32, offset: i64, bytes: usize) -> io::Result<Self> {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, flags | libc::MAP_POPULATE);
        // SAFETY: a fresh mapping at a place that the kernel chooses.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, flags, file, offset) };
        match NonNull::new(base.cast()) {
            Some(base) if base.as_ptr() != libc::MAP_FAILED.cast() => Ok(Self { base, bytes }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// How long it is.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where `len` bytes from `at` on stand.
    ///
    /// # Panics
    /// When they are not inside.
    pub(super) fn at(&self, at: usize, len: usize) -> *mut u8 {
        let is_inside = at.checked_add(len).is_some_and(|end| end <= self.bytes);
        assert!(is_inside, "{at} + {len} of {} bytes", self.bytes);
        // SAFETY: inside the mapping, as has just been seen.
        unsafe { self.base.as_ptr().add(at) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what was mapped, once, and nobody refers to any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}
