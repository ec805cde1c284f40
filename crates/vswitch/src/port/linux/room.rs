//! How a full unix datagram peer is found to have room again.
//!
//! The kernel refuses when the reader has as many frames waiting as `net.unix.max_dgram_qlen`
//! allows, unless it is connected to the switch, and when the switch's own buffer for sending is
//! full (`unix_dgram_sendmsg` in net/unix/af_unix.c). It tells of room by EPOLLOUT when a frame was
//! read and no more than a quarter of that buffer is in use (`unix_writable`). So where the buffer
//! was full, the event is late: of a large one by a millisecond and more, in which the reader works
//! alone while the switch, and who sends to it, sleep. And it comes from the reader's own call: on
//! a virtual machine the switch was then often queued on the reader's processor while another was
//! idle (docs/performance.md).
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

/// How long it is waited before another attempt: some ten of the biggest frames, some fifty of
/// 9,014 B are read in it.
const PAUSE: Duration = Duration::from_micros(200);

/// A reader that took fewer frames meanwhile made no progress: for one that is so slow the event is
/// soon enough, and wakes the switch far less often.
const PROGRESS_FRAMES: usize = 4;

/// Of a smaller buffer (as the kernel counts it) three quarters of big frames are read in little
/// more than a pause.
const LARGE_BUFFER_BYTES: usize = 2 << 20;

/// What a port knows of the room at its peer.
#[derive(Debug)]
pub(super) struct Room {
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
    pub(super) const fn of(granted: Granted) -> Self {
        let buffer_bytes = granted.send_bytes;
        let is_large = buffer_bytes >= LARGE_BUFFER_BYTES;
        Self { buffer_bytes, is_large, taken_frames: 0, waited: Duration::ZERO }
    }

    /// What became of frames that were to be sent.
    pub(super) fn sent(&mut self, socket: &impl AsFd, result: io::Result<usize>) -> Sent {
        match result.map_err(|error| fault(&error)) {
            Ok(frames) => {
                self.taken_frames += frames;
                Sent::all(frames)
            }
            Err(SendFault::Full { .. }) => Sent::until(0, self.full(socket)),
            Err(fault) => Sent::until(0, fault),
        }
    }

    fn full(&mut self, socket: &impl AsFd) -> SendFault {
        if std::mem::take(&mut self.taken_frames) >= PROGRESS_FRAMES {
            self.waited = Duration::ZERO;
        }
        let by_time = self.is_large && self.waited < PATIENCE && self.is_event_late(socket);
        if by_time {
            self.waited += PAUSE;
        }
        SendFault::Full { retry_after: by_time.then_some(PAUSE) }
    }

    /// Whether there may be room before the kernel tells: it does not while this holds.
    fn is_event_late(&self, socket: &impl AsFd) -> bool {
        sys::unread_bytes(socket.as_fd()).is_ok_and(|bytes| 4 * bytes > self.buffer_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::socket::{MsgFlags, getsockopt, send, setsockopt, sockopt};

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

    /// Whether the kernel tells of room now.
    fn is_told(socket: &UnixDatagram) -> bool {
        poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO) == Ok(1)
    }

    /// Of a buffer as large as this user may have, which counts as large.
    fn room(socket: &UnixDatagram) -> Room {
        Room { is_large: true, ..Room::of(socket_buffers::enlarge(socket)) }
    }

    #[test]
    fn the_own_buffer_is_tried_by_time_since_the_kernel_tells_late() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let mut room = room(&near);
        fill(&near);
        assert_eq!(retry_after(&mut room, &near), Some(PAUSE));
        far.recv(&mut [0; 2048]).unwrap();
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
        let is_left_to_event = retry_after(&mut room, &near).is_none();
        reader.recv(&mut [0; 2048]).unwrap();
        assert_eq!(is_left_to_event, is_told(&near), "{taken} frames");
    }

    #[test]
    fn a_reader_that_takes_few_is_left_to_the_event_after_a_while() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let mut room = room(&near);
        fill(&near);
        let mut pauses = Duration::ZERO;
        while let Some(pause) = retry_after(&mut room, &near) {
            pauses += pause;
            far.recv(&mut [0; 2048]).unwrap();
            let taken = fill(&near);
            assert_eq!(room.sent(&near, Ok(taken)).taken_frames, taken);
            assert!(taken < PROGRESS_FRAMES && pauses <= PATIENCE, "{taken} {pauses:?}");
        }
        assert_eq!(pauses, PATIENCE);
        let _ = room.sent(&near, Ok(PROGRESS_FRAMES));
        assert_eq!(retry_after(&mut room, &near), Some(PAUSE), "it is quick again");
    }

    #[test]
    fn a_small_buffer_is_left_to_the_event() {
        let (near, _far) = UnixDatagram::pair().unwrap();
        setsockopt(&near, sockopt::SndBuf, &(64 << 10)).unwrap();
        let send_bytes = getsockopt(&near, sockopt::SndBuf).unwrap();
        let mut room = Room::of(Granted { send_bytes, receive_bytes: 0 });
        fill(&near);
        assert_eq!(retry_after(&mut room, &near), None);
    }
}
