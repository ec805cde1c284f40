//! Who is on the network: the host, on its bridge, and the guests, with addresses for documentation
//! (RFC 5737, RFC 3849).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Prefix lengths of everybody's addresses.
const IPV4_BITS: u8 = 24;
const IPV6_BITS: u8 = 64;

/// One station: the host or a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Station {
    /// What the table calls it.
    pub(super) name: &'static str,
    /// The last part of each of its addresses.
    number: u8,
}

pub(super) const HOST: Station = Station { name: "host", number: 1 };
pub(super) const A: Station = Station { name: "a", number: 10 };
pub(super) const B: Station = Station { name: "b", number: 11 };
pub(super) const C: Station = Station { name: "c", number: 12 };
pub(super) const D: Station = Station { name: "d", number: 13 };

impl Station {
    pub(super) fn ipv4(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number)
    }

    pub(super) fn ipv6(self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, self.number.into())
    }

    /// Both, with their prefix lengths.
    pub(super) fn addresses(self) -> [(IpAddr, u8); 2] {
        [(self.ipv4().into(), IPV4_BITS), (self.ipv6().into(), IPV6_BITS)]
    }

    /// A guest's link-layer address, locally administered.
    pub(super) fn mac(self) -> [u8; 6] {
        [0x02, 0, 0, 0, 0, self.number]
    }
}

/// The family's name.
pub(super) fn family(address: IpAddr) -> &'static str {
    if address.is_ipv6() { "IPv6" } else { "IPv4" }
}
