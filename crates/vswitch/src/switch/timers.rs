//! What is due, and when.
//!
//! Each port knows its own times; the loop knows one, before which nothing is due. It may be early
//! (a time that was put off), never late.

use std::time::Duration;

use super::{Member, PortState, Switch};
use crate::capture::Passage;
use crate::counters::DropReason;
use crate::fabric::PortIndex;
use crate::poller::{Interest, Poller};
use crate::queue::QUEUE_AGE_MAX;
use crate::time::Nanos;

/// A full target that took no frame for longer is stalled: nobody waits for it (architecture §4).
pub const STALL_AFTER: Duration = Duration::from_millis(2);

/// Unless it did not stall lately: then it is waited for so long, since nothing tells a reader that
/// is gone from one that has no processor for a moment. A scheduler's slices are 3 to 4 ms
/// (`base_slice_ns` of Linux, rounded up to its tick), and on a busy machine several of others come
/// first.
pub const PATIENCE: Duration = Duration::from_millis(25);

/// A target that used up the patience is not given it again for so long. So a target that takes
/// nothing costs its senders that much of their time at most, beyond what [`STALL_AFTER`] does; one
/// that takes a frame now and then, within the patience, is waited for as any slow reader is.
pub const PATIENCE_EVERY: Duration = Duration::from_secs(1);

/// How often at most a blocked port is tried of which the poller says nothing, and which named no
/// time itself. A unix socket tells of room (EPOLLOUT) only when three quarters of its buffer are
/// free (`unix_writable` in net/unix/af_unix.c): a reader may need far longer than [`STALL_AFTER`]
/// for those, and is reading.
const TRY_EVERY: Duration = Duration::from_millis(1);

/// How often aged addresses give back their places.
pub(super) const EXPIRE_EVERY: Duration = Duration::from_secs(30);

impl<P: Poller> Switch<P> {
    /// Something is due at `time`.
    pub(super) fn due_at(&mut self, time: Nanos) {
        self.next_due = self.next_due.min(time);
    }

    /// Does all that is due now, and finds the next time.
    pub(super) fn run_timers(&mut self) {
        let now = self.now;
        if now >= self.expire_at {
            self.expire_at = now + EXPIRE_EVERY;
            for network in &mut self.networks {
                network.fabric.expire(now);
            }
        }
        self.next_due = self.expire_at;
        for place in 0..self.members.len() {
            let index = PortIndex(u16::try_from(place).unwrap_or(u16::MAX));
            match self.member(index) {
                Member::None => {}
                Member::Port(port) => {
                    let due = port.due();
                    if due > now { self.due_at(due) } else { self.run_port_timers(index) }
                }
                Member::Listener(_) => self.run_listener_timer(index),
            }
        }
    }

    fn run_listener_timer(&mut self, index: PortIndex) {
        let (now, token) = (self.now, self.token(index));
        let Some(state) = self.listener_mut(index) else { return };
        if now >= state.accept_again_at {
            state.accept_again_at = Nanos::NEVER;
            let source = state.listener.source();
            let interest = Interest { readable: true, writable: false };
            if let Err(error) = self.poller.modify(source, token, interest) {
                tracing::error!(%error, "a listener cannot be watched any more");
            }
            return;
        }
        let again_at = state.accept_again_at;
        self.due_at(again_at);
    }

    fn run_port_timers(&mut self, index: PortIndex) {
        let now = self.now;
        let Some(port) = self.port_mut(index) else { return };
        if !port.gone && now >= port.upkeep_at {
            match port.port.upkeep(now) {
                Ok(next) => port.upkeep_at = next.max(Nanos(now.0.saturating_add(1))),
                Err(why) => {
                    self.drop_queue(index, DropReason::NoPeer);
                    self.port_gone(index, &why);
                    return;
                }
            }
            let blocked = port.blocked;
            self.note_changes(index);
            if blocked {
                // There may be another peer now: what the old one was full of says nothing of it.
                self.flush(index);
            }
        }
        let Some(port) = self.port_mut(index) else { return };
        if now >= port.read_again_at {
            port.read_again_at = Nanos::NEVER;
            self.read_soon(index);
        }
        let Some(port) = self.port_mut(index) else { return };
        if now >= port.retry_at {
            port.retry_at = Nanos::NEVER;
            self.flush(index);
        }
        let Some(port) = self.port_mut(index) else { return };
        if port.is_in_doubt(now) && port.may_try(now) {
            self.flush(index);
        }
        self.drop_aged(index);
        let Some(port) = self.port_mut(index) else { return };
        if port.is_stalled(now) && !port.waiters.is_empty() {
            port.note_stall(now);
            self.free(index);
        }
        let Some(port) = self.port_mut(index) else { return };
        let due = port.due();
        self.due_at(due);
    }

    /// Does what a port does for itself from time to time, now.
    pub(super) fn look_after(&mut self, index: PortIndex) {
        let now = self.now;
        if let Some(port) = self.port_mut(index) {
            port.upkeep_at = now;
            self.run_port_timers(index);
        }
    }

    fn drop_aged(&mut self, index: PortIndex) {
        let now = self.now;
        loop {
            let Some(port) = super::port_of(&mut self.members, index) else { return };
            if port.queue.oldest().is_none_or(|since| now.since(since) < QUEUE_AGE_MAX) {
                return;
            }
            let Some(frame) = port.queue.pop() else { return };
            port.counters.egress.dropped.count(DropReason::Aged);
            let passage = Passage::dropped_out(DropReason::Aged, 1);
            self.taps.show(index, &frame, passage, &self.pool, now);
            self.pool.release(frame);
            self.offer_room(index);
        }
    }
}

impl PortState {
    /// Full, and silent for too long.
    pub(super) fn is_stalled(&self, now: Nanos) -> bool {
        self.blocked && now >= self.stalled_at()
    }

    /// When it is stalled, if it takes nothing until then.
    fn stalled_at(&self) -> Nanos {
        let soon = Nanos((self.progress_at + STALL_AFTER).0 + 1);
        let late = Nanos((self.progress_at + PATIENCE).0 + 1);
        if soon < self.patient_at { soon } else { late }
    }

    /// It was held for stalled now.
    pub(super) fn note_stall(&mut self, now: Nanos) {
        if now.since(self.progress_at) > PATIENCE {
            self.patient_at = now + PATIENCE_EVERY;
        }
    }

    /// Whether it would now cost frames to hold the port for full.
    fn is_in_doubt(&self, now: Nanos) -> bool {
        let aged = self.queue.oldest().is_some_and(|since| now.since(since) >= QUEUE_AGE_MAX);
        self.blocked && (aged || self.is_stalled(now) && !self.waiters.is_empty())
    }

    /// Whether the last attempt to send is so long ago that another may find more room.
    pub(super) fn may_try(&self, now: Nanos) -> bool {
        now.since(self.tried_at) >= TRY_EVERY
    }

    /// When this port next needs the loop.
    pub(super) fn due(&self) -> Nanos {
        if self.gone {
            return Nanos::NEVER;
        }
        let mut due = self.upkeep_at.min(self.retry_at).min(self.read_again_at);
        if self.blocked {
            if let Some(since) = self.queue.oldest() {
                due = due.min(since + QUEUE_AGE_MAX);
            }
            if !self.waiters.is_empty() {
                due = due.min(self.stalled_at());
            }
        }
        due
    }
}
