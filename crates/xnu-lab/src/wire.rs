//! Cables of stations: a socketpair's end, and the wire of a network card.

use probe::{Transmit, Wire};
use xnu_sim::{SimFd, SimKernel};
use xnu_sys::sys_socket::{AF_LOCAL, MSG_DONTWAIT, SO_RCVBUF, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET};
use xnu_sys::{Errno, Kernel};

/// The VM's end of a socketpair: one datagram is one frame.
#[derive(Debug)]
pub struct SocketWire {
    kernel: SimKernel,
    fd: SimFd,
}

impl SocketWire {
    /// A socketpair made by the process `kernel`, which keeps one end; the other is for a switch.
    /// Both have the buffers that Apple asks for.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn pair(kernel: &SimKernel) -> Result<(Self, SimFd), Errno> {
        let (ours, theirs) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0)?;
        for fd in [&ours, &theirs] {
            kernel.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(1_u32 << 20).to_ne_bytes())?;
            kernel.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(4_u32 << 20).to_ne_bytes())?;
        }
        Ok((Self { kernel: kernel.clone(), fd: ours }, theirs))
    }
}

impl Wire for SocketWire {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        self.kernel.recvfrom(&self.fd, buffer, MSG_DONTWAIT, None).ok()
    }

    fn transmit(&mut self, frame: &[u8]) -> Transmit {
        match self.kernel.sendto(&self.fd, frame, MSG_DONTWAIT, None) {
            Ok(_) => Transmit::Taken,
            Err(Errno::ENOBUFS) => Transmit::Full,
            Err(_) => Transmit::Lost,
        }
    }
}

/// The far end of a network card's wire.
#[derive(Debug)]
pub struct CardWire(pub xnu_sim::Wire);

impl Wire for CardWire {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let frame = self.0.take()?;
        let len = frame.len().min(buffer.len());
        buffer[..len].copy_from_slice(&frame[..len]);
        Some(len)
    }

    fn transmit(&mut self, frame: &[u8]) -> Transmit {
        self.0.send(frame);
        Transmit::Taken
    }
}
