//! Sending by `AF_XDP` in copy mode (Documentation/networking/af_xdp.rst): finished frames of an
//! ordinary size go to the interface from memory that the kernel shares, for less than a message
//! costs. `calls` are the system calls, `mapping` is the memory, `ring` an order in it, and `lane`
//! what moves frames through them.

mod calls;
mod lane;
mod mapping;
mod ring;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::outgoing::Outgoing;
use lane::{Kernel, Lane};
pub(crate) use lane::{Sent, Then};
use mapping::Mapping;

/// A socket that only sends, on an interface's first queue.
#[derive(Debug)]
pub(crate) struct XdpSender {
    socket: OwnedFd,
    lane: Lane,
    index: u32,
    /// Longer frames may be over the interface's MTU, which nobody checks on this way.
    longest_bytes: usize,
    frames_sent: u64,
}

impl XdpSender {
    /// Needs what packet sockets need, a kernel that has `AF_XDP` (`CONFIG_XDP_SOCKETS`), about
    /// 1 MiB that may be locked (RLIMIT_MEMLOCK; CAP_IPC_LOCK has no limit), and that nobody else
    /// has an `AF_XDP` socket on this queue.
    ///
    /// `packet_socket` is asked for the MTU, here and in [`Self::upkeep`].
    pub(crate) fn open(
        packet_socket: BorrowedFd<'_>,
        index: u32,
    ) -> Result<Self, (&'static str, io::Error)> {
        let at = |call: &'static str| move |error| (call, error);
        let socket = calls::xdp_socket().map_err(at("socket AF_XDP"))?;
        let fd = socket.as_fd();
        // Counted there is each frame on its way; all that fit the memory must, or the kernel
        // would stop in the middle of a batch.
        calls::set_send_buffer(fd, lane::CHUNKS as usize * CHUNK_COST_BYTES)
            .map_err(at("setsockopt SO_SNDBUF"))?;
        let frames =
            Mapping::fresh(lane::CHUNKS as usize * lane::CHUNK_BYTES).map_err(at("mmap"))?;
        calls::register_memory(fd, &frames, lane::CHUNK_BYTES)
            .map_err(at("setsockopt XDP_UMEM_REG"))?;
        let [transmit, completion] = calls::make_rings(fd, lane::CHUNKS)?;
        bind_patiently(fd, index).map_err(at("bind"))?;
        let lane = Lane::new(frames, transmit, completion);
        let mut sender = Self { socket, lane, index, longest_bytes: 0, frames_sent: 0 };
        sender.look_at_mtu(packet_socket).map_err(at("ioctl SIOCGIFMTU"))?;
        Ok(sender)
    }

    /// Gives the first frames to the interface, up to one that another way has to take.
    pub(crate) fn send(&mut self, frames: &[Outgoing<'_>]) -> Sent {
        let sent = self.lane.send(frames, self.longest_bytes, &self.socket);
        self.frames_sent += sent.taken as u64;
        sent
    }

    /// Looks whether the MTU is another, and whether a way that was given up works again. Some
    /// system calls; a few times a second are enough.
    pub(crate) fn upkeep(&mut self, packet_socket: BorrowedFd<'_>) {
        self.lane.resume(&self.socket);
        if self.look_at_mtu(packet_socket).is_err() {
            self.longest_bytes = 0;
        }
    }

    pub(crate) fn frames_sent(&self) -> u64 {
        self.frames_sent
    }

    fn look_at_mtu(&mut self, packet_socket: BorrowedFd<'_>) -> io::Result<()> {
        let mtu = calls::mtu(packet_socket, self.index)?;
        self.longest_bytes = mtu + ETHERNET_HEADER_BYTES;
        Ok(())
    }
}

impl Kernel for OwnedFd {
    fn push_out(&self) -> io::Result<()> {
        calls::push_out(self.as_fd())
    }

    fn passed_over(&self) -> io::Result<u64> {
        calls::invalid_descriptors(self.as_fd())
    }
}

/// The kernel takes an interface's queue from a socket some time after that was closed
/// (`xp_release_deferred`).
fn bind_patiently(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let mut pauses = [PAUSE; 10].into_iter();
    loop {
        match (calls::bind(socket, index), pauses.next()) {
            (Err(error), Some(pause)) if error.raw_os_error() == Some(libc::EBUSY) => {
                std::thread::sleep(pause);
            }
            (bound, _) => return bound,
        }
    }
}

const PAUSE: Duration = Duration::from_millis(10);
/// What a frame of a chunk's size counts in a socket's buffer: a page, and the kernel's own for it
/// (`SKB_TRUESIZE`).
const CHUNK_COST_BYTES: usize = 4096 + 1024;
const ETHERNET_HEADER_BYTES: usize = 14;
