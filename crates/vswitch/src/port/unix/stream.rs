//! A connected stream of length-prefixed frames: an inherited `SOCK_STREAM` descriptor, or a
//! listener's client.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{MsgFlags, recv, sendmsg};

use super::{platform, socket_buffers};
use crate::counters::DropReason;
use crate::framing::{Deframer, PREFIX_BYTES, prefix};
use crate::poller::Source;
use crate::pool::SizeClass;
use crate::port::upkeep::next_tidying;
use crate::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use crate::time::Nanos;

/// How many frames one call takes out of what was read, and how many bytes of the pool they may
/// keep: what one port holds is to be a small part of it.
const RECEIVE_FRAMES_MAX: usize = 64;
const RECEIVE_BYTES_MAX: usize = 256 << 10;

/// How many frames, and how many bytes, one call writes at most.
const SEND_FRAMES_MAX: usize = 256;
const SEND_BYTES_MAX: usize = 256 << 10;

/// How many bytes one call writes towards a reader that is slower than its sender, and how many
/// calls do so after each time that the stream was full. The kernel gives back a stream's room by
/// the piece in which it took it, when the reader has read all of it: in big pieces a slow reader
/// would look stalled between one and the next.
const SEND_BYTES_MAX_WHEN_FULL: usize = 16 << 10;
const CALLS_AFTER_FULL: u32 = 256;

/// Frames up to this size are copied together with their prefixes into one piece; bigger ones are
/// written from where they are. A copy of so few bytes costs less than one more piece for the
/// kernel.
const GATHERED_FRAME_MAX_BYTES: usize = 4096;

/// A connected stream.
#[derive(Debug)]
pub struct StreamPort {
    socket: OwnedFd,
    generation: u32,
    deframer: Deframer,
    /// What was gathered for the write that runs now.
    gathered: Vec<u8>,
    /// The end of a frame of which the kernel took only the beginning. It goes before all else.
    rest: Vec<u8>,
    /// How much of `rest` is written already.
    rest_written: usize,
    /// For so many calls more, the reader is taken for a slow one.
    slow_calls: u32,
    /// Something was read or written since memory was last looked after.
    was_used: bool,
    tidy_at: Nanos,
}

/// One piece of a write.
enum Piece {
    /// This range of the gathered bytes.
    Gathered(std::ops::Range<usize>),
    /// The frame at this place of the outbox.
    Frame(usize),
}

impl StreamPort {
    /// A port on `socket`, whose buffers are enlarged. On Linux its blocking mode does not matter
    /// and is not changed, since it may be shared with another process; macOS has no other way to
    /// write without waiting, so there it becomes non-blocking.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self::numbered(socket, 0)
    }

    /// As [`Self::new`], the `generation`th in the life of its port.
    pub(super) fn numbered(socket: OwnedFd, generation: u32) -> Self {
        platform::prepare_stream(&socket);
        socket_buffers::enlarge(&socket);
        Self {
            socket,
            generation,
            deframer: Deframer::default(),
            gathered: Vec::new(),
            rest: Vec::new(),
            rest_written: 0,
            slow_calls: 0,
            was_used: false,
            tidy_at: Nanos(0),
        }
    }

    /// Gives back the memory of a stream on which nothing happens.
    fn tidy(&mut self) {
        if std::mem::take(&mut self.was_used) {
            return;
        }
        self.deframer.shrink();
        self.gathered = Vec::new();
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
    }

    /// Writes what is left of a frame begun before.
    fn write_rest(&mut self) -> io::Result<()> {
        while self.rest_written < self.rest.len() {
            let left = [IoSlice::new(&self.rest[self.rest_written..])];
            self.rest_written += self.write(&left)?;
        }
        self.rest.clear();
        self.rest_written = 0;
        Ok(())
    }

    fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = platform::STREAM_SEND_FLAGS;
        Ok(sendmsg::<()>(self.socket.as_raw_fd(), pieces, &[], flags, None)?)
    }

    /// Writes the outbox's first frames; how many the stream has taken.
    fn write_frames(&mut self, outbox: &Outbox<'_>) -> io::Result<usize> {
        if outbox.is_empty() {
            return Ok(0);
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.clear();
        let mut pieces = arrayvec::ArrayVec::<Piece, { 2 * SEND_FRAMES_MAX }>::new();
        let bytes_max = self.bytes_max();
        let (mut frames, mut bytes, mut piece_start) = (0, 0, 0);
        for (place, frame) in outbox.iter().enumerate().take(SEND_FRAMES_MAX) {
            if place > 0 && bytes + frame.len() > bytes_max {
                break;
            }
            bytes += PREFIX_BYTES + frame.len();
            frames += 1;
            gathered.extend_from_slice(&prefix(frame.len()));
            if frame.len() <= GATHERED_FRAME_MAX_BYTES {
                gathered.extend_from_slice(frame);
            } else {
                pieces.push(Piece::Gathered(piece_start..gathered.len()));
                pieces.push(Piece::Frame(place));
                piece_start = gathered.len();
            }
        }
        if piece_start < gathered.len() {
            pieces.push(Piece::Gathered(piece_start..gathered.len()));
        }
        let slices: arrayvec::ArrayVec<IoSlice<'_>, { 2 * SEND_FRAMES_MAX }> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Gathered(range) => IoSlice::new(&gathered[range.clone()]),
                Piece::Frame(place) => IoSlice::new(outbox.bytes(*place)),
            })
            .collect();
        let written = self.write(&slices);
        drop(slices);
        self.gathered = gathered;
        Ok(self.taken(outbox, frames, written?))
    }

    /// How many bytes the next call writes at most.
    fn bytes_max(&mut self) -> usize {
        if self.slow_calls == 0 {
            return SEND_BYTES_MAX;
        }
        self.slow_calls -= 1;
        SEND_BYTES_MAX_WHEN_FULL
    }

    /// How many frames begin within the `written` bytes. The end of the last, where it was cut, is
    /// kept to be written first of all next time; the frame counts as taken.
    fn taken(&mut self, outbox: &Outbox<'_>, frames: usize, mut written: usize) -> usize {
        for place in 0..frames {
            if written == 0 {
                return place;
            }
            let frame = outbox.bytes(place);
            let whole = PREFIX_BYTES + frame.len();
            if written < whole {
                let head = prefix(frame.len());
                self.rest.extend_from_slice(&head[written.min(PREFIX_BYTES)..]);
                self.rest.extend_from_slice(&frame[written.saturating_sub(PREFIX_BYTES)..]);
                return place + 1;
            }
            written -= whole;
        }
        frames
    }

    /// Puts whole frames into the inbox; `None` when there are no more.
    fn deframe(&mut self, inbox: &mut Inbox<'_>) -> Option<Received> {
        let mut kept_bytes = 0;
        for _ in 0..RECEIVE_FRAMES_MAX {
            match self.deframer.peek_frame() {
                Ok(None) => return None,
                Ok(Some(_)) if kept_bytes >= RECEIVE_BYTES_MAX => return Some(Received::More),
                Ok(Some(frame)) => {
                    kept_bytes += SizeClass::fitting(frame.len()).bytes();
                    if !inbox.copy(frame) {
                        return Some(Received::NoBuffers);
                    }
                    let _ = self.deframer.next_frame();
                }
                Err(error) => {
                    inbox.reject(DropReason::BadFraming, 0);
                    return Some(Received::Gone(Gone::Framing {
                        length_bytes: error.length_bytes,
                    }));
                }
            }
        }
        Some(Received::More)
    }
}

impl Port for StreamPort {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: self.socket.as_raw_fd(), generation: self.generation })
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        if let Some(received) = self.deframe(inbox) {
            return received;
        }
        let space = self.deframer.space();
        let space_len = space.len();
        match recv(self.socket.as_raw_fd(), space, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Received::Gone(Gone::Closed),
            Ok(len) => {
                self.was_used = true;
                self.deframer.filled(len);
                match self.deframe(inbox) {
                    Some(received) => received,
                    None if len == space_len => Received::More,
                    None => Received::Drained,
                }
            }
            Err(nix::Error::EAGAIN) => Received::Drained,
            Err(nix::Error::EINTR) => Received::More,
            Err(nix::Error::ECONNRESET) => Received::Gone(Gone::Closed),
            Err(errno) => Received::Gone(Gone::Os(errno.into())),
        }
    }

    fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    fn upkeep(&mut self, now: Nanos) -> Result<Nanos, Gone> {
        if now >= self.tidy_at {
            self.tidy();
            self.tidy_at = next_tidying(now);
        }
        Ok(self.tidy_at)
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        self.was_used = true;
        let sent = match self.write_rest().and_then(|()| self.write_frames(outbox)) {
            Ok(frames) if !self.rest.is_empty() => {
                Sent::until(frames, SendFault::Full { retry_after: None })
            }
            Ok(frames) => Sent::all(frames),
            Err(error) => Sent::until(0, write_fault(error)),
        };
        if let Some(SendFault::Full { .. }) = sent.then {
            self.slow_calls = CALLS_AFTER_FULL;
        }
        sent
    }
}

fn write_fault(error: io::Error) -> SendFault {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR | libc::ENOBUFS | libc::ENOMEM) => {
            SendFault::Full { retry_after: None }
        }
        Some(libc::EPIPE | libc::ECONNRESET) => SendFault::Gone(Gone::Closed),
        _ => SendFault::Gone(Gone::Os(error)),
    }
}
