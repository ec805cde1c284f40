//! Making a batch for one write.

use super::{HEADER_BYTES, aligned, field};

/// Records for one write to a device after `BIOCSBATCHWRITE` (macOS 14.1 and later;
/// `bpf_movein_batch`, XNU `bsd/net/bpf.c`).
///
/// What the kernel does with them, and this type sees to:
/// - A header has at least 18 bytes, `caplen` equals `datalen`, the next record begins at the next
///   multiple of 4; one bad record and nothing of the batch is sent.
/// - A rest of fewer than 20 bytes (`sizeof(struct bpf_hdr)`) is passed over in silence, so a frame
///   of one byte at the end would be lost behind its header of 18: the last record is padded too.
/// - A record without a byte is passed over: an empty frame is refused here.
/// - A frame longer than the device takes (`EMSGSIZE`) or shorter than an Ethernet header (not
///   checked by anybody) is for the one who knows the interface to refuse, as
///   [`Device::write_batch`](crate::Device::write_batch) does: [`Self::longest_bytes`] and
///   [`Self::shortest_bytes`] tell whether there is one.
#[derive(Clone, Debug)]
pub struct BatchWriter {
    bytes: Vec<u8>,
    limit_bytes: usize,
    frames: usize,
    shortest_bytes: usize,
    longest_bytes: usize,
}

/// Why a frame was not put into a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The batch has no room for it now; an empty one has.
    #[error("the batch is full")]
    Full,
    /// No batch of this limit has room for it.
    #[error("a batch of {limit_bytes} bytes never holds a frame of {len_bytes}")]
    TooLong {
        /// Of the frame.
        len_bytes: usize,
        /// Of the batch.
        limit_bytes: usize,
    },
    /// There is no frame: the kernel would pass over it in silence.
    #[error("an empty frame")]
    Empty,
}

impl BatchWriter {
    /// An empty batch of at most `limit_bytes`, which are allocated now and only now.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        let bytes = Vec::with_capacity(limit_bytes);
        Self { bytes, limit_bytes, frames: 0, shortest_bytes: usize::MAX, longest_bytes: 0 }
    }

    /// A limit that holds `frames` frames of up to `frame_max_bytes`.
    #[must_use]
    pub const fn limit_for(frames: usize, frame_max_bytes: usize) -> usize {
        frames.saturating_mul(record_bytes(frame_max_bytes))
    }

    /// Puts a frame behind those that are there.
    ///
    /// # Errors
    /// [`PushError`]; the batch is then as it was.
    #[inline]
    pub fn push(&mut self, frame: &[u8]) -> Result<(), PushError> {
        let len_bytes = frame.len();
        if frame.is_empty() {
            return Err(PushError::Empty);
        }
        let limit_bytes = self.limit_bytes;
        let too_long = PushError::TooLong { len_bytes, limit_bytes };
        let record_len = record_bytes(len_bytes);
        let caplen = u32::try_from(len_bytes).map_err(|_| too_long)?;
        if record_len > limit_bytes {
            return Err(too_long);
        }
        if record_len > limit_bytes - self.bytes.len() {
            return Err(PushError::Full);
        }
        self.bytes.extend_from_slice(&header(caplen));
        self.bytes.extend_from_slice(frame);
        self.bytes.resize(aligned(self.bytes.len()), 0);
        self.frames += 1;
        self.shortest_bytes = self.shortest_bytes.min(len_bytes);
        self.longest_bytes = self.longest_bytes.max(len_bytes);
        Ok(())
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.frames = 0;
        self.shortest_bytes = usize::MAX;
        self.longest_bytes = 0;
    }

    /// What is written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many frames are in it.
    #[must_use]
    pub const fn len_frames(&self) -> usize {
        self.frames
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// The longest frame's length; 0 of none.
    #[must_use]
    pub const fn longest_bytes(&self) -> usize {
        self.longest_bytes
    }

    /// The shortest frame's length; [`usize::MAX`] of none.
    #[must_use]
    pub const fn shortest_bytes(&self) -> usize {
        self.shortest_bytes
    }

    /// How many of `frames`, from the first on, have room behind those that are there; it does not
    /// put them there.
    #[must_use]
    pub fn fitting_frames<'f>(&self, frames: impl IntoIterator<Item = &'f [u8]>) -> usize {
        let mut left = self.limit_bytes - self.bytes.len();
        frames
            .into_iter()
            .map_while(|frame| {
                left = left.checked_sub(record_bytes(frame.len()))?;
                (!frame.is_empty()).then_some(())
            })
            .count()
    }
}

/// A record's length with its padding. Headers are 18 bytes, as XNU's own, so a record is at least
/// 20 with one byte of frame.
const fn record_bytes(frame_bytes: usize) -> usize {
    aligned(frame_bytes.saturating_add(HEADER_BYTES))
}

const fn header(caplen: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let caplen = caplen.to_ne_bytes();
    let mut place = 0;
    while place < caplen.len() {
        header[field::CAPLEN + place] = caplen[place];
        header[field::DATALEN + place] = caplen[place];
        place += 1;
    }
    let hdrlen = HDRLEN.to_ne_bytes();
    header[field::HDRLEN] = hdrlen[0];
    header[field::HDRLEN + 1] = hdrlen[1];
    header
}

const HDRLEN: u16 = 18;
const _: () = assert!(HDRLEN as usize == HEADER_BYTES);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Walker;

    #[test]
    fn golden_bytes() {
        let mut batch = BatchWriter::new(1024);
        batch.push(&[1, 2, 3]).unwrap();
        batch.push(&[4]).unwrap();
        let three = 3_u32.to_ne_bytes();
        let one = 1_u32.to_ne_bytes();
        let eighteen = 18_u16.to_ne_bytes();
        let wanted = [
            &[0; 8][..],
            &three,
            &three,
            &eighteen,
            &[1, 2, 3, 0, 0, 0],
            &[0; 8],
            &one,
            &one,
            &eighteen,
            &[4, 0],
        ]
        .concat();
        assert_eq!(batch.as_bytes(), wanted);
        assert_eq!((batch.len_frames(), batch.shortest_bytes(), batch.longest_bytes()), (2, 1, 3));
    }

    /// `bpf_movein_batch` goes on while 20 bytes are left: no record may be shorter.
    #[test]
    fn the_last_record_is_never_shorter_than_what_the_kernel_looks_at() {
        for len in 1..6 {
            let mut batch = BatchWriter::new(64);
            batch.push(&[7; 5][..len.min(5)]).unwrap();
            assert!(batch.as_bytes().len() >= 20);
            assert_eq!(batch.as_bytes().len() % 4, 0);
        }
    }

    #[test]
    fn room_is_what_was_said_and_no_more() {
        let mut batch = BatchWriter::new(BatchWriter::limit_for(2, 60));
        let frame = [0; 60];
        assert_eq!(batch.fitting_frames([&frame[..]; 5]), 2);
        assert_eq!(batch.fitting_frames([&frame[..], &[], &[1]]), 1, "an empty frame never fits");
        assert_eq!(batch.push(&frame), Ok(()));
        assert_eq!(batch.fitting_frames([&frame[..]; 5]), 1);
        assert_eq!(batch.push(&frame), Ok(()));
        assert_eq!(batch.fitting_frames([&frame[..]; 5]), 0);
        let before = batch.as_bytes().to_vec();
        assert_eq!(batch.push(&frame), Err(PushError::Full));
        assert_eq!(batch.push(&[]), Err(PushError::Empty));
        assert_eq!(
            batch.push(&[0; 143]),
            Err(PushError::TooLong { len_bytes: 143, limit_bytes: 160 })
        );
        assert_eq!(batch.push(&[0; 142]), Err(PushError::Full));
        assert_eq!(batch.as_bytes(), before);
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(batch.push(&[0; 142]), Ok(()));
        assert_eq!(Walker::new(batch.as_bytes()).count(), 1);
        assert_eq!(batch.bytes.capacity(), 160, "nothing more was allocated");
    }
}
