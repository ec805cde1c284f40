//! Sends a flow of numbered frames ([`crate::flow`]).

use std::time::Duration;

use super::{Progress, Task};
use crate::core::GuestCore;
use crate::flow::FlowGenerator;
use crate::mac::MacAddress;

/// The task: sends `count` numbered frames, evenly spread at a rate or as fast as the cable takes
/// them. Its output is how many were sent; a full cable delays frames and loses none.
#[derive(Debug)]
pub struct SendFlow {
    flow: u32,
    destination: MacAddress,
    frame_len: usize,
    count: u64,
    frames_per_s: Option<u32>,
    state: Option<(FlowGenerator, Duration)>,
}

impl SendFlow {
    /// `count` frames of `frame_len` bytes (30 at least) of the flow `flow` to `destination`, as
    /// fast as they go.
    #[must_use]
    pub const fn new(flow: u32, destination: MacAddress, frame_len: usize, count: u64) -> Self {
        Self { flow, destination, frame_len, count, frames_per_s: None, state: None }
    }

    /// Spreads the frames.
    #[must_use]
    pub const fn at_rate(mut self, frames_per_s: u32) -> Self {
        self.frames_per_s = Some(if frames_per_s == 0 { 1 } else { frames_per_s });
        self
    }

    /// How many frames should be out `elapsed` after the start.
    fn due(&self, elapsed: Duration) -> u64 {
        let Some(rate) = self.frames_per_s else { return self.count };
        let due = elapsed.as_nanos() * u128::from(rate) / 1_000_000_000 + 1;
        u64::try_from(due).unwrap_or(u64::MAX).min(self.count)
    }
}

impl Task for SendFlow {
    type Output = u64;

    fn step(&mut self, guest: &mut GuestCore, now: Duration) -> Progress<u64> {
        let mac = guest.mac();
        let (flow, to, len) = (self.flow, self.destination, self.frame_len);
        let begin = || (FlowGenerator::new(flow, mac, to, len), now);
        let (mut generator, since) = self.state.take().unwrap_or_else(begin);
        let due = self.due(now.saturating_sub(since));
        let before = generator.made();
        while generator.made() < due && guest.send_room() > 0 {
            guest.send_frame(generator.next_frame());
        }
        let made = generator.made();
        self.state = Some((generator, since));
        if made == self.count && !guest.is_blocked() {
            return Progress::Done(Ok(made));
        }
        if made > before || guest.is_blocked() {
            return Progress::Moved;
        }
        let rate = u64::from(self.frames_per_s.unwrap_or(1));
        Progress::Waiting(since + Duration::from_nanos(made * 1_000_000_000 / rate))
    }

    fn stop(&mut self, _: &mut GuestCore) {
        self.state = None;
    }
}
