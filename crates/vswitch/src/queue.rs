//! What a port cannot take now waits here: bounded in frames, bytes and age.

use std::collections::VecDeque;
use std::time::Duration;

use crate::frame::Frame;
use crate::pool::Pool;
use crate::time::Nanos;

/// How many frames a queue holds: what a fast sender sends in the few milliseconds for which a busy
/// machine may leave a reader without a processor.
pub const QUEUE_FRAMES_MAX: usize = 1024;

/// Up to this many, a sender of unicast need not wait; the places above it are kept for floods,
/// which never wait for a full port.
pub const QUEUE_FRAMES_UNICAST: usize = 896;

/// A frame that has waited longer is of no use to anyone and is dropped.
pub const QUEUE_AGE_MAX: Duration = Duration::from_secs(1);

/// Frames on their way out of one port, oldest first.
#[derive(Debug)]
pub(crate) struct EgressQueue {
    frames: VecDeque<Queued>,
    held_bytes: usize,
}

#[derive(Debug)]
struct Queued {
    frame: Frame,
    since: Nanos,
}

impl EgressQueue {
    pub(crate) fn new() -> Self {
        Self { frames: VecDeque::with_capacity(QUEUE_FRAMES_MAX), held_bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether a frame that holds `bytes` of the pool fits, with at most `frames_max` frames in
    /// all.
    ///
    /// In bytes, each queue may hold as much as is still available to all (a dynamic threshold,
    /// after Choudhury and Hahne): one full port can take half of the pool, two a third each, and
    /// there is always something left for the others.
    pub(crate) fn has_room(&self, bytes: usize, frames_max: usize, pool: &Pool) -> bool {
        self.frames.len() < frames_max && self.held_bytes + bytes <= pool.available_bytes()
    }

    pub(crate) fn push(&mut self, frame: Frame, now: Nanos, pool: &Pool) {
        self.held_bytes += pool.held_bytes(&frame);
        self.frames.push_back(Queued { frame, since: now });
    }

    pub(crate) fn pop(&mut self, pool: &Pool) -> Option<Frame> {
        let queued = self.frames.pop_front()?;
        self.held_bytes -= pool.held_bytes(&queued.frame);
        Some(queued.frame)
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
