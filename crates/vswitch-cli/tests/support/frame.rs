//! Ethernet frames, written by hand.

use std::net::Ipv4Addr;

pub(crate) type Mac = [u8; 6];

pub(crate) const BROADCAST: Mac = [0xff; 6];

/// For experiments on one's own network (IEEE 802, "Local Experimental EtherType 1").
pub(crate) const ETHERTYPE_EXPERIMENT: u16 = 0x88b5;
pub(crate) const ETHERTYPE_ARP: u16 = 0x0806;

/// 802.1Q and 802.1ad.
pub(crate) const TPID_C: u16 = 0x8100;
pub(crate) const TPID_S: u16 = 0x88a8;

pub(crate) const fn guest_mac(number: u8) -> Mac {
    [0x52, 0x54, 0, 0, 0, number]
}

pub(crate) fn text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

pub(crate) fn parse_mac(text: &str) -> Mac {
    let bytes: Vec<u8> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal")).collect();
    bytes.try_into().expect("six bytes")
}

pub(crate) fn ethernet(to: Mac, from: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &ethertype.to_be_bytes(), payload].concat()
}

/// A frame of `len_bytes` that is like no other with another number.
pub(crate) fn numbered(to: Mac, from: Mac, number: u32, len_bytes: usize) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    // The low byte is what is wanted: a pattern.
    payload.extend((18..len_bytes).map(|at| at.to_le_bytes()[0] ^ number.to_le_bytes()[0]));
    ethernet(to, from, ETHERTYPE_EXPERIMENT, &payload)
}

/// Puts tags (TPID, TCI) behind the addresses, the outermost first.
pub(crate) fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    let tags = tags.iter().flat_map(|(tpid, tci)| [tpid.to_be_bytes(), tci.to_be_bytes()]);
    [addresses, &tags.collect::<Vec<_>>().concat(), rest].concat()
}

/// An ARP packet for IPv4 over Ethernet (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arp {
    pub(crate) operation: u16,
    pub(crate) sender: (Mac, Ipv4Addr),
    pub(crate) target: (Mac, Ipv4Addr),
}

impl Arp {
    pub(crate) const REQUEST: u16 = 1;
    pub(crate) const REPLY: u16 = 2;

    /// A broadcast that asks who has `target`.
    pub(crate) fn request(sender: (Mac, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
        let head = [0, 1, 8, 0, 6, 4, 0, 1];
        let payload =
            [&head[..], &sender.0, &sender.1.octets(), &[0; 6], &target.octets(), &[0; 18]];
        ethernet(BROADCAST, sender.0, ETHERTYPE_ARP, &payload.concat())
    }

    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let packet = frame.get(14..42).filter(|_| frame[12..14] == ETHERTYPE_ARP.to_be_bytes())?;
        let mac = |at: usize| Mac::try_from(&packet[at..at + 6]).expect("six bytes");
        let ip = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).expect("4"));
        Some(Self {
            operation: u16::from_be_bytes([packet[6], packet[7]]),
            sender: (mac(8), ip(14)),
            target: (mac(18), ip(24)),
        })
    }
}
