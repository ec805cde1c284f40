//! The slots of a ring that the kernel puts frames into: each a header, the frame, and a status
//! word that says whose it is (`struct tpacket2_hdr`, linux/if_packet.h).

use std::sync::atomic::Ordering;

use crate::auxdata::Auxdata;
use crate::mapping::Mapping;
use crate::slot::Slot;
use crate::vnet::{VNET_HDR_LEN, VnetHdr};

/// How the ring's memory is divided: blocks of whole pages, in each of them as many slots as fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) slot_bytes: usize,
    pub(super) block_bytes: usize,
    pub(super) blocks: usize,
}

impl Shape {
    /// At least `slots` slots, which hold frames of `frame_bytes`.
    pub(super) fn new(slots: usize, frame_bytes: usize) -> Self {
        // An odd number of cache lines, so that the slots' heads do not fall into the same sets.
        let slot_bytes = ((FRAME_AT_MAX + frame_bytes).div_ceil(64) | 1) * 64;
        let block_bytes = BLOCK_BYTES.max(slot_bytes.next_multiple_of(PAGE_BYTES_MAX));
        let blocks = slots.div_ceil(block_bytes / slot_bytes).max(1);
        Self { slot_bytes, block_bytes, blocks }
    }

    pub(super) fn slots_per_block(&self) -> usize {
        self.block_bytes / self.slot_bytes
    }

    pub(super) fn slots(&self) -> usize {
        self.blocks * self.slots_per_block()
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks * self.block_bytes
    }

    fn place(&self, slot: usize) -> usize {
        let per_block = self.slots_per_block();
        slot / per_block * self.block_bytes + slot % per_block * self.slot_bytes
    }
}

/// The slots, and which of them is read next.
#[derive(Debug)]
pub(super) struct Slots {
    memory: Mapping,
    shape: Shape,
    vnet_hdr: bool,
    next: usize,
}

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// A frame.
    Frame(Header),
    /// The beginning of a frame that is longer, and waits whole as a message.
    Behind,
    /// The beginning of a frame that is longer, and for the rest of which there was no room.
    Beginning,
}

/// What the kernel says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes that are here.
    length: usize,
    /// Where in the slot they begin.
    start: usize,
    auxdata: Auxdata,
}

impl Slots {
    /// The ring in `memory`, which has its shape's bytes.
    pub(super) fn new(memory: Mapping, shape: Shape, vnet_hdr: bool) -> Self {
        Self { memory, shape, vnet_hdr, next: 0 }
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether the next slot is the kernel's.
    pub(super) fn is_empty(&self) -> bool {
        self.status(self.next) & libc::TP_STATUS_USER == 0
    }

    /// Whether all slots are the kernel's.
    pub(super) fn are_all_empty(&self) -> bool {
        (0..self.shape.slots()).all(|slot| self.status(slot) & libc::TP_STATUS_USER == 0)
    }

    /// What the next slot holds, if the kernel has given it away.
    pub(super) fn next(&self) -> Option<Held> {
        let status = self.status(self.next);
        (status & libc::TP_STATUS_USER != 0).then(|| self.held(status))
    }

    /// In how many of the next slots, `most` at most, a frame waits as a message.
    pub(super) fn behind(&self, most: usize) -> usize {
        let is_behind = |ahead: &usize| {
            let status = self.status((self.next + ahead) % self.shape.slots());
            status & BEHIND == BEHIND
        };
        (0..most.min(self.shape.slots())).take_while(is_behind).count()
    }

    /// Copies the next slot's frame.
    pub(super) fn copy(&self, frame: &Header, to: &mut Slot<'_>) {
        let at = self.shape.place(self.next) + frame.start;
        let mut vnet = [0; VNET_HDR_LEN];
        if self.vnet_hdr {
            self.memory.read(at - VNET_HDR_LEN, &mut vnet);
        }
        let (head, spill) = to.parts();
        let in_head = frame.length.min(head.len());
        let in_spill = (frame.length - in_head).min(spill.len());
        self.memory.read(at, &mut head[..in_head]);
        self.memory.read(at + in_head, &mut spill[..in_spill]);
        to.fill(frame.length, Some(frame.auxdata), VnetHdr::from_bytes(vnet));
    }

    /// Gives the next slots back to the kernel.
    pub(super) fn release(&mut self, slots: usize) {
        for _ in 0..slots {
            let word = self.memory.u32_at(self.shape.place(self.next));
            word.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.shape.slots();
        }
    }

    fn status(&self, slot: usize) -> u32 {
        self.memory.u32_at(self.shape.place(slot)).load(Ordering::Acquire)
    }

    fn held(&self, status: u32) -> Held {
        if status & libc::TP_STATUS_COPY != 0 {
            return Held::Behind;
        }
        let mut bytes = [0; HEADER_BYTES];
        self.memory.read(self.shape.place(self.next), &mut bytes);
        let long = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte]));
        let short = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let (wire_len, length, start) = (long(4), long(8) as usize, usize::from(short(12)));
        let end = start.saturating_add(length);
        let is_inside = start >= HEADER_BYTES + VNET_HDR_LEN && end <= self.shape.slot_bytes;
        // One that the filter has cut ends earlier.
        let is_cut = end == self.shape.slot_bytes && length < wire_len as usize;
        if !is_inside || is_cut {
            return Held::Beginning;
        }
        let auxdata = Auxdata::new(status, wire_len, short(24), short(26));
        Held::Frame(Header { length, start, auxdata })
    }
}

/// Both in one: read, when it is this side's, as a message.
const BEHIND: u32 = libc::TP_STATUS_USER | libc::TP_STATUS_COPY;
/// Bytes of `struct tpacket2_hdr`.
const HEADER_BYTES: usize = 32;
/// Where in its slot a frame begins at the latest: behind the header and a `struct sockaddr_ll`,
/// padding, and the virtio-net header.
const FRAME_AT_MAX: usize = 96;
/// What the kernel makes room for at a time: few of its pieces, and no long stretch of memory.
const BLOCK_BYTES: usize = 64 << 10;
/// Pages of the machines that Linux runs on.
const PAGE_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests;
