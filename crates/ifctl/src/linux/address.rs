//! Addresses: what rtnetlink tells of one, and the requests about them (rtnetlink(7),
//! include/uapi/linux/if_addr.h).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::attributes::{find, u32_in};
use crate::Address;

/// Reads a message of type `kind`: an interface's index, and an address of it.
pub(super) fn read(kind: u16, payload: &[u8]) -> Option<(u32, Address)> {
    if kind != libc::RTM_NEWADDR {
        return None;
    }
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let (header, body) = payload.split_at_checked(HEADER_LEN)?;
    // Where both are given, IFA_ADDRESS is the other end's.
    let bytes = find(body, libc::IFA_LOCAL).or_else(|| find(body, libc::IFA_ADDRESS))?;
    let address = match i32::from(header[0]) {
        libc::AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        libc::AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some((u32_in(&header[4..])?, Address { address, prefix_len: header[1] }))
}

/// Asks, in a dump, for all addresses, or for those of the interface `index`; kernels before 4.20
/// send all.
pub(super) fn get(index: Option<u32>) -> RouteNetlinkMessage {
    let mut message = AddressMessage::default();
    message.header.index = index.unwrap_or(0);
    RouteNetlinkMessage::GetAddress(message)
}

/// Adds `address` to the interface `index`.
pub(super) fn add(index: u32, address: Address) -> RouteNetlinkMessage {
    let Address { address, prefix_len } = address;
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = prefix_len;
    message.header.family =
        if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    match address {
        IpAddr::V4(address) => {
            let broadcast = broadcast(address, prefix_len).map(AddressAttribute::Broadcast);
            message.attributes.extend(broadcast);
        }
        IpAddr::V6(_) => {
            // Usable at once: nobody is asked whether it is taken (RFC 4862, 5.4).
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
    }
    RouteNetlinkMessage::NewAddress(message)
}

/// The network's broadcast address; networks of one or two addresses have none (RFC 3021).
fn broadcast(address: Ipv4Addr, prefix_len: u8) -> Option<Ipv4Addr> {
    let host_bits = u32::MAX.checked_shr(u32::from(prefix_len)).filter(|_| prefix_len < 31)?;
    Some(Ipv4Addr::from_bits(address.to_bits() | host_bits))
}

const HEADER_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable as _;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_reads_back() {
        for (text, prefix_len) in [("192.0.2.7", 24), ("fd00::7", 64)] {
            let address = Address { address: text.parse().unwrap(), prefix_len };
            let RouteNetlinkMessage::NewAddress(message) = add(9, address) else { panic!() };
            let mut bytes = vec![0; message.buffer_len()];
            message.emit(&mut bytes);
            assert_eq!(read(libc::RTM_NEWADDR, &bytes), Some((9, address)));
            assert_eq!(read(libc::RTM_DELADDR, &bytes), None);
        }
    }

    #[test]
    fn a_broadcast_address_has_all_host_bits() {
        let address = Ipv4Addr::new(192, 0, 2, 7);
        assert_eq!(broadcast(address, 24), Some(Ipv4Addr::new(192, 0, 2, 255)));
        assert_eq!(broadcast(address, 30), Some(Ipv4Addr::new(192, 0, 2, 7)));
        assert_eq!(broadcast(address, 0), Some(Ipv4Addr::BROADCAST));
        for prefix_len in [31, 32, 33, 255] {
            assert_eq!(broadcast(address, prefix_len), None, "{prefix_len}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_address_or_not(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = read(libc::RTM_NEWADDR, &bytes);
        }
    }
}
