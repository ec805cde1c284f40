//! What tests do to a machine from outside: the host's stack, an operator at the keyboard.

use super::IfId;
use super::interface::{Frame, flags};
use crate::errno::{ENOENT, ENXIO, Result};
use crate::machine::Machine;
use crate::sim_kernel::SimKernel;

impl SimKernel {
    /// Does something to the machine from outside; threads that wait look again.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> T {
        let done = act(&mut self.machine());
        self.shared.tell_threads();
        done
    }

    /// The frames that reached the host's own stack from an interface since this was asked last,
    /// oldest first (at most the last 4,096): those for its address and for groups. Empty when
    /// there is no such interface.
    #[must_use]
    pub fn host_received(&self, interface: &str) -> Vec<Vec<u8>> {
        let mut machine = self.machine();
        match machine.net.find(interface) {
            Some(id) => machine.net[id].host_received.drain(..).collect(),
            None => Vec::new(),
        }
    }

    /// The host's own stack sends a frame, whole, by an interface.
    ///
    /// # Errors
    /// `ENXIO`: there is no such interface. What its queue says else.
    pub fn host_send(&self, interface: &str, frame: &[u8]) -> Result<()> {
        self.act(|machine| {
            let id = machine.net.find(interface).ok_or(ENXIO)?;
            machine.transmit(id, Frame::new(frame.to_vec()))
        })
    }

    /// Gives an interface an IPv4 address, which brings it up, as `ifconfig` does.
    ///
    /// # Errors
    /// `ENXIO`: there is no such interface.
    pub fn add_address(&self, interface: &str, address: [u8; 4], netmask: [u8; 4]) -> Result<()> {
        self.act(|machine| {
            let id = machine.net.find(interface).ok_or(ENXIO)?;
            machine.add_inet_address(id, address, netmask);
            Ok(())
        })
    }

    /// The names of all interfaces, in the order in which they came.
    #[must_use]
    pub fn interfaces(&self) -> Vec<String> {
        let machine = self.machine();
        machine.net.listed().into_iter().map(|id| machine.net.name(id)).collect()
    }

    /// An operator destroys an interface: `ifconfig feth7 destroy`.
    ///
    /// # Errors
    /// `ENXIO`: there is none. `EOPNOTSUPP`: it is not one that was created.
    pub fn destroy_interface(&self, interface: &str) -> Result<()> {
        self.act(|machine| machine.clone_destroy(interface))
    }

    /// An operator takes a member from its bridge: `ifconfig bridge0 deletem feth7`.
    ///
    /// # Errors
    /// `ENXIO`: there is no such bridge. `ENOENT`: it has no such member.
    pub fn remove_member(&self, bridge: &str, member: &str) -> Result<()> {
        self.act(|machine| {
            let id = machine.net.find(bridge).ok_or(ENXIO)?;
            let member = machine.net.find(member).ok_or(ENOENT)?;
            if machine.net[member].member_of != Some(id) {
                return Err(ENOENT);
            }
            machine.bridge_delete_member(id, member);
            Ok(())
        })
    }

    /// An operator brings an interface up or down: `ifconfig feth7 down`.
    ///
    /// # Errors
    /// `ENXIO`: there is none.
    pub fn set_interface_up(&self, interface: &str, is_up: bool) -> Result<()> {
        self.act(|machine| {
            let id = machine.net.find(interface).ok_or(ENXIO)?;
            let others = machine.net[id].flags & !flags::UP;
            machine.ioctl_set_flags(id, others | if is_up { flags::UP } else { 0 });
            Ok(())
        })
    }

    /// The members of a bridge.
    #[must_use]
    pub fn members(&self, bridge: &str) -> Vec<String> {
        let machine = self.machine();
        let name = |id: IfId| machine.net.name(id);
        let found = machine.net.find(bridge).and_then(|id| machine.net[id].bridge());
        found.map_or_else(Vec::new, |bridge| bridge.members.iter().map(|of| name(of.id)).collect())
    }

    /// Frames that an interface lost: in its queues, or for want of a peer. 0 when there is none.
    #[must_use]
    pub fn interface_drops(&self, interface: &str) -> u64 {
        let machine = self.machine();
        machine.net.find(interface).map_or(0, |id| machine.net[id].traffic.dropped)
    }
}
