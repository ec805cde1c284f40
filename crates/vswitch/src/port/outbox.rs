//! What a port is given to send.

use std::io::IoSlice;

use arrayvec::ArrayVec;

use crate::framing::PREFIX_BYTES;
use crate::offload::Offload;
use crate::pool::Pool;
use crate::queue::EgressQueue;

/// The frames waiting at one port, oldest first.
#[derive(Debug)]
pub struct Outbox<'a> {
    queue: &'a EgressQueue,
    pool: &'a Pool,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(queue: &'a EgressQueue, pool: &'a Pool) -> Self {
        Self { queue, pool }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The bytes of the frame at `place`, 0 being the oldest.
    #[must_use]
    pub fn bytes(&self, place: usize) -> &'a [u8] {
        self.pool.bytes(self.queue.frame(place))
    }

    /// Puts the first frames into `pieces` as they stand on a stream, each behind its length in
    /// four bytes: as few pieces as there can be, since frames often stand side by side in memory.
    /// At most as many frames as `pieces` has room for and, but for the first, `bytes_max` bytes.
    /// Answers how many frames they are.
    // The caller's array: one that is returned is copied whole, however few pieces are in it.
    pub fn framed<const N: usize>(
        &self,
        bytes_max: usize,
        pieces: &mut ArrayVec<IoSlice<'a>, N>,
    ) -> usize {
        let (mut frames, mut bytes) = (0, 0);
        let frames_max = self.len().min(pieces.remaining_capacity());
        while frames < frames_max {
            let first = self.queue.frame(frames);
            let mut last = first;
            let start = frames;
            while frames < frames_max {
                let frame = self.queue.frame(frames);
                let whole_bytes = PREFIX_BYTES + frame.len_bytes();
                let is_next = frames == start || frame.stands_behind(last);
                if !is_next || frames > 0 && bytes + whole_bytes > bytes_max {
                    break;
                }
                (last, bytes, frames) = (frame, bytes + whole_bytes, frames + 1);
            }
            if frames == start {
                break;
            }
            pieces.push(IoSlice::new(self.pool.framed_together(first, last)));
        }
        frames
    }

    /// The frame at `place` as it stands on a stream, its length in four bytes before it.
    #[must_use]
    pub fn framed_bytes(&self, place: usize) -> &'a [u8] {
        self.pool.framed_bytes(self.queue.frame(place))
    }

    /// What is left to do to the frame at `place`: nothing that the port does not take
    /// ([`Port::takes`](super::Port::takes)).
    #[must_use]
    pub fn offload(&self, place: usize) -> &'a Offload {
        &self.queue.frame(place).offload
    }

    /// The frames' bytes, oldest first: all that there is to a frame at a port that takes no
    /// offloads.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.frames().map(|(bytes, _)| bytes)
    }

    /// The frames' bytes, each with what is left to do to it, oldest first.
    pub fn frames(&self) -> impl Iterator<Item = (&'a [u8], &'a Offload)> {
        let (queue, pool) = (self.queue, self.pool);
        (0..queue.len()).map(move |place| {
            let frame = queue.frame(place);
            (pool.bytes(frame), &frame.offload)
        })
    }
}
