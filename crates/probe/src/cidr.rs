//! An address with the length of its network's prefix.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IPv4 or IPv6 address and its prefix length, as in `192.0.2.7/24`.
///
/// ```
/// let cidr: probe::Cidr = "2001:db8::7/64".parse()?;
/// assert_eq!(cidr.prefix_len(), 64);
/// # Ok::<(), probe::CidrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    prefix_len: u8,
}

impl Cidr {
    /// An address and a prefix length; none when the length exceeds the address's bits.
    #[must_use]
    pub const fn new(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if prefix_len > bits { None } else { Some(Self { address, prefix_len }) }
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits name the network.
    #[must_use]
    pub const fn prefix_len(&self) -> u8 {
        self.prefix_len
    }

    /// Whether `other` is in this address's network.
    #[must_use]
    pub fn contains(&self, other: IpAddr) -> bool {
        let differing_bits = match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing_bits >= u32::from(self.prefix_len)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

impl FromStr for Cidr {
    type Err = CidrParseError;

    fn from_str(text: &str) -> Result<Self, CidrParseError> {
        let (address, prefix_len) = text.split_once('/').ok_or(CidrParseError)?;
        let address = address.parse().map_err(|_| CidrParseError)?;
        let prefix_len = prefix_len.parse().map_err(|_| CidrParseError)?;
        Self::new(address, prefix_len).ok_or(CidrParseError)
    }
}

/// A text that is no address with a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ADDRESS/PREFIX, such as 192.0.2.7/24 or 2001:db8::7/64")]
pub struct CidrParseError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_what_the_prefix_covers() {
        let cidr: Cidr = "192.0.2.7/25".parse().expect("an address");
        assert!(cidr.contains("192.0.2.127".parse().expect("an address")));
        assert!(!cidr.contains("192.0.2.128".parse().expect("an address")));
        assert!(!cidr.contains("::1".parse().expect("an address")));
        let all: Cidr = "0.0.0.0/0".parse().expect("an address");
        assert!(all.contains("255.1.2.3".parse().expect("an address")));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["192.0.2.7", "192.0.2.7/33", "::/129", "/24", "192.0.2.7/", "192.0.2.7/-1"] {
            assert_eq!(text.parse::<Cidr>(), Err(CidrParseError), "{text}");
        }
    }
}
