//! The buffers of all frames inside the switch: one pool, bounded in bytes.
//!
//! A buffer is either *free* (in the pool), *posted* (owned by whoever receives into it), or
//! *filled*: then it sits in a slot, counted by the frames that refer to it, and comes back to the
//! pool when the last of them is released. In steady state nothing is allocated: buffers are made
//! on first need, within the budget, and used again.

mod buffer;

use std::ops::Range;

pub use buffer::Buffer;

use crate::frame::{FRAME_MAX_BYTES, Frame};
use crate::framing::PREFIX_BYTES;
use crate::offload::Offload;

/// The sizes in which buffers come. A port receives into the smallest that fits its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SizeClass {
    /// Frames of the usual MTU of 1500.
    Small,
    /// Jumbo frames of an MTU of 9000.
    Jumbo,
    /// Any frame.
    Full,
    /// Many frames, side by side as they came by a stream.
    Run,
}

impl SizeClass {
    /// All of them, smallest first.
    pub const ALL: [Self; 4] = [Self::Small, Self::Jumbo, Self::Full, Self::Run];

    /// How many bytes a buffer of this class has. Each is an odd number of 64-byte cache lines, so
    /// that the heads of many buffers do not fall into the same cache sets.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Small => 33 * 64,
            Self::Jumbo => 145 * 64,
            Self::Full => 1027 * 64,
            Self::Run => 4097 * 64,
        }
    }

    /// How many frames to receive at once: as many as keep the batch inside the second-level cache.
    #[must_use]
    pub const fn batch_frames(self) -> usize {
        match self {
            Self::Small => 64,
            Self::Jumbo => 16,
            Self::Full => 4,
            Self::Run => 1,
        }
    }

    /// The class whose buffers have so many bytes.
    const fn of_buffer(bytes: usize) -> Option<Self> {
        let mut place = 0;
        while place < Self::ALL.len() {
            if Self::ALL[place].bytes() == bytes {
                return Some(Self::ALL[place]);
            }
            place += 1;
        }
        None
    }

    /// The smallest class whose buffers hold `len_bytes`, with the headroom.
    #[must_use]
    pub const fn fitting(len_bytes: usize) -> Self {
        match len_bytes + HEADROOM_BYTES {
            0..=2112 => Self::Small,
            2113..=9280 => Self::Jumbo,
            _ => Self::Full,
        }
    }
}

/// Room kept before a received frame, so that a VLAN tag can be put back in place, and a virtio-net
/// header stand before it: a cache line, so that the frame begins with one, too.
pub const HEADROOM_BYTES: usize = buffer::LINE_BYTES;

const _: () = assert!(SizeClass::Small.bytes() == 2112 && SizeClass::Jumbo.bytes() == 9280);
const _: () = assert!(SizeClass::Full.bytes() >= FRAME_MAX_BYTES + HEADROOM_BYTES);

/// The pool.
#[derive(Debug)]
pub struct Pool {
    budget_bytes: usize,
    /// Bytes of all buffers that exist: free, posted and filled.
    allocated_bytes: usize,
    free_bytes: usize,
    /// Bytes that copies of queued frames will take, when those have to wait.
    kept_bytes: usize,
    free: [Vec<Buffer>; SizeClass::ALL.len()],
    slots: Vec<Slot>,
    vacant: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    buffer: Buffer,
    references: u32,
}

/// A buffer in which many frames may stand side by side, while they are made.
#[derive(Debug)]
#[must_use = "a run that is not ended keeps its buffer"]
pub struct Run {
    slot: u32,
}

impl Pool {
    /// A pool whose buffers take at most `budget_bytes` together.
    #[must_use]
    pub fn new(budget_bytes: usize) -> Self {
        Self {
            budget_bytes,
            allocated_bytes: 0,
            free_bytes: 0,
            kept_bytes: 0,
            free: Default::default(),
            slots: Vec::new(),
            vacant: Vec::new(),
        }
    }

    /// Changes the budget; buffers above a smaller one go as they become free.
    pub fn set_budget_bytes(&mut self, budget_bytes: usize) {
        self.budget_bytes = budget_bytes;
    }

    /// The bytes that could still be taken: free buffers and what may yet be allocated, without
    /// what is kept for copies.
    #[must_use]
    #[inline]
    pub fn available_bytes(&self) -> usize {
        let takable = self.free_bytes + self.budget_bytes.saturating_sub(self.allocated_bytes);
        takable.saturating_sub(self.kept_bytes)
    }

    /// The most bytes that all buffers may have together.
    #[must_use]
    pub fn budget_bytes(&self) -> usize {
        self.budget_bytes
    }

    /// The bytes of the buffers that are in use: with frames in them, or with a port that receives.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.allocated_bytes - self.free_bytes
    }

    /// The bytes of all buffers that exist now.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        self.allocated_bytes
    }

    /// How many slots are filled: buffers that frames refer to.
    #[must_use]
    pub fn filled_slots(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// Takes a buffer of `class`, its content whatever was there; `None` when the budget is used
    /// up.
    #[inline]
    pub fn take(&mut self, class: SizeClass) -> Option<Buffer> {
        let Some(buffer) = self.free[class as usize].pop() else { return self.make(class) };
        self.free_bytes -= buffer.len();
        Some(buffer)
    }

    /// A new buffer; `None` when the budget is used up, or the memory.
    #[cold]
    fn make(&mut self, class: SizeClass) -> Option<Buffer> {
        let bytes = class.bytes();
        self.make_room(bytes);
        if self.allocated_bytes + bytes > self.budget_bytes {
            return None;
        }
        let fresh = Buffer::new(bytes)?;
        self.allocated_bytes += bytes;
        Some(fresh)
    }

    /// Gives back a buffer that [`Self::take`] gave and nothing was done with.
    #[inline]
    pub fn put_back(&mut self, buffer: Buffer) {
        let class = SizeClass::of_buffer(buffer.len());
        debug_assert!(class.is_some(), "a foreign buffer of {} bytes", buffer.len());
        match class {
            Some(class) if self.allocated_bytes <= self.budget_bytes => {
                self.free_bytes += buffer.len();
                self.free[class as usize].push(buffer);
            }
            // The budget has no room for it any more.
            Some(_) => self.allocated_bytes -= buffer.len(),
            None => {}
        }
    }

    /// Makes the frame whose bytes are `range` of `buffer`, and writes its length into the four
    /// bytes before it: a stream wants it there.
    ///
    /// # Panics
    /// When the range is not inside the buffer, or has no four bytes before it.
    // Once for each frame: in line, this and the other such one spare 36 instructions a frame.
    #[inline(always)]
    pub fn fill(&mut self, mut buffer: Buffer, range: Range<usize>, offload: Offload) -> Frame {
        assert!(range.start <= range.end && range.end <= buffer.len(), "a frame in its buffer");
        let (start, len) = (narrow(range.start), narrow(range.len()));
        buffer[range.start - PREFIX_BYTES..range.start].copy_from_slice(&len.to_be_bytes());
        let held_bytes = narrow(buffer.len());
        let slot = self.put_in_slot(Slot { buffer, references: 1 });
        Frame { slot, start, len, held_bytes, offload, ..Frame::NOWHERE }
    }

    #[inline]
    fn put_in_slot(&mut self, filled: Slot) -> u32 {
        let Some(slot) = self.vacant.pop() else { return self.put_in_new_slot(filled) };
        self.slots[slot as usize] = filled;
        slot
    }

    #[cold]
    fn put_in_new_slot(&mut self, filled: Slot) -> u32 {
        self.slots.push(filled);
        narrow(self.slots.len() - 1)
    }

    /// Begins to make frames that stand side by side in `buffer`, each behind its length in four
    /// bytes, as on a stream.
    pub fn begin_run(&mut self, buffer: Buffer) -> Run {
        Run { slot: self.put_in_slot(Slot { buffer, references: 1 }) }
    }

    /// The run's whole buffer.
    #[must_use]
    pub fn run_bytes(&self, run: &Run) -> &[u8] {
        &self.slots[run.slot as usize].buffer
    }

    /// Makes the frame whose bytes are `range` of the run's buffer.
    ///
    /// # Panics
    /// When the range is not inside the buffer.
    pub fn frame_in_run(&mut self, run: &Run, range: Range<usize>) -> Frame {
        let slot = &mut self.slots[run.slot as usize];
        assert!(range.start <= range.end && range.end <= slot.buffer.len(), "{range:?} of a run");
        debug_assert_eq!(
            slot.buffer[range.start - PREFIX_BYTES..range.start],
            narrow(range.len()).to_be_bytes()
        );
        slot.references += 1;
        let (start, len) = (narrow(range.start), narrow(range.len()));
        let held_bytes = narrow(SizeClass::fitting(range.len()).bytes());
        Frame { slot: run.slot, start, len, held_bytes, in_run: true, ..Frame::NOWHERE }
    }

    /// No more frames are made in the run. Its buffer is free with the last of them.
    #[allow(clippy::needless_pass_by_value, reason = "the run ends here, that is the point")]
    pub fn end_run(&mut self, run: Run) {
        self.unrefer(run.slot);
    }

    /// Keeps room for the copy that [`Self::alone`] makes of a frame, until the frame ends: others
    /// are not to count on it.
    #[inline]
    pub(crate) fn keep_room(&mut self, frame: &mut Frame) {
        if frame.in_run && !frame.has_room_kept {
            frame.has_room_kept = true;
            self.kept_bytes += frame.held_bytes();
        }
    }

    /// Makes a copy of a frame that stands in a run, so that the run's buffer is not kept for it;
    /// the frame itself if it stands alone already, or if there is no room for a copy.
    #[inline]
    pub(crate) fn alone(&mut self, frame: Frame) -> Frame {
        if frame.in_run { self.copied(frame) } else { frame }
    }

    fn copied(&mut self, frame: Frame) -> Frame {
        let whole = self.lend(&frame);
        let start = frame.start as usize;
        let copy = self.copy(&whole[start..start + frame.len_bytes()]);
        self.restore(&frame, whole);
        match copy {
            Some(copy) => {
                self.release(frame);
                copy
            }
            None => frame,
        }
    }

    /// Makes a frame with a copy of `bytes`; `None` when the budget is used up or no class fits.
    pub fn copy(&mut self, bytes: &[u8]) -> Option<Frame> {
        self.copy_parts(bytes, &[])
    }

    /// Makes a frame of `head` and `tail`, one behind the other.
    pub(crate) fn copy_parts(&mut self, head: &[u8], tail: &[u8]) -> Option<Frame> {
        let len = head.len() + tail.len();
        let class = SizeClass::fitting(len);
        let end = HEADROOM_BYTES + len;
        if end > class.bytes() {
            return None;
        }
        let mut buffer = self.take(class)?;
        buffer[HEADROOM_BYTES..HEADROOM_BYTES + head.len()].copy_from_slice(head);
        buffer[HEADROOM_BYTES + head.len()..end].copy_from_slice(tail);
        Some(self.fill(buffer, HEADROOM_BYTES..end, Offload::NONE))
    }

    /// The frame's bytes, from the destination address on.
    #[must_use]
    #[inline]
    pub fn bytes(&self, frame: &Frame) -> &[u8] {
        let start = frame.start as usize;
        &self.slots[frame.slot as usize].buffer[start..start + frame.len as usize]
    }

    /// The frame's bytes, to be changed; `None` when other frames share them.
    pub fn bytes_mut(&mut self, frame: &Frame) -> Option<&mut [u8]> {
        let slot = &mut self.slots[frame.slot as usize];
        let start = frame.start as usize;
        (slot.references == 1).then(|| &mut slot.buffer[start..start + frame.len as usize])
    }

    /// The frame with its length before it, in four bytes: as it stands on a stream.
    #[must_use]
    pub(crate) fn framed_bytes(&self, frame: &Frame) -> &[u8] {
        let start = frame.start as usize;
        let buffer = &self.slots[frame.slot as usize].buffer;
        &buffer[start - PREFIX_BYTES..start + frame.len as usize]
    }

    /// From a frame's length on to the end of another that stands behind it in the same buffer.
    pub(crate) fn framed_together(&self, first: &Frame, last: &Frame) -> &[u8] {
        let start = first.start as usize - PREFIX_BYTES;
        &self.slots[first.slot as usize].buffer[start..(last.start + last.len) as usize]
    }

    /// Takes the frame's whole buffer for a moment, so that others can be taken while it is read;
    /// the frame is not to be looked at until [`Self::restore`].
    pub(crate) fn lend(&mut self, frame: &Frame) -> Buffer {
        std::mem::take(&mut self.slots[frame.slot as usize].buffer)
    }

    /// Gives back what [`Self::lend`] gave.
    pub(crate) fn restore(&mut self, frame: &Frame, buffer: Buffer) {
        self.slots[frame.slot as usize].buffer = buffer;
    }

    /// A second frame of the same bytes, for another port.
    pub fn share(&mut self, frame: &Frame) -> Frame {
        self.slots[frame.slot as usize].references += 1;
        Frame { has_room_kept: false, ..*frame }
    }

    /// Ends a frame; with the last frame of a buffer, the buffer is free again.
    #[allow(clippy::needless_pass_by_value, reason = "the frame ends here, that is the point")]
    #[inline]
    pub fn release(&mut self, frame: Frame) {
        if frame.has_room_kept {
            self.kept_bytes -= frame.held_bytes();
        }
        self.unrefer(frame.slot);
    }

    // Once for each frame: in line, this and the other such one spare 36 instructions a frame.
    #[inline(always)]
    fn unrefer(&mut self, number: u32) {
        let slot = &mut self.slots[number as usize];
        slot.references -= 1;
        if slot.references == 0 {
            let buffer = std::mem::take(&mut slot.buffer);
            self.vacant.push(number);
            self.put_back(buffer);
        }
    }

    /// Lets free buffers of other classes go until `bytes` more fit into the budget.
    fn make_room(&mut self, bytes: usize) {
        for free in &mut self.free {
            while self.allocated_bytes + bytes > self.budget_bytes {
                let Some(buffer) = free.pop() else { break };
                self.allocated_bytes -= buffer.len();
                self.free_bytes -= buffer.len();
            }
        }
    }
}

/// A length inside a buffer, or a slot's number: both far below 2³².
#[allow(clippy::cast_possible_truncation, reason = "bounded by the largest class and the budget")]
const fn narrow(value: usize) -> u32 {
    debug_assert!(value <= u32::MAX as usize);
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_buffer_returns_with_its_last_frame() {
        let mut pool = Pool::new(1 << 20);
        let one = pool.copy(b"hello").unwrap();
        let two = pool.share(&one);
        assert_eq!(pool.bytes(&two), b"hello");
        assert!(pool.bytes_mut(&one).is_none(), "two frames share it");
        pool.release(one);
        assert_eq!(pool.filled_slots(), 1);
        assert!(pool.bytes_mut(&two).is_some());
        pool.release(two);
        assert_eq!(pool.filled_slots(), 0);
        assert_eq!(pool.available_bytes(), 1 << 20);
        assert_eq!(pool.allocated_bytes(), SizeClass::Small.bytes());
    }

    #[test]
    fn the_budget_holds_and_classes_give_way_to_each_other() {
        let mut pool = Pool::new(SizeClass::Full.bytes() + 100);
        let small: Vec<_> = std::iter::from_fn(|| pool.copy(&[1; 64])).collect();
        assert_eq!(small.len(), (SizeClass::Full.bytes() + 100) / SizeClass::Small.bytes());
        assert!(pool.copy(&[2; 60_000]).is_none());
        for frame in small {
            pool.release(frame);
        }
        let full = pool.copy(&[2; 60_000]).expect("free small buffers make room");
        assert!(pool.allocated_bytes() <= SizeClass::Full.bytes() + 100);
        assert_eq!(pool.bytes(&full), &[2; 60_000][..]);
        assert!(pool.copy(&[3; 64]).is_none(), "all used");
        pool.release(full);
        assert!(pool.copy(&[0; FRAME_MAX_BYTES]).is_some());
    }

    #[test]
    fn a_smaller_budget_is_reached_as_buffers_come_back() {
        let mut pool = Pool::new(1 << 20);
        let frames: Vec<_> = (0..10).map(|_| pool.copy(&[0; 1500]).unwrap()).collect();
        pool.set_budget_bytes(4 * SizeClass::Small.bytes());
        for frame in frames {
            pool.release(frame);
        }
        assert_eq!(pool.allocated_bytes(), 4 * SizeClass::Small.bytes());
    }

    #[test]
    fn classes_fit_what_they_say() {
        for class in SizeClass::ALL {
            let largest = class.bytes() - HEADROOM_BYTES;
            let fitting = SizeClass::fitting(largest);
            assert_eq!(fitting, class.min(SizeClass::Full), "no frame needs a run");
            assert_eq!(class.bytes() / 64 % 2, 1);
        }
        assert_eq!(SizeClass::fitting(FRAME_MAX_BYTES), SizeClass::Full);
    }
}
