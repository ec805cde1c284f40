//! Frames on a byte stream: four bytes of length, big-endian, before each frame.
//!
//! The convention of QEMU's `-netdev stream` and `socket`, of Lima, `socket_vmnet` and passt. A
//! length of zero or over the limit breaks the stream: nothing behind it can be trusted.

use std::ops::Range;

use crate::frame::FRAME_MAX_BYTES;

/// How many bytes stand before each frame.
pub const PREFIX_BYTES: usize = 4;

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

/// The whole frames at the beginning of a stream's bytes: where each stands, behind its prefix. It
/// ends before the first frame that is not whole, and behind the first length that cannot be.
///
/// ```
/// let bytes = [0, 0, 0, 3, b'a', b'b', b'c', 0, 0, 0, 9, b'd'];
/// let frames: Vec<_> = vswitch::framing::whole_frames(&bytes).collect();
/// assert_eq!(frames, [Ok(4..7)]);
/// ```
#[must_use]
pub const fn whole_frames(bytes: &[u8]) -> WholeFrames<'_> {
    WholeFrames { bytes, at: 0 }
}

/// See [`whole_frames`].
#[derive(Clone, Debug)]
pub struct WholeFrames<'a> {
    bytes: &'a [u8],
    /// Where the next prefix begins.
    at: usize,
}

impl Iterator for WholeFrames<'_> {
    type Item = Result<Range<usize>, FramingError>;

    /// The next frame's place.
    ///
    /// # Errors
    /// [`FramingError`] when the next length cannot be one. The stream is of no use from there on.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (prefix, rest) = self.bytes.get(self.at..)?.split_first_chunk::<PREFIX_BYTES>()?;
        let length_bytes = u32::from_be_bytes(*prefix);
        match usize::try_from(length_bytes) {
            Ok(len @ 1..=FRAME_MAX_BYTES) if len <= rest.len() => {
                let start = self.at + PREFIX_BYTES;
                self.at = start + len;
                Some(Ok(start..start + len))
            }
            Ok(1..=FRAME_MAX_BYTES) => None,
            _ => {
                self.at = self.bytes.len();
                Some(Err(FramingError { length_bytes }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_len() -> impl Strategy<Value = usize> {
        prop_oneof![1usize..100, 1400usize..1600, 60_000..=FRAME_MAX_BYTES]
    }

    proptest! {
        /// Whatever has come of the stream, the frames that are whole are found, and only those.
        #[test]
        fn whole_frames_are_found_wherever_the_stream_is_cut(
            lens in prop::collection::vec(any_len(), 1..12),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut stream = Vec::new();
            let mut ends = Vec::new();
            for (n, len) in lens.iter().enumerate() {
                stream.extend_from_slice(&prefix(*len));
                stream.resize(stream.len() + len, u8::try_from(n).unwrap());
                ends.push(stream.len());
            }
            let cut = cut.index(stream.len() + 1);
            let found: Vec<_> = whole_frames(&stream[..cut]).map(Result::unwrap).collect();
            prop_assert_eq!(found.len(), ends.iter().filter(|end| **end <= cut).count());
            for (n, (range, len)) in found.into_iter().zip(lens).enumerate() {
                prop_assert_eq!(range.len(), len);
                prop_assert!(stream[range].iter().all(|byte| usize::from(*byte) == n));
            }
        }

        /// Arbitrary bytes give frames or an error, never a panic, never a frame out of bounds.
        #[test]
        fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            let mut end = 0;
            for range in whole_frames(&bytes).map_while(Result::ok) {
                prop_assert!(range.start == end + PREFIX_BYTES && range.end <= bytes.len());
                prop_assert!((1..=FRAME_MAX_BYTES).contains(&range.len()));
                end = range.end;
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be() {
        for length_bytes in [0, 65_551, u32::MAX] {
            let bytes = [prefix(1), [7; 4], length_bytes.to_be_bytes()].concat();
            let found: Vec<_> = whole_frames(&bytes).collect();
            assert_eq!(found[0], Ok(4..5), "what was before it holds");
            let stream = [&bytes[..5], &length_bytes.to_be_bytes()].concat();
            let found: Vec<_> = whole_frames(&stream).collect();
            assert_eq!(found, [Ok(4..5), Err(FramingError { length_bytes })], "and it is the end");
        }
    }
}
