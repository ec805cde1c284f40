//! `fd:N`, a datagram descriptor: one datagram is one frame.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::mmsg::Mmsg;
use super::room::Room;
use crate::poller::Source;
use crate::port::unix::socket_buffers;
use crate::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};

/// A connected `SOCK_DGRAM` socket, such as one end of a socketpair whose other end a VM has.
#[derive(Debug)]
pub struct DatagramPort {
    socket: OwnedFd,
    mmsg: Mmsg,
    room: Room,
    /// The other end can be nobody else's: once it is closed, that is the end.
    is_private: bool,
}

impl DatagramPort {
    /// A port on `socket`, whose buffers are enlarged. Its blocking mode does not matter and is not
    /// changed: it may be shared with another process.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        let room = Room::of(socket_buffers::enlarge(&socket));
        Self { socket, mmsg: Mmsg::default(), room, is_private: false }
    }

    /// The same, on a socket whose other end one process has: the port ends when that was closed,
    /// which the kernel tells of with the next frame for it.
    #[must_use]
    pub fn private(socket: OwnedFd) -> Self {
        Self { is_private: true, ..Self::new(socket) }
    }
}

impl Port for DatagramPort {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: self.socket.as_raw_fd(), generation: 0 })
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        received(self.mmsg.receive(self.socket.as_fd(), inbox))
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        let sent = self.room.sent(&self.socket, self.mmsg.send(self.socket.as_fd(), outbox));
        match sent.then {
            Some(SendFault::NoPeer) if self.is_private => {
                Sent::until(0, SendFault::Gone(Gone::Closed))
            }
            _ => sent,
        }
    }
}

/// What an error of `recvmmsg` means on a unix datagram socket.
pub(super) fn received(result: io::Result<Received>) -> Received {
    result.unwrap_or_else(|error| match error.raw_os_error() {
        // ECONNRESET, ECONNREFUSED: the peer is gone; said once, and what is queued can still be
        // read. EINTR: a signal. ENOMEM, ENOBUFS: the kernel's passing need.
        Some(libc::ECONNRESET | libc::ECONNREFUSED | libc::EINTR) => Received::More,
        Some(libc::ENOMEM | libc::ENOBUFS) => Received::NoBuffers,
        _ => Received::Gone(Gone::Os(error)),
    })
}

/// What an error of `sendmmsg` means on a unix datagram socket: `unix_dgram_sendmsg` in
/// net/unix/af_unix.c.
pub(super) fn fault(error: &io::Error) -> SendFault {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => SendFault::Full { retry_after: None },
        Some(libc::EMSGSIZE) => SendFault::TooBig,
        Some(libc::ENOBUFS | libc::ENOMEM) => SendFault::Lost,
        // ECONNREFUSED, ENOTCONN: no peer; EPERM: it is connected to another; EPIPE, ECONNRESET: it
        // takes no more.
        _ => SendFault::NoPeer,
    }
}
