//! Frames on a byte stream: four bytes of length, big-endian, before each frame.
//!
//! The convention of QEMU's `-netdev stream` and `socket`, of Lima, `socket_vmnet` and passt. A
//! length of zero or over the limit breaks the stream: nothing behind it can be trusted.

use crate::frame::FRAME_MAX_BYTES;

/// How many bytes stand before each frame.
pub const PREFIX_BYTES: usize = 4;

/// How many bytes a [`Deframer`] holds: several of the biggest frames, many of the usual ones.
const CAPACITY_BYTES: usize = 256 << 10;

/// A length that cannot be a frame's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length_bytes} bytes was announced; 1 to {FRAME_MAX_BYTES} can be")]
pub struct FramingError {
    /// What the prefix said.
    pub length_bytes: u32,
}

/// The prefix of a frame of `len_bytes`.
///
/// # Panics
/// When the frame has 2³² bytes or more.
#[must_use]
pub fn prefix(len_bytes: usize) -> [u8; PREFIX_BYTES] {
    u32::try_from(len_bytes).expect("a frame of less than 4 GiB").to_be_bytes()
}

/// Takes a stream's bytes as they come, in any pieces, and gives whole frames.
///
/// ```
/// let mut deframer = vswitch::framing::Deframer::default();
/// for byte in [0, 0, 0, 3, b'a', b'b', b'c', 0, 0] {
///     deframer.space()[0] = byte;
///     deframer.filled(1);
/// }
/// assert_eq!(deframer.next_frame(), Ok(Some(&b"abc"[..])));
/// assert_eq!(deframer.next_frame(), Ok(None));
/// ```
#[derive(Debug, Default)]
pub struct Deframer {
    /// Allocated at first use. The bytes not yet given out stand in `start..end`.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Deframer {
    /// Where the next bytes of the stream go; never empty after [`Self::next_frame`] had no more.
    pub fn space(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = vec![0; CAPACITY_BYTES];
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && self.bytes.len() - self.end < PREFIX_BYTES + FRAME_MAX_BYTES {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }

    /// The first `len_bytes` of [`Self::space`] are the stream's now.
    ///
    /// # Panics
    /// When there was not so much space.
    pub fn filled(&mut self, len_bytes: usize) {
        assert!(len_bytes <= self.bytes.len() - self.end, "more than there was space for");
        self.end += len_bytes;
    }

    /// The next whole frame; `None` when more bytes are needed first.
    ///
    /// # Errors
    /// [`FramingError`] when the next length cannot be one. The stream is of no use from there on.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FramingError> {
        let Some(len) = self.next_len()? else { return Ok(None) };
        let from = self.start + PREFIX_BYTES;
        self.start = from + len;
        Ok(Some(&self.bytes[from..from + len]))
    }

    /// As [`Self::next_frame`], without taking the frame.
    ///
    /// # Errors
    /// As [`Self::next_frame`].
    pub fn peek_frame(&self) -> Result<Option<&[u8]>, FramingError> {
        let from = self.start + PREFIX_BYTES;
        Ok(self.next_len()?.map(|len| &self.bytes[from..from + len]))
    }

    /// Gives back the memory when there is nothing in it.
    pub fn shrink(&mut self) {
        if self.start == self.end {
            *self = Self::default();
        }
    }

    fn next_len(&self) -> Result<Option<usize>, FramingError> {
        let pending = &self.bytes[self.start..self.end];
        let Some((prefix, rest)) = pending.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let length_bytes = u32::from_be_bytes(*prefix);
        match usize::try_from(length_bytes) {
            Ok(len @ 1..=FRAME_MAX_BYTES) => Ok((rest.len() >= len).then_some(len)),
            _ => Err(FramingError { length_bytes }),
        }
    }
}

const _: () = assert!(CAPACITY_BYTES >= 2 * (PREFIX_BYTES + FRAME_MAX_BYTES));

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_len() -> impl Strategy<Value = usize> {
        prop_oneof![1usize..100, 1400usize..1600, 60_000..=FRAME_MAX_BYTES]
    }

    fn any_cut() -> impl Strategy<Value = usize> {
        prop_oneof![1usize..8, 1usize..5000, Just(200_000)]
    }

    fn feed(deframer: &mut Deframer, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = deframer.space();
            let n = space.len().min(bytes.len());
            assert!(n > 0, "no space left");
            space[..n].copy_from_slice(&bytes[..n]);
            deframer.filled(n);
            bytes = &bytes[n..];
            if deframer.peek_frame().is_ok_and(|frame| frame.is_some()) && !bytes.is_empty() {
                return;
            }
        }
    }

    proptest! {
        /// Whatever the pieces, the same frames come out.
        #[test]
        fn frames_survive_any_cut(
            lens in prop::collection::vec(any_len(), 1..12),
            cuts in prop::collection::vec(any_cut(), 1..40),
        ) {
            let frames: Vec<Vec<u8>> = lens.iter().enumerate()
                .map(|(n, len)| vec![u8::try_from(n).unwrap(); *len]).collect();
            let stream: Vec<u8> = frames.iter()
                .flat_map(|f| prefix(f.len()).into_iter().chain(f.iter().copied())).collect();
            let mut deframer = Deframer::default();
            let (mut got, mut at, mut cut) = (Vec::new(), 0, 0);
            while at < stream.len() {
                let space = deframer.space();
                prop_assert!(!space.is_empty());
                let n = cuts[cut % cuts.len()].min(space.len()).min(stream.len() - at);
                cut += 1;
                space[..n].copy_from_slice(&stream[at..at + n]);
                deframer.filled(n);
                at += n;
                while let Some(frame) = deframer.next_frame().unwrap() {
                    got.push(frame.to_vec());
                }
            }
            prop_assert_eq!(got, frames);
            deframer.shrink();
            prop_assert_eq!(deframer.bytes.capacity(), 0);
        }

        /// Arbitrary bytes give frames or an error, never a panic, never a frame out of bounds.
        #[test]
        fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            let mut deframer = Deframer::default();
            feed(&mut deframer, &bytes);
            while let Ok(Some(frame)) = deframer.next_frame() {
                prop_assert!((1..=FRAME_MAX_BYTES).contains(&frame.len()));
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be() {
        for length_bytes in [0, 65_551, u32::MAX] {
            let mut deframer = Deframer::default();
            feed(&mut deframer, &length_bytes.to_be_bytes());
            assert_eq!(deframer.next_frame(), Err(FramingError { length_bytes }));
            assert_eq!(deframer.peek_frame(), Err(FramingError { length_bytes }), "and stays so");
        }
    }
}
