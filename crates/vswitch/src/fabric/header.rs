//! What the fabric reads of a frame: the two addresses at its head (IEEE 802.3, 3.1.1).

use crate::frame::FRAME_MIN_BYTES;
use crate::mac::MacAddr;

/// An address as one number, by which it is compared and looked up: the low 48 bits, first byte
/// highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressKey(pub(super) u64);

impl AddressKey {
    /// The first bit on the wire, which group addresses have set: the lowest of the first byte.
    const GROUP: u64 = 1 << 40;

    pub(super) const fn is_group(self) -> bool {
        self.0 & Self::GROUP != 0
    }

    /// As [`MacAddr::is_station`].
    pub(super) const fn is_station(self) -> bool {
        !self.is_group() && self.0 != 0
    }

    pub(super) const fn mac(self) -> MacAddr {
        MacAddr::from_bits(self.0)
    }
}

impl From<MacAddr> for AddressKey {
    fn from(mac: MacAddr) -> Self {
        Self(mac.to_bits())
    }
}

/// A frame's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(super) destination: AddressKey,
    pub(super) source: AddressKey,
}

impl Addresses {
    /// The addresses of a frame; `None` when it is too short to be one.
    #[inline]
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let header: &[u8; FRAME_MIN_BYTES] = frame.first_chunk()?;
        // Each with two of the bytes behind it, so that it is one load of eight.
        let destination = u64::from_be_bytes(*header.first_chunk()?) >> 16;
        let source = u64::from_be_bytes(*header.last_chunk()?) >> 16;
        Some(Self { destination: AddressKey(destination), source: AddressKey(source) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_both_addresses(frame in prop::collection::vec(any::<u8>(), 0..20)) {
            let read = Addresses::read(&frame);
            prop_assert_eq!(read.is_some(), frame.len() >= FRAME_MIN_BYTES);
            if let Some(Addresses { destination, source }) = read {
                prop_assert_eq!(&destination.mac().0[..], &frame[..6]);
                prop_assert_eq!(&source.mac().0[..], &frame[6..12]);
            }
        }

        #[test]
        fn a_key_is_what_its_address_is(mac in any::<[u8; 6]>(), is_zero in any::<bool>()) {
            let mac = MacAddr(if is_zero { [0; 6] } else { mac });
            let key = AddressKey::from(mac);
            prop_assert_eq!(key.mac(), mac);
            prop_assert_eq!(key.is_group(), mac.is_group());
            prop_assert_eq!(key.is_station(), mac.is_station());
        }
    }
}
