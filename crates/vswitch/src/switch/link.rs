//! A port's link, taken down and up by a person: as if its cable were pulled.

use super::{Member, Switch, port_of};
use crate::counters::DropReason;
use crate::fabric::PortIndex;
use crate::poller::Poller;

impl<P: Poller> Switch<P> {
    /// Takes a port's link down or up, a listener's with those of all its clients, also of those to
    /// come. While it is down, what comes from the port and what is for it is dropped and counted
    /// ([`DropReason::LinkDown`]), and the addresses learnt behind it are forgotten; by this loop:
    /// others that have them behind a trunk learn them anew or let them age. `false` when there is
    /// no such port.
    pub fn set_link(&mut self, index: PortIndex, is_up: bool) -> bool {
        match self.member(index) {
            Member::None => false,
            Member::Port(_) => {
                self.set_port_link(index, is_up);
                true
            }
            Member::Listener(_) => {
                if let Some(listener) = self.listener_mut(index) {
                    listener.is_link_down = !is_up;
                }
                for client in self.clients_of(index) {
                    self.set_port_link(client, is_up);
                }
                true
            }
        }
    }

    fn set_port_link(&mut self, index: PortIndex, is_up: bool) {
        let Some(port) = port_of(&mut self.members, index) else { return };
        port.is_link_down = !is_up;
        if !is_up {
            self.networks[usize::from(port.settings.network.0)].fabric.forget_port(index);
            self.drop_queue(index, DropReason::LinkDown);
        }
    }

    /// Drops what came in by a port whose link is down.
    pub(super) fn drop_inbox(&mut self, index: PortIndex) {
        while let Some(frame) = self.inbox.frames.pop_front() {
            self.drop_incoming(index, frame, DropReason::LinkDown);
        }
    }
}
