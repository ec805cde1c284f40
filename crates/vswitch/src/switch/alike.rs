//! Frames that follow one another from one station to another: most of what makes traffic heavy.
//!
//! What was decided on the first of them holds for those behind it in its batch, as long as it is
//! queued without further ado: nothing was learnt or forgotten in between. So they are queued by
//! a look at their addresses and at the room there is. Whatever is not so simple (work left on the
//! frame, a target for which senders wait, a capture) is left to the way that all frames go.

use super::{Member, Place, PortState, Switch};
use crate::fabric::{Addresses, PortIndex};
use crate::poller::Poller;
use crate::queue::{Load, QUEUE_FRAMES_UNICAST};

impl<P: Poller> Switch<P> {
    /// Queues for `target` the next frames of the inbox, which came in by `index`, while they are
    /// from and to these addresses, as the frame before them was that was forwarded so.
    #[inline]
    pub(super) fn forward_alike(
        &mut self,
        index: PortIndex,
        target: PortIndex,
        addresses: Addresses,
    ) {
        if self.inbox.frames.is_empty() || self.taps.is_capturing() {
            return;
        }
        let Some((from, to)) = two_ports(&mut self.members, index, target) else { return };
        if to.is_link_down {
            return;
        }
        let (mut frames, mut bytes) = (0, 0);
        while let Some(frame) = self.inbox.frames.pop_front_if(|frame| {
            frame.offload.is_none()
                && !(to.blocked && to.queue.is_long())
                && Addresses::read(self.pool.bytes(frame)) == Some(addresses)
                && to.queue.has_room(&Load::of(frame), QUEUE_FRAMES_UNICAST, &self.pool)
        }) {
            frames += 1;
            bytes += frame.len_bytes() as u64;
            to.enqueue(frame, self.now, &mut self.pool);
        }
        from.counters.ingress.received_frames += frames;
        from.counters.ingress.received_bytes += bytes;
        from.counters.ingress.forwarded_frames += frames;
        to.counters.egress.enqueued_frames += frames;
        if frames > 0 {
            self.enqueued(target);
        }
    }
}

/// Two ports at once; `None` when one of them is no port, or they are the same.
fn two_ports(
    members: &mut [Place],
    one: PortIndex,
    other: PortIndex,
) -> Option<(&mut PortState, &mut PortState)> {
    match members.get_disjoint_mut([usize::from(one.0), usize::from(other.0)]).ok()? {
        [Place { member: Member::Port(one), .. }, Place { member: Member::Port(other), .. }] => {
            Some((one, other))
        }
        _ => None,
    }
}
