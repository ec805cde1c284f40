//! Memory that the kernel reads and writes, too: reached by atomics, and by copies into it, so that
//! nobody has a reference to bytes that change.
#![allow(unsafe_code, reason = "mmap(2) gives addresses")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A mapping, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the mapping is this value's alone in the process and tied to no thread.
unsafe impl Send for Mapping {}
// SAFETY: a shared reference gives out atomics and numbers only; bytes are written by a mutable
// one.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `bytes` bytes of what the kernel has behind `file` from `offset` on.
    pub(crate) fn of(file: BorrowedFd<'_>, offset: libc::off_t, bytes: usize) -> io::Result<Self> {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        let mapping = Self::map(flags, file.as_raw_fd(), offset, bytes)?;
        // A child that is forked could keep the kernel from ending it.
        // SAFETY: the extent of the mapping just made, which stays as it is in this process.
        unsafe { libc::madvise(mapping.base.as_ptr().cast(), bytes, libc::MADV_DONTFORK) };
        Ok(mapping)
    }

    /// Fresh memory, all zeros. It stays the same memory when the process forks: of private pages,
    /// the kernel could keep those that this process does not write to any more.
    pub(crate) fn fresh(bytes: usize) -> io::Result<Self> {
        Self::map(libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0, bytes)
    }

    fn map(flags: i32, file: i32, offset: libc::off_t, bytes: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping at a place that the kernel chooses.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, flags, file, offset) };
        match NonNull::new(base.cast()) {
            Some(base) if base.as_ptr() != libc::MAP_FAILED.cast() => Ok(Self { base, bytes }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Its first byte's address and its length, as the kernel is told of them.
    pub(crate) fn extent(&self) -> (u64, u64) {
        (self.base.as_ptr() as u64, self.bytes as u64)
    }

    /// The number of 32 bits that stands `at` bytes from the beginning.
    ///
    /// # Panics
    /// When it is not inside, or not aligned.
    pub(crate) fn u32_at(&self, at: usize) -> &AtomicU32 {
        let place = self.place(at, size_of::<AtomicU32>()).cast::<AtomicU32>();
        assert!(place.is_aligned(), "a number of 32 bits at {at}");
        // SAFETY: inside the mapping, which lives as long as `self`; aligned; any bytes are a
        // value; in this process only atomics reach it while `self` is borrowed.
        unsafe { AtomicU32::from_ptr(place.cast()) }
    }

    /// The same of 64 bits.
    ///
    /// # Panics
    /// When it is not inside, or not aligned.
    pub(crate) fn u64_at(&self, at: usize) -> &AtomicU64 {
        let place = self.place(at, size_of::<AtomicU64>()).cast::<AtomicU64>();
        assert!(place.is_aligned(), "a number of 64 bits at {at}");
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(place.cast()) }
    }

    /// Copies `bytes` to the place that is `at` bytes from the beginning.
    ///
    /// # Panics
    /// When they do not fit.
    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        let place = self.place(at, bytes.len());
        // SAFETY: inside the mapping, which nobody else in this process can reach while `self` is
        // borrowed mutably, so `bytes` is elsewhere. The kernel only reads it.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Copies the bytes that stand from `at` on into `to`. The kernel must have given them away.
    ///
    /// # Panics
    /// When they are not inside.
    pub(crate) fn read(&self, at: usize, to: &mut [u8]) {
        let place = self.place(at, to.len());
        // SAFETY: inside the mapping; `to` is borrowed mutably and so elsewhere; the kernel does
        // not write there until it is given the place back, and in this process only `write` does,
        // by a mutable reference.
        unsafe { to.as_mut_ptr().copy_from_nonoverlapping(place, to.len()) };
    }

    /// Whether `len` bytes from `at` on are inside.
    pub(crate) fn has(&self, at: usize, len: usize) -> bool {
        at.checked_add(len).is_some_and(|end| end <= self.bytes)
    }

    fn place(&self, at: usize, len: usize) -> *mut u8 {
        assert!(self.has(at, len), "{at} + {len} of {} bytes", self.bytes);
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
