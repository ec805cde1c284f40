//! Socket addresses, whole, as the kernel takes and gives them: the length byte first, then the
//! family (XNU `bsd/sys/socket.h`, `bsd/sys/un.h`, `bsd/net/if_dl.h`, `bsd/netinet/in.h`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::sys_socket::{AF_INET, AF_INET6, AF_LINK, AF_LOCAL, AF_NDRV};
use crate::{InterfaceName, SocketAddress};

/// Most bytes of a unix socket's path.
pub const UNIX_PATH_MAX: usize = 103;

/// A path that no unix socket can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PathError {
    /// It is empty.
    #[error("a unix socket's path may not be empty")]
    Empty,
    /// It has too many bytes.
    #[error("a unix socket's path has at most {UNIX_PATH_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// It has a zero in it.
    #[error("a unix socket's path may not contain a zero byte")]
    Zero,
}

/// The address of a unix socket: its path and a closing zero.
///
/// # Errors
/// [`PathError`].
pub fn unix_path(path: &[u8]) -> Result<SocketAddress, PathError> {
    match path {
        [] => Err(PathError::Empty),
        _ if path.len() > UNIX_PATH_MAX => Err(PathError::TooLong(path.len())),
        _ if path.contains(&0) => Err(PathError::Zero),
        _ => Ok(with_head(AF_LOCAL, &[path, &[0]])),
    }
}

/// The path in a unix socket's address; none for a socket that was not bound.
#[must_use]
pub fn unix_path_of(address: &[u8]) -> Option<&[u8]> {
    let bytes = of_family(address, AF_LOCAL)?;
    let path = bytes.split(|byte| *byte == 0).next()?;
    (!path.is_empty()).then_some(path)
}

/// The address of an interface for `PF_NDRV`: 18 bytes.
#[must_use]
pub fn ndrv(interface: InterfaceName) -> SocketAddress {
    with_head(AF_NDRV, &[&interface.bytes()])
}

/// The address of an IP host, port 0.
#[must_use]
pub fn internet(address: IpAddr) -> SocketAddress {
    match address {
        IpAddr::V4(address) => with_head(AF_INET, &[&[0; 2], &address.octets(), &[0; 8]]),
        IpAddr::V6(address) => with_head(AF_INET6, &[&[0; 6], &address.octets(), &[0; 4]]),
    }
}

/// The IP address in a socket address; none for other families. The interface's index, which the
/// kernel keeps within a link-local address, is taken out.
#[must_use]
pub fn internet_of(address: &[u8]) -> Option<IpAddr> {
    if let Some(bytes) = of_family(address, AF_INET) {
        let octets: [u8; 4] = bytes.get(2..6)?.try_into().ok()?;
        return Some(Ipv4Addr::from(octets).into());
    }
    let bytes = of_family(address, AF_INET6)?;
    let mut octets: [u8; 16] = bytes.get(6..22)?.try_into().ok()?;
    if Ipv6Addr::from(octets).is_unicast_link_local() {
        octets[2..4].fill(0);
    }
    Some(Ipv6Addr::from(octets).into())
}

/// How many bits of an address of the same family a network's mask covers. A mask's length byte
/// leaves trailing zeros away, and its family may be missing.
#[must_use]
pub fn prefix_len(netmask: &[u8], is_ipv6: bool) -> u32 {
    let len = netmask.first().map_or(0, |len| usize::from(*len)).min(netmask.len());
    let mask = if is_ipv6 { 8..24 } else { 4..8 };
    let bytes = netmask[..len].iter().skip(mask.start).take(mask.len());
    let mut bits = 0;
    for byte in bytes {
        bits += byte.leading_ones();
        if *byte != 0xff {
            break;
        }
    }
    bits
}

/// What a link-layer address (`sockaddr_dl`) says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkAddress<'a> {
    /// The interface's index.
    pub index: u16,
    /// Its type: `IFT_ETHER` for a bridge too.
    pub kind: u8,
    /// Its name; may be empty.
    pub name: &'a [u8],
    /// Its address on the link; may be empty.
    pub address: &'a [u8],
}

impl LinkAddress<'_> {
    /// The address on the link, if it is a MAC.
    #[must_use]
    pub fn mac(&self) -> Option<[u8; 6]> {
        self.address.try_into().ok()
    }
}

/// Takes a link-layer address apart; none for other families.
#[must_use]
pub fn link_address(address: &[u8]) -> Option<LinkAddress<'_>> {
    let bytes = of_family(address, AF_LINK)?;
    let (&[index_0, index_1, kind, name_len, address_len, _], data) = bytes.split_first_chunk()?;
    let (name, data) = data.split_at_checked(usize::from(name_len))?;
    let address = data.get(..usize::from(address_len))?;
    Some(LinkAddress { index: u16::from_ne_bytes([index_0, index_1]), kind, name, address })
}

/// An address of a length byte, a family and these parts.
fn with_head(family: i32, parts: &[&[u8]]) -> SocketAddress {
    let mut bytes = [0; SocketAddress::LEN_MAX];
    let mut len = 2;
    for part in parts {
        bytes[len..][..part.len()].copy_from_slice(part);
        len += part.len();
    }
    bytes[0] = u8::try_from(len).unwrap_or(0);
    bytes[1] = u8::try_from(family).unwrap_or(0);
    let mut address = SocketAddress::EMPTY;
    address.set(&bytes[..len]);
    address
}

/// What follows the family, if it is this one; within the length byte.
fn of_family(address: &[u8], family: i32) -> Option<&[u8]> {
    let (&[len, is], _) = address.split_first_chunk()?;
    let bytes = address.get(2..usize::from(len).min(address.len()))?;
    (i32::from(is) == family).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_has_at_most_103_bytes_and_no_zero() {
        let address = unix_path(b"/tmp/vm.sock").unwrap();
        assert_eq!(address.as_bytes(), b"\x0f\x01/tmp/vm.sock\0");
        assert_eq!(unix_path_of(address.as_bytes()), Some(&b"/tmp/vm.sock"[..]));
        let longest = unix_path(&[b'x'; 103]).unwrap();
        assert_eq!(longest.as_bytes().len(), 106);
        assert_eq!(usize::from(longest.as_bytes()[0]), 106);
        assert_eq!(unix_path(&[b'x'; 104]), Err(PathError::TooLong(104)));
        assert_eq!(unix_path(b""), Err(PathError::Empty));
        assert_eq!(unix_path(b"a\0b"), Err(PathError::Zero));
    }

    #[test]
    fn a_socket_that_was_not_bound_has_no_path() {
        let mut unnamed = [0; 16];
        unnamed[..2].copy_from_slice(&[16, 1]);
        assert_eq!(unix_path_of(&unnamed), None);
        assert_eq!(unix_path_of(&[]), None);
        assert_eq!(unix_path_of(&[2, 1]), None);
        assert_eq!(unix_path_of(&[5, 2, b'a', b'b', 0]), None);
        // Neither the length byte nor the slice is run over.
        assert_eq!(unix_path_of(&[255, 1, b'a', b'b']), Some(&b"ab"[..]));
        assert_eq!(unix_path_of(&[3, 1, b'a', b'b']), Some(&b"a"[..]));
    }

    #[test]
    fn an_interface_has_an_ndrv_address_of_18_bytes() {
        let address = ndrv("feth20001".parse().unwrap());
        assert_eq!(address.as_bytes(), b"\x12\x1bfeth20001\0\0\0\0\0\0\0");
    }

    #[test]
    fn ip_addresses_go_there_and_back() {
        for text in ["192.0.2.1", "2001:db8::1", "fe80::1"] {
            let address: IpAddr = text.parse().unwrap();
            let bytes = internet(address);
            assert_eq!(bytes.as_bytes().len(), if address.is_ipv4() { 16 } else { 28 });
            assert_eq!(internet_of(bytes.as_bytes()), Some(address));
        }
        let bytes = internet("192.0.2.1".parse().unwrap());
        assert_eq!(&bytes.as_bytes()[..8], &[16, 2, 0, 0, 192, 0, 2, 1]);
        assert_eq!(internet_of(&bytes.as_bytes()[..7]), None);
        assert_eq!(internet_of(&[]), None);
    }

    #[test]
    fn the_index_within_a_link_local_address_is_taken_out() {
        let mut bytes = [0; 28];
        bytes[..2].copy_from_slice(&[28, 30]);
        bytes[8..12].copy_from_slice(&[0xfe, 0x80, 0, 7]);
        bytes[23] = 1;
        assert_eq!(internet_of(&bytes), Some("fe80::1".parse().unwrap()));
        bytes[8] = 0xfd;
        assert_eq!(internet_of(&bytes), Some("fd80:7::1".parse().unwrap()));
    }

    #[test]
    fn a_mask_leaves_its_trailing_zeros_away() {
        assert_eq!(prefix_len(&[7, 0, 0, 0, 255, 255, 240], false), 20);
        assert_eq!(
            prefix_len(&[16, 2, 0, 0, 255, 255, 255, 255, 9, 9, 9, 9, 9, 9, 9, 9], false),
            32
        );
        assert_eq!(prefix_len(&[], false), 0);
        let mut mask = [0; 28];
        mask[..2].copy_from_slice(&[28, 30]);
        mask[8..16].fill(255);
        assert_eq!(prefix_len(&mask, true), 64);
        mask[0] = 9;
        assert_eq!(prefix_len(&mask, true), 8);
    }

    #[test]
    fn a_link_address_has_its_name_before_its_mac() {
        let mut bytes = vec![20, 18, 4, 0, 6, 5, 6, 0];
        bytes.extend_from_slice(b"feth7\x66\x65\x74\x68\x00\x07\0");
        let link = link_address(&bytes).unwrap();
        assert_eq!((link.kind, link.name), (6, &b"feth7"[..]));
        assert_eq!(link.index, u16::from_ne_bytes([4, 0]));
        assert_eq!(link.mac(), Some([0x66, 0x65, 0x74, 0x68, 0, 7]));
        bytes[6] = 4;
        assert_eq!(link_address(&bytes).unwrap().mac(), None);
        for (place, lie) in [(0, 18), (5, 200), (6, 200), (1, 2)] {
            let mut bytes = bytes.clone();
            bytes[6] = 6;
            bytes[place] = lie;
            assert_eq!(link_address(&bytes), None, "byte {place}");
        }
        assert_eq!(link_address(&bytes[..7]), None);
    }

    proptest! {
        /// Whatever a kernel gives: no panic, and nothing from outside of it.
        #[test]
        fn any_bytes_are_an_address_or_none(bytes in vec(any::<u8>(), 0..64), family in 0_u8..40) {
            let mut address = bytes;
            if let Some(byte) = address.get_mut(1) {
                *byte = family;
            }
            let len = usize::from(address.first().copied().unwrap_or(0));
            let room = len.min(address.len()).saturating_sub(2);
            if let Some(path) = unix_path_of(&address) {
                prop_assert!(path.len() <= room && !path.contains(&0));
            }
            if let Some(link) = link_address(&address) {
                prop_assert!(link.name.len() + link.address.len() + 6 <= room);
            }
            let is_whole = match internet_of(&address) {
                None => true,
                Some(IpAddr::V4(_)) => room >= 6,
                Some(IpAddr::V6(_)) => room >= 22,
            };
            prop_assert!(is_whole);
            prop_assert!(prefix_len(&address, false) <= 32);
            prop_assert!(prefix_len(&address, true) <= 128);
        }

        #[test]
        fn paths_go_there_and_back(path in vec(1_u8..=255, 1..=UNIX_PATH_MAX)) {
            let address = unix_path(&path).unwrap();
            prop_assert_eq!(unix_path_of(address.as_bytes()), Some(path.as_slice()));
        }
    }
}
