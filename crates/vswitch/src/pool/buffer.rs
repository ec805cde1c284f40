//! One buffer's memory.

use std::fmt;
use std::ops::{Deref, DerefMut};

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// How many bytes a cache line has, of which a buffer is made.
pub(super) const LINE_BYTES: usize = 64;

/// A cache line, at an address where one begins.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Line([u8; LINE_BYTES]);

/// One buffer's memory: whole cache lines, zero when it is new.
///
/// It begins where a cache line does, so that no frame in it begins a few bytes behind a page.
/// There, on at least one processor, the kernel takes three times as long to give a jumbo frame
/// (`cargo bench -p vswitch --bench placement`; docs/performance.md).
#[derive(Clone, Default)]
pub struct Buffer(Box<[Line]>);

impl Buffer {
    /// A new one; of `bytes`, if those are whole lines, and otherwise of a line more.
    ///
    /// `None` when there is no memory.
    pub(super) fn new(bytes: usize) -> Option<Self> {
        let lines = bytes.div_ceil(LINE_BYTES);
        <[Line]>::new_box_zeroed_with_elems(lines).ok().map(Self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_mut_bytes()
    }
}

impl fmt::Debug for Buffer {
    /// Its length: the content of a frame does not belong into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("bytes", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_zero_has_the_bytes_asked_for_and_begins_with_a_line() {
        for bytes in [0, LINE_BYTES, 33 * LINE_BYTES, 1027 * LINE_BYTES] {
            let others: Vec<_> = (0..9).map(|_| Buffer::new(bytes).unwrap()).collect();
            for buffer in &others {
                assert_eq!(buffer.len(), bytes);
                assert!(buffer.iter().all(|byte| *byte == 0));
                assert_eq!(buffer.as_ptr() as usize % LINE_BYTES, 0);
            }
        }
        assert_eq!(Buffer::new(1).unwrap().len(), LINE_BYTES);
        assert!(Buffer::default().is_empty());
        assert_eq!(format!("{:?}", Buffer::new(64).unwrap()), "Buffer { bytes: 64 }");
    }

    #[test]
    fn what_is_written_stays() {
        let mut buffer = Buffer::new(128).unwrap();
        buffer[127] = 7;
        let copy = buffer.clone();
        assert_eq!((copy[126], copy[127]), (0, 7));
    }
}
