//! Bridges (`bsd/net/if_bridge.c`; contract §3, corrections C1 to C11, M13 to M20).

mod checksum;
mod filter;
mod input;
mod input_legacy;
mod ioctl;
mod lists;
mod macnat;
mod member;
mod neighbour;
mod output;
mod segments;
mod table;

use super::IfId;
use super::interface::{Mac, capability, flags};
use crate::event_socket::code;
use crate::machine::Machine;
use filter::HostFilter;
use macnat::NatEntry;
use table::Table;

/// `IFT_BRIDGE`.
pub(super) const IFT_BRIDGE: u8 = 0xd1;

/// `IFBIF_*`: a member's flags (contract §3).
pub(super) mod member_flag {
    pub(crate) const LEARNING: u32 = 0x1;
    pub(crate) const DISCOVER: u32 = 0x2;
    pub(crate) const STP: u32 = 0x4;
    pub(crate) const SPAN: u32 = 0x8;
    pub(crate) const STICKY: u32 = 0x10;
    /// `EDGE`, `AUTOEDGE`, `PTP`, `AUTOPTP`, `ADMEDGE`, `ADMCOST`: not kept.
    pub(crate) const STP_STATE: u32 = 0x7e0;
    pub(crate) const PRIVATE: u32 = 0x800;
    pub(crate) const MAC_NAT: u32 = 0x8000;
    pub(crate) const CHECKSUM_OFFLOAD: u32 = 0x1_0000;
    pub(crate) const USES_VIRTIO: u32 = 0x2_0000;
}

/// A bridge.
#[derive(Debug)]
pub(crate) struct Bridge {
    pub(crate) members: Vec<Member>,
    /// Interfaces that get copies.
    pub(crate) spans: Vec<IfId>,
    table: Table,
    /// An address was set at some time; nothing takes this back (C3).
    pub(crate) has_address: bool,
    pub(crate) is_media_active: bool,
    filter_flags: u32,
    default_mac: Mac,
    /// The member whose address the bridge has (`net.link.bridge.inherit_mac`).
    mac_from: Option<IfId>,
    /// The member that does MAC NAT, and whom it knows.
    mac_nat: Option<IfId>,
    nat: Vec<NatEntry>,
    /// `net.link.bridge.txstart` when it was made: it has a queue, and a starter thread.
    pub(crate) is_queued: bool,
    /// Counts the starts of the ageing timer: one that was cancelled does nothing.
    timer: u64,
}

/// A member of a bridge.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: IfId,
    flags: u32,
    /// As of the last link event of the member (C10).
    is_media_active: bool,
    /// The host uses the member for itself: broadcasts of others are handed in there too.
    has_broadcast_input: bool,
    is_wifi: bool,
    lro_was_on: bool,
    address_max: u32,
    address_exceeded: u32,
    host_filter: Option<HostFilter>,
}

impl Member {
    fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }
}

impl Bridge {
    pub(super) fn new(mac: Mac, is_queued: bool) -> Self {
        Self {
            is_queued,
            members: Vec::new(),
            spans: Vec::new(),
            table: Table::default(),
            has_address: false,
            is_media_active: false,
            filter_flags: 0,
            default_mac: mac,
            mac_from: None,
            mac_nat: None,
            nat: Vec::new(),
            timer: 0,
        }
    }

    fn member(&self, id: IfId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    fn member_mut(&mut self, id: IfId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }
}

impl Machine {
    /// The bridge behind an interface that is one.
    ///
    /// # Panics
    /// When it is none: whoever asks has looked.
    fn bridge(&self, id: IfId) -> &Bridge {
        self.net[id].bridge().expect("an interface that is a bridge")
    }

    fn bridge_mut(&mut self, id: IfId) -> &mut Bridge {
        self.net[id].bridge_mut().expect("an interface that is a bridge")
    }

    /// A locally administered address that no other bridge has: from the first card's, else random
    /// (`bridge_clone_create`).
    pub(super) fn bridge_mac(&mut self, unit: u32) -> Mac {
        let [.., last] = unit.to_be_bytes();
        let mut mac = match self.first_card_mac() {
            Some([a, b, c, d, e, f]) => [a, b, c, d.rotate_left(4), e.rotate_left(4) ^ f, last],
            None => self.random_mac(),
        };
        mac[0] = mac[0] & !1 | 2;
        while self
            .net
            .listed()
            .iter()
            .any(|id| self.net[*id].bridge().is_some() && self.net[*id].mac == Some(mac))
        {
            mac = self.random_mac();
        }
        mac
    }

    fn first_card_mac(&self) -> Option<Mac> {
        let is_card = |id: &IfId| self.net[*id].kind == super::ether::IFT_ETHER;
        self.net.listed().into_iter().find(is_card).and_then(|id| self.net[id].mac)
    }

    fn random_mac(&mut self) -> Mac {
        let [a, b, c, d, e, f, ..] = self.rng.next_u64().to_le_bytes();
        [a & !1 | 2, b, c, d, e, f]
    }

    /// What a bridge can offload: all, but for TSO, which every member must have (contract §3).
    pub(super) fn bridge_set_offload(&mut self, id: IfId) {
        self.net[id].capabilities = capability::CHECKSUM;
        self.net[id].capabilities_enabled = capability::CHECKSUM;
        self.post_interface_event(id, code::IFCAP_CHANGED);
        self.bridge_set_tso(id);
    }

    /// `bridge_set_tso`.
    fn bridge_set_tso(&mut self, id: IfId) {
        let members = &self.bridge(id).members;
        let all_have = capability::TSO
            & members.iter().fold(u32::MAX, |all, member| all & self.net[member.id].capabilities);
        let capabilities = self.net[id].capabilities & !capability::TSO | all_have;
        if capabilities != self.net[id].capabilities {
            self.net[id].capabilities = capabilities;
            self.net[id].capabilities_enabled = capabilities;
            self.post_interface_event(id, code::IFCAP_CHANGED);
        }
    }

    /// `SIOCSIFFLAGS` of a bridge: up starts it, down stops it.
    pub(super) fn bridge_flags_changed(&mut self, id: IfId) {
        match (self.net[id].has(flags::UP), self.net[id].has(flags::RUNNING)) {
            (true, false) => {
                self.set_flags(id, flags::RUNNING, flags::RUNNING);
                self.bridge_age(id);
            }
            (false, true) => self.bridge_stop(id),
            _ => {}
        }
    }

    /// `bridge_ifstop`: what was learned is forgotten, what was set stays (M14).
    fn bridge_stop(&mut self, id: IfId) {
        if self.net[id].has(flags::RUNNING) {
            let bridge = self.bridge_mut(id);
            bridge.timer += 1;
            bridge.table.flush(false);
            self.set_flags(id, 0, flags::RUNNING);
        }
    }

    /// `bridge_aging_timer`: every 300 s while the bridge runs (M14).
    fn bridge_age(&mut self, id: IfId) {
        const SECOND_NS: u64 = 1_000_000_000;
        let now_s = self.now_s();
        let bridge = self.bridge_mut(id);
        bridge.table.age(now_s);
        bridge.nat.retain(|entry| now_s < entry.expires_s);
        bridge.timer += 1;
        let timer = bridge.timer;
        let born = self.net[id].born;
        let period_s = self.sysctls.get("net.link.bridge.rtable_prune_period");
        self.after(period_s * SECOND_NS, move |machine| {
            let is_same = machine.net[id].born == born
                && machine.net[id].bridge().is_some_and(|bridge| bridge.timer == timer);
            if is_same && machine.net[id].has(flags::RUNNING) {
                machine.bridge_age(id);
            }
        });
    }

    /// `net_uptime`, in whole seconds.
    fn now_s(&self) -> u64 {
        self.now_ns / 1_000_000_000
    }

    /// `bridge_clone_destroy`: it stops, lets its members go, and is taken apart.
    pub(super) fn bridge_destroy(&mut self, id: IfId) {
        self.bridge_stop(id);
        self.set_flags(id, 0, flags::UP);
        while let Some(member) = self.bridge(id).members.first().map(|member| member.id) {
            self.bridge_delete_member(id, member);
        }
        self.bridge_mut(id).spans.clear();
        self.detach(id);
    }

    /// `bridge_updatelinkstatus`: a bridge has link while one of its members has.
    fn bridge_update_link(&mut self, id: IfId) {
        let bridge = self.bridge_mut(id);
        let is_active = bridge.members.iter().any(|member| member.is_media_active);
        if is_active != bridge.is_media_active {
            bridge.is_media_active = is_active;
            self.post_link_event(id, if is_active { code::LINK_ON } else { code::LINK_OFF });
        }
    }
}
