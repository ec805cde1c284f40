//! Frames that follow one another from one station to another: most of what makes traffic heavy.
//!
//! The fabric's answer to the first of them is its answer to those behind it in the batch: nothing
//! that it goes by is another. So they are queued by a look at their addresses and at the target's
//! room. Whatever is not so simple (work left on the frame, no room, a queue so long that senders
//! have to wait, a link that is down, a capture) is left to the way that all frames go.

use super::{Member, Place, PortState, Switch};
use crate::fabric::{Addresses, PortIndex};
use crate::poller::Poller;
use crate::queue::{Load, QUEUE_FRAMES_UNICAST};

impl<P: Poller> Switch<P> {
    /// Queues for `target` the next frames of the inbox, which came in by `index`, while they have
    /// these addresses. The frame before them had, and was for `target`; whether it was queued or
    /// refused does not matter here: what these need is looked for.
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
            let network = usize::from(from.settings.network.0);
            self.networks[network].fabric.count_alike(addresses, frames);
            self.see_to(target);
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
