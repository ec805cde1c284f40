//! Hardware addresses.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// A 48-bit MAC address (IEEE 802-2014, 8.2).
///
/// ```
/// let mac: probe::MacAddress = "52:54:00:12:34:56".parse()?;
/// assert!(!mac.is_group());
/// assert_eq!(mac.to_string(), "52:54:00:12:34:56");
/// # Ok::<(), probe::MacParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Every station of the network.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// A locally administered unicast address made from `seed`: equal seeds, equal addresses.
    #[must_use]
    pub fn local(seed: u64) -> Self {
        // splitmix64's finalizer: neighbouring seeds give unrelated addresses.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [_, _, a, b, c, d, e, f] = (mixed ^ (mixed >> 31)).to_be_bytes();
        Self([a & !GROUP | LOCAL, b, c, d, e, f])
    }

    /// The six octets in transmission order.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether frames to this address go to a group (multicast or broadcast).
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & GROUP != 0
    }

    /// Whether one station can own this address: neither a group nor all zeros.
    #[must_use]
    pub fn is_unicast(self) -> bool {
        !self.is_group() && self.0 != [0; 6]
    }

    /// The IPv6 link-local address this station gives itself (RFC 4291, appendix A).
    #[must_use]
    pub fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let pair = |high, low| u16::from_be_bytes([high, low]);
        let last = [pair(a ^ LOCAL, b), pair(c, 0xff), pair(0xfe, d), pair(e, f)];
        Ipv6Addr::new(0xfe80, 0, 0, 0, last[0], last[1], last[2], last[3])
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddress {
    type Err = MacParseError;

    /// Six pairs of hexadecimal digits with colons or dashes between them.
    fn from_str(text: &str) -> Result<Self, MacParseError> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = [0; 6];
        let mut parts = text.split(separator);
        for octet in &mut octets {
            let part = parts.next().ok_or(MacParseError)?;
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            *octet = match u8::from_str_radix(part, 16) {
                Ok(value) if digits => value,
                _ => return Err(MacParseError),
            };
        }
        if parts.next().is_some() {
            return Err(MacParseError);
        }
        Ok(Self(octets))
    }
}

/// A text that is no MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no MAC address: expected six pairs of hexadecimal digits, such as 52:54:00:12:34:56")]
pub struct MacParseError;

/// The individual/group bit of the first octet.
const GROUP: u8 = 0x01;
/// The universal/local bit of the first octet.
const LOCAL: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_octets_agree() {
        let mac = MacAddress([0x52, 0x54, 0, 0xab, 0xcd, 0xef]);
        assert_eq!("52:54:00:AB:cd:ef".parse(), Ok(mac));
        assert_eq!("52-54-00-ab-cd-ef".parse(), Ok(mac));
        assert_eq!(mac.to_string(), "52:54:00:ab:cd:ef");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "52:54:00:ab:cd", "52:54:00:ab:cd:ef:00", "5:54:00:ab:cd:ef", "+2:54:00:ab:cd:ef"]
        {
            assert_eq!(text.parse::<MacAddress>(), Err(MacParseError), "{text}");
        }
    }

    #[test]
    fn link_local_is_the_modified_eui_64() {
        let mac: MacAddress = "52:54:00:12:34:56".parse().expect("a MAC address");
        assert_eq!(mac.link_local().to_string(), "fe80::5054:ff:fe12:3456");
    }

    #[test]
    fn seeded_addresses_are_local_unicast_and_differ() {
        let all: std::collections::BTreeSet<_> = (0..1000).map(MacAddress::local).collect();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|mac| mac.is_unicast() && mac.0[0] & LOCAL != 0));
    }
}
