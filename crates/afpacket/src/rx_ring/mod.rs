//! Receiving by a ring (`PACKET_RX_RING`, `TPACKET_V2`; Documentation/networking/packet_mmap.rst):
//! the kernel copies each frame into a slot of memory that both have, and nobody asks it for frames
//! any more. Those that are longer than a slot come as messages, in their place among the others.

mod slots;

use std::os::fd::BorrowedFd;

use crate::error::NotByRing;
use crate::mapping::Mapping;
use crate::slot::Slot;
use crate::sys;
use slots::{Held, Shape, Slots};

/// A packet socket's ring.
#[derive(Debug)]
pub(crate) struct RxRing {
    slots: Slots,
    /// Frames for which the ring had room and the receive buffer had not.
    lost_frames: u64,
    /// It was empty when the kernel's counters were read last.
    was_empty: bool,
}

/// What was taken from a ring.
pub(crate) enum Taken {
    /// It is empty.
    Nothing,
    /// A frame.
    Frame,
    /// A frame of which only the beginning is there.
    Lost,
    /// Nothing; so many frames wait as messages.
    Behind(usize),
}

impl RxRing {
    /// Has the kernel put what comes into a ring of `slots` slots for frames of the interface's
    /// MTU. To be asked of a socket that is not bound, after its other options.
    pub(crate) fn open(
        fd: BorrowedFd<'_>,
        index: u32,
        slots: usize,
        vnet_hdr: bool,
    ) -> Result<Self, NotByRing> {
        let at = |call: &'static str| move |source| NotByRing::Call { call, source };
        let release = sys::kernel_release();
        if is_too_old(&release) {
            return Err(NotByRing::Kernel { release });
        }
        let mtu = sys::mtu(fd, index).map_err(at("ioctl SIOCGIFMTU"))?;
        let shape = Shape::new(slots, mtu.min(MTU_MAX) + HEADERS_BYTES);
        sys::make_receive_ring(fd, shape.slot_bytes, shape.block_bytes, shape.blocks)
            .map_err(|(call, source)| NotByRing::Call { call, source })?;
        match Mapping::of(fd, 0, shape.bytes()) {
            Ok(memory) => {
                let slots = Slots::new(memory, shape, vnet_hdr);
                Ok(Self { slots, lost_frames: 0, was_empty: false })
            }
            Err(source) => {
                sys::end_receive_ring(fd).map_err(at(sys::RECEIVE_RING))?;
                Err(NotByRing::Call { call: "mmap of a receive ring", source })
            }
        }
    }

    /// How many frames it holds.
    pub(crate) fn slots(&self) -> usize {
        self.slots.shape().slots()
    }

    /// How many frames were lost since this was asked last that the kernel does not count as such.
    pub(crate) fn take_lost_frames(&mut self) -> u64 {
        std::mem::take(&mut self.lost_frames)
    }

    /// Takes the next frame. Of those that wait as messages, it asks for `most` at most.
    pub(crate) fn take(&mut self, to: &mut Slot<'_>, most: usize) -> Taken {
        match self.slots.next() {
            None => Taken::Nothing,
            Some(Held::Behind) => Taken::Behind(self.slots.behind(most)),
            Some(Held::Frame(frame)) => {
                self.slots.copy(&frame, to);
                self.slots.release(1);
                Taken::Frame
            }
            Some(Held::Beginning) => {
                self.lose_next();
                Taken::Lost
            }
        }
    }

    /// So many of the frames that waited as messages have been received.
    pub(crate) fn received_behind(&mut self, frames: usize) {
        self.slots.release(frames);
    }

    /// The next frame cannot be had.
    pub(crate) fn lose_next(&mut self) {
        self.slots.release(1);
        self.lost_frames += 1;
    }

    /// Looks at the kernel's counters, just read, of frames that passed the filter since the last
    /// reading, and of those that were dropped: whether the ring is blocked for good.
    ///
    /// A frame whose kind of segment fits no virtio-net header is dropped after its slot was marked
    /// as being written (`rx_owner_map`), and that mark stays (`tpacket_rcv` in
    /// net/packet/af_packet.c, since Linux 5.6): from then on every frame is dropped. A ring that
    /// was empty before, is so now, and into which nothing has come drops nothing otherwise.
    pub(crate) fn is_blocked(&mut self, passed: u32, dropped: u32) -> bool {
        let nothing_came = self.was_empty && passed == dropped;
        self.was_empty = self.slots.is_empty();
        // The next slot alone would not do: it may be one that is still being written.
        nothing_came && dropped > 0 && self.slots.are_all_empty()
    }

    /// Lets go of the ring: frames come as messages again.
    pub(crate) fn close(self, fd: BorrowedFd<'_>) -> std::io::Result<()> {
        // The kernel keeps a ring that is mapped.
        drop(self);
        sys::end_receive_ring(fd)
    }
}

/// Before Linux 5.6 two processors could write the same slot, or leave one out (61fad6816fc1,
/// 46e4c421a053). That older series have it mended, their numbers do not tell.
fn is_too_old(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (5, 6),
        _ => false,
    }
}

/// Slots for a greater MTU would take much memory for the few frames that have it.
const MTU_MAX: usize = 9216;
/// The Ethernet header, and an inner tag: the outer one does not stand in the frame.
const HEADERS_BYTES: usize = 14 + 4;

#[cfg(test)]
mod tests {
    use super::is_too_old;

    #[test]
    fn kernels_whose_rings_are_not_sound_are_left_alone() {
        for release in ["5.4.0-216-generic", "5.5.19", "4.19.0-27-amd64", "3.10.0"] {
            assert!(is_too_old(release), "{release}");
        }
        for release in ["5.6.0", "5.10.0-33-amd64", "6.1.0-41-amd64", "10.0.0", ""] {
            assert!(!is_too_old(release), "{release}");
        }
    }
}
