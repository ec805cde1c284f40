//! A send queue: FQ-CoDel with one flow, since frames that NDRV, BPF and bridges send carry no flow
//! (`fq_addq`, `fq_getq_flow`, `bsd/net/classq/classq_fq_codel.c`; contract §4).
//!
//! A frame too many makes the *oldest* go, and the sender is told that all went well; the same
//! while frames have waited too long. Only a flow of less than 15,000 bytes would make the new one
//! go, with `ENOBUFS`, and 2,048 Ethernet frames are more.

use std::collections::VecDeque;

use super::interface::Frame;

/// `IFCQ_DEFAULT_PKT_DROP_LIMIT`.
const FRAMES_MAX: usize = 2048;
/// `IFQ_TARGET_DELAY`, `IFQ_UPDATE_INTERVAL`.
const TARGET_DELAY_NS: u64 = 10_000_000;
const INTERVAL_NS: u64 = 100_000_000;
/// `FQ_MIN_FC_THRESHOLD_BYTES`: a queue with less is not called stalled.
const STALL_BYTES_MIN: usize = 7500;

/// What waits to be sent (`if_snd`), and the thread that sends it.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    frames: VecDeque<(u64, Frame)>,
    bytes: usize,
    /// Frames wait too long.
    is_delay_high: bool,
    /// Least wait since `updates_at_ns` was last set.
    least_delay_ns: Option<u64>,
    updates_at_ns: u64,
    /// When a frame was last taken that left others behind.
    taken_at_ns: Option<u64>,
    /// The starter thread has been woken.
    pub(super) is_started: bool,
    /// Output is disabled (`IF_FAKE_S_CMD_SET_DEQUEUE_STALL`).
    pub(super) is_stalled: bool,
}

impl SendQueue {
    /// Takes a frame; how many were lost for it.
    pub(super) fn push(&mut self, frame: Frame, now_ns: u64) -> u64 {
        self.notice_stall(now_ns);
        let has_to_lose = self.is_delay_high || self.frames.len() >= FRAMES_MAX;
        let lost = u64::from(has_to_lose && self.remove().is_some());
        if self.frames.is_empty() {
            self.updates_at_ns = now_ns + INTERVAL_NS;
        }
        self.bytes += frame.bytes.len();
        self.frames.push_back((now_ns, frame));
        lost
    }

    /// `fq_detect_dequeue_stall`: nothing was taken for a whole interval.
    fn notice_stall(&mut self, now_ns: u64) {
        let is_late = self.taken_at_ns.is_some_and(|at| now_ns > at + INTERVAL_NS);
        if is_late && !self.frames.is_empty() && self.bytes >= STALL_BYTES_MIN {
            self.is_delay_high = true;
        }
    }

    fn remove(&mut self) -> Option<(u64, Frame)> {
        let taken = self.frames.pop_front()?;
        self.bytes -= taken.1.bytes.len();
        if self.frames.is_empty() {
            self.taken_at_ns = None;
        }
        Some(taken)
    }

    /// The next frame to send.
    pub(super) fn first(&mut self) -> Option<&mut Frame> {
        self.frames.front_mut().map(|(_, frame)| frame)
    }

    /// Takes the next frame to send.
    pub(super) fn pop(&mut self, now_ns: u64) -> Option<Frame> {
        let (queued_at_ns, frame) = self.remove()?;
        let delay_ns = now_ns.saturating_sub(queued_at_ns);
        let least = self.least_delay_ns.map_or(delay_ns, |least| least.min(delay_ns));
        self.least_delay_ns = Some(least);
        if now_ns >= self.updates_at_ns {
            self.is_delay_high = least > TARGET_DELAY_NS;
            self.updates_at_ns = now_ns + INTERVAL_NS;
            self.least_delay_ns = None;
        }
        if self.frames.is_empty() {
            self.is_delay_high = false;
        } else {
            self.taken_at_ns = Some(now_ns);
        }
        Some(frame)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Throws everything away; how many frames that were.
    pub(super) fn flush(&mut self) -> u64 {
        let lost = self.frames.len() as u64;
        self.frames.clear();
        self.bytes = 0;
        self.taken_at_ns = None;
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn frame(len: usize) -> Frame {
        Frame::new(vec![0; len])
    }

    fn filled(count: usize, len: usize, now_ns: u64) -> SendQueue {
        let mut queue = SendQueue::default();
        for _ in 0..count {
            assert_eq!(queue.push(frame(len), now_ns), 0);
        }
        queue
    }

    #[test]
    fn a_full_queue_loses_one_for_each_that_comes() {
        let mut queue = filled(FRAMES_MAX, 60, 0);
        assert_eq!(queue.push(frame(61), 0), 1);
        assert_eq!(queue.frames.len(), FRAMES_MAX);
        assert_eq!(queue.frames.back().map(|(_, frame)| frame.bytes.len()), Some(61));
    }

    #[test]
    fn frames_come_out_in_order_and_are_counted_down() {
        let mut queue = filled(1, 60, 0);
        queue.push(frame(70), 0);
        assert_eq!(queue.first().map(|frame| frame.bytes.len()), Some(60));
        assert_eq!(queue.pop(0).map(|frame| frame.bytes.len()), Some(60));
        assert_eq!(queue.bytes, 70);
        assert_eq!(queue.pop(0).map(|frame| frame.bytes.len()), Some(70));
        assert!(queue.is_empty() && queue.pop(0).is_none());
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn a_flush_throws_away_all_and_forgets_the_stall() {
        let mut queue = filled(200, 60, 0);
        queue.pop(0);
        assert_eq!(queue.flush(), 199);
        assert!(queue.is_empty());
        assert_eq!((queue.bytes, queue.taken_at_ns), (0, None));
    }

    #[test]
    fn a_stall_is_an_interval_without_taking_of_a_queue_that_is_not_small() {
        for (count, waits_ms, lost) in [(126, 101, 1), (126, 100, 0), (125, 101, 0)] {
            let mut queue = filled(count, 60, 0);
            queue.pop(0);
            assert_eq!(queue.push(frame(60), waits_ms * MS), lost, "{count} {waits_ms}");
        }
        let mut untouched = filled(500, 60, 0);
        assert_eq!(untouched.push(frame(60), 1000 * MS), 0, "nothing was ever taken");
    }

    #[test]
    fn frames_that_wait_too_long_make_the_oldest_go() {
        for (waits_ms, lost) in [(10, 0), (11, 1)] {
            let mut queue = filled(3, 60, 0);
            queue.updates_at_ns = 0;
            queue.pop(waits_ms * MS);
            assert_eq!(queue.push(frame(60), waits_ms * MS), lost, "{waits_ms}");
        }
    }

    #[test]
    fn only_the_least_wait_of_an_interval_counts_and_an_empty_queue_is_fast() {
        let mut queue = filled(2, 60, 0);
        queue.push(frame(60), 89 * MS);
        queue.pop(50 * MS);
        queue.pop(60 * MS);
        queue.push(frame(60), 90 * MS);
        queue.pop(90 * MS);
        assert_eq!(queue.push(frame(60), 120 * MS), 0, "not yet an interval");
        queue.pop(120 * MS);
        assert!(!queue.is_delay_high, "the least was 1 ms");
        let mut last = filled(1, 60, 0);
        last.updates_at_ns = 0;
        last.pop(50 * MS);
        assert!(!last.is_delay_high, "nothing waits");
    }
}
