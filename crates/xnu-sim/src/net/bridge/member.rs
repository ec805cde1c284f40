//! How members come and go (`bridge_ioctl_add`, `bridge_delete_member`; contract §3, C11).

use super::member_flag::{DISCOVER, LEARNING, MAC_NAT};
use super::{IFT_BRIDGE, Member};
use crate::copyio::Raw;
use crate::errno::{EBUSY, EEXIST, EINVAL, ENOENT, Result};
use crate::machine::Machine;
use crate::net::IfId;
use crate::net::ether::SUBFAMILY_WIFI;
use crate::net::interface::{Driver, capability};

/// `IFT_ETHER`, `IFT_L2VLAN`, `IFT_IEEE8023ADLAG`: what can be a member.
const MEMBER_KINDS: [u8; 3] = [6, 0x87, 0x88];

/// `PF_BRIDGE`: the dummy protocol of a member.
const PF_BRIDGE: u32 = 0x6272_6467;

impl Machine {
    /// `BRDGADD`, its checks in XNU's order.
    pub(super) fn bridge_add(&mut self, id: IfId, request: &[u8]) -> Result<()> {
        let new = self.net.find(&request.text_at(0, 15)).ok_or(ENOENT)?;
        let bridge = self.bridge(id);
        let interface = &self.net[new];
        if bridge.spans.contains(&new) {
            return Err(EBUSY);
        }
        match interface.member_of {
            Some(other) if other == id => return Err(EEXIST),
            Some(_) => return Err(EBUSY),
            None => {}
        }
        if !MEMBER_KINDS.contains(&interface.kind) {
            return Err(EINVAL);
        }
        if !bridge.members.is_empty() && self.net[id].mtu != interface.mtu {
            return Err(EINVAL);
        }
        let is_wifi = interface.driver_name == "en" && interface.subfamily == SUBFAMILY_WIFI;
        if is_wifi && bridge.mac_nat.is_some() {
            return Err(EBUSY);
        }
        self.bridge_add_member(id, new, is_wifi);
        Ok(())
    }

    fn bridge_add_member(&mut self, id: IfId, new: IfId, is_wifi: bool) {
        let is_first = self.bridge(id).members.is_empty();
        if is_wifi {
            self.bridge_mut(id).mac_nat = Some(new);
        }
        if is_first {
            // Nobody is told of this MTU.
            self.net[id].mtu = self.net[new].mtu;
        }
        let inherits = self.sysctls.get("net.link.bridge.inherit_mac") != 0
            && is_first
            && self.net[id].mac == Some(self.bridge(id).default_mac);
        self.net[new].member_of = Some(id);
        self.set_promiscuous(new, true);
        if is_wifi {
            self.set_all_multicast(new, true);
        }
        self.attach_protocol(new, PF_BRIDGE);
        if inherits && let Some(mac) = self.net[new].mac {
            self.bridge_mut(id).mac_from = Some(new);
            self.set_mac(id, mac);
        }
        let lro_was_on = self.net[new].capabilities_enabled & capability::LRO != 0;
        if lro_was_on {
            self.set_lro(new, false);
        }
        let member = Member {
            id: new,
            flags: LEARNING | DISCOVER | if is_wifi { MAC_NAT } else { 0 },
            is_media_active: self.is_media_active(new),
            has_broadcast_input: self.uses_broadcasts(new),
            is_wifi,
            lro_was_on,
            address_max: 0,
            address_exceeded: 0,
            host_filter: None,
        };
        self.bridge_mut(id).members.push(member);
        if is_wifi {
            self.mac_nat_populate(id, new);
        }
        self.bridge_update_link(id);
        self.bridge_set_tso(id);
    }

    /// `BRDGDEL`.
    pub(super) fn bridge_del(&mut self, id: IfId, request: &[u8]) -> Result<()> {
        let member = self.bridge_member_named(id, request)?;
        self.bridge_delete_member(id, member);
        Ok(())
    }

    /// The member that a request names; no member is `ENOENT`. The name is compared as it is.
    pub(super) fn bridge_member_named(&self, id: IfId, request: &[u8]) -> Result<IfId> {
        let name = request.text_at(0, 15);
        let is_it = |member: &&Member| self.net[member.id].name == name;
        self.bridge(id).members.iter().find(is_it).map(|member| member.id).ok_or(ENOENT)
    }

    /// `bridge_delete_member`: also when the member itself goes, which then is not touched.
    pub(in crate::net) fn bridge_delete_member(&mut self, id: IfId, gone: IfId) {
        let bridge = self.bridge_mut(id);
        let Some(at) = bridge.members.iter().position(|member| member.id == gone) else { return };
        let member = bridge.members.remove(at);
        self.mac_nat_member_gone(id, gone);
        let inherited = self.bridge(id).mac_from == Some(gone);
        let next_mac = if inherited { Some(self.bridge_next_mac(id)) } else { None };
        self.bridge_set_tso(id);
        self.bridge_mut(id).table.delete_member(gone);
        if self.net[gone].is_attached() {
            self.set_promiscuous(gone, false);
            if member.is_wifi {
                self.set_all_multicast(gone, false);
            }
            self.detach_protocol(gone, PF_BRIDGE);
            if member.lro_was_on {
                self.set_lro(gone, true);
            }
        }
        if let Some(mac) = next_mac {
            self.set_mac(id, mac);
        }
        self.bridge_update_link(id);
        self.net[gone].member_of = None;
    }

    /// The address that a bridge takes when the member that gave it its own has gone.
    fn bridge_next_mac(&mut self, id: IfId) -> super::Mac {
        let first = self.bridge(id).members.first().map(|member| member.id);
        let mac = first.and_then(|first| self.net[first].mac);
        let bridge = self.bridge_mut(id);
        bridge.mac_from = first.filter(|_| mac.is_some());
        mac.unwrap_or(bridge.default_mac)
    }

    /// `bridge_iff_detached`: a member or a span port goes, late in its detaching (C11).
    pub(in crate::net) fn bridge_member_vanished(&mut self, gone: IfId) {
        if let Some(id) = self.net[gone].member_of {
            self.bridge_delete_member(id, gone);
            return;
        }
        for id in self.net.listed() {
            if self.net[id].kind == IFT_BRIDGE {
                self.bridge_mut(id).spans.retain(|span| *span != gone);
            }
        }
    }

    /// `bridge_iflinkevent`: the bridge looks at a member's media when its link changes, and only
    /// then (C10).
    pub(crate) fn bridge_link_changed(&mut self, member: IfId) {
        let Some(id) = self.net[member].member_of else { return };
        let is_active = self.is_media_active(member);
        let Some(of) = self.bridge_mut(id).member_mut(member) else { return };
        of.is_media_active = is_active;
        self.mac_nat_flush(id, member);
        self.bridge_update_link(id);
    }

    /// `bridge_proto_attach_changed`.
    pub(in crate::net) fn bridge_protocols_changed(&mut self, member: IfId) {
        let Some(id) = self.net[member].member_of else { return };
        let uses = self.uses_broadcasts(member);
        if let Some(of) = self.bridge_mut(id).member_mut(member) {
            of.has_broadcast_input = uses;
        }
    }

    /// The bridge's own dummy protocol is one; a second one means that the host uses the interface
    /// (`interface_needs_input_broadcast`).
    fn uses_broadcasts(&self, member: IfId) -> bool {
        self.net[member].protocols.len() >= 2
    }

    /// `BRDGADDS`: a span port.
    pub(super) fn bridge_add_span(&mut self, id: IfId, request: &[u8]) -> Result<()> {
        let new = self.net.find(&request.text_at(0, 15)).ok_or(ENOENT)?;
        let interface = &self.net[new];
        if self.bridge(id).spans.contains(&new) || interface.member_of.is_some() {
            return Err(EBUSY);
        }
        if !MEMBER_KINDS.contains(&interface.kind) || matches!(interface.driver, Driver::None) {
            return Err(EINVAL);
        }
        self.bridge_mut(id).spans.insert(0, new);
        Ok(())
    }

    /// `BRDGDELS`.
    pub(super) fn bridge_delete_span(&mut self, id: IfId, request: &[u8]) -> Result<()> {
        let span = self.net.find(&request.text_at(0, 15)).ok_or(ENOENT)?;
        let spans = &mut self.bridge_mut(id).spans;
        let at = spans.iter().position(|known| *known == span).ok_or(ENOENT)?;
        spans.remove(at);
        Ok(())
    }
}
