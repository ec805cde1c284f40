//! The way of the frames: read, decide, queue, send; and who waits for whom.

use std::time::Duration;

use super::admission::{Admission, Sender};
use super::finish::Work;
use super::{PortState, Switch, port_of};
use crate::capture::Passage;
use crate::counters::{DropReason, Ingress};
use crate::fabric::{Addresses, PortIndex, Verdict};
use crate::frame::Frame;
use crate::poller::Poller;
use crate::pool::Pool;
use crate::port::{Inbox, Outbox, Received, SendFault};
use crate::queue::{Load, QUEUE_AGE_MAX};
use crate::time::Nanos;

/// How many batches of one port are read before others have their turn.
const BATCHES_PER_TURN: usize = 4;

/// A turn also ends when so many segments were cut in it: as many frames as four batches of
/// ordinary ones are on Linux.
const SEGMENTS_PER_TURN: usize = 128;

/// How long a port rests when the pool is empty.
const NO_BUFFERS_PAUSE: Duration = Duration::from_millis(1);

impl<P: Poller> Switch<P> {
    /// Reads a port, for one turn.
    pub(super) fn read(&mut self, index: PortIndex) {
        self.turn_segments = 0;
        for _ in 0..BATCHES_PER_TURN {
            let Some(port) = port_of(&mut self.members, index) else { return };
            if port.is_paused() {
                return;
            }
            let received = port.port.receive(&mut Inbox::new(&mut self.inbox, &mut self.pool));
            self.note_changes(index);
            self.now = self.poller.now();
            self.count_batch(index);
            self.dispatch(index);
            self.flush_dirty();
            match received {
                Received::More if self.turn_segments >= SEGMENTS_PER_TURN => break,
                Received::More => {}
                Received::Drained => {
                    self.touch(index);
                    return;
                }
                // Who polls without sleep is not woken, and has nothing to spare by waiting.
                Received::Later(_) if self.busy_poll => {
                    self.touch(index);
                    return;
                }
                Received::Later(rest) => return self.rest(index, rest),
                Received::NoBuffers => return self.rest(index, NO_BUFFERS_PAUSE),
                Received::Gone(why) => {
                    self.port_gone(index, &why);
                    return;
                }
            }
        }
        self.read_soon(index);
    }

    /// Leaves a port unread for a while, whatever the poller says of it.
    fn rest(&mut self, index: PortIndex, pause: Duration) {
        let again_at = self.now + pause;
        if let Some(port) = port_of(&mut self.members, index) {
            port.read_again_at = again_at;
            if let Some(source) = port.port.source() {
                self.poller.note_use(source);
            }
        }
        self.due_at(again_at);
        self.touch(index);
    }

    /// Has a port read in the next round, whatever the poller says of it.
    pub(super) fn read_soon(&mut self, index: PortIndex) {
        if let Some(port) = self.port_mut(index)
            && !port.in_pending
        {
            port.in_pending = true;
            self.pending.push_back(index);
        }
    }

    /// Decides on the frames of the inbox, which came in by `index`, until one has to wait.
    fn dispatch(&mut self, index: PortIndex) {
        if self.port_mut(index).is_some_and(|port| port.is_link_down) {
            return self.drop_inbox(index);
        }
        while let Some(frame) = self.inbox.frames.pop_front() {
            let Some(port) = port_of(&mut self.members, index) else {
                self.pool.release(frame);
                continue;
            };
            let network = usize::from(port.settings.network.0);
            let waits = port.settings.waits;
            let bytes = self.pool.bytes(&frame);
            let addresses = Addresses::read(bytes);
            // Where a checksum would be written is known to be behind what the fabric goes by.
            let verdict = match (frame.offload.check(bytes), addresses) {
                (Err(_), _) => Verdict::Drop(DropReason::BadOffload),
                (Ok(()), None) => Verdict::Drop(DropReason::Runt),
                (Ok(()), Some(addresses)) => {
                    self.networks[network].fabric.decide(index, addresses, self.now)
                }
            };
            match verdict {
                Verdict::Drop(reason) => {
                    self.drop_incoming(index, frame, reason);
                }
                Verdict::Flood => {
                    self.decided(index, &frame, Passage::IN, |ingress| ingress.flooded_frames += 1);
                    self.flood(index, network, frame);
                }
                Verdict::Forward(target) => {
                    if let Some(frame) = self.forward(index, target, frame, waits) {
                        self.inbox.frames.push_front(frame);
                        self.hold(index, target);
                        return;
                    }
                    if let Some(addresses) = addresses {
                        self.forward_alike(index, target, addresses);
                    }
                }
            }
        }
    }

    /// Queues a frame for its only target; a frame that is to wait for it comes back.
    fn forward(
        &mut self,
        index: PortIndex,
        target: PortIndex,
        frame: Frame,
        waits: bool,
    ) -> Option<Frame> {
        let (load, work) = self.load(target, &frame);
        let admission = match work {
            Work::Impossible(reason) => Admission::Refused(reason),
            _ => self.admit(target, &load, Sender::Unicast { waits }),
        };
        if waits && matches!(admission, Admission::Wait) {
            return Some(frame);
        }
        self.decided(index, &frame, Passage::IN, |ingress| ingress.forwarded_frames += 1);
        match admission.refusal() {
            None => self.enqueue(target, frame, work, load.frames),
            Some(reason) => {
                self.refuse(target, &frame, load.frames, reason);
                self.pool.release(frame);
            }
        }
        None
    }

    /// Queues a frame for every port of the network to which the fabric carries it. Floods wait for
    /// nobody: where a queue is full, the frame is dropped for that port alone.
    fn flood(&mut self, from: PortIndex, network: usize, mut frame: Frame) {
        // One copy for all, instead of one for each port at which it has to wait.
        frame = self.pool.alone(frame);
        self.complete_for_all(from, network, &mut frame);
        let mut finished = None;
        let mut place = 0;
        while let Some(&target) = self.networks[network].fabric.ports().get(place) {
            if self.networks[network].fabric.carries(from, target) {
                if self.takes(target, &frame.offload) {
                    self.flood_as_it_is(target, &frame);
                } else {
                    self.flood_finished(target, &frame, &mut finished);
                }
            }
            // A target that turned out to be gone may have been removed, and the next stand there.
            if self.networks[network].fabric.ports().get(place) == Some(&target) {
                place += 1;
            }
        }
        self.release_segments();
        self.pool.release(frame);
    }

    fn flood_as_it_is(&mut self, target: PortIndex, frame: &Frame) {
        let load = Load::of(frame);
        // Who would have to wait is dropped.
        match self.admit(target, &load, Sender::Flood).refusal() {
            Some(reason) => self.refuse(target, frame, load.frames, reason),
            None => {
                let copy = self.pool.share(frame);
                self.push(target, copy);
            }
        }
    }

    /// Queues a frame that was admitted, and that the port takes.
    pub(super) fn push(&mut self, target: PortIndex, frame: Frame) {
        let Some(port) = port_of(&mut self.members, target) else {
            self.pool.release(frame);
            return;
        };
        if !frame.offload.is_none() && !port.takes.takes(&frame.offload) {
            // It did until a moment ago, when it was made to send what it had.
            self.refuse(target, &frame, 1, DropReason::NoPeer);
            self.pool.release(frame);
            return;
        }
        port.counters.egress.enqueued_frames += 1;
        port.enqueue(frame, self.now, &mut self.pool);
        self.see_to(target);
    }

    /// Sees to it that what was queued for a port is sent in time.
    #[inline]
    pub(super) fn see_to(&mut self, target: PortIndex) {
        let Some(port) = port_of(&mut self.members, target) else { return };
        if port.blocked {
            // The queue may have been empty, all in it too old, and then nothing is due here.
            self.due_at(self.now + QUEUE_AGE_MAX);
        } else if !port.in_dirty {
            port.in_dirty = true;
            self.dirty.push(target);
        }
    }

    /// The rest of the inbox waits until `target` has room.
    fn hold(&mut self, index: PortIndex, target: PortIndex) {
        let Some(port) = port_of(&mut self.members, index) else { return };
        std::mem::swap(&mut port.hold, &mut self.inbox.frames);
        port.waiting_on = Some(target);
        port.counters.pauses += 1;
        self.touch(index);
        let Some(port) = self.port_mut(target) else { return };
        port.waiters.push_back(index);
        let due = port.due();
        self.due_at(due);
    }

    /// Sends what was queued in this batch.
    fn flush_dirty(&mut self) {
        while let Some(index) = self.dirty.pop() {
            if let Some(port) = self.port_mut(index) {
                port.in_dirty = false;
                if !port.blocked {
                    self.flush(index);
                }
            }
        }
    }

    /// Sends a port's queue, as far as it goes.
    pub(super) fn flush(&mut self, index: PortIndex) {
        loop {
            let Some(port) = port_of(&mut self.members, index) else { return };
            let rest = port.port.has_rest();
            if port.queue.is_empty() && !rest {
                self.unblock(index);
                return;
            }
            if port.gone {
                self.drop_queue(index, DropReason::NoPeer);
                return;
            }
            port.tried_at = self.now;
            let sent = port.port.send(&Outbox::new(&port.queue, &self.pool));
            self.taps.show_first(index, &port.queue, sent.taken_frames, &self.pool, self.now);
            let (frames, bytes) = port.queue.end_first(sent.taken_frames, &mut self.pool);
            port.counters.egress.sent_frames += frames;
            port.counters.egress.sent_bytes += bytes;
            port.counters.egress.count_batch(sent.taken_frames);
            if sent.taken_frames > 0 {
                port.progress_at = self.now;
                if let Some((source, _)) = port.watched {
                    self.poller.note_use(source);
                }
            }
            self.note_changes(index);
            match sent.then {
                None if sent.taken_frames > 0 || rest => {}
                // A port that neither sends nor says why: leave the frames to the next attempt.
                None => return,
                Some(SendFault::TooBig) => self.drop_first(index, DropReason::Mtu),
                Some(SendFault::Lost) => self.drop_first(index, DropReason::Kernel),
                Some(SendFault::BadOffload) => self.drop_first(index, DropReason::BadOffload),
                Some(SendFault::NoPeer) => self.drop_queue(index, DropReason::NoPeer),
                Some(SendFault::Gone(why)) => {
                    self.drop_queue(index, DropReason::NoPeer);
                    self.port_gone(index, &why);
                    return;
                }
                Some(SendFault::Full { retry_after }) => {
                    self.block(index, retry_after);
                    return;
                }
            }
        }
    }

    fn block(&mut self, index: PortIndex, retry_after: Option<Duration>) {
        let now = self.now;
        let Some(port) = port_of(&mut self.members, index) else { return };
        port.queue.stand_alone(&mut self.pool);
        // Who is stalled behind a trunk, the loop there says: it goes on reading the trunk then.
        if !port.blocked || port.settings.policy.trunk {
            port.progress_at = now;
        }
        port.blocked = true;
        port.retry_at = retry_after.map_or(Nanos::NEVER, |after| now + after);
        let due = port.due().min(now + QUEUE_AGE_MAX);
        self.due_at(due);
        self.touch(index);
        self.offer_room(index);
    }

    fn unblock(&mut self, index: PortIndex) {
        let Some(port) = self.port_mut(index) else { return };
        if port.blocked {
            port.blocked = false;
            port.retry_at = Nanos::NEVER;
            self.touch(index);
        }
        self.offer_room(index);
    }

    fn drop_first(&mut self, index: PortIndex, reason: DropReason) {
        let Some(port) = port_of(&mut self.members, index) else { return };
        if let Some(frame) = port.queue.pop() {
            port.counters.egress.dropped.count(reason);
            let passage = Passage::dropped_out(reason, 1);
            self.taps.show(index, &frame, passage, &self.pool, self.now);
            self.pool.release(frame);
        }
    }

    pub(super) fn drop_queue(&mut self, index: PortIndex, reason: DropReason) {
        while self.port_mut(index).is_some_and(|port| !port.queue.is_empty()) {
            self.drop_first(index, reason);
        }
        self.unblock(index);
    }

    /// Lets the senders that wait for this port go on, if there is room enough.
    pub(super) fn offer_room(&mut self, index: PortIndex) {
        let Some(port) = self.port_mut(index) else { return };
        if !port.waiters.is_empty() && port.queue.is_short() {
            self.free(index);
        }
    }

    pub(super) fn free(&mut self, index: PortIndex) {
        if let Some(port) = self.port_mut(index)
            && !port.in_freed
        {
            port.in_freed = true;
            self.freed.push_back(index);
        }
    }

    /// Lets the senders go on that wait for a target with room, each with what it held, in the
    /// order in which they came, until the target is full again.
    pub(super) fn resume_waiters(&mut self) {
        while let Some(waiter) = self.abandoned.pop_front() {
            self.resume(waiter);
        }
        for _ in 0..self.freed.len() {
            let Some(target) = self.freed.pop_front() else { return };
            let Some(port) = self.port_mut(target) else { continue };
            port.in_freed = false;
            for _ in 0..port.waiters.len() {
                let Some(waiter) = self.port_mut(target).and_then(|port| port.waiters.pop_front())
                else {
                    break;
                };
                self.resume(waiter);
            }
        }
    }

    /// Decides on what a port held, and reads it again when nothing had to wait.
    fn resume(&mut self, index: PortIndex) {
        let Some(port) = port_of(&mut self.members, index) else { return };
        port.waiting_on = None;
        debug_assert!(self.inbox.frames.is_empty(), "an inbox is dispatched before the next");
        std::mem::swap(&mut port.hold, &mut self.inbox.frames);
        self.dispatch(index);
        self.flush_dirty();
        if self.port_mut(index).is_some_and(|port| !port.is_paused()) {
            self.touch(index);
            self.read_soon(index);
        }
    }

    /// Drops a frame that came in.
    pub(super) fn drop_incoming(&mut self, index: PortIndex, frame: Frame, reason: DropReason) {
        self.decided(index, &frame, Passage::dropped_in(reason), |ingress| {
            ingress.dropped.count(reason);
        });
        self.pool.release(frame);
    }

    /// Counts a frame that came in, now that it was decided on; `count` says what was decided.
    #[inline]
    fn decided(
        &mut self,
        index: PortIndex,
        frame: &Frame,
        passage: Passage,
        count: impl FnOnce(&mut Ingress),
    ) {
        if let Some(port) = self.port_mut(index) {
            let ingress = &mut port.counters.ingress;
            ingress.received_frames += 1;
            ingress.received_bytes += frame.len_bytes() as u64;
            count(ingress);
            self.taps.show(index, frame, passage, &self.pool, self.now);
        }
    }

    /// Counts what one call brought, before any of it is decided on.
    fn count_batch(&mut self, index: PortIndex) {
        let rejected_frames = self.inbox.rejected.total();
        let frames = self.inbox.frames.len() + usize::try_from(rejected_frames).unwrap_or(0);
        if let Some(port) = self.port_mut(index) {
            port.counters.ingress.count_batch(frames);
        }
        if rejected_frames > 0 {
            self.count_rejected(index);
        }
    }

    /// Counts what the port itself could not pass on.
    fn count_rejected(&mut self, index: PortIndex) {
        let rejected = std::mem::take(&mut self.inbox.rejected);
        let bytes = std::mem::take(&mut self.inbox.rejected_bytes);
        let Some(port) = port_of(&mut self.members, index) else { return };
        let ingress = &mut port.counters.ingress;
        ingress.received_frames += rejected.total();
        ingress.received_bytes += bytes;
        for (reason, frames) in rejected.iter() {
            ingress.dropped.add(reason, frames);
            self.taps.reject(index, reason, frames);
        }
    }
}

impl PortState {
    /// Queues a frame that was admitted.
    #[inline]
    pub(super) fn enqueue(&mut self, frame: Frame, now: Nanos, pool: &mut Pool) {
        // It may wait for long, and is to keep no buffer in which others stand.
        let frame = if self.blocked { pool.alone(frame) } else { frame };
        self.queue.push(frame, now, pool);
    }
}
