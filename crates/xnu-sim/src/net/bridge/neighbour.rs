//! Neighbour discovery, as far as MAC NAT looks into it (`bridge_mac_nat_icmpv6_output`,
//! `bridge_mac_nat_ipv6_translate`).

use crate::net::interface::Mac;

const IPV6_AT: usize = 14;
const ICMP_AT: usize = IPV6_AT + 40;
const ICMP: u8 = 58;

const ROUTER_SOLICIT: u8 = 133;
const ROUTER_ADVERT: u8 = 134;
const NEIGHBOUR_SOLICIT: u8 = 135;
const NEIGHBOUR_ADVERT: u8 = 136;

/// Options: the link-layer address of the sender, of the target.
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;

/// The ICMPv6 message of a frame, when it is one whole.
fn message(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.get(IPV6_AT..ICMP_AT)?;
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    if header[6] != ICMP || len < 8 {
        return None;
    }
    bytes.get(ICMP_AT..ICMP_AT + len)
}

/// The address that a node asks whether anybody has it: soon its own.
pub(super) fn probed_address(bytes: &[u8]) -> Option<Vec<u8>> {
    let message = message(bytes)?;
    let has_no_source = bytes.get(IPV6_AT + 8..IPV6_AT + 24)?.iter().all(|byte| *byte == 0);
    let target = message.get(8..24)?;
    let is_probe = message[0] == NEIGHBOUR_SOLICIT && has_no_source && target[0] != 0xff;
    is_probe.then(|| target.to_vec())
}

/// Puts another link-layer address into a message that has one, and makes its checksum right.
pub(super) fn replace_link_address(bytes: &mut [u8], mac: Mac) {
    let Some(at) = link_address_at(bytes) else { return };
    bytes[at..at + 6].copy_from_slice(&mac);
    let Some(len) = message(bytes).map(<[u8]>::len) else { return };
    bytes[ICMP_AT + 2..ICMP_AT + 4].fill(0);
    let sum = checksum(bytes, len);
    bytes[ICMP_AT + 2..ICMP_AT + 4].copy_from_slice(&sum.to_be_bytes());
}

/// Where a message has the link-layer address of its sender.
fn link_address_at(bytes: &[u8]) -> Option<usize> {
    let message = message(bytes)?;
    let (options_at, wanted) = match message[0] {
        ROUTER_SOLICIT => (8, SOURCE_LINK_ADDRESS),
        ROUTER_ADVERT => (16, SOURCE_LINK_ADDRESS),
        NEIGHBOUR_SOLICIT => (24, SOURCE_LINK_ADDRESS),
        NEIGHBOUR_ADVERT => (24, TARGET_LINK_ADDRESS),
        _ => return None,
    };
    let mut at = options_at;
    while let Some([kind, eighths]) = message.get(at..at + 2) {
        if *eighths == 0 {
            return None;
        }
        if *kind == wanted && *eighths == 1 && at + 8 <= message.len() {
            return Some(ICMP_AT + at + 2);
        }
        at += usize::from(*eighths) * 8;
    }
    None
}

/// The checksum of an ICMPv6 message of `len` bytes, with the pseudo header.
fn checksum(bytes: &[u8], len: usize) -> u16 {
    let addresses = &bytes[IPV6_AT + 8..ICMP_AT];
    let message = &bytes[ICMP_AT..ICMP_AT + len];
    let words = addresses.chunks(2).chain(message.chunks(2));
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    let mut sum = words.map(word).sum::<u32>();
    sum += u32::try_from(len).unwrap_or(0) + u32::from(ICMP);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [2, 3, 4, 5, 6, 7];
    const MTU: [u8; 8] = [5, 1, 0, 0, 0, 0, 5, 220];
    const SOURCE: [u8; 8] = [1, 1, 9, 9, 9, 9, 9, 9];
    const TARGET: [u8; 8] = [2, 1, 8, 8, 8, 8, 8, 8];

    /// A message of a type, its fixed part and its options.
    fn frame(kind: u8, fixed_len: usize, options: &[[u8; 8]]) -> Vec<u8> {
        let mut icmp = vec![0; fixed_len];
        icmp[0] = kind;
        icmp.extend(options.concat());
        let len = u8::try_from(icmp.len()).unwrap();
        let header = [&[0x60, 0, 0, 0, 0, len, ICMP, 255][..], &[0xfe; 32]].concat();
        [&[0; 14][..], &header, &icmp].concat()
    }

    #[test]
    fn each_message_has_its_option_in_its_place() {
        for (kind, fixed_len, options, at) in [
            (ROUTER_SOLICIT, 8, vec![SOURCE], Some(10)),
            (ROUTER_ADVERT, 16, vec![MTU, SOURCE], Some(26)),
            (NEIGHBOUR_SOLICIT, 24, vec![TARGET, SOURCE], Some(34)),
            (NEIGHBOUR_ADVERT, 24, vec![SOURCE, TARGET], Some(34)),
            (NEIGHBOUR_ADVERT, 24, vec![SOURCE], None),
            (ROUTER_SOLICIT, 8, vec![MTU], None),
            (ROUTER_SOLICIT, 8, vec![], None),
            (128, 8, vec![SOURCE], None),
        ] {
            let mut bytes = frame(kind, fixed_len, &options);
            let before = bytes.clone();
            replace_link_address(&mut bytes, MAC);
            let Some(at) = at.map(|at| ICMP_AT + at) else {
                assert_eq!(bytes, before, "{kind}");
                continue;
            };
            assert_eq!(bytes[at..at + 6], MAC, "{kind}");
            let len = bytes.len() - ICMP_AT;
            assert_eq!(checksum(&bytes, len), 0, "{kind}: right with itself");
            bytes[at..at + 6].copy_from_slice(&before[at..at + 6]);
            bytes[ICMP_AT + 2..ICMP_AT + 4].fill(0);
            assert_eq!(bytes, before, "{kind}: nothing else changed");
        }
    }

    #[test]
    fn an_option_of_no_length_ends_the_search() {
        let mut bytes = frame(ROUTER_SOLICIT, 8, &[[1, 0, 0, 0, 0, 0, 0, 0], SOURCE]);
        let before = bytes.clone();
        replace_link_address(&mut bytes, MAC);
        assert_eq!(bytes, before);
    }

    #[test]
    fn a_node_that_asks_for_its_own_address_is_told_by_its_target() {
        let mut bytes = frame(NEIGHBOUR_SOLICIT, 24, &[]);
        bytes[ICMP_AT + 8..ICMP_AT + 24].fill(0x20);
        assert_eq!(probed_address(&bytes), None, "it has an address");
        bytes[IPV6_AT + 8..IPV6_AT + 24].fill(0);
        assert_eq!(probed_address(&bytes), Some(vec![0x20; 16]));
        bytes[ICMP_AT + 8] = 0xff;
        assert_eq!(probed_address(&bytes), None, "a group");
        bytes[ICMP_AT + 8] = 0x20;
        bytes[ICMP_AT] = NEIGHBOUR_ADVERT;
        assert_eq!(probed_address(&bytes), None);
    }
}
