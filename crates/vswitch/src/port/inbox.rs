//! Where a port puts what it receives.

use std::collections::VecDeque;
use std::ops::Range;

use crate::counters::{DropReason, Drops};
use crate::frame::{FRAME_MAX_BYTES, Frame};
use crate::offload::Offload;
use crate::pool::{Buffer, HEADROOM_BYTES, Pool, Run, SizeClass};

/// The most frames that one call of `receive` puts into the inbox by posted buffers.
pub const BATCH_FRAMES_MAX: usize = 64;

const _: () = {
    let mut class = 0;
    while class < SizeClass::ALL.len() {
        assert!(SizeClass::ALL[class].batch_frames() <= BATCH_FRAMES_MAX);
        class += 1;
    }
};

/// How much of a frame that its buffer does not hold goes behind it into the spill.
const SPILL_BYTES: usize = SizeClass::Full.bytes();

/// The buffers into which ports receive, made once and kept from call to call: posted buffers of
/// each class, a spill for frames bigger than the port's class, and the frames received.
#[derive(Debug)]
pub struct InboxBuffers {
    posted: [Vec<Buffer>; SizeClass::ALL.len()],
    /// [`BATCH_FRAMES_MAX`] times [`SPILL_BYTES`]; its memory is touched only by frames that spill.
    spill: Vec<u8>,
    pub(crate) frames: VecDeque<Frame>,
    pub(crate) rejected: Drops,
    pub(crate) rejected_bytes: u64,
}

impl Default for InboxBuffers {
    fn default() -> Self {
        let post = |class: SizeClass| vec![Buffer::default(); class.batch_frames()];
        Self {
            posted: SizeClass::ALL.map(post),
            spill: vec![0; BATCH_FRAMES_MAX * SPILL_BYTES],
            frames: VecDeque::with_capacity(2 * BATCH_FRAMES_MAX),
            rejected: Drops::default(),
            rejected_bytes: 0,
        }
    }
}

/// One call's view of the [`InboxBuffers`], with the pool.
#[derive(Debug)]
pub struct Inbox<'a> {
    buffers: &'a mut InboxBuffers,
    pool: &'a mut Pool,
}

/// A buffer to receive one frame into: first `head`, then `spill`.
#[derive(Debug)]
pub struct ReceiveSlot<'a> {
    /// The posted buffer, behind its headroom.
    pub head: &'a mut [u8],
    /// Where the rest of a frame goes that `head` does not hold.
    pub spill: &'a mut [u8],
}

impl<'a> Inbox<'a> {
    /// A view for one call.
    pub fn new(buffers: &'a mut InboxBuffers, pool: &'a mut Pool) -> Self {
        Self { buffers, pool }
    }

    /// Buffers for a batch of frames of `class`, to be received into in order: `frames_max`, or
    /// fewer, when that is more than the class's batch or the pool is low.
    pub fn slots(
        &mut self,
        class: SizeClass,
        frames_max: usize,
    ) -> impl ExactSizeIterator<Item = ReceiveSlot<'_>> {
        self.raw_slots(class, frames_max)
            .map(|(buffer, spill)| ReceiveSlot { head: &mut buffer[HEADROOM_BYTES..], spill })
    }

    /// The posted buffers themselves, headroom and all, each with its spill: for a port that needs
    /// the headroom.
    pub fn raw_slots(
        &mut self,
        class: SizeClass,
        frames_max: usize,
    ) -> impl ExactSizeIterator<Item = (&mut [u8], &mut [u8])> {
        let ready = self.post(class, frames_max);
        let posted = &mut self.buffers.posted[class as usize];
        let spills = self.buffers.spill.chunks_exact_mut(SPILL_BYTES);
        posted[..ready].iter_mut().map(|buffer| &mut **buffer).zip(spills)
    }

    /// Has the first `frames_max` places hold buffers, or as many as there are; how many do.
    fn post(&mut self, class: SizeClass, frames_max: usize) -> usize {
        let posted = &mut self.buffers.posted[class as usize];
        let frames_max = frames_max.min(posted.len());
        for place in 0..frames_max {
            if !posted[place].is_empty() {
                continue;
            }
            let Some(fresh) = self.pool.take(class) else {
                posted.sort_by_key(|buffer| buffer.is_empty());
                let ready = posted.iter().take_while(|buffer| !buffer.is_empty()).count();
                return ready.min(frames_max);
            };
            posted[place] = fresh;
        }
        frames_max
    }

    /// The first `len_bytes` received into slot number `place` of `class`, as far as its buffer
    /// goes.
    #[must_use]
    pub fn peek(&self, class: SizeClass, place: usize, len_bytes: usize) -> &[u8] {
        let head = &self.buffers.posted[class as usize][place][HEADROOM_BYTES..];
        &head[..len_bytes.min(head.len())]
    }

    /// A frame of `len_bytes` was received into slot number `place` of `class` (and its spill).
    #[inline]
    pub fn arrived(&mut self, class: SizeClass, place: usize, len_bytes: usize) {
        self.arrived_unfinished(class, place, len_bytes, Offload::NONE);
    }

    /// The same of a frame with work left on it.
    #[inline]
    pub fn arrived_unfinished(
        &mut self,
        class: SizeClass,
        place: usize,
        len_bytes: usize,
        offload: Offload,
    ) {
        let end = HEADROOM_BYTES + len_bytes;
        if end <= class.bytes() {
            self.arrived_at(class, place, HEADROOM_BYTES..end, offload);
            return;
        }
        let in_head = class.bytes() - HEADROOM_BYTES;
        let in_spill = len_bytes - in_head;
        self.arrived_spilled(class, place, HEADROOM_BYTES, in_head, in_spill, offload);
    }

    /// A frame stands in `range` of slot `place`'s buffer. One that fits a smaller class is copied
    /// into that: in a queue it then holds no more of the pool than it needs (the acknowledgements
    /// between big segments), and the big buffer stays posted.
    #[inline]
    pub fn arrived_at(
        &mut self,
        class: SizeClass,
        place: usize,
        range: Range<usize>,
        offload: Offload,
    ) {
        if SizeClass::fitting(range.len()) < class || range.len() > FRAME_MAX_BYTES {
            self.arrived_unfitting(class, place, range, offload);
            return;
        }
        let buffer = std::mem::take(&mut self.buffers.posted[class as usize][place]);
        let frame = self.pool.fill(buffer, range, offload);
        self.buffers.frames.push_back(frame);
    }

    /// A frame has arrived that is too small for its buffer, or too big for the switch.
    #[inline(never)]
    fn arrived_unfitting(
        &mut self,
        class: SizeClass,
        place: usize,
        range: Range<usize>,
        offload: Offload,
    ) {
        if range.len() > FRAME_MAX_BYTES {
            self.reject(DropReason::Oversize, range.len());
            return;
        }
        let posted = &mut self.buffers.posted[class as usize][place];
        let frame = match self.pool.copy(&posted[range.clone()]) {
            Some(copy) => Frame { offload, ..copy },
            None => self.pool.fill(std::mem::take(posted), range, offload),
        };
        self.buffers.frames.push_back(frame);
    }

    /// A frame stands in slot `place`: `head_bytes` from `start` on in its buffer, and
    /// `spill_bytes` in its spill. It is put together in a buffer that holds it.
    pub fn arrived_spilled(
        &mut self,
        class: SizeClass,
        place: usize,
        start: usize,
        head_bytes: usize,
        spill_bytes: usize,
        offload: Offload,
    ) {
        let len = head_bytes + spill_bytes;
        if len > FRAME_MAX_BYTES || spill_bytes > SPILL_BYTES {
            self.reject(DropReason::Oversize, len);
            return;
        }
        let head = &self.buffers.posted[class as usize][place][start..start + head_bytes];
        let spill = &self.buffers.spill[place * SPILL_BYTES..][..spill_bytes];
        match self.pool.copy_parts(head, spill) {
            Some(mut frame) => {
                frame.offload = offload;
                self.buffers.frames.push_back(frame);
            }
            None => self.reject(DropReason::NoBuffer, len),
        }
    }

    /// Takes a buffer for a stream's bytes; `None` when the pool has none. It goes back by
    /// [`Self::put_back`], or becomes a run of frames ([`Self::begin_run`]).
    pub fn take_buffer(&mut self, class: SizeClass) -> Option<Buffer> {
        self.pool.take(class)
    }

    /// Gives back what [`Self::take_buffer`] gave.
    pub fn put_back(&mut self, buffer: Buffer) {
        self.pool.put_back(buffer);
    }

    /// Begins to make frames out of what stands side by side in `buffer`, without copying.
    pub fn begin_run(&mut self, buffer: Buffer) -> Run {
        self.pool.begin_run(buffer)
    }

    /// The run's whole buffer.
    #[must_use]
    pub fn run_bytes(&self, run: &Run) -> &[u8] {
        self.pool.run_bytes(run)
    }

    /// A frame has arrived whose bytes are `range` of the run's buffer, behind its length.
    pub fn arrived_in_run(&mut self, run: &Run, range: Range<usize>) {
        let frame = self.pool.frame_in_run(run, range);
        self.buffers.frames.push_back(frame);
    }

    /// Ends a run.
    pub fn end_run(&mut self, run: Run) {
        self.pool.end_run(run);
    }

    /// Takes a copy of a frame that stands elsewhere; `false` when the pool has no room: the frame
    /// is not counted then, and may be given again later.
    pub fn copy(&mut self, frame: &[u8]) -> bool {
        self.copy_unfinished(frame, Offload::NONE)
    }

    /// The same of a frame with work left on it.
    pub fn copy_unfinished(&mut self, frame: &[u8], offload: Offload) -> bool {
        if frame.len() > FRAME_MAX_BYTES {
            self.reject(DropReason::Oversize, frame.len());
            return true;
        }
        let Some(mut frame) = self.pool.copy(frame) else { return false };
        frame.offload = offload;
        self.buffers.frames.push_back(frame);
        true
    }

    /// Whether a frame of any size can still be [copied](Self::copy).
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.pool.available_bytes() >= SizeClass::Full.bytes()
    }

    /// Counts a frame that was received and is not passed on.
    pub fn reject(&mut self, reason: DropReason, len_bytes: usize) {
        self.buffers.rejected.count(reason);
        self.buffers.rejected_bytes += len_bytes as u64;
    }

    /// How many frames are in the inbox now.
    #[must_use]
    pub fn len_frames(&self) -> usize {
        self.buffers.frames.len()
    }
}

/// Which class a port receives into: up at once when a frame spills, down when none of many batches
/// needed the size.
#[derive(Debug)]
pub struct AdaptiveClass {
    class: SizeClass,
    smaller_batches: u32,
}

/// So many batches in a row must fit the next smaller class before the port goes down to it.
const BATCHES_BEFORE_SMALLER: u32 = 64;

impl Default for AdaptiveClass {
    fn default() -> Self {
        Self { class: SizeClass::Small, smaller_batches: 0 }
    }
}

impl AdaptiveClass {
    /// The class to receive into now.
    #[must_use]
    pub fn class(&self) -> SizeClass {
        self.class
    }

    /// Tells the size of a batch's biggest frame.
    pub fn saw_batch(&mut self, biggest_bytes: usize) {
        let fitting = SizeClass::fitting(biggest_bytes);
        if fitting >= self.class {
            self.class = fitting;
            self.smaller_batches = 0;
            return;
        }
        self.smaller_batches += 1;
        if self.smaller_batches >= BATCHES_BEFORE_SMALLER {
            self.class = fitting;
            self.smaller_batches = 0;
        }
    }
}

/// For how many frames a port makes ready at a time: few where few come, since making ready costs
/// more than it does to find that more have come.
#[derive(Debug)]
pub struct AdaptiveBatch<const FRAMES_MAX: usize> {
    frames: usize,
}

/// For so many at least.
const BATCH_FRAMES_MIN: usize = 4;

impl<const FRAMES_MAX: usize> Default for AdaptiveBatch<FRAMES_MAX> {
    fn default() -> Self {
        Self { frames: BATCH_FRAMES_MIN }
    }
}

impl<const FRAMES_MAX: usize> AdaptiveBatch<FRAMES_MAX> {
    /// How many frames to make ready for now.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Of `posted` buffers, so many were `received` into. After a full batch the next is as big as
    /// can be: the rest waits already.
    pub fn saw(&mut self, received: usize, posted: usize) {
        self.frames = match received {
            all if all == posted => FRAMES_MAX,
            some => (2 * some).clamp(BATCH_FRAMES_MIN, FRAMES_MAX),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_bigger_than_the_class_are_put_together() {
        let mut buffers = InboxBuffers::default();
        let mut pool = Pool::new(1 << 20);
        let mut inbox = Inbox::new(&mut buffers, &mut pool);
        let frame: Vec<u8> = (0..60_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let head_bytes = {
            let slot = inbox.slots(SizeClass::Small, BATCH_FRAMES_MAX).nth(3).unwrap();
            let (head, rest) = frame.split_at(slot.head.len());
            slot.head.copy_from_slice(head);
            slot.spill[..rest.len()].copy_from_slice(rest);
            head.len()
        };
        assert_eq!(head_bytes, SizeClass::Small.bytes() - HEADROOM_BYTES);
        inbox.arrived(SizeClass::Small, 3, frame.len());
        let received = buffers.frames.pop_front().unwrap();
        assert_eq!(pool.bytes(&received), frame);
        pool.release(received);
    }

    #[test]
    fn a_batch_is_as_big_as_what_came_asks_for() {
        let mut batch = AdaptiveBatch::<32>::default();
        assert_eq!(batch.frames(), 4);
        for (received, posted, next) in
            [(1, 4, 4), (4, 4, 32), (32, 32, 32), (31, 32, 32), (9, 32, 18), (0, 18, 4)]
        {
            batch.saw(received, posted);
            assert_eq!(batch.frames(), next, "{received} of {posted}");
        }
    }

    #[test]
    fn small_frames_hold_no_big_buffers() {
        let mut buffers = InboxBuffers::default();
        let mut pool = Pool::new(1 << 20);
        let mut inbox = Inbox::new(&mut buffers, &mut pool);
        let sizes = [60, 2000, 3000, 9000, 9300, 65_000];
        for (index, len) in sizes.into_iter().enumerate() {
            let place = index % 2;
            inbox.slots(SizeClass::Full, BATCH_FRAMES_MAX).nth(place).unwrap().head[..len].fill(7);
            inbox.arrived(SizeClass::Full, place, len);
            let frame = inbox.buffers.frames.pop_front().unwrap();
            assert_eq!(inbox.pool.bytes(&frame), vec![7; len]);
            assert_eq!(frame.held_bytes(), SizeClass::fitting(len).bytes());
            inbox.pool.release(frame);
        }
        let (mut buffers, mut pool) = (InboxBuffers::default(), Pool::new(66_000));
        let mut inbox = Inbox::new(&mut buffers, &mut pool);
        assert_eq!(inbox.slots(SizeClass::Full, BATCH_FRAMES_MAX).len(), 1);
        inbox.arrived(SizeClass::Full, 0, 60);
        assert_eq!(inbox.len_frames(), 1, "without another buffer it goes in the big one");
    }

    #[test]
    fn too_big_is_counted_not_passed() {
        let mut buffers = InboxBuffers::default();
        let mut pool = Pool::new(1 << 20);
        let mut inbox = Inbox::new(&mut buffers, &mut pool);
        assert_eq!(
            inbox.slots(SizeClass::Full, BATCH_FRAMES_MAX).len(),
            SizeClass::Full.batch_frames()
        );
        inbox.arrived(SizeClass::Full, 0, FRAME_MAX_BYTES + 1);
        inbox.arrived(SizeClass::Full, 1, FRAME_MAX_BYTES);
        assert_eq!(inbox.len_frames(), 1);
        assert_eq!(buffers.rejected.of(DropReason::Oversize), 1);
    }

    #[test]
    fn a_low_pool_gives_fewer_slots() {
        let mut buffers = InboxBuffers::default();
        let mut pool = Pool::new(3 * SizeClass::Small.bytes());
        let mut inbox = Inbox::new(&mut buffers, &mut pool);
        assert_eq!(inbox.slots(SizeClass::Small, BATCH_FRAMES_MAX).len(), 3);
        inbox.arrived(SizeClass::Small, 0, 64);
        assert_eq!(
            inbox.slots(SizeClass::Small, BATCH_FRAMES_MAX).len(),
            2,
            "what is posted still serves"
        );
        inbox.arrived(SizeClass::Small, 0, 64);
        inbox.arrived(SizeClass::Small, 1, 64);
        assert_eq!(inbox.slots(SizeClass::Small, BATCH_FRAMES_MAX).len(), 0);
    }

    #[test]
    fn the_class_follows_the_frames() {
        let mut class = AdaptiveClass::default();
        class.saw_batch(9000);
        assert_eq!(class.class(), SizeClass::Jumbo);
        for _ in 0..BATCHES_BEFORE_SMALLER - 1 {
            class.saw_batch(100);
        }
        assert_eq!(class.class(), SizeClass::Jumbo);
        class.saw_batch(100);
        assert_eq!(class.class(), SizeClass::Small);
    }
}
