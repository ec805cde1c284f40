//! Sending by `AF_XDP` in copy mode (Documentation/networking/af_xdp.rst): finished frames of an
//! ordinary size go to the interface from memory that the kernel shares, for less than a message
//! costs. `calls` are the system calls, `ring` is an order in that memory, and `lane` what moves
//! frames through them.

mod calls;
mod lane;
mod ring;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::error::NotByXdp;
use crate::mapping::Mapping;
use crate::outgoing::Outgoing;
use crate::sys;
use lane::{Kernel, Lane};
pub(crate) use lane::{Sent, Then};

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
    /// Needs what packet sockets need, a kernel that has `AF_XDP` (`CONFIG_XDP_SOCKETS`), 1 MiB
    /// that may be locked (RLIMIT_MEMLOCK; CAP_IPC_LOCK has no limit), and that nobody else has an
    /// `AF_XDP` socket on this queue, which is waited for a second.
    ///
    /// `packet_socket` is asked for the MTU, here and in [`Self::upkeep`].
    pub(crate) fn open(packet_socket: BorrowedFd<'_>, index: u32) -> Result<Self, NotByXdp> {
        let release = sys::kernel_release();
        if is_unsafe(&release) {
            return Err(NotByXdp::Kernel { release });
        }
        Self::open_on(packet_socket, index)
            .map_err(|(call, source)| NotByXdp::Call { call, source })
    }

    fn open_on(
        packet_socket: BorrowedFd<'_>,
        index: u32,
    ) -> Result<Self, (&'static str, io::Error)> {
        let at = |call: &'static str| move |error| (call, error);
        let socket = calls::xdp_socket().map_err(at("socket AF_XDP"))?;
        let fd = socket.as_fd();
        // Counted there is each frame on its way; all that are allowed to be must fit, or the
        // kernel would stop in the middle of a batch.
        let granted_bytes = calls::set_send_buffer(fd, lane::CHUNKS as usize * CHUNK_COST_BYTES)
            .map_err(at("setsockopt SO_SNDBUF"))?;
        let chunks = u32::try_from(granted_bytes / CHUNK_COST_BYTES).unwrap_or(lane::CHUNKS);
        let frames =
            Mapping::fresh(lane::CHUNKS as usize * lane::CHUNK_BYTES).map_err(at("mmap"))?;
        calls::register_memory(fd, &frames, lane::CHUNK_BYTES)
            .map_err(at("setsockopt XDP_UMEM_REG"))?;
        let [transmit, completion] = calls::make_rings(fd, lane::CHUNKS)?;
        bind_patiently(fd, index).map_err(at("bind"))?;
        let lane = Lane::new(frames, [transmit, completion], chunks.min(lane::CHUNKS));
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
        let mtu = sys::mtu(packet_socket, self.index)?;
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

/// Linux 6.16.8 and later, 6.17 up to .10 and 6.18's candidates keep, for a frame that `AF_XDP`
/// sends in copy mode, a number where others write, and read it back when the frame is freed: the
/// host goes down (CVE-2025-40290; 30f241fcf52a, mended by 0ebc27a4c67d). Distributions' numbers do
/// not tell whether theirs is mended, so the whole series are taken for what they were.
fn is_unsafe(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(6)), Some(Ok(16 | 17))) => true,
        (Some(Ok(6)), Some(Ok(18))) => release.contains("-rc"),
        _ => false,
    }
}

/// The kernel takes an interface's queue from a socket some time after that was closed
/// (`xp_release_deferred`).
fn bind_patiently(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let mut pauses = [PAUSE; 50].into_iter();
    loop {
        match (calls::bind(socket, index), pauses.next()) {
            (Err(error), Some(pause)) if error.raw_os_error() == Some(libc::EBUSY) => {
                std::thread::sleep(pause);
            }
            (bound, _) => return bound,
        }
    }
}

const PAUSE: Duration = Duration::from_millis(20);
/// What a frame of a chunk's size counts in a socket's buffer: a page, and the kernel's own for it
/// (`SKB_TRUESIZE`).
const CHUNK_COST_BYTES: usize = 4096 + 1024;
const ETHERNET_HEADER_BYTES: usize = 14;

#[cfg(test)]
mod tests {
    use super::is_unsafe;

    #[test]
    fn kernels_that_go_down_are_left_alone() {
        for release in ["6.16.8", "6.16.12+deb14-amd64", "6.17.0-14-generic", "6.17", "6.18.0-rc3"]
        {
            assert!(is_unsafe(release), "{release}");
        }
        for release in
            ["6.1.0-41-amd64", "6.15.11", "6.18.0", "6.18.44-fc-v669", "5.16.1", "7.17.0", ""]
        {
            assert!(!is_unsafe(release), "{release}");
        }
    }
}
