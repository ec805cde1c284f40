//! Checksums of IP, TCP and UDP, as a bridge makes and checks them (`bridge_offload_checksum`,
//! `bridge_verify_checksum`; contract §3 `CHECKSUM_OFFLOAD`).

use super::member_flag::CHECKSUM_OFFLOAD;
use crate::machine::Machine;
use crate::net::IfId;
use crate::net::interface::Frame;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// What comes after the Ethernet header.
pub(super) const IP_AT: usize = 14;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// The parts of an IP packet in a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct IpPacket {
    pub(super) is_ipv4: bool,
    pub(super) protocol: u8,
    /// Where the payload of IP begins, and ends.
    pub(super) payload_at: usize,
    pub(super) end: usize,
    /// Only a part of a packet.
    pub(super) is_fragment: bool,
}

impl IpPacket {
    /// `None`: no IP. `Some(None)`: IP that is not in order (`bridge_get_ip_proto`).
    pub(super) fn of(frame: &Frame) -> Option<Option<Self>> {
        match frame.ethertype() {
            ETHERTYPE_IPV4 => Some(Self::of_ipv4(&frame.bytes)),
            ETHERTYPE_IPV6 => Some(Self::of_ipv6(&frame.bytes)),
            _ => None,
        }
    }

    fn of_ipv4(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(IP_AT..IP_AT + 20)?;
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let end = IP_AT + total_len;
        let is_in_order = header[0] >> 4 == 4 && header_len >= 20 && total_len >= header_len;
        (is_in_order && end <= bytes.len()).then_some(Self {
            is_ipv4: true,
            protocol: header[9],
            payload_at: IP_AT + header_len,
            end,
            is_fragment: u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0,
        })
    }

    fn of_ipv6(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(IP_AT..IP_AT + 40)?;
        let payload_at = IP_AT + 40;
        let end = payload_at + usize::from(u16::from_be_bytes([header[4], header[5]]));
        (header[0] >> 4 == 6 && end <= bytes.len()).then_some(Self {
            is_ipv4: false,
            protocol: header[6],
            payload_at,
            end,
            is_fragment: false,
        })
    }

    /// Where TCP or UDP has its checksum.
    fn sum_at(&self) -> Option<usize> {
        let at = match self.protocol {
            TCP => self.payload_at + 16,
            UDP => self.payload_at + 6,
            _ => return None,
        };
        (!self.is_fragment && at + 2 <= self.end).then_some(at)
    }

    /// Makes the checksums of the header and of TCP or UDP.
    pub(super) fn complete(&self, bytes: &mut [u8]) {
        if self.is_ipv4 {
            bytes[IP_AT + 10..IP_AT + 12].fill(0);
            let sum = !folded(sum_of(&bytes[IP_AT..self.payload_at]));
            bytes[IP_AT + 10..IP_AT + 12].copy_from_slice(&sum.to_be_bytes());
        }
        let Some(at) = self.sum_at() else { return };
        bytes[at..at + 2].fill(0);
        let sum = !folded(self.payload_sum(bytes));
        // A sum of 0 says "none" in UDP.
        let sum = if sum == 0 && self.protocol == UDP { 0xffff } else { sum };
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }

    /// Whether all checksums are right.
    fn are_right(&self, bytes: &[u8]) -> bool {
        if self.is_ipv4 && folded(sum_of(&bytes[IP_AT..self.payload_at])) != 0xffff {
            return false;
        }
        let Some(at) = self.sum_at() else { return true };
        let has_none = self.protocol == UDP && bytes[at..at + 2] == [0, 0];
        has_none || folded(self.payload_sum(bytes)) == 0xffff
    }

    /// With the pseudo header.
    fn payload_sum(&self, bytes: &[u8]) -> u64 {
        let addresses = if self.is_ipv4 { IP_AT + 12..IP_AT + 20 } else { IP_AT + 8..IP_AT + 40 };
        let len = self.end - self.payload_at;
        sum_of(&bytes[addresses])
            + sum_of(&bytes[self.payload_at..self.end])
            + len as u64
            + u64::from(self.protocol)
    }
}

fn sum_of(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
    bytes.chunks(2).map(word).sum()
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(0)
}

impl Machine {
    fn offloads_checksums(&self, id: IfId, member: IfId) -> bool {
        self.bridge(id).member(member).is_some_and(|member| member.has(CHECKSUM_OFFLOAD))
    }

    /// A frame came in by a member that leaves its checksums to the bridge. `None`: its IP is not
    /// in order, and it is thrown away.
    pub(super) fn complete_checksums(
        &self,
        id: IfId,
        member: IfId,
        mut frame: Frame,
    ) -> Option<Frame> {
        if !self.offloads_checksums(id, member) {
            return Some(frame);
        }
        let Some(packet) = IpPacket::of(&frame) else { return Some(frame) };
        packet?.complete(&mut frame.bytes);
        Some(frame)
    }

    /// A frame is to go out by a member that leaves the checking to the bridge. What came from
    /// another such one is right already.
    pub(super) fn passes_checksums(&self, id: IfId, from: IfId, to: IfId, frame: &Frame) -> bool {
        if !self.offloads_checksums(id, to) || self.offloads_checksums(id, from) {
            return true;
        }
        match IpPacket::of(frame) {
            None => true,
            Some(packet) => packet.is_some_and(|packet| packet.are_right(&frame.bytes)),
        }
    }
}
