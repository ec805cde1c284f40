//! Frames through shared memory, in batches: each is copied into a chunk of it, its descriptor put
//! into the ring, and the kernel told by one call, which sends before it returns.
//!
//! The kernel may stop in the middle of a batch. It keeps in mind how far the ring was filled, so
//! that nothing can be taken out any more, and how far it came it shows in time or, if it is older,
//! only when it comes to the end. But a descriptor that it has not read can be made void: one that
//! points outside of the memory is passed over, and counted. So after a stop all of the batch is
//! made void, the kernel is sent on to the end, and those that it did not pass over are those that
//! it had sent. Each frame is then either the interface's or still the caller's, and never both.
//! The lane is given up until [`Lane::resume`], so that what stays in the way costs no more than
//! that.

use std::io;

use arrayvec::ArrayVec;

use super::ring::Ring;
use crate::mapping::Mapping;
use crate::outgoing::Outgoing;

/// How many chunks there are for frames on their way, and so how many places each ring has.
pub(super) const CHUNKS: u32 = 512;
/// How long a chunk is.
pub(super) const CHUNK_BYTES: usize = 2048;
/// The longest frame: older kernels take a frame that fills its chunk for one that leaves it.
const FRAME_MAX_BYTES: usize = CHUNK_BYTES - 1;
/// The shortest: an Ethernet header.
const FRAME_MIN_BYTES: usize = 14;
/// How many frames the kernel sends in one call (`TX_BATCH_SIZE` of net/xdp/xsk.c).
const BATCH_MAX: usize = 32;
/// Outside of the memory, whatever its size.
const VOID: u64 = u64::MAX - u16::MAX as u64;

/// What became of some frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// How many of the first the interface has.
    pub(crate) taken: usize,
    /// And the next one.
    pub(crate) then: Then,
}

/// What became of the first frame that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It has not been tried, if there is one: another call, or another way, may take it.
    Untried,
    /// The interface lost it.
    Lost,
}

/// A descriptor in the ring: at which count, and of which chunk.
#[derive(Debug, Clone, Copy)]
struct Put {
    count: u32,
    chunk: u32,
}

/// The kernel's side.
pub(super) trait Kernel {
    /// Sends what the ring has, 32 frames at most, and passes over what is void; ENETDOWN and ENXIO
    /// before it has looked, EBUSY after it has lost a frame.
    fn push_out(&self) -> io::Result<()>;

    /// How many void descriptors it has passed over, ever.
    fn passed_over(&self) -> io::Result<u64>;
}

/// A batch in which the kernel stopped, all of it void since.
#[derive(Debug)]
struct Stop {
    batch: ArrayVec<Put, BATCH_MAX>,
    /// What the kernel had passed over before.
    passed_over_before: u64,
}

/// Memory for frames, and the two rings. Between two calls the kernel has taken everything from the
/// ring, unless the lane is given up.
#[derive(Debug)]
pub(super) struct Lane {
    frames: Mapping,
    transmit: Ring,
    completion: Ring,
    /// Chunks that the kernel does not have.
    idle: Vec<u32>,
    is_given_up: bool,
    /// Of a lane that is given up: the kernel could not be sent on to the end.
    unsettled: Option<Stop>,
}

impl Lane {
    /// `frames` has [`CHUNKS`] times [`CHUNK_BYTES`] bytes, of which so many `chunks` are used; the
    /// rings have [`CHUNKS`] places.
    pub(super) fn new(frames: Mapping, [transmit, completion]: [Ring; 2], chunks: u32) -> Self {
        let idle = (0..chunks).collect();
        Self { frames, transmit, completion, idle, is_given_up: false, unsettled: None }
    }

    /// Sends the first of `frames`, up to one that is not finished, or longer than a chunk or
    /// `longest_bytes`; at most what there is room for.
    pub(super) fn send(
        &mut self,
        frames: &[Outgoing<'_>],
        longest_bytes: usize,
        kernel: &impl Kernel,
    ) -> Sent {
        let nothing = Sent { taken: 0, then: Then::Untried };
        if self.is_given_up {
            return nothing;
        }
        self.reap();
        let mut batch = ArrayVec::new();
        self.put(frames, longest_bytes.min(FRAME_MAX_BYTES), &mut batch);
        if batch.is_empty() {
            return nothing;
        }
        self.transmit.publish();
        let errno = kernel.push_out().err().and_then(|error| error.raw_os_error());
        // A driver's own errors do not stop the kernel; it answers the last of them.
        if self.is_at_end() && errno != Some(libc::EBUSY) {
            return Sent { taken: batch.len(), then: Then::Untried };
        }
        self.is_given_up = true;
        self.stopped(batch, errno, kernel)
    }

    /// Goes on after a stop, if the kernel has passed over what was made void.
    pub(super) fn resume(&mut self, kernel: &impl Kernel) {
        if !self.is_given_up || !self.send_on(kernel) {
            return;
        }
        self.is_given_up = false;
        if let Some(stop) = self.unsettled.take() {
            self.settle(&stop, kernel);
        }
    }

    /// The kernel stopped in `batch`, and answered `errno`.
    fn stopped(
        &mut self,
        batch: ArrayVec<Put, BATCH_MAX>,
        errno: Option<i32>,
        kernel: &impl Kernel,
    ) -> Sent {
        // A count that is not told is taken for the highest: none was passed over since, and what
        // may have been sent is not sent again.
        let passed_over_before = kernel.passed_over().unwrap_or(u64::MAX);
        for put in &batch {
            self.transmit.set(put.count, VOID, 1);
        }
        let stop = Stop { batch, passed_over_before };
        let tried = if matches!(errno, Some(libc::ENETDOWN | libc::ENXIO)) {
            self.give_back_from(&stop, 0);
            0
        } else if self.send_on(kernel) {
            self.settle(&stop, kernel)
        } else {
            // The interface went down just now: rather lost than sent twice.
            let all = stop.batch.len();
            self.unsettled = Some(stop);
            all
        };
        match tried.checked_sub(1) {
            Some(taken) if errno == Some(libc::EBUSY) => Sent { taken, then: Then::Lost },
            _ => Sent { taken: tried, then: Then::Untried },
        }
    }

    /// Has the kernel go to the end of the ring, where everything is void; says whether it is
    /// there. Each call passes over one or all, and may show it only in the next.
    fn send_on(&self, kernel: &impl Kernel) -> bool {
        for _ in 0..=BATCH_MAX {
            if kernel.push_out().is_err() {
                return false;
            }
            if self.is_at_end() {
                return true;
            }
        }
        false
    }

    /// How many frames of a batch the kernel had tried before it stopped, now that it has passed
    /// over all others. It gives back the chunks of what it tried, in time.
    fn settle(&mut self, stop: &Stop, kernel: &impl Kernel) -> usize {
        let since = |total: u64| total.saturating_sub(stop.passed_over_before);
        let passed_over = kernel.passed_over().map_or(0, since);
        let passed_over = usize::try_from(passed_over).unwrap_or(usize::MAX);
        let tried = stop.batch.len().saturating_sub(passed_over);
        self.give_back_from(stop, tried);
        tried
    }

    fn is_at_end(&self) -> bool {
        self.transmit.consumer() == self.transmit.next()
    }

    fn give_back_from(&mut self, stop: &Stop, place: usize) {
        for put in &stop.batch[place..] {
            self.give_back(put.chunk);
        }
    }

    /// Copies the first frames into chunks and puts their descriptors.
    fn put(
        &mut self,
        frames: &[Outgoing<'_>],
        longest_bytes: usize,
        batch: &mut ArrayVec<Put, BATCH_MAX>,
    ) {
        for frame in frames.iter().take(BATCH_MAX) {
            let len = frame.head.len() + frame.tail.len();
            let fits = (FRAME_MIN_BYTES..=longest_bytes).contains(&len);
            if !fits || !frame.vnet.is_finished() {
                return;
            }
            let Some(chunk) = self.idle.pop() else { return };
            let at = chunk as usize * CHUNK_BYTES;
            self.frames.write(at, frame.head);
            self.frames.write(at + frame.head.len(), frame.tail);
            batch.push(Put { count: self.transmit.next(), chunk });
            #[allow(clippy::cast_possible_truncation, reason = "within a chunk")]
            self.transmit.put(at as u64, len as u32);
        }
    }

    /// Takes back the chunks of what has been sent.
    fn reap(&mut self) {
        while let Some(address) = self.completion.take() {
            let chunk = usize::try_from(address).unwrap_or(usize::MAX) / CHUNK_BYTES;
            self.give_back(u32::try_from(chunk).unwrap_or(u32::MAX));
        }
        self.completion.release();
    }

    fn give_back(&mut self, chunk: u32) {
        // The kernel gives no more than it has; if it did, this would not grow.
        if chunk < CHUNKS && self.idle.len() < self.idle.capacity() {
            self.idle.push(chunk);
        }
    }
}

#[cfg(test)]
mod tests;
