//! Keeps what the poller watches in line with what each port needs.

use std::io;

use super::{PortState, Switch};
use crate::capture::Passage;
use crate::counters::DropReason;
use crate::fabric::PortIndex;
use crate::poller::{Interest, Poller, Source};
use crate::port::Gone;
use crate::time::Nanos;

impl<P: Poller> Switch<P> {
    /// Marks a port whose watch may have to change; done once, at the end of the round.
    pub(super) fn touch(&mut self, index: PortIndex) {
        if let Some(port) = self.port_mut(index)
            && !port.in_touched
        {
            port.in_touched = true;
            self.touched.push(index);
        }
    }

    /// After a call to a port: asks what that changed.
    ///
    /// When it has another descriptor than the one watched, that one is closed, and its number may
    /// be the next descriptor's. It is forgotten before anybody else can have it.
    pub(super) fn note_changes(&mut self, index: PortIndex) {
        let Some(port) = super::port_of(&mut self.members, index) else { return };
        let takes = port.port.takes();
        if port.takes != takes {
            port.takes = takes;
            // They were for somebody who is not there any more.
            let (queue, dropped) = (&mut port.queue, &mut port.counters.egress.dropped);
            queue.drop_untaken(takes, |frame| {
                dropped.count(DropReason::NoPeer);
                let passage = Passage::dropped_out(DropReason::NoPeer, 1);
                self.taps.show(index, &frame, passage, &self.pool, self.now);
                self.pool.release(frame);
            });
        }
        if port.source_changed() {
            let closed = port.watched.take();
            if let Some((closed, _)) = closed {
                self.poller.remove(closed);
            }
            self.touch(index);
        }
    }

    pub(super) fn sync_watches(&mut self) {
        while let Some(index) = self.touched.pop() {
            if let Some(port) = self.port_mut(index) {
                port.in_touched = false;
            }
            if let Err(error) = self.sync_watch(index) {
                self.port_gone(index, &Gone::Os(error));
            }
        }
    }

    pub(super) fn sync_watch(&mut self, index: PortIndex) -> io::Result<()> {
        let token = self.token(index);
        let Some(port) = super::port_of(&mut self.members, index) else { return Ok(()) };
        let wanted = port.wanted_watch();
        if port.watched == wanted {
            return Ok(());
        }
        let before = std::mem::replace(&mut port.watched, wanted);
        match (before, wanted) {
            (Some((old, _)), Some((new, interest))) if old == new => {
                self.poller.modify(new, token, interest)
            }
            (before, wanted) => {
                if let Some((old, _)) = before {
                    self.poller.remove(old);
                }
                wanted.map_or(Ok(()), |(new, interest)| self.poller.add(new, token, interest))
            }
        }
    }
}

impl PortState {
    fn wanted_watch(&self) -> Option<(Source, Interest)> {
        if self.gone {
            return None;
        }
        let readable = !self.is_paused();
        let writable = self.blocked && self.retry_at == Nanos::NEVER;
        // With no interest it is not watched at all: epoll tells of a hang-up even to those who
        // asked for nothing, again and again.
        let source = self.port.source().filter(|_| readable || writable)?;
        Some((source, Interest { readable, writable }))
    }

    /// Whether the port's descriptor is another than the one watched.
    fn source_changed(&self) -> bool {
        self.watched.map(|(source, _)| source) != self.port.source()
    }
}
