//! The work left on a frame, done in software for a target that does not take it.
//!
//! The fabric decides on the frame as it came. A target that takes its offload gets it so; for one
//! that does not, it is finished: the checksum completed, or the frame cut into segments, which
//! count there as the frames that they are. All of them are admitted and queued, or none.

use super::admission::Sender;
use super::{Switch, port_of};
use crate::counters::DropReason;
use crate::fabric::PortIndex;
use crate::frame::Frame;
use crate::offload::{Offload, Segmenter, complete_checksum};
use crate::poller::Poller;
use crate::pool::{HEADROOM_BYTES, SizeClass};
use crate::queue::Load;

/// What is to be done to a frame for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing: it takes the frame as it is.
    Nothing,
    /// Completing the checksum.
    Checksum,
    /// Cutting.
    Segments,
    /// It cannot be done.
    Impossible(DropReason),
}

/// A flooded frame as it is for all targets that do not take it: what it comes to, and the work
/// that is still to be done before its frames stand in `segments`.
pub(super) type Finished = Option<(Load, Work)>;

impl<P: Poller> Switch<P> {
    /// Whether a target takes a frame with this work left on it.
    pub(super) fn takes(&mut self, target: PortIndex, offload: &Offload) -> bool {
        offload.is_none() || self.port_mut(target).is_some_and(|port| port.takes.takes(offload))
    }

    /// What a frame that is not shared comes to at its only target, and what is to be done for it.
    pub(super) fn load(&mut self, target: PortIndex, frame: &Frame) -> (Load, Work) {
        let whole = Load::of(frame);
        if self.takes(target, &frame.offload) {
            (whole, Work::Nothing)
        } else if frame.offload.gso.is_none() {
            (whole, Work::Checksum)
        } else {
            self.load_in_segments(frame)
        }
    }

    /// Queues a frame that was admitted, `work` done. With work that proves impossible, the
    /// `frames` that it would have been are dropped.
    pub(super) fn enqueue(&mut self, target: PortIndex, frame: Frame, work: Work, frames: usize) {
        match work {
            Work::Nothing => self.push(target, frame),
            work => match self.finish(frame, work) {
                Ok(()) => self.push_segments(target),
                Err((frame, reason)) => {
                    self.refuse(target, &frame, frames, reason);
                    self.pool.release(frame);
                }
            },
        }
    }

    /// Completes the checksum of a frame that is to be flooded to nobody who takes it unfinished:
    /// once for all, in its place.
    pub(super) fn complete_for_all(&mut self, from: PortIndex, network: usize, frame: &mut Frame) {
        let offload = frame.offload;
        if offload.is_none() || !offload.gso.is_none() {
            return;
        }
        let fabric = &self.networks[network].fabric;
        let taken = fabric.ports().iter().any(|&target| {
            let port = port_of(&mut self.members, target);
            fabric.carries(from, target) && port.is_some_and(|port| port.takes.takes(&offload))
        });
        let completed = self.pool.bytes_mut(frame).filter(|_| !taken);
        if completed.is_some_and(|bytes| complete_checksum(bytes, &offload).is_ok()) {
            frame.offload = Offload::NONE;
        }
    }

    /// Queues what a flooded frame was finished to for a target that does not take it as it is; the
    /// first with room has it made.
    pub(super) fn flood_finished(
        &mut self,
        target: PortIndex,
        frame: &Frame,
        finished: &mut Finished,
    ) {
        let (mut load, mut work) = match *finished {
            Some(known) => known,
            None => self.load_of_copies(frame),
        };
        let refusal = match work {
            Work::Impossible(reason) => Some(reason),
            _ => self.admit(target, &load, Sender::Flood).refusal(),
        };
        if refusal.is_none() && work != Work::Nothing {
            (load.fresh_bytes, work) = match self.finish_copy(frame, work) {
                Ok(()) => (0, Work::Nothing),
                Err(reason) => (load.fresh_bytes, Work::Impossible(reason)),
            };
        }
        *finished = Some((load, work));
        match (refusal, work) {
            (Some(reason), _) | (None, Work::Impossible(reason)) => {
                self.refuse(target, frame, load.frames, reason);
            }
            (None, _) => self.push_shares(target),
        }
    }

    /// Ends the frames that a flood was finished to.
    pub(super) fn release_segments(&mut self) {
        for segment in self.segments.drain(..) {
            self.pool.release(segment);
        }
    }

    fn load_of_copies(&self, frame: &Frame) -> (Load, Work) {
        if frame.offload.gso.is_none() {
            let held_bytes = SizeClass::fitting(frame.len_bytes()).bytes();
            (Load { frames: 1, held_bytes, fresh_bytes: held_bytes }, Work::Checksum)
        } else {
            self.load_in_segments(frame)
        }
    }

    fn load_in_segments(&self, frame: &Frame) -> (Load, Work) {
        match Segmenter::new(self.pool.bytes(frame), &frame.offload) {
            Ok(segmenter) => {
                let frames = segmenter.segments();
                let each_bytes = SizeClass::fitting(segmenter.frame_len_max()).bytes();
                let held_bytes = frames * each_bytes;
                (Load { frames, held_bytes, fresh_bytes: held_bytes }, Work::Segments)
            }
            Err(_) => (Load::of(frame), Work::Impossible(DropReason::BadOffload)),
        }
    }

    /// Puts what the frame is finished to into `segments`; the frame comes back when it cannot be.
    fn finish(&mut self, mut frame: Frame, work: Work) -> Result<(), (Frame, DropReason)> {
        let done = match (work, self.pool.bytes_mut(&frame)) {
            (Work::Nothing, _) => Ok(()),
            (Work::Impossible(reason), _) => Err(reason),
            (Work::Checksum, Some(bytes)) => {
                complete_checksum(bytes, &frame.offload).map_err(|_| BAD)
            }
            // With the checksum, others share its buffer.
            (Work::Segments, _) | (Work::Checksum, None) => {
                return match self.finish_copy(&frame, work) {
                    Ok(()) => {
                        self.pool.release(frame);
                        Ok(())
                    }
                    Err(reason) => Err((frame, reason)),
                };
            }
        };
        match done {
            Ok(()) => {
                frame.offload = Offload::NONE;
                self.segments.push(frame);
                Ok(())
            }
            Err(reason) => Err((frame, reason)),
        }
    }

    /// The same of a frame that stays as it is.
    fn finish_copy(&mut self, frame: &Frame, work: Work) -> Result<(), DropReason> {
        if work != Work::Checksum {
            return self.cut(frame);
        }
        let whole = self.pool.lend(frame);
        let range = frame.start as usize..frame.start as usize + frame.len_bytes();
        let copy = self.pool.copy(&whole[range]);
        self.pool.restore(frame, whole);
        let mut copy = copy.ok_or(DropReason::NoBuffer)?;
        copy.offload = frame.offload;
        self.finish(copy, work).map_err(|(copy, reason)| {
            self.pool.release(copy);
            reason
        })
    }

    /// Cuts a big segment into `segments`; all of it, or nothing when the pool is too small.
    fn cut(&mut self, frame: &Frame) -> Result<(), DropReason> {
        let whole = self.pool.lend(frame);
        let range = frame.start as usize..frame.start as usize + frame.len_bytes();
        let cut = self.cut_into_segments(&whole[range], &frame.offload);
        self.pool.restore(frame, whole);
        self.turn_segments += self.segments.len();
        if cut.is_err() {
            self.release_segments();
        }
        cut
    }

    fn cut_into_segments(&mut self, whole: &[u8], offload: &Offload) -> Result<(), DropReason> {
        let mut segmenter = Segmenter::new(whole, offload).map_err(|_| BAD)?;
        let class = SizeClass::fitting(segmenter.frame_len_max());
        while segmenter.remaining() > 0 {
            let mut buffer = self.pool.take(class).ok_or(DropReason::NoBuffer)?;
            let Some(len) = segmenter.next_into(&mut buffer[HEADROOM_BYTES..]) else {
                self.pool.put_back(buffer);
                return Err(BAD);
            };
            let range = HEADROOM_BYTES..HEADROOM_BYTES + len;
            self.segments.push(self.pool.fill(buffer, range, Offload::NONE));
        }
        Ok(())
    }

    fn push_segments(&mut self, target: PortIndex) {
        let mut segments = std::mem::take(&mut self.segments);
        for segment in segments.drain(..) {
            self.push(target, segment);
        }
        self.segments = segments;
    }

    fn push_shares(&mut self, target: PortIndex) {
        let segments = std::mem::take(&mut self.segments);
        for segment in &segments {
            let share = self.pool.share(segment);
            self.push(target, share);
        }
        self.segments = segments;
    }
}

const BAD: DropReason = DropReason::BadOffload;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::offload::{Checksum, Gso};
    use crate::poller::{Event, Interest, Source, Token, Wake};
    use crate::pool::Pool;
    use crate::time::Nanos;

    /// Half of the segments is no use to anybody: without buffers for all there are none.
    #[test]
    fn a_pool_too_small_for_all_segments_gives_none() {
        let mut switch = Switch::new(NoPoller);
        let room = SizeClass::Full.bytes() + 4 * SizeClass::Small.bytes();
        switch.pool = Pool::new(room);
        let offload = Offload { gso: Gso::TcpV4, segment_bytes: 1000, ..Offload::NONE };
        for (segments, cut) in [(5, Err(DropReason::NoBuffer)), (4, Ok(()))] {
            let whole = tcp_segment(1000 * segments);
            let buffer = switch.pool.take(SizeClass::Full).expect("room for it");
            let mut frame = switch.pool.fill(buffer, 16..16 + whole.len(), offload);
            switch.pool.bytes_mut(&frame).expect("not shared").copy_from_slice(&whole);
            assert_eq!(switch.finish_copy(&frame, Work::Segments), cut);
            assert_eq!(switch.segments.len(), if cut.is_ok() { segments } else { 0 });
            assert_eq!(switch.pool.filled_slots(), 1 + switch.segments.len());
            switch.release_segments();
            frame.offload.gso = Gso::TcpV6;
            let (frame, reason) = switch.finish(frame, Work::Segments).unwrap_err();
            assert_eq!(reason, DropReason::BadOffload);
            switch.pool.release(frame);
            assert_eq!(switch.pool.filled_slots(), 0);
        }
    }

    #[test]
    fn a_checksum_in_a_shared_buffer_is_completed_in_a_copy() {
        let mut switch = Switch::new(NoPoller);
        let offload = Offload {
            checksum: Checksum::Unfinished,
            checksum_start: 34,
            checksum_offset: 16,
            ..Offload::NONE
        };
        let whole = tcp_segment(100);
        let mut frame = switch.pool.copy(&whole).expect("room for it");
        frame.offload = offload;
        let shared = switch.pool.share(&frame);
        switch.finish(shared, Work::Checksum).expect("a checksum in its place");
        assert_eq!(switch.pool.bytes(&frame), whole, "as it was");
        let finished = switch.segments.pop().expect("a copy");
        let mut expected = whole;
        complete_checksum(&mut expected, &offload).expect("a place in the frame");
        assert_eq!(switch.pool.bytes(&finished), expected);
        assert_eq!(finished.offload, Offload::NONE);
        switch.pool.release(finished);
        switch.finish(frame, Work::Checksum).expect("a checksum in its place");
        assert_eq!(switch.pool.filled_slots(), 1, "not shared: completed in place");
        switch.release_segments();
        assert_eq!(switch.pool.filled_slots(), 0);
    }

    /// A TCP segment without options, its payload all zeros.
    fn tcp_segment(payload_bytes: usize) -> Vec<u8> {
        let mut frame = vec![0; 14 + 20 + 20 + payload_bytes];
        frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
        frame[23] = 6;
        frame[46] = 0x50;
        frame
    }

    #[derive(Debug)]
    struct NoPoller;

    impl Poller for NoPoller {
        fn add(&mut self, _: Source, _: Token, _: Interest) -> std::io::Result<()> {
            Ok(())
        }

        fn modify(&mut self, _: Source, _: Token, _: Interest) -> std::io::Result<()> {
            Ok(())
        }

        fn remove(&mut self, _: Source) {}

        fn wait(&mut self, _: Nanos, _: &mut Vec<Event>) -> std::io::Result<()> {
            Ok(())
        }

        fn now(&mut self) -> Nanos {
            Nanos(1)
        }

        fn waker(&self) -> Arc<dyn Wake> {
            Arc::new(Self)
        }
    }

    impl Wake for NoPoller {
        fn wake(&self) {}
    }
}
