//! An order of entries in shared memory, of which one side is the kernel's: a producer's and a
//! consumer's count, which only grow, and a power of two of places (linux/if_xdp.h).

use std::sync::atomic::Ordering;

use crate::mapping::Mapping;

/// Where a ring has its parts, in bytes from the mapping's beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) producer: usize,
    pub(super) consumer: usize,
    pub(super) entries: usize,
}

/// A ring, and this side's own count.
#[derive(Debug)]
pub(super) struct Ring {
    memory: Mapping,
    layout: Layout,
    /// A power of two.
    places: u32,
    next: u32,
}

impl Ring {
    /// None if the layout is not one of a ring of `places` in `memory`, which a power of two is.
    pub(super) fn new(memory: Mapping, layout: Layout, places: u32) -> Option<Self> {
        let counts = [layout.producer, layout.consumer];
        let is_inside = counts.iter().all(|at| at.is_multiple_of(4) && memory.has(*at, 4));
        // The smaller of the two kinds of entry; the mapping was made for as many of its kind.
        let has_places = memory.has(layout.entries, places as usize * ADDRESS_BYTES);
        let is_ring =
            is_inside && has_places && layout.entries.is_multiple_of(8) && places.is_power_of_two();
        is_ring.then_some(Self { memory, layout, places, next: 0 })
    }

    /// This side's count.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// The kernel's count of a ring that this side fills.
    pub(super) fn consumer(&self) -> u32 {
        self.memory.u32_at(self.layout.consumer).load(Ordering::Acquire)
    }

    /// Puts the next descriptor (`struct xdp_desc`). There must be room.
    pub(super) fn put(&mut self, address: u64, len: u32) {
        self.set(self.next, address, len);
        self.next = self.next.wrapping_add(1);
    }

    /// Writes the descriptor of that count, which the kernel must not be reading.
    pub(super) fn set(&self, count: u32, address: u64, len: u32) {
        let at = self.layout.entries + (count % self.places) as usize * DESCRIPTOR_BYTES;
        self.memory.u64_at(at).store(address, Ordering::Relaxed);
        self.memory.u32_at(at + 8).store(len, Ordering::Relaxed);
        self.memory.u32_at(at + 12).store(0, Ordering::Relaxed);
    }

    /// Shows the kernel what was put.
    pub(super) fn publish(&self) {
        self.memory.u32_at(self.layout.producer).store(self.next, Ordering::Release);
    }

    /// Takes the next address of a ring that the kernel fills.
    pub(super) fn take(&mut self) -> Option<u64> {
        if self.memory.u32_at(self.layout.producer).load(Ordering::Acquire) == self.next {
            return None;
        }
        let at = self.layout.entries + (self.next % self.places) as usize * ADDRESS_BYTES;
        let address = self.memory.u64_at(at).load(Ordering::Relaxed);
        self.next = self.next.wrapping_add(1);
        Some(address)
    }

    /// Shows the kernel that what was taken has room again.
    pub(super) fn release(&self) {
        self.memory.u32_at(self.layout.consumer).store(self.next, Ordering::Release);
    }
}

/// `struct xdp_desc`: an address of 64 bits, a length and options of 32.
pub(super) const DESCRIPTOR_BYTES: usize = 16;
pub(super) const ADDRESS_BYTES: usize = 8;
