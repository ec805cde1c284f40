//! Neighbour discovery where the stack is silent, questions of our own, and announcements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr,
    NdiscNeighborFlags, NdiscRepr, RawHardwareAddress,
};

use crate::frame::{self, ETHERTYPE_ARP, ETHERTYPE_IPV6, Frame};
use crate::mac::MacAddress;

/// The answer to a solicitation that the stack leaves unanswered: one from the unspecified address,
/// from a neighbour that is about to take our address (RFC 4862, 5.4.3).
pub(crate) fn answer(
    frame: &Frame<'_>,
    mac: MacAddress,
    is_ours: impl Fn(Ipv6Addr) -> bool,
) -> Option<Vec<u8>> {
    if frame.ethertype != ETHERTYPE_IPV6 {
        return None;
    }
    let packet = Ipv6Packet::new_checked(frame.payload).ok()?;
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    let is_probe = from.is_unspecified()
        && packet.next_header() == IpProtocol::Icmpv6
        && packet.hop_limit() == HOP_LIMIT;
    if !is_probe {
        return None;
    }
    let message = Icmpv6Packet::new_checked(packet.payload()).ok()?;
    let message = Icmpv6Repr::parse(&from, &to, &message, &ChecksumCapabilities::default());
    let Ok(Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, .. })) = message else {
        return None;
    };
    is_ours(target_addr).then(|| announcement(mac, IpAddr::V6(target_addr)))
}

/// The question who owns `target`: an ARP request or a neighbour solicitation from `source`.
/// From an IPv4 guest without an address it is an ARP probe (RFC 5227, 1.1).
pub(crate) fn question(mac: MacAddress, source: IpAddr, target: IpAddr) -> Option<Vec<u8>> {
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => Some(arp(mac, source, target)),
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let to = solicited_node(target);
            let lladdr = Some(RawHardwareAddress::from(EthernetAddress(mac.0)));
            let message = NdiscRepr::NeighborSolicit { target_addr: target, lladdr };
            Some(ndisc(mac, source, to, multicast_mac(to), message))
        }
        _ => None,
    }
}

/// Tells everyone that `address` is here: a gratuitous ARP request (RFC 5227, 3) or an unsolicited
/// neighbour advertisement (RFC 4861, 7.2.6).
pub(crate) fn announcement(mac: MacAddress, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp(mac, address, address),
        IpAddr::V6(address) => {
            let flags = NdiscNeighborFlags::OVERRIDE;
            advertisement(mac, address, flags, ALL_NODES, multicast_mac(ALL_NODES))
        }
    }
}

/// The group in which the owner of `address` hears solicitations (RFC 4291, 2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    let last = u16::from_be_bytes([b, c]);
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), last)
}

/// The frame's destination for an IPv6 group (RFC 2464, 7).
fn multicast_mac(group: Ipv6Addr) -> MacAddress {
    let [.., a, b, c, d] = group.octets();
    MacAddress([0x33, 0x33, a, b, c, d])
}

/// An ARP request for Ethernet and IPv4 (RFC 826), to everyone.
fn arp(mac: MacAddress, source: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut payload = vec![0, 1, 8, 0, 6, 4, 0, 1];
    payload.extend_from_slice(&mac.0);
    payload.extend_from_slice(&source.octets());
    payload.extend_from_slice(&[0; 6]);
    payload.extend_from_slice(&target.octets());
    frame::build(MacAddress::BROADCAST, mac, ETHERTYPE_ARP, &payload)
}

fn advertisement(
    mac: MacAddress,
    target_addr: Ipv6Addr,
    flags: NdiscNeighborFlags,
    to: Ipv6Addr,
    destination: MacAddress,
) -> Vec<u8> {
    let lladdr = Some(RawHardwareAddress::from(EthernetAddress(mac.0)));
    let message = NdiscRepr::NeighborAdvert { flags, target_addr, lladdr };
    ndisc(mac, target_addr, to, destination, message)
}

fn ndisc(
    mac: MacAddress,
    from: Ipv6Addr,
    to: Ipv6Addr,
    destination: MacAddress,
    message: NdiscRepr<'_>,
) -> Vec<u8> {
    let message = Icmpv6Repr::Ndisc(message);
    let header = Ipv6Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: HOP_LIMIT,
    };
    let mut packet = vec![0; header.buffer_len() + message.buffer_len()];
    let mut ip = Ipv6Packet::new_unchecked(&mut packet[..]);
    header.emit(&mut ip);
    let mut icmp = Icmpv6Packet::new_unchecked(ip.payload_mut());
    message.emit(&from, &to, &mut icmp, &ChecksumCapabilities::default());
    frame::build(destination, mac, ETHERTYPE_IPV6, &packet)
}

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Neighbour discovery never crosses a router (RFC 4861, 7.1).
const HOP_LIMIT: u8 = 255;
