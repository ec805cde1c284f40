//! How the peer of a unix socket, a datagram's or a stream's, is found to have room again.
//!
//! The kernel refuses when the switch's own buffer for sending is full (`unix_dgram_sendmsg` and
//! `unix_stream_sendmsg` in net/unix/af_unix.c), and of datagrams when the reader has as many
//! waiting as `net.unix.max_dgram_qlen` allows, unless it is connected to the switch. It tells of
//! room by EPOLLOUT when something was read and no more than a quarter of that buffer is in use
//! (`unix_writable`). So where the buffer was full, the event is late: of a large one by a
//! millisecond and more, in which the reader works alone while the switch, and who sends to it,
//! sleep. And it comes from the reader's own call: on a virtual machine the switch was then often
//! queued on the reader's processor while another was idle (docs/performance.md).
//!
//! So the switch tries again by a timer, as long as the reader is quick enough for that to gain
//! something.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::datagram::fault;
use super::sys;
use crate::port::unix::Granted;
use crate::port::{SendFault, Sent};
use crate::switch::PATIENCE;

/// How long it is waited before another attempt: some twenty of the biggest frames, some hundred of
/// 9,014 B are read in it.
const PAUSE: Duration = Duration::from_micros(400);

/// A reader that took fewer frames meanwhile made no progress: for one that is so slow the event is
/// soon enough, and wakes the switch far less often.
const PROGRESS_FRAMES: usize = 4;

/// Of a smaller buffer (as the kernel counts it) three quarters of big frames are read within a
/// pause or two.
const LARGE_BUFFER_BYTES: usize = 2 << 20;

/// What a port knows of the room at its peer.
#[derive(Debug)]
pub(in crate::port) struct Room {
    /// How much the socket's buffer for sending holds.
    buffer_bytes: usize,
    is_large: bool,
    /// What the peer took since it was full.
    taken_frames: usize,
    /// The pauses without progress, together. A new peer shows by taking frames that it is one.
    waited: Duration,
}

impl Room {
    /// Of a socket with such buffers.
    pub(in crate::port) const fn of(granted: Granted) -> Self {
        let buffer_bytes = granted.send_bytes;
        let is_large = buffer_bytes >= LARGE_BUFFER_BYTES;
        Self { buffer_bytes, is_large, taken_frames: 0, waited: Duration::ZERO }
    }

    /// What became of frames that were to be sent.
    pub(super) fn sent(&mut self, socket: &impl AsFd, result: io::Result<usize>) -> Sent {
        match result.map_err(|error| fault(&error)) {
            Ok(frames) => {
                self.took(frames);
                Sent::all(frames)
            }
            Err(SendFault::Full { .. }) => {
                Sent::until(0, SendFault::Full { retry_after: self.retry_after(socket) })
            }
            Err(fault) => Sent::until(0, fault),
        }
    }

    /// The peer took so many.
    pub(in crate::port) fn took(&mut self, frames: usize) {
        self.taken_frames += frames;
    }

    /// When a peer that is full is to be tried again; `None` when the kernel tells in time.
    pub(in crate::port) fn retry_after(&mut self, socket: &impl AsFd) -> Option<Duration> {
        if std::mem::take(&mut self.taken_frames) >= PROGRESS_FRAMES {
            self.waited = Duration::ZERO;
        }
        let by_time = self.is_large && self.waited < PATIENCE && self.is_event_late(socket);
        if by_time {
            self.waited += PAUSE;
        }
        by_time.then_some(PAUSE)
    }

    /// Whether there may be room before the kernel tells: it does not while this holds.
    fn is_event_late(&self, socket: &impl AsFd) -> bool {
        sys::unread_bytes(socket.as_fd()).is_ok_and(|bytes| 4 * bytes > self.buffer_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::socket::{MsgFlags, getsockopt, send, setsockopt, sockopt};

    use super::*;
    use crate::port::unix::socket_buffers;

    /// Sends until the kernel refuses; how many it took.
    fn fill(socket: &impl AsRawFd) -> usize {
        let frame = [0; 1514];
        (0..)
            .take_while(|_| send(socket.as_raw_fd(), &frame, MsgFlags::MSG_DONTWAIT).is_ok())
            .count()
    }

    /// Whether the kernel tells of room now.
    fn is_told(socket: &impl AsFd) -> bool {
        poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO) == Ok(1)
    }

    /// Of a buffer as large as this user may have, which counts as large.
    fn room(socket: &impl AsFd) -> Room {
        Room { is_large: true, ..Room::of(socket_buffers::enlarge(socket)) }
    }

    #[test]
    fn the_own_buffer_is_tried_by_time_since_the_kernel_tells_late() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let mut room = room(&near);
        fill(&near);
        assert_eq!(room.retry_after(&near), Some(PAUSE));
        far.recv(&mut [0; 2048]).unwrap();
        assert!(!is_told(&near), "the event is no longer late: the timer may go");
        assert!(fill(&near) > 0);
    }

    #[test]
    fn so_is_a_streams() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut room = room(&near);
        fill(&near);
        assert_eq!(room.retry_after(&near), Some(PAUSE));
        (&far).read_exact(&mut [0; 64 << 10]).unwrap();
        assert!(!is_told(&near), "the event is no longer late: the timer may go");
        assert!(fill(&near) > 0);
    }

    /// Which bound is hit here is the system's choice: whether the kernel tells of a frame that was
    /// read has to be known of either.
    #[test]
    fn a_reader_full_by_the_count_of_frames_is_left_to_the_event() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reader");
        let reader = UnixDatagram::bind(&path).unwrap();
        let near = UnixDatagram::unbound().unwrap();
        let mut room = room(&near);
        near.connect(&path).unwrap();
        let taken = fill(&near);
        let is_left_to_event = room.retry_after(&near).is_none();
        reader.recv(&mut [0; 2048]).unwrap();
        assert_eq!(is_left_to_event, is_told(&near), "{taken} frames");
    }

    #[test]
    fn a_reader_that_takes_few_is_left_to_the_event_after_a_while() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let mut room = room(&near);
        fill(&near);
        let mut pauses = Duration::ZERO;
        while let Some(pause) = room.retry_after(&near) {
            pauses += pause;
            far.recv(&mut [0; 2048]).unwrap();
            let taken = fill(&near);
            assert_eq!(room.sent(&near, Ok(taken)).taken_frames, taken);
            assert!(taken < PROGRESS_FRAMES && pauses < PATIENCE + PAUSE, "{taken} {pauses:?}");
        }
        assert!(pauses >= PATIENCE, "{pauses:?}");
        let _ = room.sent(&near, Ok(PROGRESS_FRAMES));
        assert_eq!(room.retry_after(&near), Some(PAUSE), "it is quick again");
    }

    #[test]
    fn a_small_buffer_is_left_to_the_event() {
        let (near, _far) = UnixDatagram::pair().unwrap();
        setsockopt(&near, sockopt::SndBuf, &(64 << 10)).unwrap();
        let send_bytes = getsockopt(&near, sockopt::SndBuf).unwrap();
        let mut room = Room::of(Granted { send_bytes, receive_bytes: 0 });
        fill(&near);
        assert_eq!(room.retry_after(&near), None);
    }
}
