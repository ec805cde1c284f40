//! The host filter of a member: who may send by it (`bridge_host_filter`; contract §3
//! `BRDGSHOSTFILTER`).

use crate::copyio::{Raw, RawMut};
use crate::errno::{EINVAL, Result};
use crate::machine::Machine;
use crate::net::IfId;
use crate::net::interface::{Frame, Mac};

/// `IFBRHF_*`.
const ENABLED: u32 = 1;
const HARDWARE_SOURCE: u32 = 2;
const IP_SOURCE: u32 = 4;

/// Fields of an `ifbrhostfilter`.
const MEMBER_AT: usize = 4;
const MAC_AT: usize = 20;
const ADDRESS_AT: usize = 28;

const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// What comes after the Ethernet header.
const PACKET_AT: usize = 14;

/// Who may send by the member; what is `None` is not looked at (since 15) or nobody (before).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HostFilter {
    source: Option<Mac>,
    address: Option<[u8; 4]>,
}

impl Machine {
    /// `BRDGGHOSTFILTER`.
    pub(super) fn bridge_host_filter(&self, id: IfId, argument: &mut [u8]) -> Result<()> {
        let member = self.bridge_member_named(id, &argument[MEMBER_AT..])?;
        argument.fill(0);
        if let Some(filter) = self.bridge(id).member(member).and_then(|of| of.host_filter) {
            argument.put_u32(0, ENABLED);
            argument.put(MAC_AT, &filter.source.unwrap_or_default());
            argument.put(ADDRESS_AT, &filter.address.unwrap_or_default());
        }
        Ok(())
    }

    /// `BRDGSHOSTFILTER`: a zero address takes that part of the filter away.
    pub(super) fn bridge_set_host_filter(&mut self, id: IfId, argument: &[u8]) -> Result<()> {
        let member = self.bridge_member_named(id, &argument[MEMBER_AT..])?;
        if self.can.bridge_early_input && self.bridge(id).mac_nat == Some(member) {
            return Err(EINVAL);
        }
        let flags = argument.u32_at(0);
        let Some(of) = self.bridge_mut(id).member_mut(member) else { return Ok(()) };
        if flags & ENABLED == 0 {
            of.host_filter = None;
            return Ok(());
        }
        let mut filter = of.host_filter.unwrap_or_default();
        if flags & HARDWARE_SOURCE != 0 {
            let mac = [0, 1, 2, 3, 4, 5].map(|at| argument.u8_at(MAC_AT + at));
            filter.source = Some(mac).filter(|mac| *mac != [0; 6]);
        }
        if flags & IP_SOURCE != 0 {
            let address = [0, 1, 2, 3].map(|at| argument.u8_at(ADDRESS_AT + at));
            filter.address = Some(address).filter(|address| *address != [0; 4]);
        }
        of.host_filter = Some(filter);
        Ok(())
    }

    fn filter_of(&self, id: IfId, member: IfId) -> Option<HostFilter> {
        self.bridge(id).member(member).and_then(|member| member.host_filter)
    }

    /// Since 15, before anything is learned: only ARP, IPv4 and IPv6, and only that source.
    pub(super) fn host_filter_refuses_early(&self, id: IfId, member: IfId, frame: &Frame) -> bool {
        let Some(filter) = self.filter_of(id, member) else { return false };
        let is_ip = matches!(frame.ethertype(), ETHERTYPE_ARP | ETHERTYPE_IPV4 | ETHERTYPE_IPV6);
        !is_ip || filter.source.is_some_and(|source| source != frame.source())
    }

    /// Since 15, after learning: what is within.
    pub(super) fn host_filter_refuses_packet(&self, id: IfId, member: IfId, frame: &Frame) -> bool {
        let Some(filter) = self.filter_of(id, member) else { return false };
        match frame.ethertype() {
            ETHERTYPE_ARP => !filter.allows_arp(frame, false),
            ETHERTYPE_IPV4 => !filter.allows_ipv4(frame, false),
            _ => !filter.allows_ipv6(frame),
        }
    }

    /// Up to 14: ARP and IPv4 only, and both addresses must have been set.
    pub(super) fn host_filter_refuses_legacy(&self, id: IfId, member: IfId, frame: &Frame) -> bool {
        let Some(filter) = self.filter_of(id, member) else { return false };
        if filter.source != Some(frame.source()) {
            return true;
        }
        match frame.ethertype() {
            ETHERTYPE_ARP => !filter.allows_arp(frame, true),
            ETHERTYPE_IPV4 => !filter.allows_ipv4(frame, true),
            _ => true,
        }
    }
}

impl HostFilter {
    /// Requests and replies of Ethernet and IPv4, from the right sender; a probe has no sender's
    /// address. `both` wants both parts of the filter (up to 14).
    fn allows_arp(&self, frame: &Frame, both: bool) -> bool {
        const KIND_AND_LENGTHS: [u8; 6] = [0, 1, 0x08, 0, 6, 4];
        let Some(arp) = frame.bytes.get(PACKET_AT..PACKET_AT + 28) else { return false };
        let is_request_or_reply = arp[6] == 0 && matches!(arp[7], 1 | 2);
        let sender_is_right = match self.source {
            Some(source) => arp[8..14] == source,
            None => !both,
        };
        let address = &arp[14..18];
        let address_is_right = match self.address {
            Some(right) => address == right || address == [0; 4],
            None => !both || address == [0; 4],
        };
        arp[..6] == KIND_AND_LENGTHS && is_request_or_reply && sender_is_right && address_is_right
    }

    /// Since 15 only the protocols are looked at; up to 14 the source address too, which may be
    /// none in what a DHCP client asks.
    fn allows_ipv4(&self, frame: &Frame, by_address: bool) -> bool {
        const ICMP: u8 = 1;
        const IGMP: u8 = 2;
        const TCP: u8 = 6;
        const UDP: u8 = 17;
        const TUNNELS: [u8; 3] = [47, 50, 51];
        let Some(header) = frame.bytes.get(PACKET_AT..PACKET_AT + 20) else { return false };
        let protocol = header[9];
        if !by_address {
            return matches!(protocol, ICMP | IGMP | TCP | UDP);
        }
        let is_plain = matches!(protocol, ICMP | TCP | UDP) || TUNNELS.contains(&protocol);
        let source = &header[12..16];
        let is_from_it = self.address.is_some_and(|address| source == address);
        let is_asking = protocol == UDP && source == [0; 4] && self.is_dhcp_request(frame);
        is_plain && (is_from_it || is_asking)
    }

    /// A DHCP client with the right hardware address asks (`bridge_dhcp_filter`).
    fn is_dhcp_request(&self, frame: &Frame) -> bool {
        const PORTS: [u8; 4] = [0, 68, 0, 67];
        const REQUEST_OVER_ETHERNET: [u8; 3] = [1, 1, 6];
        let header_len = usize::from(frame.bytes[PACKET_AT] & 0x0f) * 4;
        let udp_at = PACKET_AT + header_len;
        let Some(ports) = frame.bytes.get(udp_at..udp_at + 4) else { return false };
        let dhcp_at = udp_at + 8;
        let Some(dhcp) = frame.bytes.get(dhcp_at..dhcp_at + 240) else { return false };
        let hardware = self.source.unwrap_or_default();
        let own = &dhcp[12..16];
        let is_own_right = own == [0; 4] || self.address.is_some_and(|address| own == address);
        let is_request = ports == PORTS && dhcp[..3] == REQUEST_OVER_ETHERNET;
        is_request && dhcp[28..34] == hardware && is_own_right
    }

    fn allows_ipv6(&self, frame: &Frame) -> bool {
        const TCP: u8 = 6;
        const UDP: u8 = 17;
        const ICMP: u8 = 58;
        let header = frame.bytes.get(PACKET_AT..PACKET_AT + 40);
        header.is_some_and(|header| matches!(header[6], TCP | UDP | ICMP))
    }
}
