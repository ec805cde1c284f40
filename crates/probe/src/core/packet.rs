//! The few packets that a guest recognises in passing, read by bytes and never trusted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr};

use crate::frame::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Frame};
use crate::mac::MacAddress;

/// What a frame carries, as far as a guest cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// An ARP reply, or a neighbour advertisement with a link-layer address.
    NeighborAnswer { address: IpAddr, mac: MacAddress },
    /// An ICMP or ICMPv6 echo request in one piece.
    EchoRequest { from: IpAddr, to: IpAddr },
    /// An ICMP or ICMPv6 echo reply, or its first fragment.
    EchoReply { to: IpAddr, size: usize },
    /// A TCP segment.
    Tcp(Tcp),
    /// A DHCP message, either way.
    Dhcp(Dhcp),
    /// Anything else.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tcp {
    pub(crate) source_port: u16,
    pub(crate) sequence: u32,
    pub(crate) payload_len: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dhcp {
    pub(crate) kind: DhcpKind,
    pub(crate) client: MacAddress,
    pub(crate) from: IpAddr,
    pub(crate) lease_seconds: Option<u32>,
}

/// RFC 2132, 9.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DhcpKind {
    Discover,
    Offer,
    Request,
    Ack,
    Nak,
    Other,
}

impl Packet {
    pub(crate) fn parse(frame: &Frame<'_>) -> Self {
        let packet = match frame.ethertype {
            ETHERTYPE_ARP => arp(frame.payload),
            ETHERTYPE_IPV4 => ipv4(frame.payload),
            ETHERTYPE_IPV6 => ipv6(frame.payload),
            _ => None,
        };
        packet.unwrap_or(Self::Other)
    }
}

/// An ARP reply for Ethernet and IPv4 (RFC 826).
fn arp(payload: &[u8]) -> Option<Packet> {
    let payload = payload.strip_prefix(&[0, 1, 8, 0, 6, 4, 0, 2])?;
    let (mac, payload) = payload.split_first_chunk::<6>()?;
    let address = Ipv4Addr::from(*payload.first_chunk::<4>()?);
    Some(Packet::NeighborAnswer { address: address.into(), mac: MacAddress(*mac) })
}

fn ipv4(packet: &[u8]) -> Option<Packet> {
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    let total_len = usize::from(be16(packet, 2)?);
    let (from, to) = (Ipv4Addr::from(be32(packet, 12)?), Ipv4Addr::from(be32(packet, 16)?));
    let fragment = be16(packet, 6)?;
    let (offset, more) = (fragment & 0x1fff, fragment & 0x2000 != 0);
    let payload = packet.get(header_len..total_len)?;
    if offset != 0 {
        return None;
    }
    match *packet.get(9)? {
        1 => match *payload.first()? {
            0 => Some(Packet::EchoReply { to: to.into(), size: payload.len().saturating_sub(8) }),
            8 if !more => Some(Packet::EchoRequest { from: from.into(), to: to.into() }),
            _ => None,
        },
        6 => tcp(payload),
        17 => dhcp(from, payload),
        _ => None,
    }
}

fn ipv6(packet: &[u8]) -> Option<Packet> {
    let payload_len = usize::from(be16(packet, 4)?);
    let from = Ipv6Addr::from(*packet.get(8..)?.first_chunk::<16>()?);
    let to = Ipv6Addr::from(*packet.get(24..)?.first_chunk::<16>()?);
    let payload = packet.get(40..40 + payload_len)?;
    match *packet.get(6)? {
        6 => tcp(payload),
        58 => match *payload.first()? {
            128 => Some(Packet::EchoRequest { from: from.into(), to: to.into() }),
            129 => Some(Packet::EchoReply { to: to.into(), size: payload.len().saturating_sub(8) }),
            136 => advertisement(payload),
            _ => None,
        },
        _ => None,
    }
}

/// A neighbour advertisement (RFC 4861, 4.4) with its target link-layer address option.
fn advertisement(payload: &[u8]) -> Option<Packet> {
    let address = Ipv6Addr::from(*payload.get(8..)?.first_chunk::<16>()?);
    let mut options = payload.get(24..)?;
    while let [kind, units, ..] = *options {
        let option = options.get(..usize::from(units) * 8).filter(|option| !option.is_empty())?;
        if let (2, Some(mac)) = (kind, option.get(2..).and_then(<[u8]>::first_chunk::<6>)) {
            return Some(Packet::NeighborAnswer { address: address.into(), mac: MacAddress(*mac) });
        }
        options = &options[option.len()..];
    }
    None
}

fn tcp(segment: &[u8]) -> Option<Packet> {
    let header_len = usize::from(segment.get(12)? >> 4) * 4;
    let payload_len = u32::try_from(segment.len().checked_sub(header_len)?).ok()?;
    Some(Packet::Tcp(Tcp {
        source_port: be16(segment, 0)?,
        sequence: be32(segment, 4)?,
        payload_len,
    }))
}

fn dhcp(from: Ipv4Addr, datagram: &[u8]) -> Option<Packet> {
    if !matches!((be16(datagram, 0)?, be16(datagram, 2)?), (67, 68) | (68, 67)) {
        return None;
    }
    let message = DhcpPacket::new_checked(datagram.get(8..)?).ok()?;
    let message = DhcpRepr::parse(&message).ok()?;
    let kind = match message.message_type {
        DhcpMessageType::Discover => DhcpKind::Discover,
        DhcpMessageType::Offer => DhcpKind::Offer,
        DhcpMessageType::Request => DhcpKind::Request,
        DhcpMessageType::Ack => DhcpKind::Ack,
        DhcpMessageType::Nak => DhcpKind::Nak,
        _ => DhcpKind::Other,
    };
    let client = MacAddress(message.client_hardware_address.0);
    let from = message.server_identifier.unwrap_or(from).into();
    Some(Packet::Dhcp(Dhcp { kind, client, from, lease_seconds: message.lease_duration }))
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
