//! A frame on its way through the switch.

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
    /// The work left: a checksum to complete, segments to cut.
    pub offload: Offload,
}

impl Frame {
    /// How many bytes the frame has, from the destination address on.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        self.len as usize
    }
}
