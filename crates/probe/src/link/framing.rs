//! Frames in a byte stream: a 4-byte big-endian length, then the frame (QEMU's `stream` and
//! `socket` backends, socket_vmnet, passt).

use std::ops::Range;

use crate::error::LinkError;
use crate::frame::BUFFER_LEN;

/// Finds the frames in a stream that arrives in any pieces.
#[derive(Debug)]
pub(super) struct Deframer {
    buffer: Vec<u8>,
    filled: Range<usize>,
}

impl Deframer {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; CAPACITY], filled: 0..0 }
    }

    /// Where the next bytes go; never empty after [`Deframer::next_frame`] answered None.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.filled.is_empty() {
            self.filled = 0..0;
        } else if CAPACITY - self.filled.end < LENGTH_LEN + BUFFER_LEN {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        &mut self.buffer[self.filled.end..]
    }

    /// `len` bytes were put into [`Deframer::space`].
    pub(super) fn fill(&mut self, len: usize) {
        self.filled.end = (self.filled.end + len).min(CAPACITY);
    }

    /// The next whole frame; None: more bytes are needed.
    pub(super) fn next_frame(&mut self) -> Result<Option<&[u8]>, LinkError> {
        let bytes = &self.buffer[self.filled.clone()];
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_LEN>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length);
        let len = usize::try_from(length).unwrap_or(usize::MAX);
        if len == 0 || len > BUFFER_LEN {
            return Err(LinkError::FrameLength(length));
        }
        if rest.len() < len {
            return Ok(None);
        }
        let start = self.filled.start + LENGTH_LEN;
        self.filled.start = start + len;
        Ok(Some(&self.buffer[start..start + len]))
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0..0;
    }
}

/// Appends one frame with its length.
pub(super) fn append(stream: &mut Vec<u8>, frame: &[u8]) {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    stream.extend_from_slice(&length.to_be_bytes());
    stream.extend_from_slice(frame);
}

const LENGTH_LEN: usize = 4;
/// Room for several of the longest frames. Bytes.
const CAPACITY: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            lens in prop::collection::vec(1_usize..=BUFFER_LEN, 1..12),
            pieces in prop::collection::vec(1_usize..100_000, 1..50),
        ) {
            let frames: Vec<Vec<u8>> =
                lens.iter().map(|len| vec![len.to_le_bytes()[0]; *len]).collect();
            let mut stream = Vec::new();
            for frame in &frames {
                append(&mut stream, frame);
            }
            let mut deframer = Deframer::new();
            let mut found = Vec::new();
            let mut rest = &stream[..];
            for piece in pieces.iter().cycle() {
                let space = deframer.space();
                let len = rest.len().min(*piece).min(space.len());
                prop_assert!(len > 0 || rest.is_empty(), "no space");
                space[..len].copy_from_slice(&rest[..len]);
                deframer.fill(len);
                rest = &rest[len..];
                while let Some(frame) = deframer.next_frame().expect("good lengths") {
                    found.push(frame.to_vec());
                }
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert!(found == frames);
        }
    }

    #[test]
    fn impossible_lengths_are_told() {
        for length in [0, 65_555, u32::MAX] {
            let mut deframer = Deframer::new();
            deframer.space()[..4].copy_from_slice(&length.to_be_bytes());
            deframer.fill(4);
            let told = deframer.next_frame();
            assert!(matches!(told, Err(LinkError::FrameLength(l)) if l == length), "{told:?}");
        }
    }
}
