//! The 10-byte `struct virtio_net_hdr` (linux/virtio_net.h) that stands before each frame of a
//! socket with `PACKET_VNET_HDR`: what is still to be done to the frame that follows.
//!
//! On packet sockets its 16-bit fields have the byte order of the machine (the legacy virtio
//! rule; `vio_le()` in net/packet/af_packet.c). The fields are numbers from elsewhere: nothing
//! here checks them against a frame, and whoever follows an offset must.

/// Length of the header in bytes.
pub const VNET_HDR_LEN: usize = 10;

/// A virtio-net header. The default is the header of a finished frame: all zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct VnetHdr {
    /// [`NEEDS_CSUM`](Self::NEEDS_CSUM), [`DATA_VALID`](Self::DATA_VALID) and unknown bits.
    pub flags: u8,
    /// `VIRTIO_NET_HDR_GSO_*`, with the ECN bit 0x80; see [`gso`](Self::gso).
    pub gso_type: u8,
    /// Length of all headers in bytes: for a big segment, a hint about where its payload begins.
    pub hdr_len: u16,
    /// Payload bytes in each segment, headers not counted.
    pub gso_size: u16,
    /// Where in the frame the checksummed part begins (it ends with the frame).
    pub csum_start: u16,
    /// Where the checksum's two bytes are, from `csum_start`.
    pub csum_offset: u16,
}

/// Kinds of big segments, `VIRTIO_NET_HDR_GSO_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Gso {
    /// An ordinary frame.
    None,
    /// TCP over IPv4.
    TcpV4,
    /// UDP to be cut into IP fragments (UFO). Linux sends none since 4.14.
    Udp,
    /// TCP over IPv6.
    TcpV6,
    /// UDP over either, to be cut into datagrams (USO; `UDP_SEGMENT`).
    UdpL4,
    /// Any other number.
    Unknown(u8),
}

impl VnetHdr {
    /// Flag: the checksum at `csum_start + csum_offset` holds only the pseudo-header's sum.
    pub const NEEDS_CSUM: u8 = 1;
    /// Flag: the checksum has been verified.
    pub const DATA_VALID: u8 = 2;
    /// Bit of `gso_type`: a TCP segment with CWR set, which only its first piece may keep.
    pub const GSO_ECN: u8 = 0x80;

    /// Reads the header from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; VNET_HDR_LEN]) -> Self {
        let word = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Self {
            flags: bytes[0],
            gso_type: bytes[1],
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        }
    }

    /// The header's bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; VNET_HDR_LEN] {
        let mut bytes = [0; VNET_HDR_LEN];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        let words = [self.hdr_len, self.gso_size, self.csum_start, self.csum_offset];
        for (place, word) in bytes[2..].chunks_exact_mut(2).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// Whether the frame is finished: no checksum to complete, nothing to cut.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !self.needs_checksum() && self.gso() == Gso::None
    }

    /// Whether the checksum is still to be completed.
    #[must_use]
    pub fn needs_checksum(&self) -> bool {
        self.flags & Self::NEEDS_CSUM != 0
    }

    /// The kind of segment, without the ECN bit.
    #[must_use]
    pub fn gso(&self) -> Gso {
        match self.gso_type & !Self::GSO_ECN {
            0 => Gso::None,
            1 => Gso::TcpV4,
            3 => Gso::Udp,
            4 => Gso::TcpV6,
            5 => Gso::UdpL4,
            number => Gso::Unknown(number),
        }
    }

    /// Whether the ECN bit is set.
    #[must_use]
    pub fn ecn(&self) -> bool {
        self.gso_type & Self::GSO_ECN != 0
    }

    /// The same header for the frame with `bytes` more in front of its IP header: the kernel counts
    /// from the frame without the VLAN tag that it took out.
    #[cfg(any(target_os = "linux", test))]
    #[must_use]
    pub(crate) fn moved(mut self, bytes: u16) -> Self {
        if self.needs_checksum() {
            self.csum_start = self.csum_start.saturating_add(bytes);
        }
        if self.gso() != Gso::None {
            self.hdr_len = self.hdr_len.saturating_add(bytes);
        }
        self
    }
}

impl Gso {
    /// The number in `gso_type`.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::TcpV4 => 1,
            Self::Udp => 3,
            Self::TcpV6 => 4,
            Self::UdpL4 => 5,
            Self::Unknown(number) => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_where_the_kernel_has_them() {
        let header = VnetHdr {
            flags: VnetHdr::NEEDS_CSUM,
            gso_type: Gso::TcpV6.number() | VnetHdr::GSO_ECN,
            hdr_len: 0x0102,
            gso_size: 0x0304,
            csum_start: 0x0506,
            csum_offset: 0x0708,
        };
        let mut expected = vec![1, 0x84];
        for word in [0x0102_u16, 0x0304, 0x0506, 0x0708] {
            expected.extend(word.to_ne_bytes());
        }
        assert_eq!(header.to_bytes().as_slice(), expected);
        assert_eq!(VnetHdr::from_bytes(header.to_bytes()), header);
        assert_eq!(header.gso(), Gso::TcpV6);
        assert!(header.ecn() && header.needs_checksum() && !header.is_finished());
        assert_eq!(VnetHdr::default().to_bytes(), [0; VNET_HDR_LEN]);
        assert!(VnetHdr::default().is_finished());
    }

    #[test]
    fn every_number_of_gso_type_survives() {
        for number in 0..=u8::MAX {
            let header = VnetHdr { gso_type: number, ..VnetHdr::default() };
            let ecn = if header.ecn() { VnetHdr::GSO_ECN } else { 0 };
            assert_eq!(header.gso().number() | ecn, number);
        }
    }

    #[test]
    fn only_what_is_in_use_moves() {
        let tag = 4;
        let plain = VnetHdr { csum_start: 34, hdr_len: 54, ..VnetHdr::default() };
        assert_eq!(plain.moved(tag), plain);
        let unfinished = VnetHdr { flags: VnetHdr::NEEDS_CSUM, gso_type: 1, ..plain };
        let moved = unfinished.moved(tag);
        assert_eq!((moved.csum_start, moved.hdr_len), (38, 58));
        let hostile = VnetHdr { csum_start: u16::MAX, ..unfinished };
        assert_eq!(hostile.moved(tag).csum_start, u16::MAX);
    }
}
