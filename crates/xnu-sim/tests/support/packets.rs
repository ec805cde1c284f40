//! Packets of IP in frames, with right checksums.

use super::frames::{BROADCAST, frame_of};
use super::put;

pub(crate) fn be16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap())
}

pub(crate) fn be32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn arp(operation: u8, sender: ([u8; 6], [u8; 4]), target: ([u8; 6], [u8; 4])) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, operation][..], &sender.0, &sender.1, &target.0, &target.1].concat()
}

/// A broadcast request.
pub(crate) fn arp_request(mac: [u8; 6], address: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    frame_of(BROADCAST, mac, 0x0806, &arp(1, (mac, address), ([0; 6], target)))
}

/// A reply to somebody, from somebody.
pub(crate) fn arp_reply(
    to: [u8; 6],
    to_address: [u8; 4],
    from: [u8; 6],
    from_address: [u8; 4],
) -> Vec<u8> {
    frame_of(to, from, 0x0806, &arp(2, (from, from_address), (to, to_address)))
}

/// IPv4, number 7.
pub(crate) fn ipv4_packet(
    to: [u8; 6],
    from: [u8; 6],
    source: [u8; 4],
    destination: [u8; 4],
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut header =
        [0x45, 0, len[0], len[1], 0, 7, 0, 0, 64, protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    put(&mut header, 12, &source);
    put(&mut header, 16, &destination);
    completed(frame_of(to, from, 0x0800, &[&header[..], payload].concat()))
}

pub(crate) fn udp_packet(
    to: [u8; 6],
    from: [u8; 6],
    source: [u8; 4],
    destination: [u8; 4],
    from_port: u16,
    to_port: u16,
    payload: &[u8],
) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let header = [from_port, to_port, len, 0].map(u16::to_be_bytes).concat();
    ipv4_packet(to, from, source, destination, 17, &[&header, payload].concat())
}

fn tcp(sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; 20];
    put(&mut header, 0, &[0x10, 0, 0x20, 0]);
    put(&mut header, 4, &sequence.to_be_bytes());
    put(&mut header, 12, &[0x50, flags]);
    [&header[..], payload].concat()
}

pub(crate) fn tcp_packet(
    to: [u8; 6],
    from: [u8; 6],
    source: [u8; 4],
    destination: [u8; 4],
    sequence: u32,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    ipv4_packet(to, from, source, destination, 6, &tcp(sequence, flags, payload))
}

pub(crate) fn tcp6_packet(
    to: [u8; 6],
    from: [u8; 6],
    source: [u8; 16],
    destination: [u8; 16],
    sequence: u32,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    completed(ipv6_packet(to, from, source, destination, 6, &tcp(sequence, flags, payload)))
}

/// IPv6, its payload as it is.
pub(crate) fn ipv6_packet(
    to: [u8; 6],
    from: [u8; 6],
    source: [u8; 16],
    destination: [u8; 16],
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let header =
        [&[0x60, 0, 0, 0, len[0], len[1], protocol, 64][..], &source, &destination].concat();
    frame_of(to, from, 0x86dd, &[&header, payload].concat())
}

/// What the sums of a packet cover: (header, where the payload begins, its end, the place of the
/// payload's sum, addresses).
struct Sums {
    is_ipv4: bool,
    protocol: u8,
    payload_at: usize,
    end: usize,
    sum_at: Option<usize>,
}

impl Sums {
    fn of(frame: &[u8]) -> Self {
        let is_ipv4 = frame[14] >> 4 == 4;
        let (protocol, payload_at, end) = if is_ipv4 {
            let header_len = usize::from(frame[14] & 15) * 4;
            (frame[23], 14 + header_len, 14 + usize::from(be16_at(frame, 16)))
        } else {
            (frame[20], 54, 54 + usize::from(be16_at(frame, 18)))
        };
        let sum_at = match protocol {
            6 => Some(payload_at + 16),
            17 => Some(payload_at + 6),
            58 => Some(payload_at + 2),
            _ => None,
        };
        Self { is_ipv4, protocol, payload_at, end, sum_at: sum_at.filter(|at| at + 2 <= end) }
    }

    fn of_payload(&self, frame: &[u8]) -> u16 {
        let addresses = if self.is_ipv4 { &frame[26..34] } else { &frame[22..54] };
        let len = u16::try_from(self.end - self.payload_at).unwrap();
        let pseudo = [addresses, &[0, self.protocol], &len.to_be_bytes()].concat();
        sum(&[&pseudo, &frame[self.payload_at..self.end]].concat())
    }
}

fn sum(bytes: &[u8]) -> u16 {
    let mut total = 0_u32;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
        total = (total & 0xffff) + (total >> 16);
    }
    u16::try_from(total).unwrap()
}

/// The frame with its checksums made.
pub(crate) fn completed(mut frame: Vec<u8>) -> Vec<u8> {
    let sums = Sums::of(&frame);
    if sums.is_ipv4 {
        put(&mut frame, 24, &[0, 0]);
        let made = !sum(&frame[14..sums.payload_at]);
        put(&mut frame, 24, &made.to_be_bytes());
    }
    if let Some(at) = sums.sum_at {
        put(&mut frame, at, &[0, 0]);
        let made = !sums.of_payload(&frame);
        put(&mut frame, at, &made.to_be_bytes());
    }
    frame
}

pub(crate) fn has_right_checksums(frame: &[u8]) -> bool {
    let sums = Sums::of(frame);
    let header_is_right = !sums.is_ipv4 || sum(&frame[14..sums.payload_at]) == 0xffff;
    header_is_right && (sums.sum_at.is_none() || sums.of_payload(frame) == 0xffff)
}
