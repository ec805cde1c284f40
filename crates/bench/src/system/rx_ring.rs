//! A packet socket whose frames the kernel copies into a ring of slots that it shares with this
//! program (`PACKET_RX_RING`, `TPACKET_V2`), each with its virtio-net header, as a switch needs it.
#![allow(unsafe_code, reason = "the ring is reached by pointer")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::Socket;

use super::mapping::Mapping;
use super::mmsg::Batch;
use super::socket::{self, set_option};
use crate::failure::{Result, Trying as _};

const SLOTS: usize = 1024;
const BLOCK_BYTES: usize = 64 << 10;
/// A slot's header and what else stands before its frame.
const BEFORE_A_FRAME_BYTES: usize = 96;

/// A ring on an interface to receive by; frames are sent as messages, by a socket without headers.
#[derive(Debug)]
pub(crate) struct RxRing {
    socket: Socket,
    sender: Socket,
    slots: Mapping,
    slot_bytes: usize,
    next: usize,
}

impl RxRing {
    /// Takes what comes on `interface` of this thread's namespace, in frames of `frame_bytes`.
    pub(crate) fn open(interface: &str, frame_bytes: usize) -> Result<Self> {
        let socket = socket::open_packet(interface, 0)?;
        let sender = socket::open_packet(interface, socket::ETHER_TYPE)?;
        Self::map(socket, sender, frame_bytes).trying(format!("make a ring on {interface}"))
    }

    fn map(socket: Socket, sender: Socket, frame_bytes: usize) -> io::Result<Self> {
        let fd = socket.as_fd();
        let slot_bytes = ((BEFORE_A_FRAME_BYTES + frame_bytes).div_ceil(64) | 1) * 64;
        let blocks = SLOTS.div_ceil(BLOCK_BYTES / slot_bytes);
        let version = libc::tpacket_versions::TPACKET_V2;
        set_option(fd, libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        set_option(fd, libc::SOL_PACKET, libc::PACKET_VNET_HDR, &1_i32)?;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let ring = libc::tpacket_req {
            tp_block_size: count(BLOCK_BYTES),
            tp_block_nr: count(blocks),
            tp_frame_size: count(slot_bytes),
            tp_frame_nr: count(blocks * (BLOCK_BYTES / slot_bytes)),
        };
        set_option(fd, libc::SOL_PACKET, libc::PACKET_RX_RING, &ring)?;
        let slots = Mapping::of(fd, 0, blocks * BLOCK_BYTES)?;
        Ok(Self { socket, sender, slots, slot_bytes, next: 0 })
    }

    /// Takes what is there, at most one batch.
    pub(crate) fn receive(&mut self, frames: &mut Batch) -> io::Result<usize> {
        let per_block = BLOCK_BYTES / self.slot_bytes;
        let slots = self.slots.bytes() / BLOCK_BYTES * per_block;
        let mut place = 0;
        while place < frames.frames() {
            let at = self.next / per_block * BLOCK_BYTES + self.next % per_block * self.slot_bytes;
            let header = self.slots.at(at, size_of::<libc::tpacket2_hdr>());
            // SAFETY: a slot begins with its status, aligned, which is used as an atomic alone.
            let status = unsafe { AtomicU32::from_ptr(header.cast()) };
            if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                break;
            }
            // SAFETY: the kernel has given the slot away; plain integers.
            let header = unsafe { header.cast::<libc::tpacket2_hdr>().read() };
            let len = header.tp_snaplen as usize;
            let bytes = self.slots.at(at + usize::from(header.tp_mac), len).cast_const();
            // SAFETY: inside the slot, which the kernel gets back below.
            let bytes = unsafe { std::slice::from_raw_parts(bytes, len) };
            frames.set_len(place, usize::MAX);
            let to = frames.frame_mut(place);
            let len = len.min(to.len());
            to[..len].copy_from_slice(&bytes[..len]);
            frames.set_len(place, len);
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % slots;
            place += 1;
        }
        Ok(place)
    }

    /// Sends the first `count` frames, waiting for room.
    pub(crate) fn send(&self, frames: &mut Batch, count: usize) -> io::Result<()> {
        frames.send_all(self.sender.as_fd(), 0..count)
    }
}

impl AsFd for RxRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
