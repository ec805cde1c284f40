//! What a device asks of its interface, and does to it.

use super::device::Link;
use crate::errno::{ENXIO, Result};
use crate::machine::Machine;
use crate::net::IfId;

impl Machine {
    /// Only the loopback has another data link.
    pub(super) fn link_of(&self, interface: IfId) -> Link {
        if self.net[interface].mac.is_none() { Link::Null } else { Link::Ethernet }
    }

    /// A frame whose header the writer left incomplete goes by IPv4's way, where the interface's
    /// address becomes its source (`ether_inet_pre_output`, `ether_frameout`).
    ///
    /// # Errors
    /// `ENXIO`: IPv4 is not attached to the interface (C16).
    pub(super) fn complete_header(&self, interface: IfId, frame: &mut [u8]) -> Result<()> {
        if !self.net.has_protocol(interface, PF_INET) {
            return Err(ENXIO);
        }
        if let (Some(mac), Some(source)) = (self.net[interface].mac, frame.get_mut(6..12)) {
            source.copy_from_slice(&mac);
        }
        Ok(())
    }
}

const PF_INET: u32 = 2;
