//! MAC NAT: by a Wi-Fi card only its own address goes out, so a bridge puts that in place of others
//! and finds by IP address whom an answer is for (`bridge_mac_nat_*`; contract §3).

use crate::copyio::{CallerMemory, Raw, RawMut};
use crate::errno::Result;
use crate::machine::Machine;
use crate::net::IfId;
use crate::net::interface::{Frame, Mac};

/// `BRIDGE_MAC_NAT_ENTRY_MAX`.
const ENTRIES_MAX: usize = 64;

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// What comes after the Ethernet header, and within: an ARP's sender and target, an IP header's
/// source and destination.
const PACKET_AT: usize = 14;
const ARP_BYTES: usize = 28;
const ARP_SENDER_MAC_AT: usize = PACKET_AT + 8;
const ARP_SENDER_AT: usize = PACKET_AT + 14;
const ARP_TARGET_MAC_AT: usize = PACKET_AT + 18;
const ARP_TARGET_AT: usize = PACKET_AT + 24;
const ARP_REPLY: u16 = 2;

/// Who has an IP address behind the bridge.
#[derive(Clone, Debug)]
pub(super) struct NatEntry {
    pub(super) member: IfId,
    pub(super) mac: Mac,
    /// 4 or 16 bytes.
    pub(super) address: Vec<u8>,
    pub(super) expires_s: u64,
}

impl Machine {
    /// `bridge_mac_nat_enable`.
    pub(super) fn mac_nat_enable(&mut self, id: IfId, member: IfId) {
        self.bridge_mut(id).mac_nat = Some(member);
        self.mac_nat_populate(id, member);
    }

    /// The card's own addresses are known from the start.
    pub(super) fn mac_nat_populate(&mut self, id: IfId, member: IfId) {
        let Some(mac) = self.net[member].mac else { return };
        for of in self.net[member].addresses.clone() {
            let address = match of.address.u8_at(1) {
                2 => of.address[4..8].to_vec(),
                _ => of.address[8..24].to_vec(),
            };
            self.mac_nat_learn(id, member, address, mac);
        }
    }

    pub(super) fn mac_nat_disable(&mut self, id: IfId) {
        let bridge = self.bridge_mut(id);
        bridge.nat.clear();
        bridge.mac_nat = None;
    }

    /// A member goes; with the card that does MAC NAT, MAC NAT goes.
    pub(super) fn mac_nat_member_gone(&mut self, id: IfId, gone: IfId) {
        if self.bridge(id).mac_nat == Some(gone) {
            self.mac_nat_disable(id);
        } else {
            self.bridge_mut(id).nat.retain(|entry| entry.member != gone);
        }
    }

    /// A member's link changed: what was known behind it is forgotten, and with the card's, all.
    pub(super) fn mac_nat_flush(&mut self, id: IfId, member: IfId) {
        let bridge = self.bridge_mut(id);
        let all = bridge.mac_nat == Some(member);
        bridge.nat.retain(|entry| !all && entry.member != member);
    }

    /// `bridge_update_mac_nat_entry`: the card's own addresses stay its own.
    fn mac_nat_learn(&mut self, id: IfId, member: IfId, address: Vec<u8>, mac: Mac) {
        let now_s = self.now_s();
        let bridge = self.bridge_mut(id);
        let expires_s = now_s + u64::from(bridge.table.timeout_s);
        let card = bridge.mac_nat;
        if let Some(entry) = bridge.nat.iter_mut().find(|entry| entry.address == address) {
            entry.expires_s = expires_s;
            if Some(entry.member) != card && entry.member != member {
                entry.member = member;
                entry.mac = mac;
            }
        } else if bridge.nat.len() < ENTRIES_MAX {
            bridge.nat.insert(0, NatEntry { member, mac, address, expires_s });
        }
    }

    /// A frame that the card's own side sends: its IP address is noted.
    pub(super) fn mac_nat_note_own(&mut self, id: IfId, member: IfId, frame: &Frame) {
        if let Some((address, mac)) = sender(frame) {
            self.mac_nat_learn(id, member, address, mac);
        }
    }

    /// A frame goes from a member to another; out by the card it gets the card's address, in the
    /// header and where ARP, neighbour discovery and DHCP speak of it.
    pub(super) fn mac_nat_translate(
        &mut self,
        id: IfId,
        from: IfId,
        to: IfId,
        mut frame: Frame,
    ) -> Frame {
        if self.bridge(id).mac_nat != Some(to) || from == to {
            return frame;
        }
        let Some(own) = self.net[to].mac else { return frame };
        if let Some((address, mac)) = sender(&frame) {
            self.mac_nat_learn(id, from, address, mac);
        }
        match frame.ethertype() {
            ETHERTYPE_ARP if is_arp(&frame) && frame.bytes[ARP_SENDER_AT..][..4] != [0; 4] => {
                frame.bytes.put(ARP_SENDER_MAC_AT, &own);
            }
            ETHERTYPE_IPV4 => ask_for_broadcast(&mut frame.bytes),
            ETHERTYPE_IPV6 => super::neighbour::replace_link_address(&mut frame.bytes, own),
            // Others go as they are, and a card's network does not take them.
            _ => return frame,
        }
        frame.bytes.put(6, &own);
        frame
    }

    /// A frame came in by the card, for the card's address: it is for whoever has the IP address in
    /// it. What is left is for the card itself.
    pub(super) fn mac_nat_input(&mut self, id: IfId, member: IfId, frame: Frame) -> Option<Frame> {
        if self.bridge(id).mac_nat != Some(member) {
            return Some(frame);
        }
        if is_ip_broadcast(&frame) {
            // For all, although its Ethernet address is the card's.
            let mut copy = frame.clone();
            copy.bytes.put(0, &[0xff; 6]);
            self.bridge_broadcast(id, Some(member), &copy);
        }
        let mut frame = frame;
        let Some(address) = receiver(&frame) else { return Some(frame) };
        let known = self.bridge(id).nat.iter().find(|entry| entry.address == address).cloned();
        let Some(entry) = known.filter(|entry| entry.member != member) else {
            return Some(frame);
        };
        if frame.ethertype() == ETHERTYPE_ARP && frame.bytes[PACKET_AT + 7] == 2 {
            frame.bytes.put(ARP_TARGET_MAC_AT, &entry.mac);
        }
        frame.bytes.put(0, &entry.mac);
        self.bridge_enqueue(id, entry.member, frame);
        None
    }

    /// `BRDGGMACNATLIST`: asked with no room, it says how many bytes there are.
    pub(super) fn mac_nat_list(
        &self,
        id: IfId,
        argument: &mut [u8],
        memory: &CallerMemory,
    ) -> Result<()> {
        const ROW_BYTES: usize = 48;
        let rows = &self.bridge(id).nat;
        let room = argument.u32_at(0) as usize;
        let total = rows.len() * ROW_BYTES;
        argument.put_u16(4, u16::try_from(ROW_BYTES).unwrap_or(0));
        let given = if room == 0 { total } else { total.min(room / ROW_BYTES * ROW_BYTES) };
        argument.put_u32(0, u32::try_from(given).unwrap_or(0));
        if room == 0 || total == 0 {
            return Ok(());
        }
        let mut list = Vec::new();
        // Those of IPv4 come first.
        for len in [4, 16] {
            for entry in rows.iter().filter(|entry| entry.address.len() == len) {
                let mut row = [0; ROW_BYTES];
                row.put_text(0, 16, &self.net[entry.member].name);
                row.put_u64(16, entry.expires_s.saturating_sub(self.now_s()));
                row.put(24, &entry.mac);
                row.put(31, &[if len == 4 { 2 } else { 30 }]);
                row.put(32, &entry.address);
                list.extend(row);
            }
        }
        memory.copyout(&list[..given], argument.u64_at(8))
    }
}

/// The IP address that a frame comes from, and the Ethernet address that goes with it.
fn sender(frame: &Frame) -> Option<(Vec<u8>, Mac)> {
    let (address, mac) = match frame.ethertype() {
        ETHERTYPE_ARP if is_arp(frame) => {
            let mac = frame.bytes[ARP_SENDER_MAC_AT..ARP_SENDER_AT].try_into().ok()?;
            (frame.bytes[ARP_SENDER_AT..][..4].to_vec(), mac)
        }
        ETHERTYPE_IPV4 => {
            (frame.bytes.get(PACKET_AT + 12..PACKET_AT + 16)?.to_vec(), frame.source())
        }
        ETHERTYPE_IPV6 => {
            let source = frame.bytes.get(PACKET_AT + 8..PACKET_AT + 24)?;
            let probed = super::neighbour::probed_address(&frame.bytes);
            (probed.unwrap_or_else(|| source.to_vec()), frame.source())
        }
        _ => return None,
    };
    address.iter().any(|byte| *byte != 0).then_some((address, mac))
}

/// The IP address that a frame goes to.
fn receiver(frame: &Frame) -> Option<Vec<u8>> {
    let address = match frame.ethertype() {
        ETHERTYPE_ARP if is_arp(frame) => &frame.bytes[ARP_TARGET_AT..][..4],
        ETHERTYPE_IPV4 => frame.bytes.get(PACKET_AT + 16..PACKET_AT + 20)?,
        ETHERTYPE_IPV6 => frame.bytes.get(PACKET_AT + 24..PACKET_AT + 40)?,
        _ => return None,
    };
    address.iter().any(|byte| *byte != 0).then(|| address.to_vec())
}

/// A request or a reply of Ethernet and IPv4.
fn is_arp(frame: &Frame) -> bool {
    const KIND_AND_LENGTHS: [u8; 6] = [0, 1, 0x08, 0, 6, 4];
    frame.bytes.get(PACKET_AT..PACKET_AT + ARP_BYTES).is_some_and(|arp| {
        let operation = u16::from_be_bytes([arp[6], arp[7]]);
        arp[..6] == KIND_AND_LENGTHS && (1..=ARP_REPLY).contains(&operation)
    })
}

fn is_ip_broadcast(frame: &Frame) -> bool {
    frame.ethertype() == ETHERTYPE_IPV4
        && frame.bytes.get(PACKET_AT + 16..PACKET_AT + 20).is_some_and(|to| to == [0xff; 4])
}

/// A DHCP client without an address must be answered by broadcast: its own address is not known on
/// the other side (`bridge_mac_nat_udp_output`).
fn ask_for_broadcast(bytes: &mut [u8]) {
    const UDP: u8 = 17;
    const PORTS: [u8; 4] = [0, 68, 0, 67];
    const FLAGS_AT: usize = 10;
    let Some(header) = bytes.get(PACKET_AT..PACKET_AT + 20) else { return };
    if header[9] != UDP || header[12..16] != [0; 4] {
        return;
    }
    let udp_at = PACKET_AT + usize::from(header[0] & 0x0f) * 4;
    let flags_at = udp_at + 8 + FLAGS_AT;
    let Some(udp) = bytes.get(udp_at..flags_at + 2) else { return };
    if udp[..4] != PORTS || udp[8 + FLAGS_AT] & 0x80 != 0 {
        return;
    }
    let sum = u16::from_be_bytes([udp[6], udp[7]]);
    bytes[flags_at] |= 0x80;
    // The sum is adjusted as XNU does: by plain subtraction, in the byte order of the Mac.
    let adjusted = if sum == 0 { 0 } else { sum.swap_bytes().wrapping_sub(0x0080).swap_bytes() };
    bytes.put(udp_at + 6, &adjusted.to_be_bytes());
}
