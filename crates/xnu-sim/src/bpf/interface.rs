//! What a device does to its interface, and what it asks of it.

use super::device::Link;
use crate::machine::Machine;
use crate::net::IfId;

impl Machine {
    pub(super) fn link_of(&self, interface: IfId) -> Link {
        if self.net.name(interface).starts_with("lo") { Link::Null } else { Link::Ethernet }
    }

    /// Whether IPv4 is attached, by which frames go whose header is to be completed.
    pub(super) fn bpf_has_inet(&self, interface: IfId) -> bool {
        const PF_INET: u32 = 2;
        self.net.has_protocol(interface, PF_INET)
    }

    pub(super) fn bpf_input_is_disabled(&self, interface: IfId) -> bool {
        self.net.is_input_disabled(interface)
    }

    pub(super) fn bpf_disable_input(&mut self, interface: IfId, is_disabled: bool) {
        self.net.set_input_disabled(interface, is_disabled);
    }

    pub(super) fn bpf_be_promiscuous(&mut self, interface: IfId, is_on: bool) {
        self.set_promiscuous(interface, is_on);
    }
}
