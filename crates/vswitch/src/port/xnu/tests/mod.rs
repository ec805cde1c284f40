//! The ports by hand, one call at a time, on a simulated kernel: what each call says to the loop.

mod datagram;
mod slow_reader;
mod unixgram;
mod uplink;

use xnu_sim::{Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::Errno;

use crate::counters::DropReason;
use crate::pool::Pool;
use crate::port::{Inbox, InboxBuffers, Outbox, Port, Received, Sent};
use crate::queue::EgressQueue;
use crate::time::Nanos;

/// What the loop has for its ports.
struct Hand {
    pool: Pool,
    buffers: InboxBuffers,
}

impl Hand {
    fn new() -> Self {
        Self::with_pool(64 << 20)
    }

    fn with_pool(budget_bytes: usize) -> Self {
        Self { pool: Pool::new(budget_bytes), buffers: InboxBuffers::default() }
    }

    /// One call, and the frames it gave.
    fn receive(&mut self, port: &mut dyn Port) -> (Received, Vec<Vec<u8>>) {
        let received = port.receive(&mut Inbox::new(&mut self.buffers, &mut self.pool));
        let frames = std::mem::take(&mut self.buffers.frames);
        let copied = frames.into_iter().map(|frame| {
            let bytes = self.pool.bytes(&frame).to_vec();
            self.pool.release(frame);
            bytes
        });
        (received, copied.collect())
    }

    /// One call.
    fn send(&mut self, port: &mut dyn Port, frames: &[&[u8]]) -> Sent {
        let mut queue = EgressQueue::new();
        for frame in frames {
            let copy = self.pool.copy(frame).expect("room");
            queue.push(copy, Nanos(0), &mut self.pool);
        }
        let sent = port.send(&Outbox::new(&queue, &self.pool));
        while let Some(frame) = queue.pop() {
            self.pool.release(frame);
        }
        sent
    }

    fn rejected(&self, reason: DropReason) -> u64 {
        self.buffers.rejected.of(reason)
    }
}

fn fail_once(kernel: &SimKernel, call: &'static str, errno: Errno) {
    let action = FaultAction::Fail(errno);
    kernel.add_fault(Fault { call, object: None, after: 0, times: 1, action });
}

fn on_every_version(test: impl Fn(SimKernel)) {
    for version in MacOs::ALL {
        println!("macOS {version:?}");
        test(SimKernel::boot(version, 1));
    }
}
