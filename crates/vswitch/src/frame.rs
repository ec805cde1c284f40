//! A frame on its way through the switch.

use crate::framing::PREFIX_BYTES;
use crate::offload::Offload;

/// The fewest bytes that are an Ethernet frame: two addresses and a type (IEEE 802.3, without FCS).
pub const FRAME_MIN_BYTES: usize = 14;

/// The most bytes that a frame may have here: what QEMU's virtio-net can send, 65,535 bytes behind
/// an Ethernet header, rounded up by its one spare byte.
pub const FRAME_MAX_BYTES: usize = 65_550;

/// A frame: where its bytes stand in the [pool](crate::pool::Pool), and what is still to be done to
/// them. It holds one reference to its buffer, to be given back by
/// [`Pool::release`](crate::pool::Pool::release).
#[derive(Debug)]
#[must_use = "a frame that is not released keeps its buffer"]
pub struct Frame {
    pub(crate) slot: u32,
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// How many bytes of the pool it keeps; in a run, what a copy of it would keep.
    pub(crate) held_bytes: u32,
    /// Other frames stand in its buffer.
    pub(crate) in_run: bool,
    /// The pool keeps room for a copy of it.
    pub(crate) has_room_kept: bool,
    /// The work left: a checksum to complete, segments to cut.
    pub offload: Offload,
}

impl Frame {
    /// No frame: what stands in the place of one that is being replaced.
    pub(crate) const NOWHERE: Self = Self {
        slot: u32::MAX,
        start: 0,
        len: 0,
        held_bytes: 0,
        in_run: false,
        has_room_kept: false,
        offload: Offload::NONE,
    };

    /// Whether it stands behind `other` in the same buffer, with nothing but its length between.
    pub(crate) fn stands_behind(&self, other: &Self) -> bool {
        self.slot == other.slot
            && self.start as usize == (other.start + other.len) as usize + PREFIX_BYTES
    }

    /// How many bytes of the pool the frame keeps: its whole buffer; in a run, what a copy of it
    /// would keep.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.held_bytes as usize
    }

    /// How many bytes the frame has, from the destination address on.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        self.len as usize
    }
}
