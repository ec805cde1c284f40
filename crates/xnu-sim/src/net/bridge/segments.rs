//! TCP segments too big for a member are cut in software where it cannot do that itself (`gso_tcp`,
//! `tso_hwassist`; contract §3).

use super::checksum::{IP_AT, IpPacket, TCP};
use crate::copyio::RawMut;
use crate::machine::Machine;
use crate::net::IfId;
use crate::net::interface::{ETHERNET_HEADER_BYTES, Frame, capability};

/// TCP's flags, and where they are.
const FLAGS_AT: usize = 13;
const FIN: u8 = 0x01;
const PUSH: u8 = 0x08;
const CWR: u8 = 0x80;

impl Machine {
    /// What is sent for a frame: the frame itself, or the parts of it. Nothing, when it is big and
    /// its IP is not in order.
    pub(super) fn segments(&self, id: IfId, to: IfId, frame: Frame) -> Vec<Frame> {
        let limit = self.net[id].mtu as usize + ETHERNET_HEADER_BYTES;
        if frame.bytes.len() <= limit {
            return vec![frame];
        }
        let Some(packet) = IpPacket::of(&frame) else { return vec![frame] };
        let Some(packet) = packet else { return Vec::new() };
        let mtu = self.net[to].mtu as usize;
        let is_big_tcp = packet.protocol == TCP && packet.end - IP_AT > mtu;
        let cuts_itself = self.net[to].capabilities & capability::TSO != 0;
        if !is_big_tcp || packet.is_fragment || cuts_itself {
            // Others pass as they are.
            return vec![frame];
        }
        cut(&frame, packet, mtu).unwrap_or_else(|| vec![frame])
    }
}

/// Cuts a frame to a member's MTU; `None`: its TCP header is not whole.
fn cut(frame: &Frame, packet: IpPacket, mtu: usize) -> Option<Vec<Frame>> {
    let bytes = &frame.bytes;
    let tcp_at = packet.payload_at;
    let tcp_len = usize::from(*bytes.get(tcp_at + 12)? >> 4) * 4;
    let data_at = tcp_at + tcp_len;
    if tcp_len < 20 || data_at > packet.end {
        return None;
    }
    let room = mtu.checked_sub(data_at - IP_AT).filter(|room| *room > 0)?;
    let parts: Vec<&[u8]> = bytes[data_at..packet.end].chunks(room).collect();
    let sequence = u32::from_be_bytes(bytes[tcp_at + 4..tcp_at + 8].try_into().ok()?);
    let number = u16::from_be_bytes([bytes[IP_AT + 4], bytes[IP_AT + 5]]);
    let mut sent = 0;
    let mut frames = Vec::new();
    for (at, part) in (0_u16..).zip(&parts) {
        let mut segment = [&bytes[..data_at], part].concat();
        let len = u16::try_from(segment.len() - IP_AT).unwrap_or(u16::MAX);
        if packet.is_ipv4 {
            segment.put(IP_AT + 2, &len.to_be_bytes());
            segment.put(IP_AT + 4, &number.wrapping_add(at).to_be_bytes());
        } else {
            segment.put(IP_AT + 4, &(len - 40).to_be_bytes());
        }
        segment.put(tcp_at + 4, &sequence.wrapping_add(sent).to_be_bytes());
        sent += u32::try_from(part.len()).unwrap_or(0);
        if usize::from(at) + 1 < parts.len() {
            segment[tcp_at + FLAGS_AT] &= !(FIN | PUSH);
        }
        if at > 0 {
            segment[tcp_at + FLAGS_AT] &= !CWR;
        }
        let end = segment.len();
        IpPacket { end, ..packet }.complete(&mut segment);
        frames.push(Frame { bytes: segment, ..frame.clone() });
    }
    Some(frames)
}
