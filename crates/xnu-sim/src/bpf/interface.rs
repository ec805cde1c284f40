//! What a device does to its interface, and what it asks of it.

use super::device::Link;
use crate::machine::Machine;
use crate::net::IfId;

impl Machine {
    pub(super) fn link_of(&self, interface: IfId) -> Link {
        if self.net.name(interface).starts_with("lo") { Link::Null } else { Link::Ethernet }
    }

    /// Whether IPv4 is attached, by which frames go whose header is to be completed.
    pub(super) fn bpf_has_inet(&self, _interface: IfId) -> bool {
        false
    }

    pub(super) fn bpf_input_is_disabled(&self, _interface: IfId) -> bool {
        false
    }

    pub(super) fn bpf_disable_input(&mut self, _interface: IfId, _is_disabled: bool) {}

    pub(super) fn bpf_be_promiscuous(&mut self, _interface: IfId, _is_on: bool) {}
}
