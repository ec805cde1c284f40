//! A frame on its way out.

use crate::vnet::VnetHdr;

/// One frame to [`send`](crate::PacketSocket::send): its bytes, in one or two pieces, and what is
/// still to be done to them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outgoing<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) tail: &'a [u8],
    pub(crate) vnet: VnetHdr,
}

impl<'a> Outgoing<'a> {
    /// A finished frame in one piece, from the destination address on; at least 14 bytes.
    #[must_use]
    pub fn new(frame: &'a [u8]) -> Self {
        Self { head: frame, ..Self::default() }
    }

    /// The same with more bytes behind it (as a [`Slot`](crate::Slot) received it).
    #[must_use]
    pub fn with_tail(mut self, tail: &'a [u8]) -> Self {
        self.tail = tail;
        self
    }

    /// The same with work left to the kernel. A socket opened without
    /// [`vnet_hdr`](crate::Options::vnet_hdr) can take only finished frames: it answers
    /// [`SendError::Invalid`](crate::SendError::Invalid) to any other.
    #[must_use]
    pub fn with_vnet(mut self, vnet: VnetHdr) -> Self {
        self.vnet = vnet;
        self
    }
}
