//! What is still to be done to a frame's bytes, and doing it in software: completing a checksum,
//! cutting a big segment into frames that fit a wire.
//!
//! A frame that comes from a kernel's or a guest's stack may be unfinished, in the terms of
//! virtio-net: its TCP or UDP checksum holds only the pseudo-header's sum, or it is one segment of
//! up to 64 KiB that a card would cut. Between ports that understand this it passes untouched,
//! with its [`Offload`] beside it; towards one that does not, [`complete_checksum`] and
//! [`Segmenter`] do what the Linux kernel would (byte for byte; `tests/offload_kernel.rs`).
//!
//! No IO, no allocation. Every number in an [`Offload`] came from a guest and is checked against
//! the frame before it is followed. Nothing here touches the bytes before the IP header, so what
//! the fabric decided by (addresses, tags) holds afterwards too.
//!
//! ```
//! use vswitch::offload::{Offload, Segmenter, complete_checksum};
//!
//! fn finish(frame: &mut [u8], offload: &Offload, mut send: impl FnMut(&[u8])) {
//!     if offload.gso.is_none() {
//!         if complete_checksum(frame, offload).is_ok() {
//!             send(frame);
//!         }
//!     } else if let Ok(mut segmenter) = Segmenter::new(frame, offload) {
//!         let mut buffer = [0; 2048];
//!         while let Some(length) = segmenter.next_into(&mut buffer) {
//!             send(&buffer[..length]);
//!         }
//!     }
//! }
//! # let mut sent = 0;
//! # finish(&mut [0; 60], &Offload::NONE, |_| sent += 1);
//! # assert_eq!(sent, 1);
//! ```

mod checksum;
mod headers;
mod offloads;
mod segment;
#[cfg(test)]
mod testing;

pub use checksum::complete_checksum;
pub use offloads::Offloads;
pub use segment::Segmenter;

/// The work left on a frame. The default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// The checksum's state.
    pub checksum: Checksum,
    /// Whether and how the frame is to be cut.
    pub gso: Gso,
    /// A TCP segment with CWR set, which only its first piece may keep.
    pub ecn: bool,
    /// Payload bytes in each piece, headers not counted; 0 unless it is to be cut.
    pub segment_bytes: u16,
    /// Length of all headers as the sender tells it. A hint for those who pass the frame on; the
    /// work done here goes by the headers themselves.
    pub header_bytes: u16,
    /// Where in the frame the checksummed part begins; it ends with the frame.
    pub checksum_start: u16,
    /// Where the checksum's two bytes are, from `checksum_start`.
    pub checksum_offset: u16,
}

/// The state of a frame's transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Complete, as far as anybody knows.
    #[default]
    Complete,
    /// Complete, and found right: the receiver need not look again.
    Verified,
    /// Its place holds the pseudo-header's sum; the rest is to be added.
    Unfinished,
}

/// How a big segment is to be cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gso {
    /// Not at all: an ordinary frame.
    #[default]
    None,
    /// Into TCP segments over IPv4.
    TcpV4,
    /// Into TCP segments over IPv6.
    TcpV6,
    /// Into UDP datagrams over IPv4 or IPv6 (USO, `UDP_SEGMENT`).
    UdpL4,
}

/// The fields of a virtio-net header (linux/virtio_net.h), in the machine's byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetFields {
    /// `VIRTIO_NET_HDR_F_*`.
    pub flags: u8,
    /// `VIRTIO_NET_HDR_GSO_*`.
    pub gso_type: u8,
    /// Length of all headers.
    pub hdr_len: u16,
    /// Payload bytes in each piece.
    pub gso_size: u16,
    /// Where the checksummed part begins.
    pub csum_start: u16,
    /// Where the checksum is, from there.
    pub csum_offset: u16,
}

/// Why the work on a frame cannot be done. Such a frame is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OffloadError {
    /// The kind of segment is one that nobody here can cut (UFO, or an unknown number).
    #[error("segments of GSO type {gso_type} cannot be cut")]
    UnknownGso {
        /// The number in the header.
        gso_type: u8,
    },
    /// It is to be cut into pieces of no bytes.
    #[error("a segment size of 0")]
    NoSegmentSize,
    /// The checksum's place is outside the frame, in its Ethernet header, or not where the
    /// transport header has it.
    #[error("the checksum's place (start {start}, offset {offset}) does not fit the frame")]
    ChecksumPlace {
        /// Where the checksummed part is said to begin.
        start: u16,
        /// Where the checksum is said to be, from there.
        offset: u16,
    },
    /// The headers are not those that the work is about, or not whole.
    #[error("the frame's headers do not fit its offload: {reason}")]
    Headers {
        /// What does not fit.
        reason: &'static str,
    },
}

impl VnetFields {
    /// How many bytes the header has, in the form without `num_buffers`.
    pub const BYTES: usize = 10;

    /// Reads the header from its bytes, in the byte order of virtio 1.0: little-endian.
    #[must_use]
    pub fn from_le_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [flags, gso_type, words @ ..] = bytes;
        let [hdr_len, gso_size, csum_start, csum_offset] =
            [0, 2, 4, 6].map(|at| u16::from_le_bytes([words[at], words[at + 1]]));
        Self { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset }
    }

    /// The header's bytes, likewise.
    #[must_use]
    pub fn to_le_bytes(self) -> [u8; Self::BYTES] {
        let [a, b] = self.hdr_len.to_le_bytes();
        let [c, d] = self.gso_size.to_le_bytes();
        let [e, f] = self.csum_start.to_le_bytes();
        let [g, h] = self.csum_offset.to_le_bytes();
        [self.flags, self.gso_type, a, b, c, d, e, f, g, h]
    }
}

impl Offload {
    /// Nothing is left to do.
    pub const NONE: Self = Self {
        checksum: Checksum::Complete,
        gso: Gso::None,
        ecn: false,
        segment_bytes: 0,
        header_bytes: 0,
        checksum_start: 0,
        checksum_offset: 0,
    };

    /// Whether nothing is left to do, so that the frame can go to any port as it is.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.gso.is_none() && !self.needs_checksum()
    }

    /// Whether the checksum is unfinished.
    #[must_use]
    pub const fn needs_checksum(&self) -> bool {
        matches!(self.checksum, Checksum::Unfinished)
    }

    /// Looks at what can be seen of the work without doing it, so that whoever gets the frame as it
    /// is, and follows these numbers, writes nothing before the IP header: what the fabric decided
    /// by holds for him too. Headers are not read, but for SCTP's.
    ///
    /// # Errors
    /// Those of [`complete_checksum`], and [`OffloadError::NoSegmentSize`].
    pub fn check(&self, frame: &[u8]) -> Result<(), OffloadError> {
        if !self.gso.is_none() && self.segment_bytes == 0 {
            return Err(OffloadError::NoSegmentSize);
        }
        if self.needs_checksum() {
            checksum::place(frame, self)?;
        }
        Ok(())
    }

    /// Reads the fields of a virtio-net header. Fields that its flags leave without meaning are
    /// not kept; numbers are not checked here but where they are followed.
    ///
    /// # Errors
    /// [`OffloadError::UnknownGso`].
    pub const fn from_vnet(fields: &VnetFields) -> Result<Self, OffloadError> {
        let gso = match fields.gso_type & !GSO_ECN {
            0 => Gso::None,
            1 => Gso::TcpV4,
            4 => Gso::TcpV6,
            5 => Gso::UdpL4,
            _ => return Err(OffloadError::UnknownGso { gso_type: fields.gso_type }),
        };
        let mut offload = Self { gso, ..Self::NONE };
        if !gso.is_none() {
            offload.ecn = fields.gso_type & GSO_ECN != 0;
            offload.segment_bytes = fields.gso_size;
            offload.header_bytes = fields.hdr_len;
        }
        if fields.flags & F_NEEDS_CSUM != 0 {
            offload.checksum = Checksum::Unfinished;
            offload.checksum_start = fields.csum_start;
            offload.checksum_offset = fields.csum_offset;
        } else if fields.flags & F_DATA_VALID != 0 {
            offload.checksum = Checksum::Verified;
        }
        Ok(offload)
    }

    /// The fields of a virtio-net header that says the same.
    #[must_use]
    pub const fn to_vnet(&self) -> VnetFields {
        let gso_type = match self.gso {
            Gso::None => 0,
            Gso::TcpV4 => 1,
            Gso::TcpV6 => 4,
            Gso::UdpL4 => 5,
        };
        VnetFields {
            flags: match self.checksum {
                Checksum::Complete => 0,
                Checksum::Verified => F_DATA_VALID,
                Checksum::Unfinished => F_NEEDS_CSUM,
            },
            gso_type: gso_type | if self.ecn { GSO_ECN } else { 0 },
            hdr_len: self.header_bytes,
            gso_size: self.segment_bytes,
            csum_start: self.checksum_start,
            csum_offset: self.checksum_offset,
        }
    }
}

impl Gso {
    /// Whether it is an ordinary frame.
    #[must_use]
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}

// linux/virtio_net.h
const F_NEEDS_CSUM: u8 = 1;
const F_DATA_VALID: u8 = 2;
const GSO_ECN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_go_through_unchanged() {
        let fields = VnetFields {
            flags: F_NEEDS_CSUM,
            gso_type: 4 | GSO_ECN,
            hdr_len: 74,
            gso_size: 1428,
            csum_start: 54,
            csum_offset: 16,
        };
        let offload = Offload::from_vnet(&fields).expect("a known type");
        assert_eq!(offload.to_vnet(), fields);
        assert!(!offload.is_none() && offload.needs_checksum());
        let udp = VnetFields { gso_type: 5, ..fields };
        assert_eq!(Offload::from_vnet(&udp).expect("a known type").to_vnet(), udp);
    }

    #[test]
    fn header_bytes_stand_as_virtio_has_them() {
        let bytes = [1, 4, 74, 0, 0x94, 5, 54, 0, 16, 0];
        let fields = VnetFields {
            flags: F_NEEDS_CSUM,
            gso_type: 4,
            hdr_len: 74,
            gso_size: 1428,
            csum_start: 54,
            csum_offset: 16,
        };
        assert_eq!(VnetFields::from_le_bytes(bytes), fields);
        assert_eq!(fields.to_le_bytes(), bytes);
    }

    #[test]
    fn fields_without_meaning_are_not_kept() {
        let noise = VnetFields {
            hdr_len: 1,
            gso_size: 2,
            csum_start: 3,
            csum_offset: 4,
            ..Default::default()
        };
        assert_eq!(Offload::from_vnet(&noise), Ok(Offload::NONE));
        let verified = VnetFields { flags: F_DATA_VALID, ..noise };
        let offload = Offload::from_vnet(&verified).expect("a known type");
        assert!(offload.is_none());
        assert_eq!(offload.to_vnet(), VnetFields { flags: F_DATA_VALID, ..Default::default() });
    }

    #[test]
    fn unknown_kinds_are_refused() {
        for gso_type in [2, 3, 6, 0x20, 0x7f, 0x83] {
            let fields = VnetFields { gso_type, ..Default::default() };
            assert_eq!(Offload::from_vnet(&fields), Err(OffloadError::UnknownGso { gso_type }));
        }
    }
}
