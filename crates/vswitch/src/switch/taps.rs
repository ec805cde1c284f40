//! The taps of captures that are attached, and what they are shown.

use std::time::SystemTime;

use super::{Member, PortState, Switch};
use crate::capture::{Passage, PortNames, Shown, TAPS_MAX, Tap};
use crate::counters::DropReason;
use crate::fabric::PortIndex;
use crate::frame::Frame;
use crate::poller::Poller;
use crate::pool::Pool;
use crate::queue::EgressQueue;
use crate::time::Nanos;

/// A tap that is attached to a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapId(u64);

/// Those attached, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Taps {
    attached: Vec<(TapId, Box<Tap>)>,
    next_id: u64,
}

impl<P: Poller> Switch<P> {
    /// Attaches a tap: from now on it is shown every frame. It is `wall` now, by which the tap
    /// tells the time from here on.
    ///
    /// # Errors
    /// When there are [`TAPS_MAX`] already; the tap comes back.
    pub fn attach_tap(&mut self, mut tap: Box<Tap>, wall: SystemTime) -> Result<TapId, Box<Tap>> {
        if self.taps.attached.len() >= TAPS_MAX {
            return Err(tap);
        }
        tap.set_clock(self.poller.now(), wall);
        for (index, port) in self.ports() {
            tap.add_port(index, &self.names(port), self.now);
        }
        Ok(self.taps.attach(tap))
    }

    /// Has a tap tell its counters, which it does without being asked only at the end.
    pub fn tell_tap_counters(&mut self, id: TapId) {
        let now = self.now;
        if let Some((_, tap)) = self.taps.attached.iter_mut().find(|(of, _)| *of == id) {
            tap.tell_counters(now);
        }
    }

    /// Detaches a tap: what it has told can still be read, and nothing comes after that. Its memory
    /// goes with it, which is better done by somebody else than the switch's thread.
    pub fn detach_tap(&mut self, id: TapId) -> Option<Box<Tap>> {
        let place = self.taps.attached.iter().position(|(of, _)| *of == id)?;
        let (_, mut tap) = self.taps.attached.remove(place);
        tap.end(self.now);
        Some(tap)
    }

    /// Tells the taps of a port that has come.
    pub(super) fn show_port(&mut self, index: PortIndex) {
        // Out of the way, so that the port can be looked at.
        let mut taps = std::mem::take(&mut self.taps.attached);
        if let Member::Port(port) = self.member(index) {
            for (_, tap) in &mut taps {
                tap.add_port(index, &self.names(port), self.now);
            }
        }
        self.taps.attached = taps;
    }

    fn names<'a>(&'a self, port: &'a PortState) -> PortNames<'a> {
        PortNames {
            network: &self.networks[usize::from(port.settings.network.0)].name,
            name: &port.settings.name,
            listener: port.listener.and_then(|index| self.listener_name(index)),
            is_trunk: port.settings.policy.trunk,
        }
    }
}

impl Taps {
    fn attach(&mut self, tap: Box<Tap>) -> TapId {
        let id = TapId(self.next_id);
        self.next_id += 1;
        self.attached.push((id, tap));
        id
    }

    /// Whether frames are to be shown.
    #[inline]
    pub(super) fn is_capturing(&self) -> bool {
        !self.attached.is_empty()
    }

    /// Shows a frame at a port. All that this costs while nobody captures is the look whether
    /// somebody does.
    #[inline]
    pub(super) fn show(
        &mut self,
        port: PortIndex,
        frame: &Frame,
        passage: Passage,
        pool: &Pool,
        now: Nanos,
    ) {
        if self.is_capturing() {
            // A copy, made here alone: that others had a reference would keep it out of registers.
            self.show_all(port, Frame { ..*frame }, passage, pool, now);
        }
    }

    /// Shows the first frames of a port's queue, which it has taken: once looked for all of them.
    #[inline]
    pub(super) fn show_first(
        &mut self,
        port: PortIndex,
        queue: &EgressQueue,
        frames: usize,
        pool: &Pool,
        now: Nanos,
    ) {
        if self.is_capturing() {
            for place in 0..frames.min(queue.len()) {
                self.show(port, queue.frame(place), Passage::OUT, pool, now);
            }
        }
    }

    #[cold]
    #[allow(clippy::needless_pass_by_value, reason = "a copy of the caller's, who releases it")]
    fn show_all(
        &mut self,
        port: PortIndex,
        frame: Frame,
        passage: Passage,
        pool: &Pool,
        now: Nanos,
    ) {
        let shown = Shown { port, passage, offload: &frame.offload, bytes: pool.bytes(&frame) };
        for (_, tap) in &mut self.attached {
            tap.show(&shown, now);
        }
    }

    /// Tells of frames that a port could not receive.
    pub(super) fn reject(&mut self, port: PortIndex, why: DropReason, frames: u64) {
        for (_, tap) in &mut self.attached {
            tap.reject(port, why, frames);
        }
    }

    /// Tells of a port that has gone.
    pub(super) fn remove_port(&mut self, port: PortIndex, now: Nanos) {
        for (_, tap) in &mut self.attached {
            tap.remove_port(port, now);
        }
    }
}
