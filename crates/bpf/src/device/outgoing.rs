//! Writing: a frame alone, or a batch by one call.

use xnu_sys::{Errno, Kernel, SyscallError};

use super::open::mtu_bytes;
use super::{Device, Error};
use crate::capture::{BatchWriter, Cursor, Walker};

/// An Ethernet header. The kernel does not look whether a frame has one, and reads it.
const FRAME_MIN_BYTES: usize = 14;

/// What the kernel allows beyond the MTU since macOS 14 (`BPF_WRITE_LEEWAY`): header and VLAN tag.
const LEEWAY_BYTES: usize = 18;

/// And before: the header alone, and in one cluster (`MCLBYTES`).
const OLD_LEEWAY_BYTES: usize = 14;
const OLD_MAX_BYTES: usize = 2048;

/// Where a frame alone becomes a batch of one.
pub(super) fn alone<K: Kernel>(device: &Device<K>) -> Option<BatchWriter> {
    let limit_bytes = BatchWriter::limit_for(1, device.frame_max_bytes());
    device.capabilities.batch_write.then(|| BatchWriter::new(limit_bytes))
}

impl<K: Kernel> Device<K> {
    /// The longest frame that can be written, header included, as of the last look at the MTU.
    #[must_use]
    pub fn frame_max_bytes(&self) -> usize {
        let mtu = usize::try_from(self.mtu_bytes).unwrap_or(usize::MAX);
        if self.capabilities.direction {
            mtu.saturating_add(LEEWAY_BYTES)
        } else {
            mtu.saturating_add(OLD_LEEWAY_BYTES).min(OLD_MAX_BYTES)
        }
    }

    /// Looks at the interface's MTU again, which it had when it was bound: call it when a kernel
    /// event says that it changed.
    ///
    /// # Errors
    /// [`Error::InterfaceGone`].
    pub fn refresh_mtu(&mut self) -> Result<(), Error> {
        self.mtu_bytes = mtu_bytes(self.descriptor.kernel(), self.at)?;
        self.alone = alone(self);
        Ok(())
    }

    /// Writes a frame; its source address stays (`BIOCSHDRCMPLT`). Never waits for room.
    ///
    /// # Errors
    /// [`Error::TooShort`] and [`Error::TooLong`] (without asking the kernel, to which a frame
    /// shorter than a header is a danger), [`Error::InterfaceDown`], [`Error::InterfaceGone`],
    /// [`Error::Lost`].
    pub fn write(&mut self, frame: &[u8]) -> Result<(), Error> {
        self.check(frame.len())?;
        let Some(mut alone) = self.alone.take() else {
            return self.put(frame, frame.len());
        };
        // With batch writes on, every write is one.
        alone.clear();
        let pushed = alone.push(frame);
        let result = match pushed {
            Ok(()) => self.put(alone.as_bytes(), frame.len()),
            Err(_) => Err(self.too_long(frame.len())),
        };
        self.alone = Some(alone);
        result
    }

    /// Writes a batch, by one call where the kernel takes batches
    /// ([`Capabilities::batch_write`](super::Capabilities::batch_write)), else frame by frame: how
    /// many frames, from the first on, were taken, and why the next was not.
    ///
    /// A frame that is too short or too long for the interface is found before the kernel is asked:
    /// the frames before it are written, it and those behind it are not.
    ///
    /// The kernel checks all of a batch before it sends any, then sends all and answers for the
    /// last frame alone: with [`Error::Lost`] the frames before the last count as taken, though
    /// they may have found no room either.
    ///
    /// # Errors
    /// The second of the pair is as the error of [`write`](Self::write).
    pub fn write_batch(&mut self, batch: &BatchWriter) -> (usize, Option<Error>) {
        let Some((records, frames, error)) = self.up_to_a_bad_frame(batch) else {
            return self.write_records(batch.as_bytes(), batch.len_frames());
        };
        let (taken, failed) = self.write_records(records, frames);
        (taken, failed.or(Some(error)))
    }

    /// What stands before the first frame that must not be written, how many frames that is, and
    /// what is wrong with that one; `None` when nothing is wrong.
    fn up_to_a_bad_frame<'b>(&self, batch: &'b BatchWriter) -> Option<(&'b [u8], usize, Error)> {
        self.check(batch.shortest_bytes()).and(self.check(batch.longest_bytes())).err()?;
        let bytes = batch.as_bytes();
        let mut cursor = Cursor::START;
        let mut frames = 0;
        loop {
            let begin = cursor.offset_bytes();
            let frame = cursor.next(bytes)?.frame;
            if let Err(error) = self.check(frame.len()) {
                return Some((&bytes[..begin], frames, error));
            }
            frames += 1;
        }
    }

    /// Writes `records`, in which are so many `frames`.
    fn write_records(&self, records: &[u8], frames: usize) -> (usize, Option<Error>) {
        if frames == 0 {
            return (0, None);
        }
        if !self.capabilities.batch_write {
            return self.write_each(records);
        }
        match self.put(records, 0) {
            Ok(()) => (frames, None),
            Err(error @ Error::Lost { .. }) => (frames - 1, Some(error)),
            Err(error @ Error::ShortWrite { written_bytes, .. }) => {
                let taken = Walker::new(&records[..written_bytes.min(records.len())]).count();
                (taken, Some(error))
            }
            Err(Error::TooLong { at, max_bytes, .. }) => {
                let longest = Walker::new(records).map(|record| record.frame.len()).max();
                let len_bytes = longest.unwrap_or_default();
                (0, Some(Error::TooLong { at, len_bytes, max_bytes }))
            }
            Err(error) => (0, Some(error)),
        }
    }

    fn write_each(&self, records: &[u8]) -> (usize, Option<Error>) {
        let mut taken = 0;
        for record in Walker::new(records) {
            if let Err(error) = self.put(record.frame, record.frame.len()) {
                return (taken, Some(error));
            }
            taken += 1;
        }
        (taken, None)
    }

    fn check(&self, len_bytes: usize) -> Result<(), Error> {
        if len_bytes < FRAME_MIN_BYTES {
            return Err(Error::TooShort { at: self.at, len_bytes });
        }
        if len_bytes > self.frame_max_bytes() {
            return Err(self.too_long(len_bytes));
        }
        Ok(())
    }

    fn put(&self, bytes: &[u8], frame_bytes: usize) -> Result<(), Error> {
        let at = self.at;
        let len_bytes = bytes.len();
        match self.descriptor.write(bytes) {
            Ok(written_bytes) if written_bytes == len_bytes => Ok(()),
            Ok(written_bytes) => Err(Error::ShortWrite { at, written_bytes, len_bytes }),
            Err(Errno::ENOBUFS | Errno::ENOMEM) => Err(Error::Lost { at }),
            Err(Errno::EMSGSIZE) => Err(self.too_long(frame_bytes)),
            Err(Errno::ENETDOWN) => Err(Error::InterfaceDown { at }),
            Err(Errno::ENXIO) => Err(Error::InterfaceGone { at, call: "write" }),
            Err(errno) => Err(at.refused(SyscallError { call: "write", errno })),
        }
    }

    fn too_long(&self, len_bytes: usize) -> Error {
        Error::TooLong { at: self.at, len_bytes, max_bytes: self.frame_max_bytes() }
    }
}
