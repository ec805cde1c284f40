//! `copyin` and `copyout`: the only code here that touches callers' memory.
#![allow(unsafe_code, reason = "callers hand in pointers")]

use crate::errno::{EFAULT, Result};

/// A caller's memory, within one call whose caller vouches for the pointers in its argument.
#[derive(Debug)]
pub(crate) struct CallerMemory(());

impl CallerMemory {
    /// The memory of the caller of an unsafe method of `xnu_sys::Kernel`, until that call returns.
    ///
    /// # Safety
    /// Every pointer that the call's argument holds or leads to is null, or valid for what XNU does
    /// with it in that call, and aliased by nothing while it does.
    pub(crate) const unsafe fn vouched_for() -> Self {
        Self(())
    }

    /// Copies `len` bytes in; a null address is `EFAULT`.
    pub(crate) fn copyin(&self, address: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        if len == 0 {
            return Ok(bytes);
        }
        let from: *const u8 = pointer(address)?;
        // SAFETY: who made this value promised that `from` is valid for what the call reads there;
        // `bytes` has room for `len`, and is new, so that the two do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), len) };
        Ok(bytes)
    }

    /// Copies bytes out; a null address is `EFAULT`.
    pub(crate) fn copyout(&self, bytes: &[u8], address: u64) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let to: *mut u8 = pointer(address)?.cast_mut();
        // SAFETY: who made this value promised that `to` is valid for what the call writes there;
        // `bytes` is the simulation's own.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Ok(())
    }
}

fn pointer(address: u64) -> Result<*const u8> {
    match usize::try_from(address) {
        Ok(address) if address != 0 => Ok(std::ptr::with_exposed_provenance(address)),
        _ => Err(EFAULT),
    }
}

/// Numbers and texts in raw bytes, by offset, in the byte order of both Macs (little-endian). What
/// is past the end reads as zero.
pub(crate) trait Raw {
    fn u8_at(&self, at: usize) -> u8;
    fn u16_at(&self, at: usize) -> u16;
    fn u32_at(&self, at: usize) -> u32;
    fn u64_at(&self, at: usize) -> u64;
    /// The text at `at`, up to `len` bytes or its zero.
    fn text_at(&self, at: usize, len: usize) -> String;
}

impl Raw for [u8] {
    fn u8_at(&self, at: usize) -> u8 {
        self.get(at).copied().unwrap_or(0)
    }

    fn u16_at(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.u8_at(at), self.u8_at(at + 1)])
    }

    fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes([0, 1, 2, 3].map(|n| self.u8_at(at + n)))
    }

    fn u64_at(&self, at: usize) -> u64 {
        u64::from(self.u32_at(at)) | u64::from(self.u32_at(at + 4)) << 32
    }

    fn text_at(&self, at: usize, len: usize) -> String {
        let bytes = self.get(at..).unwrap_or_default();
        let text = bytes.iter().take(len).take_while(|byte| **byte != 0).copied();
        String::from_utf8_lossy(&text.collect::<Vec<u8>>()).into_owned()
    }
}

/// Writes into raw bytes by offset; what is past the end is left out.
pub(crate) trait RawMut {
    fn put(&mut self, at: usize, bytes: &[u8]);
    fn put_u16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_le_bytes());
    }
    fn put_u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }
    fn put_u64(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes());
    }
    /// A text, and zeros up to `len` bytes.
    fn put_text(&mut self, at: usize, len: usize, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(len, 0);
        self.put(at, &bytes);
    }
}

impl RawMut for [u8] {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(room) = self.get_mut(at..) {
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
        }
    }
}
