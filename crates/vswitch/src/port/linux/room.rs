//! How a full unix datagram peer is found to have room again.
//!
//! The kernel refuses for one of two reasons (`unix_dgram_sendmsg` in net/unix/af_unix.c), and
//! tells of room differently:
//!
//! - The reader has as many frames waiting as `net.unix.max_dgram_qlen` allows: then each frame
//!   that it reads raises EPOLLOUT. This is the bound where the reader is not connected to the
//!   switch.
//! - The sender's own buffer is full: then EPOLLOUT comes when three quarters of it are free again
//!   (`unix_writable`). Of a large buffer that is a millisecond and more, in which the reader works
//!   alone while the switch, and who sends to it, sleep. And it comes from the reader's own call:
//!   on a virtual machine the switch was then often queued on the reader's processor while another
//!   was idle (docs/performance.md). So the switch tries again by a timer, for as long as others
//!   would wait for the peer.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::datagram::fault;
use super::sys;
use crate::port::unix::Granted;
use crate::port::{SendFault, Sent};
use crate::switch::PATIENCE;

/// How long it is waited before another attempt: some ten of the biggest frames, some fifty of
/// 9,014 B are read in it.
const PAUSE: Duration = Duration::from_micros(200);

/// Of a smaller buffer (as the kernel counts it) three quarters are read in little more than a
/// pause.
const LARGE_BUFFER_BYTES: usize = 2 << 20;

/// What a port knows of the room at its peer.
#[derive(Debug)]
pub(super) struct Room {
    /// How much the socket's buffer for sending holds.
    buffer_bytes: usize,
    /// The pauses since the peer last took something, together.
    waited: Duration,
}

impl Room {
    /// Of a socket with such buffers.
    pub(super) const fn of(granted: Granted) -> Self {
        Self { buffer_bytes: granted.send_bytes, waited: Duration::ZERO }
    }

    /// What became of frames that were to be sent.
    pub(super) fn sent(&mut self, socket: &impl AsFd, result: io::Result<usize>) -> Sent {
        match result.map_err(|error| fault(&error)) {
            Ok(frames) => {
                self.waited = Duration::ZERO;
                Sent::all(frames)
            }
            Err(SendFault::Full { .. }) => Sent::until(0, self.full(socket)),
            Err(fault) => Sent::until(0, fault),
        }
    }

    fn full(&mut self, socket: &impl AsFd) -> SendFault {
        let by_time = self.buffer_bytes >= LARGE_BUFFER_BYTES
            && self.waited < PATIENCE
            && self.is_own_buffer(socket);
        if by_time {
            self.waited += PAUSE;
        }
        SendFault::Full { retry_after: by_time.then_some(PAUSE) }
    }

    /// Whether it is the sender's own buffer that is full. Some of it may have been read since.
    fn is_own_buffer(&self, socket: &impl AsFd) -> bool {
        sys::unread_bytes(socket.as_fd()).is_ok_and(|bytes| bytes >= self.buffer_bytes / 2)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    use nix::sys::socket::{MsgFlags, send};

    use super::*;
    use crate::port::unix::socket_buffers;

    /// Sends until the kernel refuses; how many it took.
    fn fill(socket: &UnixDatagram) -> usize {
        let frame = [0; 1514];
        (0..)
            .take_while(|_| send(socket.as_raw_fd(), &frame, MsgFlags::MSG_DONTWAIT).is_ok())
            .count()
    }

    fn retry_after(room: &mut Room, socket: &UnixDatagram) -> Option<Duration> {
        match room.full(socket) {
            SendFault::Full { retry_after } => retry_after,
            fault => panic!("{fault:?}"),
        }
    }

    /// A room whose buffer counts as large, whatever this machine allows.
    fn room(granted: Granted) -> Room {
        assert!(granted.send_bytes > 0);
        Room { buffer_bytes: granted.send_bytes.max(LARGE_BUFFER_BYTES), ..Room::of(granted) }
    }

    #[test]
    fn the_own_buffer_is_tried_by_time_and_then_left_to_the_event() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let granted = socket_buffers::enlarge(&near);
        let mut room = Room::of(granted);
        assert!(fill(&near) > 100);
        if granted.send_bytes < LARGE_BUFFER_BYTES {
            // An ordinary user's, on a system that allows no more (net.core.wmem_max).
            assert_eq!(retry_after(&mut room, &near), None);
            return;
        }
        let pauses: Vec<_> = (0..1000).map_while(|_| retry_after(&mut room, &near)).collect();
        assert_eq!(pauses.iter().sum::<Duration>(), PATIENCE);
        // What the timer is for: a frame was read, there is room, and no event tells of it.
        far.recv(&mut [0; 2048]).unwrap();
        let mut polled = [nix::poll::PollFd::new(near.as_fd(), nix::poll::PollFlags::POLLOUT)];
        assert_eq!(nix::poll::poll(&mut polled, nix::poll::PollTimeout::ZERO), Ok(0));
        assert!(fill(&near) > 0);
        assert_eq!(room.sent(&near, Ok(1)).taken_frames, 1);
        assert_eq!(retry_after(&mut room, &near), Some(PAUSE));
    }

    #[test]
    fn a_reader_full_by_the_count_of_frames_is_left_to_the_event() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reader");
        let reader = UnixDatagram::bind(&path).unwrap();
        let near = UnixDatagram::unbound().unwrap();
        let mut room = room(socket_buffers::enlarge(&near));
        near.connect(&path).unwrap();
        // As many as `net.unix.max_dgram_qlen`, and one.
        let taken = fill(&near);
        assert!(sys::unread_bytes(near.as_fd()).unwrap() < room.buffer_bytes / 2, "{taken} taken");
        assert_eq!(retry_after(&mut room, &near), None);
        reader.recv(&mut [0; 2048]).unwrap();
        let mut polled = [nix::poll::PollFd::new(near.as_fd(), nix::poll::PollFlags::POLLOUT)];
        assert_eq!(nix::poll::poll(&mut polled, nix::poll::PollTimeout::ZERO), Ok(1));
    }

    #[test]
    fn a_small_buffer_is_left_to_the_event() {
        let (near, _far) = UnixDatagram::pair().unwrap();
        let send_bytes = nix::sys::socket::getsockopt(&near, nix::sys::socket::sockopt::SndBuf);
        let mut room = Room::of(Granted { send_bytes: send_bytes.unwrap(), receive_bytes: 0 });
        fill(&near);
        assert_eq!(retry_after(&mut room, &near), None);
    }
}
