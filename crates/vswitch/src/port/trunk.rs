//! A trunk: two ports of one process, each in a loop of its own, and what one sends the other
//! receives.
//!
//! Frames cross whole, with the work that is left on them, so a trunk takes all offloads. In each
//! direction there is one queue of filled buffers, and one by which the emptied ones come back to
//! the loop that owns them; each has a lock that is taken once per batch, and held for as long as a
//! batch of pointers moves. Frames are copied outside of it: once into the trunk, once out. Buffers
//! are made on first need and used again.
//!
//! The receiving loop is woken by a doorbell (an eventfd(2), or a pair of sockets), rung when a
//! batch comes into an empty queue. A full trunk rings nobody: its sender tries again after a short
//! while ([`SendFault::Full`]), as at any port that does not tell of room.
//!
//! Loops that are joined so, each with each, need [`PortPolicy::trunk`] at both ends: the fabric
//! then passes no frame from one trunk to another.
//!
//! [`PortPolicy::trunk`]: crate::fabric::PortPolicy::trunk

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::xnu::backoff::Backoff;
use super::{BATCH_FRAMES_MAX, Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use crate::offload::{Offload, Offloads};
use crate::poller::Source;
use crate::pool::{Buffer, Pool, SizeClass};

mod doorbell;

use doorbell::Doorbell;

/// A batch ends with the frame that brings it to so many bytes: as much as a batch of the biggest
/// frames is at other ports.
const BATCH_BYTES: usize = SizeClass::Full.batch_frames() * SizeClass::Full.bytes();

/// In so many sizes come the buffers of single frames: [`SizeClass::Small`], [`SizeClass::Jumbo`],
/// [`SizeClass::Full`].
const FRAME_SIZES: usize = 3;

/// One end of a trunk.
#[derive(Debug)]
pub struct TrunkPort {
    outgoing: Outgoing,
    incoming: Incoming,
}

/// What both ends have of one direction.
#[derive(Debug)]
struct Direction {
    filled: Mutex<VecDeque<Packet>>,
    emptied: Mutex<Vec<Buffer>>,
    /// Rung when `filled` is no longer empty, or `closed` has become true.
    doorbell: Doorbell,
    /// One of the ends is gone.
    closed: AtomicBool,
}

/// A frame on its way: the first `len_bytes` of its buffer.
#[derive(Debug)]
struct Packet {
    buffer: Buffer,
    len_bytes: usize,
    offload: Offload,
}

/// The sending end of a direction, which owns its buffers.
#[derive(Debug)]
struct Outgoing {
    direction: Arc<Direction>,
    buffers: Pool,
    /// Bytes of the buffers that are filled, and how many may be.
    in_flight_bytes: usize,
    in_flight_max_bytes: usize,
    backoff: Backoff,
    /// Filled in this call. Empty between calls, as the next one is.
    batch: VecDeque<Packet>,
    returned: Vec<Buffer>,
}

/// The receiving end of a direction.
#[derive(Debug)]
struct Incoming {
    direction: Arc<Direction>,
    /// Taken out of the queue, and not yet in an inbox.
    taken: VecDeque<Packet>,
    /// The bell may have been rung since it was last silenced.
    may_ring: bool,
    /// Emptied in this call.
    emptied: Vec<Buffer>,
}

impl TrunkPort {
    /// The two ends of a trunk, in each direction of which frames in at most `direction_bytes` of
    /// buffers are on their way (at least one frame of any size). Buffers come in three sizes
    /// ([`SizeClass`]); since they are kept for use again, those of a direction may come to three
    /// times as many bytes, if all sizes fill it one after the other.
    ///
    /// # Errors
    /// When the process or the system has no descriptor left.
    pub fn pair(direction_bytes: usize) -> io::Result<(Self, Self)> {
        let there = Arc::new(Direction::new()?);
        let back = Arc::new(Direction::new()?);
        let end = |outgoing: &Arc<Direction>, incoming: &Arc<Direction>| Self {
            outgoing: Outgoing::new(Arc::clone(outgoing), direction_bytes),
            incoming: Incoming::new(Arc::clone(incoming)),
        };
        Ok((end(&there, &back), end(&back, &there)))
    }
}

impl Port for TrunkPort {
    fn source(&self) -> Option<Source> {
        let descriptor = self.incoming.direction.doorbell.descriptor();
        Some(Source { descriptor, generation: 0 })
    }

    fn takes(&self) -> Offloads {
        Offloads::ALL
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        self.incoming.receive(inbox)
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        self.outgoing.send(outbox)
    }
}

impl Drop for TrunkPort {
    fn drop(&mut self) {
        self.outgoing.direction.close();
        self.incoming.direction.close();
    }
}

impl Direction {
    fn new() -> io::Result<Self> {
        Ok(Self {
            filled: Mutex::default(),
            emptied: Mutex::default(),
            doorbell: Doorbell::new()?,
            closed: AtomicBool::new(false),
        })
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.doorbell.ring();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl Outgoing {
    fn new(direction: Arc<Direction>, direction_bytes: usize) -> Self {
        let in_flight_max_bytes = direction_bytes.max(SizeClass::Full.bytes());
        // Each size alone can fill the direction: no buffer has to make way for one of another
        // size, which would cost an allocation now and then.
        let buffers = Pool::new(in_flight_max_bytes.saturating_mul(FRAME_SIZES));
        Self {
            direction,
            buffers,
            in_flight_bytes: 0,
            in_flight_max_bytes,
            backoff: Backoff::default(),
            batch: VecDeque::with_capacity(BATCH_FRAMES_MAX),
            returned: Vec::new(),
        }
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        if self.direction.is_closed() {
            return Sent::until(0, SendFault::Gone(Gone::Closed));
        }
        self.take_back();
        let mut bytes = 0;
        let mut is_full = false;
        for (frame, offload) in outbox.frames().take(BATCH_FRAMES_MAX) {
            if bytes >= BATCH_BYTES {
                break;
            }
            let Some(buffer) = self.fill(frame) else {
                is_full = true;
                break;
            };
            bytes += frame.len();
            self.batch.push_back(Packet { buffer, len_bytes: frame.len(), offload: *offload });
        }
        let taken_frames = self.batch.len();
        if taken_frames > 0 {
            self.backoff.reset();
            self.pass_on();
        }
        if !is_full {
            return Sent::all(taken_frames);
        }
        let retry_after = Some(self.backoff.pause());
        Sent::until(taken_frames, SendFault::Full { retry_after })
    }

    /// Takes back the buffers that the other end has emptied.
    fn take_back(&mut self) {
        std::mem::swap(&mut *lock(&self.direction.emptied), &mut self.returned);
        for buffer in self.returned.drain(..) {
            self.in_flight_bytes -= buffer.len();
            self.buffers.put_back(buffer);
        }
    }

    /// A copy of a frame in a buffer; `None` when as much as may be is on its way.
    fn fill(&mut self, frame: &[u8]) -> Option<Buffer> {
        let class = SizeClass::fitting(frame.len());
        if self.in_flight_bytes + class.bytes() > self.in_flight_max_bytes {
            return None;
        }
        let mut buffer = self.buffers.take(class)?;
        self.in_flight_bytes += buffer.len();
        buffer[..frame.len()].copy_from_slice(frame);
        Some(buffer)
    }

    fn pass_on(&mut self) {
        let mut filled = lock(&self.direction.filled);
        let was_empty = filled.is_empty();
        filled.append(&mut self.batch);
        drop(filled);
        // With frames there already, the bell is ringing, or the other end is about to look.
        if was_empty {
            self.direction.doorbell.ring();
        }
    }
}

impl Incoming {
    fn new(direction: Arc<Direction>) -> Self {
        Self {
            direction,
            taken: VecDeque::with_capacity(BATCH_FRAMES_MAX),
            may_ring: true,
            emptied: Vec::with_capacity(BATCH_FRAMES_MAX),
        }
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        // Before the queue is looked at: a frame that comes after that look rings again.
        if std::mem::replace(&mut self.may_ring, false) {
            self.direction.doorbell.silence();
        }
        // Likewise: what was sent before the end is still to be seen.
        let is_closed = self.direction.is_closed();
        let more = self.take();
        while let Some(packet) = self.taken.front() {
            if !inbox.copy_unfinished(&packet.buffer[..packet.len_bytes], packet.offload) {
                break;
            }
            self.emptied.extend(self.taken.pop_front().map(|packet| packet.buffer));
        }
        self.give_back();
        if !self.taken.is_empty() {
            return Received::NoBuffers;
        }
        if more {
            return Received::More;
        }
        self.may_ring = true;
        if is_closed { Received::Gone(Gone::Closed) } else { Received::Drained }
    }

    /// Takes a batch out of the queue; says whether to look again.
    fn take(&mut self) -> bool {
        if !self.taken.is_empty() {
            return true;
        }
        let mut filled = lock(&self.direction.filled);
        let mut bytes = 0;
        while self.taken.len() < BATCH_FRAMES_MAX && bytes < BATCH_BYTES {
            let Some(packet) = filled.pop_front() else { return false };
            bytes += packet.len_bytes;
            self.taken.push_back(packet);
        }
        !filled.is_empty()
    }

    fn give_back(&mut self) {
        if !self.emptied.is_empty() {
            lock(&self.direction.emptied).append(&mut self.emptied);
        }
    }
}

/// Whoever panicked with the lock left a queue that is whole: each change to it is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
