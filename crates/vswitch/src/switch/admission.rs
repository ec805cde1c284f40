//! Whether a target takes a frame, and what becomes of one that it does not.

use super::{Switch, port_of};
use crate::capture::Passage;
use crate::counters::DropReason;
use crate::fabric::PortIndex;
use crate::frame::Frame;
use crate::poller::Poller;
use crate::queue::{Load, QUEUE_FRAMES_MAX, QUEUE_FRAMES_UNICAST};

/// Who has something for a target.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sender {
    /// A port, for this target alone.
    Unicast {
        /// It can wait.
        waits: bool,
    },
    /// A port, for this target among others, of which none is waited for.
    Flood,
}

impl Sender {
    /// How many frames the target's queue may hold with what it has.
    const fn queue_frames_max(self) -> usize {
        match self {
            Self::Unicast { .. } => QUEUE_FRAMES_UNICAST,
            Self::Flood => QUEUE_FRAMES_MAX,
        }
    }
}

/// What a target says to a frame, or to all the segments of one.
pub(super) enum Admission {
    Room,
    /// It is full and making progress: its sender waits.
    Wait,
    Refused(DropReason),
}

impl Admission {
    /// Why the frame is dropped when nobody waits.
    pub(super) fn refusal(self) -> Option<DropReason> {
        match self {
            Self::Room => None,
            Self::Wait => Some(DropReason::QueueFull),
            Self::Refused(reason) => Some(reason),
        }
    }
}

impl<P: Poller> Switch<P> {
    /// Whether `target` takes the load, all of it at once, from such a sender.
    #[inline]
    pub(super) fn admit(&mut self, target: PortIndex, load: &Load, sender: Sender) -> Admission {
        match port_of(&mut self.members, target) {
            Some(port)
                if !port.blocked
                    && !port.is_link_down
                    && port.queue.has_room(load, sender.queue_frames_max(), &self.pool) =>
            {
                Admission::Room
            }
            _ => self.admit_with_care(target, load, sender),
        }
    }

    /// The same where there is more to it: the target is full, or has no room before it has sent
    /// what was queued in this batch, or is down or gone.
    #[inline(never)]
    fn admit_with_care(&mut self, target: PortIndex, load: &Load, sender: Sender) -> Admission {
        let frames_max = sender.queue_frames_max();
        if load.frames > frames_max {
            // No queue ever has that much room: there is nothing to wait for.
            return Admission::Refused(DropReason::QueueFull);
        }
        for attempt in 0..2 {
            let Some(port) = port_of(&mut self.members, target) else {
                return Admission::Refused(DropReason::NoPeer);
            };
            if port.is_link_down {
                return Admission::Refused(DropReason::LinkDown);
            }
            if port.queue.has_room(load, frames_max, &self.pool) {
                let is_behind = port.blocked && port.queue.is_long() && !port.is_stalled(self.now);
                return match sender {
                    Sender::Unicast { waits: true } if is_behind => Admission::Wait,
                    _ => Admission::Room,
                };
            }
            if port.blocked && !port.is_stalled(self.now) {
                return Admission::Wait;
            }
            if port.blocked && (attempt > 0 || !port.may_try(self.now)) {
                port.note_stall(self.now);
                return Admission::Refused(DropReason::Stalled);
            }
            if attempt == 0 {
                // Not blocked: it is only that nothing was sent yet in this batch. Stalled: it may
                // have made room meanwhile, and the poller not have told.
                self.flush(target);
            }
        }
        Admission::Refused(DropReason::QueueFull)
    }

    /// Counts what was meant for `target` and is not queued: a frame, or the `frames` that it was
    /// to be cut into.
    pub(super) fn refuse(
        &mut self,
        target: PortIndex,
        frame: &Frame,
        frames: usize,
        reason: DropReason,
    ) {
        if let Some(port) = self.port_mut(target) {
            port.counters.egress.enqueued_frames += frames as u64;
            port.counters.egress.dropped.add(reason, frames as u64);
            let passage = Passage::dropped_out(reason, frames);
            self.taps.show(target, frame, passage, &self.pool, self.now);
        }
    }
}
