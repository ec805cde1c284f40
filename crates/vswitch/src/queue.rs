//! What a port cannot take now waits here: bounded in frames, bytes and age.

use std::collections::VecDeque;
use std::time::Duration;

use crate::frame::Frame;
use crate::offload::Offloads;
use crate::pool::Pool;
use crate::time::Nanos;

/// How many frames a queue holds: what a fast sender sends in the few milliseconds for which a busy
/// machine may leave a reader without a processor.
pub const QUEUE_FRAMES_MAX: usize = 1024;

/// Up to this many, a sender of unicast need not wait; the places above it are kept for floods,
/// which never wait for a full port.
pub const QUEUE_FRAMES_UNICAST: usize = 896;

/// A sender that can wait does so, too, while the frames of a full port come to this many bytes.
/// They are read once more when they are sent: with more of them than a processor's second-level
/// cache holds, each costs more time, and nobody gets it earlier.
pub const QUEUE_BYTES_WAIT: usize = 512 << 10;

/// A frame that has waited longer is of no use to anyone and is dropped.
pub const QUEUE_AGE_MAX: Duration = Duration::from_secs(1);

/// Frames on their way out of one port, oldest first.
#[derive(Debug)]
pub(crate) struct EgressQueue {
    frames: VecDeque<Queued>,
    /// Of all frames together.
    len_bytes: usize,
    held_bytes: usize,
    /// So many of the first frames keep no buffer in which others stand.
    alone_frames: usize,
}

/// What a frame comes to at a port, whole or in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// How many frames.
    pub(crate) frames: usize,
    /// What they hold of the pool.
    pub(crate) held_bytes: usize,
    /// Of those, the bytes that are still to be taken from it.
    pub(crate) fresh_bytes: usize,
}

impl Load {
    /// What a frame comes to at a port that takes it as it is.
    pub(crate) const fn of(frame: &Frame) -> Self {
        let held_bytes = frame.held_bytes();
        // One that stands in a run is copied if it has to wait.
        Self { frames: 1, held_bytes, fresh_bytes: if frame.in_run { held_bytes } else { 0 } }
    }
}

#[derive(Debug)]
struct Queued {
    frame: Frame,
    since: Nanos,
}

impl EgressQueue {
    pub(crate) fn new() -> Self {
        let frames = VecDeque::with_capacity(QUEUE_FRAMES_MAX);
        Self { frames, len_bytes: 0, held_bytes: 0, alone_frames: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    /// What its frames hold of the pool, or will when they have to wait.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether a sender that can wait should, until the port has taken some.
    pub(crate) fn is_long(&self) -> bool {
        self.len_bytes >= QUEUE_BYTES_WAIT
    }

    /// Whether those who wait may go on: when half is left. That is rarely enough that they are not
    /// woken for each frame, and early enough that the port never runs dry.
    pub(crate) fn is_short(&self) -> bool {
        self.frames.len() <= QUEUE_FRAMES_UNICAST / 2 && self.len_bytes <= QUEUE_BYTES_WAIT / 2
    }

    /// Whether `load` fits, with at most `frames_max` frames in all.
    ///
    /// In bytes, each queue may hold as much as is still available to all (a dynamic threshold,
    /// after Choudhury and Hahne): one full port can take half of the pool, two a third each, and
    /// there is always something left for the others.
    #[inline]
    pub(crate) fn has_room(&self, load: &Load, frames_max: usize, pool: &Pool) -> bool {
        let available_bytes = pool.available_bytes().saturating_sub(load.fresh_bytes);
        self.frames.len() + load.frames <= frames_max
            && self.held_bytes + load.held_bytes <= available_bytes
    }

    #[inline]
    pub(crate) fn push(&mut self, mut frame: Frame, now: Nanos, pool: &mut Pool) {
        pool.keep_room(&mut frame);
        self.len_bytes += frame.len_bytes();
        self.held_bytes += frame.held_bytes();
        self.frames.push_back(Queued { frame, since: now });
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Frame> {
        let queued = self.frames.pop_front()?;
        self.alone_frames = self.alone_frames.saturating_sub(1);
        Some(self.taken(queued))
    }

    /// Ends the first frames, at most so many: how many they were, and their bytes.
    pub(crate) fn end_first(&mut self, frames_max: usize, pool: &mut Pool) -> (u64, u64) {
        let frames = frames_max.min(self.frames.len());
        let (mut len_bytes, mut held_bytes) = (0, 0);
        for Queued { frame, .. } in self.frames.drain(..frames) {
            len_bytes += frame.len_bytes();
            held_bytes += frame.held_bytes();
            pool.release(frame);
        }
        self.len_bytes -= len_bytes;
        self.held_bytes -= held_bytes;
        self.alone_frames = self.alone_frames.saturating_sub(frames);
        (frames as u64, len_bytes as u64)
    }

    /// Has no frame keep the buffer of others any more: they may wait here for long.
    pub(crate) fn stand_alone(&mut self, pool: &mut Pool) {
        for queued in self.frames.iter_mut().skip(self.alone_frames) {
            if queued.frame.in_run {
                let frame = std::mem::replace(&mut queued.frame, Frame::NOWHERE);
                queued.frame = pool.alone(frame);
                if queued.frame.in_run {
                    // There is no room; the next time there may be.
                    return;
                }
            }
            self.alone_frames += 1;
        }
    }

    /// Has the frames dropped, by `drop`, whose offload a port that takes `takes` does not take.
    pub(crate) fn drop_untaken(&mut self, takes: Offloads, mut drop: impl FnMut(Frame)) {
        self.alone_frames = 0;
        for _ in 0..self.frames.len() {
            let Some(queued) = self.frames.pop_front() else { break };
            if takes.takes(&queued.frame.offload) {
                self.frames.push_back(queued);
                continue;
            }
            drop(self.taken(queued));
        }
    }

    /// The frame of what stands in the queue no more.
    #[inline]
    fn taken(&mut self, queued: Queued) -> Frame {
        self.len_bytes -= queued.frame.len_bytes();
        self.held_bytes -= queued.frame.held_bytes();
        queued.frame
    }

    pub(crate) fn frame(&self, place: usize) -> &Frame {
        &self.frames[place].frame
    }

    /// Since when the oldest frame waits.
    pub(crate) fn oldest(&self) -> Option<Nanos> {
        self.frames.front().map(|queued| queued.since)
    }
}

const _: () = assert!(QUEUE_FRAMES_UNICAST < QUEUE_FRAMES_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::SizeClass;

    /// What is still to be taken from the pool is less for the others, once it is taken.
    #[test]
    fn a_queue_holds_no_more_than_is_left_when_it_does() {
        let each = SizeClass::Small.bytes();
        let mut pool = Pool::new(10 * each);
        let queue = EgressQueue::new();
        let has_room = |frames: usize, fresh: usize, pool: &Pool| {
            let load = Load { frames, held_bytes: frames * each, fresh_bytes: fresh * each };
            queue.has_room(&load, QUEUE_FRAMES_MAX, pool)
        };
        assert!(has_room(5, 5, &pool) && !has_room(6, 6, &pool));
        let taken: Vec<_> = (0..5).map(|_| pool.copy(&[1; 60]).unwrap()).collect();
        assert!(has_room(5, 0, &pool) && !has_room(6, 0, &pool), "they are those of the load");
        for frame in taken {
            pool.release(frame);
        }
    }

    /// Senders wait for as many bytes as are in the queue, whatever buffers they stand in.
    #[test]
    fn a_queue_is_long_by_its_bytes_until_half_are_gone() {
        let mut pool = Pool::new(16 << 20);
        let mut queue = EgressQueue::new();
        let (mut frames, mut bytes) = (0, 0);
        let sizes = [9014, 64, 60_000, 1514];
        for len in sizes.into_iter().cycle() {
            assert_eq!(queue.is_long(), bytes >= QUEUE_BYTES_WAIT, "{bytes}");
            if queue.is_long() {
                break;
            }
            queue.push(pool.copy(&vec![1; len]).unwrap(), Nanos(0), &mut pool);
            (frames, bytes) = (frames + 1, bytes + len);
        }
        assert!(frames < QUEUE_FRAMES_UNICAST / 2, "{frames}");
        let mut dropped = None;
        queue.drop_untaken(Offloads::NONE, |frame| dropped = Some(frame));
        assert!(dropped.is_none() && queue.is_long());
        while let Some(frame) = queue.pop() {
            assert_eq!(queue.len() + 1, frames);
            (frames, bytes) = (frames - 1, bytes - frame.len_bytes());
            assert_eq!(queue.is_short(), bytes <= QUEUE_BYTES_WAIT / 2, "{bytes}");
            pool.release(frame);
        }
        assert_eq!(bytes, 0);
        for _ in 0..QUEUE_FRAMES_UNICAST {
            queue.push(pool.copy(&[1; 60]).unwrap(), Nanos(0), &mut pool);
            assert_eq!(queue.is_short(), queue.len() <= QUEUE_FRAMES_UNICAST / 2);
        }
    }

    fn run_of(frames: usize, pool: &mut Pool) -> Vec<Frame> {
        let mut buffer = pool.take(SizeClass::Run).unwrap();
        buffer[..64 * frames]
            .copy_from_slice(&[&[0, 0, 0, 60][..], &[7; 60]].concat().repeat(frames));
        let run = pool.begin_run(buffer);
        let made = (0..frames).map(|n| pool.frame_in_run(&run, 64 * n + 4..64 * (n + 1))).collect();
        pool.end_run(run);
        made
    }

    /// Frames of a run take nothing from the pool until they have to wait; what they will take then
    /// is nobody else's, at whatever ports they wait.
    #[test]
    fn queues_of_runs_leave_as_much_as_others() {
        let each = SizeClass::Small.bytes();
        let mut pool = Pool::new(SizeClass::Run.bytes() + 60 * each);
        let mut queues = [EgressQueue::new(), EgressQueue::new()];
        let mut frames = run_of(200, &mut pool).into_iter();
        for queue in &mut queues {
            for frame in frames.by_ref().take(100) {
                if queue.has_room(&Load::of(&frame), QUEUE_FRAMES_MAX, &pool) {
                    queue.push(frame, Nanos(0), &mut pool);
                } else {
                    pool.release(frame);
                }
            }
        }
        assert_eq!([queues[0].len(), queues[1].len()], [30, 15], "half, and half of the rest");
        for queue in &mut queues {
            queue.stand_alone(&mut pool);
            assert!(queue.frames.iter().all(|queued| !queued.frame.in_run));
        }
        assert_eq!(pool.available_bytes(), SizeClass::Run.bytes() + 15 * each);
        for mut queue in queues {
            while let Some(frame) = queue.pop() {
                pool.release(frame);
            }
        }
        assert_eq!(pool.available_bytes(), SizeClass::Run.bytes() + 60 * each);
    }

    /// Without room for a copy a frame stays where it stands, and is copied when there is room.
    #[test]
    fn a_frame_that_found_no_room_is_copied_later() {
        let mut pool = Pool::new(SizeClass::Run.bytes() + SizeClass::Small.bytes());
        let taken = pool.copy(&[1; 60]).unwrap();
        let mut queue = EgressQueue::new();
        for frame in run_of(1, &mut pool) {
            queue.push(frame, Nanos(0), &mut pool);
        }
        queue.stand_alone(&mut pool);
        assert!(queue.frame(0).in_run);
        pool.release(taken);
        queue.stand_alone(&mut pool);
        assert!(!queue.frame(0).in_run, "it keeps the buffer of others no more");
        assert_eq!(pool.bytes(queue.frame(0)), [7; 60]);
        let frame = queue.pop().unwrap();
        pool.release(frame);
        assert_eq!(pool.available_bytes(), SizeClass::Run.bytes() + SizeClass::Small.bytes());
    }
}
