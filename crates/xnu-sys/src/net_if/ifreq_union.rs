//! What an `ifreq` holds: accessors of its union.

use super::{ifdevmtu, ifreq};
use crate::InterfaceName;

impl ifreq {
    /// A request about an interface, its union zero.
    #[must_use]
    pub const fn new(interface: InterfaceName) -> Self {
        Self { ifr_name: interface.bytes(), ifr_ifru: [0; 16] }
    }

    /// With these flags (`ifr_flags`, 16 bits: [`IFF_UP`](super::IFF_UP) and the like; bits beyond
    /// them are cut off).
    #[must_use]
    pub const fn with_flags(self, flags: u32) -> Self {
        let [low, high, ..] = flags.to_ne_bytes();
        let mut union = self.ifr_ifru;
        union[0] = low;
        union[1] = high;
        Self { ifr_ifru: union, ..self }
    }

    /// The flags (`ifr_flags`), as bits: [`IFF_MULTICAST`](super::IFF_MULTICAST) does not make it
    /// negative.
    #[must_use]
    pub const fn flags(&self) -> u32 {
        u16::from_ne_bytes([self.ifr_ifru[0], self.ifr_ifru[1]]) as u32
    }

    /// With this number in the union's 32-bit word `place`, of four (`ifr_mtu`, `ifr_intval`,
    /// `ifr_media` and `ifr_reqcap` are word 0).
    ///
    /// # Panics
    /// When `place` is not below 4.
    #[must_use]
    pub const fn with_u32(self, place: usize, value: u32) -> Self {
        let [a, b, c, d] = value.to_ne_bytes();
        let mut union = self.ifr_ifru;
        union[4 * place] = a;
        union[4 * place + 1] = b;
        union[4 * place + 2] = c;
        union[4 * place + 3] = d;
        Self { ifr_ifru: union, ..self }
    }

    /// The union's 32-bit word `place`, of four (`SIOCGIFTYPE` gives the type, the family and the
    /// subfamily in 0, 1 and 2; `SIOCGIFCAP` what is supported and what is on in 0 and 1).
    ///
    /// # Panics
    /// When `place` is not below 4.
    #[must_use]
    pub const fn value_u32(&self, place: usize) -> u32 {
        let union = &self.ifr_ifru;
        let at = 4 * place;
        u32::from_ne_bytes([union[at], union[at + 1], union[at + 2], union[at + 3]])
    }

    /// The union's 64-bit word `place`, of two (`SIOCGIFEFLAGS`, `SIOCGIFXFLAGS`: word 0).
    ///
    /// # Panics
    /// When `place` is not below 2.
    #[must_use]
    pub fn value_u64(&self, place: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.ifr_ifru[8 * place..][..8]);
        u64::from_ne_bytes(bytes)
    }

    /// With this MTU (`ifr_mtu`), in bytes.
    #[must_use]
    pub const fn with_mtu(self, mtu: u32) -> Self {
        self.with_u32(0, mtu)
    }

    /// The MTU (`ifr_mtu`), in bytes; below 0 none.
    #[must_use]
    pub const fn mtu(&self) -> i32 {
        self.value_u32(0).cast_signed()
    }

    /// What `SIOCGIFDEVMTU` gives (`ifr_devmtu`).
    #[must_use]
    pub const fn devmtu(&self) -> ifdevmtu {
        ifdevmtu {
            ifdm_current: self.value_u32(0).cast_signed(),
            ifdm_min: self.value_u32(1).cast_signed(),
            ifdm_max: self.value_u32(2).cast_signed(),
        }
    }

    /// With a socket address (`ifr_addr`), of which 16 bytes fit: [`crate::address`] makes them.
    #[must_use]
    pub fn with_address(self, address: &[u8]) -> Self {
        let mut union = [0; 16];
        let len = address.len().min(union.len());
        union[..len].copy_from_slice(&address[..len]);
        Self { ifr_ifru: union, ..self }
    }

    /// The socket address in the union (`ifr_addr`), its length byte first, as far as it fits.
    #[must_use]
    pub fn address(&self) -> &[u8] {
        let len = usize::from(self.ifr_ifru[0]).min(self.ifr_ifru.len());
        &self.ifr_ifru[..len]
    }

    /// With a MAC as `SIOCSIFLLADDR` takes it: the length byte is the MAC's, 6.
    #[must_use]
    pub fn with_mac(self, mac: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = mac;
        self.with_address(&[6, 18, a, b, c, d, e, f])
    }

    /// The MAC that `SIOCGIFLLADDR` gives; none when it is of another length.
    #[must_use]
    pub fn mac(&self) -> Option<[u8; 6]> {
        let (&[6, 18, a, b, c, d, e, f], _) = self.ifr_ifru.split_first_chunk()? else {
            return None;
        };
        Some([a, b, c, d, e, f])
    }

    /// The interface, when the kernel put a name there (`SIOCIFCREATE`, `BIOCGETIF`).
    ///
    /// # Errors
    /// [`NameError`](crate::NameError): it is no name.
    pub fn interface(&self) -> Result<InterfaceName, crate::NameError> {
        InterfaceName::from_bytes(&self.ifr_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net_if::{IFF_MULTICAST, IFF_UP};

    fn request() -> ifreq {
        ifreq::new("feth7".parse().unwrap())
    }

    #[test]
    fn flags_are_16_bits_at_the_union_s_begin() {
        let request = request().with_u32(0, 0xffff_0000).with_flags(IFF_UP | IFF_MULTICAST);
        assert_eq!(request.flags(), IFF_UP | IFF_MULTICAST);
        assert_eq!(&request.ifr_ifru[..4], &[1, 0x80, 0xff, 0xff]);
        assert_eq!(request.interface().unwrap().as_str(), "feth7");
    }

    #[test]
    fn words_are_at_0_4_8_and_12() {
        let request = request().with_u32(1, 2).with_u32(2, 3).with_u32(3, 4).with_mtu(1500);
        assert_eq!(request.mtu(), 1500);
        assert_eq!([0, 1, 2, 3].map(|place| request.value_u32(place)), [1500, 2, 3, 4]);
        assert_eq!(request.value_u64(0), 2 << 32 | 1500);
        assert_eq!(request.value_u64(1), 4 << 32 | 3);
        assert_eq!(request.devmtu(), ifdevmtu { ifdm_current: 1500, ifdm_min: 2, ifdm_max: 3 });
        assert_eq!(&request.ifr_ifru[4..8], &2_u32.to_ne_bytes());
    }

    #[test]
    fn an_address_is_as_long_as_its_length_byte_says() {
        let address = [8, 2, 0, 0, 192, 0, 2, 1];
        assert_eq!(request().with_address(&address).address(), &address);
        assert_eq!(request().with_address(&[255; 40]).address().len(), 16);
    }

    #[test]
    fn a_mac_has_the_length_byte_6() {
        let mac = [0x66, 0x65, 0x74, 0x68, 0, 7];
        let request = request().with_mac(mac);
        assert_eq!(&request.ifr_ifru[..8], &[6, 18, 0x66, 0x65, 0x74, 0x68, 0, 7]);
        assert_eq!(request.mac(), Some(mac));
        assert_eq!(request.with_u32(0, 8).mac(), None);
    }
}
