//! The work left on a frame, done in software for ports that cannot take it.
//!
//! No port takes such work yet, so it is done as soon as the frame is looked at; a segment to be
//! cut counts as the frames that it is cut into.

use super::Switch;
use crate::counters::DropReason;
use crate::fabric::PortIndex;
use crate::frame::Frame;
use crate::offload::{Offload, Segmenter, complete_checksum};
use crate::poller::Poller;
use crate::pool::{HEADROOM_BYTES, SizeClass};

impl<P: Poller> Switch<P> {
    /// Finishes a frame that came in by `index` and puts what becomes of it before all other frames
    /// of the inbox.
    pub(super) fn finish(&mut self, index: PortIndex, mut frame: Frame) {
        let offload = std::mem::take(&mut frame.offload);
        let done = if offload.gso.is_none() {
            let bytes = self.pool.bytes_mut(&frame);
            debug_assert!(bytes.is_some(), "a frame just received is shared with nobody");
            bytes.map_or(Err(DropReason::BadOffload), |bytes| {
                complete_checksum(bytes, &offload).map_err(|_| DropReason::BadOffload)
            })
        } else {
            match self.cut(&frame, &offload) {
                Ok(()) => {
                    self.pool.release(frame);
                    return;
                }
                Err(reason) => Err(reason),
            }
        };
        match done {
            Ok(()) => self.inbox.frames.push_front(frame),
            Err(reason) => {
                self.inbox.rejected.count(reason);
                self.inbox.rejected_bytes += frame.len_bytes() as u64;
                self.count_rejected(index);
                self.pool.release(frame);
            }
        }
    }

    /// Cuts a big segment; all of it, or nothing when the pool is too small.
    fn cut(&mut self, frame: &Frame, offload: &Offload) -> Result<(), DropReason> {
        let whole = self.pool.lend(frame);
        let range = frame.start as usize..frame.start as usize + frame.len_bytes();
        let cut = self.cut_into_segments(&whole[range], offload);
        self.pool.restore(frame, whole);
        if cut.is_err() {
            for segment in self.segments.drain(..) {
                self.pool.release(segment);
            }
        }
        for segment in self.segments.drain(..).rev() {
            self.inbox.frames.push_front(segment);
        }
        cut
    }

    fn cut_into_segments(&mut self, whole: &[u8], offload: &Offload) -> Result<(), DropReason> {
        let segmenter = Segmenter::new(whole, offload);
        let mut segmenter = segmenter.map_err(|_| DropReason::BadOffload)?;
        let class = SizeClass::fitting(segmenter.frame_len_max());
        while segmenter.remaining() > 0 {
            let mut buffer = self.pool.take(class).ok_or(DropReason::NoBuffer)?;
            let Some(len) = segmenter.next_into(&mut buffer[HEADROOM_BYTES..]) else {
                self.pool.put_back(buffer);
                return Err(DropReason::BadOffload);
            };
            let range = HEADROOM_BYTES..HEADROOM_BYTES + len;
            self.segments.push(self.pool.fill(buffer, range, Offload::NONE));
        }
        Ok(())
    }
}
