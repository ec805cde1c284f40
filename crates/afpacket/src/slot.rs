//! Where one received frame goes, and what is known of it.

use crate::auxdata::Auxdata;
use crate::vnet::VnetHdr;

/// Room for one received frame: the caller's buffer, perhaps a second one for the rare frame that
/// is bigger, and after [`receive`](crate::PacketSocket::receive) what came.
///
/// The frame begins in the buffer, not at its first byte: [`HEADROOM`] bytes before it are kept
/// free, so that a VLAN tag is put back by moving only the two addresses. Most frames fit the
/// buffer ([`head`](Self::head)); the rest of one that does not is in the spill
/// ([`tail`](Self::tail)). So a buffer of an MTU's size and a spill of 64 KiB take any segment,
/// and the spill's memory is touched only by those who need it.
#[derive(Debug)]
pub struct Slot<'a> {
    pub(crate) buffer: &'a mut [u8],
    pub(crate) spill: &'a mut [u8],
    received: Received,
}

/// What the kernel knows of a frame's checksum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// Nothing: it stands as it came from the wire.
    #[default]
    Unknown,
    /// It has been verified.
    Valid,
    /// It holds only the pseudo-header's sum and is still to be completed, as
    /// [`Slot::vnet`] says; without `vnet_hdr`, where it stands is for the reader to find.
    Unfinished,
}

/// What came into a slot.
#[derive(Debug, Clone, Copy, Default)]
struct Received {
    start: usize,
    head_len: usize,
    tail_len: usize,
    wire_len: usize,
    vnet: VnetHdr,
    checksum: Checksum,
    gso_tcp: bool,
}

impl<'a> Slot<'a> {
    /// An empty slot that takes frames of up to `buffer.len() - HEADROOM` bytes.
    ///
    /// # Panics
    /// When the buffer is shorter than [`SLOT_BUFFER_MIN`].
    #[must_use]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        assert!(buffer.len() >= SLOT_BUFFER_MIN, "a slot's buffer of {} bytes", buffer.len());
        Self { buffer, spill: &mut [], received: Received::default() }
    }

    /// The same with a second buffer for what does not fit the first.
    #[must_use]
    pub fn with_spill(mut self, spill: &'a mut [u8]) -> Self {
        self.spill = spill;
        self
    }

    /// The frame's bytes in the buffer: all of it, unless there is a [`tail`](Self::tail).
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.buffer[self.range()]
    }

    /// The same to write to.
    #[must_use]
    pub fn head_mut(&mut self) -> &mut [u8] {
        let range = self.range();
        &mut self.buffer[range]
    }

    /// Where in the buffer the frame's first part is.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<usize> {
        self.received.start..self.received.start + self.received.head_len
    }

    /// The rest of a frame that did not fit the buffer; mostly empty.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.spill[..self.received.tail_len]
    }

    /// Bytes of the frame that are here, head and tail together.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.received.head_len + self.received.tail_len
    }

    /// Bytes the frame had, tag included: more than are here when it is truncated.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        self.received.wire_len
    }

    /// Whether bytes are missing, because the slot was too small or the filter accepted fewer than
    /// all. Such a frame must not be passed on.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.frame_len() < self.received.wire_len
    }

    /// What is still to be done to the frame, its offsets counted from the head's first byte;
    /// all zero (a finished frame) on a socket without [`vnet_hdr`](crate::Options::vnet_hdr).
    /// The kernel's own numbers, but for the place of a tag put back: check them before use.
    #[must_use]
    pub fn vnet(&self) -> VnetHdr {
        self.received.vnet
    }

    /// What the kernel knows of the frame's checksum; told with and without `vnet_hdr`.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        self.received.checksum
    }

    /// Whether it is a TCP segment bigger than what may go on a wire, also without `vnet_hdr`
    /// (Linux 5.19 and later say so).
    #[must_use]
    pub fn is_tcp_super_frame(&self) -> bool {
        self.received.gso_tcp
    }

    /// Where a frame goes: behind the headroom, and what does not fit there.
    pub(crate) fn parts(&mut self) -> (&mut [u8], &mut [u8]) {
        (&mut self.buffer[HEADROOM..], self.spill)
    }

    /// Bytes the kernel may write behind the headroom.
    pub(crate) fn room(&self) -> usize {
        self.buffer.len() - HEADROOM + self.spill.len()
    }

    /// Takes note of what the kernel wrote behind the headroom: a frame of `length` bytes (more
    /// than there was room for when it was cut), its auxiliary data and its header.
    pub(crate) fn fill(&mut self, length: usize, auxdata: Option<Auxdata>, vnet: VnetHdr) {
        let here = length.min(self.room());
        let head_len = here.min(self.buffer.len() - HEADROOM);
        let auxdata = auxdata.unwrap_or_default();
        self.received = Received {
            start: HEADROOM,
            head_len,
            tail_len: here - head_len,
            wire_len: length.max(usize::try_from(auxdata.wire_len).unwrap_or(usize::MAX)),
            vnet,
            checksum: checksum(&auxdata, &vnet),
            gso_tcp: auxdata.gso_tcp(),
        };
        if let Some(tag) = auxdata.vlan_tag() {
            self.restore_tag(tag);
        }
    }

    /// Puts the outermost tag back between the addresses and what the kernel left behind them
    /// (the type, or an inner tag).
    fn restore_tag(&mut self, tag: [u8; HEADROOM]) {
        if self.received.head_len < ADDRESSES_LEN {
            return; // the filter accepted fewer bytes than the addresses have; truncated anyway
        }
        self.buffer.copy_within(HEADROOM..HEADROOM + ADDRESSES_LEN, 0);
        self.buffer[ADDRESSES_LEN..ADDRESSES_LEN + HEADROOM].copy_from_slice(&tag);
        self.received.start = 0;
        self.received.head_len += HEADROOM;
        self.received.wire_len += HEADROOM;
        self.received.vnet = self.received.vnet.moved(TAG_LEN);
    }
}

fn checksum(auxdata: &Auxdata, vnet: &VnetHdr) -> Checksum {
    if auxdata.checksum_unfinished() || vnet.needs_checksum() {
        Checksum::Unfinished
    } else if auxdata.checksum_valid() || vnet.flags & VnetHdr::DATA_VALID != 0 {
        Checksum::Valid
    } else {
        Checksum::Unknown
    }
}

/// Bytes at the front of a slot's buffer that an untagged frame leaves free: a VLAN tag's length.
pub const HEADROOM: usize = TAG_LEN as usize;
/// The shortest buffer of a slot: the shortest Ethernet frame behind the headroom.
pub const SLOT_BUFFER_MIN: usize = HEADROOM + 60;
/// Bytes of an IEEE 802.1Q tag.
const TAG_LEN: u16 = 4;
/// Bytes of the destination and source addresses.
const ADDRESSES_LEN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_over_the_buffer_goes_on_in_the_spill() {
        let (mut buffer, mut spill) = ([1; 104], [2; 50]);
        let mut slot = Slot::new(&mut buffer).with_spill(&mut spill);
        slot.fill(120, None, VnetHdr::default());
        assert_eq!((slot.head(), slot.tail()), ([1; 100].as_slice(), [2; 20].as_slice()));
        assert_eq!((slot.frame_len(), slot.wire_len(), slot.range()), (120, 120, 4..104));
        assert!(!slot.is_truncated());
        slot.fill(151, None, VnetHdr::default());
        assert_eq!((slot.frame_len(), slot.wire_len()), (150, 151));
        assert!(slot.is_truncated());
        slot.fill(60, None, VnetHdr::default());
        assert_eq!((slot.frame_len(), slot.tail().len()), (60, 0), "nothing is left of the last");
    }

    #[test]
    #[should_panic(expected = "63 bytes")]
    fn buffer_under_the_minimum_is_refused() {
        let _ = Slot::new(&mut [0; SLOT_BUFFER_MIN - 1]);
    }
}
