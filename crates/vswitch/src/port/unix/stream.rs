//! A connected stream of length-prefixed frames: an inherited `SOCK_STREAM` descriptor, or a
//! listener's client.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};

use arrayvec::ArrayVec;
use nix::sys::socket::{MsgFlags, recv, sendmsg};

use super::{platform, socket_buffers};
use crate::counters::DropReason;
use crate::frame::FRAME_MAX_BYTES;
use crate::framing::{FramingError, PREFIX_BYTES, whole_frames};
use crate::poller::Source;
use crate::pool::{Buffer, Run, SizeClass};
use crate::port::upkeep::next_tidying;
use crate::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use crate::time::Nanos;

/// How many frames one call takes out of what was read.
const RECEIVE_FRAMES_MAX: usize = 1024;

/// A port whose calls take no more frames than this, and have their buffer full, reads into bigger
/// ones.
const FEW_FRAMES: usize = RECEIVE_FRAMES_MAX / 5;

/// How many frames, and how many bytes, one call writes at most.
const SEND_FRAMES_MAX: usize = 512;
const SEND_BYTES_MAX: usize = 256 << 10;

/// How many bytes one call writes towards a slow reader, and how many calls do so each time that
/// it showed to be one. The kernel gives back a stream's room by the piece in which it took it,
/// when the reader has read all of it: in big pieces a slow reader would look stalled between one
/// and the next.
const SEND_BYTES_MAX_WHEN_SLOW: usize = 16 << 10;
const SLOW_CALLS: u32 = 256;

/// So many calls in a row that the kernel takes nothing of show a slow reader: a stream that is
/// merely full is written again only when it has room, or for a while by a timer.
const REFUSED_CALLS_MAX: u32 = 2;

/// A connected stream.
#[derive(Debug)]
pub struct StreamPort {
    socket: OwnedFd,
    generation: u32,
    /// What was read and not passed on: the beginning of a frame, as a rule.
    kept: Vec<u8>,
    /// There are whole frames in it.
    has_whole: bool,
    /// What it reads into: big reads for big frames, so that no call takes too many.
    class: SizeClass,
    /// The end of a frame of which the kernel took only the beginning. It goes before all else.
    rest: Vec<u8>,
    /// How much of `rest` is written already.
    rest_written: usize,
    room: platform::Room,
    /// For so many calls more, the reader is taken for a slow one.
    slow_calls: u32,
    /// How many calls in a row the kernel took nothing of.
    refused_calls: u32,
    /// Something was read or written since memory was last looked after.
    was_used: bool,
    tidy_at: Nanos,
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
        let room = platform::Room::of(socket_buffers::enlarge(&socket));
        Self {
            socket,
            generation,
            kept: Vec::new(),
            has_whole: false,
            class: SizeClass::Full,
            rest: Vec::new(),
            rest_written: 0,
            room,
            slow_calls: 0,
            refused_calls: 0,
            was_used: false,
            tidy_at: Nanos(0),
        }
    }

    /// Gives back the memory of a stream on which nothing happens.
    fn tidy(&mut self) {
        if std::mem::take(&mut self.was_used) {
            return;
        }
        for memory in [&mut self.kept, &mut self.rest] {
            if memory.is_empty() {
                *memory = Vec::new();
            }
        }
    }

    /// Writes what is left of a frame begun before.
    fn write_rest(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.rest);
        let mut done = Ok(());
        while done.is_ok() && self.rest_written < rest.len() {
            let left = [IoSlice::new(&rest[self.rest_written..])];
            done = self.write(&left).map(|written| self.rest_written += written);
        }
        self.rest = rest;
        done?;
        self.rest.clear();
        self.rest_written = 0;
        Ok(())
    }

    fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = platform::STREAM_SEND_FLAGS;
        match sendmsg::<()>(self.socket.as_raw_fd(), pieces, &[], flags, None) {
            Ok(written) => {
                self.refused_calls = 0;
                Ok(written)
            }
            Err(errno) => {
                self.refused_calls += 1;
                Err(errno.into())
            }
        }
    }

    /// What an error of a write means.
    fn fault(&mut self, error: io::Error) -> SendFault {
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR | libc::ENOBUFS | libc::ENOMEM) => self.full(),
            Some(libc::EPIPE | libc::ECONNRESET) => SendFault::Gone(Gone::Closed),
            _ => SendFault::Gone(Gone::Os(error)),
        }
    }

    /// The kernel takes no more now.
    fn full(&mut self) -> SendFault {
        let retry_after = self.room.retry_after(&self.socket);
        if self.refused_calls >= REFUSED_CALLS_MAX && retry_after.is_none() {
            self.slow_calls = SLOW_CALLS;
        }
        SendFault::Full { retry_after }
    }

    /// Writes the outbox's first frames; how many the stream has taken.
    fn write_frames(&mut self, outbox: &Outbox<'_>) -> io::Result<usize> {
        if outbox.is_empty() {
            return Ok(0);
        }
        let bytes_max = self.bytes_max();
        let mut pieces = ArrayVec::<_, SEND_FRAMES_MAX>::new();
        let frames = outbox.framed(bytes_max, &mut pieces);
        let written = self.write(&pieces)?;
        Ok(self.taken(outbox, frames, written))
    }

    /// How many bytes the next call writes at most.
    fn bytes_max(&mut self) -> usize {
        if self.slow_calls == 0 {
            return SEND_BYTES_MAX;
        }
        self.slow_calls -= 1;
        SEND_BYTES_MAX_WHEN_SLOW
    }

    /// How many frames begin within the `written` bytes. The end of the last, where it was cut, is
    /// kept to be written first of all next time; the frame counts as taken.
    fn taken(&mut self, outbox: &Outbox<'_>, frames: usize, mut written: usize) -> usize {
        for place in 0..frames {
            if written == 0 {
                return place;
            }
            let framed = outbox.framed_bytes(place);
            if written < framed.len() {
                self.rest.extend_from_slice(&framed[written..]);
                return place + 1;
            }
            written -= framed.len();
        }
        frames
    }

    /// A buffer that holds what was kept and more.
    fn buffer(&self, inbox: &mut Inbox<'_>) -> Option<Buffer> {
        // More was kept of a bigger buffer full of small frames.
        let is_enough = self.kept.len() <= PREFIX_BYTES + FRAME_MAX_BYTES;
        let big = match self.class {
            SizeClass::Full if is_enough => None,
            _ => inbox.take_buffer(SizeClass::Run),
        };
        big.or_else(|| is_enough.then(|| inbox.take_buffer(SizeClass::Full))?)
    }

    /// Reads behind what was kept, into `buffer`; how many bytes stand there then, and whether
    /// there may be more to read.
    fn read(&mut self, buffer: &mut [u8]) -> Result<(usize, bool), Received> {
        let (kept, space) = buffer.split_at_mut(self.kept.len());
        kept.copy_from_slice(&self.kept);
        if self.has_whole {
            return Ok((kept.len(), true));
        }
        match recv(self.socket.as_raw_fd(), space, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Err(Received::Gone(Gone::Closed)),
            Ok(len) => {
                self.was_used = true;
                Ok((kept.len() + len, len == space.len()))
            }
            Err(nix::Error::EAGAIN) => Err(Received::Drained),
            Err(nix::Error::EINTR) => Err(Received::More),
            Err(nix::Error::ECONNRESET) => Err(Received::Gone(Gone::Closed)),
            Err(errno) => Err(Received::Gone(Gone::Os(errno.into()))),
        }
    }

    /// Makes frames of what is whole of the run's first `filled` bytes, and keeps the rest.
    fn make_frames(
        &mut self,
        inbox: &mut Inbox<'_>,
        run: &Run,
        filled: usize,
    ) -> Result<(), FramingError> {
        let (mut end, mut frames) = (0, 0);
        let mut broken = None;
        while let Some(next) = whole_frames(&inbox.run_bytes(run)[end..filled]).next() {
            match next {
                _ if frames == RECEIVE_FRAMES_MAX => break,
                Ok(range) => {
                    let range = end + range.start..end + range.end;
                    end = range.end;
                    frames += 1;
                    inbox.arrived_in_run(run, range);
                }
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        self.has_whole = frames == RECEIVE_FRAMES_MAX;
        let is_full = filled == inbox.run_bytes(run).len();
        self.class = match frames {
            RECEIVE_FRAMES_MAX => SizeClass::Full,
            _ if is_full && frames <= FEW_FRAMES => SizeClass::Run,
            _ => self.class,
        };
        self.kept.clear();
        self.kept.extend_from_slice(&inbox.run_bytes(run)[end..filled]);
        broken.map_or(Ok(()), Err)
    }
}

impl Port for StreamPort {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: self.socket.as_raw_fd(), generation: self.generation })
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        let Some(mut buffer) = self.buffer(inbox) else { return Received::NoBuffers };
        let (filled, is_more) = match self.read(&mut buffer) {
            Ok(read) => read,
            Err(received) => {
                inbox.put_back(buffer);
                return received;
            }
        };
        let run = inbox.begin_run(buffer);
        let made = self.make_frames(inbox, &run, filled);
        inbox.end_run(run);
        match made {
            Err(error) => {
                inbox.reject(DropReason::BadFraming, 0);
                Received::Gone(Gone::Framing { length_bytes: error.length_bytes })
            }
            Ok(()) if is_more || self.has_whole => Received::More,
            Ok(()) => Received::Drained,
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
        match self.write_rest().and_then(|()| self.write_frames(outbox)) {
            Ok(frames) => {
                self.room.took(frames);
                match self.rest.is_empty() {
                    true => Sent::all(frames),
                    false => Sent::until(frames, self.full()),
                }
            }
            Err(error) => Sent::until(0, self.fault(error)),
        }
    }
}

/// What is kept, and one byte more, always find room in a buffer.
const _: () = assert!(SizeClass::Full.bytes() > PREFIX_BYTES + FRAME_MAX_BYTES);

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::pool::Pool;
    use crate::queue::EgressQueue;

    /// Of whom that is true with a large buffer: who runs this may not have one.
    #[test]
    fn a_reader_is_tried_by_time_first_and_taken_for_a_slow_one_only_then() {
        let (near, _far) = UnixStream::pair().unwrap();
        let has_large_buffer = socket_buffers::enlarge(&near).send_bytes >= 2 << 20;
        let (mut pool, mut queue) = (Pool::new(1 << 20), EgressQueue::new());
        for _ in 0..16 {
            queue.push(pool.copy(&[0; 9014]).unwrap(), Nanos(0), &mut pool);
        }
        let mut port = StreamPort::new(near.into());
        let retry_after = |port: &mut StreamPort| match port.send(&Outbox::new(&queue, &pool)).then
        {
            None => None,
            Some(SendFault::Full { retry_after }) => Some(retry_after),
            Some(fault) => panic!("{fault:?}"),
        };
        let first = (0..100_000).find_map(|_| retry_after(&mut port)).expect("it is full");
        assert_eq!(first.is_some(), has_large_buffer);
        let mut attempts = 0;
        while retry_after(&mut port).expect("it is full").is_some() {
            assert_eq!(port.slow_calls, 0, "after {attempts} attempts");
            attempts += 1;
        }
        assert_eq!(attempts > 50, has_large_buffer, "{attempts}");
        retry_after(&mut port);
        assert!(port.slow_calls > 0, "it is slow");
    }
}
