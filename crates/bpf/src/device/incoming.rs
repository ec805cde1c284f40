//! Reading: a whole buffer by one call, its records one by one.

use xnu_sys::{Errno, Kernel};

use super::{Device, Error};
use crate::capture::{Cursor, Fault, Record};

/// This process's buffer, and how far its records were taken.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The buffer with what aligns it.
    memory: Box<[u8]>,
    start: usize,
    len: usize,
    filled: usize,
    cursor: Cursor,
    fault: Option<Fault>,
    faults: u64,
}

/// The buffer begins at a multiple of this: the kernel lays records out so that an IP header is
/// aligned to 4 when the buffer is, and the copy is faster when whole cache lines are.
const ALIGNMENT_BYTES: usize = 64;

impl Incoming {
    pub(super) fn new(len: usize) -> Self {
        let memory = vec![0; len + ALIGNMENT_BYTES].into_boxed_slice();
        // A hint only: any place is right, and a pointer that says it has no such place is at 0.
        let start = memory.as_ptr().align_offset(ALIGNMENT_BYTES).min(ALIGNMENT_BYTES);
        Self { memory, start, len, filled: 0, cursor: Cursor::START, fault: None, faults: 0 }
    }

    pub(super) const fn len_bytes(&self) -> usize {
        self.len
    }

    /// How many buffers had a broken record.
    pub(super) const fn faults(&self) -> u64 {
        self.faults + self.cursor.fault().is_some() as u64
    }

    /// Forgets what is there, but not that it was broken.
    pub(super) const fn clear(&mut self) {
        self.faults = self.faults();
        self.fault = self.last_fault();
        self.filled = 0;
        self.cursor = Cursor::START;
    }

    const fn last_fault(&self) -> Option<Fault> {
        match self.cursor.fault() {
            Some(fault) => Some(fault),
            None => self.fault,
        }
    }

    #[inline]
    fn records(&mut self) -> Records<'_> {
        Records { buffer: &self.memory[self.start..][..self.filled], cursor: &mut self.cursor }
    }
}

impl<K: Kernel> Device<K> {
    /// Reads one buffer, and gives its records; `None` when nothing is there now.
    ///
    /// Records that are not taken are given by the next call, without a system call.
    ///
    /// # Errors
    /// As [`fill`](Self::fill).
    pub fn read(&mut self) -> Result<Option<Records<'_>>, Error> {
        let is_there = self.fill()?;
        Ok(is_there.then(|| self.incoming.records()))
    }

    /// Reads one buffer unless records of the last one are left. `false`: nothing is there now;
    /// `true`: [`next_record`](Self::next_record) has records, or the buffer was broken from its
    /// first byte on.
    ///
    /// With [`next_record`](Self::next_record) this is for a reader that takes so many records at a
    /// time: a buffer may hold thousands, and the kernel gives a buffer whole or not at all.
    ///
    /// # Errors
    /// [`Error::InterfaceGone`], after everything captured was read; others are not expected.
    pub fn fill(&mut self) -> Result<bool, Error> {
        if self.incoming.records().peek().is_some() {
            return Ok(true);
        }
        let Incoming { memory, start, len, .. } = &mut self.incoming;
        let buffer = &mut memory[*start..][..*len];
        match self.descriptor.read(buffer) {
            // 0 is what a device gives that waited in vain; ours do not wait.
            Ok(None | Some(0)) => Ok(false),
            Ok(Some(len)) => {
                self.incoming.clear();
                self.incoming.filled = len.min(self.incoming.len);
                Ok(true)
            }
            Err(errno) => Err(self.read_failed(errno)),
        }
    }

    /// The next record of the buffer read last; `None` when there is none left, and
    /// [`fill`](Self::fill) must be called.
    #[inline]
    pub fn next_record(&mut self) -> Option<Record<'_>> {
        self.incoming.records().next()
    }

    /// The record that [`next_record`](Self::next_record) will give: for a reader that does not
    /// know yet whether it has room for it.
    #[inline]
    pub fn peek_record(&mut self) -> Option<Record<'_>> {
        self.incoming.records().peek()
    }

    /// The last broken record that was met, if any was: the rest of its buffer was passed over.
    /// XNU gives none; [`Statistics::broken_buffers`](super::Statistics::broken_buffers) counts
    /// them.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        self.incoming.last_fault()
    }

    fn read_failed(&self, errno: Errno) -> Error {
        let at = self.at;
        match errno {
            Errno::ENXIO => Error::InterfaceGone { at, call: "read" },
            Errno::EINVAL => Error::ReadLength { at, len_bytes: self.incoming.len },
            errno => at.refused(xnu_sys::SyscallError { call: "read", errno }),
        }
    }
}

/// The records of a buffer that are still to be taken, in order; what is not taken stays in the
/// device.
#[derive(Debug)]
pub struct Records<'d> {
    buffer: &'d [u8],
    cursor: &'d mut Cursor,
}

impl<'d> Records<'d> {
    #[inline]
    fn peek(&mut self) -> Option<Record<'d>> {
        self.cursor.peek(self.buffer)
    }
}

impl<'d> Iterator for Records<'d> {
    type Item = Record<'d>;

    #[inline]
    fn next(&mut self) -> Option<Record<'d>> {
        self.cursor.next(self.buffer)
    }
}

impl std::iter::FusedIterator for Records<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{BatchWriter, FaultReason};

    /// As after a read that gave `bytes`.
    fn filled(bytes: &[u8]) -> Incoming {
        let mut incoming = Incoming::new(4096);
        incoming.memory[incoming.start..][..bytes.len()].copy_from_slice(bytes);
        incoming.filled = bytes.len();
        incoming
    }

    fn two_frames() -> BatchWriter {
        let mut batch = BatchWriter::new(4096);
        batch.push(&[1; 60]).unwrap();
        batch.push(&[2; 61]).unwrap();
        batch
    }

    #[test]
    fn the_buffer_is_aligned_and_as_long_as_asked() {
        for len in [32, 4096, 4097] {
            let mut incoming = Incoming::new(len);
            assert_eq!(incoming.memory[incoming.start..].as_ptr().addr() % ALIGNMENT_BYTES, 0);
            assert!(incoming.memory.len() - incoming.start >= len);
            assert!(incoming.records().next().is_none());
        }
    }

    #[test]
    fn what_is_not_taken_stays() {
        let mut incoming = filled(two_frames().as_bytes());
        assert_eq!(incoming.records().next().unwrap().frame, [1; 60]);
        assert_eq!(incoming.records().peek().unwrap().frame, [2; 61]);
        assert_eq!(incoming.records().map(|record| record.frame[0]).collect::<Vec<_>>(), [2]);
        assert!(incoming.records().peek().is_none());
        assert_eq!((incoming.faults(), incoming.last_fault()), (0, None));
    }

    #[test]
    fn a_broken_buffer_counts_once_and_is_remembered() {
        let mut bytes = two_frames().as_bytes().to_vec();
        bytes.truncate(bytes.len() - 8);
        let mut incoming = filled(&bytes);
        assert_eq!(incoming.records().count(), 1);
        assert!(incoming.records().next().is_none());
        assert!(incoming.records().peek().is_none());
        assert_eq!(incoming.faults(), 1);
        incoming.clear();
        assert_eq!(incoming.faults(), 1);
        assert_eq!(incoming.records().count(), 0);
        incoming.clear();
        assert_eq!(incoming.faults(), 1);
        let reason = FaultReason::PastEnd { hdrlen_bytes: 18, caplen_bytes: 61 };
        assert_eq!(incoming.last_fault().unwrap().reason, reason);
    }
}
